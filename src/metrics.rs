//! What hookyard counts, and the page that Prometheus reads.

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// The source label of requests to a path that no source has: they share one series.
pub const NO_SOURCE: &str = "";

/// Upper bounds of the duration histograms, in seconds: from a commit on a fast disk to the
/// longest attempt.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];

/// All metrics of one process.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// `hookyard_requests_total{source,result}`.
    pub requests: IntCounterVec,
    /// `hookyard_source_verified{source}`: 0 where nothing proves who sends.
    pub source_verified: IntGaugeVec,
    /// `hookyard_refusals_total{source,cause}`.
    pub refusals: IntCounterVec,
    /// `hookyard_secret_matches_total{source,secret}`: the secret by its place in the list.
    pub secret_matches: IntCounterVec,
    /// `hookyard_connections_refused_total`: over the limit of open connections.
    pub connections_refused: IntCounter,
    /// `hookyard_ack_duration_seconds`: from a request's last byte to its being durable.
    pub ack_duration: Histogram,
    /// `hookyard_events_stored_total{source}`.
    pub events_stored: IntCounterVec,
    /// `hookyard_when_failures_total{route}`: conditions that could not be answered.
    pub when_failures: IntCounterVec,
    /// `hookyard_deliveries{state}`.
    pub deliveries: IntGaugeVec,
    /// `hookyard_backlog_events{route}`: deliveries that are not settled.
    pub backlog_events: IntGaugeVec,
    /// `hookyard_backlog_bytes{route}`: bytes of their events.
    pub backlog_bytes: IntGaugeVec,
    /// `hookyard_deliveries_settled_total{route,state}`.
    pub settled: IntCounterVec,
    /// `hookyard_dedupe_horizon_seconds`: how far back a repeated id is recognised.
    pub dedupe_horizon: IntGauge,
    /// `hookyard_commit_failures_total`: commits that the disk refused.
    pub commit_failures: IntCounter,
    /// `hookyard_free_bytes`: free space on the ledger's disk.
    pub free_bytes: IntGauge,
    /// `hookyard_ledger_bytes`: what the ledger holds, its bodies included.
    pub ledger_bytes: IntGauge,
    /// `hookyard_events_removed_total`: events that retention removed.
    pub events_removed: IntCounter,
    /// `hookyard_reloads_total{result}`.
    pub reloads: IntCounterVec,
    /// `hookyard_attempts_total{route,outcome}`.
    pub attempts: IntCounterVec,
    /// `hookyard_attempts_outdated_total{route}`: made again, since what they read was changed.
    pub outdated: IntCounterVec,
    /// `hookyard_attempt_duration_seconds{route}`.
    pub attempt_duration: HistogramVec,
}

