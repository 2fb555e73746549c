//! Names that are declared in text that could not be parsed. They are there, and nobody knows what they are: where they are
//! used nothing is reported.

use super::reports::Reports;
use crate::schema::Schema;
use crate::syntax::ast;

/// Notes what items may declare that did not parse.
pub(super) fn items(files: &[ast::File], reports: &mut Reports<'_>) {
    for (index, file) in (0..).zip(files) {
        reports.enter(index);
        for item in &file.items {
            if let ast::Item::Error(span) = item {
                reports.note_unread(declared(reports.snippet(*span)));
            }
        }
    }
}

/// The names that an item declares: that behind its word, and those that its other lines begin with, as fields do.
fn declared(item: &str) -> impl Iterator<Item = &str> {
    let own = item.lines().next().and_then(|it| words(it).nth(1));
    own.into_iter().chain(item.lines().skip(1).filter_map(|it| words(it).next()))
}

/// Notes the fields that the checked schema lacks, because something of them did not parse or failed.
pub(super) fn fields(schema: &Schema, files: &[ast::File], reports: &mut Reports<'_>) {
    for (index, file) in (0..).zip(files) {
        reports.enter(index);
        for item in &file.items {
            let ast::Item::Event(event) = item else { continue };
            let Some(id) = schema.event_type(&event.name.text) else { continue };
            if reports.did_not_parse(event.span) {
                reports.note_unread(declared(reports.snippet(event.span)));
            }
            let failed = event.fields.iter().filter(|it| schema.field_of(id, &it.name.text).is_none());
            failed.for_each(|it| reports.note_unread(words(reports.snippet(it.name.span))));
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_').filter(|it| !it.is_empty())
}
