//! One row of a file as cells of text, whatever the file's format: the buffer between a format and a plan.

/// A reusable row. A cell that the file leaves out is empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    text: Vec<u8>,
    /// The end of each cell in `text`; a cell starts where the one before it ends.
    ends: Vec<usize>,
    /// How much of `text` and of `ends` is this row's; the rest is room.
    text_bytes: usize,
    cells: usize,
}

impl Row {
    pub(super) fn clear(&mut self) {
        (self.text_bytes, self.cells) = (0, 0);
    }

    /// Adds a cell.
    pub(super) fn push(&mut self, cell: &[u8]) {
        self.text.truncate(self.text_bytes);
        self.ends.truncate(self.cells);
        self.text.extend_from_slice(cell);
        self.ends.push(self.text.len());
        (self.text_bytes, self.cells) = (self.text.len(), self.ends.len());
    }

    pub(super) fn len(&self) -> usize {
        self.cells
    }

    /// The cell at this place; empty if the row has none there.
    #[inline]
    pub(super) fn cell(&self, at: usize) -> &[u8] {
        if self.cells <= at {
            return &[];
        }
        let start = if at == 0 { 0 } else { self.ends.get(at - 1).copied().unwrap_or(0) };
        let end = self.ends.get(at).copied().unwrap_or(start);
        self.text.get(start..end).unwrap_or_default()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|at| self.cell(at))
    }

    /// Room for a record reader to go on writing this row: text, and ends of cells. [`Row::wrote`] keeps what it wrote.
    pub(super) fn room(&mut self) -> (&mut [u8], &mut [usize]) {
        if self.text.len() <= self.text_bytes {
            self.text.resize((self.text_bytes * 2).max(1024), 0);
        }
        if self.ends.len() <= self.cells {
            self.ends.resize((self.cells * 2).max(64), 0);
        }
        let text = self.text.get_mut(self.text_bytes..).unwrap_or_default();
        (text, self.ends.get_mut(self.cells..).unwrap_or_default())
    }

    pub(super) fn wrote(&mut self, text_bytes: usize, ends: usize) {
        self.text_bytes += text_bytes;
        self.cells += ends;
    }
}
