//! What came of what was sent, counted, and said at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use rules::typed::Severity;

use super::answer::{Decision, Told};
use crate::figures::{counted, grouped, rate, write_unusual};

/// Answers longer than this count as so long: longer than anybody waits for one.
const TIME_MAX: Duration = Duration::from_secs(600);
/// The outcomes that are always said.
const OUTCOMES: [&str; 3] = ["allow", "challenge", "block"];

/// Counts of a run.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Events decided for the first time.
    pub(crate) decided: u64,
    /// Decisions by outcome.
    outcomes: BTreeMap<String, u64>,
    /// Alerts by severity.
    alerts: BTreeMap<String, u64>,
    /// Events and amendments that had been sent before.
    repeated: u64,
    amendments: u64,
    rejects: u64,
    retries: u64,
    /// Microseconds from request to answer.
    times: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            decided: 0,
            outcomes: BTreeMap::new(),
            alerts: BTreeMap::new(),
            repeated: 0,
            amendments: 0,
            rejects: 0,
            retries: 0,
            times: Histogram::new_with_bounds(1, micros(TIME_MAX), 3)?,
        })
    }

    /// Counts an answer.
    pub(crate) fn add(&mut self, told: &Told, took: Duration, retries: u64) {
        self.times.saturating_record(micros(took).max(1));
        self.retries += retries;
        match told {
            Told::Decided(decision) => self.decision(decision),
            Told::Amended => self.amendments += 1,
            Told::Known => self.repeated += 1,
            Told::Refused(_) => self.reject(),
        }
    }

    fn decision(&mut self, decision: &Decision) {
        if decision.flags.iter().any(|it| it == "repeated") {
            self.repeated += 1;
            return;
        }
        self.decided += 1;
        *self.outcomes.entry(decision.outcome.clone()).or_default() += 1;
        for alert in &decision.alerts {
            *self.alerts.entry(alert.severity.clone()).or_default() += 1;
        }
    }

    /// Counts a row that could not be sent.
    pub(crate) fn reject(&mut self) {
        self.rejects += 1;
    }

    /// All that was answered.
    pub(crate) fn answered(&self) -> u64 {
        self.decided + self.repeated + self.amendments + self.rejects
    }

    /// Median and 99th percentile of the time from request to answer.
    pub(crate) fn quantiles(&self) -> [Duration; 2] {
        [0.5, 0.99].map(|it| Duration::from_micros(self.times.value_at_quantile(it)))
    }

    /// Decisions by outcome.
    pub(crate) fn outcomes(&self) -> String {
        counts(&OUTCOMES, &self.outcomes)
    }

    /// The summary as text, a line each.
    pub(crate) fn say(&self, elapsed: Duration, rest: &Rest<'_>) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text, elapsed, rest);
        text
    }

    fn write(&self, text: &mut String, elapsed: Duration, rest: &Rest<'_>) -> std::fmt::Result {
        let seconds = elapsed.as_secs_f64();
        let per_second = grouped(rate(self.decided, seconds));
        writeln!(text, "{} decided in {seconds:.2} s ({per_second}/s)", counted(self.decided, "event"))?;
        let unusual = [
            (self.amendments, "amendment", " sent"),
            (rest.pending, "label", " not known yet, and not sent"),
            (self.repeated, "", "sent before: answered as then"),
            (rest.skipped, "", "left out by the mapping"),
            (self.retries, "", "sent again: overloaded, or the connection broke"),
        ];
        write_unusual(text, &unusual)?;
        if 0 < self.rejects {
            let place = rest.rejects.map_or(String::new(), |it| format!(": see `{}`", it.display()));
            writeln!(text, "           {} rejected{place}", grouped(self.rejects))?;
        }
        writeln!(text, "outcomes   {}", self.outcomes())?;
        writeln!(text, "alerts     {}", counts(Severity::NAMES, &self.alerts))?;
        let [p50, p99] = self.quantiles().map(millis);
        writeln!(text, "answers    p50 {p50} ms, p99 {p99} ms")
    }
}

/// What else the summary says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rest<'a> {
    /// Labels that the file ends before.
    pub(crate) pending: u64,
    /// Rows that the mapping leaves out.
    pub(crate) skipped: u64,
    /// Where bad rows went.
    pub(crate) rejects: Option<&'a Path>,
}

/// Names with their counts: those that are always said, then all others.
fn counts(always: &[&str], counts: &BTreeMap<String, u64>) -> String {
    let others = counts.keys().map(String::as_str).filter(|it| !always.contains(it));
    let each = always.iter().copied().chain(others);
    let each: Vec<_> =
        each.map(|name| format!("{name} {}", grouped(counts.get(name).copied().unwrap_or(0)))).collect();
    each.join(", ")
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// As milliseconds with their fraction.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::answer::Alert;
    use super::*;

    #[test]
    fn the_summary_says_what_there_is() {
        let mut tally = Tally::new().unwrap();
        let decision = |outcome: &str, flags: &[&str], alerts: usize| {
            let alert = Alert { severity: "high".to_owned(), rule: None };
            Told::Decided(Decision {
                outcome: outcome.to_owned(),
                score: 0.0,
                hits: Vec::new(),
                alerts: vec![alert; alerts],
                flags: flags.iter().map(|it| (*it).to_owned()).collect(),
            })
        };
        for n in 1..=100 {
            let told = if n == 50 { decision("block", &[], 2) } else { decision("allow", &["late"], 0) };
            tally.add(&told, Duration::from_millis(n), 0);
        }
        tally.add(&decision("block", &["repeated"], 2), Duration::from_secs(2), 3);
        tally.add(&Told::Amended, Duration::ZERO, 0);
        tally.add(&Told::Refused("no".to_owned()), Duration::ZERO, 0);
        let rest = Rest { pending: 7, rejects: Some(Path::new("r.csv")), ..Rest::default() };
        expect![[r#"
            100 events decided in 4.00 s (25/s)
                       1 amendment sent
                       7 labels not known yet, and not sent
                       1 sent before: answered as then
                       3 sent again: overloaded, or the connection broke
                       1 rejected: see `r.csv`
            outcomes   allow 99, challenge 0, block 1
            alerts     low 0, medium 0, high 2, critical 0
            answers    p50 50.01 ms, p99 100.03 ms
        "#]]
        .assert_eq(&tally.say(Duration::from_secs(4), &rest));
        assert_eq!(tally.answered(), 103);
    }
}
