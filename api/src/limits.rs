//! Every bound of the HTTP interface.

use std::time::Duration;

/// Longest body of one event or amendment, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest body of a batch, a rule set or a rate table, in bytes.
pub(crate) const LARGE_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bodies that may be so long and are in memory at once; further ones are refused and told to come again.
pub(crate) const LARGE_BODIES_MAX: usize = 32;
/// How deep arrays and objects of a body may be nested.
pub(crate) const JSON_DEPTH_MAX: usize = 32;
/// Most events of a batch.
pub(crate) const BATCH_EVENTS_MAX: usize = 1_000;

/// How long a client may take until the headers of its next request are there, or take nothing of what it is sent, and so
/// how long a connection is kept on which nothing happens: longer than clients keep theirs for the next request (90 s is
/// common), for a payment that is sent on a connection as it is closed fails.
pub(crate) const HEADER_TIME_MAX: Duration = Duration::from_secs(120);
/// How long a client may take to send a body.
pub(crate) const BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// Requests that are worked on at once; further ones are refused and told to come again.
pub(crate) const REQUESTS_MAX: usize = 1_024;
/// Keys that are not known and are looked up at once, so that those that are known go on while the database is away.
pub(crate) const LOOK_UPS_MAX: usize = 256;
/// Live streams at once: each is held for as long as somebody looks.
pub(crate) const STREAMS_MAX: usize = 256;
/// Connections at once; further ones wait to be accepted.
pub(crate) const CONNECTIONS_MAX: u32 = 8_192;
/// How long a stopping server waits for what was accepted.
pub const STOP_TIME_MAX: Duration = Duration::from_secs(30);
/// How long it waits for a connection on which nothing is being worked on: an answer may still be on its way.
pub(crate) const STOP_QUIET_MAX: Duration = Duration::from_secs(1);
/// How long a connection that was closed takes what its client still sends …
pub(crate) const LINGER_TIME_MAX: Duration = Duration::from_secs(5);
/// … and how much of it.
pub(crate) const LINGER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Entries of a page unless the caller says how many.
pub(crate) const PAGE_DEFAULT: u64 = 50;
/// Most entries of a page.
pub(crate) const PAGE_MAX: u64 = 500;
/// Recent events of an entity that are shown.
pub(crate) const RECENT_EVENTS_MAX: usize = 50;
/// Longest note on an alert, in bytes.
pub(crate) const NOTE_BYTES_MAX: usize = 4_096;

/// How far ahead of the wall clock an event's time may lie: senders' clocks differ.
pub(crate) const AHEAD_MAX: Duration = Duration::from_secs(5 * 60);
/// How far behind the engine clock an event's time may lie, unless the configuration says otherwise.
pub const PAST_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the database may take for what is asked of it again and again: one that is gone says nothing, and a connection
/// to it would be waited for without end.
pub(crate) const DATABASE_TIME_MAX: Duration = Duration::from_secs(30);
/// How often the valid keys are read again: a revoked key is refused after at most so long.
pub(crate) const KEYS_REFRESH: Duration = Duration::from_secs(1);
/// How often the sizes of the state are counted for the metrics.
pub(crate) const SIZES_REFRESH: Duration = Duration::from_secs(15);
/// How long durable records gather before they are looked through for alerts: so much later an alert is seen, and so
/// much less often somebody looks.
pub(crate) const ALERTS_GATHER: Duration = Duration::from_millis(10);
/// How often a live stream without alerts says that it is alive.
pub(crate) const STREAM_KEEP_ALIVE: Duration = Duration::from_secs(5);

const _: () = assert!(LOOK_UPS_MAX < REQUESTS_MAX);
const _: () = assert!(BODY_BYTES_MAX < LARGE_BODY_BYTES_MAX && STREAMS_MAX < REQUESTS_MAX);
const _: () = assert!(PAGE_DEFAULT <= PAGE_MAX);
