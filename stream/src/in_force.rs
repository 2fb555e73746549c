//! What is in force: one immutable value under one number. Every change of any of it is another value under the next
//! number, and a record; so the number in a record's stamp names all that its decision read beside the past.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use engine::entity::HashKey;
use engine::rates::Rates;
use engine::rule_set::RuleSet;
use parking_lot::{Mutex, MutexGuard};
use rules::TooManyFeatures;
use rules::time::Micros;
use rules::typed::Definition;

use crate::bundle::{Bundle, BundleError};
use crate::gate::REPEAT_FOR;
use crate::gate::directory::Directory;
use crate::record::Lacking;
use crate::warming::{Warming, latest, read_by_rule};

/// What is in force.
#[derive(Clone, Debug)]
pub struct InForce {
    /// Its number: 0 for the first, then each one more.
    pub number: u32,
    /// Rules, and what lists of plain values hold.
    pub rules: Arc<RuleSet>,
    /// What money in other currencies is worth.
    pub rates: Arc<Rates>,
    /// All of it as texts; none where nobody will ask for them.
    pub bundle: Option<Arc<Bundle>>,
    /// Whose features are kept up beside its own.
    pub(crate) kept: Kept,
}

/// Rule sets whose features are kept up beside those in force: they were in force, or are about to be.
///
/// All that is in force one after the other keeps up the same features, its own among them, and so lays the state out
/// in the same way: only [`crate::gate::Gate::build`] changes that. And it knows the same schema, which only grows: the
/// journal holds events of all that was ever known.
#[derive(Clone, Default, Debug)]
pub(crate) struct Kept {
    all: Vec<Arc<(Bundle, rules::typed::RuleSet)>>,
    /// Those whose features are not kept up, because no state of them is there, and whose schema may be that of events.
    known: Vec<Arc<(Bundle, rules::typed::RuleSet)>>,
    /// What of these features is not complete yet.
    warming: Arc<Warming>,
}

impl Kept {
    /// Of bundles.
    ///
    /// # Errors
    /// If the texts of one have errors.
    pub(crate) fn of(bundles: impl IntoIterator<Item = Bundle>) -> Result<Self, BundleError> {
        let all = bundles.into_iter().map(checked).collect::<Result<_, _>>()?;
        Ok(Self { all, ..Self::default() })
    }

    /// What is kept, knowing the schemas of these too.
    ///
    /// # Errors
    /// If the texts of one have errors.
    pub(crate) fn knowing(&self, bundles: impl IntoIterator<Item = Bundle>) -> Result<Self, BundleError> {
        let mut kept = self.clone();
        for bundle in bundles {
            let mut here = kept.all.iter().chain(&kept.known);
            if !here.any(|it| it.0.sources == bundle.sources) {
                kept.known.push(checked(bundle)?);
            }
        }
        Ok(kept)
    }

    /// What is kept and one more, if it is not among them.
    ///
    /// # Errors
    /// If its texts have errors.
    pub(crate) fn and(&self, bundle: &Bundle) -> Result<Self, BundleError> {
        let mut kept = self.clone();
        if !kept.all.iter().any(|it| it.0.sources == bundle.sources) {
            kept.all.extend(Self::of([bundle.clone()])?.all);
        }
        Ok(kept)
    }

    /// Their texts.
    pub(crate) fn bundles(&self) -> impl Iterator<Item = &Bundle> {
        self.all.iter().map(|it| &it.0)
    }

    /// The texts of those of which only the schema is known.
    pub(crate) fn known_bundles(&self) -> impl Iterator<Item = &Bundle> {
        self.known.iter().map(|it| &it.0)
    }

    /// Adds to a rule set what is kept up and known.
    fn grow(&self, rules: &mut rules::typed::RuleSet) -> Result<(), TooManyFeatures> {
        for it in &self.known {
            rules.widen(&it.1);
        }
        self.all.iter().try_for_each(|it| rules.keep_up(&it.1))
    }

    /// What is kept; these features are not complete yet, beside those that are known not to be.
    #[must_use]
    pub(crate) fn lacking(&self, features: &[Lacking]) -> Self {
        let warming = Arc::new(self.warming.and(Warming::of(features)));
        Self { warming, ..self.clone() }
    }
}

/// A bundle with what it says.
fn checked(bundle: Bundle) -> Result<Arc<(Bundle, rules::typed::RuleSet)>, BundleError> {
    let rules = bundle.check()?.rules;
    Ok(Arc::new((bundle, rules)))
}

