//! Many threads over few entities, and everything that can happen to a decision: derived again on one thread, each is
//! the one that was recorded. And with any one kind's lock released too early, some are not.
//!
//! `WEIR_EVENTS=1000000` says how many events; each test says with `--nocapture` what it did.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use engine::entity::EntityKey;
use engine::event::{Amendment, Change, Event};
use engine::lists::Membership;
use engine::rates::Rates;
use engine::rule_set::RuleSet;
use rules::past::{Label, OperationResult};
use rules::reference::generate::Choices;
use rules::time::{DAY, MINUTE, Micros, SECOND};
use stream::gate::{Deadline, Gate, Refused, Worker};
use stream::journal::{Journal as _, Memory};
use stream::recover::recover;
use stream::snapshot::{self, DataDir, Extra};

use crate::support::{PATIENT, begin, bundle, check_same, check_verified, damage, event, folded, key};

pub(crate) const SCHEMA: &str = r#"
schema pay 1
zone "UTC"
currency EUR
lateness 10m
keep 2d
entity user
entity card shared
entity device shared
entity merchant shared
event payment
  user: user
  card: card
  device: device
  merchant: merchant
  payee: user?
  mcc: text(4)?
  amount: money
"#;

/// Of every kind a feature that every decision records, so that whoever missed a payment shows.
pub(crate) const RULES: &str = r#"
use schema pay
list watched : user
list risky   : text(4)
feature user_1h     = count(payment) by user over 1h
feature spent_1d    = sum(payment.amount) by user over 1d before where accepted
feature usual       = mean(payment.amount) by user over 1d before
feature unusual     = (amount - usual) / 1.00 EUR ?? 0
feature odd_here    = count(payment) by merchant over 1h where unusual > 1
feature received_1h = count(payment) by user via payee over 1h
feature new_card    = first_seen(card) by user
feature card_30m    = count(payment) by card over 30m
feature users_of    = distinct(payment.user) by device over 1d
feature device_1m   = count(payment) by device over 1m
feature merchant_1m = count(payment) by merchant over 1m
feature sum_1h      = sum(payment.amount) by merchant over 1h
feature shop_risk   = ratio(payment where label == fraud) by merchant over 1d delay 60s
feature pair_1d     = count(payment) by (user, merchant) over 1d
record user_1h, spent_1d, unusual, odd_here, new_card, card_30m, users_of, device_1m, merchant_1m, sum_1h,
  shop_risk, pair_1d
rule many "Many payments" on payment when user_1h > 5
  then score +40, alert high once per user 10m, add user to watched for 1h
rule seen "Watched" on payment when user in watched then challenge
rule spent "Spends much" on payment when spent_1d + amount > 90.00 EUR then block
rule risk "A risky kind of shop" on payment when mcc in risky then score +30
policy
  challenge when score >= 60
  alert medium when score >= 30
  deadline 30ms else block
"#;

const BASE: Micros = 1_767_600_000 * SECOND;
/// Simulated time from one event to the next.
const STEP: Micros = SECOND / 5;
/// The idle leave memory only after a day of silence: so often the clock jumps.
const SILENCES: u64 = 4;

/// What the threads share.
pub(crate) struct World {
    pub(crate) gate: Gate,
    pub(crate) journal: Memory,
    /// Events so far, of all threads: simulated time follows it.
    number: AtomicU64,
    events: u64,
    /// Where snapshots go.
    pub(crate) dir: DataDir,
    /// While a rule set is on its way into force, events from this one on wait: some are decided meanwhile, and some are
    /// left to be decided by it.
    slow_from: AtomicU64,
    done: AtomicBool,
}

/// What a thread did.
#[derive(Default, Debug)]
pub(crate) struct Did {
    decided: u64,
    recorded: u64,
    late: u64,
    too_late: u64,
    repeated: u64,
    labels: u64,
    rechecks: u64,
    lists: u64,
    fallbacks: u64,
    fell_back_later: u64,
    evicted: usize,
    snapshots: u64,
    activations: u64,
    /// Records that new state was built from.
    built: u64,
}

