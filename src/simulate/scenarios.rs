//! Fraud: who does what to whom, in which order, and when it comes to light.
//!
//! Each scenario leaves the signature that its comment states; the tests look for it in the written file.

use rules::place::Place;
use rules::time::{DAY, HOUR, MILLISECOND, MINUTE, Micros, SECOND};

use super::dice::{Dice, Purpose};
use super::event::{Action, Card, Channel, Device, Event, Fraud, User};
use super::habits::{Day, pay};
use super::world::{far_cities, somewhere_in};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Scenario {
    CardTesting,
    AccountTakeover,
    ImpossibleTravel,
    Mule,
    StolenDevice,
    SalamiTopUps,
}

const SCENARIOS: [Scenario; 6] = [
    Scenario::CardTesting,
    Scenario::AccountTakeover,
    Scenario::ImpossibleTravel,
    Scenario::Mule,
    Scenario::StolenDevice,
    Scenario::SalamiTopUps,
];

/// Plans each day's fraud, scenario after scenario from a shuffled deck, so that each comes as often as the others
/// and even a single day of few customers has most of them.
#[derive(Debug)]
pub(super) struct Underworld {
    deck: Vec<Scenario>,
    /// Fraudulent events still to come for the share to be right, in millionths; below zero after a long scenario.
    owed_millionths: i64,
    /// Customers who lend their accounts.
    mules: Vec<User>,
    stolen: Stolen,
}

/// Numbers of telephones and cards that belong to no customer.
#[derive(Debug)]
struct Stolen {
    devices: u32,
    cards: u32,
}

impl Stolen {
    fn device(&mut self) -> Device {
        self.devices += 1;
        Device(self.devices - 1)
    }

    fn card(&mut self) -> Card {
        self.cards += 1;
        self.newest_card()
    }

    fn newest_card(&self) -> Card {
        Card(self.cards - 1)
    }
}

/// One customer in so many lends an account, but never fewer than three in all.
const CUSTOMERS_PER_MULE: usize = 200;

impl Underworld {
    pub(super) fn new(day: &Day<'_>) -> Self {
        let dice = &mut Dice::new(day.world.seed, Purpose::Fraud, u32::MAX, 0);
        let customers = &day.world.customers;
        let mules =
            (0..3.max(customers.len() / CUSTOMERS_PER_MULE)).map(|_| day.world.any_user(dice)).collect();
        let born = u32::try_from(customers.len()).unwrap_or(u32::MAX);
        let stolen = Stolen { devices: born.saturating_mul(2), cards: born };
        Self { deck: Vec::new(), owed_millionths: 0, mules, stolen }
    }

    /// Adds a day's fraud to the honest events of that day, until `per_million` of all events are fraudulent.
    pub(super) fn strike(&mut self, day: &Day<'_>, per_million: u32, events: &mut Vec<Event>) {
        let honest = i64::try_from(events.len()).unwrap_or(i64::MAX / 1_000_000);
        let share = i64::from(per_million);
        self.owed_millionths += honest * 1_000_000 / (1_000_000 - share) * share;
        let mut number = 0;
        while 500_000 < self.owed_millionths {
            let dice = &mut Dice::new(day.world.seed, Purpose::Fraud, number, day.number);
            if self.deck.is_empty() {
                self.deck.extend(SCENARIOS);
                dice.shuffle(&mut self.deck);
            }
            let Some(scenario) = self.deck.pop() else { return };
            let before = events.len();
            Crime { day, dice, mules: &self.mules, stolen: &mut self.stolen, events }.commit(scenario);
            let committed = i64::try_from(events.len() - before).unwrap_or_default();
            self.owed_millionths -= committed * 1_000_000;
            number += 1;
        }
    }
}

/// One scenario being played.
struct Crime<'a> {
    day: &'a Day<'a>,
    dice: &'a mut Dice,
    mules: &'a [User],
    stolen: &'a mut Stolen,
    /// The day so far.
    events: &'a mut Vec<Event>,
}

/// How it is called in a label, and how long it stays unknown.
#[derive(Clone, Copy)]
struct Label {
    kind: &'static str,
    known_after: (Micros, Micros),
}

const CARD_TESTING: Label = Label { kind: "card_testing", known_after: (DAY, 7 * DAY) };
const ACCOUNT_TAKEOVER: Label = Label { kind: "account_takeover", known_after: (2 * HOUR, 3 * DAY) };
const IMPOSSIBLE_TRAVEL: Label = Label { kind: "impossible_travel", known_after: (DAY, 5 * DAY) };
const MULE_FAN_IN: Label = Label { kind: "mule_fan_in", known_after: (2 * DAY, 10 * DAY) };
const MULE_FAN_OUT: Label = Label { kind: "mule_fan_out", known_after: (2 * DAY, 10 * DAY) };
const STOLEN_DEVICE: Label = Label { kind: "stolen_device", known_after: (3 * HOUR, 4 * DAY) };
const SALAMI: Label = Label { kind: "salami_top_ups", known_after: (3 * DAY, 20 * DAY) };

