//! How fast the writer is: what admission and the metrics ask.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// Of what was known, how much is kept when another batch was written: the last thirty or so count.
const KEPT: f64 = 31.0 / 32.0;
/// How much the sizes of batches must differ for their times to say what one record costs, as a variance: without it
/// the noise of syncs of one or two records would be taken for the price of a record.
const DAMPING: f64 = 16.0;
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

/// What the writer measures. Reading it takes no lock.
#[derive(Debug)]
pub(super) struct Meter {
    born: Instant,
    /// When the batch was begun that is being written, in nanoseconds since birth; 0 = none is.
    began_ns: AtomicU64,
    /// A batch takes so long, in seconds, whatever is in it; the bits of an f64.
    batch_s: AtomicU64,
    /// And so long for each record.
    record_s: AtomicU64,
    records_per_s: AtomicU64,
    syncs: Mutex<Histogram<u64>>,
}

impl Meter {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            born: Instant::now(),
            began_ns: zero(),
            batch_s: zero(),
            record_s: zero(),
            records_per_s: zero(),
            syncs: Mutex::new(histogram()),
        }
    }

    /// A batch is going to be written.
    pub(super) fn begin(&self) -> Instant {
        let now = Instant::now();
        let since_birth = now.duration_since(self.born).as_nanos();
        self.began_ns.store(u64::try_from(since_birth).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
        now
    }

    /// The batch that was begun became durable.
    pub(super) fn end(&self, began: Instant, records: u64, fit: &mut Fit) {
        fit.add(count(records), began.elapsed().as_secs_f64());
        let (batch_s, record_s) = fit.line();
        self.batch_s.store(batch_s.to_bits(), Ordering::Relaxed);
        self.record_s.store(record_s.to_bits(), Ordering::Relaxed);
        self.records_per_s.store(fit.records_per_s(), Ordering::Relaxed);
        self.began_ns.store(0, Ordering::Relaxed);
    }

    /// A sync took so long.
    pub(super) fn synced(&self, took: Duration) {
        self.syncs.lock().saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// How long a record that is appended now waits, if so many are ahead of it. With none ahead and nothing being written
    /// it does not wait: how fast the writer is now is only known by letting it write.
    pub(super) fn wait(&self, records_ahead: u64) -> Duration {
        let began_ns = self.began_ns.load(Ordering::Relaxed);
        if (records_ahead, began_ns) == (0, 0) {
            return Duration::ZERO;
        }
        let [batch_s, record_s] =
            [&self.batch_s, &self.record_s].map(|it| f64::from_bits(it.load(Ordering::Relaxed)));
        let usual =
            Duration::try_from_secs_f64(batch_s + record_s * count(records_ahead)).unwrap_or(Duration::MAX);
        match began_ns {
            0 => usual,
            // A batch that takes longer than usual will take as long again, for all that is known.
            began_ns => usual.max(self.born.elapsed().saturating_sub(Duration::from_nanos(began_ns))),
        }
    }

    /// How long a batch takes, lately, that has next to nothing in it.
    pub(super) fn usual(&self) -> Duration {
        Duration::try_from_secs_f64(f64::from_bits(self.batch_s.load(Ordering::Relaxed))).unwrap_or_default()
    }

    /// Records that became durable in a second, lately, while there were any to write.
    pub(super) fn records_per_s(&self) -> u64 {
        self.records_per_s.load(Ordering::Relaxed)
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
    products: f64,
}

impl Fit {
    fn add(&mut self, records: f64, seconds: f64) {
        let sums = [
            (&mut self.batches, 1.0),
            (&mut self.records, records),
            (&mut self.seconds, seconds),
            (&mut self.records_squared, records * records),
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
        // No record costs less than nothing, nor more than all of the batches' time.
        let record = (covariance / (variance + DAMPING)).clamp(0.0, seconds / records.max(1.0));
        // What is left over is nothing at least, and rounding alone could make it less.
        ((seconds - record * records).max(0.0), record)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate; `as` saturates"
    )]
    fn records_per_s(&self) -> u64 {
        if self.seconds <= 0.0 { 0 } else { (self.records / self.seconds) as u64 }
    }
}

#[cfg(test)]
mod tests;
