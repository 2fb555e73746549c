//! Hours and weekdays of event times: plain arithmetic on a table of offsets, made once when a rule set is compiled.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::time::{DAY, HOUR, Micros, SECOND, TIME_MAX, TIME_MIN};

/// A zone's offsets from UTC, in microseconds.
pub(super) enum Zone {
    /// UTC, and others that never change.
    Fixed(Micros),
    Varying {
        /// Over all admissible event times: since when each offset holds, in order; the first from [`TIME_MIN`].
        offsets: Box<[(Micros, Micros)]>,
        /// Asked about other times.
        zone: TimeZone,
    },
}

impl Zone {
    pub(super) fn new(zone: &TimeZone) -> Self {
        if zone.following(Timestamp::MIN).next().is_none() {
            return Self::Fixed(offset_at(zone, TIME_MIN).unwrap_or(0));
        }
        let mut offsets: Vec<_> =
            offset_at(zone, TIME_MIN).map(|offset| (TIME_MIN, offset)).into_iter().collect();
        if let Ok(start) = Timestamp::from_microsecond(TIME_MIN) {
            let changes =
                zone.following(start).map(|it| (it.timestamp().as_microsecond(), it.offset().seconds()));
            let within = changes.take_while(|&(since, _)| since <= TIME_MAX);
            offsets.extend(within.map(|(since, seconds)| (since, Micros::from(seconds) * SECOND)));
        }
        Self::Varying { offsets: offsets.into(), zone: zone.clone() }
    }

    /// Hour of the day, 0 to 23; none outside the years −9999 to 9999.
    #[inline]
    pub(super) fn hour(&self, time: i128) -> Option<i64> {
        Some(self.local(time)?.rem_euclid(DAY) / HOUR)
    }

    /// Day of the week, Monday = 0; none outside the years −9999 to 9999.
    #[inline]
    pub(super) fn weekday(&self, time: i128) -> Option<i64> {
        // 1970-01-01 was a Thursday.
        Some((self.local(time)?.div_euclid(DAY) + 3).rem_euclid(7))
    }

    /// Microseconds since 1970-01-01 00:00 on the zone's own clock.
    #[inline]
    fn local(&self, time: i128) -> Option<Micros> {
        let time = Micros::try_from(time).ok()?;
        let known = Timestamp::MIN.as_microsecond()..=Timestamp::MAX.as_microsecond();
        let offset = match self {
            _ if !known.contains(&time) => return None,
            Self::Fixed(offset) => *offset,
            Self::Varying { offsets, .. } if (TIME_MIN..=TIME_MAX).contains(&time) => {
                let next = offsets.partition_point(|&(since, _)| since <= time);
                offsets.get(next.checked_sub(1)?)?.1
            }
            Self::Varying { zone, .. } => offset_at(zone, time)?,
        };
        Some(time + offset)
    }
}

fn offset_at(zone: &TimeZone, time: Micros) -> Option<Micros> {
    Some(Micros::from(zone.to_offset(Timestamp::from_microsecond(time).ok()?).seconds()) * SECOND)
}
