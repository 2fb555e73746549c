//! What a written file must hold, read back as a stranger would read it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;

use clap::Parser;
use jiff::Timestamp;
use rules::diagnostic::{Colour, Source, render};
use rules::place::Place;
use serde::{Deserialize, Deserializer};

use super::event::{AMOUNT_MAX, AMOUNT_MIN};
use super::{Error, Options, run};

#[derive(Debug, Parser)]
pub(super) struct CommandLine {
    #[command(flatten)]
    pub(super) options: Options,
}

pub(super) fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The bytes of a file of this name, made with these arguments.
fn simulate(name: &str, arguments: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let line = ["test", "--out", shown(&path)].into_iter().chain(arguments.split_whitespace());
    run(&CommandLine::parse_from(line).options).unwrap();
    fs::read(path).unwrap()
}

/// Weir's own shape of an event and of a label, and nothing else.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Line {
    Event(Event),
    Label(Label),
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    id: String,
    r#type: String,
    #[serde(deserialize_with = "rfc3339")]
    time: Timestamp,
    user: String,
    payee: Option<String>,
    merchant: Option<String>,
    card: Option<String>,
    device: Option<String>,
    amount: Option<Money>,
    channel: Option<String>,
    place: Option<Degrees>,
    mcc: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Money {
    value: i64,
    currency: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Degrees {
    lat: f64,
    lon: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    id: String,
    event_id: String,
    label: String,
    kind: String,
    #[serde(deserialize_with = "rfc3339")]
    time: Timestamp,
}

fn rfc3339<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

impl Event {
    fn seconds(&self) -> i64 {
        self.time.as_second()
    }

    fn minor(&self) -> i64 {
        self.amount.as_ref().unwrap().value
    }

    fn place(&self) -> Option<Place> {
        let e7 = |degrees: f64| super::dice::whole(degrees * 1e7);
        self.place.and_then(|it| Place::new(e7(it.lat), e7(it.lon)))
    }
}

fn lines(jsonl: &[u8]) -> Vec<Line> {
    let text = str::from_utf8(jsonl).unwrap();
    text.lines().map(|it| serde_json::from_str(it).unwrap_or_else(|error| panic!("{error}: {it}"))).collect()
}

/// Events in the order of the file, and the kind of fraud of each that has one.
fn history(arguments: &str) -> (Vec<Event>, BTreeMap<String, String>) {
    let (mut events, mut kinds) = (Vec::new(), BTreeMap::new());
    for line in lines(&simulate("a.jsonl", arguments)) {
        match line {
            Line::Event(event) => events.push(event),
            Line::Label(label) => assert_eq!(kinds.insert(label.event_id, label.kind), None, "labelled once"),
        }
    }
    (events, kinds)
}

const BUSY: &str = "--seed 5 --users 2000 --days 4 --fraud 5%";

fn fraud(kind: &str) -> Vec<Event> {
    let (events, kinds) = history(BUSY);
    events.into_iter().filter(|it| kinds.get(&it.id).is_some_and(|it| it == kind)).collect()
}

fn grouped<'a, K: Ord>(events: &'a [Event], key: impl Fn(&'a Event) -> K) -> BTreeMap<K, Vec<&'a Event>> {
    let mut groups = BTreeMap::<K, Vec<&Event>>::new();
    events.iter().for_each(|it| groups.entry(key(it)).or_default().push(it));
    groups
}

/// The most events within a window of so many seconds.
fn most_within(seconds: i64, events: &[&Event]) -> usize {
    let within = |first: &&Event| {
        events.iter().filter(|it| (0..seconds).contains(&(it.seconds() - first.seconds()))).count()
    };
    events.iter().map(within).max().unwrap_or_default()
}

fn distinct<'a>(events: &[&'a Event], of: impl Fn(&'a Event) -> &'a Option<String>) -> usize {
    events.iter().filter_map(|&it| of(it).as_deref()).collect::<BTreeSet<_>>().len()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for name in ["a.jsonl", "a.csv", "a.jsonl.gz", "a.csv.zst"] {
        let first = simulate(name, "--users 100 --days 2");
        assert_eq!(first, simulate(name, "--users 100 --days 2"), "{name}");
        assert_ne!(first, simulate(name, "--users 100 --days 2 --seed 2"), "{name}");
    }
}

#[test]
fn the_bytes_are_those_of_the_fixture() {
    // Where a change of the simulation is meant:
    // cargo run -- simulate --users 50 --fraud 10% --out fixtures/wallet/day.jsonl
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/wallet/day.jsonl");
    let simulated = simulate("day.jsonl", "--users 50 --fraud 10%");
    assert!(fs::read(fixture).unwrap() == simulated, "`{fixture}` is not what is simulated now");
}

#[test]
fn more_days_only_add_to_the_file() {
    // Labels wait for their time, so only the events of the first day are compared.
    let events = |days: &str| history(&format!("--users 200 --days {days}")).0;
    let (short, long) = (events("1"), events("3"));
    let first_midnight = "2026-01-05T16:00:00Z".parse::<Timestamp>().unwrap();
    let of_the_first_day = |it: &&Event| it.time < first_midnight;
    assert!(short.iter().filter(of_the_first_day).eq(long.iter().filter(of_the_first_day)));
    assert!(2 * short.len() < long.len());
}

#[test]
fn packed_files_hold_what_plain_ones_hold() {
    let plain = simulate("a.csv", "--users 50");
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*simulate("a.csv.gz", "--users 50")).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain);
    assert_eq!(zstd::decode_all(&*simulate("a.csv.zst", "--users 50")).unwrap(), plain);
}

