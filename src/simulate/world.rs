//! The world of the simulation: cities, merchants, and customers with their usual ways.
//!
//! It never changes. What differs from day to day (where a traveller is, which phone is in use) is computed from
//! what a customer was born with, so that any day can be simulated without those before it.

use rules::place::Place;
use rules::time::{HOUR, MINUTE, Micros};

use super::dice::{Dice, Purpose, whole};
use super::event::{Card, Channel, Device, Merchant, User};

/// A city and how many of a thousand customers live there.
#[derive(Debug)]
pub(super) struct City {
    centre: Place,
    share_per_mille: u32,
}

const fn city(latitude_e7: i32, longitude_e7: i32, share_per_mille: u32) -> City {
    City { centre: Place { latitude_e7, longitude_e7 }, share_per_mille }
}

/// Chongqing, Chengdu, Beijing, Shanghai, Guangzhou, Shenzhen, Hangzhou, Wuhan, Xi'an, Kunming, Harbin, Ürümqi.
/// Each has another at least [`FAR_KM`] away.
const CITIES: [City; 12] = [
    city(295_600_000, 1_065_500_000, 220),
    city(306_600_000, 1_040_700_000, 120),
    city(399_000_000, 1_164_100_000, 120),
    city(312_300_000, 1_214_700_000, 120),
    city(231_300_000, 1_132_600_000, 90),
    city(225_400_000, 1_140_600_000, 90),
    city(302_700_000, 1_201_600_000, 70),
    city(305_900_000, 1_143_000_000, 60),
    city(343_400_000, 1_089_400_000, 50),
    city(248_800_000, 1_028_300_000, 30),
    city(458_000_000, 1_265_300_000, 20),
    city(438_300_000, 875_700_000, 10),
];

/// Too far for a person to be there within the hour.
pub(super) const FAR_KM: f64 = 1_100.0;

/// What a merchant sells.
#[derive(Debug)]
pub(super) struct Trade {
    pub(super) mcc: &'static str,
    /// Median of a purchase, in minor units.
    price_minor: f64,
    pub(super) channel: Channel,
    /// How much of people's errands it gets.
    weight: u32,
    /// Whether a thief can turn the goods into money.
    pub(super) resale: bool,
}

const fn trade(mcc: &'static str, price_minor: f64, channel: Channel, weight: u32, resale: bool) -> Trade {
    Trade { mcc, price_minor, channel, weight, resale }
}

/// Stalls, transport, groceries, fast food, restaurants, pharmacies, fuel, department stores, electronics, jewellery.
const SHOPS: [Trade; 10] = [
    trade("5499", 1_200.0, Channel::QrStatic, 25, false),
    trade("4111", 400.0, Channel::QrDynamic, 20, false),
    trade("5411", 6_000.0, Channel::QrDynamic, 20, false),
    trade("5814", 2_200.0, Channel::QrStatic, 15, false),
    trade("5812", 4_500.0, Channel::QrDynamic, 12, false),
    trade("5912", 5_000.0, Channel::QrDynamic, 4, false),
    trade("5541", 25_000.0, Channel::QrDynamic, 4, false),
    trade("5311", 18_000.0, Channel::QrDynamic, 4, false),
    trade("5732", 90_000.0, Channel::QrDynamic, 1, true),
    trade("5944", 120_000.0, Channel::QrDynamic, 1, true),
];

/// Digital goods, delivered food, direct marketing, gift cards.
const ONLINE: [Trade; 4] = [
    trade("5816", 3_000.0, Channel::App, 6, false),
    trade("5818", 2_600.0, Channel::App, 10, false),
    trade("5969", 9_000.0, Channel::Web, 8, false),
    trade("5947", 20_000.0, Channel::Web, 1, true),
];

#[derive(Debug)]
pub(super) struct Shop {
    pub(super) merchant: Merchant,
    pub(super) trade: &'static Trade,
    /// Median of a purchase here, in minor units.
    pub(super) price_minor: f64,
    /// None online.
    pub(super) place: Option<Place>,
}

