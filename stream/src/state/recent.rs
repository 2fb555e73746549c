//! The table of ids and repeats: what was decided in the last `repeat_for`, by event id.
//!
//! An id is a repeat exactly if its first record's clock is above `clock − repeat_for`; older, it is a new event.
//! Of two in flight with one id, the second waits for the first. Entries lie in the order in which they were
//! finished, which is nearly the order of their clocks, so that old ones leave from the front; one that is a little
//! out of order stays a little longer and is told by its own clock.
//!
//! Beside a journal that keeps the records the table has a fixed size ([`Most`]): records leave it before their ids do,
//! and ids before their time. Then it says that the journal has to be asked.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::ptr;

use engine::near::prefetch_to_write;
use hashbrown::HashTable;
use parking_lot::{Condvar, Mutex};
use rules::time::Micros;

/// Shards by id, so that threads seldom meet. A power of two.
const SHARDS: usize = 64;
/// So many entries are looked at under one lock for a snapshot: whoever decides may be waiting for it.
pub(crate) const AT_ONCE: usize = 64;

/// What a record seldom is longer than.
const RECORD_BYTES: usize = 256;

/// The table.
#[derive(Debug)]
pub(crate) struct Recent {
    shards: Box<[Shard]>,
    /// Ids of records below `oldest`, which no journal has: they are not let go before their time.
    before: Box<[Shard]>,
    oldest: u64,
    /// How long an id is remembered.
    repeat_for: Micros,
    /// Beside a journal: how much is remembered here.
    most: Option<Most>,
}

/// How much a table remembers itself: what is beyond is found in a journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Most {
    ids: usize,
    record_bytes: usize,
}

impl Most {
    /// Half a million ids, 45 MB, and the records of those that were decided a moment ago, which a client that lost
    /// its connection asks for again.
    pub(crate) const USUAL: Self = Self::of(1 << 19, 32 << 20);

    /// So many ids, and bytes of records.
    pub(crate) const fn of(ids: usize, record_bytes: usize) -> Self {
        Self { ids: ids / SHARDS, record_bytes: record_bytes / SHARDS }
    }
}

#[derive(Debug, Default)]
struct Shard {
    entries: Mutex<Entries>,
    /// Told whenever an entry in flight is finished or given up.
    finished: Condvar,
}

#[derive(Debug, Default)]
struct Entries {
    /// By id: the lower halves of its hash and of its entry's number, counted from the first ever. Of an entry that is
    /// gone it may still be here, until room is needed: taking it out at once would cost every event a cache line that
    /// nobody has touched for long.
    numbers: HashTable<(u32, u32)>,
    /// The entries in order; the first has number `first`.
    entries: VecDeque<Entry>,
    first: u64,
    /// The records of the entries from number `first_record` on, one after the other; the first byte has number
    /// `first_byte`.
    records: VecDeque<u8>,
    first_record: u64,
    first_byte: u64,
    /// Ids in flight.
    in_flight: Vec<u128>,
    /// Ids whose clock is at most this may have left before their time.
    let_go: Option<Micros>,
}

/// What is remembered of an id.
#[derive(Clone, Copy, Debug)]
struct Entry {
    id: u128,
    digest: [u8; 16],
    clock: Micros,
    position: u64,
    /// The offset of the newest record that it tells of: once that is durable, the journal can tell.
    newest: u64,
    /// The lower bits of the number of its record's first byte.
    record_start: u32,
    record_bytes: u32,
}

/// What is asked about an id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) id: u128,
    /// Of its body.
    pub(crate) digest: &'a [u8; 16],
    /// The engine clock that a record of it would have now: by that it is told whether it is a repeat.
    pub(crate) clock: Micros,
    /// The engine clock: what is older may be forgotten.
    pub(crate) now: Micros,
    /// Only what is below this offset may be forgotten.
    pub(crate) durable: u64,
}

/// What the table says of an id.
#[derive(Debug)]
pub(crate) enum Seen<'a> {
    /// Never seen, or too long ago.
    New {
        /// Whether nobody else need be asked: otherwise the journal may have it.
        certain: bool,
        /// Until this lands or is dropped, others with the id wait.
        flight: Flight<'a>,
    },
    /// Seen with the same body; its record's position, and its bytes in the buffer that was given, which is empty
    /// where only the journal has them.
    Repeat {
        /// Of the first record.
        position: u64,
        /// Of the newest record that tells what its callers get: until that is durable, so is no answer.
        newest: u64,
    },
    /// Seen with another body.
    Reused,
}

