//! From a ticket to an answer: when its record is durable, or when the caller has waited long enough.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use engine::decision::Fallback;
use engine::event::Change;
use rules::past::Outcome;

use super::{Gate, Poisoned, Settled, Ticket, Worker};
use crate::journal::{Journal, Progress};
use crate::record::{RowPlace, Stamp};
use crate::state::recent::Remembered;

impl Gate {
    /// Waits until a decision may be answered: its record is durable, or its deadline has passed. Then the answer is
    /// the declared fallback, which an amendment records.
    ///
    /// # Errors
    /// If the journal can write no more; then nothing may be answered.
    #[expect(
        clippy::manual_async_fn,
        reason = "its arguments stand in its future twice, and a ticket is large"
    )]
    pub fn settle(&self, ticket: Ticket) -> impl Future<Output = Result<Settled, Poisoned>> + Send + use<'_> {
        async move {
            let durable = self.durable(ticket.newest);
            let reached = match ticket.due {
                None => Some(durable.await),
                Some((at, _)) => tokio::time::timeout_at(at.into(), durable).await.ok(),
            };
            self.settled(ticket, reached)
        }
    }

    /// Settles as [`Gate::settle`] does, on a thread that may wait.
    ///
    /// # Errors
    /// If the journal can write no more.
    pub fn settle_blocking(&self, ticket: Ticket) -> Result<Settled, Poisoned> {
        let durable = self.durable(ticket.newest);
        let reached = block_until(durable, ticket.due.map(|(at, _)| at));
        self.settled(ticket, reached)
    }

    /// Waits until a record may be spoken of: an amendment, a list change.
    ///
    /// # Errors
    /// If the journal can write no more.
    pub async fn durable(&self, offset: u64) -> Result<(), Poisoned> {
        if self.journal.gathers() && self.journal.durable() <= offset {
            // Those whose requests are there already have their turn first, and all of theirs are written at once.
            tokio::task::yield_now().await;
            if self.journal.durable() <= offset {
                self.journal.urge();
            }
        }
        let progress = Reached { journal: &*self.journal, offset, waker: None }.await;
        if offset < progress.durable { Ok(()) } else { Err(Poisoned) }
    }

    /// Waits in this thread until everything below an offset is on the disk: what survives the process may still be
    /// lost with the machine, and a snapshot that has seen it would then be ahead of its journal.
    pub(crate) fn wait_for_disk(&self, below: u64) -> Result<(), Poisoned> {
        while self.journal.synced() < below {
            if self.progress.borrow().has_ended() {
                return Err(Poisoned);
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// `reached` is none where the deadline came first.
    fn settled(&self, ticket: Ticket, reached: Option<Result<(), Poisoned>>) -> Result<Settled, Poisoned> {
        let Ticket { position, mut ruling, rule_set, when, id, due, fallbacks, room, .. } = ticket;
        let fallback = match (reached, due) {
            (Some(Err(poisoned)), _) => return Err(poisoned),
            (None, Some((_, outcome))) => self.fall_back(id, position.offset, outcome)?,
            // What is a fallback from the beginning is recorded as one.
            _ if ruling.fallback.is_some() => None,
            _ => self.fallback_since(id, fallbacks)?,
        };
        if let Some(outcome) = fallback {
            ruling.fall_back(outcome);
        }
        drop(room);
        Ok(Settled { ruling, position, rule_set, when, durable: fallback.is_none() })
    }

    /// Records that a caller of an event gets the fallback, and gives it: if another has got one before, that. None if its
    /// record has become durable at the last moment, and the decision may have been answered to another.
    fn fall_back(&self, id: u128, offset: u64, outcome: Outcome) -> Result<Option<Outcome>, Poisoned> {
        if self.progress.borrow().has_ended() {
            return Err(Poisoned);
        }
        let mut worker = self.own.lock();
        let worker = &mut *worker;
        // INVARIANT (one answer): whoever answers a decision first sees that it is durable, and then that nobody falls back;
        // who falls back first says so, and then sees that it is not durable. One of them sees the other.
        self.fallbacks.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let given = self.late(id, worker).map(|it| match it.fallback {
            Some(given) => Some(given),
            None if offset < self.journal.durable() => None,
            None => {
                self.record_fallback(it, outcome, id, worker);
                Some(outcome)
            }
        });
        self.fallbacks.fetch_add(1, Ordering::SeqCst);
        given.ok_or_else(|| self.lost())
    }

    /// Of an event whose caller gets the fallback: the amendment, and what a repeat gets from now on.
    fn record_fallback(&self, late: Late, outcome: Outcome, id: u128, worker: &mut Worker) {
        let Late { position, stamp, place, digest, .. } = late;
        let Worker { amend, message, .. } = &mut *worker;
        amend.set_fallback(&message.id, self.now(), outcome, &place);
        // Under the event's id: whoever looks for its decision finds what its caller got.
        let (_, newest) = self.amend_at(&place, &Change::Outcome(outcome), Some(id), worker);
        worker.message.fall_back(outcome);
        stamp.write(&worker.message, &mut worker.record);
        let (clock, record) = (stamp.clock, &worker.record);
        let remembered = Remembered { id, digest, clock, position, newest, record };
        self.recent.restore(remembered, self.journal.durable());
    }

    /// The fallback that another caller of an event has got since there were so many; none if none has.
    fn fallback_since(&self, id: u128, fallbacks: u64) -> Result<Option<Outcome>, Poisoned> {
        fence(Ordering::SeqCst);
        let now = self.fallbacks.load(Ordering::SeqCst);
        // An odd number: somebody is at it.
        if now == fallbacks && now.is_multiple_of(2) {
            return Ok(None);
        }
        let mut worker = self.own.lock();
        self.late(id, &mut worker).map(|it| it.fallback).ok_or_else(|| self.lost())
    }

    /// INVARIANT (late): an event that was decided a deadline ago is in the table of recent ids, or became durable
    /// meanwhile: only a journal that cannot be read fails here, and nothing is answered that it does not hold.
    fn lost(&self) -> Poisoned {
        self.journal.fail("the record of an event that is to be answered cannot be read");
        Poisoned
    }

    /// Finds an event that is to be answered; its record is left in `worker.record`, its message in `worker.message`.
    fn late(&self, id: u128, worker: &mut Worker) -> Option<Late> {
        let position = self.find_record(id, worker).ok()??;
        let place = self.place_of_record(position, worker)?;
        let (stamp, _) = Stamp::split(&worker.record)?;
        let fell_back = worker.message.fallback() == Some(Fallback::Deadline);
        let fallback = worker.message.outcome().filter(|_| fell_back);
        Some(Late { position, stamp, place, digest: worker.message.digest()?, fallback })
    }
}

/// An event that is to be answered late.
struct Late {
    /// Offset of its record.
    position: u64,
    stamp: Stamp,
    place: RowPlace,
    /// Of its body.
    digest: [u8; 16],
    /// What its callers get, if that is the fallback.
    fallback: Option<Outcome>,
}

/// How often it is looked whether the disk has what a snapshot has seen.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Waits until a record is durable or never will be.
struct Reached<'a> {
    journal: &'a dyn Journal,
    offset: u64,
    /// Whom the journal knows to be waiting.
    waker: Option<Waker>,
}

impl Future for Reached<'_> {
    type Output = Progress;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Progress> {
        let known = self.waker.as_ref().is_some_and(|it| it.will_wake(context.waker()));
        let progress = self.journal.reached(self.offset, Some(context.waker()).filter(|_| !known));
        if !known && progress.is_pending() {
            self.waker = Some(context.waker().clone());
        }
        progress
    }
}

/// Wakes a thread that is parked.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future in this thread, at most until `at`; none if that came first.
fn block_until<F: Future>(future: F, at: Option<Instant>) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        match at.map(|at| at.saturating_duration_since(Instant::now())) {
            None => thread::park(),
            Some(left) if left.is_zero() => return None,
            Some(left) => thread::park_timeout(left),
        }
    }
}
