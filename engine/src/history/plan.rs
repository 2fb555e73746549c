//! What the histories of one entity kind hold and answer: columns, conditions and windows, as plain data.

use rules::time::Micros;

use super::column::{ColumnId, ColumnType, ConditionId, WindowId};
use super::lane::{Lane, Value};
use super::layout::{Bit, Layout};

/// What a window is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Need {
    /// How many rows.
    Count,
    /// The sum of a column.
    Sum,
    /// Count and sum of a column.
    Mean,
    /// Count, sum and sum of squares of a column.
    Variance,
    /// The least and the greatest of a column.
    Extremes,
    /// How many different values a column has.
    Distinct,
    /// The oldest row, and its value if there is a column.
    First,
    /// The newest row, and its value if there is a column.
    Last,
    /// Every row, for conditions that read the current event.
    Scan,
}

impl Need {
    /// Whether [`super::View::totals`] has the count.
    pub(crate) fn counts(self) -> bool {
        matches!(self, Self::Count | Self::Mean | Self::Variance | Self::First | Self::Last)
    }

    /// Whether it has the sum.
    pub(crate) fn sums(self) -> bool {
        matches!(self, Self::Sum | Self::Mean | Self::Variance)
    }
}

/// A window over the rows of one entity, or of one pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Which rows belong to it; none: every row.
    pub condition: Option<ConditionId>,
    /// Which column is looked at; none for count and scan, and where only the row is wanted.
    pub column: Option<ColumnId>,
    /// What is asked.
    pub need: Need,
    /// Its width.
    pub over: Micros,
    /// How far its upper edge lies in the past; none: no upper edge, later rows included.
    pub delay: Option<Micros>,
    /// Only rows that hold the pair's second entity in this column ([`super::View::among`]).
    pub pair: Option<ColumnId>,
}

/// What a plan is made of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PlanInput {
    /// The columns of a row beside its key, members and state.
    pub columns: Vec<ColumnType>,
    /// By condition: whether an amendment may change it.
    pub conditions: Vec<bool>,
    /// All windows.
    pub windows: Vec<Window>,
}

/// Why a plan cannot be made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    /// A window names a column that the plan lacks, or none where one is needed.
    #[error("window {window} has no column to look at: name one of the plan's")]
    Column {
        /// Which window.
        window: usize,
    },
    /// A window names a condition that the plan lacks.
    #[error("window {window} names a condition that the plan lacks")]
    Condition {
        /// Which window.
        window: usize,
    },
    /// A window of no width, of negative delay, or wider than ten years.
    #[error("window {window} has an impossible width or delay")]
    Span {
        /// Which window.
        window: usize,
    },
    /// More columns, conditions or windows than fit an id.
    #[error("too many columns, conditions or windows: at most 65,535 of each")]
    Many,
}

/// The plan: immutable, shared by all histories of a kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryPlan {
    input: PlanInput,
    pub(crate) layout: Layout,
    pub(crate) sizes: Sizes,
    /// What is summed up per block, and for each edge.
    pub(crate) lanes: Vec<Lane>,
    /// Words of all lanes' totals.
    pub(crate) totals: usize,
    pub(crate) edges: Vec<Edge>,
    /// The edges and how far back they lie, nearest first.
    pub(crate) nearest: Vec<(usize, Micros)>,
    /// The lanes that are tapped.
    pub(crate) tapped: Vec<LaneTaps>,
    /// Words of all edges' totals.
    pub(crate) below: usize,
    /// By word of all edges' totals: which word of all lanes' it is.
    pub(crate) tapped_words: Vec<usize>,
    /// Of what the least and the greatest are kept per block.
    pub(crate) extremes: Vec<ExtremeLane>,
    pub(crate) distincts: Vec<DistinctLane>,
    pub(crate) pairs: Vec<PairPlan>,
    windows: Vec<Resolved>,
}

/// Lengths at which a history changes its form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sizes {
    /// Most rows of the short form.
    pub(crate) short: usize,
    /// A long history returns to the short form at so many rows; less than `short`, so that one row in and out does
    /// not convert it each time.
    pub(crate) back: usize,
    /// Rows of a long history's first block.
    pub(crate) first: usize,
    /// Most rows of its other blocks.
    pub(crate) block: usize,
    /// Children of a node.
    pub(crate) fan: usize,
}

impl Sizes {
    /// Rows of a new block in a history of so many: an eighth, so that what has left the first block and what is not yet
    /// in the last one stay a small part.
    pub(crate) fn block_for(self, rows: usize) -> usize {
        (rows / 8).next_power_of_two().clamp(self.first / 2, self.block)
    }
}

/// The lengths in use.
pub(super) const SIZES: Sizes = Sizes { short: 128, back: 96, first: 192, block: 256, fan: 64 };

