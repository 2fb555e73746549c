//! `weir bench flat`: what an event costs one merchant, however many events its windows hold.
//!
//! One merchant has ten thousand events in its day, another ten million; then both get the same kinds of events: in
//! order of time, with some late, with some amended, and after an hour in which nothing came. The rules
//! (`benches/flat.weir`) ask nothing of anybody but the merchant, so that no other history is long.

use std::time::{Duration, Instant};

use canonical::traffic::Payment;
use comfy_table::{CellAlignment, Table, presets};
use engine::event::{Amendment, Change, Event};
use rules::past::Label;
use rules::time::{DAY, HOUR, MINUTE, Micros};
use stream::gate::{Deadline, Gate, Worker};
use stream::record::Place;

use super::bound;
use super::timing::micros;
use crate::figures::grouped;
use crate::stdout::say;

/// An event at the busy merchant, in those at the quiet one.
const RATIO_MAX: f64 = 3.0;
/// Monday 2026-01-05 00:00 UTC.
const START: Micros = 1_767_571_200_000_000;
/// Days lived through before anything is measured: the windows are full, and rows leave as others come.
const WARM_UP: Micros = DAY + HOUR;
/// Users that come to a merchant, one after another and again.
const USERS: u64 = 100_000;
/// Of so many events, one is late.
const LATE: u64 = 100;
/// Of so many events, one is amended.
const AMENDED: u64 = 50;

/// How many events.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Events in the window of the quiet merchant
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1_000..))]
    few: u32,
    /// Events in the window of the busy merchant
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u32).range(1_000..))]
    many: u32,
    /// Events measured of each kind
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    events: u32,
    /// End with an error if the ratio is missed
    #[arg(long)]
    check: bool,
}

/// Measures both merchants and prints one beside the other.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let few = Merchant::new(options.few)?.measure(options.events);
    let many = Merchant::new(options.many)?.measure(options.events);
    let mut table = Table::new();
    let header = ["an event", "few", "many", "many ÷ few", "greatest of few", "of many"];
    table.load_style(presets::NOTHING).set_header(header);
    table.column_iter_mut().skip(1).for_each(|it| it.set_cell_alignment(CellAlignment::Right));
    let mut missed = Vec::new();
    for (few, many) in few.iter().zip(&many) {
        let ratio = many.mean.as_secs_f64() / few.mean.as_secs_f64().max(1e-9);
        if RATIO_MAX < ratio {
            missed.push(format!("{} costs {ratio:.2} times as much, at most {RATIO_MAX}", few.name));
        }
        table.add_row([
            few.name.to_owned(),
            micros(few.mean),
            micros(many.mean),
            format!("{ratio:.2}"),
            micros(few.greatest),
            micros(many.greatest),
        ]);
    }
    let sizes = [options.few, options.many].map(|it| grouped(it.into()));
    say(format_args!(
        "a merchant with {} events in a day, and one with {}\n{}",
        sizes[0],
        sizes[1],
        table.trim_fmt()
    ))?;
    bound::hold(options.check, &missed)
}

/// What one kind of events came to.
#[derive(Debug)]
struct Series {
    name: &'static str,
    mean: Duration,
    greatest: Duration,
}

/// One merchant and all that happens there.
struct Merchant {
    gate: Gate,
    worker: Worker,
    /// Between two events.
    step: Micros,
    time: Micros,
    number: u64,
    event: Event,
    text: String,
}

impl Merchant {
    /// One that has lived through more than its widest window, at so many events a day.
    fn new(a_day: u32) -> anyhow::Result<Self> {
        let gate = canonical::flat_gate()?;
        let mut merchant = Self {
            worker: gate.worker(Vec::new()),
            gate,
            step: DAY / i64::from(a_day),
            time: START,
            number: 0,
            event: Event::default(),
            text: String::new(),
        };
        while merchant.time < START + WARM_UP {
            merchant.next(0);
        }
        Ok(merchant)
    }

    fn measure(mut self, events: u32) -> [Series; 4] {
        let in_order = self.series("in order", events, 0, None);
        let late = self.series("1 % late", events, LATE, None);
        let amended = self.series("2 % amended", events, 0, Some(AMENDED));
        self.time += HOUR;
        let after_silence = self.series("after an hour of silence", events, 0, None);
        [in_order, late, amended, after_silence]
    }

    /// Events one after another, each under the clock. Of `late`, one is five minutes late; of `amended`, one gets a
    /// label, whose time counts as the event's.
    fn series(&mut self, name: &'static str, events: u32, late: u64, amended: Option<u64>) -> Series {
        let (mut sum, mut greatest) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..events {
            let is_late = late != 0 && self.number.is_multiple_of(late);
            let (mut took, place) = self.next(if is_late { 5 * MINUTE } else { 0 });
            if amended.is_some_and(|it| self.number.is_multiple_of(it)) {
                took += self.amend(&place);
            }
            sum += took;
            greatest = greatest.max(took);
        }
        Series { name, mean: sum / events.max(1), greatest }
    }

    /// The next event, so much late: how long it took, and where it stands.
    fn next(&mut self, late: Micros) -> (Duration, Place) {
        self.number += 1;
        self.time += self.step;
        let user = u32::try_from(self.number % USERS).unwrap_or(0);
        let amount = 100 + i64::try_from(self.number % 19_901).unwrap_or(0);
        let (number, time) = (self.number, self.time - late);
        let payment = Payment { number, time, user, card: 0, device: 0, merchant: 0, amount };
        payment.fill(&mut self.event, &mut self.text);
        let start = Instant::now();
        let submitted = self.gate.submit(&self.event, Deadline::Never, &mut self.worker);
        let took = start.elapsed();
        let Ok(ticket) = submitted else { return (took, Place::default()) };
        let place = ticket.place.clone();
        Gate::recycle(&mut self.worker, ticket);
        (took, place)
    }

    /// Labels the event last decided.
    fn amend(&mut self, place: &Place) -> Duration {
        let amendment = Amendment {
            id: format!("label-{}", self.number),
            event_id: self.event.id.clone(),
            time: self.time,
            time_given: true,
            change: Change::Label(Label::Fraud, None),
        };
        let start = Instant::now();
        // What is refused took its time too; nothing here is.
        let _ = self.gate.amend(&amendment, Some(place), &mut self.worker);
        start.elapsed()
    }
}
