//! Features: in which order they are checked, and on which event types each has a meaning.

use std::collections::BTreeMap;

use super::domain::for_each_path;
use super::missing;
use super::names::{Checker, Global, Placed};
use super::scope::{Exprs, Scope};
use crate::diagnostic::Code;
use crate::syntax::ast;
use crate::typed::{Definition, FeatureId};

/// Checks all features, those that are read before those that read them. Gives the named ones in file order.
pub(super) fn check(checker: &mut Checker<'_>) -> Vec<FeatureId> {
    let items = std::mem::take(&mut checker.feature_items);
    for index in in_order(checker, &items) {
        if let Some(placed) = items.get(index) {
            checker.reports.enter(placed.file);
            let id = feature(checker, placed.item);
            checker.globals.insert(&placed.item.name.text, Global::Feature(id));
        }
    }
    for placed in checker.taken_features.clone() {
        checker.reports.enter(placed.file);
        feature(checker, placed.item);
    }
    let id_of = |it: &Placed<'_, ast::Feature>| match checker.globals.get(it.item.name.text.as_str()) {
        Some(Global::Feature(id)) => *id,
        _ => None,
    };
    let order = items.iter().filter_map(id_of).collect();
    checker.feature_items = items;
    order
}

/// Checks what is to be recorded.
pub(super) fn check_record(checker: &mut Checker<'_>) -> Vec<FeatureId> {
    let mut record = Vec::new();
    for placed in checker.record_items.clone() {
        checker.reports.enter(placed.file);
        for name in placed.item {
            match checker.globals.get(name.text.as_str()) {
                Some(Global::Feature(Some(id))) => record.push(*id),
                Some(Global::Feature(None)) => {}
                _ => {
                    let features = checker.feature_items.iter().map(|it| it.item.name.text.as_str());
                    let features: Vec<&str> = features.collect();
                    checker.reports.unknown(Code::UnknownName, name.span, "feature", &name.text, features);
                }
            }
        }
    }
    record.sort_unstable();
    record.dedup();
    record
}

fn feature(checker: &mut Checker<'_>, item: &ast::Feature) -> Option<FeatureId> {
    let name = item.name.text.clone();
    let span = item.name.span;
    if let ast::ExprKind::Aggregate(aggregate) = &item.value.kind {
        return checker.aggregate_feature(aggregate, name, span);
    }
    let domain = checker.domain_of(&item.value);
    if domain.is_empty() && !checker.schema.events.is_empty() {
        checker.reports.error_with_help(
            Code::EmptyDomain,
            item.value.span,
            "no event type has all that this reads",
            "a feature reads fields of one event; of others it reads through aggregates",
        );
    }
    let value = Exprs { checker, scope: Scope::of(domain.clone(), &name) }.check(&item.value)?;
    if domain.is_empty() {
        return None;
    }
    let absence = missing::absence(&value, &checker.absences);
    checker.add_feature(name, span, value.ty, domain, absence, Definition::Expr(value))
}

/// Where a walk stands with a feature.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Unseen,
    /// Its readers are being walked; to meet it again is a cycle.
    Open,
    Done,
}

/// A feature stands on others at most so deep, so that computing it on demand needs little stack.
const DEPTH_MAX: usize = 100;

/// Indices of the items, dependencies first, else in file order; a cycle is reported, and each on it reads one that is
/// not known yet. A walk with a stack of its own, for a chain of features may be as long as a file.
fn in_order(checker: &mut Checker<'_>, items: &[Placed<'_, ast::Feature>]) -> Vec<usize> {
    let by_name: BTreeMap<&str, usize> =
        items.iter().enumerate().map(|(index, it)| (it.item.name.text.as_str(), index)).collect();
    let reads: Vec<Vec<usize>> = items.iter().map(|it| features_read(it.item, &by_name)).collect();
    let mut marks = vec![Mark::Unseen; items.len()];
    let mut order = Vec::with_capacity(items.len());
    let mut on_cycle = vec![false; items.len()];
    for start in 0..items.len() {
        let mut path: Vec<(usize, usize)> = Vec::new();
        enter(start, &mut marks, &mut path);
        while let Some((index, next)) = path.last_mut() {
            let index = *index;
            let read = reads.get(index).and_then(|it| it.get(*next)).copied();
            *next += 1;
            match read {
                Some(read) if marks.get(read) == Some(&Mark::Open) => {
                    report_cycle(checker, items, &path, read, &mut on_cycle);
                }
                Some(read) => enter(read, &mut marks, &mut path),
                None => {
                    path.pop();
                    set(&mut marks, index, Mark::Done);
                    order.push(index);
                }
            }
        }
    }
    report_too_deep(checker, items, &reads, &order);
    order
}

/// Reports the first feature of a chain that stands too deep. What stands on it is checked like any other.
fn report_too_deep(
    checker: &mut Checker<'_>,
    items: &[Placed<'_, ast::Feature>],
    reads: &[Vec<usize>],
    order: &[usize],
) {
    let mut depths = vec![0_usize; items.len()];
    for index in order {
        let below = reads.get(*index).into_iter().flatten().filter_map(|it| depths.get(*it)).max();
        let depth = below.map_or(1, |it| it + 1);
        set(&mut depths, *index, depth);
        if let (true, Some(placed)) = (depth == DEPTH_MAX + 1, items.get(*index)) {
            let name = &placed.item.name;
            checker.reports.enter(placed.file);
            checker.reports.error_with_help(
                Code::TooMany,
                name.span,
                format!("`{}` stands on more than {DEPTH_MAX} features, one on the other", name.text),
                "put several steps into one feature",
            );
        }
    }
}

fn enter(index: usize, marks: &mut [Mark], path: &mut Vec<(usize, usize)>) {
    if marks.get(index) == Some(&Mark::Unseen) {
        set(marks, index, Mark::Open);
        path.push((index, 0));
    }
}

fn set<T>(all: &mut [T], index: usize, value: T) {
    if let Some(it) = all.get_mut(index) {
        *it = value;
    }
}

/// The features that an item names, each once, in the order of the text.
fn features_read(item: &ast::Feature, by_name: &BTreeMap<&str, usize>) -> Vec<usize> {
    let mut read = Vec::new();
    for_each_path(&item.value, &mut |path| {
        if let Some(index) = path.names.last().and_then(|it| by_name.get(it.text.as_str()))
            && !read.contains(index)
        {
            read.push(*index);
        }
    });
    read
}

fn report_cycle(
    checker: &mut Checker<'_>,
    items: &[Placed<'_, ast::Feature>],
    path: &[(usize, usize)],
    back_to: usize,
    on_cycle: &mut [bool],
) {
    let cycle: Vec<usize> = path.iter().map(|(it, _)| *it).skip_while(|it| *it != back_to).collect();
    let name = |it: &usize| items.get(*it).map_or("?", |it| it.item.name.text.as_str());
    let known = cycle.iter().any(|it| on_cycle.get(*it) == Some(&true));
    for index in &cycle {
        set(on_cycle, *index, true);
    }
    let Some(first) = items.get(back_to).filter(|_| !known) else { return };
    let mut steps: Vec<String> = cycle.iter().map(|it| format!("`{}`", name(it))).collect();
    steps.push(format!("`{}`", first.item.name.text));
    checker.reports.enter(first.file);
    checker.reports.error_with_help(
        Code::FeatureCycle,
        first.item.name.span,
        format!("`{}` reaches itself", first.item.name.text),
        format!("{}: take one of these steps out", steps.join(" reads ")),
    );
}
