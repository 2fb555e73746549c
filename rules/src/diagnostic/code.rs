//! The registry of codes. One line each: number, name, title.
//!
//! **Never renumber, never reuse**: people search for these numbers, and scripts read them. A code that is no longer
//! given keeps its line. Numbers rise within a section; a new one goes to the end of its section.

use super::Severity;

macro_rules! codes {
    ($($number:ident $name:ident $title:literal;)*) => {
        /// The kind of a diagnostic. Sorted as numbered.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Code {
            $(#[doc = concat!(stringify!($number), ": ", $title)] $name,)*
        }

        impl Code {
            /// All, in order of their numbers, errors before warnings.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The number with its letter: `E012`.
            pub fn number(self) -> &'static str {
                match self { $(Self::$name => stringify!($number),)* }
            }

            /// What the kind is about, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    // E0xx: what a file is made of
    E001 UnknownCharacter "a character without meaning";
    E002 UnclosedText "a text without its closing quote";
    E003 BadNumber "a number that is not written as one";
    E004 BadDuration "a duration that is not written as one";
    E005 BadDate "a day that is not in the calendar";
    E006 NumberTooLarge "a number beyond what is counted exactly";
    E007 ForeignOperator "an operator of another language";
    E010 Unexpected "something else was expected here";
    E011 UnknownItem "not the start of an item";
    E012 ReservedWord "a word of the language used as a name";
    E013 ComparisonChain "comparisons in a row";
    E014 NestedTooDeep "nested too deep";
    E015 ClausesOnExpression "clauses behind something that is not one call";
    E016 SaidTwice "said twice";
    E017 MissingPart "a part of an item is missing";
    E018 UnknownWord "a word that is not one of the possible ones";
    E019 FileTooLarge "a file beyond the size limit";

    // E1xx: schema

    // E2xx: names

    // E3xx: types and units

    // E4xx: missing values

    // E5xx: aggregates and windows

    // E6xx: rules, effects, policy

    // E7xx: tests

    // E8xx: lists and tables

    // W9xx: warnings
}

impl Code {
    /// Errors begin with E, warnings with W.
    pub fn severity(self) -> Severity {
        if self.number().starts_with('W') { Severity::Warning } else { Severity::Error }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.number())
    }
}
