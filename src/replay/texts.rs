//! The texts and ids behind the hashes that features of such a type give: `last(login.device)` is a slot, and a slot
//! holds a hash.
//!
//! Only what such a feature can read is remembered, and each text for as long as some window can still give it: so
//! there are never more than the windows hold. With `--state` and `--data` they are kept from run to run, beside the
//! gate's state.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context as _;
use engine::entity::HashKey;
use engine::event::{Event, FieldValue};
use engine::rule_set::RuleSet;
use prost::Message;
use rules::schema::{EventField, FieldId};
use rules::time::Micros;
use rules::typed::{Aggregate, Definition, Expr, ExprKind, Feature, ListId, Type};
use stream::bundle::{Item, ListItem};
use stream::gate::REPEAT_FOR;
use stream::snapshot::Extra;

/// The name of the blob in a snapshot.
const NAME: &str = "replay texts";
/// Texts that are remembered before the first look for some that can leave.
const LOOK_FROM: usize = 4096;

/// The texts behind hashes.
#[derive(Debug)]
pub(crate) struct Texts {
    key: HashKey,
    /// By event type: where the fields stand whose texts can come back.
    fields: Vec<Vec<usize>>,
    /// How long after an event a feature can still give what stood in it.
    reach: Micros,
    /// The greatest event time so far.
    clock: Micros,
    /// By slot.
    known: HashMap<i64, Known>,
    /// At so many, those that can leave are looked for.
    look_at: usize,
}

/// A text, and until when some window can give it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Known {
    text: Box<str>,
    until: Micros,
}

impl Texts {
    /// What features of a rule set can give before anything has happened: its own constants, and the texts of its
    /// tables; and what an earlier run left behind.
    pub(crate) fn begin(rules: &RuleSet, items: &[ListItem], extra: &Extra) -> anyhow::Result<Self> {
        let sources = Sources::of(&rules.typed);
        let place = |fields: &[EventField]| {
            let at = fields.iter().enumerate().filter(|(_, it)| sources.fields.contains(&it.field));
            at.map(|(at, _)| at).collect()
        };
        let mut texts = Self {
            key: rules.key,
            fields: rules.typed.schema.events.iter().map(|it| place(&it.fields)).collect(),
            reach: sources.reach.max(REPEAT_FOR),
            clock: Micros::MIN,
            known: HashMap::new(),
            look_at: LOOK_FROM,
        };
        let tables = items.iter().filter(|it| sources.tables.contains(&it.list));
        let beside = tables.filter_map(|it| match &it.value {
            Some(Item::Text(text)) => Some(text.as_str()),
            _ => None,
        });
        beside.chain(sources.constants.iter().map(String::as_str)).for_each(|text| texts.keep(text));
        texts.restore(extra)?;
        Ok(texts)
    }

    /// The text behind a slot.
    pub(super) fn get(&self, slot: i64) -> Option<&str> {
        self.known.get(&slot).map(|it| &*it.text)
    }

    /// Remembers of an event what a feature of it, or of a later one, can give.
    pub(super) fn note(&mut self, event: &Event) {
        self.clock = self.clock.max(event.time);
        let until = self.clock.saturating_add(self.reach);
        let fields = event.event_type.and_then(|it| self.fields.get(it.index()));
        for at in fields.into_iter().flatten() {
            let FieldValue::Text(text) = event.value(*at) else { continue };
            let entry = self.known.entry(self.key.slot(text));
            let known = entry.or_insert_with(|| Known { text: text.into(), until });
            known.until = known.until.max(until);
        }
        if self.look_at <= self.known.len() {
            self.known.retain(|_, it| self.clock <= it.until);
            // So that looking costs a text no more than remembering it did.
            self.look_at = LOOK_FROM.max(2 * self.known.len());
        }
    }

    /// Remembers what no event brings, for ever.
    fn keep(&mut self, text: &str) {
        self.known.insert(self.key.slot(text), Known { text: text.into(), until: Micros::MAX });
    }
}

