//! A whole decision (decide, encode, apply) of the canonical workload, beside the floor under it.
//!
//! Ten thousand users; `weir bench` measures the same over a million, with percentiles, threads and memory, and with the
//! windows and the program of a decision alone. Criterion has those two where they live: `engine/benches/history.rs`,
//! `rules/benches/program.rs`.

use std::hint::black_box;
use std::process::ExitCode;

use canonical::traffic::Traffic;
use criterion::{BatchSize, Criterion};
use engine::event::Event;
use floor::{Draw, Floor, Population};
use stream::gate::{Deadline, Gate};

const POPULATION: Population = Population { users: 10_000, merchants: 100 };
/// Days of traffic before anything is measured.
const WARM_UP_DAYS: i64 = 35;

fn bench(criterion: &mut Criterion, name: &str, draw: Draw) -> Result<(), canonical::Broken> {
    let gate = canonical::gate()?;
    let mut worker = gate.worker(Vec::new());
    let mut traffic = Traffic::new(POPULATION, draw, 1);
    let (mut event, mut text) = (Event::default(), String::new());
    while traffic.days() < WARM_UP_DAYS {
        traffic.next().into_iter().for_each(|it| it.fill(&mut event, &mut text));
        let ticket = gate.submit(&event, Deadline::Never, &mut worker);
        ticket.into_iter().for_each(|it| Gate::recycle(&mut worker, it));
    }
    let floor = Floor::build(POPULATION);
    let mut payments = traffic.clone();
    let mut group = criterion.benchmark_group(name);
    group.bench_function("floor", |bencher| {
        let keys = || payments.next().map_or([0; 4], |it| it.visit().keys());
        bencher.iter_batched(keys, |keys| floor.touch(&keys), BatchSize::SmallInput);
    });
    group.bench_function("decision", |bencher| {
        let event = || {
            let mut event = Event::default();
            traffic.next().into_iter().for_each(|it| it.fill(&mut event, &mut text));
            event
        };
        let decide = |event: Event| {
            let ticket = gate.submit(&event, Deadline::Never, &mut worker);
            ticket.into_iter().for_each(|it| {
                black_box(it.ruling.verdict.outcome);
                Gate::recycle(&mut worker, it);
            });
            event
        };
        bencher.iter_batched(event, decide, BatchSize::SmallInput);
    });
    group.finish();
    Ok(())
}

fn main() -> ExitCode {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, draw) in [("uniform", Draw::Uniform), ("zipf", Draw::Zipf)] {
        if let Err(broken) = bench(&mut criterion, name, draw) {
            eprintln!("error: {broken}");
            return ExitCode::FAILURE;
        }
    }
    criterion.final_summary();
    ExitCode::SUCCESS
}