/// An id in flight. Dropped, its event was not recorded, and the id is as new as before.
#[derive(Debug)]
pub(crate) struct Flight<'a> {
    recent: &'a Recent,
    id: u128,
}

impl Flight<'_> {
    /// Remembers the record of the id. Only what is below `durable` may have to leave for it.
    pub(crate) fn land(self, it: Remembered<'_>, durable: u64) {
        let shard = self.recent.shard(self.id);
        let mut entries = shard.entries.lock();
        entries.push(it);
        entries.make_room(self.recent.most, durable);
        // Others see it landed with its record or not at all.
        entries.land(self.id);
        drop(entries);
        shard.finished.notify_all();
        std::mem::forget(self);
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let shard = self.recent.shard(self.id);
        shard.entries.lock().land(self.id);
        shard.finished.notify_all();
    }
}

/// Where a record stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Its offset.
    pub(crate) position: u64,
    /// The engine clock that it was decided at.
    pub(crate) clock: Micros,
}

/// An id that was decided, with what a repeat of it is answered by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Remembered<'a> {
    /// Its keyed hash.
    pub(crate) id: u128,
    /// Of the body.
    pub(crate) digest: [u8; 16],
    /// The engine clock that it was decided at.
    pub(crate) clock: Micros,
    /// Offset of its record.
    pub(crate) position: u64,
    /// Offset of the newest record that this tells of: its own, or of the fallback that its caller got.
    pub(crate) newest: u64,
    /// Its record; empty where only the journal has it.
    pub(crate) record: &'a [u8],
}

impl<'a> Remembered<'a> {
    /// An id of which no other record than its own tells.
    pub(crate) fn of(id: u128, digest: [u8; 16], clock: Micros, position: u64, record: &'a [u8]) -> Self {
        Self { id, digest, clock, position, newest: position, record }
    }
}

impl Recent {
    /// A table that remembers all that it must itself.
    pub(crate) fn new(repeat_for: Micros) -> Self {
        Self { shards: shards(), before: Box::default(), oldest: 0, repeat_for, most: None }
    }

    /// This table beside a journal whose first record is this: ids of records before it are not let go before their time.
    pub(crate) fn since(self, oldest: u64) -> Self {
        if oldest == 0 {
            return self;
        }
        let same = Self { before: shards(), oldest, most: self.most, ..Self::new(self.repeat_for) };
        for shard in 0..self.shards() {
            self.copy(shard, &self.order(shard, Micros::MIN), |it| {
                same.restore(it, u64::MAX);
                ControlFlow::Continue(())
            });
        }
        same.lacks(self.let_go());
        same
    }

    /// This table beside a journal that keeps the records: it has a fixed size.
    pub(crate) fn at_most(self, most: Most) -> Self {
        Self { most: Some(most), ..self }
    }

