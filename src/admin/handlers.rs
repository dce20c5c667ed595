//! What the API says of handlers and reloads.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Admin, Answer, error, json_answer};
use crate::reload::Report;
use crate::snapshot::Snapshot;

impl Admin {
    /// `POST /api/v1/reload`.
    pub(super) async fn reload(&self) -> Answer {
        let Some(report) = self.reload.ask().await else {
            return error(StatusCode::SERVICE_UNAVAILABLE, "nothing can be reloaded any more");
        };
        let Report { changed, restart, warnings, errors } = &report;
        json_answer(
            StatusCode::OK,
            &json!({
                "result": report.result(),
                "changed": changed,
                "restart": restart,
                "warnings": warnings,
                "errors": errors,
            }),
        )
    }

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
