//! Schemas for the tests of this crate.

use std::sync::Arc;

use rules::schema::Schema;

/// The schema of a text without its first lines: it is in EUR and UTC, with a lateness of ten minutes.
pub(crate) fn schema(body: &str) -> Arc<Schema> {
    schema_file(&format!("schema example 1\nzone \"UTC\"\ncurrency EUR\n{body}"))
}

/// The schema of a whole text.
pub(crate) fn schema_file(text: &str) -> Arc<Schema> {
    Arc::new(rules::testing::schema(text))
}
