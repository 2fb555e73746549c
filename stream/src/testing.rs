//! Schemas for the tests of this crate.

use std::sync::Arc;

use rules::check::check_schema;
use rules::diagnostic::Source;
use rules::schema::Schema;

/// The schema of a text without its first lines: it is in EUR and UTC, with a lateness of ten minutes.
pub(crate) fn schema(body: &str) -> Arc<Schema> {
    schema_file(&format!("schema example 1\nzone \"UTC\"\ncurrency EUR\n{body}"))
}

/// The schema of a whole text.
pub(crate) fn schema_file(text: &str) -> Arc<Schema> {
    let (schema, diagnostics) = check_schema(Source { name: "test.schema.weir", text });
    Arc::new(schema.unwrap_or_else(|| panic!("{diagnostics:#?}")))
}
