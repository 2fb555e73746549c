//! Repeats that are found in the journal: a gate that remembers next to nothing itself, and that is started again now and
//! then, answers as one that remembers everything.

use std::sync::Arc;

use engine::event::{Amendment, Change, Event};
use engine::words::When;
use rules::past::{Label, Outcome};
use rules::reference::generate::Choices;
use rules::time::{DAY, HOUR, Micros, SECOND};
use stream::disk::simulated::Simulated;
use stream::gate::{Deadline, Gate, Refused, Worker};
use stream::journal::{Memory, OnDisk, Options};
use stream::recover::recover;
use stream::snapshot::{self, DataDir, Extra};

use crate::support::{PATIENT, begin, event, gate, key, rule_set};
use crate::verify::{RULES, SCHEMA};

const SEEDS: u64 = 12;
const STEPS: u64 = 600;

fn open(disk: &Simulated) -> Box<OnDisk> {
    // Small segments, so that there are many filters to ask.
    let options = Options { segment_bytes: 1 << 14, ..Options::new(key()) };
    Box::new(OnDisk::open(Arc::new(disk.clone()), options).unwrap())
}

fn begin_on(disk: &Simulated) -> Gate {
    begin(SCHEMA, RULES, open(disk))
}

/// What somebody sends.
#[derive(Clone, Debug)]
enum Sent {
    Event(Event, Deadline),
    Amendment(Amendment),
}

/// What comes back.
#[derive(PartialEq, Debug)]
enum Answer {
    Decided { offset: u64, outcome: Outcome, repeated: bool, fallback: bool, when: When },
    Amended { offset: u64, repeated: bool },
    Refused(String),
}

fn send(gate: &Gate, sent: &Sent, worker: &mut Worker) -> Answer {
    let refused = |refused: &stream::gate::Refused| Answer::Refused(refused.to_string());
    match sent {
        Sent::Event(event, deadline) => {
            let ticket = match gate.submit(event, *deadline, worker) {
                Ok(ticket) => ticket,
                Err(error) => return refused(&error),
            };
            let (offset, when, repeated) =
                (ticket.position.offset, ticket.when, ticket.ruling.flags.repeated);
            let (outcome, fallback) = (ticket.ruling.verdict.outcome, ticket.ruling.fallback.is_some());
            Answer::Decided { offset, outcome, repeated, fallback, when }
        }
        Sent::Amendment(amendment) => match gate.amend(amendment, None, worker) {
            Ok(amended) => Answer::Amended { offset: amended.position, repeated: amended.event.is_none() },
            Err(error) => refused(&error),
        },
    }
}

/// As [`send`], by somebody who reads the journal only where it must be.
fn send_sparingly(gate: &Gate, sent: &Sent, worker: &mut Worker, seen: &mut Seen) -> Answer {
    worker.reads_journal = false;
    let answer = send(gate, sent, worker);
    if answer != Answer::Refused(Refused::InJournal.to_string()) {
        seen.told_by_memory += usize::from(matches!(answer, Answer::Decided { repeated: false, .. }));
        return answer;
    }
    seen.read += 1;
    worker.reads_journal = true;
    send(gate, sent, worker)
}

/// Somebody who sends new things, old things again, and other things under old ids.
struct Sender {
    choices: Choices,
    sent: Vec<Sent>,
    clock: Micros,
}

impl Sender {
    fn payment(&mut self, id: &str, gate: &Gate) -> Event {
        let mut below = |most| self.choices.below(most);
        let (user, amount) = (below(9), 1 + below(1_000));
        let (card, device, merchant) = (below(5), below(3), below(2));
        let fields =
            format!("user=u{user} card=c{card} device=d{device} merchant=m{merchant} amount={amount}");
        event(&gate.rules().typed.schema, "payment", id, self.clock, &fields)
    }

    fn next(&mut self, number: u64, gate: &Gate) -> Sent {
        self.clock += SECOND * i64::try_from(self.choices.below(120)).unwrap();
        if self.choices.chance(1) {
            self.clock += 9 * HOUR;
        }
        let newest = self.sent.len();
        // Mostly of the last few, and some of long ago.
        let back = if self.choices.chance(50) { newest.min(20) } else { newest };
        let old = (0 < newest).then(|| newest - 1 - self.choices.below(back)).map(|at| self.sent[at].clone());
        let event_id = match &old {
            Some(Sent::Event(event, _)) => event.id.clone(),
            Some(Sent::Amendment(amendment)) => amendment.event_id.clone(),
            None => "nobody's".to_owned(),
        };
        let deadline =
            if self.choices.chance(5) { Deadline::By(std::time::Instant::now()) } else { Deadline::Never };
        match (self.choices.below(100), old) {
            (0..25, Some(old)) => old,
            (25..30, Some(Sent::Event(mut event, _))) => {
                event.extra.push('x');
                Sent::Event(event, deadline)
            }
            (30..33, Some(Sent::Amendment(amendment))) => {
                Sent::Amendment(Amendment { time: amendment.time + 1, ..amendment })
            }
            (33..45, _) => {
                let change = Change::Label(Label::Fraud, None);
                let (id, time) = (format!("a-{number}"), self.clock);
                Sent::Amendment(Amendment { id, event_id, time, time_given: true, change })
            }
            (45..50, Some(Sent::Event(mut event, _))) => {
                event.id = format!("r-{number}");
                event.recheck_of = Some(event_id);
                event.time = self.clock;
                Sent::Event(event, deadline)
            }
            _ => Sent::Event(self.payment(&format!("p-{number}"), gate), deadline),
        }
    }
}

