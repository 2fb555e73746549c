//! The rule language: text → syntax tree → typed tree → program.
//!
//! It knows a schema and nothing of the engine: what has a past is asked of a [`program::Source`].
//!
//! Reading order follows a rule set: [`syntax`] (text in, tree out), [`schema`] and [`typed`] (what a checked one
//! is), [`check`] (tree in, typed tree out), [`program`] (compiled) and [`mod@reference`] (the same meaning as a slow
//! walk, the oracle of the tests).

pub mod check;
pub mod diagnostic;
mod keep;
mod named;
pub mod notation;
pub mod past;
pub mod place;
pub mod program;
pub mod reference;
pub mod schema;
pub mod span;
pub mod syntax;
#[cfg(any(test, feature = "test-support"))]
pub mod testing;
pub mod time;
pub mod typed;
pub mod value;
mod renumber;
mod walk;
mod widen;

pub use keep::TooManyFeatures;
