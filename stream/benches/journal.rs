//! What the journal costs beside the bare disk: appending by one thread and two beside writing the same bytes, reading
//! back beside reading them. The same folder, the same run; the file cache is warm.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a bench on a small machine: what fails ends it"
)]

use std::fs::File;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::entity::{EntityKey, HashKey};
use rules::schema::KindId;
use stream::disk::{Disk, Folder};
use stream::journal::{Cursor as _, Durability, Entry, Journal, OnDisk, Options, Reader, RecordKind};

/// Records of one measured round.
const RECORDS: u64 = 100_000;
/// Body of a decision with four entities and a handful of hits.
const BODY: [u8; 360] = [0x5a; 360];
/// What writes and reads are cut into, where nothing else decides it.
const CHUNK_BYTES: usize = 256 << 10;

/// 64 bits that look like a hash's.
fn hash(nth: u64) -> u64 {
    (nth + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn entities(nth: u64) -> [EntityKey; 4] {
    std::array::from_fn(|role| {
        let id = hash(hash(nth) % 100_000 + role as u64 * 100_000);
        EntityKey::new(KindId(role as u16), u128::from(id) << 64 | u128::from(hash(id)))
    })
}

fn open(folder: &Path, durability: Durability) -> OnDisk {
    let disk: Arc<dyn Disk> = Arc::new(Folder::create(folder).unwrap());
    let options = Options { durability, ..Options::new(HashKey::new([7; 16])) };
    OnDisk::open(disk, options).unwrap()
}

/// Appends records as the gate does: room first, then the record.
fn append(journal: &OnDisk, records: std::ops::Range<u64>) {
    for nth in records {
        let mut room = loop {
            match journal.reserve(1, BODY.len()) {
                Ok(room) => break room,
                Err(_) => thread::sleep(Duration::from_micros(50)),
            }
        };
        let id = Some(u128::from(hash(nth)) << 64 | u128::from(nth));
        let entities = entities(nth);
        let kind = RecordKind::Decided;
        journal.append(&Entry { kind, body: &BODY, id, entities: &entities, received_at: 1 });
        room.spend();
    }
}

/// Appends all records by so many threads, until the last is durable.
fn append_all(journal: &OnDisk, threads: u64) -> Duration {
    let first = journal.next();
    let began = Instant::now();
    thread::scope(|scope| {
        for thread in 0..threads {
            let share = RECORDS / threads;
            scope.spawn(move || append(journal, first + thread * share..first + (thread + 1) * share));
        }
    });
    while journal.durable() < first + RECORDS {
        thread::sleep(Duration::from_micros(50));
    }
    began.elapsed()
}

/// Writes so many bytes to a new file, and syncs them if asked to.
fn write_bare(folder: &Path, bytes: u64, sync: bool) -> Duration {
    let path = folder.join("bare");
    let chunk = vec![0x5a; CHUNK_BYTES];
    let began = Instant::now();
    let mut file = File::create(&path).unwrap();
    let mut left = bytes as usize;
    while left != 0 {
        let now = left.min(CHUNK_BYTES);
        file.write_all(&chunk[..now]).unwrap();
        left -= now;
    }
    if sync {
        file.sync_data().unwrap();
    }
    let took = began.elapsed();
    std::fs::remove_file(path).unwrap();
    took
}

/// Bytes that the records take in a journal.
fn journal_bytes() -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("journal"), Durability::Os);
    append_all(&journal, 1);
    journal.close();
    journal.stat().unwrap().bytes
}

fn appending(c: &mut Criterion) {
    let bytes = journal_bytes();
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(10);
    for (name, sync) in [("bare write", false), ("bare write, one fsync", true)] {
        group.bench_function(name, |b| {
            let folder = tempfile::tempdir().unwrap();
            b.iter_custom(|rounds| (0..rounds).map(|_| write_bare(folder.path(), bytes, sync)).sum());
        });
    }
    for (name, durability) in [("os", Durability::Os), ("fsync", Durability::Fsync)] {
        for threads in [1, 2] {
            group.bench_with_input(BenchmarkId::new(name, threads), &threads, |b, threads| {
                b.iter_custom(|rounds| {
                    let folder = tempfile::tempdir().unwrap();
                    let journal = open(&folder.path().join("journal"), durability);
                    (0..rounds).map(|_| append_all(&journal, *threads)).sum()
                });
            });
        }
    }
    group.finish();
}

fn reading(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = open(&path, Durability::Os);
    append_all(&journal, 1);
    journal.close();
    let files: Vec<_> = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    let segments = files.into_iter().filter(|path| path.extension().is_some_and(|it| it == "segment"));
    let segments: Vec<_> = segments.collect();
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(10);
    for (name, check) in [("bare read", false), ("bare read, crc32c", true)] {
        group.bench_function(name, |b| {
            let mut chunk = vec![0; CHUNK_BYTES];
            b.iter(|| {
                let mut crc = 0;
                for path in &segments {
                    let mut file = File::open(path).unwrap();
                    loop {
                        let read = file.read(&mut chunk).unwrap();
                        if read == 0 {
                            break;
                        }
                        if check {
                            crc = crc32c::crc32c_append(crc, black_box(&chunk[..read]));
                        }
                    }
                }
                crc
            });
        });
    }
    group.bench_function("cursor", |b| {
        b.iter(|| {
            let mut cursor = journal.cursor(0).unwrap();
            let mut bytes = 0;
            while let Some(record) = cursor.next().unwrap() {
                bytes += record.body.len();
            }
            bytes
        });
    });
    group.bench_function("open and read", |b| {
        b.iter(|| {
            let disk: Arc<dyn Disk> = Arc::new(Folder::new(&path));
            let mut reader = Reader::open(disk, 0, 0).unwrap().unwrap();
            let mut bytes = 0;
            while let Some(record) = reader.next().unwrap() {
                bytes += record.body.len();
            }
            bytes
        });
    });
    group.finish();
}

criterion_group!(benches, appending, reading);
criterion_main!(benches);
