//! Help, presets, and how the program speaks with terminals and pipes.

use std::process::Stdio;

use crate::yard::Yard;

const VERBS: [&str; 13] = [
    "serve",
    "check",
    "send",
    "call",
    "new",
    "presets",
    "verify",
    "events",
    "replay",
    "backup",
    "schema",
    "completions",
    "man",
];

#[test]
fn every_verb_has_help_with_examples() {
    let yard = Yard::new("");
    let whole = yard.hookyard(&["--help"]);
    assert_eq!((whole.code, &*whole.err), (Some(0), ""));
    for verb in VERBS {
        assert!(whole.out.contains(&format!("\n  {verb} ")), "{}", whole.out);
        let help = yard.hookyard(&[verb, "--help"]);
        assert_eq!((help.code, &*help.err), (Some(0), ""));
        let (_, examples) = help.out.split_once("\nExamples:\n").unwrap();
        assert!(examples.contains(&format!("hookyard {verb}")), "{examples}");
        assert!(help.out.contains("--config <FILE>"), "{}", help.out);
        assert!(!help.out.contains('\u{1b}'), "{}", help.out);
    }
}

#[test]
fn a_wrong_command_line_exits_with_2_and_says_what_is_near() {
    let yard = Yard::new("");
    for (arguments, what) in [
        (&["chekc"][..], "'check'"),
        (&["presets", "hotgleu"], "there is no preset `hotgleu`: did you mean `hotglue`?"),
        (&["presets", "nobody-has-it"], "`hookyard presets` lists them"),
        (&["check", "--jsno"], "'--json'"),
        (&["send"], "<SOURCE>"),
        (&["new", "rust", "Orders"], "small letters, digits and `-`, beginning with a letter"),
        (&["new", "perl", "orders"], "[possible values: rust, js, python, go]"),
        (&[], "Usage: hookyard"),
    ] {
        let ran = yard.hookyard(arguments);
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{arguments:?}");
        assert!(ran.err.contains(what), "{ran:?}");
    }
}

#[test]
fn presets_are_listed_and_shown() {
    let yard = Yard::new("");
    let list = yard.hookyard(&["presets"]).out;
    for name in ["github", "hotglue", "standard-webhooks", "supaglue", "svix"] {
        assert!(list.lines().any(|line| line.starts_with(&format!("{name} "))), "{list}");
        let page = yard.hookyard(&["presets", name]).out;
        assert!(page.contains(&format!("[sources.{name}]\nscheme  = \"{name}\"\n")), "{page}");
        let json = yard.hookyard(&["presets", name, "--json"]).json();
        assert_eq!(json["name"], name);
    }
    let all = yard.hookyard(&["presets", "--json"]).json();
    assert_eq!(all.as_array().unwrap().len(), list.lines().count() - 1);
    let supaglue = yard.hookyard(&["presets", "supaglue", "--json"]).json();
    assert!(all.as_array().unwrap().contains(&supaglue), "{all}");
    assert_eq!((&supaglue["title"], &supaglue["proof"]), (&"Supaglue".into(), &"docs".into()));
    assert_eq!(supaglue["event_type"], serde_json::json!([{ "pointer": "/webhook_event_type" }]));
    let ids = serde_json::json!([{ "header": "svix-id" }, { "header": "webhook-id" }]);
    assert_eq!(supaglue["event_id"], ids);
    assert!(supaglue["described"].as_str().unwrap().contains("svix-signature"), "{supaglue}");
    assert_eq!(yard.hookyard(&["presets", "hotglue", "--json"]).json()["event_id"], "body");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let yard = Yard::new("");
    for arguments in [&["presets"][..], &["check"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = yard.command(arguments);
        let output = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn completions_and_manual_pages_name_every_verb() {
    let yard = Yard::new("");
    for shell in ["bash", "zsh", "fish"] {
        let script = yard.hookyard(&["completions", shell]);
        assert_eq!((script.code, &*script.err), (Some(0), ""));
        VERBS.iter().for_each(|verb| assert!(script.out.contains(verb), "{shell}: {verb}"));
        assert!(script.out.contains("follow"), "{shell}");
    }
    let page = yard.hookyard(&["man"]).out;
    assert!(page.contains(".TH hookyard 1"), "{page}");
    for verb in VERBS {
        assert!(page.contains(&format!("hookyard\\-{verb}(1)")), "{verb}: {page}");
        let page = yard.hookyard(&["man", verb]).out;
        assert!(page.contains(&format!(".TH hookyard-{verb} 1")), "{page}");
        assert!(page.contains("Examples:") && !page.contains("hookyard\\-hookyard"), "{page}");
    }
    assert_eq!(yard.hookyard(&["man", "compile"]).code, Some(1));
}

#[test]
fn the_schema_is_json_and_knows_the_keys() {
    let schema = Yard::new("").hookyard(&["schema"]).json();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert!(schema["properties"]["routes"]["items"]["properties"]["when"].is_object());
}

#[test]
fn the_table_of_a_preset_can_be_pasted_and_filled_in() {
    let yard = Yard::new("");
    let shown = yard.hookyard(&["presets", "aws-sns"]).out;
    let table = shown.split("\n\n").find(|part| part.starts_with("[sources.aws-sns]")).unwrap();
    assert!(table.contains("# with may name, as `set up` says: certificate, confirm, topic"));
    let check = |with: &str| Yard::new(&format!("\n{table}\n{with}")).hookyard(&["check"]);
    let ran = check("");
    assert!(ran.code == Some(1) && ran.out.contains("with: `topic` is missing"), "{ran:?}");
    let ran = check("with = { topic = \"arn:aws:sns:eu-west-1:1:orders\", confirm = true }\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