/// A telephone, and the one bought after it.
#[derive(Clone, Copy, Debug)]
struct Phone {
    first: Device,
    next: Device,
    /// Day of the simulation.
    replaced_on: u32,
}

/// A journey that comes again every `period_days`.
#[derive(Clone, Copy, Debug)]
struct Trip {
    period_days: u32,
    offset_days: u32,
    days: u32,
    city: usize,
}

/// When travellers leave, after midnight.
const OUTWARD: Micros = 8 * HOUR;
const HOMEWARD: Micros = 15 * HOUR;

#[derive(Debug)]
pub(super) struct Customer {
    pub(super) user: User,
    pub(super) card: Card,
    phone: Phone,
    pub(super) city: usize,
    pub(super) home: Place,
    /// Whether the phone tells where it is.
    pub(super) shares_place: bool,
    /// Where most errands lead, by merchant number.
    pub(super) usual_shops: [Merchant; 6],
    pub(super) friends: [User; 5],
    /// What is spent, relative to others.
    pub(super) wealth: f64,
    pub(super) payments_per_day: f64,
    /// By how much the day begins later than other people's.
    pub(super) late_hours: i64,
    trip: Trip,
}

/// Where somebody is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Whereabouts {
    pub(super) city: usize,
    pub(super) place: Place,
    pub(super) away: bool,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) shops: Vec<Shop>,
    /// INVARIANT (shops everywhere): one list per city, none empty: `World::new` opens shops round by round.
    shops_in: Vec<Vec<Merchant>>,
    online: Vec<Merchant>,
    pub(super) customers: Vec<Customer>,
}

/// One shop for so many customers, but never fewer than `SHOPS_MIN`.
const CUSTOMERS_PER_SHOP: u32 = 20;
/// Ten of each city, one of each trade, and forty online.
const SHOPS_MIN: u32 = 160;

impl World {
    pub(super) fn new(seed: u64, users: u32) -> Self {
        let mut world =
            Self { seed, shops: Vec::new(), shops_in: Vec::new(), online: Vec::new(), customers: Vec::new() };
        world.shops_in.resize(CITIES.len(), Vec::new());
        for number in 0..SHOPS_MIN.max(users / CUSTOMERS_PER_SHOP) {
            world.open_shop(number);
        }
        for number in 0..users {
            let customer = world.birth(number, users);
            world.customers.push(customer);
        }
        world
    }

    /// Every fourth online; the others city by city, and in each city trade by trade.
    fn open_shop(&mut self, number: u32) {
        let mut dice = Dice::new(self.seed, Purpose::Merchant, number, 0);
        let merchant = Merchant(number);
        let mut round = number as usize / 4;
        let (trade, place) = if number % 4 == 3 {
            self.online.push(merchant);
            (nth(&ONLINE, round), None)
        } else {
            round = round * 3 + number as usize % 4;
            if let Some(shops) = self.shops_in.get_mut(round % CITIES.len()) {
                shops.push(merchant);
            }
            let centre = nth(&CITIES, round).centre;
            (nth(&SHOPS, round / CITIES.len()), Some(near(centre, 900_000, &mut dice)))
        };
        let price_minor = dice.lognormal(trade.price_minor, 0.3);
        self.shops.push(Shop { merchant, trade, price_minor, place });
    }

