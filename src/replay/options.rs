//! What `weir replay` may be told.

use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser as _};
use rules::time::{DAY, Micros, SPAN_MAX};
use stream::source::Options as SourceOptions;

use super::{csv_name, table_name};

/// Replay files of transactions, or a journal, through a rule set and see what it would have decided.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// CSV or JSON lines, plain, gzip or zstd, or Parquet: told by content; `-` is standard input. Or one data directory,
    /// whose journal is read: its events, what became known of them, and lists and rates as they were then.
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(crate) files: Vec<PathBuf>,
    /// How columns become events; JSON lines in Weir's own shape need none.
    #[arg(long, value_name = "MAP.toml")]
    pub(crate) map: Option<PathBuf>,
    /// A folder of .weir files, or one rule file beside its schema.
    #[arg(long, value_name = "PATH")]
    pub(crate) rules: PathBuf,
    /// Of a journal: whose outcomes and effects later events find in the past.
    #[arg(long, value_enum, value_name = "WHOSE")]
    pub(crate) history: Option<Whose>,
    /// Write one row per event: what was decided; .csv, .csv.gz, .csv.zst or .parquet, `-` is CSV to standard output.
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(table_name))]
    pub(crate) out: Option<PathBuf>,
    /// Write one row per event: all features; as `--out`.
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(table_name))]
    pub(crate) features: Option<PathBuf>,
    /// Go on from the state in this folder, and save it there at the end. `weir serve --data` can begin upon it.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Write journal and snapshot to this data directory; `weir serve --data` goes on from there. What a run leaves that
    /// broke off cannot be gone on with: begin again in another directory.
    #[arg(long, value_name = "DIR", conflicts_with = "state")]
    pub(crate) data: Option<PathBuf>,
    /// End with an error at the first bad row.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Merge the files by time instead of reading one after the other.
    #[arg(long)]
    pub(crate) merge: bool,
    /// Reject rows whose time is further ahead of the latest before them, in days [default: 366d].
    #[arg(long, value_name = "DAYS", value_parser = jump_max)]
    pub(crate) jump_max: Option<Micros>,
    /// Where bad rows go, with their number and the reason; written only if there are any [default: rejects.csv].
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(csv_name))]
    pub(crate) rejects: Option<PathBuf>,
}

/// Where bad rows go unless the options say otherwise.
const REJECTS: &str = "rejects.csv";

/// Days, such as `366d`: ten years of them at most, as in all spans.
pub(crate) fn jump_max(text: &str) -> Result<Micros, String> {
    let days = text.strip_suffix('d').and_then(|it| it.parse::<u32>().ok());
    let days = days.ok_or("is no number of days, such as `366d`")?;
    let micros = i64::from(days).checked_mul(DAY).filter(|it| *it <= SPAN_MAX);
    micros.ok_or_else(|| "is longer than ten years".to_owned())
}

impl Options {
    /// The files that are written, behind the options that name them.
    pub(crate) fn written(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let asked = [("--out", self.out.as_deref()), ("--features", self.features.as_deref())];
        let asked = asked.into_iter().filter_map(|(option, path)| Some((option, path?)));
        asked.chain([("--rejects", self.rejects())])
    }

    /// How far ahead of the latest before it a row's time may lie.
    pub(crate) fn jump_max(&self) -> Micros {
        self.jump_max.unwrap_or(SourceOptions::JUMP_MAX)
    }

    /// Where bad rows go.
    pub(crate) fn rejects(&self) -> &Path {
        self.rejects.as_deref().unwrap_or(Path::new(REJECTS))
    }
}

/// Whose outcomes and effects later events find in the past.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Whose {
    /// Those of the rules under test, as if they had always been in force; missed deadlines do not count.
    Own,
    /// Those that the journal says, with fallbacks after missed deadlines: what a rule set sees that is put in force now.
    Recorded,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_furthest_jump_is_some_days() {
        let (none, long) = (Err("is no number of days, such as `366d`"), Err("is longer than ten years"));
        for (text, expected) in [
            ("0d", Ok(0)),
            ("366d", Ok(366 * DAY)),
            ("3660d", Ok(SPAN_MAX)),
            ("3661d", long),
            ("200000000d", long),
            ("9999999999d", none),
            ("-1d", none),
            ("5h", none),
            ("5", none),
        ] {
            assert_eq!(jump_max(text), expected.map_err(str::to_owned), "{text}");
        }
    }
}
