//! How a snapshot's columns are to be read: what state its rule set kept, named so that another rule set can tell
//! which of it is what it needs.
//!
//! A column, a membership condition and an occurrence have a number in their plan and no meaning outside it. Their
//! names here hold in every plan: what stands in the row, or the definition hash of a feature that asks. A condition
//! with a test is shared by all features that ask the same, so it has as many names; any of them will do.

use std::collections::BTreeMap;

use engine::hex::hex;
use engine::plan::{ColumnSource, Condition, FeaturePlan, KindPlan, WindowPlan};
use engine::rule_set::RuleSet;
use prost::Message;
use rules::schema::{FieldId, FieldType, KindId};
use rules::typed::{FeatureId, List, ListId, ListKind};

use super::schema;

/// The state that a rule set keeps.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Layout {
    /// What numbers in the state stand for.
    #[prost(message, repeated, tag = "1")]
    pub(super) shape: Vec<Names>,
    /// By kind.
    #[prost(message, repeated, tag = "2")]
    pub(super) kinds: Vec<KindLayout>,
    /// Features with a state, in file order.
    #[prost(message, repeated, tag = "3")]
    pub(super) features: Vec<Feature>,
    /// Lists by number: name, and what they hold.
    #[prost(string, repeated, tag = "4")]
    pub(super) lists: Vec<String>,
}

/// The columns that entities of a kind have.
#[derive(Clone, PartialEq, Message)]
pub(super) struct KindLayout {
    /// Of a history's rows.
    #[prost(string, repeated, tag = "1")]
    pub(super) columns: Vec<String>,
    /// Of its membership bits.
    #[prost(message, repeated, tag = "2")]
    pub(super) conditions: Vec<Names>,
    /// Of what is kept without rows.
    #[prost(message, repeated, tag = "3")]
    pub(super) occurrences: Vec<Names>,
}

/// A feature with a state.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Feature {
    /// Of its definition.
    #[prost(string, tag = "1")]
    pub(super) hash: String,
    /// As declared.
    #[prost(string, tag = "2")]
    pub(super) name: String,
}

/// Several names: of one thing, or of what it consists of, the first being its own.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Names {
    #[prost(string, repeated, tag = "1")]
    pub(super) names: Vec<String>,
}

impl FromIterator<String> for Names {
    fn from_iter<T: IntoIterator<Item = String>>(names: T) -> Self {
        Self { names: names.into_iter().collect() }
    }
}

impl Layout {
    /// Of the state that a rule set keeps.
    pub(super) fn of(rules: &RuleSet) -> Self {
        let namer = Namer(rules);
        let typed = &rules.typed;
        let stateful = typed.features.iter().zip(&rules.plan.features);
        let stateful = stateful.filter(|(_, plan)| **plan != FeaturePlan::Computed).map(|(it, _)| it);
        Self {
            shape: namer.shape(),
            kinds: (0u16..).zip(&rules.plan.kinds).map(|(id, it)| namer.kind(KindId(id), it)).collect(),
            features: stateful.map(|it| Feature { hash: hex(&it.hash), name: it.name.clone() }).collect(),
            lists: typed.lists.iter().map(|it| format!("{}: {}", it.name, namer.list_kind(it.of))).collect(),
        }
    }

    /// The first thing by which `other`'s numbers would not mean the same here. What was added behind the rest is no
    /// such thing.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        other.shape.iter().find_map(|theirs| {
            let ours = self.shape.iter().find(|it| it.names.first() == theirs.names.first());
            schema::moved(theirs, ours)
        })
    }

    /// The lists here that `other` does not have, or that hold something else there.
    pub(super) fn new_lists(&self, other: &Self) -> Vec<ListId> {
        let lists = (0..).map(ListId).zip(&self.lists);
        lists.filter(|(_, it)| !other.lists.contains(it)).map(|(id, _)| id).collect()
    }

    /// The features with a state here that `other` does not have.
    pub(super) fn missing_in(&self, other: &Self) -> Vec<String> {
        let missing = |it: &&Feature| other.features.iter().all(|known| known.hash != it.hash);
        self.features.iter().filter(missing).map(|it| it.name.clone()).collect()
    }
}

