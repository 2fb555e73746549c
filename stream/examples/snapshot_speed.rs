//! How fast a snapshot is written and read, and how large it is: `cargo run --release -p stream --example snapshot_speed
//! [USERS]`.

use std::sync::Arc;
use std::time::Instant;

use engine::entity::HashKey;
use engine::event::Event;
use engine::lists::ValueLists;
use engine::rates::Rates;
use engine::rule_set::RuleSet;
use stream::gate::{Deadline, Gate};
use stream::in_force::InForce;
use stream::journal::Forgetful;
use stream::snapshot::{self, DataDir, Extra};

const SCHEMA: &str = "schema pay 1 zone \"UTC\" currency EUR entity user entity merchant shared
event payment user: user merchant: merchant amount: money";
const RULES: &str = "use schema pay
feature n_1h = count(payment) by user over 1h
feature sum_1d = sum(payment.amount) by user over 1d before where accepted
feature shops_30d = distinct(payment.merchant) by user over 30d
feature new_shop = first_seen(merchant) by user
feature shop_n_1d = count(payment) by merchant over 1d
rule many \"Many\" on payment when n_1h > 10 and sum_1d > 1.00 EUR and shops_30d + shop_n_1d > 3 and (new_shop ?? false)
  then score +1";
/// Payments of each user.
const PAYMENTS: usize = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let users: usize = std::env::args().nth(1).map_or(Ok(50_000), |it| it.parse())?;
    let typed = rules::testing::rule_set(SCHEMA, RULES);
    let rules = Arc::new(RuleSet::new(typed, HashKey::new([7; 16]), ValueLists::default())?);
    let rates = Arc::new(Rates::new(rules.typed.schema.currency));
    let gate = Gate::new(Arc::clone(&rules), Arc::clone(&rates), Box::new(Forgetful::default()));
    fill(&gate, users)?;
    let (mut entities, mut rows) = (0, 0);
    gate.for_each_entity(|_, state| (entities, rows) = (entities + 1, rows + state.rows()));
    let folder = tempfile::tempdir()?;
    let dir = DataDir::open(folder.path())?;
    let start = Instant::now();
    let path = snapshot::write(&dir, &gate, &Extra::new())?;
    let written = start.elapsed();
    let start = Instant::now();
    snapshot::read(&dir, &InForce::first(Arc::clone(&rules), Arc::clone(&rates), None), &|next| {
        Box::new(Forgetful::starting_at(next))
    })?
    .ok_or("nothing")?;
    let read = start.elapsed();
    let bytes = std::fs::metadata(path)?.len();
    println!("{entities} entities, {rows} rows, {bytes} bytes");
    println!(
        "written in {written:.2?}, {:.0} entities a second",
        f64::from(entities) / written.as_secs_f64()
    );
    println!("read in    {read:.2?}, {:.0} entities a second", f64::from(entities) / read.as_secs_f64());
    Ok(())
}

/// A payment of every user each day, at shops of their own liking.
fn fill(gate: &Gate, users: usize) -> Result<(), Box<dyn std::error::Error>> {
    let rules = gate.rules();
    let schema = &rules.typed.schema;
    let payment = schema.event_type("payment").ok_or("no payment")?;
    let (mut event, mut worker) = (Event::default(), gate.worker(Vec::new()));
    for n in 0..users * PAYMENTS {
        event.begin(payment, 3);
        event.id.push_str(&n.to_string());
        event.set_text(0, &format!("u{}", n % users));
        event.set_text(1, &format!("m{}", n * 7919 % 1000));
        event.set_money(2, 100, schema.currency);
        (event.time, event.time_given) = (i64::try_from(n * 86_400_000_000 / users)?, true);
        let ticket = gate.submit(&event, Deadline::Never, &mut worker)?;
        Gate::recycle(&mut worker, ticket);
    }
    Ok(())
}
