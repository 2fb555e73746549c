//! An alert, as the journal says.

use sea_orm::entity::prelude::*;

#[derive(Clone, PartialEq, Eq, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "alerts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub id: String,
    pub decision_id: String,
    pub event_id: String,
    pub event_type: String,
    pub at: i64,
    pub severity: i16,
    pub rule: Option<String>,
    pub reason: Option<String>,
    pub outcome: String,
    pub score_e6: i64,
    pub rule_set: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
