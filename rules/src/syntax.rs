//! Text in, tree out.

pub mod ast;