/// One thread's part.
struct Hand<'a> {
    world: &'a World,
    /// Of the schema: the rules may change.
    rules: Arc<RuleSet>,
    worker: Worker,
    dice: Choices,
    thread: usize,
    /// Its last events.
    mine: Vec<Event>,
    did: Did,
}

impl Hand<'_> {
    /// Whether something happens that happens so often.
    fn chance(&mut self, per_mille: usize) -> bool {
        self.dice.below(1_000) < per_mille
    }

    fn run(mut self) -> Did {
        loop {
            let number = self.world.number.fetch_add(1, Ordering::Relaxed);
            if self.world.events <= number {
                return self.did;
            }
            self.event(number);
            self.beside(number);
            while self.world.slow_from.load(Ordering::Relaxed) <= number {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn event(&mut self, number: u64) {
        let jumps = number / (self.world.events / SILENCES).max(1);
        let mut time = BASE + i64::try_from(number).unwrap() * STEP + i64::try_from(jumps).unwrap() * 3 * DAY;
        if self.chance(10) {
            time -= 5 * MINUTE;
            self.did.late += 1;
        } else if self.chance(10) {
            time -= 25 * MINUTE;
            self.did.too_late += 1;
        }
        let payment = self.payment(number, time);
        if self.chance(10) {
            self.world.gate.record(&payment, &mut self.worker).unwrap();
            self.did.recorded += 1;
        } else {
            self.submit(&payment);
        }
        if self.mine.len() == 64 {
            self.mine.remove(0);
        }
        self.mine.push(payment);
    }

    fn payment(&mut self, number: u64, time: Micros) -> Event {
        let mut of = |count| self.dice.below(count);
        let (user, card, device, merchant) = (of(200), of(50), of(20), of(10));
        let mut fields = format!(
            "user=u{user} card=c{card} device=d{device} merchant=m{merchant} amount={}",
            100 + of(900)
        );
        if of(10) == 0 {
            fields += &format!(" payee=u{}", of(200));
        }
        if of(2) == 0 {
            fields += &format!(" mcc={}", 5_000 + of(10));
        }
        event(&self.rules.typed.schema, "payment", &format!("p-{}-{number}", self.thread), time, &fields)
    }

    fn submit(&mut self, payment: &Event) {
        let deadline = match self.dice.below(1_000) {
            0..10 => Deadline::By(Instant::now()),
            10..20 => Deadline::By(Instant::now() + Duration::from_micros(200)),
            20..200 => Deadline::Policy { since: Instant::now() },
            _ => Deadline::Never,
        };
        let ticket = match self.world.gate.submit(payment, deadline, &mut self.worker) {
            Ok(ticket) => ticket,
            Err(
                Refused::RolesChanged { .. }
                | Refused::TypeChanged(_)
                | Refused::OfRecheck(_)
                | Refused::EventUnknown(_),
            ) => return,
            Err(refused) => panic!("{refused}"),
        };
        self.did.decided += 1;
        let first = !ticket.ruling.flags.repeated;
        self.did.fallbacks += u64::from(first && ticket.ruling.fallback.is_some());
        if matches!(deadline, Deadline::By(_)) {
            let settled = self.world.gate.settle_blocking(ticket).unwrap();
            self.did.fell_back_later += u64::from(!settled.durable);
        }
    }

    /// What happens beside events.
    fn beside(&mut self, number: u64) {
        if self.chance(10) {
            let again = self.mine[self.dice.below(self.mine.len())].clone();
            self.did.repeated += 1;
            self.submit(&again);
        }
        if self.chance(20) {
            self.amend(number);
        }
        if self.chance(10) {
            let original = &self.mine[self.dice.below(self.mine.len())];
            let mut recheck = original.clone();
            recheck.recheck_of = Some(original.id.clone());
            recheck.id = format!("r-{}-{number}", self.thread);
            recheck.time = original.time + MINUTE;
            self.did.rechecks += 1;
            self.submit(&recheck);
        }
        if self.chance(5) {
            self.change_list();
        }
        if self.chance(2) {
            self.did.evicted += self.world.gate.evict_idle();
        }
    }

    fn amend(&mut self, number: u64) {
        let of = self.mine[self.dice.below(self.mine.len())].id.clone();
        let change = match self.dice.below(3) {
            0 => Change::Label(Label::Fraud, Some("card_stolen".to_owned())),
            1 => Change::Label(Label::Legitimate, None),
            _ => Change::Result(OperationResult::Reversed),
        };
        let id = format!("a-{}-{number}", self.thread);
        let amendment = Amendment { id, event_id: of, time: BASE, time_given: true, change };
        match self.world.gate.amend(&amendment, None, &mut self.worker) {
            Ok(_) => self.did.labels += 1,
            // Before a silence of three days, and no journal is searched for what is not durable yet.
            Err(Refused::EventUnknown(_)) => {}
            Err(refused) => panic!("{refused}"),
        }
    }

    fn change_list(&mut self) {
        let gate = &self.world.gate;
        let rules = gate.rules();
        let user = format!("u{}", self.dice.below(200));
        let entity = EntityKey::new(rules.typed.schema.kind("user").unwrap(), key().hash128(&user));
        let list = rules::typed::ListId(0);
        self.did.lists += 1;
        match self.dice.below(16) {
            0 => gate.put_value("risky", "5001", true).unwrap(),
            1 => gate.put_value("risky", "5001", false).unwrap(),
            2 => gate.put_rates(&Rates::new(rules.typed.schema.currency)).unwrap(),
            3..9 => drop(gate.take_off_list(entity, list).unwrap()),
            _ => {
                let until = gate.clock().map(|clock| clock + MINUTE);
                gate.put_on_list(entity, Membership { list, until, value: None }).unwrap();
            }
        }
    }
}

/// Nothing has happened yet; snapshots go to this folder.
pub(crate) fn world(folder: &Path, events: u64, release: Option<&str>) -> World {
    let journal = Memory::held();
    let mut gate = begin(SCHEMA, RULES, Box::new(journal.clone()));
    if let Some(kind) = release {
        let kind = gate.rules().typed.schema.kind(kind).unwrap();
        gate.release_early(kind);
    }
    let dir = DataDir::open(folder).unwrap();
    let (number, slow_from, done) = (AtomicU64::new(0), AtomicU64::new(u64::MAX), AtomicBool::new(false));
    World { gate, journal, number, events, dir, slow_from, done }
}

/// A disk that is as slow as a disk is.
fn disk(world: &World) {
    while !world.done.load(Ordering::Acquire) {
        world.journal.settle(world.journal.next());
        thread::sleep(Duration::from_millis(1));
    }
    world.journal.settle(world.journal.next());
}

/// Snapshots, one after the other: each begun with records behind the one before, and the last with some to come.
fn snapshots(world: &World) -> Did {
    let mut did = Did::default();
    loop {
        snapshot::write_beside_decisions(&world.dir, &world.gate, &Extra::new()).unwrap();
        did.snapshots += 1;
        let seen = world.journal.next();
        let over = || world.events * 9 / 10 <= world.number.load(Ordering::Relaxed);
        while world.journal.next() == seen && !over() {
            thread::yield_now();
        }
        if over() {
            return did;
        }
    }
}

/// New features, whose state is built while decisions go on: every decision records them.
const MORE: &str = r#"
feature user_3h   = count(payment) by user over 3h
feature new_shop  = first_seen(merchant) by user
feature known_bad = count(payment) by device over 2d delay 60s where label == fraud
feature fast      = user_3h > 4
feature fast_here = count(payment) by merchant over 2h where fast
feature since     = time_since(payment) by card
feature largest   = max(payment.amount) by device over 3h
record user_3h, new_shop, known_bad, fast_here, since, largest
rule burst "A burst" on payment when user_3h > 9 and new_shop then score +25
"#;

/// Other thresholds after a fifth, a rule more after two, new features after three, and back after four.
fn activations(world: &World) -> Did {
    let other = RULES.replace("user_1h > 5", "user_1h > 3");
    let more = format!("rule shop \"A busy shop\" on payment when merchant_1m > 3 then score +35\n{RULES}")
        .replacen("use schema pay\n", "", 1);
    let more = format!("use schema pay\n{more}");
    let new = more
        .replace("policy", &format!("{MORE}\npolicy"))
        .replace("feature users_of    =", "feature gone_of     =");
    let new = new.replace("users_of,", "gone_of,");
    let mut did = Did::default();
    for (fifth, rules) in (1..).zip([&other, &more, &new, &other]) {
        while world.number.load(Ordering::Relaxed) < fifth * world.events / 5 {
            thread::sleep(Duration::from_millis(1));
        }
        let bundle = bundle(SCHEMA, rules);
        let mut told = 0;
        world.slow_from.store((2 * fifth + 1) * world.events / 10, Ordering::Relaxed);
        let activated = world
            .gate
            .activate_built(&bundle, None, (&world.dir, &Extra::new()), &mut |it| told = it.records);
        world.slow_from.store(u64::MAX, Ordering::Relaxed);
        activated.unwrap();
        did.activations += 1;
        did.built += told;
    }
    did
}

/// Lets so many threads take so many events; what all of them did.
pub(crate) fn play(world: &World, threads: usize) -> Vec<Did> {
    thread::scope(|scope| {
        let disk = scope.spawn(|| disk(world));
        let mut hands: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let worker = world.gate.worker(Vec::new());
                    let dice = Choices::from_seed(thread as u64);
                    Hand {
                        world,
                        rules: world.gate.rules(),
                        worker,
                        dice,
                        thread,
                        mine: Vec::new(),
                        did: Did::default(),
                    }
                    .run()
                })
            })
            .collect();
        hands.push(scope.spawn(|| snapshots(world)));
        hands.push(scope.spawn(|| activations(world)));
        let did: Vec<_> = hands.into_iter().map(|it| it.join()).collect();
        world.done.store(true, Ordering::Release);
        disk.join().unwrap();
        did.into_iter().map(Result::unwrap).collect()
    })
}

