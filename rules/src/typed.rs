//! The typed tree: a rule set that has been checked, so that nothing in it can fail at run time.
//!
//! Names are resolved to indices, units are gone into types and scales, and every conversion between exact and
//! computed numbers is a node of its own. [`crate::program`] compiles it, [`crate::reference`] walks it, and the
//! engine plans its state from the [`Aggregate`]s.
//!
//! **Scopes.** An expression speaks of the event being decided, except inside an aggregate (`argument`,
//! `condition`, `numerator`), where it speaks of a past event and [`ExprKind::This`] leads back.

use crate::past::Outcome;
use crate::schema::{Currency, EnumId, EventTypeId, FieldId, KindId, Schema};
use crate::span::Span;
use crate::time::Micros;
use crate::value::{Form, Value};

/// Index of a feature in [`RuleSet::features`]; a feature reads only features of smaller index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FeatureId(pub u16);
/// Index of a rule in [`RuleSet::rules`], in file order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleId(pub u16);
/// Index of a list or table in [`RuleSet::lists`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListId(pub u16);

impl FeatureId {
    /// The index as a number to look up with.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}
impl RuleId {
    /// The index as a number to look up with.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}
impl ListId {
    /// The index as a number to look up with.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
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

/// The type of an expression.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Type {
    /// True or false.
    Flag,
    /// A number without a unit.
    Number(Numeric),
    /// An amount, counted in minor units of the currency.
    Money(Currency, Numeric),
    /// A length of time, counted in microseconds.
    Duration(Numeric),
    /// A point in time, in microseconds since 1970 UTC.
    Time,
    /// Latitude and longitude.
    Place,
    /// Kilometres, always computed.
    Distance,
    /// Kilometres per hour, always computed.
    Speed,
    /// A text.
    Text,
    /// An entity of a kind.
    Entity(KindId),
    /// A value of an enum.
    Enum(EnumId),
    /// The type of an event.
    EventType,
}

/// How a quantity is held.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Numeric {
    /// An integer that counts units of 10⁻ˢᶜᵃˡᵉ.
    Exact {
        /// Digits after the point.
        scale: u8,
        /// A bound: the integer has at most so many decimal digits, at most [`EXACT_DIGITS_MAX`].
        digits: u8,
    },
    /// An f64.
    Real,
}

impl Numeric {
    /// Digits after the point; 0 of an f64.
    pub fn scale(self) -> u8 {
        match self {
            Self::Exact { scale, .. } => scale,
            Self::Real => 0,
        }
    }
}

/// An exact intermediate result has at most so many decimal digits, so that i128 never overflows (10³⁷ < 2¹²⁷).
/// Where a product or a sum could have more, the checker computes it as a real.
pub const EXACT_DIGITS_MAX: u8 = 37;

impl Type {
    /// The form in which a value of this type computes.
    pub fn form(self) -> Form {
        match self {
            Self::Flag => Form::Flag,
            Self::Number(Numeric::Real) | Self::Money(_, Numeric::Real) | Self::Duration(Numeric::Real) => {
                Form::Real
            }
            Self::Distance | Self::Speed => Form::Real,
            _ => Form::Exact,
        }
    }
}

/// A typed expression.
#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    /// What it computes.
    pub kind: ExprKind,
    /// Of what type.
    pub ty: Type,
    /// Whether it may be missing.
    pub optional: bool,
}