    fn birth(&self, number: u32, users: u32) -> Customer {
        let dice = &mut Dice::new(self.seed, Purpose::Customer, number, 0);
        let own_phone =
            Phone { first: Device(number), next: Device(users + number), replaced_on: dice.below_u32(900) };
        // Now and then two of a family share one.
        let phone = match self.customers.last() {
            Some(relative) if dice.chance(30) => relative.phone,
            _ => own_phone,
        };
        let city = dice.weighted(&CITY_NUMBERS, |&it| nth(&CITIES, it).share_per_mille).to_owned();
        let trip = Trip {
            period_days: 60 + dice.below_u32(300),
            offset_days: dice.below_u32(360),
            days: 1 + dice.below_u32(5),
            city: (city + 1 + dice.below_u32(11) as usize) % CITIES.len(),
        };
        let usual_shop = |slot: u32, dice: &mut Dice| {
            let shops = if slot < 4 { self.shops_in(city) } else { &self.online };
            *dice.weighted(shops, |&it| self.shop(it).trade.weight)
        };
        let friend = |dice: &mut Dice| User((number + 1 + dice.below_u32(users - 1)) % users);
        Customer {
            user: User(number),
            card: Card(number),
            phone,
            city,
            home: near(nth(&CITIES, city).centre, 900_000, dice),
            shares_place: dice.chance(850),
            usual_shops: [0, 1, 2, 3, 4, 5].map(|slot| usual_shop(slot, dice)),
            friends: [(); 5].map(|()| friend(dice)),
            wealth: dice.lognormal(1.0, 0.4),
            payments_per_day: dice.lognormal(1.8, 0.5).min(8.0),
            late_hours: dice.between(-1, 3),
            trip,
        }
    }

    /// INVARIANT (numbers of the world): whoever holds a user or merchant of the population has it from here.
    #[expect(clippy::indexing_slicing, reason = "INVARIANT (numbers of the world)")]
    pub(super) fn shop(&self, merchant: Merchant) -> &Shop {
        &self.shops[merchant.0 as usize]
    }

    #[expect(clippy::indexing_slicing, reason = "INVARIANT (numbers of the world)")]
    pub(super) fn customer(&self, user: User) -> &Customer {
        &self.customers[user.0 as usize]
    }

    /// By weight of their trade.
    pub(super) fn any_shop_in(&self, city: usize, dice: &mut Dice) -> &Shop {
        self.shop(*dice.weighted(self.shops_in(city), |&it| self.shop(it).trade.weight))
    }

    /// One whose goods are worth stealing.
    pub(super) fn resale_shop_in(&self, city: usize, dice: &mut Dice) -> &Shop {
        self.shop(*dice.weighted(self.shops_in(city), |&it| u32::from(self.shop(it).trade.resale)))
    }

    pub(super) fn online_shop(&self, dice: &mut Dice) -> &Shop {
        self.shop(*dice.pick(&self.online))
    }

    #[expect(clippy::indexing_slicing, reason = "INVARIANT (shops everywhere)")]
    fn shops_in(&self, city: usize) -> &[Merchant] {
        &self.shops_in[city % CITIES.len()]
    }

    pub(super) fn any_user(&self, dice: &mut Dice) -> User {
        dice.pick(&self.customers).user
    }
}

impl Customer {
    pub(super) fn device(&self, day: u32) -> Device {
        if day < self.phone.replaced_on { self.phone.first } else { self.phone.next }
    }

    /// Where this customer is so long after midnight of a day; none while travelling, when nobody uses a wallet.
    pub(super) fn whereabouts(
        &self,
        day: u32,
        since_midnight: Micros,
        dice: &mut Dice,
    ) -> Option<Whereabouts> {
        let away = self.is_away(day, since_midnight)?;
        let (city, around, within) = match away {
            true => (self.trip.city, nth(&CITIES, self.trip.city).centre, 500_000),
            false => (self.city, self.home, 100_000),
        };
        Some(Whereabouts { city, place: near(around, within, dice), away })
    }

    fn is_away(&self, day: u32, since_midnight: Micros) -> Option<bool> {
        let phase = (day + self.trip.offset_days) % self.trip.period_days;
        let travelling = |departure: Micros| {
            let km = nth(&CITIES, self.city).centre.distance_km(nth(&CITIES, self.trip.city).centre);
            // Two hours to and from the station or airport, then 10 km a minute.
            let arrival = departure + 2 * HOUR + whole(km / 10.0) * MINUTE;
            (departure..arrival).contains(&since_midnight)
        };
        match phase {
            0 if since_midnight < OUTWARD => Some(false),
            0 if travelling(OUTWARD) => None,
            _ if phase < self.trip.days => Some(true),
            _ if phase == self.trip.days && since_midnight < HOMEWARD => Some(true),
            _ if phase == self.trip.days && travelling(HOMEWARD) => None,
            _ => Some(false),
        }
    }
}