/// A distance from the current event back to a boundary of windows: one cursor for all of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Edge {
    pub(crate) distance: Micros,
    pub(crate) taps: Vec<Tap>,
    /// Where its totals stand among those of all edges.
    pub(crate) below: std::ops::Range<usize>,
}

/// A lane whose total below an edge is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tap {
    pub(crate) lane: usize,
    /// Where it stands in the edge's totals.
    pub(crate) at: usize,
}

/// A lane, and the edges at which it is tapped, the nearest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LaneTaps {
    pub(crate) lane: Lane,
    /// Whether it counts flags of newest values, which only a long history sets.
    pub(crate) flags: bool,
    /// Each edge, and where the lane's total there stands among the totals of all edges.
    pub(crate) taps: Vec<(usize, usize)>,
}

/// Of what the least and the greatest are kept per block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ExtremeLane {
    pub(crate) bit: Option<Bit>,
    pub(crate) column: usize,
    pub(crate) ty: ColumnType,
}

/// Rows with this bit: for each value one is flagged, the newest that has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DistinctLane {
    pub(crate) bit: Option<Bit>,
    pub(crate) column: usize,
    pub(crate) flag: Bit,
    pub(crate) mutable: bool,
    /// How far its widest window reaches back.
    pub(crate) reach: Micros,
    /// How much farther the plan's widest does.
    pub(crate) beyond: Micros,
}

/// Long histories keep one more history for each value of this column, of all windows over that pair.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PairPlan {
    pub(crate) column: usize,
    pub(crate) plan: Box<HistoryPlan>,
}

/// One part of a window's answer: a lane, and where its taps at the window's edges stand among the totals of all edges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    pub(crate) lane: usize,
    pub(crate) lower: usize,
    pub(crate) upper: Option<usize>,
}

impl Part {
    /// Moved from its place within its edges' totals to that among those of all.
    fn settled(self, edges: &[Edge], lower: usize, upper: Option<usize>) -> Self {
        let start = |edge: usize| edges.get(edge).map_or(0, |it| it.below.start);
        let settle = |at: usize, edge: usize| at + start(edge);
        Self {
            lower: settle(self.lower, lower),
            upper: self.upper.zip(upper).map(|(at, edge)| settle(at, edge)),
            ..self
        }
    }
}

/// A window as it is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Resolved {
    pub(crate) need: Need,
    pub(crate) bit: Option<Bit>,
    /// The table column that is looked at.
    pub(crate) column: usize,
    pub(crate) ty: ColumnType,
    pub(crate) lower: usize,
    pub(crate) upper: Option<usize>,
    pub(crate) count: Option<Part>,
    pub(crate) sum: Option<Part>,
    pub(crate) squares: Option<Part>,
    pub(crate) extremes: Option<usize>,
    pub(crate) distinct: Option<usize>,
    pub(crate) pair: Option<PairWindow>,
}

/// Where a window over a pair is answered: over the rows that have the pair's value in `column` while the history is
/// short, by another history beyond.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PairWindow {
    pub(crate) column: usize,
    pub(crate) index: usize,
    pub(crate) window: WindowId,
}

impl HistoryPlan {
    /// Checks the input and derives what is kept.
    ///
    /// # Errors
    /// If a window names what the input lacks, or its span is impossible.
    pub fn new(input: PlanInput) -> Result<Self, PlanError> {
        Self::with_sizes(input, SIZES)
    }

    pub(crate) fn with_sizes(input: PlanInput, sizes: Sizes) -> Result<Self, PlanError> {
        let counts = [input.columns.len(), input.conditions.len(), input.windows.len()];
        if counts.iter().any(|count| u16::try_from(*count).is_err()) {
            return Err(PlanError::Many);
        }
        for (at, window) in input.windows.iter().enumerate() {
            check(&input, at, window)?;
        }
        let mut flags = Vec::new();
        for window in input.windows.iter().filter(|it| flagged(it)) {
            let flag = (window.condition, window.column);
            if !flags.contains(&flag) {
                flags.push(flag);
            }
        }
        let mut plan = Self {
            layout: Layout::new(&input.conditions, flags.len(), input.columns.len()),
            input,
            sizes,
            lanes: Vec::new(),
            totals: 0,
            edges: Vec::new(),
            nearest: Vec::new(),
            tapped: Vec::new(),
            below: 0,
            tapped_words: Vec::new(),
            extremes: Vec::new(),
            distincts: Vec::new(),
            pairs: Vec::new(),
            windows: Vec::new(),
        };
        for (at, (condition, column)) in flags.into_iter().enumerate() {
            let mutable = condition.and_then(|it| plan.input.conditions.get(it.index())).copied();
            let same = |it: &&Window| flagged(it) && it.condition == condition && it.column == column;
            let reach = plan.input.windows.iter().filter(same).map(|it| it.over).max();
            plan.distincts.push(DistinctLane {
                bit: condition.map(|it| Bit::new(it.index())),
                column: plan.layout.value(column.unwrap_or(ColumnId(0))),
                flag: Bit::new(plan.input.conditions.len() + at),
                mutable: mutable.unwrap_or(false),
                reach: reach.unwrap_or(0),
                beyond: 0,
            });
        }
        // INVARIANT (row count): lane 0 counts all rows; its total is the first word.
        plan.lane(None, Value::Count);
        for window in plan.input.windows.clone() {
            let resolved = plan.resolve(&window)?;
            plan.windows.push(resolved);
        }
        for edge in &mut plan.edges {
            let lanes = edge.taps.iter().filter_map(|tap| plan.lanes.get(tap.lane));
            plan.tapped_words.extend(lanes.flat_map(|lane| lane.at..lane.at + lane.words()));
            edge.below = plan.below..plan.tapped_words.len();
            plan.below = plan.tapped_words.len();
        }
        plan.settle();
        Ok(plan)
    }

