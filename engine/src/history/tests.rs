//! Histories against their plain meaning, on random feeds: late, amended, excluded, trimmed, at every edge, in every
//! form, with lengths so small that a few rows make several levels, and with those in use.

use proptest::prelude::*;

use super::plain::{Answer, Plain, PlainHistory};
use super::plan::{SIZES, Sizes};
use super::*;

/// Several levels within a few dozen rows.
const TINY: Sizes = Sizes { short: 6, back: 3, first: 4, block: 5, fan: 3 };
/// How late a row may be.
const LATENESS: Micros = 20;
/// Conditions: 0 immutable, 1 mutable, the last of each beyond the packed bits; more than 64, for wide masks.
const CONDITIONS: usize = 70;

#[derive(Clone, Debug)]
enum Op {
    /// A row this long after the newest, or so late.
    Insert { gap: Micros, late: Option<Micros>, members: u64, values: [i64; 3] },
    /// Other members for the n-th newest row.
    Amend { back: usize, members: u64, state: u16 },
    /// All windows at a moment; perhaps without the n-th newest row.
    Ask { at: At, exclude: Option<usize>, among: i64, current: Option<i64> },
    /// Everything that no window reaches goes, but for this much.
    Trim { slack: Micros },
    /// A history anew from the same rows, in two pieces, of which the first has so many; perhaps the later rows before.
    Again { first: usize, swapped: bool },
}

/// A moment to ask at.
#[derive(Clone, Copy, Debug)]
enum At {
    /// This far from the clock.
    Clock(Micros),
    /// Where the n-th newest row stands at an edge, give or take.
    Edge { back: usize, edge: usize, off: Micros },
}

fn value() -> impl Strategy<Value = i64> {
    // Of products slots have up to 18 digits.
    let largest = 10_i64.pow(18) - 1;
    prop_oneof![6 => -4..5_i64, 1 => Just(10_i64.pow(13)), 1 => Just(-largest), 1 => Just(largest)]
}

fn op(dense: bool) -> impl Strategy<Value = Op> {
    let gap = if dense { 0..3_i64 } else { 0..12_i64 };
    let late = prop_oneof![5 => Just(None), 1 => (0..=LATENESS).prop_map(Some)];
    let insert = (gap, late, any::<u64>(), value(), -2..3_i64, 0..4_i64).prop_map(
        |(gap, late, members, amount, real, second)| {
            let real = [0.1, -0.1, 1e-9, 3e12, -2.5e-4][usize::try_from(real + 2).unwrap()];
            Op::Insert { gap, late, members, values: [amount, f64::to_bits(real).cast_signed(), second] }
        },
    );
    let at = prop_oneof![
        (-LATENESS..30).prop_map(At::Clock),
        (0..80_usize, 0..20_usize, -1..=1_i64).prop_map(|(back, edge, off)| At::Edge { back, edge, off }),
    ];
    let ask = (at, proptest::option::of(0..40_usize), 0..4_i64, proptest::option::of(value()))
        .prop_map(|(at, exclude, among, current)| Op::Ask { at, exclude, among, current });
    let amend = (0..40_usize, any::<u64>(), any::<u16>()).prop_map(|(back, members, state)| Op::Amend {
        back,
        members,
        state,
    });
    let trim = (0..40_i64).prop_map(|slack| Op::Trim { slack });
    let again =
        (0..200_usize, prop::bool::weighted(0.2)).prop_map(|(first, swapped)| Op::Again { first, swapped });
    prop_oneof![16 => insert, 4 => amend, 6 => ask, 2 => trim, 1 => again]
}

