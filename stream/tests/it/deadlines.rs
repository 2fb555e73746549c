//! Deadlines, and what is refused before it takes a lock.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use engine::decision::Fallback;
use engine::entity::EntityKey;
use engine::event::Event;
use parking_lot::Mutex;
use rules::past::Outcome;
use rules::value::Value;
use stream::gate::{Admission, Deadline, Gate, Poisoned, Refused, Settled, Worker};
use stream::journal::{
    Cursor, Entry, Full, Journal, JournalError, Load, Memory, Progress, RecordKind, Reservation,
};
use tokio::sync::watch;

use crate::support::{begin, bundle, check_folded, check_verified, event, key};

const SCHEMA: &str = "schema pay 1\nzone \"UTC\"\ncurrency EUR\nentity user\n\
                      event payment\n  user: user\n  amount: money\nevent login\n  user: user\n";
const RULES: &str = r#"
use schema pay
feature n_1h  = count(payment) by user over 1h
feature spent = sum(payment.amount) by user over 1h before where accepted
record n_1h, spent
rule watched "Watched" on payment, login when n_1h > 100 then challenge
policy on payment
  deadline 5ms else block
"#;

/// A gate over a journal in which nothing is durable until somebody says so.
fn held() -> (Gate, Memory, Worker) {
    let journal = Memory::held();
    let gate = begin(SCHEMA, RULES, Box::new(journal.clone()));
    let features = gate.rules().typed.feature_order.clone();
    let worker = gate.worker(features);
    (gate, journal, worker)
}

fn pay(gate: &Gate, id: &str) -> Event {
    event(&gate.rules().typed.schema, "payment", id, 1_000_000_000, "user=u1 amount=100")
}

fn settled(gate: &Gate, event: &Event, deadline: Deadline, worker: &mut Worker) -> Settled {
    let ticket = gate.submit(event, deadline, worker).unwrap();
    gate.settle_blocking(ticket).unwrap()
}

/// What the next payment sees: how many there were with it, and what of them was let through.
#[track_caller]
fn check_next(gate: &Gate, worker: &mut Worker, id: &str, count: i128, spent: i128) {
    gate.submit(&pay(gate, id), Deadline::Never, worker).unwrap();
    assert_eq!(worker.observed, [Value::Exact(count), Value::Exact(spent)]);
}

/// The state is the fold of the records, and deriving again gives them.
#[track_caller]
fn check_records(gate: &Gate, journal: &Memory) {
    journal.settle(journal.next());
    check_folded(gate, journal);
    check_verified(journal, key());
}

#[test]
fn who_comes_too_late_gets_the_fallback_recorded_and_the_event_counts() {
    let (gate, journal, mut worker) = held();
    let first = gate.submit(&pay(&gate, "p1"), Deadline::By(Instant::now()), &mut worker).unwrap();
    assert_eq!(
        (first.ruling.verdict.outcome, first.ruling.fallback),
        (Outcome::Block, Some(Fallback::Deadline))
    );
    journal.settle(journal.next());
    let first = gate.settle_blocking(first).unwrap();
    assert!(first.durable, "a fallback that is recorded is as durable as any decision");
    let again = settled(&gate, &pay(&gate, "p1"), Deadline::Never, &mut worker);
    assert_eq!((again.ruling.verdict.outcome, again.ruling.flags.repeated), (Outcome::Block, true));
    check_next(&gate, &mut worker, "p2", 2, 0);
    check_records(&gate, &journal);
}

#[test]
fn who_waits_too_long_gets_the_fallback_and_an_amendment_follows() {
    let (gate, journal, mut worker) = held();
    let since = Instant::now();
    let first = settled(&gate, &pay(&gate, "p1"), Deadline::Policy { since }, &mut worker);
    assert!(Duration::from_millis(5) <= since.elapsed());
    assert_eq!((first.durable, first.ruling.verdict.outcome), (false, Outcome::Block));
    assert_eq!(first.ruling.fallback, Some(Fallback::Deadline));
    assert_eq!(journal.next(), 3, "the rule set, the decision, the amendment");
    // A repeat gets what the first caller got, at once or late, and amends nothing again.
    let by = Deadline::By(Instant::now() + Duration::from_millis(1));
    let late = settled(&gate, &pay(&gate, "p1"), by, &mut worker);
    assert_eq!((late.durable, late.ruling.verdict.outcome), (false, Outcome::Block));
    // Nor is it durable when the decision is and the amendment is not: a crash would bring the decision back.
    journal.settle(journal.next() - 1);
    let by = Deadline::By(Instant::now() + Duration::from_millis(1));
    let between = settled(&gate, &pay(&gate, "p1"), by, &mut worker);
    assert_eq!((between.durable, between.ruling.verdict.outcome), (false, Outcome::Block));
    journal.settle(journal.next());
    let again = settled(&gate, &pay(&gate, "p1"), Deadline::Never, &mut worker);
    assert_eq!((again.durable, again.ruling.verdict.outcome), (true, Outcome::Block));
    assert_eq!(again.ruling.fallback, Some(Fallback::Deadline));
    assert_eq!(journal.next(), 3);
    check_next(&gate, &mut worker, "p2", 2, 0);
    check_records(&gate, &journal);
}

