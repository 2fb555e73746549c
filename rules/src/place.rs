//! Places on Earth: exact to 10⁻⁷ degrees, and the distance between two of them.

/// A place: latitude and longitude in units of 10⁻⁷ degrees (about 1 cm).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// −900 000 000 to 900 000 000.
    pub latitude_e7: i32,
    /// −1 800 000 000 to 1 800 000 000.
    pub longitude_e7: i32,
}

/// Mean radius of the Earth in kilometres (IUGG).
const EARTH_RADIUS_KM: f64 = 6_371.008_8;

impl Place {
    /// A place from degrees in units of 10⁻⁷; none outside ±90° and ±180°.
    pub fn new(latitude_e7: i64, longitude_e7: i64) -> Option<Self> {
        let within = latitude_e7.abs() <= 900_000_000 && longitude_e7.abs() <= 1_800_000_000;
        let (latitude_e7, longitude_e7) =
            (i32::try_from(latitude_e7).ok()?, i32::try_from(longitude_e7).ok()?);
        within.then_some(Self { latitude_e7, longitude_e7 })
    }

    /// Both numbers in one slot: latitude in the upper half, longitude in the lower.
    pub fn pack(self) -> i64 {
        (i64::from(self.latitude_e7) << 32) | i64::from(self.longitude_e7.cast_unsigned())
    }

    /// The place that [`Place::pack`] packed.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves are taken apart as they were put together"
    )]
    pub fn unpack(slot: i64) -> Self {
        Self { latitude_e7: (slot >> 32) as i32, longitude_e7: slot as i32 }
    }

    /// Great-circle distance in kilometres by the haversine formula, with `libm` so that every machine agrees.
    pub fn distance_km(self, other: Self) -> f64 {
        let (lat_a, lon_a) = self.radians();
        let (lat_b, lon_b) = other.radians();
        let half_lat = libm::sin((lat_b - lat_a) / 2.0);
        let half_lon = libm::sin((lon_b - lon_a) / 2.0);
        let a = half_lat * half_lat + libm::cos(lat_a) * libm::cos(lat_b) * half_lon * half_lon;
        2.0 * EARTH_RADIUS_KM * libm::asin(libm::sqrt(if 1.0 < a { 1.0 } else { a }))
    }

    fn radians(self) -> (f64, f64) {
        let radians = |e7: i32| f64::from(e7) / 1e7 * (core::f64::consts::PI / 180.0);
        (radians(self.latitude_e7), radians(self.longitude_e7))
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn packing_keeps_every_corner() {
        for (lat, lon) in [(0, 0), (-1, -1), (900_000_000, 1_800_000_000), (-900_000_000, -1_800_000_000)] {
            let place = Place::new(lat, lon).unwrap();
            assert_eq!(Place::unpack(place.pack()), place);
        }
        assert_eq!(Place::new(900_000_001, 0), None);
        assert_eq!(Place::new(0, -1_800_000_001), None);
    }

    #[test]
    fn beijing_to_shanghai() {
        let beijing = Place::new(399_042_000, 1_164_074_000).unwrap();
        let shanghai = Place::new(312_304_000, 1_214_737_000).unwrap();
        let km = beijing.distance_km(shanghai);
        assert!((km - 1067.3).abs() < 0.2, "{km}");
        assert_eq!(beijing.distance_km(beijing).to_bits(), 0.0_f64.to_bits());
    }
}
