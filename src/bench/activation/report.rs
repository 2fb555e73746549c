//! What was measured, in lines, and what is held against a bound.

use std::fmt;
use std::time::Duration;

use super::change::Change;
use crate::bench::bound::{self, Bound};
use crate::bench::served::load::Seen;
use crate::bench::timing::{millis, percentiles, seconds};
use crate::figures::grouped;

/// The 99th percentile while state is built and taken over, in those of the calm before.
const BUILT_MAX: f64 = 2.0;
/// From sending a rule set that needs no new state until it is in force.
const AT_ONCE_MAX: Duration = Duration::from_secs(1);

/// All that was measured.
#[derive(Debug)]
pub(super) struct Report {
    /// Of the journal at the beginning.
    pub(super) records: u64,
    pub(super) calm: Seen,
    /// A rule set with new features.
    pub(super) built: Change,
    /// The rule set with new features, with another threshold.
    pub(super) thresholds: Change,
    /// The first one again.
    pub(super) back: Change,
}

impl Report {
    fn all(&self) -> [(&'static str, &Seen); 4] {
        [
            ("calm", &self.calm),
            ("built", &self.built.seen),
            ("thresholds", &self.thresholds.seen),
            ("back", &self.back.seen),
        ]
    }

    fn refused(&self) -> u64 {
        self.all().iter().map(|(_, seen)| seen.refused).sum()
    }

    fn bounds(&self) -> [Bound; 4] {
        let [[_, calm], [_, built]] = [&self.calm, &self.built.seen].map(|it| percentiles(&it.took));
        let ratio = built.as_secs_f64() / calm.as_secs_f64().max(1e-9);
        let at_once = |what: &str, took: Duration| Bound {
            holds: took < AT_ONCE_MAX,
            words: format!("{what} in {}, below {}", seconds(took), seconds(AT_ONCE_MAX)),
        };
        [
            Bound {
                holds: ratio <= BUILT_MAX,
                words: format!("p99 while it was built {ratio:.2} of that before, at most {BUILT_MAX}"),
            },
            Bound { holds: self.refused() == 0, words: format!("refused {}, none", grouped(self.refused())) },
            at_once("another threshold in force", self.thresholds.took),
            at_once("back", self.back.took),
        ]
    }

    /// Every bound that does not hold, in words.
    pub(super) fn missed(&self) -> Vec<String> {
        bound::missed(self.bounds())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "records      {} before the first measured", grouped(self.records))?;
        for (name, seen) in self.all() {
            let [p50, p99] = percentiles(&seen.took);
            let longest = seen.took.iter().max().copied().unwrap_or_default();
            writeln!(
                f,
                "{name:<12} p50 {}, p99 {}, longest {}; {} answers in {}",
                millis(p50),
                millis(p99),
                millis(longest),
                grouped(seen.answered()),
                seconds(seen.elapsed)
            )?;
            if let Some(refusal) = &seen.refusal {
                writeln!(f, "             refused {}, first with {refusal}", grouped(seen.refused))?;
            }
        }
        let Change { took, built_from, .. } = &self.built;
        let records = built_from.unwrap_or_default();
        let rate = u128::from(records) * 1_000 / took.as_millis().max(1);
        writeln!(
            f,
            "build        {} from {} records: {} a second",
            seconds(*took),
            grouped(records),
            grouped(u64::try_from(rate).unwrap_or(u64::MAX))
        )?;
        for bound in self.bounds() {
            writeln!(f, "{bound}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(ms: u64, refused: u64) -> Seen {
        Seen { took: vec![Duration::from_millis(ms); 100], refused, ..Seen::default() }
    }

    fn change(ms: u64, took_ms: u64, refused: u64) -> Change {
        Change { took: Duration::from_millis(took_ms), built_from: None, seen: seen(ms, refused) }
    }

    #[test]
    fn bounds() {
        for (built_ms, refused, thresholds_ms, back_ms, missed) in [
            (10, 0, 999, 999, [false; 4]),
            (11, 0, 999, 999, [true, false, false, false]),
            (10, 1, 999, 999, [false, true, false, false]),
            (10, 0, 1_000, 999, [false, false, true, false]),
            (10, 0, 999, 1_000, [false, false, false, true]),
        ] {
            let report = Report {
                records: 1,
                calm: seen(5, 0),
                built: change(built_ms, 9_000, refused),
                thresholds: change(5, thresholds_ms, 0),
                back: change(5, back_ms, 0),
            };
            assert_eq!(report.bounds().map(|it| !it.holds), missed, "{report}");
        }
    }
}
