//! The cost for people, as tables, and for machines.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::estimate::Estimate;
use super::state::Cost;

/// The answer for machines.
#[derive(Debug, Serialize)]
pub(super) struct Answer<'a> {
    #[serde(flatten)]
    pub(super) cost: &'a Cost,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) estimate: Option<&'a Estimate>,
}

/// All tables, one below the other.
pub(super) fn show(cost: &Cost, estimate: Option<&Estimate>) -> String {
    let mut tables = vec![
        titled("State, by entity kind", &kinds(cost)),
        titled("Columns of remembered events", &columns(cost)),
        titled("Features", &features(cost)),
        titled("Work, by event type", &events(cost)),
    ];
    if let Some(estimate) = estimate {
        tables.push(titled("Memory, estimated", &memory(estimate)) + &left_out(estimate));
    }
    tables.join("\n")
}

fn titled(title: &str, table: &Table) -> String {
    format!("{title}\n{}\n", table.trim_fmt())
}

/// A table whose columns from `numbers` on stand to the right.
fn table(header: &[&str], numbers: std::ops::Range<usize>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for column in numbers {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn kinds(cost: &Cost) -> Table {
    let header = [
        "kind",
        "bytes an entity",
        "an event",
        "a value",
        "columns",
        "windows",
        "last two",
        "events kept",
        "entity kept",
    ];
    let mut table = table(&header, 1..9);
    for it in &cost.kinds {
        table.add_row([
            it.kind.clone(),
            it.entity_bytes.to_string(),
            it.event_bytes.to_string(),
            it.value_bytes.to_string(),
            it.columns.to_string(),
            it.windows.to_string(),
            it.occurrences.to_string(),
            it.events_kept.clone(),
            it.entity_kept.clone(),
        ]);
    }
    table
}

fn columns(cost: &Cost) -> Table {
    let mut table = table(&["kind", "column", "read by"], 0..0);
    for it in &cost.columns {
        table.add_row([it.kind.clone(), it.column.clone(), it.read_by.join(", ")]);
    }
    table
}

fn features(cost: &Cost) -> Table {
    let mut table = table(&["feature", "by", "answered from", "over", "delay", "kept", "captured"], 3..6);
    for it in &cost.features {
        table.add_row([
            it.feature.clone(),
            it.by.clone(),
            it.answered.to_owned(),
            it.over.clone().unwrap_or_default(),
            it.delay.clone().unwrap_or_default(),
            it.kept.clone(),
            if it.captured { "with each event".to_owned() } else { String::new() },
        ]);
    }
    table
}

fn events(cost: &Cost) -> Table {
    let mut table = table(&["event", "rules", "entities locked", "features captured"], 1..4);
    for it in &cost.events {
        table.add_row([
            it.event.clone(),
            it.rules.to_string(),
            it.entities.to_string(),
            it.captured.to_string(),
        ]);
    }
    table
}

fn memory(estimate: &Estimate) -> Table {
    let header = ["kind", "entities", "events each", "values each", "bytes each", "in all"];
    let mut table = table(&header, 1..6);
    for it in estimate.kinds.iter().filter(|it| !estimate.left_out.contains(&it.kind)) {
        table.add_row([
            it.kind.clone(),
            it.entities.to_string(),
            it.events.to_string(),
            it.values.to_string(),
            it.bytes_per_entity.to_string(),
            binary(it.bytes),
        ]);
    }
    let blank = String::new;
    table.add_row(["total".to_owned(), blank(), blank(), blank(), blank(), binary(estimate.total_bytes)]);
    table
}

/// What the total lacks, and how to have it.
fn left_out(estimate: &Estimate) -> String {
    let kinds = &estimate.left_out;
    let Some(first) = kinds.first() else { return String::new() };
    format!("without {}: say how many there are, such as `--entities {first}=1000`\n", kinds.join(", "))
}

/// A number of bytes with three or more digits, in the largest unit that leaves so many.
fn binary(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut number, mut at) = (bytes, 0);
    while 10_000 <= number && at + 1 < units.len() {
        number /= 1024;
        at += 1;
    }
    format!("{number} {}", units.get(at).unwrap_or(&""))
}

#[cfg(test)]
mod tests {
    use super::binary;

    #[test]
    fn bytes_are_shown_in_a_unit_that_can_be_read() {
        let rows = [(0, "0 B"), (9_999, "9999 B"), (10_240, "10 KiB"), (3 << 30, "3072 MiB")];
        for (bytes, expected) in rows {
            assert_eq!(binary(bytes), expected);
        }
        assert_eq!(binary(u64::MAX), "16777215 TiB");
    }
}
