//! Comma-separated values (RFC 4180): a header line, then rows; cells may be quoted.
//!
//! A quote that is opened and not closed makes one row of all lines up to the next quote, which may be the file's last. Where
//! that shows, because the row is too long, has not as many cells as the header or ends with the file, its first line is
//! refused and the others are read again as rows.

use csv_core::ReadRecordResult;

use super::row::Row;
use super::unpack::{Blocks, Damage};

/// Longest row, in bytes: an unclosed quote must not swallow a file.
pub(super) const ROW_BYTES_MAX: usize = 1024 * 1024;
/// Most cells of a row.
const CELLS_MAX: usize = 16 * 1024;

/// Reads records from blocks.
pub(super) struct Csv {
    blocks: Blocks,
    reader: csv_core::Reader,
    /// Cells of the header, once it was read.
    width: Option<usize>,
    /// What was read of the row in blocks before this one.
    before: Vec<u8>,
}

/// What reading a row came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RowRead {
    /// It stands in the buffer.
    Row,
    /// It was longer than any row may be, and is skipped.
    TooLong,
    /// A quote was opened in a line and not closed: the line is skipped.
    OpenQuote,
    /// There are no more.
    End,
}

impl Csv {
    pub(super) fn new(blocks: Blocks) -> Self {
        Self { blocks, reader: csv_core::Reader::new(), width: None, before: Vec::new() }
    }

    /// Reads the next row, the first of which is the header. Blank lines are none.
    pub(super) fn read(&mut self, row: &mut Row) -> Result<RowRead, Damage> {
        row.clear();
        self.before.clear();
        let mut too_long = false;
        loop {
            let input = self.blocks.fill()?;
            let at_end = input.is_empty();
            let (text, ends) = row.room();
            let (result, read, text_bytes, cells) = self.reader.read_record(input, text, ends);
            let part = input.get(..read).unwrap_or_default();
            if matches!(result, ReadRecordResult::Record | ReadRecordResult::End) {
                row.wrote(text_bytes, cells);
                let fits = !too_long && self.width.is_none_or(|width| width == row.len());
                let doubtful = !fits || at_end;
                if doubtful {
                    self.before.extend_from_slice(part);
                }
                self.blocks.consume(read);
                if doubtful && self.again(!fits) {
                    return Ok(RowRead::OpenQuote);
                }
                return Ok(match result {
                    ReadRecordResult::End => RowRead::End,
                    _ if too_long => RowRead::TooLong,
                    _ => {
                        self.width.get_or_insert(row.len());
                        RowRead::Row
                    }
                });
            }
            self.before.extend_from_slice(part);
            self.blocks.consume(read);
            row.wrote(text_bytes, cells);
            if ROW_BYTES_MAX < self.before.len() || CELLS_MAX < row.len() {
                if self.again(true) {
                    return Ok(RowRead::OpenQuote);
                }
                too_long = true;
                row.clear();
                self.before.clear();
            }
        }
    }

    /// Reads the lines behind the first of the row again, if it has several and a quote was left open: surely, where the
    /// quotes are odd in number; where the row `misfits`, by all appearance.
    fn again(&mut self, misfits: bool) -> bool {
        // The end of the line before, and blank lines.
        let first = self.before.iter().position(|it| !matches!(it, b'\r' | b'\n'));
        let row = first.and_then(|at| self.before.get(at..)).unwrap_or_default();
        let rest =
            row.iter().position(|it| *it == b'\n').and_then(|end| row.get(end + 1..)).unwrap_or_default();
        let open = misfits || row.iter().filter(|it| **it == b'"').count() % 2 == 1;
        if rest.is_empty() || !open {
            return false;
        }
        self.blocks.put_back(rest);
        self.reader.reset();
        true
    }
}

impl std::fmt::Debug for Csv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Csv").field("blocks", &self.blocks).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::unpack::Input;

    fn rows(text: &[u8]) -> Vec<Vec<String>> {
        let mut csv = Csv::new(Blocks::start(Input::memory("t", text).bytes).unwrap());
        let (mut row, mut rows) = (Row::default(), Vec::new());
        loop {
            match csv.read(&mut row).unwrap() {
                RowRead::Row => {
                    rows.push(row.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect());
                }
                RowRead::TooLong => rows.push(vec!["too long".into()]),
                RowRead::OpenQuote => rows.push(vec!["open quote".into()]),
                RowRead::End => return rows,
            }
        }
    }

    #[test]
    fn cells_lines_and_quotes() {
        #[rustfmt::skip]
        let cases: [(&str, &[&[&str]]); 11] = [
            ("", &[]),
            ("a,b\n1,2\n", &[&["a", "b"], &["1", "2"]]),
            ("a,b\r\n1,2", &[&["a", "b"], &["1", "2"]]),
            ("\u{feff}a,b\n1,2", &[&["a", "b"], &["1", "2"]]),
            ("a,b\n\n\n1,2\n\n", &[&["a", "b"], &["1", "2"]]),
            ("a,b\n1,2\n\n\n", &[&["a", "b"], &["1", "2"]]),
            ("a,b\r\n1,2\r\n\r\n", &[&["a", "b"], &["1", "2"]]),
            ("a,b\n,\n", &[&["a", "b"], &["", ""]]),
            ("a,b\n\"x, y\",\"he said \"\"no\"\"\"\n", &[&["a", "b"], &["x, y", "he said \"no\""]]),
            ("a,b\n\"two\nlines\",2\n", &[&["a", "b"], &["two\nlines", "2"]]),
            ("a,b\n1\n1,2,3\n", &[&["a", "b"], &["1"], &["1", "2", "3"]]),
        ];
        for (text, expected) in cases {
            assert_eq!(rows(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn an_unclosed_quote_costs_its_line_and_no_memory() {
        #[track_caller]
        fn check(lines: &[&str], expected: &[&[&str]]) {
            assert_eq!(rows(lines.join("\n").as_bytes()), expected, "{lines:?}");
        }
        let (header, open): (&[&str], &[&str]) = (&["a", "b"], &["open quote"]);
        // Up to the end of the file, in the last cell and in another.
        check(&["a,b", "1,\"2", "3,4", "5,6", ""], &[header, open, &["3", "4"], &["5", "6"]]);
        check(&["a,b", "\"1,2", "3,4"], &[header, open, &["3", "4"]]);
        // Up to the next quote, whether or not that is open too.
        check(&["a,b", "\"1,2", "3,4", "5,\"6", "7,8"], &[header, open, &["3", "4"], open, &["7", "8"]]);
        check(
            &["a,b", "\"1,2", "3,4", "5,\"6\"", "7,8"],
            &[header, open, &["3", "4"], &["5", "6"], &["7", "8"]],
        );
        // Lines that belong together do so still.
        check(&["a,b", "1,\"2", "3\"", "4,5"], &[header, &["1", "2\n3"], &["4", "5"]]);
        check(&["a,b", "1,\"2", "3\""], &[header, &["1", "2\n3"]]);
        // As much as a row may be, and more.
        let long = "x".repeat(3 * ROW_BYTES_MAX);
        check(
            &["a,b", "1,\"2", "3,4", &long, "5,6"],
            &[header, open, &["3", "4"], &["too long"], &["5", "6"]],
        );
        check(&["a,b", &format!("1,\"{long}"), "3,4"], &[header, open, &["3", "4"]]);
    }
}
