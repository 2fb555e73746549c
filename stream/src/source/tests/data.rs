//! The data sets beside the project, where they are there: every row through a mapping, and the counts.

use std::path::PathBuf;

use super::*;
use crate::testing::{schema, schema_file};

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
            write_item(&mut first, &item, &schema);
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

/// A mapping that begins as all of these do.
fn map(rest: &str) -> String {
    format!("schema = \"s.schema.weir\"\n{rest}")
}

const PAYMENT: &str = "entity customer\nentity terminal shared\nevent payment
  customer: customer
  terminal: terminal
  amount: money";

#[test]
fn handbook() {
    check(
        "handbook/tx_2018-04_2018-07.csv.zst",
        include_str!("../../../../fixtures/handbook/map.toml"),
        schema_file(include_str!("../../../../fixtures/handbook/handbook.schema.weir")),
        Count { events: 1_169_723, labels: (8_867, 598), ..Count::default() },
        "payment 0 2018-04-01T00:00:31Z customer=596 terminal=3156 amount=5716EUR",
    );
}

#[test]
fn sparkov() {
    check(
        "sparkov_gen/transactions_2019.csv.zst",
        &map(r#"event = "payment"
               id = "trans_num"
               time = { column = "trans_datetime", format = "iso", zone = "UTC" }
               order = "check"
               join.customers = { file = "customers.csv.zst", key = "cc_num" }
               [fields]
               customer = "cc_num"
               terminal = "merchant"
               amount = { column = "amt", currency = "USD" }
               shop = { latitude = "merch_lat", longitude = "merch_long" }
               home = { latitude = "customers.lat", longitude = "customers.long" }
               [label]
               column = "is_fraud"
               values = { "1" = "fraud" }
               known_after = "30d""#),
        schema(&format!("{PAYMENT}\n  shop: place\n  home: place")),
        Count { events: 576_599, labels: (3_016, 327), ..Count::default() },
        "payment 1f8da49ebcf296f5c79194121b30547b 2019-01-01T00:00:43Z customer=3593562458385669 terminal=fraud_Bartoletti-Wunsch amount=4975USD shop=391351940,-1077311990 home=390307000,-1084361000",
    );
}

#[test]
fn ecommerce_with_us_dates_unsorted() {
    check(
        "ecommerce_device/Fraud_Data.csv.zst",
        &map(r#"event = "payment"
               id = "user_id"
               time = { column = "purchase_time", format = "%m/%d/%y %H:%M" }
               order = "sort"
               [fields]
               customer = "user_id"
               terminal = "device_id"
               amount = { column = "purchase_value", currency = "USD" }
               signup = { column = "signup_time", format = "%m/%d/%y %H:%M" }
               browser = "browser"
               [label]
               column = "class"
               values = { "1" = "fraud", "0" = "legitimate" }
               known_after = "1d""#),
        schema(&format!(
            "enum browser = Chrome, Safari, FireFox, IE, Opera\n{PAYMENT}\n  signup: time\n  browser: browser"
        )),
        Count { events: 51_690, labels: (51_687, 2), ..Count::default() },
        "payment 356414 2015-01-01T00:00:00Z customer=356414 terminal=BBPACGBUVJUXF amount=1400USD signup=1420070400000000 browser=0",
    );
}

#[test]
fn sffsd_with_an_order_index_for_time() {
    check(
        "sffsd/S-FFSD.csv.zst",
        &map(r#"event = "payment"
               id = { sequence = "sffsd-{n}" }
               time = { column = "Time", format = { start = "2020-01-01", step = "1m" } }
               order = "check"
               [fields]
               customer = "Source"
               terminal = "Target"
               amount = "Amount"
               [label]
               column = "Labels"
               values = { "0" = "legitimate", "1" = "fraud" }
               known_after = "1d""#),
        schema(PAYMENT),
        Count { events: 77_881, labels: (29_099, 544), ..Count::default() },
        "payment sffsd-1 2020-01-01T00:00:00Z customer=S10000 terminal=T1000 amount=1374EUR",
    );
}

#[test]
fn amlsim_transfers_by_step() {
    check(
        "amlsim/20K_fanin200_transactions.csv.zst",
        &map(r#"event = "transfer"
               id = { sequence = "aml-{n}" }
               time = { column = "time", format = { start = "2017-01-01T00:00:00Z", step = "1d" } }
               [fields]
               from = "sourceNodeId"
               to = "targetNodeId"
               amount = { column = "value", currency = "USD" }"#),
        schema("entity account\nevent transfer\n  from: account\n  to: account\n  amount: money"),
        Count { events: 118_250, ..Count::default() },
        "transfer aml-1 2017-01-02T00:00:00Z from=360 to=18984 amount=10355USD",
    );
}

#[test]
fn bank_with_types_by_a_column() {
    check(
        "bank_tx_device/bank_transactions_data_2.csv.zst",
        &map(r#"event = { column = "TransactionType", values = { Debit = "payment" }, other = "skip" }
               id = "TransactionID"
               time = { column = "TransactionDate", format = "%m/%d/%Y %H:%M" }
               order = "sort"
               [fields]
               customer = "AccountID"
               terminal = "MerchantID"
               amount = { column = "TransactionAmount", currency = "USD" }
               address = "IP Address"
               length = { column = "TransactionDuration", unit = "s" }
               tries = "LoginAttempts""#),
        schema(&format!("{PAYMENT}\n  address: text(15)\n  length: duration\n  tries: int")),
        Count { events: 1_944, skipped: 568, ..Count::default() },
        "payment TX001063 2023-01-02T16:00:00Z customer=AC00456 terminal=M089 amount=6810USD address=94.227.164.192 length=47000000 tries=1",
    );
}

#[test]
fn mojaloop_with_web_dates_and_places_in_one_cell() {
    check(
        "mojaloop_frm/historical-data-1607569708.csv",
        &map(r#"event = "payment"
               id = "TransactionID"
               time = { column = "HTTPTransactionDate", format = "%a, %d %b %Y %H:%M:%S GMT", zone = "UTC" }
               [fields]
               customer = "PayerContactNo"
               terminal = "PayeeContactNo"
               amount = { column = "Amount", currency = "TZS" }
               place = "Location"
               document = "Payer.PartyID""#),
        schema(&format!("{PAYMENT}\n  place: place\n  document: text(30)")),
        Count { events: 110, ..Count::default() },
        "payment 9f3139ad-5fd2-4008-9fb5-00776aa99ce9 2020-10-01T17:48:48Z customer=2558617728568 terminal=2558799634560 amount=23000TZS place=355918180,175777000 document=5706257071089",
    );
}