/// Who acts, with which telephone, where.
#[derive(Clone, Copy)]
struct Actor {
    user: User,
    device: Option<Device>,
    place: Option<Place>,
}

impl Crime<'_> {
    fn commit(mut self, scenario: Scenario) {
        match scenario {
            Scenario::CardTesting => self.card_testing(),
            Scenario::AccountTakeover => self.account_takeover(),
            Scenario::ImpossibleTravel => self.impossible_travel(),
            Scenario::Mule => self.mule(),
            Scenario::StolenDevice => self.stolen_device(),
            Scenario::SalamiTopUps => self.salami_top_ups(),
        }
    }

    /// One user tries stolen card numbers at an online shop: at least six tiny payments, each with another card,
    /// within a minute; then a large one with the last of them.
    fn card_testing(&mut self) {
        let mut time = self.time_between(0, 24);
        let actor = self.thief();
        let shop = self.day.world.online_shop(self.dice);
        for _ in 0..self.dice.between(6, 12) {
            let (card, amount) = (self.stolen.card(), self.dice.between(50, 199));
            self.act(CARD_TESTING, time, actor, pay(shop, Some(card), amount));
            time += self.seconds(2, 7);
        }
        let card = self.stolen.newest_card();
        time += self.seconds(60, 300);
        let shop = self.day.world.online_shop(self.dice);
        let amount = self.dice.between(80_000, 400_000);
        self.act(CARD_TESTING, time, actor, pay(shop, Some(card), amount));
    }

    /// At night a thief logs in to a customer's account with another telephone, far away, and within a quarter of an
    /// hour sends two to four large sums to a mule.
    fn account_takeover(&mut self) {
        let mut time = self.time_between(0, 6);
        let victim = self.victim();
        let home = self.day.world.customer(victim).home;
        let city = *self.dice.pick(&far_cities(home));
        let place = Some(somewhere_in(city, self.dice));
        let actor = Actor { user: victim, device: Some(self.stolen.device()), place };
        let payee = self.mule_but(victim);
        self.act(ACCOUNT_TAKEOVER, time, actor, Action::Login { channel: Channel::Web });
        for _ in 0..self.dice.between(2, 4) {
            time += self.seconds(60, 200);
            let amount = self.dice.between(3_000, 20_000) * 100;
            self.act(ACCOUNT_TAKEOVER, time, actor, Action::Transfer { payee, amount });
        }
    }

    /// Minutes after a customer was seen somewhere, the customer's cloned card pays in shops more than 1,000 km away:
    /// faster than any aeroplane.
    fn impossible_travel(&mut self) {
        let Some((sight, seen_in)) = self.sighting() else { return };
        let city = *self.dice.pick(&far_cities(seen_in));
        let card = self.day.world.customer(sight.user).card;
        let mut time = sight.time + self.seconds(8 * 60, 25 * 60);
        for _ in 0..self.dice.between(2, 3) {
            let shop = self.day.world.resale_shop_in(city, self.dice);
            let actor = Actor { user: sight.user, device: None, place: shop.place };
            let amount = self.dice.between(500, 5_000) * 100;
            self.act(IMPOSSIBLE_TRAVEL, time, actor, pay(shop, Some(card), amount));
            time += self.seconds(3 * 60, 10 * 60);
        }
    }

    /// Deceived customers send money to a mule, at least eight of them within an hour; minutes later the mule sends
    /// nearly all of it on to at least five others, seconds apart.
    fn mule(&mut self) {
        let start = self.time_between(9, 20);
        let mule = self.mule_but(User(u32::MAX));
        let mut others: Vec<User> = Vec::new();
        let (senders, receivers) = (8 + self.dice.below_u32(7) as usize, 5 + self.dice.below_u32(4) as usize);
        while others.len() < senders + receivers {
            let user = self.day.world.any_user(self.dice);
            if user != mule && !others.contains(&user) {
                others.push(user);
            }
        }
        let payees = others.split_off(senders);
        let mut collected = 0;
        for sender in others {
            let time = start + self.seconds(0, 50 * 60);
            let amount = self.dice.between(500, 3_000) * 100;
            collected += amount;
            let actor = self.own_hand(sender, time);
            self.act(MULE_FAN_IN, time, actor, Action::Transfer { payee: mule, amount });
        }
        let mut time = start + 50 * MINUTE + self.seconds(120, 600);
        let each = collected * 95 / 100 / i64::try_from(payees.len()).unwrap_or(1);
        for payee in payees {
            let actor = self.own_hand(mule, time);
            let amount = (each - self.dice.between(0, 5_000)).max(1);
            self.act(MULE_FAN_OUT, time, actor, Action::Transfer { payee, amount });
            time += self.seconds(15, 60);
        }
    }

    /// A stolen, unlocked telephone: goods that can be sold again are bought with the owner's card, three to five
    /// times within an hour; then three or four other people's accounts are opened on the same telephone and emptied.
    fn stolen_device(&mut self) {
        let mut time = self.time_between(18, 23);
        let owner = self.victim();
        let here = self.day.seen_at(owner, time, self.dice);
        let mut actor = self.own_hand(owner, time);
        let card = self.day.world.customer(owner).card;
        let city = here.map_or_else(|| self.day.world.customer(owner).city, |it| it.city);
        for _ in 0..self.dice.between(3, 5) {
            let shop = self.day.world.resale_shop_in(city, self.dice);
            actor.place = here.and(shop.place);
            let amount = self.dice.between(1_000, 6_000) * 100;
            self.act(STOLEN_DEVICE, time, actor, pay(shop, Some(card), amount));
            time += self.seconds(4 * 60, 12 * 60);
        }
        for _ in 0..self.dice.between(3, 4) {
            actor.user = self.victim();
            let payee = self.mule_but(actor.user);
            self.act(STOLEN_DEVICE, time, actor, Action::Login { channel: Channel::App });
            time += self.seconds(40, 180);
            let amount = self.dice.between(500, 2_000) * 100;
            self.act(STOLEN_DEVICE, time, actor, Action::Transfer { payee, amount });
            time += self.seconds(120, 400);
        }
    }

    /// Slice by slice: twelve to twenty top-ups from two stolen cards, each just under 100 yuan, at least ten of them
    /// within three hours; then everything goes to a mule.
    fn salami_top_ups(&mut self) {
        let mut time = self.time_between(8, 19);
        let actor = self.thief();
        let cards = [self.stolen.card(), self.stolen.card()];
        let mut collected = 0;
        for _ in 0..self.dice.between(12, 20) {
            let (card, amount) = (*self.dice.pick(&cards), self.dice.between(9_000, 9_999));
            collected += amount;
            self.act(SALAMI, time, actor, Action::TopUp { card, amount });
            time += self.seconds(5 * 60, 15 * 60);
        }
        let payee = self.mule_but(actor.user);
        self.act(SALAMI, time, actor, Action::Transfer { payee, amount: collected * 95 / 100 });
    }

    /// An honest event of this day whose place is known; none if a hundred tries find none.
    fn sighting(&mut self) -> Option<(Event, Place)> {
        let honest = |it: Event| Some((it, it.place.filter(|_| it.fraud.is_none())?));
        (0..100).find_map(|_| honest(*self.dice.pick(self.events)))
    }

    fn act(&mut self, label: Label, time: Micros, actor: Actor, action: Action) {
        let (soonest, latest) = label.known_after;
        let known_at = time + self.dice.between(soonest / MINUTE, latest / MINUTE) * MINUTE;
        let fraud = Some(Fraud { kind: label.kind, known_at });
        let Actor { user, device, place } = actor;
        self.events.push(Event { time, user, device, place, action, fraud });
    }

    /// A time of this day within these hours.
    fn time_between(&mut self, from_hour: i64, to_hour: i64) -> Micros {
        let seconds = self.dice.between(from_hour * 3_600, to_hour * 3_600 - 1);
        self.day.start + seconds * SECOND
    }

    /// A pause, whole in milliseconds.
    fn seconds(&mut self, least: i64, most: i64) -> Micros {
        self.dice.between(least * 1_000, most * 1_000) * MILLISECOND
    }

    /// An account that a thief opened, or took over long ago, on a telephone that tells no place.
    fn thief(&mut self) -> Actor {
        Actor { user: self.victim(), device: Some(self.stolen.device()), place: None }
    }

    fn victim(&mut self) -> User {
        self.day.world.any_user(self.dice)
    }

    fn mule_but(&mut self, other: User) -> User {
        let mules: Vec<User> = self.mules.iter().copied().filter(|&it| it != other).collect();
        if mules.is_empty() { self.day.world.customer(other).friends[0] } else { *self.dice.pick(&mules) }
    }

    /// A customer acting with the own telephone, deceived or not.
    fn own_hand(&mut self, user: User, time: Micros) -> Actor {
        let place = self.day.seen_at(user, time, self.dice).map(|it| it.place);
        Actor { user, device: Some(self.day.world.customer(user).device(self.day.number)), place }
    }
}
