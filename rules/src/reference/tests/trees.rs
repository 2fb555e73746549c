//! Random typed trees: expressions of every form, and rule sets made of them, over one small schema.

use jiff::tz::TimeZone;

use crate::past::{Challenge, Label, Mutable, OperationResult, Outcome};
use crate::place::Place;
use crate::reference::generate::Choices;
use crate::reference::{Event, Lists, PastEvent};
use crate::schema::*;
use crate::span::Span;
use crate::time::{DAY, HOUR, MINUTE, SECOND};
use crate::typed::*;
use crate::value::{Form, Value};

/// 2026-01-05 12:00 UTC.
pub(super) const BASE: i64 = 1_767_614_400 * SECOND;

const USER: FieldId = FieldId(0);
const PAYEE: FieldId = FieldId(1);
const FIELDS: [(&str, FieldType); 9] = [
    ("user", FieldType::Entity(KindId(0))),
    ("payee", FieldType::Entity(KindId(0))),
    ("amount", FieldType::Int),
    ("limit", FieldType::Int),
    ("flag", FieldType::Flag),
    ("other_flag", FieldType::Flag),
    ("place", FieldType::Place),
    ("home", FieldType::Place),
    ("due", FieldType::Time),
];
const EXACT: Type = Type::Number(Numeric::Exact { scale: 2, digits: 14 });
const REAL: Type = Type::Number(Numeric::Real);
const MILLIONTHS: Type = Type::Number(Numeric::Exact { scale: 6, digits: 30 });

pub(super) fn schema() -> Schema {
    let currency = Currency::from_code("CNY").unwrap();
    let kind = Kind { name: "user".into(), ownership: Ownership::Partition };
    let ids = || FieldId::all().zip(&FIELDS);
    let fields = || ids().map(|(field, _)| EventField { field, optional: true, derived: None }).collect();
    let event = |name: &str| EventType { name: name.into(), fields: fields() };
    Schema {
        name: "trees".into(),
        version: 1,
        zone_name: "UTC".into(),
        zone: TimeZone::UTC,
        currency,
        lateness: 10 * MINUTE,
        keep: 2 * DAY,
        rates_file: None,
        kinds: vec![kind],
        enums: Vec::new(),
        events: vec![event("payment"), event("transfer")],
        fields: FIELDS.iter().map(|(name, ty)| Field { name: (*name).into(), ty: *ty }).collect(),
    }
}

/// Generates expressions.
pub(super) struct Trees<'a> {
    pub(super) choices: &'a mut Choices,
    /// Features that may be read, by form.
    pub(super) features: Vec<(FeatureId, Form)>,
    pub(super) scope: Scope,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Scope {
    Current,
    Past,
    Policy,
}

fn of(ty: Type, kind: ExprKind) -> Expr {
    Expr { kind, ty, optional: true }
}

