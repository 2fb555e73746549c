//! The rule sets that records speak of: whoever writes records out needs their names.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use rules::typed::RuleSet;
use stream::in_force::InForce;
use stream::journal::{Record, RecordKind};
use stream::record::{RuleSetRecord, Stamp};

use super::line;

/// Rule sets by the numbers under which they were in force.
#[derive(Debug, Default)]
pub(super) struct Known {
    by_number: BTreeMap<u32, Arc<RuleSet>>,
}

/// The stamp and the message of a record.
pub(super) fn parts<'a>(record: &Record<'a>) -> anyhow::Result<(Stamp, &'a [u8])> {
    Stamp::split(record.body).with_context(|| format!("record {} is too short", record.offset))
}

impl Known {
    /// Those that came into force in records that were pruned.
    pub(super) fn of_base(in_force: &[Arc<InForce>]) -> Self {
        let known = |it: &Arc<InForce>| (it.number, Arc::new(it.rules.typed.clone()));
        Self { by_number: in_force.iter().map(known).collect() }
    }

    /// Takes a record apart and follows what it puts in force.
    pub(super) fn follow<'a>(&mut self, record: &Record<'a>) -> anyhow::Result<(Stamp, &'a [u8])> {
        let offset = record.offset;
        let (stamp, message) = parts(record)?;
        match record.kind {
            RecordKind::RuleSet => {
                let message: RuleSetRecord = line::read(message, offset)?;
                let checked = message.bundle.check();
                let checked = checked
                    .with_context(|| format!("the rule set in record {offset} is not one any more"))?;
                self.by_number.insert(stamp.rule_set, Arc::new(checked.rules));
            }
            // A list of plain values, rates, or more state that is kept up: another number, and the same rules.
            RecordKind::List | RecordKind::Rates | RecordKind::Warm
                if !self.by_number.contains_key(&stamp.rule_set) =>
            {
                let newest = self.by_number.last_key_value().map(|(_, rules)| Arc::clone(rules));
                self.by_number.extend(newest.map(|rules| (stamp.rule_set, rules)));
            }
            _ => {}
        }
        Ok((stamp, message))
    }

    /// The rule set of a stamp.
    pub(super) fn of(&self, stamp: Stamp, offset: u64) -> anyhow::Result<&RuleSet> {
        self.by_number.get(&stamp.rule_set).map(|it| &**it).with_context(|| {
            format!(
                "record {offset} speaks of rule set {}, which no record before it put in force",
                stamp.rule_set
            )
        })
    }
}
