//! `weir bench flat`: what an event costs one merchant, however many events its windows hold.
//!
//! One merchant has ten thousand events in its day, another ten million; then both get the same kinds of events: in
//! order of time, with some late, with some of the whole day amended, and after an hour in which nothing came. The rules
//! (`benches/flat.weir`) ask nothing of anybody but the merchant, so that no other history is long.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use canonical::traffic::Payment;
use comfy_table::{CellAlignment, Table, presets};
use engine::event::{Amendment, Change, Event};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use rules::past::Label;
use rules::time::{DAY, HOUR, MINUTE, Micros};
use stream::gate::{Deadline, Gate, Worker};
use stream::record::RowPlace;

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
/// How late such a one is at most.
const LATE_MAX: Micros = 5 * MINUTE;
/// Behind each of so many events, one of those in the window is amended.
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
    let few = Merchant::new(options.few)?.measure(options.events)?;
    let many = Merchant::new(options.many)?.measure(options.events)?;
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
    /// Of the events of the last day in the order of their numbers: the offset of each and when it stands in the history. It
    /// is all that [`RowPlace`] says but the entities: 16 bytes, where the event's row in the state takes several times that.
    window: VecDeque<(u64, Micros)>,
    /// Where the last event stands. Of its entities the merchant is the only one of which anything is remembered, so that they
    /// serve for all events.
    last: RowPlace,
    random: ChaCha8Rng,
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
            window: VecDeque::with_capacity(a_day as usize + 1),
            last: RowPlace::default(),
            random: ChaCha8Rng::seed_from_u64(1),
            event: Event::default(),
            text: String::new(),
        };
        while merchant.time < START + WARM_UP {
            merchant.next(0)?;
        }
        Ok(merchant)
    }

    fn measure(mut self, events: u32) -> anyhow::Result<[Series; 4]> {
        let in_order = self.series("in order", events, None, None)?;
        let late = self.series("1 % late", events, Some(LATE), None)?;
        let amended = self.series("2 % amended", events, None, Some(AMENDED))?;
        self.time += HOUR;
        let after_silence = self.series("after an hour of silence", events, None, None)?;
        Ok([in_order, late, amended, after_silence])
    }

    /// Events one after another, each under the clock. Of `late`, one is late; behind each of `amended`, one of the window
    /// gets a label, whose time counts as the event's.
    fn series(
        &mut self,
        name: &'static str,
        events: u32,
        late: Option<u64>,
        amended: Option<u64>,
    ) -> anyhow::Result<Series> {
        let (mut sum, mut greatest) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..events {
            let is_late = late.is_some_and(|it| self.number.is_multiple_of(it));
            let late = if is_late { i64::try_from(self.below(LATE_MAX.unsigned_abs() + 1))? } else { 0 };
            let mut took = self.next(late)?;
            if amended.is_some_and(|it| self.number.is_multiple_of(it)) {
                took += self.amend()?;
            }
            sum += took;
            greatest = greatest.max(took);
        }
        Ok(Series { name, mean: sum / events.max(1), greatest })
    }

    /// The next event, so much late: how long it took.
    fn next(&mut self, late: Micros) -> anyhow::Result<Duration> {
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
        let ticket = submitted?;
        self.last = ticket.place.clone();
        Gate::recycle(&mut self.worker, ticket);
        // A late one, whose time has come to leave a little earlier, leaves with those around it.
        while self.window.front().is_some_and(|(_, at)| *at <= self.time - DAY) {
            self.window.pop_front();
        }
        self.window.push_back((self.last.position, self.last.at));
        Ok(took)
    }

    /// Labels an event of the window, each as likely as the others: how long it took.
    fn amend(&mut self) -> anyhow::Result<Duration> {
        let drawn = self.below(self.window.len() as u64);
        let behind = (self.window.len() as u64).saturating_sub(1 + drawn);
        let (position, at) =
            *self.window.get(usize::try_from(drawn)?).context("the window holds no event")?;
        let place = RowPlace { position, at, ..self.last.clone() };
        let amendment = Amendment {
            id: format!("label-{}", self.number),
            event_id: format!("payment-{}", self.number - behind),
            time: self.time,
            time_given: true,
            change: Change::Label(Label::Fraud, None),
        };
        let start = Instant::now();
        let amended = self.gate.amend(&amendment, Some(&place), &mut self.worker);
        let took = start.elapsed();
        amended?;
        Ok(took)
    }

    /// A number from 0 on below this; that the first ones are more likely by one in 2⁴⁰ tells in nothing that is measured.
    fn below(&mut self, bound: u64) -> u64 {
        self.random.next_u64().checked_rem(bound).unwrap_or(0)
    }
}
