//! Alerts, told from the journal, and what people did with them.

mod project;
mod work;

pub use project::{Answered, Told};
pub use work::{Act, Status};

pub(crate) use project::forget_from;

use engine::decision::Decision;
use rules::past::Outcome;
use rules::time::Micros;
use rules::typed::Severity;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, Query};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _};

use crate::table::{alert as rows, alert_entity as entities, alert_state as states};
use crate::{Desk, Error, kept};

/// Bits of [`Alert::seq`] that count the alerts of one record: more than a rule set has effects.
const ORDINAL_BITS: u32 = 16;

/// An alert: a decision that a person must see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alert {
    /// Its place among all alerts: the record's offset, then the alert's number within it. The same whenever the
    /// projection is written.
    pub seq: i64,
    /// `alt_` and 32 hexadecimal digits, made of the decision's id and the alert's number within it.
    pub id: String,
    /// Of the decision that raised it.
    pub decision_id: String,
    /// Of the event that was decided.
    pub event_id: String,
    /// Of the event.
    pub event_type: String,
    /// Event time.
    pub at: Micros,
    /// How bad.
    pub severity: Severity,
    /// The rule that raised it; none = the policy.
    pub rule: Option<String>,
    /// The rule's reason.
    pub reason: Option<String>,
    /// What was answered: what was decided, or the declared fallback where the deadline had passed before that was durable.
    pub outcome: Outcome,
    /// In millionths.
    pub score_e6: i64,
    /// The hash of the rule set, in hexadecimal.
    pub rule_set: String,
    /// Whom it is about.
    pub entities: Vec<Party>,
    /// Where the work on it stands.
    pub status: Status,
}

/// Who stands in a role of an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Party {
    /// The field's name.
    pub role: String,
    /// The entity's kind.
    pub kind: String,
    /// The entity's id.
    pub id: String,
}

/// Which alerts are asked for; what is none or empty asks for nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// At least so bad.
    pub severity_min: Option<Severity>,
    /// Raised by this rule.
    pub rule: Option<String>,
    /// Where the work stands.
    pub status: Option<Status>,
    /// About this entity, in whatever role: kind and id.
    pub entity: Option<(String, String)>,
    /// Event time at or after.
    pub from: Option<Micros>,
    /// Event time before.
    pub until: Option<Micros>,
}

/// Which way a page goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    /// The newest before this one, newest first; none: from the newest.
    Before(Option<i64>),
    /// Those after this one, oldest first.
    After(i64),
}

/// The alerts that a decision raised, in the order in which it names them. `offset` is its record's, `event_type`
/// and `parties` are the event's.
pub fn alerts_of(
    decision: &Decision<'_>,
    offset: u64,
    event_type: &str,
    at: Micros,
    parties: &[Party],
) -> Vec<Alert> {
    let first = first_seq(offset);
    let numbered = (0_u16..).zip(&decision.alerts);
    numbered
        .map(|(ordinal, alert)| {
            let hit = decision.hits.iter().find(|it| Some(it.rule) == alert.rule);
            let seq = first.saturating_add(i64::from(ordinal));
            Alert {
                seq,
                id: alert_id(&decision.id, seq),
                decision_id: decision.id.clone(),
                event_id: decision.event_id.to_owned(),
                event_type: event_type.to_owned(),
                at,
                severity: alert.severity,
                rule: alert.rule.map(str::to_owned),
                reason: hit.map(|it| it.reason.to_owned()),
                outcome: decision.outcome,
                score_e6: decision.score_e6,
                rule_set: decision.rule_set.to_owned(),
                entities: parties.to_vec(),
                status: Status::Open,
            }
        })
        .collect()
}

/// The least [`Alert::seq`] of a record.
fn first_seq(offset: u64) -> i64 {
    i64::try_from(offset << ORDINAL_BITS).unwrap_or(i64::MAX)
}

/// The offset of the record that raised the alert of an [`Alert::seq`]; none where that is below all alerts.
pub fn record_of(seq: i64) -> Option<u64> {
    Some(u64::try_from(seq).ok()? >> ORDINAL_BITS)
}

/// By the record too: an event's id may be used again when it is old, and a decision's with it.
fn alert_id(decision_id: &str, seq: i64) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(decision_id.as_bytes()).update(&seq.to_le_bytes());
    let hex = hasher.finalize().to_hex();
    format!("alt_{}", hex.get(..32).unwrap_or_default())
}

