//! What the state of the canonical workload takes in memory, beside what `weir rules cost` states of it.

use std::collections::HashMap;

use comfy_table::{CellAlignment, Table, presets};
use floor::Population;
use rules::schema::KindId;
use rules::time::DAY;
use stream::gate::Gate;

use crate::figures::grouped;

/// Of the entity that a user is, in bytes.
const USER_BYTES_MAX: u64 = 2 * 1024;
/// Of a user and all else that belongs to the workload, in bytes.
const ALL_BYTES_MAX: u64 = 5 * 1024;
/// Measured bytes, in tenths of the stated.
const STATED_TENTHS_MAX: u64 = 13;

/// The memory of all kinds.
#[derive(Debug)]
pub(super) struct Memory {
    users: u64,
    kinds: Vec<KindMemory>,
    /// Of the table of ids and repeats, which no user's bytes include.
    ids: u64,
}

/// The memory of one kind.
#[derive(Debug, Default)]
struct KindMemory {
    name: String,
    entities: u64,
    /// Events remembered by all of them.
    rows: u64,
    /// State and its place in the directory, of all of them.
    bytes: u64,
    /// What is stated for as many entities at this rate of events.
    stated: u64,
}

impl Memory {
    /// Looks at everything that a gate has in memory.
    pub(super) fn of(gate: &Gate, population: Population) -> Self {
        let rules = gate.rules();
        let mut by_kind: HashMap<KindId, (u64, u64, u64)> = HashMap::new();
        gate.for_each_entity(|key, state| {
            let (entities, rows, bytes) = by_kind.entry(key.kind).or_default();
            *entities += 1;
            *rows += state.rows() as u64;
            *bytes += state.bytes() as u64;
        });
        let users = u64::from(population.users);
        // One payment a day of each user, and twenty of one in a hundred.
        let a_day = users + users / 100 * 20;
        let kinds = KindId::all().zip(rules.typed.schema.kinds.iter().zip(&rules.plan.kinds));
        let kind = |(id, (kind, plan)): (KindId, (&rules::schema::Kind, &engine::plan::KindPlan))| {
            let (entities, rows, heap) = by_kind.get(&id).copied().unwrap_or_default();
            let remembered = a_day.saturating_mul(plan.keep_rows.unsigned_abs()) / DAY.unsigned_abs();
            let stated = plan.bytes(remembered.div_ceil(entities.max(1)), 0).saturating_mul(entities);
            let bytes = heap + entities * plan.cost().entity_bytes as u64;
            KindMemory { name: kind.name.clone(), entities, rows, bytes, stated }
        };
        Self { users, kinds: kinds.map(kind).collect(), ids: gate.bytes_of_ids() as u64 }
    }

    /// As a table.
    pub(super) fn say(&self) -> String {
        let mut table = Table::new();
        let header = ["kind", "entities", "events each", "bytes each", "stated", "bytes a user"];
        table.load_style(presets::NOTHING).set_header(header);
        table.column_iter_mut().skip(1).for_each(|it| it.set_cell_alignment(CellAlignment::Right));
        for it in self.kinds.iter().chain([&self.all()]) {
            let each = |number: u64| grouped(number / it.entities.max(1));
            table.add_row([
                it.name.clone(),
                grouped(it.entities),
                each(it.rows),
                each(it.bytes),
                each(it.stated),
                grouped(it.bytes / self.users.max(1)),
            ]);
        }
        let ids = grouped(self.ids / self.users.max(1));
        format!("{}\nthe table of ids and repeats: {ids} bytes a user\n", table.trim_fmt())
    }

    fn all(&self) -> KindMemory {
        let add = |sum: KindMemory, it: &KindMemory| KindMemory {
            entities: sum.entities + it.entities,
            rows: sum.rows + it.rows,
            bytes: sum.bytes + it.bytes,
            stated: sum.stated + it.stated,
            ..sum
        };
        self.kinds.iter().fold(KindMemory { name: "all".to_owned(), ..KindMemory::default() }, add)
    }

    /// Every bound that does not hold, in words.
    pub(super) fn missed(&self) -> Vec<String> {
        let all = self.all();
        let mut missed = Vec::new();
        let user =
            self.kinds.iter().find(|it| it.name == "user").map_or(0, |it| it.bytes / it.entities.max(1));
        if USER_BYTES_MAX < user {
            missed.push(format!("{user} bytes of a user entity, at most {USER_BYTES_MAX}"));
        }
        let a_user = all.bytes / self.users.max(1);
        if ALL_BYTES_MAX < a_user {
            missed.push(format!("{a_user} bytes a user over all kinds, at most {ALL_BYTES_MAX}"));
        }
        for it in self.kinds.iter().filter(|it| it.stated * STATED_TENTHS_MAX < it.bytes * 10) {
            missed.push(format!("{} takes {} bytes, stated are {}", it.name, it.bytes, it.stated));
        }
        missed
    }
}