/// Puts names to the numbers of one rule set.
struct Namer<'a>(&'a RuleSet);

impl Namer<'_> {
    /// What kinds, event types, their fields and the values of enums are called, in the order of their numbers.
    fn shape(&self) -> Vec<Names> {
        let schema = &self.0.typed.schema;
        let own = |name: String, rest: &mut dyn Iterator<Item = String>| {
            std::iter::once(name).chain(rest).collect()
        };
        let mut shape: Vec<Names> = vec![
            own("the list of kinds".into(), &mut schema.kinds.iter().map(|it| it.name.clone())),
            own("the list of event types".into(), &mut schema.events.iter().map(|it| it.name.clone())),
        ];
        for event in &schema.events {
            let optional = |optional| if optional { "?" } else { "" };
            let mut fields =
                event.fields.iter().map(|it| format!("{}{}", self.field(it.field), optional(it.optional)));
            shape.push(own(format!("event type `{}`", event.name), &mut fields));
        }
        for it in &schema.enums {
            shape.push(own(format!("enum `{}`", it.name), &mut it.values.iter().cloned()));
        }
        shape
    }

    fn kind(&self, kind: KindId, plan: &KindPlan) -> KindLayout {
        let conditions = plan.conditions.iter().enumerate().map(|(at, it)| match &it.test {
            Some(_) => self.askers(kind, plan, at),
            None => Names { names: vec![self.condition(it)] },
        });
        let occurrences = (0..plan.occurrences.len()).map(|at| {
            let asks =
                |plan: &FeaturePlan| matches!(plan, FeaturePlan::Occurrence { at: of, .. } if *of == at);
            self.features_of(kind).filter(|(_, plan)| asks(plan)).map(|(hash, _)| hash).collect()
        });
        KindLayout {
            columns: plan.columns.iter().map(|it| self.source(&it.source)).collect(),
            conditions: conditions.collect(),
            occurrences: occurrences.collect(),
        }
    }

    /// Names a condition with a test by all features that ask it.
    fn askers(&self, kind: KindId, plan: &KindPlan, condition: usize) -> Names {
        let asks = |window| {
            let window: Option<&engine::history::Window> = plan.history.input().windows.get(window);
            window.and_then(|it| it.condition).is_some_and(|it| it.index() == condition)
        };
        let mut names = Vec::new();
        for (hash, feature) in self.features_of(kind) {
            let FeaturePlan::Window(WindowPlan { window, above, .. }) = feature else { continue };
            if asks(window.index()) {
                names.push(format!("where of {hash}"));
            }
            if above.is_some_and(|it| asks(it.index())) {
                names.push(format!("above of {hash}"));
            }
        }
        Names { names }
    }

    /// The features that look at the state of a kind: definition hash and plan.
    fn features_of(&self, kind: KindId) -> impl Iterator<Item = (String, &FeaturePlan)> {
        let all = self.0.typed.features.iter().zip(&self.0.plan.features);
        all.filter(move |(_, plan)| self.kind_of(plan) == Some(kind)).map(|(it, plan)| (hex(&it.hash), plan))
    }

    /// The kind of entities at whose state a feature looks.
    fn kind_of(&self, plan: &FeaturePlan) -> Option<KindId> {
        plan.role().and_then(|role| self.0.typed.schema.role_kind(role))
    }

    /// A condition without a test.
    fn condition(&self, it: &Condition) -> String {
        let events = &self.0.typed.schema.events;
        let of = it.of.iter().filter_map(|id| events.get(id.index())).map(|it| it.name.as_str());
        let of: Vec<&str> = of.collect();
        let role = |role: Option<FieldId>| role.map_or_else(|| "any".to_owned(), |it| self.field(it));
        let present = it.present.as_ref().map_or_else(|| "nothing".to_owned(), |it| self.source(it));
        format!("of {of:?} via {} beside {} with {present}", role(it.via), role(it.beside))
    }

    fn source(&self, source: &ColumnSource) -> String {
        match source {
            ColumnSource::Field(field) => format!("field {}", self.field(*field)),
            ColumnSource::Captured(feature, _) => format!("captured {}", self.hash(*feature)),
            ColumnSource::EventType => "event type".to_owned(),
            ColumnSource::Argument(feature, _) => format!("argument of {}", self.hash(*feature)),
        }
    }

    fn hash(&self, id: FeatureId) -> String {
        self.0.typed.features.get(id.index()).map(|it| hex(&it.hash)).unwrap_or_default()
    }

    /// A field's name and type.
    fn field(&self, id: FieldId) -> String {
        let schema = &self.0.typed.schema;
        let Some(field) = schema.field(id) else { return "?".to_owned() };
        let ty = match field.ty {
            FieldType::Flag => "flag".to_owned(),
            FieldType::Int => "int".to_owned(),
            FieldType::Decimal { scale } => format!("decimal({scale})"),
            FieldType::Money { currency: Some(currency) } => format!("money {}", currency.code()),
            FieldType::Money { currency: None } => format!("money as {}", schema.currency.code()),
            FieldType::Place => "place".to_owned(),
            FieldType::Time => "time".to_owned(),
            FieldType::Duration => "duration".to_owned(),
            FieldType::Text { .. } => "text".to_owned(),
            FieldType::Enum(id) => {
                format!("enum {}", schema.enum_type(id).map_or("?", |it| it.name.as_str()))
            }
            FieldType::Entity(kind) => self.kind_name(kind).to_owned(),
        };
        format!("{}: {ty}", field.name)
    }

    fn kind_name(&self, kind: KindId) -> &str {
        self.0.typed.schema.kinds.get(kind.index()).map_or("?", |it| it.name.as_str())
    }

    fn list_kind(&self, of: ListKind) -> String {
        match of {
            ListKind::Entities(kind) => self.kind_name(kind).to_owned(),
            ListKind::Table(kind, ty) => format!("{} with {ty:?}", self.kind_name(kind)),
            ListKind::Values(ty) => format!("{ty:?}"),
        }
    }
}

