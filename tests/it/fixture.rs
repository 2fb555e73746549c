//! The journal that every later version reads and derives again: `fixtures/journal/v1`. What is in it is told by its
//! README; [`make`] has made it, and can make the next one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use engine::entity::{EntityKey, HashKey};
use engine::event::Event;
use engine::lists::Membership;
use engine::rates::Rates;
use engine::words::Ruling;
use rules::time::{DAY, Micros, SECOND};
use rules::typed::ListId;
use stream::bundle::{Bundle, File as Text};
use stream::disk::hooked::{Hook, Hooked};
use stream::disk::{Disk, Folder};
use stream::fold::verify;
use stream::gate::{Admission, Deadline, Gate, Worker};
use stream::intake::{Body, parse_json};
use stream::journal::{Cursor, Journal as _, OnDisk, Options, Reader, RecordKind};
use stream::recover::recover;
use stream::snapshot::{DataDir, Extra};

use crate::data::files;
use crate::program::output;

const SCHEMA: &str = r#"schema pay 1
zone "Europe/Madrid"
currency EUR
rates "rates.csv"
entity user
entity device shared
enum channel = app, web
event payment
  user: user
  device: device?
  payee: user?
  mcc: text(4)?
  amount: money
  tip: money EUR?
  share: decimal(2)?
  channel: channel?
  place: place?
  held: duration?
  due: time?
  vip: flag?
  n: int?
event login
  user: user
  device: device
"#;
const RULES: &str = r#"use schema pay
list watched : user
list risky : text(4)
table limit : user -> money
feature n_1h = count(payment) by user over 1h
feature spent = sum(payment.amount) by user over 1d before where accepted
feature odd = amount > 90.00 EUR
feature odd_here = count(payment) by device over 1h where odd
feature new_device = first_seen(device) by user
feature bad = count(payment) by user over 1d before where label == fraud
record n_1h, spent, odd_here, new_device, bad
rule many "Many" on payment when n_1h > 2 then score +40, alert high once per user 10m, add user to watched for 1h
rule watched "Watched" on payment, login when user in watched then challenge
rule risky "A risky shop" on payment when mcc in risky then block
rule limit "Over the limit" on payment when amount > limit[user] ?? 500.00 EUR then challenge
policy
  challenge when score >= 60
  deadline 30ms else block
"#;
/// Features that nobody kept before.
const MORE: &str = "feature n_3h = count(payment) by user over 3h\n\
                    feature seen = time_since(payment) by device\nrecord n_3h, seen, n_1h";

/// 2026-01-05, 08:00 UTC.
const BASE: Micros = 1_767_600_000 * SECOND;
/// A segment that would grow over this is sealed: the fixture has two.
const SEGMENT_BYTES: u64 = 10 << 10;

fn key() -> HashKey {
    HashKey::new(*b"a journal's key.")
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journal/v1")
}

/// How many records of each kind a journal holds, and how many segments.
fn contents(journal: &Path) -> (Vec<(RecordKind, usize)>, usize) {
    let mut records = Reader::open(Arc::new(Folder::new(journal)), 0, 0).unwrap().unwrap();
    let mut kinds = BTreeMap::new();
    while let Some(record) = records.next().unwrap() {
        *kinds.entry(record.kind).or_default() += 1;
    }
    (kinds.into_iter().collect(), files(journal, ".segment").len())
}

