//! The reference itself, on cases small enough to be judged by eye.
