//! Crash after crash, by seed: what was told to be durable is there, byte for byte; what follows it is what was
//! appended, up to some record.
//!
//! `WEIR_SEEDS` sets how many seeds are run (200 without it).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::*;
use crate::disk::simulated::Faults;
use crate::journal::{segment, verify};

/// Crashes of one seed.
const ROUNDS: u32 = 5;

fn seeds() -> u64 {
    std::env::var("WEIR_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(200)
}

/// What has happened over all seeds: that the test has seen what it is about.
#[derive(Debug, Default)]
struct Seen {
    crashes: u32,
    restarts: u32,
    lost: u64,
    kept: u64,
    poisoned: u32,
    rolled: u32,
    cut: u32,
    flips: u32,
    refused: u32,
    torn: u32,
}

struct Run {
    random: ChaCha8Rng,
    disk: Simulated,
    faults: Faults,
    segment_bytes: u64,
    /// What was appended: the salt of each record, as another may stand at its offset after a crash.
    appended: Vec<u64>,
    /// Records below were told to be durable.
    told: usize,
}

impl Run {
    fn new(seed: u64, syncs_do_nothing: bool) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let failing = if random.next_u32() % 2 == 0 { 0 } else { 30 };
        let faults = Faults {
            syncs_failing_in_1000: failing,
            writes_failing_in_1000: failing / 3,
            syncs_do_nothing,
            ..Faults::default()
        };
        let segment_bytes = 1 << (12 + random.next_u32() % 4);
        let disk = Simulated::new(seed ^ 0x5eed);
        Self { random, disk, faults, segment_bytes, appended: Vec::new(), told: 0 }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.next_u64() % bound
    }

    /// Opens what is there, and looks that nothing is missing. A disk that fails meanwhile is tried again.
    fn open(&mut self, seen: &mut Seen) -> Result<Log, String> {
        let log = loop {
            self.disk.set_faults(Faults { writes_failing_in_1000: 0, ..self.faults });
            match open(&self.disk, self.segment_bytes) {
                Ok(log) => break log,
                Err(JournalError::Io { .. }) if self.below(2) == 0 => self.disk.crash(),
                Err(JournalError::Io { .. }) => {}
                Err(error) => return Err(error.to_string()),
            }
        };
        seen.cut += u32::from(!log.shelf.take_notes().is_empty());
        let found = usize::try_from(log.next()).unwrap();
        if found < self.told {
            return Err(format!("{found} records are there, and {} were durable", self.told));
        }
        if self.appended.len() < found {
            return Err(format!("{found} records are there, and {} were appended", self.appended.len()));
        }
        seen.lost += (self.appended.len() - found) as u64;
        seen.kept += (found - self.told) as u64;
        self.appended.truncate(found);
        self.told = found;
        self.read_all(&log)?;
        Ok(log)
    }

    fn read_all(&self, log: &Log) -> Result<(), String> {
        let mut reader = Reader::new(Arc::clone(&log.shelf), 0).map_err(|error| error.to_string())?;
        for (offset, salt) in self.appended.iter().enumerate() {
            let record = reader.next().map_err(|error| error.to_string())?;
            let record = record.ok_or_else(|| format!("record {offset} is not read"))?;
            if record.offset != offset as u64 || record.body != salted(*salt) {
                return Err(format!("record {offset} is another one"));
            }
        }
        match reader.next() {
            Ok(None) => Ok(()),
            other => Err(format!("after the last record: {other:?}")),
        }
    }

    /// Appends, syncs and rolls until it is enough or the disk fails.
    fn work(&mut self, log: &mut Log, seen: &mut Seen) {
        self.disk.set_faults(self.faults);
        for _ in 0..self.below(30) {
            let first = log.next();
            let done = match self.below(8) {
                0 => log.mark(Role::Idle).map(|()| true),
                1 | 2 => log.sync().map(|()| true),
                // Under `fsync` each batch is synced, under `os` they are not.
                kind => self.append(log).and_then(|()| {
                    let sync = kind < 6;
                    if sync { log.sync().map(|()| true) } else { Ok(false) }
                }),
            };
            match done {
                Ok(true) => self.told = self.appended.len(),
                Ok(false) => {}
                Err(_) => {
                    // Poisoned: it is not written to again, and nothing was told.
                    seen.poisoned += 1;
                    return;
                }
            }
            seen.rolled += u32::from(log.take_sealed().is_some() && first != 0);
        }
    }

    fn append(&mut self, log: &mut Log) -> Result<(), JournalError> {
        let mut batch = Batch::new(log.next(), log.batch());
        for _ in 0..self.below(6) + 1 {
            let salt = self.random.next_u64();
            let kind = RecordKind::Decided;
            batch.push(&Entry { kind, body: &salted(salt), id: id(salt), entities: &[], received_at: 0 });
            self.appended.push(salt);
        }
        log.write(&mut batch)
    }

    /// The segments, oldest first, and the number of one of them.
    fn some_segment(&mut self) -> (Vec<String>, usize) {
        let mut names = self.disk.list().unwrap();
        names.retain(|name| segment::first_of(name).is_some());
        let at = usize::try_from(self.below(names.len().max(1) as u64)).unwrap();
        (names, at)
    }

    /// Turns over any bit of what the last crash left: below the greatest D that is there it is refused, and behind it no
    /// more is cut than what was not on the disk for certain.
    fn flip_behind_a_crash(&mut self, seen: &mut Seen) -> Result<(), String> {
        self.disk.set_faults(Faults::default());
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let stat = verify(&disk, 0).map_err(|error| error.to_string())?;
        let (names, chosen) = self.some_segment();
        let Some((synced, name)) = stat.map(|it| it.synced).zip(names.get(chosen)) else { return Ok(()) };
        let bytes = self.disk.contents(name).len() as u64;
        if bytes == 0 {
            return Ok(());
        }
        let (at, bit) = (self.below(bytes), self.below(8) as u8);
        assert!(self.disk.flip(name, at, bit));
        let before = self.disk.contents(name);
        match open(&self.disk, self.segment_bytes) {
            Err(JournalError::Damaged { file, .. }) if file.ends_with(name.as_str()) => {
                assert_eq!(self.disk.contents(name), before, "what is damaged is not touched");
                seen.refused += 1;
                Ok(())
            }
            Ok(log) if synced <= log.next() => {
                seen.torn += 1;
                self.appended.truncate(usize::try_from(log.next()).unwrap());
                self.read_all(&log)
            }
            other => {
                let found = other.map(|log| log.next());
                Err(format!("flipped {at} of {name}, of which {synced} were on the disk: {found:?}"))
            }
        }
    }

    /// Turns over a bit below D, sees that it is refused, and turns it back.
    fn flip(&mut self, seen: &mut Seen) -> Result<(), String> {
        let (names, chosen) = self.some_segment();
        let name = &names[chosen];
        let bytes = self.disk.contents(name).len() as u64;
        // The last sector of the newest is the mark that says so.
        let end = if Some(name) == names.last() { bytes - 512 } else { bytes };
        let (at, bit) = (self.below(end), self.below(8) as u8);
        assert!(self.disk.flip(name, at, bit));
        seen.flips += 1;
        let before = self.disk.contents(name);
        match open(&self.disk, self.segment_bytes) {
            Err(JournalError::Damaged { file, .. }) if file.ends_with(name.as_str()) => {}
            other => return Err(format!("flipped {at} of {name}: {:?}", other.map(|log| log.next()))),
        }
        assert_eq!(self.disk.contents(name), before, "what is damaged is not touched");
        assert!(self.disk.flip(name, at, bit));
        Ok(())
    }
}

