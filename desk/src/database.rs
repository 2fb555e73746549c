//! Where a database is: in a file, or with a PostgreSQL server.

use std::fmt;
use std::path::PathBuf;

use crate::Error;

/// A desk's database, by where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Database {
    /// A file of SQLite's.
    File(PathBuf),
    /// A PostgreSQL server.
    Server(Url),
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Server(url) => url.fmt(f),
        }
    }
}

/// The URL of a PostgreSQL database, such as `postgres://weir:secret@db.example/weir`. It is shown without user and
/// password.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// Reads a URL.
    ///
    /// # Errors
    /// If it is none of PostgreSQL's.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Err(Error::Url(why.to_owned()));
        let Some(("postgres" | "postgresql", rest)) = text.split_once("://") else {
            return wrong("is not PostgreSQL's");
        };
        // Otherwise a part of the password would be taken for the host, and shown.
        if split(rest).1.contains('@') {
            return wrong(
                "has a `/`, `?`, `#` or a second `@` that must be written `%2F`, `%3F`, `%23`, `%40`",
            );
        }
        let url = Self(text.to_owned());
        #[cfg(feature = "postgres")]
        crate::postgres::options(&url)?;
        Ok(url)
    }

    /// With user and password.
    #[cfg(feature = "postgres")]
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

/// What stands before the first `/`, `?` or `#`, and the rest.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(['/', '?', '#']).unwrap_or(text.len()))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, rest) = self.0.split_once("://").unwrap_or_default();
        let (authority, rest) = split(rest);
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        // A password may stand behind a `?` too.
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        write!(f, "postgres://{host}{path}")
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        let check = |text: &str, expected: &str| {
            let url = Url::parse(text).unwrap();
            assert_eq!(
                (url.to_string(), format!("{url:?}")),
                (expected.to_owned(), format!("Url({expected})"))
            );
        };
        check("postgres://ann:hidden@db.example:5433/weir", "postgres://db.example:5433/weir");
        check("postgresql://ann:hid@den@db.example/weir", "postgres://db.example/weir");
        check("postgres://db/weir?user=ann&password=hidden", "postgres://db/weir");
        check("postgres://ann:hidden@localhost/weir?host=/run/postgresql", "postgres://localhost/weir");
    }

    #[test]
    fn a_wrong_url_is_refused_without_its_password() {
        let check = |text: &str, expected: &str| {
            let error = Url::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("hidden"), "{text}: {error}");
        };
        check("", "is not PostgreSQL's");
        check("weir.db", "is not PostgreSQL's");
        check("mysql://ann:hidden@db/weir", "is not PostgreSQL's");
        check("postgres://ann:12/hidden@db/weir", "must be written `%2F`");
        check("postgres://ann:hidden#1@db/weir", "must be written `%2F`");
        #[cfg(feature = "postgres")]
        for (text, expected) in [
            ("postgres://ann:hidden@db:port/weir", "invalid port number"),
            ("postgres://ann:hidden/weir", "invalid port number"),
            (
                "postgres://ann:hidden@db/weir?sslmode=some",
                "cannot be read: unknown value \"some\" for `ssl_mode`",
            ),
        ] {
            check(text, expected);
        }
    }
}
