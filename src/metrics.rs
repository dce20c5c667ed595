//! What hookyard counts, and the page that Prometheus reads.

use prometheus::core::Collector;
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

/// Makes [`Metrics`] of a list: a field, and how it is made for the page.
macro_rules! metrics {
    ($page:ident: $($field:ident: $kind:ty = $made:expr;)+) => {
        /// All metrics of one process.
        #[derive(Debug, Clone)]
        pub struct Metrics {
            registry: Registry,
            $(pub $field: $kind,)+
        }

        impl Metrics {
            /// Metrics that have counted nothing yet.
            ///
            /// # Errors
            /// Two metrics share a name or a name is malformed: a mistake in this file.
            pub fn new() -> prometheus::Result<Self> {
                let registry = Registry::new_custom(Some("hookyard".to_owned()), None)?;
                let $page = Page(&registry);
                $(let $field = $made?;)+
                Ok(Self { registry, $($field),+ })
            }
        }
    };
}

metrics! { page:
    requests: IntCounterVec =
        page.counters("requests_total", "Requests answered.", &["source", "result"]);
    source_verified: IntGaugeVec = page.gauges(
        "source_verified", "1: its requests are verified. 0: kind = \"none\".", "source");
    refusals: IntCounterVec = page.counters(
        "refusals_total", "Requests refused as unauthorized, by cause.", &["source", "cause"]);
    secret_matches: IntCounterVec = page.counters(
        "secret_matches_total",
        "Verified requests by the place of the secret that matched; the first is 0.",
        &["source", "secret"]);
    connections_refused: IntCounter = page.counter(
        "connections_refused_total", "Connections refused because too many were open.");
    ack_duration: Histogram = page.seconds(
        "ack_duration_seconds", "From a verified request's last byte to its being durable.");
    events_stored: IntCounterVec =
        page.counters("events_stored_total", "Events made durable.", &["source"]);
    when_failures: IntCounterVec = page.counters(
        "when_failures_total",
        "Conditions that could not be answered: their routes did not match.",
        &["route"]);
    deliveries: IntGaugeVec =
        page.gauges("deliveries", "Deliveries in the ledger by state.", "state");
    breaker_open: IntGaugeVec = page.gauges(
        "breaker_open", "1: the route failed steadily, and its deliveries wait.", "route");
    backlog_events: IntGaugeVec =
        page.gauges("backlog_events", "Deliveries that are not settled, by route.", "route");
    backlog_bytes: IntGaugeVec =
        page.gauges("backlog_bytes", "Bytes of events that are not settled, by route.", "route");
    settled: IntCounterVec = page.counters(
        "deliveries_settled_total",
        "Deliveries that reached a state after an attempt.",
        &["route", "state"]);
    dedupe_horizon: IntGauge =
        page.gauge("dedupe_horizon_seconds", "How far back a repeated event id is recognised.");
    commit_failures: IntCounter = page.counter(
        "commit_failures_total", "Commits that failed; their events were answered 503.");
    free_bytes: IntGauge =
        page.gauge("free_bytes", "Free space on the disk that holds the ledger.");
    ledger_bytes: IntGauge = page.gauge("ledger_bytes", "What the ledger holds, in bytes.");
    events_removed: IntCounter = page.counter(
        "events_removed_total", "Settled events removed because they were old, or too many.");
    reloads: IntCounterVec = page.counters("reloads_total", "Reloads, ok or failed.", &["result"]);
    attempts: IntCounterVec =
        page.counters("attempts_total", "Attempts ended.", &["route", "outcome"]);
    outdated: IntCounterVec = page.counters(
        "attempts_outdated_total",
        "Attempts made again, since the state that they read was changed by others.",
        &["route"]);
    attempt_duration: HistogramVec =
        page.seconds_by("attempt_duration_seconds", "Wall time of attempts.", "route");
}

impl Metrics {
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

/// What a metric is on as soon as it is made.
struct Page<'a>(&'a Registry);

impl Page<'_> {
    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.add(IntCounter::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, by: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, help), by)?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.add(IntGauge::new(name, help)?)
    }

    fn gauges(&self, name: &str, help: &str, by: &str) -> prometheus::Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(Opts::new(name, help), &[by])?)
    }

    fn seconds(&self, name: &str, help: &str) -> prometheus::Result<Histogram> {
        self.add(Histogram::with_opts(durations(name, help))?)
    }

    fn seconds_by(&self, name: &str, help: &str, by: &str) -> prometheus::Result<HistogramVec> {
        self.add(HistogramVec::new(durations(name, help), &[by])?)
    }

    fn add<T: Collector + Clone + 'static>(&self, metric: T) -> prometheus::Result<T> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

fn durations(name: &str, help: &str) -> HistogramOpts {
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
