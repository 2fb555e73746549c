//! Random cases for tests, of this crate and of the engine: well-typed rule sets as text, and what they feed on.

mod choices;

pub use choices::Choices;
