//! `weir rules cost`: what memory and work a rule set needs, said before it runs.
//!
//! [`state`] says it in numbers and names, [`tables`] lays that out, [`estimate`] multiplies it by a size of business.

mod estimate;
mod state;
mod tables;

use super::{Error, RulesPath, load, print, print_json};
use estimate::Amount;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    rules: RulesPath,
    /// How many entities there are, for an estimate of memory: `user=1000000,merchant=10000`
    #[arg(long, value_name = "KIND=NUMBER", value_delimiter = ',')]
    entities: Vec<Amount>,
    /// How many events there are a day: `500000`, spread evenly over the event types, or `payment=400000,login=90000`
    #[arg(long, value_name = "EVENTS_PER_DAY", value_delimiter = ',')]
    rate: Vec<Amount>,
    /// How many values an entity meets that are kept apart: devices of a user, for `first_seen`
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    values: u64,
    /// As JSON, for machines
    #[arg(long)]
    json: bool,
}

/// Always true: a cost is not an error.
pub(super) fn run(options: &Options) -> Result<bool, Error> {
    let loaded = load(&options.rules.path)?;
    let rules = loaded.compile(engine::entity::HashKey::new([0; 16]))?;
    let cost = state::Cost::of(&rules);
    let estimate = match (options.entities.is_empty(), options.rate.is_empty()) {
        (true, true) => None,
        (false, false) => {
            let estimate = estimate::Estimate::of(&rules, &options.entities, &options.rate, options.values);
            Some(estimate.map_err(Error::Argument)?)
        }
        _ => return Err(Error::Argument("an estimate needs both `--entities` and `--rate`".to_owned())),
    };
    if options.json {
        print_json(&tables::Answer { cost: &cost, estimate: estimate.as_ref() })?;
    } else {
        print(&tables::show(&cost, estimate.as_ref()))?;
    }
    Ok(true)
}