impl Trees<'_> {
    pub(super) fn any(&mut self, form: Form, depth: usize) -> Expr {
        match form {
            Form::Flag => self.flag(depth),
            Form::Exact => self.exact(depth),
            Form::Real => self.real(depth),
        }
    }

    fn boxed(&mut self, form: Form, depth: usize) -> Box<Expr> {
        Box::new(self.any(form, depth))
    }

    fn form(&mut self) -> Form {
        *self.choices.pick(&[Form::Exact, Form::Real, Form::Flag]).unwrap()
    }

    fn feature(&mut self, form: Form) -> Option<ExprKind> {
        let all: Vec<_> = self.features.iter().filter(|it| it.1 == form).map(|it| it.0).collect();
        self.choices.pick(&all).map(|id| ExprKind::Feature(*id))
    }

    /// `this.` with something of the event being decided inside.
    fn this(&mut self, form: Form, depth: usize) -> ExprKind {
        if self.scope != Scope::Past {
            return self.any(form, 0).kind;
        }
        self.scope = Scope::Current;
        let inner = self.boxed(form, depth);
        self.scope = Scope::Past;
        ExprKind::This(inner)
    }

    pub(super) fn flag(&mut self, depth: usize) -> Expr {
        let alternatives = if depth == 0 { 6 } else { 19 };
        let kind = match self.choices.below(alternatives) {
            0 => ExprKind::Const(Value::Flag(self.choices.chance(50))),
            1 | 2 => ExprKind::Field(FieldId(*self.choices.pick(&[4, 5]).unwrap())),
            3 => self.feature(Form::Flag).unwrap_or(ExprKind::Field(FieldId(4))),
            4 if self.scope == Scope::Past => ExprKind::Mutable(MutableColumn::Accepted),
            4 => ExprKind::Listed(ListId(0), *self.choices.pick(&[USER, PAYEE]).unwrap()),
            5 => ExprKind::TableValue(ListId(2), USER),
            6 => ExprKind::Not(self.boxed(Form::Flag, depth - 1)),
            7 | 8 => ExprKind::And(self.boxed(Form::Flag, depth - 1), self.boxed(Form::Flag, depth - 1)),
            9 | 10 => ExprKind::Or(self.boxed(Form::Flag, depth - 1), self.boxed(Form::Flag, depth - 1)),
            11..=13 => self.compare(depth),
            14 => self.between(depth),
            15 => self.one_of(depth),
            16 => {
                let form = self.form();
                ExprKind::IsMissing(self.boxed(form, depth - 1))
            }
            17 => ExprKind::Coalesce(self.boxed(Form::Flag, depth - 1), self.boxed(Form::Flag, depth - 1)),
            _ if self.choices.chance(50) => self.this(Form::Flag, depth - 1),
            _ if self.scope != Scope::Past && self.choices.chance(50) => {
                ExprKind::ListedValue(ListId(1), self.boxed(Form::Exact, depth - 1))
            }
            _ => {
                let functions = [Function::Night(self.zone()), Function::Weekend(self.zone())];
                ExprKind::Call(self.choices.pick(&functions).unwrap().clone(), vec![self.time()])
            }
        };
        of(Type::Flag, kind)
    }

    fn compare(&mut self, depth: usize) -> ExprKind {
        use Comparison as C;
        let all = [C::Equal, C::NotEqual, C::Less, C::LessOrEqual, C::Greater, C::GreaterOrEqual];
        let (comparison, form) = (*self.choices.pick(&all).unwrap(), self.form());
        ExprKind::Compare(comparison, self.boxed(form, depth - 1), self.boxed(form, depth - 1))
    }

    fn between(&mut self, depth: usize) -> ExprKind {
        let form = *self.choices.pick(&[Form::Exact, Form::Real]).unwrap();
        ExprKind::Between {
            operand: self.boxed(form, depth - 1),
            low: self.boxed(form, depth - 1),
            high: self.boxed(form, depth - 1),
            wraps: self.choices.chance(50),
        }
    }

    fn one_of(&mut self, depth: usize) -> ExprKind {
        let form = self.form();
        let items = (0..self.choices.below(4)).map(|_| self.any(form, depth - 1)).collect();
        ExprKind::OneOf(self.boxed(form, depth - 1), items)
    }

    pub(super) fn exact(&mut self, depth: usize) -> Expr {
        let alternatives = if depth == 0 { 7 } else { 15 };
        let kind = match self.choices.below(alternatives) {
            0 => ExprKind::Const(Value::Exact(self.choices.between(-3, 8).into())),
            1 | 2 => ExprKind::Field(FieldId(*self.choices.pick(&[2, 3]).unwrap())),
            3 | 4 => self.feature(Form::Exact).unwrap_or(ExprKind::Field(FieldId(2))),
            5 => match self.scope {
                Scope::Policy => ExprKind::Score,
                Scope::Past => ExprKind::Mutable(*self.choices.pick(&MUTABLE).unwrap()),
                Scope::Current => ExprKind::Text(["a", "b"][self.choices.below(2)].into()),
            },
            6 => [ExprKind::EventType, ExprKind::Time, ExprKind::TableValue(ListId(3), PAYEE)]
                [self.choices.below(3)]
            .clone(),
            7 => ExprKind::Coalesce(self.boxed(Form::Exact, depth - 1), self.boxed(Form::Exact, depth - 1)),
            8 | 9 => {
                let operators = [Operator::Add, Operator::Subtract, Operator::Multiply];
                let operator = *self.choices.pick(&operators).unwrap();
                ExprKind::Arithmetic(
                    operator,
                    self.boxed(Form::Exact, depth - 1),
                    self.boxed(Form::Exact, depth - 1),
                )
            }
            10 => ExprKind::Negate(self.boxed(Form::Exact, depth - 1)),
            11 => {
                let digits = u8::try_from(self.choices.below(8)).unwrap();
                ExprKind::Rescale(self.boxed(Form::Exact, depth - 1), digits)
            }
            12 => {
                let functions = [Function::Hour(self.zone()), Function::Weekday(self.zone())];
                ExprKind::Call(self.choices.pick(&functions).unwrap().clone(), vec![self.time()])
            }
            13 => self.extremes(Form::Exact, depth),
            _ => self.this(Form::Exact, depth - 1),
        };
        of(EXACT, kind)
    }

    fn extremes(&mut self, form: Form, depth: usize) -> ExprKind {
        match self.choices.below(3) {
            0 => ExprKind::Call(Function::Abs, vec![self.any(form, depth - 1)]),
            which => {
                let arguments = (0..=self.choices.below(3)).map(|_| self.any(form, depth - 1)).collect();
                ExprKind::Call(if which == 1 { Function::Min } else { Function::Max }, arguments)
            }
        }
    }

    pub(super) fn real(&mut self, depth: usize) -> Expr {
        let alternatives = if depth == 0 { 4 } else { 12 };
        let kind = match self.choices.below(alternatives) {
            0 => ExprKind::Const(Value::finite(self.choices.between(-40, 40) as f64 / 8.0)),
            1 | 2 => self.feature(Form::Real).unwrap_or(ExprKind::Const(Value::Real(0.5))),
            3 => ExprKind::Const(Value::Real([1e300, -1e-300, 0.1, 1.5e-6][self.choices.below(4)])),
            4 => ExprKind::Coalesce(self.boxed(Form::Real, depth - 1), self.boxed(Form::Real, depth - 1)),
            5 | 6 => {
                let operators = [Operator::Divide, Operator::Add, Operator::Subtract, Operator::Multiply];
                let operator = *self.choices.pick(&operators).unwrap();
                ExprKind::Arithmetic(
                    operator,
                    self.boxed(Form::Real, depth - 1),
                    self.boxed(Form::Real, depth - 1),
                )
            }
            7 => ExprKind::Negate(self.boxed(Form::Real, depth - 1)),
            8 => {
                let scale = u8::try_from(self.choices.below(8)).unwrap();
                ExprKind::ToReal(self.boxed(Form::Exact, depth - 1), scale)
            }
            9 => {
                let place = |it: u16| of(Type::Place, ExprKind::Field(FieldId(it)));
                ExprKind::Call(Function::Distance, vec![place(6), place(7)])
            }
            10 => self.extremes(Form::Real, depth),
            _ => self.this(Form::Real, depth - 1),
        };
        of(REAL, kind)
    }

    fn time(&mut self) -> Expr {
        let kinds = [ExprKind::Time, ExprKind::Field(FieldId(8)), ExprKind::Const(Value::Exact(BASE.into()))];
        of(Type::Time, self.choices.pick(&kinds).unwrap().clone())
    }

    fn zone(&mut self) -> TimeZone {
        let names = ["UTC", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe"];
        TimeZone::get(self.choices.pick(&names).unwrap()).unwrap()
    }
}