#[test]
fn times_never_decrease_and_labels_come_after_their_events() {
    let lines = lines(&simulate("a.jsonl", BUSY));
    let (mut before, mut ids) = (Timestamp::MIN, BTreeSet::new());
    for line in &lines {
        let (id, time) = match line {
            Line::Event(event) => (&event.id, event.time),
            Line::Label(label) => {
                assert!(ids.contains(&label.event_id), "{label:?} names no event before it");
                assert_eq!(label.label, "fraud");
                (&label.id, label.time)
            }
        };
        assert!(before <= time, "{line:?} is older than the line before");
        assert!(ids.insert(id.clone()), "{id} comes twice");
        before = time;
    }
}

#[test]
fn every_event_has_what_its_type_asks_for() {
    let (events, _) = history(BUSY);
    let start = "2026-01-05T00:00:00+08:00".parse::<Timestamp>().unwrap();
    for event in &events {
        let has = [
            event.payee.is_some(),
            event.merchant.is_some(),
            event.card.is_some(),
            event.amount.is_some(),
            event.channel.is_some(),
            event.mcc.is_some(),
        ];
        let good = match event.r#type.as_str() {
            "payment" => matches!(has, [false, true, _, true, true, true]),
            "transfer" => has == [true, false, false, true, false, false],
            "login" => has == [false, false, false, false, true, false],
            "top_up" => has == [false, false, true, true, false, false],
            _ => false,
        };
        assert!(good, "{event:?}");
        assert!(start <= event.time && event.seconds() < start.as_second() + 5 * 86_400, "{event:?}");
        assert!(event.place.is_none() || event.place().is_some(), "{event:?}");
        if let Some(Money { value, currency }) = &event.amount {
            assert!((AMOUNT_MIN..=AMOUNT_MAX).contains(value) && currency == "CNY", "{event:?}");
        }
        assert_ne!(event.payee.as_ref(), Some(&event.user));
    }
}

