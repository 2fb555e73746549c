//! The canonical payments as bodies of requests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::app::now;
use canonical::traffic::Traffic;
use engine::event::Event;
use engine::rule_set::RuleSet;
use floor::{Draw, Population};
use hyper::body::Bytes;
use rules::time::{DAY, Micros};

use crate::send::body;

/// How long ago the traffic begins: a server refuses what lies ahead of its clock, and a run lives through months.
const AGE: Micros = 3_650 * DAY;
/// The same payments for every server.
const SEED: u64 = 1;

/// Payments of one traffic, one after another, whoever takes them.
pub(super) struct Payments {
    source: Mutex<Source>,
}

struct Source {
    traffic: Traffic,
    rules: Arc<RuleSet>,
    /// From the traffic's own time to that of the events, in whole days.
    shift: Micros,
    /// Made beforehand.
    ready: VecDeque<Bytes>,
    event: Event,
    text: String,
}

impl Payments {
    /// From the first on.
    pub(super) fn new(population: Population) -> anyhow::Result<Self> {
        let traffic = Traffic::new(population, Draw::Uniform, SEED);
        let first = traffic.clone().next().map_or(0, |it| it.time);
        let source = Source {
            traffic,
            rules: canonical::gate()?.rules(),
            shift: (now() - AGE - first) / DAY * DAY,
            ready: VecDeque::new(),
            event: Event::default(),
            text: String::new(),
        };
        Ok(Self { source: Mutex::new(source) })
    }

    /// Makes some beforehand, so that nobody who measures pays for them; further ones are made when they are taken.
    pub(super) fn stock(&self, payments: usize) {
        let mut source = self.source();
        while source.ready.len() < payments {
            let body = source.body();
            source.ready.push_back(body);
        }
    }

    /// The next one.
    pub(super) fn next(&self) -> Bytes {
        let mut source = self.source();
        source.ready.pop_front().unwrap_or_else(|| source.body())
    }

    /// The next so many, as the body of a batch.
    pub(super) fn batch(&self, payments: usize) -> Bytes {
        let mut text = b"{\"events\":[".to_vec();
        for at in 0..payments {
            if at != 0 {
                text.push(b',');
            }
            text.extend_from_slice(&self.next());
        }
        text.extend_from_slice(b"]}");
        text.into()
    }

    /// Leaves out so many.
    pub(super) fn pass_over(&self, payments: u64) {
        // The count ends before the traffic is asked once too often.
        (0..payments).zip(self.source().traffic.by_ref()).for_each(drop);
    }

    /// A thread that panicked while it held them has said so, and left nothing half done.
    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn body(&mut self) -> Bytes {
        // Traffic has no end.
        if let Some(payment) = self.traffic.next() {
            payment.fill(&mut self.event, &mut self.text);
        }
        self.event.time += self.shift;
        body::event(&self.event, &self.rules.typed.schema).into()
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
    use stream::intake::{Body, parse_json};

    use super::*;

    #[test]
    fn payments_are_sent_once_in_order_and_lie_in_the_past() {
        let payments = Payments::new(Population { users: 100, merchants: 1 }).unwrap();
        let rules = canonical::gate().unwrap().rules();
        let read = |body: &[u8]| {
            let mut event = Event::default();
            assert_eq!(parse_json(body, &rules.typed.schema, &mut event), Ok(Body::Event));
            (event.id.clone(), event.time)
        };
        payments.stock(2);
        payments.stock(1);
        let first = [payments.next(), payments.next(), payments.next()].map(|it| read(&it));
        assert_eq!(first.clone().map(|it| it.0), ["payment-1", "payment-2", "payment-3"]);
        assert!(first.is_sorted_by_key(|it| it.1));
        assert!(first.iter().all(|it| it.1 < now() - AGE + DAY));
        payments.pass_over(7);
        let batch: serde_json::Value = serde_json::from_slice(&payments.batch(2)).unwrap();
        let ids: Vec<_> = batch["events"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert_eq!(ids, ["payment-11", "payment-12"]);
    }

    #[test]
    fn days_are_counted_in_payments() {
        let population = Population { users: 1_000, merchants: 10 };
        // One of each user a day, and twenty of one user in a hundred.
        assert_eq!(days(population, 2), 2 * 1_200);
    }
}
