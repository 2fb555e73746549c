//! What the rule files add to the schema's names, and the checker that every other module works on.
//!
//! One name means one thing: features, constants, lists and tables share a space with the schema's fields, so that
//! a bare name in an expression never has two readings. Rules have a space of their own.

use std::collections::BTreeMap;

use super::reports::{Reports, Spot};
use super::schema::index_of_next;
use super::words::{self, Resolved};
use super::{constant, later, quantity};
use crate::diagnostic::Code;
use crate::schema::{EventTypeId, Field, FieldId, FieldType, KindId, Schema};
use crate::span::Span;
use crate::syntax::ast;
use crate::typed::{Expr, Feature, FeatureId, List, ListId, ListKind, RuleId};

/// An item and the file in which it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'a, T> {
    pub(super) file: u32,
    pub(super) item: &'a T,
}

/// What a name of the rule files stands for. `None` inside: it failed, and has been reported.
#[derive(Clone, Debug)]
pub(super) enum Global {
    /// A list or table.
    List(Option<ListId>),
    /// A constant's value.
    Const(Option<Expr>),
    /// A feature; none too while it has not been checked yet.
    Feature(Option<FeatureId>),
}

/// Why a feature may be missing, so that its readers can tell whether it may be where they stand.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Absence {
    /// Where one of these fields is missing.
    pub(super) fields: Vec<FieldId>,
    /// For another reason.
    pub(super) otherwise: bool,
}

/// Everything that is known while the items are checked one after another.
#[derive(Debug)]
pub(super) struct Checker<'a> {
    pub(super) schema: &'a Schema,
    pub(super) reports: Reports<'a>,
    pub(super) globals: BTreeMap<&'a str, Global>,
    /// Where each of them is declared.
    declared: BTreeMap<&'a str, Spot>,
    pub(super) lists: Vec<List>,
    /// Features checked so far; beside each, why it may be missing.
    pub(super) features: Vec<Feature>,
    pub(super) absences: Vec<Absence>,
    /// How many aggregates without a name stand in what has this name.
    pub(super) nameless: BTreeMap<String, usize>,
    pub(super) rule_names: BTreeMap<&'a str, RuleId>,
    pub(super) feature_items: Vec<Placed<'a, ast::Feature>>,
    /// Features whose names are taken: nobody can read them, but what they say is looked at.
    pub(super) taken_features: Vec<Placed<'a, ast::Feature>>,
    pub(super) record_items: Vec<Placed<'a, Vec<ast::Name>>>,
    pub(super) rule_items: Vec<Placed<'a, ast::Rule>>,
    pub(super) policy_items: Vec<Placed<'a, ast::Policy>>,
    pub(super) test_items: Vec<Placed<'a, ast::Test>>,
    /// Events that the tests checked so far give.
    pub(super) events_given: u32,
}

impl<'a> Checker<'a> {
    /// Collects the names of all rule files; constants, lists and tables are checked at once.
    pub(super) fn new(schema: &'a Schema, files: &'a [ast::File], reports: Reports<'a>) -> Self {
        let mut checker = Self {
            schema,
            reports,
            globals: BTreeMap::new(),
            declared: BTreeMap::new(),
            lists: Vec::new(),
            features: Vec::new(),
            absences: Vec::new(),
            nameless: BTreeMap::new(),
            rule_names: BTreeMap::new(),
            feature_items: Vec::new(),
            taken_features: Vec::new(),
            record_items: Vec::new(),
            rule_items: Vec::new(),
            policy_items: Vec::new(),
            test_items: Vec::new(),
            events_given: 0,
        };
        for (file, ast) in (0..).zip(files) {
            if ast.items.iter().any(|it| matches!(it, ast::Item::Schema(_))) {
                continue;
            }
            checker.reports.enter(file);
            checker.uses(ast);
            for item in &ast.items {
                checker.collect(file, item);
            }
        }
        checker
    }

