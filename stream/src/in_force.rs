//! What is in force: one immutable value under one number. Every change of any of it is another value under the next
//! number, and a record; so the number in a record's stamp names all that its decision read beside the past.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::entity::HashKey;
use engine::rates::Rates;
use engine::rule_set::RuleSet;
use rules::TooManyFeatures;
use rules::time::Micros;
use rules::typed::{Captured, Feature};

use crate::bundle::{Bundle, BundleError};
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

/// Rule sets whose features are kept up beside those in force: they were in force lately, or are about to be.
///
/// All that is in force one after the other keeps up the same features, its own among them, and so lays the state out
/// in the same way: only [`crate::gate::Gate::activate_built`] changes that. And it knows the same schema, which only grows: the
/// journal holds events of all that was ever known.
#[derive(Clone, Default, Debug)]
pub(crate) struct Kept {
    all: Vec<Arc<(Bundle, rules::typed::RuleSet)>>,
    /// Those whose features are not kept up, because no state of them is there, and whose schema may be that of events.
    known: Vec<Arc<(Bundle, rules::typed::RuleSet)>>,
    /// What of these features is not complete yet.
    warming: Arc<Warming>,
    /// The definition hashes of the features that have state, where others may be spoken of that have none any more; none:
    /// all have.
    only: Option<Arc<BTreeSet<[u8; 16]>>>,
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
            if kept.has(|it| it.0.sources == bundle.sources) {
                continue;
            }
            // What lists held, and rates, are no matter of a schema.
            let new = checked(Bundle { lists: Vec::new(), rates: None, ..bundle })?;
            if !kept.has(|it| says_the_same_of_events(&it.1, &new.1)) {
                kept.known.push(new);
            }
        }
        Ok(kept)
    }

    /// Whether such a rule set is kept or known.
    fn has(&self, is: impl Fn(&(Bundle, rules::typed::RuleSet)) -> bool) -> bool {
        self.all.iter().chain(&self.known).any(|it| is(it))
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

    /// What is kept up once state is built for a rule set: its features, and those of what was in force so lately that it may
    /// be gone back to. Of all others the schema stays known.
    ///
    /// # Errors
    /// If the texts of one have errors.
    pub(crate) fn built_for(&self, bundle: &Bundle, lately: &[Arc<InForce>]) -> Result<Self, BundleError> {
        let none = Self { all: Vec::new(), known: Vec::new(), ..self.clone() };
        let lately = lately.iter().filter_map(|it| it.bundle.as_deref());
        let kept = lately.chain([bundle]).try_fold(none, |kept, it| kept.and(it))?;
        kept.knowing(self.known_bundles().chain(self.bundles()).cloned())
    }

    /// The same rule sets, of whose features only those have state that these rules have too.
    #[must_use]
    pub(crate) fn only_of(&self, rules: &rules::typed::RuleSet) -> Self {
        let only = with_state(rules).map(|it| it.hash).collect();
        Self { only: Some(Arc::new(only)), ..self.clone() }
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
        self.all.iter().try_for_each(|it| rules.keep_up(&it.1))?;
        if let Some(only) = &self.only {
            rules.remember_only(|hash| only.contains(hash));
        }
        Ok(())
    }

    /// What is kept; these features are not complete yet, beside those that are known not to be.
    #[must_use]
    pub(crate) fn lacking(&self, features: &[Lacking]) -> Self {
        let warming = Arc::new(self.warming.and(Warming::of(features)));
        Self { warming, ..self.clone() }
    }
}

/// The features that have a state of their own.
fn with_state(rules: &rules::typed::RuleSet) -> impl Iterator<Item = &Feature> {
    rules.features.iter().filter(|it| it.aggregate().is_some())
}

/// The features that are kept with each event.
fn captured(rules: &rules::typed::RuleSet) -> impl Iterator<Item = &Feature> {
    rules.features.iter().filter(|it| it.captured != Captured::No)
}

