//! What handlers may send, and where.

use std::fs;
use std::io::Write;

use serde_json::{Value, json};

use crate::letters::{attempts, order, routes};
use crate::remote::{Remote, ok};
use crate::yard::Yard;

const ONCE: &str = "retry = { attempts = 1 }";

/// A yard with the probe, and what its table says.
fn with_probe(table: &str) -> Yard {
    let mut yard = Yard::new(&config(table));
    yard.add_probe("probe");
    yard.run();
    yard
}

fn config(table: &str) -> String {
    format!("{}\n[handlers.probe]\n{table}", routes(&["probe"], ONCE))
}

/// A grant for that server, which is on this machine.
fn granting(remote: &Remote) -> String {
    format!("egress = [\"{}\"]\negress_private = [\"127.0.0.1/32\"]\n", remote.url())
}

/// What became of a request: the probe's findings, and the log lines.
fn sent(yard: &Yard, request: &Value) -> (Vec<Value>, Vec<String>) {
    let event = yard.until(&yard.send("probe", &order("send", &request.to_string())), "dead");
    let [attempt] = attempts(&event) else { panic!("{event}") };
    let lines = attempt["logs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lines = lines.iter().map(|line| line["message"].as_str().unwrap().to_owned());
    let found = attempt["error"].as_str().unwrap();
    let found = serde_json::from_str(found).unwrap_or_else(|_| panic!("{event}"));
    (found, lines.collect())
}

/// The only finding.
fn one(yard: &Yard, request: Value) -> (Value, Vec<String>) {
    let (mut found, lines) = sent(yard, &request);
    assert_eq!(found.len(), 1);
    (found.remove(0), lines)
}

#[test]
fn a_denial_is_the_line_that_allows_it() {
    let remote = Remote::start(&ok("hello"));
    let yard = with_probe("");
    let mut table = String::new();
    for code in ["HttpRequestDenied", "DestinationIpProhibited"] {
        let (found, lines) = one(&yard, json!({ "url": remote.url() }));
        assert!(found.as_str().unwrap().contains(code), "{found}");
        let [line] = &lines[..] else { panic!("{lines:?}") };
        let (said, grant) = line.split_once("; router.toml would grant it with ").unwrap();
        assert!(said.starts_with("not granted: "), "{line}");
        let grant = grant.strip_suffix(" in [handlers.probe]").unwrap();
        table.push_str(grant);
        table.push('\n');
        yard.configure(&config(&table));
        assert_eq!(yard.reload()["result"], "ok");
    }
    assert!(remote.is_quiet());
    let (found, lines) = one(&yard, json!({ "url": remote.url() + "/v1?a=b" }));
    assert_eq!((&found["status"], &found["body"]), (&200.into(), &"hello".into()));
    assert_eq!(lines, Vec::<String>::new());
    assert_eq!(remote.next().line, "GET /v1?a=b HTTP/1.1");
}

#[test]
fn what_looks_public_and_is_not_is_not_reached() {
    let urls = [
        "http://[::ffff:169.254.169.254]/latest/meta-data/",
        "http://169.254.169.254/",
        "http://[fd00:ec2::254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://127.0.0.1/",
        "http://localhost/",
        "http://[::1]/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
    ];
    let grants = urls.map(|url| {
        let end = url.find("//").unwrap() + 2;
        format!("\"{}\"", &url[..end + url[end..].find('/').unwrap()])
    });
    let yard = with_probe(&format!("egress = [{}]", grants.join(", ")));
    for url in urls {
        let (found, lines) = one(&yard, json!({ "url": url }));
        assert!(found.as_str().unwrap().contains("DestinationIpProhibited"), "{url}: {found}");
        assert!(lines[0].contains("has no public address ("), "{lines:?}");
        assert!(lines[0].contains("would grant it with egress_private = [\""), "{lines:?}");
    }
}

#[test]
fn hookyard_itself_is_not_reached() {
    let yard = with_probe("");
    let (public, admin) = (yard.public().port(), yard.admin().port());
    let hosts = ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]"];
    let urls: Vec<String> = [public, admin]
        .iter()
        .flat_map(|port| hosts.map(|host| format!("http://{host}:{port}")))
        .collect();
    let egress = serde_json::to_string(&urls).unwrap();
    yard.configure(&config(&format!(
        "egress = {egress}\negress_private = [\"0.0.0.0/0\", \"::/0\"]"
    )));
    // Its ports are those that it was started with.
    yard.reload();
    for url in urls {
        let (found, lines) = one(&yard, json!({ "url": url }));
        assert!(found.as_str().unwrap().contains("DestinationIpProhibited"), "{url}: {found}");
        assert!(lines[0].ends_with("is hookyard itself, which no handler reaches"), "{lines:?}");
    }
}

