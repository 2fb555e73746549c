//! What an aggregate asks of one past event: whether it matches, and with what value.

use std::cell::RefCell;

use super::compile::{Compiler, Needs, finite};
use super::condition::Condition;
use super::frame::{Frame, Nothing, Source};
use super::machine::{Body, Machine};
use super::{Program, Value};
use crate::typed::{Aggregate, FeatureId, Type};
use crate::value::power_of_ten;

/// The compiled parts of an aggregate. The frame that they are given holds a past event: its type, time, fields,
/// mutable columns, captured features, and [`AggregateProgram::prepare`]d values of the event being decided.
///
/// Type, roles and window are not looked at here: they are the caller's plan.
pub struct AggregateProgram {
    condition: Condition,
    numerator: Condition,
    argument: Option<Body>,
    this: Box<[Body]>,
    captured: Box<[FeatureId]>,
    /// How many of the integers in which exact arguments are summed make one; of a real argument 1.
    unit: f64,
}

impl AggregateProgram {
    pub(super) fn compile(aggregate: &Aggregate, compiler: &Compiler<'_>) -> Self {
        let needs = RefCell::new(Needs::default());
        let past = compiler.past(&needs);
        let condition = |expr: Option<&_>| expr.map_or(Condition::Const(Some(true)), |it| past.condition(it));
        let (when, numerator) =
            (condition(aggregate.condition.as_ref()), condition(aggregate.numerator.as_ref()));
        let argument = aggregate.argument.as_ref().map(|it| past.body(it));
        let Needs { this, captured } = needs.into_inner();
        Self {
            condition: when,
            numerator,
            argument,
            this: this.iter().map(|expr| compiler.body(expr)).collect(),
            captured: captured.into(),
            unit: aggregate.argument.as_ref().map_or(1.0, |it| power_of_ten(scale_of(it.ty))),
        }
    }

    /// Whether the `where` holds; where its whole value is missing, it does not.
    pub fn matches(&self, frame: &mut Frame) -> bool {
        self.condition.eval(&mut alone(frame, &mut Nothing)) == Some(true)
    }

    /// Of a ratio: whether an event that [`AggregateProgram::matches`] is also counted above the line.
    pub fn above(&self, frame: &mut Frame) -> bool {
        self.numerator.eval(&mut alone(frame, &mut Nothing)) == Some(true)
    }

    /// What is summed, counted apart or looked at; missing if the aggregate takes no argument.
    pub fn argument(&self, frame: &mut Frame) -> Value {
        self.argument.as_ref().map_or(Value::Missing, |it| it.eval(&mut alone(frame, &mut Nothing)))
    }

    /// A mean or standard deviation of the arguments' slots, in the argument's unit: what was computed of scaled
    /// integers is divided by their scale, once and last.
    pub fn scaled(&self, statistic: f64) -> Value {
        finite(statistic / self.unit).map_or(Value::Missing, Value::Real)
    }

    /// Computes from the event being decided what the parts read of it, in the order of [`Frame::this`].
    pub fn prepare(
        &self,
        program: &Program,
        current: &mut Frame,
        source: &mut dyn Source,
        this: &mut Vec<Value>,
    ) {
        this.clear();
        this.extend(self.this.iter().map(|it| it.eval(&mut program.machine(current, source))));
    }

    /// The features that the parts read of past events, as captured. Of the event being decided, where it counts
    /// itself, they must be known in its frame before the parts are asked.
    pub fn captured(&self) -> &[FeatureId] {
        &self.captured
    }
}

/// Digits after the point of an exact quantity; 0 of all else.
fn scale_of(ty: Type) -> u8 {
    match ty {
        Type::Number(numeric) | Type::Money(_, numeric) | Type::Duration(numeric) => numeric.scale(),
        _ => 0,
    }
}

/// A machine for code that reads its frame only.
fn alone<'a>(frame: &'a mut Frame, nothing: &'a mut Nothing) -> Machine<'a> {
    Machine { features: &[], frame, source: nothing }
}

impl std::fmt::Debug for AggregateProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AggregateProgram").field("captured", &self.captured).finish_non_exhaustive()
    }
}
