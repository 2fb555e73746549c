//! Follows the durable journal and tells its alerts to the desk, which keeps them with the position up to which they
//! tell: what a crash leaves out is told again, and nothing twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use desk::Desk;
use desk::alert::{Alert, Answered, Party, alerts_of};
use engine::decision::decision_id;
use engine::event::Event;
use prost::Message as _;
use rules::schema::{FieldId, KindId, Schema};
use stream::journal::{Cursor, JournalError, RecordKind, TENANT};
use stream::record::{Amend, Cause, Decided, Stamp};
use tokio::sync::watch;
use tokio::time::timeout;

use super::door::Door;
use crate::limits::{ALERTS_GATHER, DATABASE_TIME_MAX, STREAMS_MAX};

/// Records that are looked at before what they raised is written.
const RECORDS_AT_ONCE: usize = 4_096;
/// Records without an alert after which the position is written all the same.
const QUIET_RECORDS_MAX: u64 = 20_000;
/// How long to wait after an error.
const AGAIN: Duration = Duration::from_secs(1);

/// How far the alerts are told, for those who watch.
#[derive(Debug)]
pub(crate) struct Told {
    seq: watch::Sender<i64>,
    /// All records below are.
    next: AtomicU64,
    watchers: Arc<AtomicUsize>,
}

impl Default for Told {
    fn default() -> Self {
        Self { seq: watch::channel(-1).0, next: AtomicU64::new(0), watchers: Arc::default() }
    }
}

/// A watcher's place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Watcher(Arc<AtomicUsize>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Told {
    /// The newest alert's [`Alert::seq`], and to wait for newer ones; below all of them where there is none, or the desk has
    /// not been asked yet.
    pub(crate) fn watch(&self) -> watch::Receiver<i64> {
        self.seq.subscribe()
    }

    /// The first record that is not told.
    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// A place among those who watch; none where there are too many.
    pub(crate) fn watcher(&self) -> Option<Watcher> {
        let place = Watcher(Arc::clone(&self.watchers));
        let before = self.watchers.fetch_add(1, Ordering::Relaxed);
        (before < STREAMS_MAX).then_some(place)
    }
}

/// Tells alerts until the server has stopped and all is told, or the journal has failed.
pub(crate) async fn follow(door: Arc<Door>, desk: Desk, told: &Told, mut stopping: watch::Receiver<bool>) {
    while let Err(error) = follow_once(&door, &desk, told, stopping.clone()).await {
        tracing::error!(%error, "alerts are not told; trying again");
        // What a server that stops has not told, it tells at its next start.
        if tokio::time::timeout(AGAIN, stopping.wait_for(|it| *it)).await.is_ok() {
            return;
        }
    }
}

