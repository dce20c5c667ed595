//! From start to end: addresses, log, files, and ending in order.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::letters::{attempts, delivery, routes};
use crate::remote::Remote;
use crate::senders::Sending;
use crate::yard::{Yard, probe, wait};

/// The two signals that end it in order.
const SIGNALS: [&str; 2] = ["TERM", "INT"];

/// One thread, so that attempts begin in the order in which their events came.
const ONE_THREAD: &str = "threads = { handlers = 1 }\n";

/// Attempts that a thread has under way at once.
const A_THREAD: usize = 32;

/// A yard with the probe, which does what a body says. `server` are lines of `[server]`.
fn with_probe(server: &str) -> Yard {
    let routes = routes(&["probe"], "timeout = \"5m\"");
    let mut yard = Yard::new(&format!("{ONE_THREAD}{server}{routes}"));
    yard.plugin("probe.wasm", fs::read(probe()).unwrap());
    yard.run();
    yard
}

/// What the remote answers.
const ANSWER: &str = "answered at last";

/// A remote whose answer is only its head until more is asked for.
fn held() -> (Remote, impl Fn()) {
    let (release, released) = channel();
    let released = Arc::new(Mutex::new(released));
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", ANSWER.len());
    let remote = Remote::with(head.into_bytes(), move |stream| {
        if released.lock().unwrap().recv().is_ok() {
            // Whoever asked may have gone.
            let _gone = stream.write_all(ANSWER.as_bytes()).and_then(|()| stream.flush());
        }
    });
    (remote, move || release.send(()).unwrap())
}

/// A yard with the probe, which may ask that remote.
fn asking(remote: &Remote, server: &str) -> Yard {
    let yard = with_probe(server);
    let routes = routes(&["probe"], "timeout = \"5m\"");
    let grant = format!("egress = [\"{}\"]\negress_private = [\"127.0.0.1/32\"]", remote.url());
    yard.configure(&format!("{ONE_THREAD}{server}{routes}[handlers.probe]\n{grant}\n"));
    yard.reload();
    yard
}

impl Yard {
    /// Has the probe ask the remote, and log the answer: back when the request is there.
    fn has_it_ask(&self, remote: &Remote) -> String {
        let request = json!({ "url": remote.url() }).to_string();
        let order = json!({ "do": "send", "arg": request, "via": "log" }).to_string();
        let event = self.send("probe", &order);
        remote.next();
        event
    }

    /// Has the probe sleep, and log when it wakes up.
    fn sleep(&self, time: Duration) -> String {
        let ms = time.as_millis().to_string();
        self.send("probe", &json!({ "do": "sleep", "arg": ms, "via": "log" }).to_string())
    }

