//! Words and numbers of enums that have no fields: both stand in what is written, so neither may change.

/// Gives a field-less enum its values' names in order, and the way back from a number or a name.
macro_rules! named {
    ($type:ident: $($variant:ident = $name:literal),+) => {
        impl $type {
            /// The names of the values, in the order of their numbers.
            pub const NAMES: &'static [&'static str] = &[$($name),+];
            /// All values, in the order of their numbers, which begin with 0.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name used everywhere outside.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The value of a name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.name() == name)
            }

            /// The value of a number.
            pub fn from_number(number: u8) -> Option<Self> {
                Self::ALL.get(usize::from(number)).copied()
            }
        }
    };
}

pub(crate) use named;
