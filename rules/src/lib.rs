//! The rule language: text → syntax tree → typed tree → program.