/// How many events, if the environment says; else so many.
pub(crate) fn events(default: u64) -> u64 {
    std::env::var("WEIR_EVENTS").ok().and_then(|it| it.parse().ok()).unwrap_or(default)
}

#[test]
fn sixteen_threads_decide_as_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let world = world(folder.path(), events(20_000), None);
    let start = Instant::now();
    let all = play(&world, 16);
    let sum = |of: fn(&Did) -> u64| all.iter().map(of).sum::<u64>();
    let counts = [
        ("decided", sum(|it| it.decided)),
        ("recorded", sum(|it| it.recorded)),
        ("late", sum(|it| it.late)),
        ("too late", sum(|it| it.too_late)),
        ("repeated", sum(|it| it.repeated)),
        ("labels", sum(|it| it.labels)),
        ("rechecks", sum(|it| it.rechecks)),
        ("list changes", sum(|it| it.lists)),
        ("fallbacks", sum(|it| it.fallbacks)),
        ("fallbacks after the decision", sum(|it| it.fell_back_later)),
        ("evicted", sum(|it| it.evicted as u64)),
        ("snapshots", sum(|it| it.snapshots)),
        ("activations", sum(|it| it.activations)),
        ("records built from", sum(|it| it.built)),
    ];
    let took = start.elapsed();
    let start = Instant::now();
    let report = check_verified(&world.journal, key());
    println!("{counts:?} in {took:?}; verified {} records in {:?}", report.records, start.elapsed());
    for (what, count) in counts {
        assert!(0 < count, "{what}");
    }
    assert!(sum(|it| it.decided) * 9 / 10 < report.derived);
    assert_eq!(sum(|it| it.fallbacks), report.fallbacks);
}