const MUTABLE: [MutableColumn; 4] =
    [MutableColumn::Outcome, MutableColumn::Challenge, MutableColumn::Result, MutableColumn::Label];

/// A rule set of random features, rules and policies.
pub(super) fn rule_set(choices: &mut Choices) -> RuleSet {
    let mut features = Vec::new();
    let mut known = Vec::new();
    for id in 0..choices.below(7) {
        let definition = match choices.below(2) {
            0 => Definition::Aggregate(Box::new(aggregate(choices, &known))),
            _ => {
                let form = *choices.pick(&[Form::Exact, Form::Real, Form::Flag]).unwrap();
                let mut trees = Trees { choices, features: known.clone(), scope: Scope::Current };
                Definition::Expr(trees.any(form, 3))
            }
        };
        let ty = feature_type(&definition);
        known.push((FeatureId(u16::try_from(id).unwrap()), ty.form()));
        features.push(Feature {
            name: format!("f{id}"),
            ty,
            optional: true,
            domain: vec![EventTypeId(0), EventTypeId(1)],
            definition,
            captured: Captured::Own,
            own: true,
            hash: [0; 16],
            span: Span::default(),
        });
    }
    let rules = (0..choices.below(6)).map(|at| rule(choices, &known, at)).collect();
    let policies = (0..choices.below(3)).map(|at| policy(choices, &known, at)).collect();
    RuleSet {
        schema: schema(),
        lists: Vec::new(),
        feature_order: known.iter().map(|it| it.0).collect(),
        features,
        record: Vec::new(),
        rules,
        policies,
        tests: Vec::new(),
        hash: [0; 32],
    }
}

