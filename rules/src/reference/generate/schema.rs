//! The schema of generated rule sets: three event types that share some fields and not others.

use super::Choices;

/// A set of event types, a bit each.
pub(super) type Types = u8;
pub(super) const PAYMENT: Types = 1;
pub(super) const TRANSFER: Types = 2;
pub(super) const LOGIN: Types = 4;
pub(super) const ALL: Types = PAYMENT | TRANSFER | LOGIN;
pub(super) const EVENT_TYPES: [(&str, Types); 3] =
    [("payment", PAYMENT), ("transfer", TRANSFER), ("login", LOGIN)];

/// What an expression is of, as far as the language tells things apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Flag,
    Number,
    Money,
    Duration,
    Time,
    Place,
    Distance,
    Speed,
    Text,
    Channel,
    User,
    Card,
    Device,
    Merchant,
}

impl Kind {
    pub(super) const ENTITIES: [Self; 4] = [Self::User, Self::Card, Self::Device, Self::Merchant];

    pub(super) fn is_entity(self) -> bool {
        Self::ENTITIES.contains(&self)
    }
}

/// A field: its name, what it holds, which event types have it, and which of those may leave it out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    written: &'static str,
    pub(super) on: Types,
    optional: Types,
}

const fn field(name: &'static str, kind: Kind, written: &'static str, on: Types, optional: Types) -> Field {
    Field { name, kind, written, on, optional }
}

pub(super) const FIELDS: [Field; 16] = [
    field("user", Kind::User, "user", ALL, 0),
    field("payee", Kind::User, "user", TRANSFER, 0),
    field("merchant", Kind::Merchant, "merchant", PAYMENT, 0),
    field("card", Kind::Card, "card", PAYMENT, PAYMENT),
    field("device", Kind::Device, "device", ALL, ALL),
    field("amount", Kind::Money, "money", PAYMENT | TRANSFER, 0),
    field("fee", Kind::Money, "money CNY", PAYMENT | TRANSFER, ALL),
    field("channel", Kind::Channel, "channel", PAYMENT | LOGIN, LOGIN),
    field("place", Kind::Place, "place", ALL, ALL),
    field("home", Kind::Place, "place", ALL, ALL),
    field("mcc", Kind::Text, "text(4)", PAYMENT, PAYMENT),
    field("risk", Kind::Number, "decimal(4)", PAYMENT, PAYMENT),
    field("items", Kind::Number, "int", PAYMENT | TRANSFER, 0),
    field("gift", Kind::Flag, "flag", ALL, TRANSFER),
    field("due", Kind::Time, "time", ALL, ALL),
    field("hold", Kind::Duration, "duration", PAYMENT | TRANSFER, ALL),
];

impl Field {
    /// Whether it is there on each of these types.
    pub(super) fn is_required_on(&self, types: Types) -> bool {
        types & self.optional == 0
    }
}

pub(super) fn write(choices: &mut Choices) -> String {
    let zone = choices.pick(&["UTC", "Asia/Shanghai", "America/New_York"]).copied().unwrap_or("UTC");
    let keep = choices.pick(&["2d", "30d", "400d"]).copied().unwrap_or("2d");
    let mut text = format!("schema demo 1\nzone \"{zone}\"\ncurrency CNY\nlateness 10m\nkeep {keep}\n\n");
    text.push_str("entity user\nentity card owned\nentity device shared\nentity merchant shared\n");
    text.push_str("enum channel = app, web, api\n");
    for (name, bit) in EVENT_TYPES {
        text.push_str(&format!("\nevent {name}\n"));
        for field in FIELDS.iter().filter(|it| it.on & bit != 0) {
            let mark = if field.optional & bit == 0 { "" } else { "?" };
            text.push_str(&format!("  {}: {}{mark}\n", field.name, field.written));
        }
    }
    text
}
