//! Frames are read as they were written, or refused.

use expect_test::expect;
use proptest::prelude::*;

use super::*;

fn encoded(entry: &Entry<'_>, offset: u64, batch: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(entry, offset, batch, &mut bytes);
    seal(&mut bytes).unwrap();
    bytes
}

#[test]
fn the_bytes_of_a_frame() {
    let entities = [EntityKey::new(KindId(3), 0x1122)];
    let entry = Entry {
        kind: RecordKind::Amend,
        body: b"body",
        id: Some(0xabcd),
        entities: &entities,
        received_at: 258,
    };
    let bytes = encoded(&entry, 5, 9);
    let hex: Vec<String> = bytes.chunks(8).map(hex_of).collect();
    expect![[r#"
        4a000000e91e2d74
        0500000000000000
        03010101cdab0000
        0000000000000000
        0000000003002211
        0000000000000000
        000000000000626f
        6479020100000000
        0000090000000000
        0000"#]]
    .assert_eq(&hex.join("\n"));
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_flip_at_any_bit_is_refused() {
    let entities = [EntityKey::new(KindId(3), 0x1122)];
    let entry =
        Entry { kind: RecordKind::Event, body: &[9; 30], id: Some(7), entities: &entities, received_at: 1 };
    let bytes = encoded(&entry, 1, 1);
    assert!(Frame::check(&bytes).is_ok());
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Frame::check(&flipped).unwrap_err(), Bad::Torn("a record's checksum is wrong"));
    }
    for cut in 0..bytes.len() {
        assert!(Frame::check(&bytes[..cut]).is_err());
    }
}

#[test]
fn what_a_later_version_wrote_is_told_from_damage() {
    let entry = Entry { kind: RecordKind::Warm, body: b"x", id: None, entities: &[], received_at: 0 };
    for (at, value, expected) in [
        (16, 9, Some((9, 1))),
        (16, 0, Some((0, 1))),
        (17, 2, Some((8, 2))),
        (18, 2, Some((8, 1))), // an encrypted body
        (16, 1, None),
    ] {
        let mut bytes = encoded(&entry, 1, 1);
        bytes[at] = value;
        seal(&mut bytes).unwrap();
        let newer = Frame::check(&bytes).err();
        assert_eq!(newer, expected.map(|(kind, version)| Bad::Newer { kind, version }), "{at} = {value}");
    }
    // More entities than there are bytes, with a checksum that fits.
    let mut bytes = encoded(&entry, 1, 1);
    bytes[19] = 200;
    seal(&mut bytes).unwrap();
    assert_eq!(Frame::check(&bytes).unwrap_err(), Bad::Torn("a record's parts do not fit into it"));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        kind in 1..9_u8,
        body in prop::collection::vec(any::<u8>(), 0..300),
        id in any::<Option<u128>>(),
        keys in prop::collection::vec((any::<u16>(), any::<u128>()), 0..ENTITIES_MAX + 3),
        received_at in any::<i64>(),
        (offset, batch) in any::<(u64, u64)>(),
    ) {
        let kind = RecordKind::from_number(kind).unwrap();
        let entities: Vec<_> = keys.iter().map(|(kind, hash)| EntityKey::new(KindId(*kind), *hash)).collect();
        let bytes = encoded(&Entry { kind, body: &body, id, entities: &entities, received_at }, offset, batch);
        let frame = Frame::check(&bytes).unwrap();
        prop_assert_eq!((frame.kind(), frame.body(), frame.id()), (kind, &*body, id));
        prop_assert_eq!((frame.offset(), frame.received_at(), frame.batch()), (offset, received_at, batch));
        prop_assert_eq!(frame.entities().collect::<Vec<_>>(), &entities[..entities.len().min(ENTITIES_MAX)]);
    }
}