#[test]
fn an_attempt_sends_so_many_requests_and_each_is_known_again() {
    let remote = Remote::start(&ok(""));
    let yard = with_probe(&(granting(&remote) + "egress_calls = 2"));
    let body = order("send", &json!({ "url": remote.url(), "times": 3 }).to_string());
    let id = yard.send("probe", &body);
    let event = yard.until(&id, "dead");
    let found: Vec<Value> =
        serde_json::from_str(attempts(&event)[0]["error"].as_str().unwrap()).unwrap();
    assert_eq!((&found[0]["status"], &found[1]["status"]), (&200.into(), &200.into()));
    assert!(found[2].as_str().unwrap().contains("HttpRequestDenied"));
    let line = attempts(&event)[0]["logs"][0]["message"].as_str().unwrap();
    assert!(line.ends_with("grant it with egress_calls = 3 in [handlers.probe]"), "{line}");
    for n in ["", "/2"] {
        let request = remote.next();
        assert_eq!(request.header("idempotency-key"), Some(&*format!("{id}/probe{n}")));
        assert_eq!(request.header("host"), Some(&*remote.address.to_string()));
        let agent = request.header("user-agent").unwrap();
        assert!(agent.starts_with("hookyard/"), "{agent}");
    }
    let own = json!([["Idempotency-Key", "mine"], ["user-agent", "me"]]);
    one(&yard, json!({ "url": remote.url(), "headers": own }));
    let request = remote.next();
    assert_eq!(request.header("idempotency-key"), Some("mine"));
    assert_eq!(request.header("user-agent"), Some("me"));
    assert!(remote.is_quiet());
}

#[test]
fn nothing_is_smuggled_in_a_request() {
    let remote = Remote::start(&ok(""));
    let yard = with_probe(&granting(&remote));
    let url = remote.url();
    for (request, says) in [
        (json!({ "headers": [["x-a", "b\r\nx-c: d"]] }), "InvalidSyntax"),
        (json!({ "headers": [["x-a", "b\n c"]] }), "InvalidSyntax"),
        (json!({ "headers": [["x a", "b"]] }), "InvalidSyntax"),
        (json!({ "headers": [["x-a\r\nx-c", "b"]] }), "InvalidSyntax"),
        (json!({ "headers": [["content-length", "1"], ["content-length", "2"]] }), "InvalidSyntax"),
        (json!({ "headers": [["host", "evil.dev"]] }), "Forbidden"),
        (json!({ "headers": [["Connection", "close"]] }), "Forbidden"),
        (json!({ "headers": [["transfer-encoding", "chunked"]] }), "Forbidden"),
        (json!({ "headers": [["TE", "trailers"]] }), "Forbidden"),
        (json!({ "headers": [["trailer", "x"]] }), "Forbidden"),
        (json!({ "headers": [["upgrade", "websocket"]] }), "Forbidden"),
        (json!({ "method": "GET / HTTP/1.1\r\nx:" }), "bad method"),
        (json!({ "method": "CONNECT" }), "HttpRequestMethodInvalid"),
        (json!({ "method": "TRACE" }), "HttpRequestMethodInvalid"),
        (json!({ "url": url.replace("//", "//user:word@") }), "HttpRequestUriInvalid"),
        (json!({ "url": format!("{url}/a b") }), "bad path"),
        (json!({ "url": format!("{url}/a\r\nx: y") }), "bad path"),
        (json!({ "url": "ftp://127.0.0.1/" }), "HttpProtocolError"),
    ] {
        let mut request = request;
        if request["url"].is_null() {
            request["url"] = url.as_str().into();
        }
        let (found, _) = one(&yard, request.clone());
        assert!(found.as_str().unwrap_or_default().contains(says), "{request}: {found}");
    }
    assert!(remote.is_quiet());
    // One that promises less than it says is cut at its promise.
    let length = json!([["content-length", "3"]]);
    let (found, _) = one(
        &yard,
        json!({
            "url": url, "method": "POST", "headers": length, "body": "GET / HTTP/1.1\r\n\r\n",
        }),
    );
    assert!(found.is_string(), "{found}");
    let (found, _) =
        one(&yard, json!({ "url": url, "method": "POST", "headers": length, "body": "abc" }));
    assert_eq!(found["status"], 200);
    let last = remote.requests(|request| request.body == "abc");
    assert!(last.iter().all(|request| request.line == "POST / HTTP/1.1"), "{last:?}");
}

