//! Rules, then policy: from conditions that hold to an outcome.

use super::compile::Compiler;
use super::condition::Condition;
use super::index::Index;
use super::machine::Machine;
use super::node::Node;
use super::round::{exact_to_e6, real_to_e6, saturated};
use super::verdict::{Alert, EffectRef, Hit, Verdict};
use crate::past::Outcome;
use crate::schema::{EventTypeId, FieldId};
use crate::time::Micros;
use crate::typed::{Effect, Expr, Mode, Numeric, Policy, Rule, RuleId, RuleSet, Severity, Type};
use crate::value::Form;

/// The rules and policies of a rule set, by event type.
pub(super) struct Decider {
    /// By [`RuleId`].
    rules: Box<[RuleCode]>,
    policies: Box<[PolicyCode]>,
    /// By [`EventTypeId`].
    types: Box<[TypePlan]>,
}

/// What runs for events of one type.
struct TypePlan {
    /// In file order, without those that are off.
    rules: Box<[RuleId]>,
    /// Which of them hold, of those that are no more than a threshold.
    index: Index,
    /// The others: places in `rules`.
    others: Box<[usize]>,
    policy: Option<u16>,
}

struct RuleCode {
    when: Condition,
    live: bool,
    /// Whether it says allow.
    allow: bool,
    limits: Option<Box<Limits>>,
    scores: Box<[ScoreCode]>,
    effects: Box<[EffectCode]>,
}

/// Where and when a rule runs.
struct Limits {
    from: Option<Micros>,
    until: Option<Micros>,
    rollout: Option<(FieldId, u32)>,
}

enum ScoreCode {
    /// One score for every event, in millionths.
    Const(i64),
    Exact(Node<i128>, u8),
    Real(Node<f64>),
}

struct PolicyCode {
    lines: Box<[(Condition, Box<[EffectCode]>)]>,
    /// The first effect that names factors, whether or not its line takes effect.
    first_factors: Option<EffectRef>,
}

/// An effect other than a score or allow.
struct EffectCode {
    place: EffectRef,
    /// Counts although a rule says allow.
    always: bool,
    kind: EffectKind,
}

#[derive(Clone, Copy)]
enum EffectKind {
    Block,
    Challenge {
        names_factors: bool,
    },
    Alert(Severity),
    /// On the entity in this role, if on one.
    Action(Option<FieldId>),
}

impl Decider {
    pub(super) fn compile(rules: &RuleSet, compiler: &Compiler<'_>) -> Self {
        let ids = RuleId::all().zip(&rules.rules);
        let codes: Box<[_]> = ids.map(|(id, it)| RuleCode::compile(id, it, compiler)).collect();
        let types = EventTypeId::all().zip(&rules.schema.events);
        let types = types.map(|(id, _)| TypePlan::of(id, rules, &codes)).collect();
        Self {
            rules: codes,
            policies: (0..)
                .zip(&rules.policies)
                .map(|(at, it)| PolicyCode::compile(at, it, compiler))
                .collect(),
            types,
        }
    }

    pub(super) fn run(&self, machine: &mut Machine<'_>, verdict: &mut Verdict) {
        verdict.clear();
        machine.frame.score_e6 = 0;
        let Some(plan) = self.types.get(machine.frame.event_type.index()) else { return };
        let allowed = self.hit(plan, machine, verdict);
        machine.frame.score_e6 = verdict.score_e6;
        for hit in 0..verdict.hits.len() {
            let rule = verdict.hits.get(hit).and_then(|hit| self.rules.get(hit.rule.index()));
            if let Some(rule) = rule.filter(|rule| rule.live) {
                rule.effects.iter().for_each(|effect| effect.take(allowed, machine, verdict));
            }
        }
        let policy = plan.policy.and_then(|at| self.policies.get(usize::from(at)));
        if let Some(policy) = policy {
            policy.run(allowed, machine, verdict);
        }
        if verdict.outcome != Outcome::Challenge {
            verdict.factors = None;
        }
    }

