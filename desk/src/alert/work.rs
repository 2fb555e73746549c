//! What people did with an alert. It hangs on the alert's id, so that it outlives the projection's rows.

use rules::time::Micros;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    TransactionTrait as _,
};

use crate::table::{alert_act as acts, alert_state as states};
use crate::{Desk, Error, kept, writing};

/// Where the work on an alert stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Status {
    /// Nobody has begun.
    #[default]
    Open,
    /// Somebody looks at it.
    InReview,
    /// It was right.
    Confirmed,
    /// It was wrong, or does not matter.
    Dismissed,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Open, Self::InReview, Self::Confirmed, Self::Dismissed];

    /// The name used everywhere outside.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InReview => "in_review",
            Self::Confirmed => "confirmed",
            Self::Dismissed => "dismissed",
        }
    }

    /// The status of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// One thing that somebody did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Act {
    /// What the status was set to; none: it stayed.
    pub status: Option<Status>,
    /// What was written about it.
    pub note: Option<String>,
    /// Who.
    pub by: String,
    /// When.
    pub at: Micros,
}

impl Desk {
    /// Writes down what somebody did with an alert.
    ///
    /// # Errors
    /// If the database fails; then nothing has been written.
    pub async fn act_on_alert(&self, alert_id: &str, act: &Act) -> Result<(), Error> {
        let transaction = self.db.begin_with_options(writing()).await?;
        let row = acts::ActiveModel {
            alert_id: Set(kept(alert_id)),
            status: Set(act.status.map(|it| it.name().to_owned())),
            note: Set(act.note.as_deref().map(kept)),
            by: Set(act.by.clone()),
            at: Set(act.at),
            ..acts::ActiveModel::default()
        };
        acts::Entity::insert(row).exec_without_returning(&transaction).await?;
        if let Some(status) = act.status {
            let row =
                states::ActiveModel { alert_id: Set(kept(alert_id)), status: Set(status.name().to_owned()) };
            let replaced =
                OnConflict::column(states::Column::AlertId).update_column(states::Column::Status).to_owned();
            states::Entity::insert(row).on_conflict(replaced).exec_without_returning(&transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// What was done with an alert, in order.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn acts_on_alert(&self, alert_id: &str) -> Result<Vec<Act>, Error> {
        let found = acts::Entity::find().filter(acts::Column::AlertId.eq(kept(alert_id)));
        let rows = found.order_by_asc(acts::Column::Id).all(&self.db).await?;
        let act = |it: acts::Model| Act {
            status: it.status.as_deref().and_then(Status::from_name),
            note: it.note,
            by: it.by,
            at: it.at,
        };
        Ok(rows.into_iter().map(act).collect())
    }
}
