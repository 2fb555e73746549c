//! Events and amendments on their way in: read by `stream`'s intake, stamped and held to the wall clock here, because
//! the engine has none.

use std::sync::Arc;

use engine::decision::number_of_decision;
use engine::event::Amendment;
use engine::facts::Incomparable;
use rules::notation::duration;
use rules::time::Micros;
use stream::gate::Refused;
use stream::intake::{self, JsonError, Object};

use super::door::{Reads, Seat, Unreadable};
use crate::app::App;
use crate::aside::aside;
use crate::clock::{micros, now};
use crate::limits::AHEAD_MAX;
use crate::metrics::Metrics;
use crate::problem::{Code, Problem, Where};
use crate::request::unreadable_json;
use crate::traffic::no_memory;

/// Why what was sent is not taken.
#[derive(Debug)]
pub(super) enum Untaken {
    /// As the caller is told.
    Problem(Problem),
    /// Not here: the journal must be read for it.
    InJournal,
}

impl Untaken {
    /// What the caller is told.
    pub(super) fn problem(self) -> Problem {
        match self {
            Self::Problem(problem) => problem,
            Self::InJournal => Problem::internal(&Refused::InJournal),
        }
    }
}

impl From<Problem> for Untaken {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// Does something in a seat: on this thread if memory is enough for it, and else beside the threads that decide.
///
/// # Errors
/// As the work.
pub(super) async fn seated<T: Send + 'static>(
    app: &Arc<App>,
    work: impl Fn(&App, &mut Seat) -> Result<T, Untaken> + Send + 'static,
) -> Result<T, Problem> {
    match app.door.seated(Reads::Memory, |seat| work(app, seat)) {
        Err(Untaken::InJournal) => {
            let here = Arc::clone(app);
            let again =
                move || here.door.seated(Reads::Journal, |seat| work(&here, seat)).map_err(Untaken::problem);
            // Rare, and too large to be carried by every request.
            Box::pin(aside(again)).await
        }
        done => done.map_err(Untaken::problem),
    }
}

/// An event that was read.
#[derive(Debug)]
pub(super) struct Received {
    /// Why it is not taken unless it is a repeat: its time lies too far behind.
    too_old: Option<Problem>,
}

/// Reads an event into the seat, which stands in the body at the JSON pointer `at`, and stamps it if it has no time. Where
/// nothing new may be taken, the seat answers only a repeat of it.
///
/// # Errors
/// If it is none, or its time is yet to come.
pub(super) fn event(app: &App, text: &[u8], at: &str, seat: &mut Seat) -> Result<Received, Problem> {
    let arrival = app.door.receive(text, seat).map_err(|error| no_event(text, at, error))?;
    let mut too_old = None;
    if seat.event.time_given {
        check_ahead(seat.event.time, arrival, at)?;
        too_old = check_past(app, seat.event.time, at).err();
    } else {
        seat.event.time = arrival;
    }
    seat.set_only_repeats(too_old.is_some() || app.traffic.memory_full());
    Ok(Received { too_old })
}

impl Received {
    /// Why the gate did not take it.
    pub(super) fn untaken(self, at: &str, why: Refused, metrics: &Metrics) -> Untaken {
        match (why, self.too_old) {
            (Refused::InJournal, _) => Untaken::InJournal,
            (Refused::OnlyRepeats, Some(too_old)) => too_old.into(),
            (why, _) => refused(at, why, metrics).into(),
        }
    }
}

/// Why a text is no event. Of an amendment only that it is one: what it lacks to be an event would lead astray.
fn no_event(text: &[u8], at: &str, error: JsonError) -> Problem {
    match Object::read(text) {
        Ok(object) if object.is_amendment() => {
            let detail = "an amendment, and these go to `POST /v1/amendments`".to_owned();
            Problem::fields(at, [("/event_id".to_owned(), detail)])
        }
        _ => unreadable_json(at, error),
    }
}

/// Reads an amendment, and stamps it if it does not say when it became known.
///
/// # Errors
/// If it is none.
pub(super) fn amendment(text: &[u8]) -> Result<Amendment, Problem> {
    let mut read = intake::parse_amendment(text).map_err(|error| unreadable_json("", error))?;
    let arrival = now();
    match read.time_given {
        true => check_ahead(read.time, arrival, "")?,
        false => read.time = arrival,
    }
    Ok(read)
}

/// Nothing has happened yet that is still to come.
fn check_ahead(time: Micros, arrival: Micros, at: &str) -> Result<(), Problem> {
    if time <= arrival.saturating_add(micros(AHEAD_MAX)) {
        return Ok(());
    }
    let minutes = AHEAD_MAX.as_secs() / 60;
    let detail =
        format!("lies more than {minutes} minutes ahead of the server's clock: send when it happened");
    Err(Problem::fields(at, [("/time".to_owned(), detail)]))
}

/// Nothing new is of so long ago that it must be history.
fn check_past(app: &App, time: Micros, at: &str) -> Result<(), Problem> {
    let wrong = |detail| Err(Problem::fields(at, [("/time".to_owned(), detail)]));
    match app.door.clock() {
        Some(clock) if time < clock.saturating_sub(micros(app.past_max)) => {
            let span = duration(micros(app.past_max));
            wrong(format!(
                "lies more than {span} behind the newest event: history is read by `weir replay`, or raise `past_max`"
            ))
        }
        _ => Ok(()),
    }
}

