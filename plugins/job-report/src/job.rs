use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// An error's text is often a whole stack trace; a chat message wants its beginning.
const ERROR_CHARS: usize = 200;

/// What is read of a hotglue job event.
#[derive(Deserialize)]
pub struct Job {
    tenant: String,
    flow_id: String,
    status: String,
    tap: Option<String>,
    target: Option<String>,
    metrics: Option<Metrics>,
    pub error: Option<Value>,
}

#[derive(Deserialize)]
struct Metrics {
    /// Records by stream. Not there before the job has synced anything.
    #[serde(rename = "recordCount")]
    record_count: Option<BTreeMap<String, u64>>,
}

impl Job {
    /// The job in one line, with at most `top` of its streams named, the largest first.
    pub fn report(&self, top: usize) -> String {
        let mut line = format!("{} · {}: {}", self.tenant, self.flow_id, self.status);
        if let Some(counts) = self.metrics.as_ref().and_then(|m| m.record_count.as_ref()) {
            line += &format!(", {}", records(counts, top));
        }
        if let (Some(tap), Some(target)) = (&self.tap, &self.target) {
            line += &format!(" {tap} → {target}");
        }
        if let Some(error) = &self.error {
            line += &format!(", error: {}", beginning(error));
        }
        line
    }
}

/// `1,049,949 records (Account 742,570, Lead 285,990, 2 more)`
fn records(counts: &BTreeMap<String, u64>, top: usize) -> String {
    let total = counts.values().copied().fold(0, u64::saturating_add);
    let mut streams: Vec<_> = counts.iter().collect();
    streams.sort_by_key(|&(_, &count)| Reverse(count));

    let mut parts: Vec<String> = streams
        .iter()
        .take(top)
        .map(|&(stream, &count)| format!("{stream} {}", grouped(count)))
        .collect();
    let unnamed = streams.len().saturating_sub(top);
    if !parts.is_empty() && unnamed > 0 {
        parts.push(format!("{unnamed} more"));
    }

    let total = grouped(total);
    if parts.is_empty() {
        format!("{total} records")
    } else {
        format!("{total} records ({})", parts.join(", "))
    }
}

/// `1049949` as `1,049,949`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The beginning of an error's text, in one line.
fn beginning(error: &Value) -> String {
    let text = match error {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(ERROR_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETED: &str = r#"{
        "tenant": "1414_1", "flow_id": "JClkCC05S", "status": "JOB_COMPLETED",
        "tap": "salesforce", "target": "bigquery", "error": null,
        "metrics": {"recordCount": {"Opportunity": 21029, "Lead": 285990, "User": 360, "Account": 742570}}
    }"#;

    fn report(job: &str, top: usize) -> String {
        serde_json::from_str::<Job>(job).unwrap().report(top)
    }

    #[test]
    fn every_stream_is_named() {
        assert_eq!(
            report(COMPLETED, 5),
            "1414_1 · JClkCC05S: JOB_COMPLETED, 1,049,949 records \
             (Account 742,570, Lead 285,990, Opportunity 21,029, User 360) salesforce → bigquery"
        );
    }

    #[test]
    fn only_the_largest_streams_are_named() {
        assert!(report(COMPLETED, 2).contains("(Account 742,570, Lead 285,990, 2 more)"));
        assert!(report(COMPLETED, 0).contains("1,049,949 records salesforce"));
    }

    #[test]
    fn a_job_may_have_moved_nothing_yet() {
        let started = r#"{"tenant": "t", "flow_id": "f", "status": "SYNC_STARTED", "metrics": {}}"#;
        assert_eq!(report(started, 5), "t · f: SYNC_STARTED");
        let empty = started.replace("{}", r#"{"recordCount": {}}"#);
        assert_eq!(report(&empty, 5), "t · f: SYNC_STARTED, 0 records");
    }

    #[test]
    fn an_error_is_cut_to_one_short_line() {
        let failed = |error: &str| {
            format!(
                r#"{{"tenant": "t", "flow_id": "f", "status": "JOB_FAILED", "error": {error}}}"#
            )
        };
        assert_eq!(
            report(&failed(r#""Traceback:\n  401""#), 5),
            "t · f: JOB_FAILED, error: Traceback: 401"
        );
        assert!(report(&failed(r#"{"code": 401}"#), 5).ends_with(r#"error: {"code":401}"#));
        let long = report(&failed(&format!("\"{}\"", "é".repeat(500))), 5);
        assert!(long.ends_with(&format!("error: {}…", "é".repeat(ERROR_CHARS))), "{long}");
    }

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
