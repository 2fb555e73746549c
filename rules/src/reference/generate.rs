//! Random well-typed rule sets as text, and random typed trees.
