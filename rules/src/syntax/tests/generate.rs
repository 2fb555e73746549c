//! Random plain trees: every construct of the language, names that are words of the language elsewhere, no spans.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use rust_decimal::Decimal;

use crate::past::Outcome;
use crate::schema::Ownership;
use crate::span::Span;
use crate::syntax::ast::*;
use crate::time::{DAY, HOUR, MILLISECOND, MINUTE, SECOND, WEEK};
use crate::typed::{Comparison, Mode, MutableColumn, Severity};

const NOWHERE: Span = Span { start: 0, end: 0 };

/// A file of a few items.
pub(super) fn file() -> impl Strategy<Value = File> {
    vec(item(), 0..5).prop_map(|items| File { items })
}

fn named(text: &str) -> Name {
    Name { text: text.to_owned(), span: NOWHERE }
}

fn name() -> impl Strategy<Value = Name> {
    let words = [
        "amount",
        "user",
        "u1",
        "spent_24h",
        "_x",
        "delay",
        "score",
        "high",
        "always",
        "to",
        "Abc",
        "before",
    ];
    select(words.to_vec()).prop_map(named)
}

fn type_name() -> impl Strategy<Value = Name> {
    prop_oneof![4 => name(), 1 => Just(named("any"))]
}

fn id() -> impl Strategy<Value = Name> {
    prop_oneof![3 => name(), 1 => "[ -~]{0,5}é".prop_map(|text| named(&text))]
}

fn text() -> impl Strategy<Value = Text> {
    "[ -~]{0,9}|[\"\\\\金/é]{0,4}".prop_map(|text| Text { text, span: NOWHERE })
}

fn integer() -> impl Strategy<Value = Integer> {
    any::<u32>().prop_map(|value| Integer { value, span: NOWHERE })
}

fn duration() -> impl Strategy<Value = Duration> {
    let units = [("ms", MILLISECOND), ("s", SECOND), ("m", MINUTE), ("h", HOUR), ("d", DAY), ("w", WEEK)];
    (0i64..500, select(units.to_vec())).prop_map(|(n, (unit, micros))| Duration {
        micros: n * micros,
        text: format!("{n}{unit}"),
        span: NOWHERE,
    })
}

fn date() -> impl Strategy<Value = Date> {
    (1970i16..2200, 1i8..=12, 1i8..=28)
        .prop_map(|(year, month, day)| Date { day: jiff::civil::date(year, month, day), span: NOWHERE })
}

fn quantity() -> impl Strategy<Value = Quantity> {
    let unit = select(vec![
        Unit::None,
        Unit::Percent,
        Unit::Kilometres,
        Unit::Metres,
        Unit::KilometresPerHour,
        Unit::Currency(named("CNY")),
    ]);
    (decimal(), unit).prop_map(|(value, unit)| Quantity { value, unit, span: NOWHERE })
}

fn decimal() -> impl Strategy<Value = Decimal> {
    (any::<u32>(), 0u32..6).prop_map(|(digits, scale)| Decimal::new(i64::from(digits), scale))
}

fn expr_of(kind: ExprKind) -> Expr {
    Expr { kind, span: NOWHERE }
}

fn expr() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(5, 24, 3, |inner| compound(inner.boxed()))
}

fn leaf() -> impl Strategy<Value = Expr> {
    let path = (any::<bool>(), vec(name(), 1..3))
        .prop_map(|(this, names)| ExprKind::Path(Path { this: this.then_some(NOWHERE), names }));
    let of_any = name().prop_map(|name| ExprKind::Path(Path { this: None, names: vec![named("any"), name] }));
    prop_oneof![
        any::<bool>().prop_map(ExprKind::Flag),
        quantity().prop_map(ExprKind::Quantity),
        duration().prop_map(ExprKind::Duration),
        text().prop_map(|it| ExprKind::Text(it.text)),
        date().prop_map(ExprKind::Date),
        path,
        of_any,
    ]
    .prop_map(expr_of)
}

