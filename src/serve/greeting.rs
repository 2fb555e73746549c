//! What is said at the start: where the server is, and how to send a first decision.

use std::net::SocketAddr;

use desk::Database;
use desk::key::Secret;
use stream::gate::Gate;

use super::config::Config;
use crate::figures::plainly_counted;

/// What is said at the start.
pub(crate) struct Greeting<'a> {
    pub(crate) address: SocketAddr,
    pub(super) config: &'a Config,
    pub(crate) gate: &'a Gate,
    /// Where the rules in force are from.
    pub(super) rules: &'a str,
    /// The first key, at the first start.
    pub(crate) key: Option<&'a Secret>,
}

impl Greeting<'_> {
    pub(super) fn text(&self) -> String {
        let Self { address, config, gate, rules, key } = self;
        let in_force = gate.in_force();
        let typed = &in_force.rules.typed;
        let database = match &config.database {
            Database::File(_) => String::new(),
            Database::Server(url) => format!(", database {url}"),
        };
        let mut text = format!(
            "Weir {} listens on http://{address}\n\n  data   {} (durability: {}){database}\n  rules  {rules}: {}, {}\n  docs   http://{address}/docs/\n",
            env!("CARGO_PKG_VERSION"),
            config.data.display(),
            config.durability.name(),
            plainly_counted(typed.rules.len(), "rule"),
            plainly_counted(typed.feature_order.len(), "feature"),
        );
        if let Some(key) = key {
            text.push_str(&format!(
                "\nThis is the admin key. It is shown this once; `weir keys create` makes others.\n\n    export WEIR_API_KEY={}\n",
                key.reveal()
            ));
        }
        let lead = match key {
            Some(_) => "A first decision",
            None => "A decision, with a key in WEIR_API_KEY (`weir keys create` makes one)",
        };
        let event = api::example_event(&typed.schema);
        text.push_str(&format!(
            "\n{lead}, ready to paste:\n\n    curl http://{address}/v1/decisions \\\n      -H \"Authorization: Bearer $WEIR_API_KEY\" \\\n      -H 'Content-Type: application/json' -H 'Weir-Deadline: none' \\\n      -d '{event}'\n\n"
        ));
        text
    }
}
