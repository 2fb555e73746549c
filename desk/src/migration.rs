//! The tables, from version to version. A migration that was released is never changed.

use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, TransactionTrait as _,
};
use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, big_pk_auto, integer, small_integer, string, string_null, text, text_null,
};

use crate::writing;

/// The number of the lock that whoever changes tables holds: any, as long as it stays.
const LOCK: &str = "SELECT pg_advisory_xact_lock(8390876211093266551)";

/// Brings the tables to this version, all or nothing; of several who begin at once, one does it.
pub(crate) async fn bring_up(db: &DatabaseConnection) -> Result<(), DbErr> {
    // In a file this is the writer's lock already.
    let transaction = db.begin_with_options(writing()).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction.execute_unprepared(LOCK).await?;
    }
    Migrator::up(&transaction, None).await?;
    ensure_projection(&transaction).await?;
    transaction.commit().await
}

struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(First), Box::new(Second)]
    }
}

/// What people make: keys, rule sets, work on alerts.
struct First;

impl MigrationName for First {
    fn name(&self) -> &'static str {
        "m0001_keys_rule_sets_work"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for First {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let keys = Table::create()
            .table("api_keys")
            .col(big_pk_auto("id"))
            .col(integer("tenant").default(0))
            .col(string("hash").unique_key())
            .col(string("shown"))
            .col(string("name"))
            .col(string("role"))
            .col(big_integer("created_at"))
            .col(big_integer_null("revoked_at"))
            .take();
        manager.create_table(keys).await?;
        let rule_sets = Table::create()
            .table("rule_sets")
            .col(big_pk_auto("id"))
            .col(string("hash"))
            .col(text("files"))
            .col(string("uploaded_by"))
            .col(big_integer("uploaded_at"))
            .col(big_integer_null("activated_at"))
            .take();
        manager.create_table(rule_sets).await?;
        let states = Table::create()
            .table("alert_states")
            .col(string("alert_id").primary_key())
            .col(string("status"))
            .take();
        manager.create_table(states).await?;
        let acts = Table::create()
            .table("alert_acts")
            .col(big_pk_auto("id"))
            .col(string("alert_id"))
            .col(string_null("status"))
            .col(text_null("note"))
            .col(string("by"))
            .col(big_integer("at"))
            .take();
        manager.create_table(acts).await?;
        manager.create_index(index("alert_acts", &["alert_id", "id"])).await
    }
}

/// Which journal the database tells of.
struct Second;

impl MigrationName for Second {
    fn name(&self) -> &'static str {
        "m0002_journal"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Second {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let journal =
            Table::create().table("journal").col(small_integer("row").primary_key()).col(string("id")).take();
        manager.create_table(journal).await
    }
}

fn index(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.if_not_exists().name(format!("{table}_{}", columns.join("_"))).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}

/// The projection's tables, in the order in which they may be dropped.
const PROJECTION: [&str; 3] = ["alert_entities", "alerts", "projections"];

/// Creates the projection's tables, unless all of them are there. Where one is missing the others are dropped too, so
/// that what is told begins again with the first record.
async fn ensure_projection(db: &DatabaseTransaction) -> Result<(), DbErr> {
    let manager = SchemaManager::new(db);
    for table in PROJECTION {
        if !manager.has_table(table).await? {
            return renew_projection(db).await;
        }
    }
    Ok(())
}

/// Drops the projection's tables and creates them empty.
pub(crate) async fn renew_projection(db: &DatabaseTransaction) -> Result<(), DbErr> {
    for table in PROJECTION {
        db.execute(Table::drop().table(table).if_exists()).await?;
    }
    let alerts = Table::create()
        .table("alerts")
        .col(big_integer("seq").primary_key())
        .col(string("id").unique_key())
        .col(string("decision_id"))
        .col(string("event_id"))
        .col(string("event_type"))
        .col(big_integer("at"))
        .col(small_integer("severity"))
        .col(string_null("rule"))
        .col(text_null("reason"))
        .col(string("outcome"))
        .col(big_integer("score_e6"))
        .col(string("rule_set"))
        .take();
    db.execute(&alerts).await?;
    let entities = Table::create()
        .table("alert_entities")
        .col(big_integer("alert_seq"))
        .col(string("role"))
        .col(string("kind"))
        .col(string("entity_id"))
        .primary_key(Index::create().col("alert_seq").col("role"))
        .take();
    db.execute(&entities).await?;
    db.execute(&index("alert_entities", &["kind", "entity_id", "alert_seq"])).await?;
    let projections = Table::create()
        .table("projections")
        .col(string("name").primary_key())
        .col(big_integer("next"))
        .take();
    db.execute(&projections).await?;
    Ok(())
}
