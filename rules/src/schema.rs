//! The schema: which entity kinds, event types and fields there are, and what is always true of time and money.
//!
//! A [`Schema`] is the checked form of a `.schema.weir` file. Everything in it is named by a small index, so
//! that programs, plans and rows speak in numbers; names come back only at the edges.

use jiff::tz::TimeZone;

use crate::indices;
use crate::past::{Challenge, Label, OperationResult, Outcome};
use crate::time::Micros;

indices! {
    /// Index of an entity kind in [`Schema::kinds`].
    KindId;
    /// Index of an enum in [`Schema::enums`]: first the built-in ones, then the schema's own, in file order, so that more of
    /// these change no number.
    EnumId;
    /// Index of an event type in [`Schema::events`].
    EventTypeId;
    /// Index of a field in [`Schema::fields`]. Fields of one name and one type are one field, whichever event types
    /// have it: that is what lets `any.device` speak of all of them.
    FieldId;
}

/// Longest id of an entity, in bytes.
pub const ENTITY_ID_BYTES_MAX: usize = 256;

/// A checked schema.
#[derive(Clone, PartialEq, Debug)]
pub struct Schema {
    /// The name that rule files `use`.
    pub name: String,
    /// Rises with each change; events written under an older one stay readable.
    pub version: u32,
    /// Zone of `hour`, `weekday` and dates, as written.
    pub zone_name: String,
    /// The zone of that name, from the bundled database.
    pub zone: TimeZone,
    /// The currency in which money is compared and summed.
    pub currency: Currency,
    /// How late an event may come and still land at its own time.
    pub lateness: Micros,
    /// How long a feature without a window remembers.
    pub keep: Micros,
    /// File of the rate table, as written, relative to the schema.
    pub rates_file: Option<String>,
    /// Entity kinds; the first is the partition key.
    pub kinds: Vec<Kind>,
    /// Enums.
    pub enums: Vec<EnumType>,
    /// Event types.
    pub events: Vec<EventType>,
    /// All fields of all event types.
    pub fields: Vec<Field>,
}

/// A kind of entity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kind {
    /// As declared.
    pub name: String,
    /// Where its state lives in a cluster.
    pub ownership: Ownership,
}

/// Whose an entity is, seen from the partition key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ownership {
    /// The partition key itself: the first kind declared.
    Partition,
    /// Used with one partition entity only.
    Owned,
    /// Met by many: exact on one machine, an observation in a cluster.
    Shared,
}

/// An enum and its values, in declared order; a value's number is its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnumType {
    /// As declared.
    pub name: String,
    /// In declared order.
    pub values: Vec<String>,
}

/// The enums that every schema has, before its own, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BuiltInEnum {
    /// [`Outcome`].
    Outcome,
    /// [`Challenge`].
    Challenge,
    /// [`OperationResult`].
    Result,
    /// [`Label`].
    Label,
    /// Monday first.
    Weekday,
}

impl BuiltInEnum {
    /// All of them, in the order in which [`Schema::enums`] begins.
    pub const ALL: [Self; 5] = [Self::Outcome, Self::Challenge, Self::Result, Self::Label, Self::Weekday];

    /// The enum's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::Challenge => "challenge",
            Self::Result => "result",
            Self::Label => "label",
            Self::Weekday => "weekday",
        }
    }

    /// Its values, in the order of their numbers.
    pub fn values(self) -> &'static [&'static str] {
        match self {
            Self::Outcome => Outcome::NAMES,
            Self::Challenge => Challenge::NAMES,
            Self::Result => OperationResult::NAMES,
            Self::Label => Label::NAMES,
            Self::Weekday => &["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        }
    }
}

/// A type of event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventType {
    /// As declared.
    pub name: String,
    /// Its fields in declared order.
    pub fields: Vec<EventField>,
}

/// A field as one event type has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventField {
    /// Which field.
    pub field: FieldId,
    /// Whether an event of this type may leave it out.
    pub optional: bool,
    /// How intake computes it from another field of the event; none = the caller sends it.
    pub derived: Option<Derivation>,
}

/// A field: a name and a type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// As declared; for an entity this is its role.
    pub name: String,
    /// What it holds.
    pub ty: FieldType,
}

