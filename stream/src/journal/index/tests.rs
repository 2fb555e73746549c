//! The index in memory and in its file against a plain list.

#![expect(clippy::cast_possible_truncation, reason = "numbers of tests are small")]

use std::io;

use proptest::prelude::*;

use super::file::{By, IndexFile};
use super::*;
use crate::disk::simulated::Simulated;

/// An id, a decision, and entities.
type Row = (u64, u64, Vec<u64>);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_find_what_a_list_finds(
        rows in prop::collection::vec((0..12_u64, 0..14_u64, prop::collection::vec(0..6_u64, 0..4)), 0..80),
        below in 0..90_u64,
    ) {
        let mut index = Index::default();
        for (record, (id, decision, entities)) in rows.iter().enumerate() {
            index.places.push(record as u32 * 3);
            // Those above ten: none.
            if *id < 10 {
                index.ids.push(*id << 60, record as u32);
            }
            if *decision < 10 {
                index.decisions.push(decision << 59 | 1, record as u32);
            }
            entities.iter().for_each(|entity| index.entities.push(entity << 60 | 1, record as u32));
        }
        let disk = Simulated::new(1);
        let written = IndexFile::write(&disk, 40, &index).unwrap();
        let read = IndexFile::open(&disk, 40).unwrap().unwrap();
        prop_assert!(IndexFile::open(&disk, 41).unwrap().is_err());
        for file in [written, read] {
            prop_assert_eq!(file.records(), rows.len() as u64);
            for record in 0..rows.len() as u64 {
                prop_assert_eq!(file.place(record).unwrap(), record * 3);
            }
            for key in 0..14 {
                let having = |has: &dyn Fn(&Row) -> usize| -> Vec<u64> {
                    let all = rows.iter().zip(0..).flat_map(|(row, record)| vec![record; has(row)]);
                    all.filter(|record| *record < below).collect::<Vec<_>>().into_iter().rev().collect()
                };
                let by_id = having(&|row| usize::from(row.0 == key && key < 10));
                let by_decision = having(&|row| usize::from(row.1 == key && key < 10));
                let by_entity = having(&|row| row.2.iter().filter(|it| **it == key).count());
                let looked_up =
                    [(By::Id, key << 60, &by_id), (By::Decision, key << 59 | 1, &by_decision), (By::Entity, key << 60 | 1, &by_entity)];
                for (by, key, expected) in looked_up {
                    prop_assert_eq!(&index.newest_first(by, key, below, usize::MAX), expected);
                    prop_assert_eq!(&in_file(&file, by, key, below), expected);
                    prop_assert!(by == By::Entity || expected.is_empty() || file.may_have_id(key));
                }
            }
        }
    }
}

fn in_file(file: &IndexFile, by: By, key: u64, below: u64) -> Vec<u64> {
    let mut found = Vec::new();
    file.newest_first(by, key, below, |record| {
        found.push(record);
        io::Result::Ok(true)
    })
    .unwrap();
    found
}

#[test]
fn the_filter_passes_few_that_are_not_there() {
    let mut index = Index::default();
    let key = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for record in 0..20_000 {
        index.places.push(record);
        index.ids.push(key(u64::from(record)), record);
    }
    let disk = Simulated::new(1);
    let file = IndexFile::write(&disk, 0, &index).unwrap();
    assert!((0..20_000).all(|at| file.may_have_id(key(at))));
    let passed = (20_000..120_000).filter(|at| file.may_have_id(key(*at))).count();
    assert!(passed < 1000, "{passed} of 100000");
}
