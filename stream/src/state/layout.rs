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
        let lists = (0..).map(ListId).zip(&self.lists);
        lists.filter(|(_, it)| !other.lists.contains(it)).map(|(id, _)| id).collect()
    }

    /// The features with a state here that `other` does not have.
    pub(crate) fn missing_in(&self, other: &Self) -> Vec<String> {
        let missing = |it: &&Feature| other.features.iter().all(|known| known.hash != it.hash);
        self.features.iter().filter(missing).map(|it| it.name.clone()).collect()
    }
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
    pub(super) fn kind_of(&self, plan: &FeaturePlan) -> Option<KindId> {
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

    pub(super) fn list_kind(&self, of: ListKind) -> String {
        match of {
            ListKind::Entities(kind) => self.kind_name(kind).to_owned(),
            ListKind::Table(kind, ty) => format!("{} with {ty:?}", self.kind_name(kind)),
            ListKind::Values(ty) => format!("{ty:?}"),
        }
    }
}
