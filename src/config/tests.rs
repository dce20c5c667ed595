//! Every file in `tests/fixtures/config/invalid` has its exact report beside it; every file in
//! `valid` is accepted. With `BLESS=1` the reports are written anew, and the test still fails.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderName, StatusCode};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::delivery::{Backlog, Full, RetryPolicy};
use crate::handler::Limits;
use crate::ledger::Retention;
use crate::pointer::Pointer;
use crate::source::{EventType, Reply, Unrouted};
use crate::verify::{EventId, Location};

use super::*;

/// 2026-06-01T00:00:00Z, in milliseconds since 1970.
const NOW: i64 = 1_780_272_000_000;

const FIXTURES: &str = "tests/fixtures/config";

fn env(name: &str) -> Option<OsString> {
    match name {
        "SECRET" => Some("correct horse".into()),
        "EMPTY" => Some("".into()),
        _ => None,
    }
}

fn parse(
    path: &Path,
    text: &str,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<(Config, Diagnostics), Diagnostics> {
    Reading::new(path, text, env, NOW).accept()
}

fn read(text: &str) -> Result<(Config, Diagnostics), Diagnostics> {
    parse(Path::new("etc/router.toml"), text, &env)
}

fn config(text: &str) -> Config {
    read(text).unwrap_or_else(|report| panic!("{report}")).0
}

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(FIXTURES).join(folder);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn invalid_files_are_reported_exactly() {
    let mut wrong = Vec::new();
    for path in fixtures("invalid") {
        let text = fs::read_to_string(&path).unwrap();
        let report = match parse(&path, &text, &env) {
            Ok(_) => panic!("{} is accepted", path.display()),
            Err(report) => format!("{report}\n"),
        };
        assert!(!report.contains("hunter2"), "{report}");
        let expected = path.with_extension("txt");
        if fs::read_to_string(&expected).ok().as_ref() != Some(&report) {
            wrong.push(format!("{}:\n{report}", path.display()));
            if std::env::var_os("BLESS").is_some() {
                fs::write(expected, report).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_place_counts_lines_and_characters_from_one() {
    let found = read("[server]\nthreads = { \"ä\" = 1, nope = 2 }\n").unwrap_err();
    let places: Vec<_> = found.iter().map(|finding| found.place(finding)).collect();
    assert_eq!(places, [Some((2, 13)), Some((2, 22))]);
    let missing = Config::load(Path::new("etc/nowhere.toml")).unwrap_err();
    assert_eq!(missing.place(missing.iter().next().unwrap()), None);
}

#[test]
fn valid_files_are_accepted_without_a_warning() {
    for path in fixtures("valid") {
        let text = fs::read_to_string(&path).unwrap();
        let (_, warnings) = parse(&path, &text, &env).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(warnings.to_string(), "", "{}", path.display());
    }
}

#[test]
fn an_empty_file_has_every_default() {
    let server = config("").server;
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!((server.listen, server.admin), (at(8080), at(8081)));
    assert!(server.admin_token.is_none() && server.tls.is_none());
    assert_eq!(server.admin_hosts, Vec::<String>::new());
    assert_eq!(server.plugins, Path::new("etc/plugins"));
    assert_eq!(server.data, Path::new("etc/data"));
    assert_eq!((server.connections, server.header_bytes), (4_096, 64 << 10));
    assert_eq!(server.header_timeout, Duration::from_secs(10));
    assert_eq!((server.body_rate, server.body_memory), (4 << 10, 256 << 20));
    assert_eq!(server.idle_timeout, Duration::from_secs(75));
    assert_eq!(server.dedupe_window, Duration::from_secs(86_400));
    assert_eq!(server.dedupe_memory, 64 << 20);
    assert_eq!(server.min_free, 1 << 30);
    let day = Duration::from_secs(86_400);
    let Retention { done, dead, unrouted, bytes } = server.retention;
    assert_eq!((done, dead, unrouted, bytes), (7 * day, 30 * day, day, 10 << 30));
    assert_eq!(server.drain_timeout, Duration::from_secs(30));
    assert_eq!(server.handler_threads, None);
    assert!(!server.trusted_proxies.contains([127, 0, 0, 1].into()));
    let refusals = server.refusal_limit;
    assert_eq!((refusals.amount.get(), refusals.per), (1_000, Duration::from_secs(60)));
    let Ceilings { timeout, cpu, memory, module } = server.ceilings;
    assert_eq!((timeout, cpu), (Duration::from_secs(300), Duration::from_secs(30)));
    assert_eq!((memory, module), (512 << 20, 64 << 20));
}

#[test]
fn what_the_server_table_says_is_taken() {
    let server = config(
        r#"
        [server]
        listen = "[::1]:0"
        admin = "[::ffff:127.0.0.1]:0"
        admin_token = { env = "SECRET" }
        admin_hosts = ["Hooks.Internal"]
        tls = { cert = "/tls/cert.pem", key = "key.pem" }
        header_timeout = 2
        body_memory = 1_048_576
        dedupe_window = "0s"
        retention = { done = "0s", bytes = "1MiB" }
        threads.handlers = 3
        "#,
    )
    .server;
    assert_eq!(server.listen, "[::1]:0".parse().unwrap());
    assert_eq!(server.admin_token.as_ref().unwrap().expose(), "correct horse");
    assert_eq!(server.admin_hosts, ["hooks.internal"]);
    let Tls { cert, key } = server.tls.as_ref().unwrap();
    assert_eq!(
        (cert.as_path(), key.as_path()),
        (Path::new("/tls/cert.pem"), Path::new("etc/key.pem"))
    );
    assert_eq!(server.header_timeout, Duration::from_secs(2));
    assert_eq!((server.body_memory, server.dedupe_window), (1 << 20, Duration::ZERO));
    assert_eq!((server.retention.done, server.retention.bytes), (Duration::ZERO, 1 << 20));
    assert_eq!(server.handler_threads.map(usize::from), Some(3));
}

const ACME: &str = r#"
    [sources.acme]
    scheme = "github"
    secrets = [{ env = "SECRET" }]
"#;

#[test]
fn a_source_has_its_presets_places_unless_it_names_others() {
    let [acme, other] = <[Source; 2]>::try_from(
        config(&format!(
            r#"{ACME}
            [sources.other]
            scheme = "github"
            secrets = [{{ env = "SECRET" }}]
            path = "/in/other"
            event_type = [{{ pointer = "/a", required = true }}, {{ header = "X-B" }}]
            event_id = {{ pointer = "/id" }}
            body_limit = 7
            reply = {{ body = "ok" }}
            unrouted = "drop"
            "#
        ))
        .sources,
    )
    .unwrap();
    let header = |name| Location::Header(HeaderName::from_static(name));
    let pointer = |text| Location::Pointer(Pointer::parse(text).unwrap());
    assert_eq!((&*acme.name, acme.path.as_str()), ("acme", "/hooks/acme"));
    let event_type = EventType { at: vec![header("x-github-event")], required: false };
    assert_eq!(acme.event_type, Some(event_type));
    assert_eq!(acme.event_id, EventId::At(vec![header("x-github-delivery")]));
    assert_eq!((acme.body_limit, acme.reply, acme.unrouted), (25 << 20, None, Unrouted::Keep));

    assert_eq!(other.path, "/in/other");
    let event_type = EventType { at: vec![pointer("/a"), header("x-b")], required: true };
    assert_eq!(other.event_type, Some(event_type));
    assert_eq!(other.event_id, EventId::At(vec![pointer("/id")]));
    let reply = Reply { status: StatusCode::OK, body: "ok".into() };
    assert_eq!((other.body_limit, other.reply, other.unrouted), (7, Some(reply), Unrouted::Drop));
}

#[test]
fn a_source_without_a_preset_has_no_event_type_and_no_id() {
    let sources = config("sources.acme.scheme.kind = \"none\"").sources;
    assert_eq!(sources[0].event_type, None);
    assert_eq!(sources[0].event_id, EventId::None);
}

#[test]
fn a_route_has_defaults_and_so_has_its_handler() {
    let config = config(&format!("{ACME}\n[[routes]]\nsource = \"acme\"\nhandler = \"sum\""));
    let route = &config.routes[0];
    assert_eq!((&*route.name, &**route.to.handler().unwrap()), ("acme/sum", "sum"));
    assert_eq!(route.sources, ["acme".into()]);
    assert!(route.events.matches("any/thing.at all") && route.events.matches(""));
    assert_eq!(route.timeout, Duration::from_secs(5));
    let (first, max) = (Duration::from_secs(5), Duration::from_secs(6 * 3_600));
    assert_eq!(route.retry, RetryPolicy { attempts: 20, first, factor: 3.0, max });
    let backlog = Backlog { events: 1_000_000, bytes: 2 << 30, full: Full::Refuse };
    assert_eq!((route.backlog, route.concurrency, route.paused), (backlog, None, false));
    assert_eq!(route.order_by, None);
    let handler = &config.handlers["sum"];
    let limits = Limits {
        stack: 512 << 10,
        cpu: Duration::from_secs(1),
        memory: 128 << 20,
        reply_bytes: 1 << 20,
        log_bytes: 64 << 10,
    };
    assert_eq!((&handler.limits, handler.config.len()), (&limits, 0));
}

#[test]
fn globs_match_whole_event_types() {
    let globs = |globs: &str| {
        let route = format!("[[routes]]\nsource = \"acme\"\nhandler = \"sum\"\nevent = {globs}");
        config(&format!("{ACME}\n{route}")).routes.remove(0).events
    };
    let jobs = globs(r#"["JOB_*", "sync.{started,complete}", "a/?"]"#);
    for event_type in ["JOB_", "JOB_COMPLETED", "JOB_A/B.c", "sync.started", "a/b", "a//"] {
        assert!(jobs.matches(event_type), "{event_type}");
    }
    for event_type in ["", "job_completed", "xJOB_A", "sync.", "sync.started.x", "a/", "a/bc"] {
        assert!(!jobs.matches(event_type), "{event_type}");
    }
    assert!(globs(r#""*.created""#).matches("crm/contact.v2.created"));
}

#[test]
fn defaults_give_way_to_ceilings() {
    let config = config(&format!(
        r#"
        server.ceilings = {{ timeout = "2s", cpu = "10ms", memory = "1MiB" }}
        routes = [{{ source = "acme", handler = "sum" }}]
        {ACME}"#
    ));
    assert_eq!(config.routes[0].timeout, Duration::from_secs(2));
    let handler = &config.handlers["sum"];
    assert_eq!((handler.limits.cpu, handler.limits.memory), (Duration::from_millis(10), 1 << 20));
}

#[test]
fn a_handlers_config_is_text() {
    let text = "routes = [{ source = \"acme\", handler = \"sum\" }]\n\
        handlers.sum.config = { a = \"x\", b = -5, c = 0.50, d = true, e = 0xff, f = 1_000 }\n";
    let handlers = config(&format!("{text}{ACME}")).handlers;
    let values: Vec<_> = handlers["sum"].config.values().map(String::as_str).collect();
    assert_eq!(values, ["x", "-5", "0.50", "true", "0xff", "1000"]);
}

#[test]
fn a_secret_is_what_its_place_holds() {
    let folder = tempfile::tempdir().unwrap();
    let check = |content: &str, secret: &str| {
        fs::write(folder.path().join("secret"), content).unwrap();
        let text = "server.admin_token = { file = \"secret\" }";
        let (config, _) = parse(&folder.path().join("router.toml"), text, &env).unwrap();
        let token = config.server.admin_token.as_ref().unwrap();
        assert_eq!(token.expose(), secret);
        assert!(!format!("{token:?}").contains(secret));
    };
    check("hunter2", "hunter2");
    check("hunter2\n", "hunter2");
    check("hunter2\r\n", "hunter2");
    check("hunter2\n\n", "hunter2\n");
    check(" hunter2 ", " hunter2 ");
}

#[test]
fn a_secret_in_a_public_servers_file_is_warned_of() {
    let warnings = |listen: &str| {
        let text = format!(
            "server = {{ listen = {listen:?}, admin_token = {{ value = \"hunter2\" }} }}\n\
             [sources.acme]\nscheme = \"github\"\nsecrets = [{{ value = \"hunter2\" }}]"
        );
        let (config, warnings) = read(&text).unwrap();
        assert!(!warnings.has_errors());
        assert!(!format!("{config:?}{warnings:?}{warnings}").contains("hunter2"));
        warnings.iter().count()
    };
    assert_eq!(warnings("127.0.0.1:8080"), 0);
    assert_eq!(warnings("[::1]:8080"), 0);
    assert_eq!(warnings("0.0.0.0:8080"), 2);
    assert_eq!(warnings("10.0.0.1:8080"), 2);
}

#[test]
fn secrets_of_which_none_is_in_its_time_are_warned_of() {
    let warning = |secrets: &str| {
        let text = format!("[sources.acme]\nscheme = \"github\"\nsecrets = [{secrets}]");
        let (_, warnings) = read(&text).unwrap();
        warnings.lines(Severity::Warning).pop().unwrap_or_default()
    };
    let old = r#"{ env = "SECRET", not_after = "2026-05-31T23:59:59Z" }"#;
    let coming = r#"{ env = "SECRET", not_before = 2026-06-01T02:00:01+02:00 }"#;
    let ending = r#"{ env = "SECRET", not_after = "2026-06-01T00:00:00Z" }"#;
    assert_eq!(warning(&format!("{old}, {coming}, {ending}")), "");
    let none = warning(old);
    assert!(none.contains("none of these secrets is in its time"), "{none}");
    assert!(none.contains("2:3") || none.contains("3:11"), "{none}");
    let next = read(&format!("[sources.acme]\nscheme = \"github\"\nsecrets = [{old}, {coming}]"));
    assert!(next.unwrap().1.to_string().contains("counts from 2026-06-01T00:00:01Z on"));
}

#[test]
fn a_source_lets_in_whom_it_allows_and_as_many_as_it_says() {
    let config = config(&format!(
        "{ACME}\nallow = [\"192.30.252.0/22\", \"::1\"]\nrate_limit = \"2/m\"\n\
         [server]\ntrusted_proxies = [\"10.0.0.0/8\"]\nrefusal_limit = \"5/h\""
    ));
    let source = &config.sources[0];
    assert_eq!(source.admit("192.30.253.1".parse().unwrap()), Ok(()));
    assert!(source.admit("192.30.251.1".parse().unwrap()).is_err());
    let now = std::time::Instant::now();
    let taken = [(); 3].map(|()| source.within_rate(now));
    assert_eq!(taken, [Ok(()), Ok(()), Err(Duration::from_secs(30))]);
    assert!(config.server.trusted_proxies.contains([10, 1, 1, 1].into()));
    let limit = config.server.refusal_limit;
    assert_eq!((limit.amount.get(), limit.per), (5, Duration::from_secs(3_600)));
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let report = Config::load(&folder.path().join("router.toml")).unwrap_err();
    assert!(report.has_errors());
    let report = report.to_string();
    assert!(report.contains("router.toml") && report.contains("No such file"), "{report}");
}

#[test]
fn colors_are_for_terminals() {
    let report = read("lisen = 1").unwrap_err();
    assert!(!report.render(false).contains('\u{1b}'));
    assert!(report.render(true).contains("\u{1b}["));
}

proptest! {
    /// One slip anywhere in a file full of mistakes: spans may end up anywhere.
    #[test]
    fn no_file_is_too_broken_to_be_reported(at: Index, slip in ".{0,3}", from: Index) {
        let files = fixtures("invalid");
        let mut text = fs::read_to_string(from.get(&files)).unwrap();
        let chars: Vec<_> = text.char_indices().collect();
        let (start, c) = *at.get(&chars);
        text.replace_range(start..start + c.len_utf8(), &slip);
        if let Err(report) = read(&text) {
            prop_assert!(!report.render(true).is_empty());
        }
    }
}

#[test]
fn what_cannot_change_while_running_waits_and_nothing_else() {
    let running = config("");
    let waiting = |text: &str| running.server.waiting(&config(text).server);
    assert_eq!(waiting("server.listen = \"[::1]:1\""), ["listen"]);
    assert_eq!(waiting("server.trusted_proxies = [\"::1\"]"), [""; 0]);
    assert_eq!(waiting("server.refusal_limit = \"1/s\""), ["refusal_limit"]);
    assert_eq!(waiting("server.ceilings = { memory = \"1GiB\", cpu = 1 }"), ["ceilings.memory"]);
    assert_eq!(waiting("server = { plugins = \"p\", admin_hosts = [\"h\"] }"), [""; 0]);
    let elsewhere = "server = { admin = \"127.0.0.2:1\", admin_token = { env = \"SECRET\" } }";
    assert_eq!(waiting(elsewhere), ["admin", "admin_token"]);
}

#[test]
fn the_files_that_a_configuration_comes_from_are_known_although_it_is_bad() {
    let text =
        "server.admin_token = { file = \"a\" }\nsources.s.secrets = [{ file = \"/b\" }]\nx = 1";
    let found = read(text).unwrap_err();
    let files: Vec<_> = found.files().map(|file| file.to_str().unwrap()).collect();
    assert_eq!(files, ["etc/router.toml", "etc/a", "/b"]);
    let lines = found.lines(Severity::Error);
    let unknown = lines.iter().find(|line| line.contains("unknown key")).unwrap();
    assert!(unknown.starts_with("etc/router.toml:3:1: unknown key `x`"), "{unknown}");
    assert!(found.lines(Severity::Warning).is_empty());
}