    /// Looks an id up and, if it is new, has it in flight. Waits while it is in flight elsewhere. The first record's bytes
    /// of a repeat are put into `record`.
    pub(crate) fn begin(&self, asked: Asked<'_>, record: &mut Vec<u8>) -> Seen<'_> {
        let Asked { id, digest, clock, now, durable } = asked;
        let shard = self.shard(id);
        let mut entries = shard.entries.lock();
        while entries.in_flight.contains(&id) {
            shard.finished.wait(&mut entries);
        }
        let since = clock.saturating_sub(self.repeat_for);
        let forgotten = now.saturating_sub(self.repeat_for);
        entries.forget(forgotten, durable);
        entries.prefetch_ends();
        let mut seen = entries.seen(id, digest, since, record);
        if let (None, Some(before)) = (&seen, self.before(id)) {
            let mut before = before.entries.lock();
            before.forget(forgotten, u64::MAX);
            seen = before.seen(id, digest, since, record);
        }
        if let Some(seen) = seen {
            return seen;
        }
        entries.in_flight.push(id);
        let certain = entries.let_go.is_none_or(|it| it <= since);
        Seen::New { certain, flight: Flight { recent: self, id } }
    }

    /// The record of an id, if it is remembered and not in flight; its bytes are put into `record`, which is left empty
    /// where only the journal has them.
    pub(crate) fn find(&self, id: u128, record: &mut Vec<u8>) -> Option<Found> {
        let found = |shard: &Shard| {
            let entries = shard.entries.lock();
            let (entry, number) = entries.find(id)?;
            entries.record(&entry, number, record);
            Some(Found { position: entry.position, clock: entry.clock })
        };
        [Some(self.shard(id)), self.before(id)].into_iter().flatten().find_map(found)
    }

    /// Bytes that the table takes.
    pub(crate) fn bytes(&self) -> usize {
        self.all().map(|shard| size_of::<Shard>() + shard.entries.lock().bytes()).sum()
    }

    /// How many parts the table has.
    pub(crate) fn shards(&self) -> usize {
        self.shards.len() + self.before.len()
    }

    /// All shards by number; of each number first the one for records that no journal has, whose positions are lower.
    fn all(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().enumerate().flat_map(|(at, shard)| self.before.get(at).into_iter().chain([shard]))
    }

    /// Waits until all that were in flight in a shard when this was called have landed.
    pub(crate) fn land_all(&self, shard: usize) {
        let Some(shard) = self.all().nth(shard) else { return };
        let mut entries = shard.entries.lock();
        let awaited = entries.in_flight.clone();
        while entries.in_flight.iter().any(|id| awaited.contains(id)) {
            shard.finished.wait(&mut entries);
        }
    }

    /// The numbers of a shard's entries that an id leads to and whose clock is above `since`, by position.
    pub(crate) fn order(&self, shard: usize, since: Micros) -> Vec<u64> {
        let Some(shard) = self.all().nth(shard) else { return Vec::new() };
        let mut numbers: Vec<u64> = shard.entries.lock().numbers().collect();
        numbers.sort_unstable();
        let mut order = Vec::with_capacity(numbers.len());
        for some in numbers.chunks(AT_ONCE) {
            let entries = shard.entries.lock();
            let live = some.iter().filter_map(|number| Some((entries.entry(*number)?, *number)));
            order.extend(live.filter(|(it, _)| since < it.clock).map(|(it, number)| (it.position, number)));
        }
        order.sort_unstable();
        order.into_iter().map(|(_, number)| number).collect()
    }

    /// Shows the entries of these numbers in this order, until `each` says that it has enough. Gives how many it was
    /// shown; what has been forgotten meanwhile counts as shown. The shard is locked for all of them: beside decisions not
    /// for more than [`AT_ONCE`].
    pub(crate) fn copy(
        &self,
        shard: usize,
        numbers: &[u64],
        mut each: impl FnMut(Remembered<'_>) -> ControlFlow<()>,
    ) -> usize {
        let Some(shard) = self.all().nth(shard) else { return numbers.len() };
        let entries = shard.entries.lock();
        let mut record = Vec::new();
        for (shown, number) in (1..).zip(numbers) {
            let Some(entry) = entries.entry(*number) else { continue };
            entries.record(entry, *number, &mut record);
            let Entry { id, digest, clock, position, newest, .. } = *entry;
            if each(Remembered { id, digest, clock, position, newest, record: &record }).is_break() {
                return shown;
            }
        }
        numbers.len()
    }

    /// Puts an id back, behind those of its shard. Only what is below `durable` may have to leave for it.
    pub(crate) fn restore(&self, it: Remembered<'_>, durable: u64) {
        let (shard, most) = self.home(&it);
        let mut entries = shard.entries.lock();
        entries.push(it);
        entries.make_room(most, durable);
    }

    /// Remembers an id of a record that is folded, and forgets what is too old by its clock.
    pub(crate) fn remember(&self, it: Remembered<'_>) {
        let (shard, most) = self.home(&it);
        let mut entries = shard.entries.lock();
        // What is folded is durable.
        entries.forget(it.clock.saturating_sub(self.repeat_for), u64::MAX);
        entries.push(it);
        entries.make_room(most, u64::MAX);
    }

    /// Puts an id back of a record that no journal has, unless it is here and not without its record.
    pub(crate) fn complete(&self, it: Remembered<'_>) {
        let (shard, _) = self.home(&it);
        let mut entries = shard.entries.lock();
        let is_here = entries.find(it.id).is_some_and(|(entry, number)| {
            let has_record = entries.first_record <= number && entry.record_bytes != 0;
            has_record || it.record.is_empty() || it.position < entry.position
        });
        if !is_here {
            entries.push(it);
        }
    }

    /// Ids whose clock is at most this may have left before their time; none if all are here.
    pub(crate) fn let_go(&self) -> Option<Micros> {
        self.shards.iter().filter_map(|shard| shard.entries.lock().let_go).max()
    }

    /// Ids whose clock is at most this may be missing.
    pub(crate) fn lacks(&self, until: Option<Micros>) {
        for shard in &self.shards {
            let mut entries = shard.entries.lock();
            entries.let_go = entries.let_go.max(until);
        }
    }

    /// Where an id belongs, and how much may be there.
    fn home(&self, it: &Remembered<'_>) -> (&Shard, Option<Most>) {
        match self.before(it.id) {
            Some(before) if it.position < self.oldest => (before, None),
            _ => (self.shard(it.id), self.most),
        }
    }

    /// INVARIANT (shards): there are `SHARDS` shards, and the index is taken modulo that.
    #[expect(clippy::indexing_slicing, reason = "INVARIANT (shards)")]
    fn shard(&self, id: u128) -> &Shard {
        &self.shards[shard_of(id)]
    }

    /// Where an id is whose record no journal has.
    fn before(&self, id: u128) -> Option<&Shard> {
        self.before.get(shard_of(id))
    }
}

fn shards() -> Box<[Shard]> {
    (0..SHARDS).map(|_| Shard::default()).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "it is taken modulo the shards")]
fn shard_of(id: u128) -> usize {
    (id >> 64) as usize % SHARDS
}

impl Entries {
    /// Whether an id was seen later than `since`, and with which body.
    fn seen(
        &self,
        id: u128,
        digest: &[u8; 16],
        since: Micros,
        record: &mut Vec<u8>,
    ) -> Option<Seen<'static>> {
        let (entry, number) = self.find(id).filter(|(entry, _)| since < entry.clock)?;
        if entry.digest != *digest {
            return Some(Seen::Reused);
        }
        self.record(&entry, number, record);
        Some(Seen::Repeat { position: entry.position, newest: entry.newest })
    }

