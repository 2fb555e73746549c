//! What admission is told: how long a record would wait.

use std::sync::atomic::AtomicBool;
use std::thread;

use super::*;

/// Batches of so many records and milliseconds; expected of a hundred records ahead, milliseconds.
#[track_caller]
fn check(batches: impl IntoIterator<Item = (u32, f64)>, expected_ms: std::ops::Range<f64>) {
    let mut fit = Fit::default();
    for (records, ms) in batches {
        fit.add(f64::from(records), ms / 1000.0);
    }
    let (batch_s, record_s) = fit.line();
    let ms = (batch_s + record_s * 100.0) * 1000.0;
    assert!(expected_ms.contains(&ms), "{ms} ms, {fit:?}");
}

#[test]
fn a_hundred_records_ahead() {
    check([], 0.0..0.001);
    // One record an fsync is no sign that a hundred take a hundred fsyncs.
    check([(1, 1.0); 50], 0.9..1.1);
    check((0..50).map(|at| (1 + at % 2, 1.0 + f64::from(at % 3))), 1.0..8.0);
    // A disk of 500 records a second.
    check((0..50).map(|at| (1 + at * 7 % 40, f64::from(1 + at * 7 % 40) * 2.0)), 170.0..210.0);
    check((0..50).map(|_| (100, 200.0)), 190.0..210.0);
    // The same, and a queue so short that batches hardly differ; syncs of their own make some of them longer.
    check((0..50).map(|at| (2 + at % 3, f64::from(2 + at % 3) * 2.0)), 190.0..210.0);
    check((0..50).map(|at| (2 + at % 3, f64::from((2 + at % 3) * 4 + at % 5) / 2.0)), 150.0..210.0);
    // It was slow; what is old counts less and less.
    check([(50, 500.0); 20].into_iter().chain([(50, 1.0); 200]), 0.5..6.0);
}

#[test]
fn an_empty_batch_never_takes_less_than_no_time() {
    // Longer batches cost more for each record, so that all of their time is put down to records.
    let mut fit = Fit::default();
    for at in 0..1_000_u32 {
        let records = f64::from(1 + at * 7_919 % 997);
        fit.add(records, records * records * 1e-7);
        assert!(0.0 <= fit.line().0, "{fit:?}");
    }
}

#[test]
fn a_batch_that_hangs_is_seen_before_it_ends() {
    let (meter, mut fit) = (Meter::new(), Fit::default());
    let (began, hangs) = (Instant::now() + Duration::from_millis(1), Duration::from_millis(20));
    meter.gather(began);
    assert_eq!(meter.wait(1000, began), Duration::ZERO, "nothing is known");
    meter.begin(10, began);
    assert_eq!(meter.wait(0, began + hangs), hangs);
    meter.end(10, hangs, &mut fit);
    meter.gather(began + hangs);
    assert_eq!(meter.wait(10, began + hangs), hangs);
    assert_eq!(
        meter.wait(0, began),
        Duration::ZERO,
        "whoever finds nobody ahead is let in, however slow it was"
    );
}

#[test]
fn syncs_are_told_by_quantiles() {
    let meter = Meter::new();
    meter.synced(Duration::from_micros(1500));
    meter.synced(Duration::from_micros(100));
    let times = meter.sync_times();
    assert_eq!(times.count, 2);
    assert!((90..110).contains(&times.p50.as_micros()), "{times:?}");
    assert!((1450..1550).contains(&times.max.as_micros()), "{times:?}");
}

/// Two milliseconds a record. So many are in the batch that was begun so long ago, so many wait behind it, the first of them
/// for so long; expected of the batch that one more joins, milliseconds.
#[track_caller]
fn check_wait(writing: u64, passed_ms: u64, gathered: u64, waited_ms: u64, expected_ms: u64) {
    let (meter, mut fit) = (Meter::new(), Fit::default());
    for records in (1..9).cycle().take(64) {
        meter.end(records, Duration::from_millis(2 * records), &mut fit);
    }
    let (began, ms) = (Instant::now(), Duration::from_millis);
    meter.begin(writing, began);
    meter.gather(began + ms(passed_ms - waited_ms));
    let wait = meter.wait(writing + gathered, began + ms(passed_ms));
    let apart = wait.abs_diff(ms(expected_ms));
    assert!(apart < Duration::from_micros(10), "{wait:?}, not {expected_ms} ms");
}

#[test]
fn who_comes_waits_for_what_is_left_of_one_batch_and_for_the_next() {
    check_wait(100, 0, 0, 0, 202);
    check_wait(100, 0, 50, 0, 302);
    check_wait(100, 100, 50, 0, 202);
    // It is late by a hundred milliseconds.
    check_wait(5, 110, 0, 0, 102);
}

/// Whoever was let in is not made to wait longer than that by those who come later.
#[test]
fn who_comes_makes_those_before_it_wait() {
    check_wait(100, 100, 50, 100, 302);
    check_wait(100, 100, 0, 100, 102);
}

/// What it is asked while batches begin and end is told of one moment: hours are nobody's wait here.
#[test]
fn a_batch_that_ends_while_somebody_asks_is_no_long_wait() {
    let (meter, done) = (Meter::new(), AtomicBool::new(false));
    let (now, took) = (Instant::now() + Duration::from_secs(3_600), Duration::from_millis(1));
    meter.gather(now);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut fit = Fit::default();
            for _ in 0..3_000_000 {
                meter.begin(1, now);
                meter.end(1, took, &mut fit);
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            let wait = meter.wait(2, now);
            assert!(wait < 10 * took, "{wait:?}");
        }
    });
}
