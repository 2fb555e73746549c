//! What `weir replay` writes, by the name of the file: CSV, packed CSV and Parquet hold the same cells; features that
//! are texts or ids are written as such, in one run or in several.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::program::{output, run};

/// A feature of every kind that a column can have.
const RULES: &str = r#"use schema wallet
const tiny = 2.00 CNY
feature n           = count(any) by user over 1h
feature spent       = sum(payment.amount) by user over 1d
feature fee         = amount * 0.015
feature usual       = mean(payment.amount) by user over 30d before
feature share       = ratio(payment where amount < tiny) by user over 1d
feature half        = n * 0.5
feature new_device  = first_seen(device) by user
feature idle        = time_since(any) by user
feature last_place  = last(any.place) by user
feature moved       = distance(place, last_place)
feature last_device = last(any.device) by user
feature first_shop  = first(payment.merchant) by user over 1d
feature last_mcc    = last(payment.mcc) by user over 12h
feature channel_was = last(payment.channel) by user
feature when_was    = last(any.time) by user
feature this_device = device
feature before_that = last(any.last_device) by user
rule tries "Tiny payments" on payment when n >= 2 and amount < tiny then score +12.5, alert low
rule many  "Many events" on payment, login when n >= 2 then score +40, alert high
rule new   "New" on login when new_device ?? false then challenge
policy
  block when score >= 50
"#;

/// A folder with rules and traffic.
struct Fixture(tempfile::TempDir);

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("r.weir"), RULES).unwrap();
        fs::copy("fixtures/wallet/wallet.schema.weir", folder.path().join("wallet.schema.weir")).unwrap();
        let fixture = Self(folder);
        let traffic = fixture.path("traffic.jsonl");
        let out = traffic.to_str().unwrap();
        run(&["simulate", "--seed", "3", "--users", "120", "--days", "3", "--out", out]);
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replays a file, and gives what was said.
    fn replay(&self, file: &Path, out: &str, features: &str, more: &[&str]) -> String {
        self.replay_by("r.weir", file, out, features, more)
    }

    fn replay_by(&self, rules: &str, file: &Path, out: &str, features: &str, more: &[&str]) -> String {
        let paths = [rules, out, features, "rejects.csv"].map(|it| self.path(it));
        let [rules, out, features, rejects] = paths.each_ref().map(|it| it.to_str().unwrap());
        let mut arguments = vec!["replay", file.to_str().unwrap(), "--rules", rules, "--rejects", rejects];
        arguments.extend(["--out", out, "--features", features]);
        let said = run(&[&arguments[..], more].concat());
        String::from_utf8(said.stderr).unwrap()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }
}

/// The column of a name, without its header.
pub(crate) fn column(csv: &str, name: &str) -> Vec<String> {
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let at = rows.headers().unwrap().iter().position(|it| it == name).unwrap();
    rows.records().map(|row| row.unwrap()[at].to_owned()).collect()
}

#[test]
fn packed_csv_is_the_same_csv() {
    let fixture = Fixture::new();
    let traffic = fixture.path("traffic.jsonl");
    fixture.replay(&traffic, "out.csv", "features.csv", &[]);
    fixture.replay(&traffic, "out.csv.gz", "features.csv.zst", &[]);
    let (mut out, mut features) = (String::new(), String::new());
    flate2::read::GzDecoder::new(&*fixture.bytes("out.csv.gz")).read_to_string(&mut out).unwrap();
    zstd::Decoder::new(&*fixture.bytes("features.csv.zst")).unwrap().read_to_string(&mut features).unwrap();
    assert!(out == fixture.text("out.csv") && features == fixture.text("features.csv"));
}

/// What a text feature must be, told from the traffic itself.
#[test]
fn texts_and_ids_are_written_as_they_came() {
    let fixture = Fixture::new();
    let traffic = fixture.path("traffic.jsonl");
    let said = fixture.replay(&traffic, "out.csv", "features.csv", &[]);
    assert!(!said.contains("left empty"), "{said}");
    let features = fixture.text("features.csv");
    let [last, this, before_that] =
        ["last_device", "this_device", "before_that"].map(|it| column(&features, it));
    let (mut devices, mut earlier) = (std::collections::HashMap::new(), std::collections::HashMap::new());
    let events = fixture.text("traffic.jsonl");
    let events = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut told = 0;
    for (row, event) in events.filter(|it| it.get("user").is_some()).enumerate() {
        let user = event["user"].as_str().unwrap().to_owned();
        let device = event.get("device").map(|it| it.as_str().unwrap().to_owned());
        let known: Option<&String> = devices.get(&user);
        assert_eq!(last[row], known.cloned().unwrap_or_default(), "row {row}");
        assert_eq!(this[row], device.clone().unwrap_or_default(), "row {row}");
        let was = earlier.get(&user).cloned().unwrap_or_default();
        assert_eq!(before_that[row], was, "row {row}");
        if let Some(known) = known.cloned() {
            told += 1;
            earlier.insert(user.clone(), known);
        }
        if let Some(device) = device {
            devices.insert(user, device);
        }
    }
    assert!(told > 1_000, "{told} rows have a device before them");
    for name in ["first_shop", "last_mcc", "channel_was", "when_was"] {
        assert!(column(&features, name).iter().filter(|it| !it.is_empty()).count() > 100, "{name}");
    }
}

