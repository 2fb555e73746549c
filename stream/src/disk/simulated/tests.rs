//! The simulated disk keeps what was synced and loses the rest, in every way that it says.

use std::collections::BTreeSet;

use super::*;

fn create(disk: &Simulated, name: &str, bytes: &[u8]) -> Box<dyn File> {
    let file = disk.create(name).unwrap();
    file.write_at(bytes, 0).unwrap();
    file
}

#[test]
fn what_was_synced_stays() {
    for seed in 0..50 {
        let disk = Simulated::new(seed);
        let file = create(&disk, "a", &[1; 3000]);
        file.sync().unwrap();
        disk.sync_folder().unwrap();
        disk.crash();
        assert_eq!(disk.contents("a"), [1; 3000]);
        assert!(file.bytes().is_err(), "opened before the crash");
        assert_eq!(disk.open("a").unwrap().bytes().unwrap(), 3000);
    }
}

#[test]
fn of_what_was_not_synced_any_sectors_and_any_length_stay() {
    let mut found = BTreeSet::new();
    for seed in 0..400 {
        let disk = Simulated::new(seed);
        let file = create(&disk, "a", &[1; 1024]);
        file.sync().unwrap();
        disk.sync_folder().unwrap();
        file.write_at(&[2; 1536], 0).unwrap();
        disk.crash();
        let bytes = disk.contents("a");
        assert!((1024..=1536).contains(&bytes.len()));
        let sector = |at: usize| bytes.get(at).copied();
        assert!(bytes[..512].iter().all(|byte| *byte == bytes[0]), "a sector is whole or not there");
        found.insert((sector(0), sector(512), sector(1024)));
    }
    // Old or new each; behind the old length also zeros, or nothing.
    let (old, new) = (Some(1), Some(2));
    for first in [old, new] {
        for second in [old, new] {
            for third in [None, Some(0), new] {
                assert!(found.contains(&(first, second, third)), "{first:?} {second:?} {third:?}");
            }
        }
    }
}

#[test]
fn names_are_lost_one_by_one() {
    let mut found = BTreeSet::new();
    for seed in 0..200 {
        let disk = Simulated::new(seed);
        create(&disk, "old", b"old");
        disk.sync_folder().unwrap();
        create(&disk, "new", b"new");
        disk.rename("old", "renamed").unwrap();
        disk.crash();
        found.insert(disk.list().unwrap());
    }
    let all: Vec<Vec<String>> = [&["new", "old"][..], &["new", "renamed"], &["old"], &["renamed"]]
        .map(|names| names.iter().map(|name| (*name).to_owned()).collect())
        .to_vec();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn a_failed_sync_drops_what_it_was_to_write() {
    let disk = Simulated::new(1);
    let file = create(&disk, "a", &[1; 512]);
    disk.sync_folder().unwrap();
    disk.set_faults(Faults { syncs_failing_in_1000: 1000, ..Faults::default() });
    assert!(file.sync().is_err());
    disk.set_faults(Faults::default());
    file.write_at(&[2; 512], 512).unwrap();
    file.sync().unwrap();
    assert_eq!(disk.contents("a")[..512], [1; 512], "it is still seen");
    disk.crash();
    assert_eq!(disk.contents("a"), [[0; 512], [2; 512]].concat(), "and the next sync came without it");
}

#[test]
fn faults_happen_as_often_as_is_said() {
    let disk = Simulated::new(1);
    let file = create(&disk, "a", &[1; 8]);
    disk.set_faults(Faults { writes_failing_in_1000: 250, ..Faults::default() });
    let failed = (0..1000).filter(|_| file.write_at(&[3; 8], 0).is_err()).count();
    assert!((150..350).contains(&failed), "{failed}");
}