impl Metrics {
    /// Metrics that have counted nothing yet.
    ///
    /// # Errors
    /// Two metrics share a name or a name is malformed: a mistake in this file.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new_custom(Some("hookyard".to_owned()), None)?;
        let metrics = Self {
            requests: counters("requests_total", "Requests answered.", &["source", "result"])?,
            source_verified: IntGaugeVec::new(
                Opts::new("source_verified", "1: its requests are verified. 0: kind = \"none\"."),
                &["source"],
            )?,
            refusals: counters(
                "refusals_total",
                "Requests refused as unauthorized, by cause.",
                &["source", "cause"],
            )?,
            secret_matches: counters(
                "secret_matches_total",
                "Verified requests by the place of the secret that matched; the first is 0.",
                &["source", "secret"],
            )?,
            connections_refused: IntCounter::new(
                "connections_refused_total",
                "Connections refused because too many were open.",
            )?,
            ack_duration: Histogram::with_opts(seconds(
                "ack_duration_seconds",
                "From a verified request's last byte to its being durable.",
            ))?,
            events_stored: counters("events_stored_total", "Events made durable.", &["source"])?,
            when_failures: counters(
                "when_failures_total",
                "Conditions that could not be answered: their routes did not match.",
                &["route"],
            )?,
            deliveries: IntGaugeVec::new(
                Opts::new("deliveries", "Deliveries in the ledger by state."),
                &["state"],
            )?,
            backlog_events: IntGaugeVec::new(
                Opts::new("backlog_events", "Deliveries that are not settled, by route."),
                &["route"],
            )?,
            backlog_bytes: IntGaugeVec::new(
                Opts::new("backlog_bytes", "Bytes of events that are not settled, by route."),
                &["route"],
            )?,
            settled: counters(
                "deliveries_settled_total",
                "Deliveries that reached a state after an attempt.",
                &["route", "state"],
            )?,
            dedupe_horizon: IntGauge::new(
                "dedupe_horizon_seconds",
                "How far back a repeated event id is recognised.",
            )?,
            commit_failures: IntCounter::new(
                "commit_failures_total",
                "Commits that failed; their events were answered 503.",
            )?,
            free_bytes: IntGauge::new(
                "free_bytes",
                "Free space on the disk that holds the ledger.",
            )?,
            ledger_bytes: IntGauge::new("ledger_bytes", "What the ledger holds, in bytes.")?,
            events_removed: IntCounter::new(
                "events_removed_total",
                "Settled events removed because they were old, or too many.",
            )?,
            reloads: counters("reloads_total", "Reloads, ok or failed.", &["result"])?,
            attempts: counters("attempts_total", "Attempts ended.", &["route", "outcome"])?,
            outdated: counters(
                "attempts_outdated_total",
                "Attempts made again, since the state that they read was changed by others.",
                &["route"],
            )?,
            attempt_duration: HistogramVec::new(
                seconds("attempt_duration_seconds", "Wall time of attempts."),
                &["route"],
            )?,
            registry,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> prometheus::Result<()> {
        self.registry.register(Box::new(self.requests.clone()))?;
        self.registry.register(Box::new(self.source_verified.clone()))?;
        self.registry.register(Box::new(self.refusals.clone()))?;
        self.registry.register(Box::new(self.secret_matches.clone()))?;
        self.registry.register(Box::new(self.connections_refused.clone()))?;
        self.registry.register(Box::new(self.ack_duration.clone()))?;
        self.registry.register(Box::new(self.events_stored.clone()))?;
        self.registry.register(Box::new(self.when_failures.clone()))?;
        self.registry.register(Box::new(self.deliveries.clone()))?;
        self.registry.register(Box::new(self.backlog_events.clone()))?;
        self.registry.register(Box::new(self.backlog_bytes.clone()))?;
        self.registry.register(Box::new(self.settled.clone()))?;
        self.registry.register(Box::new(self.dedupe_horizon.clone()))?;
        self.registry.register(Box::new(self.commit_failures.clone()))?;
        self.registry.register(Box::new(self.free_bytes.clone()))?;
        self.registry.register(Box::new(self.ledger_bytes.clone()))?;
        self.registry.register(Box::new(self.events_removed.clone()))?;
        self.registry.register(Box::new(self.reloads.clone()))?;
        self.registry.register(Box::new(self.attempts.clone()))?;
        self.registry.register(Box::new(self.outdated.clone()))?;
        self.registry.register(Box::new(self.attempt_duration.clone()))
    }

    /// The page in Prometheus' text format, and its content type.
    ///
    /// # Errors
    /// A metric cannot be written: two of one name disagree on their labels.
    pub fn page(&self) -> prometheus::Result<(String, Vec<u8>)> {
        let encoder = TextEncoder::new();
        let mut page = Vec::new();
        encoder.encode(&self.registry.gather(), &mut page)?;
        Ok((encoder.format_type().to_owned(), page))
    }
}

fn counters(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(Opts::new(name, help), labels)
}

fn seconds(name: &str, help: &str) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(SECONDS.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_metric_with_its_labels() {
        let metrics = Metrics::new().unwrap();
        metrics.requests.with_label_values(&["hotglue", "accepted"]).inc();
        metrics.deliveries.with_label_values(&["pending"]).set(3);
        metrics.attempt_duration.with_label_values(&["r"]).observe(0.002);
        let (kind, page) = metrics.page().unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(kind.starts_with("text/plain"), "{kind}");
        for line in [
            r#"hookyard_requests_total{result="accepted",source="hotglue"} 1"#,
            r#"hookyard_deliveries{state="pending"} 3"#,
            r#"hookyard_attempt_duration_seconds_count{route="r"} 1"#,
        ] {
            assert!(page.contains(line), "{page}");
        }
    }
}
