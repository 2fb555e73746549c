//! The journal with its threads.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::*;
use crate::disk::hooked::{Hook, Hooked};
use crate::disk::simulated::Faults;
use crate::disk::{File, Folder};
use crate::journal::{Durability, Full, Journal, OnDisk, Options, Progress, verify};

fn options(durability: Durability) -> Options {
    Options { durability, segment_bytes: 64 << 10, ..Options::new(key()) }
}

fn on(disk: &Simulated, options: Options) -> OnDisk {
    OnDisk::open(Arc::new(disk.clone()), options).unwrap()
}

/// A record whose body says who appended it, and its how manieth.
fn append(journal: &OnDisk, who: u64, nth: u64) -> u64 {
    let id = Some(u128::from(who) << 64 | u128::from(nth));
    let mut body = [who.to_le_bytes(), nth.to_le_bytes()].concat();
    body.resize(100 + (nth % 400) as usize, 7);
    let entity = EntityKey::new(KindId(1), u128::from(who + 1) << 64 | u128::from(who + 1));
    journal.append(&Entry { kind: RecordKind::Event, body: &body, id, entities: &[entity], received_at: 1 })
}

fn poisoned(journal: &OnDisk) -> bool {
    journal.watch().borrow().poisoned
}

/// Waits as a thread; gives whether it became durable.
fn settled(journal: &OnDisk, offset: u64) -> bool {
    let until = Instant::now() + Duration::from_secs(20);
    while journal.durable() <= offset {
        if poisoned(journal) || until < Instant::now() {
            return false;
        }
        thread::yield_now();
    }
    true
}

#[test]
fn threads_append_at_once_and_all_is_there() {
    for durability in [Durability::Fsync, Durability::Os] {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(Folder::create(folder.path().join("journal")).unwrap());
        let journal = OnDisk::open(Arc::clone(&disk), options(durability)).unwrap();
        let (threads, each) = (4, 500);
        thread::scope(|scope| {
            for who in 0..threads {
                let journal = &journal;
                scope.spawn(move || {
                    let mut before = None;
                    for nth in 0..each {
                        let offset = append(journal, who, nth);
                        assert!(before < Some(offset));
                        before = Some(offset);
                        if nth % 50 == 0 {
                            assert!(settled(journal, offset));
                            let mut bytes = Vec::new();
                            assert_eq!(journal.read(offset, &mut bytes).unwrap(), Some(RecordKind::Event));
                            assert_eq!(bytes[..8], who.to_le_bytes());
                        }
                    }
                });
            }
            // A reader follows meanwhile.
            let mut cursor = journal.cursor(0).unwrap();
            let mut next = 0;
            while next < threads * each {
                while let Some(record) = cursor.next().unwrap() {
                    assert_eq!(record.offset, next);
                    next += 1;
                }
                thread::yield_now();
            }
        });
        journal.close();
        assert_eq!(journal.fault(), None);
        assert_eq!((journal.next(), journal.synced()), (threads * each, threads * each));
        let mut found = Vec::new();
        let entity = EntityKey::new(KindId(1), 2 << 64 | 2);
        journal.about(entity, usize::MAX, &mut found).unwrap();
        assert_eq!(found.len() as u64, each);
        drop(journal);
        let stat = verify(&disk, 0).unwrap().unwrap();
        assert_eq!((stat.next, stat.synced), (threads * each, threads * each));
        assert!(5 < stat.segments, "{stat:?}");
        let journal = OnDisk::open(disk, options(durability)).unwrap();
        for who in 0..threads {
            let found = journal.find(u128::from(who) << 64 | u128::from(each - 1), 0..u64::MAX).unwrap();
            assert!(found.is_some());
        }
        assert_eq!(journal.take_notes(), Vec::<String>::new());
    }
}

#[test]
fn one_sync_serves_all_who_came_meanwhile() {
    let disk = Simulated::new(1);
    // Long enough that all 200 come meanwhile, however busy the machine is; from the first sync on, so that none is shorter.
    disk.set_faults(Faults { sync_time: Duration::from_millis(100), ..Faults::default() });
    let journal = on(&disk, Options { segment_bytes: 1 << 30, ..options(Durability::Fsync) });
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&heard);
    journal.on_sync(move |took| hear.lock().push(took));
    let before = disk.syncs();
    let last = (0..200).map(|nth| append(&journal, 0, nth)).last().unwrap();
    assert!(settled(&journal, last));
    let syncs = disk.syncs() - before;
    assert!(syncs <= 20, "{syncs} syncs of 200 records");
    let times = journal.sync_times();
    assert!(
        Duration::from_millis(90) < times.p50 && times.p50 <= times.p99 && times.p99 <= times.max,
        "{times:?}"
    );
    let heard = heard.lock();
    assert!(!heard.is_empty() && heard.iter().all(|it| Duration::from_millis(90) < *it), "{heard:?}");
}

