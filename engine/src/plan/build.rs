//! From the typed rule set to the plan: every aggregate finds its condition, its column and its window, and shares
//! them with those that ask the same.

use super::{
    Batched, Column, ColumnSource, Condition, FeaturePlan, KindPlan, OccurrencePlan, OccurrenceShape, Own,
    Plan, Test, WindowPlan,
};
use crate::history::plan::position_or_push;
use crate::history::{
    self, ColumnId, ColumnType, ConditionId, HistoryPlan, Need, PlanError, PlanInput, WindowId,
};
use crate::scan::form;
use rules::schema::{EventTypeId, FieldId, KindId};
use rules::time::Micros;
use rules::typed::{Aggregate, AggregateFunction, Captured, Expr, ExprKind, FeatureId, RuleSet};
use rules::value::Form;

impl Plan {
    /// Plans the state of a rule set.
    ///
    /// # Errors
    /// If a kind would need more columns, conditions or windows than a history has numbers for.
    pub fn of(rules: &RuleSet) -> Result<Self, PlanError> {
        let mut kinds: Vec<Builder<'_>> =
            (0u16..).zip(&rules.schema.kinds).map(|(kind, _)| Builder::new(KindId(kind), rules)).collect();
        for (role, span) in rules.alerts_once() {
            if let Some(kind) = rules.schema.role_kind(role).and_then(|it| kinds.get_mut(it.index())) {
                // Who was alerted about is remembered as long as it holds another alert back.
                kind.keep = kind.keep.max(span + rules.schema.lateness);
            }
        }
        let mut features = vec![FeaturePlan::Computed; rules.features.len()];
        // In the order of their hashes: whoever keeps up the same features lays the same state out in the same way.
        let mut by_hash: Vec<_> = FeatureId::all().zip(&rules.features).zip(&mut features).collect();
        by_hash.sort_by_key(|((_, feature), _)| feature.hash);
        for ((id, feature), plan) in by_hash {
            if let Some(aggregate) = feature.aggregate() {
                *plan = plan_aggregate(id, aggregate, rules, &mut kinds);
            }
        }
        let captured = (0u16..).zip(&rules.features).filter(|(_, it)| it.captured != Captured::No);
        let captured = captured.map(|(id, _)| FeatureId(id)).collect();
        let kinds: Vec<KindPlan> = kinds.into_iter().map(Builder::finish).collect::<Result<_, _>>()?;
        let batches = batches(rules, &kinds, &mut features);
        Ok(Self { captured, features, kinds, batches })
    }
}

/// The features of each role that are answered together, which are marked.
fn batches(rules: &RuleSet, kinds: &[KindPlan], features: &mut [FeaturePlan]) -> Vec<Vec<Batched>> {
    let mut batches = vec![Vec::new(); rules.schema.fields.len()];
    for (id, feature) in FeatureId::all().zip(features) {
        let FeaturePlan::Window(window) = feature else { continue };
        let kind = rules.schema.role_kind(window.role).and_then(|kind| kinds.get(kind.index()));
        let kind = kind.filter(|_| speaks_of_all(rules, id, window.role));
        let batch = batches.get_mut(window.role.index());
        if let Some((batch, item)) = batch.zip(kind.and_then(|kind| batched(id, window, kind))) {
            batch.push(item);
            window.batched = true;
        }
    }
    batches
}

/// Whether a feature may be asked for of every event with a role: those that are answered together leave no value
/// where there must be none.
fn speaks_of_all(rules: &RuleSet, feature: FeatureId, role: FieldId) -> bool {
    // What is kept up for another rule set is asked for by nobody.
    let domain = rules.feature(feature).filter(|it| it.own).map(|it| &it.domain);
    let mut types = (0u16..).zip(&rules.schema.events).map(|(id, _)| EventTypeId(id));
    types.all(|id| {
        rules.schema.event_field(id, role).is_none() || domain.is_some_and(|domain| domain.contains(&id))
    })
}

