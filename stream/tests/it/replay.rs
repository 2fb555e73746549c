//! A journal under a rule set that is tried on it: with what was recorded it decides as it did where it was in force, and
//! by itself it decides as if it had always been so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::entity::EntityKey;
use engine::event::{Amendment, Change};
use engine::lists::Membership;
use engine::words::Ruling;
use prost::Message as _;
use rules::past::{Label, Outcome};
use rules::time::{MINUTE, SECOND};
use rules::typed::ListId;
use rules::value::Value;
use stream::bundle::Bundle;
use stream::fold::{FoldError, Outcomes, Replay, Replayed};
use stream::gate::{Deadline, Gate, Worker};
use stream::journal::{Journal as _, Memory, RecordKind};
use stream::record::{Decided, RuleSetRecord, Stamp};
use stream::snapshot::Base;

use crate::support::{begin, bundle, event, key};
use crate::verify::{events, play, world};

/// All rule sets that a journal speaks of.
pub(crate) fn rule_sets(journal: &Memory) -> Vec<Bundle> {
    let (mut all, mut records) = (Vec::new(), journal.cursor(0).unwrap());
    while let Some(record) = records.next().unwrap() {
        if record.kind == RecordKind::RuleSet {
            let (_, message) = Stamp::split(record.body).unwrap();
            all.push(RuleSetRecord::decode(message).unwrap().bundle);
        }
    }
    all
}

/// Records after which the idle leave a replay.
const EVICT_EVERY: u64 = 500;

/// How many decisions of a rule set a replay under it compared, and how many of them differ. The idle leave meanwhile.
pub(crate) fn compared(
    journal: &Memory,
    base: Option<&Base>,
    tested: Bundle,
    history: Outcomes,
) -> (u64, u64) {
    let mut replay = Replay::new(key(), Arc::new(tested), history, |_| Vec::new()).unwrap();
    if let Some(base) = base {
        replay = replay.on(base).unwrap();
    }
    let mut records = journal.cursor(Base::start_of(base)).unwrap();
    let (mut ruling, mut compared, mut differ, mut evicted) = (Ruling::default(), 0, 0, 0);
    while let Some(record) = records.next().unwrap() {
        if record.offset % EVICT_EVERY == 0 {
            evicted += replay.evict_idle();
        }
        if replay.apply(&record).unwrap() != Replayed::Decided {
            continue;
        }
        let (_, message) = Stamp::split(record.body).unwrap();
        let message = Decided::decode(message).unwrap();
        message.ruling(&mut ruling);
        if message.rule_set == replay.rules().typed.hash && ruling.fallback.is_none() {
            compared += 1;
            differ += u64::from(ruling != replay.ruling);
        }
    }
    println!("{evicted} left memory, {} are there", replay.entities());
    (compared, differ)
}

/// Eight threads, and everything that can happen to a decision, under four rule sets one after the other.
#[test]
fn what_was_decided_is_decided_again_with_what_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let world = world(folder.path(), events(20_000), None);
    play(&world, 8);
    let rule_sets = rule_sets(&world.journal);
    assert_eq!(rule_sets.len(), 5, "the second came back");
    for (at, tested) in rule_sets.into_iter().enumerate() {
        let (decisions, differ) = compared(&world.journal, None, tested.clone(), Outcomes::Recorded);
        assert!(1_000 < decisions && differ == 0, "rule set {at}: {differ} of {decisions} differ");
        let (_, differ) = compared(&world.journal, None, tested, Outcomes::Own);
        assert!(0 < differ, "rule set {at}: it makes no difference whose outcomes count");
    }
}

const SCHEMA: &str = "schema pay 1\nzone \"UTC\"\ncurrency EUR\nentity user\nentity device shared\n\
    event payment\n  user: user\n  amount: money\n  device: device?\n  shop: text(8)?\n";
const FEATURES: &str = "feature spent = sum(payment.amount) by user over 1d before where accepted\n\
    feature frauds = count(payment) by user over 1d before where label == fraud\n\
    feature n = count(payment) by user over 1d\n\
    feature seen = user in watched\n\
    feature listed = user in other\n";
const LISTS: &str = "list watched : user\nlist other : user\nlist risky : text(8)\n";

/// Who pays more than so much is watched; what comes from a risky shop is blocked.
fn rules(lists: &str, most: &str) -> String {
    format!(
        "use schema pay\n{lists}{FEATURES}\
         rule much \"M\" on payment when amount > {most} EUR then challenge, add user to watched for 1h\n\
         rule shop \"S\" on payment when shop in risky then block\n\
         policy\n  deadline 30ms else block\n"
    )
}

/// A gate over a journal in which nothing is durable until somebody says so.
struct Small {
    gate: Gate,
    journal: Memory,
    worker: Worker,
}

impl Small {
    fn new(rules: &str) -> Self {
        let journal = Memory::held();
        let gate = begin(SCHEMA, rules, Box::new(journal.clone()));
        let worker = gate.worker(Vec::new());
        Self { gate, journal, worker }
    }

    /// A payment of one user, so many minutes after the beginning; gives what the caller is told.
    fn pay(&mut self, id: &str, minute: i64, fields: &str, deadline: Option<Duration>) -> Outcome {
        let schema = &self.gate.rules().typed.schema;
        let fields = format!("user=u1 {fields}");
        let mut payment = event(schema, "payment", id, minute * MINUTE, &fields);
        payment.recheck_of = id.strip_prefix("again ").map(str::to_owned);
        let by = deadline.map_or(Deadline::Never, |it| Deadline::By(Instant::now() + it));
        let ticket = self.gate.submit(&payment, by, &mut self.worker).unwrap();
        if deadline.is_none_or(|it| it.is_zero()) {
            self.journal.settle(self.journal.next());
        }
        self.gate.settle_blocking(ticket).unwrap().ruling.verdict.outcome
    }

