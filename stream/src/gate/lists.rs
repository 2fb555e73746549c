//! Changes of lists and rates: records of their own.

use std::convert::Infallible;

use engine::entity::EntityKey;
use engine::lists::Membership;
use engine::position::Position;
use engine::rates::Rates;
use rules::typed::{List, ListId, ListKind, Type};

use super::{Gate, Refused, Worker, find};
use crate::bundle::{self, Bundle, BundleError, ListFile, Problems, Written, read_list};
use crate::in_force::InForce;
use crate::journal::RecordKind;
use crate::record::{ListRecord, RatesRecord};
use crate::state::apply;

/// Why a list or the rates could not be changed.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum NoChange {
    /// There is no such list.
    #[error("there is no list of plain values called `{0}`")]
    UnknownList(String),
    /// A value that the list cannot hold.
    #[error("{0}")]
    Value(String),
    /// The rates lead to another currency.
    #[error("the rate table leads to `{given}`, and the schema counts in `{wanted}`")]
    Currency {
        /// Of the table.
        given: String,
        /// Of the schema.
        wanted: String,
    },
    /// The disk does not keep up, or failed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// What it would make does not compile.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl Gate {
    /// Puts an entity on a list of entities or a table, in the place of what was there.
    ///
    /// # Errors
    /// If the journal takes no more.
    pub fn put_on_list(&self, entity: EntityKey, membership: Membership) -> Result<Position, Refused> {
        self.change_list(entity, membership.list, Some(membership))
    }

    /// Takes an entity off a list of entities or a table.
    ///
    /// # Errors
    /// If the journal takes no more.
    pub fn take_off_list(&self, entity: EntityKey, list: ListId) -> Result<Position, Refused> {
        self.change_list(entity, list, None)
    }

    fn change_list(
        &self,
        entity: EntityKey,
        list: ListId,
        membership: Option<Membership>,
    ) -> Result<Position, Refused> {
        let mut room = self.admit_one()?;
        let lock = |worker: &mut Worker| {
            let Worker { in_force, directory, locks, .. } = worker;
            directory.lock(&[entity], &in_force.rules, locks);
            Ok(())
        };
        let Ok(offset) = self.change_locked::<_, Infallible>(&mut self.own.lock(), lock, |worker| {
            let Worker { in_force, locks, .. } = worker;
            let list_name = in_force.rules.typed.list(list).map_or("", |it| it.name.as_str());
            let message = match membership {
                Some(it) => ListRecord::entered(list_name, entity, &it),
                None => ListRecord::left(list_name, entity),
            };
            let offset = self.append_change(RecordKind::List, in_force.number, &message, &[entity]);
            apply::list(&message, list, offset, locks);
            offset
        });
        room.spend();
        Ok(Position { partition: 0, offset })
    }

    /// Puts a value on a list of plain values, or takes it off: written as in the list's file, or as a number or a time
    /// may be written otherwise.
    ///
    /// # Errors
    /// If there is no such list, or it cannot hold such a value.
    pub fn put_value(&self, list: &str, value: &str, held: bool) -> Result<(), NoChange> {
        let mut room = self.admit_one()?;
        self.current.change(self.now(), |old, number| {
            let value = as_held(old, list, value)?;
            let next = with_value(old, number, list, value, held)?;
            let message = ListRecord::of_value(list, value, held);
            self.append_change(RecordKind::List, number, &message, &[]);
            Ok::<_, NoChange>(next)
        })?;
        room.spend();
        Ok(())
    }

    /// Puts another rate table in force.
    ///
    /// # Errors
    /// If it leads to another currency than the schema's.
    pub fn put_rates(&self, rates: &Rates) -> Result<(), NoChange> {
        let mut room = self.admit_one()?;
        self.current.change(self.now(), |old, number| {
            let wanted = old.rules.typed.schema.currency;
            if rates.base() != wanted {
                let (given, wanted) = (rates.base().code().to_owned(), wanted.code().to_owned());
                return Err(NoChange::Currency { given, wanted });
            }
            let bundle = old.bundle.as_ref().map(|it| std::sync::Arc::new(it.with_rates(rates)));
            if let Some(rates) = bundle.as_ref().and_then(|it| it.rates.clone()) {
                let message = RatesRecord { rates };
                self.append_change(RecordKind::Rates, number, &message, &[find::IN_FORCE]);
            }
            let rates = std::sync::Arc::new(rates.clone());
            Ok(InForce { number, bundle, rates, ..old.clone() })
        })?;
        room.spend();
        Ok(())
    }
}

/// A value as the list has it already, or else as it is written now: a record names it by its text, and the list has it
/// once.
fn as_held<'a>(old: &'a InForce, list: &str, value: &'a str) -> Result<&'a str, NoChange> {
    let (declared, ty, bundle) = of_values(old, list)?;
    let item = |text: &str| bundle::item(ty, None, &old.rules.typed.schema, text);
    let meant = item(value).map_err(NoChange::Value)?;
    if !bundle::is_line(value) {
        return Err(NoChange::Value(format!(
            "{} is no line of a list: that has no space at its ends, and no `#` at its start or behind a space",
            crate::intake::shown(value)
        )));
    }
    let held = bundle.lines(&declared.name).find(|line| item(line).is_ok_and(|it| it == meant));
    Ok(held.unwrap_or(value))
}

/// A list of plain values, the type of these, and the texts that say which it holds.
fn of_values<'a>(old: &'a InForce, list: &str) -> Result<(&'a List, Type, &'a Bundle), NoChange> {
    let declared = old.rules.typed.lists.iter().find(|it| it.name == list);
    match (declared, old.bundle.as_deref()) {
        (Some(declared @ List { of: ListKind::Values(ty), .. }), Some(bundle)) => Ok((declared, *ty, bundle)),
        _ => Err(NoChange::UnknownList(list.to_owned())),
    }
}

/// What is in force with a value in a list of plain values, or without it.
pub(crate) fn with_value(
    old: &InForce,
    number: u32,
    list: &str,
    value: &str,
    held: bool,
) -> Result<InForce, NoChange> {
    let (declared, _, bundle) = of_values(old, list)?;
    let schema = &old.rules.typed.schema;
    let line = ListFile { list: list.to_owned(), name: list.to_owned(), text: format!("{value}\n") };
    let (mut items, mut problems) = (Vec::new(), Problems::default());
    read_list((ListId(0), declared), &line, schema, Written::Before, &mut items, &mut problems);
    if let Some(problem) = problems.finish() {
        return Err(NoChange::Value(problem.to_string()));
    }
    if items.len() != 1 {
        return Err(NoChange::Value(format!("{} is not one value", crate::intake::shown(value))));
    }
    let bundle = std::sync::Arc::new(bundle.with_value(list, value, held));
    Ok(old.followed_by(number, bundle)?)
}
