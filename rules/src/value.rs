//! A value at run time, and the three forms in which expressions compute.

/// A value. The static type says what it means: an `Exact` may be a scaled number, minor units, microseconds, a
/// packed place, the number of an enum's value or the hash of a text.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Value {
    /// Nothing is known.
    #[default]
    Missing,
    /// True or false.
    Flag(bool),
    /// An exact integer at the scale that the type states.
    Exact(i128),
    /// A computed number; never NaN, infinite or negative zero.
    Real(f64),
}

impl Value {
    /// The flag, if it is one.
    pub fn flag(self) -> Option<bool> {
        if let Self::Flag(flag) = self { Some(flag) } else { None }
    }

    /// The exact integer, if it is one.
    pub fn exact(self) -> Option<i128> {
        if let Self::Exact(exact) = self { Some(exact) } else { None }
    }

    /// The computed number, if it is one.
    pub fn real(self) -> Option<f64> {
        if let Self::Real(real) = self { Some(real) } else { None }
    }

    /// A computed number, or missing where the computation left the finite numbers. Negative zero becomes zero, so
    /// that numbers are equal exactly if their bits are.
    pub fn finite(real: f64) -> Self {
        if real.is_finite() { Self::Real(real + 0.0) } else { Self::Missing }
    }

    /// The value as 64 bits for a history's column: an exact value that fits, a flag as 0 or 1, a real's bits.
    pub fn to_slot(self) -> Option<i64> {
        match self {
            Self::Missing => None,
            Self::Flag(flag) => Some(i64::from(flag)),
            Self::Exact(exact) => i64::try_from(exact).ok(),
            Self::Real(real) => Some(real.to_bits().cast_signed()),
        }
    }

    /// The value that a slot holds, read in the form that its type computes in.
    pub fn from_slot(slot: Option<i64>, form: Form) -> Self {
        match (slot, form) {
            (None, _) => Self::Missing,
            (Some(slot), Form::Flag) => Self::Flag(slot != 0),
            (Some(slot), Form::Exact) => Self::Exact(i128::from(slot)),
            (Some(slot), Form::Real) => Self::Real(f64::from_bits(slot.cast_unsigned())),
        }
    }
}

/// How an expression computes: the arm of [`Value`] that it gives where it is not missing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Form {
    /// [`Value::Flag`].
    Flag,
    /// [`Value::Exact`].
    Exact,
    /// [`Value::Real`].
    Real,
}

/// The nearest real.
#[expect(
    clippy::cast_precision_loss,
    reason = "rounded once, to the nearest: the definition of a computed number"
)]
pub(crate) fn real_of(number: i128) -> f64 {
    number as f64
}

/// 10 to this power, correctly rounded; beyond the greatest scale infinite.
pub(crate) fn power_of_ten(exponent: u8) -> f64 {
    const POWERS: [f64; 38] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
        1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34,
        1e35, 1e36, 1e37,
    ];
    POWERS.get(usize::from(exponent)).copied().unwrap_or(f64::INFINITY)
}