/// A feature as it is answered together with others; none if that is not enough.
fn batched(feature: FeatureId, window: &WindowPlan, kind: &KindPlan) -> Option<Batched> {
    let WindowPlan { function, form, pair, own, .. } = window;
    if pair.is_some() || own.tested || !own.same.is_empty() {
        return None;
    }
    let [count, sum] = kind.history.parts(window.window);
    let (part, sum) = match (function, form) {
        (AggregateFunction::Count, _) => (count?, None),
        // Of an event that is left out the argument is not asked for.
        (AggregateFunction::Sum, Form::Exact) if own.of.is_empty() => (sum?, None),
        (AggregateFunction::Sum, Form::Exact) => (sum?, Some(own.field?)),
        _ => return None,
    };
    Some(Batched { feature, part, of: own.of.clone(), sum })
}

/// Plans one aggregate in the state of the entity that it looks at.
fn plan_aggregate(
    id: FeatureId,
    aggregate: &Aggregate,
    rules: &RuleSet,
    kinds: &mut [Builder<'_>],
) -> FeaturePlan {
    let Some(&role) = aggregate.by.first() else { return FeaturePlan::Computed };
    let pair = aggregate.by.get(1).copied();
    let builder = rules.schema.role_kind(role).and_then(|kind: KindId| kinds.get_mut(kind.index()));
    let Some(builder) = builder else { return FeaturePlan::Computed };
    match aggregate.over {
        None => FeaturePlan::Occurrence { role, at: builder.occurrence(id, aggregate), pair },
        Some(over) => {
            let asked = Asked { id, aggregate, role, pair, over };
            if aggregate.is_scanned() { builder.scan(asked) } else { builder.window(asked) }
        }
    }
}

/// An aggregate over a window, as a feature asks for it.
#[derive(Clone, Copy)]
struct Asked<'a> {
    id: FeatureId,
    aggregate: &'a Aggregate,
    role: FieldId,
    /// Of a pair: the other role.
    pair: Option<FieldId>,
    over: Micros,
}

/// The plan of one kind as it grows.
struct Builder<'a> {
    kind: KindId,
    rules: &'a RuleSet,
    columns: Vec<Column>,
    conditions: Vec<Condition>,
    windows: Vec<history::Window>,
    occurrences: Vec<OccurrencePlan>,
    keep: Micros,
    keep_rows: Micros,
}

impl<'a> Builder<'a> {
    fn new(kind: KindId, rules: &'a RuleSet) -> Self {
        Self {
            kind,
            rules,
            columns: Vec::new(),
            conditions: Vec::new(),
            windows: Vec::new(),
            occurrences: Vec::new(),
            keep: 0,
            keep_rows: 0,
        }
    }

    /// A window whose matching rows are told by one bit.
    fn window(&mut self, asked: Asked<'_>) -> FeaturePlan {
        let Asked { id, aggregate, role, pair, over } = asked;
        let argument = self.argument(id, aggregate);
        let pair_column = aggregate.via.get(1).map(|it| self.column(ColumnSource::Field(*it)));
        let mut base = None;
        if aggregate.reads_mutable {
            self.keep_what_conditions_read(aggregate);
            base = self.condition(condition(id, aggregate, None));
        }
        let test = |above: bool| Some(test(id, aggregate, above, base));
        let all = condition(id, aggregate, test(false).filter(|_| aggregate.condition.is_some()));
        let all = self.condition(all);
        let above =
            aggregate.numerator.is_some().then(|| self.condition(condition(id, aggregate, test(true))));
        let (need, delay) = (need(aggregate.function), aggregate.delay);
        let all = history::Window { condition: all, column: argument, need, over, delay, pair: pair_column };
        let counted = |above| history::Window { condition: above, column: None, need: Need::Count, ..all };
        FeaturePlan::Window(WindowPlan {
            function: aggregate.function,
            form: form(aggregate),
            own: own(aggregate),
            role,
            pair,
            window: self.add_window(all),
            above: above.map(|it| self.add_window(counted(it))),
            batched: false,
        })
    }

