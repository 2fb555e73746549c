//! Rules, their effects, and policies.

use super::{Date, Duration, Expr, Name, Quantity, Text};
use crate::past::Outcome;
use crate::span::Span;
use crate::typed::{Mode, Severity};

/// A rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The rule's name.
    pub name: Name,
    /// The reason for analysts; none where it did not parse.
    pub reason: Option<Text>,
    /// The reason for the customer.
    pub tell: Option<Text>,
    /// `live`, `shadow`, `off`, and where.
    pub mode: Option<(Mode, Span)>,
    /// `to 10% of user`
    pub rollout: Option<Rollout>,
    /// `from 2027-03-01`
    pub from: Option<Date>,
    /// `until 2027-03-31`, that day included.
    pub until: Option<Date>,
    /// The event types; `any` is a name. Empty where it did not parse.
    pub on: Vec<Name>,
    /// The condition.
    pub when: Expr,
    /// What follows.
    pub effects: Vec<Effect>,
    /// The whole item.
    pub span: Span,
}

/// `to 10% of user`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rollout {
    /// The unit is percent; how much is possible is the checker's to say.
    pub share: Quantity,
    /// Of whom.
    pub role: Name,
    /// All of it.
    pub span: Span,
}

/// What a rule or a policy line does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    /// What.
    pub kind: EffectKind,
    /// All of it.
    pub span: Span,
}

/// What an effect does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EffectKind {
    /// `block`
    Block {
        /// `always`
        always: bool,
    },
    /// `challenge with passkey or pay_pwd + sms_otp`
    Challenge {
        /// Sets of factors, any of which will do; empty without `with`.
        factors: Vec<Vec<Name>>,
        /// `always`
        always: bool,
    },
    /// `allow`
    Allow,
    /// `score +40`, `score - 20 * risk`: the sign stands apart.
    Score {
        /// `-`
        negative: bool,
        /// What follows the sign.
        value: Expr,
    },
    /// `alert high once per user 10m`
    Alert {
        /// How bad.
        severity: Severity,
        /// Not more often than that.
        once: Option<Once>,
    },
    /// `tag mule`
    Tag(Name),
    /// `freeze card for 1d`
    Freeze {
        /// Whom.
        role: Name,
        /// For how long.
        span: Duration,
    },
    /// `delay 1d`
    Delay(Duration),
    /// `add user to watched for 7d`
    Add {
        /// Whom.
        role: Name,
        /// Where.
        list: Name,
        /// For how long; none = until removed.
        span: Option<Duration>,
    },
    /// `remove user from watched`
    Remove {
        /// Whom.
        role: Name,
        /// Where.
        list: Name,
    },
    /// Did not parse.
    Error,
}

/// `once per user 10m`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Once {
    /// Per what.
    pub role: Name,
    /// And how long.
    pub span: Duration,
}

/// `policy` or `policy on login`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// The event types; empty = the plain policy.
    pub on: Vec<Name>,
    /// Its lines.
    pub lines: Vec<PolicyLine>,
    /// `deadline 10ms else challenge`
    pub deadline: Option<Deadline>,
    /// `valid for 60s`
    pub valid_for: Option<Duration>,
    /// The whole item.
    pub span: Span,
}

/// `block when score >= 90`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyLine {
    /// What follows.
    pub effects: Vec<Effect>,
    /// When.
    pub when: Expr,
    /// The whole line.
    pub span: Span,
}

/// `deadline 10ms else challenge`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deadline {
    /// How long a caller waits.
    pub after: Duration,
    /// What is answered then. Never [`Outcome::None`].
    pub outcome: Outcome,
    /// All of it.
    pub span: Span,
}
