//! A whole decision (decide, encode, apply) of the canonical workload, its windows and its program alone, and the floor
//! under all three.
//!
//! Ten thousand users; `weir bench` measures the same over a million, with percentiles, threads and memory.

use std::cell::RefCell;
use std::process::ExitCode;

use canonical::measure::Inputs;
use canonical::steps::{Step, Steps};
use canonical::traffic::Traffic;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
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
    let mut group = criterion.benchmark_group(name);
    let mut payments = traffic.clone();
    let keys = |keys: &mut [u128; 4]| payments.next().into_iter().for_each(|it| *keys = it.visit().keys());
    row(&mut group, "floor", keys, |keys| floor.touch(keys));

    let event = |event: &mut Event| traffic.next().into_iter().for_each(|it| it.fill(event, &mut text));
    row(&mut group, "decision", event, |event| {
        let Ok(ticket) = gate.submit(event, Deadline::Never, &mut worker) else { return 0 };
        let outcome = ticket.ruling.verdict.outcome as u64;
        Gate::recycle(&mut worker, ticket);
        outcome
    });

    // These take the states out of the gate.
    let steps = RefCell::new(Steps::take(&gate));
    let mut load = |step: &mut Option<Step>| {
        traffic.next().into_iter().for_each(|it| steps.borrow_mut().load(it, step));
    };
    let windows = |step: &mut Option<Step>| step.as_mut().map_or(0, |it| steps.borrow_mut().run_windows(it));
    let program = |step: &mut Option<Step>| step.as_mut().map_or(0, |it| steps.borrow().run_program(it));
    row(&mut group, "windows", &mut load, windows);
    let known = |step: &mut Option<Step>| {
        load(step);
        windows(step);
    };
    row(&mut group, "program", known, program);
    group.finish();
    Ok(())
}

/// Times a piece of work as `weir bench` does.
fn row<T: Default>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    mut fill: impl FnMut(&mut T),
    mut work: impl FnMut(&mut T) -> u64,
) {
    group.bench_function(name, |bencher| {
        let mut inputs = Inputs::default();
        bencher.iter_custom(|events| {
            inputs.time(usize::try_from(events).unwrap_or(usize::MAX), &mut fill, &mut work)
        });
    });
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