#[test]
fn texts_go_on_through_a_state() {
    let fixture = Fixture::new();
    fixture.replay(&fixture.path("traffic.jsonl"), "out.csv", "features.csv", &[]);
    let traffic = fixture.text("traffic.jsonl");
    let lines: Vec<&str> = traffic.lines().collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    for kept in ["--state", "--data"] {
        let state = fixture.path(kept);
        let more = [kept, state.to_str().unwrap()];
        let mut got = String::new();
        for part in [first, second] {
            let file = fixture.path("part.jsonl");
            fs::write(&file, part.join("\n")).unwrap();
            let said = fixture.replay(&file, "part.csv", "part.features.csv", &more);
            assert!(!said.contains("left empty"), "{said}");
            let part = fixture.text("part.features.csv");
            got += if got.is_empty() { &part } else { part.split_once('\n').unwrap().1 };
        }
        assert!(got == fixture.text("features.csv"), "{kept}");
    }
}

/// Rules that ask for texts only now: what came before they did is known as a hash only.
#[test]
fn texts_that_nobody_remembers_are_left_empty_and_counted() {
    let fixture = Fixture::new();
    fs::write(fixture.path("before.weir"), "use schema wallet\nfeature n = count(any) by user over 1h\n")
        .unwrap();
    let traffic = fixture.text("traffic.jsonl");
    let lines: Vec<&str> = traffic.lines().collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    let (data, part) = (fixture.path("data"), fixture.path("part.jsonl"));
    let more = ["--data", data.to_str().unwrap()];
    fs::write(&part, first.join("\n")).unwrap();
    fixture.replay_by("before.weir", &part, "out.csv", "features.csv", &more);
    fs::write(&part, second.join("\n")).unwrap();
    let said = fixture.replay(&part, "out.csv", "features.csv", &more);
    assert!(said.contains("cells of features left empty"), "{said}");
}

