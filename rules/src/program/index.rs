//! Rules that hold exactly where one number lies in a range, told for all of them at once.
//!
//! Many rules compare the same few features with constants. Sorted, the constants cut the numbers into classes within
//! which none of these rules changes its answer: each class has a precomputed set of rules, so that a feature is
//! looked up once, however many thresholds are on it (the predicate index of publish/subscribe systems: Fabret et al.,
//! SIGMOD 2001).

use super::condition::{Condition, Test};
use super::machine::{Machine, Operand};
use super::node::Number;

/// See the module.
pub(super) struct Index {
    exact: Box<[Group<i128>]>,
    real: Box<[Group<f64>]>,
}

/// The rules over one number. In a set of rules, bit `i % 64` of word `i / 64` stands for the `i`th of the event type's.
struct Group<T> {
    operand: Operand,
    /// The constants, ascending.
    cuts: Box<[T]>,
    /// The rules that hold, set after set of so many words: below the first cut, at it, between it and the next, at
    /// that, …, above the last, and last where the number is missing.
    classes: Box<[u64]>,
    words: usize,
}

impl Index {
    /// Of the conditions of an event type's rules, which are taken out where the index answers for them.
    pub(super) fn of(conditions: &[Option<&Condition>]) -> Self {
        let words = conditions.len().div_ceil(64);
        let (mut exact, mut real) = (Vec::new(), Vec::new());
        for (at, condition) in conditions.iter().enumerate() {
            match condition {
                Some(Condition::Exact(test)) => collect(&mut exact, at, test),
                Some(Condition::Real(test)) => collect(&mut real, at, test),
                _ => {}
            }
        }
        Self { exact: groups(exact, words), real: groups(real, words) }
    }

    /// Whether the index answers for a rule of this condition.
    pub(super) fn answers(condition: &Condition) -> bool {
        matches!(condition, Condition::Exact(_) | Condition::Real(_))
    }

    /// Adds the rules that hold to a set.
    #[inline]
    pub(super) fn add_to(&self, machine: &mut Machine<'_>, set: &mut [u64]) {
        self.exact.iter().for_each(|group| group.add_to(machine, set));
        self.real.iter().for_each(|group| group.add_to(machine, set));
    }
}

/// The tests over one number, each with the rule's place.
type Tests<T> = Vec<(Operand, Vec<(usize, Test<T>)>)>;

fn collect<T: Number>(groups: &mut Tests<T>, at: usize, test: &Test<T>) {
    match groups.iter_mut().find(|(operand, _)| *operand == test.operand) {
        Some((_, tests)) => tests.push((at, *test)),
        None => groups.push((test.operand, vec![(at, *test)])),
    }
}

fn groups<T: Number>(tests: Tests<T>, words: usize) -> Box<[Group<T>]> {
    tests.into_iter().map(|(operand, tests)| Group::new(operand, &tests, words)).collect()
}

impl<T: Number> Group<T> {
    fn new(operand: Operand, tests: &[(usize, Test<T>)], words: usize) -> Self {
        let mut cuts: Vec<T> = tests.iter().flat_map(|(_, test)| [test.range.low, test.range.high]).collect();
        cuts.retain(|cut| *cut != T::LEAST && *cut != T::GREATEST);
        cuts.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        cuts.dedup();
        let set = |holds: &dyn Fn(&Test<T>) -> bool| -> Vec<u64> {
            let mut set = vec![0_u64; words];
            for (at, _) in tests.iter().filter(|(_, test)| holds(test)) {
                if let Some(word) = set.get_mut(at / 64) {
                    *word |= 1 << (at % 64);
                }
            }
            set
        };
        let mut classes = Vec::with_capacity((2 * cuts.len() + 2) * words);
        for above in 0..=cuts.len() {
            let (left, right) = (above.checked_sub(1).and_then(|at| cuts.get(at)), cuts.get(above));
            classes.extend(set(&|test| test.range.holds_between(left, right)));
            if let Some(cut) = right {
                classes.extend(set(&|test| test.range.holds(*cut)));
            }
        }
        classes.extend(set(&|test| test.if_missing == Some(true)));
        Self { operand, cuts: cuts.into(), classes: classes.into(), words }
    }

    #[inline]
    fn add_to(&self, machine: &mut Machine<'_>, set: &mut [u64]) {
        let class = self.operand.number::<T>(machine).map_or(2 * self.cuts.len() + 1, |it| self.class(it));
        if let [word] = set {
            *word |= self.classes.get(class).copied().unwrap_or(0);
            return;
        }
        let words = self.classes.get(class * self.words..(class + 1) * self.words).unwrap_or(&[]);
        set.iter_mut().zip(words).for_each(|(set, word)| *set |= word);
    }

    /// Which of the classes a number is in.
    #[inline]
    fn class(&self, number: T) -> usize {
        // A few cuts are looked through faster than searched.
        let mut class = 0;
        for cut in &self.cuts {
            if number < *cut {
                break;
            }
            class += 1 + usize::from(*cut < number);
        }
        class
    }
}
