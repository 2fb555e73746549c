//! What running code holds in its hands, and the leaves that it reads.

use super::aggregate::AggregateProgram;
use super::condition::Condition;
use super::frame::{Frame, Source};
use super::node::{Node, Number};
use crate::schema::FieldId;
use crate::typed::{FeatureId, MutableColumn};
use crate::value::Value;

/// Everything that an expression may look at.
pub(super) struct Machine<'a> {
    /// By [`FeatureId`].
    pub(super) features: &'a [FeatureCode],
    pub(super) frame: &'a mut Frame,
    pub(super) source: &'a mut dyn Source,
}

/// A compiled feature.
pub(super) enum FeatureCode {
    Expr(Body),
    Aggregate(Box<AggregateProgram>),
}

/// A compiled expression of whichever form.
pub(super) enum Body {
    Flag(Condition),
    Exact(Node<i128>),
    Real(Node<f64>),
}

impl Body {
    pub(super) fn eval(&self, machine: &mut Machine<'_>) -> Value {
        match self {
            Self::Flag(condition) => condition.eval(machine).map_or(Value::Missing, Value::Flag),
            Self::Exact(node) => node.eval(machine).map_or(Value::Missing, Value::Exact),
            Self::Real(node) => node.eval(machine).map_or(Value::Missing, Value::Real),
        }
    }
}

impl Machine<'_> {
    /// The value of a feature of the event in the frame.
    #[inline]
    pub(super) fn feature(&mut self, id: FeatureId) -> Value {
        match self.frame.known(id) {
            Some(value) => value,
            None => self.compute(id),
        }
    }

    #[inline(never)]
    fn compute(&mut self, id: FeatureId) -> Value {
        let features = self.features;
        let Some(feature) = features.get(id.index()) else { return Value::Missing };
        let value = match feature {
            FeatureCode::Expr(body) => body.eval(self),
            FeatureCode::Aggregate(_) => self.source.aggregate(id, self.frame),
        };
        self.frame.set_feature(id, value);
        value
    }
}

/// A leaf: what stands in the frame, or is put there when first asked for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Operand {
    Field(FieldId),
    /// Of the event being decided: computed when first asked for.
    Feature(FeatureId),
    /// Of a past event: as it was captured.
    Captured(FeatureId),
    /// Of the event being decided, while a past one is in the frame: index in [`Frame::this`].
    This(usize),
    Mutable(MutableColumn),
    EventType,
    Time,
    Score,
}

impl Operand {
    /// As a flag.
    #[inline]
    pub(super) fn flag(self, machine: &mut Machine<'_>) -> Option<bool> {
        match self {
            Self::Field(id) => machine.frame.field(id).map(|slot| slot != 0),
            Self::Feature(id) => machine.feature(id).flag(),
            Self::Captured(id) => machine.frame.known(id)?.flag(),
            Self::This(at) => machine.frame.this.get(at)?.flag(),
            Self::Mutable(MutableColumn::Accepted) => Some(machine.frame.mutable.accepted()),
            Self::Mutable(_) | Self::EventType | Self::Time | Self::Score => None,
        }
    }

    /// As a number. What a threshold rule does is inlined: a known feature or a field is not copied to be looked at.
    #[inline(always)]
    pub(super) fn number<T: Number>(self, machine: &mut Machine<'_>) -> Option<T> {
        match self {
            Self::Field(id) => machine.frame.field(id).and_then(T::of_slot),
            Self::Feature(id) => match machine.frame.known_in_place(id) {
                Some(value) => T::of_value(value),
                None => T::of_value(&machine.compute(id)),
            },
            other => other.rarer_number(machine),
        }
    }

    fn rarer_number<T: Number>(self, machine: &Machine<'_>) -> Option<T> {
        let frame = &*machine.frame;
        match self {
            Self::Captured(id) => T::of_value(frame.known_in_place(id)?),
            Self::This(at) => T::of_value(frame.this.get(at)?),
            Self::Mutable(column) => T::of_exact(mutable(frame, column)?),
            Self::EventType => T::of_exact(frame.event_type.0.into()),
            Self::Time => T::of_exact(frame.time.into()),
            Self::Score => T::of_exact(frame.score_e6.into()),
            Self::Field(_) | Self::Feature(_) => None,
        }
    }
}

fn mutable(frame: &Frame, column: MutableColumn) -> Option<i128> {
    let number = match column {
        MutableColumn::Outcome => frame.mutable.outcome as u8,
        MutableColumn::Challenge => frame.mutable.challenge as u8,
        MutableColumn::Result => frame.mutable.result as u8,
        MutableColumn::Label => frame.mutable.label as u8,
        MutableColumn::Accepted => return None,
    };
    Some(i128::from(number))
}