/// Who asks twice at once gets one answer, whoever of the two is in a hurry, and at whatever moment the disk is done: the
/// one that is recorded.
#[test]
fn all_callers_of_an_event_get_one_answer() {
    let (gate, journal, mut worker) = held();
    let (mut fell_back, mut decided) = (0, 0);
    for round in 0..1_000 {
        let payment = pay(&gate, &format!("p{round}"));
        let micros = |most: u64| Duration::from_micros(round * 7_919 % most);
        let first_by = Deadline::By(Instant::now() + Duration::from_micros(200));
        let first_by = if round % 2 == 0 { Deadline::Never } else { first_by };
        let first = gate.submit(&payment, first_by, &mut worker).unwrap();
        let by = Deadline::By(Instant::now() + micros(300));
        let second = gate.submit(&payment, by, &mut worker).unwrap();
        let below = first.position.offset + 1;
        let answers = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(micros(211));
                journal.settle(below);
            });
            let tickets = [first, second];
            let waits = tickets.map(|it| scope.spawn(|| gate.settle_blocking(it).unwrap()));
            waits.map(|it| it.join().unwrap())
        });
        let outcomes = answers.map(|it| (it.ruling.verdict.outcome, it.ruling.fallback));
        assert_eq!(outcomes[0], outcomes[1], "round {round}");
        journal.settle(journal.next());
        let later = settled(&gate, &payment, Deadline::Never, &mut worker);
        assert_eq!(outcomes[0], (later.ruling.verdict.outcome, later.ruling.fallback), "round {round}");
        *(if outcomes[0].1.is_some() { &mut fell_back } else { &mut decided }) += 1;
    }
    assert!(0 < fell_back && 0 < decided, "{fell_back} fell back, {decided} did not");
    check_records(&gate, &journal);
}

#[test]
fn a_repeat_gets_the_fallback_when_only_the_journal_remembers_it() {
    let (gate, journal, mut worker) = held();
    let gate = gate.remembering(0, 0);
    let by = || Deadline::By(Instant::now() + Duration::from_millis(1));
    let late = settled(&gate, &pay(&gate, "p1"), by(), &mut worker);
    assert_eq!((late.durable, late.ruling.verdict.outcome), (false, Outcome::Block));
    // As long as its amendment is not durable it is remembered, and then a while longer.
    for settle in [2, 3, u64::MAX] {
        for other in 0..1_000 {
            let other = pay(&gate, &format!("other-{settle}-{other}"));
            let ticket = gate.submit(&other, Deadline::Never, &mut worker).unwrap();
            Gate::recycle(&mut worker, ticket);
        }
        let again = gate.submit(&pay(&gate, "p1"), Deadline::Never, &mut worker).unwrap();
        assert_eq!((again.ruling.verdict.outcome, again.ruling.flags.repeated), (Outcome::Block, true));
        assert_eq!((again.position, again.ruling.fallback), (late.position, Some(Fallback::Deadline)));
        journal.settle(settle.min(journal.next()));
    }
    let reused = event(&gate.rules().typed.schema, "payment", "p1", 1_000_000_000, "user=u1 amount=101");
    let refused = gate.submit(&reused, Deadline::Never, &mut worker).unwrap_err();
    assert_eq!(refused, Refused::IdReused("p1".to_owned()));
}

#[test]
fn what_is_durable_in_time_is_the_decision() {
    let (gate, journal, mut worker) = held();
    let by = Deadline::By(Instant::now() + Duration::from_secs(60));
    let ticket = gate.submit(&pay(&gate, "p1"), by, &mut worker).unwrap();
    let settled = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(5));
            journal.settle(journal.next());
        });
        gate.settle_blocking(ticket).unwrap()
    });
    assert_eq!((settled.durable, settled.ruling.verdict.outcome), (true, Outcome::Allow));
    check_next(&gate, &mut worker, "p2", 2, 100);
    check_records(&gate, &journal);
}

