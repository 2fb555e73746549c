//! An honest day: what a customer does with the wallet when nobody interferes.
//!
//! Honest life has its own oddities, so that rules are not measured against a straw man: journeys, new telephones,
//! a sofa bought once, a dinner that five friends pay back to one.

use rules::time::{DAY, HOUR, MINUTE, Micros, SECOND};

use super::dice::{Dice, Purpose, whole};
use super::event::{AMOUNT_MAX, AMOUNT_MIN, Action, AmountMinor, Channel, Event, User};
use super::world::{Customer, Shop, Whereabouts, World};

/// How busy each hour of a working day is.
const WORKDAY: [u32; 24] =
    [4, 2, 1, 1, 1, 3, 12, 35, 50, 30, 30, 50, 90, 50, 30, 30, 35, 50, 85, 80, 60, 50, 35, 15];
/// And of a day off.
const DAY_OFF: [u32; 24] =
    [8, 4, 2, 1, 1, 2, 5, 12, 25, 40, 55, 65, 85, 65, 60, 60, 60, 65, 80, 80, 65, 55, 40, 20];

const HOURS: [usize; 24] =
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23];

const TRANSFERS_PER_DAY: f64 = 0.3;
const TOP_UPS_PER_DAY: f64 = 0.15;
const LOGINS_PER_DAY: f64 = 0.6;
/// In a thousand days.
const DINNERS: u32 = 3;
/// In a thousand payments.
const SOFAS: u32 = 3;
/// In yuan.
const TOP_UP_STEPS: [AmountMinor; 6] = [5_000, 10_000, 20_000, 20_000, 50_000, 100_000];

/// A day of a customer's life.
pub(super) struct Day<'a> {
    pub(super) world: &'a World,
    pub(super) number: u32,
    pub(super) start: Micros,
    pub(super) is_weekend: bool,
}

