//! What was in force under each number, as the records of a journal say it one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::decide::Scratch;
use engine::entity::HashKey;
use engine::rates::Rates;

use super::Failed;
use crate::gate::with_value;
use crate::in_force::{InForce, Kept};
use crate::record::{ListRecord, RatesRecord, RuleSetRecord, SEMANTICS, WarmRecord};

/// So many that were in force last stay as they were: a record may have been made by one that was replaced while it was on
/// its way to the journal.
const WHOLE: usize = 64;

/// What was in force, by number.
#[derive(Debug)]
pub(super) struct Numbers {
    key: HashKey,
    all: BTreeMap<u32, Loaded>,
    /// Whose features the first rule set keeps up.
    kept: Kept,
}

/// What is in force under a number, with what its events are loaded into.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) in_force: Arc<InForce>,
    pub(super) scratch: Scratch,
}

impl Loaded {
    pub(super) fn new(in_force: Arc<InForce>) -> Self {
        Self { scratch: Scratch::new(&in_force.rules), in_force }
    }
}

impl Numbers {
    /// Those that are known already; the first rule set to come keeps up the features of others.
    pub(super) fn new(key: HashKey, known: impl IntoIterator<Item = Arc<InForce>>, kept: Kept) -> Self {
        Self { key, all: known.into_iter().map(|it| (it.number, Loaded::new(it))).collect(), kept }
    }

    /// What is in force under a number.
    pub(super) fn get(&mut self, number: u32) -> Result<&mut Loaded, Failed> {
        self.all.get_mut(&number).ok_or(Failed::Number(number))
    }

    /// What was in force last.
    pub(super) fn newest(&self) -> Option<Arc<InForce>> {
        self.all.last_key_value().map(|(_, it)| Arc::clone(&it.in_force))
    }

    /// What was in force before a number.
    pub(super) fn before(&self, number: u32) -> Option<Arc<InForce>> {
        self.all.range(..number).next_back().map(|(_, it)| Arc::clone(&it.in_force))
    }

    /// Leaves the last and these.
    pub(super) fn retain(&mut self, numbers: &BTreeSet<u32>) {
        let last = self.all.last_key_value().map(|(number, _)| *number);
        self.all.retain(|number, _| Some(*number) == last || numbers.contains(number));
    }

    /// All of them. The last goes on with all state that it asks for; what comes next may ask for more.
    pub(super) fn into_all(self) -> BTreeMap<u32, Arc<InForce>> {
        let mut all: BTreeMap<_, _> =
            self.all.into_iter().map(|(number, it)| (number, it.in_force)).collect();
        if let Some(mut last) = all.last_entry() {
            let whole = last.get().remembering_all();
            last.insert(Arc::new(whole));
        }
        all
    }

    /// Puts another value in force.
    pub(super) fn put(&mut self, new: InForce) {
        self.all.insert(new.number, Loaded::new(Arc::new(new)));
        self.share_oldest();
    }

    /// What no record can be decided by any more shares all that it says with the one before it, if that is the same: else every
    /// change of a long list would leave a copy of it until the last record.
    fn share_oldest(&mut self) {
        let mut old = self.all.values_mut().rev().skip(WHOLE);
        let (Some(newer), Some(older)) = (old.next(), old.next()) else { return };
        if newer.in_force.says_the_same(&older.in_force) {
            let shared = InForce { number: newer.in_force.number, ..InForce::clone(&older.in_force) };
            newer.in_force = Arc::new(shared);
        }
    }

    /// The rule set that a record puts in force under a number; none if it is known already.
    pub(super) fn compile(&self, number: u32, message: RuleSetRecord) -> Result<Option<InForce>, Failed> {
        if self.all.contains_key(&number) {
            return Ok(None);
        }
        if SEMANTICS < message.semantics {
            return Err(Failed::Semantics(message.semantics));
        }
        let bundle = Arc::new(message.bundle);
        let new = match self.before(number) {
            None => InForce::keeping(number, bundle, self.key, &self.kept),
            Some(old) => old.followed_by(number, bundle),
        };
        let new = new.map_err(Failed::Bundle)?;
        if new.rules.typed.hash[..] != message.hash[..] {
            return Err(Failed::Hash);
        }
        Ok(Some(new))
    }

    /// Other rates.
    pub(super) fn rates(&mut self, number: u32, message: RatesRecord) -> Result<(), Failed> {
        self.follow(number, |old| {
            let mut bundle = old.bundle.as_deref().cloned().unwrap_or_default();
            let currency = old.rules.typed.schema.currency;
            let rates =
                Rates::parse(&message.rates.text, currency).map_err(|it| Failed::Rates(it.to_string()))?;
            bundle.rates = Some(message.rates);
            Ok(InForce { number, rates: Arc::new(rates), bundle: Some(Arc::new(bundle)), ..old.clone() })
        })
    }

    /// A value in a list of plain values, or no more.
    pub(super) fn value(&mut self, number: u32, message: &ListRecord, value: &str) -> Result<(), Failed> {
        self.follow(number, |old| {
            let new = with_value(old, number, &message.list, value, !message.removed);
            new.map_err(|it| Failed::List(it.to_string()))
        })
    }

    /// Lets what is in force go on under another number, with features that are not complete yet, and knowing the schema
    /// of those that were built: events may be of it from here on. Whoever has state of what was in force looks whether
    /// that `fits` what is from here on.
    pub(super) fn warm(
        &mut self,
        number: u32,
        message: &WarmRecord,
        fits: impl FnOnce(&InForce, &InForce) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        self.follow(number, |old| {
            let knowing = old.knowing(number, &message.bundle).map_err(Failed::Bundle)?;
            fits(old, &knowing)?;
            knowing.lacking(&message.lacking).map_err(Failed::Bundle)
        })
    }

    /// Puts in force what `make` makes of what was in force before, unless the number is known already.
    fn follow(
        &mut self,
        number: u32,
        make: impl FnOnce(&InForce) -> Result<InForce, Failed>,
    ) -> Result<(), Failed> {
        if self.all.contains_key(&number) {
            return Ok(());
        }
        let old = self.before(number).ok_or(Failed::Number(number))?;
        self.put(make(&old)?);
        Ok(())
    }
}