#[tokio::test]
async fn a_task_waits_as_a_thread_does() {
    let (gate, journal, mut worker) = held();
    let by = Deadline::By(Instant::now() + Duration::from_millis(2));
    let ticket = gate.submit(&pay(&gate, "p1"), by, &mut worker).unwrap();
    let first = gate.settle(ticket).await.unwrap();
    assert_eq!((first.durable, first.ruling.verdict.outcome), (false, Outcome::Block));
    let ticket = gate.submit(&pay(&gate, "p2"), Deadline::Never, &mut worker).unwrap();
    journal.settle(journal.next());
    assert!(gate.settle(ticket).await.unwrap().durable);
    gate.durable(journal.next() - 1).await.unwrap();
    check_records(&gate, &journal);
}

/// Of a recheck the original's row is what counts.
#[test]
fn a_recheck_that_waits_too_long_sets_the_outcome_of_its_original() {
    let (gate, journal, mut worker) = held();
    gate.submit(&pay(&gate, "p1"), Deadline::Never, &mut worker).unwrap();
    let mut recheck = pay(&gate, "r1");
    recheck.recheck_of = Some("p1".to_owned());
    let by = Deadline::By(Instant::now() + Duration::from_millis(1));
    let late = settled(&gate, &recheck, by, &mut worker);
    assert_eq!((late.durable, late.ruling.verdict.outcome), (false, Outcome::Block));
    check_next(&gate, &mut worker, "p2", 2, 0);
    check_records(&gate, &journal);
}

#[test]
fn the_declared_fallback_or_a_challenge_and_no_deadline_where_none_is_declared() {
    let (gate, _, mut worker) = held();
    let mut login = event(&gate.rules().typed.schema, "login", "l1", 1_000_000_000, "user=u1");
    let late = gate.submit(&login, Deadline::By(Instant::now()), &mut worker).unwrap();
    assert_eq!(late.ruling.verdict.outcome, Outcome::Challenge);
    login.id = "l2".to_owned();
    let ticket = gate.submit(&login, Deadline::Policy { since: Instant::now() }, &mut worker).unwrap();
    assert_eq!(ticket.ruling.fallback, None);
}

#[test]
fn an_event_recorded_without_a_verdict_counts_and_one_too_late_does_not() {
    let (gate, journal, mut worker) = held();
    let ticket = gate.record(&pay(&gate, "e1"), &mut worker).unwrap();
    assert_eq!(ticket.ruling.verdict.outcome, Outcome::None);
    let mut too_late = pay(&gate, "e2");
    too_late.time = 0;
    assert!(gate.record(&too_late, &mut worker).unwrap().ruling.flags.too_late);
    let again = gate.record(&pay(&gate, "e1"), &mut worker).unwrap();
    assert!(again.ruling.flags.repeated);
    let mut recheck = pay(&gate, "r1");
    recheck.recheck_of = Some("e1".to_owned());
    assert_eq!(gate.record(&recheck, &mut worker).unwrap_err(), Refused::RecheckRecorded("e1".to_owned()));
    check_next(&gate, &mut worker, "p1", 2, 100);
    check_records(&gate, &journal);
}

#[test]
fn nothing_is_answered_after_a_failed_write() {
    let (gate, journal, mut worker) = held();
    let ticket = gate.submit(&pay(&gate, "p1"), Deadline::Never, &mut worker).unwrap();
    let by = Deadline::By(Instant::now() + Duration::from_secs(60));
    let waiting = gate.submit(&pay(&gate, "p2"), by, &mut worker).unwrap();
    journal.poison();
    assert_eq!(gate.settle_blocking(ticket).unwrap_err(), Poisoned);
    assert_eq!(gate.settle_blocking(waiting).unwrap_err(), Poisoned);
    let refused = gate.submit(&pay(&gate, "p3"), Deadline::Never, &mut worker).unwrap_err();
    assert_eq!(refused, Refused::Poisoned(Poisoned));
    let folder = tempfile::tempdir().unwrap();
    let dir = stream::snapshot::DataDir::open(folder.path()).unwrap();
    assert!(stream::snapshot::write(&dir, &gate, &Default::default()).is_err());
    assert!(
        stream::snapshot::newest(&dir).unwrap().is_none(),
        "what will never be durable is in no snapshot"
    );
}

/// What a journal says and does.
#[derive(Clone, Copy, Default)]
struct Says {
    /// How long a record would take.
    wait: Duration,
    /// There is no room for more.
    full: bool,
    /// Whoever appends panics.
    panics: bool,
}

/// A journal that is told what to say.
struct Told {
    memory: Memory,
    says: Arc<Mutex<Says>>,
}

