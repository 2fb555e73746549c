//! Events that come later than is allowed stand at the edge of that, for rules and for what is remembered.

use rules::time::{HOUR, MINUTE};
use rules::value::Value;
use stream::gate::Deadline;
use stream::journal::Memory;

use crate::support::{begin, check_folded, check_verified, event, key};

const SCHEMA: &str = "schema pay 1\nzone \"UTC\"\ncurrency EUR\nlateness 10m\nentity user\n\
                      event payment\n  user: user\n";
const RULES: &str = r"
use schema pay
feature at    = hour(time)
feature at_11 = count(payment) by user over 1h where hour(time) == 11
record at, at_11
";

#[test]
fn the_time_of_an_event_too_late_is_the_edge() {
    let journal = Memory::default();
    let gate = begin(SCHEMA, RULES, Box::new(journal.clone()));
    let features = gate.rules().typed.feature_order.clone();
    let mut worker = gate.worker(features);
    let mut check = |id: &str, time, hour, at_11, too_late| {
        let payment = event(&gate.rules().typed.schema, "payment", id, time, "user=u1");
        let ticket = gate.submit(&payment, Deadline::Never, &mut worker).unwrap();
        assert_eq!(worker.observed, [Value::Exact(hour), Value::Exact(at_11)], "{id}");
        assert_eq!(ticket.ruling.flags.too_late, too_late, "{id}");
    };
    check("p1", 12 * HOUR + 5 * MINUTE, 12, 0, false);
    check("p2", 3 * HOUR, 11, 1, true);
    check("p3", 12 * HOUR + 6 * MINUTE, 12, 1, false);
    check_folded(&gate, &journal);
    check_verified(&journal, key());
}
