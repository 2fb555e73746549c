//! Whom an alert is about.

use sea_orm::entity::prelude::*;

#[derive(Clone, PartialEq, Eq, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "alert_entities")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub alert_seq: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub role: String,
    pub kind: String,
    pub entity_id: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
