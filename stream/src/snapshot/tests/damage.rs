//! Whatever was not written is refused, by name and place, and the snapshot before is used.

use std::fs;
use std::ops::Range;

use super::feed::{event, rule_set};
use super::*;

/// Where the blocks of a snapshot stand in its file.
pub(super) fn blocks(path: &Path) -> Vec<Range<usize>> {
    let bytes = fs::read(path).unwrap();
    let (mut blocks, mut at) = (Vec::new(), 16);
    while at < bytes.len() {
        let packed = u32::from_le_bytes(bytes[at + 5..at + 9].try_into().unwrap());
        let end = at + 13 + usize::try_from(packed).unwrap();
        blocks.push(at..end);
        at = end;
    }
    blocks
}

/// A directory with a snapshot of a few events and blobs.
fn small() -> (tempfile::TempDir, DataDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let path = write(&dir, &gate_after(9), &Extra::from([("a".into(), vec![1; 40])])).unwrap();
    (folder, dir, path)
}

fn gate_after(events: i64) -> Gate {
    let rules = rule_set();
    let gate = new_gate(&rules);
    let payment = |at: i64| {
        let fields = [("user", at % 3), ("merchant", at % 2), ("device", at % 4), ("amount", 100 + at)];
        Item::Event(event(&rules.typed.schema, "payment", &format!("p-{at}"), at * 1_000_000, &fields))
    };
    run(&gate, &(0..events).map(payment).collect::<Vec<_>>());
    gate
}

/// Whether a file with these bytes is refused as damaged; says how.
fn refused(folder: &Path, bytes: &[u8]) -> Option<String> {
    let path = folder.join("changed");
    fs::write(&path, bytes).unwrap();
    match read_from(&path, &rule_set()) {
        Err(error @ SnapshotError::Damaged { .. }) => Some(error.to_string()),
        _ => None,
    }
}

#[test]
fn a_flipped_bit_is_refused_wherever_it_is() {
    let (folder, _dir, path) = small();
    let whole = fs::read(path).unwrap();
    assert_eq!(refused(folder.path(), &whole), None);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(refused(folder.path(), &bytes).is_some(), "a bit of byte {at} of {}", whole.len());
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let (folder, _dir, path) = small();
    let whole = fs::read(path).unwrap();
    for length in 0..whole.len() {
        assert!(refused(folder.path(), &whole[..length]).is_some(), "{length} of {} bytes", whole.len());
    }
}

/// Blocks that are whole, each, and not the file that was written.
#[test]
fn blocks_that_are_missing_doubled_or_added_are_refused() {
    let (folder, _dir, path) = small();
    let (whole, blocks) = (fs::read(&path).unwrap(), blocks(&path));
    for block in &blocks {
        let without = [&whole[..block.start], &whole[block.end..]].concat();
        assert!(refused(folder.path(), &without).is_some(), "without {block:?}");
        let doubled = [&whole[..block.end], &whole[block.start..]].concat();
        assert!(refused(folder.path(), &doubled).is_some(), "{block:?} twice");
    }
    assert!(refused(folder.path(), &[&whole[..], b"x"].concat()).is_some(), "a byte more");
}

#[test]
fn damage_is_named_by_file_block_and_offset() {
    let (folder, _dir, path) = small();
    let (mut bytes, blocks) = (fs::read(&path).unwrap(), blocks(&path));
    let third = blocks[2].clone();
    bytes[third.end - 1] ^= 1;
    let expected = format!(
        "snapshot `{}` is damaged: block 2, byte {}: its checksum is wrong",
        folder.path().join("changed").display(),
        third.start
    );
    assert_eq!(refused(folder.path(), &bytes), Some(expected));
}