fn compound(inner: BoxedStrategy<Expr>) -> impl Strategy<Value = Expr> {
    let boxed = inner.clone().prop_map(Box::new).boxed();
    let range = prop_oneof![
        boxed.clone().prop_map(Range::Of),
        (boxed.clone(), boxed.clone()).prop_map(|(low, high)| Range::Between { low, high }),
    ];
    let binary = (binary_op(), boxed.clone(), boxed.clone());
    let aggregate = aggregate(inner.clone()).prop_map(|it| ExprKind::Aggregate(Box::new(it)));
    prop_oneof![
        (name(), boxed.clone()).prop_map(|(table, key)| ExprKind::Lookup { table, key }),
        call(inner.clone()).prop_map(ExprKind::Call),
        aggregate,
        vec(inner, 0..3).prop_map(ExprKind::Set),
        boxed.clone().prop_map(ExprKind::Negate),
        boxed.clone().prop_map(ExprKind::Not),
        binary.prop_map(|(op, left, right)| ExprKind::Binary { op, op_span: NOWHERE, left, right }),
        (any::<bool>(), boxed.clone(), range).prop_map(|(negated, operand, range)| ExprKind::In {
            negated,
            operand,
            range
        }),
        (any::<bool>(), boxed).prop_map(|(negated, operand)| ExprKind::IsMissing { negated, operand }),
    ]
    .prop_map(expr_of)
}

fn comparison() -> impl Strategy<Value = Comparison> {
    select(vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ])
}

fn binary_op() -> impl Strategy<Value = BinaryOp> {
    let others = select(vec![
        BinaryOp::Or,
        BinaryOp::And,
        BinaryOp::Contains,
        BinaryOp::Starts,
        BinaryOp::Matches,
        BinaryOp::Coalesce,
        BinaryOp::Add,
        BinaryOp::Subtract,
        BinaryOp::Multiply,
        BinaryOp::Divide,
    ]);
    prop_oneof![1 => comparison().prop_map(BinaryOp::Compare), 3 => others]
}

fn call(inner: BoxedStrategy<Expr>) -> impl Strategy<Value = Call> {
    let arg =
        (any::<bool>(), inner.clone(), of(inner), of(duration())).prop_map(|(not, expr, where_, within)| {
            // A negation that is all of an argument is the argument's.
            let (not, expr) = match expr.kind {
                ExprKind::Not(operand) if !not => (true, *operand),
                _ => (not, expr),
            };
            Arg { not: not.then_some(NOWHERE), expr, where_, within, span: NOWHERE }
        });
    (name(), vec(arg, 0..3)).prop_map(|(name, args)| Call { name, args, span: NOWHERE })
}

fn aggregate(inner: BoxedStrategy<Expr>) -> impl Strategy<Value = Aggregate> {
    (call(inner.clone()), vec(clause(inner), 1..4)).prop_map(|(call, mut clauses)| {
        // What an aggregate says again behind its condition is read as that of a call in the condition.
        let (mut by, mut over) = (false, false);
        clauses.retain(|it| match it.kind {
            ClauseKind::By { .. } => !std::mem::replace(&mut by, true),
            ClauseKind::Over(_) => !std::mem::replace(&mut over, true),
            _ => true,
        });
        Aggregate { call, clauses, span: NOWHERE }
    })
}

fn roles() -> impl Strategy<Value = Vec<Name>> {
    vec(name(), 1..=2)
}

fn clause(inner: BoxedStrategy<Expr>) -> impl Strategy<Value = Clause> {
    let unit = select(vec![
        CalendarUnit::Hour,
        CalendarUnit::Day,
        CalendarUnit::Week,
        CalendarUnit::Month,
        CalendarUnit::Year,
    ]);
    let window = prop_oneof![
        duration().prop_map(Window::Sliding),
        Just(Window::Today),
        unit.prop_map(Window::This),
        (integer(), type_name()).prop_map(|(count, of)| Window::Last { count, of }),
    ];
    let group = (name(), call(inner.clone()), comparison(), inner.clone());
    prop_oneof![
        (roles(), of(roles()))
            .prop_map(|(roles, via)| ClauseKind::By { roles, via: via.unwrap_or_default() }),
        window.prop_map(ClauseKind::Over),
        inner.prop_map(ClauseKind::Where),
        Just(ClauseKind::Before),
        duration().prop_map(ClauseKind::Delay),
        duration().prop_map(ClauseKind::Within),
        duration().prop_map(ClauseKind::Step),
        group.prop_map(|(role, having, op, value)| ClauseKind::GroupBy { role, having, op, value }),
    ]
    .prop_map(|kind| Clause { kind, span: NOWHERE })
}