/// What an expression computes. Operands have been brought to one form and scale, so no node looks at types.
#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    /// A value known at compile time, never [`Value::Missing`].
    Const(Value),
    /// A text known at compile time: its hash under the engine's key, once there is one.
    Text(String),
    /// An entity's id known at compile time, likewise.
    EntityId(KindId, String),
    /// A field of the event in scope.
    Field(FieldId),
    /// The type of the event in scope, as the exact number of its [`EventTypeId`].
    EventType,
    /// The time of the event in scope.
    Time,
    /// A mutable column of the past event in scope.
    Mutable(MutableColumn),
    /// A feature of the event in scope; of a past event: as captured at its time.
    Feature(FeatureId),
    /// Inside an aggregate: an expression over the event being decided.
    This(Box<Expr>),
    /// The score so far, in millionths (policy lines only).
    Score,
    /// Three-valued not.
    Not(Box<Expr>),
    /// Three-valued and: false as soon as one side is false.
    And(Box<Expr>, Box<Expr>),
    /// Three-valued or: true as soon as one side is true.
    Or(Box<Expr>, Box<Expr>),
    /// Both sides of one form and, if exact, of one scale.
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// `low <= operand <= high`; with `wraps`, outside (high, low): for hour and weekday. Never missing.
    Between {
        /// What is looked at.
        operand: Box<Expr>,
        /// Included.
        low: Box<Expr>,
        /// Included.
        high: Box<Expr>,
        /// Whether low > high means "over midnight".
        wraps: bool,
    },
    /// Whether the operand equals one of the items. Never missing.
    OneOf(Box<Expr>, Vec<Expr>),
    /// Whether the entity in this role of the event being decided is in a list. Never missing.
    Listed(ListId, FieldId),
    /// Whether a value is in a list of values. Never missing.
    ListedValue(ListId, Box<Expr>),
    /// The value beside the entity in this role in a table.
    TableValue(ListId, FieldId),
    /// Never missing itself.
    IsMissing(Box<Expr>),
    /// The left side, or the right one where the left is missing.
    Coalesce(Box<Expr>, Box<Expr>),
    /// Exact or real, as the operands are; exact `Multiply` adds scales, `Divide` is always real.
    Arithmetic(Operator, Box<Expr>, Box<Expr>),
    /// The operand with its sign changed.
    Negate(Box<Expr>),
    /// Exact → exact at a finer scale: times 10 to this power.
    Rescale(Box<Expr>, u8),
    /// Exact at this scale → real: divided by 10 to this power.
    ToReal(Box<Expr>, u8),
    /// A function of the language.
    Call(Function, Vec<Expr>),
}

/// `a ? b`
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// Arithmetic of two operands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`: real; missing where the divisor is zero.
    Divide,
}

/// What the language computes from plain values.
#[derive(Clone, PartialEq, Debug)]
pub enum Function {
    /// Hour of a time in a zone, 0 to 23 (a number).
    Hour(jiff::tz::TimeZone),
    /// Day of the week of a time in a zone (the built-in enum, Monday = 0).
    Weekday(jiff::tz::TimeZone),
    /// Whether it is Saturday or Sunday there.
    Weekend(jiff::tz::TimeZone),
    /// Whether the hour there is 0 to 6.
    Night(jiff::tz::TimeZone),
    /// The least of the arguments; missing if one is.
    Min,
    /// The greatest of the arguments; missing if one is.
    Max,
    /// Without its sign.
    Abs,
    /// Great-circle distance of two places.
    Distance,
}

/// A column of a past event that may change after it was decided.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MutableColumn {
    /// Enum `outcome`.
    Outcome,
    /// Enum `challenge`.
    Challenge,
    /// Enum `result`.
    Result,
    /// Enum `label`.
    Label,
    /// [`crate::past::Mutable::accepted`], a flag.
    Accepted,
}

/// A feature: a value computed from windows, or from fields and other features.
#[derive(Clone, PartialEq, Debug)]
pub struct Feature {
    /// As declared; a nameless one is called after where it stands, such as `far.1`.
    pub name: String,
    /// Of its value.
    pub ty: Type,
    /// Whether it may be missing.
    pub optional: bool,
    /// The event types on which it may be used, in order.
    pub domain: Vec<EventTypeId>,
    /// What it computes.
    pub definition: Definition,
    /// Whether some aggregate reads it of past events, so that it is kept with each event.
    pub captured: Captured,
    /// Whether the rule set itself declares it. Otherwise nothing of it shows: it is kept up for another rule set.
    pub own: bool,
    /// Names the meaning: BLAKE3 over the canonical form of the definition, those that it reaches, and the parts of
    /// the schema that it reads. State is kept under it.
    pub hash: [u8; 16],
    /// Where it is declared.
    pub span: Span,
}

