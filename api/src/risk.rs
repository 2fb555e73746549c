//! The gate's own interface: decisions, alerts, entities, rules, lists.

mod alerts;
pub(crate) mod decisions;
pub(crate) mod door;
mod entities;
mod events;
pub(crate) mod follow;
mod incoming;
mod lists;
pub(crate) mod rules;
pub(crate) mod value;
mod wire;

use std::sync::Arc;

use ::rules::schema::Schema;
use engine::event::Event;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// An event as JSON, in the shape in which it is sent.
pub fn event_json(event: &Event, schema: &Schema) -> impl Serialize + use<> {
    value::of_event(event, schema)
}

/// Its routes.
pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(decisions::decide))
        .routes(routes!(decisions::decide_batch))
        .routes(routes!(decisions::explain))
        .routes(routes!(events::record))
        .routes(routes!(events::amend))
        .routes(routes!(alerts::list))
        .routes(routes!(alerts::watch))
        .routes(routes!(alerts::show))
        .routes(routes!(alerts::act))
        .routes(routes!(entities::show))
        .routes(routes!(rules::show, rules::put))
        .routes(routes!(rules::job))
        .routes(routes!(rules::version))
        .routes(routes!(lists::all))
        .routes(routes!(lists::show, lists::put, lists::delete))
        .routes(routes!(lists::show_rates, lists::put_rates))
}
