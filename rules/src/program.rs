//! The compiled rule set: conditions and closures over a [`Frame`] that cannot fail and do not allocate.
//!
//! A [`Program`] is made once from a [`RuleSet`] and shared by every thread; a [`Frame`] is a thread's own scratch,
//! reused for event after event; a [`Source`] is whoever knows the past. Features are computed when something
//! first asks for them, and remembered in the frame: at most once per event.
//!
//! Leaves and comparisons with constants are data (`condition`), so that a threshold rule is a few loads and
//! compares; all else is one closure per form of the language. `compile` sorts the one from the other. Rules that are
//! no more than a threshold are told together (`index`).

mod aggregate;
mod compile;
mod condition;
mod decide;
mod frame;
mod index;
mod machine;
mod node;
mod round;
mod verdict;
mod zone;

pub use aggregate::AggregateProgram;
pub use frame::{Frame, Nothing, Source};
pub use verdict::{Alert, EffectRef, Hit, Verdict};

use crate::typed::{Expr, FeatureId, RuleId, RuleSet};
use crate::value::Value;
use compile::Compiler;
use condition::Condition;
use decide::Decider;
use machine::{FeatureCode, Machine};

/// A compiled rule set.
pub struct Program {
    fields: usize,
    features: Box<[FeatureCode]>,
    decider: Decider,
    /// By [`RuleId`].
    rule_reads: Box<[Box<[FeatureId]>]>,
}

/// A compiled condition that belongs to no rule: what a test of the language expects.
pub struct ConditionProgram(Condition);

impl Program {
    /// Compiles a checked rule set. `texts` gives the slot of a text or of an entity's id, as intake gives it.
    pub fn compile(rules: &RuleSet, texts: &dyn Fn(&str) -> i64) -> Self {
        let compiler = Compiler::new(texts);
        Self {
            fields: rules.schema.fields.len(),
            features: rules.features.iter().map(|it| compiler.feature(it)).collect(),
            decider: Decider::compile(rules, &compiler),
            rule_reads: rules.rules.iter().map(|rule| compile::rule_reads(rules, rule)).collect(),
        }
    }

    /// Compiles a condition over the event being decided, its features and its score.
    pub fn condition(expr: &Expr, texts: &dyn Fn(&str) -> i64) -> ConditionProgram {
        ConditionProgram(Compiler::new(texts).condition(expr))
    }

    /// A frame of the right size, to be kept and reused.
    pub fn frame(&self) -> Frame {
        Frame::new(self.fields, self.features.len())
    }

    /// The value of a feature for the event in the frame; computed at most once per event.
    pub fn feature(&self, id: FeatureId, frame: &mut Frame, source: &mut dyn Source) -> Value {
        self.machine(frame, source).feature(id)
    }

    /// Runs the rules of the event's type in file order, then its policy.
    ///
    /// Leaves in the frame the features that were asked for, and the score.
    pub fn run(&self, frame: &mut Frame, source: &mut dyn Source, verdict: &mut Verdict) {
        self.decider.run(&mut self.machine(frame, source), verdict);
    }

    /// The named features that stand in the rule's text, in id order: what a decision records of a hit.
    pub fn rule_reads(&self, rule: RuleId) -> &[FeatureId] {
        self.rule_reads.get(rule.index()).map_or(&[], |reads| reads)
    }

    /// How to look at past events for a feature; none if the feature is not an aggregate.
    pub fn aggregate(&self, id: FeatureId) -> Option<&AggregateProgram> {
        match self.features.get(id.index())? {
            FeatureCode::Aggregate(aggregate) => Some(aggregate),
            FeatureCode::Expr(_) => None,
        }
    }

    fn machine<'a>(&'a self, frame: &'a mut Frame, source: &'a mut dyn Source) -> Machine<'a> {
        Machine { features: &self.features, frame, source }
    }
}

impl ConditionProgram {
    /// Whether the condition holds for the event in the frame; none where its whole value is missing.
    pub fn holds(&self, program: &Program, frame: &mut Frame, source: &mut dyn Source) -> Option<bool> {
        self.0.eval(&mut program.machine(frame, source))
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("features", &self.features.len()).finish_non_exhaustive()
    }
}
impl std::fmt::Debug for ConditionProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConditionProgram").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
