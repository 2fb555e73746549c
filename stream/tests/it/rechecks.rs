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