    /// Fills hits and score; whether a live one says allow, so that no score counts.
    fn hit(&self, plan: &TypePlan, machine: &mut Machine<'_>, verdict: &mut Verdict) -> bool {
        let mut held = std::mem::take(&mut machine.frame.held);
        held.clear();
        held.resize(plan.rules.len().div_ceil(64), 0);
        plan.index.add_to(machine, &mut held);
        for &at in &plan.others {
            let Some(&id) = plan.rules.get(at) else { continue };
            let hits = self.rules.get(id.index()).is_some_and(|rule| rule.hits(id, machine));
            if let Some(word) = held.get_mut(at / 64) {
                *word |= u64::from(hits) << (at % 64);
            }
        }
        let (mut score_e6, mut allowed) = (0_i128, false);
        for (at, word) in held.iter_mut().enumerate() {
            while *word != 0 {
                let bit = word.trailing_zeros() as usize;
                *word &= *word - 1;
                let Some(&id) = plan.rules.get(64 * at + bit) else { continue };
                let Some(rule) = self.rules.get(id.index()) else { continue };
                // At most 2¹⁶ effects of 2⁶³, so that the sum cannot overflow: saturated once, its order does not matter.
                let contribution: i128 =
                    rule.scores.iter().map(|score| i128::from(score.eval(machine))).sum();
                verdict.hits.push(Hit { rule: id, contribution_e6: saturated(contribution) });
                if rule.live {
                    score_e6 += contribution;
                    allowed |= rule.allow;
                }
            }
        }
        machine.frame.held = held;
        verdict.score_e6 = if allowed { 0 } else { saturated(score_e6) };
        allowed
    }
}

impl TypePlan {
    fn of(id: EventTypeId, rules: &RuleSet, codes: &[RuleCode]) -> Self {
        let running = RuleId::all().zip(&rules.rules).filter(|(_, rule)| rule.runs_on(id));
        let ids: Box<[_]> = running.map(|(id, _)| id).collect();
        let indexed = |id: &RuleId| codes.get(id.index()).and_then(RuleCode::indexed);
        let conditions: Vec<_> = ids.iter().map(indexed).collect();
        let others = conditions.iter().enumerate().filter(|(_, it)| it.is_none()).map(|(at, _)| at);
        Self {
            index: Index::of(&conditions),
            others: others.collect(),
            rules: ids,
            policy: rules.policy_for(id).and_then(|at| u16::try_from(at).ok()),
        }
    }
}

impl RuleCode {
    fn compile(id: RuleId, rule: &Rule, compiler: &Compiler<'_>) -> Self {
        let limits = Limits { from: rule.from, until: rule.until, rollout: rule.rollout };
        let limited = limits.from.is_some() || limits.until.is_some() || limits.rollout.is_some();
        let scores = rule.effects.iter().filter_map(|effect| match effect {
            Effect::Score(expr) => Some(ScoreCode::compile(expr, compiler)),
            _ => None,
        });
        Self {
            when: compiler.condition(&rule.when),
            live: rule.mode == Mode::Live,
            allow: rule.effects.contains(&Effect::Allow),
            limits: limited.then(|| Box::new(limits)),
            scores: scores.collect(),
            effects: effects(&rule.effects, |at| EffectRef::Rule(id, at)),
        }
    }

    /// The condition, where the index can answer for it.
    fn indexed(&self) -> Option<&Condition> {
        Some(&self.when).filter(|it| self.limits.is_none() && Index::answers(it))
    }

    #[inline]
    fn hits(&self, id: RuleId, machine: &mut Machine<'_>) -> bool {
        match &self.limits {
            None => self.when.eval(machine) == Some(true),
            Some(limits) => {
                limits.in_time(machine.frame.time)
                    && self.when.eval(machine) == Some(true)
                    && limits
                        .rollout
                        .is_none_or(|(role, share_e6)| machine.source.in_share(id, role, share_e6))
            }
        }
    }
}

impl Limits {
    fn in_time(&self, time: Micros) -> bool {
        self.from.is_none_or(|from| from <= time) && self.until.is_none_or(|until| time < until)
    }
}

