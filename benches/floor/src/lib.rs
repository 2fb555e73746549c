//! The floor under a decision: look up each entity of an event in a stock `DashMap`, lock it, read its 64 bytes.
//!
//! Decisions are measured as multiples of this, in the same process and run, so that a figure means the same on
//! any machine. That only holds while the floor stays what it is: stock map, stock hasher, stock lock. Do not tune.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Zipf};

/// How many entities there are. Each user has one card and one device of its own.
#[derive(Clone, Copy, Debug)]
pub struct Population {
    /// Users, cards and devices, each; at least 1.
    pub users: u32,
    /// At least 1.
    pub merchants: u32,
}

/// How merchants are drawn. Users are always drawn uniformly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Draw {
    /// Each as often as the others.
    Uniform,
    /// Zipf with exponent 1: merchant n is met 1/n times as often as the first.
    Zipf,
}

/// What an event of the workload names, as numbers from 0.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// The user, whose card and device it is too.
    pub user: u32,
    /// The merchant.
    pub merchant: u32,
}

impl Visit {
    /// The keys of user, card, device and merchant: the kind in the upper half, the number in the lower.
    pub fn keys(self) -> [u128; 4] {
        let key = |kind: u128, number: u32| kind << 64 | u128::from(number);
        [key(0, self.user), key(1, self.user), key(2, self.user), key(3, self.merchant)]
    }
}

/// So many visits, drawn by seed: one seed always gives the same ones.
pub fn visits(population: Population, draw: Draw, count: usize, seed: u64) -> Vec<Visit> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let last = population.merchants.max(1) - 1;
    let zipf = (draw == Draw::Zipf).then(|| Zipf::new(f64::from(last) + 1.0, 1.0).ok()).flatten();
    let mut visit = || {
        let user = random.random_range(0..population.users.max(1));
        let merchant = match zipf {
            Some(zipf) => rank(zipf.sample(&mut random)).min(last),
            None => random.random_range(0..=last),
        };
        Visit { user, merchant }
    };
    (0..count).map(|_| visit()).collect()
}

/// A drawn rank counts from 1.
#[expect(clippy::cast_possible_truncation, reason = "a rank is whole and within 1..=u32::MAX")]
fn rank(drawn: f64) -> u32 {
    (drawn - 1.0) as u32
}

/// All entities of a population.
#[derive(Debug)]
pub struct Floor {
    directory: DashMap<u128, Arc<Mutex<[u8; 64]>>>,
}

impl Floor {
    /// Makes every entity.
    pub fn build(population: Population) -> Self {
        let directory = DashMap::new();
        let mut insert = |key: u128| {
            let state = u8::try_from(key & 0xff).unwrap_or_default();
            directory.insert(key, Arc::new(Mutex::new([state; 64])));
        };
        for user in 0..population.users {
            let [user, card, device, _] = Visit { user, merchant: 0 }.keys();
            [user, card, device].into_iter().for_each(&mut insert);
        }
        for merchant in 0..population.merchants {
            let [.., merchant] = Visit { user: 0, merchant }.keys();
            insert(merchant);
        }
        Self { directory }
    }

    /// Looks up, locks and reads the entities one after another. Returns the sum of their bytes, so that no read
    /// can be optimised away; an unknown key adds nothing.
    pub fn touch(&self, keys: &[u128; 4]) -> u64 {
        let mut sum = 0;
        for key in keys {
            let Some(state) = self.directory.get(key) else { continue };
            sum += state.lock().iter().map(|&byte| u64::from(byte)).sum::<u64>();
        }
        sum
    }
}

/// What one thread measured.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// How many events.
    pub events: usize,
    /// Of all events, in a pass of its own without a clock reading per event.
    pub elapsed: Duration,
    /// Of one event, the reading of the clock included.
    pub p50: Duration,
    /// As `p50`.
    pub p99: Duration,
}

impl Measured {
    /// Mean nanoseconds per event.
    pub fn mean_ns(&self) -> f64 {
        self.elapsed.as_secs_f64() * 1e9 / count(self.events.max(1))
    }