/// Every need, over every kind of condition, with and without delay and pair.
fn plan(sizes: Sizes) -> HistoryPlan {
    let (amount, real, second) = (ColumnId(0), ColumnId(1), ColumnId(2));
    let immutable = |at: usize| !at.is_multiple_of(2);
    let conditions = (0..CONDITIONS).map(immutable).collect();
    let mut windows = Vec::new();
    let spans = [(9, None), (30, None), (13, Some(0)), (7, Some(9))];
    for condition in [None, Some(ConditionId(0)), Some(ConditionId(1)), Some(ConditionId(69))] {
        for (over, delay) in spans {
            for pair in [None, Some(second)] {
                let mut window = |need, column| {
                    windows.push(Window { condition, column, need, over, delay, pair });
                };
                window(Need::Count, None);
                window(Need::Scan, None);
                window(Need::Sum, Some(amount));
                for column in [amount, real] {
                    for need in [Need::Mean, Need::Variance, Need::Extremes, Need::First, Need::Last] {
                        window(need, Some(column));
                    }
                }
                window(Need::Distinct, Some(amount));
                window(Need::Distinct, Some(second));
            }
        }
    }
    HistoryPlan::with_sizes(
        PlanInput {
            columns: vec![ColumnType::Integer, ColumnType::Real, ColumnType::Integer],
            conditions,
            windows,
        },
        sizes,
    )
    .unwrap()
}

/// A history beside its plain meaning.
struct Pair<'a> {
    plan: &'a HistoryPlan,
    history: History,
    plain: PlainHistory,
    edges: Edges,
    clock: Micros,
    position: u64,
    longest: usize,
}

impl<'a> Pair<'a> {
    fn new(plan: &'a HistoryPlan) -> Self {
        Self {
            plan,
            history: History::new(),
            plain: PlainHistory::default(),
            edges: Edges::new(),
            clock: 1_000,
            // Positions pass the end of 32 bits on the way.
            position: (1 << 32) - 20,
            longest: 0,
        }
    }

    /// Members in two words: the same bits in both, shifted, so that bits beyond 64 vary too.
    fn members(members: u64) -> [u64; 2] {
        [members, members.rotate_left(17)]
    }

    fn back(&self, back: usize) -> Option<Key> {
        let rows = &self.plain.rows;
        rows.len().checked_sub(1 + back).map(|at| rows[at].key)
    }

    fn step(&mut self, op: &Op) {
        match *op {
            Op::Insert { gap, late, members, values } => {
                let time = late.map_or(self.clock + gap, |late| self.clock - late);
                self.clock = self.clock.max(time);
                self.position += 1;
                let key = Key::new(time, self.position);
                let row = NewRow { key, members: &Self::members(members), state: 7, values: &values };
                self.history.insert(self.plan, row);
                self.plain.insert(row);
            }
            Op::Amend { back, members, state } => {
                let key = self.back(back).unwrap_or(Key::new(0, 0));
                let members = Self::members(members);
                let found = self.history.amend(self.plan, key, &members, state);
                assert_eq!(found, self.plain.amend(self.plan, key, &members, state));
            }
            Op::Trim { slack } => {
                let horizon = self.clock - LATENESS - self.plan.reach() - slack;
                self.history.trim(self.plan, horizon);
                self.plain.trim(horizon);
            }
            Op::Again { first, swapped } => {
                let first = first.min(self.plain.rows.len());
                let mut pieces = [&self.plain.rows[..first], &self.plain.rows[first..]];
                if swapped {
                    pieces.reverse();
                }
                self.history = History::new();
                for rows in pieces {
                    insert_all(&mut self.history, self.plan, rows);
                }
            }
            Op::Ask { at, exclude, among, current } => {
                let at = match at {
                    At::Clock(off) => self.clock + off,
                    At::Edge { back, edge, off } => {
                        let distance = self.plan.edges[edge % self.plan.edges.len()].distance;
                        self.back(back).map_or(self.clock, |key| key.time + distance + off)
                    }
                };
                let at = at.max(self.clock - LATENESS);
                let exclude = exclude.and_then(|back| self.back(back));
                self.ask(Viewpoint { at, exclude }, among, current);
            }
        }
        self.longest = self.longest.max(self.plain.rows.len());
        self.compare_rows();
    }