const CITY_NUMBERS: [usize; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/// The cities that are too far from a place to be reached within the hour.
pub(super) fn far_cities(from: Place) -> Vec<usize> {
    let far = |&it: &usize| FAR_KM <= nth(&CITIES, it).centre.distance_km(from);
    CITY_NUMBERS.into_iter().filter(far).collect()
}

/// Somewhere in a city.
pub(super) fn somewhere_in(city: usize, dice: &mut Dice) -> Place {
    near(nth(&CITIES, city).centre, 900_000, dice)
}

/// Somewhere around a place, on a grid of about a metre, which is as exact as telephones are.
pub(super) fn near(place: Place, within_e7: i64, dice: &mut Dice) -> Place {
    let moved = |e7: i32, by: i64| (i64::from(e7) + by) / 100 * 100;
    let latitude_e7 = moved(place.latitude_e7, dice.between(-within_e7, within_e7));
    let longitude_e7 = moved(place.longitude_e7, dice.between(-within_e7, within_e7));
    Place::new(latitude_e7, longitude_e7).unwrap_or(place)
}

/// The n-th of a constant list, which begins again after its end.
#[expect(clippy::indexing_slicing, reason = "the remainder is below the length, which is no constant 0")]
fn nth<T>(items: &[T], number: usize) -> &T {
    &items[number % items.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_city_has_every_trade_and_a_far_city() {
        let world = World::new(1, 50);
        for (number, city) in CITIES.iter().enumerate() {
            for trade in &SHOPS {
                let sells = |it: &&Merchant| world.shop(**it).trade.mcc == trade.mcc;
                assert_eq!(
                    world.shops_in(number).iter().filter(sells).count(),
                    1,
                    "{} in {number}",
                    trade.mcc
                );
            }
            assert!(!far_cities(city.centre).is_empty(), "{number}");
            // A cloned card is used up to this far from the centre, and the customer may be as far on the other side.
            let edge =
                Place::new(i64::from(city.centre.latitude_e7) + 1_800_000, city.centre.longitude_e7.into());
            assert!(!far_cities(edge.unwrap()).is_empty(), "{number}");
        }
        assert_eq!(world.online.len(), 40);
        assert_eq!(CITIES.iter().map(|it| it.share_per_mille).sum::<u32>(), 1_000);
    }

    #[test]
    fn nobody_is_a_friend_of_their_own() {
        let world = World::new(3, 50);
        assert!(world.customers.iter().all(|it| !it.friends.contains(&it.user)));
    }

    #[test]
    fn some_telephones_are_shared_by_two_and_none_by_many() {
        let world = World::new(1, 2_000);
        let mut devices: Vec<_> = world.customers.iter().map(|it| it.device(0)).collect();
        devices.sort_unstable();
        let sharing = devices.chunk_by(|a, b| a == b).map(<[_]>::len);
        let most = sharing.clone().max();
        assert!(Some(2) <= most && most <= Some(4), "{most:?}");
        assert!((30..90).contains(&sharing.filter(|&it| 1 < it).count()));
    }

    #[test]
    fn travellers_never_outrun_an_aeroplane() {
        let world = World::new(1, 300);
        let dice = &mut Dice::new(1, Purpose::Day, 0, 0);
        let mut journeys = 0;
        for customer in &world.customers {
            let mut before: Option<(Micros, Whereabouts)> = None;
            for (day, hour) in (0..200).flat_map(|day| (0..24).map(move |hour| (day, hour))) {
                let Some(here) = customer.whereabouts(day, hour * HOUR, dice) else { continue };
                let now = (i64::from(day) * 24 + hour) * HOUR;
                if let Some((then, there)) = before
                    && there.away != here.away
                {
                    let hours = ((now - then) / HOUR) as f64;
                    let speed = there.place.distance_km(here.place) / hours;
                    assert!(speed < 700.0, "{speed} km/h");
                    journeys += 1;
                }
                before = Some((now, here));
            }
        }
        assert!(300 < journeys, "{journeys}");
    }
}