    /// A window whose rows are looked at one by one.
    fn scan(&mut self, asked: Asked<'_>) -> FeaturePlan {
        let Asked { id, aggregate, role, pair, over } = asked;
        let pair_column = aggregate.via.get(1).map(|it| self.column(ColumnSource::Field(*it)));
        self.keep_what_conditions_read(aggregate);
        let all = self.condition(condition(id, aggregate, None));
        let (need, delay) = (Need::Scan, aggregate.delay);
        let all = history::Window { condition: all, column: None, need, over, delay, pair: pair_column };
        let window = self.add_window(all);
        let (function, form, own) = (aggregate.function, form(aggregate), own(aggregate));
        FeaturePlan::Scan(WindowPlan { function, form, role, pair, window, above: None, own, batched: false })
    }

    fn occurrence(&mut self, id: FeatureId, aggregate: &Aggregate) -> usize {
        let test = aggregate.condition.is_some().then(|| test(id, aggregate, false, None));
        let shape = match (aggregate.function, aggregate.by.len()) {
            (AggregateFunction::FirstSeen, _) => OccurrenceShape::Value,
            (_, 2) => OccurrenceShape::Pair,
            _ => OccurrenceShape::Entity,
        };
        let value = aggregate.argument.as_ref().map(|argument| source(id, argument));
        let keep = self.rules.schema.keep + self.rules.schema.lateness;
        self.keep = self.keep.max(keep);
        let beside = aggregate.via.get(1).copied();
        let plan = OccurrencePlan { condition: condition(id, aggregate, test), value, shape, beside, keep };
        position_or_push(&mut self.occurrences, plan)
    }

    fn add_window(&mut self, window: history::Window) -> WindowId {
        let rows = window.over + window.delay.unwrap_or(0) + self.rules.schema.lateness;
        self.keep_rows = self.keep_rows.max(rows);
        self.keep = self.keep.max(rows);
        WindowId(number(position_or_push(&mut self.windows, window)))
    }

    /// The column of an aggregate's argument.
    fn argument(&mut self, id: FeatureId, aggregate: &Aggregate) -> Option<ColumnId> {
        aggregate.argument.as_ref().map(|argument| self.column(source(id, argument)))
    }

    /// Keeps the columns from which an aggregate's conditions can be told again, after an amendment or for each
    /// event being decided, each with the bit that says whether it is present.
    fn keep_what_conditions_read(&mut self, aggregate: &Aggregate) {
        let mut sources = Vec::new();
        // Of a scan the argument is computed for each row too.
        let argument = aggregate.argument.iter().filter(|_| aggregate.is_scanned());
        for expr in aggregate.condition.iter().chain(&aggregate.numerator).chain(argument) {
            expr.visit_scope(&mut |it| match it.kind {
                ExprKind::Field(field) => sources.push((ColumnSource::Field(field), it.optional)),
                ExprKind::Feature(id) => {
                    sources.push((ColumnSource::Captured(id, it.ty.form()), it.optional))
                }
                ExprKind::EventType => sources.push((ColumnSource::EventType, false)),
                _ => {}
            });
        }
        for (source, optional) in sources {
            let column = self.column(source.clone());
            if !optional {
                continue;
            }
            let present = self.condition(Condition { present: Some(source), ..Condition::default() });
            if let Some(column) = self.columns.get_mut(column.index()) {
                column.present = present;
            }
        }
    }

    fn column(&mut self, source: ColumnSource) -> ColumnId {
        let known = self.columns.iter().position(|it| it.source == source);
        let at = known.unwrap_or_else(|| {
            self.columns.push(Column { source, present: None });
            self.columns.len() - 1
        });
        ColumnId(number(at))
    }

    /// The bit of a condition; none if it holds for every row that this kind can have.
    fn condition(&mut self, condition: Condition) -> Option<ConditionId> {
        if self.always_holds(&condition) {
            return None;
        }
        Some(ConditionId(number(position_or_push(&mut self.conditions, condition))))
    }

    /// Whether every event in which an entity of this kind has a role satisfies the condition.
    fn always_holds(&self, condition: &Condition) -> bool {
        let schema = &self.rules.schema;
        let matches = |event: EventTypeId, role: FieldId| {
            let typed = condition.of.is_empty() || condition.of.contains(&event);
            let beside = condition.beside.and_then(|it| schema.event_field(event, it));
            typed
                && condition.via.is_none_or(|via| via == role)
                && (condition.beside.is_none() || beside.is_some_and(|it| !it.optional))
        };
        let mut occurrences = (0u16..).zip(&schema.events).flat_map(|(id, event)| {
            let roles = event.fields.iter().filter(|it| schema.role_kind(it.field) == Some(self.kind));
            roles.map(move |it| (EventTypeId(id), it.field))
        });
        condition.test.is_none()
            && condition.present.is_none()
            && occurrences.all(|(event, role)| matches(event, role))
    }