#[test]
fn a_name_that_cannot_be_written_is_refused_before_anything_is_read() {
    let fixture = Fixture::new();
    let [rules, traffic] = ["r.weir", "traffic.jsonl"].map(|it| fixture.path(it).display().to_string());
    let refused = |arguments: &[&str], says: &str| {
        let output = output(&[&["replay", &traffic, "--rules", &rules], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(says), "{said}");
    };
    refused(&["--out", "nowhere/at/all.csv"], "`nowhere/at/all.csv` cannot be written");
    if cfg!(feature = "parquet") {
        refused(&["--out", "nowhere/at/all.parquet"], "`nowhere/at/all.parquet` cannot be written");
    } else {
        refused(&["--out", "d.parquet"], "`d.parquet`: this build does not write Parquet");
    }
}

#[cfg(feature = "parquet")]
mod parquet {
    use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
    use ::parquet::record::Field;
    use ::parquet::schema::printer::print_schema;
    use expect_test::expect;

    use super::*;

    /// A cell as CSV has it.
    fn cell(field: &Field) -> String {
        match field {
            Field::Null => String::new(),
            Field::Str(text) => text.clone(),
            Field::Byte(it) => it.to_string(),
            Field::Long(it) => it.to_string(),
            Field::Double(it) => it.to_string(),
            Field::TimestampMicros(it) => jiff::Timestamp::from_microsecond(*it).unwrap().to_string(),
            Field::Decimal(decimal) => {
                let bytes = <[u8; 16]>::try_from(decimal.data()).unwrap();
                let scale = u32::try_from(decimal.scale()).unwrap();
                let exact = rust_decimal::Decimal::from_i128_with_scale(i128::from_be_bytes(bytes), scale);
                exact.normalize().to_string()
            }
            Field::ListInternal(list) => list.elements().iter().map(cell).collect::<Vec<_>>().join(";"),
            other => panic!("{other:?}"),
        }
    }

    fn open(path: &Path) -> SerializedFileReader<fs::File> {
        SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap()
    }

    fn schema(path: &Path) -> String {
        let mut text = Vec::new();
        print_schema(&mut text, open(path).metadata().file_metadata().schema());
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn cells_are_those_of_csv_and_two_runs_give_the_same_bytes() {
        let fixture = Fixture::new();
        let traffic = fixture.path("traffic.jsonl");
        fixture.replay(&traffic, "out.csv", "features.csv", &[]);
        fixture.replay(&traffic, "out.parquet", "features.parquet", &[]);
        fixture.replay(&traffic, "again.parquet", "again.features.parquet", &[]);
        for (name, again) in [("out", "again"), ("features", "again.features")] {
            let [once, twice] = [name, again].map(|it| fixture.bytes(&format!("{it}.parquet")));
            assert!(once == twice, "{name} twice");
            let csv = fixture.text(&format!("{name}.csv"));
            let mut expected = csv::Reader::from_reader(csv.as_bytes());
            let names: Vec<_> = expected.headers().unwrap().iter().map(str::to_owned).collect();
            let read = open(&fixture.path(&format!("{name}.parquet")));
            let mut got = read.get_row_iter(None).unwrap();
            let mut rows = 0;
            for expected in expected.records() {
                let got = got.next().unwrap().unwrap();
                for ((name, expected), (column, field)) in
                    names.iter().zip(expected.unwrap().iter()).zip(got.get_column_iter())
                {
                    assert_eq!((column, cell(field).as_str()), (name, expected), "row {rows}");
                }
                assert_eq!(got.len(), names.len());
                rows += 1;
            }
            assert!(got.next().is_none() && rows > 1_000, "{rows} rows");
            assert!(name != "out" || column(&csv, "hits").iter().any(|it| it.contains(';')), "two hits");
        }
    }

    #[test]
    fn columns_have_types() {
        let fixture = Fixture::new();
        fixture.replay(&fixture.path("traffic.jsonl"), "out.parquet", "features.parquet", &[]);
        expect![[r#"
            message weir {
              OPTIONAL BYTE_ARRAY event_id (STRING);
              OPTIONAL INT64 time (TIMESTAMP(MICROS,true));
              OPTIONAL BYTE_ARRAY type (STRING);
              OPTIONAL BYTE_ARRAY outcome (STRING);
              OPTIONAL FIXED_LEN_BYTE_ARRAY (16) score (DECIMAL(38,6));
              REQUIRED group hits (LIST) {
                REPEATED group list {
                  REQUIRED BYTE_ARRAY element (STRING);
                }
              }
              REQUIRED group alerts (LIST) {
                REPEATED group list {
                  REQUIRED BYTE_ARRAY element (STRING);
                }
              }
              OPTIONAL BYTE_ARRAY rule_set (STRING);
              REQUIRED group flags (LIST) {
                REPEATED group list {
                  REQUIRED BYTE_ARRAY element (STRING);
                }
              }
            }
        "#]]
        .assert_eq(&schema(&fixture.path("out.parquet")));
        expect![[r#"
            message weir {
              OPTIONAL BYTE_ARRAY event_id (STRING);
              OPTIONAL INT64 n;
              OPTIONAL INT64 spent;
              OPTIONAL FIXED_LEN_BYTE_ARRAY (16) fee (DECIMAL(38,3));
              OPTIONAL DOUBLE usual;
              OPTIONAL DOUBLE share;
              OPTIONAL FIXED_LEN_BYTE_ARRAY (16) half (DECIMAL(38,1));
              OPTIONAL INT32 new_device (INTEGER(8,true));
              OPTIONAL INT64 idle;
              OPTIONAL BYTE_ARRAY last_place (STRING);
              OPTIONAL DOUBLE moved;
              OPTIONAL BYTE_ARRAY last_device (STRING);
              OPTIONAL BYTE_ARRAY first_shop (STRING);
              OPTIONAL BYTE_ARRAY last_mcc (STRING);
              OPTIONAL BYTE_ARRAY channel_was (STRING);
              OPTIONAL INT64 when_was (TIMESTAMP(MICROS,true));
              OPTIONAL BYTE_ARRAY this_device (STRING);
              OPTIONAL BYTE_ARRAY before_that (STRING);
            }
        "#]]
        .assert_eq(&schema(&fixture.path("features.parquet")));
    }
}
