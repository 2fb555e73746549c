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
    E018 UnknownWord "a word that is not one of the possible ones";
    E019 FileTooLarge "a file beyond the size limit";
    E020 AggregateBare "an aggregate without its parentheses";

    // E1xx: schema
    E101 SettingMissing "something every schema says is missing";
    E102 SettingRepeated "a setting said twice";
    E103 SettingValue "a setting of no use";
    E104 ItemMisplaced "an item in the wrong sort of file";
    E105 UnknownZone "an unknown time zone";
    E106 UnknownCurrency "an unknown currency";
    E107 UnknownType "an unknown type";
    E108 TypeSize "a type's size or currency";
    E109 Derivation "a field that cannot be computed like this";
    E110 Ownership "whose an entity is";
    E111 WrongSchema "another schema than the one used";

    // E2xx: names
    E201 UnknownName "an unknown name";
    E202 NameTaken "a name that is taken";
    E203 AmbiguousName "a name that means two things";
    E204 NotOnType "a name that an event type does not have";
    E205 UnknownEventType "an unknown event type";
    E206 UnknownFunction "an unknown function";
    E207 FeatureCycle "a feature that reaches itself";
    E208 NotAvailableYet "not available yet";
    E209 TooMany "too many of one sort";
    E210 WrongScope "a name that means nothing here";

    // E3xx: types and units
    E301 TypeMismatch "another type was expected";
    E302 UnitMissing "a number without its unit";
    E303 UnitsDiffer "units that do not go together";
    E304 TooManyDigits "more digits than are counted";
    E305 ArgumentCount "another number of arguments";
    E306 EmptyRange "a range that holds nothing";
    E307 NotConstant "a constant was expected";
    E308 ValueOutOfRange "a value that cannot be";

    // E4xx: missing values
    E401 MayBeMissing "a value that may be missing";
    E402 CoalesceBinds "`??` binds tighter than a comparison";

    // E5xx: aggregates and windows
    E501 ByMissing "an aggregate without `by`";
    E502 ClauseRepeated "a clause said twice";
    E503 WindowMissing "an aggregate without a window";
    E504 WindowBounds "a window that cannot be";
    E505 CurrentExcluded "a past that would include the present";
    E506 RolesDiffer "roles that do not pair";
    E507 AggregateArgument "an argument that is not of the past";
    E508 RatioCondition "a ratio without its inner condition";
    E509 AggregateMisplaced "an aggregate where none can stand";
    E510 ClauseUnfit "a clause that means nothing here";
    E511 EmptyDomain "a feature that no event type can have";
    E512 NotARole "a field that is no entity";

    // E6xx: rules, effects, policy
    E601 Share "a share that cannot be";
    E602 Dates "dates in the wrong order";
    E603 PolicyRepeated "two policies for one type";
    E604 EffectMisplaced "an effect that cannot stand here";
    E605 UnknownRule "an unknown rule";
    E606 SpanNeeded "a length of time that must be longer than nothing";

    // E7xx: tests
    E701 TestField "a test's field";
    E702 TestValue "a test's value";
    E703 TestTime "a test's time";
    E704 TestIncomplete "a test without an event to look at";
    E705 UnknownEvent "an event that a test does not have";

    // E8xx: lists and tables
    E801 ListContents "a list of something else";
    E802 ListMisplaced "a list where none can stand";

    // W9xx: warnings
    W901 NeverFires "a condition that never holds";
    W902 AlwaysFires "a condition that always holds";
    W903 FeatureUnread "a feature that nobody reads";
    W904 WindowBeyondKeep "a window wider than what is kept";
    W905 ScoreOutOfReach "a score that no rules add up to";
    W906 OwnExtreme "a field compared with a window that includes it";
    W907 MinutesMeant "minutes where months are more usual";
    W908 BlockOnNovelty "a blocked try that makes the next one familiar";
    W909 RuleShadowed "a rule that does nothing which another does not do";
    W910 EffectIdle "an effect that does nothing beside another";
    W911 JsonMember "a field that an event's JSON cannot hold";
    W912 NegativeExample "a negative amount in a test";
    W913 FeatureTwice "a feature that says what another says";
    W914 NamedTwice "a name that adds nothing to those beside it";
    W915 BeyondHours "a range that goes beyond the hours of a day";
    W916 NeverComputed "a field that is always missing";
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