/// Where the state that a plan needs stands in a snapshot.
#[derive(Debug, Default)]
pub(super) struct KindFit {
    /// How many columns of values the snapshot has.
    pub(super) columns_stored: usize,
    /// How many words of membership bits.
    pub(super) words_stored: usize,
    /// By column of the plan: which of the snapshot's, if it has it.
    pub(super) columns: Vec<Option<usize>>,
    /// By condition of the plan; none where the bits are taken as they stand.
    pub(super) members: Option<Vec<Member>>,
    /// By occurrence of the snapshot: which of the plan's, if it needs it.
    pub(super) occurrences: Vec<Option<usize>>,
}

/// Where a membership bit comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Member {
    /// This bit of the snapshot's.
    Bit(usize),
    /// Every row has it: the snapshot's rule set kept no bit for what was always so.
    Always,
    /// No row has it: nobody had asked.
    Never,
}

impl KindFit {
    /// Finds what `ours` needs in `theirs`; none if something is not there.
    pub(super) fn new(ours: &KindLayout, plan: &KindPlan, theirs: &KindLayout) -> Option<Self> {
        let fit = Self::part(ours, plan, theirs);
        let complete = (0..ours.occurrences.len()).all(|at| fit.occurrences.contains(&Some(at)));
        let never = fit.members.iter().flatten().any(|it| *it == Member::Never);
        (complete && !never && fit.columns.iter().all(Option::is_some)).then_some(fit)
    }

