//! How it looks: from what was seen to lines of text, and nothing else.

use std::time::Duration;

use console::{Alignment, Style, measure_text_width, pad_str, truncate_str};
use rules::time::Micros;

use super::live::Alert;
use super::scene::{Contact, Row, Scene};
use crate::figures::{counted, grouped};
use crate::send::tally::millis;
use crate::simulate::AmountMinor;

/// With colours or without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Look {
    Coloured,
    Plain,
}

impl Look {
    fn paint(self, style: Style, text: &str) -> String {
        match self {
            Self::Coloured => style.force_styling(true).apply_to(text).to_string(),
            Self::Plain => text.to_owned(),
        }
    }

    fn dim(self, text: &str) -> String {
        self.paint(Style::new().dim(), text)
    }

    fn bold(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// An outcome or a severity, in a column so wide.
    fn grade(self, name: &str, width: usize) -> String {
        let style = match name {
            "allow" => Style::new().green(),
            "challenge" | "medium" => Style::new().yellow(),
            "block" | "high" => Style::new().red(),
            "critical" => Style::new().white().bold().on_red(),
            _ => Style::new(),
        };
        let padded = format!("{name:<width$}");
        let (word, room) = padded.split_at(name.len());
        self.paint(style, word) + room
    }
}

/// Columns from which alerts stand beside decisions; below, they stand under them.
const WIDE: usize = 120;
/// Of alerts beside decisions.
const ALERT_COLUMNS: usize = 42;
const BETWEEN: &str = " │ ";
/// The whole screen, of `(columns, lines)`.
pub(super) fn screen(
    scene: &Scene,
    elapsed: Duration,
    (width, height): (usize, usize),
    look: Look,
) -> Vec<String> {
    let foot = foot(scene, elapsed, width, look);
    let mut drawn = vec![title(&scene.contact, look), String::new()];
    // Below the heads.
    let room = height.saturating_sub(drawn.len() + 1 + foot.len());
    if WIDE <= width {
        let left = width - ALERT_COLUMNS - measure_text_width(BETWEEN);
        let (decisions, alerts) = (decisions(scene, room, look), alerts(scene, room, look));
        for at in 0..=room {
            let cell = |lines: &[String]| lines.get(at).cloned().unwrap_or_default();
            let decision = pad_str(&cell(&decisions), left, Alignment::Left, Some("…")).into_owned();
            drawn.push(decision + &look.dim(BETWEEN) + &cell(&alerts));
        }
    } else {
        // A third for alerts, with a head of their own.
        let of_alerts = room / 3;
        let of_decisions = room.saturating_sub(of_alerts + 1);
        drawn.extend(decisions(scene, of_decisions, look));
        drawn.resize(3 + of_decisions, String::new());
        drawn.extend(alerts(scene, of_alerts, look));
    }
    drawn.resize(3 + room, String::new());
    drawn.extend(foot);
    drawn.truncate(height);
    drawn.iter().map(|it| truncate_str(it, width, "…").into_owned()).collect()
}

fn title(contact: &Contact, look: Look) -> String {
    let name = look.bold(concat!("Weir ", env!("CARGO_PKG_VERSION")));
    format!("{name} · Ctrl-C ends it · a simulated wallet with thieves in it, {} rules", contact.rules)
}

/// A head, and the newest decisions below it.
fn decisions(scene: &Scene, room: usize, look: Look) -> Vec<String> {
    let head = format!(
        "{:<8}  {:<8} {:<6} {:>10}  {:<9} {:>5}  {}",
        "UTC", "EVENT", "USER", "CNY", "OUTCOME", "SCORE", "RULES"
    );
    let rows = scene.decisions.iter().take(room).map(|it| decision(it, look));
    [look.dim(&head)].into_iter().chain(rows).collect()
}

/// A head, and the newest alerts below it.
fn alerts(scene: &Scene, room: usize, look: Look) -> Vec<String> {
    let head = look.dim(&format!("{:<8}  {:<8} {:<6} {}", "ALERTS", "SEVERITY", "USER", "RAISED BY"));
    let rows = scene.alerts.iter().take(room).map(|it| alert(it, look));
    [head].into_iter().chain(rows).collect()
}

/// A decision as a line.
pub(super) fn decision(row: &Row, look: Look) -> String {
    let amount = row.amount_minor.map_or(String::new(), money);
    format!(
        "{}  {:<8} {:<6} {amount:>10}  {} {:>5.0}  {}",
        look.dim(&clock(row.time)),
        row.event_type,
        row.user,
        look.grade(&row.outcome, 9),
        row.score,
        row.rules.join(", ")
    )
}

/// An alert as a line.
fn alert(alert: &Alert, look: Look) -> String {
    format!(
        "{}  {} {:<6} {}",
        look.dim(&clock(alert.time)),
        look.grade(&alert.severity, 8),
        alert.user(),
        alert.raised_by()
    )
}

/// An alert as a line among decisions, with all that is said of it.
pub(super) fn alert_with_reason(alert: &Alert) -> String {
    let Alert { time, severity, reason, .. } = alert;
    let reason = reason.as_ref().map_or(String::new(), |it| format!(": {it}"));
    format!("{}  ALERT    {:<6} {severity:>10}  {}{reason}", clock(*time), alert.user(), alert.raised_by())
}

fn foot(scene: &Scene, elapsed: Duration, width: usize, look: Look) -> Vec<String> {
    let Scene { contact, tally, alerts_seen, .. } = scene;
    let per_second = match elapsed.as_secs_f64() {
        0.0 => 0.0,
        seconds => tally.decided as f64 / seconds,
    };
    let [p50, p99] = tally.quantiles().map(millis);
    let url = contact.url();
    let newest = scene.alerts.front().map_or("e1", |it| &it.event_id);
    let mut lines = vec![
        look.dim(&"─".repeat(width)),
        format!("{per_second:.1} decisions a second · answered in {p50} ms (p50), {p99} ms (p99)"),
        format!("{} · {}", tally.outcomes(), counted(*alerts_seen, "alert")),
        String::new(),
        format!("To look further, in another terminal (or at {url}/docs/):"),
        export(contact),
    ];
    lines.extend(curl(&url, "alerts", width));
    lines.extend(curl(&url, &format!("decisions/{newest}"), width));
    lines
}

/// The key, to paste.
fn export(contact: &Contact) -> String {
    format!("  export WEIR_API_KEY={}", contact.key)
}

/// A request, to paste: in two lines where one has no room.
fn curl(url: &str, path: &str, width: usize) -> Vec<String> {
    let program = "  curl -H \"Authorization: Bearer $WEIR_API_KEY\"";
    let line = format!("{program} {url}/v1/{path}");
    if line.len() <= width {
        return vec![line];
    }
    vec![format!("{program} \\"), format!("    {url}/v1/{path}")]
}

/// What is said first of all.
pub(super) fn greeting(contact: &Contact) -> Vec<String> {
    let url = contact.url();
    let version = env!("CARGO_PKG_VERSION");
    let mut lines = vec![
        format!("Weir {version} listens on {url}, with {} starter rules for a wallet.", contact.rules),
        format!("To look further, in another terminal (or at {url}/docs/):"),
        String::new(),
        export(contact),
    ];
    lines.extend(curl(&url, "alerts", usize::MAX));
    lines.extend(curl(&url, "entities/user/u1", usize::MAX));
    lines.push(String::new());
    lines
}

/// What is said after the history, where lines are shown.
pub(super) fn beginning(history: &str, rate: u32, seconds: Option<u32>) -> Vec<String> {
    let end = match seconds {
        Some(seconds) => format!("for {} (`--for SECONDS` sets that)", counted(seconds.into(), "second")),
        None => "until Ctrl-C".to_owned(),
    };
    vec![
        history.to_owned(),
        format!(
            "Now, {} a second in real time, {end}. Shown: alerts, and what is not simply allowed.",
            counted(rate.into(), "event")
        ),
        String::new(),
    ]
}

/// What follows the first alert.
pub(super) fn first_alert(url: &str, alert: &Alert) -> Vec<String> {
    let request = curl(url, &format!("decisions/{}", alert.event_id), usize::MAX);
    ["why? ask for the explanation:".to_owned()].into_iter().chain(request).collect()
}

fn clock(time: Micros) -> String {
    let time = jiff::Timestamp::from_microsecond(time);
    time.map_or(String::new(), |it| it.strftime("%T").to_string())
}

fn money(minor: AmountMinor) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let magnitude = minor.unsigned_abs();
    format!("{sign}{}.{:02}", grouped(magnitude / 100), magnitude % 100)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::super::live::Seen;
    use super::super::scene::tests::{alert, answer, scene};
    use super::*;

