//! What was seen so far: the last decisions and alerts, and all of them counted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rules::time::Micros;

use super::live::{Alert, Seen};
use crate::send::answer::{Decision, Told};
use crate::send::tally::Tally;
use crate::serve::Greeting;
use crate::simulate::{AmountMinor, Entry, Event};

/// More than any terminal has lines.
const KEPT_MAX: usize = 200;

/// Where the server is, and how to be let in.
pub(super) struct Contact {
    /// Host and port.
    pub(super) authority: String,
    /// An admin's.
    pub(super) key: String,
    /// How many rules are in force.
    pub(super) rules: usize,
}

impl Contact {
    /// As the server says at its start.
    pub(super) fn of(greeting: &Greeting<'_>) -> anyhow::Result<Self> {
        let key = greeting.key.context("the server made no key: its directory was not new")?;
        Ok(Self {
            authority: greeting.address.to_string(),
            key: key.reveal().to_owned(),
            rules: greeting.gate.in_force().rules.typed.rules.len(),
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.authority)
    }
}

/// A decision that was answered.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) time: Micros,
    pub(super) event_type: &'static str,
    pub(super) user: String,
    pub(super) amount_minor: Option<AmountMinor>,
    pub(super) outcome: String,
    pub(super) score: f64,
    /// Rules that hit; those in shadow mode, which decide nothing, in brackets.
    pub(super) rules: Vec<String>,
}

impl Row {
    fn of(event: &Event, decision: Decision) -> Self {
        let rule = |it: crate::send::answer::Hit| if it.shadow { format!("({})", it.rule) } else { it.rule };
        Self {
            time: event.time,
            event_type: event.action.type_name(),
            user: event.user.to_string(),
            amount_minor: event.action.amount_minor(),
            outcome: decision.outcome,
            score: decision.score,
            rules: decision.hits.into_iter().map(rule).collect(),
        }
    }

    /// Whether something is to be seen in it.
    pub(super) fn is_unusual(&self) -> bool {
        self.outcome != "allow" || !self.rules.is_empty()
    }
}

/// What was seen.
pub(super) struct Scene {
    pub(super) contact: Contact,
    /// Newest first.
    pub(super) decisions: VecDeque<Row>,
    /// Newest first.
    pub(super) alerts: VecDeque<Alert>,
    /// Alerts that came over the stream.
    pub(super) alerts_seen: u64,
    pub(super) tally: Tally,
    start: Instant,
    /// The wall clock at the start.
    since: Micros,
}

/// What is new in it.
pub(super) enum News<'a> {
    Decision(&'a Row),
    Alert(&'a Alert),
}

impl Scene {
    pub(super) fn new(contact: Contact) -> anyhow::Result<Self> {
        Ok(Self {
            contact,
            decisions: VecDeque::new(),
            alerts: VecDeque::new(),
            alerts_seen: 0,
            tally: Tally::new()?,
            start: Instant::now(),
            since: Micros::MAX,
        })
    }

    /// It begins now, as the wall clock says.
    pub(super) fn begin(&mut self, now: Micros) {
        (self.start, self.since) = (Instant::now(), now);
    }

    /// How long it has been going on.
    pub(super) fn elapsed(&self) -> Duration {
        if self.since == Micros::MAX { Duration::ZERO } else { self.start.elapsed() }
    }

    /// Takes in what was seen; gives what is new, which labels and alerts about the history are not.
    pub(super) fn see(&mut self, seen: Seen) -> Option<News<'_>> {
        match seen {
            Seen::Answer { entry, told, took, retries } => {
                self.tally.add(&told, took, retries);
                match (entry, told) {
                    (Entry::Event { event, .. }, Told::Decided(decision)) => {
                        keep(&mut self.decisions, Row::of(&event, decision)).map(News::Decision)
                    }
                    _ => None,
                }
            }
            // The stream is a moment behind: what the history raised may come after it was over.
            Seen::Alert(alert) if alert.time < self.since => None,
            Seen::Alert(alert) => {
                self.alerts_seen += 1;
                keep(&mut self.alerts, alert).map(News::Alert)
            }
        }
    }
}

