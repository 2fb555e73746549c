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
use super::write::{Sink, json};

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

/// Simulates and writes, until the last day is over and every label known.
pub(super) fn run(options: &Options, sink: &mut Sink) -> io::Result<Tally> {
    let mut tally = Tally {
        first_day: options.start,
        days: options.days,
        customers: options.users,
        events: 0,
        frauds: BTreeMap::new(),
    };
    for entry in Timeline::new(options) {
        if let Entry::Event { number, event } = &entry {
            tally.events = *number;
            if let Some(Fraud { kind, .. }) = event.fraud {
                *tally.frauds.entry(kind).or_default() += 1;
            }
        }
        sink.entry(&entry)?;
    }
    Ok(tally)
}

/// What stands in the timeline.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Entry {
    /// Something happens. Events are numbered from 1.
    Event { number: u64, event: Event },
    /// An event turns out to have been fraud.
    Label { event_number: u64, known_at: Micros, kind: &'static str },
}

impl Entry {
    /// When it happens, or becomes known.
    pub(crate) fn time(&self) -> Micros {
        match self {
            Self::Event { event, .. } => event.time,
            Self::Label { known_at, .. } => *known_at,
        }
    }

    /// This entry at another time.
    pub(crate) fn at(mut self, at: Micros) -> Self {
        match &mut self {
            Self::Event { event, .. } => event.time = at,
            Self::Label { known_at, .. } => *known_at = at,
        }
        self
    }

    /// In the shape in which it is sent to a server.
    pub(crate) fn json(&self) -> Vec<u8> {
        let mut body = Vec::new();
        // Numbers and names can always be written to memory.
        let _ = json(&mut body, self);
        body
    }
}

/// All of it in order of time, made day by day: it holds one day of events, and the labels to come.
#[derive(Debug)]
pub(crate) struct Timeline {
    options: Options,
    world: World,
    underworld: Underworld,
    /// The next day to simulate.
    next_day: u32,
    /// What is left of the day, in order of time.
    today: std::vec::IntoIter<Event>,
    /// What began on one day may end on the next.
    coming: Vec<Event>,
    events: u64,
    /// By the time at which it becomes known, then by the event's number.
    labels: BinaryHeap<Reverse<(Micros, u64, &'static str)>>,
}

impl Timeline {
    pub(crate) fn new(options: &Options) -> Self {
        let world = World::new(options.seed, options.users);
        let underworld = Underworld::new(&day(&world, options, 0));
        let (today, coming, labels) = (Vec::new().into_iter(), Vec::new(), BinaryHeap::new());
        Self { options: options.clone(), world, underworld, next_day: 0, today, coming, events: 0, labels }
    }

    /// Simulates the next day. What goes on after the last is left to it as it is.
    fn dawn(&mut self) {
        let today = day(&self.world, &self.options, self.next_day);
        let mut events = Vec::new();
        self.world.customers.iter().for_each(|it| today.live(it, &mut events));
        self.underworld.strike(&today, self.options.fraud.per_million, &mut events);
        self.next_day += 1;
        self.coming.append(&mut events);
        self.coming.sort_by_key(|it| it.time);
        let tomorrow = self.options.day_start(self.next_day);
        let of_today = match self.next_day < self.options.days {
            true => self.coming.partition_point(|it| it.time < tomorrow),
            false => self.coming.len(),
        };
        let later = self.coming.split_off(of_today);
        self.today = std::mem::replace(&mut self.coming, later).into_iter();
    }
}

/// A day of the simulation.
fn day<'a>(world: &'a World, options: &Options, number: u32) -> Day<'a> {
    Day { world, number, start: options.day_start(number), is_weekend: options.is_weekend(number) }
}

impl Iterator for Timeline {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        while self.today.as_slice().is_empty() && self.next_day < self.options.days {
            self.dawn();
        }
        let time = self.today.as_slice().first().map_or(Micros::MAX, |it| it.time);
        // Amendments stand before events of the same time.
        if let Some(&Reverse((known_at, event_number, kind))) = self.labels.peek()
            && known_at <= time
        {
            self.labels.pop();
            return Some(Entry::Label { event_number, known_at, kind });
        }
        let event = self.today.next()?;
        self.events += 1;
        if let Some(Fraud { kind, known_at }) = event.fraud {
            self.labels.push(Reverse((known_at, self.events, kind)));
        }
        Some(Entry::Event { number: self.events, event })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rules::time::SECOND;

    use super::super::event::{Action, Channel, Device, User};
    use super::super::tests::CommandLine;
    use super::*;

    #[test]
    fn a_label_stands_before_the_events_of_its_time() {
        let login = |seconds: i64, known_after: Option<i64>| Event {
            time: seconds * SECOND,
            user: User(1),
            device: Some(Device(1)),
            place: None,
            action: Action::Login { channel: Channel::App },
            fraud: known_after.map(|it| Fraud { kind: "test", known_at: (seconds + it) * SECOND }),
        };
        let today = [(0, Some(20)), (10, Some(10)), (19, None), (20, Some(0)), (20, None)];
        let today: Vec<_> =
            today.into_iter().map(|(seconds, known_after)| login(seconds, known_after)).collect();
        let mut timeline = Timeline::new(&CommandLine::parse_from(["test"]).options);
        (timeline.today, timeline.next_day) = (today.into_iter(), timeline.options.days);
        let ids = timeline.map(|it| match it {
            Entry::Event { number, .. } => format!("e{number}"),
            Entry::Label { event_number, .. } => format!("l{event_number}"),
        });
        assert_eq!(ids.collect::<Vec<_>>(), ["e1", "e2", "e3", "l1", "l2", "e4", "l4", "e5"]);
    }
}
