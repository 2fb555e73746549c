//! What was measured, in lines, and what is held against a bound.

use std::fmt;
use std::time::Duration;

use floor::percentile;

use super::bare::Bare;
use super::life::Life;
use super::load::Waits;
use super::opening::Opening;
use crate::bench::timing::{micros, seconds};
use crate::figures::grouped;

/// An opening, in bare readings of the same bytes …
const BARE_MAX: u32 = 2;
/// … and this for each entity …
const ENTITY_MAX: Duration = Duration::from_micros(1);
/// … and this for each record of the tail.
const RECORD_MAX: Duration = Duration::from_micros(3);
/// The 99th percentile with `os` while a snapshot is written, in those without.
const SNAPSHOT_MAX: f64 = 2.0;

/// All that was measured.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) life: Life,
    pub(super) bare: Bare,
    pub(super) warm: Opening,
    /// And how many bytes then came from the disk; none where the cache cannot be emptied.
    pub(super) cold: Option<(Opening, u64)>,
    pub(super) os: Waits,
    pub(super) fsync: Waits,
}

impl Report {
    /// The most that an opening may take beside a bare reading that took so long.
    fn most(&self, bare: Duration) -> Duration {
        let each = |count: u64, of: Duration| of.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        bare * BARE_MAX + each(self.life.entities, ENTITY_MAX) + each(self.life.tail, RECORD_MAX)
    }

    /// Every bound that does not hold, in words.
    pub(super) fn missed(&self) -> Vec<String> {
        let (took, most, waits) = (self.warm.total(), self.most(self.bare.took()), self.os.ratio());
        let opening = (took > most).then(|| {
            format!(
                "recovery took {}, at most {} ({BARE_MAX} bare readings, 1 µs an entity, 3 µs a record)",
                seconds(took),
                seconds(most)
            )
        });
        let snapshot = (SNAPSHOT_MAX < waits).then(|| {
            format!("p99 beside a snapshot with os {waits:.2} of that without, at most {SNAPSHOT_MAX}")
        });
        opening.into_iter().chain(snapshot).collect()
    }

    fn opening(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { life, bare, warm, .. } = self;
        let [entities, tail, tail_bytes, bytes] =
            [life.entities, life.tail, life.tail_bytes, bare.bytes].map(grouped);
        writeln!(f, "snapshot     {entities} entities, {bytes} bytes unpacked")?;
        writeln!(f, "tail         {tail} records, {tail_bytes} bytes")?;
        writeln!(
            f,
            "bare         {}: snapshot {}, tail {}; the snapshot, had it been unpacked before, {}",
            seconds(bare.took()),
            seconds(bare.unpacking),
            seconds(bare.tail),
            seconds(bare.unpacked)
        )?;
        let most = self.most(bare.took());
        let strict = self.most(bare.unpacked + bare.tail);
        writeln!(f, "warm         {}", parts(warm))?;
        writeln!(
            f,
            "bound        {}, of which it took {:.2}; had the snapshot been unpacked before, {} and {:.2}",
            seconds(most),
            share(warm.total(), most),
            seconds(strict),
            share(warm.total(), strict)
        )?;
        match &self.cold {
            None => writeln!(f, "cold         not measured: this system cannot put files out of its cache"),
            Some((_, 0)) => writeln!(f, "cold         not measured: nothing came from a disk"),
            Some((cold, read)) => {
                writeln!(f, "cold         {}; {} bytes came from the disk", parts(cold), grouped(*read))
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.opening(f)?;
        for (name, waits) in [("os", &self.os), ("fsync", &self.fsync)] {
            let [quiet, writing] = waits.p99();
            writeln!(
                f,
                "{name:<12} p99 {} without a snapshot (median {}, {} decisions), {} while one is written (median {}, \
                 {} decisions in {}): {:.2} of it; {} beside the first one",
                micros(quiet),
                micros(percentile(&waits.quiet, 50)),
                grouped(waits.quiet.len() as u64),
                micros(writing),
                micros(percentile(&waits.writing, 50)),
                grouped(waits.writing.len() as u64),
                seconds(waits.snapshots),
                waits.ratio(),
                micros(percentile(&waits.first, 99))
            )?;
        }
        Ok(())
    }
}

fn parts(opening: &Opening) -> String {
    let Opening { files, snapshot, tail } = *opening;
    let [total, files, snapshot, tail] = [opening.total(), files, snapshot, tail].map(seconds);
    format!("{total}: journal beside snapshot {files}, of which the snapshot {snapshot}; tail {tail}")
}

fn share(part: Duration, of: Duration) -> f64 {
    part.as_secs_f64() / of.as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A report of 1,000 entities, 1,000 records and a bare reading of 1 ms: 6 ms are the most.
    fn report(took_us: u64, quiet_us: u64, writing_us: u64) -> Report {
        let waits = || Waits {
            quiet: vec![Duration::from_micros(quiet_us)],
            writing: vec![Duration::from_micros(writing_us)],
            first: vec![Duration::from_secs(1)],
            snapshots: Duration::ZERO,
        };
        let half = Duration::from_micros(took_us / 2);
        Report {
            life: Life { snapshot: PathBuf::new(), entities: 1_000, tail: 1_000, tail_bytes: 0 },
            bare: Bare { unpacking: Duration::from_millis(1), ..Bare::default() },
            warm: Opening { files: half, snapshot: Duration::ZERO, tail: half },
            cold: None,
            os: waits(),
            fsync: waits(),
        }
    }

    #[test]
    fn bounds() {
        for ((took, quiet, writing), missed) in [
            ((6_000, 10, 20), vec![]),
            ((6_002, 10, 20), vec!["recovery"]),
            ((6_000, 10, 21), vec!["p99"]),
            ((9_000, 10, 30), vec!["recovery", "p99"]),
        ] {
            let report = report(took, quiet, writing);
            let first = |it: String| it.split(' ').next().unwrap_or_default().to_owned();
            assert_eq!(report.missed().into_iter().map(first).collect::<Vec<_>>(), missed, "{report}");
        }
    }
}
