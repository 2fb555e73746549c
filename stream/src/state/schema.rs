//! What has become of a schema: what may not change, what changed without another version, and what lets features ask
//! for another state.

use rules::notation::duration;
use rules::schema::{Derivation, EventField, EventType, Field, FieldType, Schema};

use super::layout::Names;

/// How the names of one thing, of which only the end may grow, are not as they were; none if they only grew.
pub(crate) fn moved(theirs: &Names, ours: Option<&Names>) -> Option<String> {
    let (thing, theirs) = theirs.names.split_first()?;
    let ours = ours.map_or(&[][..], |it| it.names.get(1..).unwrap_or_default());
    let at = (0..theirs.len()).find(|at| ours.get(*at) != theirs.get(*at))?;
    let was = theirs.get(at)?;
    let named = |it: &&String| bare(it) == bare(was);
    let what = match ours.iter().find(named) {
        None => format!("`{}` is gone", bare(was)),
        Some(is) if is == was => format!("`{}` has moved", bare(was)),
        Some(is) => format!("`{was}` has become `{is}`"),
    };
    Some(format!(
        "{thing} is not as it was: {what}; nothing there may change, and what is new goes behind the rest"
    ))
}

/// A name without its type.
fn bare(name: &str) -> &str {
    name.split_once(':').map_or(name, |(bare, _)| bare)
}

/// A field that events of an older schema lack and may not; none if there is none.
fn lacked(old: &Schema, new: &Schema) -> Option<String> {
    let lacked = old.events.iter().zip(&new.events).find_map(|(theirs, ours)| {
        let field = ours.fields.iter().skip(theirs.fields.len()).find(|it| !it.optional)?;
        Some((new.field(field.field)?, ours))
    });
    let (field, of) = lacked?;
    Some(format!("field `{}` of event type `{}` is new: make it optional", field.name, of.name))
}

/// A field that is computed otherwise than it was: whoever stands in it is somebody else, though every feature over it looks
/// the same; none if there is none. Fields are told by their places, which stay: their numbers are each schema's own.
pub(crate) fn rederived(old: &Schema, new: &Schema) -> Option<String> {
    let derivation = |of: &EventType, field: &EventField| {
        let Derivation::Prefix { of: source, characters } = field.derived?;
        Some((of.fields.iter().position(|it| it.field == source), characters))
    };
    let (field, of) = old.events.iter().zip(&new.events).find_map(|(theirs, ours)| {
        let both = theirs.fields.iter().zip(&ours.fields);
        let is_other =
            |theirs_field, ours_field| derivation(theirs, theirs_field) != derivation(ours, ours_field);
        let (_, field) = both.into_iter().find(|(theirs, ours)| is_other(theirs, ours))?;
        Some((new.field(field.field)?, ours))
    })?;
    Some(format!(
        "field `{}` of event type `{}` is derived otherwise than it was: give what is derived like this another name",
        field.name, of.name
    ))
}

/// Why events of an older schema would not be what a newer one takes them for; none if they are.
pub(crate) fn misread(old: &Schema, new: &Schema) -> Option<String> {
    lacked(old, new).or_else(|| rederived(old, new))
}

/// What a schema that contains all of an older one has beyond that without a version above it, or has otherwise under the
/// same version; none if its version says what it is. A lower version that has nothing more is gone back to.
pub(crate) fn unversioned(old: &Schema, new: &Schema) -> Option<&'static str> {
    if old.version < new.version {
        return None;
    }
    let values = |of: &Schema| of.enums.iter().map(|it| 1 + it.values.len()).sum::<usize>();
    let fields = |of: &Schema| of.events.iter().map(|it| 1 + it.fields.len()).sum::<usize>();
    let text_bytes = |field: &Field| match field.ty {
        FieldType::Text { max_bytes } => max_bytes,
        _ => 0,
    };
    let lengths = |of: &Schema| of.fields.iter().map(text_bytes).collect::<Vec<_>>();
    let back = new.version < old.version;
    let parts = [
        ("entity kinds", old.kinds.len() == new.kinds.len()),
        ("enums", values(old) == values(new)),
        ("event types", fields(old) == fields(new)),
        ("text lengths", back || lengths(old) == lengths(new)),
        ("zone", back || old.zone_name == new.zone_name),
        ("currency", back || old.currency == new.currency),
        ("lateness", back || old.lateness == new.lateness),
        ("keep", back || old.keep == new.keep),
        ("rates", back || old.rates_file == new.rates_file),
    ];
    parts.into_iter().find(|(_, same)| !same).map(|(part, _)| part)
}

/// What a feature's state hangs on beside the feature: how that has changed, in words; empty if it has not.
pub(crate) fn other_times(old: &Schema, new: &Schema) -> String {
    let times = [("lateness", old.lateness, new.lateness), ("keep", old.keep, new.keep)];
    let changed = times.into_iter().filter(|(_, old, new)| old != new);
    let told =
        changed.map(|(what, old, new)| format!("`{what}` was {} and is {}", duration(old), duration(new)));
    told.collect::<Vec<_>>().join(", ")
}
