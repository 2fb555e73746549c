//! Where it is shown: a screen of its own on a terminal; otherwise lines, of what is worth one.

use std::io;

use console::Term;

use super::draw::{self, Look};
use super::live::Seen;
use super::scene::{Contact, News, Scene};
use crate::stdout;

/// Where it is shown.
pub(super) struct View {
    term: Term,
    /// Whether a screen can be drawn there.
    is_screen: bool,
    /// Whether it is drawn now.
    is_open: bool,
}

/// Decisions that are shown as lines although nothing is to be seen in them: what usually happens.
const USUAL_SHOWN: u64 = 3;

/// The terminal's other screen, which leaves the first as it was.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the top left; the rest of the line; the rest of the screen.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

impl View {
    /// On standard output.
    pub(super) fn new() -> Self {
        let term = Term::stdout();
        let is_screen = term.is_term() && !console::is_dumb();
        Self { term, is_screen, is_open: false }
    }

    /// Whether somebody can end it.
    pub(super) fn is_attended(&self) -> bool {
        self.term.is_term()
    }

    /// What the log should hold: on a screen, only what cannot wait until it is gone.
    pub(super) fn worth_logging(&self) -> &'static str {
        if self.is_screen { "error" } else { "warn" }
    }

    /// Says where the server is.
    pub(super) fn greet(&self, contact: &Contact) -> io::Result<()> {
        lines(&draw::greeting(contact))?;
        if self.is_screen {
            return Ok(());
        }
        lines(&["First, two days of history…".to_owned()])
    }

    /// Begins, after the history.
    pub(super) fn begin(&mut self, history: &str, rate: u32, seconds: Option<u32>) -> io::Result<()> {
        if self.is_screen {
            self.is_open = true;
            return stdout::show(ENTER);
        }
        lines(&draw::beginning(history, rate, seconds))
    }

    /// Takes in what was seen, and shows it where lines are shown.
    pub(super) fn seen(&self, scene: &mut Scene, seen: Seen) -> io::Result<()> {
        let is_usual_shown = scene.tally.decided < USUAL_SHOWN;
        let is_first_alert = scene.alerts_seen == 0;
        let url = scene.contact.url();
        let news = scene.see(seen);
        if self.is_screen {
            return Ok(());
        }
        match news {
            Some(News::Decision(row)) if row.is_unusual() || is_usual_shown => {
                lines(&[draw::decision(row, Look::Plain).trim_end().to_owned()])
            }
            Some(News::Alert(alert)) => {
                lines(&[draw::alert_with_reason(alert)])?;
                if is_first_alert { lines(&draw::first_alert(&url, alert)) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// Draws the scene anew where there is a screen.
    pub(super) fn draw(&self, scene: &Scene) -> io::Result<()> {
        if !self.is_open {
            return Ok(());
        }
        let (height, width) = self.term.size();
        let look = if console::colors_enabled() { Look::Coloured } else { Look::Plain };
        let drawn = draw::screen(scene, scene.elapsed(), (width.into(), height.into()), look);
        // At once, so that nothing flickers.
        let mut text = HOME.to_owned();
        for (at, line) in drawn.iter().enumerate() {
            text.push_str(if at == 0 { "" } else { "\r\n" });
            text.push_str(line);
            text.push_str(CLEAR_LINE);
        }
        text.push_str(CLEAR_BELOW);
        stdout::show(&text)
    }

    /// Leaves the screen.
    pub(super) fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            // A terminal that is gone needs no tidying.
            let _ = stdout::show(LEAVE);
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.close();
    }
}

fn lines(lines: &[String]) -> io::Result<()> {
    stdout::show(&(lines.join("\n") + "\n"))
}
