//! Types of expressions, and how what is counted is held.

use crate::schema::{Currency, EnumId, KindId};
use crate::value::Form;

/// The type of an expression.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Type {
    /// True or false.
    Flag,
    /// A number without a unit.
    Number(Numeric),
    /// An amount, counted in minor units of the currency.
    Money(Currency, Numeric),
    /// A length of time, counted in microseconds.
    Duration(Numeric),
    /// A point in time, in microseconds since 1970 UTC.
    Time,
    /// Latitude and longitude.
    Place,
    /// Kilometres, always computed.
    Distance,
    /// Kilometres per hour, always computed.
    Speed,
    /// A text.
    Text,
    /// An entity of a kind.
    Entity(KindId),
    /// A value of an enum.
    Enum(EnumId),
    /// The type of an event.
    EventType,
}

/// How a quantity is held.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Numeric {
    /// An integer that counts units of 10⁻ˢᶜᵃˡᵉ.
    Exact {
        /// Digits after the point.
        scale: u8,
        /// A bound: the integer has at most so many decimal digits, at most [`EXACT_DIGITS_MAX`].
        digits: u8,
    },
    /// An f64.
    Real,
}

impl Numeric {
    /// Digits after the point; 0 of an f64.
    pub fn scale(self) -> u8 {
        match self {
            Self::Exact { scale, .. } => scale,
            Self::Real => 0,
        }
    }
}

/// An exact intermediate result has at most so many decimal digits, so that i128 never overflows (10³⁷ < 2¹²⁷).
/// Where a product or a sum could have more, the checker computes it as a real.
pub const EXACT_DIGITS_MAX: u8 = 37;

impl Type {
    /// The form in which a value of this type computes.
    pub fn form(self) -> Form {
        match self {
            Self::Flag => Form::Flag,
            Self::Number(Numeric::Real) | Self::Money(_, Numeric::Real) | Self::Duration(Numeric::Real) => {
                Form::Real
            }
            Self::Distance | Self::Speed => Form::Real,
            _ => Form::Exact,
        }
    }
}