#[test]
fn the_first_journal_is_read_and_derived_again() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    copy(&fixture().join("journal"), &journal);
    let disk: Arc<dyn Disk> = Arc::new(Folder::new(&journal));
    let stat = stream::journal::verify(&disk, 0).unwrap().unwrap();
    let (kinds, segments) = contents(&journal);
    let expected = [
        (RecordKind::Decided, 16),
        (RecordKind::Event, 2),
        (RecordKind::Amend, 4),
        (RecordKind::RuleSet, 3),
        (RecordKind::List, 5),
        (RecordKind::Rates, 1),
        (RecordKind::Warm, 1),
    ];
    assert_eq!((&kinds[..], segments, stat.oldest), (&expected[..], 2, 0));

    let key = stream::journal::key(&disk).unwrap().unwrap();
    let walk = |from| Ok(Box::new(Reader::open(Arc::clone(&disk), from, 0)?) as Box<dyn Cursor>);
    let report = verify(&walk, key, None).unwrap();
    assert!(report.differences.is_empty(), "{:#?}", report.differences);
    assert_eq!((report.records, report.derived, report.fallbacks), (32, 18, 1));

    let exported = output(&["journal", "export", "--data", folder.path().to_str().unwrap()]);
    let golden = fs::read_to_string(fixture().join("export.jsonl")).unwrap();
    assert_eq!(String::from_utf8(exported.stdout).unwrap(), golden, "{:?}", exported.status);
    let decisions = output(&["journal", "export", "--decisions", "--data", folder.path().to_str().unwrap()]);
    let decisions = String::from_utf8(decisions.stdout).unwrap();
    // Of two that missed their deadline, at the door and behind it, and of one that did not, what their callers got.
    let got =
        |id: &str| decisions.lines().find(|it| it.starts_with(&format!("{id},"))).unwrap().split(',').nth(3);
    assert_eq!(["p10", "p11", "p12"].map(got), [Some("block"), Some("block"), Some("allow")], "{decisions}");

    // And a gate goes on from it.
    let opened = OnDisk::open(Arc::clone(&disk), Options::new(key)).unwrap();
    assert_eq!(opened.take_notes(), Vec::<String>::new());
    let opened = Arc::new(opened);
    let dir = DataDir::open(folder.path()).unwrap();
    let recovered = recover(&dir, key, Box::new(Arc::clone(&opened)), Admission::default()).unwrap().unwrap();
    let mut worker = recovered.gate.worker(Vec::new());
    let again = send(&recovered.gate, &mut worker, P1, Deadline::Never);
    assert!(again.flags.repeated, "the first payment is known");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Makes journal and export in the folder `WEIR_FIXTURE`: for a next version of the format.
///
/// It is made twice and must be the same bytes: where the machine is so slow that the journal notes a pause before the
/// last rule set, it is to be made again.
#[test]
#[ignore = "makes a fixture: the one that is there stays as it is"]
fn make() {
    let Some(fixture) = std::env::var_os("WEIR_FIXTURE").map(PathBuf::from) else { return };
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
    let [first, second] = [&one, &other].map(|data| {
        make_in(data);
        let files = fs::read_dir(data.join("journal")).unwrap().map(|it| it.unwrap());
        files.map(|it| (it.file_name(), fs::read(it.path()).unwrap())).collect::<BTreeMap<_, _>>()
    });
    let sizes = |files: &BTreeMap<_, Vec<u8>>| files.values().map(Vec::len).collect::<Vec<_>>();
    let sizes = [&first, &second].map(sizes);
    assert!(first == second, "a pause came between, make it again: {sizes:?} bytes");
    assert_eq!(contents(&one.join("journal")).1, 2, "two segments: {sizes:?} bytes");
    copy(&one.join("journal"), &fixture.join("journal"));
    let golden = fixture.join("export.jsonl");
    let export = ["journal", "export", "--data", one.to_str().unwrap(), "--out", golden.to_str().unwrap()];
    assert!(output(&export).status.success());
}

/// Its first payment.
const P1: &str = r#"{"id":"p1","type":"payment","time":"2026-01-05T08:00:10Z","user":"u1","device":"d1","payee":"u2",
    "mcc":"5411","amount":{"value":1250,"currency":"EUR"},"tip":{"value":100,"currency":"EUR"},"share":"0.25",
    "channel":"web","place":{"lat":40.41,"lon":-3.7},"held":"90m","due":"2026-02-01T00:00:00Z","vip":true,"n":-7,
    "extra":{"order":"o-1"}}"#;

