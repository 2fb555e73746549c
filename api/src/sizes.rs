//! Counts the state for the metrics, from time to time and away from the threads that decide.

use std::sync::Arc;

use crate::app::App;
use crate::limits::SIZES_REFRESH;

/// Entities, rows and bytes of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    entities: i64,
    rows: usize,
    bytes: usize,
}

/// Counts for as long as the server runs.
pub(crate) async fn keep_counted(app: Arc<App>) {
    let mut ticks = tokio::time::interval(SIZES_REFRESH);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let counted = Arc::clone(&app);
        if tokio::task::spawn_blocking(move || count(&counted)).await.is_err() {
            tracing::error!("the state could not be counted");
        }
    }
}

fn count(app: &App) {
    let in_force = app.door.in_force();
    let kinds = &in_force.rules.typed.schema.kinds;
    let mut sizes = vec![Size::default(); kinds.len()];
    app.door.for_each_entity(|key, state| {
        if let Some(size) = sizes.get_mut(key.kind.index()) {
            size.entities += 1;
            size.rows += state.rows();
            size.bytes += state.bytes() + size_of_val(state);
        }
    });
    let number = |it: usize| i64::try_from(it).unwrap_or(i64::MAX);
    for (kind, size) in kinds.iter().zip(sizes) {
        let of = [kind.name.as_str()];
        app.metrics.entities.with_label_values(&of).set(size.entities);
        app.metrics.rows.with_label_values(&of).set(number(size.rows));
        app.metrics.bytes.with_label_values(&of).set(number(size.bytes));
    }
}
