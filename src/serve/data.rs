//! The data directory: from its journal and snapshots to a gate, and back again when the server stops.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use api::{Activation, Metrics};
use stream::build::{BuildError, Built};
use stream::bundle::{self, Bundle};
use stream::gate::{Gate, MayFollow, NotAtOnce};
use stream::in_force::InForce;
use stream::journal::{self, Journal as _};
use stream::recover::Recovered;
use stream::snapshot::{self, DataDir, Extra, SnapshotError};

use super::config::{Config, Durability};
use super::memory::{Limit, make_room};
use crate::directory::{self, Opened};
use crate::load;

/// How often a snapshot is written, if anything was recorded since the last.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(300);

/// A data directory that this process owns, with the gate that stands on it.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) gate: Arc<Gate>,
    /// Where the rules in force are from, in words.
    pub(super) rules: String,
    /// Offset of the first record that was not there.
    pub(super) found: u64,
    opened: Opened,
    /// What the process may take.
    memory: Limit,
    /// What a replay left beside the state (labels whose time is still to come): handed on to the next one.
    extra: Extra,
}

/// Opens a data directory: recovers what it holds, or begins it with the rules that the configuration names.
pub(super) fn open(config: &Config) -> anyhow::Result<Data> {
    let durability = match config.durability {
        Durability::Fsync => journal::Durability::Fsync,
        Durability::Os => journal::Durability::Os,
    };
    let mut opened = directory::open(&config.data, durability, |note| tracing::warn!("{note}"))?;
    let found = opened.journal.next();
    let (gate, rules, extra) = match opened.recover()? {
        Some(recovered) => {
            let rules = go_on(config, &recovered, &opened)?;
            (recovered.gate, rules, recovered.extra)
        }
        None => {
            let (gate, rules) = begin(config, &opened)?;
            (gate, rules, Extra::new())
        }
    };
    Ok(Data { gate: Arc::new(gate), rules, found, opened, memory: config.memory, extra })
}

/// A gate over an empty journal.
fn begin(config: &Config, opened: &Opened) -> anyhow::Result<(Gate, String)> {
    let (bundle, from) = match &config.rules {
        Some(path) => (load::rule_set(path)?.bundle, format!("`{}`", path.display())),
        None => (starter(), "a starter for a wallet (yours: `--rules PATH`)".to_owned()),
    };
    let checked = bundle.check()?;
    let memberships = bundle::memberships(&checked.rules, &checked.items, opened.journal.key());
    Ok((opened.begin(bundle, memberships)?, from))
}

/// Compares what is in force with the rules that the configuration names, and activates these if it says so. Gives in
/// words where the rules in force are from.
fn go_on(config: &Config, recovered: &Recovered, opened: &Opened) -> anyhow::Result<String> {
    let Recovered { gate, extra, .. } = recovered;
    let before = || "as the journal has them".to_owned();
    let Some(path) = &config.rules else { return Ok(before()) };
    let named = match load::rule_set(path) {
        Err(error) if !config.activate => {
            tracing::warn!("what `--rules` names cannot be read, and was only to be compared: {error}");
            return Ok(before());
        }
        named => named?,
    };
    let same_rules = named.rules.hash == gate.rules().typed.hash;
    if same_rules {
        named.note_unlisted(gate);
    }
    if same_rules && !named.holds_otherwise(&gate.in_force()) {
        return Ok(format!("`{}`", path.display()));
    }
    if config.activate {
        let place = (&opened.directory, extra);
        put_in_force(gate, &Arc::new(named.bundle), None, place, config.memory, &mut |_| ())
            .context("the rules that `--rules` names are not put in force")?;
        return Ok(format!("`{}`, newly in force", path.display()));
    }
    let what = if same_rules { "the rates or lists of values" } else { "the rules" };
    tracing::warn!(
        "{what} in `{}` are others than those in force: `--activate` puts them in force",
        path.display()
    );
    Ok(before())
}

/// Puts a rule set in force, building the state that it lacks if there is room for it.
fn put_in_force(
    gate: &Gate,
    bundle: &Arc<Bundle>,
    may_follow: Option<MayFollow<'_>>,
    place: (&DataDir, &Extra),
    memory: Limit,
    tell: &mut dyn FnMut(Built),
) -> Result<Arc<InForce>, BuildError> {
    match gate.activate_behind(Arc::clone(bundle), may_follow) {
        Err(NotAtOnce::NeedsBuild { .. }) => {}
        at_once => return Ok(at_once?),
    }
    make_room(memory, gate.growth(bundle)?)?;
    gate.activate_built(bundle, may_follow, place, tell)
}

/// The rule set for whoever has none yet.
fn starter() -> Bundle {
    Bundle::of(&[
        ("wallet.schema.weir", include_str!("../../fixtures/wallet/wallet.schema.weir")),
        ("wallet.weir", include_str!("../../fixtures/wallet/wallet.weir")),
    ])
}

impl Activation for Data {
    fn activate(
        &self,
        bundle: &Arc<Bundle>,
        may_follow: Option<MayFollow<'_>>,
        tell: &mut dyn FnMut(Built),
    ) -> Result<(), BuildError> {
        let place = (&self.opened.directory, &self.extra);
        let in_force = put_in_force(&self.gate, bundle, may_follow, place, self.memory, tell)?;
        tracing::info!(number = in_force.number, "another rule set is in force");
        Ok(())
    }
}

/// Beside decisions or with none.
type WriteSnapshot = fn(&DataDir, &Gate, &Extra) -> Result<PathBuf, SnapshotError>;

impl Data {
    /// Writes snapshots, and tells the metrics of syncs, for as long as the server runs.
    pub(super) async fn keep(self: Arc<Self>, metrics: Arc<Metrics>) {
        let mut snapshots =
            tokio::time::interval_at(tokio::time::Instant::now() + SNAPSHOT_EVERY, SNAPSHOT_EVERY);
        snapshots.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let sync_seconds = metrics.sync_seconds.clone();
        self.opened.journal.on_sync(move |took| sync_seconds.observe(took.as_secs_f64()));
        let mut written = self.opened.journal.synced();
        loop {
            snapshots.tick().await;
            let synced = self.opened.journal.synced();
            if synced == written {
                continue;
            }
            let data = Arc::clone(&self);
            let snapshot = move || data.snapshot(snapshot::write_beside_decisions);
            let snapshot = tokio::task::spawn_blocking(snapshot).await;
            match snapshot {
                Ok(Ok(())) => written = synced,
                Ok(Err(error)) => tracing::error!(%error, "no snapshot was written"),
                Err(error) => tracing::error!(%error, "the snapshot broke off"),
            }
        }
    }

    fn snapshot(&self, write: WriteSnapshot) -> Result<(), SnapshotError> {
        let file = write(&self.opened.directory, &self.gate, &self.extra)?;
        tracing::info!(file = %file.display(), "a snapshot was written");
        Ok(())
    }

    /// Writes a last snapshot, so that the next start has no tail to apply, and closes the journal.
    pub(super) fn close(&self) -> anyhow::Result<()> {
        if self.opened.journal.fault().is_none() {
            self.snapshot(snapshot::write).context(
                "the last snapshot could not be written; the next start reads the journal instead",
            )?;
        }
        self.opened.close()
    }
}
