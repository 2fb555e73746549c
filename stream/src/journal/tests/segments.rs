//! Rolling, sealing, indexes, looking up, dropping.

use std::collections::BTreeMap;

use engine::decision::decision_number;

use super::*;
use crate::journal::index::file::{self, IndexFile};
use crate::journal::{segment, verify};

/// A journal of many small segments, whose indexes are filed.
fn rolled(records: u64) -> (Simulated, Log) {
    let disk = Simulated::new(11);
    let mut log = open(&disk, 8 << 10).unwrap();
    while log.next() < records {
        let left = records - log.next();
        write(&mut log, left.min(3)).unwrap();
        if let Some(sealed) = log.take_sealed() {
            log.shelf.file_index(&sealed);
        }
    }
    log.mark(Role::Closed).unwrap();
    log.shelf.set_durable(log.next());
    (disk, log)
}

fn names(disk: &Simulated, suffix: &str) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.retain(|name| name.ends_with(suffix));
    names
}

/// Asks for everything, and compares with a slow reading.
#[track_caller]
fn check_lookups(log: &Log, from: u64) {
    let (mut by_id, mut by_entity) = (BTreeMap::new(), BTreeMap::<_, Vec<u64>>::new());
    for offset in from..log.next() {
        id(offset).map(|id| by_id.insert(id, offset));
        for entity in entities(offset) {
            by_entity.entry(entity).or_default().push(offset);
        }
    }
    for (id, offset) in by_id {
        let find = |id, within| log.shelf.find(id, within).unwrap().map(|(offset, _)| offset);
        assert_eq!(find(id, 0..u64::MAX), Some(offset), "id {id:x}");
        assert_eq!(find(id, offset..offset + 1), Some(offset), "id {id:x}");
        assert_eq!(find(id, offset + 1..u64::MAX), None, "id {id:x}");
        assert!(find(id, 0..offset).is_none_or(|before| before < offset), "id {id:x}");
        assert_eq!(find(id ^ 1, 0..u64::MAX), None, "another id with the same 64 bits");
        assert_eq!(find(id ^ 1 << 100, 0..u64::MAX), None);
    }
    let decided = (from..log.next()).filter_map(|offset| Some((event_id(offset)?, offset)));
    for (id, offset) in decided.collect::<BTreeMap<_, _>>() {
        let number = decision_number(0, &id);
        let find = |number| log.shelf.find_decision(number).unwrap();
        assert_eq!(find(number), Some(offset), "the newest decision of {id}");
        assert_eq!(find(number ^ 1), None, "another decision with the same 64 bits");
        assert_eq!(find(number ^ 1 << 100), None);
    }
    for (entity, offsets) in by_entity {
        let newest_first: Vec<u64> = offsets.into_iter().rev().collect();
        for most in [0, 1, 5, usize::MAX] {
            let mut found = Vec::new();
            log.shelf.about(entity, most, &mut found).unwrap();
            let expected: Vec<u64> = newest_first.iter().copied().take(most).collect();
            assert_eq!(found, expected, "{entity:?}, {most} at most");
        }
    }
    let mut bytes = Vec::new();
    for offset in 0..log.next() + 2 {
        let found = log.shelf.read(offset, &mut bytes).unwrap();
        assert_eq!(found.is_some(), (from..log.next()).contains(&offset), "record {offset}");
        if found.is_some() {
            assert_eq!(bytes, body(offset));
        }
    }
}

#[test]
fn everything_is_found_in_memory_in_files_and_after_opening() {
    let (disk, log) = rolled(120);
    assert!(5 < names(&disk, ".segment").len());
    assert_eq!(names(&disk, ".index").len() + 1, names(&disk, ".segment").len());
    check_lookups(&log, 0);
    drop(log);
    let log = open(&disk, 8 << 10).unwrap();
    check_lookups(&log, 0);
    assert_eq!(log.shelf.take_notes(), Vec::<String>::new());
    for from in 0..=121 {
        assert_eq!(check_records(reader(&disk, from).unwrap(), from), from.max(120));
    }
}

#[test]
fn a_damaged_or_missing_index_is_built_again_and_said() {
    let (disk, _) = rolled(60);
    let index = names(&disk, ".index")[1].clone();
    let bytes = disk.contents(&index);
    for at in (0..bytes.len() as u64).step_by(7) {
        disk.put(&index, &bytes);
        assert!(disk.flip(&index, at, 5));
        let log = open(&disk, 8 << 10).unwrap();
        check_lookups(&log, 0);
        let said = format!("the index `simulated/{index}` is missing or damaged; it is built again");
        assert_eq!(log.shelf.take_notes(), [said], "flipped {at}");
        assert_eq!(disk.contents(&index), bytes, "flipped {at}");
    }
    disk.remove(&index).unwrap();
    check_lookups(&open(&disk, 8 << 10).unwrap(), 0);
    assert_eq!(disk.contents(&index), bytes);
    for cut in [0, 50, bytes.len() - 1] {
        disk.put(&index, &bytes[..cut]);
        let first = index.split('.').next().unwrap().parse().unwrap();
        assert_eq!(file::name(first), index);
        assert!(IndexFile::open(&disk, first).unwrap().is_err(), "cut at {cut}");
    }
}

