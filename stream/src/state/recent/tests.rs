//! What is remembered beside a journal, and of what came before it.

use super::*;

const REPEAT_FOR: Micros = 1_000;
const COUNT: u64 = 2_000;
/// Ids in the table at most, one in each shard.
const MOST: Most = Most { ids: 1, record_bytes: 0 };

fn id(number: u64) -> u128 {
    engine::entity::HashKey::new([3; 16]).hash128(&number.to_string())
}

/// An id with a body at a clock, beside a journal of which [`COUNT`] records are durable.
fn asked(id: u128, digest: &[u8; 16], clock: Micros) -> Asked<'_> {
    Asked { id, digest, clock, now: clock, durable: COUNT }
}

/// Ids 0, 1, 2 … of records at these positions and clocks, beside a journal that begins at one of them.
fn beside(oldest: u64) -> Recent {
    let recent = Recent::new(REPEAT_FOR);
    for number in 0..COUNT {
        recent
            .restore(Remembered::of(id(number), [1; 16], number.cast_signed(), number, b"record"), u64::MAX);
    }
    recent.since(oldest).at_most(MOST)
}

#[test]
fn what_no_journal_has_stays_its_time() {
    let now = COUNT.cast_signed();
    for oldest in [0, 1, 1_500, COUNT] {
        let recent = beside(oldest);
        // As many more come, and push out what the journal can tell of.
        for number in COUNT..2 * COUNT {
            let seen = recent.begin(asked(id(number), &[1; 16], now), &mut Vec::new());
            let Seen::New { flight, .. } = seen else { panic!("{seen:?}") };
            flight.land(Remembered::of(id(number), [1; 16], now, number, b"record"), u64::MAX);
        }
        for number in 0..COUNT {
            let (position, mut record) = (number, Vec::new());
            let seen = recent.begin(asked(id(number), &[1; 16], now), &mut record);
            if number.cast_signed() <= now - REPEAT_FOR {
                assert!(matches!(seen, Seen::New { .. }), "{number} of {oldest} is too old");
            } else if number < oldest {
                let found = matches!(seen, Seen::Repeat { position: found, .. } if found == position);
                assert!(found && record == b"record", "{number} of {oldest}: {seen:?}");
                let other = recent.begin(asked(id(number), &[2; 16], now), &mut record);
                assert!(matches!(other, Seen::Reused), "{other:?}");
                assert_eq!(recent.find(id(number), &mut record).map(|it| it.position), Some(position));
            } else {
                let is_asked = matches!(seen, Seen::New { certain: false, .. });
                assert!(is_asked, "{number} of {oldest}: the journal is asked");
            }
        }
    }
}

#[test]
fn a_snapshot_has_both() {
    let (recent, since) = (beside(1_500), COUNT.cast_signed() - REPEAT_FOR - 1);
    let shown: usize = (0..recent.shards()).map(|shard| recent.order(shard, since).len()).sum();
    let told: usize = recent.shards.iter().map(|it| it.entries.lock().entries.len()).sum();
    // Of those before the journal all, and one in each shard of the others.
    assert_eq!(shown, 500 + told);
}

/// Ids that come again and again, and are new again when their time is over, against a list of all that were finished.
#[test]
fn every_id_is_known_for_its_time() {
    let recent = Recent::new(REPEAT_FOR);
    let mut finished: Vec<Remembered<'_>> = Vec::new();
    let mut clock = 0;
    for position in 0..20_000 {
        let [step, which, body, faster, ..] = id(position).to_le_bytes();
        clock += i64::from(step) / 16;
        // About half of these many ids are remembered at a time.
        let (id, digest) = (id(u64::from(which)), [u8::from(body == 0); 16]);
        let known = finished.iter().rev().find(|it| it.id == id && clock - REPEAT_FOR < it.clock);
        let mut record = Vec::new();
        match (recent.begin(Asked { durable: u64::MAX, ..asked(id, &digest, clock) }, &mut record), known) {
            (Seen::Repeat { position, .. }, Some(it)) if it.digest == digest => {
                assert_eq!((position, &record[..]), (it.position, &b"record"[..]));
            }
            (Seen::Reused, Some(it)) if it.digest != digest => {}
            (Seen::New { certain: true, flight }, None) => {
                // As if others had been faster.
                let it = Remembered::of(id, digest, clock - i64::from(faster % 4), position, b"record");
                flight.land(it, u64::MAX);
                finished.push(it);
            }
            (seen, _) => panic!("position {position}: {seen:?}, and {known:?} was finished"),
        }
    }
    let (mut left, all) = (0, finished.len());
    for shard in &recent.shards {
        let entries = shard.entries.lock();
        left += entries.entries.len();
        // What is gone does not pile up.
        assert!(entries.numbers.len() <= 16.max(4 * entries.entries.len()), "{}", entries.numbers.len());
    }
    assert!(0 < left && 4 * left < all, "{left} of {all} are left");
}
