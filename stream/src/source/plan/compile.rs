//! From the mapping as written to the plan: every name is found, every constant read, or the mapping is refused, with
//! what is wrong in each of its entries.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use jiff::tz::TimeZone;
use rules::past::Label;
use rules::schema::{Currency, EventField, EventType, EventTypeId, FieldType, Schema};
use toml::Spanned;

use super::{
    Cell, Column, Columns, CurrencyFrom, FieldFrom, From, IdFrom, KnownFrom, LabelFrom, Missing, Plan, Table,
    TimeFrom, TypeFields, TypeFrom, shown_text,
};
use crate::intake::time::{TimeFormat, duration, unit};
use crate::intake::{Parsed, nearest, parse, parse_currency, suggestion};
use crate::source::join::{JoinTable, has_twice};
use crate::source::mapping::{self, At, Mapping, MappingError, MappingErrors, Other, TextOr, Written};

/// Holds a mapping against a schema and a file's columns.
pub(in crate::source) fn compile(
    mapping: &Mapping,
    schema: &Schema,
    (file, columns): (&str, &mut Columns),
    joins: &[Arc<JoinTable>],
) -> Result<Plan, MappingErrors> {
    let mut compiler = Compiler { mapping, schema, file, columns, joins, wrong: Vec::new() };
    let plan = compiler.plan();
    let wrong = match compiler.columns.other_separator() {
        // Then no column is found, whatever the mapping says.
        Some(name) if !compiler.wrong.is_empty() => {
            let message = format!("the header is one cell with {name} in it: cells are separated by commas");
            vec![MappingError { file: file.to_owned(), line: Some(1), message }]
        }
        _ => compiler.wrong,
    };
    match (plan, MappingErrors::of(wrong)) {
        (Some(plan), None) => Ok(plan),
        (_, Some(errors)) => Err(errors),
        // INVARIANT (told): where there is no plan, it has been said why.
        (None, None) => Err(mapping.error(0..0, "this is no mapping").into()),
    }
}

struct Compiler<'a> {
    mapping: &'a Mapping,
    schema: &'a Schema,
    /// The file whose columns these are.
    file: &'a str,
    columns: &'a mut Columns,
    joins: &'a [Arc<JoinTable>],
    /// What is wrong so far. Whoever needs what failed says nothing more about it.
    wrong: Vec<MappingError>,
}

/// Entries of `[fields]`: by field name, and none where they failed.
type Fields = BTreeMap<String, Option<(mapping::Field, At)>>;