#[test]
fn csv_holds_the_same_history() {
    let (events, kinds) = history("--users 200");
    let csv = simulate("a.csv", "--users 200");
    let mut reader = csv::Reader::from_reader(&*csv);
    let columns = reader.headers().unwrap().clone();
    let rows: Vec<BTreeMap<String, String>> = reader
        .records()
        .map(|row| columns.iter().map(String::from).zip(row.unwrap().iter().map(String::from)).collect())
        .collect();
    assert_eq!(rows.len(), events.len());
    for (row, event) in rows.iter().zip(&events) {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let degrees = |value: Option<f64>| value.map(|it| it.to_string()).unwrap_or_default();
        let major = event.amount.as_ref().map(|it| format!("{}.{:02}", it.value / 100, it.value % 100));
        for (column, expected) in [
            ("event_id", event.id.clone()),
            ("type", event.r#type.clone()),
            ("user", event.user.clone()),
            ("payee", text(&event.payee)),
            ("merchant", text(&event.merchant)),
            ("card", text(&event.card)),
            ("device", text(&event.device)),
            ("amount", text(&major)),
            ("currency", text(&event.amount.as_ref().map(|it| it.currency.clone()))),
            ("channel", text(&event.channel)),
            ("latitude", degrees(event.place.map(|it| it.lat))),
            ("longitude", degrees(event.place.map(|it| it.lon))),
            ("mcc", text(&event.mcc)),
            ("fraud", u8::from(kinds.contains_key(&event.id)).to_string()),
            ("kind", text(&kinds.get(&event.id).cloned())),
        ] {
            assert_eq!(row[column], expected, "{column} of {event:?}");
        }
        assert_eq!(row["time"].parse::<Timestamp>().unwrap(), event.time);
        assert_eq!(row["known_at"].is_empty(), row["fraud"] == "0");
    }
}

#[test]
fn fraud_has_the_share_asked_for() {
    for (share, arguments) in [(0.0, "--fraud 0"), (0.01, ""), (0.2, "--fraud 20%")] {
        let (events, kinds) = history(arguments);
        let (all, fraudulent) = (events.len() as f64, kinds.len() as f64);
        // The last scenario may be one too many.
        assert!((fraudulent - all * share).abs() <= 30.0, "{fraudulent} of {all} at {share}");
    }
}

#[test]
fn a_default_day_has_every_scenario() {
    let (_, kinds) = history("");
    let names: BTreeSet<_> = kinds.values().map(String::as_str).collect();
    let all = "account_takeover card_testing impossible_travel mule_fan_in mule_fan_out salami_top_ups stolen_device";
    assert_eq!(names.into_iter().collect::<Vec<_>>().join(" "), all);
}

#[test]
fn days_have_a_rhythm() {
    let (events, _) = history("--fraud 0 --users 3000");
    let at = |hour: i64| events.iter().filter(|it| (it.seconds() + 8 * 3_600) / 3_600 % 24 == hour).count();
    assert!(8 * at(4) < at(12), "{} at four, {} at noon", at(4), at(12));
    assert!(at(15) < at(19), "{} in the afternoon, {} in the evening", at(15), at(19));
}

#[test]
fn honest_people_are_no_faster_than_an_aeroplane() {
    let (events, _) = history("--fraud 0 --users 1000 --days 20");
    let mut farthest = 0.0_f64;
    for places in grouped(&events, |it| &it.user).values() {
        let known: Vec<_> = places.iter().filter_map(|it| Some((it.seconds(), it.place()?))).collect();
        for pair in known.windows(2) {
            let [(then, there), (now, here)] = pair else { continue };
            let km = there.distance_km(*here);
            let hours = (now - then) as f64 / 3_600.0;
            assert!(km < 100.0 || km / hours < 900.0, "{km} km in {hours} h");
            farthest = farthest.max(km);
        }
    }
    assert!(1_000.0 < farthest, "somebody travels: {farthest} km");
}

#[test]
fn card_testing_is_many_tiny_payments_with_many_cards_in_a_minute() {
    let events = fraud("card_testing");
    let thieves = grouped(&events, |it| &it.device);
    assert!(5 < thieves.len());
    for payments in thieves.values() {
        let tiny: Vec<_> = payments.iter().copied().filter(|it| it.minor() < 200).collect();
        assert!(5 <= most_within(60, &tiny), "{tiny:?}");
        assert_eq!(distinct(&tiny, |it| &it.card), tiny.len());
        assert!(payments.iter().any(|it| 80_000 <= it.minor()), "the card that worked is used");
    }
}

#[test]
fn a_taken_over_account_sends_much_from_a_new_device_within_minutes() {
    let events = fraud("account_takeover");
    let takeovers = grouped(&events, |it| &it.device);
    assert!(5 < takeovers.len());
    for done in takeovers.values() {
        let [login, transfers @ ..] = done.as_slice() else { panic!("a login comes first") };
        assert_eq!(login.r#type, "login");
        assert!((2..=4).contains(&transfers.len()) && distinct(transfers, |it| &it.payee) == 1);
        assert!(transfers.iter().all(|it| 300_000 <= it.minor() && it.user == login.user));
        assert_eq!(most_within(15 * 60, done), done.len());
    }
}

#[test]
fn impossible_travel_is_faster_than_an_aeroplane() {
    let (events, kinds) = history(BUSY);
    let mut found = 0;
    for ours in grouped(&events, |it| &it.user).values() {
        let placed: Vec<_> = ours.iter().filter(|it| it.place.is_some()).collect();
        for pair in placed.windows(2) {
            let [before, after] = pair else { continue };
            let begins = |it: &Event| kinds.get(&it.id).is_some_and(|it| it == "impossible_travel");
            if begins(after) && !begins(before) {
                let km = before.place().unwrap().distance_km(after.place().unwrap());
                let hours = (after.seconds() - before.seconds()) as f64 / 3_600.0;
                assert!(1_000.0 < km && 900.0 < km / hours, "{km} km in {hours} h");
                found += 1;
            }
        }
    }
    assert!(5 < found, "{found}");
}

#[test]
fn mules_collect_from_many_and_send_on_to_many_within_hours() {
    let fan_in = fraud("mule_fan_in");
    let busiest = |events: &[&Event]| {
        events
            .iter()
            .copied()
            .map(|it| {
                let hour: Vec<_> = events
                    .iter()
                    .copied()
                    .filter(|e| (0..3_600).contains(&(e.seconds() - it.seconds())))
                    .collect();
                hour.iter().map(|it| &it.user).collect::<BTreeSet<_>>().len()
            })
            .max()
    };
    let mules = grouped(&fan_in, |it| it.payee.as_ref());
    assert!(5 <= mules.len());
    for (mule, received) in &mules {
        assert!(Some(8) <= busiest(received), "{mule:?}: {received:?}");
    }
    let fan_out = fraud("mule_fan_out");
    let senders = grouped(&fan_out, |it| Some(&it.user));
    assert!(senders.keys().eq(mules.keys()), "who collects sends on");
    for sent in senders.values() {
        assert!(5 <= most_within(10 * 60, sent), "{sent:?}");
    }
}

#[test]
fn a_stolen_device_acts_for_many_users() {
    let events = fraud("stolen_device");
    let devices = grouped(&events, |it| &it.device);
    assert!(5 < devices.len());
    for done in devices.values() {
        let users: BTreeSet<_> = done.iter().map(|it| &it.user).collect();
        assert!(3 <= users.len(), "{done:?}");
        assert_eq!(most_within(3 * 3_600, done), done.len());
        let bought: Vec<_> = done.iter().copied().filter(|it| it.r#type == "payment").collect();
        assert!((3..=5).contains(&bought.len()) && bought.iter().all(|it| 100_000 <= it.minor()));
    }
}

#[test]
fn salami_is_many_top_ups_just_under_a_hundred_yuan() {
    let events = fraud("salami_top_ups");
    let thieves = grouped(&events, |it| &it.device);
    assert!(5 < thieves.len());
    for done in thieves.values() {
        let slices: Vec<_> = done.iter().copied().filter(|it| it.r#type == "top_up").collect();
        assert!(slices.iter().all(|it| (9_000..10_000).contains(&it.minor())));
        assert!(10 <= most_within(3 * 3_600, &slices), "{slices:?}");
        assert_eq!(done.last().unwrap().r#type, "transfer", "then everything goes out");
    }
}

#[test]
fn what_cannot_be_written_is_said() {
    let options = CommandLine::parse_from(["test", "--out", "/nowhere/at/all/a.csv"]).options;
    let error = run(&options).unwrap_err();
    assert!(matches!(error, Error::Create { .. }));
    assert!(error.to_string().starts_with("cannot create `/nowhere/at/all/a.csv`: No such file"), "{error}");
}

#[test]
fn a_wrong_option_is_said_with_what_is_expected() {
    let check = |arguments: &str, expected: &str| {
        let line = arguments.split_whitespace();
        let error = CommandLine::try_parse_from(["test"].into_iter().chain(line)).unwrap_err().to_string();
        assert!(error.contains(expected), "{arguments}: {error}");
    };
    check("--users 49", "49 is not in 50..=10000000");
    check("--days 0", "0 is not in 1..=3660");
    check("--fraud lots", "expected a share from 0 to 50%, such as `0.5%` or `0.005`");
    check("--start 2026-13-01", "expected a date such as `2026-01-05`");
    check("--out day.txt", "expected a name that ends in `.jsonl` or `.csv`");
}

#[test]
fn the_rules_for_this_traffic_check_without_a_word() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/wallet");
    let texts =
        ["wallet.schema.weir", "wallet.weir"].map(|it| (it, fs::read_to_string(folder.join(it)).unwrap()));
    let sources = texts.each_ref().map(|(name, text)| Source { name, text });
    let checked = rules::check::check(&sources);
    let said = render(&checked.diagnostics, &sources, Colour::Never);
    assert!(checked.rule_set.is_some() && said.is_empty(), "{said}");
}