    /// The newest entry of an id, and its number.
    fn find(&self, id: u128) -> Option<(Entry, u64)> {
        let hash = hash_of(id);
        let is = |known: &(u32, u32)| known.0 == hash && self.is(self.whole(known.1), id);
        let number = self.whole(self.numbers.find(spread(hash), is)?.1);
        Some((self.entry(number).copied()?, number))
    }

    /// The numbers of the entries that an id leads to.
    fn numbers(&self) -> impl Iterator<Item = u64> {
        let all = self.numbers.iter().map(|(_, number)| self.whole(*number));
        all.filter(|number| self.entry(*number).is_some())
    }

    /// The newest entry of an id replaces an older, expired one in the index; the older leaves from the front.
    fn push(&mut self, it: Remembered<'_>) {
        let Remembered { id, digest, clock, position, newest, record } = it;
        let number = self.first + self.entries.len() as u64;
        let record_start = lower(self.first_byte.wrapping_add(self.records.len() as u64));
        let record_bytes = u32::try_from(record.len()).unwrap_or(u32::MAX);
        self.entries.push_back(Entry { id, digest, clock, position, newest, record_start, record_bytes });
        self.records.extend(record);
        let hash = hash_of(id);
        let Self { numbers, entries, first, .. } = self;
        let entry = |known: u32| entry_at(entries, *first, whole(*first, known));
        let is = |it: &(u32, u32)| it.0 == hash && entry(it.1).is_some_and(|it| it.id == id);
        match numbers.find_mut(spread(hash), is) {
            Some(known) => known.1 = lower(number),
            None => {
                if numbers.len() == numbers.capacity() {
                    numbers.retain(|(_, known)| entry(*known).is_some());
                    numbers.reserve(numbers.len().max(1), |(hash, _)| spread(*hash));
                }
                numbers.insert_unique(spread(hash), (hash, lower(number)), |(hash, _)| spread(*hash));
            }
        }
    }

