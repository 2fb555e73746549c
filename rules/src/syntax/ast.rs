//! The plain tree: what a file says, without white space, comments and parentheses.
//!
//! One grammar for schema and rule files; which items may stand where is the checker's to say, and so is what a
//! name means. Literals are exact. Lists keep the order of the text.
//!
//! **What did not parse** has been reported, and is the `Error` of the smallest enum around it ([`Item`],
//! [`ExprKind`], [`ClauseKind`], [`EffectKind`], [`StepKind`], [`ExpectationKind`]). A checker goes on beside it and
//! says nothing about it. A rule whose condition did not parse is therefore a rule with
//! [`ExprKind::Error`] as its `when`; an item whose name did not parse is [`Item::Error`].

use rust_decimal::Decimal;

use crate::past::Outcome;
use crate::schema::Ownership;
use crate::span::Span;
use crate::time::Micros;
use crate::typed::{Comparison, Mode, MutableColumn, Severity};

/// A file: its items in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct File {
    /// In the order of the text.
    pub items: Vec<Item>,
}

/// What stands at the left margin of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// `schema wallet 3`
    Schema(SchemaHeader),
    /// `zone "Asia/Shanghai"`
    Zone(Text),
    /// `currency CNY`
    Currency(Name),
    /// `lateness 10m`
    Lateness(Duration),
    /// `keep 400d`
    Keep(Duration),
    /// `rates "rates.csv"`
    Rates(Text),
    /// `entity card owned`
    Entity(Entity),
    /// `enum channel = app, web`
    Enum(Enum),
    /// `event payment` and its fields.
    Event(Event),
    /// `use schema wallet`: the schema's name.
    Use(Name),
    /// `list watched : user`
    List(List),
    /// `table shop_limit : merchant -> money`
    Table(Table),
    /// `const tiny = 2.00 CNY`
    Const(Const),
    /// `feature tiny_1m = count(payment) by user over 1m`
    Feature(Feature),
    /// `record unusual, shop_risk`: features that every decision records.
    Record(Vec<Name>),
    /// `rule card_testing "…" on … when … then …`
    Rule(Rule),
    /// `policy` or `policy on login`
    Policy(Policy),
    /// `test "…" given … when … then …`
    Test(Test),
    /// Did not parse.
    Error(Span),
}

/// A name: of a field, a type, a feature, an id in a test.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Name {
    /// As written; of a quoted id what stands between the quotes. `any` too is a name.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// A text in quotes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Text {
    /// What stands between the quotes, `""` made `"`. No other character is special.
    pub text: String,
    /// With the quotes.
    pub span: Span,
}

/// A whole number that counts something: a version, a length, times.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Integer {
    /// The number.
    pub value: u32,
    /// Where.
    pub span: Span,
}

/// A length of time, not negative, at most [`crate::time::SPAN_MAX`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Duration {
    /// Microseconds.
    pub micros: Micros,
    /// As written: `10m`.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// A day of the calendar that exists, `2027-03-31`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Date {
    /// The day.
    pub day: jiff::civil::Date,
    /// Where.
    pub span: Span,
}

/// A number with its unit.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Quantity {
    /// Not negative, with the digits after the point that were written (`2.00` has two). Of `10%` it is 10.
    pub value: Decimal,
    /// What it counts.
    pub unit: Unit,
    /// With the unit.
    pub span: Span,
}

/// The unit behind a number.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Unit {
    /// A plain number.
    None,
    /// `%`: hundredths.
    Percent,
    /// `km`
    Kilometres,
    /// `metres`
    Metres,
    /// `km/h`
    KilometresPerHour,
    /// Three capitals; whether there is such a currency is the checker's to say.
    Currency(Name),
}

/// `schema wallet 3`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SchemaHeader {
    /// What rule files `use`.
    pub name: Name,
    /// None where it did not parse.
    pub version: Option<Integer>,
    /// The whole item.
    pub span: Span,
}

/// `entity card owned`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entity {
    /// The kind's name.
    pub name: Name,
    /// `owned` or `shared`, and where; none = as written for the partition key. Never [`Ownership::Partition`].
    pub ownership: Option<(Ownership, Span)>,
    /// The whole item.
    pub span: Span,
}

/// `enum channel = app, web`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enum {
    /// The enum's name.
    pub name: Name,
    /// Its values; those that did not parse are left out.
    pub values: Vec<Name>,
    /// The whole item.
    pub span: Span,
}

/// `event payment` and its fields
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// The type's name.
    pub name: Name,
    /// Those that did not parse are left out.
    pub fields: Vec<Field>,
    /// The whole item.
    pub span: Span,
}