    /// What the checker has gathered.
    pub(super) fn finish(self) -> (Vec<List>, Vec<Feature>, Reports<'a>) {
        (self.lists, self.features, self.reports)
    }

    fn uses(&mut self, file: &ast::File) {
        let mut used = false;
        for item in &file.items {
            let ast::Item::Use(name) = item else { continue };
            used = true;
            if name.text != self.schema.name {
                self.reports.error_with_help(
                    Code::WrongSchema,
                    name.span,
                    format!("the schema is called `{}`", self.schema.name),
                    format!("write `use schema {}`, or give that schema's file", self.schema.name),
                );
            }
        }
        let first = file.items.first().filter(|it| !matches!(it, ast::Item::Error(_)));
        if let (false, Some(first)) = (used, first) {
            let start = first.span().start;
            self.reports.error_with_help(
                Code::WrongSchema,
                Span { start, end: start },
                "the file does not say which schema it is for",
                format!("begin with `use schema {}`", self.schema.name),
            );
        }
    }

    fn collect(&mut self, file: u32, item: &'a ast::Item) {
        match item {
            ast::Item::List(it) => self.list(it),
            ast::Item::Table(it) => self.table(it),
            ast::Item::Const(it) => {
                let value = constant::check(self.schema, &mut self.reports, &it.value);
                let value = value.filter(|_| !self.reports.breaks_off(it.value.span));
                self.claim(&it.name, Global::Const(value));
            }
            ast::Item::Feature(item) => {
                let room = self.has_room(self.feature_items.len(), item.name.span);
                if room && self.claim(&item.name, Global::Feature(None)) {
                    self.feature_items.push(Placed { file, item });
                } else {
                    self.taken_features.push(Placed { file, item });
                }
            }
            ast::Item::Record(item) => self.record_items.push(Placed { file, item }),
            ast::Item::Rule(item) => self.rule(file, item),
            ast::Item::Policy(item) => self.policy_items.push(Placed { file, item }),
            ast::Item::Test(item) => self.test_items.push(Placed { file, item }),
            _ => {}
        }
    }

    fn rule(&mut self, file: u32, item: &'a ast::Rule) {
        let index = match index_of_next(self.rule_items.len()) {
            Some(index) => RuleId(index),
            None => return self.reports.too_many(item.name.span),
        };
        let first = *self.rule_names.entry(&item.name.text).or_insert(index);
        if first != index {
            let first = self.rule_items.get(first.index());
            let first = first.map(|it| Spot { file: it.file, span: it.item.name.span });
            let message = format!("there is a rule `{}` already", item.name.text);
            self.reports.taken(item.name.span, message, "rename one of the two", first);
        }
        self.rule_items.push(Placed { file, item });
    }

    fn has_room(&mut self, len: usize, span: Span) -> bool {
        let room = index_of_next(len).is_some();
        if !room {
            self.reports.too_many(span);
        }
        room
    }

    fn claim(&mut self, name: &'a ast::Name, global: Global) -> bool {
        let text = name.text.as_str();
        let this = "rename this one: rules read the other by that name";
        let taken = if self.schema.fields.iter().any(|it| it.name == text) {
            Some((format!("the schema has a field `{text}`"), this))
        } else if words::RESERVED_FIELDS.contains(&text) {
            Some((format!("every event has `{text}`"), this))
        } else if self.globals.contains_key(text) {
            Some((format!("`{text}` is declared twice"), "rename one of the two, and what reads it"))
        } else {
            None
        };
        if let Some((message, help)) = taken {
            let first = self.declared.get(text).copied();
            self.reports.taken(name.span, message, help, first);
            return false;
        }
        self.globals.insert(text, global);
        self.declared.insert(text, self.reports.spot(name.span));
        true
    }

    fn list(&mut self, item: &'a ast::List) {
        let ty = item.of.as_ref().and_then(|it| self.field_type(it));
        let of = ty.map(|ty| match ty {
            FieldType::Entity(kind) => (ListKind::Entities(kind), None),
            other => {
                let value = quantity::field_type(other, self.schema.currency);
                (ListKind::Values(value), text_bytes_max(other))
            }
        });
        self.add_list(&item.name, of, item.file.as_ref());
    }

