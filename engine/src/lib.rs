//! One event in, one decision out.
