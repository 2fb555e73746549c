//! Comma-separated values (RFC 4180): a header line, then rows; cells may be quoted.

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
}

/// What reading a row came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RowRead {
    /// It stands in the buffer.
    Row,
    /// It was longer than any row may be, and is skipped.
    TooLong,
    /// There are no more.
    End,
}

impl Csv {
    pub(super) fn new(blocks: Blocks) -> Self {
        Self { blocks, reader: csv_core::Reader::new() }
    }

    /// Reads the next row. Blank lines are none.
    pub(super) fn read(&mut self, row: &mut Row) -> Result<RowRead, Damage> {
        row.clear();
        let mut too_long = false;
        loop {
            let input = self.blocks.fill()?;
            let (text, ends) = row.room();
            let (result, read, text_bytes, cells) = self.reader.read_record(input, text, ends);
            self.blocks.consume(read);
            row.wrote(text_bytes, cells);
            if ROW_BYTES_MAX < row.text_bytes() || CELLS_MAX < row.len() {
                too_long = true;
                row.clear();
            }
            match result {
                ReadRecordResult::InputEmpty
                | ReadRecordResult::OutputFull
                | ReadRecordResult::OutputEndsFull => {}
                ReadRecordResult::Record if too_long => return Ok(RowRead::TooLong),
                ReadRecordResult::Record => return Ok(RowRead::Row),
                ReadRecordResult::End => return Ok(RowRead::End),
            }
        }
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
                RowRead::End => return rows,
            }
        }
    }

    #[test]
    fn cells_lines_and_quotes() {
        #[rustfmt::skip]
        let cases: [(&str, &[&[&str]]); 9] = [
            ("", &[]),
            ("a,b\n1,2\n", &[&["a", "b"], &["1", "2"]]),
            ("a,b\r\n1,2", &[&["a", "b"], &["1", "2"]]),
            ("\u{feff}a,b\n1,2", &[&["a", "b"], &["1", "2"]]),
            ("a,b\n\n\n1,2\n\n", &[&["a", "b"], &["1", "2"]]),
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
    fn an_unclosed_quote_costs_the_rows_behind_it_and_no_memory() {
        let text = ["a,b\n1,\"", &"x".repeat(3 * ROW_BYTES_MAX)].concat();
        assert_eq!(rows(text.as_bytes()), [vec!["a", "b"], vec!["too long"]]);
        let closed = text + "\"\n1,2\n";
        assert_eq!(rows(closed.as_bytes()), [vec!["a", "b"], vec!["too long"], vec!["1", "2"]]);
    }
}
