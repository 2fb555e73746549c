//! The idle leave memory as a replay goes on: else it would hold everybody whom a file of years ever named.

use rules::time::{HOUR, Micros};

/// So much time goes by in the file before anybody is looked for: in less, few become idle.
const CLOCK_STEP: Micros = 6 * HOUR;
/// So many events are decided before, at least ...
const EVENTS_MIN: u64 = 50_000;
/// ... and so many for each entity that stayed the last time: to look at all of them then costs a few hundredths of what
/// the events between cost, and memory holds no more than a few times what it must.
const EVENTS_AN_ENTITY: u64 = 4;

/// When the idle were looked for.
#[derive(Debug)]
pub(super) struct Idle {
    clock: Micros,
    /// So many events are to be decided until it is done again.
    due: u64,
}

impl Idle {
    /// Nobody has been looked for yet.
    pub(super) fn new(clock: Option<Micros>) -> Self {
        Self { clock: clock.unwrap_or(Micros::MIN), due: EVENTS_MIN }
    }

    /// Has the idle taken out of memory if it is time, which nobody can tell from what is decided. `decided` are the events
    /// of the run; `evict` gives how many entities stay.
    pub(super) fn leave(&mut self, clock: Option<Micros>, decided: u64, evict: impl FnOnce() -> usize) {
        let Some(clock) = clock else { return };
        if decided < self.due || clock < self.clock.saturating_add(CLOCK_STEP) {
            return;
        }
        let stayed = evict() as u64;
        *self = Self { clock, due: decided + EVENTS_MIN.max(EVENTS_AN_ENTITY * stayed) };
    }
}

#[cfg(test)]
mod tests {
    use canonical::traffic::Payment;
    use engine::event::Event;
    use rules::time::DAY;
    use stream::gate::Deadline;

    use super::*;

    const START: Micros = 1_767_571_200_000_000; // 2026-01-05T00:00:00Z

    /// Nothing is remembered of anybody for longer than thirty days.
    #[test]
    fn who_has_not_been_seen_for_longer_than_any_window_leaves() {
        let gate = canonical::gate().unwrap();
        let mut worker = gate.worker(Vec::new());
        let mut idle = Idle::new(gate.clock());
        let evict = || {
            gate.evict_idle();
            gate.entities()
        };
        let (mut event, mut text, mut number) = (Event::default(), String::new(), 0);
        let mut pay = |user: u32, time: Micros| {
            number += 1;
            let payment = Payment { number, time, user, card: 0, device: 0, merchant: user, amount: 100 };
            payment.fill(&mut event, &mut text);
            gate.submit(&event, Deadline::Never, &mut worker).unwrap();
        };
        (0..100).for_each(|user| pay(user, START));
        pay(100, START + 40 * DAY);
        idle.leave(gate.clock(), EVENTS_MIN - 1, evict);
        assert_eq!(gate.entities(), 4 * 101, "too few events have been decided");
        idle.leave(gate.clock(), EVENTS_MIN, evict);
        assert_eq!(gate.entities(), 4, "the user of the day, with card, device and merchant");
        pay(101, START + 80 * DAY);
        idle.leave(gate.clock(), 2 * EVENTS_MIN - 1, evict);
        assert_eq!(gate.entities(), 8, "it is not time again");
        idle.leave(gate.clock(), 2 * EVENTS_MIN, evict);
        assert_eq!(gate.entities(), 4);
        pay(102, START + 80 * DAY + CLOCK_STEP - 1);
        idle.leave(gate.clock(), 3 * EVENTS_MIN, evict);
        assert_eq!((gate.entities(), idle.due), (8, 3 * EVENTS_MIN), "too little time has gone by");
    }
}
