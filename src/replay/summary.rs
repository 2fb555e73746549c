//! What a run came to, said at its end.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use engine::rule_set::RuleSet;
use rules::past::Outcome;
use rules::typed::{Mode, Severity};
use stream::fold::Outcomes;

use super::tally::{Detection, Tally};
use crate::figures::{counted, grouped, percent, rate, ratio, write_unusual};

/// Everything that the summary says.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) tally: Tally,
    pub(crate) elapsed: Duration,
    /// Of a journal: what of it counts as the past.
    pub(crate) past: Option<Past>,
    /// Labels that are not known yet.
    pub(crate) pending: usize,
    /// Rows that the mapping leaves out.
    pub(crate) skipped: u64,
    /// Cells of features whose texts are not remembered.
    pub(crate) forgotten: u64,
    /// Where bad rows went.
    pub(crate) rejects: PathBuf,
}

/// What of a journal counts as the past.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Past {
    pub(crate) history: Outcomes,
    /// Deadlines that were missed when the journal was written.
    pub(crate) missed: u64,
}

impl Past {
    fn write(self, text: &mut String) -> std::fmt::Result {
        let (whose, [one, more]) = match self.history {
            Outcomes::Own => ("own: outcomes of these rules", ["does not count", "do not count"]),
            Outcomes::Recorded => (
                "recorded: outcomes as the journal says",
                ["counts as it was answered", "count as they were answered"],
            ),
        };
        write!(text, "history    {whose}")?;
        if 0 < self.missed {
            let missed = counted(self.missed, "missed deadline");
            write!(text, "; {missed} {}", if self.missed == 1 { one } else { more })?;
        }
        writeln!(text)
    }
}

impl Summary {
    /// Whether no row was read at all.
    pub(crate) fn is_of_no_row(&self) -> bool {
        let Tally { decided, repeated, amendments, rejects, .. } = self.tally;
        decided + repeated + amendments + rejects + self.skipped == 0
    }

    /// The summary as text, a line each.
    pub(crate) fn say(&self, rules: &RuleSet) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(rules, &mut text);
        text
    }

    fn write(&self, rules: &RuleSet, text: &mut String) -> std::fmt::Result {
        let tally = &self.tally;
        let seconds = self.elapsed.as_secs_f64();
        writeln!(
            text,
            "{} decided in {seconds:.2} s ({}/s)",
            counted(tally.decided, "event"),
            grouped(rate(tally.decided, seconds))
        )?;
        self.write_rows(text)?;
        self.past.map_or(Ok(()), |past| past.write(text))?;
        let outcomes = [Outcome::Allow, Outcome::Challenge, Outcome::Block];
        let outcomes = outcomes.map(|it| (it.name(), tally.outcomes.get(it as usize).copied().unwrap_or(0)));
        writeln!(text, "outcomes   {}", counts(outcomes, tally.decided))?;
        let alerts = Severity::NAMES.iter().copied().zip(tally.alerts);
        writeln!(text, "alerts     {}", counts(alerts, tally.decided))?;
        if 0 < tally.decided {
            let per_row = ratio(tally.features_computed, tally.decided);
            writeln!(text, "features   {per_row:.2} computed from the past per event")?;
        }
        self.write_hits(rules, text)?;
        if let Some(detection) = tally.detection() {
            write_detection(text, &detection)?;
        }
        if 0 < tally.lost_labels {
            let lost = counted(tally.lost_labels, "rejected label");
            writeln!(text, "  without {lost}: fraud that is known from nowhere else counts as other")?;
        }
        Ok(())
    }

    /// What is unusual about the rows: only what there is.
    fn write_rows(&self, text: &mut String) -> std::fmt::Result {
        let tally = &self.tally;
        let unusual = [
            (tally.amendments, "amendment", " applied"),
            (self.pending as u64, "label", " not known yet"),
            (tally.late.0, "", "late"),
            (tally.late.1, "", "too late"),
            (tally.repeated, "", "repeated"),
            (self.skipped, "", "left out by the mapping"),
            (
                self.forgotten,
                "cell",
                " of features left empty: their texts came before this, by another way than a replay",
            ),
        ];
        write_unusual(text, &unusual)?;
        if 0 < tally.rejects {
            writeln!(
                text,
                "           {} rejected: see `{}`",
                grouped(tally.rejects),
                self.rejects.display()
            )?;
        }
        Ok(())
    }

    fn write_hits(&self, rules: &RuleSet, text: &mut String) -> std::fmt::Result {
        let total: u64 = self.tally.hits.iter().sum();
        let share = percent(self.tally.rows_hit, self.tally.decided);
        let events = counted(self.tally.rows_hit, "event");
        writeln!(text, "hits       {} on {events} ({share})", grouped(total))?;
        let width = rules.typed.rules.iter().map(|rule| rule.name.chars().count()).max().unwrap_or(0);
        for (rule, hits) in rules.typed.rules.iter().zip(&self.tally.hits) {
            let mode = match rule.mode {
                Mode::Live => "",
                Mode::Shadow => "  shadow",
                Mode::Off => "  off",
            };
            writeln!(text, "  {:width$}  {:>12}{mode}", rule.name, grouped(*hits))?;
        }
        Ok(())
    }
}

fn write_detection(text: &mut String, detection: &Detection) -> std::fmt::Result {
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |it| format!("{it:.4}"));
    writeln!(text, "detection  {} fraud, {} other", grouped(detection.fraud), grouped(detection.other))?;
    writeln!(
        text,
        "  challenged or blocked: precision {}, recall {}, false-positive rate {}",
        number(detection.precision),
        number(detection.recall),
        number(detection.false_positive_rate)
    )?;
    writeln!(
        text,
        "  score: AUC ROC {}, average precision {}",
        number(detection.auc_roc),
        number(detection.average_precision)
    )
}

/// Names with their counts, and shares of a whole.
fn counts<'a>(counts: impl IntoIterator<Item = (&'a str, u64)>, whole: u64) -> String {
    let each = |(name, count)| format!("{name} {} ({})", grouped(count), percent(count, whole));
    counts.into_iter().map(each).collect::<Vec<_>>().join(", ")
}
