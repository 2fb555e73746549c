//! Lists, tables and rates: what the desk changes while decisions go on. Each change is a record, and the answer comes
//! when it is durable.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use engine::lists::Membership;
use engine::rates::Rates;
use rules::schema::{Currency, Schema};
use rules::time::Micros;
use rules::typed::{List, ListId, ListKind, Type};
use rules::value::Value;
use serde::Serialize;
use stream::bundle::{self, Item};
use stream::gate::NoChange;
use stream::in_force::InForce;
use stream::intake::{self, shown};
use utoipa::ToSchema;

use super::incoming::{all_durable, durable, refused};
use super::value::{Json as Cell, Ordered, Time, of_feature};
use crate::app::App;
use crate::aside::aside;
use crate::clock::now;
use crate::limits::{BODY_BYTES_MAX, LARGE_BODY_BYTES_MAX};
use crate::problem::{Code, Problem, Where};
use crate::request::{JsonText, Names};

/// The lists and tables of the rule set in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Lists, title = "Lists")]
pub(crate) struct ListsBody {
    /// In the order of their names.
    lists: Vec<ListBody>,
}

/// A list or table, and what it holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = List, title = "List")]
pub(crate) struct ListBody {
    /// As it is declared.
    name: String,
    /// `entities`, `values`, or `table`: entities with a value beside each.
    holds: &'static str,
    /// The kind of its entities. Absent where it holds plain values.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// The type of its values, as the rule language writes it. Absent where it holds entities alone.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    /// How many values it holds now. Only of plain values: who is on a list of entities is kept with each entity.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
}

impl ListBody {
    /// The lists that the rule set in force itself declares, in its order.
    pub(super) fn all(in_force: &InForce) -> impl Iterator<Item = Self> + use<'_> {
        let declared = (0_u16..).map(ListId).zip(&in_force.rules.typed.lists);
        declared.filter(|(_, it)| it.own).map(|(id, it)| Self::of(id, it, in_force))
    }

    fn of(id: ListId, list: &List, in_force: &InForce) -> Self {
        let schema = &in_force.rules.typed.schema;
        let (holds, ty) = match list.of {
            ListKind::Entities(_) => ("entities", None),
            ListKind::Table(_, ty) => ("table", Some(ty)),
            ListKind::Values(ty) => ("values", Some(ty)),
        };
        Self {
            name: list.name.clone(),
            holds,
            kind: list.of.kind().map(|it| schema.kind_name(it).to_owned()),
            of: ty.map(|it| written(it, list.text_bytes_max, schema)),
            count: (holds == "values").then(|| in_force.rules.values.count(id)),
        }
    }
}

/// A type of a list's values as the rule language writes it.
fn written(ty: Type, text_bytes_max: Option<u16>, schema: &Schema) -> String {
    match (ty, text_bytes_max) {
        (Type::Flag, _) => "flag".to_owned(),
        (Type::Number(numeric), _) => match numeric.scale() {
            0 => "int".to_owned(),
            scale => format!("decimal({scale})"),
        },
        (Type::Money(currency, _), _) => format!("money {}", currency.code()),
        (Type::Duration(_), _) => "duration".to_owned(),
        (Type::Time, _) => "time".to_owned(),
        (Type::Place, _) => "place".to_owned(),
        (Type::Entity(kind), _) => schema.kind_name(kind).to_owned(),
        (Type::Enum(id), _) => schema.enum_name(id).to_owned(),
        (_, Some(bytes_max)) => format!("text({bytes_max})"),
        (_, None) => "text".to_owned(),
    }
}

/// Name the lists
///
/// The lists and tables that the rule set in force declares, with what each of them holds.
#[utoipa::path(
    get, path = "/v1/lists", tag = "lists", security(("key" = ["admin", "analyst"])),
    responses((status = 200, description = "The lists", body = ListsBody))
)]
pub(crate) async fn all(State(app): State<Arc<App>>) -> Result<Json<ListsBody>, Problem> {
    let in_force = app.door.in_force();
    all_durable(&app).await?;
    let mut lists: Vec<ListBody> = ListBody::all(&in_force).collect();
    lists.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(Json(ListsBody { lists }))
}

/// Whether something is on a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListEntry, title = "ListEntry")]
pub(crate) struct EntryBody {
    /// The list's name.
    list: String,
    /// The entity's id, or the value.
    id: String,
    /// Whether it is on it now.
    member: bool,
    /// Until when; null = until removed.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Time>,
    /// Of a table: the value.
    value: Cell,
}

