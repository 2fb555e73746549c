//! Figures as people read them: numbers, rates, shares, and counts with their nouns.

use std::fmt::Write as _;

/// A share of a whole in percent, to a hundredth of one.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "–".to_owned() } else { format!("{:.2} %", 100.0 * ratio(part, whole)) }
}

/// A part of a whole, as a number.
#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2⁵³")]
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// How many a second, rounded to the nearest; 0 where no time has passed.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of rows are far below 2⁵³, and a rate is no less than 0"
)]
pub(crate) fn rate(count: u64, seconds: f64) -> u64 {
    if seconds > 0.0 { (count as f64 / seconds).round() as u64 } else { 0 }
}

/// A number with its noun, and a comma between thousands. See [`plainly_counted`] for one without.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {}", grouped(number), noun_of(number == 1, noun))
}

/// A number with its noun, its digits as they are: so what a rule set holds is counted.
pub(crate) fn plainly_counted(number: usize, noun: &str) -> String {
    format!("{number} {}", noun_of(number == 1, noun))
}

/// A noun as it stands behind a number: of one, or of another.
fn noun_of(is_one: bool, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if is_one => noun.to_owned(),
        Some(stem) => format!("{stem}ies"),
        None => format!("{noun}s"),
    }
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
    use super::{grouped, plainly_counted, write_unusual};

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

    #[test]
    fn counts_have_their_plural() {
        assert_eq!([0, 1, 2].map(|it| plainly_counted(it, "rule")), ["0 rules", "1 rule", "2 rules"]);
        assert_eq!([1, 2].map(|it| plainly_counted(it, "policy")), ["1 policy", "2 policies"]);
    }
}