/// `bin: bin? = prefix(pan6, 6)`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// The field's name; of an entity, its role.
    pub name: Name,
    /// What it holds; none where it did not parse.
    pub ty: Option<TypeRef>,
    /// `?`: may be missing.
    pub optional: bool,
    /// `= …`: how intake computes it.
    pub derived: Option<Expr>,
    /// The whole field.
    pub span: Span,
}

/// A type as it is named in a field, list or table: `user`, `money CNY`, `text(4)`, `decimal(4)`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeRef {
    /// An entity kind, an enum, or a built-in type.
    pub name: Name,
    /// In parentheses: greatest bytes of a text, digits of a decimal.
    pub size: Option<Integer>,
    /// The one currency of a money field.
    pub currency: Option<Name>,
    /// All of it.
    pub span: Span,
}

/// `list watched : user from "watched.csv"`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct List {
    /// The list's name.
    pub name: Name,
    /// What it holds; none where it did not parse.
    pub of: Option<TypeRef>,
    /// What it is first filled from.
    pub file: Option<Text>,
    /// The whole item.
    pub span: Span,
}

/// `table shop_limit : merchant -> money from "limits.csv"`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// The table's name.
    pub name: Name,
    /// What is looked up; none where it did not parse.
    pub key: Option<TypeRef>,
    /// What is found; none where it did not parse.
    pub value: Option<TypeRef>,
    /// What it is first filled from.
    pub file: Option<Text>,
    /// The whole item.
    pub span: Span,
}

/// `const tiny = 2.00 CNY`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Const {
    /// The constant's name.
    pub name: Name,
    /// Its value.
    pub value: Expr,
    /// The whole item.
    pub span: Span,
}

/// `feature tiny_1m = count(payment) by user over 1m`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Feature {
    /// The feature's name.
    pub name: Name,
    /// Its value; an aggregate that stands alone is [`ExprKind::Aggregate`], as one in parentheses is.
    pub value: Expr,
    /// The whole item.
    pub span: Span,
}

/// An expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// All of it, without parentheses around it.
    pub span: Span,
}

/// What an expression is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExprKind {
    /// Did not parse.
    Error,
    /// `true`, `false`
    Flag(bool),
    /// `5`, `10%`, `900 km/h`, `2.00 CNY`
    Quantity(Quantity),
    /// `10m`
    Duration(Duration),
    /// `"text"`
    Text(String),
    /// `2027-03-31`
    Date(Date),
    /// `amount`, `payment.amount`, `this.amount`
    Path(Path),
    /// `shop_limit[merchant]`
    Lookup {
        /// The table.
        table: Name,
        /// What is looked up in it.
        key: Box<Expr>,
    },
    /// `hour(time)`: a function, or an aggregate that lacks its `by`.
    Call(Call),
    /// `count(payment) by user over 1h`: a call with at least one clause.
    Aggregate(Box<Aggregate>),
    /// `[app, web]`
    Set(Vec<Expr>),
    /// `-x`
    Negate(Box<Expr>),
    /// `not x`
    Not(Box<Expr>),
    /// `a + b`, `a ?? b`, `a and b`, `a < b`, `a contains b`
    Binary {
        /// Which.
        op: BinaryOp,
        /// Where it stands.
        op_span: Span,
        /// The left side.
        left: Box<Expr>,
        /// The right side.
        right: Box<Expr>,
    },
    /// `a in b`, `a not in 1 .. 5`
    In {
        /// `not in`
        negated: bool,
        /// What is looked at.
        operand: Box<Expr>,
        /// In what.
        range: Range,
    },
    /// `a is missing`, `a is not missing`
    IsMissing {
        /// `is not missing`
        negated: bool,
        /// What is looked at.
        operand: Box<Expr>,
    },
}

/// What stands right of `in`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Range {
    /// A list's name, or a set in brackets.
    Of(Box<Expr>),
    /// `low .. high`, both included.
    Between {
        /// The lower end.
        low: Box<Expr>,
        /// The upper end.
        high: Box<Expr>,
    },
}

/// `amount`, `payment.amount`, `any.device`, `this.amount`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    /// `this.` and where it stands.
    pub this: Option<Span>,
    /// At least one; at most two mean something today.
    pub names: Vec<Name>,
}

/// `name(a, not b, c where d)`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// What is called.
    pub name: Name,
    /// With what.
    pub args: Vec<Arg>,
    /// All of it.
    pub span: Span,
}

