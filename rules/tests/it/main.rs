//! Tests of the crate as its users see it.

#![expect(clippy::disallowed_methods, reason = "the crate reads no files, its tests do")]

#[cfg(test)]
mod golden;
#[cfg(test)]
mod help;
#[cfg(test)]
mod labels;
#[cfg(test)]
mod slips;