    /// Finds what there is in `theirs` of what `ours` needs.
    pub(super) fn part(ours: &KindLayout, plan: &KindPlan, theirs: &KindLayout) -> Self {
        let columns = index(theirs.columns.iter().enumerate());
        let conditions = index(named(&theirs.conditions));
        let members = plan.conditions.iter().zip(&ours.conditions).map(|(condition, names)| {
            let known = names.names.iter().find_map(|name| conditions.get(name.as_str()));
            let plain = condition.test.is_none() && condition.present.is_none();
            known.map_or(if plain { Member::Always } else { Member::Never }, |at| Member::Bit(*at))
        });
        let members: Vec<Member> = members.collect();
        let same = |members: &Vec<Member>| {
            members.len() == theirs.conditions.len()
                && members.iter().enumerate().all(|(at, it)| *it == Member::Bit(at))
        };
        let needed = index(named(&ours.occurrences));
        let occurrences: Vec<Option<usize>> = theirs
            .occurrences
            .iter()
            .map(|names| names.names.iter().find_map(|name| needed.get(name.as_str())).copied())
            .collect();
        Self {
            columns_stored: theirs.columns.len(),
            words_stored: theirs.conditions.len().div_ceil(64),
            columns: ours.columns.iter().map(|name| columns.get(name.as_str()).copied()).collect(),
            members: Some(members).filter(|it| !same(it)),
            occurrences,
        }
    }
}

fn named(things: &[Names]) -> impl Iterator<Item = (usize, &String)> {
    things.iter().enumerate().flat_map(|(at, it)| it.names.iter().map(move |name| (at, name)))
}

fn index<'a>(names: impl Iterator<Item = (usize, &'a String)>) -> BTreeMap<&'a str, usize> {
    names.map(|(at, name)| (name.as_str(), at)).collect()
}

/// Why a rule set cannot go on with the state of another one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Misfit {
    /// Its ids are hashed under another key.
    #[error("its ids are hashed under another key")]
    Key,
    /// Its schema is another one.
    #[error("{0}")]
    Schema(String),
    /// Its schema is another one under no higher version.
    #[error(
        "its schema has other {what} than the one in force, and version {ours}: a changed schema has a version above {theirs}"
    )]
    Version {
        /// The first difference.
        what: &'static str,
        /// The version of its own.
        ours: u32,
        /// The version in force.
        theirs: u32,
    },
    /// It needs state that is not kept.
    #[error("{} is not remembered", crate::intake::listed(.0.iter().map(String::as_str)))]
    Lacking(Vec<String>),
    /// Lists are other ones, or in another order.
    #[error("its lists do not begin with those in force, in their order: add new ones behind them")]
    Lists,
    /// A new list of entities would have to be filled.
    #[error(
        "its new list `{0}` is filled from a file, which happens before the first event only: leave `from` out, and \
         put its entities on the list once it is there"
    )]
    Filled(String),
    /// Its entities of a kind have other columns, or in another order, and these features look at them.
    #[error("{} would be kept in another form", crate::intake::listed(.0.iter().map(String::as_str)))]
    Order(Vec<String>),
}

