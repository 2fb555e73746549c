//! The interface driven as a person would, over a socket on this machine.
#![cfg(test)]

mod alerts;
mod bodies;
mod decisions;
mod document;
mod lists;
mod load;
mod overload;
mod refusals;
mod rules;
mod support;
