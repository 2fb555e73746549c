//! The payments, in order of time.
//!
//! Every user pays once a day, at a random time; one in a hundred a day pays twenty times more, within a minute. At
//! midnight one user in a hundred gets a new card, and one in a hundred a new device. Merchants are drawn uniformly or
//! by Zipf's law.

use std::fmt::{self, Write as _};

use engine::event::Event;
use floor::{Draw, Population, Visit};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Zipf};
use rules::schema::{Currency, EventTypeId};
use rules::time::{DAY, MINUTE, Micros};

/// Monday 2026-01-05 00:00 UTC: when the first day begins.
const START: Micros = 1_767_571_200_000_000;
/// Of so many users, one a day does or gets what is rare.
const RARE: u32 = 100;
/// Payments of a burst.
const BURST: u32 = 20;
/// Dearest payment, in cents.
const AMOUNT_MAX: i64 = 20_000;
/// Fields of a payment, in the order of the schema.
const FIELDS: usize = 5;

/// A payment in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Payment {
    /// Counted from 1: its id.
    pub number: u64,
    /// When.
    pub time: Micros,
    /// Who pays.
    pub user: u32,
    /// The how-manieth card of the user, from 0.
    pub card: u16,
    /// The how-manieth device of the user, from 0.
    pub device: u16,
    /// To whom.
    pub merchant: u32,
    /// In cents.
    pub amount: i64,
}

impl Payment {
    /// The payment as the floor sees it: without new cards and devices.
    pub fn visit(&self) -> Visit {
        Visit { user: self.user, merchant: self.merchant }
    }

    /// Writes the payment into an event, over what it holds. `text` is room to write ids in.
    pub fn fill(&self, event: &mut Event, text: &mut String) {
        event.begin(EventTypeId(0), FIELDS);
        event.time = self.time;
        event.time_given = true;
        // Writing to a text cannot fail.
        let _ = write!(event.id, "payment-{}", self.number);
        let mut set = |at: usize, id: fmt::Arguments<'_>| {
            text.clear();
            let _ = text.write_fmt(id);
            event.set_text(at, text);
        };
        set(0, format_args!("user-{}", self.user));
        set(1, format_args!("card-{}-{}", self.user, self.card));
        set(2, format_args!("device-{}-{}", self.user, self.device));
        set(3, format_args!("merchant-{}", self.merchant));
        if let Some(euro) = Currency::from_code("EUR") {
            event.set_money(4, self.amount, euro);
        }
    }
}

/// Payments without end, the same for the same seed.
#[derive(Clone, Debug)]
pub struct Traffic {
    population: Population,
    zipf: Option<Zipf<f64>>,
    random: ChaCha8Rng,
    /// Days begun.
    days: i64,
    /// The payments of the day that are still to come, the next one last: when, and who.
    today: Vec<(Micros, u32)>,
    /// By user: how many cards and how many devices it had before.
    versions: Vec<(u16, u16)>,
    /// Payments so far.
    number: u64,
}

impl Traffic {
    /// Of a population that nobody has seen yet.
    pub fn new(population: Population, draw: Draw, seed: u64) -> Self {
        let zipf = || Zipf::new(f64::from(population.merchants.max(1)), 1.0).ok();
        Self {
            zipf: (draw == Draw::Zipf).then(zipf).flatten(),
            random: ChaCha8Rng::seed_from_u64(seed),
            days: 0,
            today: Vec::new(),
            versions: vec![(0, 0); population.users as usize],
            number: 0,
            population,
        }
    }

    /// Whole days gone, when nothing of a day that was begun is still to come.
    pub fn days(&self) -> i64 {
        if self.today.is_empty() { self.days } else { self.days - 1 }
    }

    fn begin_day(&mut self) {
        let midnight = START + self.days * DAY;
        self.days += 1;
        let Self { population, random, today, versions, .. } = self;
        let users = population.users.max(1);
        for _ in 0..users / RARE {
            if let Some((card, _)) = versions.get_mut(random.random_range(0..users) as usize) {
                *card = card.wrapping_add(1);
            }
            if let Some((_, device)) = versions.get_mut(random.random_range(0..users) as usize) {
                *device = device.wrapping_add(1);
            }
        }
        today.extend((0..users).map(|user| (midnight + random.random_range(0..DAY), user)));
        for _ in 0..users / RARE {
            let user = random.random_range(0..users);
            let start = midnight + random.random_range(0..DAY - MINUTE);
            today.extend((0..BURST).map(|_| (start + random.random_range(0..MINUTE), user)));
        }
        // By user too, so that the order does not depend on the sort.
        today.sort_unstable_by(|a, b| b.cmp(a));
    }