    /// Puts edges and taps in the order in which a pass meets them, now that all are known.
    fn settle(&mut self) {
        let reach = self.reach();
        self.distincts.iter_mut().for_each(|lane| lane.beyond = reach - lane.reach);
        let Self { edges, windows, .. } = self;
        for window in windows {
            let settle = |part: &mut Part| *part = part.settled(edges, window.lower, window.upper);
            [&mut window.count, &mut window.sum, &mut window.squares].into_iter().flatten().for_each(settle);
        }
        self.nearest = edges.iter().map(|it| it.distance).enumerate().collect();
        self.nearest.sort_by_key(|(_, distance)| *distance);
        let taps_of = |lane: usize| {
            let edges = self.nearest.iter().filter_map(|(at, _)| Some((*at, self.edges.get(*at)?)));
            edges.filter_map(move |(at, edge)| {
                let tap = edge.taps.iter().find(|tap| tap.lane == lane)?;
                Some((at, edge.below.start + tap.at))
            })
        };
        let tapped = self.lanes.iter().enumerate().map(|(at, lane)| LaneTaps {
            lane: *lane,
            flags: self.distincts.iter().any(|it| Some(it.flag) == lane.bit),
            taps: taps_of(at).collect(),
        });
        self.tapped = tapped.filter(|it| !it.taps.is_empty()).collect();
    }

    fn resolve(&mut self, window: &Window) -> Result<Resolved, PlanError> {
        let bit = window.condition.map(|it| Bit::new(it.index()));
        let column = self.layout.value(window.column.unwrap_or(ColumnId(0)));
        let ty = self.column_type(window.column);
        let lower = self.edge(window.over + window.delay.unwrap_or(0));
        let upper = window.delay.map(|delay| self.edge(delay));
        let mut resolved = Resolved {
            need: window.need,
            bit,
            column,
            ty,
            lower,
            upper,
            count: None,
            sum: None,
            squares: None,
            extremes: None,
            distinct: None,
            pair: None,
        };
        if let Some(pair) = window.pair {
            resolved.pair = Some(self.pair(window, pair)?);
            return Ok(resolved);
        }
        let part = |plan: &mut Self, bit, value| Some(plan.part(bit, value, lower, upper));
        match window.need {
            Need::Scan => {}
            Need::Count | Need::First | Need::Last => resolved.count = part(self, bit, Value::Count),
            Need::Sum => resolved.sum = part(self, bit, Value::Sum(ty, column)),
            Need::Mean => {
                resolved.count = part(self, bit, Value::Count);
                resolved.sum = part(self, bit, Value::Sum(ty, column));
            }
            Need::Variance => {
                resolved.count = part(self, bit, Value::Count);
                resolved.sum = part(self, bit, Value::Sum(ty, column));
                resolved.squares = part(self, bit, Value::Squares(ty, column));
            }
            Need::Extremes => {
                let lane = ExtremeLane { bit, column, ty };
                resolved.extremes = Some(position_or_push(&mut self.extremes, lane));
            }
            Need::Distinct => {
                let same = |it: &DistinctLane| it.bit == bit && it.column == column;
                resolved.distinct = self.distincts.iter().position(same).filter(|_| flagged(window));
                let flag = resolved.distinct.and_then(|it| self.distincts.get(it)).map(|it| it.flag);
                resolved.count = flag.and_then(|flag| part(self, Some(flag), Value::Count));
            }
        }
        Ok(resolved)
    }

    fn edge(&mut self, distance: Micros) -> usize {
        if let Some(at) = self.edges.iter().position(|it| it.distance == distance) {
            return at;
        }
        self.edges.push(Edge { distance, taps: Vec::new(), below: 0..0 });
        self.edges.len() - 1
    }

