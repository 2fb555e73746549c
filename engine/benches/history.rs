//! A window step (edges and answers, then the row's insertion) of one history: short; long in time order, with late and
//! with amended rows; ten thousand rows in the window and ten million. And what criterion does not show: the dearest
//! single event, the first one after an hour of silence among them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group};
use engine::history::{
    ColumnId, ColumnType, ConditionId, Edges, History, HistoryPlan, Key, Need, NewRow, PlanInput, Viewpoint,
    Window, WindowId,
};

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;

/// The merchant's six windows of the canonical workload, with `accepted` as a mutable condition of two.
#[expect(clippy::expect_used, reason = "all that it names stands in it")]
fn plan() -> HistoryPlan {
    let (amount, card) = (Some(ColumnId(0)), Some(ColumnId(1)));
    let window =
        |need, column, over, condition| Window { condition, column, need, over, delay: None, pair: None };
    let accepted = Some(ConditionId(0));
    let windows = vec![
        window(Need::Count, None, MINUTE, None),
        window(Need::Count, None, 10 * MINUTE, None),
        window(Need::Count, None, HOUR, None),
        window(Need::Sum, amount, HOUR, accepted),
        window(Need::Mean, amount, 24 * HOUR, accepted),
        window(Need::Distinct, card, HOUR, None),
    ];
    let input = PlanInput { columns: vec![ColumnType::Integer; 2], conditions: vec![true], windows };
    HistoryPlan::new(input).expect("a plan of known columns")
}

/// One history under a steady feed.
struct Feed {
    plan: HistoryPlan,
    history: History,
    edges: Edges,
    time: i64,
    position: u64,
    /// Between two events.
    gap: i64,
    /// Of a thousand events, how many come late, and how many earlier ones are amended.
    late: u64,
    amended: u64,
    random: u64,
    work: i128,
}

impl Feed {
    /// With so many rows in the widest window.
    fn new(rows: i64, late: u64, amended: u64) -> Self {
        let plan = plan();
        let gap = plan.reach() / rows;
        let mut feed = Self {
            plan,
            history: History::new(),
            edges: Edges::new(),
            time: 0,
            position: 0,
            gap,
            late,
            amended,
            random: 0x2545_f491_4f6c_dd1d,
            work: 0,
        };
        for _ in 0..rows {
            feed.insert(false);
        }
        feed.step();
        feed
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn insert(&mut self, late: bool) -> Key {
        let draw = self.random();
        let back = if late { i64::try_from(draw >> 20).unwrap_or(0) % (10 * MINUTE) } else { 0 };
        self.time += self.gap;
        self.position += 1;
        let key = Key::new(self.time - back, self.position);
        let values =
            [i64::try_from(draw % 100_000).unwrap_or(0), i64::try_from(draw >> 40).unwrap_or(0) % 50_000];
        self.history.insert(&self.plan, NewRow { key, members: &[1], state: 0, values: &values });
        key
    }

    /// One event: all windows, its row, sometimes an amendment, and what leaves by age.
    fn step(&mut self) {
        let late = self.random() % 1000 < self.late;
        let draw = i64::try_from(self.random() >> 20).unwrap_or(0);
        let back = if late { draw % (10 * MINUTE) } else { 0 };
        self.edges.begin();
        let viewpoint = Viewpoint { at: self.time + self.gap - back, exclude: None };
        let mut view = self.history.view(&self.plan, &mut self.edges, viewpoint);
        let counts: u64 = (0..3).map(|it| view.count(WindowId(it))).sum();
        let sum = view.sum(WindowId(3));
        let mean = view.totals(WindowId(4)).mean().unwrap_or(0.0);
        let distinct = view.distinct(WindowId(5), Some(draw));
        self.work ^= sum + i128::from(counts + distinct) + i128::from(mean.to_bits());
        let key = self.insert(late);
        if self.random() % 1000 < self.amended {
            let members = [self.random() & 1];
            self.history.amend(&self.plan, key, &members, 1);
        }
        self.history.trim(&self.plan, self.time - self.plan.reach() - 10 * MINUTE);
    }
}

/// What each case is called: rows in the window, late and amended per thousand.
const CASES: [(&str, i64, u64, u64); 7] = [
    ("short, 36 rows", 36, 0, 0),
    ("10 thousand, in order", 10_000, 0, 0),
    ("10 thousand, 1 % late", 10_000, 10, 0),
    ("10 thousand, 2 % amended", 10_000, 0, 20),
    ("10 million, in order", 10_000_000, 0, 0),
    ("10 million, 1 % late", 10_000_000, 10, 0),
    ("10 million, 2 % amended", 10_000_000, 0, 20),
];

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("window step");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for (name, rows, late, amended) in CASES {
        let mut feed = Feed::new(rows, late, amended);
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| bencher.iter(|| feed.step()));
        black_box(feed.work);
    }
    group.finish();
}

/// Prints the mean and the dearest of many single events, and the first after an hour of silence.
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the bench holds the clock and says what it found; the engine does neither"
)]
fn single_events() {
    const EVENTS: u32 = 200_000;
    for (name, rows, late, amended) in CASES {
        let mut feed = Feed::new(rows, late, amended);
        let mut dearest = Duration::ZERO;
        let start = Instant::now();
        for _ in 0..EVENTS {
            let event = Instant::now();
            feed.step();
            dearest = dearest.max(event.elapsed());
        }
        let mean = start.elapsed() / EVENTS;
        feed.time += HOUR;
        let event = Instant::now();
        feed.step();
        let silent = event.elapsed();
        println!(
            "{name}: mean {mean:?}, dearest {dearest:?}, after an hour of silence {silent:?}, {} bytes a row, work {:x}",
            feed.history.bytes() / feed.history.len().max(1),
            feed.work
        );
    }
}

criterion_group!(benches, steps);

fn main() {
    single_events();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