    /// Whether more than features is remembered of this kind: who is on a list, or has been alerted about.
    fn is_told_of_otherwise(&self) -> bool {
        let Self { rules, kind, .. } = self;
        let mut alerts = rules.alerts_once();
        rules.lists.iter().any(|list| list.of.kind() == Some(*kind))
            || alerts.any(|(role, _)| rules.schema.role_kind(role) == Some(*kind))
    }

    fn finish(self) -> Result<KindPlan, PlanError> {
        let columns = self.columns.iter().map(|it| it.source.column_type()).collect();
        let mutable = |it: &Condition| it.test.as_ref().is_some_and(|test| test.mutable);
        let conditions = self.conditions.iter().map(mutable).collect();
        Ok(KindPlan {
            has_state: !self.windows.is_empty()
                || !self.occurrences.is_empty()
                || self.is_told_of_otherwise(),
            has_history: !self.windows.is_empty(),
            history: HistoryPlan::new(PlanInput { columns, conditions, windows: self.windows })?,
            columns: self.columns,
            conditions: self.conditions,
            occurrences: self.occurrences,
            keep: self.keep,
            keep_rows: self.keep_rows,
        })
    }
}

/// Everything about an aggregate's membership but time and the test given.
fn condition(id: FeatureId, aggregate: &Aggregate, test: Option<Test>) -> Condition {
    Condition {
        of: aggregate.of.clone(),
        via: aggregate.via.first().copied(),
        beside: aggregate.via.get(1).copied(),
        test,
        present: aggregate.argument.as_ref().filter(|it| it.optional).map(|it| source(id, it)),
    }
}

/// When an event counts in a window over itself.
fn own(aggregate: &Aggregate) -> Own {
    if aggregate.before || aggregate.delay.is_some() {
        return Own::default();
    }
    let pairs = aggregate.by.iter().copied().zip(aggregate.via.iter().copied());
    Own {
        of: aggregate.of.clone(),
        same: pairs.filter(|(by, via)| by != via).collect(),
        tested: aggregate.condition.is_some(),
        field: aggregate.argument.as_ref().and_then(|it| match it.kind {
            ExprKind::Field(field) => Some(field),
            _ => None,
        }),
    }
}

fn test(feature: FeatureId, aggregate: &Aggregate, above: bool, base: Option<ConditionId>) -> Test {
    let clauses = (aggregate.condition.clone(), aggregate.numerator.clone().filter(|_| above));
    Test { feature, above, mutable: aggregate.reads_mutable, base, clauses }
}

/// Where an argument comes from.
fn source(id: FeatureId, argument: &Expr) -> ColumnSource {
    match argument.kind {
        ExprKind::Field(field) => ColumnSource::Field(field),
        ExprKind::Feature(feature) => ColumnSource::Captured(feature, argument.ty.form()),
        _ => ColumnSource::Argument(id, argument.ty.form()),
    }
}

/// What a window must be able to tell for an aggregate.
fn need(function: AggregateFunction) -> Need {
    use AggregateFunction as F;
    match function {
        F::Count | F::Ratio => Need::Count,
        F::Sum => Need::Sum,
        F::Mean => Need::Mean,
        F::Stddev => Need::Variance,
        F::Min | F::Max => Need::Extremes,
        F::Distinct | F::FirstSeen => Need::Distinct,
        F::First => Need::First,
        F::Last | F::Speed | F::TimeSince => Need::Last,
    }
}

/// A place as an id's number; the history's plan refuses more than there are numbers for.
fn number(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}

impl ColumnSource {
    /// How a history reads the column's bits.
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::Captured(_, Form::Real) | Self::Argument(_, Form::Real) => ColumnType::Real,
            _ => ColumnType::Integer,
        }
    }
}
