//! JSON lines: one object a line, whose members are cells by name or by path (`payer.id`).

use super::csv::{ROW_BYTES_MAX, RowRead};
use super::row::Row;
use super::unpack::{Blocks, Damage};
use crate::intake::object::{Members, not_an_object, string};
use crate::intake::{nearest, shown};

/// Reads lines from blocks.
#[derive(Debug)]
pub(super) struct Lines {
    blocks: Blocks,
    /// Lines read so far, blank ones included.
    read: u64,
}

impl Lines {
    pub(super) fn new(blocks: Blocks) -> Self {
        Self { blocks, read: 0 }
    }

    /// The number of the line last read, as an editor counts: from 1, blank ones included.
    pub(super) fn number(&self) -> u64 {
        self.read
    }

    /// Reads the next line that is not blank, without its end.
    pub(super) fn read(&mut self, line: &mut Vec<u8>) -> Result<RowRead, Damage> {
        loop {
            let read = self.read_any(line)?;
            self.read += 1;
            if read != RowRead::Row || !line.trim_ascii().is_empty() {
                return Ok(read);
            }
        }
    }

    fn read_any(&mut self, line: &mut Vec<u8>) -> Result<RowRead, Damage> {
        line.clear();
        let mut too_long = false;
        loop {
            let input = self.blocks.fill()?;
            if input.is_empty() {
                return Ok(match (too_long, line.is_empty()) {
                    (true, _) => RowRead::TooLong,
                    (false, true) => RowRead::End,
                    (false, false) => RowRead::Row,
                });
            }
            let (part, ended) = match input.iter().position(|it| *it == b'\n') {
                Some(end) => (input.get(..end).unwrap_or_default(), true),
                None => (input, false),
            };
            too_long |= ROW_BYTES_MAX < line.len() + part.len();
            if !too_long {
                line.extend_from_slice(part);
            }
            let read = part.len() + usize::from(ended);
            self.blocks.consume(read);
            if ended {
                return Ok(if too_long { RowRead::TooLong } else { RowRead::Row });
            }
        }
    }
}

/// The members that become cells, as a tree of names.
#[derive(Debug, Default)]
pub(super) struct Paths {
    root: Node,
    cells: Vec<Option<Vec<u8>>>,
    /// The columns that no line has had yet, each by its cell and its name.
    unmet: Vec<(usize, String)>,
    /// The first line's members that become no cell.
    unread: Option<Vec<String>>,
}

#[derive(Debug, Default)]
struct Node {
    /// The cell that the member becomes.
    cell: Option<usize>,
    members: Vec<(String, Node)>,
}

impl Node {
    /// Makes the member at the end of a path become a cell.
    fn insert<'n>(&mut self, mut path: impl Iterator<Item = &'n str>, cell: usize) {
        let Some(name) = path.next() else {
            self.cell = Some(cell);
            return;
        };
        if let Some((_, node)) = self.members.iter_mut().find(|(it, _)| it == name) {
            return node.insert(path, cell);
        }
        let mut node = Self::default();
        node.insert(path, cell);
        self.members.push((name.to_owned(), node));
    }

    /// The names of members that are not asked for.
    fn names_beside(&self, Members(members): &Members<'_>) -> Vec<String> {
        let is_asked = |name: &str| self.members.iter().any(|(it, _)| it == name);
        members.iter().filter(|it| !is_asked(&it.name)).map(|it| it.name.to_string()).collect()
    }

    fn fill(&self, Members(members): Members<'_>, cells: &mut [Option<Vec<u8>>]) -> Result<(), String> {
        for member in members {
            let Some((_, node)) = self.members.iter().find(|(it, _)| *it == member.name) else { continue };
            let value = member.value;
            if value.starts_with('{') && !node.members.is_empty() {
                node.fill(serde_json::from_str(value).map_err(|it| it.to_string())?, cells)?;
                continue;
            }
            let Some(cell) = node.cell.and_then(|at| cells.get_mut(at)) else { continue };
            let text = match value.as_bytes() {
                [b'"', ..] => string(value)?.into_owned().into_bytes(),
                [b'{' | b'[', ..] => {
                    return Err(format!("member {}: an object or a list is no value", shown(&*member.name)));
                }
                b"null" => Vec::new(),
                plain => plain.to_vec(),
            };
            if cell.replace(text).is_some() {
                return Err(format!("member {} is there twice", shown(&*member.name)));
            }
        }
        Ok(())
    }
}

impl Paths {
    /// The paths of columns, in the order of their cells.
    pub(super) fn new(columns: &[String]) -> Self {
        let mut root = Node::default();
        for (cell, column) in columns.iter().enumerate() {
            root.insert(column.split('.'), cell);
            // A member may have points in its own name.
            root.insert(std::iter::once(column.as_str()), cell);
        }
        let unmet = columns.iter().cloned().enumerate().collect();
        Self { root, cells: vec![None; columns.len()], unmet, unread: None }
    }

    /// What is to be said at the end of the lines: which columns none of them had, though a mapping names them.
    pub(super) fn unmet(&self) -> Option<String> {
        // Without a line there is nothing odd.
        let unread = self.unread.as_ref().filter(|_| !self.unmet.is_empty())?;
        let meant = |column: &str| nearest(column, unread.iter().map(String::as_str)).map(shown);
        let columns = self.unmet.iter().map(|(_, column)| match meant(column) {
            Some(meant) => format!("{} (did you mean {meant}?)", shown(column)),
            None => shown(column),
        });
        Some(format!("no line has {}, which the mapping names", columns.collect::<Vec<_>>().join(", ")))
    }

    /// Fills a row from a line; what the line leaves out, or says is null, is an empty cell.
    pub(super) fn read(&mut self, line: &[u8], row: &mut Row) -> Result<(), String> {
        row.clear();
        self.cells.fill(None);
        let members: Members<'_> = serde_json::from_slice(line).map_err(|it| not_an_object(&it))?;
        let root = &self.root;
        self.unread.get_or_insert_with(|| root.names_beside(&members));
        root.fill(members, &mut self.cells)?;
        let cells = &self.cells;
        self.unmet.retain(|(cell, _)| cells.get(*cell).is_none_or(Option::is_none));
        for cell in &self.cells {
            row.push(cell.as_deref().unwrap_or_default());
        }
        Ok(())
    }
}