    /// Waits until the attempts of all events that came before have begun.
    fn begun(&self) {
        let after = self.send("probe", r#"{"do":"ack"}"#);
        self.until(&after, "done");
    }

    /// Sends a signal, and waits for it to be noticed.
    fn end(&self, signal: &str) {
        self.signal(signal);
        wait("the first signal", || {
            self.log().contains("a second signal ends at once").then_some(())
        });
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_addresses_are_printed_one_a_line() {
    let yard = Yard::start("", &[]);
    let [public, admin] = yard.announced() else { panic!("{:?}", yard.announced()) };
    assert_eq!(*public, format!("public http://{}", yard.public()));
    assert_eq!(*admin, format!("admin  http://{}", yard.admin()));
    assert_eq!(yard.post("/", &[], b"").status, 404);
    assert_eq!(yard.ask("/healthz").status, 200);
}

#[test]
fn requests_in_flight_are_finished() {
    for signal in SIGNALS {
        let mut yard = Yard::start(&routes(&["h"], ""), &[]);
        let sending = Sending::new("/hooks/s", "12345").with("x-for", "h");
        let mut wire = sending.promise(&yard, 5);
        wire.send("123");
        yard.end(signal);
        let to = yard.public();
        wait("the port to be closed", || TcpStream::connect(to).is_err().then_some(()));
        assert!(!yard.has_ended());
        wire.send("45");
        let id = wire.answer().json()["id"].as_str().unwrap().to_owned();
        assert_eq!(yard.ended(), Some(0), "{signal}");
        yard.run();
        assert_eq!(yard.event(&id)["body"], "12345");
    }
}

#[test]
fn attempts_under_way_are_finished() {
    let (remote, answer) = held();
    let mut yard = asking(&remote, "");
    let event = yard.has_it_ask(&remote);
    assert_eq!(yard.event(&event)["deliveries"][0]["attempts"], json!([]));
    yard.end("TERM");
    answer();
    assert_eq!(yard.ended(), Some(0));
    assert!(yard.log().contains(ANSWER));
    assert!(!yard.log().contains("attempts were cut off"));
    yard.run();
    let event = yard.event(&event);
    assert_eq!((&delivery(&event)["state"], attempts(&event).len()), (&json!("done"), 1));
}

#[test]
fn attempts_that_take_too_long_to_end_are_cut_off_and_made_again() {
    let (remote, answer) = held();
    let mut yard = asking(&remote, "drain_timeout = \"50ms\"\n");
    let event = yard.has_it_ask(&remote);
    yard.end("TERM");
    assert_eq!(yard.ended(), Some(0));
    assert!(yard.log().contains(r#""cut":1"#));
    assert!(!yard.log().contains(ANSWER));
    // To the attempt that was cut off, and to the one that is made again.
    answer();
    answer();
    yard.run();
    let event = yard.until(&event, "done");
    let [attempt] = attempts(&event) else { panic!("{event}") };
    assert_eq!((&attempt["n"], &attempt["outcome"]), (&json!(1), &json!("ack")));
}

#[test]
fn a_thread_full_of_attempts_ends_in_time_too() {
    let mut yard = with_probe("drain_timeout = \"50ms\"\n");
    for _ in 0..=A_THREAD {
        yard.sleep(Duration::from_secs(250));
    }
    let leased = "hookyard_deliveries{state=\"leased\"}";
    yard.reads(leased, A_THREAD as f64 + 1.0);
    yard.end("TERM");
    assert_eq!(yard.ended(), Some(0));
    yard.run();
    yard.reads(leased, A_THREAD as f64 + 1.0);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("INT", "TERM")] {
        let mut yard = with_probe("drain_timeout = \"5m\"\n");
        let event = yard.sleep(Duration::from_secs(250));
        yard.begun();
        yard.end(first);
        yard.signal(second);
        assert_eq!(yard.ended(), Some(130));
        yard.run();
        assert_eq!(attempts(&yard.until(&event, "leased")), [] as [Value; 0]);
    }
}

#[test]
fn only_its_owner_can_read_what_is_stored() {
    let yard = Yard::start(&routes(&["h"], ""), &[]);
    yard.send("h", &"x".repeat(300 * 1024));
    for folder in ["data", "data/bodies"] {
        assert_eq!(mode(&yard.path(folder)), 0o700, "{folder}");
    }
    let bodies: Vec<_> = fs::read_dir(yard.path("data/bodies")).unwrap().collect();
    assert_eq!(bodies.len(), 1);
    for file in bodies {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    assert_eq!(mode(&yard.path("data/ledger.db")), 0o600);
}

#[test]
fn without_a_terminal_the_log_is_json_lines() {
    let mut yard = with_probe("");
    let event = yard.send("probe", r#"{"do":"log","arg":"two\nlines"}"#);
    yard.until(&event, "done");
    yard.stop();
    let log = yard.log();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().all(|line| line["level"].is_string() && line["timestamp"].is_string()));
    let told = lines.iter().find(|line| line["event"] == *event).unwrap();
    assert_eq!(told["message"], "two\\nlines", "{told}");
}
