//! The blocks of a long history, and above them a shallow tree with the totals and extremes of each block and subtree.
//!
//! It is a B⁺-tree that only loses rows at its front: rows are inserted anywhere, and whole blocks leave when their
//! newest row is old enough. Blocks are linked in order and never move in memory, so that cursors may point at them.
//! INVARIANT (tree ids): every id in a node, a link, `root`, `head` or `tail` is that of a block or node in use; only
//! the functions of this file and of `node` write them.

mod node;

use std::ops::Range;

use smallvec::SmallVec;

use self::node::Node;
use super::plan::{HistoryPlan, Tap};
use super::sums::{add_rows, add_taps, extremes_of, join, totals_of};
use super::table::Table;
use super::{Extremes, Key, exact};

/// No block.
pub(crate) const NONE: u32 = u32::MAX;
/// A key above all others: that of a block that is still empty.
const KEY_MAX: Key = Key { time: i64::MAX, position: 0 };

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    blocks: Vec<Block>,
    spare_blocks: Vec<u32>,
    /// Room of a block that left, for the next one: in step as many leave as are begun.
    room: Table,
    nodes: Vec<Node>,
    spare_nodes: Vec<u32>,
    root: u32,
    /// Levels of nodes above the blocks, at least one.
    height: usize,
    head: u32,
    tail: u32,
    rows: usize,
}

/// A run of rows, linked to its neighbours.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) table: Table,
    prev: u32,
    pub(crate) next: u32,
}

/// A step from the root towards a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    node: u32,
    child: usize,
}

/// All steps from the root to a block.
pub(crate) type Path = SmallVec<[Step; 6]>;

impl Tree {
    /// One block with these rows.
    pub(crate) fn new(plan: &HistoryPlan, rows: &Table) -> Self {
        let mut root = Node::default();
        root.insert(plan, 0, 0);
        let mut tree = Self {
            blocks: vec![Block {
                table: rows.resized(plan.layout.width(), plan.sizes.first.max(rows.len())),
                prev: NONE,
                next: NONE,
            }],
            spare_blocks: Vec::new(),
            room: Table::default(),
            nodes: vec![root],
            spare_nodes: Vec::new(),
            root: 0,
            height: 1,
            head: 0,
            tail: 0,
            rows: rows.len(),
        };
        tree.refresh(plan, 0, 0, 0);
        tree
    }

    /// The totals of the first child of the root, which has no other.
    pub(crate) fn totals_of_root(&self, plan: &HistoryPlan) -> &[i128] {
        self.node(self.root).totals(plan, 0)
    }