impl ScoreCode {
    fn compile(expr: &Expr, compiler: &Compiler<'_>) -> Self {
        let code = match (expr.ty, expr.ty.form()) {
            (Type::Number(Numeric::Exact { scale, .. }), _) => Self::Exact(compiler.exact(expr), scale),
            (_, Form::Real) => Self::Real(compiler.real(expr)),
            (_, _) => Self::Exact(compiler.exact(expr), 0),
        };
        match code {
            Self::Exact(Node::Const(value), scale) => Self::Const(exact_or_0(value, scale)),
            Self::Real(Node::Const(value)) => Self::Const(value.map_or(0, real_to_e6)),
            code => code,
        }
    }

    /// In millionths. A checked score is never missing.
    fn eval(&self, machine: &mut Machine<'_>) -> i64 {
        match self {
            Self::Const(score_e6) => *score_e6,
            Self::Exact(node, scale) => exact_or_0(node.eval(machine), *scale),
            Self::Real(node) => node.eval(machine).map_or(0, real_to_e6),
        }
    }
}

fn exact_or_0(number: Option<i128>, scale: u8) -> i64 {
    number.map_or(0, |number| exact_to_e6(number, scale))
}

impl PolicyCode {
    fn compile(at: u16, policy: &Policy, compiler: &Compiler<'_>) -> Self {
        let line_effects = |line: u16, list: &[Effect]| effects(list, |it| EffectRef::Policy(at, line, it));
        let lines: Box<[_]> = (0..)
            .zip(&policy.lines)
            .map(|(line, it)| (compiler.condition(&it.when), line_effects(line, &it.effects)))
            .collect();
        let mut all = lines.iter().flat_map(|(_, effects)| effects);
        let first_factors = all
            .find(|effect| matches!(effect.kind, EffectKind::Challenge { names_factors: true }))
            .map(|effect| effect.place);
        Self { lines, first_factors }
    }

    fn run(&self, allowed: bool, machine: &mut Machine<'_>, verdict: &mut Verdict) {
        for (when, effects) in &self.lines {
            if when.eval(machine) == Some(true) {
                effects.iter().for_each(|effect| effect.take(allowed, machine, verdict));
            }
        }
        verdict.factors = verdict.factors.or(self.first_factors);
    }
}

/// The effects that are neither score nor allow, each with its place.
fn effects(list: &[Effect], place: impl Fn(u16) -> EffectRef) -> Box<[EffectCode]> {
    let code = |(at, effect): (u16, &Effect)| {
        let (always, kind) = match effect {
            Effect::Block { always } => (*always, EffectKind::Block),
            Effect::Challenge { factors, always } => {
                (*always, EffectKind::Challenge { names_factors: !factors.is_empty() })
            }
            Effect::Alert { severity, .. } => (false, EffectKind::Alert(*severity)),
            Effect::Tag(_) | Effect::Delay(_) => (false, EffectKind::Action(None)),
            Effect::Freeze { role, .. } | Effect::Add { role, .. } | Effect::Remove { role, .. } => {
                (false, EffectKind::Action(Some(*role)))
            }
            Effect::Allow | Effect::Score(_) => return None,
        };
        Some(EffectCode { place: place(at), always, kind })
    };
    (0..).zip(list).filter_map(code).collect()
}

impl EffectCode {
    /// Writes the effect into the verdict, if it counts.
    fn take(&self, allowed: bool, machine: &Machine<'_>, verdict: &mut Verdict) {
        if allowed && !self.always {
            return;
        }
        match self.kind {
            EffectKind::Block => verdict.outcome = Outcome::Block,
            EffectKind::Challenge { names_factors } => {
                verdict.outcome = verdict.outcome.max(Outcome::Challenge);
                if names_factors {
                    verdict.factors = verdict.factors.or(Some(self.place));
                }
            }
            EffectKind::Alert(severity) => verdict.alerts.push(Alert { severity, effect: self.place }),
            EffectKind::Action(role) => {
                if role.is_none_or(|role| machine.frame.field(role).is_some()) {
                    verdict.actions.push(self.place);
                }
            }
        }
    }
}
