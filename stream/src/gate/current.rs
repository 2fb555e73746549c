//! What is in force now and what was, and the change from one to the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::{Mutex, MutexGuard};
use rules::time::Micros;

use crate::in_force::InForce;
use crate::state::REPEAT_FOR;
use crate::state::directory::Directory;

/// The value in force, and those that were, which repeated ids still speak of.
#[derive(Debug)]
pub(crate) struct Current {
    /// Of the value in force: whoever holds another one fetches anew.
    number: AtomicU32,
    standing: Mutex<Standing>,
    /// Held by whoever changes what is in force: the engine clock when each of the others was replaced.
    replaced: Mutex<BTreeMap<u32, Micros>>,
}

/// What is in force and was, and the entities whose states are laid out as it says.
#[derive(Debug)]
struct Standing {
    all: BTreeMap<u32, Arc<InForce>>,
    directory: Arc<Directory>,
}

impl Current {
    /// Of the first value.
    pub(crate) fn new(first: Arc<InForce>) -> Self {
        let number = AtomicU32::new(first.number);
        let all = BTreeMap::from([(first.number, first)]);
        let standing = Mutex::new(Standing { all, directory: Arc::default() });
        Self { number, standing, replaced: Mutex::default() }
    }

    /// Of values by number, and entities; none if there is no value. When the others were replaced nobody knows: no later
    /// than at this engine clock.
    pub(crate) fn of_all(
        all: BTreeMap<u32, Arc<InForce>>,
        directory: Arc<Directory>,
        clock: Micros,
    ) -> Option<Self> {
        let (number, _) = all.last_key_value()?;
        let replaced = all.range(..number).map(|(number, _)| (*number, clock)).collect();
        let number = AtomicU32::new(*number);
        let standing = Mutex::new(Standing { all, directory });
        Some(Self { number, standing, replaced: Mutex::new(replaced) })
    }

    /// The number of the value in force.
    pub(crate) fn number(&self) -> u32 {
        self.number.load(Ordering::Acquire)
    }

    /// The value in force. INVARIANT (in force): there is one from the beginning, and the newest is never taken out.
    #[expect(clippy::expect_used, reason = "INVARIANT (in force)")]
    pub(crate) fn get(&self) -> Arc<InForce> {
        let standing = self.standing.lock();
        let (_, newest) = standing.all.last_key_value().expect("INVARIANT (in force)");
        Arc::clone(newest)
    }

    /// The value in force, and the entities whose states are laid out as it says.
    #[expect(clippy::expect_used, reason = "INVARIANT (in force)")]
    pub(crate) fn with_directory(&self) -> (Arc<InForce>, Arc<Directory>) {
        let standing = self.standing.lock();
        let (_, newest) = standing.all.last_key_value().expect("INVARIANT (in force)");
        (Arc::clone(newest), Arc::clone(&standing.directory))
    }

    /// The entities.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.standing.lock().directory)
    }

    /// The value of a number, if it is remembered.
    pub(crate) fn of(&self, number: u32) -> Option<Arc<InForce>> {
        self.standing.lock().all.get(&number).cloned()
    }

    /// All that are remembered, oldest first, a change that is under way with them; and the entities.
    pub(crate) fn all_when_quiet(&self) -> (Vec<Arc<InForce>>, Arc<Directory>) {
        let _one = self.replaced.lock();
        let standing = self.standing.lock();
        (standing.all.values().cloned().collect(), Arc::clone(&standing.directory))
    }

    /// What is in force, the last of them, and before it what was replaced so lately before this engine clock that it may be
    /// gone back to.
    pub(crate) fn lately(&self, clock: Micros) -> Vec<Arc<InForce>> {
        self.begin().lately(clock)
    }

    /// Puts in force what `make` makes of the value in force and its next number; one change at a time. Forgets what was
    /// replaced so long before `clock` that no repeat speaks of it.
    pub(crate) fn change<E>(
        &self,
        clock: Micros,
        make: impl FnOnce(&InForce, u32) -> Result<InForce, E>,
    ) -> Result<Arc<InForce>, E> {
        let change = self.begin();
        let old = self.get();
        Ok(change.put(make(&old, old.number + 1)?, None, clock))
    }

    /// Begins a change; until it ends there is no other.
    pub(crate) fn begin(&self) -> Changing<'_> {
        Changing { current: self, replaced: self.replaced.lock() }
    }
}

/// A change of what is in force that is under way.
#[derive(Debug)]
pub(crate) struct Changing<'a> {
    current: &'a Current,
    replaced: MutexGuard<'a, BTreeMap<u32, Micros>>,
}