fn type_ref() -> impl Strategy<Value = TypeRef> {
    (name(), of(integer()), of(Just(named("EUR")))).prop_map(|(name, size, currency)| TypeRef {
        name,
        size,
        currency,
        span: NOWHERE,
    })
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![2 => schema_item(), 3 => rule_item()]
}

fn schema_item() -> impl Strategy<Value = Item> {
    let ownership = of(select(vec![(Ownership::Owned, NOWHERE), (Ownership::Shared, NOWHERE)]));
    let field = (name(), type_ref(), any::<bool>(), of(expr())).prop_map(|(name, ty, optional, derived)| {
        Field { name, ty: Some(ty), optional, derived, span: NOWHERE }
    });
    prop_oneof![
        (name(), integer()).prop_map(|(name, it)| Item::Schema(SchemaHeader {
            name,
            version: Some(it),
            span: NOWHERE
        })),
        text().prop_map(Item::Zone),
        text().prop_map(Item::Rates),
        Just(Item::Currency(named("CNY"))),
        duration().prop_map(Item::Lateness),
        duration().prop_map(Item::Keep),
        (name(), ownership).prop_map(|(name, ownership)| Item::Entity(Entity {
            name,
            ownership,
            span: NOWHERE
        })),
        (name(), vec(name(), 1..4)).prop_map(|(name, values)| Item::Enum(Enum {
            name,
            values,
            span: NOWHERE
        })),
        (name(), vec(field, 0..4)).prop_map(|(name, fields)| Item::Event(Event {
            name,
            fields,
            span: NOWHERE
        })),
    ]
}