/// A test that cannot fail proves nothing: with one kind's lock released between decide and apply, decisions differ.
#[test]
fn a_lock_released_early_makes_differences() {
    for kind in ["user", "card", "device", "merchant"] {
        let differs = |_| {
            let folder = tempfile::tempdir().unwrap();
            let world = world(folder.path(), events(20_000) / 10, Some(kind));
            play(&world, 16);
            let report = stream::fold::verify(&|from| world.journal.cursor(from), key(), None).unwrap();
            if let Some(first) = report.differences.first() {
                println!("without the lock of `{kind}`: {} differ, the first: {first}", report.different);
            }
            0 < report.different
        };
        assert!((0..10).any(differs), "ten runs without the lock of `{kind}` and nothing amiss");
    }
}

/// A snapshot that was taken while four threads decided, and the tail behind it, are the fold from nothing, byte by
/// byte; and so is the snapshot before it with its longer tail, when the newest is damaged.
#[test]
fn a_snapshot_under_load_and_the_tail_are_the_fold_of_all() {
    let folder = tempfile::tempdir().unwrap();
    // The table of ids remembers as many. Of more, each gate lets those go that came to it first.
    let world = world(folder.path(), events(20_000).min(100_000), None);
    play(&world, 4);
    // Two snapshots may have begun at one record while events waited, and the last may have ended with the last event: one
    // more, with records before it, beside it and behind it.
    answers(&world.gate, "before");
    world.done.store(false, Ordering::Release);
    thread::scope(|scope| {
        scope.spawn(|| disk(&world));
        scope.spawn(|| answers(&world.gate, "beside"));
        snapshot::write_beside_decisions(&world.dir, &world.gate, &Extra::new()).unwrap();
        world.done.store(true, Ordering::Release);
    });
    answers(&world.gate, "behind");
    world.journal.settle(world.journal.next());
    let expected = folded(&world.journal, key());
    check_same(&world.gate, &expected);
    let recovered = || {
        let journal = Box::new(world.journal.clone());
        recover(&world.dir, key(), journal, PATIENT).unwrap().unwrap()
    };
    let first = recovered();
    assert_eq!(first.notes, Vec::<String>::new());
    check_same(&first.gate, &expected);
    damage(crate::support::snapshots(folder.path()).last().unwrap(), 500);
    let second = recovered();
    assert_eq!(second.notes.len(), 1);
    check_same(&second.gate, &expected);
    println!("tails of {} and {} records of {}", first.tail, second.tail, world.journal.next());
    assert!(0 < first.tail && first.tail < second.tail);
    goes_on(&second.gate, &world.gate);
}

/// Two gates in the same state answer the same.
fn goes_on(one: &Gate, other: &Gate) {
    assert_eq!(answers(one, "on"), answers(other, "on"));
}

/// What the gate says of payments, a second apart, whose ids begin so.
fn answers(gate: &Gate, ids: &str) -> Vec<String> {
    let rules = gate.rules();
    let clock = gate.clock().unwrap();
    let mut worker = gate.worker(rules.typed.feature_order.clone());
    let answer = |number: i64| {
        let (user, shop, time) = (number % 7, number % 3, clock + number * SECOND);
        let fields = format!("user=u{user} card=c{user} device=d{shop} merchant=m{shop} amount=500");
        let payment = event(&rules.typed.schema, "payment", &format!("{ids}-{number}"), time, &fields);
        let ticket = gate.submit(&payment, Deadline::Never, &mut worker).unwrap();
        format!("{:?} {:?}", ticket.ruling, worker.observed)
    };
    (0..200).map(answer).collect()
}