    fn merchant(&mut self) -> u32 {
        let last = self.population.merchants.max(1) - 1;
        match self.zipf {
            Some(zipf) => rank(zipf.sample(&mut self.random)).min(last),
            None => self.random.random_range(0..=last),
        }
    }
}

impl Iterator for Traffic {
    type Item = Payment;

    fn next(&mut self) -> Option<Payment> {
        if self.today.is_empty() {
            self.begin_day();
        }
        let (time, user) = self.today.pop()?;
        let (card, device) = self.versions.get(user as usize).copied()?;
        let merchant = self.merchant();
        let amount = self.random.random_range(100..=AMOUNT_MAX);
        self.number += 1;
        Some(Payment { number: self.number, time, user, card, device, merchant, amount })
    }
}

/// A drawn rank counts from 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank is whole and within 1..=u32::MAX"
)]
fn rank(drawn: f64) -> u32 {
    (drawn - 1.0) as u32
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use engine::event::FieldValue;

    use super::*;

    const POPULATION: Population = Population { users: 1_000, merchants: 50 };

    #[test]
    fn payments_come_in_order_of_time_and_again_with_the_seed() {
        let days = |draw, seed| {
            let mut traffic = Traffic::new(POPULATION, draw, seed);
            traffic.by_ref().take(3 * 1_200).collect::<Vec<_>>()
        };
        for draw in [Draw::Uniform, Draw::Zipf] {
            let payments = days(draw, 1);
            assert!(payments.is_sorted_by_key(|it| it.time));
            assert!(payments.iter().all(|it| it.user < 1_000 && it.merchant < 50));
            assert_eq!(payments, days(draw, 1));
            assert_ne!(payments, days(draw, 2));
        }
    }

    #[test]
    fn a_day_has_one_payment_of_each_user_and_the_bursts() {
        let mut traffic = Traffic::new(POPULATION, Draw::Uniform, 1);
        for day in 1..=3 {
            let payments: Vec<_> = traffic.by_ref().take(1_000 + 200).collect();
            assert_eq!(traffic.days(), day);
            let mut by_user: HashMap<u32, Vec<Micros>> = HashMap::new();
            payments.iter().for_each(|it| by_user.entry(it.user).or_default().push(it.time));
            assert_eq!(by_user.len(), 1_000);
            let within_a_minute = |times: &[Micros]| times.windows(20).any(|it| it[19] - it[0] < MINUTE);
            let bursts = by_user.values().filter(|it| within_a_minute(it)).count();
            assert!((8..=10).contains(&bursts), "{bursts}: ten draws, hardly ever the same user twice");
        }
        // Three mornings, ten draws each: some of them the same user again.
        let new = |of: fn(&(u16, u16)) -> u16| traffic.versions.iter().map(of).map(u32::from).sum::<u32>();
        assert_eq!((new(|it| it.0), new(|it| it.1)), (30, 30));
    }

    #[test]
    fn zipf_meets_the_first_merchant_twice_as_often_as_the_second() {
        let met = |draw, merchant| {
            let payments = Traffic::new(POPULATION, draw, 1).take(50_000);
            payments.filter(|it| it.merchant == merchant).count()
        };
        // 1/H(50) and half of it: 22.2 % and 11.1 %; uniformly 2 %.
        assert!((10_800..11_500).contains(&met(Draw::Zipf, 0)));
        assert!((5_300..5_850).contains(&met(Draw::Zipf, 1)));
        assert!((900..1_100).contains(&met(Draw::Uniform, 0)));
    }

    #[test]
    fn an_event_says_what_the_payment_does_in_the_fields_of_the_schema() {
        let gate = crate::gate().unwrap();
        let rules = gate.rules();
        let schema = &rules.typed.schema;
        let payment =
            Payment { number: 9, time: START, user: 7, card: 1, device: 0, merchant: 3, amount: 1_250 };
        let (mut event, mut text) = (Event::default(), String::new());
        payment.fill(&mut event, &mut text);
        for (field, id) in
            [("user", "user-7"), ("card", "card-7-1"), ("device", "device-7-0"), ("merchant", "merchant-3")]
        {
            assert_eq!(event.get(schema, field), FieldValue::Text(id));
        }
        let euro = Currency::from_code("EUR").unwrap();
        assert_eq!(event.get(schema, "amount"), FieldValue::Money { minor: 1_250, currency: euro });
        assert_eq!(schema.events[0].fields.len(), FIELDS);
        let ids: HashSet<String> = Traffic::new(POPULATION, Draw::Uniform, 1)
            .take(2_000)
            .map(|it| (it.fill(&mut event, &mut text), event.id.clone()).1)
            .collect();
        assert_eq!(ids.len(), 2_000);
    }
}
