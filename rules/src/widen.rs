//! Growing by what another rule set's schema and lists have beyond one's own, so that its events can be read here and its
//! features kept up.
//!
//! Kinds, event types, their fields, values of enums and lists have numbers in records and states, so they only ever
//! grow behind: what the other has is taken in where it begins with all that is here. Where it does not it is left, and
//! whoever compares the two finds the difference.

use crate::renumber::Numbers;
use crate::schema::{Derivation, EventField, EventType, Field, FieldId, Schema};
use crate::typed::{List, ListKind, RuleSet};

impl RuleSet {
    /// Takes in what another one knows beyond all that this one does; gives whether there was anything.
    pub fn widen(&mut self, other: &Self) -> bool {
        let before = self.extent();
        let (ours, theirs) = (&mut self.schema, &other.schema);
        grow(&mut ours.kinds, &theirs.kinds, |a, b| a.name == b.name, Clone::clone);
        for it in &theirs.enums {
            match ours.enums.iter_mut().find(|known| known.name == it.name) {
                Some(known) => grow(&mut known.values, &it.values, PartialEq::eq, Clone::clone),
                None => ours.enums.push(it.clone()),
            }
        }
        let numbers = Numbers::new(other, self);
        self.schema.grow_events(&other.schema, &numbers);
        let of = |of| match of {
            ListKind::Entities(kind) => ListKind::Entities(numbers.kind(kind)),
            ListKind::Table(kind, ty) => ListKind::Table(numbers.kind(kind), numbers.ty(ty)),
            ListKind::Values(ty) => ListKind::Values(numbers.ty(ty)),
        };
        let same = |ours: &List, theirs: &List| ours.name == theirs.name && ours.of == of(theirs.of);
        grow(&mut self.lists, &other.lists, same, |it| List { of: of(it.of), own: false, ..it.clone() });
        self.extent() != before
    }

    /// How many things it knows.
    fn extent(&self) -> usize {
        let Schema { kinds, enums, events, .. } = &self.schema;
        let values: usize = enums.iter().map(|it| it.values.len()).sum();
        let fields: usize = events.iter().map(|it| it.fields.len()).sum();
        kinds.len() + enums.len() + values + events.len() + fields + self.lists.len()
    }
}

impl Schema {
    fn grow_events(&mut self, other: &Self, numbers: &Numbers) {
        for (at, theirs) in other.events.iter().enumerate() {
            let known = match self.events.get(at) {
                Some(ours) if ours.name == theirs.name => ours.fields.clone(),
                None => Vec::new(),
                Some(_) => return,
            };
            let is_it = |ours: &EventField, theirs: &EventField| {
                let (our_field, field) = (self.field(ours.field), other.field(theirs.field));
                let same = our_field.zip(field).is_some_and(|(ours, it)| numbers.is_same_field(it, ours));
                same && ours.optional == theirs.optional
            };
            if !begins_with(&theirs.fields, &known, is_it) {
                return;
            }
            let more = theirs.fields.iter().skip(known.len());
            let more: Vec<EventField> =
                more.map(|it| it.renumbered(|id| self.take_field(other, id, numbers))).collect();
            match self.events.get_mut(at) {
                Some(ours) => ours.fields.extend(more),
                None => self.events.push(EventType { name: theirs.name.clone(), fields: more }),
            }
        }
    }

    /// The number here of another schema's field, which is taken in if there is none.
    fn take_field(&mut self, other: &Self, id: FieldId, numbers: &Numbers) -> FieldId {
        let nothing = FieldId(u16::MAX);
        let Some(theirs) = other.field(id) else { return nothing };
        let known = self.fields.iter().position(|it| numbers.is_same_field(theirs, it));
        let at = known.unwrap_or(self.fields.len());
        if known.is_none() {
            self.fields.push(Field { name: theirs.name.clone(), ty: numbers.field_type(theirs.ty) });
        }
        u16::try_from(at).map_or(nothing, FieldId)
    }
}

impl EventField {
    fn renumbered(self, mut number: impl FnMut(FieldId) -> FieldId) -> Self {
        let field = number(self.field);
        let derived = self
            .derived
            .map(|Derivation::Prefix { of, characters }| Derivation::Prefix { of: number(of), characters });
        Self { field, derived, ..self }
    }
}

