//! The schema file: its settings, kinds, enums, event types and fields.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::reports::Reports;
use super::words;
use crate::diagnostic::Code;
use crate::schema::{
    BuiltInEnum, Currency, Derivation, EnumId, EnumType, EventField, EventType, Field, FieldId, FieldType,
    Kind, KindId, Ownership, Schema,
};
use crate::span::Span;
use crate::syntax::ast;
use crate::time::{DAY, MINUTE, Micros};

const LATENESS_DEFAULT: Micros = 10 * MINUTE;
const KEEP_DEFAULT: Micros = 400 * DAY;
/// An index is a `u16`; so many of one sort leave room for the built-in ones.
pub(super) const NAMES_MAX: usize = 60_000;

/// Checks the file among `files` that says `schema`. None where there is none, or where it has no name, currency or
/// partition key to go on with.
pub(super) fn check(files: &[ast::File], reports: &mut Reports<'_>) -> Option<Schema> {
    let is_schema = |file: &ast::File| file.items.iter().any(|it| matches!(it, ast::Item::Schema(_)));
    let mut numbered = (0..).zip(files);
    let Some((index, file)) = numbered.find(|(_, file)| is_schema(file)) else {
        no_schema(files, reports);
        return None;
    };
    for (other, file) in (0..).zip(files) {
        if other != index {
            reports.enter(other);
            refuse_items(file, false, reports);
        }
    }
    reports.enter(index);
    refuse_items(file, true, reports);
    let mut builder = Builder::new(reports);
    builder.settings(file);
    builder.kinds_and_enums(file);
    builder.events(file);
    builder.finish(file)
}

/// Reports that no file is a schema: where one is named, which is missing; else how one looks.
fn no_schema(files: &[ast::File], reports: &mut Reports<'_>) {
    let used = (0..).zip(files).find_map(|(index, file)| {
        file.items
            .iter()
            .find_map(|it| if let ast::Item::Use(name) = it { Some((index, name)) } else { None })
    });
    let (span, message, help) = match used {
        Some((_, name)) if reports.is_unread(&name.text) => return,
        Some((index, name)) => {
            reports.enter(index);
            let message = format!("no file says what the schema `{}` is", name.text);
            (
                name.span,
                message,
                format!("give its file too: the one that begins with `schema {} 1`", name.text),
            )
        }
        None => {
            reports.enter(0);
            let help = "begin this one with `use schema wallet`, and give another that says `schema wallet 1`, \
                        `currency EUR`, `entity user`, `event payment` and its fields `user: user` and `amount: money`";
            (Span::default(), "no file says which schema the rules are for".to_owned(), help.to_owned())
        }
    };
    reports.error_with_help(Code::SettingMissing, span, message, help);
}

/// Each sort of item stands in its own file.
fn refuse_items(file: &ast::File, in_schema: bool, reports: &mut Reports<'_>) {
    use ast::Item;
    for item in &file.items {
        let of_schema = match item {
            Item::Schema(_) | Item::Zone(_) | Item::Currency(_) | Item::Lateness(_) | Item::Keep(_) => true,
            Item::Rates(_) | Item::Entity(_) | Item::Enum(_) | Item::Event(_) => true,
            Item::Error(_) => continue,
            _ => false,
        };
        if of_schema != in_schema {
            let (message, help) = match (in_schema, item) {
                (false, Item::Schema(_)) => {
                    ("a second schema", "one rule set has one schema: leave one of them out")
                }
                (true, _) => (
                    "this does not belong in a schema file",
                    "move it to a rule file, which says `use schema NAME`",
                ),
                (false, _) => ("this does not belong in a rule file", "move it to the schema file"),
            };
            reports.error_with_help(Code::ItemMisplaced, item.span(), message, help);
        }
    }
}

