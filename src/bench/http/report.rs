//! What was measured, as a table, and what is held against a bound.

use std::fmt;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use crate::bench::bound::{self, Bound};
use crate::bench::served::load::{Loop, Seen};
use crate::bench::served::servers::Policy;
use crate::bench::timing::{millis, percentiles};
use crate::figures::grouped;

/// Answers a second with `os` over [`CONNECTIONS`] connections, as a share of the echo's.
const OF_ECHO_MIN: f64 = 0.6;
/// What it should be.
const OF_ECHO_GOAL: f64 = 0.85;
/// Connections of that.
const CONNECTIONS: u16 = 32;
/// Connections of the open loop with `fsync`.
const CONNECTIONS_OPEN: u16 = 64;
/// Its median, in those of a sync of the disk's own …
const SYNCS_MAX: u32 = 2;
/// … and this.
const OVER_SYNCS_MAX: Duration = Duration::from_millis(1);
/// Answers a second with `fsync` and enough in flight, as a share of those with `os`.
const OF_OS_MIN: f64 = 0.8;
/// Enough in flight: at least what `os` answers during so many syncs. How much more it takes shows in the rows.
const SYNCS_IN_FLIGHT: [f64; 3] = [4.0, 8.0, 16.0];

/// What is measured together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Row {
    pub(super) policy: Policy,
    pub(super) way: Loop,
    pub(super) connections: u16,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} loop, {} connections", self.policy, self.way, self.connections)
    }
}

/// All that was measured.
#[derive(Debug)]
pub(super) struct Report {
    rows: Vec<(Row, Seen)>,
    /// Payments a second of the open loop that is held against a bound.
    rate: u32,
    /// Of the disk itself.
    pub(super) syncs: Vec<Duration>,
    /// How many connections may be enough that a sync keeps nobody waiting.
    pub(super) deep: Vec<u16>,
}

impl Report {
    pub(super) fn new(rate: u32) -> Self {
        Self { rows: Vec::new(), rate, syncs: Vec::new(), deep: Vec::new() }
    }

    /// Adds what one round saw.
    pub(super) fn add(&mut self, row: Row, seen: Seen) {
        match self.rows.iter_mut().find(|(it, _)| *it == row) {
            Some((_, all)) => all.add(seen),
            None => self.rows.push((row, seen)),
        }
    }

    /// How many requests in flight may be enough that a sync keeps nobody waiting whom the processors could serve.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast from a float ends at the bounds of its type, and so does what is asked for"
    )]
    pub(super) fn enough_in_flight(&self) -> [u16; 3] {
        let [sync, _] = self.sync();
        SYNCS_IN_FLIGHT.map(|syncs| (syncs * self.os_rate() * sync.as_secs_f64()).ceil() as u16)
    }

    /// The most answers a second with `os`, over however many connections.
    fn os_rate(&self) -> f64 {
        let of_os = self.rows.iter().filter(|(it, _)| (it.policy, it.way) == (Policy::Os, Loop::Closed));
        of_os.map(|(_, seen)| rate(seen)).fold(0.0, f64::max)
    }

    /// Median and 99th percentile of a sync of the disk's own.
    fn sync(&self) -> [Duration; 2] {
        percentiles(&self.syncs)
    }

    fn seen(&self, policy: Policy, way: Loop, connections: u16) -> Option<&Seen> {
        let row = Row { policy, way, connections };
        self.rows.iter().find(|(it, _)| *it == row).map(|(_, seen)| seen)
    }

    fn rate_of(&self, policy: Policy, connections: u16) -> f64 {
        self.seen(policy, Loop::Closed, connections).map_or(0.0, rate)
    }

    fn bounds(&self) -> [Bound; 3] {
        let of_echo =
            self.rate_of(Policy::Os, CONNECTIONS) / self.rate_of(Policy::Echo, CONNECTIONS).max(1e-9);
        let [sync, _] = self.sync();
        let (open, offered) = (Loop::Open { per_second: self.rate }, grouped(self.rate.into()));
        let waited = self.seen(Policy::Fsync, open, CONNECTIONS_OPEN).map(|it| percentiles(&it.took)[0]);
        let waited = waited.unwrap_or(Duration::MAX);
        let waited_max = sync * SYNCS_MAX + OVER_SYNCS_MAX;
        let deep = self.deep.iter().map(|it| (self.rate_of(Policy::Fsync, *it), *it));
        let (deep_rate, deep) = deep.max_by(|one, other| one.0.total_cmp(&other.0)).unwrap_or_default();
        let of_os = deep_rate / self.os_rate().max(1e-9);
        [
            Bound {
                holds: OF_ECHO_MIN <= of_echo,
                words: format!(
                    "os, closed loop, {CONNECTIONS} connections: {of_echo:.3} of the echo's rate, at least {OF_ECHO_MIN} \
                     (goal {OF_ECHO_GOAL})"
                ),
            },
            Bound {
                holds: waited <= waited_max,
                words: format!(
                    "fsync, open loop, {CONNECTIONS_OPEN} connections, {offered} a second: median {}, at most {} \
                     ({SYNCS_MAX} medians of a sync, and 1 ms)",
                    millis(waited),
                    millis(waited_max),
                ),
            },
            Bound {
                holds: OF_OS_MIN <= of_os,
                words: format!(
                    "fsync, closed loop, {deep} connections: {of_os:.3} of os's best rate, at least {OF_OS_MIN}"
                ),
            },
        ]
    }

    /// Every bound that does not hold, in words.
    pub(super) fn missed(&self) -> Vec<String> {
        bound::missed(self.bounds())
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        let header = [
            "",
            "loop",
            "connections",
            "offered",
            "a second",
            "÷ echo",
            "p50",
            "p99",
            "p50 ÷ echo",
            "refused",
        ];
        table.load_style(presets::NOTHING).set_header(header);
        table.column_iter_mut().skip(2).for_each(|it| it.set_cell_alignment(CellAlignment::Right));
        for (row, seen) in &self.rows {
            let Row { policy, way, connections } = *row;
            let offered = match way {
                Loop::Closed => String::new(),
                Loop::Open { per_second } => grouped(per_second.into()),
            };
            let [p50, p99] = percentiles(&seen.took);
            let echo = self.seen(Policy::Echo, way, connections);
            let of_echo = |ours: f64, of: fn(&Seen) -> f64| {
                echo.map_or_else(String::new, |it| format!("{:.2}", ours / of(it).max(1e-9)))
            };
            table.add_row([
                policy.to_string(),
                way.to_string(),
                connections.to_string(),
                offered,
                format!("{:.0}", rate(seen)),
                of_echo(rate(seen), rate),
                millis(p50),
                millis(p99),
                of_echo(p50.as_secs_f64(), |it| percentiles(&it.took)[0].as_secs_f64()),
                grouped(seen.refused),
            ]);
        }
        let [p50, p99] = self.sync();
        let sync = ["a sync of the disk's own", "", "", "", "", "", &millis(p50), &millis(p99), "", ""];
        table.add_row(sync.map(str::to_owned));
        table
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.table().trim_fmt())?;
        for bound in self.bounds() {
            writeln!(f, "{bound}")?;
        }
        for (row, seen) in &self.rows {
            if let Some(refusal) = &seen.refusal {
                writeln!(f, "refused, {row}, first with {refusal}")?;
            }
        }
        Ok(())
    }
}