    /// Everything that a journal says of a user.
    fn day(&mut self) {
        let (none, at_once, soon) = (None, Some(Duration::ZERO), Some(Duration::from_millis(50)));
        let told = [
            self.pay("p1", 0, "amount=5000", none),
            self.pay("p2", 1, "amount=15000", none),
            self.pay("p3", 2, "amount=3000", at_once),
            self.pay("p4", 3, "amount=2000", soon),
            self.pay("again p2", 4, "amount=15000 shop=other", none),
        ];
        assert_eq!(told.map(Outcome::name), ["allow", "challenge", "block", "block", "challenge"]);
        let change = Change::Label(Label::Fraud, None);
        let label =
            Amendment { id: "a1".into(), event_id: "p1".into(), time: SECOND, time_given: true, change };
        self.gate.amend(&label, None, &mut self.worker).unwrap();
        let user = EntityKey::new(self.gate.rules().typed.schema.kind("user").unwrap(), key().hash128("u1"));
        self.gate.put_on_list(user, Membership { list: ListId(1), until: None, value: None }).unwrap();
        self.gate.put_value("risky", "x", true).unwrap();
        assert_eq!(self.pay("p5", 5, "amount=1000 shop=x", none), Outcome::Block);
        self.gate.put_value("risky", "x", false).unwrap();
        assert_eq!(self.pay("p6", 6, "amount=1000 shop=x", none), Outcome::Allow);
        self.journal.settle(self.journal.next());
    }

    /// What a replay decides of each payment, and the named features of the last.
    fn replayed(&self, schema: &str, rules: &str, history: Outcomes) -> Result<(String, String), FoldError> {
        let all = |rules: &engine::rule_set::RuleSet| rules.typed.feature_order.clone();
        let mut replay = Replay::new(key(), bundle(schema, rules), history, all).unwrap();
        let (mut records, mut outcomes) = (self.journal.cursor(0).unwrap(), Vec::new());
        while let Some(record) = records.next().unwrap() {
            if replay.apply(&record)? == Replayed::Decided {
                outcomes.push(replay.ruling.verdict.outcome.name());
            }
        }
        assert_eq!(replay.missed(), 2);
        let named = replay.rules().typed.feature_order.iter().zip(&replay.observed);
        let name = |id: &rules::typed::FeatureId| replay.rules().typed.features[id.index()].name.clone();
        let said = |value: &Value| match value {
            Value::Exact(number) => number.to_string(),
            Value::Flag(flag) => flag.to_string(),
            other => format!("{other:?}"),
        };
        let last: Vec<_> = named.map(|(id, value)| format!("{} {}", name(id), said(value))).collect();
        Ok((outcomes.join(" "), last.join(", ")))
    }
}

#[test]
fn whose_outcomes_and_lists_count_is_told() {
    let mut world = Small::new(&rules(LISTS, "100"));
    world.day();
    let same = rules(LISTS, "100");
    // Lists under other numbers, and one that the journal does not know.
    let lists = "list new : text(8)\nlist risky : text(8)\nlist other : user\nlist watched : user\n";
    let generous = rules(lists, "200");
    let rows = [
        (&same, Outcomes::Recorded, "allow challenge allow allow challenge block allow", 5_000, true),
        // p3 and p4 come in time.
        (&same, Outcomes::Own, "allow challenge allow allow challenge block allow", 10_000, true),
        (&generous, Outcomes::Recorded, "allow allow allow allow allow block allow", 5_000, true),
        // p2 is allowed too, and nobody is watched.
        (&generous, Outcomes::Own, "allow allow allow allow allow block allow", 25_000, false),
    ];
    for (rules, history, outcomes, spent, seen) in rows {
        let last = format!("spent {spent}, frauds 1, n 6, seen {seen}, listed true");
        let replayed = world.replayed(SCHEMA, rules, history).unwrap();
        assert_eq!(replayed, (outcomes.to_owned(), last), "{history:?} {rules}");
    }
}

#[test]
fn a_rule_set_that_cannot_read_the_journal_is_refused() {
    let mut world = Small::new(&rules(LISTS, "100"));
    world.day();
    let rules = rules(LISTS, "100");
    let check = |schema: &str, rules: &str, expected: Option<&str>| {
        let said = world.replayed(schema, rules, Outcomes::Recorded).err().map(|it| it.to_string());
        let said = said.as_deref();
        match expected {
            None => assert_eq!(said, None),
            Some(words) => {
                let whole = format!("record 0 cannot be applied: the rules do not fit the journal: {words}");
                assert_eq!(said, Some(&*whole));
            }
        }
    };
    let more = |field: &str| format!("{SCHEMA}  {field}\nevent login\n  user: user\n");
    check(&more("more: int?"), &rules, None);
    let required = "field `more` of event type `payment` is new: make it optional";
    check(&more("more: int"), &rules, Some(required));
    let other = SCHEMA.replace("amount: money", "amount: money EUR");
    check(
        &other,
        &rules,
        Some(
            "event type `payment` is not as it was: `amount: money as EUR` has become `amount: money EUR`; nothing there \
             may change, and what is new goes behind the rest",
        ),
    );
    let other = SCHEMA.replace("currency EUR\n", "currency EUR\nlateness 5m\n");
    check(&other, &rules, Some("its `lateness` was 10m and is 5m"));
    let other =
        rules.replace("list other : user", "list other : device").replace("user in other", "device in other");
    check(SCHEMA, &other, Some("list `other` does not hold what it held"));
}