impl Compiler<'_> {
    fn plan(&mut self) -> Option<Plan> {
        let root = &self.mapping.root;
        let event = self.event(&root.event);
        // Without a type it cannot be said which fields there are.
        let types = event.as_ref().map(|(_, made)| self.types(made));
        let joins = self.joins.iter().map(|table| {
            let span = root.join.get(&table.name).map_or(0..0, Spanned::span);
            let key = self.column(&table.key, &At::new(&format!("join.{}", table.name), span));
            Some((key?, Arc::clone(table)))
        });
        let joins: Vec<_> = joins.collect();
        let (id, time) = (self.id(&root.id), self.top_time(&root.time));
        let label = root.label.as_ref().map(|it| self.label(it));
        let width = match &self.columns {
            Columns::Header(names) => Some(names.len()),
            Columns::Asked { .. } => None,
        };
        let (event, _) = event?;
        let joins = joins.into_iter().collect::<Option<_>>()?;
        let label = match label {
            Some(label) => Some(label?),
            None => None,
        };
        Some(Plan { event, id: id?, time: time?, types: types?, label, joins, width })
    }

    /// The fields of each event type that rows become.
    fn types(&mut self, made: &[EventTypeId]) -> Vec<Option<TypeFields>> {
        let (common, overrides) = self.entries(made);
        let mut types = Vec::new();
        for (at, declared) in self.schema.events.iter().enumerate() {
            let made = made.iter().any(|it| it.index() == at);
            let of_type = overrides.get(&declared.name);
            types.push(made.then(|| self.type_fields(declared, &common, of_type)));
        }
        types
    }

    /// Writes down what is wrong with an entry.
    fn error<T>(&mut self, at: &At, message: impl Display) -> Option<T> {
        self.wrong.push(self.mapping.error_at(at, message));
        None
    }

    /// What did not fail; otherwise that it did is written down.
    fn kept<T>(&mut self, result: Result<T, impl Display>, at: &At) -> Option<T> {
        result.map_err(|it| self.wrong.push(self.mapping.error_at(at, it))).ok()
    }

    /// A column by its name, or `join.column`.
    fn column(&mut self, name: &str, at: &At) -> Option<Column> {
        // A joined name is tried first where the columns are not known: there any name would be found.
        let joined = self.joined(name);
        if let Some((join, _)) = name.split_once('.').filter(|_| joined.is_some())
            && self.columns.names().iter().any(|it| it == name)
        {
            let message = format!(
                "`{}` has the column `{name}` twice: its own, and that of the join `{join}`",
                self.file
            );
            return self.error(at, message);
        }
        if let Some(cell) = joined.or_else(|| self.columns.find(name).map(Cell::Own)) {
            let twice = match &cell {
                Cell::Own(_) => has_twice(self.columns.names(), name).then_some((self.file, name)),
                Cell::Joined { join, at } => self.joins.get(*join).and_then(|it| {
                    let column = it.columns.get(*at).filter(|column| has_twice(&it.columns, column))?;
                    Some((it.file.as_str(), column.as_str()))
                }),
            };
            return match twice {
                None => Some(Column { cell, name: name.into() }),
                Some((file, name)) => self.error(at, format!("`{file}` has the column `{name}` twice")),
            };
        }
        if self.columns.is_unread(name) {
            let message = format!(
                "the column `{name}` of `{}` is of a type that is not read: cast it to text",
                self.file
            );
            return self.error(at, message);
        }
        let own = self.columns.names().iter().cloned();
        let joined =
            self.joins.iter().flat_map(|it| it.columns.iter().map(move |c| format!("{}.{c}", it.name)));
        let names: Vec<_> = own.chain(joined).collect();
        let suggestion = suggestion(name, names.iter().map(String::as_str));
        self.error(at, format!("`{}` has no column `{name}`{suggestion}", self.file))
    }

    fn joined(&self, name: &str) -> Option<Cell> {
        let (table, column) = name.split_once('.')?;
        let join = self.joins.iter().position(|it| it.name == table)?;
        let at = self.joins.get(join)?.columns.iter().position(|it| it == column)?;
        Some(Cell::Joined { join, at })
    }

    /// How a row's type is told, and the types that rows become.
    fn event(&mut self, event: &Spanned<TextOr<mapping::EventType>>) -> Option<(TypeFrom, Vec<EventTypeId>)> {
        let at = At::new("event", event.span());
        let event = match event.get_ref() {
            TextOr::Text(name) => {
                let event_type = self.event_type(name, &at)?;
                return Some((TypeFrom::Constant(event_type), vec![event_type]));
            }
            TextOr::Table(event) => event,
        };
        let names: Vec<(String, String)> = match &event.values {
            Some(values) => values.iter().map(|(text, name)| (text.clone(), name.clone())).collect(),
            None => self.schema.events.iter().map(|it| (it.name.clone(), it.name.clone())).collect(),
        };
        let types = names.into_iter().map(|(text, name)| Some((text, self.event_type(&name, &at)?)));
        let types: Vec<_> = types.collect();
        let column = self.column(&event.column, &at);
        let types = types.into_iter().collect::<Option<Vec<_>>>()?;
        let made = types.iter().map(|(_, it)| *it).collect();
        let skip_others = event.other == Other::Skip;
        Some((TypeFrom::Column { column: column?, types: Table::new(types), skip_others }, made))
    }

    fn event_type(&mut self, name: &str, at: &At) -> Option<EventTypeId> {
        let found = self.schema.event_type(name);
        found.or_else(|| {
            let suggestion = suggestion(name, self.schema.events.iter().map(|it| it.name.as_str()));
            self.error(at, format!("the schema has no event type `{name}`{suggestion}"))
        })
    }

    fn id(&mut self, id: &Spanned<TextOr<mapping::Id>>) -> Option<IdFrom> {
        let at = At::new("id", id.span());
        let (column, sequence) = match id.get_ref() {
            TextOr::Text(column) => (Some(column), None),
            TextOr::Table(id) => (id.column.as_ref(), id.sequence.as_ref()),
        };
        match (column, sequence) {
            (Some(column), None) => self.column(column, &at).map(IdFrom::Column),
            (None, Some(sequence)) => match sequence.split_once("{n}") {
                Some((_, behind)) if behind.contains("{n}") => self.error(&at, "a sequence holds `{n}` once"),
                // Room for the number's twenty digits.
                Some((before, behind)) if before.len() + behind.len() <= 100 => {
                    Some(IdFrom::Sequence(before.to_owned(), behind.to_owned()))
                }
                Some(_) => self.error(&at, "a sequence has at most 100 bytes beside `{n}`"),
                None => self.error(&at, "a sequence holds `{n}` where the number goes, such as `tx-{n}`"),
            },
            _ => self.error(&at, "an id is a `column` or a `sequence`"),
        }
    }

    fn top_time(&mut self, time: &Spanned<TextOr<mapping::Time>>) -> Option<TimeFrom> {
        self.time(time.get_ref(), &At::new("time", time.span()))
    }

    fn time(&mut self, time: &TextOr<mapping::Time>, at: &At) -> Option<TimeFrom> {
        let (column, format, zone) = match time {
            TextOr::Text(column) => (column, None, None),
            TextOr::Table(time) => (&time.column, time.format.as_ref(), time.zone.as_deref()),
        };
        let (format, column) = (self.time_format(format, zone, at), self.column(column, at));
        Some(TimeFrom { column: column?, format: format? })
    }

    fn time_format(
        &mut self,
        format: Option<&TextOr<mapping::Steps>>,
        zone: Option<&str>,
        at: &At,
    ) -> Option<TimeFormat> {
        let zone_given = zone.is_some();
        let zone = match zone.map(|name| (name, TimeZone::get(name))) {
            None => self.schema.zone.clone(),
            Some((_, Ok(zone))) => zone,
            Some((name, Err(_))) => {
                self.error::<()>(at, format!("there is no time zone `{name}`; such as `Europe/Berlin`"));
                // What else is wrong is told as well; the plan has failed.
                self.schema.zone.clone()
            }
        };
        let format = match format {
            None => TimeFormat::Iso(zone),
            Some(TextOr::Text(name)) => match name.as_str() {
                "iso" => TimeFormat::Iso(zone),
                "unix_s" => TimeFormat::UnixSeconds,
                "unix_ms" => TimeFormat::UnixMillis,
                pattern if pattern.contains('%') => match TimeFormat::check_pattern(pattern, &zone) {
                    Ok(()) => TimeFormat::Pattern(pattern.to_owned(), zone),
                    Err(error) => return self.error(at, format!("the pattern `{pattern}`: {error}")),
                },
                other => {
                    let near = nearest(other, ["iso", "unix_s", "unix_ms"]);
                    let near = near.map_or(String::new(), |it| format!("; did you mean `{it}`?"));
                    let kinds =
                        "`iso`, `unix_s`, `unix_ms`, a pattern such as `%d/%m/%Y %H:%M`, or { start, step }";
                    return self.error(at, format!("`{other}` is no time format (those are {kinds}){near}"));
                }
            },
            Some(TextOr::Table(steps)) => {
                let start = TimeFormat::Iso(zone).parse(steps.start.as_bytes());
                let start = start.map_err(|it| format!("`start`: {} {it}", shown_text(&steps.start)));
                let step = duration(steps.step.as_bytes(), None);
                let step = step.and_then(|it| match it {
                    1.. => Ok(it),
                    _ => Err("is no step forward in time".to_owned()),
                });
                let step = step.map_err(|it| format!("`step`: {} {it}", shown_text(&steps.step)));
                let (start, step) = (self.kept(start, at), self.kept(step, at));
                return Some(TimeFormat::Steps { start: start?, step: step? });
            }
        };
        if zone_given && matches!(format, TimeFormat::UnixSeconds | TimeFormat::UnixMillis) {
            return self.error(at, "seconds since 1970 are UTC: leave `zone` out");
        }
        Some(format)
    }

    /// The entries of `[fields]`, each held against the types that rows become.
    fn entries(&mut self, made: &[EventTypeId]) -> (Fields, BTreeMap<String, Fields>) {
        let (mut common, mut overrides) = (Fields::new(), BTreeMap::new());
        let made: Vec<&EventType> = made.iter().filter_map(|it| self.schema.event(*it)).collect();
        let mapping = self.mapping;
        for (name, value) in &mapping.root.fields {
            let at = At::new(name.get_ref(), name.span());
            let name = name.get_ref();
            match value.get_ref() {
                Written::Table(fields) if self.schema.event_type(name).is_some() => {
                    let of_type = self.overrides(name, fields, &made, &at);
                    overrides.insert(name.clone(), of_type);
                }
                value => drop(common.insert(name.clone(), self.entry(name, value, &made, at))),
            }
        }
        (common, overrides)
    }

    /// The entries for one event type.
    fn overrides(
        &mut self,
        name: &str,
        fields: &BTreeMap<Spanned<String>, Spanned<toml::Value>>,
        made: &[&EventType],
        at: &At,
    ) -> Fields {
        let of_type: Vec<_> = made.iter().copied().filter(|it| it.name == name).collect();
        if of_type.is_empty() {
            self.error::<()>(at, format!("`{name}` has fields here, but no row becomes one"));
            return Fields::new();
        }
        let mut named = Fields::new();
        for (field, value) in fields {
            let at = At::new(&format!("{name}.{}", field.get_ref()), field.span());
            let field = field.get_ref();
            let value = Written::of(value.get_ref(), &at.span);
            named.insert(field.clone(), self.entry(field, &value, &of_type, at));
        }
        named
    }

    /// An entry for the field of a name, which some of the types have.
    fn entry(
        &mut self,
        name: &str,
        value: &Written,
        types: &[&EventType],
        at: At,
    ) -> Option<(mapping::Field, At)> {
        let field = self.mapping.field(value, &at, &mut self.wrong);
        let found = self.has_field(name, types, &at);
        field.filter(|_| found).map(|field| (field, at))
    }

    /// Whether some of the types have a field, which is told if not.
    fn has_field(&mut self, name: &str, types: &[&EventType], at: &At) -> bool {
        let fields = || types.iter().flat_map(|it| &it.fields).filter_map(|it| self.schema.field(it.field));
        if fields().any(|it| it.name == name) {
            return true;
        }
        let mut names: Vec<_> = fields().map(|it| it.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let types = crate::intake::listed(types.iter().map(|it| it.name.as_str()));
        let message = format!("{types} has no field `{name}`{}", suggestion(name, names));
        self.error::<()>(at, message);
        false
    }

    fn type_fields(
        &mut self,
        declared: &EventType,
        common: &Fields,
        overrides: Option<&Fields>,
    ) -> TypeFields {
        let (mut mapped, mut derived) = (Vec::new(), false);
        for (at, field) in declared.fields.iter().enumerate() {
            let Some(named) = self.schema.field(field.field) else { continue };
            let entry = overrides.and_then(|it| it.get(&named.name)).or_else(|| common.get(&named.name));
            match entry {
                Some(None) => {}
                Some(Some((_, at))) if field.derived.is_some() => {
                    self.error::<()>(at, format!("`{}` is derived at intake: leave it out", named.name));
                }
                Some(Some((entry, written))) => {
                    mapped.extend(self.field(at, *field, named.ty, entry, written));
                }
                None if field.derived.is_some() => derived = true,
                None if field.optional => {}
                None if was_meant(&named.name, common, overrides) => {}
                None => {
                    let message =
                        format!("`{}` of `{}` is required, and not in [fields]", named.name, declared.name);
                    self.wrong.push(self.mapping.error(self.mapping.root.event.span(), message));
                }
            }
        }
        TypeFields { declared: declared.fields.len(), mapped, derived }
    }

    fn field(
        &mut self,
        place: usize,
        field: EventField,
        ty: FieldType,
        entry: &mapping::Field,
        at: &At,
    ) -> Option<FieldFrom> {
        self.refuse_misfits(ty, entry, at);
        let missing = match &entry.missing {
            None => Missing::Empty,
            Some(texts) => Missing::Listed(texts.iter().map(|it| it.as_bytes().into()).collect()),
        };
        let from = self.from(ty, entry, at)?;
        Some(FieldFrom { at: place, required: !field.optional, missing, from })
    }

    /// Refuses what has no meaning for a field of this type.
    fn refuse_misfits(&mut self, ty: FieldType, entry: &mapping::Field, at: &At) {
        let money = matches!(ty, FieldType::Money { .. });
        let place = matches!(ty, FieldType::Place);
        let misfits = [
            (entry.currency.is_some() && !money, "`currency` is for money"),
            (entry.currency_column.is_some() && !money, "`currency_column` is for money"),
            (
                entry.unit.is_some() && !money && ty != FieldType::Duration,
                "`unit` is for money and durations",
            ),
            (entry.latitude.is_some() && !place, "`latitude` is for places"),
            (entry.longitude.is_some() && !place, "`longitude` is for places"),
            (entry.format.is_some() && ty != FieldType::Time, "`format` is for times"),
            (entry.zone.is_some() && ty != FieldType::Time, "`zone` is for times"),
            (entry.latitude.is_some() != entry.longitude.is_some(), "`latitude` and `longitude` go together"),
            (
                entry.currency.is_some() && entry.currency_column.is_some(),
                "one of `currency` and `currency_column`",
            ),
        ];
        for (_, message) in misfits.iter().filter(|(is, _)| *is) {
            self.error::<()>(at, message);
        }
    }

    fn from(&mut self, ty: FieldType, entry: &mapping::Field, at: &At) -> Option<From> {
        let column = match (&entry.column, &entry.latitude, &entry.longitude, &entry.value) {
            (Some(column), None, None, None) => self.column(column, at),
            (None, Some(latitude), Some(longitude), None) => {
                let (latitude, longitude) = (self.column(latitude, at), self.column(longitude, at));
                return Some(From::Degrees(latitude?, longitude?));
            }
            (None, None, None, Some(value)) => {
                let text = match value {
                    toml::Value::String(text) => text.clone(),
                    toml::Value::Integer(number) => number.to_string(),
                    toml::Value::Boolean(flag) => flag.to_string(),
                    _ => return self.error(at, "a `value` is a text, a whole number or a flag"),
                };
                return self.constant(ty, entry, &text, at).map(From::Constant);
            }
            // What is wrong with the rest has been told.
            _ if entry.is_part || entry.latitude.is_some() != entry.longitude.is_some() => return None,
            _ => {
                return self.error(at, "a field is a `column`, a `value`, or a `latitude` and a `longitude`");
            }
        };
        if let Some(values) = &entry.values {
            let named = values.iter().map(|(text, value)| {
                let value = self.constant(ty, entry, value, at)?;
                Some((text.clone(), value))
            });
            let named: Vec<_> = named.collect();
            let named = named.into_iter().collect::<Option<Vec<_>>>()?;
            return Some(From::Named(column?, Table::new(named)));
        }
        Some(match ty {
            FieldType::Flag => From::Flag(column?),
            FieldType::Int => From::Scaled(column?, 0),
            FieldType::Decimal { scale } => From::Scaled(column?, scale),
            FieldType::Money { currency } => return self.money(column, currency, entry, at),
            FieldType::Place => From::Place(column?),
            FieldType::Time => {
                let format = self.time_format(entry.format.as_ref(), entry.zone.as_deref(), at);
                From::Time(column?, format?)
            }
            FieldType::Duration => {
                let unit = self.duration_unit(entry, at);
                From::Duration(column?, unit?)
            }
            FieldType::Text { max_bytes } => From::Text(column?, max_bytes),
            FieldType::Entity(_) => From::Entity(column?),
            FieldType::Enum(id) => {
                let values = self.schema.enum_type(id).map_or(&[][..], |it| &it.values);
                let numbered = (0..).zip(values).map(|(number, name)| (name.clone(), Parsed::Number(number)));
                From::Named(column?, Table::new(numbered))
            }
        })
    }

    /// A value written in the mapping.
    fn constant(&mut self, ty: FieldType, entry: &mapping::Field, text: &str, at: &At) -> Option<Parsed> {
        let only = if let FieldType::Money { currency } = ty { currency } else { None };
        let currency = self.currency(entry, only, at)?;
        let parsed = parse(ty, self.schema, currency, text);
        self.kept(parsed.map_err(|it| format!("{} {it}", shown_text(text))), at)
    }

    fn money(
        &mut self,
        column: Option<Column>,
        only: Option<Currency>,
        entry: &mapping::Field,
        at: &At,
    ) -> Option<From> {
        let minor = match entry.unit.as_deref() {
            None | Some("major") => Some(false),
            Some("minor") => Some(true),
            Some(other) => {
                self.error(at, format!("`{other}` is no unit of money; there is `major`, `minor`"))
            }
        };
        let currency = match &entry.currency_column {
            Some(name) => self.column(name, at).map(|it| CurrencyFrom::Column(it, only)),
            None => self.currency(entry, only, at).map(CurrencyFrom::Fixed),
        };
        Some(From::Money { column: column?, currency: currency?, minor: minor? })
    }

    /// The currency that an entry names; else the only one of the field, else the schema's.
    fn currency(&mut self, entry: &mapping::Field, only: Option<Currency>, at: &At) -> Option<Currency> {
        let Some(code) = &entry.currency else { return Some(only.unwrap_or(self.schema.currency)) };
        let currency = parse_currency(code.as_bytes());
        let currency = self.kept(currency.map_err(|it| format!("{} {it}", shown_text(code))), at)?;
        match only {
            Some(only) if only != currency => self.error(at, format!("the field takes only {}", only.code())),
            _ => Some(currency),
        }
    }

    fn duration_unit(&mut self, entry: &mapping::Field, at: &At) -> Option<Option<i64>> {
        let Some(name) = &entry.unit else { return Some(None) };
        match unit(name) {
            Some(unit) => Some(Some(unit)),
            None => self.error(at, format!("`{name}` is no unit; there is `ms`, `s`, `m`, `h`, `d`, `w`")),
        }
    }

    fn label(&mut self, label: &Spanned<mapping::Label>) -> Option<LabelFrom> {
        let (at, label) = (At::new("label", label.span()), label.get_ref());
        let names = ["fraud", "legitimate"];
        let values: Vec<(String, String)> = match &label.values {
            Some(values) => values.iter().map(|(text, name)| (text.clone(), name.clone())).collect(),
            None => names.map(|it| (it.to_owned(), it.to_owned())).into(),
        };
        let labels = values.into_iter().map(|(text, name)| {
            let label = Label::from_name(&name).filter(|it| *it != Label::Unknown);
            let told = || format!("`{name}` is no label{}", suggestion(&name, names));
            Some((text, self.kept(label.ok_or_else(told), &at)?))
        });
        let labels: Vec<_> = labels.collect();
        let known = self.known(label, &at);
        let kind = label.kind.as_ref().map(|kind| match kind {
            TextOr::Text(column) | TextOr::Table(mapping::Column { column }) => self.column(column, &at),
        });
        let column = self.column(&label.column, &at);
        let values = Table::new(labels.into_iter().collect::<Option<Vec<_>>>()?);
        let kind = match kind {
            Some(kind) => Some(kind?),
            None => None,
        };
        Some(LabelFrom { column: column?, values, known: known?, kind })
    }

    /// When a label is known.
    fn known(&mut self, label: &mapping::Label, at: &At) -> Option<KnownFrom> {
        match (&label.known_after, &label.known_at) {
            (Some(after), None) => match duration(after.as_bytes(), None) {
                Ok(after) if 0 <= after => Some(KnownFrom::After(after)),
                Ok(_) => self.error(at, "`known_after` goes back in time"),
                Err(error) => self.error(at, format!("`known_after`: {} {error}", shown_text(after))),
            },
            (None, Some(time)) => self.time(time, at).map(KnownFrom::At),
            _ => self.error(at, "a label says when it is known: `known_after` or `known_at`"),
        }
    }
}

/// Whether an entry that failed was probably meant to be this field.
fn was_meant(field: &str, common: &Fields, overrides: Option<&Fields>) -> bool {
    let all = overrides.into_iter().flatten().chain(common);
    let mut failed = all.filter(|(_, entry)| entry.is_none());
    failed.any(|(name, _)| nearest(name, [field]).is_some())
}