impl Journal for Told {
    fn reserve(&self, records: usize, bytes_each: usize) -> Result<Reservation, Full> {
        if self.says.lock().full { Err(Full) } else { self.memory.reserve(records, bytes_each) }
    }
    fn append(&self, entry: &Entry<'_>) -> u64 {
        assert!(!self.says.lock().panics, "a panic under the locks");
        self.memory.append(entry)
    }
    fn durable(&self) -> u64 {
        self.memory.durable()
    }
    fn next(&self) -> u64 {
        self.memory.next()
    }
    fn watch(&self) -> watch::Receiver<Progress> {
        self.memory.watch()
    }
    fn reached(&self, offset: u64, waker: Option<&Waker>) -> Poll<Progress> {
        self.memory.reached(offset, waker)
    }
    fn fail(&self, why: &str) {
        self.memory.fail(why);
    }
    fn load(&self) -> Load {
        Load { wait: self.says.lock().wait, ..self.memory.load() }
    }
    fn read(&self, offset: u64, into: &mut Vec<u8>) -> Result<Option<RecordKind>, JournalError> {
        self.memory.read(offset, into)
    }
    fn find(&self, id: u128, within: Range<u64>) -> Result<Option<(u64, RecordKind)>, JournalError> {
        self.memory.find(id, within)
    }
    fn surely_lacks(&self, id: u128, from: u64) -> bool {
        self.memory.surely_lacks(id, from)
    }
    fn oldest(&self) -> u64 {
        self.memory.oldest()
    }

    fn find_decision(&self, decision: u128) -> Result<Option<u64>, JournalError> {
        self.memory.find_decision(decision)
    }
    fn about(&self, entity: EntityKey, most: usize, into: &mut Vec<u64>) -> Result<(), JournalError> {
        self.memory.about(entity, most, into)
    }
    fn cursor(&self, from: u64) -> Result<Box<dyn Cursor>, JournalError> {
        self.memory.cursor(from)
    }
}

fn told() -> (Gate, Memory, Arc<Mutex<Says>>) {
    let (memory, says) = (Memory::default(), Arc::default());
    let told = Box::new(Told { memory: memory.clone(), says: Arc::clone(&says) });
    let gate = Gate::begin(bundle(SCHEMA, RULES), key(), told, Admission::default()).unwrap();
    (gate, memory, says)
}

/// What is in memory after a panic between deciding and applying may not be what the records lead to: nothing more is
/// answered, and nobody waits for the one who is gone.
#[test]
fn a_panic_under_the_locks_ends_the_journal() {
    let (gate, memory, says) = told();
    let (payment, durable) = (pay(&gate, "p1"), memory.next());
    says.lock().panics = true;
    let submit = || {
        let mut worker = gate.worker(Vec::new());
        gate.submit(&payment, Deadline::Never, &mut worker).map(|it| it.position)
    };
    catch_unwind(AssertUnwindSafe(submit)).unwrap_err();
    says.lock().panics = false;
    assert_eq!(submit(), Err(Refused::Poisoned(Poisoned)));
    assert_eq!((memory.next(), gate.journal().watch().borrow().poisoned), (durable, true));
    // Its user is not locked for ever.
    gate.for_each_entity(|_, _| ());
}

#[test]
fn what_would_wait_too_long_is_refused_before_it_leaves_a_trace() {
    let (gate, memory, says) = told();
    let ms = Duration::from_millis;
    let mut worker = gate.worker(Vec::new());
    let minute = || Deadline::By(Instant::now() + ms(60_000));
    #[rustfmt::skip]
    let rows = [
        // wait, full, deadline, retry after
        (ms(900),    false, Deadline::Never,                None),
        (ms(1_100),  false, Deadline::Never,                Some(ms(1_100))),
        (ms(20_000), false, minute(),                       None),
        (ms(40_000), false, minute(),                       Some(ms(40_000))),
        (ms(0),      true,  Deadline::Never,                Some(ms(100))),
        (ms(700),    true,  Deadline::Never,                Some(ms(700))),
        // Late already: its fallback is recorded, so that it waits for nothing.
        (ms(900),    false, Deadline::By(Instant::now()),   None),
    ];
    for (at, (wait, full, deadline, retry_after)) in rows.into_iter().enumerate() {
        *says.lock() = Says { wait, full, ..Says::default() };
        let (before, payment) = (memory.next(), pay(&gate, &format!("p{at}")));
        let refused = gate.submit(&payment, deadline, &mut worker).err();
        assert_eq!(refused, retry_after.map(|retry_after| Refused::Overloaded { retry_after }), "row {at}");
        assert_eq!(memory.next() - before, u64::from(retry_after.is_none()), "row {at}");
        // Its id was never used.
        *says.lock() = Says::default();
        let again = gate.submit(&payment, Deadline::Never, &mut worker).unwrap();
        assert_eq!(again.ruling.flags.repeated, retry_after.is_none(), "row {at}");
    }
    check_folded(&gate, &memory);
}
