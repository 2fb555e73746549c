//! The canonical payments as bodies of requests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::rule_set::RuleSet;
use floor::Population;
use hyper::body::Bytes;
use stream::gate::Gate;

use crate::bench::payments;
use crate::send::body;

/// Payments of one traffic, one after another, whoever takes them.
pub(in crate::bench) struct Payments {
    source: Mutex<Source>,
}

struct Source {
    events: payments::Payments,
    rules: Arc<RuleSet>,
    /// Made beforehand.
    ready: VecDeque<Bytes>,
}

impl Payments {
    /// From the first on.
    pub(in crate::bench) fn new(population: Population) -> anyhow::Result<Self> {
        let source = Source {
            events: payments::Payments::long_ago(population),
            rules: canonical::gate()?.rules(),
            ready: VecDeque::new(),
        };
        Ok(Self { source: Mutex::new(source) })
    }

    /// Makes some beforehand, so that nobody who measures pays for them; further ones are made when they are taken.
    pub(in crate::bench) fn stock(&self, payments: usize) {
        let mut source = self.source();
        while source.ready.len() < payments {
            let body = source.body();
            source.ready.push_back(body);
        }
    }

    /// The next one.
    pub(in crate::bench) fn next(&self) -> Bytes {
        let mut source = self.source();
        source.ready.pop_front().unwrap_or_else(|| source.body())
    }

    /// The next so many, as the body of a batch.
    pub(in crate::bench) fn batch(&self, payments: usize) -> Bytes {
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
    pub(in crate::bench) fn pass_over(&self, payments: u64) {
        self.source().events.pass_over(payments);
    }

    /// Lets a gate in this process decide the next so many.
    pub(in crate::bench) fn decide(&self, gate: &Gate, payments: u64) -> anyhow::Result<()> {
        let (mut source, mut worker) = (self.source(), gate.worker(Vec::new()));
        for _ in 0..payments {
            source.events.advance();
            let ticket = source.events.submit(gate, &mut worker)?;
            Gate::recycle(&mut worker, ticket);
        }
        Ok(())
    }

    /// A thread that panicked while it held them has said so, and left nothing half done.
    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn body(&mut self) -> Bytes {
        body::event(self.events.advance(), &self.rules.typed.schema).into()
    }
}

#[cfg(test)]
mod tests {
    use api::now;
    use engine::event::Event;
    use rules::time::DAY;
    use stream::intake::{Body, parse_json};

    use super::*;
    use crate::bench::payments::AGE;

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
        let latest = now() - AGE + DAY;
        assert!(first.iter().all(|it| it.1 < latest), "{first:?}, {latest}");
        payments.pass_over(7);
        let batch: serde_json::Value = serde_json::from_slice(&payments.batch(2)).unwrap();
        let ids: Vec<_> = batch["events"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert_eq!(ids, ["payment-11", "payment-12"]);
    }
}
