//! What a handler that nobody has read asks of other servers, and what those answer.

use std::io::Write;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::hostile_suite::{ROUTE, TABLE, neighbourly, withstands};
use crate::letters::{attempts, order, routes};
use crate::preload;
use crate::remote::{Remote, ok};
use crate::yard::Yard;

/// Servers on this machine, each of which answers badly in its own way.
struct Servers {
    fine: Remote,
    drops: Remote,
    stalls: Remote,
    silent: Remote,
    fields: Remote,
    /// It takes no connection: there is none in its queue that anybody would take out.
    deaf: TcpListener,
}

impl Servers {
    fn start() -> Self {
        let fields: String = (0..40_000).map(|n| format!("x-{n}: y\r\n")).collect();
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n".to_vec();
        Self {
            fine: Remote::start(&ok("fine")),
            drops: Remote::with(head.clone(), drip),
            stalls: Remote::with(head, |_| {}),
            silent: Remote::start(""),
            fields: Remote::start(&format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n")),
            deaf: TcpListener::bind("127.0.0.1:0").unwrap(),
        }
    }

    fn deaf(&self) -> String {
        format!("https://{}", self.deaf.local_addr().unwrap())
    }

    /// Every URL that the handler is granted.
    fn granted(&self) -> Vec<String> {
        let servers = [&self.fine, &self.drops, &self.stalls, &self.silent, &self.fields];
        let more = [
            self.deaf(),
            "http://[::ffff:169.254.169.254]".to_owned(),
            "http://169.254.169.254".to_owned(),
            "http://localhost:9".to_owned(),
        ];
        servers.map(Remote::url).into_iter().chain(more).collect()
    }
}

/// Sends drops until nobody takes them any more.
fn drip(stream: &mut dyn Write) {
    while stream.write_all(b".").is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Requests, and how the attempt ends that sends each.
fn rows(servers: &Servers) -> Vec<(Value, (&'static str, &'static str))> {
    let for_ever = u64::MAX;
    let fine = servers.fine.url();
    let silent = servers.silent.url();
    vec![
        (json!({ "url": servers.drops.url() }), ("timeout", "no outcome within")),
        (
            json!({ "url": servers.drops.url(), "between_ms": for_ever }),
            ("timeout", "no outcome within"),
        ),
        (json!({ "url": servers.stalls.url(), "between_ms": 0 }), ("reject", "imeout")),
        (json!({ "url": silent, "first_ms": for_ever }), ("timeout", "no outcome within")),
        (json!({ "url": silent, "first_ms": 0 }), ("reject", "HttpResponseTimeout")),
        (json!({ "url": servers.deaf(), "connect_ms": 0 }), ("reject", "ConnectionTimeout")),
        (
            json!({ "url": servers.deaf(), "connect_ms": for_ever }),
            ("timeout", "no outcome within"),
        ),
        (json!({ "url": servers.fields.url() }), ("reject", "HttpProtocolError")),
        (json!({ "url": "http://[::ffff:169.254.169.254]/" }), ("reject", "IpProhibited")),
        (json!({ "url": "http://169.254.169.254/latest" }), ("reject", "IpProhibited")),
        (json!({ "url": "http://localhost:9/" }), ("reject", "ConnectionRefused")),
        (json!({ "url": "http://localhost:10/" }), ("reject", "HttpRequestDenied")),
        (json!({ "url": fine, "headers": [["x-a", "b\r\nx-c: d"]] }), ("reject", "InvalidSyntax")),
        (
            json!({ "url": fine, "headers": [["Transfer-Encoding", "chunked"]] }),
            ("reject", "Forbidden"),
        ),
        (
            json!({ "url": fine, "headers": [["x", "y".repeat(70_000)]] }),
            ("limit", "header fields: the limit is 65536 bytes"),
        ),
        (json!({ "url": fine, "times": 20, "read": false }), ("reject", "HttpRequestDenied")),
    ]
}

#[test]
fn hostile_requests_and_answers_are_stopped_and_harm_nobody() {
    let servers = Servers::start();
    let egress = serde_json::to_string(&servers.granted()).unwrap();
    let grants = format!("egress = {egress}\negress_private = [\"127.0.0.1/32\", \"::1/128\"]\n");
    let route = ROUTE.replace("5s", "1s");
    let table = TABLE.replace("60ms", "1s");
    let mut yard =
        neighbourly(&(routes(&["probe"], &route) + "[handlers.probe]\n" + &table + &grants));
    yard.add_probe("probe");
    // To tell a guest of an error would take the names of functions, and the memory for all of them.
    yard.environment = vec![("RUST_BACKTRACE", "1".into())];
    yard.run();
    let row = |(request, end): (Value, _)| ("probe", order("send", &request.to_string()), end);
    withstands(&yard, &rows(&servers).into_iter().map(row).collect::<Vec<_>>());
}

#[test]
fn a_name_that_is_bound_anew_leads_nowhere_else() {
    const NAME: &str = "rebound.example.com";
    let inside = TcpListener::bind("127.0.0.1:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    // Of the whole program's addresses, only this one counts as public.
    let granted = TcpListener::bind(("127.0.0.2", inside.local_addr().unwrap().port())).unwrap();
    let bye = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nfine";
    let remote = Remote::on(granted, bye.to_owned());
    let url = format!("http://{NAME}:{}", remote.address.port());
    let grants = format!("egress = [\"{url}\"]\negress_private = [\"127.0.0.2/32\"]\n");
    let mut yard = Yard::new(&(routes(&["probe"], ROUTE) + "[handlers.probe]\n" + &grants));
    yard.add_probe("probe");
    yard.environment = vec![
        ("LD_PRELOAD", preload::library("resolver")),
        ("RESOLVER_NAME", NAME.into()),
        ("RESOLVER_FIRST", "127.0.0.2".into()),
        ("RESOLVER_THEN", "127.0.0.1".into()),
    ];
    yard.run();
    let told = |_| {
        let request = json!({ "url": url }).to_string();
        let event = yard.until(&yard.send("probe", &order("send", &request)), "dead");
        attempts(&event)[0]["error"].as_str().unwrap().to_owned()
    };
    let [first, second] = [1, 2].map(told);
    assert!(first.contains("fine"), "{first}");
    assert!(second.contains("IpProhibited"), "{second}");
    assert!(inside.accept().is_err(), "it was connected to");
}