#[test]
fn a_body_goes_out_whole() {
    let remote = Remote::start(&ok(""));
    let yard = with_probe(&granting(&remote));
    let (found, _) =
        one(&yard, json!({ "url": remote.url(), "method": "POST", "body": "ab", "writes": 2 }));
    assert_eq!(found["status"], 200);
    let request = remote.next();
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
    assert_eq!(request.body, "2\r\nab\r\n2\r\nab\r\n0\r\n\r\n");
}

#[test]
fn bodies_have_limits() {
    const LIMIT: usize = 32 << 20;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LIMIT}\r\n\r\n");
    let full = Remote::with([head.as_bytes(), &vec![b'x'; LIMIT]].concat(), |_| {});
    let chunk = [&b"100000\r\n"[..], &vec![b'x'; 1 << 20], b"\r\n"].concat();
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let over = Remote::with([head, chunk.repeat(33)].concat(), |_| {});
    let yard = with_probe("");
    let routes = routes(&["probe"], &format!("{ONCE}\ntimeout = \"60s\""));
    let allow = |remote: &Remote| {
        yard.configure(&format!("{routes}\n[handlers.probe]\ncpu = \"20s\"\n{}", granting(remote)));
        assert_eq!(yard.reload()["result"], "ok");
    };
    allow(&full);
    let (found, _) = one(&yard, json!({ "url": full.url() }));
    assert_eq!(found["body"], format!("{LIMIT} bytes"));
    let body = "x".repeat(1 << 20);
    let (_, lines) =
        one(&yard, json!({ "url": full.url(), "method": "POST", "body": body, "writes": 33 }));
    assert!(lines[0].ends_with(": the request's body has more than 33554432 bytes"), "{lines:?}");
    allow(&over);
    let (found, _) = one(&yard, json!({ "url": over.url() }));
    let found = found.as_str().unwrap();
    assert!(found.contains("HTTP response body size exceeds limit: 33554432 bytes"), "{found}");
}

