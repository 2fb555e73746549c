//! The tests of a rule set that is sent, run as `weir rules test` runs them.

use api::{TestResults, Trial};
use stream::bundle::{Bundle, Checked};

use crate::load::{Loaded, Report};
use crate::rules_command;

/// Runs the tests of a rule set.
#[derive(Debug)]
pub(super) struct Tests;

impl Trial for Tests {
    fn run(&self, bundle: &Bundle, checked: &Checked) -> Result<TestResults, String> {
        let loaded = Loaded {
            rules: checked.rules.clone(),
            items: checked.items.clone(),
            rates: checked.rates.clone(),
            bundle: bundle.clone(),
            report: Report { sources: bundle.sources.clone(), diagnostics: Vec::new() },
        };
        // A rule set that cannot be planned fails here, and not in each test.
        loaded.compile(engine::entity::HashKey::new([0; 16])).map_err(|it| it.to_string())?;
        let (passed, failures) = rules_command::run_tests(&loaded);
        Ok(TestResults { passed, failures })
    }
}
