//! How fast the writer is: what admission and the metrics ask.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// Of what was known, how much is kept when another batch was written: the last thirty or so count.
const KEPT: f64 = 31.0 / 32.0;
/// How much more a price of a record must explain of the times of batches than chance would, to be believed by half:
/// otherwise the noise of syncs of one or two records would be taken for it.
const DOUBT: f64 = 16.0;
/// Longest sync that is told from longer ones.
const SYNC_US_MAX: u64 = 60_000_000;

/// How long syncs took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SyncTimes {
    /// How many there were.
    pub count: u64,
    /// Half of them took at most this.
    pub p50: Duration,
    /// 99 of 100 took at most this.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// Who hears how long each sync took, such as a metric.
struct Listener(Box<dyn Fn(Duration) + Send + Sync>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// What the writer measures. What admission asks takes no lock. Whoever tells or asks it says when that is.
#[derive(Debug)]
pub(super) struct Meter {
    born: Instant,
    /// When the batch was begun that is being written, in nanoseconds since birth; 0 = none is.
    began_ns: AtomicU64,
    /// When the first record came of the batch that gathers, or that gathered last.
    gathers_ns: AtomicU64,
    /// How many records are in it.
    writing: AtomicU64,
    /// A batch takes so long, in seconds, whatever is in it; the bits of an f64.
    batch_s: AtomicU64,
    /// And so long for each record.
    record_s: AtomicU64,
    syncs: Mutex<Histogram<u64>>,
    listener: OnceLock<Listener>,
}

impl Meter {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            born: Instant::now(),
            began_ns: zero(),
            gathers_ns: zero(),
            writing: zero(),
            batch_s: zero(),
            record_s: zero(),
            syncs: Mutex::new(histogram()),
            listener: OnceLock::new(),
        }
    }

    /// The first record of a batch came.
    pub(super) fn gather(&self, now: Instant) {
        self.gathers_ns.store(self.since_birth_ns(now), Ordering::Relaxed);
    }

    /// A batch of so many records is going to be written.
    pub(super) fn begin(&self, records: u64, now: Instant) {
        self.writing.store(records, Ordering::Relaxed);
        self.began_ns.store(self.since_birth_ns(now).max(1), Ordering::Relaxed);
    }

    fn since_birth_ns(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.born).as_nanos()).unwrap_or(u64::MAX)
    }

    /// The batch that was begun became durable, after so long.
    pub(super) fn end(&self, records: u64, took: Duration, fit: &mut Fit) {
        fit.add(count(records), took.as_secs_f64());
        let (batch_s, record_s) = fit.line();
        self.batch_s.store(batch_s.to_bits(), Ordering::Relaxed);
        self.record_s.store(record_s.to_bits(), Ordering::Relaxed);
        self.began_ns.store(0, Ordering::Relaxed);
    }

    /// A sync took so long.
    pub(super) fn synced(&self, took: Duration) {
        self.syncs.lock().saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        if let Some(Listener(hear)) = self.listener.get() {
            hear(took);
        }
    }

    /// From now on somebody hears how long each sync takes, on the thread that syncs. Only the first who asks does.
    pub(super) fn listen(&self, hear: impl Fn(Duration) + Send + Sync + 'static) {
        let _ = self.listener.set(Listener(Box::new(hear)));
    }

    /// How long somebody waits in the batch of a record that is appended now, if so many are ahead of it: it itself, or the
    /// first in that batch, who has waited already and for whom it makes the batch longer. With none ahead and nothing being
    /// written nobody waits: how fast the writer is now is only known by letting it write.
    ///
    /// It waits for what is left of the batch that is being written, and then for its own, in which all are that have
    /// gathered meanwhile.
    pub(super) fn wait(&self, records_ahead: u64, now: Instant) -> Duration {
        let now_ns = self.since_birth_ns(now);
        let passed = |since_ns: u64| Duration::from_nanos(now_ns.saturating_sub(since_ns));
        let (left, gathered) = match (records_ahead, self.began_ns.load(Ordering::Relaxed)) {
            (0, 0) => return Duration::ZERO,
            (ahead, 0) => (Duration::ZERO, ahead),
            (ahead, began_ns) => {
                let writing = self.writing.load(Ordering::Relaxed);
                // A batch that is late will be late by as much again, for all that is known.
                let left = self.expected(writing).abs_diff(passed(began_ns));
                (left, ahead.saturating_sub(writing))
            }
        };
        let waited = match gathered {
            0 => Duration::ZERO,
            _ => passed(self.gathers_ns.load(Ordering::Relaxed)),
        };
        waited.saturating_add(left).saturating_add(self.expected(gathered + 1))
    }

    /// How long a batch of so many records takes, lately.
    fn expected(&self, records: u64) -> Duration {
        let [batch_s, record_s] =
            [&self.batch_s, &self.record_s].map(|it| f64::from_bits(it.load(Ordering::Relaxed)));
        Duration::try_from_secs_f64(batch_s + record_s * count(records)).unwrap_or(Duration::MAX)
    }

    /// How long a batch takes, lately, that has next to nothing in it.
    pub(super) fn usual(&self) -> Duration {
        self.expected(0)
    }

    pub(super) fn sync_times(&self) -> SyncTimes {
        let syncs = self.syncs.lock();
        let at = |quantile| Duration::from_micros(syncs.value_at_quantile(quantile));
        SyncTimes { count: syncs.len(), p50: at(0.5), p99: at(0.99), max: Duration::from_micros(syncs.max()) }
    }
}

