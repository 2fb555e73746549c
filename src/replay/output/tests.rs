//! Values as cells, and cells as columns of Parquet.

use engine::entity::HashKey;
use engine::lists::ValueLists;
use rules::place::Place;
use rules::schema::{Currency, EnumId, KindId};
use rules::typed::Numeric;
use stream::snapshot::Extra;

use super::*;

const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity user\nenum channel = app, web\n\
    event pay\n  user: user\n  note: text(9)?\n";
const RULES: &str = "use schema s\nfeature n = note ?? \"none\"";

fn rule_set() -> RuleSet {
    let typed = rules::testing::rule_set(SCHEMA, RULES);
    RuleSet::new(typed, HashKey::new([7; 16]), ValueLists::default()).unwrap()
}

#[test]
fn a_value_is_a_cell_of_its_types_kind() {
    let rules = rule_set();
    let texts = Texts::begin(&rules, &[], &Extra::new()).unwrap();
    let exact = |scale| Numeric::Exact { scale, digits: 20 };
    let euro = Currency::from_code("EUR").unwrap();
    let place = Place::new(295_600_000, -1_065_500_000).unwrap().pack();
    let hash = |text: &str| Value::Exact(rules.key.slot(text).into());
    #[rustfmt::skip]
    let rows = [
        (Value::Missing,             Type::Flag,                        Kind::Flag,      ""),
        (Value::Flag(true),          Type::Flag,                        Kind::Flag,      "1"),
        (Value::Flag(false),         Type::Flag,                        Kind::Flag,      "0"),
        (Value::Exact(12_500),       Type::Number(exact(3)),            Kind::Exact(3),  "12.5"),
        (Value::Exact(-7),           Type::Number(exact(0)),            Kind::Exact(0),  "-7"),
        (Value::Exact(500),          Type::Money(euro, exact(0)),       Kind::Exact(0),  "500"),
        (Value::Exact(7_515),        Type::Money(euro, exact(2)),       Kind::Exact(2),  "75.15"),
        (Value::Real(0.1),           Type::Money(euro, Numeric::Real),  Kind::Real,      "0.1"),
        (Value::Exact(60_000_000),   Type::Duration(exact(0)),          Kind::Exact(0),  "60000000"),
        (Value::Real(12.5),          Type::Distance,                    Kind::Real,      "12.5"),
        (Value::Exact(0),            Type::Time,                        Kind::Time,      "1970-01-01T00:00:00Z"),
        (Value::Exact(place.into()), Type::Place,                       Kind::Text,      "29.56 -106.55"),
        (Value::Exact(1),            Type::Enum(EnumId(5)),             Kind::Text,      "web"),
        (Value::Exact(0),            Type::EventType,                   Kind::Text,      "pay"),
        (hash("none"),               Type::Text,                        Kind::Text,      "none"),
        (hash("unheard of"),         Type::Text,                        Kind::Text,      ""),
        (hash("none"),               Type::Entity(KindId(0)),           Kind::Text,      "none"),
    ];
    for (value, ty, kind, expected) in rows {
        let (mut room, mut text) = (String::new(), String::new());
        let cell = Cell::of(value, ty, &rules, &texts, &mut room);
        cell.push(&mut text);
        assert_eq!((Kind::of(ty), text.as_str()), (kind, expected), "{value:?} {ty:?}");
        assert_eq!(cell == Cell::Missing, expected.is_empty(), "{value:?} {ty:?}");
    }
}

#[cfg(feature = "parquet")]
mod parquet {
    use std::fs::File;

    use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
    use ::parquet::record::RowAccessor as _;

    use super::*;
    use crate::replay::output::parquet::{GROUP_ROWS, ParquetFile};

    fn columns(kinds: &[(&str, Kind)]) -> Vec<Column> {
        kinds.iter().map(|(name, kind)| Column { name: (*name).to_owned(), kind: *kind }).collect()
    }

    #[test]
    fn rows_are_written_a_group_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.parquet");
        let kinds = [("n", Kind::Exact(0)), ("words", Kind::Words)];
        let mut file = ParquetFile::create(&path, columns(&kinds)).unwrap();
        let rows = 2 * GROUP_ROWS + 3;
        for row in 0..rows {
            file.cell(Cell::Exact(row as i128, 0)).unwrap();
            file.cell(Cell::Words(["", "a", "a;b"][row % 3])).unwrap();
            file.end_row().unwrap();
        }
        file.finish().unwrap();
        let read = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        let groups = read.metadata().row_groups().iter().map(|it| it.num_rows()).collect::<Vec<_>>();
        assert_eq!(groups, [GROUP_ROWS as i64, GROUP_ROWS as i64, 3]);
        for (row, record) in read.get_row_iter(None).unwrap().enumerate() {
            let record = record.unwrap();
            assert_eq!(record.get_long(0).unwrap(), row as i64);
            assert_eq!(record.get_list(1).unwrap().len(), row % 3);
        }
    }

    #[test]
    fn a_file_without_rows_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.parquet");
        ParquetFile::create(&path, columns(&[("n", Kind::Real)])).unwrap().finish().unwrap();
        let read = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        assert_eq!(read.metadata().file_metadata().num_rows(), 0);
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.parquet");
        let mut file = ParquetFile::create(&path, columns(&[("spent", Kind::Exact(0))])).unwrap();
        file.cell(Cell::Exact(i64::MAX.into(), 0)).unwrap();
        file.end_row().unwrap();
        let error = file.cell(Cell::Exact(i128::from(i64::MAX) + 1, 0)).unwrap_err().to_string();
        assert!(error.contains("n.parquet") && error.contains("`spent` is 9223372036854775808"), "{error}");
    }
}
