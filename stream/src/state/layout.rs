//! What state a rule set keeps, in names by which another rule set, or whoever reads a snapshot, can tell which of it is
//! what it needs.
//!
//! A column, a membership condition and an occurrence have a number in their plan and no meaning outside it. Their
//! names here hold in every plan: what stands in the row, or the definition hash of a feature that asks. A condition
//! with a test is shared by all features that ask the same, so it has as many names; any of them will do.

use engine::hex::hex;
use engine::plan::{ColumnSource, Condition, FeaturePlan, KindPlan, WindowPlan};
use engine::rule_set::RuleSet;
use prost::Message;
use rules::schema::{FieldId, FieldType, KindId};
use rules::typed::{FeatureId, ListId, ListKind};

use super::schema;

/// The state that a rule set keeps.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Layout {
    /// What numbers in the state stand for.
    #[prost(message, repeated, tag = "1")]
    pub(crate) shape: Vec<Names>,
    /// By kind.
    #[prost(message, repeated, tag = "2")]
    pub(crate) kinds: Vec<KindLayout>,
    /// Features with a state, in file order.
    #[prost(message, repeated, tag = "3")]
    pub(crate) features: Vec<Feature>,
    /// Lists by number: name, and what they hold.
    #[prost(string, repeated, tag = "4")]
    pub(crate) lists: Vec<String>,
}

/// The columns that entities of a kind have.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct KindLayout {
    /// Of a history's rows.
    #[prost(string, repeated, tag = "1")]
    pub(crate) columns: Vec<String>,
    /// Of its membership bits.
    #[prost(message, repeated, tag = "2")]
    pub(crate) conditions: Vec<Names>,
    /// Of what is kept without rows.
    #[prost(message, repeated, tag = "3")]
    pub(crate) occurrences: Vec<Names>,
}

/// A feature with a state.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Feature {
    /// Of its definition.
    #[prost(string, tag = "1")]
    pub(crate) hash: String,
    /// As declared.
    #[prost(string, tag = "2")]
    pub(crate) name: String,
}

/// Several names: of one thing, or of what it consists of, the first being its own.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Names {
    #[prost(string, repeated, tag = "1")]
    pub(crate) names: Vec<String>,
}

impl FromIterator<String> for Names {
    fn from_iter<T: IntoIterator<Item = String>>(names: T) -> Self {
        Self { names: names.into_iter().collect() }
    }
}

impl Layout {
    /// Of the state that a rule set keeps.
    pub(crate) fn of(rules: &RuleSet) -> Self {
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
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        other.shape.iter().find_map(|theirs| {
            let ours = self.shape.iter().find(|it| it.names.first() == theirs.names.first());
            schema::moved(theirs, ours)
        })
    }

    /// The lists here that `other` does not have, or that hold something else there.
    pub(crate) fn new_lists(&self, other: &Self) -> Vec<ListId> {
        let lists = ListId::all().zip(&self.lists);
        lists.filter(|(_, it)| !other.lists.contains(it)).map(|(id, _)| id).collect()
    }

    /// The features with a state here that `other` does not have.
    pub(crate) fn missing_in(&self, other: &Self) -> Vec<String> {
        let missing = |it: &&Feature| other.features.iter().all(|known| known.hash != it.hash);
        self.features.iter().filter(missing).map(|it| it.name.clone()).collect()
    }
}

/// Behind a name: on which event types.
const ON: &str = " on ";

/// What was called so while all texts of its name had one length, of a name that says on which event types; none of other
/// names.
pub(crate) fn while_alone(name: &str) -> Option<&str> {
    name.rsplit_once(ON).map(|(alone, _)| alone)
}

