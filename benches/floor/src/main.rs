//! Prints the floor of this machine: `floor --users 1000000 --merchants 10000 --threads 2 --events 2000000`.

use clap::{Parser, ValueEnum};
use floor::{Draw, Floor, Measured, Population, measure_threads, visits};

/// Looks up, locks and reads the four entities of random events: the least that a decision can cost.
#[derive(Parser)]
struct Options {
    /// Users, each with one card and one device
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    users: u32,
    /// Merchants
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    merchants: u32,
    /// How merchants are drawn
    #[arg(long, value_enum, default_value_t = DrawName::Uniform)]
    draw: DrawName,
    /// Threads, all at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=256))]
    threads: u64,
    /// Events per thread
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    events: u32,
    /// Seed of the events drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum DrawName {
    /// Each merchant as often as the others
    Uniform,
    /// Merchant n 1/n times as often as the first
    Zipf,
}

fn main() {
    let options = Options::parse();
    let population = Population { users: options.users, merchants: options.merchants };
    let draw = match options.draw {
        DrawName::Uniform => Draw::Uniform,
        DrawName::Zipf => Draw::Zipf,
    };
    let floor = Floor::build(population);
    let share = |thread| visits(population, draw, options.events as usize, options.seed.wrapping_add(thread));
    let shares: Vec<_> = (0..options.threads).map(share).collect();

    println!("thread   mean ns   p50 ns   p99 ns   events/s");
    for (thread, measured) in measure_threads(&floor, &shares).iter().enumerate() {
        print(thread + 1, measured);
    }
}

fn print(thread: usize, measured: &Measured) {
    let (p50, p99) = (measured.p50.as_nanos(), measured.p99.as_nanos());
    println!("{thread:>6} {:>9.1} {p50:>8} {p99:>8} {:>10.0}", measured.mean_ns(), measured.per_second());
}