struct Builder<'r, 't> {
    reports: &'r mut Reports<'t>,
    header: Option<(String, u32)>,
    zone: Option<(String, TimeZone)>,
    currency: Option<Currency>,
    lateness: Option<Micros>,
    keep: Option<Micros>,
    rates_file: Option<String>,
    kinds: Vec<Kind>,
    enums: Vec<EnumType>,
    events: Vec<EventType>,
    fields: Vec<Field>,
    /// Each with the place of its name.
    types: BTreeMap<String, (FieldType, Span)>,
    /// Whether an item could not be read.
    broken: bool,
}

impl<'r, 't> Builder<'r, 't> {
    fn new(reports: &'r mut Reports<'t>) -> Self {
        Self {
            reports,
            header: None,
            zone: None,
            currency: None,
            lateness: None,
            keep: None,
            rates_file: None,
            kinds: Vec::new(),
            enums: Vec::new(),
            events: Vec::new(),
            fields: Vec::new(),
            types: BTreeMap::new(),
            broken: false,
        }
    }

    fn settings(&mut self, file: &ast::File) {
        let mut seen: Vec<&str> = Vec::new();
        for item in &file.items {
            let (word, span) = match item {
                ast::Item::Schema(it) => ("schema", it.name.span),
                ast::Item::Zone(it) => ("zone", it.span),
                ast::Item::Currency(it) => ("currency", it.span),
                ast::Item::Lateness(it) => ("lateness", it.span),
                ast::Item::Keep(it) => ("keep", it.span),
                ast::Item::Rates(it) => ("rates", it.span),
                _ => continue,
            };
            if seen.contains(&word) {
                self.reports.error_with_help(
                    Code::SettingRepeated,
                    span,
                    format!("`{word}` is said twice"),
                    "leave one of them out",
                );
                continue;
            }
            seen.push(word);
            self.setting(item);
        }
    }

    fn setting(&mut self, item: &ast::Item) {
        match item {
            ast::Item::Schema(it) => {
                if let Some(version) = it.version {
                    self.header = Some((it.name.text.clone(), version.value));
                    if version.value == 0 {
                        let help = format!("write `schema {} 1`", it.name.text);
                        let message = "versions are counted from 1";
                        self.reports.error_with_help(Code::SettingValue, version.span, message, help);
                    }
                }
            }
            ast::Item::Zone(it) => {
                self.zone = words::zone(it, self.reports).map(|zone| (it.text.clone(), zone))
            }
            ast::Item::Currency(it) => self.currency = words::currency(it, self.reports),
            ast::Item::Lateness(it) => self.lateness = Some(it.micros),
            ast::Item::Keep(it) => {
                words::warn_minutes(it, "keep", self.reports);
                if it.micros == 0 {
                    self.reports.error_with_help(
                        Code::SettingValue,
                        it.span,
                        "`keep` must be longer than nothing",
                        "400d is what is kept when it is not said",
                    );
                }
                self.keep = Some(it.micros);
            }
            ast::Item::Rates(it) => self.rates_file = Some(it.text.clone()),
            _ => {}
        }
    }

    fn kinds_and_enums(&mut self, file: &ast::File) {
        self.broken = file.items.iter().any(|it| matches!(it, ast::Item::Error(_)));
        for built_in in BuiltInEnum::ALL {
            let values = built_in.values().iter().map(|it| (*it).to_owned()).collect();
            self.enums.push(EnumType { name: built_in.name().to_owned(), values });
        }
        for item in &file.items {
            match item {
                ast::Item::Entity(it) => self.kind(it),
                ast::Item::Enum(it) => self.enum_type(it),
                _ => {}
            }
        }
    }

    /// Takes a type's name; false where it is taken.
    fn claim(&mut self, name: &ast::Name, ty: FieldType) -> bool {
        let built_in = words::TYPES.contains(&name.text.as_str())
            || BuiltInEnum::ALL.iter().any(|it| it.name() == name.text)
            || name.text == "any";
        let first = self.types.get(&name.text).map(|(_, span)| *span);
        if built_in || first.is_some() {
            let message = if built_in {
                format!("`{}` is a type of the language", name.text)
            } else {
                format!("`{}` is declared twice", name.text)
            };
            self.taken(name, message, "choose another name", first);
            return false;
        }
        self.types.insert(name.text.clone(), (ty, name.span));
        true
    }

