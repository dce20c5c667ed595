//! What the API says of handlers.

use serde_json::{Value, json};

use super::Admin;
use crate::snapshot::Snapshot;

impl Admin {
    /// `GET /api/v1/handlers`: those with a file, and those that a route names.
    pub(super) fn handlers(&self) -> Value {
        let snapshot = self.current.load();
        let mut names = snapshot.handlers.names();
        names.extend(snapshot.routes.iter().filter_map(|route| route.to.handler()));
        let items: Vec<Value> = names.into_iter().map(|name| handler(&snapshot, name)).collect();
        json!({ "items": items })
    }
}

/// Beside `ready`, an error is about the file as it is now, and the version is an earlier one.
fn handler(snapshot: &Snapshot, name: &str) -> Value {
    let (state, ready) = match snapshot.handlers.get(name) {
        None => ("missing", None),
        Some(Ok(handler)) => ("ready", Some(handler)),
        Some(Err(_)) => ("bad", None),
    };
    let version = ready.map(|handler| handler.version().to_string());
    let abi = ready.map(|handler| handler.abi());
    let error = snapshot.handlers.error(name).map(ToString::to_string);
    json!({ "name": name, "state": state, "version": version, "abi": abi, "error": error })
}
