//! Who may be asked about again, and as whom.

use rules::time::SECOND;
use stream::gate::{Deadline, Refused};
use stream::journal::Memory;

use crate::support::{begin, check_folded, check_verified, event, key};
use crate::verify::{RULES, SCHEMA};

/// Against whose windows it is decided does not change, whoever else is in the event already.
#[test]
fn roles_may_not_change() {
    let journal = Memory::default();
    let gate = begin(SCHEMA, RULES, Box::new(journal.clone()));
    let rules = gate.rules();
    let mut worker = gate.worker(Vec::new());
    let (to_u2, to_nobody) = ("user=u1 payee=u2", "user=u1");
    #[rustfmt::skip]
    let rows = [
        // original, recheck, the role that is another one
        (to_u2,     to_u2,                      None),
        (to_u2,     "user=u1",                  None),
        (to_u2,     "user=u3 payee=u2",         Some("user")),
        (to_u2,     "user=u2 payee=u1",         Some("user")),
        (to_u2,     "user=u1 payee=u1",         Some("payee")),
        (to_nobody, to_nobody,                  None),
        (to_nobody, "user=u1 payee=u2",         Some("payee")),
        (to_nobody, "user=u1 payee=u1",         Some("payee")),
    ];
    for (at, (original, recheck, other)) in (0_i64..).zip(rows) {
        let pay = |id: String, roles: &str| {
            let fields = format!("{roles} card=c1 device=d1 merchant=m1 amount=100");
            event(&rules.typed.schema, "payment", &id, (1_767_600_000 + 10 * at) * SECOND, &fields)
        };
        let first = pay(format!("p{at}"), original);
        gate.submit(&first, Deadline::Never, &mut worker).unwrap();
        let mut again = pay(format!("r{at}"), recheck);
        again.recheck_of = Some(first.id.clone());
        let refused = gate.submit(&again, Deadline::Never, &mut worker).err();
        let expected = other.map(|it| Refused::RolesChanged { original: first.id, field: it.to_owned() });
        assert_eq!(refused, expected, "row {at}");
    }
    check_folded(&gate, &journal);
    check_verified(&journal, key());
}

/// What is computed of a field is none of an event that has that field from elsewhere.
#[test]
fn what_is_computed_does_not_outlive_what_it_was_computed_from() {
    let schema = "schema pay 1\nzone \"UTC\"\ncurrency EUR\nentity user\nentity bin shared\nevent payment\n  user: user\n  \
                  pan: text(6)?\n  bin: bin? = prefix(pan, 4)\n";
    let rules = "use schema pay\nfeature n = count(payment) by bin over 1h\nrecord n\n";
    let journal = Memory::default();
    let gate = begin(schema, rules, Box::new(journal.clone()));
    let rules = gate.rules();
    let mut worker = gate.worker(Vec::new());
    let pay =
        |id: &str, fields: &str| event(&rules.typed.schema, "payment", id, 1_767_600_000 * SECOND, fields);
    let rows = [
        // what a recheck says, and whether its role is another one
        ("user=u1", false),
        ("user=u1 pan=123456 bin=1234", false),
        ("user=u1 pan=123499 bin=1234", false),
        // too short to have one
        ("user=u1 pan=12", true),
        ("user=u1 pan=654321 bin=6543", true),
    ];
    for (at, (recheck, changes)) in rows.into_iter().enumerate() {
        let first = pay(&format!("p{at}"), "user=u1 pan=123456 bin=1234");
        gate.submit(&first, Deadline::Never, &mut worker).unwrap();
        let mut again = pay(&format!("r{at}"), recheck);
        again.recheck_of = Some(first.id.clone());
        let refused = gate.submit(&again, Deadline::Never, &mut worker).err();
        let expected = changes.then(|| Refused::RolesChanged { original: first.id, field: "pan".to_owned() });
        assert_eq!(refused, expected, "{recheck}");
    }
    check_folded(&gate, &journal);
    check_verified(&journal, key());
}
