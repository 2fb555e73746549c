//! Pages: so many entries at a time, each page behind a cursor that the one before it named.

use serde::Serialize;
use utoipa::ToSchema;

use crate::limits::{PAGE_DEFAULT, PAGE_MAX};
use crate::problem::Problem;
use crate::request::Params;

/// Which page is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Asked {
    /// Behind which entry it begins; none: with the newest.
    pub(crate) before: Option<i64>,
    /// Most entries of it.
    pub(crate) limit: u64,
}

impl Asked {
    /// From the parameters `cursor` and `limit`.
    ///
    /// # Errors
    /// If they are wrong.
    pub(crate) fn of(params: &mut Params) -> Result<Self, Problem> {
        let before = params.value("cursor", |text| {
            text.parse().map_err(|_| "is no cursor: send `next` of the page before, as it was".to_owned())
        })?;
        let limit = params.number("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE_DEFAULT);
        Ok(Self { before, limit })
    }

    /// The cursor of the next page: the last entry's, where the page is full.
    pub(crate) fn next<T>(&self, entries: &[T], place: impl Fn(&T) -> i64) -> Option<Cursor> {
        let full = u64::try_from(entries.len()).is_ok_and(|it| self.limit <= it);
        entries.last().filter(|_| full).map(|it| Cursor(place(it).to_string()))
    }
}

/// Names the next page: to be sent back as it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct Cursor(String);