impl Desk {
    /// A page of alerts.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn alerts(&self, filter: &Filter, page: Page, limit: u64) -> Result<Vec<Alert>, Error> {
        let found = rows::Entity::find().filter(condition(filter)).limit(limit);
        let found = match page {
            Page::Before(None) => found.order_by_desc(rows::Column::Seq),
            Page::Before(Some(seq)) => {
                found.filter(rows::Column::Seq.lt(seq)).order_by_desc(rows::Column::Seq)
            }
            Page::After(seq) => found.filter(rows::Column::Seq.gt(seq)).order_by_asc(rows::Column::Seq),
        };
        self.whole(found.all(&self.db).await?).await
    }

    /// One alert.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn alert(&self, id: &str) -> Result<Option<Alert>, Error> {
        let found = rows::Entity::find().filter(rows::Column::Id.eq(kept(id))).one(&self.db).await?;
        Ok(self.whole(found.into_iter().collect()).await?.pop())
    }

    /// Rows with what stands in other tables, in their order.
    async fn whole(&self, found: Vec<rows::Model>) -> Result<Vec<Alert>, Error> {
        let of = found.iter().map(|it| it.seq);
        let parties = entities::Entity::find().filter(entities::Column::AlertSeq.is_in(of));
        let mut parties = parties.all(&self.db).await?;
        // Not by the database: PostgreSQL orders texts as its locale does.
        parties.sort_unstable_by(|one, other| one.role.cmp(&other.role));
        let of = found.iter().map(|it| it.id.as_str());
        let states = states::Entity::find().filter(states::Column::AlertId.is_in(of)).all(&self.db).await?;
        Ok(found.into_iter().filter_map(|row| alert(row, &parties, &states)).collect())
    }
}

/// A row that names what this version does not know gives no alert.
fn alert(row: rows::Model, parties: &[entities::Model], states: &[states::Model]) -> Option<Alert> {
    let state = states.iter().find(|it| it.alert_id == row.id);
    let party = |it: &entities::Model| Party {
        role: it.role.clone(),
        kind: it.kind.clone(),
        id: it.entity_id.clone(),
    };
    Some(Alert {
        entities: parties.iter().filter(|it| it.alert_seq == row.seq).map(party).collect(),
        status: state.and_then(|it| Status::from_name(&it.status)).unwrap_or(Status::Open),
        severity: Severity::from_number(u8::try_from(row.severity).ok()?)?,
        outcome: Outcome::from_name(&row.outcome)?,
        seq: row.seq,
        id: row.id,
        decision_id: row.decision_id,
        event_id: row.event_id,
        event_type: row.event_type,
        at: row.at,
        rule: row.rule,
        reason: row.reason,
        score_e6: row.score_e6,
        rule_set: row.rule_set,
    })
}

fn condition(filter: &Filter) -> Condition {
    let Filter { severity_min, rule, status, entity, from, until } = filter;
    let mut all = Condition::all();
    if let Some(severity) = severity_min {
        all = all.add(rows::Column::Severity.gte(*severity as i16));
    }
    if let Some(rule) = rule {
        all = all.add(rows::Column::Rule.eq(kept(rule)));
    }
    if let Some(from) = from {
        all = all.add(rows::Column::At.gte(*from));
    }
    if let Some(until) = until {
        all = all.add(rows::Column::At.lt(*until));
    }
    if let Some((kind, id)) = entity {
        let mut about = Query::select();
        about
            .column(entities::Column::AlertSeq)
            .from(entities::Entity)
            .and_where(entities::Column::Kind.eq(kept(kind)))
            .and_where(entities::Column::EntityId.eq(kept(id)));
        all = all.add(rows::Column::Seq.in_subquery(about));
    }
    match status {
        // Who has not been worked on has no row.
        Some(Status::Open) => all.add(rows::Column::Id.not_in_subquery(begun(None))),
        Some(other) => all.add(rows::Column::Id.in_subquery(begun(Some(*other)))),
        None => all,
    }
}

/// The ids of the alerts whose state is this one; none: any but open.
fn begun(status: Option<Status>) -> sea_orm::sea_query::SelectStatement {
    let mut begun = Query::select();
    begun.column(states::Column::AlertId).from(states::Entity).and_where(match status {
        Some(status) => Expr::col(states::Column::Status).eq(status.name()),
        None => Expr::col(states::Column::Status).ne(Status::Open.name()),
    });
    begun
}

#[cfg(test)]
mod tests;
