//! The canonical payments, decided one after the other.

use canonical::traffic::Traffic;
use engine::event::Event;
use floor::{Draw, Population};
use stream::gate::{Deadline, Gate, Refused, Ticket, Worker};

use crate::replay::patiently;

/// Payments that go on where they stopped, whoever decides them.
#[derive(Debug)]
pub(super) struct Payments {
    traffic: Traffic,
    /// The payment that is decided next.
    event: Event,
    text: String,
}

impl Payments {
    pub(super) fn new(population: Population) -> Self {
        let traffic = Traffic::new(population, Draw::Uniform, 1);
        Self { traffic, event: Event::default(), text: String::new() }
    }

    /// Whole days gone.
    pub(super) fn days(&self) -> i64 {
        self.traffic.days()
    }

    /// Goes on to the next payment.
    pub(super) fn advance(&mut self) {
        if let Some(payment) = self.traffic.next() {
            payment.fill(&mut self.event, &mut self.text);
        }
    }

    /// Decides the payment, as soon as the disk lets it.
    pub(super) fn submit(&self, gate: &Gate, worker: &mut Worker) -> Result<Ticket, Refused> {
        patiently(|| gate.submit(&self.event, Deadline::Never, worker))
    }
}
