//! The rule language: text → syntax tree → typed tree → program.
//!
//! It knows a schema and nothing of the engine: what has a past is asked of a [`program::Source`].
//!
//! A rule set goes through [`syntax`] (text in, tree out), [`schema`] and [`typed`] (what a checked one is), [`check`]
//! (tree in, typed tree out), [`program`] (compiled) and [`mod@reference`] (the same meaning as a slow walk, the oracle of
//! the tests).
//!
//! Modules in the order in which they use each other: each names only those that stand before it.

mod indices;
pub mod span;
pub mod time;
pub mod value;
pub mod place;
mod named;
pub mod notation;
pub mod past;
pub mod schema;
pub mod typed;
mod walk;
pub mod diagnostic;
pub mod syntax;
pub mod check;
mod renumber;
mod widen;
mod keep;
pub mod program;
pub mod reference;
#[cfg(any(test, feature = "test-support"))]
pub mod testing;

pub use keep::TooManyFeatures;
