//! `weir simulate`: a labelled file of wallet traffic, made from a seed.
//!
//! The same seed gives the same bytes on every machine: chance comes from ChaCha, transcendental functions from
//! `libm`, nothing from a hash map's order, and there is no time but simulated time.
//!
//! Reading order: [`dice`] (chance), [`world`] (cities, merchants, customers, their usual ways), [`event`] (what
//! happens to them), [`habits`] (an honest day), [`scenarios`] (fraud), [`timeline`] (all of it in order of time),
//! [`mod@write`] (as a file).

mod dice;
mod event;
mod habits;
mod options;
mod scenarios;
mod timeline;
mod world;
mod write;

#[cfg(test)]
mod tests;

use std::io;

pub(crate) use event::{AmountMinor, Event};
pub(crate) use options::{Options, Share};
pub(crate) use timeline::{Entry, Timeline};

use crate::stderr;
use write::Sink;

/// Why no file came of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot create `{path}`: {cause}; name a file in a folder that exists and that you may write to")]
    Create { path: String, cause: io::Error },
    #[error("cannot write to `{path}`, and what was written so far is incomplete")]
    Write { path: String, source: io::Error },
}

/// Simulates, writes, and says on standard error what the file holds.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let destination = &options.out;
    let mut sink =
        Sink::open(destination).map_err(|cause| Error::Create { path: destination.to_string(), cause })?;
    let written = timeline::run(options, &mut sink).and_then(|tally| sink.finish().map(|()| tally));
    match written {
        Ok(tally) => {
            stderr::say(tally);
            Ok(())
        }
        Err(source) => Err(Error::Write { path: destination.to_string(), source }),
    }
}
