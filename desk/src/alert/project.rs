//! The projection: rows and how far they tell, written together, so that no record is told twice or left out.

use std::ops::Range;

use rules::past::Outcome;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _,
    TransactionTrait as _,
};

use super::{Alert, first_seq, record_of};
use crate::table::{alert, alert_entity, projection};
use crate::{Desk, Error, kept, migration, writing};

/// The projection's name among all.
const NAME: &str = "alerts";
/// Rows of one statement: SQLite takes 32,766 values a statement, PostgreSQL 65,535, and a row has at most twelve.
const ROWS_MAX: usize = 1_000;

/// Up to where the alerts are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// Offset of the first record that has not been looked at.
    pub next: u64,
    /// The greatest [`Alert::seq`] that there is.
    pub seq: Option<i64>,
}

/// What the caller of a decision was answered instead: its alerts say that too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    /// The decision's id.
    pub decision_id: String,
    /// Offsets of records of which one is the decision's: an id may be used again when it is old.
    pub within: Range<u64>,
    /// What was answered.
    pub outcome: Outcome,
}

impl Desk {
    /// How far the journal has been told.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn alerts_told(&self) -> Result<Told, Error> {
        let row = projection::Entity::find_by_id(NAME).one(&self.db).await?;
        let newest = self.alerts(&super::Filter::default(), super::Page::Before(None), 1).await?;
        Ok(Told {
            next: row.and_then(|it| u64::try_from(it.next).ok()).unwrap_or(0),
            seq: newest.first().map(|it| it.seq),
        })
    }

    /// Writes what the records before `next` raised, what callers were answered instead of what had been decided, in the
    /// records' order, and that they have been looked at.
    ///
    /// # Errors
    /// If the database fails; then nothing has been written.
    pub async fn tell_alerts(&self, alerts: &[Alert], answered: &[Answered], next: u64) -> Result<(), Error> {
        let transaction = self.db.begin_with_options(writing()).await?;
        for some in alerts.chunks(ROWS_MAX) {
            insert(&transaction, some).await?;
        }
        for some in answered.chunks(ROWS_MAX) {
            correct(&transaction, some).await?;
        }
        let position = projection::ActiveModel {
            name: Set(NAME.to_owned()),
            next: Set(i64::try_from(next).unwrap_or(i64::MAX)),
        };
        let replaced =
            OnConflict::column(projection::Column::Name).update_column(projection::Column::Next).to_owned();
        projection::Entity::insert(position)
            .on_conflict(replaced)
            .exec_without_returning(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Drops all alerts, so that they are told again from the first record. What people did with them stays.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn forget_alerts(&self) -> Result<(), Error> {
        let transaction = self.db.begin_with_options(writing()).await?;
        migration::renew_projection(&transaction).await?;
        transaction.commit().await?;
        Ok(())
    }
}

async fn insert(db: &impl ConnectionTrait, alerts: &[Alert]) -> Result<(), Error> {
    if alerts.is_empty() {
        return Ok(());
    }
    let rows = alerts.iter().map(|it| alert::ActiveModel {
        seq: Set(it.seq),
        id: Set(it.id.clone()),
        decision_id: Set(it.decision_id.clone()),
        event_id: Set(kept(&it.event_id)),
        event_type: Set(it.event_type.clone()),
        at: Set(it.at),
        severity: Set(it.severity as i16),
        rule: Set(it.rule.clone()),
        reason: Set(it.reason.as_deref().map(kept)),
        outcome: Set(it.outcome.name().to_owned()),
        score_e6: Set(it.score_e6),
        rule_set: Set(it.rule_set.clone()),
    });
    alert::Entity::insert_many(rows).exec_without_returning(db).await?;
    let parties = alerts.iter().flat_map(|alert| {
        alert.entities.iter().map(|it| alert_entity::ActiveModel {
            alert_seq: Set(alert.seq),
            role: Set(it.role.clone()),
            kind: Set(it.kind.clone()),
            entity_id: Set(kept(&it.id)),
        })
    });
    let parties: Vec<alert_entity::ActiveModel> = parties.collect();
    for some in parties.chunks(ROWS_MAX) {
        alert_entity::Entity::insert_many(some.to_vec()).exec_without_returning(db).await?;
    }
    Ok(())
}

/// Lets alerts say what was answered. Of all who were, few had a decision that raised any: those are looked for together.
async fn correct(db: &impl ConnectionTrait, answered: &[Answered]) -> Result<(), Error> {
    let first = answered.iter().map(|it| first_seq(it.within.start)).min().unwrap_or(i64::MAX);
    let of = answered.iter().map(|it| it.decision_id.as_str());
    let raised = alert::Entity::find()
        .filter(alert::Column::Seq.gte(first))
        .filter(alert::Column::DecisionId.is_in(of))
        .all(db)
        .await?;
    for row in raised {
        let is_of = |it: &&Answered| {
            it.decision_id == row.decision_id && record_of(row.seq).is_some_and(|at| it.within.contains(&at))
        };
        let Some(Answered { outcome, .. }) = answered.iter().rev().find(is_of) else { continue };
        alert::Entity::update_many()
            .col_expr(alert::Column::Outcome, Expr::value(outcome.name()))
            .filter(alert::Column::Seq.eq(row.seq))
            .exec(db)
            .await?;
    }
    Ok(())
}

/// Forgets the alerts of records from `next` on, and that they have been looked at. Gives how many alerts these were.
pub(crate) async fn forget_from(db: &impl ConnectionTrait, next: u64) -> Result<u64, Error> {
    let first = first_seq(next);
    alert_entity::Entity::delete_many().filter(alert_entity::Column::AlertSeq.gte(first)).exec(db).await?;
    let gone = alert::Entity::delete_many().filter(alert::Column::Seq.gte(first)).exec(db).await?;
    let next = i64::try_from(next).unwrap_or(i64::MAX);
    projection::Entity::update_many()
        .col_expr(projection::Column::Next, Expr::value(next))
        .filter(projection::Column::Name.eq(NAME))
        .filter(projection::Column::Next.gt(next))
        .exec(db)
        .await?;
    Ok(gone.rows_affected)
}
