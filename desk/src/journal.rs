//! Which journal a database tells of: one, for ever, or its alerts would be of two.

use engine::entity::HashKey;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, EntityTrait as _, TransactionTrait as _};

use crate::table::journal::{ActiveModel, Column, Entity};
use crate::{Desk, Error, alert, writing};

/// The only row.
const ROW: i16 = 1;
/// What the key is hashed for. It never changes.
const PURPOSE: &str = "weir desk 2026-11: the journal that a database belongs to";

impl Desk {
    /// Ties the database to the journal of this key, unless it is tied already, before anything is told. `next` is the
    /// offset of the journal's next record: where a crash of the machine took records that alerts had been told of,
    /// these alerts are forgotten. Gives how many were.
    ///
    /// # Errors
    /// If it is tied to another, or the database fails; then nothing has been changed.
    pub async fn belong_to(&self, key: HashKey, next: u64) -> Result<u64, Error> {
        let id = identity(key);
        let transaction = self.db.begin_with_options(writing()).await?;
        let row = ActiveModel { row: Set(ROW), id: Set(id.clone()) };
        let first = OnConflict::column(Column::Row).do_nothing().to_owned();
        Entity::insert(row).on_conflict(first).exec_without_returning(&transaction).await?;
        let tied = Entity::find_by_id(ROW).one(&transaction).await?;
        if tied.is_none_or(|it| it.id != id) {
            return Err(Error::AnotherJournal);
        }
        let forgotten = alert::forget_from(&transaction, next).await?;
        transaction.commit().await?;
        Ok(forgotten)
    }
}

/// What names a journal and does not tell its key.
fn identity(key: HashKey) -> String {
    engine::hex::hex(&blake3::derive_key(PURPOSE, &key.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::over_each;

    #[tokio::test]
    async fn a_database_belongs_to_the_journal_that_came_first() {
        over_each(async |database| {
            let [desk, other] = [Desk::open(database).await.unwrap(), Desk::open(database).await.unwrap()];
            let [first, second] = [1, 2].map(|it| HashKey::new([it; 16]));
            for _ in 0..2 {
                assert_eq!(desk.belong_to(first, 0).await.unwrap(), 0);
                let refused = other.belong_to(second, 0).await.unwrap_err();
                assert!(matches!(refused, Error::AnotherJournal), "{refused}");
            }
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn of_two_who_come_at_once_one_is_refused() {
        over_each(async |database| {
            let [one, other] = [Desk::open(database).await.unwrap(), Desk::open(database).await.unwrap()];
            let [first, second] = [1, 2].map(|it| HashKey::new([it; 16]));
            let (one, other) = tokio::join!(one.belong_to(first, 0), other.belong_to(second, 0));
            assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        })
        .await
        .unwrap();
    }
}
