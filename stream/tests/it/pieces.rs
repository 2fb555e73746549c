//! A snapshot takes a large entity in pieces, between which decisions about it go on. What becomes of rows that it has
//! taken already, one that comes late among them, a label or a recheck, is in the journal's tail; and what it found so
//! already is not done twice.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use engine::event::{Amendment, Change};
use rules::past::Label;
use rules::reference::generate::Choices;
use rules::time::{Micros, SECOND};
use stream::gate::{Deadline, Gate, Worker};
use stream::journal::{Forgetful, Journal, Memory};
use stream::recover::recover;
use stream::snapshot::{self, DataDir, Extra};

use crate::support::{PATIENT, begin, check_folded, check_same, event, key};
use crate::verify::{RULES, SCHEMA};

/// While one snapshot is written, at most: so many that all ids stay in the table of recent ones.
const CHANGES: usize = 500;
const BASE: Micros = 1_767_600_000 * SECOND;

#[test]
fn what_happens_between_the_pieces_is_in_the_tail() {
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let journal = Memory::default();
    let gate = begin(SCHEMA, RULES, Box::new(journal.clone()));
    let mut shop =
        Shop { worker: gate.worker(Vec::new()), gate: &gate, dice: Choices::from_seed(1), number: 0 };
    (0..Shop::ROWS).for_each(|row| shop.pays(row, None));
    let mut lagged = 0;
    for round in 0..200 {
        // Where others keep the processors busy, nothing may come between for a while.
        if 10 <= round && 0 < lagged {
            break;
        }
        let (begun, written) = (Barrier::new(2), AtomicBool::new(false));
        let goes_on = |_: &usize| !written.load(Ordering::Acquire);
        thread::scope(|scope| {
            scope.spawn(|| {
                begun.wait();
                (0..CHANGES).take_while(goes_on).for_each(|_| shop.changes());
            });
            begun.wait();
            snapshot::write_beside_decisions(&dir, &gate, &Extra::new()).unwrap();
            written.store(true, Ordering::Release);
        });
        lagged += lagging(&dir, &gate);
        let recovered = recover(&dir, key(), Box::new(journal.clone()), PATIENT).unwrap().unwrap();
        check_same(&recovered.gate, &gate);
    }
    check_folded(&gate, &journal);
    assert!(0 < lagged, "decisions went on between the pieces");
}

/// A shop whose payments are all within the allowed lateness.
struct Shop<'a> {
    gate: &'a Gate,
    worker: Worker,
    dice: Choices,
    /// Of what happened last.
    number: usize,
}

impl Shop<'_> {
    const ROWS: usize = 4_000;

    fn pays(&mut self, row: usize, recheck_of: Option<String>) {
        let fields = format!("user=u{} card=c1 device=d1 merchant=m1 amount=500", row % 300);
        let time = BASE + i64::try_from(row).unwrap() * SECOND / 10;
        let mut payment =
            event(&self.gate.rules().typed.schema, "payment", &format!("p-{}", self.number), time, &fields);
        self.number += 1;
        payment.recheck_of = recheck_of;
        self.gate.submit(&payment, Deadline::Never, &mut self.worker).unwrap();
    }

    /// Something becomes of a row somewhere.
    fn changes(&mut self) {
        let row = self.dice.below(Self::ROWS);
        let of = format!("p-{row}");
        match self.dice.below(3) {
            0 => self.pays(row, None),
            1 => self.pays(row, Some(of)),
            _ => {
                let (id, change) = (format!("a-{}", self.number), Change::Label(Label::Fraud, None));
                let amendment = Amendment { id, event_id: of, time: BASE, time_given: true, change };
                self.gate.amend(&amendment, None, &mut self.worker).unwrap();
                self.number += 1;
            }
        }
    }
}

/// Of how many entities the newest snapshot took rows before the rest, with records between.
fn lagging(dir: &DataDir, gate: &Gate) -> usize {
    let journal = |next| -> Box<dyn Journal> { Box::new(Forgetful::starting_at(next)) };
    let restored = snapshot::read(dir, &gate.in_force(), &journal).unwrap().unwrap();
    let mut lagging = 0;
    restored.gate.for_each_entity(|_, state| lagging += usize::from(state.lags()));
    lagging
}