impl InForce {
    /// What is in force first, whose texts are kept where its state is.
    pub fn first(rules: Arc<RuleSet>, rates: Arc<Rates>, bundle: Option<Arc<Bundle>>) -> Self {
        Self { number: 0, rules, rates, bundle, kept: Kept::default() }
    }

    /// Makes a bundle ready to decide.
    ///
    /// # Errors
    /// If its texts have errors.
    pub fn compile(number: u32, bundle: Arc<Bundle>, key: HashKey) -> Result<Self, BundleError> {
        Self::keeping(number, bundle, key, &Kept::default())
    }

    /// A rule set as [`InForce::compile`] gives it, keeping up the features of others.
    pub(crate) fn keeping(
        number: u32,
        bundle: Arc<Bundle>,
        key: HashKey,
        kept: &Kept,
    ) -> Result<Self, BundleError> {
        let checked = bundle.check_growing(|rules| kept.grow(rules))?;
        let warming_until = kept.warming.by_event(&checked.rules);
        let rules = Arc::new(checked.compile(key)?.warming_until(warming_until));
        let rates = Arc::new(checked.rates);
        Ok(Self { number, rules, rates, bundle: Some(bundle), kept: kept.clone() })
    }

    /// What a bundle is in its place: it keeps up all that this one has and keeps up, and knows all that this one knows.
    pub(crate) fn followed_by(&self, number: u32, bundle: Arc<Bundle>) -> Result<Self, BundleError> {
        let (key, old) = (self.rules.key, &self.rules.typed);
        let new = Self::keeping(number, Arc::clone(&bundle), key, &self.kept)?;
        let has = |hash| new.rules.typed.features.iter().any(|it| it.hash == hash);
        let mut with_state =
            old.features.iter().filter(|it| matches!(it.definition, Definition::Aggregate(_)));
        let has_all = with_state.all(|it| has(it.hash));
        let knows_all = || !rules::typed::RuleSet::clone(&new.rules.typed).widen(old);
        match &self.bundle {
            Some(own) if !has_all || !knows_all() => Self::keeping(number, bundle, key, &self.kept.and(own)?),
            _ => Ok(new),
        }
    }

    /// What is in force, under another number, knowing the schema of a bundle.
    pub(crate) fn knowing(&self, number: u32, bundle: &Bundle) -> Result<Self, BundleError> {
        let kept = self.kept.knowing([bundle.clone()])?;
        match &self.bundle {
            Some(own) => Self::keeping(number, Arc::clone(own), self.rules.key, &kept),
            None => Ok(Self { number, ..self.clone() }),
        }
    }

    /// A bundle that is to follow, with the rates and list contents that it leaves as they are.
    pub(crate) fn completing(&self, bundle: &Arc<Bundle>) -> Arc<Bundle> {
        let whole = self.bundle.as_ref().map(|own| bundle.with_contents_of(own, &self.rules.typed.lists));
        whole.map_or_else(|| Arc::clone(bundle), Arc::new)
    }

    /// From when on each feature is complete, by number; none: always.
    pub fn features_complete(&self) -> Vec<Option<Micros>> {
        self.kept.warming.by_feature(&self.rules.typed)
    }

    /// From when on all is complete that each rule reads, by number; none: always.
    pub fn rules_complete(&self) -> Vec<Option<Micros>> {
        let features = self.features_complete();
        self.rules.typed.rules.iter().map(|rule| latest(read_by_rule(rule), &features)).collect()
    }

    /// What is in force; of its features these are not complete yet.
    ///
    /// # Errors
    /// If its texts have errors.
    pub(crate) fn lacking(self, features: &[Lacking]) -> Result<Self, BundleError> {
        match &self.bundle {
            Some(bundle) if !features.is_empty() => {
                Self::keeping(self.number, Arc::clone(bundle), self.rules.key, &self.kept.lacking(features))
            }
            _ => Ok(self),
        }
    }

    /// What is not complete yet, for snapshots.
    pub(crate) fn to_lacking(&self) -> Vec<Lacking> {
        self.kept.warming.to_records()
    }
}

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

    /// The value in force. INVARIANT (in force): there is one from the beginning, and none is ever taken out.
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
        standing.all.insert(new.number, Arc::clone(&new));
        if let Some(directory) = directory {
            standing.directory = directory;
        }
        self.replaced.retain(|number, at| {
            let spoken_of = clock.saturating_sub(REPEAT_FOR) < *at;
            spoken_of || standing.all.remove(number).is_none()
        });
        drop(standing);
        self.current.number.store(new.number, Ordering::Release);
        new
    }
}

#[cfg(test)]
mod tests {
    use rules::time::{DAY, HOUR};

    use super::*;

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
