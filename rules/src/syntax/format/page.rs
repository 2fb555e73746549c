//! Lines that know their columns.
//!
//! Neighbouring lines of one group have their columns below each other; so have the comments at the ends of
//! neighbouring lines. A blank line ends the neighbourhood.

use unicode_width::UnicodeWidthStr;

/// Lines whose columns belong together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Group {
    /// `zone     | "Asia/Shanghai"`
    Settings,
    /// `entity card | owned`
    Entities,
    /// `user:  | user`
    Fields,
    /// `list | watched | : user`
    Lists,
    /// `const tiny | = 2.00 CNY`
    Constants,
    /// `feature tiny_1m | = count(payment) by user over 1m`
    Features,
    /// `given | payment`
    Steps,
}

/// A line.
pub(super) struct Line {
    indent: usize,
    blank_before: bool,
    role: Role,
    columns: Vec<String>,
    comment: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The first of an item, or of its part.
    Head(Option<Group>),
    /// It goes on from the line above, or is a comment: columns reach over it.
    Between,
}

impl Line {
    /// A line that begins with a text.
    pub(super) fn new(indent: usize, blank_before: bool, group: Option<Group>, text: &str) -> Self {
        Self { indent, blank_before, role: Role::Head(group), columns: vec![text.to_owned()], comment: None }
    }

    /// A line that goes on from the one above.
    pub(super) fn continuation(indent: usize, text: &str) -> Self {
        Self { role: Role::Between, ..Self::new(indent, false, None, text) }
    }

    /// A line that is a comment.
    pub(super) fn comment(indent: usize, blank_before: bool, text: &str) -> Self {
        Self { role: Role::Between, ..Self::new(indent, blank_before, None, text) }
    }
}

/// All lines of a file.
#[derive(Default)]
pub(super) struct Page {
    lines: Vec<Line>,
}

impl Page {
    /// Begins a line.
    pub(super) fn line(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Goes on in the last column.
    pub(super) fn append(&mut self, gap: &str, text: &str) {
        if let Some(column) = self.lines.last_mut().and_then(|line| line.columns.last_mut()) {
            column.push_str(gap);
            column.push_str(text);
        }
    }

    /// Begins the next column; a line that goes on from the one above has only one.
    pub(super) fn column(&mut self, text: &str) {
        match self.lines.last_mut() {
            Some(line) if line.role != Role::Between => line.columns.push(text.to_owned()),
            _ => self.append(" ", text),
        }
    }

    /// Ends the line with a comment.
    pub(super) fn comment(&mut self, text: &str) {
        if let Some(line) = self.lines.last_mut() {
            line.comment = Some(text.to_owned());
        }
    }

    /// All of it, ending in a line break unless it is empty.
    pub(super) fn render(&self) -> String {
        let texts = self.texts();
        let comment_columns = self.comment_columns(&texts);
        let mut out = String::new();
        for ((line, text), comment_column) in self.lines.iter().zip(&texts).zip(comment_columns) {
            if line.blank_before && !out.is_empty() {
                out.push('\n');
            }
            out.push_str(text);
            if let Some(comment) = &line.comment {
                pad(&mut out, comment_column - text.width());
                out.push_str(comment);
            }
            out.push('\n');
        }
        out
    }

    /// Each line with its columns set, comments at ends left out.
    fn texts(&self) -> Vec<String> {
        let mut texts = Vec::with_capacity(self.lines.len());
        let mut widths = Vec::new();
        let mut group = None;
        for (at, line) in self.lines.iter().enumerate() {
            if line.blank_before {
                group = None;
            }
            if let Role::Head(here) = line.role
                && here != group
            {
                group = here;
                widths =
                    group.map_or(Vec::new(), |group| widths_from(self.lines.get(at..).unwrap_or(&[]), group));
            }
            texts.push(line.text(&widths));
        }
        texts
    }

    /// Where each line's comment begins: two spaces behind the longest of the neighbouring lines that have one.
    fn comment_columns(&self, texts: &[String]) -> Vec<usize> {
        let mut columns = Vec::with_capacity(texts.len());
        let mut lines = self.lines.iter().zip(texts).peekable();
        while let Some((first, text)) = lines.next() {
            let mut length = 1;
            let mut widest = if first.comment.is_some() { text.width() } else { 0 };
            while let Some((line, text)) = lines.next_if(|(line, _)| !line.blank_before) {
                length += 1;
                widest = widest.max(if line.comment.is_some() { text.width() } else { 0 });
            }
            columns.extend(std::iter::repeat_n(widest + 2, length));
        }
        columns
    }
}

/// How wide the columns of a group's neighbouring lines are, the last of each line left out.
fn widths_from(lines: &[Line], group: Group) -> Vec<usize> {
    let mut widths: Vec<usize> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        match line.role {
            Role::Head(here) if here != Some(group) || (line.blank_before && at != 0) => break,
            Role::Between if line.blank_before => break,
            Role::Between => continue,
            Role::Head(_) => {}
        }
        let Some((_, inner)) = line.columns.split_last() else { continue };
        widths.resize(widths.len().max(inner.len()), 0);
        for (width, column) in widths.iter_mut().zip(inner) {
            *width = column.width().max(*width);
        }
    }
    widths
}

impl Line {
    fn text(&self, widths: &[usize]) -> String {
        let mut text = String::new();
        pad(&mut text, self.indent);
        for (at, column) in self.columns.iter().enumerate() {
            text.push_str(column);
            if at + 1 < self.columns.len() {
                let width = widths.get(at).copied().unwrap_or(0);
                pad(&mut text, width.saturating_sub(column.width()) + 1);
            }
        }
        text
    }
}

fn pad(out: &mut String, spaces: usize) {
    out.extend(std::iter::repeat_n(' ', spaces));
}