/// Puts it in front; gives it where it stands.
fn keep<T>(kept: &mut VecDeque<T>, new: T) -> Option<&T> {
    kept.truncate(KEPT_MAX - 1);
    kept.push_front(new);
    kept.front()
}

#[cfg(test)]
pub(super) mod tests {
    use rules::time::SECOND;
    use serde_json::{Value, json};

    use super::*;
    use crate::send::answer::Hit;
    use crate::simulate::{Options, Share, Timeline};

    pub(crate) fn scene() -> Scene {
        let contact =
            Contact { authority: "127.0.0.1:8080".to_owned(), key: "weir_key".to_owned(), rules: 17 };
        Scene::new(contact).unwrap()
    }

    /// The n-th event of a small world, a second after the one before it, and what was decided.
    pub(crate) fn answer(number: u8, outcome: &str, score: f64, rules: &[&str]) -> Seen {
        let mut entries = Timeline::new(&Options::endless(1, 50, Share::per_cent(8)));
        let entry = entries.nth(number.into()).unwrap().at(i64::from(number) * SECOND);
        let hit = |it: &&str| Hit {
            rule: it.trim_matches(['(', ')']).to_owned(),
            reason: String::new(),
            shadow: it.starts_with('('),
        };
        let decision = Decision {
            outcome: outcome.to_owned(),
            score,
            hits: rules.iter().map(hit).collect(),
            alerts: Vec::new(),
            flags: Vec::new(),
        };
        let took = Duration::from_millis(2);
        Seen::Answer { entry, told: Told::Decided(decision), took, retries: 0 }
    }

    /// An alert as a server sends it, with some members of its own.
    pub(crate) fn alert(members: Value) -> Alert {
        let mut alert = json!({
            "id": "alt_0", "decision_id": "dec_0", "event_id": "e7", "event_type": "payment",
            "time": "1970-01-01T00:00:02Z", "severity": "high", "rule": "fan_in", "reason": "Many send to one user",
            "outcome": "block", "score": 60,
            "entities": [{ "role": "payee", "kind": "user", "id": "u9" }, { "role": "user", "kind": "user", "id": "u1" }],
            "status": "open",
        });
        alert.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        serde_json::from_value(alert).unwrap()
    }

    #[test]
    fn what_the_history_raised_and_labels_are_no_news() {
        let mut scene = scene();
        assert_eq!(scene.elapsed(), Duration::ZERO);
        scene.begin(2 * SECOND);
        let old = alert(json!({ "time": "1970-01-01T00:00:01.999999Z" }));
        let label = Entry::Label { event_number: 1, known_at: 3 * SECOND, kind: "mule" };
        let label = Seen::Answer { entry: label, told: Told::Amended, took: Duration::ZERO, retries: 0 };
        for seen in [Seen::Alert(old), label] {
            assert!(scene.see(seen).is_none());
        }
        assert!(
            matches!(scene.see(Seen::Alert(alert(json!({})))), Some(News::Alert(it)) if it.user() == "u1")
        );
        let unusual = [("allow", false), ("challenge", true)];
        for (number, (outcome, expected)) in (0..).zip(unusual) {
            let Some(News::Decision(row)) = scene.see(answer(number, outcome, 0.0, &[])) else { panic!() };
            assert_eq!((row.is_unusual(), row.time), (expected, i64::from(number) * SECOND));
        }
        assert_eq!((scene.alerts_seen, scene.tally.decided, scene.tally.answered()), (1, 2, 3));
    }

    #[test]
    fn only_the_newest_are_kept() {
        let mut kept = VecDeque::new();
        for number in 0..1_000 {
            assert_eq!(keep(&mut kept, number), Some(&number));
        }
        assert_eq!((kept.len(), kept.back()), (KEPT_MAX, Some(&800)));
    }
}
