//! What is counted while a file is replayed: outcomes, hits, alerts, and with labels how well the score tells fraud.

use engine::event::Change;
use engine::words::Ruling;
use rules::past::{Label, Outcome};

/// Counts of a run.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Tally {
    /// Events decided.
    pub(crate) decided: u64,
    /// Events and amendments that were repeats.
    pub(crate) repeated: u64,
    /// Events that were late, and too late.
    pub(crate) late: (u64, u64),
    /// Amendments applied.
    pub(crate) amendments: u64,
    /// Rows refused.
    pub(crate) rejects: u64,
    /// Labels among them: what they tell is in no figure of [`Detection`].
    pub(crate) lost_labels: u64,
    /// By outcome's number.
    pub(crate) outcomes: [u64; 4],
    /// By rule.
    pub(crate) hits: Vec<u64>,
    /// Events with at least one hit.
    pub(crate) rows_hit: u64,
    /// By severity's number.
    pub(crate) alerts: [u64; 4],
    /// Features computed from the past.
    pub(crate) features_computed: u64,
    /// By the position's distance from the first: what was decided, and what turned out to be true.
    judged: Vec<Judged>,
    first_position: Option<u64>,
    labels: u64,
}

#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Judged {
    score_e6: i64,
    /// Whether there was an event at this position, and not an amendment.
    event: bool,
    stopped: bool,
    fraud: bool,
}

/// How well decisions and scores tell fraud from the rest.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Detection {
    /// Events labelled as fraud.
    pub(crate) fraud: u64,
    /// All other events.
    pub(crate) other: u64,
    /// Of those challenged or blocked, the share that was fraud.
    pub(crate) precision: Option<f64>,
    /// Of the fraud, the share challenged or blocked.
    pub(crate) recall: Option<f64>,
    /// Of the rest, the share challenged or blocked.
    pub(crate) false_positive_rate: Option<f64>,
    /// Area under the ROC curve of the score, ties counted half.
    pub(crate) auc_roc: Option<f64>,
    /// Average precision of the score: the sum over thresholds of (gain in recall) × precision.
    pub(crate) average_precision: Option<f64>,
}

impl Tally {
    pub(crate) fn new(rules: usize) -> Self {
        Self { hits: vec![0; rules], ..Self::default() }
    }

    /// Counts a decision.
    pub(crate) fn decision(&mut self, position: u64, ruling: &Ruling) {
        if ruling.flags.repeated {
            self.repeated += 1;
            return;
        }
        self.decided += 1;
        self.late.0 += u64::from(ruling.flags.late);
        self.late.1 += u64::from(ruling.flags.too_late);
        let outcome = ruling.verdict.outcome;
        count(&mut self.outcomes, outcome as usize);
        self.rows_hit += u64::from(!ruling.verdict.hits.is_empty());
        for hit in &ruling.verdict.hits {
            count(&mut self.hits, hit.rule.index());
        }
        for alert in &ruling.verdict.alerts {
            count(&mut self.alerts, alert.severity as usize);
        }
        let stopped = matches!(outcome, Outcome::Block | Outcome::Challenge);
        let first = *self.first_position.get_or_insert(position);
        let Some(at) = position.checked_sub(first).and_then(|at| usize::try_from(at).ok()) else { return };
        // Positions rise by one or, where an amendment stands between, by a few.
        self.judged.resize(at.max(self.judged.len()), Judged::default());
        self.judged.push(Judged { score_e6: ruling.verdict.score_e6, event: true, stopped, fraud: false });
    }

    /// Counts an amendment of the event at a position; none if it is a repeat.
    pub(crate) fn amended(&mut self, event: Option<u64>, change: &Change) {
        let Some(event) = event else {
            self.repeated += 1;
            return;
        };
        self.amendments += 1;
        if let Change::Label(label, _) = change {
            self.label(event, *label);
        }
    }

    /// Notes what turned out to be true of the event at a position.
    pub(crate) fn label(&mut self, position: u64, label: Label) {
        self.labels += 1;
        let at = self.first_position.and_then(|first| position.checked_sub(first));
        let Some(at) = at.and_then(|at| usize::try_from(at).ok()) else { return };
        if let Some(judged) = self.judged.get_mut(at) {
            judged.fraud = label == Label::Fraud;
        }
    }

    /// How well fraud was told; none without labels.
    pub(crate) fn detection(&self) -> Option<Detection> {
        if self.labels == 0 {
            return None;
        }
        let mut events: Vec<Judged> = self.judged.iter().filter(|it| it.event).copied().collect();
        let number = |is: &dyn Fn(&Judged) -> bool| events.iter().filter(|it| is(it)).count() as u64;
        let fraud = number(&|it| it.fraud);
        let other = number(&|it| !it.fraud);
        let caught = number(&|it| it.fraud && it.stopped);
        let wrong = number(&|it| !it.fraud && it.stopped);
        events.sort_unstable_by_key(|it| std::cmp::Reverse(it.score_e6));
        let (auc_roc, average_precision) = ranking(&events, fraud, other);
        Some(Detection {
            fraud,
            other,
            precision: share(caught, caught + wrong),
            recall: share(caught, fraud),
            false_positive_rate: share(wrong, other),
            auc_roc,
            average_precision,
        })
    }
}

/// Area under the ROC curve and average precision of events in falling order of score; equal scores are one step.
#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2⁵³")]
fn ranking(events: &[Judged], fraud: u64, other: u64) -> (Option<f64>, Option<f64>) {
    let (mut caught, mut wrong, mut area, mut precision) = (0_u64, 0_u64, 0.0, 0.0);
    for step in events.chunk_by(|a, b| a.score_e6 == b.score_e6) {
        let gained = step.iter().filter(|it| it.fraud).count() as u64;
        let missed = step.len() as u64 - gained;
        area += missed as f64 * (caught as f64 + gained as f64 / 2.0);
        caught += gained;
        wrong += missed;
        precision += gained as f64 * (caught as f64 / (caught + wrong) as f64);
    }
    let both = fraud > 0 && other > 0;
    let auc = both.then(|| area / (fraud as f64 * other as f64));
    (auc, (fraud > 0).then(|| precision / fraud as f64))
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2⁵³")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn count(counts: &mut [u64], at: usize) {
    if let Some(count) = counts.get_mut(at) {
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores with labels (1 = fraud), expected area and average precision as scikit-learn gives them.
    #[track_caller]
    fn check(rows: &[(i64, u8)], auc: f64, ap: f64) {
        let mut tally = Tally::new(0);
        for (position, (score, fraud)) in (7..).zip(rows) {
            let mut ruling = Ruling::default();
            ruling.verdict.score_e6 = *score;
            tally.decision(position, &ruling);
            if *fraud == 1 {
                tally.label(position, Label::Fraud);
            }
        }
        let detection = tally.detection().unwrap();
        assert!((detection.auc_roc.unwrap() - auc).abs() < 1e-12, "{detection:?}");
        assert!((detection.average_precision.unwrap() - ap).abs() < 1e-12, "{detection:?}");
    }

    #[test]
    fn ranking_by_score() {
        check(&[(1, 0), (4, 0), (35, 1), (80, 1)], 1.0, 1.0);
        check(&[(10, 0), (40, 0), (35, 1), (80, 1)], 0.75, 0.8333333333333333);
        check(&[(5, 0), (5, 1), (5, 0), (5, 1)], 0.5, 0.5);
        check(&[(3, 1), (2, 0), (2, 1), (1, 0)], 0.875, 0.8333333333333333);
    }
}
