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

    /// How many entries to look for: one more than the page has shows that there is another page.
    pub(crate) fn limit_and_one(self) -> u64 {
        self.limit + 1
    }

    /// What was found as a page, with the cursor of the next one: the last entry's, where more was found.
    pub(crate) fn page<T>(self, mut found: Vec<T>, place: impl Fn(&T) -> i64) -> (Vec<T>, Option<Cursor>) {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = limit < found.len();
        found.truncate(limit);
        let next = found.last().filter(|_| has_more).map(|it| Cursor(place(it).to_string()));
        (found, next)
    }
}

/// Names the next page: to be sent back as it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct Cursor(String);