/// An argument of a call. Only a sequence's steps have `not` and `within`, only event types `where`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arg {
    /// A `not` before it, and where: a step that must be absent, or an ordinary negation if `expr` is a flag.
    pub not: Option<Span>,
    /// The argument.
    pub expr: Expr,
    /// `where …`
    pub where_: Option<Expr>,
    /// `within 5m`
    pub within: Option<Duration>,
    /// All of it.
    pub span: Span,
}

/// A call and its clauses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Aggregate {
    /// What is computed.
    pub call: Call,
    /// At least one, in any order; twice the same is the checker's to refuse.
    pub clauses: Vec<Clause>,
    /// All of it, without parentheses around it.
    pub span: Span,
}

/// Between two operands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BinaryOp {
    /// `or`
    Or,
    /// `and`
    And,
    /// `==`, `!=`, `<`, `<=`, `>`, `>=`
    Compare(Comparison),
    /// `contains`
    Contains,
    /// `starts`
    Starts,
    /// `matches`
    Matches,
    /// `??`
    Coalesce,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

/// What narrows an aggregate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clause {
    /// What it says.
    pub kind: ClauseKind,
    /// All of it.
    pub span: Span,
}

/// What a clause says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClauseKind {
    /// `by user`, `by (user, device)`, `by user via payee`
    By {
        /// One role or a pair.
        roles: Vec<Name>,
        /// As many, or none at all.
        via: Vec<Name>,
    },
    /// `over …`
    Over(Window),
    /// `where …`
    Where(Expr),
    /// `before`: without the current event.
    Before,
    /// `delay 7d`
    Delay(Duration),
    /// `within 15m`
    Within(Duration),
    /// `step 1h`: a declared approximation.
    Step(Duration),
    /// `group by card having count(payment) >= 2`
    GroupBy {
        /// By what the window is divided.
        role: Name,
        /// What must hold in a group.
        having: Call,
        /// How it compares.
        op: Comparison,
        /// With what: a quantity or a duration.
        value: Expr,
    },
    /// Did not parse.
    Error,
}

/// What an `over` spans.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Window {
    /// `over 1h`
    Sliding(Duration),
    /// `over today`
    Today,
    /// `over this month`
    This(CalendarUnit),
    /// `over last 20 payment`, `over last 5 any`
    Last {
        /// How many.
        count: Integer,
        /// Of which type; `any` is a name.
        of: Name,
    },
}

/// A stretch of the calendar.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CalendarUnit {
    /// From the full hour.
    Hour,
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first.
    Month,
    /// From 1 January.
    Year,
}

/// A rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The rule's name.
    pub name: Name,
    /// The reason for analysts; none where it did not parse.
    pub reason: Option<Text>,
    /// The reason for the customer.
    pub tell: Option<Text>,
    /// `live`, `shadow`, `off`, and where.
    pub mode: Option<(Mode, Span)>,
    /// `to 10% of user`
    pub rollout: Option<Rollout>,
    /// `from 2027-03-01`
    pub from: Option<Date>,
    /// `until 2027-03-31`, that day included.
    pub until: Option<Date>,
    /// The event types; `any` is a name. Empty where it did not parse.
    pub on: Vec<Name>,
    /// The condition.
    pub when: Expr,
    /// What follows.
    pub effects: Vec<Effect>,
    /// The whole item.
    pub span: Span,
}

/// `to 10% of user`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rollout {
    /// The unit is percent; how much is possible is the checker's to say.
    pub share: Quantity,
    /// Of whom.
    pub role: Name,
    /// All of it.
    pub span: Span,
}

/// What a rule or a policy line does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    /// What.
    pub kind: EffectKind,
    /// All of it.
    pub span: Span,
}

/// What an effect does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EffectKind {
    /// `block`
    Block {
        /// `always`
        always: bool,
    },
    /// `challenge with passkey or pay_pwd + sms_otp`
    Challenge {
        /// Sets of factors, any of which will do; empty without `with`.
        factors: Vec<Vec<Name>>,
        /// `always`
        always: bool,
    },
    /// `allow`
    Allow,
    /// `score +40`, `score - 20 * risk`: the sign stands apart.
    Score {
        /// `-`
        negative: bool,
        /// What follows the sign.
        value: Expr,
    },
    /// `alert high once per user 10m`
    Alert {
        /// How bad.
        severity: Severity,
        /// Not more often than that.
        once: Option<Once>,
    },
    /// `tag mule`
    Tag(Name),
    /// `freeze card for 1d`
    Freeze {
        /// Whom.
        role: Name,
        /// For how long.
        span: Duration,
    },
    /// `delay 1d`
    Delay(Duration),
    /// `add user to watched for 7d`
    Add {
        /// Whom.
        role: Name,
        /// Where.
        list: Name,
        /// For how long; none = until removed.
        span: Option<Duration>,
    },
    /// `remove user from watched`
    Remove {
        /// Whom.
        role: Name,
        /// Where.
        list: Name,
    },
    /// Did not parse.
    Error,
}