#[test]
fn the_snapshot_before_a_damaged_one_is_used_and_kept_once_that_was_said() {
    let (_folder, dir, older) = small();
    let rules = rule_set();
    let newer = write(&dir, &gate_after(20), &Extra::new()).unwrap();
    let mut bytes = fs::read(&newer).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&newer, bytes).unwrap();
    let lost = restore(&dir, &rules).unwrap_err().to_string();
    let aside = newer.with_extension("damaged");
    let end = format!(
        "its checksum is wrong; it is now `{}`, and the snapshot before it does not hold the last run, which is lost: replay \
         its files again, then go on with these",
        aside.display()
    );
    assert!(lost.ends_with(&end), "{lost}");
    let restored = restore(&dir, &rules).unwrap().unwrap();
    assert_eq!(restored.gate.next_position(), 9);
    assert_eq!(restored.extra["a"], [1; 40]);
    let written = write(&dir, &restored.gate, &Extra::new()).unwrap();
    assert_eq!(files(&dir), [written, older]);
    assert!(aside.exists());
}

/// Then nothing is renamed, so that nobody starts from nothing the next time.
#[test]
fn where_all_are_damaged_all_are_named() {
    let (_folder, dir, older) = small();
    let newer = write(&dir, &gate_after(20), &Extra::new()).unwrap();
    for path in [&older, &newer] {
        fs::write(path, b"weirsnap").unwrap();
    }
    for _ in 0..2 {
        let error = restore(&dir, &rule_set()).unwrap_err().to_string();
        let damaged = |path: &Path| {
            format!(
                "snapshot `{}` is damaged: block 0, byte 0: the file is too short to be one",
                path.display()
            )
        };
        let (newer, older) = (damaged(&newer), damaged(&older));
        let expected = format!("no snapshot is whole ({newer}; {older}): bring one of them back from a copy");
        assert_eq!(error, expected);
        assert_eq!(newest(&dir).unwrap_err().to_string(), expected);
    }
}

#[test]
fn formats_are_told_apart() {
    let (_folder, dir, path) = small();
    let restored = |format: u32| {
        let mut bytes = fs::read(&path).unwrap();
        bytes[8..12].copy_from_slice(&format.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..12]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        fs::write(&path, bytes).unwrap();
        restore(&dir, &rule_set())
    };
    assert!(restored(1).unwrap().is_some(), "it is read as it was written");
    assert_eq!(
        restored(3).unwrap_err().to_string(),
        format!(
            "snapshot `{}` has format 3, and this version reads up to 2: use a later version",
            path.display()
        )
    );
}

/// A snapshot that was written while decisions went on has seen records behind its start, and waited until they were on
/// the disk: its last block tells. What is damaged before does not hide it.
#[test]
fn the_last_block_tells_what_was_on_the_disk() {
    let (_folder, dir, path) = small();
    let mut reader = BlockReader::at(&path).unwrap();
    let header = Header { start: 5, ..read_header(&mut reader).unwrap() };
    let end = End { blocks: 2, entities: 0, ids: 0, seen_below: 9, ids_let_go: None };
    let mut out = BlockWriter::new(Box::new(fs::File::create(&path).unwrap()), None).unwrap();
    write_message(&mut out, BlockKind::Header, &header).unwrap();
    write_extra(&mut out, "a", &[1; 40]).unwrap();
    write_message(&mut out, BlockKind::End, &end).unwrap();
    out.finish().unwrap();
    let (whole, blocks) = (fs::read(&path).unwrap(), blocks(&path));
    // Which byte is changed, and what is known then.
    let rows = [
        (None, 9),
        (Some(blocks[1].end - 1), 9),
        (Some(blocks[2].end - 1), 5),
        (Some(blocks[1].start + 5), 5),
    ];
    for (at, expected) in rows {
        let mut bytes = whole.clone();
        at.into_iter().for_each(|at: usize| bytes[at] ^= 1);
        fs::write(&path, bytes).unwrap();
        let found = newest(&dir).unwrap().unwrap();
        assert_eq!((found.start, found.seen_below), (5, expected), "{at:?}");
    }
}

/// What a crash leaves of a snapshot that was not finished is no snapshot.
#[test]
fn a_draft_is_no_snapshot() {
    let (_folder, dir, path) = small();
    fs::write(dir.draft().path(), b"half").unwrap();
    assert_eq!(files(&dir), [path]);
    assert!(restore(&dir, &rule_set()).unwrap().is_some());
}