/// Where the texts come from that features can give.
#[derive(Debug, Default)]
struct Sources {
    fields: Vec<FieldId>,
    tables: Vec<ListId>,
    constants: Vec<String>,
    reach: Micros,
}

impl Sources {
    fn of(rules: &rules::typed::RuleSet) -> Self {
        let mut sources = Self::default();
        // A feature reads only earlier ones: those behind it have said already whether they need it, and for how long
        // after its event.
        let mut asked: Vec<Option<Micros>> = vec![None; rules.features.len()];
        for id in &rules.feature_order {
            let named = rules.feature(*id).filter(|it| gives_text(it.ty));
            if let (Some(_), Some(asked)) = (named, asked.get_mut(id.index())) {
                *asked = Some(0);
            }
        }
        for (at, feature) in rules.features.iter().enumerate().rev() {
            let Some(after) = asked.get(at).copied().flatten() else { continue };
            let after = after.saturating_add(reach(feature, &rules.schema));
            sources.reach = sources.reach.max(after);
            for read in texts_read(feature) {
                match &read.kind {
                    ExprKind::Field(field) => sources.fields.push(*field),
                    ExprKind::TableValue(table, _) => sources.tables.push(*table),
                    ExprKind::Text(text) | ExprKind::EntityId(_, text) => {
                        sources.constants.push(text.clone())
                    }
                    ExprKind::Feature(id) => {
                        if let Some(asked) = asked.get_mut(id.index()) {
                            *asked = Some(asked.unwrap_or(0).max(after));
                        }
                    }
                    _ => {}
                }
            }
        }
        sources
    }
}

/// How long after an event a feature can give what was read of it.
fn reach(feature: &Feature, schema: &rules::schema::Schema) -> Micros {
    feature.aggregate().map_or(0, |Aggregate { over, delay, .. }| {
        let window = over.unwrap_or(schema.keep).saturating_add(delay.unwrap_or(0));
        window.saturating_add(schema.lateness)
    })
}

/// The expressions of texts and entities from which a feature's value is taken.
fn texts_read(feature: &Feature) -> Vec<&Expr> {
    let value = match &feature.definition {
        Definition::Expr(expr) => Some(expr),
        Definition::Aggregate(aggregate) => aggregate.argument.as_ref(),
    };
    let mut read = Vec::new();
    if let Some(value) = value {
        value.visit(&mut |expr| {
            if gives_text(expr.ty) {
                read.push(expr);
            }
        });
    }
    read
}

fn gives_text(ty: Type) -> bool {
    matches!(ty, Type::Text | Type::Entity(_))
}

/// What is remembered, as bytes.
#[derive(Clone, PartialEq, Message)]
struct Saved {
    #[prost(message, repeated, tag = "1")]
    texts: Vec<SavedText>,
}

#[derive(Clone, PartialEq, Message)]
struct SavedText {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(sfixed64, tag = "2")]
    until: i64,
}

impl Texts {
    /// Puts what is remembered among a snapshot's blobs, in the order of the texts.
    pub(super) fn save(&self, extra: &mut Extra) {
        let sorted: BTreeMap<&str, Micros> =
            self.known.values().filter(|it| self.clock <= it.until).map(|it| (&*it.text, it.until)).collect();
        let texts = sorted.into_iter().map(|(text, until)| SavedText { text: text.to_owned(), until });
        extra.insert(NAME.to_owned(), Saved { texts: texts.collect() }.encode_to_vec());
    }

    fn restore(&mut self, extra: &Extra) -> anyhow::Result<()> {
        let Some(bytes) = extra.get(NAME) else { return Ok(()) };
        let saved = Saved::decode(bytes.as_slice());
        for SavedText { text, until } in saved.context("the snapshot's texts are not readable")?.texts {
            let known = Known { text: text.into(), until };
            self.known.entry(self.key.slot(&known.text)).or_insert(known);
        }
        self.look_at = LOOK_FROM.max(2 * self.known.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