fn make_in(data: &Path) {
    let door = Arc::new(Door::default());
    let folder = Folder::create(data.join("journal")).unwrap();
    let dir = DataDir::open(data).unwrap();
    let disk = Hooked::new(folder, Arc::clone(&door));
    let thresholds = RULES.replace("n_1h > 2", "n_1h > 3");
    let more = thresholds.replacen("record n_1h", MORE, 1);
    let [first, next, last] = [RULES, &thresholds, &more].map(bundle);
    let options = Options { segment_bytes: SEGMENT_BYTES, ..Options::new(key()) };
    let journal = Arc::new(OnDisk::open(Arc::new(disk), options).unwrap());
    let admission = Admission { queue_max: Some(Duration::MAX) };
    let gate = Gate::begin(first, key(), Box::new(Arc::clone(&journal)), admission).unwrap();
    let mut worker = gate.worker(Vec::new());
    worker.received_at = BASE + DAY;
    settle(&journal);

    door.close();
    send(&gate, &mut worker, P1, Deadline::Never);
    door.wait();
    // The rest is one batch.
    ordinary(&gate, &mut worker);
    fallbacks(&gate, &mut worker);
    door.open();
    settle(&journal);

    gate.activate(next).unwrap();
    settle(&journal);
    door.close();
    thread::scope(|scope| {
        let built = scope.spawn(|| gate.activate_built(&last, None, (&dir, &Extra::new()), &mut |_| ()));
        // The new state is kept up from here on; its rule set comes into force once that is on the disk.
        door.wait();
        send(&gate, &mut worker, &payment("p20", "09:00:00", "u1", "d1", 2_000), Deadline::Never);
        door.open();
        built.join().unwrap().unwrap();
    });
    send(&gate, &mut worker, &payment("p21", "09:10:00", "u1", "d2", 2_100), Deadline::Never);
    settle(&journal);
    journal.close();
    assert_eq!(journal.fault(), None);
}

fn bundle(rules: &str) -> Arc<Bundle> {
    let rates = Some(Text::new("rates.csv", "currency,rate\nUSD,0.90\n"));
    Arc::new(Bundle { rates, ..Bundle::of(&[("pay.schema.weir", SCHEMA), ("pay.weir", rules)]) })
}

/// A payment in cents on 2026-01-05.
fn payment(id: &str, time: &str, user: &str, device: &str, cents: i64) -> String {
    format!(
        r#"{{"id":"{id}","type":"payment","time":"2026-01-05T{time}Z","user":"{user}","device":"{device}","amount":{{"value":{cents},"currency":"EUR"}}}}"#
    )
}