#[test]
fn under_os_whoever_asks_writes() {
    let disk = Simulated::new(1);
    let journal = on(&disk, options(Durability::Os));
    let mut appended = 0..;
    let mut at_once = || {
        let offset = append(&journal, 0, appended.next().unwrap());
        journal.urge();
        let at_once = offset < journal.durable();
        // As whoever wants its answer does: else the thread has always something to write, and is always at it.
        assert!(settled(&journal, offset));
        at_once
    };
    // The thread may just be at it, too.
    assert!(90 < (0..100).filter(|_| at_once()).count());
    // And it writes what nobody asks for.
    let offset = append(&journal, 0, appended.next().unwrap());
    assert!(settled(&journal, offset));
}

#[test]
fn everyone_who_waits_is_woken() {
    for durability in [Durability::Fsync, Durability::Os] {
        let disk = Simulated::new(1);
        let journal = on(&disk, options(durability));
        disk.set_faults(Faults { sync_time: Duration::from_micros(100), ..Faults::default() });
        thread::scope(|scope| {
            for who in 0..8 {
                let journal = &journal;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                scope.spawn(move || {
                    for nth in 0..300 {
                        let offset = append(journal, who, nth);
                        journal.urge();
                        let reached = poll_fn(|context| journal.reached(offset, Some(context.waker())));
                        let reached = async { tokio::time::timeout(Duration::from_secs(20), reached).await };
                        let progress = runtime.block_on(reached).unwrap();
                        assert!(!progress.poisoned && offset < progress.durable);
                    }
                });
            }
        });
        assert_eq!(journal.durable(), 8 * 300);
    }
}

#[test]
fn after_a_failed_sync_nothing_becomes_durable() {
    for durability in [Durability::Fsync, Durability::Os] {
        let disk = Simulated::new(1);
        let journal = on(&disk, options(durability));
        let mut watch = journal.watch();
        let offset = append(&journal, 0, 0);
        assert!(settled(&journal, offset));
        // Under `os` it is durable before it is synced.
        while journal.synced() <= offset {
            thread::yield_now();
        }
        disk.set_faults(Faults { syncs_failing_in_1000: 1000, ..Faults::default() });
        let offset = append(&journal, 0, 1);
        while !poisoned(&journal) {
            thread::yield_now();
        }
        let durable = journal.durable();
        assert!(durability == Durability::Os || durable <= offset);
        disk.set_faults(Faults::default());
        let later = append(&journal, 0, 2);
        thread::sleep(Duration::from_millis(20));
        assert_eq!(journal.durable(), durable.max(offset.min(durable)));
        assert!(journal.durable() <= later);
        assert_eq!(*watch.borrow_and_update(), Progress { durable, poisoned: true, closed: false });
        let fault = journal.fault().unwrap();
        assert!(fault.starts_with("cannot sync `simulated/0000"), "{fault}");
        journal.close();
        assert!(journal.durable() <= later);
    }
}

/// Two sync a file at once, one of whom is told that it failed.
#[derive(Debug)]
struct Forgetting {
    /// Syncs since it began to fail; [`WELL`] before.
    syncs: AtomicU64,
}

const WELL: u64 = u64::MAX;

impl Hook for Forgetting {
    fn sync(&self, _: u64, file: &dyn File) -> io::Result<()> {
        if self.syncs.load(Ordering::SeqCst) == WELL {
            return file.sync();
        }
        if self.syncs.fetch_add(1, Ordering::SeqCst) != 0 {
            return Ok(());
        }
        let until = Instant::now() + Duration::from_millis(300);
        while self.syncs.load(Ordering::SeqCst) < 2 && Instant::now() < until {
            thread::yield_now();
        }
        Err(io::Error::other("bytes were lost on the way"))
    }
}

/// Nothing is said to be on the disk because a second sync went well.
#[test]
fn a_sync_that_fails_is_not_made_good_by_one_beside_it() {
    let disk = Simulated::new(1);
    let forgetting = Arc::new(Forgetting { syncs: AtomicU64::new(WELL) });
    let hooked = Hooked::new(disk.clone(), Arc::clone(&forgetting));
    let journal = OnDisk::open(Arc::new(hooked), options(Durability::Os)).unwrap();
    forgetting.syncs.store(0, Ordering::SeqCst);
    append(&journal, 0, 0);
    journal.urge();
    while forgetting.syncs.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    journal.close();
    assert!(journal.fault().is_some());
    let disk: Arc<dyn Disk> = Arc::new(disk);
    assert_eq!(crate::journal::stat(&disk, 0).unwrap().unwrap().synced, 0);
}

