//! What a rule costs: threshold rules over features that are already known, compiled and beside it walked.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::tz::TimeZone;
use rules::program::{Nothing, Program, Verdict};
use rules::reference::{Event, Lists, World};
use rules::schema::{Currency, EventType, EventTypeId, Kind, Ownership, Schema};
use rules::span::Span;
use rules::time::{DAY, HOUR, MINUTE};
use rules::typed::{
    Captured, Comparison, Definition, Effect, Expr, ExprKind, Feature, FeatureId, Mode, Numeric, Rule,
    RuleSet, Type,
};
use rules::value::{Form, Value};

const FEATURES: u16 = 30;

fn threshold_rules(benches: &mut Criterion) {
    for rules in [20, 50] {
        for form in [Form::Exact, Form::Real] {
            let set = rule_set(rules, form);
            let values: Vec<_> = (0..FEATURES).map(|it| value(form, it.into())).collect();
            let mut group = benches.benchmark_group(format!("{rules} threshold rules, {form:?}"));
            group.throughput(Throughput::Elements(u64::from(rules)));

            let program = Program::compile(&set, &|_| 0);
            let (mut frame, mut verdict) = (program.frame(), Verdict::default());
            frame.begin(EventTypeId(0), DAY);
            (0..FEATURES).map(FeatureId).zip(&values).for_each(|(id, value)| frame.set_feature(id, *value));
            let event = Event { position: 0, event_type: EventTypeId(0), time: DAY, fields: Vec::new() };
            let world = World {
                rules: &set,
                texts: &|_| 0,
                past: &[],
                excluded: None,
                lists: &Lists::default(),
                in_share: &|_, _, _| false,
            };
            program.run(&mut frame, &mut Nothing, &mut verdict);
            assert_eq!(verdict, world.verdict(&event, &values), "both say the same");

            group.bench_function("program", |bencher| {
                bencher.iter(|| program.run(black_box(&mut frame), &mut Nothing, black_box(&mut verdict)));
            });

            group.bench_function("reference", |bencher| {
                bencher.iter(|| black_box(world.verdict(black_box(&event), black_box(&values))));
            });
            group.finish();
        }
    }
}

/// Rules `feature > constant`, every second one `and` another such; one in ten hits.
fn rule_set(rules: u16, form: Form) -> RuleSet {
    let feature = |at: u16| Feature {
        name: format!("f{at}"),
        ty: ty(form),
        optional: false,
        domain: vec![EventTypeId(0)],
        definition: Definition::Expr(Expr {
            kind: ExprKind::Const(value(form, 0)),
            ty: ty(form),
            optional: false,
        }),
        captured: Captured::No,
        own: true,
        hash: [0; 16],
        span: Span::default(),
    };
    let rule = |at: u16| {
        let (one, two) = (greater(at % FEATURES, at, form), greater((at + 7) % FEATURES, at, form));
        Rule {
            name: format!("r{at}"),
            reason: String::new(),
            tell: None,
            mode: Mode::Live,
            rollout: None,
            from: None,
            until: None,
            on: vec![EventTypeId(0)],
            when: if at.is_multiple_of(2) { one } else { flag(ExprKind::And(Box::new(one), Box::new(two))) },
            effects: vec![Effect::Tag("odd".into())],
            span: Span::default(),
        }
    };
    RuleSet {
        schema: schema(),
        lists: Vec::new(),
        features: (0..FEATURES).map(feature).collect(),
        feature_order: (0..FEATURES).map(FeatureId).collect(),
        record: Vec::new(),
        rules: (0..rules).map(rule).collect(),
        policies: Vec::new(),
        tests: Vec::new(),
        hash: [0; 32],
    }
}

fn greater(feature: u16, rule: u16, form: Form) -> Expr {
    let constant = if rule.is_multiple_of(10) { -1 } else { 1_000 };
    let operand = |kind| Box::new(Expr { kind, ty: ty(form), optional: false });
    let feature = operand(ExprKind::Feature(FeatureId(feature)));
    flag(ExprKind::Compare(Comparison::Greater, feature, operand(ExprKind::Const(value(form, constant)))))
}

fn flag(kind: ExprKind) -> Expr {
    Expr { kind, ty: Type::Flag, optional: false }
}

fn ty(form: Form) -> Type {
    Type::Number(if form == Form::Real { Numeric::Real } else { Numeric::Exact { scale: 0, digits: 14 } })
}

fn value(form: Form, number: i32) -> Value {
    if form == Form::Real { Value::Real(number.into()) } else { Value::Exact(number.into()) }
}

fn schema() -> Schema {
    let Some(euro) = Currency::from_code("EUR") else { unreachable!("a currency of ISO 4217") };
    Schema {
        name: "bench".into(),
        version: 1,
        zone_name: "UTC".into(),
        zone: TimeZone::UTC,
        currency: euro,
        lateness: 10 * MINUTE,
        keep: 24 * HOUR,
        rates_file: None,
        kinds: vec![Kind { name: "user".into(), ownership: Ownership::Partition }],
        enums: Vec::new(),
        events: vec![EventType { name: "payment".into(), fields: Vec::new() }],
        fields: Vec::new(),
    }
}

criterion_group!(benches, threshold_rules);
criterion_main!(benches);
