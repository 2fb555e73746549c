//! Literals: exact, and checked as far as they stand alone.

use rust_decimal::Decimal;

use crate::diagnostic::{Code, Diagnostic};
use crate::span::Span;
use crate::syntax::ast::{Date, Duration, Integer, Name, Quantity, Text, Unit};
use crate::syntax::kind::SyntaxKind as K;
use crate::syntax::lexer::is_currency;
use crate::syntax::parser::Parser;
use crate::syntax::written::DURATIONS;
use crate::time::{DAY, HOUR, MILLISECOND, MINUTE, Micros, SECOND, SPAN_MAX, WEEK};

/// text, its quotes taken off
pub(super) fn text(p: &mut Parser<'_>) -> Option<Text> {
    if !p.at(K::Text) {
        // In a rule or test the word may begin its next part.
        let node = p.innermost().map(|(node, _)| node);
        match p.nth_word(0).filter(|_| matches!(node, Some(K::Setting | K::List | K::Table))) {
            Some(word) if !p.at_line_start() => {
                p.expected_with("a text in quotes", format!("put it in quotes: `\"{word}\"`"));
            }
            _ => p.expected("a text in quotes"),
        }
        return None;
    }
    let source = p.current_text();
    let inner = source.strip_prefix('"').unwrap_or(source);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    Some(Text { text: inner.replace("\"\"", "\""), span: p.bump() })
}

/// int
pub(super) fn integer(p: &mut Parser<'_>, what: &str) -> Option<Integer> {
    if !p.at(K::Number) {
        p.expected(what);
        return None;
    }
    let text = p.current_text();
    let span = p.bump();
    if let Ok(value) = text.parse() {
        return Some(Integer { value, span });
    }
    let diagnostic = if let Some((whole, _)) = text.split_once('.') {
        Diagnostic::new(Code::BadNumber, span, format!("`{text}` is not a whole number"))
            .help(format!("leave the point and what is behind it out: `{whole}`"))
    } else {
        Diagnostic::new(Code::NumberTooLarge, span, format!("`{text}` is too large"))
            .help(format!("the greatest number here is {}", u32::MAX))
    };
    p.report_behind(diagnostic);
    None
}

/// dur = digits ("ms" | "s" | "m" | "h" | "d" | "w")
pub(super) fn duration(p: &mut Parser<'_>) -> Option<Duration> {
    if !p.at(K::Duration) {
        let diagnostic = p.expectation("a duration");
        p.report(match glued(p) {
            Some(meant) => diagnostic.help(format!("write `{meant}`")),
            None => diagnostic.help(DURATIONS),
        });
        return None;
    }
    let text = p.current_text();
    let span = p.bump();
    let micros = micros(text).filter(|micros| *micros <= SPAN_MAX);
    if micros.is_none() {
        let message = format!("`{text}` is too long");
        let longest = SPAN_MAX / DAY;
        p.report_behind(
            Diagnostic::new(Code::BadDuration, span, message).help(format!("the longest is `{longest}d`")),
        );
    }
    Some(Duration { micros: micros?, text: text.to_owned(), span })
}

/// The duration that was meant by a number and a word for a unit of time.
fn glued(p: &Parser<'_>) -> Option<String> {
    let number = p.current_text();
    let is_whole = p.at(K::Number) && number.bytes().all(|it| it.is_ascii_digit());
    let unit = match p.nth_word(1).filter(|_| is_whole)? {
        "ms" | "millisecond" | "milliseconds" => "ms",
        "s" | "sec" | "second" | "seconds" => "s",
        "m" | "min" | "minute" | "minutes" => "m",
        "h" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        "w" | "week" | "weeks" => "w",
        _ => return None,
    };
    Some(format!("{number}{unit}"))
}

fn micros(text: &str) -> Option<Micros> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = match unit {
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        "w" => WEEK,
        _ => return None,
    };
    number.parse::<Micros>().ok()?.checked_mul(unit)
}

/// date
pub(super) fn date(p: &mut Parser<'_>) -> Option<Date> {
    if !p.at(K::Date) {
        let diagnostic = p.expectation("a day");
        p.report(diagnostic.help("days are written as `2027-03-31`"));
        return None;
    }
    let text = p.current_text();
    let span = p.bump();
    let day = text.parse().ok();
    if day.is_none() {
        let message = format!("there is no day `{text}` in the calendar");
        let help = match last_of_month(text) {
            Some(last) => format!("the last of that month is `{last}`"),
            None => "days are written year, month and day: `2027-03-31`".to_owned(),
        };
        p.report_behind(Diagnostic::new(Code::BadDate, span, message).help(help));
    }
    Some(Date { day: day?, span })
}

/// The last day of the month of a day that there is not, if there is that month, and the day is not zero.
fn last_of_month(text: &str) -> Option<jiff::civil::Date> {
    let (month, day) = text.rsplit_once('-')?;
    let first: jiff::civil::Date = format!("{month}-01").parse().ok()?;
    (day != "00").then(|| first.last_of_month())
}

/// quantity = number ["%" | "km" | "metres" | "km/h" | CUR]
pub(super) fn quantity(p: &mut Parser<'_>) -> Option<Quantity> {
    if !p.at(K::Number) {
        p.expected("a number");
        return None;
    }
    let text = p.current_text();
    let start = p.span();
    p.bump();
    let value = exact(text);
    if value.is_none() {
        let message = format!("`{text}` has more digits than are counted exactly");
        p.report_behind(Diagnostic::new(Code::NumberTooLarge, start, message).help("use at most 28 digits"));
    }
    let (unit, end) = unit(p, start);
    Some(Quantity { value: value?, unit, span: Span { start: start.start, end } })
}

fn exact(text: &str) -> Option<Decimal> {
    // `Decimal` would take more digits after the point and round them.
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if digits <= 28 { Decimal::from_str_exact(text).ok() } else { None }
}

/// The unit behind a number, and where it ends.
fn unit(p: &mut Parser<'_>, number: Span) -> (Unit, u32) {
    if p.at(K::Percent) {
        return (Unit::Percent, p.bump().end);
    }
    match p.nth_word(0) {
        // `km/h` is three tokens, and one unit only where they touch.
        Some("km")
            if p.nth(1) == K::Slash
                && p.nth_word(2) == Some("h")
                && p.nth_is_glued(1)
                && p.nth_is_glued(2) =>
        {
            p.bump();
            p.bump();
            (Unit::KilometresPerHour, p.bump().end)
        }
        Some("km") => (Unit::Kilometres, p.bump().end),
        Some("metres") => (Unit::Metres, p.bump().end),
        Some(word) if is_currency(word) => {
            let name = Name { text: word.to_owned(), span: p.bump() };
            let end = name.span.end;
            (Unit::Currency(name), end)
        }
        _ => (Unit::None, number.end),
    }
}