    /// Three decisions and two alerts.
    fn a_scene() -> Scene {
        let mut scene = scene();
        scene.begin(0);
        let seen = [
            answer(0, "allow", 0.0, &[]),
            answer(1, "challenge", 60.0, &["salami", "(out_of_character)"]),
            answer(2, "block", 115.4, &["card_testing", "many_cards", "far_too_fast", "resale_spree"]),
            Seen::Alert(alert(json!({ "severity": "medium", "rule": "salami" }))),
            Seen::Alert(alert(json!({ "severity": "critical", "rule": null, "reason": null }))),
        ];
        for seen in seen {
            scene.see(seen);
        }
        scene
    }

    #[track_caller]
    fn check(size: (usize, usize), expected: Expect) {
        let scene = a_scene();
        let drawn = |look| screen(&scene, Duration::from_millis(1_500), size, look);
        let plain = drawn(Look::Plain);
        assert_eq!(plain.len(), size.1, "lines");
        assert!(plain.iter().all(|it| measure_text_width(it) <= size.0), "columns");
        // Colours take no room.
        let coloured = drawn(Look::Coloured);
        let uncoloured: Vec<_> = coloured.iter().map(|it| console::strip_ansi_codes(it)).collect();
        assert_eq!(uncoloured, plain);
        let plain: Vec<_> = plain.iter().map(|it| it.trim_end()).collect();
        expected.assert_eq(&(plain.join("\n") + "\n"));
    }

