//! What is wrong at or below D is refused by name and never cut; what is wrong beyond it is.

use std::sync::Arc;

use super::*;
use crate::journal::batch::{HEAD_BYTES, HeadKey, SECTOR_BYTES};
use crate::journal::frame;
use crate::journal::segment::{self, Header};
use crate::journal::walk::{Found, Walk};
use crate::journal::{stat, verify};

/// Where the frames of a journal of one segment end, in order, and where its last head begins.
fn places(disk: &Simulated) -> (Vec<u64>, u64) {
    let mut walk = Walk::new(disk.open(&segment::name(0)).unwrap().into(), HeadKey::new(key()), 0);
    let mut ends = Vec::new();
    loop {
        match walk.step().unwrap() {
            Found::Frame(at) => ends.push(at + walk.current().bytes().len() as u64),
            Found::Head(_) => {}
            Found::End => return (ends, walk.batch_at()),
            Found::Bad(broken) => panic!("{broken:?}"),
        }
    }
}

fn copy(bytes: &[u8]) -> Simulated {
    let disk = Simulated::new(7);
    disk.put(&segment::name(0), bytes);
    disk
}

#[test]
fn cut_at_any_byte_it_keeps_every_record_before() {
    let (disk, records) = closed(&[3, 1, 4]);
    let bytes = disk.contents(&segment::name(0));
    let (ends, _) = places(&disk);
    for cut in 0..bytes.len() {
        let kept = ends.iter().filter(|end| **end <= cut as u64).count() as u64;
        let disk = copy(&bytes[..cut]);
        let mut log = open(&disk, 1 << 20).unwrap();
        assert_eq!(log.next(), kept, "cut at {cut}");
        // And it goes on, as if nothing had been.
        write(&mut log, 2).unwrap();
        log.mark(Role::Closed).unwrap();
        assert_eq!(check_records(reader(&disk, 0).unwrap(), 0), kept + 2, "cut at {cut}");
        let disk: Arc<dyn Disk> = Arc::new(disk);
        assert_eq!(verify(&disk, 0).unwrap().unwrap().next, kept + 2, "cut at {cut}");
    }
    assert_eq!(ends.len() as u64, records);
}

#[test]
fn cut_below_what_a_snapshot_knows_it_is_refused() {
    let (disk, records) = closed(&[3, 1, 4]);
    let bytes = disk.contents(&segment::name(0));
    let (ends, _) = places(&disk);
    for cut in 0..bytes.len() {
        let disk = copy(&bytes[..cut]);
        let opening = Opening { synced: records, ..opening(1 << 20) };
        let opened = Log::open(Arc::new(disk.clone()), opening);
        let whole = ends.last().is_some_and(|end| *end <= cut as u64);
        let read: Arc<dyn Disk> = Arc::new(copy(&bytes[..cut]));
        for (who, found) in [
            ("stat", stat(&read, records).is_ok()),
            ("verify", verify(&read, records).is_ok()),
            ("reader", Reader::open(Arc::clone(&read), 0, records).is_ok()),
        ] {
            assert_eq!(found, whole, "{who}, cut at {cut}");
        }
        assert_eq!(opened.is_ok(), whole, "cut at {cut}: {:?}", opened.err());
        if !whole {
            assert_eq!(disk.contents(&segment::name(0)), &bytes[..cut], "cut at {cut}: nothing is changed");
        }
    }
}

#[test]
fn a_flip_at_any_byte_below_the_last_mark_is_refused() {
    let (disk, records) = closed(&[3, 1, 4]);
    let bytes = disk.contents(&segment::name(0));
    let (_, last_head) = places(&disk);
    for at in 0..bytes.len() as u64 {
        let disk = copy(&bytes);
        assert!(disk.flip(&segment::name(0), at, (at % 8) as u8));
        let damaged = disk.contents(&segment::name(0));
        let opened = open(&disk, 1 << 20);
        if at < last_head {
            match opened.map(|log| log.next()) {
                Err(JournalError::Damaged { file, at: told, .. }) => {
                    assert_eq!(file, disk.path(&segment::name(0)));
                    assert!(told <= at, "flipped {at}, told {told}");
                    assert!(at < told + 2048, "flipped {at}, told {told}");
                }
                other => panic!("flipped {at}: {other:?}"),
            }
            assert_eq!(disk.contents(&segment::name(0)), damaged, "flipped {at}: nothing is changed");
            assert!(reader(&disk, 0).is_err(), "flipped {at}");
        } else {
            // Of the mark itself nothing tells that it was synced.
            assert_eq!(opened.unwrap().next(), records, "flipped {at}");
        }
    }
}

#[test]
fn beyond_what_was_synced_it_is_a_torn_tail() {
    let disk = Simulated::new(3);
    let mut log = open(&disk, 1 << 20).unwrap();
    write(&mut log, 5).unwrap();
    log.sync().unwrap();
    write(&mut log, 4).unwrap();
    drop(log);
    let bytes = disk.contents(&segment::name(0));
    let (ends, last_head) = places(&disk);
    for at in last_head..bytes.len() as u64 {
        let disk = copy(&bytes);
        assert!(disk.flip(&segment::name(0), at, 3));
        let log = open(&disk, 1 << 20).unwrap();
        let kept = ends.iter().take_while(|end| **end <= at).count() as u64;
        // A flip in a frame takes that frame and what follows; in the zeros at the end, no record.
        assert_eq!(log.next(), kept.max(5), "flipped {at}");
        let notes = log.shelf.take_notes();
        assert!(notes.iter().all(|note| note.contains("torn tail")) && notes.len() == 1, "{notes:?}");
    }
}

