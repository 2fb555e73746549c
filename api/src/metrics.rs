//! What is counted and timed, for Prometheus. Labels are names from the rule set or fixed words, never ids.
//!
//! What is counted at every request is counted by each thread for itself, and added up when somebody asks: threads that
//! count together wait for each other, at every number and every label.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use engine::decision::Decision;
use parking_lot::{Mutex, MutexGuard};
use prometheus::local::{LocalHistogram, LocalHistogramVec, LocalIntCounter, LocalIntCounterVec};
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};
use thread_local::ThreadLocal;

/// All metrics of one server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// What requests count in, all threads together.
    all: Tallied,
    /// What each thread has counted since that was last added to `all`. The lock is its thread's, but while all are
    /// added up.
    own: ThreadLocal<Mutex<Tally>>,
    shed: IntCounterVec,
    /// Alerts as they wait to be shown: records of the journal that the projection has not told yet.
    pub(crate) projection_lag: IntGauge,
    /// Records that were appended and are not durable.
    pub(crate) queue_depth: IntGauge,
    /// Entities in memory, by kind.
    pub(crate) entities: IntGaugeVec,
    /// Events that their histories hold, by kind.
    pub(crate) rows: IntGaugeVec,
    /// Their bytes, by kind.
    pub(crate) bytes: IntGaugeVec,
    /// How long syncs of the journal took.
    pub sync_seconds: Histogram,
    /// What the process takes, in bytes.
    pub resident: IntGauge,
    /// What it may take, in bytes; 0 where nobody says.
    pub memory_limit: IntGauge,
    /// Requests that are being worked on.
    pub(crate) in_flight: IntGauge,
}

/// What is counted at every request: of all threads, or of one.
#[derive(Debug)]
struct Counts<Counter, Counters, Histogram, Histograms> {
    decisions: Counters,
    hits: Counters,
    alerts: Counters,
    fallbacks: Counters,
    late: Counters,
    repeats: Counter,
    /// In the order of [`Stage`].
    stages: [Histogram; 3],
    requests: Histograms,
}

type Tallied = Counts<IntCounter, IntCounterVec, Histogram, HistogramVec>;
type Tally = Counts<LocalIntCounter, LocalIntCounterVec, LocalHistogram, LocalHistogramVec>;

impl Tallied {
    /// A thread's own, at zero.
    fn local(&self) -> Tally {
        Tally {
            decisions: self.decisions.local(),
            hits: self.hits.local(),
            alerts: self.alerts.local(),
            fallbacks: self.fallbacks.local(),
            late: self.late.local(),
            repeats: self.repeats.local(),
            stages: self.stages.each_ref().map(Histogram::local),
            requests: self.requests.local(),
        }
    }
}

impl Tally {
    /// Adds it to that of all threads, and begins at zero again.
    fn add(&self) {
        for counters in [&self.decisions, &self.hits, &self.alerts, &self.fallbacks, &self.late] {
            counters.flush();
        }
        self.repeats.flush();
        self.stages.iter().for_each(LocalHistogram::flush);
        self.requests.flush();
    }

    fn decided(&mut self, decision: &Decision<'_>) {
        if decision.flags.repeated {
            self.repeats.inc();
            return;
        }
        self.decisions.with_label_values(&[decision.outcome.name()]).inc();
        for hit in &decision.hits {
            let mode = if hit.shadow { "shadow" } else { "live" };
            self.hits.with_label_values(&[hit.rule, mode]).inc();
        }
        for alert in &decision.alerts {
            self.alerts.with_label_values(&[alert.severity.name()]).inc();
        }
        if decision.fallback.is_some() {
            self.fallbacks.with_label_values(&["deadline"]).inc();
        }
        if decision.flags.late {
            self.late.with_label_values(&[if decision.flags.too_late { "too_late" } else { "late" }]).inc();
        }
    }
}

/// The parts of a decision's time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// From bytes to a checked event.
    Intake,
    /// Locks, features, rules, record.
    Decide,
    /// Until the record is durable.
    Durable,
}

/// Bounds in seconds, from two microseconds to five seconds.
fn buckets() -> Vec<f64> {
    vec![
        2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5,
        1.0, 5.0,
    ]
}

