//! The program against the reference: on random expressions, then on random rule sets with their whole past.

mod agree;
mod constructs;
mod generated;
mod meaning;
mod trees;
