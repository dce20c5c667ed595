//! What the API says of a reload.

use http::StatusCode;
use serde_json::json;

use super::{Admin, Answer, error, json_answer};
use crate::reload::Report;

/// What is posted to, to reload.
pub(super) const RELOAD: &str = "/api/v1/reload";

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
}
