//! Chance that comes again: every draw is a pure function of the seed, of who draws, and of the day.
//!
//! ChaCha's output is fixed for ever and so is `libm`'s arithmetic. How numbers are made of it is written here
//! because ready distributions may change between releases of their crate, and with them every fixture.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Who draws. Each has chance of its own, so that a change to one scenario leaves every honest day as it was.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Merchant = 1,
    Customer = 2,
    Day = 3,
    Fraud = 4,
}

#[derive(Debug)]
pub(super) struct Dice {
    random: ChaCha8Rng,
}

impl Dice {
    /// The dice of the `number`-th merchant, customer or other on a day.
    pub(super) fn new(seed: u64, purpose: Purpose, number: u32, day: u32) -> Self {
        let mut key = [0; 32];
        let words = [seed, purpose as u64, u64::from(number), u64::from(day)];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Self { random: ChaCha8Rng::from_seed(key) }
    }

    /// 0 to `bound` − 1, each exactly as likely (Lemire's method); 0 for a bound of 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let reject_below = bound.wrapping_neg().checked_rem(bound).unwrap_or(0);
        loop {
            let product = u128::from(self.random.next_u64()) * u128::from(bound);
            let (high, low) = (product >> 64, product & u128::from(u64::MAX));
            if u128::from(reject_below) <= low {
                return u64::try_from(high).unwrap_or_default();
            }
        }
    }

    /// `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low.wrapping_add_unsigned(self.below(low.abs_diff(high).saturating_add(1)))
    }

    pub(super) fn below_u32(&mut self, bound: u32) -> u32 {
        u32::try_from(self.below(u64::from(bound))).unwrap_or_default()
    }

    pub(super) fn chance(&mut self, per_mille: u32) -> bool {
        self.below_u32(1_000) < per_mille
    }

    /// INVARIANT (something to draw): no list drawn from is empty. `World::new` sees to its own, all others are
    /// constants.
    #[expect(clippy::indexing_slicing, reason = "INVARIANT (something to draw)")]
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[usize::try_from(self.below(items.len() as u64)).unwrap_or_default()]
    }

    /// One of the items, by weight; the last if all weigh nothing.
    pub(super) fn weighted<'a, T>(&mut self, items: &'a [T], weight: impl Fn(&T) -> u32) -> &'a T {
        let total = items.iter().map(|it| u64::from(weight(it))).sum();
        let mut left = self.below(total);
        for item in items {
            match left.checked_sub(u64::from(weight(item))) {
                Some(rest) => left = rest,
                None => return item,
            }
        }
        self.pick(items)
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, usize::try_from(self.below(last as u64 + 1)).unwrap_or_default());
        }
    }

    /// 2⁻⁵³ to 1.
    fn unit(&mut self) -> f64 {
        let steps = (self.random.next_u64() >> 11) + 1;
        steps as f64 / (1_u64 << 53) as f64
    }

    /// Mean 0, deviation 1 (Box and Muller; the other half of the pair is thrown away).
    fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(self.unit()));
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }

    /// Around a median, with a long tail upwards: amounts of money are like that.
    pub(super) fn lognormal(&mut self, median: f64, spread: f64) -> f64 {
        median * libm::exp(spread * self.normal())
    }

    /// How often something happens that happens `mean` times on average (Knuth's method, for small means).
    pub(super) fn poisson(&mut self, mean: f64) -> u32 {
        let limit = libm::exp(-mean);
        let mut product = self.unit();
        let mut count = 0;
        while limit < product {
            product *= self.unit();
            count += 1;
        }
        count
    }
}

/// The nearest whole number.
#[expect(clippy::cast_possible_truncation, reason = "rounded; what does not fit saturates")]
pub(super) fn whole(number: f64) -> i64 {
    libm::round(number) as i64
}

#[cfg(test)]
mod tests {
    use super::{Dice, Purpose, whole};

    #[test]
    fn draws_are_pinned() {
        // Other numbers here mean other bytes in every file ever simulated.
        let mut dice = Dice::new(1, Purpose::Customer, 2, 3);
        let drawn = [dice.below(1_000), dice.below(7), whole(dice.lognormal(1e6, 1.0)).unsigned_abs()];
        assert_eq!((drawn, dice.poisson(3.0)), ([418, 1, 152_300], 0));
    }

    #[test]
    fn each_has_chance_of_its_own() {
        let first = |mut dice: Dice| dice.below(u64::MAX);
        let base = first(Dice::new(1, Purpose::Day, 1, 1));
        assert_ne!(base, first(Dice::new(2, Purpose::Day, 1, 1)));
        assert_ne!(base, first(Dice::new(1, Purpose::Fraud, 1, 1)));
        assert_ne!(base, first(Dice::new(1, Purpose::Day, 2, 1)));
        assert_ne!(base, first(Dice::new(1, Purpose::Day, 1, 2)));
    }

    #[test]
    fn distributions_have_their_means() {
        let mut dice = Dice::new(1, Purpose::Day, 0, 0);
        let draws = 20_000;
        let sixes = (0..draws).filter(|_| dice.below(6) == 5).count();
        assert!((3_150..3_520).contains(&sixes), "{sixes}");
        let events: u32 = (0..draws).map(|_| dice.poisson(2.5)).sum();
        assert!((49_300..50_700).contains(&events), "{events}");
        let under_the_median = (0..draws).filter(|_| dice.lognormal(100.0, 0.7) < 100.0).count();
        assert!((9_700..10_300).contains(&under_the_median), "{under_the_median}");
        let rare = (0..draws).filter(|_| *dice.weighted(&[1_u32, 9], |&it| it) == 1).count();
        assert!((1_850..2_150).contains(&rare), "{rare}");
        assert_eq!([dice.below(1), dice.below(0)], [0, 0]);
        assert!((0..1_000).all(|_| (-3..=3).contains(&dice.between(-3, 3))));
    }

    #[test]
    fn shuffling_keeps_everything() {
        let mut items: Vec<u32> = (0..50).collect();
        Dice::new(1, Purpose::Day, 0, 0).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
