//! The compiled rule set: closures over a [`Frame`] that cannot fail and do not allocate.

mod frame;
mod verdict;

pub use frame::{Frame, Nothing, Source};
pub use verdict::{Alert, EffectRef, Hit, Verdict};
