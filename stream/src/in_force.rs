//! What is in force: one immutable value under one number. Every change of any of it is another value under the next
//! number, and a record; so the number in a record's stamp names all that its decision read beside the past.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use engine::entity::HashKey;
use engine::rates::Rates;
use engine::rule_set::RuleSet;
use parking_lot::Mutex;

use crate::bundle::{Bundle, BundleError};

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
    /// Held by whoever changes what is in force.
    changing: Mutex<()>,
}

impl Current {
    /// Of the first value.
    pub(crate) fn new(first: Arc<InForce>) -> Self {
        let number = AtomicU32::new(first.number);
        Self { number, all: Mutex::new(BTreeMap::from([(first.number, first)])), changing: Mutex::new(()) }
    }

    /// Of values by number; none if there is none.
    pub(crate) fn of_all(all: BTreeMap<u32, Arc<InForce>>) -> Option<Self> {
        let (number, _) = all.last_key_value()?;
        Some(Self { number: AtomicU32::new(*number), all: Mutex::new(all), changing: Mutex::new(()) })
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
        let _one = self.changing.lock();
        self.all.lock().values().cloned().collect()
    }

    /// Puts in force what `make` makes of the value in force and its next number; one change at a time.
    pub(crate) fn change<E>(
        &self,
        make: impl FnOnce(&InForce, u32) -> Result<InForce, E>,
    ) -> Result<Arc<InForce>, E> {
        let _one = self.changing.lock();
        let old = self.get();
        let new = Arc::new(make(&old, old.number + 1)?);
        self.all.lock().insert(new.number, Arc::clone(&new));
        self.number.store(new.number, Ordering::Release);
        Ok(new)
    }
}