    /// Reports a name that is taken, by one that stands earlier in this file or by none.
    fn taken(&mut self, name: &ast::Name, message: String, help: &str, first: Option<Span>) {
        let first = first.map(|it| self.reports.spot(it));
        self.reports.taken(name.span, message, help, first);
    }

    fn kind(&mut self, item: &ast::Entity) {
        let Some(id) = index_of_next(self.kinds.len()) else { return self.reports.too_many(item.name.span) };
        let first = self.kinds.is_empty();
        let ownership = match (first, item.ownership) {
            // An item that could not be read may be the first.
            (true, Some((ownership, _))) if self.broken => ownership,
            (false, None) if self.reports.goes_on(item.name.span) => Ownership::Shared,
            (true, None) => Ownership::Partition,
            (false, Some((ownership, _))) => ownership,
            (true, Some((_, span))) => {
                self.reports.error_with_help(
                    Code::Ownership,
                    span,
                    format!("`{}` is the first kind, so it is the partition key", item.name.text),
                    "leave the word out, or declare the partition key first",
                );
                Ownership::Partition
            }
            (false, None) => {
                self.reports.error_with_help(
                    Code::Ownership,
                    item.name.span,
                    format!("it is not said whose `{}` is", item.name.text),
                    "add `owned` if it is used with one partition entity only, else `shared`",
                );
                Ownership::Shared
            }
        };
        if self.claim(&item.name, FieldType::Entity(KindId(id))) {
            self.kinds.push(Kind { name: item.name.text.clone(), ownership });
        }
    }

    fn enum_type(&mut self, item: &ast::Enum) {
        let Some(id) = index_of_next(self.enums.len()) else { return self.reports.too_many(item.name.span) };
        let mut values: Vec<String> = Vec::new();
        for value in &item.values {
            if values.contains(&value.text) {
                let first = item.values.iter().find(|it| it.text == value.text);
                let message = format!("`{}` is there already", value.text);
                self.taken(value, message, "leave one of them out", first.map(|it| it.span));
            } else {
                values.push(value.text.clone());
            }
        }
        if self.claim(&item.name, FieldType::Enum(EnumId(id))) {
            self.enums.push(EnumType { name: item.name.text.clone(), values });
        }
    }

    fn events(&mut self, file: &ast::File) {
        let mut names: BTreeMap<&str, Span> = BTreeMap::new();
        for item in &file.items {
            let ast::Item::Event(event) = item else { continue };
            let name = &event.name;
            if index_of_next(self.events.len()).is_none() {
                return self.reports.too_many(event.name.span);
            }
            let first = names.get(name.text.as_str()).copied();
            let taken = first.is_some() || name.text == "any";
            if taken {
                let message = format!("there is an event type `{}` already", name.text);
                self.taken(name, message, "choose another name, or put the fields together", first);
            }
            let fields = self.fields(&event.fields);
            if !taken {
                names.insert(&name.text, name.span);
                self.events.push(EventType { name: name.text.clone(), fields });
            }
        }
    }