#[test]
fn a_server_that_takes_its_time_holds_nothing_up() {
    fn drip(stream: &mut dyn Write) {
        while stream.write_all(b".").is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
    let (slow, silent) = (Remote::with(head, drip), Remote::start(""));
    let urls = format!("egress = [\"{}\", \"{}\"]", slow.url(), silent.url());
    let yard = with_probe("");
    let allow = |more| {
        let routes = routes(&["probe"], &format!("{ONCE}\n{more}"));
        let private = "egress_private = [\"127.0.0.1/32\"]";
        yard.configure(&format!("{routes}\n[handlers.probe]\n{urls}\n{private}"));
        yard.reload();
    };
    allow("timeout = \"2s\"");
    // The attempt's own time ends it, and its connection with it.
    let request = order("send", &json!({ "url": slow.url() }).to_string());
    let event = yard.until(&yard.send("probe", &request), "dead");
    assert_eq!(attempts(&event)[0]["outcome"], "timeout");
    slow.next();
    slow.closed();
    // And so does the time that the guest gives it.
    allow("");
    for (ms, code) in [(0, "HttpResponseTimeout"), (50, "HttpResponseTimeout")] {
        let (found, lines) = one(&yard, json!({ "url": silent.url(), "first_ms": ms }));
        assert!(found.as_str().unwrap().contains(code), "{found}");
        assert!(lines[0].contains(": no response within "), "{lines:?}");
    }
}

#[test]
fn failures_are_told_with_their_cause() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let nonsense = Remote::start("nonsense\r\n\r\n");
    let names = ["http://no-such-host.invalid".to_owned(), format!("http://{closed}")];
    let urls = [&names[..], &[nonsense.url(), format!("https://{}", nonsense.address)]].concat();
    let egress = serde_json::to_string(&urls).unwrap();
    let yard = with_probe(&format!("egress = {egress}\negress_private = [\"127.0.0.1/32\"]"));
    for (url, code, says) in [
        (&urls[0], "DnsError", "its name cannot be resolved: "),
        (&urls[1], "ConnectionRefused", "cannot connect: "),
        (&urls[2], "HttpProtocolError", "invalid HTTP"),
        (&urls[3], "Tls", ""),
    ] {
        let (found, lines) = one(&yard, json!({ "url": url }));
        assert!(found.as_str().unwrap().contains(code), "{url}: {found}");
        assert!(lines[0].starts_with(&format!("{url}: ")), "{lines:?}");
        assert!(lines[0].contains(says), "{lines:?}");
    }
}

#[test]
fn call_reaches_what_the_handler_may_reach_also_over_tls() {
    let plain = Remote::start(&ok("hello"));
    let (secure, cert) = Remote::tls(ok("hush"));
    let urls = [plain.url(), format!("https://localhost:{}", secure.address.port())];
    let egress = serde_json::to_string(&urls).unwrap();
    let private = r#"egress_private = ["127.0.0.1/32"]"#;
    let yard = Yard::new(&config(&format!("egress = {egress}\n{private}")));
    yard.add_probe("probe");
    fs::write(yard.path("cert.pem"), cert).unwrap();
    fs::write(yard.path("empty.pem"), "").unwrap();
    for (url, roots, expected) in [
        (&urls[0], "empty.pem", "hello"),
        (&urls[1], "cert.pem", "hush"),
        (&urls[1], "empty.pem", "ErrorCode::TlsCertificateError"),
    ] {
        fs::write(yard.path("body"), order("send", &json!({ "url": url }).to_string())).unwrap();
        let mut command = yard.command(&["call", "probe", "--body", "body", "--json"]);
        let ran = command.env("SSL_CERT_FILE", yard.path(roots)).output().unwrap();
        let answer: Value = serde_json::from_slice(&ran.stdout).unwrap();
        let found: Value = serde_json::from_str(answer["error"].as_str().unwrap()).unwrap();
        let found = found[0].get("body").unwrap_or(&found[0]);
        assert_eq!(found, expected, "{answer}");
        let [request] = &answer["requests"].as_array().unwrap()[..] else { panic!("{answer}") };
        let (is_served, status) = (!expected.contains("Error"), &request["status"]);
        assert!(url.starts_with(request["to"].as_str().unwrap()), "{answer}");
        assert_eq!(
            (is_served, is_served),
            (*status == 200, request["error"].is_null()),
            "{answer}"
        );
        assert!(request["ms"].is_f64(), "{answer}");
    }
}
