//! The command line from outside: the built binary on files in a folder of its own.
#![cfg(test)]

mod reference;
mod rules;
