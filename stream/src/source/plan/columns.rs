//! The columns of a file, by name: those of a header, or whichever are asked for.

use super::Columns;

impl Columns {
    /// Where the rows hold a column; none if there is none of this name.
    pub(super) fn find(&mut self, name: &str) -> Option<usize> {
        match self {
            Self::Header(names) => names.iter().position(|it| it == name),
            Self::Asked { known, asked, .. } => {
                if known.as_ref().is_some_and(|known| !known.iter().any(|it| it == name)) {
                    return None;
                }
                let at = asked.iter().position(|it| it == name);
                Some(at.unwrap_or_else(|| {
                    asked.push(name.to_owned());
                    asked.len() - 1
                }))
            }
        }
    }

    /// What was asked for, in the order of the cells.
    pub(in crate::source) fn asked(&self) -> &[String] {
        match self {
            Self::Header(names) => names,
            Self::Asked { asked, .. } => asked,
        }
    }

    /// What seems to separate the cells of a header, if that is not the comma.
    pub(super) fn other_separator(&self) -> Option<&'static str> {
        let Self::Header(names) = self else { return None };
        let [name] = names.as_slice() else { return None };
        [(';', "`;`"), ('\t', "tabs")].into_iter().find_map(|(it, said)| name.contains(it).then_some(said))
    }

    /// The names that are known.
    pub(super) fn names(&self) -> &[String] {
        match self {
            Self::Header(names) => names,
            Self::Asked { known, .. } => known.as_deref().unwrap_or_default(),
        }
    }

    /// Whether a column of this name is there and of a type that cannot be read.
    pub(super) fn is_unread(&self, name: &str) -> bool {
        matches!(self, Self::Asked { unread, .. } if unread.iter().any(|it| it == name))
    }
}
