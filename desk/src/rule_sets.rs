//! Versions of rule sets: what was sent, by whom, and since when it is in force. The journal says what decided; here
//! stands who wanted it so.

use rules::time::Micros;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use crate::table::rule_set::{ActiveModel, Column, Entity, Model};
use crate::{Desk, Error};

/// A rule set that was sent and checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    /// Counted up.
    pub id: i64,
    /// Its hash, in hexadecimal.
    pub hash: String,
    /// Its files as they were sent: a JSON object of texts by name.
    pub files: String,
    /// The name of the key that sent it.
    pub uploaded_by: String,
    /// When.
    pub uploaded_at: Micros,
    /// When it was last put in force; none: it was refused, or is waiting.
    pub activated_at: Option<Micros>,
}

impl From<Model> for Version {
    fn from(row: Model) -> Self {
        let Model { id, hash, files, uploaded_by, uploaded_at, activated_at } = row;
        Self { id, hash, files, uploaded_by, uploaded_at, activated_at }
    }
}

impl Desk {
    /// Keeps a rule set that was sent, and gives its number.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn keep_rule_set(&self, hash: &str, files: &str, by: &str, now: Micros) -> Result<i64, Error> {
        let row = ActiveModel {
            hash: ActiveValue::Set(hash.to_owned()),
            files: ActiveValue::Set(files.to_owned()),
            uploaded_by: ActiveValue::Set(by.to_owned()),
            uploaded_at: ActiveValue::Set(now),
            ..ActiveModel::default()
        };
        Ok(Entity::insert(row).exec(&self.db).await?.last_insert_id)
    }

    /// Notes that a version was put in force.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn note_activation(&self, id: i64, now: Micros) -> Result<(), Error> {
        let update = Entity::update_many().col_expr(Column::ActivatedAt, Expr::value(now));
        update.filter(Column::Id.eq(id)).exec(&self.db).await?;
        Ok(())
    }

    /// A version.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn rule_set_version(&self, id: i64) -> Result<Option<Version>, Error> {
        Ok(Entity::find_by_id(id).one(&self.db).await?.map(Version::from))
    }

    /// The newest version of a hash.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn rule_set(&self, hash: &str) -> Result<Option<Version>, Error> {
        let found = Entity::find().filter(Column::Hash.eq(hash)).order_by_desc(Column::Id);
        Ok(found.one(&self.db).await?.map(Version::from))
    }

    /// The version that was last put in force.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn rule_set_activated(&self) -> Result<Option<Version>, Error> {
        let found = Entity::find().filter(Column::ActivatedAt.is_not_null());
        let newest = found.order_by_desc(Column::ActivatedAt).order_by_desc(Column::Id);
        Ok(newest.one(&self.db).await?.map(Version::from))
    }

    /// The newest versions, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn rule_sets(&self, limit: u64) -> Result<Vec<Version>, Error> {
        let rows = Entity::find().order_by_desc(Column::Id).limit(limit).all(&self.db).await?;
        Ok(rows.into_iter().map(Version::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::over_each;

    #[tokio::test]
    async fn versions_are_found_by_hash_and_say_since_when_they_hold() {
        over_each(async |database| {
            let desk = Desk::open(database).await.unwrap();
            let first = desk.keep_rule_set("aa", "{}", "ann", 1).await.unwrap();
            let second = desk.keep_rule_set("bb", "{}", "ben", 2).await.unwrap();
            desk.note_activation(first, 7).await.unwrap();
            let known: Vec<(i64, Option<Micros>)> =
                desk.rule_sets(5).await.unwrap().into_iter().map(|it| (it.id, it.activated_at)).collect();
            assert_eq!(known, [(second, None), (first, Some(7))]);
            assert_eq!(desk.rule_set("bb").await.unwrap().unwrap().uploaded_by, "ben");
            assert_eq!(desk.rule_set("cc").await.unwrap(), None);
            assert_eq!(desk.rule_set_version(first).await.unwrap().unwrap().hash, "aa");
            assert_eq!(desk.rule_set_version(second + 1).await.unwrap(), None);
        })
        .await
        .unwrap();
    }
}