    /// Events per second.
    pub fn per_second(&self) -> f64 {
        count(self.events) / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// As a number to divide: exact up to 2^53 events.
fn count(events: usize) -> f64 {
    events as f64
}

/// Runs `work` on every item three times: to warm up, as a whole, and one by one. Nothing here is about the floor,
/// so whatever is compared with it is measured by the same code.
pub fn measure<T>(items: &[T], mut work: impl FnMut(&T) -> u64) -> Measured {
    let mut pass = || items.iter().fold(0_u64, |sum, item| sum.wrapping_add(work(item)));
    black_box(pass());
    let start = Instant::now();
    black_box(pass());
    let elapsed = start.elapsed();

    let mut each = Vec::with_capacity(items.len());
    let mut before = Instant::now();
    for item in items {
        black_box(work(item));
        let after = Instant::now();
        each.push(after - before);
        before = after;
    }
    each.sort_unstable();
    Measured { events: items.len(), elapsed, p50: percentile(&each, 50), p99: percentile(&each, 99) }
}

/// Nearest rank, of sorted durations; zero of none.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Measures the floor on as many threads as there are shares of visits, all at once.
pub fn measure_threads(floor: &Floor, shares: &[Vec<Visit>]) -> Vec<Measured> {
    thread::scope(|scope| {
        let run = |share: &Vec<Visit>| measure(share, |visit| floor.touch(&visit.keys()));
        let running: Vec<_> = shares.iter().map(|share| scope.spawn(move || run(share))).collect();
        running.into_iter().filter_map(|it| it.join().ok()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POPULATION: Population = Population { users: 300, merchants: 20 };

    #[test]
    fn touching_reads_every_byte_of_every_entity_named() {
        let floor = Floor::build(POPULATION);
        assert_eq!(floor.directory.len(), 3 * 300 + 20);
        for (user, merchant) in [(0, 0), (7, 3), (255, 19), (256, 19)] {
            let expected = 64 * (3 * u64::from(user % 256) + u64::from(merchant));
            assert_eq!(floor.touch(&Visit { user, merchant }.keys()), expected, "user {user} at {merchant}");
        }
        assert_eq!(floor.touch(&Visit { user: 300, merchant: 20 }.keys()), 0, "none of these exists");
    }

    #[test]
    fn visits_stay_within_the_population_and_come_again_with_the_seed() {
        for draw in [Draw::Uniform, Draw::Zipf] {
            let keys =
                |seed| visits(POPULATION, draw, 1_000, seed).into_iter().map(Visit::keys).collect::<Vec<_>>();
            assert_eq!(keys(1), keys(1));
            assert_ne!(keys(1), keys(2));
            assert!(visits(POPULATION, draw, 1_000, 1).iter().all(|it| it.user < 300 && it.merchant < 20));
        }
    }

    #[test]
    fn zipf_meets_the_first_merchant_twice_as_often_as_the_second() {
        let drawn = visits(POPULATION, Draw::Zipf, 100_000, 1);
        let met = |merchant| drawn.iter().filter(|it| it.merchant == merchant).count();
        // 1/H(20) and half of it: 27.8 % and 13.9 %.
        assert!((27_000..28_600).contains(&met(0)), "{}", met(0));
        assert!((13_300..14_500).contains(&met(1)), "{}", met(1));
        assert!((4_500..5_500).contains(
            &visits(POPULATION, Draw::Uniform, 100_000, 1).iter().filter(|it| it.merchant == 0).count()
        ));
    }

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let sorted: Vec<_> = (1..=200).map(Duration::from_nanos).collect();
        for (percent, nanos) in [(50, 100), (99, 198), (100, 200)] {
            assert_eq!(percentile(&sorted, percent), Duration::from_nanos(nanos));
        }
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }

    #[test]
    fn every_share_is_measured_on_its_own_thread() {
        let floor = Floor::build(POPULATION);
        let shares = [1, 2].map(|seed| visits(POPULATION, Draw::Uniform, 500, seed));
        let measured = measure_threads(&floor, &shares);
        assert_eq!(measured.len(), 2);
        assert!(measured.iter().all(|it| it.events == 500 && it.p50 <= it.p99 && it.mean_ns() > 0.0));
    }
}