    fn fields(&mut self, items: &[ast::Field]) -> Vec<EventField> {
        let mut fields: Vec<(&str, EventField)> = Vec::new();
        for item in items {
            let name = item.name.text.as_str();
            if words::RESERVED_FIELDS.contains(&name) {
                let message = format!("every event has `{name}` already");
                self.taken(&item.name, message, "leave it out, or choose another name", None);
                continue;
            }
            if words::JSON_MEMBERS.contains(&name) {
                // No error: a schema that a journal holds must stay one.
                let message = format!("`{name}` stands for something else in an event's JSON");
                self.reports.warn(Code::JsonMember, item.name.span, message, "choose another name");
            }
            if fields.iter().any(|(it, _)| *it == name) {
                let first = items.iter().find(|it| it.name.text == name).map(|it| it.name.span);
                let message = format!("there is a field `{name}` already");
                self.taken(&item.name, message, "choose another name", first);
                continue;
            }
            let Some(ty) = item.ty.as_ref().and_then(|it| self.field_type(it)) else { continue };
            let Some(field) = self.field(name, ty) else {
                self.reports.too_many(item.name.span);
                return Vec::new();
            };
            fields.push((name, EventField { field, optional: item.optional, derived: None }));
        }
        for item in items {
            let Some(expr) = &item.derived else { continue };
            // What it is computed from may have failed.
            let of_failed = prefix_of(expr).is_some_and(|(of, _)| {
                let declared = items.iter().any(|it| it.name.text == of.text);
                declared && !fields.iter().any(|(it, _)| *it == of.text)
            });
            if of_failed {
                self.is_optional(item);
                continue;
            }
            let derived = self.derivation(item, expr, items, &fields);
            if let Some((_, field)) = fields.iter_mut().find(|(it, _)| *it == item.name.text) {
                field.derived = derived;
            }
        }
        fields.into_iter().map(|(_, field)| field).collect()
    }

    /// The one field of this name and type.
    fn field(&mut self, name: &str, ty: FieldType) -> Option<FieldId> {
        let known = self.fields.iter().position(|it| it.name == name && it.ty == ty);
        let index = match known {
            Some(index) => u16::try_from(index).ok()?,
            None => {
                let index = index_of_next(self.fields.len())?;
                self.fields.push(Field { name: name.to_owned(), ty });
                index
            }
        };
        Some(FieldId(index))
    }

    fn field_type(&mut self, ty: &ast::TypeRef) -> Option<FieldType> {
        let resolved = words::field_type(ty, self.reports);
        match resolved {
            words::Resolved::BuiltIn(it) => Some(it),
            words::Resolved::Failed => None,
            words::Resolved::Declared => {
                let found = self.types.get(&ty.name.text).map(|(ty, _)| *ty);
                if found.is_none() {
                    let declared = self.types.keys().map(String::as_str);
                    let candidates = words::TYPES.iter().copied().chain(declared);
                    self.reports.unknown(Code::UnknownType, ty.name.span, "type", &ty.name.text, candidates);
                }
                found.filter(|_| words::fits(ty, self.reports))
            }
        }
    }

    fn derivation(
        &mut self,
        item: &ast::Field,
        expr: &ast::Expr,
        items: &[ast::Field],
        fields: &[(&str, EventField)],
    ) -> Option<Derivation> {
        let derivation = prefix_of(expr).and_then(|(of, characters)| {
            let (_, source) = fields.iter().find(|(name, _)| *name == of.text)?;
            let ty = self.fields.get(source.field.index())?.ty;
            matches!(ty, FieldType::Text { .. }).then_some(())?;
            Some((Derivation::Prefix { of: source.field, characters }, source.optional))
        });
        let itself = fields.iter().find(|(name, _)| *name == item.name.text);
        let ty = itself.map(|(_, it)| self.fields.get(it.field.index()).map(|it| it.ty));
        let room = ty.map(|it| it.and_then(FieldType::text_bytes_max));
        let Some((derivation, _)) = derivation.filter(|_| room.is_none_or(|it| it.is_some())) else {
            if !self.reports.did_not_parse(item.span) {
                self.reports.error_with_help(
                    Code::Derivation,
                    expr.span,
                    format!("`{}` cannot be computed like this", item.name.text),
                    "an entity or text can be `prefix(FIELD, N)`: the first N characters of a text field of the same event",
                );
            }
            return None;
        };
        self.is_optional(item);
        let Derivation::Prefix { characters, .. } = derivation;
        if room.flatten().is_some_and(|it| it < characters.into()) {
            let message = format!("`{}` has no room for {characters} characters", item.name.text);
            self.reports.warn(Code::NeverComputed, expr.span, message, "it is always missing: take fewer");
        } else if prefix_of(expr).is_some_and(|(of, _)| is_computed_later(items, of, item)) {
            let message = format!("what `{}` is computed from is not there yet", item.name.text);
            let help = "it is always missing: name a field that is sent, or declare it behind the other";
            self.reports.warn(Code::NeverComputed, expr.span, message, help);
        }
        Some(derivation)
    }