/// What a field holds, and how it stands in a slot (`Option<i64>`, see [`crate::program::Frame`]).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FieldType {
    /// 0 or 1.
    Flag,
    /// A whole number, at most 10¹³ in magnitude.
    Int,
    /// An exact number, scaled by 10^`scale`.
    Decimal {
        /// Digits after the point, 0 to 9.
        scale: u8,
    },
    /// Minor units. In a slot: of the schema's currency, converted at intake, or of `currency` where it is fixed.
    Money {
        /// The one currency that the field takes; none = any with a rate.
        currency: Option<Currency>,
    },
    /// Latitude and longitude in 10⁻⁷ degrees, packed by [`crate::place::Place::pack`].
    Place,
    /// Microseconds since 1970 UTC.
    Time,
    /// Microseconds.
    Duration,
    /// Text of at most `max_bytes`; in a slot its 64-bit hash.
    Text {
        /// Greatest length in bytes.
        max_bytes: u16,
    },
    /// The number of an enum's value.
    Enum(EnumId),
    /// An id of an entity; in a slot its 64-bit hash.
    Entity(KindId),
}

/// A field computed at intake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Derivation {
    /// The first `characters` characters of a text field that is sent; missing if the text is missing or shorter, or they
    /// take more bytes than the field has room for.
    Prefix {
        /// The text field.
        of: FieldId,
        /// How many characters.
        characters: u16,
    },
}

/// An ISO 4217 currency: three capitals and the number of digits of its minor unit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency {
    code: [u8; 3],
    exponent: u8,
}

impl Currency {
    /// The currency of a three-letter code; none if ISO 4217 has no such code with a minor unit.
    pub fn from_code(code: &str) -> Option<Self> {
        let exponent = iso_currency::Currency::from_code(code)?.exponent()?;
        Some(Self { code: code.as_bytes().try_into().ok()?, exponent: u8::try_from(exponent).ok()? })
    }

    /// Three capitals.
    pub fn code(&self) -> &str {
        str::from_utf8(&self.code).unwrap_or("???")
    }

    /// Digits of the minor unit: 2 for EUR, 0 for JPY.
    pub fn exponent(self) -> u8 {
        self.exponent
    }
}

impl std::fmt::Debug for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

impl FieldType {
    /// The most bytes of a text that the field holds; none if it holds no text.
    pub fn text_bytes_max(self) -> Option<usize> {
        match self {
            Self::Text { max_bytes } => Some(max_bytes.into()),
            Self::Entity(_) => Some(ENTITY_ID_BYTES_MAX),
            _ => None,
        }
    }
}

impl Schema {
    /// The event type of a name.
    pub fn event_type(&self, name: &str) -> Option<EventTypeId> {
        position(&self.events, |event| event.name == name).map(EventTypeId)
    }

    /// An event type by its index.
    pub fn event(&self, id: EventTypeId) -> Option<&EventType> {
        self.events.get(id.index())
    }

    /// The entity kind of a name.
    pub fn kind(&self, name: &str) -> Option<KindId> {
        position(&self.kinds, |kind| kind.name == name).map(KindId)
    }

    /// The name of an entity kind; `?` of one that is not here.
    pub fn kind_name(&self, kind: KindId) -> &str {
        self.kinds.get(kind.index()).map_or("?", |it| it.name.as_str())
    }

    /// A built-in enum.
    pub fn built_in(&self, which: BuiltInEnum) -> EnumId {
        EnumId(position(&BuiltInEnum::ALL, |it| *it == which).unwrap_or(u16::MAX))
    }

    /// The schema's own enums, in file order.
    pub fn own_enums(&self) -> &[EnumType] {
        self.enums.get(BuiltInEnum::ALL.len()..).unwrap_or_default()
    }

    /// An enum by its index.
    pub fn enum_type(&self, id: EnumId) -> Option<&EnumType> {
        self.enums.get(id.index())
    }

    /// The name of an enum; `?` of one that is not here.
    pub fn enum_name(&self, id: EnumId) -> &str {
        self.enum_type(id).map_or("?", |it| it.name.as_str())
    }

    /// The field of a name as an event type has it.
    pub fn field_of(&self, event: EventTypeId, name: &str) -> Option<EventField> {
        let fields = &self.event(event)?.fields;
        fields.iter().find(|it| self.field(it.field).is_some_and(|field| field.name == name)).copied()
    }

    /// A field by its index.
    pub fn field(&self, id: FieldId) -> Option<&Field> {
        self.fields.get(id.index())
    }

    /// How an event type has a field; none if it has not.
    pub fn event_field(&self, event: EventTypeId, field: FieldId) -> Option<EventField> {
        self.event(event)?.fields.iter().find(|it| it.field == field).copied()
    }

    /// Whether the field is an entity of some kind, and of which.
    pub fn role_kind(&self, field: FieldId) -> Option<KindId> {
        match self.field(field)?.ty {
            FieldType::Entity(kind) => Some(kind),
            _ => None,
        }
    }
}

fn position<T>(items: &[T], is: impl Fn(&T) -> bool) -> Option<u16> {
    items.iter().position(is).and_then(|at| u16::try_from(at).ok())
}