/// Whether a feature is kept with each event, as it was then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Captured {
    /// No aggregate reads it of past events.
    No,
    /// One of the rule set's own does.
    Own,
    /// Only one that is kept up for another rule set does.
    ForOthers,
}

/// What a feature computes.
#[derive(Clone, PartialEq, Debug)]
pub enum Definition {
    /// An expression over the event being decided.
    Expr(Expr),
    /// A look into the past.
    Aggregate(Box<Aggregate>),
}

/// A look into the past of one entity, or of one pair.
#[derive(Clone, PartialEq, Debug)]
pub struct Aggregate {
    /// What is computed of the matching events.
    pub function: AggregateFunction,
    /// The types of past events that match, in order.
    pub of: Vec<EventTypeId>,
    /// What is summed, counted apart, looked at: over a past event. For `first_seen`, `speed` the same expression is
    /// evaluated over the current event too. None for count, ratio and time_since.
    pub argument: Option<Expr>,
    /// Roles of the event being decided: one, or a pair.
    pub by: Vec<FieldId>,
    /// The roles on which past events are matched, paired with `by`; the same unless `via` says otherwise.
    pub via: Vec<FieldId>,
    /// The width of the window; none: all that is remembered (`keep`).
    pub over: Option<Micros>,
    /// How far the window's upper edge lies in the past; none: it has no upper edge.
    pub delay: Option<Micros>,
    /// Whether the current event is left out.
    pub before: bool,
    /// Which past events match, beside their type and roles; whole value missing = does not match.
    pub condition: Option<Expr>,
    /// Of a ratio: which of the matching events are counted above the line.
    pub numerator: Option<Expr>,
    /// Whether condition, numerator or argument reads a mutable column.
    pub reads_mutable: bool,
    /// Whether condition or numerator reads the event being decided: the window's rows are scanned.
    pub reads_this: bool,
}

impl Aggregate {
    /// Digits after the point of the argument; 0 where it is real or there is none.
    pub fn argument_scale(&self) -> u8 {
        match self.argument.as_ref().map(|it| it.ty) {
            Some(
                Type::Number(Numeric::Exact { scale, .. })
                | Type::Money(_, Numeric::Exact { scale, .. })
                | Type::Duration(Numeric::Exact { scale, .. }),
            ) => scale,
            _ => 0,
        }
    }
}

/// What an aggregate computes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AggregateFunction {
    /// How many; exact, scale 0.
    Count,
    /// Their exact sum, at the argument's scale; a real argument's sum is real.
    Sum,
    /// Sum divided by count; real.
    Mean,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// Of the sample; real.
    Stddev,
    /// How many different values.
    Distinct,
    /// Matching events above the line, divided by all matching; real.
    Ratio,
    /// The oldest event's value.
    First,
    /// The newest event's value; never the current event's.
    Last,
    /// Whether no earlier event had the value that the current event has; a flag.
    FirstSeen,
    /// Duration since the newest matching event before the current one; exact.
    TimeSince,
    /// Speed from the newest matching event's place to the current one's.
    Speed,
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

/// A rule: a condition with effects.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// As declared: an identifier.
    pub name: String,
    /// The reason for analysts.
    pub reason: String,
    /// The reason for the customer.
    pub tell: Option<String>,
    /// Whether its effects count.
    pub mode: Mode,
    /// Only for a share of entities: this role, and millionths of all ids.
    pub rollout: Option<(FieldId, u32)>,
    /// Not before.
    pub from: Option<Micros>,
    /// Not at or after.
    pub until: Option<Micros>,
    /// The event types that it looks at.
    pub on: Vec<EventTypeId>,
    /// Never missing.
    pub when: Expr,
    /// What follows.
    pub effects: Vec<Effect>,
    /// Where its name stands.
    pub span: Span,
}

/// Whether a rule's effects count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// They do.
    Live,
    /// It is evaluated and its hits are reported, but it adds to nothing.
    Shadow,
    /// It is not evaluated.
    Off,
}

