//! The canonical payments as events, one after the other.

use api::now;
use canonical::traffic::Traffic;
use engine::event::Event;
use floor::{Draw, Population};
use rules::time::{DAY, Micros};
use stream::gate::{Deadline, Gate, Refused, Ticket, Worker};

use crate::patience::patiently;

/// How long ago the traffic of a server begins: it refuses what lies ahead of its clock, and a run lives through months.
pub(super) const AGE: Micros = 3_650 * DAY;
/// One seed, so that everybody decides the same payments.
const SEED: u64 = 1;

/// Payments that go on where they stopped, whoever decides them.
#[derive(Debug)]
pub(super) struct Payments {
    traffic: Traffic,
    /// From the traffic's own time to that of the events, in whole days.
    shift: Micros,
    /// The payment that is decided next.
    event: Event,
    text: String,
}

impl Payments {
    /// From the first on, at the traffic's own times.
    pub(super) fn new(population: Population) -> Self {
        let traffic = Traffic::new(population, Draw::Uniform, SEED);
        Self { traffic, shift: 0, event: Event::default(), text: String::new() }
    }

    /// Payments as [`Payments::new`] gives them, which begin [`AGE`] ago.
    pub(super) fn long_ago(population: Population) -> Self {
        let payments = Self::new(population);
        let first = payments.traffic.clone().next().map_or(0, |it| it.time);
        Self { shift: (now() - AGE - first).div_euclid(DAY) * DAY, ..payments }
    }

    /// Whole days gone.
    pub(super) fn days(&self) -> i64 {
        self.traffic.days()
    }

    /// Goes on to the next payment, and gives it.
    pub(super) fn advance(&mut self) -> &Event {
        // Traffic has no end.
        if let Some(payment) = self.traffic.next() {
            payment.fill(&mut self.event, &mut self.text);
            self.event.time += self.shift;
        }
        &self.event
    }

    /// Leaves out so many.
    pub(super) fn pass_over(&mut self, payments: u64) {
        // The count ends before the traffic is asked once too often.
        (0..payments).zip(self.traffic.by_ref()).for_each(drop);
    }

    /// Decides the payment, as soon as the disk lets it.
    pub(super) fn submit(&self, gate: &Gate, worker: &mut Worker) -> Result<Ticket, Refused> {
        patiently(|| gate.submit(&self.event, Deadline::Never, worker))
    }
}

/// How many payments a population makes in so many days.
pub(super) fn days(population: Population, days: i64) -> u64 {
    let traffic = Traffic::new(population, Draw::Uniform, SEED);
    let first = traffic.clone().next().map_or(0, |it| it.time);
    let end = (first / DAY + days) * DAY;
    traffic.take_while(|it| it.time < end).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_in_payments() {
        let population = Population { users: 1_000, merchants: 10 };
        // One of each user a day, and twenty of one user in a hundred.
        assert_eq!(days(population, 2), 2 * 1_200);
    }
}