    /// Reports a computed field that does not say that it may be missing.
    fn is_optional(&mut self, item: &ast::Field) {
        if !item.optional {
            self.reports.error_with_help(
                Code::Derivation,
                item.name.span,
                format!("`{}` is missing where its text is missing or too short", item.name.text),
                format!("write `{}?`", item.ty.as_ref().map_or("text(6)", |it| it.name.text.as_str())),
            );
        }
    }

    fn finish(self, file: &ast::File) -> Option<Schema> {
        let header = file.items.iter().find_map(|it| match it {
            ast::Item::Schema(it) => Some(it),
            _ => None,
        })?;
        let said = |is: fn(&ast::Item) -> bool| file.items.iter().any(is);
        let entity = file.items.iter().find_map(|it| match it {
            ast::Item::Entity(it) => Some(it.name.text.as_str()),
            _ => None,
        });
        let key = entity.unwrap_or("user");
        let missing = [
            (
                said(|it| matches!(it, ast::Item::Currency(_))),
                "no currency",
                "add `currency EUR`, or whatever your money is summed in".to_owned(),
            ),
            (
                entity.is_some(),
                "no entity",
                "add `entity user`, or whoever's past most rules look at: the first is the partition key"
                    .to_owned(),
            ),
            (
                said(|it| matches!(it, ast::Item::Event(_))),
                "no event type",
                format!(
                    "add `event payment` and its fields, each on a line: `{key}: {key}`, `amount: money`"
                ),
            ),
        ];
        let parsed = !self.reports.did_not_parse(Span { start: 0, end: u32::MAX });
        for (_, what, help) in missing.into_iter().filter(|(said, ..)| parsed && !said) {
            let message = format!("the schema says {what}");
            self.reports.error_with_help(Code::SettingMissing, header.name.span, message, help);
        }
        if self.currency.is_none() {
            self.reports.note_currency_failed();
        }
        let (name, version) = self.header.unwrap_or_else(|| (header.name.text.clone(), 1));
        let (zone_name, zone) = self.zone.unwrap_or_else(|| ("UTC".to_owned(), TimeZone::UTC));
        Some(Schema {
            name,
            version,
            zone_name,
            zone,
            currency: self.currency.or_else(|| Currency::from_code("EUR"))?,
            lateness: self.lateness.unwrap_or(LATENESS_DEFAULT),
            keep: self.keep.unwrap_or(KEEP_DEFAULT),
            rates_file: self.rates_file,
            kinds: self.kinds,
            enums: self.enums,
            events: self.events,
            fields: self.fields,
        })
    }
}

/// The next index, if there is room for it.
pub(super) fn index_of_next(len: usize) -> Option<u16> {
    if len < NAMES_MAX { u16::try_from(len).ok() } else { None }
}

/// Whether a field is computed, and not before another one.
fn is_computed_later(items: &[ast::Field], of: &ast::Name, than: &ast::Field) -> bool {
    let at = |name: &str| items.iter().position(|it| it.name.text == name);
    let computed = |at: &usize| items.get(*at).is_some_and(|it| it.derived.is_some());
    at(&of.text).filter(computed).is_some_and(|it| at(&than.name.text) <= Some(it))
}

/// `prefix(name, N)`
fn prefix_of(expr: &ast::Expr) -> Option<(&ast::Name, u16)> {
    let ast::ExprKind::Call(call) = &expr.kind else { return None };
    let [of, characters] = call.args.as_slice() else { return None };
    let ast::ExprKind::Path(path) = &of.expr.kind else { return None };
    let ([of], None) = (path.names.as_slice(), path.this) else { return None };
    let ast::ExprKind::Quantity(quantity) = &characters.expr.kind else { return None };
    let count = u16::try_from(quantity.value).ok()?;
    let whole = quantity.value.fract().is_zero() && quantity.unit == ast::Unit::None && 0 < count;
    (call.name.text == "prefix" && whole).then_some((of, count))
}