/// What an entry says.
#[derive(Debug, Default, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEntry)]
pub(crate) struct NewEntry {
    /// Until when, a time still to come, RFC 3339; left out: until removed.
    until: Option<String>,
    /// Of a table: the value as text, an amount in major units.
    value: Option<String>,
}

/// One list, and how an id is looked up in it.
struct Found<'a> {
    id: ListId,
    list: &'a List,
}

fn find<'a>(in_force: &'a InForce, name: &str) -> Result<Found<'a>, Problem> {
    let lists = &in_force.rules.typed.lists;
    let found = (0_u16..).map(ListId).zip(lists).find(|(_, it)| it.name == name);
    let unknown = || {
        let suggestion = intake::suggestion(name, lists.iter().map(|it| it.name.as_str()));
        Problem::at(
            Code::ListUnknown,
            Where::Parameter("list".to_owned()),
            format!("{} is no list{suggestion}", shown(name)),
        )
    };
    found.map(|(id, list)| Found { id, list }).ok_or_else(unknown)
}

/// An id or a value as the list takes it; if it is new, with no more bytes than it may have.
fn item(of: &Found<'_>, in_force: &InForce, text: &str, new: bool) -> Result<Item, Problem> {
    let ty = match of.list.of {
        ListKind::Entities(kind) | ListKind::Table(kind, _) => Type::Entity(kind),
        ListKind::Values(ty) => ty,
    };
    let bytes_max = of.list.text_bytes_max.filter(|_| new);
    let item = bundle::item(ty, bytes_max, &in_force.rules.typed.schema, text);
    item.map_err(|problem| Problem::parameter("id", problem))
}

/// Look into a list
#[utoipa::path(
    get, path = "/v1/lists/{list}/{id}", tag = "lists", security(("key" = ["admin", "analyst"])),
    operation_id = "show_list_entry",
    params(
        ("list" = String, Path, description = "A list or table of the rule set", example = "watched"),
        ("id" = String, Path, description = "The entity's id, or the value", example = "u1"),
    ),
    responses((status = 200, description = "Whether it is on the list", body = EntryBody)),
    extensions(("x-problems" = json!(["list_unknown"])))
)]
pub(crate) async fn show(State(app): State<Arc<App>>, mut names: Names) -> Result<Json<EntryBody>, Problem> {
    let entry = entry(&app, names.text("list"), names.text("id"))?;
    all_durable(&app).await?;
    Ok(Json(entry))
}

fn entry(app: &App, list: String, id: String) -> Result<EntryBody, Problem> {
    let in_force = app.door.in_force();
    let found = find(&in_force, &list)?;
    let item = item(&found, &in_force, &id, false)?;
    let mut body = EntryBody { member: false, until: None, value: Cell::Missing(()), list, id };
    let Some(kind) = found.list.of.kind() else {
        body.member = in_force.rules.values.contains(found.id, item.slot(app.door.key()));
        return Ok(body);
    };
    let clock = app.door.clock().unwrap_or(Micros::MIN);
    app.door.look(app.door.entity(kind, &body.id), |in_force, state| {
        let held = state.lists().iter().find(|it| it.list == found.id);
        let Some(held) = held.filter(|it| it.holds(clock)) else { return };
        body.member = true;
        body.until = held.until.map(Time);
        body.value = value_of(found.list, held, &in_force.rules.typed.schema);
    });
    Ok(body)
}

/// What stands in a table beside an entity; of a list, nothing.
pub(super) fn value_of(list: &List, held: &Membership, schema: &Schema) -> Cell {
    match list.of {
        ListKind::Table(_, ty) => of_feature(Value::from_slot(held.value, ty.form()), ty, schema),
        ListKind::Entities(_) | ListKind::Values(_) => Cell::Missing(()),
    }
}

/// Put on a list
///
/// In the place of what was there. A list of plain values takes no `until`; a table takes a `value`.
#[utoipa::path(
    put, path = "/v1/lists/{list}/{id}", tag = "lists", security(("key" = ["admin", "analyst"])),
    operation_id = "put_list_entry",
    params(
        ("list" = String, Path, description = "A list or table of the rule set", example = "watched"),
        ("id" = String, Path, description = "The entity's id, or the value", example = "u1"),
    ),
    request_body(content = NewEntry, example = json!({ "until": "2199-01-01T00:00:00Z" })),
    responses((status = 200, description = "It is on the list", body = EntryBody)),
    extensions(("x-problems" = json!(["list_unknown", "invalid_fields", "overloaded"])))
)]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    mut names: Names,
    body: JsonText<BODY_BYTES_MAX>,
) -> Result<Json<EntryBody>, Problem> {
    app.traffic.check_memory()?;
    let (list, id) = (names.text("list"), names.text("id"));
    let new = if body.bytes.is_empty() { NewEntry::default() } else { new_entry(&body)? };
    change(&app, &list, &id, Some(new)).await?;
    durable_entry(&app, list, id).await
}

