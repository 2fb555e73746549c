//! Where a replay begins: with nothing, or with what a folder of an earlier run or a data directory holds.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use engine::entity::EntityKey;
use engine::lists::Membership;
use stream::gate::Gate;
use stream::in_force::InForce;
use stream::journal::{Durability, Forgetful, Journal};
use stream::snapshot::{self, DataDir, Extra};
use stream::source::SourceState;

use super::{Options, state};
use crate::directory::{self, Opened, new_key};
use crate::load::Loaded;
use crate::stderr;

/// A gate, and where its state goes at the end.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) gate: Gate,
    /// Of the files that were read before.
    pub(super) source: SourceState,
    /// What an earlier run left beside the gate's state.
    pub(super) extra: Extra,
    pub(super) kept: Kept,
}

/// What is kept of a run.
#[derive(Debug)]
pub(super) enum Kept {
    Nothing,
    /// A snapshot.
    State(DataDir),
    /// A journal and a snapshot.
    Data(Box<Opened>),
}

/// Begins as the options say.
pub(super) fn begin(options: &Options, loaded: &Loaded) -> anyhow::Result<Begun> {
    match (&options.state, &options.data) {
        (_, Some(data)) => on_data(data, loaded),
        (Some(folder), None) => on_state(state_folder(folder)?, loaded),
        (None, None) => on_nothing(loaded, Kept::Nothing),
    }
}

fn on_nothing(loaded: &Loaded, kept: Kept) -> anyhow::Result<Begun> {
    let gate = first_gate(loaded, loaded.first(new_key()?)?);
    Ok(Begun { gate, source: SourceState::default(), extra: Extra::new(), kept })
}

/// Takes a folder of states. A journal in it would know nothing of what this run adds.
fn state_folder(folder: &Path) -> anyhow::Result<DataDir> {
    ensure!(
        !folder.join("journal").is_dir(),
        "`{}` holds a journal: go on with it by `--data`, or name another folder",
        folder.display()
    );
    Ok(DataDir::open(folder)?)
}

fn on_state(folder: DataDir, loaded: &Loaded) -> anyhow::Result<Begun> {
    let Some(newest) = snapshot::newest(&folder)? else { return on_nothing(loaded, Kept::State(folder)) };
    let journal = |next: u64| -> Box<dyn Journal> { Box::new(Forgetful::starting_at(next)) };
    let Some(restored) = snapshot::read(&folder, &loaded.first(newest.key)?, &journal)? else {
        return on_nothing(loaded, Kept::State(folder));
    };
    // A list that is new here is as its file has it.
    let memberships = loaded.memberships(restored.gate.key());
    fill(&restored.gate, memberships.into_iter().filter(|(_, it)| restored.new_lists.contains(&it.list)));
    loaded.note_unlisted(&restored.gate);
    let source = state::restore(&restored.extra)?;
    Ok(Begun { gate: restored.gate, source, extra: restored.extra, kept: Kept::State(folder) })
}

fn on_data(data: &Path, loaded: &Loaded) -> anyhow::Result<Begun> {
    let mut opened = directory::open(data, Durability::Os, stderr::note)?;
    let (gate, extra) = match opened.recover()? {
        Some(recovered) => {
            let gate = recovered.gate;
            if gate.rules().typed.hash == loaded.rules.hash {
                if loaded.holds_otherwise(&gate.in_force()) {
                    stderr::note(
                        "rates or lists of values in the files are others than those in force, which stay: a running server \
                         changes them",
                    );
                }
            } else {
                let bundle = Arc::new(loaded.bundle.clone());
                let activated =
                    gate.activate_built(&bundle, None, (&opened.directory, &recovered.extra), &mut |_| ());
                activated.with_context(|| {
                    format!("the rules cannot go on with what `{}` holds", data.display())
                })?;
            }
            loaded.note_unlisted(&gate);
            (gate, recovered.extra)
        }
        None => {
            let memberships = loaded.memberships(opened.journal.key());
            (opened.begin(loaded.bundle.clone(), memberships)?, Extra::new())
        }
    };
    Ok(Begun { gate, source: state::restore(&extra)?, extra, kept: Kept::Data(Box::new(opened)) })
}

/// A gate of a first run: nothing in memory but who is on the lists of its files.
pub(crate) fn first_gate(loaded: &Loaded, first: InForce) -> Gate {
    let memberships = loaded.memberships(first.rules.key);
    let gate = Gate::of(first, Box::new(Forgetful::default()));
    fill(&gate, memberships);
    gate
}

/// Puts entities on lists.
fn fill(gate: &Gate, memberships: impl IntoIterator<Item = (EntityKey, Membership)>) {
    for (entity, membership) in memberships {
        // INVARIANT (forgetful): a journal that keeps nothing refuses nothing.
        let _ = gate.put_on_list(entity, membership);
    }
}

impl Kept {
    /// Writes a snapshot where one is kept.
    pub(super) fn write(&self, gate: &Gate, extra: &Extra) -> anyhow::Result<()> {
        let folder = match self {
            Self::Nothing => return Ok(()),
            Self::State(folder) => folder,
            Self::Data(opened) => &opened.directory,
        };
        snapshot::write(folder, gate, extra)?;
        Ok(())
    }

    /// What a run that broke off leaves behind, in words; none if nothing is kept.
    pub(super) fn broken_off(&self, options: &Options) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::State(_) => {
                options.state.as_ref().map(|it| format!("nothing was saved to `{}`", it.display()))
            }
            Self::Data(_) => options.data.as_ref().map(|it| {
                format!(
                    "the journal in `{}` holds what was decided until then: begin again in another directory",
                    it.display()
                )
            }),
        }
    }

    /// Closes a journal, once all of it is on the disk.
    pub(super) fn close(&self) -> anyhow::Result<()> {
        match self {
            Self::Data(opened) => opened.close(),
            Self::Nothing | Self::State(_) => Ok(()),
        }
    }
}
