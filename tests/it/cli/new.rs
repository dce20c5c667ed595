//! `hookyard new`: from an empty folder to a handler. That each language's own tools build what is
//! written is tried by hand: they are not in reach of a test.

use std::fs;
use std::path::Path;

use crate::yard::Yard;

const LANGUAGES: [&str; 4] = ["rust", "js", "python", "go"];

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_first_handler_brings_a_configuration_and_what_its_readme_is_about() {
    for language in LANGUAGES {
        let yard = Yard::new("");
        fs::remove_file(yard.path("router.toml")).unwrap();
        let ran = yard.hookyard(&["new", language, "orders"]);
        assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{ran:?}");
        for path in ran.out.lines().take_while(|line| !line.is_empty()) {
            assert!(yard.path(path).is_file(), "{path}");
        }
        let readme = read(&yard.path("plugins/orders/README.md"));
        assert_eq!(readme.lines().count(), 10, "{readme}");
        assert!(readme.contains("send try --body plugins/orders/event.json"), "{readme}");
        let checked = yard.hookyard(&["check"]);
        assert!(checked.err.is_empty() || checked.err.starts_with("warning: "), "{checked:?}");
        assert_eq!(checked.code, Some(0), "{checked:?}");
    }
}

#[test]
fn selftests_and_the_event_are_what_a_handler_of_orders_takes() {
    let yard = Yard::new("");
    assert_eq!(yard.hookyard(&["new", "rust", "orders"]).code, Some(0));
    // It acknowledges all that it gets.
    yard.plugin("orders.wat", crate::wat::ack());
    let ran = yard.hookyard(&["check"]);
    assert!(ran.out.contains("selftest orders.selftest/no-order.json: expected reject"), "{ran:?}");
    let ran = yard.hookyard(&["call", "orders", "--body", "plugins/orders/event.json"]);
    assert!(ran.out.starts_with("outcome  ack\n"), "{ran:?}");
}

#[test]
fn what_is_there_stays_as_it_is() {
    let yard = Yard::new("");
    let config = read(&yard.path("router.toml"));
    yard.plugin("plain.wat", crate::wat::ack());
    fs::create_dir(yard.path("plugins/tested.selftest")).unwrap();
    assert_eq!(yard.hookyard(&["new", "go", "orders"]).code, Some(0));
    let readme = read(&yard.path("plugins/orders/README.md"));
    assert!(
        readme.contains("`handler = \"orders\"`") && readme.contains("send SOURCE"),
        "{readme}"
    );
    for (name, there) in
        [("orders", "orders"), ("plain", "plain.wat"), ("tested", "tested.selftest")]
    {
        let ran = yard.hookyard(&["new", "js", name]);
        assert_eq!((ran.code, &*ran.out), (Some(1), ""), "{ran:?}");
        let told = format!("error: plugins/{there} is there already: choose another name\n");
        assert!(ran.err.ends_with(&told), "{ran:?}");
    }
    assert!(!yard.path("plugins/orders/handler.js").exists());
    assert_eq!(read(&yard.path("router.toml")), config);
}