fn new_entry(body: &JsonText<BODY_BYTES_MAX>) -> Result<NewEntry, Problem> {
    body.read(&["until", "value"], |it| {
        let mut text = |name| it.text(name).map(Cow::into_owned);
        Some(NewEntry { until: text("until"), value: text("value") })
    })
}

/// Take off a list
#[utoipa::path(
    delete, path = "/v1/lists/{list}/{id}", tag = "lists", security(("key" = ["admin", "analyst"])),
    operation_id = "delete_list_entry",
    params(
        ("list" = String, Path, description = "A list or table of the rule set", example = "watched"),
        ("id" = String, Path, description = "The entity's id, or the value", example = "u1"),
    ),
    responses((status = 200, description = "It is not on the list", body = EntryBody)),
    extensions(("x-problems" = json!(["list_unknown", "overloaded"])))
)]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    mut names: Names,
) -> Result<Json<EntryBody>, Problem> {
    let (list, id) = (names.text("list"), names.text("id"));
    change(&app, &list, &id, None).await?;
    durable_entry(&app, list, id).await
}

/// An entry as it stands once all that it shows is durable: somebody else may have changed it behind this caller.
async fn durable_entry(app: &App, list: String, id: String) -> Result<Json<EntryBody>, Problem> {
    let entry = entry(app, list, id)?;
    all_durable(app).await?;
    Ok(Json(entry))
}

/// Puts an entry on a list, or takes it off, and waits until that is durable.
async fn change(app: &Arc<App>, list: &str, id: &str, new: Option<NewEntry>) -> Result<(), Problem> {
    let in_force = app.door.in_force();
    let found = find(&in_force, list)?;
    item(&found, &in_force, id, new.is_some())?;
    let changed = match (found.list.of.kind(), new) {
        (None, new) => {
            if let Some(NewEntry { until: Some(_), .. } | NewEntry { value: Some(_), .. }) = &new {
                return Err(Problem::field(
                    "",
                    "a list of plain values knows no `until` and no `value`: send `{}`",
                ));
            }
            let (here, list, id) = (Arc::clone(app), list.to_owned(), id.to_owned());
            aside(move || here.door.put_value(&list, &id, new.is_some()).map_err(|it| no_change(it, &here)))
                .await
        }
        (Some(kind), new) => {
            let entity = app.door.entity(kind, id);
            // Entries end by the engine clock; before the first event there is none.
            let clock = app.door.clock().unwrap_or_else(now);
            match new {
                Some(new) => {
                    let membership = membership(&found, &in_force, &new, clock, app.door.key())?;
                    app.door.put_on_list(entity, membership)
                }
                None => app.door.take_off_list(entity, found.id),
            }
            .map_err(|it| refused("", it, &app.metrics))
        }
    };
    let offset = changed?;
    durable(app, offset).await
}

/// The time that a text says, if it is still to come: otherwise the entry would never hold.
fn to_come(text: &str, clock: Micros) -> Result<Micros, String> {
    let until = intake::time::rfc3339(text.as_bytes())?;
    if clock < until {
        Ok(until)
    } else {
        Err("has passed already: leave it out, or name a later time".to_owned())
    }
}

fn membership(
    of: &Found<'_>,
    in_force: &InForce,
    new: &NewEntry,
    clock: Micros,
    key: engine::entity::HashKey,
) -> Result<Membership, Problem> {
    let until = new.until.as_deref().map(|text| {
        let refused = |problem| Problem::field("/until", format!("{} {problem}", shown(text)));
        to_come(text, clock).map_err(refused)
    });
    let value = match (of.list.of, new.value.as_deref()) {
        (ListKind::Table(_, ty), Some(text)) => {
            let item = bundle::item(ty, of.list.text_bytes_max, &in_force.rules.typed.schema, text);
            Some(item.map_err(|problem| Problem::field("/value", problem))?.slot(key))
        }
        (ListKind::Table(..), None) => {
            return Err(Problem::field("/value", "missing: every entry of a table has one"));
        }
        (_, Some(_)) => return Err(Problem::field("/value", "is for tables, and this is a list")),
        (_, None) => None,
    };
    Ok(Membership { list: of.id, until: until.transpose()?, value })
}