    fn compare_rows(&self) {
        assert_eq!(self.history.len(), self.plain.rows.len());
        assert_eq!(self.history.newest(), self.plain.rows.last().map(|row| row.key));
        let rows: Vec<Plain> = self.history.rows(self.plan).map(copy).collect();
        assert_eq!(rows, self.plain.rows.iter().map(masked).collect::<Vec<_>>());
        if let Some(middle) = self.plain.rows.get(self.plain.rows.len() / 2) {
            assert_eq!(self.history.row(self.plan, middle.key).map(copy), Some(masked(middle)));
            // Behind one that is there, and behind one that is not.
            for key in [middle.key, Key { position: middle.key.position.wrapping_sub(1), ..middle.key }] {
                let behind: Vec<Plain> = self.history.rows_behind(self.plan, Some(key)).map(copy).collect();
                let expected = self.plain.rows.iter().filter(|row| key < row.key).map(masked);
                assert_eq!(behind, expected.collect::<Vec<_>>(), "behind {key:?}");
            }
        }
    }

    fn ask(&mut self, viewpoint: Viewpoint, among: i64, current: Option<i64>) {
        self.edges.begin();
        let windows = self.plan.input().windows.len();
        for window in (0..windows).map(|at| WindowId(u16::try_from(at).unwrap())) {
            let expected = self.plain.answer(self.plan, window, viewpoint, Some(among), current);
            let mut view = self.history.view(self.plan, &mut self.edges, viewpoint).among(among);
            let found = answer(&mut view, self.plan, window, current);
            let described = &self.plan.input().windows[window.index()];
            assert_eq!(found, expected.masked(), "{viewpoint:?} {described:?} {window:?}");
        }
    }
}

/// Inserts rows as columns.
fn insert_all(history: &mut History, plan: &HistoryPlan, rows: &[Plain]) {
    fn column<T>(rows: &[Plain], of: impl Fn(&Plain) -> T) -> Vec<T> {
        rows.iter().map(of).collect()
    }
    let rows = NewRows {
        times: &column(rows, |it| it.key.time),
        positions: &column(rows, |it| it.key.position),
        states: &column(rows, |it| it.state),
        members: &[0, 1].map(|word| column(rows, |it| it.members[word])),
        values: &[0, 1, 2].map(|at| column(rows, |it| it.values[at])),
    };
    history.insert_all(plan, rows);
}

fn answer(view: &mut View<'_>, plan: &HistoryPlan, window: WindowId, current: Option<i64>) -> Answer {
    let need = plan.input().windows[window.index()].need;
    match need {
        Need::Count => Answer::Count(view.count(window)),
        Need::Sum => {
            assert_eq!(view.sum(window), view.totals(window).sum());
            Answer::Sum(view.sum(window))
        }
        Need::Mean | Need::Variance => {
            let totals = view.totals(window);
            Answer::Totals(totals.mean(), (need == Need::Variance).then(|| totals.stddev_of_sample()))
        }
        Need::Extremes => Answer::Extremes(view.extremes(window)),
        Need::Distinct => Answer::Count(view.distinct(window, current)),
        Need::First => Answer::Entry(view.first(window)),
        Need::Last => Answer::Entry(view.last(window)),
        Need::Scan => {
            let mut rows = Vec::new();
            view.scan(window, |row| rows.push(copy(row)));
            Answer::Rows(rows)
        }
    }
}

fn copy(row: Row<'_>) -> Plain {
    Plain {
        key: row.key(),
        members: row.member_words().collect(),
        state: row.state(),
        values: row.values().collect(),
    }
}

/// Without the bits that are no condition.
fn masked(row: &Plain) -> Plain {
    let mut row = row.clone();
    row.members[1] &= (1 << (CONDITIONS - 64)) - 1;
    row
}