/// What happens every day: lists, rates, payments early and late, what becomes known of them, rechecks.
fn ordinary(gate: &Gate, worker: &mut Worker) {
    let rules = gate.rules();
    let schema = &rules.typed.schema;
    let user = |id: &str| EntityKey::new(schema.kind("user").unwrap(), gate.key().hash128(id));
    let place = |name: &str| rules.typed.lists.iter().position(|it| it.name == name).unwrap();
    let list = |name: &str| ListId(u16::try_from(place(name)).unwrap());
    let put = |id: &str, name: &str, until, value| {
        gate.put_on_list(user(id), Membership { list: list(name), until, value }).unwrap();
    };
    put("u3", "watched", Some(BASE + DAY), None);
    put("u1", "limit", None, Some(9_000));
    put("u4", "watched", None, None);
    gate.take_off_list(user("u4"), list("watched")).unwrap();
    gate.put_value("risky", "7995", true).unwrap();
    gate.put_rates(&Rates::parse("currency,rate\nUSD,0.92\nJPY,0.0055\n", schema.currency).unwrap()).unwrap();

    let usd = payment("p2", "08:00:20", "u1", "d1", 11_000).replace("EUR", "USD");
    let risky = payment("p5", "08:01:10", "u2", "d2", 700).replace(r#""user""#, r#""mcc":"7995","user""#);
    let recheck =
        payment("r1", "08:04:00", "u1", "d1", 1_400).replace(r#""type""#, r#""recheck_of":"p4","type""#);
    let label =
        r#"{"id":"a1","event_id":"p2","label":"fraud","kind":"card_stolen","time":"2026-01-05T08:03:00Z"}"#;
    let rows = [
        r#"{"id":"l1","type":"login","time":"2026-01-05T08:00:15Z","user":"u3","device":"d1"}"#.to_owned(),
        usd,
        payment("p3", "08:00:30", "u1", "d2", 1_300),
        payment("p4", "08:00:40", "u1", "d1", 1_400),
        risky,
        payment("p6", "08:02:00", "u3", "d1", 500),
        label.to_owned(),
        r#"{"id":"a2","event_id":"p3","result":"reversed","time":"2026-01-05T08:03:10Z"}"#.to_owned(),
        r#"{"id":"a3","event_id":"p4","challenge":"passed","time":"2026-01-05T08:03:30Z"}"#.to_owned(),
        recheck,
        // Late, then too late.
        payment("p7", "07:59:00", "u1", "d1", 1_500),
        payment("p8", "07:30:00", "u1", "d1", 1_600),
        payment("p9", "08:05:00", "u5", "d3", 1_700),
    ];
    for row in rows {
        send(gate, worker, &row, Deadline::Never);
    }
    for row in [payment("e1", "08:05:10", "u1", "d1", 800), payment("e2", "07:00:00", "u1", "d1", 900)] {
        let mut event = Event::default();
        parse_json(row.as_bytes(), schema, &mut event).unwrap();
        gate.record(&event, worker).unwrap();
    }
}

/// Deadlines that had passed at the door, and one that passes while the disk takes its time.
fn fallbacks(gate: &Gate, worker: &mut Worker) {
    let now = Deadline::By(Instant::now());
    let at_the_door = send(gate, worker, &payment("p10", "08:06:00", "u5", "d3", 1_800), now);
    assert!(at_the_door.fallback.is_some());
    let soon = Deadline::By(Instant::now() + Duration::from_secs(1));
    let waiting = payment("p11", "08:06:10", "u6", "d3", 1_900);
    let mut event = Event::default();
    parse_json(waiting.as_bytes(), &gate.rules().typed.schema, &mut event).unwrap();
    let ticket = gate.submit(&event, soon, worker).unwrap();
    assert!(ticket.ruling.fallback.is_none());
    assert!(!gate.settle_blocking(ticket).unwrap().durable);
    send(gate, worker, &payment("p12", "08:07:00", "u6", "d3", 2_000), Deadline::Never);
}

/// Sends an event to be decided, or an amendment; gives what was decided.
#[track_caller]
fn send(gate: &Gate, worker: &mut Worker, body: &str, deadline: Deadline) -> Ruling {
    let mut event = Event::default();
    match parse_json(body.as_bytes(), &gate.rules().typed.schema, &mut event).unwrap() {
        Body::Event => gate.submit(&event, deadline, worker).unwrap().ruling,
        Body::Amendment(amendment) => {
            gate.amend(&amendment, None, worker).unwrap();
            Ruling::default()
        }
    }
}

/// Waits until everything is durable, and until the journal has noted that nothing more comes.
fn settle(journal: &OnDisk) {
    while journal.durable() < journal.next() {
        thread::yield_now();
    }
    thread::sleep(Duration::from_millis(300));
}

/// What lets writes through, or not.
#[derive(Debug, Default)]
struct Door {
    state: Mutex<State>,
    told: Condvar,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// Whether somebody waits before it.
    waiting: bool,
}

impl Door {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.state().closed = true;
    }

    /// Waits until somebody waits.
    fn wait(&self) {
        drop(self.told.wait_while(self.state(), |it| !it.waiting).unwrap());
    }

    fn open(&self) {
        self.state().closed = false;
        self.told.notify_all();
    }
}

/// Files are written through it: so it is known what is one batch.
impl Hook for Door {
    fn before_write(&self) {
        let mut state = self.state();
        state.waiting = state.closed;
        self.told.notify_all();
        self.told.wait_while(state, |it| it.closed).unwrap().waiting = false;
    }
}
