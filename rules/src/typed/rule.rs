//! Rules and policies: conditions with what follows.

use super::{Expr, ListId};
use crate::named::named;
use crate::past::Outcome;
use crate::schema::{EventTypeId, FieldId};
use crate::span::Span;
use crate::time::Micros;

/// A rule: a condition with effects.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// As declared: an identifier.
    pub name: String,
    /// The reason for analysts.
    pub reason: String,
    /// The reason for the customer.
    pub tell: Option<String>,
    /// Whether its effects count.
    pub mode: Mode,
    /// Only for a share of entities: this role, and millionths of all ids.
    pub rollout: Option<(FieldId, u32)>,
    /// Not before.
    pub from: Option<Micros>,
    /// Not at or after.
    pub until: Option<Micros>,
    /// The event types that it looks at.
    pub on: Vec<EventTypeId>,
    /// Never missing.
    pub when: Expr,
    /// What follows.
    pub effects: Vec<Effect>,
    /// Where its name stands.
    pub span: Span,
}

impl Rule {
    /// Whether it is evaluated for events of a type.
    pub fn runs_on(&self, event: EventTypeId) -> bool {
        self.mode != Mode::Off && self.on.contains(&event)
    }
}

/// Whether a rule's effects count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// They do.
    Live,
    /// It is evaluated and its hits are reported, but it adds to nothing.
    Shadow,
    /// It is not evaluated.
    Off,
}

/// What a rule or a policy line does.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Outcome block.
    Block {
        /// Counts although another rule says allow.
        always: bool,
    },
    /// Outcome challenge.
    Challenge {
        /// Sets of factors, any of which will do; empty = the policy's first.
        factors: Vec<Vec<String>>,
        /// Counts although another rule says allow.
        always: bool,
    },
    /// Only what is marked `always` still counts.
    Allow,
    /// Adds to the score: an expression of type number, exact at scale 6 or real, sign included; never missing.
    Score(Expr),
    /// A person must see this.
    Alert {
        /// How bad.
        severity: Severity,
        /// At most one per entity in this role and this long.
        once: Option<(FieldId, Micros)>,
    },
    /// Marks the event.
    Tag(String),
    /// Freezes the entity in this role.
    Freeze {
        /// Whom.
        role: FieldId,
        /// For how long.
        span: Micros,
    },
    /// Pay out this much later.
    Delay(Micros),
    /// Puts the entity in this role on a list.
    Add {
        /// Whom.
        role: FieldId,
        /// Where.
        list: ListId,
        /// For how long; none = until removed.
        span: Option<Micros>,
    },
    /// Takes the entity in this role off a list.
    Remove {
        /// Whom.
        role: FieldId,
        /// Where.
        list: ListId,
    },
}

/// How bad an alert is. The numbers stand in records and in the database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Severity {
    /// Worth knowing.
    Low = 0,
    /// Worth a look.
    Medium = 1,
    /// Look today.
    High = 2,
    /// Look now.
    Critical = 3,
}
named!(Severity: Low = "low", Medium = "medium", High = "high", Critical = "critical");

/// What scores lead to.
#[derive(Clone, PartialEq, Debug)]
pub struct Policy {
    /// Its event types; empty = the plain policy, for all that have none of their own.
    pub on: Vec<EventTypeId>,
    /// In order; every line whose condition holds takes effect.
    pub lines: Vec<PolicyLine>,
    /// How long a caller waits, and what is answered when that was too short.
    pub deadline: Option<(Micros, Outcome)>,
    /// How long an answer may be acted on.
    pub valid_for: Option<Micros>,
}

/// One line of a policy.
#[derive(Clone, PartialEq, Debug)]
pub struct PolicyLine {
    /// What follows.
    pub effects: Vec<Effect>,
    /// Never missing; may read the score.
    pub when: Expr,
}
