//! Files that a mapping joins to the rows of the main file: read whole, looked up by a key column.

use std::collections::HashMap;
use std::sync::Arc;

use super::SourceError;
use super::csv::{Csv, RowRead};
use super::mapping::{Join, Mapping};
use super::row::Row;
use super::unpack::{Blocks, Input};
use crate::intake::{shown, suggestion};

/// A joined file.
#[derive(Debug)]
pub(super) struct JoinTable {
    /// As the mapping calls it, before the point of `customers.lat`.
    pub(super) name: String,
    pub(super) file: String,
    /// The key's column, here and in the main file.
    pub(super) key: String,
    pub(super) columns: Vec<String>,
    rows: HashMap<Box<[u8]>, Row>,
}

impl JoinTable {
    /// The row of a key.
    pub(super) fn row(&self, key: &[u8]) -> Option<&Row> {
        self.rows.get(key)
    }

    /// Reads all files that a mapping joins.
    pub(super) fn load_all(mapping: &Mapping) -> Result<Vec<Arc<Self>>, SourceError> {
        let joins = mapping.root.join.iter();
        joins.map(|(name, join)| Self::load(mapping, name, join).map(Arc::new)).collect()
    }

    fn load(mapping: &Mapping, name: &str, join: &toml::Spanned<Join>) -> Result<Self, SourceError> {
        let wrong = |message: String| SourceError::Mapping(mapping.error(join.span(), message).into());
        let Join { file, key } = join.get_ref();
        let unread = |it: std::io::Error| wrong(format!("the joined file `{file}` cannot be read: {it}"));
        let input = Input::open(&mapping.file(file)).map_err(unread)?;
        let damaged = |damage| SourceError::Damaged { file: Arc::clone(&input.name), damage };
        let mut csv = Csv::new(Blocks::start(input.bytes).map_err(unread)?);
        let mut row = Row::default();
        csv.read(&mut row).map_err(&damaged)?;
        let columns: Vec<_> = row.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect();
        let key_at = columns.iter().position(|it| it == key).ok_or_else(|| {
            let suggestion = suggestion(key, columns.iter().map(String::as_str));
            wrong(format!("the joined file `{file}` has no column `{key}`{suggestion}"))
        })?;
        if has_twice(&columns, key) {
            return Err(wrong(format!("`{file}` has the column `{key}` twice")));
        }
        let mut rows = HashMap::new();
        loop {
            match csv.read(&mut row).map_err(&damaged)? {
                RowRead::End => break,
                RowRead::TooLong | RowRead::OpenQuote => {
                    let message =
                        format!("the joined file `{file}` has a row without end: is a quote left open?");
                    return Err(wrong(message));
                }
                RowRead::Row => {}
            }
            if row.len() != columns.len() {
                let (nth, cells, width) = (rows.len() + 1, count_of_cells(row.len()), columns.len());
                return Err(wrong(format!("`{file}`, row {nth}: {cells} where the header has {width}")));
            }
            let mut kept = Row::default();
            row.iter().for_each(|it| kept.push(it));
            let key = row.cell(key_at);
            if rows.insert(key.into(), kept).is_some() {
                return Err(wrong(format!("the joined file `{file}` has the key {} twice", shown(key))));
            }
        }
        Ok(Self { name: name.to_owned(), file: file.clone(), key: key.clone(), columns, rows })
    }
}

/// So many cells, in words.
pub(super) fn count_of_cells(count: usize) -> String {
    format!("{count} cell{}", if count == 1 { "" } else { "s" })
}

/// Whether several columns of a file have this name.
pub(super) fn has_twice(columns: &[String], name: &str) -> bool {
    1 < columns.iter().filter(|it| *it == name).count()
}
