//! Yards in which only handlers matter: their one source takes anything, and an event's type is
//! the name of the handler that it is for.

use std::fs;

use serde_json::{Value, json};

use crate::yard::{self, Yard};

/// The source, and a route to each of these handlers. `more` is what else every route says.
pub fn routes(handlers: &[&str], more: &str) -> String {
    let source = r#"
[sources.s]
scheme = { kind = "none" }
event_type = { header = "x-for" }
"#;
    let route = |handler| {
        format!(
            r#"
[[routes]]
name = "{handler}"
source = "s"
event = "{handler}"
handler = "{handler}"
{more}
"#
        )
    };
    handlers.iter().map(route).fold(source.to_owned(), |config, route| config + &route)
}

impl Yard {
    /// Posts an event for a handler, and gives its id.
    pub fn send(&self, handler: &str, body: &str) -> String {
        let answer = self.post("/hooks/s", &[("x-for", handler)], body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Puts the probe into the plugins under this name.
    pub fn add_probe(&self, name: &str) {
        fs::copy(yard::probe(), self.path("plugins").join(format!("{name}.wasm"))).unwrap();
    }

    /// What `/api/v1/handlers` says of a handler.
    pub fn handler(&self, name: &str) -> Value {
        let handlers = self.ask("/api/v1/handlers").json();
        let named = |handler: &&Value| handler["name"] == name;
        handlers["items"].as_array().unwrap().iter().find(named).cloned().unwrap_or_default()
    }
}

/// What the probe is to do, as an event's body.
pub fn order(action: &str, arg: &str) -> String {
    json!({ "do": action, "arg": arg }).to_string()
}

/// An event's only delivery.
pub fn delivery(event: &Value) -> &Value {
    let [delivery] = &event["deliveries"].as_array().unwrap()[..] else { panic!("{event}") };
    delivery
}

/// The attempts of an event's only delivery.
pub fn attempts(event: &Value) -> &[Value] {
    delivery(event)["attempts"].as_array().unwrap()
}