    fn table(&mut self, item: &'a ast::Table) {
        let key = item.key.as_ref().and_then(|it| self.table_key(it));
        let value = item.value.as_ref().and_then(|it| self.field_type(it));
        let of = key.zip(value).map(|(kind, ty)| {
            let value = quantity::field_type(ty, self.schema.currency);
            (ListKind::Table(kind, value), text_bytes_max(ty))
        });
        self.add_list(&item.name, of, item.file.as_ref());
    }

    fn table_key(&mut self, ty: &ast::TypeRef) -> Option<KindId> {
        if let FieldType::Entity(kind) = self.field_type(ty)? {
            return Some(kind);
        }
        self.reports.error_with_help(
            Code::ListContents,
            ty.span,
            "a table is looked up by an entity",
            format!("one of {}", words::listing(self.schema.kinds.iter().map(|it| it.name.as_str()))),
        );
        None
    }

    /// One that failed has its name all the same.
    fn add_list(
        &mut self,
        name: &'a ast::Name,
        of: Option<(ListKind, Option<u16>)>,
        file: Option<&ast::Text>,
    ) {
        let Some((of, text_bytes_max)) = of else {
            self.claim(name, Global::List(None));
            return;
        };
        if !self.has_room(self.lists.len(), name.span) {
            return;
        }
        let Some(id) = index_of_next(self.lists.len()).map(ListId) else { return };
        if self.claim(name, Global::List(Some(id))) {
            let file = file.map(|it| it.text.clone());
            let (name, span) = (name.text.clone(), name.span);
            self.lists.push(List { name, of, text_bytes_max, file, own: true, span });
        }
    }

    /// A type as named in a list or table.
    fn field_type(&mut self, ty: &ast::TypeRef) -> Option<FieldType> {
        match words::field_type(ty, &mut self.reports) {
            Resolved::BuiltIn(it) => Some(it),
            Resolved::Failed => None,
            Resolved::Declared => {
                let found = words::declared_type(self.schema, &ty.name.text);
                if found.is_none() {
                    let declared = self.schema.kinds.iter().map(|it| it.name.as_str());
                    let enums = self.schema.enums.iter().map(|it| it.name.as_str());
                    let candidates = words::TYPES.iter().copied().chain(declared).chain(enums);
                    self.reports.unknown(Code::UnknownType, ty.name.span, "type", &ty.name.text, candidates);
                }
                found.filter(|_| words::fits(ty, &mut self.reports))
            }
        }
    }

    /// The event type of a name, or a report.
    pub(super) fn event_type(&mut self, name: &ast::Name) -> Option<EventTypeId> {
        let found = self.schema.event_type(&name.text);
        if found.is_none() {
            let candidates = self.schema.events.iter().map(|it| it.name.as_str());
            self.reports.unknown(Code::UnknownEventType, name.span, "event type", &name.text, candidates);
        }
        found
    }

    /// The event types behind `on`, in order and each once; `any` is all of them. False where one is unknown.
    pub(super) fn event_types(&mut self, names: &[ast::Name]) -> (Vec<EventTypeId>, bool) {
        self.reports.warn_twice(names, "leave one of the two out");
        let all = names.iter().any(|it| it.text == "any");
        let mut types = Vec::new();
        let mut sound = true;
        for name in names {
            if name.text == "any" {
                types.extend(self.all_types());
            } else {
                let found = self.event_type(name);
                sound &= found.is_some();
                types.extend(found);
                if all && found.is_some() {
                    let message = format!("`{}` is one of `any`", name.text);
                    self.reports.warn(Code::NamedTwice, name.span, message, "leave one of the two out");
                }
            }
        }
        types.sort_unstable();
        types.dedup();
        (types, sound)
    }