impl Changing<'_> {
    /// As of [`Current::lately`].
    pub(crate) fn lately(&self, clock: Micros) -> Vec<Arc<InForce>> {
        let since = clock.saturating_sub(REPEAT_FOR);
        let standing = self.current.standing.lock();
        let is_late = |number: &u32| self.replaced.get(number).is_none_or(|at| since < *at);
        standing.all.iter().filter(|(number, _)| is_late(number)).map(|(_, it)| Arc::clone(it)).collect()
    }

    /// Ends it: the next value, with other entities if its states are laid out otherwise.
    pub(crate) fn put(
        mut self,
        new: InForce,
        directory: Option<Arc<Directory>>,
        clock: Micros,
    ) -> Arc<InForce> {
        let new = Arc::new(new);
        self.replaced.insert(self.current.number(), clock);
        let mut standing = self.current.standing.lock();
        // What is replaced has decided all that it will decide. Where it differed from the one before it in the contents of lists
        // only, its words are those of that one: else every change of a long list would leave a copy of it for a day.
        let mut newest_first = standing.all.iter_mut().rev();
        let gone = match (newest_first.next(), newest_first.next()) {
            (Some((number, it)), Some((_, before))) if it.says_the_same(before) => {
                let shared = Arc::new(InForce { number: *number, ..InForce::clone(before) });
                Some(std::mem::replace(it, shared))
            }
            _ => None,
        };
        standing.all.insert(new.number, Arc::clone(&new));
        if let Some(directory) = directory {
            standing.directory = directory;
        }
        self.replaced.retain(|number, at| {
            let spoken_of = clock.saturating_sub(REPEAT_FOR) < *at;
            spoken_of || standing.all.remove(number).is_none()
        });
        // Whoever has seen the new value must not find its number to be the old one still.
        self.current.number.store(new.number, Ordering::Release);
        drop(standing);
        // A long list is freed while nobody waits for it.
        drop(gone);
        new
    }
}

#[cfg(test)]
mod tests {
    use engine::entity::HashKey;
    use engine::rates::Rates;
    use rules::time::{DAY, HOUR};

    use super::*;
    use crate::bundle::{Bundle, BundleError};

    const RULES: &str = "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity user\nevent payment\n  user: user\n";

    fn first() -> InForce {
        let bundle = Arc::new(Bundle::of(&[("s.schema.weir", RULES), ("s.weir", "use schema s\n")]));
        InForce::compile(0, bundle, HashKey::new([0; 16])).unwrap()
    }

    fn next(old: &InForce, number: u32) -> Result<InForce, BundleError> {
        Ok(InForce { number, ..old.clone() })
    }

    /// What a process before had replaced is forgotten too.
    #[test]
    fn what_was_replaced_before_a_start_is_forgotten_a_day_behind_it() {
        let first = first();
        let second = next(&first, 1).unwrap();
        let all = BTreeMap::from([(0, Arc::new(first)), (1, Arc::new(second))]);
        let current = Current::of_all(all, Arc::default(), DAY).unwrap();
        let mut known = Vec::new();
        for clock in [DAY + HOUR, 2 * DAY, 3 * DAY] {
            current.change(clock, next).unwrap();
            known.push((0..5).filter(|number| current.of(*number).is_some()).collect::<Vec<_>>());
        }
        let expected: [&[u32]; 3] = [&[0, 1, 2], &[1, 2, 3], &[3, 4]];
        assert_eq!(known, expected);
    }

    /// Repeats ask for the words and the rates of a number, and these are the same, whatever lists held.
    #[test]
    fn what_differs_in_lists_only_is_there_once() {
        let current = Current::new(Arc::new(first()));
        let compiled =
            |old: &InForce, number| InForce::compile(number, old.bundle.clone().unwrap(), old.rules.key);
        for _ in 0..3 {
            current.change(0, compiled).unwrap();
        }
        let (all, _) = current.all_when_quiet();
        assert_eq!(all.iter().map(|it| it.number).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let (_, replaced) = all.split_last().unwrap();
        assert!(replaced.iter().all(|it| Arc::ptr_eq(&it.rules, &replaced[0].rules)));
        let rates = Rates::parse("currency,rate\nUSD,0.5\n", current.get().rates.base()).unwrap();
        let dearer = |old: &InForce, number| {
            Ok::<_, BundleError>(InForce { number, rates: Arc::new(rates.clone()), ..old.clone() })
        };
        current.change(0, dearer).unwrap();
        assert_ne!(
            current.of(3).unwrap().rates,
            current.get().rates,
            "amounts were converted by other rates"
        );
        let other = Bundle::of(&[
            ("s.schema.weir", RULES),
            ("s.weir", "use schema s\nfeature n = count(payment) by user over 1h\n"),
        ]);
        let key = current.get().rules.key;
        current.change(0, |_, number| InForce::compile(number, Arc::new(other), key)).unwrap();
        assert!(!Arc::ptr_eq(&current.of(4).unwrap().rules, &current.get().rules));
    }

    #[test]
    fn what_no_repeat_speaks_of_is_forgotten_and_what_is_in_force_never() {
        let current = Current::new(Arc::new(first()));
        let mut known = Vec::new();
        for clock in [Micros::MIN, DAY, DAY + HOUR, 2 * DAY, 2 * DAY + HOUR, 9 * DAY] {
            current.change(clock, next).unwrap();
            known.push((0..8).filter(|number| current.of(*number).is_some()).collect::<Vec<_>>());
        }
        let expected: [&[u32]; 6] = [&[1], &[1, 2], &[1, 2, 3], &[2, 3, 4], &[3, 4, 5], &[5, 6]];
        assert_eq!(known, expected);
        assert_eq!((current.number(), current.get().number), (6, 6));
    }
}
