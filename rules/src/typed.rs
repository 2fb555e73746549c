//! The typed tree: a rule set that has been checked, so that nothing in it can fail at run time.
//!
//! Names are resolved to indices, units are gone into types and scales, and every conversion between exact and
//! computed numbers is a node of its own. [`crate::program`] compiles it, [`crate::reference`] walks it, and the
//! engine plans its state from the [`Aggregate`]s.
//!
//! **Scopes.** An expression speaks of the event being decided, except inside an aggregate (`argument`,
//! `condition`, `numerator`), where it speaks of a past event and [`ExprKind::This`] leads back.

mod expr;
mod feature;
mod quantity;
mod rule;
mod test;

pub use expr::{Comparison, Expr, ExprKind, Function, MutableColumn, Operator};
pub use feature::{Aggregate, AggregateFunction, Captured, Definition, Feature};
pub use quantity::{EXACT_DIGITS_MAX, Numeric, Type};
pub use rule::{Effect, Mode, Policy, PolicyLine, Rule, Severity};
pub use test::{Expectation, Test, TestEvent, TestStep, TestValue};

use crate::indices;
use crate::schema::{EventTypeId, FieldId, KindId, Schema};
use crate::span::Span;
use crate::time::Micros;

indices! {
    /// Index of a feature in [`RuleSet::features`]; a feature reads only features of smaller index.
    FeatureId;
    /// Index of a rule in [`RuleSet::rules`], in file order.
    RuleId;
    /// Index of a list or table in [`RuleSet::lists`].
    ListId;
}

/// A checked rule set.
#[derive(Clone, Debug)]
pub struct RuleSet {
    /// What it was checked against.
    pub schema: Schema,
    /// Lists and tables, in file order.
    pub lists: Vec<List>,
    /// Features: those of the file in an order in which each reads only earlier ones, and before each the
    /// nameless ones that stand inside it in parentheses.
    pub features: Vec<Feature>,
    /// The named features in file order: the columns of `replay --features`.
    pub feature_order: Vec<FeatureId>,
    /// Features that every decision records, whether or not a rule that hits reads them.
    pub record: Vec<FeatureId>,
    /// Rules in file order.
    pub rules: Vec<Rule>,
    /// The plain policy first, if there is one, then those `on` types.
    pub policies: Vec<Policy>,
    /// Tests in file order.
    pub tests: Vec<Test>,
    /// Names this rule set: BLAKE3 over the canonical form of schema and rules.
    pub hash: [u8; 32],
}

impl RuleSet {
    /// A list or table by its index.
    pub fn list(&self, id: ListId) -> Option<&List> {
        self.lists.get(id.index())
    }

    /// A feature by its index.
    pub fn feature(&self, id: FeatureId) -> Option<&Feature> {
        self.features.get(id.index())
    }

    /// A rule by its index.
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(id.index())
    }

    /// Which policy is that of events of a type: one of its own, else the plain one.
    pub fn policy_for(&self, event: EventTypeId) -> Option<usize> {
        let own = self.policies.iter().position(|it| it.on.contains(&event));
        own.or_else(|| self.policies.iter().position(|it| it.on.is_empty()))
    }

    /// The roles and spans of all alerts that are raised at most `once per` an entity.
    pub fn alerts_once(&self) -> impl Iterator<Item = (FieldId, Micros)> {
        let of_rules = self.rules.iter().flat_map(|rule| &rule.effects);
        let lines = self.policies.iter().flat_map(|policy| &policy.lines);
        of_rules.chain(lines.flat_map(|line| &line.effects)).filter_map(|effect| match effect {
            Effect::Alert { once, .. } => *once,
            _ => None,
        })
    }
}

/// A list or table, filled at run time or from a file.
#[derive(Clone, PartialEq, Debug)]
pub struct List {
    /// As declared.
    pub name: String,
    /// What it holds.
    pub of: ListKind,
    /// How many bytes a text in it may have; none where it holds no texts. No decision reads it.
    pub text_bytes_max: Option<u16>,
    /// The file that it is first filled from, as written, relative to the rule file.
    pub file: Option<String>,
    /// Whether the rule set itself declares it. Otherwise another does, which may come into force again.
    pub own: bool,
    /// Where it is declared.
    pub span: Span,
}

/// What a list holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListKind {
    /// Entities of a kind: membership is part of each entity's state.
    Entities(KindId),
    /// Entities of a kind, each with a value.
    Table(KindId, Type),
    /// Plain values.
    Values(Type),
}

impl ListKind {
    /// The kind of its entities; none if it holds plain values.
    pub fn kind(self) -> Option<KindId> {
        match self {
            Self::Entities(kind) | Self::Table(kind, _) => Some(kind),
            Self::Values(_) => None,
        }
    }
}