/// Answers a second.
#[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2⁵³")]
fn rate(seen: &Seen) -> f64 {
    seen.answered() as f64 / seen.elapsed.as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many answers a second for a second, each after so many milliseconds.
    fn seen(per_second: usize, ms: u64) -> Seen {
        Seen {
            took: vec![Duration::from_millis(ms); per_second],
            elapsed: Duration::from_secs(1),
            ..Seen::default()
        }
    }

    /// Which bounds hold of these rates over 32 connections, and of this median in the open loop with syncs of 2 ms.
    #[track_caller]
    fn check(rates: [usize; 3], deep_rate: usize, open_ms: u64, expected: [bool; 3]) {
        let mut report = Report::new(5_000);
        report.syncs = vec![Duration::from_millis(2); 10];
        let closed = |policy, connections| Row { policy, way: Loop::Closed, connections };
        for (policy, rate) in Policy::ALL.into_iter().zip(rates) {
            report.add(closed(policy, 32), seen(rate, 1));
        }
        // 4, 8 and 16 × 2 ms × the rate of os: the best of them counts.
        let deep = report.enough_in_flight();
        assert_eq!(deep.map(usize::from), [8, 16, 32].map(|ms| rates[1] * ms / 1_000));
        report.deep = deep.to_vec();
        for (deep, less) in deep.into_iter().zip([3_000, 0, 100]) {
            report.add(closed(Policy::Fsync, deep), seen(deep_rate - less, 1));
        }
        let open = Row { policy: Policy::Fsync, way: Loop::Open { per_second: 5_000 }, connections: 64 };
        report.add(open, seen(5_000, open_ms));
        assert_eq!(report.bounds().map(|it| it.holds), expected, "{report}");
        assert_eq!(report.missed().len(), expected.iter().filter(|it| !**it).count());
    }

    #[test]
    fn bounds() {
        check([20_000, 12_000, 5_000], 9_600, 5, [true, true, true]);
        check([20_000, 11_000, 5_000], 9_600, 5, [false, true, true]);
        check([20_000, 12_000, 5_000], 9_600, 6, [true, false, true]);
        check([20_000, 12_000, 5_000], 9_500, 5, [true, true, false]);
    }

    #[test]
    fn rounds_are_added_up() {
        let mut report = Report::new(5_000);
        let row = Row { policy: Policy::Echo, way: Loop::Closed, connections: 1 };
        report.add(row, seen(100, 1));
        report.add(row, seen(300, 3));
        assert_eq!(report.rows.len(), 1);
        assert_eq!(format!("{:.3}", report.rate_of(Policy::Echo, 1)), "200.000");
        assert_eq!(percentiles(&report.rows[0].1.took), [Duration::from_millis(3); 2]);
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        assert_eq!(Report::new(5_000).missed().len(), 3);
    }
}
