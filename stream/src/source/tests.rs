//! Whole files through mappings: what becomes of them, and what is said of those that are bad.

mod data;
mod examples;
mod order;
mod refused;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use engine::event::{Change, FieldValue};
use rules::place::Place;
use rules::schema::{FieldType, Schema};

use super::*;

const OPTIONS: Options = Options { merge: false, jump_max: Options::JUMP_MAX };

/// Everything that a source gives out, a line each, and how it ended.
fn read_all(source: Result<Source, SourceError>, schema: &Schema) -> (String, SourceState) {
    let mut text = String::new();
    let mut source = match source {
        Ok(source) => source,
        Err(error) => return (format!("error: {error}\n"), SourceState::default()),
    };
    let mut item = Item::default();
    loop {
        match source.next(&mut item) {
            Ok(true) => write_item(&mut text, &item, schema),
            Ok(false) => break,
            Err(error) => {
                writeln!(text, "error: {error}").unwrap();
                break;
            }
        }
    }
    if source.skipped() > 0 {
        writeln!(text, "skipped {}", source.skipped()).unwrap();
    }
    source.notes().iter().for_each(|it| writeln!(text, "note: {it}").unwrap());
    let state = source.into_state();
    for known in &state.pending {
        write!(text, "pending ").unwrap();
        write_item(&mut text, &Item::Amendment(known.clone()), schema);
    }
    (text, state)
}

fn write_item(text: &mut String, item: &Item, schema: &Schema) {
    let time = |micros| jiff::Timestamp::from_microsecond(micros).unwrap();
    match item {
        Item::Event(event) => {
            let declared = &schema.events[event.event_type.unwrap().index()];
            write!(text, "{} {} {}", declared.name, event.id, time(event.time)).unwrap();
            for (at, field) in declared.fields.iter().enumerate() {
                let field = schema.field(field.field).unwrap();
                write_value(text, &field.name, field.ty, event.value(at));
            }
            writeln!(text).unwrap();
        }
        Item::Amendment(known) => {
            let amendment = &known.amendment;
            let change = match &amendment.change {
                Change::Label(label, None) => label.name().to_owned(),
                Change::Label(label, Some(kind)) => format!("{} ({kind})", label.name()),
                other => format!("{other:?}"),
            };
            writeln!(text, "{change} on {} {}", amendment.event_id, time(amendment.time)).unwrap();
        }
        Item::Reject(reject) => {
            writeln!(text, "reject {}:{} {}", reject.at.file, reject.at.row, reject.reason).unwrap();
        }
    }
}

fn write_value(text: &mut String, name: &str, ty: FieldType, value: FieldValue<'_>) {
    match (value, ty) {
        (FieldValue::Missing, _) => Ok(()),
        (FieldValue::Text(it), _) => write!(text, " {name}={it}"),
        (FieldValue::Money { minor, currency }, _) => write!(text, " {name}={minor}{currency:?}"),
        (FieldValue::Number(it), FieldType::Place) => {
            let place = Place::unpack(it);
            write!(text, " {name}={},{}", place.latitude_e7, place.longitude_e7)
        }
        (FieldValue::Number(it), _) => write!(text, " {name}={it}"),
    }
    .unwrap();
}

/// A source of files in memory; without a mapping if its text is empty.
fn open(
    map: &str,
    schema: &Arc<Schema>,
    files: &[&[u8]],
    options: Options,
    state: SourceState,
) -> Result<Source, SourceError> {
    let mapping = (!map.is_empty()).then(|| Mapping::parse("map.toml", map, Path::new(""))).transpose()?;
    let inputs = (1..).zip(files).map(|(at, it)| Input::memory(&format!("file{at}"), *it)).collect();
    Source::open(inputs, mapping, Arc::clone(schema), options, state)
}