/// Why no alerts are told.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Desk(#[from] desk::Error),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the reader of the journal broke off: {0}")]
    Broken(#[from] tokio::task::JoinError),
    #[error("the database does not answer")]
    Silent(#[from] tokio::time::error::Elapsed),
}

async fn follow_once(
    door: &Arc<Door>,
    desk: &Desk,
    told: &Told,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), Failed> {
    let start = timeout(DATABASE_TIME_MAX, desk.alerts_told()).await??;
    told.seq.send_if_modified(|seq| start.seq.is_some_and(|newest| newest != std::mem::replace(seq, newest)));
    let mut written = start.next;
    let mut reader = Reader::new(Arc::clone(door), start.next)?;
    let mut progress = door.progress();
    told.next.store(written, Ordering::Relaxed);
    loop {
        let durable = progress.borrow_and_update().durable;
        let (back, batch) = tokio::task::spawn_blocking(move || {
            let batch = reader.batch(durable);
            (reader, batch)
        })
        .await?;
        reader = back;
        let batch = batch?;
        let says = !batch.alerts.is_empty() || !batch.answered.is_empty();
        if says || QUIET_RECORDS_MAX <= batch.next - written {
            let told = desk.tell_alerts(&batch.alerts, &batch.answered, batch.next);
            timeout(DATABASE_TIME_MAX, told).await??;
            written = batch.next;
        }
        if let Some(newest) = batch.alerts.last() {
            told.seq.send_replace(newest.seq);
        }
        told.next.store(batch.next, Ordering::Relaxed);
        if batch.more {
            continue;
        }
        let ended = tokio::select! {
            changed = progress.changed() => changed.is_err() || progress.borrow().has_ended(),
            _ = stopping.wait_for(|it| *it) => progress.borrow().durable <= batch.next,
        };
        if ended {
            return Ok(());
        }
        tokio::time::sleep(ALERTS_GATHER).await;
    }
}

/// What some records raised.
struct Batch {
    alerts: Vec<Alert>,
    /// What callers were answered instead of what had been decided.
    answered: Vec<Answered>,
    /// Offset of the first record that was not looked at.
    next: u64,
    /// Whether there may be more of them that are durable already.
    more: bool,
}

struct Reader {
    door: Arc<Door>,
    cursor: Box<dyn Cursor>,
    next: u64,
}

impl Reader {
    fn new(door: Arc<Door>, next: u64) -> Result<Self, JournalError> {
        let cursor = door.records_from(next)?;
        Ok(Self { cursor, next, door })
    }

    /// Reads on; all records below `durable` can be read.
    fn batch(&mut self, durable: u64) -> Result<Batch, JournalError> {
        let (mut alerts, mut answered, mut looked_at) = (Vec::new(), Vec::new(), 0);
        while looked_at < RECORDS_AT_ONCE {
            let Some(record) = self.cursor.next()? else { break };
            looked_at += 1;
            self.next = record.offset + 1;
            match record.kind {
                // Most raise none, and need no words.
                RecordKind::Decided if raises_none(record.body) => {}
                RecordKind::Decided => {
                    let read = self.door.recorded(record.offset, record.kind, record.body);
                    let Some(it) = read else { continue };
                    alerts.extend(alerts_in(
                        &it.event,
                        &it.decision(),
                        record.offset,
                        &it.rules.typed.schema,
                    ));
                }
                RecordKind::Amend => answered.extend(answered_by(record.offset, record.body)),
                _ => {}
            }
        }
        let more = looked_at == RECORDS_AT_ONCE;
        if !more {
            // Those that a journal does not have will not come: it may begin upon a snapshot, with none at all.
            self.next = self.next.max(durable);
        }
        Ok(Batch { alerts, answered, next: self.next, more })
    }
}

/// Whether a decision can be read, and raised no alert.
fn raises_none(body: &[u8]) -> bool {
    Stamp::split(body).is_some_and(|(_, message)| Decided::raised_alerts(message) == Ok(false))
}

/// What a record of an amendment says that a caller was answered: the fallback, behind a deadline.
fn answered_by(offset: u64, body: &[u8]) -> Option<Answered> {
    let (_, message) = Stamp::split(body)?;
    let amend = Amend::decode(message).ok().filter(|it| it.cause() == Cause::Deadline)?;
    Some(Answered {
        decision_id: decision_id(TENANT, &amend.event_id),
        within: amend.position..offset,
        outcome: amend.outcome()?,
    })
}

fn alerts_in(
    event: &Event,
    decision: &engine::decision::Decision<'_>,
    offset: u64,
    schema: &Schema,
) -> Vec<Alert> {
    if decision.alerts.is_empty() {
        return Vec::new();
    }
    let name = event.declared(schema).map_or("", |it| it.name.as_str());
    alerts_of(decision, offset, name, event.time, &parties(event, schema))
}

/// Who stands in which role of an event.
fn parties(event: &Event, schema: &Schema) -> Vec<Party> {
    let party = |(role, kind, id): (FieldId, KindId, &str)| {
        let (role, kind) = (schema.field(role)?.name.clone(), schema.kind_name(kind).to_owned());
        Some(Party { role, kind, id: id.to_owned() })
    };
    event.roles(schema).filter_map(party).collect()
}