fn feature_type(definition: &Definition) -> Type {
    use AggregateFunction as F;
    match definition {
        Definition::Expr(expr) => expr.ty,
        Definition::Aggregate(it) => match it.function {
            F::Count | F::Distinct => EXACT,
            F::Sum | F::Min | F::Max | F::First | F::Last => it.argument.as_ref().unwrap().ty,
            F::Mean | F::Stddev | F::Ratio => REAL,
            F::FirstSeen => Type::Flag,
            F::TimeSince => Type::Duration(Numeric::Exact { scale: 0, digits: 18 }),
            F::Speed => Type::Speed,
        },
    }
}

fn aggregate(choices: &mut Choices, known: &[(FeatureId, Form)]) -> Aggregate {
    use AggregateFunction as F;
    let all = [
        F::Count,
        F::Sum,
        F::Mean,
        F::Min,
        F::Max,
        F::Stddev,
        F::Distinct,
        F::Ratio,
        F::First,
        F::Last,
        F::FirstSeen,
        F::TimeSince,
        F::Speed,
    ];
    let function = *choices.pick(&all).unwrap();
    let roles = [vec![USER], vec![PAYEE], vec![USER, PAYEE]];
    let by = choices.pick(&roles).unwrap().clone();
    let via =
        if choices.chance(30) { by.iter().rev().map(|it| FieldId(1 - it.0)).collect() } else { by.clone() };
    let over = choices.pick(&[Some(HOUR), Some(SECOND), Some(DAY), None]).copied().unwrap();
    let delay = choices.chance(25).then(|| if choices.chance(50) { HOUR } else { SECOND });
    let of = choices.pick(&[vec![EventTypeId(0)], vec![EventTypeId(0), EventTypeId(1)]]).unwrap().clone();
    let before = choices.chance(40);
    let mut trees = Trees { choices, features: known.to_vec(), scope: Scope::Past };
    let argument = match function {
        F::Count | F::Ratio | F::TimeSince => None,
        F::Speed => Some(self::of(Type::Place, ExprKind::Field(FieldId(6)))),
        _ => {
            let form = *trees.choices.pick(&[Form::Exact, Form::Real]).unwrap();
            Some(trees.any(form, 1))
        }
    };
    let condition = trees.choices.chance(50).then(|| trees.flag(2));
    let numerator = (function == F::Ratio).then(|| trees.flag(2));
    Aggregate {
        function,
        of,
        argument,
        by,
        via,
        over,
        delay,
        before,
        condition,
        numerator,
        reads_mutable: true,
        reads_this: true,
    }
}

fn rule(choices: &mut Choices, known: &[(FeatureId, Form)], at: usize) -> Rule {
    let mut trees = Trees { choices, features: known.to_vec(), scope: Scope::Current };
    let when = trees.flag(3);
    let effects = (0..trees.choices.below(4)).map(|_| effect(&mut trees)).collect();
    let types = [vec![EventTypeId(0)], vec![EventTypeId(0), EventTypeId(1)]];
    Rule {
        name: format!("r{at}"),
        reason: String::new(),
        tell: None,
        mode: *choices.pick(&[Mode::Live, Mode::Live, Mode::Live, Mode::Shadow, Mode::Off]).unwrap(),
        rollout: choices.chance(20).then_some((USER, 500_000)),
        from: choices.chance(10).then_some(BASE),
        until: choices.chance(10).then_some(BASE),
        on: choices.pick(&types).unwrap().clone(),
        when,
        effects,
        span: Span::default(),
    }
}

fn effect(trees: &mut Trees<'_>) -> Effect {
    let role = *trees.choices.pick(&[USER, PAYEE]).unwrap();
    match trees.choices.below(12) {
        0 => Effect::Block { always: trees.choices.chance(40) },
        1 | 2 => Effect::Challenge {
            factors: if trees.choices.chance(50) { vec![vec!["passkey".into()]] } else { Vec::new() },
            always: trees.choices.chance(40),
        },
        3 => Effect::Allow,
        4 => Effect::Score(trees.real(2)),
        5 | 6 => Effect::Score(Expr { ty: MILLIONTHS, ..trees.exact(2) }),
        7 => Effect::Score(Expr {
            ty: Type::Number(Numeric::Exact { scale: 8, digits: 20 }),
            ..trees.exact(2)
        }),
        8 => Effect::Alert { severity: Severity::High, once: Some((role, HOUR)) },
        9 => Effect::Tag("odd".into()),
        10 => Effect::Freeze { role, span: HOUR },
        _ => Effect::Add { role, list: ListId(0), span: None },
    }
}

