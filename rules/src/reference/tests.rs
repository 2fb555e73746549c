//! The program against the reference: on random expressions, then on random rule sets with their whole past.

mod agree;
mod meaning;
mod trees;