/// What a rule or a policy line does.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Outcome block.
    Block {
        /// Counts although another rule says allow.
        always: bool,
    },
    /// Outcome challenge.
    Challenge {
        /// Sets of factors, any of which will do; empty = the policy's first.
        factors: Vec<Vec<String>>,
        /// Counts although another rule says allow.
        always: bool,
    },
    /// Only what is marked `always` still counts.
    Allow,
    /// Adds to the score: an expression of type number, exact at scale 6 or real, sign included; never missing.
    Score(Expr),
    /// A person must see this.
    Alert {
        /// How bad.
        severity: Severity,
        /// At most one per entity in this role and this long.
        once: Option<(FieldId, Micros)>,
    },
    /// Marks the event.
    Tag(String),
    /// Freezes the entity in this role.
    Freeze {
        /// Whom.
        role: FieldId,
        /// For how long.
        span: Micros,
    },
    /// Pay out this much later.
    Delay(Micros),
    /// Puts the entity in this role on a list.
    Add {
        /// Whom.
        role: FieldId,
        /// Where.
        list: ListId,
        /// For how long; none = until removed.
        span: Option<Micros>,
    },
    /// Takes the entity in this role off a list.
    Remove {
        /// Whom.
        role: FieldId,
        /// Where.
        list: ListId,
    },
}

/// How bad an alert is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth a look.
    Medium,
    /// Look today.
    High,
    /// Look now.
    Critical,
}

impl Severity {
    /// The name used everywhere outside.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What scores lead to.
#[derive(Clone, PartialEq, Debug)]
pub struct Policy {
    /// Its event types; empty = the plain policy, for all that have none of their own.
    pub on: Vec<EventTypeId>,
    /// In order; every line whose condition holds takes effect.
    pub lines: Vec<PolicyLine>,
    /// How long a caller waits, and what is answered when that was too short.
    pub deadline: Option<(Micros, Outcome)>,
    /// How long an answer may be acted on.
    pub valid_for: Option<Micros>,
}

/// One line of a policy.
#[derive(Clone, PartialEq, Debug)]
pub struct PolicyLine {
    /// What follows.
    pub effects: Vec<Effect>,
    /// Never missing; may read the score.
    pub when: Expr,
}

/// A test in the language.
#[derive(Clone, PartialEq, Debug)]
pub struct Test {
    /// As written.
    pub name: String,
    /// What happens, in order; the last event of the last `when` is the one looked at.
    pub steps: Vec<TestStep>,
    /// What must then be true.
    pub expectations: Vec<Expectation>,
    /// Where its name stands.
    pub span: Span,
}

/// One thing that happens in a test. Times are absolute: the checker has moved the cursor.
#[derive(Clone, PartialEq, Debug)]
pub enum TestStep {
    /// An event.
    Event(TestEvent),
    /// Something became known of an earlier event.
    Amend {
        /// When.
        time: Micros,
        /// Id of the event.
        event: String,
        /// The column and its new value's number.
        column: MutableColumn,
        /// As the enum counts.
        value: u8,
    },
    /// An entity was put on a list, with its value if it is a table.
    List {
        /// When.
        time: Micros,
        /// Which.
        list: ListId,
        /// The entity's id, or the value's text.
        item: String,
        /// Of a table.
        value: Option<Value>,
    },
}

/// An event of a test.
#[derive(Clone, PartialEq, Debug)]
pub struct TestEvent {
    /// Its own, or made up.
    pub id: String,
    /// Which type.
    pub event_type: EventTypeId,
    /// When.
    pub time: Micros,
    /// Fields that are present, texts and ids as text.
    pub fields: Vec<(FieldId, TestValue)>,
}

/// A field's value in a test.
#[derive(Clone, PartialEq, Debug)]
pub enum TestValue {
    /// As it stands in a slot.
    Slot(i64),
    /// A text or an entity's id.
    Text(String),
}

/// What must be true after a test's last event.
#[derive(Clone, PartialEq, Debug)]
pub enum Expectation {
    /// Its outcome, and the rules without which it would be weaker.
    Outcome(Outcome, Vec<RuleId>, Span),
    /// A rule hits, or does not.
    Hit {
        /// Which.
        rule: RuleId,
        /// `not hit` expects false.
        hits: bool,
        /// Where it is written.
        span: Span,
    },
    /// A condition over the event, its features and the score; must be true.
    Holds(Expr, Span),
}