/// Whether a rule set can take over every state as it is: the same columns, conditions, windows and lists under the
/// same numbers, whatever its rules, policies and computed features say.
pub(crate) fn same_state(old: &RuleSet, new: &RuleSet) -> Result<(), Misfit> {
    if old.key != new.key {
        return Err(Misfit::Key);
    }
    let (before, after) = (Layout::of(old), Layout::of(new));
    if old.typed.schema.name != new.typed.schema.name {
        return Err(Misfit::Schema("its schema has another name".to_owned()));
    }
    if let Some(what) = after.difference(&before) {
        return Err(Misfit::Schema(what));
    }
    if !after.lists.starts_with(&before.lists) {
        return Err(Misfit::Lists);
    }
    let added = new.typed.lists.iter().skip(old.typed.lists.len());
    let filled = |it: &&List| !matches!(it.of, ListKind::Values(_)) && it.file.is_some();
    if let Some(list) = added.into_iter().find(filled) {
        return Err(Misfit::Filled(list.name.clone()));
    }
    // What could be built is said last.
    let lacking = after.missing_in(&before);
    if !lacking.is_empty() {
        return Err(Misfit::Lacking(lacking));
    }
    let plans = old.plan.kinds.iter().zip(&new.plan.kinds);
    let layouts = before.kinds.iter().zip(&after.kinds);
    for ((at, (old_plan, new_plan)), (before, after)) in plans.enumerate().zip(layouts) {
        let same = before.columns == after.columns
            && same_things(&before.conditions, &after.conditions)
            && same_things(&before.occurrences, &after.occurrences)
            && old_plan.has_history == new_plan.has_history
            && old_plan.history == new_plan.history;
        if !same {
            return Err(Misfit::Order(features_of(new, at)));
        }
    }
    Ok(())
}

/// The names of the features that look at the entities of a kind.
fn features_of(rules: &RuleSet, kind: usize) -> Vec<String> {
    let namer = Namer(rules);
    let features = rules.typed.features.iter().zip(&rules.plan.features);
    let looks = |plan: &FeaturePlan| namer.kind_of(plan).is_some_and(|it| it.index() == kind);
    features.filter(|(_, plan)| looks(plan)).map(|(it, _)| it.name.clone()).collect()
}

/// Whether a schema that changes does so as a schema may, in a rule set that knows all that the one in force knows.
pub(crate) fn grows_rightly(old: &RuleSet, new: &RuleSet) -> Result<(), Misfit> {
    let (theirs, ours) = (&old.typed.schema, &new.typed.schema);
    if let Some(what) = schema::lacked(theirs, ours) {
        return Err(Misfit::Schema(what));
    }
    // States are trimmed by them, and what came too late stands where they say.
    let times = schema::other_times(theirs, ours);
    if !times.is_empty() {
        return Err(Misfit::Schema(format!(
            "its {times}, and every feature means something else by it: set it back, or begin a new data directory"
        )));
    }
    match schema::unversioned(theirs, ours) {
        None => Ok(()),
        Some(what) => Err(Misfit::Version { what, ours: ours.version, theirs: theirs.version }),
    }
}

/// Whether a rule set can read the events of another one's records, and what they say of lists. It may have more event
/// types, more values of enums and, behind the others, more fields.
pub(crate) fn same_history(recorded: &RuleSet, tested: &RuleSet) -> Result<(), Misfit> {
    let (theirs, ours) = (&recorded.typed.schema, &tested.typed.schema);
    if let Some(what) = Layout::of(tested).difference(&Layout::of(recorded)) {
        return Err(Misfit::Schema(what));
    }
    if let Some(what) = schema::lacked(theirs, ours) {
        return Err(Misfit::Schema(what));
    }
    // What was too late stands at the edge of the allowed lateness, where amendments name it.
    if theirs.lateness != ours.lateness {
        return Err(Misfit::Schema(format!("its {}", schema::other_times(theirs, ours))));
    }
    let kind = |of: &RuleSet, list: &List| Namer(of).list_kind(list.of);
    let other = tested.typed.lists.iter().find(|ours| {
        let theirs = recorded.typed.lists.iter().find(|it| it.name == ours.name);
        theirs.is_some_and(|theirs| kind(recorded, theirs) != kind(tested, ours))
    });
    match other {
        Some(list) => Err(Misfit::Schema(format!("list `{}` does not hold what it held", list.name))),
        None => Ok(()),
    }
}

/// Whether things stand in the same order: of two that are the same, some name is the same.
fn same_things(before: &[Names], after: &[Names]) -> bool {
    let same = |(a, b): (&Names, &Names)| a.names.iter().any(|name| b.names.contains(name));
    before.len() == after.len() && before.iter().zip(after).all(same)
}
