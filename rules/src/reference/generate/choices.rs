//! Where random cases get their decisions from.

/// A tape of numbers that a generator consumes. When it is used up all further choices are the first alternative,
/// so that generators end if they put their leaves first; and a test runner that shortens the tape or lowers its
/// numbers finds simpler cases.
#[derive(Clone, Debug)]
pub struct Choices {
    tape: Tape,
}

#[derive(Clone, Debug)]
enum Tape {
    /// The state of SplitMix64, which never ends.
    Seed(u64),
    /// What is left, last first.
    Numbers(Vec<u32>),
}

impl Choices {
    /// An endless tape; the same for the same seed.
    pub fn from_seed(seed: u64) -> Self {
        Self { tape: Tape::Seed(seed) }
    }

    /// A given tape.
    pub fn from_numbers(mut numbers: Vec<u32>) -> Self {
        numbers.reverse();
        Self { tape: Tape::Numbers(numbers) }
    }

    /// Any number; zero when the tape is used up.
    pub fn number(&mut self) -> u32 {
        match &mut self.tape {
            Tape::Numbers(numbers) => numbers.pop().unwrap_or(0),
            Tape::Seed(state) => {
                *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0)
            }
        }
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number()).unwrap_or(0) % bound.max(1)
    }

    /// A number from `low` to `high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = u64::try_from(i128::from(high) - i128::from(low) + 1).unwrap_or(u64::MAX).max(1);
        let number = (u64::from(self.number()) << 32 | u64::from(self.number())) % width;
        low.saturating_add_unsigned(number)
    }

    /// True in so many of a hundred cases, and never once the tape is used up.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) >= 100_usize.saturating_sub(percent)
    }

    /// One of these; none of nothing.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}