/// As the versions before this one left them, without decisions.
#[test]
fn indexes_of_an_earlier_version_are_built_again_and_that_is_said_once() {
    let (disk, _) = rolled(60);
    let indexes = names(&disk, ".index");
    let whole: Vec<_> = indexes.iter().map(|it| disk.contents(it)).collect();
    for (index, bytes) in indexes.iter().zip(&whole) {
        let mut older = bytes.clone();
        older[8..12].copy_from_slice(&1_u32.to_le_bytes());
        let crc = crc32c::crc32c(&older[..80]);
        older[80..84].copy_from_slice(&crc.to_le_bytes());
        disk.put(index, &older);
    }
    let log = open(&disk, 8 << 10).unwrap();
    check_lookups(&log, 0);
    let said = "indexes of an earlier version are built again as they are needed";
    assert_eq!(log.shelf.take_notes(), [said]);
    assert!(indexes.iter().map(|it| disk.contents(it)).eq(whole));
}

#[test]
fn what_is_dropped_is_gone_and_the_rest_stands() {
    let (disk, log) = rolled(120);
    let before = names(&disk, ".segment").len();
    assert_eq!(log.shelf.prune(0).unwrap(), 0);
    let dropped = log.shelf.prune(60).unwrap();
    assert!(1 < dropped);
    assert_eq!(names(&disk, ".segment").len(), before - dropped);
    let oldest = log.shelf.oldest();
    assert!((40..=60).contains(&oldest), "{oldest}");
    check_lookups(&log, oldest);
    drop(log);
    disk.crash();
    let mut log = open(&disk, 8 << 10).unwrap();
    check_lookups(&log, oldest);
    // The newest is never dropped.
    log.shelf.prune(u64::MAX).unwrap();
    assert_eq!(names(&disk, ".segment").len(), 1);
    write(&mut log, 4).unwrap();
    log.mark(Role::Closed).unwrap();
    let oldest = log.shelf.oldest();
    assert_eq!(check_records(reader(&disk, 0).unwrap(), oldest), 124);
    let disk: Arc<dyn Disk> = Arc::new(disk);
    assert_eq!(verify(&disk, 0).unwrap().unwrap().oldest, oldest);
}

#[test]
fn a_segment_that_is_missing_or_cut_is_named() {
    #[track_caller]
    fn check(change: impl Fn(&Simulated, &[String]), expected: &str) {
        let (disk, _) = rolled(120);
        let segments = names(&disk, ".segment");
        change(&disk, &segments);
        let error = open(&disk, 8 << 10).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("simulated/"), "{error}");
    }
    check(|disk, segments| disk.remove(&segments[2]).unwrap(), "a segment between them is missing");
    check(
        |disk, segments| disk.put(&segments[2], &disk.contents(&segments[2])[..4000]),
        "is damaged at byte",
    );
    check(
        |disk, segments| {
            let bytes = disk.contents(&segments[2]);
            disk.put(&segments[2], &bytes[..bytes.len() - 512]);
        },
        "it is not the newest segment, and its end is missing",
    );
    check(|disk, segments| assert!(disk.flip(&segments[1], 40, 1)), "is damaged at byte 0");
    check(|disk, segments| disk.put(&segments[3], b""), "is damaged at byte 0");
}

#[test]
fn opening_quickly_leaves_old_segments_to_their_readers() {
    let (disk, _) = rolled(120);
    let segments = names(&disk, ".segment");
    assert!(disk.flip(&segments[1], 700, 1));
    let quick = |thorough| Log::open(Arc::new(disk.clone()), Opening { thorough, ..opening(8 << 10) });
    assert!(quick(Thorough::From(0)).is_err());
    assert!(quick(Thorough::Chain).is_err());
    let log = quick(Thorough::Newest).unwrap();
    assert_eq!(quick(Thorough::From(100)).unwrap().next(), log.next());
    let mut reader = Reader::new(Arc::clone(&log.shelf), 0).unwrap();
    let error = loop {
        match reader.next() {
            Ok(record) => assert!(record.is_some()),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, JournalError::Damaged { ref file, .. } if file.ends_with(&segments[1])),
        "{error}"
    );
}

#[test]
fn the_chain_goes_from_segment_to_segment() {
    let (disk, _) = rolled(120);
    let segments = names(&disk, ".segment");
    let (one, other) = (disk.contents(&segments[1]), disk.contents(&segments[2]));
    assert_eq!(segment::first_of(&segments[0]), Some(0));
    let whole: Arc<dyn Disk> = Arc::new(disk.clone());
    assert_eq!(verify(&whole, 0).unwrap().unwrap().next, 120);
    // A segment of another journal with the same records, whose batches are divided otherwise.
    let mut alike = open(&Simulated::new(1), 8 << 10).unwrap();
    while alike.next() < 120 {
        write(&mut alike, 1).unwrap();
    }
    assert_ne!(one, other);
    let foreign = alike.shelf.segments()[0].file.bytes().unwrap();
    let mut bytes = vec![0; foreign as usize];
    alike.shelf.segments()[0].file.read_at(&mut bytes, 0).unwrap();
    disk.put(&segments[0], &bytes);
    assert!(verify(&whole, 0).is_err());
}