impl Metrics {
    /// Fresh ones.
    ///
    /// # Errors
    /// If two of them had one name.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let maker = Maker { registry: &registry };
        let all = Counts {
            decisions: maker.counters("decisions_total", "Decisions, by outcome", &["outcome"])?,
            hits: maker.counters("rule_hits_total", "Rules that hit, by rule and mode", &["rule", "mode"])?,
            alerts: maker.counters("alerts_total", "Alerts raised, by severity", &["severity"])?,
            fallbacks: maker.counters(
                "fallbacks_total",
                "Declared fallbacks answered, by cause",
                &["cause"],
            )?,
            late: maker.counters("late_events_total", "Events behind the engine clock", &["how"])?,
            repeats: maker.counter("repeated_events_total", "Events that had been decided before")?,
            stages: {
                let stages =
                    maker.histograms("decision_stage_seconds", "Time of a decision, by stage", &["stage"])?;
                ["intake", "decide", "durable"].map(|stage| stages.with_label_values(&[stage]))
            },
            requests: maker.histograms(
                "http_request_seconds",
                "Requests, by route and status",
                &["route", "status"],
            )?,
        };
        let metrics = Self {
            all,
            own: ThreadLocal::new(),
            shed: maker.counters(
                "shed_total",
                "Requests refused to protect the rest, by reason",
                &["reason"],
            )?,
            projection_lag: maker.gauge("alerts_lag_records", "Durable records not yet told as alerts")?,
            queue_depth: maker.gauge("journal_queue_records", "Records appended and not yet durable")?,
            entities: maker.gauges("state_entities", "Entities in memory, by kind", &["kind"])?,
            rows: maker.gauges("state_rows", "Events in the histories, by kind", &["kind"])?,
            bytes: maker.gauges("state_bytes", "Bytes of the state, by kind", &["kind"])?,
            sync_seconds: maker.histogram("journal_sync_seconds", "How long syncs of the journal took")?,
            resident: maker.gauge("process_resident_bytes", "Memory that the process takes")?,
            memory_limit: maker.gauge("memory_limit_bytes", "Memory that the process may take")?,
            in_flight: maker.gauge("http_requests_in_flight", "Requests being worked on")?,
            registry: registry.clone(),
        };
        metrics.begin();
        Ok(metrics)
    }

    /// Begins counting at zero where all that can be counted is known before: otherwise the first of a kind, such as the
    /// first request that is shed, is no rise to whoever watches.
    fn begin(&self) {
        #[rustfmt::skip]
        let known: [(&IntCounterVec, &[&str]); 5] = [
            (&self.all.decisions, &["allow", "challenge", "block"]),
            (&self.all.alerts,    &["low", "medium", "high", "critical"]),
            (&self.all.fallbacks, &["deadline"]),
            (&self.all.late,      &["late", "too_late"]),
            (&self.shed,          &["bodies", "disk", "memory", "requests"]),
        ];
        for (counters, labels) in known {
            for label in labels {
                counters.with_label_values(&[label]);
            }
        }
    }

    /// What this thread counts.
    fn own(&self) -> MutexGuard<'_, Tally> {
        self.own.get_or(|| Mutex::new(self.all.local())).lock()
    }

    /// Counts a decision that was answered.
    pub(crate) fn decided(&self, decision: &Decision<'_>) {
        self.own().decided(decision);
    }

    /// Counts a request that was refused so that others go on.
    pub(crate) fn shed(&self, reason: &str) {
        self.shed.with_label_values(&[reason]).inc();
    }

    /// Notes how long a stage took, and gives the time at which the next begins.
    pub(crate) fn took(&self, stage: Stage, since: Instant) -> Instant {
        let now = Instant::now();
        self.noted(stage, now.duration_since(since));
        now
    }

    /// Notes how long a stage took.
    pub(crate) fn noted(&self, stage: Stage, took: Duration) {
        let own = self.own();
        let [intake, decide, durable] = &own.stages;
        let of = match stage {
            Stage::Intake => intake,
            Stage::Decide => decide,
            Stage::Durable => durable,
        };
        of.observe(took.as_secs_f64());
    }

    /// Notes a request that was answered.
    pub(crate) fn answered(&self, route: &str, status: StatusCode, took: Duration) {
        self.own().requests.with_label_values(&[route, status.as_str()]).observe(took.as_secs_f64());
    }

    /// All of them, as Prometheus reads them.
    ///
    /// # Errors
    /// If one of them cannot be written, which is a bug.
    pub(crate) fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        self.own.iter().for_each(|own| own.lock().add());
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// Makes metrics and registers them.
struct Maker<'a> {
    registry: &'a Registry,
}

impl Maker<'_> {
    fn keep<T: prometheus::core::Collector + Clone + 'static>(&self, it: T) -> Result<T, prometheus::Error> {
        self.registry.register(Box::new(it.clone()))?;
        Ok(it)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.keep(IntCounter::new(format!("weir_{name}"), help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.keep(IntCounterVec::new(Opts::new(format!("weir_{name}"), help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.keep(IntGauge::new(format!("weir_{name}"), help)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.keep(IntGaugeVec::new(Opts::new(format!("weir_{name}"), help), labels)?)
    }

    fn histogram(&self, name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
        let options = HistogramOpts::new(format!("weir_{name}"), help).buckets(buckets());
        self.keep(Histogram::with_opts(options)?)
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::new(format!("weir_{name}"), help).buckets(buckets());
        self.keep(HistogramVec::new(options, labels)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines that the text of some metrics has.
    #[track_caller]
    fn check(metrics: &Metrics, expected: &[&str]) {
        let text = String::from_utf8(metrics.text().unwrap()).unwrap();
        for line in expected {
            assert!(text.lines().any(|it| it == *line), "no line {line:?} in\n{text}");
        }
    }

    #[test]
    fn all_threads_are_added_up_whenever_somebody_asks() {
        let metrics = Metrics::new().unwrap();
        let count = |requests: u64| {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..requests {
                            metrics.took(Stage::Decide, Instant::now());
                            metrics.answered("/v1/decisions", StatusCode::OK, Duration::from_millis(500));
                        }
                    });
                }
            });
        };
        count(10);
        check(&metrics, &["weir_decision_stage_seconds_count{stage=\"decide\"} 40"]);
        // Nothing is added twice, and what comes later is added too.
        check(&metrics, &["weir_decision_stage_seconds_count{stage=\"decide\"} 40"]);
        count(2);
        let requests = "route=\"/v1/decisions\",status=\"200\"";
        check(
            &metrics,
            &[
                "weir_decision_stage_seconds_count{stage=\"decide\"} 48",
                &format!("weir_http_request_seconds_count{{{requests}}} 48"),
                &format!("weir_http_request_seconds_sum{{{requests}}} 24"),
                &format!("weir_http_request_seconds_bucket{{{requests},le=\"0.2\"}} 0"),
                &format!("weir_http_request_seconds_bucket{{{requests},le=\"0.5\"}} 48"),
            ],
        );
    }
}