fn no_change(why: NoChange, app: &App) -> Problem {
    match why {
        NoChange::Refused(why) => refused("", why, &app.metrics),
        other => Problem::parameter("id", other.to_string()),
    }
}

/// The rate table in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rates, title = "Rates")]
pub(crate) struct RatesBody {
    /// The schema's currency.
    base: String,
    /// What one whole unit of each currency is worth in whole units of the base.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    rates: Ordered<String>,
}

impl RatesBody {
    fn of(rates: &Rates) -> Self {
        let each = rates.iter().map(|(currency, rate)| (currency.code().to_owned(), rate.to_string()));
        Self { base: rates.base().code().to_owned(), rates: Ordered(each.collect()) }
    }
}

/// Show the rates in force
///
/// Their `rates` are what `PUT /v1/rates` takes, in the very same form.
#[utoipa::path(
    get, path = "/v1/rates", tag = "lists", security(("key" = ["admin", "analyst", "operator"])),
    responses((status = 200, description = "The table in force; without rates it is empty", body = RatesBody))
)]
pub(crate) async fn show_rates(State(app): State<Arc<App>>) -> Result<Json<RatesBody>, Problem> {
    let rates = RatesBody::of(&app.door.in_force().rates);
    all_durable(&app).await?;
    Ok(Json(rates))
}

/// The first line of a rate table.
const RATES_HEAD: &str = "currency,rate\n";

/// One line of a rate table, if it is one.
fn rates_row(currency: &str, rate: &str, base: Currency) -> Result<String, String> {
    let row = format!("{currency},{rate}\n");
    match Rates::parse(&format!("{RATES_HEAD}{row}"), base) {
        Ok(_) if row.trim_end().contains('\n') => Err("is not one rate".to_owned()),
        Ok(_) => Ok(row),
        Err(error) => Err(error.0.into_iter().map(|it| it.message).collect::<Vec<_>>().join("; ")),
    }
}

/// Put rates in force
///
/// The whole table: what one whole unit of each currency is worth in whole units of the schema's. Amounts of other
/// currencies are refused.
#[utoipa::path(
    put, path = "/v1/rates", tag = "lists", security(("key" = ["admin", "operator"])),
    request_body(
        content_type = "application/json", content = std::collections::BTreeMap<String, String>, description = "Rates as decimal texts, by currency",
        example = json!({ "USD": "7.1043", "JPY": "0.0485" })
    ),
    responses((status = 200, description = "The table is in force", body = RatesBody)),
    extensions(("x-problems" = json!(["invalid_fields", "overloaded"])))
)]
pub(crate) async fn put_rates(
    State(app): State<Arc<App>>,
    body: JsonText<LARGE_BODY_BYTES_MAX>,
) -> Result<Json<RatesBody>, Problem> {
    app.traffic.check_memory()?;
    let base = app.door.in_force().rules.typed.schema.currency;
    // Row by row, so that every wrong one is named.
    let rows = body.read_texts(|currency, rate| rates_row(currency, &rate, base))?;
    let table = format!("{RATES_HEAD}{}", rows.concat());
    let rates = Rates::parse(&table, base).map_err(|it| Problem::field("", it.to_string()))?;
    let here = Arc::clone(&app);
    let (offset, rates) = aside(move || {
        let offset = here.door.put_rates(&rates).map_err(|it| no_change(it, &here))?;
        Ok((offset, rates))
    })
    .await?;
    durable(&app, offset).await?;
    Ok(Json(RatesBody::of(&rates)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_written_as_they_are_declared() {
        let schema = "schema s 1\nzone \"UTC\"\ncurrency CNY\nentity user\nenum channel = app, web\n\
                      event login\n  user: user\n";
        let check = |declared: &str, expected: &str| {
            let rules = format!("use schema s\ntable t : user -> {declared}\n");
            let rules = rules::testing::rule_set(schema, &rules);
            let list = &rules.lists[0];
            let ListKind::Table(_, ty) = list.of else { panic!("{declared}") };
            assert_eq!(written(ty, list.text_bytes_max, &rules.schema), expected);
        };
        for it in ["flag", "int", "decimal(2)", "money USD", "time", "duration", "place", "text(4)"] {
            check(it, it);
        }
        check("channel", "channel");
        check("user", "user");
        check("money", "money CNY");
    }
}
