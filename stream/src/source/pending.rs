//! Labels that are not known yet: they wait until their time has come.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use engine::event::{Amendment, Event};
use rules::time::Micros;

use super::RowAt;
use crate::record::RowPlace;

/// An amendment with what is needed to apply it where no index finds its event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// What becomes known, and when.
    pub amendment: Amendment,
    /// Where its event stands, if it came from a saved state; of a row whoever submitted its event knows.
    pub place: Option<RowPlace>,
    /// The row that it came from; none if it came from a saved state.
    pub at: Option<RowAt>,
}

impl Known {
    /// Whether it is the label that a mapping found in the row of its event.
    pub fn is_of_mapping(&self) -> bool {
        let hash = self.amendment.id.strip_prefix(LABEL);
        hash.is_some_and(|it| it.len() == HASH_DIGITS && it.bytes().all(|it| it.is_ascii_hexdigit()))
    }
}

/// What the id of an amendment begins with that labels an event of a mapping.
const LABEL: &str = "label_";
const HASH_DIGITS: usize = 32;

/// The id of the amendment that labels an event: of one length, whatever the event's, and always the same. An event of
/// another day may have the same id.
pub(super) fn label_id(event: &Event) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(event.id.as_bytes()).update(&event.time.to_le_bytes());
    format!("{LABEL}{}", hash.finalize().to_hex().get(..HASH_DIGITS).unwrap_or_default())
}

/// Leaves one of each amendment, the first: a row that came again says nothing new.
pub(super) fn once(pending: &mut Vec<Known>) {
    let mut before: HashMap<&str, Vec<&Amendment>> = HashMap::with_capacity(pending.len());
    let mut is_first = Vec::with_capacity(pending.len());
    for Known { amendment, .. } in &*pending {
        let same_id = before.entry(&amendment.id).or_default();
        is_first.push(!same_id.contains(&amendment));
        same_id.push(amendment);
    }
    let mut is_first = is_first.into_iter();
    pending.retain(|_| is_first.next().unwrap_or(true));
}

/// The amendments that wait, the earliest first; of equal time in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    heap: BinaryHeap<Reverse<Waiting>>,
    came: u64,
}

#[derive(Clone, Debug)]
struct Waiting {
    time: Micros,
    came: u64,
    known: Known,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        (self.time, self.came) == (other.time, other.came)
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time, self.came).cmp(&(other.time, other.came))
    }
}

impl Pending {
    /// Adds an amendment that becomes known at its time.
    pub fn push(&mut self, known: Known) {
        self.heap.push(Reverse(Waiting { time: known.amendment.time, came: self.came, known }));
        self.came += 1;
    }

    /// Takes the next amendment that is known at `time`, its own instant included.
    pub fn due(&mut self, time: Micros) -> Option<Known> {
        if time < self.heap.peek()?.0.time {
            return None;
        }
        self.heap.pop().map(|it| it.0.known)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Those that wait, in the order in which they will be due.
    pub fn into_vec(mut self) -> Vec<Known> {
        std::iter::from_fn(|| self.due(Micros::MAX)).collect()
    }
}

impl FromIterator<Known> for Pending {
    /// What [`Pending::into_vec`] gave, with the order among equals kept.
    fn from_iter<T: IntoIterator<Item = Known>>(known: T) -> Self {
        let mut pending = Self::default();
        known.into_iter().for_each(|it| pending.push(it));
        pending
    }
}