impl Answer {
    fn masked(self) -> Self {
        match self {
            Self::Rows(rows) => Self::Rows(rows.iter().map(masked).collect()),
            other => other,
        }
    }
}

fn run(sizes: Sizes, ops: &[Op]) -> usize {
    let plan = plan(sizes);
    let mut pair = Pair::new(&plan);
    ops.iter().for_each(|op| pair.step(op));
    pair.longest
}

/// What is planned is what is used, whether many rows or few: never a quarter more, and less while a history still grows
/// into its tables.
#[test]
fn bytes_are_as_planned() {
    let window =
        |need, column| Window { condition: None, column, need, over: 1 << 40, delay: None, pair: None };
    let windows = vec![window(Need::Mean, Some(ColumnId(0))), window(Need::Distinct, Some(ColumnId(1)))];
    let columns = vec![ColumnType::Integer; 2];
    let plan = HistoryPlan::new(PlanInput { columns, conditions: Vec::new(), windows }).unwrap();
    let mut history = History::new();
    for (rows, at) in (1..=20_000_usize).zip(0..) {
        let values = [5, i64::wrapping_mul(at, 0x9e37_79b9_7f4a_7c15_u64.cast_signed())];
        let key = Key::new(at, at.cast_unsigned());
        history.insert(&plan, NewRow { key, members: &[], state: 0, values: &values });
        if rows <= 64 || rows >= 1_000 {
            let (planned, used) = (plan.bytes_estimate(rows), history.bytes());
            assert!(used <= planned * 5 / 4 && planned <= used * 2 + 64, "{rows} rows: {used} of {planned}");
        }
    }
    history.trim(&plan, 19_990);
    (0..100).for_each(|_| history.trim(&plan, 19_990));
    assert_eq!((history.len(), history.bytes()), (9, plan.bytes_estimate(9)));
}

/// Where as many rows leave as come, and values repeat, memory is a third more than planned at most.
#[test]
fn bytes_are_as_planned_in_step() {
    let over = 1_000_000;
    let window = |need, column, over| Window { condition: None, column, need, over, delay: None, pair: None };
    let columns = vec![ColumnType::Integer; 2];
    for rows in [90_i64, 121, 300, 700, 2_000, 10_000] {
        let windows = vec![
            window(Need::Mean, Some(ColumnId(0)), over),
            window(Need::Distinct, Some(ColumnId(1)), over / 24),
        ];
        let input = PlanInput { columns: columns.clone(), conditions: Vec::new(), windows };
        let plan = HistoryPlan::new(input).unwrap();
        let mut history = History::new();
        for (at, offset) in (0..5 * rows).zip(0_u64..) {
            let time = at * over / rows;
            let values = [5, i64::wrapping_mul(at, 0x9e37_79b9_7f4a_7c15_u64.cast_signed())];
            let row = NewRow { key: Key::new(time, offset), members: &[], state: 0, values: &values };
            history.insert(&plan, row);
            history.trim(&plan, time - over);
            if at > 2 * rows {
                let (planned, used) = (plan.bytes_estimate(usize::try_from(rows).unwrap()), history.bytes());
                assert!(used <= planned * 13 / 10, "{rows} rows, at {at}: {used} of {planned}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn tiny_histories_mean_what_the_plain_one_means(ops in proptest::collection::vec(op(true), 1..160)) {
        run(TINY, &ops);
    }

    #[test]
    fn sparse_ones_too(ops in proptest::collection::vec(op(false), 1..120)) {
        run(TINY, &ops);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn real_lengths_mean_the_same(
        mut ops in proptest::collection::vec(op(true), 700..800),
        trimmed in any::<bool>(),
    ) {
        if !trimmed {
            ops.retain(|op| !matches!(op, Op::Trim { .. }));
        }
        let longest = run(SIZES, &ops);
        prop_assert!(trimmed || SIZES.block < longest, "{} rows make no second block", longest);
    }
}
