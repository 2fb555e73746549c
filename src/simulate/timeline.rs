//! Everything in order of time: days one after another, and labels when they become known.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::{fmt, io};

use jiff::civil::Date;
use rules::time::Micros;

use super::event::{Event, Fraud};
use super::habits::Day;
use super::options::Options;
use super::scenarios::Underworld;
use super::world::World;
use super::write::Sink;

/// What a file holds.
#[derive(Debug)]
pub(super) struct Tally {
    first_day: Date,
    days: u32,
    customers: u32,
    events: u64,
    /// Fraudulent events by kind.
    frauds: BTreeMap<&'static str, u64>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first_day, days, customers, events, frauds } = self;
        let fraudulent: u64 = frauds.values().sum();
        let day = if *days == 1 { "day" } else { "days" };
        write!(
            f,
            "{events} events of {customers} customers in {days} {day} from {first_day}; {fraudulent} are fraud"
        )?;
        for (number, (kind, count)) in frauds.iter().enumerate() {
            write!(f, "{} {kind} {count}", if number == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

/// Simulates day by day and writes in order of time. Holds one day of events in memory, and the labels to come.
pub(super) fn run(options: &Options, sink: &mut Sink) -> io::Result<Tally> {
    let world = World::new(options.seed, options.users);
    let day = |number| Day {
        world: &world,
        number,
        start: options.day_start(number),
        is_weekend: options.is_weekend(number),
    };
    let mut underworld = Underworld::new(&day(0));
    let mut scribe = Scribe::new(options, sink);
    // What begins on one day may end on the next.
    let mut coming: Vec<Event> = Vec::new();
    for number in 0..options.days {
        let today = day(number);
        let mut events = Vec::new();
        world.customers.iter().for_each(|it| today.live(it, &mut events));
        underworld.strike(&today, options.fraud.per_million, &mut events);
        coming.append(&mut events);
        coming.sort_by_key(|it| it.time);
        let tomorrow = options.day_start(number + 1);
        let of_today = coming.partition_point(|it| it.time < tomorrow);
        for event in coming.drain(..of_today) {
            scribe.event(&event)?;
        }
    }
    for event in &coming {
        scribe.event(event)?;
    }
    scribe.labels_until(Micros::MAX)?;
    Ok(scribe.tally)
}

/// Numbers events and puts each label before the first event that is not older.
struct Scribe<'a> {
    sink: &'a mut Sink,
    /// By the time at which it becomes known, then by the event's number.
    labels: BinaryHeap<Reverse<(Micros, u64, &'static str)>>,
    tally: Tally,
}

impl<'a> Scribe<'a> {
    fn new(options: &Options, sink: &'a mut Sink) -> Self {
        let tally = Tally {
            first_day: options.start,
            days: options.days,
            customers: options.users,
            events: 0,
            frauds: BTreeMap::new(),
        };
        Self { sink, labels: BinaryHeap::new(), tally }
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.labels_until(event.time)?;
        self.tally.events += 1;
        if let Some(Fraud { kind, known_at }) = event.fraud {
            self.labels.push(Reverse((known_at, self.tally.events, kind)));
            *self.tally.frauds.entry(kind).or_default() += 1;
        }
        self.sink.event(self.tally.events, event)
    }

    /// Amendments stand before events of the same time.
    fn labels_until(&mut self, time: Micros) -> io::Result<()> {
        while let Some(&Reverse((known_at, event, kind))) = self.labels.peek()
            && known_at <= time
        {
            self.labels.pop();
            self.sink.label(event, known_at, kind)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rules::time::SECOND;

    use super::super::event::{Action, Channel, Device, User};
    use super::super::tests::{CommandLine, shown};
    use super::*;

    #[test]
    fn a_label_stands_before_the_events_of_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tie.jsonl");
        let options = CommandLine::parse_from(["test", "--out", shown(&path)]).options;
        let mut sink = Sink::open(&options.out).unwrap();
        let mut scribe = Scribe::new(&options, &mut sink);
        let login = |seconds: i64, known_after: Option<i64>| Event {
            time: seconds * SECOND,
            user: User(1),
            device: Some(Device(1)),
            place: None,
            action: Action::Login { channel: Channel::App },
            fraud: known_after.map(|it| Fraud { kind: "test", known_at: (seconds + it) * SECOND }),
        };
        for (seconds, known_after) in [(0, Some(20)), (10, Some(10)), (19, None), (20, Some(0)), (20, None)] {
            scribe.event(&login(seconds, known_after)).unwrap();
        }
        scribe.labels_until(Micros::MAX).unwrap();
        sink.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let ids: Vec<_> = text.lines().filter_map(|it| it.split('"').nth(3)).collect();
        assert_eq!(ids, ["e1", "e2", "e3", "l1", "l2", "e4", "l4", "e5"]);
    }
}