/// Why the gate took no amendment.
pub(super) fn untaken_amendment(why: Refused, metrics: &Metrics) -> Untaken {
    match why {
        Refused::InJournal => Untaken::InJournal,
        Refused::EventUnknown(id) => unknown(&id, "#/event_id".to_owned()).into(),
        other => refused("", other, metrics).into(),
    }
}

fn unknown(event_id: &str, pointer: String) -> Problem {
    let instead = match number_of_decision(event_id) {
        Some(_) => "that is a decision's id: name the event's own",
        None => "send it first",
    };
    let detail = format!("nothing is known of the event {}: {instead}", intake::shown(event_id));
    Problem::at(Code::EventUnknown, Where::Pointer(pointer), detail)
}

/// Why the gate took nothing, as the caller sees it; what it sent stands in the body at the JSON pointer `at`.
pub(super) fn refused(at: &str, why: Refused, metrics: &Metrics) -> Problem {
    let detail = why.to_string();
    let place = |pointer: &str| Where::Pointer(format!("#{at}{pointer}"));
    match why {
        Refused::Incomparable(it) => {
            let (field, member) = match it {
                Incomparable::NoRate { field, .. } => (field, "currency"),
                Incomparable::TooLarge { field, .. } => (field, "value"),
            };
            Problem::fields(at, [(intake::pointer(&field) + "/" + member, detail)])
        }
        Refused::IdReused(_) | Refused::AmendmentIdReused(_) => {
            Problem::at(Code::EventIdReused, place("/id"), detail)
        }
        Refused::EventUnknown(id) => unknown(&id, format!("#{at}/recheck_of")),
        Refused::RolesChanged { field, .. } => Problem::fields(at, [(intake::pointer(&field), detail)]),
        Refused::TypeChanged(_) => Problem::fields(at, [("/type".to_owned(), detail)]),
        Refused::OfRecheck(_) | Refused::RecheckRecorded(_) => {
            Problem::fields(at, [("/recheck_of".to_owned(), detail)])
        }
        Refused::Overloaded { retry_after } => {
            metrics.shed("disk");
            let seconds = u32::try_from(retry_after.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
            // As the header says, which knows whole seconds only.
            let detail = format!("too much is waiting for the disk: send again in {seconds} s");
            Problem::new(Code::Overloaded, detail).retry_after_s(seconds)
        }
        Refused::OnlyRepeats => no_memory(metrics),
        Refused::Poisoned(_) => Problem::new(Code::Unavailable, detail).retry_after_s(5),
        Refused::InJournal | Refused::Unreadable(_) => Problem::internal(&detail),
    }
}

/// Waits until a record is durable.
///
/// # Errors
/// If the journal has failed.
pub(super) async fn durable(app: &App, offset: u64) -> Result<(), Problem> {
    app.door.durable(offset).await.map_err(|it| refused("", it.into(), &app.metrics))
}

/// Waits until all is durable that states and what is in force show: what was looked at may be spoken of then.
///
/// # Errors
/// If the journal has failed: then that may never have been.
pub(super) async fn all_durable(app: &App) -> Result<(), Problem> {
    durable(app, app.door.last_record()).await
}

/// A record that cannot be shown.
pub(super) fn unreadable(why: &Unreadable) -> Problem {
    Problem::internal(why)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stream::gate::Poisoned;

    use super::*;

    #[test]
    fn what_the_gate_refuses_has_its_status_and_its_place() {
        let metrics = Metrics::new().unwrap();
        let overloaded = |ms| Refused::Overloaded { retry_after: Duration::from_millis(ms) };
        #[rustfmt::skip]
        let rows = [
            (overloaded(1_500),                      429, "",                        Some(2)),
            (overloaded(1),                          429, "",                        Some(1)),
            (overloaded(0),                          429, "",                        Some(1)),
            (Refused::from(Poisoned),                503, "",                        Some(5)),
            (Refused::OnlyRepeats,                   503, "",                        Some(1)),
            (Refused::IdReused("p1".into()),         409, "#/events/3/id",           None),
            (Refused::EventUnknown("p0".into()),     404, "#/events/3/recheck_of",   None),
            (Refused::OfRecheck("p0".into()),        422, "#/events/3/recheck_of",   None),
            (Refused::RolesChanged { original: "p0".into(), field: "user".into() }, 422, "#/events/3/user", None),
            (Refused::TypeChanged("p0".into()),      422, "#/events/3/type",         None),
            (Refused::Unreadable("no disk".into()),  500, "",                        None),
        ];
        for (why, status, pointer, retry_after_s) in rows {
            let problem = refused("/events/3", why.clone(), &metrics);
            let place = problem.errors.first().map(|it| it.place.clone());
            let expected = Some(Where::Pointer(pointer.to_owned())).filter(|_| !pointer.is_empty());
            let got = (problem.code.status().as_u16(), place, problem.retry_after_s);
            assert_eq!(got, (status, expected, retry_after_s), "{why:?}");
            assert!(!problem.detail.contains("no disk"), "the cause is the log's");
            if let (429, Some(seconds)) = (status, retry_after_s) {
                assert!(
                    problem.detail.ends_with(&format!("send again in {seconds} s")),
                    "{}",
                    problem.detail
                );
            }
        }
        let amendment = untaken_amendment(Refused::EventUnknown("p0".into()), &metrics);
        let Untaken::Problem(problem) = amendment else { panic!("{amendment:?}") };
        assert_eq!(problem.errors.first().unwrap().place, Where::Pointer("#/event_id".to_owned()));
    }
}