/// Adds what `theirs` has behind all of `ours`, as it is called here.
fn grow<T>(ours: &mut Vec<T>, theirs: &[T], same: impl Fn(&T, &T) -> bool, here: impl Fn(&T) -> T) {
    if begins_with(theirs, ours, same) {
        let more: Vec<T> = theirs.iter().skip(ours.len()).map(here).collect();
        ours.extend(more);
    }
}

/// Whether `theirs` begins with all of `ours`.
fn begins_with<T>(theirs: &[T], ours: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    ours.len() <= theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::testing::rule_set;
    use crate::typed::RuleSet;

    const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity user\nentity card owned\nenum channel = app\n\
         event login\n  user: user\n  channel: channel\n\
         event payment\n  user: user\n  card: card\n  amount: money\n";

    pub(crate) fn checked(schema: &str, rules: &str) -> RuleSet {
        let rules = format!("use schema s\n{rules}");
        rule_set(schema, &rules)
    }

    /// All that a rule set knows, as words: the names behind the numbers.
    fn known(of: &RuleSet) -> String {
        let schema = &of.schema;
        let kinds: Vec<_> = schema.kinds.iter().map(|it| it.name.as_str()).collect();
        let mut enums: Vec<_> =
            schema.own_enums().iter().map(|it| format!("{} {:?}", it.name, it.values)).collect();
        enums.sort_unstable();
        let events = schema.events.iter().map(|event| {
            let fields = event.fields.iter().map(|it| {
                let field = &schema.fields[it.field.index()];
                let of = schema.role_kind(it.field).map(|kind| schema.kinds[kind.index()].name.as_str());
                format!("{}{} {of:?}", field.name, if it.optional { "?" } else { "" })
            });
            format!("{} {:?}", event.name, fields.collect::<Vec<_>>())
        });
        let lists = of.lists.iter().map(|it| format!("{} {:?}", it.name, it.of));
        let all: Vec<String> = enums.into_iter().chain(events).chain(lists).collect();
        format!("{kinds:?} {all:?}")
    }

    /// A schema and its lists grown by others: it then knows what those know; none where it stays as it was.
    fn check_widened(grown: &str, lists: &str, grows: bool) {
        let (mut own, other) = (checked(SCHEMA, "list watched : user\n"), checked(grown, lists));
        let (before, hash) = (known(&own), own.hash);
        assert_eq!(own.widen(&other), grows, "{grown}{lists}");
        assert_eq!(known(&own), if grows { known(&other) } else { before }, "{grown}{lists}");
        assert_eq!(own.hash, hash, "it is the same rule set");
        let declared: Vec<_> = own.lists.iter().filter(|it| it.own).map(|it| it.name.as_str()).collect();
        assert_eq!(declared, ["watched"], "{grown}{lists}");
        assert!(!own.widen(&other), "twice is once");
        let mut wide = other;
        assert!(!grows || !wide.widen(&own), "the other knows all of it");
    }

    #[test]
    fn what_another_has_behind_is_taken_in() {
        let lists = "list watched : user\n";
        check_widened(SCHEMA, lists, false);
        check_widened(SCHEMA, "list watched : user\nlist risky : card\ntable limits : user -> money\n", true);
        check_widened(SCHEMA, "list risky : card\nlist watched : user\n", false);
        let behind = |more: &str| format!("{SCHEMA}{more}");
        check_widened(&behind("  note: text(20)?\n  channel: channel?\n"), lists, true);
        check_widened(&behind("event bind\n  user: user\n  card: card\n  bank: text(4)\n"), lists, true);
        check_widened(&SCHEMA.replace("= app", "= app, web"), lists, true);
        check_widened(
            &SCHEMA
                .replace(
                    "enum channel = app\n",
                    "entity device shared\nenum colour = red, blue\nenum channel = app\n",
                )
                .replace("channel: channel\n", "channel: channel\n  device: device?\n  colour: colour?\n"),
            lists,
            true,
        );
        let fewer = SCHEMA.replace("  amount: money\n", "");
        check_widened(&fewer, lists, false);
        check_widened(&SCHEMA.replace("  card: card\n", "  card: card?\n"), lists, false);
    }
}
