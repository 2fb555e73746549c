//! Decisions while a snapshot is written, and for as long while none is.
//!
//! One thread decides and waits for each answer; another one writes. With a rate, payments come at equal distances, and
//! what an answer took counts from when its payment was due: who holds one up holds up those behind it. The thread never
//! sleeps between them, so that it waits for nothing but the gate. Without a rate each comes when the one before has its
//! answer.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use floor::percentile;
use stream::gate::{Gate, Worker};
use stream::journal::Durability;
use stream::snapshot::{self, Extra};

use crate::bench::payments::Payments;
use crate::directory;
use crate::stderr;

/// Snapshots that are written, but for the first: what that is written in, memory and pages of the file cache, is new to
/// the process, and a virtual machine may stand still while its host finds them.
const ROUNDS: usize = 3;
/// Payments that are decided before anything is measured.
const WARM_UP: usize = 1_000;

/// What answers took.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// While nothing else was done.
    pub(super) quiet: Vec<Duration>,
    /// While a snapshot was written.
    pub(super) writing: Vec<Duration>,
    /// While the first one was.
    pub(super) first: Vec<Duration>,
    /// What the snapshots took.
    pub(super) snapshots: Duration,
}

/// Opens a data directory, decides beside snapshots and without, and closes it.
pub(super) fn measure(
    data: &Path,
    durability: Durability,
    payments: &mut Payments,
    rate: Option<u32>,
) -> anyhow::Result<Waits> {
    let mut opened = directory::open(data, durability, stderr::note)?;
    let gate = opened.recover()?.context("nothing was recovered")?.gate;
    let distance = rate.map(|it| Duration::from_secs(1) / it);
    let mut client = Client { gate: &gate, worker: gate.worker(Vec::new()), payments, distance };
    let (mut waits, mut warm) = (Waits::default(), Vec::new());
    let mut left = 0..WARM_UP;
    client.decide_while(|| left.next().is_some(), &mut warm)?;
    for round in 0..=ROUNDS {
        let start = Instant::now();
        thread::scope(|scope| {
            let snapshot =
                scope.spawn(|| snapshot::write_beside_decisions(&opened.directory, &gate, &Extra::new()));
            let decided = client.decide_while(|| !snapshot.is_finished(), &mut waits.writing);
            snapshot.join().map_err(|_| anyhow::anyhow!("the snapshot broke off"))??;
            decided
        })?;
        if round == 0 {
            waits.first.append(&mut waits.writing);
            continue;
        }
        let took = start.elapsed();
        waits.snapshots += took;
        let start = Instant::now();
        client.decide_while(|| start.elapsed() < took, &mut waits.quiet)?;
    }
    for took in [&mut waits.quiet, &mut waits.writing, &mut waits.first] {
        took.sort_unstable();
    }
    opened.close()?;
    Ok(waits)
}

/// Who asks.
struct Client<'a> {
    gate: &'a Gate,
    worker: Worker,
    payments: &'a mut Payments,
    /// From one payment to the next; none if each waits for the answer before.
    distance: Option<Duration>,
}

impl Client<'_> {
    /// Decides for as long as it may, and adds what each answer took.
    fn decide_while(
        &mut self,
        mut more: impl FnMut() -> bool,
        took: &mut Vec<Duration>,
    ) -> anyhow::Result<()> {
        let mut due = Instant::now();
        while more() {
            self.payments.advance();
            match self.distance {
                Some(distance) => {
                    due += distance;
                    while Instant::now() < due {
                        std::hint::spin_loop();
                    }
                }
                None => due = Instant::now(),
            }
            let ticket = self.payments.submit(self.gate, &mut self.worker)?;
            let settled = self.gate.settle_blocking(ticket)?;
            took.push(due.elapsed());
            self.worker.reuse(settled.ruling);
        }
        Ok(())
    }
}

impl Waits {
    /// The 99th percentile without a snapshot, and beside one.
    pub(super) fn p99(&self) -> [Duration; 2] {
        [&self.quiet, &self.writing].map(|it| percentile(it, 99))
    }

    /// How many times as much it is beside a snapshot.
    pub(super) fn ratio(&self) -> f64 {
        let [quiet, writing] = self.p99();
        writing.as_secs_f64() / quiet.as_secs_f64().max(1e-9)
    }
}