#[test]
fn records_that_look_like_heads_are_none() {
    // A body that holds, at the beginning of a sector, the bytes of a head of the journal itself.
    let (disk, _) = closed(&[1]);
    let bytes = disk.contents(&segment::name(0));
    let head = &bytes[512..512 + HEAD_BYTES];
    let mut body = vec![0; 4096];
    let at_frame = 512 + HEAD_BYTES + frame::FIXED_BYTES;
    for sector in 1..7 {
        let at = (sector + 1) * SECTOR_BYTES as usize - at_frame;
        body[at..at + HEAD_BYTES].copy_from_slice(head);
    }
    let disk = Simulated::new(5);
    let mut log = open(&disk, 1 << 20).unwrap();
    let mut batch = Batch::new(0, 0);
    let kind = RecordKind::Event;
    batch.push(&Entry { kind, body: &body, id: None, entities: &[], received_at: 0 });
    log.write(&mut batch).unwrap();
    drop(log);
    assert_eq!(&disk.contents(&segment::name(0))[1024..1024 + HEAD_BYTES], head);
    assert!(disk.flip(&segment::name(0), 700, 0));
    assert_eq!(open(&disk, 1 << 20).unwrap().next(), 0, "a torn tail: the heads in the body say nothing");
}

#[test]
fn other_folders_and_later_formats_are_refused_by_name() {
    #[track_caller]
    fn check(name: &str, bytes: &[u8], expected: &str) {
        let disk = Simulated::new(1);
        disk.put(name, bytes);
        let error = open(&disk, 1 << 20).unwrap_err().to_string();
        assert_eq!(error, expected);
        assert_eq!(disk.contents(name), bytes);
    }
    check(
        "photo.jpg",
        b"",
        "`simulated` is not a journal: it holds `photo.jpg`; name another folder, or an empty one",
    );
    let header = Header { partition: 0, tenant: 0, key: key(), first: 0, chain: [0; 32] };
    let mut newer = header.encode();
    newer[8] = 2;
    let crc = crc32c::crc32c(&newer[..508]).to_le_bytes();
    newer[508..].copy_from_slice(&crc);
    check(
        &segment::name(0),
        &newer,
        "`simulated/00000000000000000000.segment` has journal format 2, and this version reads formats up to 1: use a newer weir",
    );
    check(
        &segment::name(5),
        &header.encode(),
        "`simulated/00000000000000000005.segment` is damaged at byte 0: it begins with record 0, and its name says another; this was durable, so it is not cut: restore the file from a copy",
    );
    let (disk, _) = closed(&[1]);
    let mut later = disk.contents(&segment::name(0));
    let frame_at = 512 + HEAD_BYTES;
    later[frame_at + 16] = 77;
    let length = u32::from_le_bytes(*later[frame_at..].first_chunk().unwrap()) as usize;
    let crc = crc32c::crc32c_append(
        crc32c::crc32c(&later[frame_at..frame_at + 4]),
        &later[frame_at + 8..frame_at + length],
    );
    later[frame_at + 4..frame_at + 8].copy_from_slice(&crc.to_le_bytes());
    check(
        &segment::name(0),
        &later,
        "`simulated/00000000000000000000.segment` holds at byte 592 a record of kind 77, version 1, which this version does not know: use a newer weir",
    );
}

#[test]
fn a_record_exchanged_for_another_breaks_the_chain() {
    let (disk, _) = closed(&[2, 2]);
    let mut bytes = disk.contents(&segment::name(0));
    // Another body, with a checksum that fits: as somebody would do it who wants not to be seen.
    let frame_at = 512 + HEAD_BYTES;
    let length = u32::from_le_bytes(*bytes[frame_at..].first_chunk().unwrap()) as usize;
    bytes[frame_at + length - 17] ^= 1;
    frame::seal(&mut bytes[frame_at..frame_at + length]).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(copy(&bytes));
    assert_eq!(stat(&disk, 0).unwrap().unwrap().next, 4, "frames alone do not tell");
    let error = verify(&disk, 0).unwrap_err().to_string();
    assert!(error.contains("the chain is broken"), "{error}");
}

#[test]
fn a_record_that_could_not_be_read_again_is_not_written() {
    let disk = Simulated::new(1);
    let mut log = open(&disk, 1 << 20).unwrap();
    let mut batch = Batch::new(0, 0);
    push(&mut batch);
    let body = vec![0; crate::journal::BODY_BYTES_MAX + 5000];
    batch.push(&Entry { kind: RecordKind::Event, body: &body, id: None, entities: &[], received_at: 0 });
    let error = log.write(&mut batch).unwrap_err();
    assert!(matches!(error, JournalError::TooLong { offset: 1, .. }), "{error}");
    drop(log);
    assert_eq!(open(&disk, 1 << 20).unwrap().next(), 0);
}
