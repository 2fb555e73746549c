//! The plain tree: what a file says, without white space, comments and parentheses.
//!
//! One grammar for schema and rule files; which items may stand where is the checker's to say, and so is what a
//! name means. Literals are exact. Lists keep the order of the text.
//!
//! **What did not parse** has been reported, and is the `Error` of the smallest enum around it ([`Item`],
//! [`ExprKind`], [`ClauseKind`], [`EffectKind`], [`StepKind`], [`ExpectationKind`]). A checker goes on beside it and
//! says nothing about it. A rule whose condition did not parse is therefore a rule with
//! [`ExprKind::Error`] as its `when`; an item whose name did not parse is [`Item::Error`].

mod expr;
mod rule;
mod test;

pub use expr::{
    Aggregate, Arg, BinaryOp, CalendarUnit, Call, Clause, ClauseKind, Expr, ExprKind, Path, Range, Window,
};
pub use rule::{Deadline, Effect, EffectKind, Once, Policy, PolicyLine, Rollout, Rule};
pub use test::{Expectation, ExpectationKind, Moment, Repeat, Step, StepKind, StepRole, Test};

use rust_decimal::Decimal;

use crate::schema::Ownership;
use crate::span::Span;
use crate::time::Micros;

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