/// Waits until the journal has written what it was given.
fn settle(gate: &Gate) {
    while gate.journal().durable() < gate.journal().next() {
        std::thread::yield_now();
    }
}

/// What the random feeds have seen: that the test is about something.
#[derive(Default, Debug)]
struct Seen {
    repeated: usize,
    repeated_after_a_start: usize,
    reused: usize,
    amended_again: usize,
    forgotten: usize,
    read: usize,
    told_by_memory: usize,
}

fn check(seed: u64, seen: &mut Seen) {
    let (whole, scarce) = (Simulated::new(seed), Simulated::new(seed));
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let mut choices = Choices::from_seed(seed);
    let (ids, bytes) = (64 * choices.below(4), 64 * 300 * choices.below(4));
    let (remembers, mut forgets) = (begin_on(&whole), begin_on(&scarce).remembering(ids, bytes));
    let mut workers = [&remembers, &forgets].map(|gate| gate.worker(Vec::new()));
    let mut sender = Sender { choices, sent: Vec::new(), clock: 1_767_600_000 * SECOND };
    let mut started = 0;
    for number in 0..STEPS {
        let sent = sender.next(number, &remembers);
        let answers = [
            send(&remembers, &sent, &mut workers[0]),
            send_sparingly(&forgets, &sent, &mut workers[1], seen),
        ];
        assert_eq!(answers[0], answers[1], "seed {seed}, step {number}: {sent:?}");
        match &answers[0] {
            Answer::Decided { offset, repeated: true, .. } => {
                seen.repeated += 1;
                seen.repeated_after_a_start += usize::from(*offset < started);
            }
            Answer::Amended { repeated: true, .. } => seen.amended_again += 1,
            Answer::Refused(said) => seen.reused += usize::from(said.contains("was used within")),
            Answer::Decided { .. } => {
                let known =
                    |it: &Sent| matches!((it, &sent), (Sent::Event(a, _), Sent::Event(b, _)) if a.id == b.id);
                seen.forgotten += usize::from(sender.sent.iter().any(known));
            }
            Answer::Amended { .. } => {}
        }
        if !matches!(answers[0], Answer::Refused(_)) {
            sender.sent.push(sent);
        }
        if sender.choices.chance(20) {
            settle(&forgets);
        }
        if sender.choices.chance(1) {
            settle(&forgets);
            if sender.choices.chance(70) {
                snapshot::write(&dir, &forgets, &Extra::new()).unwrap();
            }
            started = forgets.journal().next();
            drop(forgets);
            let recovered = recover(&dir, key(), open(&scarce), PATIENT).unwrap().unwrap();
            forgets = recovered.gate.remembering(ids, bytes);
            workers[1] = forgets.worker(Vec::new());
        }
    }
}

#[test]
fn a_gate_that_remembers_next_to_nothing_answers_as_one_that_remembers_everything() {
    let mut seen = Seen::default();
    (0..SEEDS).for_each(|seed| check(seed, &mut seen));
    let Seen { repeated, repeated_after_a_start, reused, amended_again, forgotten, read, told_by_memory } =
        seen;
    for (what, count) in [
        ("repeats", repeated),
        ("repeats of what a process before decided", repeated_after_a_start),
        ("ids of another body", reused),
        ("amendments again", amended_again),
        ("ids that were free again", forgotten),
        ("times that the journal was read", read),
        ("new ids that memory told to be new", told_by_memory),
    ] {
        assert!(20 < count, "{count} {what}");
    }
}

/// The clock that tells a repeat has the event itself in it: whether somebody else came in between makes no difference.
#[test]
fn an_id_of_a_day_ago_is_new() {
    let disk = Simulated::new(8);
    // One that remembers, one that has to ask its journal, and one that has none.
    let small = begin_on(&disk).remembering(0, 0);
    let gates = [begin(SCHEMA, RULES, Box::new(Memory::default())), small, gate(&rule_set(SCHEMA, RULES))];
    for gate in gates {
        let rules = gate.rules();
        let mut worker = gate.worker(Vec::new());
        let mut pay = |id: &str, time, cents: u32| {
            let fields = format!("user=u1 card=c1 device=d1 merchant=m1 amount={cents}");
            let payment = event(&rules.typed.schema, "payment", id, time, &fields);
            let ticket = gate.submit(&payment, Deadline::Never, &mut worker);
            while ticket.is_ok() && gate.journal().durable() < gate.journal().next() {
                std::thread::yield_now();
            }
            ticket.map(|it| it.ruling.flags.repeated)
        };
        let day = |days: i64| 1_767_600_000 * SECOND + days * DAY;
        assert_eq!(pay("a", day(0), 100), Ok(false));
        // Refused, and nothing is forgotten by its time.
        assert_eq!(pay("a", day(1) - 1, 200), Err(Refused::IdReused("a".to_owned())));
        assert_eq!(pay("a", day(0), 100), Ok(true));
        assert_eq!(pay("a", day(1), 200), Ok(false), "a day later");
        assert_eq!(pay("a", day(60), 300), Ok(false), "months later");
        assert_eq!(pay("b", day(61), 100), Ok(false));
        assert_eq!(pay("a", day(61) - 1, 400), Ok(false), "with another in between");
    }
}
