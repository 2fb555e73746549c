//! What can become known of a past event: its mutable columns, packed into 16 bits.

use crate::named::named;

/// What became of the decision. `None`: the event was recorded without a verdict.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Outcome {
    /// Let it pass.
    #[default]
    Allow = 0,
    /// Let it pass if the user proves who they are.
    Challenge = 1,
    /// Do not let it pass.
    Block = 2,
    /// Recorded only.
    None = 3,
}

/// The result of a challenge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Challenge {
    /// None was asked for, or nothing is known.
    #[default]
    None = 0,
    /// Asked for.
    Issued = 1,
    /// The user proved who they are.
    Passed = 2,
    /// The user did not.
    Failed = 3,
    /// The user gave up.
    Abandoned = 4,
    /// The time for it ran out.
    Expired = 5,
}

/// What became of the operation that the event announced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum OperationResult {
    /// Nothing is known.
    #[default]
    None = 0,
    /// Under way.
    Pending = 1,
    /// Done.
    Succeeded = 2,
    /// Not done.
    Failed = 3,
    /// Not done in time.
    Expired = 4,
    /// Called off.
    Canceled = 5,
    /// Done and undone.
    Reversed = 6,
}

/// What turned out to be true.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Label {
    /// Nothing yet.
    #[default]
    Unknown = 0,
    /// It was fraud.
    Fraud = 1,
    /// It was legitimate.
    Legitimate = 2,
}

named!(Outcome: Allow = "allow", Challenge = "challenge", Block = "block", None = "none");
named!(Challenge: None = "none", Issued = "issued", Passed = "passed", Failed = "failed",
       Abandoned = "abandoned", Expired = "expired");
named!(OperationResult: None = "none", Pending = "pending", Succeeded = "succeeded", Failed = "failed",
       Expired = "expired", Canceled = "canceled", Reversed = "reversed");
named!(Label: Unknown = "unknown", Fraud = "fraud", Legitimate = "legitimate");

/// The mutable columns of a past event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Mutable {
    /// What was decided, or what a missed deadline made of it.
    pub outcome: Outcome,
    /// Of its challenge.
    pub challenge: Challenge,
    /// Of the operation.
    pub result: OperationResult,
    /// What turned out to be true.
    pub label: Label,
}

impl Mutable {
    /// Whether the money went, or may yet go: the outcome is allow or none, or a passed challenge, and the operation
    /// did not fail, expire, get canceled or reversed.
    pub fn accepted(self) -> bool {
        let let_through = match self.outcome {
            Outcome::Allow | Outcome::None => true,
            Outcome::Challenge => self.challenge == Challenge::Passed,
            Outcome::Block => false,
        };
        let stands = matches!(
            self.result,
            OperationResult::None | OperationResult::Pending | OperationResult::Succeeded
        );
        let_through && stands
    }

    /// In 16 bits, of which the upper four are zero: label, result, challenge, outcome, three bits each.
    pub fn pack(self) -> u16 {
        (self.outcome as u16)
            | (self.challenge as u16) << 3
            | (self.result as u16) << 6
            | (self.label as u16) << 9
    }

    /// What [`Mutable::pack`] packed; bits that name no value read as the default.
    pub fn unpack(bits: u16) -> Self {
        let three = |shift: u16| u8::try_from((bits >> shift) & 7).unwrap_or(0);
        Self {
            outcome: Outcome::from_number(three(0)).unwrap_or_default(),
            challenge: Challenge::from_number(three(3)).unwrap_or_default(),
            result: OperationResult::from_number(three(6)).unwrap_or_default(),
            label: Label::from_number(three(9)).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_keeps_every_combination_and_accepted_follows_the_contract() {
        let mut seen = 0;
        for &outcome in Outcome::ALL {
            for &challenge in Challenge::ALL {
                for &result in OperationResult::ALL {
                    for &label in Label::ALL {
                        let it = Mutable { outcome, challenge, result, label };
                        assert_eq!(Mutable::unpack(it.pack()), it);
                        seen += usize::from(it.accepted());
                    }
                }
            }
        }
        // allow and none with any of 6 challenges, challenge with 1; 3 of 7 results; any of 3 labels
        assert_eq!(seen, (6 + 6 + 1) * 3 * 3);
    }
}
