//! Lists: membership of an entity is part of its own state; lists of plain values are immutable.

use rules::time::Micros;
use rules::typed::ListId;

/// Which lists an entity is in, sorted by list; nearly always none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Memberships(Vec<Membership>);

/// One entity in one list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Membership {
    /// Which list.
    pub list: ListId,
    /// Until when, that time excluded; none = until removed.
    pub until: Option<Micros>,
    /// Of a table: the value, as it stands in a slot.
    pub value: Option<i64>,
}

impl Memberships {
    /// Whether the entity is in the list at this time.
    pub fn contains(&self, list: ListId, at: Micros) -> bool {
        self.find(list).is_some_and(|it| it.holds(at))
    }

    /// The value beside the entity in a table at this time.
    pub fn value(&self, list: ListId, at: Micros) -> Option<i64> {
        self.find(list).filter(|it| it.holds(at))?.value
    }

    /// Puts the entity on a list, in the place of what was there.
    pub fn add(&mut self, membership: Membership) {
        match self.0.binary_search_by_key(&membership.list, |it| it.list) {
            Ok(at) => {
                if let Some(known) = self.0.get_mut(at) {
                    *known = membership;
                }
            }
            Err(at) => self.0.insert(at, membership),
        }
    }

    /// Takes the entity off a list.
    pub fn remove(&mut self, list: ListId) {
        self.0.retain(|it| it.list != list);
    }

    /// Whether some membership holds at this time: then the entity never leaves memory.
    pub fn any_holds(&self, at: Micros) -> bool {
        self.0.iter().any(|it| it.holds(at))
    }

    /// All memberships, expired ones too.
    pub fn iter(&self) -> impl Iterator<Item = &Membership> {
        self.0.iter()
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Membership>()
    }

    fn find(&self, list: ListId) -> Option<&Membership> {
        self.0.iter().find(|it| it.list == list)
    }
}

impl Membership {
    /// Whether its time is not over at an engine clock.
    pub fn holds(&self, at: Micros) -> bool {
        self.until.is_none_or(|until| at < until)
    }
}

/// The contents of lists of plain values: slots, sorted, by list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ValueLists(Vec<Vec<i64>>);

impl ValueLists {
    /// Sets what a list holds, as slots.
    pub fn set(&mut self, list: ListId, mut slots: Vec<i64>) {
        slots.sort_unstable();
        slots.dedup();
        if self.0.len() <= list.index() {
            self.0.resize(list.index() + 1, Vec::new());
        }
        if let Some(known) = self.0.get_mut(list.index()) {
            *known = slots;
        }
    }

    /// What a list holds, as slots that rise.
    pub fn slots(&self, list: ListId) -> &[i64] {
        self.0.get(list.index()).map_or(&[], Vec::as_slice)
    }

    /// How many values a list holds.
    pub fn count(&self, list: ListId) -> usize {
        self.slots(list).len()
    }

    /// Whether a list holds a value.
    pub fn contains(&self, list: ListId, slot: i64) -> bool {
        self.slots(list).binary_search(&slot).is_ok()
    }
}