#[expect(
    clippy::expect_used,
    reason = "INVARIANT (histogram): the bounds are in order, and five digits are allowed"
)]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, SYNC_US_MAX, 2).expect("such a histogram can be made")
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn count(records: u64) -> f64 {
    records as f64
}

/// The time of a batch as a line over its records, by least squares, where older batches count less and less.
///
/// Records divided by time alone would not do: one record an fsync is no sign that a hundred take a hundred fsyncs.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Fit {
    batches: f64,
    records: f64,
    seconds: f64,
    records_squared: f64,
    seconds_squared: f64,
    products: f64,
}

impl Fit {
    fn add(&mut self, records: f64, seconds: f64) {
        let sums = [
            (&mut self.batches, 1.0),
            (&mut self.records, records),
            (&mut self.seconds, seconds),
            (&mut self.records_squared, records * records),
            (&mut self.seconds_squared, seconds * seconds),
            (&mut self.products, records * seconds),
        ];
        for (sum, more) in sums {
            *sum = *sum * KEPT + more;
        }
    }

    /// Seconds of an empty batch, and of each record in it.
    fn line(&self) -> (f64, f64) {
        if self.batches <= 0.0 {
            return (0.0, 0.0);
        }
        let (records, seconds) = (self.records / self.batches, self.seconds / self.batches);
        let variance = self.records_squared / self.batches - records * records;
        let covariance = self.products / self.batches - records * seconds;
        if variance <= 0.0 {
            return (seconds, 0.0);
        }
        let price = covariance / variance * self.trust(variance, covariance, seconds);
        // No record costs less than nothing, nor more than all of the batches' time.
        let record = price.clamp(0.0, seconds / records.max(1.0));
        // What is left over is nothing at least, and rounding alone could make it less.
        ((seconds - record * records).max(0.0), record)
    }

    /// How far the price of a record is to be believed, from 0 to 1: by how much of the times of batches it explains,
    /// beside what it leaves to chance.
    fn trust(&self, variance: f64, covariance: f64, seconds: f64) -> f64 {
        let of_seconds = self.seconds_squared / self.batches - seconds * seconds;
        if of_seconds <= 0.0 {
            return 0.0;
        }
        let explained = (covariance * covariance / (variance * of_seconds)).clamp(0.0, 1.0);
        // Through two batches there is always a line.
        let evidence = (self.batches - 2.0).max(0.0) * explained;
        evidence / (evidence + DOUBT * (1.0 - explained)).max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests;