    fn part(&mut self, bit: Option<Bit>, value: Value, lower: usize, upper: Option<usize>) -> Part {
        let lane = self.lane(bit, value);
        let lower = self.tap(lower, lane);
        let upper = upper.map(|upper| self.tap(upper, lane));
        Part { lane, lower, upper }
    }

    fn lane(&mut self, bit: Option<Bit>, value: Value) -> usize {
        let known = self.lanes.iter().position(|it| it.bit == bit && it.value == value);
        known.unwrap_or_else(|| {
            let lane = Lane { bit, value, at: self.totals };
            self.totals += lane.words();
            self.lanes.push(lane);
            self.lanes.len() - 1
        })
    }

    /// Where a lane's total stands among an edge's.
    fn tap(&mut self, edge: usize, lane: usize) -> usize {
        let lanes = &self.lanes;
        let Some(edge) = self.edges.get_mut(edge) else { return 0 };
        if let Some(tap) = edge.taps.iter().find(|it| it.lane == lane) {
            return tap.at;
        }
        let at = edge.taps.iter().map(|tap| lanes.get(tap.lane).map_or(0, Lane::words)).sum();
        edge.taps.push(Tap { lane, at });
        at
    }

    /// Adds a window to the plan of its pair, which has the same columns and conditions.
    fn pair(&mut self, window: &Window, pair: ColumnId) -> Result<PairWindow, PlanError> {
        let column = self.layout.value(pair);
        let index = self.pairs.iter().position(|it| it.column == column).unwrap_or(self.pairs.len());
        let known = self.pairs.get(index).map(|it| it.plan.input.windows.clone());
        let mut windows = known.unwrap_or_default();
        let at = WindowId(u16::try_from(windows.len()).map_err(|_| PlanError::Many)?);
        windows.push(Window { pair: None, ..*window });
        let PlanInput { columns, conditions, .. } = self.input.clone();
        let input = PlanInput { columns, conditions, windows };
        let plan = PairPlan { column, plan: Box::new(Self::with_sizes(input, self.sizes)?) };
        match self.pairs.get_mut(index) {
            Some(known) => *known = plan,
            None => self.pairs.push(plan),
        }
        Ok(PairWindow { column, index, window: at })
    }

    /// Which totals are a window's count, and its sum of integers.
    pub(crate) fn parts(&self, window: WindowId) -> [Option<Part>; 2] {
        self.resolved(window).map_or([None; 2], |it| {
            let integers = it.ty == ColumnType::Integer;
            [it.count.filter(|_| it.need == Need::Count), it.sum.filter(|_| integers && it.need == Need::Sum)]
        })
    }

    /// What it was made of.
    pub fn input(&self) -> &PlanInput {
        &self.input
    }

    /// A window as it is answered.
    pub(crate) fn resolved(&self, window: WindowId) -> Option<&Resolved> {
        self.windows.get(window.index())
    }

    /// How a column is read; an unknown one as integers.
    pub(crate) fn column_type(&self, column: Option<ColumnId>) -> ColumnType {
        let ty = column.and_then(|column| self.input.columns.get(column.index()));
        ty.copied().unwrap_or(ColumnType::Integer)
    }

    /// The farthest that any window reaches back from the current event; 0 without windows.
    pub fn reach(&self) -> Micros {
        self.edges.iter().map(|it| it.distance).max().unwrap_or(0)
    }
}

/// Whether a window is answered by the flags of the newest of each value: it has no upper edge.
fn flagged(window: &Window) -> bool {
    window.need == Need::Distinct && window.delay.is_none() && window.pair.is_none()
}

/// Where an item stands in a list, to which it is added if it is not there.
pub(crate) fn position_or_push<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|it| *it == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

fn check(input: &PlanInput, at: usize, window: &Window) -> Result<(), PlanError> {
    let columns = input.columns.len();
    let known = |column: ColumnId| column.index() < columns;
    let needs_column = !matches!(window.need, Need::Count | Need::Scan | Need::First | Need::Last);
    if (needs_column && window.column.is_none()) || !window.column.is_none_or(known) {
        return Err(PlanError::Column { window: at });
    }
    if !window.pair.is_none_or(known) {
        return Err(PlanError::Column { window: at });
    }
    if window.condition.is_some_and(|it| input.conditions.len() <= it.index()) {
        return Err(PlanError::Condition { window: at });
    }
    let spans = 0 < window.over
        && window.over <= rules::time::SPAN_MAX
        && (0..=rules::time::SPAN_MAX).contains(&window.delay.unwrap_or(0));
    if spans { Ok(()) } else { Err(PlanError::Span { window: at }) }
}