impl Day<'_> {
    /// Adds what the customer does on this day, in no particular order.
    pub(super) fn live(&self, customer: &Customer, events: &mut Vec<Event>) {
        let dice = &mut Dice::new(self.world.seed, Purpose::Day, customer.user.0, self.number);
        for _ in 0..dice.poisson(customer.payments_per_day) {
            events.extend(self.payment(customer, dice));
        }
        for _ in 0..dice.poisson(TRANSFERS_PER_DAY) {
            let payee = *dice.pick(&customer.friends);
            let amount = round_amount(dice.lognormal(20_000.0 * customer.wealth, 0.9), 100);
            self.errand(customer, Action::Transfer { payee, amount }, dice, events);
        }
        for _ in 0..dice.poisson(TOP_UPS_PER_DAY) {
            let amount = *dice.pick(&TOP_UP_STEPS);
            self.errand(customer, Action::TopUp { card: customer.card, amount }, dice, events);
        }
        for _ in 0..dice.poisson(LOGINS_PER_DAY) {
            if let Some((time, here)) = self.moment(customer, dice) {
                events.push(self.login(customer, time, here));
            }
        }
        if dice.chance(DINNERS) {
            self.dinner(customer, dice, events);
        }
    }

    /// A moment at which the customer is awake and not travelling.
    fn moment(&self, customer: &Customer, dice: &mut Dice) -> Option<(Micros, Whereabouts)> {
        let rhythm = if self.is_weekend { &DAY_OFF } else { &WORKDAY };
        let hour = *dice.weighted(&HOURS, |&it| rhythm.get(it).copied().unwrap_or_default()) as i64;
        let hour = (hour + customer.late_hours).rem_euclid(24);
        let since_midnight = hour * HOUR + dice.between(0, HOUR / MILLIS - 1) * MILLIS;
        let here = customer.whereabouts(self.number, since_midnight, dice)?;
        Some((self.start + since_midnight, here))
    }

    fn event(&self, customer: &Customer, time: Micros, here: Whereabouts, action: Action) -> Event {
        let place = customer.shares_place.then_some(here.place);
        let device = Some(customer.device(self.number));
        Event { time, user: customer.user, device, place, action, fraud: None }
    }

    fn login(&self, customer: &Customer, time: Micros, here: Whereabouts) -> Event {
        self.event(customer, time, here, Action::Login { channel: Channel::App })
    }

    fn payment(&self, customer: &Customer, dice: &mut Dice) -> Option<Event> {
        let (time, here) = self.moment(customer, dice)?;
        let shop = match (here.away, dice.chance(150)) {
            (true, _) => self.world.any_shop_in(here.city, dice),
            (false, true) => self.world.any_shop_in(here.city, dice),
            (false, false) => self.world.shop(*dice.pick(&customer.usual_shops)),
        };
        let splurge = if dice.chance(SOFAS) { 15.0 } else { 1.0 };
        let price = dice.lognormal(shop.price_minor * customer.wealth * splurge, 0.5);
        let amount = round_amount(price, if dice.chance(500) { 100 } else { 10 });
        let card = dice.chance(600).then_some(customer.card);
        let mut event = self.event(customer, time, here, pay(shop, card, amount));
        if customer.shares_place {
            event.place = shop.place.or(event.place);
        }
        Some(event)
    }

    /// A login, and what it was for.
    fn errand(&self, customer: &Customer, action: Action, dice: &mut Dice, events: &mut Vec<Event>) {
        let Some((time, here)) = self.moment(customer, dice) else { return };
        events.push(self.login(customer, time, here));
        let done = time + dice.between(20, 90) * SECOND;
        events.push(self.event(customer, done, here, action));
    }

    /// Friends pay their share of a dinner back to the host.
    fn dinner(&self, host: &Customer, dice: &mut Dice, events: &mut Vec<Event>) {
        let share = round_amount(dice.lognormal(9_000.0 * host.wealth, 0.4), 100);
        let served = 19 * HOUR + dice.between(0, 90) * MINUTE;
        let mut guests = host.friends.to_vec();
        guests.sort_unstable();
        guests.dedup();
        dice.shuffle(&mut guests);
        for guest in guests.into_iter().take(3 + dice.below_u32(3) as usize) {
            let guest = self.world.customer(guest);
            let since_midnight = served + dice.between(0, 120 * MINUTE / MILLIS) * MILLIS;
            if let Some(here) = guest.whereabouts(self.number, since_midnight, dice) {
                let action = Action::Transfer { payee: host.user, amount: share };
                events.push(self.event(guest, self.start + since_midnight, here, action));
            }
        }
    }

    /// Where a customer is at a time of this day, if the telephone tells.
    pub(super) fn seen_at(&self, user: User, time: Micros, dice: &mut Dice) -> Option<Whereabouts> {
        let customer = self.world.customer(user);
        let here = customer.whereabouts(self.number, (time - self.start).clamp(0, DAY - 1), dice)?;
        customer.shares_place.then_some(here)
    }
}

/// Times are whole milliseconds.
const MILLIS: Micros = rules::time::MILLISECOND;

/// A payment at a shop, which knows its own trade and channel.
pub(super) fn pay(shop: &Shop, card: Option<super::event::Card>, amount: AmountMinor) -> Action {
    let (merchant, mcc, channel) = (shop.merchant, shop.trade.mcc, shop.trade.channel);
    Action::Payment { merchant, mcc, card, amount, channel }
}

/// Rounded to a step (of at least 1), within what the wallet moves.
fn round_amount(minor: f64, step: AmountMinor) -> AmountMinor {
    let steps = whole(minor / step as f64).clamp(1, AMOUNT_MAX / step);
    (steps * step).max(AMOUNT_MIN)
}

#[cfg(test)]
mod tests {
    use super::round_amount;

    #[test]
    fn amounts_are_rounded_and_bounded() {
        for (minor, step, expected) in
            [(1_234.0, 100, 1_200), (1_256.0, 10, 1_260), (0.0, 10, 10), (-5.0, 1, 1), (1e18, 100, 5_000_000)]
        {
            assert_eq!(round_amount(minor, step), expected, "{minor} by {step}");
        }
    }
}