    /// Every event type.
    pub(super) fn all_types(&self) -> impl Iterator<Item = EventTypeId> + use<> {
        (0..u16::try_from(self.schema.events.len()).unwrap_or(u16::MAX)).map(EventTypeId)
    }

    /// The names of event types in a sentence.
    pub(super) fn type_names(&self, types: &[EventTypeId]) -> String {
        words::listing(types.iter().filter_map(|it| self.schema.event(*it)).map(|it| it.name.as_str()))
    }

    /// A list or table by name, or a report.
    pub(super) fn list_named(&mut self, name: &ast::Name) -> Option<ListId> {
        match self.globals.get(name.text.as_str()) {
            Some(Global::List(id)) => *id,
            _ => {
                let lists: Vec<String> = self.lists.iter().map(|it| it.name.clone()).collect();
                let candidates = lists.iter().map(String::as_str);
                self.reports.unknown(Code::UnknownName, name.span, "list", &name.text, candidates);
                None
            }
        }
    }

    /// The entity field that every one of these types has under a name, or a report; see [`Checker::field_on`].
    pub(super) fn role(&mut self, name: &ast::Name, types: &[EventTypeId]) -> Option<FieldId> {
        let is_entity = |it: &&Field| matches!(it.ty, FieldType::Entity(_));
        let mut named = self.schema.fields.iter().filter(|it| it.name == name.text).peekable();
        if named.peek().is_none() {
            let roles = self.schema.fields.iter().filter(is_entity).map(|it| it.name.as_str());
            self.reports.unknown(Code::UnknownName, name.span, "role", &name.text, roles);
            return None;
        }
        let never = !named.any(|it| is_entity(&it));
        let field = if never { None } else { Some(self.field_on(name, types, &[])?) };
        let role = field.filter(|it| self.schema.role_kind(*it).is_some());
        if role.is_none() {
            self.reports.error_with_help(
                Code::NotARole,
                name.span,
                format!("`{}` is not an entity", name.text),
                "a role is a field whose type is an entity kind",
            );
        }
        role
    }

    /// The one field that every one of these types has under a name, or a report, which may suggest one of these words
    /// too. No types: they are not known.
    pub(super) fn field_on(
        &mut self,
        name: &ast::Name,
        types: &[EventTypeId],
        words: &[&str],
    ) -> Option<FieldId> {
        let text = name.text.as_str();
        if types.is_empty() {
            return self.field_anywhere(name, words);
        }
        let on = |it: &EventTypeId| self.schema.field_of(*it, text).map(|it| it.field);
        let (having, lacking): (Vec<EventTypeId>, Vec<EventTypeId>) =
            types.iter().partition(|it| on(it).is_some());
        if !lacking.is_empty() && self.reports.is_unread(text) {
            return None;
        }
        let Some(field) = having.first().and_then(on) else {
            self.unknown_name(name, types, words);
            return None;
        };
        if !lacking.is_empty() {
            let message = self.those_that_lack(text, &lacking);
            let help = self.those_that_have(&having);
            self.reports.error_with_help(Code::NotOnType, name.span, message, help);
            return None;
        }
        if let Some(other) = having.iter().find(|it| on(it) != Some(field)) {
            let kind = |it: FieldId| {
                let field = self.schema.field(it)?;
                Some(words::type_name(self.schema, quantity::field_type(field.ty, self.schema.currency)))
            };
            let one = kind(field).unwrap_or_default();
            let another = on(other).and_then(kind).unwrap_or_default();
            let first = having.first().copied().unwrap_or(*other);
            let message = format!(
                "`{text}` is {one} on {} and {another} on {}",
                self.type_names(&[first]),
                self.type_names(&[*other])
            );
            let message = if one == another { format!("{message}, of another size") } else { message };
            let help = "name one event type, or give the fields one type";
            self.reports.error_with_help(Code::AmbiguousName, name.span, message, help);
            return None;
        }
        Some(field)
    }