    #[test]
    fn alerts_stand_beside_decisions_where_there_is_room() {
        check(
            (140, 18),
            expect![[r#"
            Weir 0.1.0 · Ctrl-C ends it · a simulated wallet with thieves in it, 17 rules

            UTC       EVENT    USER          CNY  OUTCOME   SCORE  RULES                                    │ ALERTS    SEVERITY USER   RAISED BY
            00:00:02  login    u4                 block       115  card_testing, many_cards, far_too_fast,… │ 00:00:02  critical u1     policy
            00:00:01  login    u11                challenge    60  salami, (out_of_character)               │ 00:00:02  medium   u1     salami
            00:00:00  payment  u4          14.40  allow         0                                           │
                                                                                                            │
                                                                                                            │
                                                                                                            │
                                                                                                            │
            ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
            2.0 decisions a second · answered in 2.00 ms (p50), 2.00 ms (p99)
            allow 1, challenge 1, block 1 · 2 alerts

            To look further, in another terminal (or at http://127.0.0.1:8080/docs/):
              export WEIR_API_KEY=weir_key
              curl -H "Authorization: Bearer $WEIR_API_KEY" http://127.0.0.1:8080/v1/alerts
              curl -H "Authorization: Bearer $WEIR_API_KEY" http://127.0.0.1:8080/v1/decisions/e7
        "#]],
        );
    }

    #[test]
    fn and_under_them_where_there_is_not() {
        check(
            (80, 24),
            expect![[r#"
            Weir 0.1.0 · Ctrl-C ends it · a simulated wallet with thieves in it, 17 rules

            UTC       EVENT    USER          CNY  OUTCOME   SCORE  RULES
            00:00:02  login    u4                 block       115  card_testing, many_cards…
            00:00:01  login    u11                challenge    60  salami, (out_of_characte…
            00:00:00  payment  u4          14.40  allow         0




            ALERTS    SEVERITY USER   RAISED BY
            00:00:02  critical u1     policy
            00:00:02  medium   u1     salami


            ────────────────────────────────────────────────────────────────────────────────
            2.0 decisions a second · answered in 2.00 ms (p50), 2.00 ms (p99)
            allow 1, challenge 1, block 1 · 2 alerts

            To look further, in another terminal (or at http://127.0.0.1:8080/docs/):
              export WEIR_API_KEY=weir_key
              curl -H "Authorization: Bearer $WEIR_API_KEY" http://127.0.0.1:8080/v1/alerts
              curl -H "Authorization: Bearer $WEIR_API_KEY" \
                http://127.0.0.1:8080/v1/decisions/e7
        "#]],
        );
    }

    #[test]
    fn the_newest_stay_where_there_is_hardly_room() {
        check(
            (40, 16),
            expect![[r#"
            Weir 0.1.0 · Ctrl-C ends it · a simulat…

            UTC       EVENT    USER          CNY  O…
            00:00:02  login    u4                 b…
            ALERTS    SEVERITY USER   RAISED BY
            00:00:02  critical u1     policy
            ────────────────────────────────────────
            2.0 decisions a second · answered in 2.…
            allow 1, challenge 1, block 1 · 2 alerts

            To look further, in another terminal (o…
              export WEIR_API_KEY=weir_key
              curl -H "Authorization: Bearer $WEIR_…
                http://127.0.0.1:8080/v1/alerts
              curl -H "Authorization: Bearer $WEIR_…
                http://127.0.0.1:8080/v1/decisions/…
        "#]],
        );
        for size in [(0, 0), (1, 1), (200, 3), (20, 9)] {
            let drawn = screen(&a_scene(), Duration::ZERO, size, Look::Coloured);
            assert!(drawn.len() <= size.1, "{size:?}");
        }
    }

    #[test]
    fn outcomes_and_severities_have_their_colours() {
        let check = |name: &str, expected: &str| assert_eq!(Look::Coloured.grade(name, 9), expected);
        check("allow", "\u{1b}[32mallow\u{1b}[0m    ");
        check("challenge", "\u{1b}[33mchallenge\u{1b}[0m");
        check("block", "\u{1b}[31mblock\u{1b}[0m    ");
        check("critical", "\u{1b}[37m\u{1b}[41m\u{1b}[1mcritical\u{1b}[0m ");
        check("none", "none     ");
    }

    #[test]
    fn lines_say_all_there_is() {
        let scene = a_scene();
        let mut lines = greeting(&scene.contact);
        lines.extend(beginning("a history", 5, Some(30)));
        lines.extend(beginning("a history", 5, None).into_iter().skip(1));
        lines.extend(scene.decisions.iter().map(|it| decision(it, Look::Plain)));
        lines.extend(scene.alerts.iter().map(alert_with_reason));
        lines.extend(scene.alerts.iter().take(1).flat_map(|it| first_alert("http://x", it)));
        let lines: Vec<_> = lines.iter().map(|it| it.trim_end()).collect();
        expect![[r#"
            Weir 0.1.0 listens on http://127.0.0.1:8080, with 17 starter rules for a wallet.
            To look further, in another terminal (or at http://127.0.0.1:8080/docs/):

              export WEIR_API_KEY=weir_key
              curl -H "Authorization: Bearer $WEIR_API_KEY" http://127.0.0.1:8080/v1/alerts
              curl -H "Authorization: Bearer $WEIR_API_KEY" http://127.0.0.1:8080/v1/entities/user/u1

            a history
            Now, 5 events a second in real time, for 30 seconds (`--for SECONDS` sets that). Shown: alerts, and what is not simply allowed.

            Now, 5 events a second in real time, until Ctrl-C. Shown: alerts, and what is not simply allowed.

            00:00:02  login    u4                 block       115  card_testing, many_cards, far_too_fast, resale_spree
            00:00:01  login    u11                challenge    60  salami, (out_of_character)
            00:00:00  payment  u4          14.40  allow         0
            00:00:02  ALERT    u1       critical  policy
            00:00:02  ALERT    u1         medium  salami: Many send to one user
            why? ask for the explanation:
              curl -H "Authorization: Bearer $WEIR_API_KEY" http://x/v1/decisions/e7
        "#]].assert_eq(&(lines.join("\n") + "\n"));
    }
}