/// Whether two rule sets make the same known of what events and lists may hold.
fn says_the_same_of_events(one: &rules::typed::RuleSet, other: &rules::typed::RuleSet) -> bool {
    let lists = |of: &rules::typed::RuleSet| {
        of.lists.iter().map(|it| (it.name.clone(), it.of, it.text_bytes_max)).collect::<Vec<_>>()
    };
    one.schema == other.schema && lists(one) == lists(other)
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
        let blind_until = kept.warming.blind_by_feature(&checked.rules);
        let rules = checked.compile(key)?.warming_until(warming_until).blind_until(blind_until);
        let rules = Arc::new(rules);
        let rates = Arc::new(checked.rates);
        Ok(Self { number, rules, rates, bundle: Some(bundle), kept: kept.clone() })
    }

    /// What a bundle is in its place: it keeps up all that this one has and keeps up, and knows all that this one knows.
    pub(crate) fn followed_by(&self, number: u32, bundle: Arc<Bundle>) -> Result<Self, BundleError> {
        let (key, old) = (self.rules.key, &self.rules.typed);
        let new = Self::keeping(number, Arc::clone(&bundle), key, &self.kept)?;
        let has = |hash| new.rules.typed.features.iter().any(|it| it.hash == hash);
        let has_all = with_state(old).all(|it| has(it.hash));
        let knows_all = || !rules::typed::RuleSet::clone(&new.rules.typed).widen(old);
        match &self.bundle {
            // Where only some features have state, all of these are kept up already.
            Some(own) if self.kept.only.is_some() && !knows_all() => {
                Self::keeping(number, bundle, key, &self.kept.knowing([Bundle::clone(own)])?)
            }
            Some(own) if !has_all || !knows_all() => Self::keeping(number, bundle, key, &self.kept.and(own)?),
            _ => Ok(new),
        }
    }

    /// What is in force, keeping up the features of these; the same where nobody has its texts.
    ///
    /// # Errors
    /// If its texts have errors.
    pub(crate) fn keeping_up(&self, kept: &Kept) -> Result<Self, BundleError> {
        match &self.bundle {
            Some(own) => Self::keeping(self.number, Arc::clone(own), self.rules.key, kept),
            None => Ok(self.clone()),
        }
    }

    /// This without that limit: which features the next rule set needs is not known yet.
    pub(crate) fn remembering_all(&self) -> Self {
        let kept = Kept { only: None, ..self.kept.clone() };
        Self { kept, ..self.clone() }
    }

    /// What is in force, under another number, knowing the schema of a bundle.
    pub(crate) fn knowing(&self, number: u32, bundle: &Bundle) -> Result<Self, BundleError> {
        let kept = self.kept.knowing([bundle.clone()])?;
        match &self.bundle {
            Some(own) => Self::keeping(number, Arc::clone(own), self.rules.key, &kept),
            None => Ok(Self { number, ..self.clone() }),
        }
    }

    /// Whether decisions under another value would be told in the same words: it differs in the contents of lists only, and in
    /// what is kept up and known beside.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        self.rules.typed.hash == other.rules.typed.hash && self.rates == other.rates
    }

    /// Whether its schema and rules are written as those of another, comments, tests and names of files among them.
    pub(crate) fn is_written_as(&self, other: &Self) -> bool {
        match (&self.bundle, &other.bundle) {
            (Some(own), Some(other)) => own.sources == other.sources,
            _ => self.rules.typed.hash == other.rules.typed.hash,
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

    /// The definition hashes of the features that are captured here and are not there.
    pub(crate) fn captured_only_here(&self, there: &Self) -> impl Iterator<Item = [u8; 16]> {
        let theirs: BTreeSet<_> = captured(&there.rules.typed).map(|it| it.hash).collect();
        captured(&self.rules.typed).map(|it| it.hash).filter(move |it| !theirs.contains(it))
    }

    /// The name of the first captured feature that is among these, by definition hash.
    pub(crate) fn captured_among(&self, hashes: &[Vec<u8>]) -> Option<&str> {
        let mut among = captured(&self.rules.typed).filter(|it| hashes.iter().any(|hash| *hash == it.hash));
        among.next().map(|it| it.name.as_str())
    }

    /// What is not complete yet, for snapshots.
    pub(crate) fn to_lacking(&self) -> Vec<Lacking> {
        self.kept.warming.to_records()
    }
}
