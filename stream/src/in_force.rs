//! What is in force: one immutable value under one number. Every change of any of it is another value under the next
//! number, and a record; so the number in a record's stamp names all that its decision read beside the past.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use engine::entity::HashKey;
use engine::rates::Rates;
use engine::rule_set::RuleSet;
use parking_lot::Mutex;
use rules::time::Micros;

use crate::bundle::{Bundle, BundleError};
use crate::gate::REPEAT_FOR;

/// What is in force.
#[derive(Clone, Debug)]
pub struct InForce {
    /// Its number: 0 for the first, then each one more.
    pub number: u32,
    /// Rules, and what lists of plain values hold.
    pub rules: Arc<RuleSet>,
    /// What money in other currencies is worth.
    pub rates: Arc<Rates>,
    /// All of it as texts; none over a journal that keeps nothing.
    pub bundle: Option<Arc<Bundle>>,
}

impl InForce {
    /// Makes a bundle ready to decide.
    ///
    /// # Errors
    /// If its texts have errors.
    pub fn compile(number: u32, bundle: Arc<Bundle>, key: HashKey) -> Result<Self, BundleError> {
        let checked = bundle.check()?;
        let rules = Arc::new(checked.compile(key)?);
        Ok(Self { number, rules, rates: Arc::new(checked.rates), bundle: Some(bundle) })
    }
}

/// The value in force, and those that were, which repeated ids still speak of.
#[derive(Debug)]
pub(crate) struct Current {
    /// Of the value in force: whoever holds another one fetches anew.
    number: AtomicU32,
    all: Mutex<BTreeMap<u32, Arc<InForce>>>,
    /// Held by whoever changes what is in force: the engine clock when each of the others was replaced.
    replaced: Mutex<BTreeMap<u32, Micros>>,
}

impl Current {
    /// Of the first value.
    pub(crate) fn new(first: Arc<InForce>) -> Self {
        let number = AtomicU32::new(first.number);
        Self { number, all: Mutex::new(BTreeMap::from([(first.number, first)])), replaced: Mutex::default() }
    }

    /// Of values by number; none if there is none.
    pub(crate) fn of_all(all: BTreeMap<u32, Arc<InForce>>) -> Option<Self> {
        let (number, _) = all.last_key_value()?;
        Some(Self { number: AtomicU32::new(*number), all: Mutex::new(all), replaced: Mutex::default() })
    }

    /// The number of the value in force.
    pub(crate) fn number(&self) -> u32 {
        self.number.load(Ordering::Acquire)
    }

    /// The value in force. INVARIANT (in force): there is one from the beginning, and none is ever taken out.
    #[expect(clippy::expect_used, reason = "INVARIANT (in force)")]
    pub(crate) fn get(&self) -> Arc<InForce> {
        let all = self.all.lock();
        let (_, newest) = all.last_key_value().expect("INVARIANT (in force)");
        Arc::clone(newest)
    }

    /// The value of a number, if it is remembered.
    pub(crate) fn of(&self, number: u32) -> Option<Arc<InForce>> {
        self.all.lock().get(&number).cloned()
    }

    /// All that are remembered, oldest first, a change that is under way with them.
    pub(crate) fn all_when_quiet(&self) -> Vec<Arc<InForce>> {
        let _one = self.replaced.lock();
        self.all.lock().values().cloned().collect()
    }

    /// Puts in force what `make` makes of the value in force and its next number; one change at a time. Forgets what was
    /// replaced so long before `clock` that no repeat speaks of it.
    pub(crate) fn change<E>(
        &self,
        clock: Micros,
        make: impl FnOnce(&InForce, u32) -> Result<InForce, E>,
    ) -> Result<Arc<InForce>, E> {
        let mut replaced = self.replaced.lock();
        let old = self.get();
        let new = Arc::new(make(&old, old.number + 1)?);
        replaced.insert(old.number, clock);
        let mut all = self.all.lock();
        all.insert(new.number, Arc::clone(&new));
        replaced.retain(|number, at| {
            let spoken_of = clock.saturating_sub(REPEAT_FOR) < *at;
            spoken_of || all.remove(number).is_none()
        });
        drop(all);
        self.number.store(new.number, Ordering::Release);
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use rules::time::{DAY, HOUR};

    use super::*;
    use crate::bundle::File;

    const RULES: &str = "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity user\nevent payment\n  user: user\n";

    #[test]
    fn what_no_repeat_speaks_of_is_forgotten_and_what_is_in_force_never() {
        let file = |name: &str, text: &str| File { name: name.to_owned(), text: text.to_owned() };
        let sources = vec![file("s.schema.weir", RULES), file("s.weir", "use schema s\n")];
        let bundle = Arc::new(Bundle { sources, ..Bundle::default() });
        let first = InForce::compile(0, bundle, HashKey::new([0; 16])).unwrap();
        let current = Current::new(Arc::new(first));
        let mut known = Vec::new();
        for clock in [Micros::MIN, DAY, DAY + HOUR, 2 * DAY, 2 * DAY + HOUR, 9 * DAY] {
            let next = |old: &InForce, number| Ok::<_, BundleError>(InForce { number, ..old.clone() });
            current.change(clock, next).unwrap();
            known.push((0..8).filter(|number| current.of(*number).is_some()).collect::<Vec<_>>());
        }
        let expected: [&[u32]; 6] = [&[1], &[1, 2], &[1, 2, 3], &[2, 3, 4], &[3, 4, 5], &[5, 6]];
        assert_eq!(known, expected);
        assert_eq!((current.number(), current.get().number), (6, 6));
    }
}