/// Puts names to the numbers of one rule set.
pub(super) struct Namer<'a>(pub(super) &'a RuleSet);

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
            None => Names { names: vec![self.condition(plan, it)] },
        });
        let occurrences = (0..plan.occurrences.len()).map(|at| {
            let asks =
                |plan: &FeaturePlan| matches!(plan, FeaturePlan::Occurrence { at: of, .. } if *of == at);
            self.features_of(kind).filter(|(_, plan)| asks(plan)).map(|(hash, _)| hash).collect()
        });
        KindLayout {
            columns: plan.columns.iter().map(|it| self.source(plan, &it.source)).collect(),
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
    pub(super) fn kind_of(&self, plan: &FeaturePlan) -> Option<KindId> {
        plan.role().and_then(|role| self.0.typed.schema.role_kind(role))
    }

    /// A condition without a test.
    fn condition(&self, plan: &KindPlan, it: &Condition) -> String {
        let events = &self.0.typed.schema.events;
        let of = it.of.iter().filter_map(|id| events.get(id.index())).map(|it| it.name.as_str());
        let of: Vec<&str> = of.collect();
        let role = |role: Option<FieldId>| role.map_or_else(|| "any".to_owned(), |it| self.field(it));
        let present = it.present.as_ref().map_or_else(|| "nothing".to_owned(), |it| self.source(plan, it));
        format!("of {of:?} via {} beside {} with {present}", role(it.via), role(it.beside))
    }

    fn source(&self, plan: &KindPlan, source: &ColumnSource) -> String {
        match source {
            ColumnSource::Field(field) => format!("field {}{}", self.field(*field), self.types(plan, *field)),
            ColumnSource::Captured(feature, _) => format!("captured {}", self.hash(*feature)),
            ColumnSource::EventType => "event type".to_owned(),
            ColumnSource::Argument(feature, _) => format!("argument of {}", self.hash(*feature)),
        }
    }

    /// On which event types a field is, where there is a column of another of its name and type: a text of another
    /// length. See [`while_alone`].
    fn types(&self, plan: &KindPlan, field: FieldId) -> String {
        let is_called_so = |it: &ColumnSource| match it {
            ColumnSource::Field(other) => *other != field && self.field(*other) == self.field(field),
            _ => false,
        };
        if !plan.columns.iter().any(|it| is_called_so(&it.source)) {
            return String::new();
        }
        let events = self.0.typed.schema.events.iter();
        let having = events.filter(|it| it.fields.iter().any(|it| it.field == field));
        format!("{ON}{}", having.map(|it| it.name.as_str()).collect::<Vec<_>>().join(", "))
    }

    fn hash(&self, id: FeatureId) -> String {
        self.0.typed.feature(id).map(|it| hex(&it.hash)).unwrap_or_default()
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
            FieldType::Enum(id) => format!("enum {}", schema.enum_name(id)),
            FieldType::Entity(kind) => schema.kind_name(kind).to_owned(),
        };
        format!("{}: {ty}", field.name)
    }

    pub(super) fn list_kind(&self, of: ListKind) -> String {
        let schema = &self.0.typed.schema;
        match of {
            ListKind::Entities(kind) => schema.kind_name(kind).to_owned(),
            ListKind::Table(kind, ty) => format!("{} with {ty:?}", schema.kind_name(kind)),
            ListKind::Values(ty) => format!("{ty:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use engine::entity::HashKey;
    use engine::lists::ValueLists;
    use rules::reference::generate::{Choices, rule_set};

    use super::*;
    use crate::state::misfit::same_state;

    const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity user\nentity device shared\n\
         event payment\n  user: user\n  device: device?\n  mcc: text(4)?\n  amount: money\n";
    const LOGIN: &str = "event login\n  user: user\n  mcc: text(6)?\n";

    fn compiled(schema: &str, rules: &str) -> RuleSet {
        let typed = rules::testing::rule_set(schema, rules);
        RuleSet::new(typed, HashKey::new([0; 16]), ValueLists::default()).unwrap()
    }

    /// By its name whoever reads a snapshot finds a thing: nothing else is called so.
    #[track_caller]
    fn check_names(rules: &RuleSet, text: &str) -> Layout {
        let layout = Layout::of(rules);
        let check = |what: &str, things: &[Names]| {
            let mut known = BTreeSet::new();
            for it in things {
                assert!(!it.names.is_empty(), "{what} without a name: {text}");
                assert!(it.names.iter().all(|name| known.insert(name)), "two {what} of {it:?}: {text}");
            }
        };
        for kind in &layout.kinds {
            let alone = |name: &String| Names { names: vec![name.clone()] };
            check("columns", &kind.columns.iter().map(alone).collect::<Vec<_>>());
            check("conditions", &kind.conditions);
            check("occurrences", &kind.occurrences);
        }
        let hashes: BTreeSet<&str> = layout.features.iter().map(|it| it.hash.as_str()).collect();
        assert_eq!(hashes.len(), layout.features.len(), "two features of one state: {text}");
        layout
    }

    #[test]
    fn features_that_say_the_same_have_one_state() {
        let rows: &[(&str, &str)] = &[
            ("feature a = last(payment.time) by user\n", "feature b = last(payment.time) by user\n"),
            ("feature a = last(payment.type) by user\n", "feature b = last(payment.type) by user\n"),
            ("feature a = last(payment.time) by user\n", "feature b = last(any.time) by user\n"),
            ("feature a = first_seen(hour(time)) by user\n", "feature b = first_seen(hour(time)) by user\n"),
            (
                "feature a = last(payment.time) by (user, user)\n",
                "feature b = last(payment.time) by (user, user)\n",
            ),
            (
                "feature a = max(payment.amount / 2) by user over 1d\n",
                "feature b = max(payment.amount / 2) by user over 1d\n",
            ),
            (
                "feature n = count(payment) by user over 1h\nfeature a = first_seen(device) by user where n > 1\n",
                "feature m = count(payment) by user over 1h\nfeature b = first_seen(device) by user where m > 1\n",
            ),
            (
                "feature n = count(payment) by user over 1h\nfeature a = max(payment.n) by user over 1d\n",
                "feature m = count(payment) by user over 1h\nfeature b = max(payment.m) by user over 1d\n",
            ),
            (
                "feature n = count(payment) by user over 1h\nfeature o = n\nfeature a = max(any.o) by user over 1d\n",
                "feature p = n\nfeature b = max(any.p) by user over 1d\n",
            ),
        ];
        for (first, second) in rows {
            let one = compiled(SCHEMA, &format!("use schema s\n{first}"));
            let both = compiled(SCHEMA, &format!("use schema s\n{first}{second}"));
            let layout = check_names(&both, second);
            assert_eq!(layout.features, Layout::of(&one).features, "{second}");
            assert_eq!(same_state(&one, &both), Ok(()), "with {second}");
            assert_eq!(same_state(&both, &one), Ok(()), "without {second}");
        }
    }

    #[test]
    fn texts_of_other_lengths_are_told_apart() {
        let last = |name: &str, of: &str| format!("feature {name} = last({of}.mcc) by user over 1d\n");
        let columns = |schema: &str, features: &str| {
            let text = format!("use schema s\n{features}");
            check_names(&compiled(&format!("{SCHEMA}{schema}"), &text), &text).kinds[0].columns.clone()
        };
        let (one, both) = (last("a", "payment"), last("a", "payment") + &last("b", "login"));
        let same = LOGIN.replace("text(6)", "text(4)");
        assert_eq!(columns(&same, &both), ["field mcc: text"]);
        assert_eq!(columns(LOGIN, &one), ["field mcc: text"]);
        let mut apart = columns(LOGIN, &both);
        apart.sort_unstable();
        assert_eq!(apart, ["field mcc: text on login", "field mcc: text on payment"]);
        let alone: Vec<_> = apart.iter().map(|it| while_alone(it)).collect();
        assert_eq!(alone, [Some("field mcc: text"); 2]);
    }

    #[test]
    fn nothing_is_called_like_another_thing() {
        for seed in 0..1_000 {
            let text = rule_set(&mut Choices::from_seed(seed));
            check_names(&compiled(&text.schema, &text.rules), &text.rules);
        }
    }
}