fn salted(salt: u64) -> Vec<u8> {
    let bytes = if salt.is_multiple_of(16) { salt >> 8 & 0x1fff } else { salt >> 8 & 0x1ff };
    (0..bytes).map(|at| (salt >> (at % 56)) as u8 ^ at as u8).collect()
}

fn run(seed: u64, syncs_do_nothing: bool, seen: &mut Seen) -> Result<(), String> {
    let mut run = Run::new(seed, syncs_do_nothing);
    for _ in 0..ROUNDS {
        let mut log = run.open(seen)?;
        run.work(&mut log, seen);
        drop(log);
        // Without a crash of the machine the cache still holds what a failed sync dropped.
        if run.below(4) == 0 {
            seen.restarts += 1;
        } else {
            run.disk.crash();
            seen.crashes += 1;
        }
    }
    if seed.is_multiple_of(2) {
        return run.flip_behind_a_crash(seen);
    }
    let mut log = run.open(seen)?;
    run.disk.set_faults(Faults::default());
    write(&mut log, 1).map_err(|error| error.to_string())?;
    log.mark(Role::Closed).map_err(|error| error.to_string())?;
    let next = log.next();
    drop(log);
    let disk: Arc<dyn Disk> = Arc::new(run.disk.clone());
    match verify(&disk, 0) {
        Ok(Some(stat)) if stat.next == next => {}
        other => return Err(format!("verify: {other:?}")),
    }
    (0..4).try_for_each(|_| run.flip(seen))
}

#[test]
fn what_was_durable_survives_every_crash() {
    let mut seen = Seen::default();
    for seed in 0..seeds() {
        if let Err(error) = run(seed, false, &mut seen) {
            panic!("seed {seed}: {error}");
        }
    }
    println!("{} seeds: {seen:?}", seeds());
    let Seen { crashes, restarts, lost, kept, poisoned, rolled, cut, flips, refused, torn } = seen;
    assert!(0 < lost && 0 < kept, "{seen:?}");
    let counts = [crashes, restarts, poisoned, rolled, cut, flips, refused, torn];
    assert!(counts.iter().all(|count| 0 < *count), "{seen:?}");
}

#[test]
fn without_syncing_the_same_test_fails() {
    let failed = (0..20).filter(|seed| run(*seed, true, &mut Seen::default()).is_err()).count();
    assert!(10 < failed, "only {failed} of 20 seeds noticed");
}