fn rule_item() -> impl Strategy<Value = Item> {
    let list = (name(), type_ref(), of(text()));
    let table = (name(), type_ref(), type_ref(), of(text()));
    prop_oneof![
        name().prop_map(Item::Use),
        list.prop_map(|(name, of, file)| Item::List(List { name, of: Some(of), file, span: NOWHERE })),
        table.prop_map(|(name, key, value, file)| {
            Item::Table(Table { name, key: Some(key), value: Some(value), file, span: NOWHERE })
        }),
        (name(), expr()).prop_map(|(name, value)| Item::Const(Const { name, value, span: NOWHERE })),
        (name(), expr()).prop_map(|(name, value)| Item::Feature(Feature { name, value, span: NOWHERE })),
        vec(name(), 1..4).prop_map(Item::Record),
        rule().prop_map(Item::Rule),
        policy().prop_map(Item::Policy),
        test().prop_map(Item::Test),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let mode = of(select(vec![Mode::Live, Mode::Shadow, Mode::Off]));
    let rollout = (decimal(), name()).prop_map(|(value, role)| {
        let share = Quantity { value, unit: Unit::Percent, span: NOWHERE };
        Rollout { share, role, span: NOWHERE }
    });
    let head = (name(), text(), of(text()), mode, of(rollout), of(date()), of(date()));
    let body = (vec(type_name(), 1..3), expr(), vec(effect(), 1..4));
    (head, body).prop_map(|(head, (on, when, effects))| {
        let (name, reason, tell, mode, rollout, from, until) = head;
        let (reason, mode) = (Some(reason), mode.map(|mode| (mode, NOWHERE)));
        Rule { name, reason, tell, mode, rollout, from, until, on, when, effects, span: NOWHERE }
    })
}

fn effect() -> impl Strategy<Value = Effect> {
    let severity = select(vec![Severity::Low, Severity::Medium, Severity::High, Severity::Critical]);
    let once = (name(), duration()).prop_map(|(role, span)| Once { role, span });
    // `always` behind a factor is the effect's: no factor is called so here.
    let factor = select(&["passkey", "or_so", "sms_otp"][..]).prop_map(named);
    let factors = vec(vec(factor, 1..3), 0..3);
    prop_oneof![
        any::<bool>().prop_map(|always| EffectKind::Block { always }),
        (factors, any::<bool>()).prop_map(|(factors, always)| EffectKind::Challenge { factors, always }),
        Just(EffectKind::Allow),
        (any::<bool>(), expr()).prop_map(|(negative, value)| EffectKind::Score { negative, value }),
        (severity, of(once)).prop_map(|(severity, once)| EffectKind::Alert { severity, once }),
        name().prop_map(EffectKind::Tag),
        (name(), duration()).prop_map(|(role, span)| EffectKind::Freeze { role, span }),
        duration().prop_map(EffectKind::Delay),
        (name(), name(), of(duration())).prop_map(|(role, list, span)| EffectKind::Add { role, list, span }),
        (name(), name()).prop_map(|(role, list)| EffectKind::Remove { role, list }),
    ]
    .prop_map(|kind| Effect { kind, span: NOWHERE })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    select(vec![Outcome::Allow, Outcome::Challenge, Outcome::Block])
}

fn policy() -> impl Strategy<Value = Policy> {
    let line =
        (vec(effect(), 1..3), expr()).prop_map(|(effects, when)| PolicyLine { effects, when, span: NOWHERE });
    let deadline =
        (duration(), outcome()).prop_map(|(after, outcome)| Deadline { after, outcome, span: NOWHERE });
    (vec(type_name(), 0..3), vec(line, 0..3), of(deadline), of(duration()))
        .prop_map(|(on, lines, deadline, valid_for)| Policy { on, lines, deadline, valid_for, span: NOWHERE })
}

fn test() -> impl Strategy<Value = Test> {
    (text(), vec(step(), 0..3), vec(expectation(), 1..3)).prop_map(|(name, steps, expectations)| Test {
        name,
        steps,
        expectations,
        span: NOWHERE,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let role = select(vec![StepRole::Given, StepRole::When]);
    let repeat = (integer(), duration()).prop_map(|(count, every)| Repeat { count, every, span: NOWHERE });
    let moment = prop_oneof![duration().prop_map(Moment::After), text().prop_map(Moment::At)];
    (role, step_kind(), of(repeat), of(moment)).prop_map(|(role, kind, repeat, at)| Step {
        role,
        kind,
        repeat,
        at,
        span: NOWHERE,
    })
}

fn step_kind() -> impl Strategy<Value = StepKind> {
    // Words that begin items of a schema are names in a test, where they do not stand at the margin.
    let field = prop_oneof![3 => name(), 1 => select(&["currency", "keep", "zone"][..]).prop_map(named)];
    let column = select(vec![
        MutableColumn::Label,
        MutableColumn::Result,
        MutableColumn::Challenge,
        MutableColumn::Outcome,
    ]);
    prop_oneof![
        (name(), of(id()), vec((field, expr()), 0..4)).prop_map(|(event_type, id, fields)| StepKind::Event {
            event_type,
            id,
            fields
        }),
        (column, name(), id()).prop_map(|(column, value, event)| StepKind::Amendment {
            column,
            value,
            event
        }),
        (id(), name(), of(expr())).prop_map(|(item, list, value)| StepKind::Listed { item, list, value }),
    ]
}

fn expectation() -> impl Strategy<Value = Expectation> {
    prop_oneof![
        (outcome(), vec(name(), 0..3))
            .prop_map(|(outcome, because)| ExpectationKind::Outcome { outcome, because }),
        (any::<bool>(), name()).prop_map(|(negated, rule)| ExpectationKind::Hit { negated, rule }),
        expr().prop_map(ExpectationKind::Holds),
    ]
    .prop_map(|kind| Expectation { kind, span: NOWHERE })
}
