//! What a run came to, said at its end.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use engine::rule_set::RuleSet;
use rules::past::Outcome;
use rules::typed::{Mode, Severity};
use stream::fold::Outcomes;

use super::tally::{Detection, Tally};
use crate::rules_command::noun_of;

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

/// A share of a whole in hundredths.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "–".to_owned() } else { format!("{:.2} %", 100.0 * ratio(part, whole)) }
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2⁵³")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// How many a second, rounded down.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of rows are far below 2⁵³, and a rate is no less than 0"
)]
pub(crate) fn rate(count: u64, seconds: f64) -> u64 {
    if seconds > 0.0 { (count as f64 / seconds).round() as u64 } else { 0 }
}

/// A number with its noun, and a comma between thousands.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {}", grouped(number), noun_of(number == 1, noun))
}

/// A line each for what there is: how many, of what, and what of them. Where there is no noun the rest stands alone.
pub(crate) fn write_unusual(text: &mut String, unusual: &[(u64, &str, &str)]) -> std::fmt::Result {
    for (count, noun, rest) in unusual.iter().filter(|(count, ..)| 0 < *count) {
        let what = if noun.is_empty() { grouped(*count) + " " } else { counted(*count, noun) };
        writeln!(text, "           {what}{rest}")?;
    }
    Ok(())
}

/// A number with a comma between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{grouped, write_unusual};

    #[test]
    fn thousands_are_set_apart() {
        let pairs = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_138_104, "1,138,104")];
        for (number, text) in pairs {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn what_is_unusual_is_counted_with_its_noun() {
        let check = |count, line: &str| {
            let mut text = String::new();
            write_unusual(&mut text, &[(count, "label", " not known yet"), (count, "", "late")]).unwrap();
            assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), line);
        };
        check(0, "");
        check(1, "1 label not known yet 1 late");
        check(2_000, "2,000 labels not known yet 2,000 late");
    }
}