fn policy(choices: &mut Choices, known: &[(FeatureId, Form)], at: usize) -> Policy {
    let mut trees = Trees { choices, features: known.to_vec(), scope: Scope::Policy };
    let lines = (0..trees.choices.below(4)).map(|_| PolicyLine {
        when: trees.flag(2),
        effects: vec![effect(&mut trees)]
            .into_iter()
            .filter(|it| !matches!(it, Effect::Score(_) | Effect::Allow))
            .collect(),
    });
    let lines = lines.collect();
    Policy {
        on: if at == 0 { Vec::new() } else { vec![EventTypeId(0)] },
        lines,
        deadline: None,
        valid_for: None,
    }
}

/// Slots of an event: few different ones, so that they meet; each missing now and then.
pub(super) fn fields(choices: &mut Choices) -> Vec<Option<i64>> {
    let mut slot = |ty| match ty {
        FieldType::Entity(_) => choices.between(1, 3),
        FieldType::Flag => choices.between(0, 1),
        FieldType::Place => {
            let degrees = |choices: &mut Choices| choices.between(-30, 30) * 10_000_000;
            Place::new(degrees(choices), degrees(choices)).unwrap().pack()
        }
        FieldType::Time => choices.between(0, crate::time::TIME_MAX),
        _ => choices.between(-4, 9),
    };
    let slots: Vec<_> = FIELDS.iter().map(|(_, ty)| slot(*ty)).collect();
    slots.into_iter().map(|slot| (!choices.chance(15)).then_some(slot)).collect()
}

pub(super) fn value(choices: &mut Choices, form: Form) -> Value {
    if choices.chance(15) {
        return Value::Missing;
    }
    match form {
        Form::Flag => Value::Flag(choices.chance(50)),
        Form::Exact => Value::Exact(choices.between(-4, 9).into()),
        Form::Real => Value::finite(choices.between(-40, 90) as f64 / 8.0),
    }
}

/// Around [`BASE`], often at the edges of the windows.
fn time(choices: &mut Choices) -> i64 {
    let edges = [0, HOUR, SECOND, DAY, 2 * DAY, HOUR + SECOND, DAY + HOUR];
    BASE - choices.pick(&edges).unwrap() + choices.between(-1, 1) * choices.pick(&[0, 1, MINUTE]).unwrap()
}

pub(super) fn event(choices: &mut Choices, position: u64) -> Event {
    let event_type = EventTypeId(u16::try_from(choices.below(2)).unwrap());
    let time = if choices.chance(50) { BASE } else { time(choices) };
    Event { position, event_type, time, fields: fields(choices) }
}

pub(super) fn mutable(choices: &mut Choices) -> Mutable {
    let mut number = |values: usize| u8::try_from(choices.below(values)).unwrap();
    Mutable {
        outcome: Outcome::from_number(number(4)).unwrap(),
        challenge: Challenge::from_number(number(6)).unwrap(),
        result: OperationResult::from_number(number(7)).unwrap(),
        label: Label::from_number(number(3)).unwrap(),
    }
}

pub(super) fn past_event(choices: &mut Choices, position: u64, rules: &RuleSet) -> PastEvent {
    let event = Event { time: time(choices), ..event(choices, position) };
    let mut changes = vec![(position, mutable(choices))];
    while choices.chance(30) {
        let later = changes.last().unwrap().0 + 1 + choices.below(4) as u64;
        changes.push((later, mutable(choices)));
    }
    let captured = rules.features.iter().map(|it| value(choices, it.ty.form())).collect();
    PastEvent { event, changes, captured }
}

pub(super) fn lists(choices: &mut Choices) -> Lists {
    let mut lists = Lists::default();
    for slot in 1..=3 {
        for list in 0..2 {
            if choices.chance(50) {
                lists.items.insert((ListId(list), slot));
            }
        }
        for list in 2..4 {
            if choices.chance(50) {
                lists.tables.insert((ListId(list), slot), choices.between(0, 1));
            }
        }
    }
    lists
}