    /// Asks for where the next entry and its record will stand: their memory has not been touched for long.
    fn prefetch_ends(&self) {
        if let Some(last) = self.entries.back() {
            prefetch_to_write(ptr::from_ref(last).wrapping_add(1), size_of::<Entry>());
        }
        let (front, back) = self.records.as_slices();
        let last = if back.is_empty() { front } else { back };
        prefetch_to_write(last.as_ptr_range().end, RECORD_BYTES);
    }

    /// Drops entries from the front whose clock is at or below this, as far as they are below `durable`: whoever looks
    /// for what has just been recorded finds it here or in the journal, however far the clock went meanwhile.
    fn forget(&mut self, until: Micros, durable: u64) {
        while self.entries.front().is_some_and(|it| it.clock <= until && it.newest < durable) {
            self.pop();
        }
    }

    /// Lets records and ids go that are too many, oldest first, as far as the journal can tell of them: as far as they
    /// are below `durable`.
    fn make_room(&mut self, most: Option<Most>, durable: u64) {
        let Some(most) = most else { return };
        while most.record_bytes < self.records.len()
            && let Some(entry) = self.entry(self.first_record).copied()
            && entry.newest < durable
        {
            self.drop_record(&entry);
        }
        while most.ids < self.entries.len() && self.entries.front().is_some_and(|it| it.newest < durable) {
            self.let_go = self.let_go.max(self.pop());
        }
    }

    /// Drops the oldest entry; gives its clock.
    fn pop(&mut self) -> Option<Micros> {
        let entry = self.entries.front().copied()?;
        if self.first_record == self.first {
            self.drop_record(&entry);
        }
        self.entries.pop_front();
        self.first += 1;
        Some(entry.clock)
    }

    /// Drops the oldest record that is here, which is this entry's.
    fn drop_record(&mut self, entry: &Entry) {
        self.records.drain(..(entry.record_bytes as usize).min(self.records.len()));
        self.first_byte = self.first_byte.wrapping_add(u64::from(entry.record_bytes));
        self.first_record += 1;
    }

    /// Copies the record of the entry of a number; nothing if it is not here.
    fn record(&self, entry: &Entry, number: u64, into: &mut Vec<u8>) {
        into.clear();
        if number < self.first_record {
            return;
        }
        let start = entry.record_start.wrapping_sub(lower(self.first_byte)) as usize;
        let end = start.saturating_add(entry.record_bytes as usize).min(self.records.len());
        into.extend(self.records.range(start.min(end)..end));
    }

    fn land(&mut self, id: u128) {
        if let Some(at) = self.in_flight.iter().position(|it| *it == id) {
            self.in_flight.swap_remove(at);
        }
    }

    fn bytes(&self) -> usize {
        self.numbers.allocation_size()
            + self.entries.capacity() * size_of::<Entry>()
            + self.records.capacity()
            + self.in_flight.capacity() * size_of::<u128>()
    }

    fn is(&self, number: u64, id: u128) -> bool {
        self.entry(number).is_some_and(|it| it.id == id)
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        entry_at(&self.entries, self.first, number)
    }

    fn whole(&self, number: u32) -> u64 {
        whole(self.first, number)
    }
}

/// The number whose lower half this is, if it is among those here, which begin with `first`; else one that nothing here has.
fn whole(first: u64, number: u32) -> u64 {
    first + u64::from(number.wrapping_sub(lower(first)))
}

fn entry_at(entries: &VecDeque<Entry>, first: u64, number: u64) -> Option<&Entry> {
    entries.get(usize::try_from(number.checked_sub(first)?).ok()?)
}

/// The id is a keyed hash already; the shard took its upper half.
#[expect(clippy::cast_possible_truncation, reason = "the lowest quarter is what is wanted")]
fn hash_of(id: u128) -> u32 {
    id as u32
}

/// The hash as the index wants it, which looks at both ends.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

/// The lower half of a number of an entry or a byte: those that are here are fewer than its values.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
fn lower(number: u64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests;