#[test]
fn what_waits_is_bounded_by_what_was_reserved() {
    let disk = Simulated::new(1);
    let journal = on(&disk, Options { buffer_bytes: 64 << 10, ..options(Durability::Fsync) });
    let entry = Entry { kind: RecordKind::Event, body: &[1; 900], id: None, entities: &[], received_at: 0 };
    let mut held = journal.reserve(20, 1000).unwrap();
    let rest: Vec<_> = std::iter::from_fn(|| journal.reserve(1, 1000).ok()).collect();
    assert!((20..45).contains(&rest.len()), "{}", rest.len());
    assert_eq!(journal.reserve(1, 1000).unwrap_err(), Full);
    drop(rest);
    // Spent one by one, all of it comes back once it is written.
    for _ in 0..20 {
        journal.append(&entry);
        held.spend();
    }
    drop(held);
    assert!(settled(&journal, 19));
    let until = Instant::now() + Duration::from_secs(5);
    while journal.buffer_bytes() != 0 && Instant::now() < until {
        thread::yield_now();
    }
    assert_eq!(journal.buffer_bytes(), 0);
}

/// A machine that stands still meanwhile makes any one estimate wrong; a journal that estimates wrongly is so each time.
#[test]
fn a_slow_disk_is_seen_by_who_waits() {
    let disk = Simulated::new(1);
    let journal = on(&disk, options(Durability::Fsync));
    let mut appended = 0..;
    let mut append =
        |records| (0..records).map(|_| append(&journal, 0, appended.next().unwrap())).last().unwrap();

    disk.set_faults(Faults { sync_time: Duration::from_millis(30), ..Faults::default() });
    let mut sees_the_sync = || {
        assert!(settled(&journal, append(1)));
        let last = append(1);
        let wait = journal.load().wait;
        assert!(settled(&journal, last));
        (Duration::from_millis(20)..Duration::from_millis(120)).contains(&wait)
    };
    assert!((0..10).any(|_| sees_the_sync()));

    // Each batch now costs by its bytes: what is ahead tells how long it takes.
    disk.set_faults(Faults { bytes_per_s: Some(2_000_000), ..Faults::default() });
    let mut sees_the_bytes = || {
        for records in [1, 100, 10, 200, 50, 300] {
            assert!(settled(&journal, append(records)));
        }
        let last = append(1000);
        let (expected, asked) = (journal.load().wait, Instant::now());
        assert!(settled(&journal, last));
        let took = asked.elapsed();
        took / 3 < expected && expected < took * 3
    };
    assert!((0..10).any(|_| sees_the_bytes()));
}

#[test]
fn power_fails_under_threads() {
    for seed in 0..20 {
        let disk = Simulated::new(seed);
        let journal = on(&disk, Options { segment_bytes: 16 << 10, ..options(Durability::Fsync) });
        let (told, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for who in 0..3 {
                let (journal, told, stop) = (&journal, &told, &stop);
                scope.spawn(move || {
                    for nth in 0.. {
                        let offset = append(journal, who, nth);
                        if !settled(journal, offset) {
                            return;
                        }
                        told.fetch_max(offset + 1, Ordering::SeqCst);
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                });
            }
            while told.load(Ordering::SeqCst) < 20 {
                thread::yield_now();
            }
            disk.crash();
            stop.store(true, Ordering::Relaxed);
        });
        let told = told.into_inner();
        drop(journal);
        let log = open(&disk, 16 << 10).unwrap();
        assert!(told <= log.next(), "seed {seed}: {told} were durable, {} are there", log.next());
    }
}

#[test]
fn idle_it_records_what_is_synced() {
    let disk = Simulated::new(1);
    let journal = on(&disk, options(Durability::Fsync));
    let offset = append(&journal, 0, 0);
    assert!(settled(&journal, offset));
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let until = Instant::now() + Duration::from_secs(10);
    while crate::journal::stat(&shared, 0).unwrap().unwrap().synced != 1 && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(crate::journal::stat(&shared, 0).unwrap().unwrap().synced, 1);
    drop(journal);
}

#[test]
fn who_waits_is_woken() {
    let journal = on(&Simulated::new(1), options(Durability::Fsync));
    let mut watch = journal.watch();
    let offset = append(&journal, 0, 0);
    let wait = watch.wait_for(|progress| offset < progress.durable || progress.poisoned);
    let progress = *pollster(wait).unwrap();
    assert_eq!(progress, Progress { durable: 1, poisoned: false, closed: false });
}

/// Runs a future on this thread, which sleeps until it is woken.
fn pollster<F: Future>(future: F) -> F::Output {
    let waker = std::task::Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => thread::park_timeout(Duration::from_secs(20)),
        }
    }
}

struct Unpark(thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
