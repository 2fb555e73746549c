//! Snapshots that are damaged, all of them, beside a journal that is whole, on a simulated disk: what comes up is what went
//! down.

use std::fs;
use std::sync::Arc;
use std::thread;

use stream::disk::simulated::Simulated;
use stream::gate::{Deadline, Gate};
use stream::journal::{OnDisk, Options};
use stream::recover::recover;
use stream::snapshot::{self, DataDir, Extra};

use crate::support::{PATIENT, begin, check_same, damage, event, key, snapshots};
use crate::verify::{RULES, SCHEMA};

fn open(disk: &Simulated) -> Box<OnDisk> {
    let options = Options { segment_bytes: 1 << 13, ..Options::new(key()) };
    Box::new(OnDisk::open(Arc::new(disk.clone()), options).unwrap())
}

/// Takes payments, and waits until they are on the disk.
fn pay(gate: &Gate, numbers: std::ops::Range<i64>) {
    let (schema, mut worker) = (&gate.rules().typed.schema, gate.worker(Vec::new()));
    for number in numbers {
        let fields = format!("user=u{} card=c{} device=d1 merchant=m1 amount=700", number % 7, number % 5);
        let time = 1_767_600_000_000_000 + number * 1_000_000;
        let payment = event(schema, "payment", &format!("p-{number}"), time, &fields);
        gate.submit(&payment, Deadline::Never, &mut worker).unwrap();
    }
    while gate.journal().durable() < gate.journal().next() {
        thread::yield_now();
    }
}

/// Damages all snapshots at a part of their bytes, in thousandths; the gate that comes up is the one that went down.
#[track_caller]
fn check(at: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (disk, dir) = (Simulated::new(5), DataDir::open(folder.path()).unwrap());
    let gate = begin(SCHEMA, RULES, open(&disk));
    for numbers in [0..50, 50..120, 120..150] {
        pay(&gate, numbers.clone());
        if numbers.end < 150 {
            snapshot::write(&dir, &gate, &Extra::new()).unwrap();
        }
    }
    let snapshots = snapshots(folder.path());
    assert_eq!(snapshots.len(), 2);
    snapshots.iter().for_each(|it| damage(it, at));
    let records = gate.journal().next();
    let recovered = recover(&dir, key(), open(&disk), PATIENT).unwrap().unwrap();
    assert_eq!((recovered.tail, recovered.notes.len()), (records, 2), "{:?}", recovered.notes);
    check_same(&gate, &recovered.gate);
    assert!(snapshots.iter().all(|it| !it.exists() && it.with_extension("damaged").exists()));

    // And a start after that is one of every day.
    snapshot::write(&dir, &recovered.gate, &Extra::new()).unwrap();
    let again = recover(&dir, key(), open(&disk), PATIENT).unwrap().unwrap();
    assert_eq!((again.tail, again.notes.len()), (0, 0), "{:?}", again.notes);
    check_same(&gate, &again.gate);
}

#[test]
fn the_state_is_built_from_the_journal() {
    for at in [0, 5, 500, 1_000] {
        check(at);
    }
}

/// With no journal to build from nothing comes up, and nothing is renamed.
#[test]
fn without_records_all_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, dir) = (Simulated::new(5), DataDir::open(folder.path()).unwrap());
    let gate = begin(SCHEMA, RULES, open(&disk));
    pay(&gate, 0..20);
    let file = snapshot::write(&dir, &gate, &Extra::new()).unwrap();
    fs::write(&file, b"weirsnap").unwrap();
    for _ in 0..2 {
        let said = recover(&dir, key(), open(&Simulated::new(6)), PATIENT).unwrap_err().to_string();
        assert!(
            said.contains(file.to_str().unwrap()) && said.contains("nor can the state be built"),
            "{said}"
        );
        assert!(file.exists());
    }
}
