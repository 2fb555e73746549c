//! The data sets beside the project, where they are there: every row through a mapping, and the counts.

use std::path::PathBuf;

use super::*;
use crate::testing::schema;

/// What a file came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Count {
    events: u64,
    /// Labels known before the end, and those still pending.
    labels: (u64, u64),
    rejects: u64,
    skipped: u64,
}

/// Reads a file of the data beside the project; none where it is absent, which it says.
fn count(file: &str, map: &str, schema: Arc<Schema>) -> Option<(Count, String)> {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if !data.exists() {
        println!("skipped: no {}", data.display());
        return None;
    }
    let folder = data.join(file).parent().unwrap().to_owned();
    let mapping = Mapping::parse("map.toml", map, &folder).unwrap();
    let input = Input::open(&data.join(file)).unwrap();
    let mut source =
        Source::open(vec![input], Some(mapping), Arc::clone(&schema), OPTIONS, SourceState::default())
            .unwrap();
    let (mut count, mut first, mut item) = (Count::default(), String::new(), Item::default());
    while source.next(&mut item).unwrap() {
        match &item {
            Item::Event(_) => count.events += 1,
            Item::Amendment(_) => count.labels.0 += 1,
            Item::Reject(_) => count.rejects += 1,
        }
        if first.is_empty() {
            line(&mut first, &item, &schema);
        }
    }
    count.skipped = source.skipped();
    count.labels.1 = u64::try_from(source.into_state().pending.len()).unwrap();
    Some((count, first))
}

#[track_caller]
fn check(file: &str, map: &str, schema: Arc<Schema>, expected: Count, first: &str) {
    if let Some(read) = count(file, map, schema) {
        assert_eq!(read, (expected, format!("{first}\n")));
    }
}

#[test]
fn handbook() {
    check(
        "handbook/tx_2018-04_2018-07.csv.zst",
        r#"
schema = "handbook.schema.weir"
event  = "payment"
id     = { column = "transaction_id" }
time   = { column = "tx_datetime", format = "iso", zone = "UTC" }
order  = "check"
[fields]
customer = "customer_id"
terminal = "terminal_id"
amount   = { column = "amount", currency = "EUR" }
[label]
column = "fraud"
values = { "1" = "fraud" }
known_after = "7d"
"#,
        schema(
            &["customer", "terminal"],
            &[],
            &[("payment", "customer: customer; terminal: terminal; amount: money")],
        ),
        Count { events: 1_169_723, labels: (8_867, 598), ..Count::default() },
        "payment 0 2018-04-01T00:00:31Z customer=596 terminal=3156 amount=5716EUR",
    );
}