    /// The field of a name where it is not known which types are meant: only what none has is reported, and what they
    /// have in different ways is none in silence.
    fn field_anywhere(&mut self, name: &ast::Name, words: &[&str]) -> Option<FieldId> {
        let mut named = (0..).zip(&self.schema.fields).filter(|(_, it)| it.name == name.text);
        match (named.next(), named.next()) {
            (Some((field, _)), None) => Some(FieldId(field)),
            (Some(_), Some(_)) => None,
            (None, _) => {
                self.unknown_name(name, &self.all_types().collect::<Vec<_>>(), words);
                None
            }
        }
    }

    /// Reports a name that is neither a field of these types nor anything else.
    fn unknown_name(&mut self, name: &ast::Name, types: &[EventTypeId], words: &[&str]) {
        let text = name.text.as_str();
        let elsewhere: Vec<EventTypeId> =
            self.all_types().filter(|it| self.schema.field_of(*it, text).is_some()).collect();
        if !elsewhere.is_empty() {
            let message = self.those_that_lack(text, types);
            let help = self.those_that_have(&elsewhere);
            self.reports.error_with_help(Code::NotOnType, name.span, message, help);
            return;
        }
        let schema = self.schema;
        let fields = types
            .iter()
            .filter_map(|it| schema.event(*it))
            .flat_map(|it| &it.fields)
            .filter_map(|it| schema.field(it.field))
            .map(|it| it.name.as_str());
        let globals: Vec<&str> = self.globals.keys().copied().collect();
        let candidates = fields.chain(globals).chain(words.iter().copied());
        self.reports.unknown(Code::UnknownName, name.span, "name", text, candidates);
    }

    /// Whether a name is none of the schema's, of the rule files' or of the language's, as far as they could be read.
    pub(super) fn means_nothing(&self, text: &str) -> bool {
        let of_schema = self.schema.fields.iter().any(|it| it.name == text) || self.is_value(text);
        let unread = self.reports.is_unread(text);
        unread || !of_schema && !self.globals.contains_key(text) && !words::RESERVED_FIELDS.contains(&text)
    }

    /// Whether it is an event type, or a value of some enum.
    pub(super) fn is_value(&self, text: &str) -> bool {
        let of_enum = self.schema.enums.iter().any(|it| it.values.iter().any(|it| it == text));
        of_enum || self.schema.event_type(text).is_some()
    }

    fn those_that_lack(&self, field: &str, types: &[EventTypeId]) -> String {
        let have = if types.len() == 1 { "has" } else { "have" };
        format!("{} {have} no field `{field}`", self.type_names(types))
    }

    fn those_that_have(&self, types: &[EventTypeId]) -> String {
        let have = if types.len() == 1 { "has" } else { "have" };
        format!("{} {have} one", self.type_names(types))
    }

    /// Whether an event of one of these types may lack a field; where they are not known, whether any may that has it.
    pub(super) fn is_optional(&self, field: FieldId, types: &[EventTypeId]) -> bool {
        if types.is_empty() {
            let mut having = self.all_types().filter_map(|it| self.schema.event_field(it, field));
            return having.all(|it| it.optional);
        }
        types.iter().any(|it| self.schema.event_field(*it, field).is_none_or(|it| it.optional))
    }

    /// Refuses what the grammar has and the language does not yet.
    pub(super) fn not_yet(&mut self, span: Span, what: &str) {
        let message = format!("`{what}` is not available yet");
        self.reports.error_with_help(Code::NotAvailableYet, span, message, later::instead(what));
    }

    /// Refuses a length of time of nothing, where that would make no sense.
    pub(super) fn positive(&mut self, duration: &ast::Duration, what: &str, help: &str) -> i64 {
        if duration.micros == 0 {
            let message = format!("`{what}` must be longer than nothing");
            self.reports.error_with_help(Code::SpanNeeded, duration.span, message, help);
        }
        duration.micros
    }
}

pub(super) fn text_bytes_max(ty: FieldType) -> Option<u16> {
    match ty {
        FieldType::Text { max_bytes } => Some(max_bytes),
        _ => None,
    }
}
