//! What names things: their places in the lists that hold them, each list with a type of its own.

/// Declares indices, each of a list that its documentation names.
#[macro_export]
macro_rules! indices {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub u16);

        impl $name {
            /// As a number to look up with.
            pub fn index(self) -> usize {
                usize::from(self.0)
            }

            /// Every index, from the first on: to be zipped with what is in the list.
            pub fn all() -> impl Iterator<Item = Self> + Clone {
                (0..=u16::MAX).map(Self)
            }
        }
    )+};
}
