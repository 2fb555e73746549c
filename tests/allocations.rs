//! After its warm-up a decision allocates nothing, but for entities that are new and for histories and sets that grow.
//!
//! In a binary of its own: the allocator that counts is that of the whole process.
#![cfg(test)]

use std::collections::HashMap;

use canonical::traffic::Traffic;
use dhat::{HeapStats, Profiler};
use engine::entity::EntityKey;
use engine::event::Event;
use floor::{Draw, Population};
use stream::gate::{Deadline, Gate, Worker};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const POPULATION: Population = Population { users: 1_000, merchants: 10 };
/// Payments of a day: one of each user, and ten bursts of twenty.
const DAY: usize = 1_200;

/// The bytes of every entity in memory, and of the table of ids.
fn bytes(gate: &Gate) -> (HashMap<EntityKey, usize>, usize) {
    let mut bytes = HashMap::new();
    gate.for_each_entity(|key, state| {
        bytes.insert(key, state.bytes());
    });
    (bytes, gate.bytes_of_ids())
}

/// Blocks that a decision asks the allocator for.
fn blocks_of(gate: &Gate, worker: &mut Worker, event: &Event) -> u64 {
    let before = HeapStats::get().total_blocks;
    let ticket = gate.submit(event, Deadline::Never, worker).unwrap();
    Gate::recycle(worker, ticket);
    HeapStats::get().total_blocks - before
}

#[test]
fn only_new_entities_and_what_grows_allocate() {
    let gate = canonical::gate().unwrap();
    let mut worker = gate.worker(Vec::new());
    let mut traffic = Traffic::new(POPULATION, Draw::Uniform, 1);
    let (mut event, mut text) = (Event::default(), String::new());
    for payment in traffic.by_ref().take(35 * DAY) {
        payment.fill(&mut event, &mut text);
        let ticket = gate.submit(&event, Deadline::Never, &mut worker).unwrap();
        Gate::recycle(&mut worker, ticket);
    }

    let _profiler = Profiler::builder().testing().build();
    let mut known = bytes(&gate);
    let (mut without, mut explained, mut unexplained) = (0, 0, Vec::new());
    for payment in traffic.take(DAY) {
        payment.fill(&mut event, &mut text);
        let blocks = blocks_of(&gate, &mut worker, &event);
        if blocks == 0 {
            without += 1;
            continue;
        }
        let now = bytes(&gate);
        if now == known {
            unexplained.push((payment.number, blocks))
        } else {
            explained += blocks
        }
        known = now;
    }
    println!(
        "{without} of {DAY} decisions allocate nothing; what grows took {explained} blocks in the others"
    );
    assert_eq!(unexplained, [], "number and blocks of decisions that allocate though nothing grew");
    assert!(DAY * 4 / 5 < without, "{without}");
}