/// `once per user 10m`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Once {
    /// Per what.
    pub role: Name,
    /// And how long.
    pub span: Duration,
}

/// `policy` or `policy on login`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// The event types; empty = the plain policy.
    pub on: Vec<Name>,
    /// Its lines.
    pub lines: Vec<PolicyLine>,
    /// `deadline 10ms else challenge`
    pub deadline: Option<Deadline>,
    /// `valid for 60s`
    pub valid_for: Option<Duration>,
    /// The whole item.
    pub span: Span,
}

/// `block when score >= 90`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyLine {
    /// What follows.
    pub effects: Vec<Effect>,
    /// When.
    pub when: Expr,
    /// The whole line.
    pub span: Span,
}

/// `deadline 10ms else challenge`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deadline {
    /// How long a caller waits.
    pub after: Duration,
    /// What is answered then. Never [`Outcome::None`].
    pub outcome: Outcome,
    /// All of it.
    pub span: Span,
}

/// A test.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Test {
    /// What it says.
    pub name: Text,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// What must then be true.
    pub expectations: Vec<Expectation>,
    /// The whole item.
    pub span: Span,
}

/// `given payment user u1 amount 1.00 CNY, 4 times every 5s`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Whether it is a `given` or the `when`.
    pub role: StepRole,
    /// What happens.
    pub kind: StepKind,
    /// How often.
    pub repeat: Option<Repeat>,
    /// When; none = right away.
    pub at: Option<Moment>,
    /// All of it.
    pub span: Span,
}

/// The word before a step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StepRole {
    /// `given`: what went before.
    Given,
    /// `when`: what is looked at.
    When,
}

/// What happens in a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StepKind {
    /// `payment as p5 user u1 amount 1.00 CNY`
    Event {
        /// The event type.
        event_type: Name,
        /// `as p5`
        id: Option<Name>,
        /// Field and value. An id or an enum's value is a bare name or a text.
        fields: Vec<(Name, Expr)>,
    },
    /// `label fraud on p`
    Amendment {
        /// Never [`MutableColumn::Accepted`].
        column: MutableColumn,
        /// The new value's name.
        value: Name,
        /// The id of the event.
        event: Name,
    },
    /// `d1 in blocked_devices`, `m1 in shop_limit = 500.00 CNY`
    Listed {
        /// The entity's id, or the value.
        item: Name,
        /// A list or a table.
        list: Name,
        /// Of a table.
        value: Option<Expr>,
    },
    /// Did not parse.
    Error,
}

/// `4 times every 5s`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Repeat {
    /// How often.
    pub count: Integer,
    /// How far apart.
    pub every: Duration,
    /// All of it.
    pub span: Span,
}

/// When a step happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Moment {
    /// `after 5s`: so long after the one before.
    After(Duration),
    /// `at "2026-01-06 02:30"`: in the schema's zone; what is a time is the checker's to say.
    At(Text),
}

/// What must be true at the end of a test.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expectation {
    /// What.
    pub kind: ExpectationKind,
    /// All of it.
    pub span: Span,
}

/// What a test expects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExpectationKind {
    /// `challenge because card_testing and shop`
    Outcome {
        /// Never [`Outcome::None`].
        outcome: Outcome,
        /// Rules without which it would be weaker.
        because: Vec<Name>,
    },
    /// `hit shop`, `not hit shop`
    Hit {
        /// `not`
        negated: bool,
        /// Which.
        rule: Name,
    },
    /// `tiny_1m == 5`, `score >= 40`: a condition.
    Holds(Expr),
    /// Did not parse.
    Error,
}

impl Item {
    /// The whole item; of a one-line setting its value.
    pub fn span(&self) -> Span {
        match self {
            Self::Schema(it) => it.span,
            Self::Zone(it) | Self::Rates(it) => it.span,
            Self::Currency(it) | Self::Use(it) => it.span,
            Self::Lateness(it) | Self::Keep(it) => it.span,
            Self::Entity(it) => it.span,
            Self::Enum(it) => it.span,
            Self::Event(it) => it.span,
            Self::List(it) => it.span,
            Self::Table(it) => it.span,
            Self::Const(it) => it.span,
            Self::Feature(it) => it.span,
            Self::Record(names) => names.first().map(|it| it.span).unwrap_or_default(),
            Self::Rule(it) => it.span,
            Self::Policy(it) => it.span,
            Self::Test(it) => it.span,
            Self::Error(span) => *span,
        }
    }
}