    /// Rows in all blocks.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn head(&self) -> u32 {
        self.head
    }

    pub(crate) fn tail(&self) -> u32 {
        self.tail
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "INVARIANT (tree ids)")]
    pub(crate) fn block(&self, id: u32) -> &Block {
        &self.blocks[id as usize]
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "INVARIANT (tree ids)")]
    pub(crate) fn block_mut(&mut self, id: u32) -> &mut Block {
        &mut self.blocks[id as usize]
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "INVARIANT (tree ids)")]
    fn node(&self, id: u32) -> &Node {
        &self.nodes[id as usize]
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "INVARIANT (tree ids)")]
    fn node_mut(&mut self, id: u32) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    pub(crate) fn bytes(&self) -> usize {
        let tables: usize = self.blocks.iter().map(|it| it.table.bytes()).sum();
        let nodes: usize = self.nodes.iter().map(Node::bytes).sum();
        let spares = self.spare_blocks.capacity() + self.spare_nodes.capacity();
        tables
            + self.room.bytes()
            + nodes
            + self.blocks.capacity() * size_of::<Block>()
            + self.nodes.capacity() * size_of::<Node>()
            + spares * size_of::<u32>()
    }

    /// The way to the block in which a key stands or would be inserted.
    pub(crate) fn descend(&self, key: Key) -> (Path, u32) {
        self.descend_by(|last| last < key)
    }

    /// The way to the first block whose greatest key is not below, or to the tail.
    fn descend_by(&self, below: impl Fn(Key) -> bool) -> (Path, u32) {
        let mut path = Path::new();
        let mut at = self.root;
        for _ in 0..self.height {
            let node = self.node(at);
            let rightmost = node.children.len().saturating_sub(1);
            // In time order it is the rightmost.
            let beside = rightmost.checked_sub(1).and_then(|at| node.last.get(at));
            let child = if beside.is_none_or(|last| below(*last)) {
                rightmost
            } else {
                node.last.partition_point(|last| below(*last))
            };
            path.push(Step { node: at, child });
            at = node.children.get(child).copied().unwrap_or(self.tail);
        }
        (path, at)
    }

    /// The time of the row at a place; at the end of the tail the greatest of all.
    pub(crate) fn time_at(&self, block: u32, row: usize) -> i64 {
        let table = &self.block(block).table;
        if row < table.len() { table.time(row) } else { i64::MAX }
    }

    /// The row at a key.
    pub(crate) fn find(&self, key: Key) -> Option<(Path, u32, usize)> {
        let (path, block) = self.descend(key);
        let row = self.block(block).table.find(key)?;
        Some((path, block, row))
    }

    /// The first row newer than a time: its block and place, or the end of the tail. Adds to `below` what stands
    /// before it in the tapped lanes.
    pub(crate) fn seek(
        &self,
        plan: &HistoryPlan,
        threshold: i64,
        taps: &[Tap],
        below: &mut [i128],
    ) -> (u32, usize) {
        let (path, block) = self.descend_by(|last| last.time <= threshold);
        for step in &path {
            let node = self.node(step.node);
            for child in node.totals.chunks_exact(plan.totals.max(1)).take(step.child) {
                add_taps(plan, taps, child, below);
            }
        }
        let table = &self.block(block).table;
        let row = table.rank(threshold);
        add_rows(plan, taps, table, 0..row, below);
        (block, row)
    }

    /// The first row newer than a time, as block and place, and how many rows stand before it.
    pub(crate) fn rank(&self, stride: usize, threshold: i64) -> (u32, usize, usize) {
        let (path, block) = self.descend_by(|last| last.time <= threshold);
        let row = self.block(block).table.rank(threshold);
        let counts = path.iter().flat_map(|step| {
            // INVARIANT (row count): the first word of each child's totals.
            self.node(step.node).totals.chunks_exact(stride).take(step.child).filter_map(|it| it.first())
        });
        let before: i128 = counts.sum();
        (block, row, row + usize::try_from(before).unwrap_or(0))
    }

    /// Puts a row's words in at their place; gives the way to it, and what happened to blocks on the way.
    pub(crate) fn insert(
        &mut self,
        plan: &HistoryPlan,
        key: Key,
        words: &[u64],
    ) -> (Path, u32, usize, Change) {
        let (mut path, mut block) = self.descend(key);
        let mut change = Change::None;
        if self.block(block).table.is_full() {
            let newest = self.block(block).table.last_key();
            let at = if newest.is_none_or(|newest| newest < key) {
                self.block(block).table.len()
            } else {
                self.block(block).table.len() / 2
            };
            let right = self.new_block(plan, block, at);
            let depth = path.len() - 1;
            self.insert_child(plan, &path, depth, right);
            change = Change::Split { left: block, at, right };
            (path, block) = self.descend(key);
        }
        let table = &mut self.block_mut(block).table;
        let row = table.place(key);
        table.insert(row, words);
        self.rows += 1;
        self.refresh_last(&path);
        (path, block, row, change)
    }

    /// Links a new block behind another and moves the rows from `at` on into it.
    fn new_block(&mut self, plan: &HistoryPlan, left: u32, at: usize) -> u32 {
        let right = self.spare_blocks.pop().unwrap_or_else(|| {
            self.blocks.push(Block { table: Table::default(), prev: NONE, next: NONE });
            id_of(self.blocks.len() - 1)
        });
        let moved = self.block(left).table.len() - at;
        let wanted = plan.sizes.block_for(self.rows);
        let mut table = std::mem::take(&mut self.room);
        if table.capacity() < (wanted / 2).max(2 * moved) {
            table = Table::new(plan.layout.width(), wanted.max(2 * moved));
        }
        self.block_mut(left).table.move_tail(at, &mut table);
        let next = self.block(left).next;
        *self.block_mut(right) = Block { table, prev: left, next };
        self.block_mut(left).next = right;
        if next == NONE {
            self.tail = right;
        } else {
            self.block_mut(next).prev = right;
        }
        right
    }

    /// Puts a child in behind the one that the path leads to at a depth, splitting the node if it is full.
    fn insert_child(&mut self, plan: &HistoryPlan, path: &Path, depth: usize, new: u32) {
        let Some(&Step { node, child }) = path.get(depth) else { return };
        let level = self.height - 1 - depth;
        let len = self.node(node).children.len();
        if len < plan.sizes.fan {
            self.node_mut(node).insert(plan, child + 1, new);
            self.refresh(plan, level, node, child);
            self.refresh(plan, level, node, child + 1);
            return;
        }
        // In time order blocks come at the end: leave full nodes behind, not half-full ones.
        let at = if child + 1 == len { len } else { len / 2 };
        let right = self.new_node();
        let mut moved = std::mem::take(self.node_mut(right));
        self.node_mut(node).move_tail(plan, at, &mut moved);
        *self.node_mut(right) = moved;
        if child < at && at < len {
            self.node_mut(node).insert(plan, child + 1, new);
            self.refresh(plan, level, node, child + 1);
        } else {
            self.node_mut(right).insert(plan, child + 1 - at, new);
            self.refresh(plan, level, right, child + 1 - at);
        }
        match child.checked_sub(at) {
            None => self.refresh(plan, level, node, child),
            Some(child) => self.refresh(plan, level, right, child),
        }
        if depth > 0 {
            self.insert_child(plan, path, depth - 1, right);
            return;
        }
        let root = self.new_node();
        self.node_mut(root).insert(plan, 0, node);
        self.node_mut(root).insert(plan, 1, right);
        self.root = root;
        self.height += 1;
        self.refresh(plan, level + 1, root, 0);
        self.refresh(plan, level + 1, root, 1);
    }

    fn new_node(&mut self) -> u32 {
        self.spare_nodes.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            id_of(self.nodes.len() - 1)
        })
    }

    /// Computes a child's key, totals and extremes again; at level 0 children are blocks.
    fn refresh(&mut self, plan: &HistoryPlan, level: usize, node: u32, child: usize) {
        let id = self.node(node).children.get(child).copied().unwrap_or(self.tail);
        let mut entry = std::mem::take(self.node_mut(node));
        let lanes = plan.extremes.len();
        let totals = entry.totals.get_mut(child * plan.totals..(child + 1) * plan.totals).unwrap_or(&mut []);
        let extremes = entry.extremes.get_mut(child * lanes..(child + 1) * lanes).unwrap_or(&mut []);
        totals.fill(0);
        extremes.fill(None);
        let last = if level == 0 {
            let table = &self.block(id).table;
            totals_of(plan, table, 0..table.len(), totals);
            for (lane, extremes) in plan.extremes.iter().zip(extremes) {
                *extremes = extremes_of(lane, table, 0..table.len());
            }
            table.last_key()
        } else {
            let below = self.node(id);
            for grandchild in 0..below.children.len() {
                exact::add(totals, below.totals(plan, grandchild));
                let from = below.extremes(plan, grandchild);
                for ((lane, to), from) in plan.extremes.iter().zip(extremes.iter_mut()).zip(from) {
                    *to = join(lane, *to, *from);
                }
            }
            below.last.last().copied()
        };
        if let Some(to) = entry.last.get_mut(child) {
            *to = last.unwrap_or(KEY_MAX);
        }
        *self.node_mut(node) = entry;
    }

    /// Computes the greatest keys along a path again.
    fn refresh_last(&mut self, path: &Path) {
        let block = path.last().and_then(|step| self.node(step.node).children.get(step.child).copied());
        let mut last = block.and_then(|block| self.block(block).table.last_key()).unwrap_or(KEY_MAX);
        for step in path.iter().rev() {
            let node = self.node_mut(step.node);
            if let Some(to) = node.last.get_mut(step.child) {
                *to = last;
            }
            last = node.last.last().copied().unwrap_or(KEY_MAX);
        }
    }

    /// Adds to the totals along a path, from word `at` on.
    pub(crate) fn add(&mut self, plan: &HistoryPlan, path: &Path, at: usize, delta: &[i128]) {
        for step in path {
            let from = step.child * plan.totals + at;
            if let Some(totals) = self.node_mut(step.node).totals.get_mut(from..from + delta.len()) {
                exact::add(totals, delta);
            }
        }
    }

    /// Takes a row that is new, or newly matches, into the extremes along its path.
    pub(crate) fn raise_extremes(&mut self, plan: &HistoryPlan, path: &Path, block: u32, row: usize) {
        let lanes = plan.extremes.len();
        for (at, lane) in plan.extremes.iter().enumerate() {
            let Some(own) = extremes_of(lane, &self.block(block).table, row..row + 1) else { continue };
            for step in path {
                if let Some(to) = self.node_mut(step.node).extremes.get_mut(step.child * lanes + at) {
                    *to = join(lane, *to, Some(own));
                }
            }
        }
    }

    /// Computes totals and extremes along a path again, from the block up.
    pub(crate) fn refresh_path(&mut self, plan: &HistoryPlan, path: &Path) {
        for (level, step) in path.iter().rev().enumerate() {
            self.refresh(plan, level, step.node, step.child);
        }
    }

    /// Takes the first block out, which must not be the only one; its rows may be read until [`Tree::recycle`].
    pub(crate) fn pop_head(&mut self, plan: &HistoryPlan) -> u32 {
        let (mut path, block) = self.descend_by(|_| false);
        let next = self.block(block).next;
        self.block_mut(next).prev = NONE;
        self.head = next;
        self.rows -= self.block(block).table.len();
        while let Some(step) = path.pop() {
            self.node_mut(step.node).remove(plan, step.child);
            if !self.node(step.node).children.is_empty() {
                break;
            }
            self.spare_nodes.push(step.node);
        }
        let above = path.len();
        for (depth, step) in path.iter().enumerate().take(above).rev() {
            self.refresh(plan, self.height - 1 - depth, step.node, step.child);
        }
        while self.height > 1 && self.node(self.root).children.len() == 1 {
            let child = self.node(self.root).children.first().copied().unwrap_or(self.root);
            let root = self.root;
            self.node_mut(root).remove(plan, 0);
            self.spare_nodes.push(root);
            self.root = child;
            self.height -= 1;
        }
        block
    }

    /// Makes a block that was taken out available again, and keeps its room if none is kept that fits.
    pub(crate) fn recycle(&mut self, plan: &HistoryPlan, block: u32) {
        let wanted = plan.sizes.block_for(self.rows);
        let mut table = std::mem::take(&mut self.block_mut(block).table);
        if self.room.capacity() == 0 && (wanted / 2..=2 * wanted).contains(&table.capacity()) {
            table.clear();
            self.room = table;
        }
        self.spare_blocks.push(block);
    }

    /// The extremes of the rows from one place to before another.
    pub(crate) fn extremes(
        &self,
        plan: &HistoryPlan,
        at: usize,
        from: (u32, usize),
        to: (u32, usize),
    ) -> Option<Extremes> {
        let lane = plan.extremes.get(at)?;
        let (first, last) = (&self.block(from.0).table, &self.block(to.0).table);
        if from.0 == to.0 {
            return extremes_of(lane, first, from.1..to.1);
        }
        let mut found =
            join(lane, extremes_of(lane, first, from.1..first.len()), extremes_of(lane, last, 0..to.1));
        let (Some(first), Some(last)) = (first.last_key(), last.last_key()) else { return found };
        let ((left, _), (right, _)) = (self.descend(first), self.descend(last));
        let mut apart = false;
        for (left, right) in left.iter().zip(&right) {
            let (a, b) = (self.node(left.node), self.node(right.node));
            let mut fold = |node: &Node, children: Range<usize>| {
                for child in children {
                    let own = node.extremes(plan, child).get(at).copied().flatten();
                    found = join(lane, found, own);
                }
            };
            if apart {
                fold(a, left.child + 1..a.children.len());
                fold(b, 0..right.child);
            } else {
                fold(a, left.child + 1..right.child);
                apart = left.child != right.child;
            }
        }
        found
    }

    /// The first block behind a key's, or the last one before it, in which a count lane is not zero.
    pub(crate) fn block_with(
        &self,
        plan: &HistoryPlan,
        lane: usize,
        beside: Key,
        behind: bool,
    ) -> Option<u32> {
        let (path, _) = self.descend(beside);
        for (depth, step) in path.iter().enumerate().rev() {
            let node = self.node(step.node);
            let holds = |child: &usize| node.totals(plan, *child).get(lane).is_some_and(|count| *count != 0);
            let child = if behind {
                (step.child + 1..node.children.len()).find(holds)
            } else {
                (0..step.child).rev().find(holds)
            };
            if let Some(child) = child {
                return self.outermost(plan, lane, step.node, child, self.height - 1 - depth, behind);
            }
        }
        None
    }

    /// The first or last block below a child in which a count lane is not zero.
    fn outermost(
        &self,
        plan: &HistoryPlan,
        lane: usize,
        node: u32,
        child: usize,
        level: usize,
        first: bool,
    ) -> Option<u32> {
        let mut at = self.node(node).children.get(child).copied()?;
        for _ in 0..level {
            let node = self.node(at);
            let mut holds = (0..node.children.len())
                .filter(|child| node.totals(plan, *child).get(lane).is_some_and(|count| *count != 0));
            let child = if first { holds.next() } else { holds.next_back() }?;
            at = node.children.get(child).copied()?;
        }
        Some(at)
    }
}

/// What an insertion did to the blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// The rows from `at` on of one block stand in a new one behind it.
    Split { left: u32, at: usize, right: u32 },
}

fn id_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NONE)
}
