//! What happens in the simulated wallet, as its schema (`fixtures/wallet/wallet.schema.weir`) has it.

use std::fmt;

use rules::place::Place;
use rules::time::Micros;

/// Hundredths of a yuan.
pub(crate) type AmountMinor = i64;

/// No event moves less.
pub(super) const AMOUNT_MIN: AmountMinor = 1;
/// No event moves more: 50,000 yuan, the wallet's limit.
pub(super) const AMOUNT_MAX: AmountMinor = 5_000_000;

macro_rules! entities {
    ($($name:ident $letter:literal),+) => { $(
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub(crate) struct $name(pub(super) u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}"), self.0)
            }
        }
    )+ };
}
entities!(User "u", Card "c", Device "d", Merchant "m");

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Channel {
    App,
    Web,
    QrStatic,
    QrDynamic,
}

impl Channel {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Web => "web",
            Self::QrStatic => "qr_static",
            Self::QrDynamic => "qr_dynamic",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Event {
    pub(crate) time: Micros,
    pub(crate) user: User,
    pub(super) device: Option<Device>,
    pub(super) place: Option<Place>,
    pub(crate) action: Action,
    /// Empty for what honest people do.
    pub(super) fraud: Option<Fraud>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Action {
    Payment {
        merchant: Merchant,
        mcc: &'static str,
        card: Option<Card>,
        amount: AmountMinor,
        channel: Channel,
    },
    Transfer {
        payee: User,
        amount: AmountMinor,
    },
    Login {
        channel: Channel,
    },
    TopUp {
        card: Card,
        amount: AmountMinor,
    },
}

impl Action {
    /// The event's type, as the schema has it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Payment { .. } => "payment",
            Self::Transfer { .. } => "transfer",
            Self::Login { .. } => "login",
            Self::TopUp { .. } => "top_up",
        }
    }

    /// What it moves; none if it moves nothing.
    pub(crate) fn amount_minor(&self) -> Option<AmountMinor> {
        match *self {
            Self::Payment { amount, .. } | Self::Transfer { amount, .. } | Self::TopUp { amount, .. } => {
                Some(amount)
            }
            Self::Login { .. } => None,
        }
    }
}

/// The truth about a fraudulent event, and when somebody finds out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fraud {
    pub(super) kind: &'static str,
    pub(super) known_at: Micros,
}
