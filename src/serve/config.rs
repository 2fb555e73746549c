//! What the server is told: by the command line, then by the file, then by default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use clap::ValueEnum;
use desk::Database;
use serde::Deserialize;

use super::Options;
use super::memory::Limit;
use crate::directory::DATA_DEFAULT;
use crate::keys;

/// Where the server listens unless told otherwise: only this machine reaches it.
const LISTEN_DEFAULT: &str = "127.0.0.1:7878";

/// When a decision may be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// When its record is on the disk
    #[default]
    Fsync,
    /// When its record is with the operating system: it outlives the process, not the machine
    Os,
}

impl Durability {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fsync => "fsync",
            Self::Os => "os",
        }
    }
}

/// All that the server is told. No default stands for the whole: somebody decided.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Config {
    pub(super) data: PathBuf,
    pub(super) database: Database,
    pub(super) listen: SocketAddr,
    pub(crate) rules: Option<PathBuf>,
    /// Whether `rules` are put in force where others are.
    pub(super) activate: bool,
    pub(crate) durability: Durability,
    pub(super) memory: Limit,
    /// How far behind the engine clock an event's time may lie.
    pub(super) past_max: Duration,
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data: Option<PathBuf>,
    database: Option<String>,
    listen: Option<String>,
    rules: Option<PathBuf>,
    durability: Option<Durability>,
    memory: Option<String>,
    past_max: Option<String>,
}

impl Config {
    /// A server that is told no more than where its data are and where to listen.
    pub(crate) fn at(data: PathBuf, listen: SocketAddr) -> Self {
        Self {
            database: Database::File(keys::database_file(&data)),
            data,
            listen,
            rules: None,
            activate: false,
            durability: Durability::default(),
            memory: Limit::default(),
            past_max: api::PAST_MAX,
        }
    }

    /// What the options and the file that they name say together.
    pub(super) fn of(options: &Options) -> anyhow::Result<Self> {
        let file = match &options.config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        let listen = options.listen.clone().or(file.listen).unwrap_or_else(|| LISTEN_DEFAULT.to_owned());
        let memory = match (options.memory, file.memory) {
            (Some(limit), _) => limit,
            (None, Some(text)) => text.parse().map_err(|it| anyhow!("`memory`: {it}"))?,
            (None, None) => Limit::default(),
        };
        let past_max = match (options.past_max, file.past_max) {
            (Some(limit), _) => limit,
            (None, Some(text)) => past_max(&text).map_err(|it| anyhow!("`past_max`: {it}"))?,
            (None, None) => api::PAST_MAX,
        };
        let rules = options.rules.clone().or(file.rules);
        ensure!(
            rules.is_some() || !options.activate,
            "`--activate` puts in force what `--rules` names: name it, or `rules` in the file of `--config`"
        );
        let data = options.data.clone().or(file.data).unwrap_or_else(|| DATA_DEFAULT.into());
        let database = options.database.as_ref().or(file.database.as_ref());
        Ok(Self {
            database: keys::database(&data, database.map(String::as_str))?,
            data,
            listen: listen.parse().with_context(|| {
                format!("`{listen}` is no address to listen on: write an IP address and a port, such as `{LISTEN_DEFAULT}`")
            })?,
            rules,
            activate: options.activate,
            durability: options.durability.or(file.durability).unwrap_or_default(),
            memory,
            past_max,
        })
    }
}

/// A length of time, such as `24h`.
pub(super) fn past_max(text: &str) -> Result<Duration, String> {
    let micros = stream::intake::time::duration(text.as_bytes(), None);
    let micros = micros.map_err(|it| format!("`{text}` {it}"))?;
    let micros = u64::try_from(micros).map_err(|_| format!("`{text}` is less than nothing"))?;
    Ok(Duration::from_micros(micros))
}

fn read(path: &Path) -> anyhow::Result<File> {
    let text = stream::text::read(path)
        .with_context(|| format!("cannot read the configuration `{}`", path.display()))?;
    // Not with the line itself, as the error would be shown: a password may stand in it.
    toml::from_str(&text).map_err(|it| {
        let line =
            it.span().map_or(1, |span| 1 + text.bytes().take(span.start).filter(|it| *it == b'\n').count());
        anyhow!("the configuration `{}` has an error in line {line}: {}", path.display(), it.message())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(folder: &tempfile::TempDir, text: &str) -> Options {
        let path = folder.path().join("weir.toml");
        std::fs::write(&path, text).unwrap();
        Options {
            data: None,
            database: None,
            listen: None,
            rules: None,
            activate: false,
            durability: None,
            memory: None,
            past_max: None,
            config: Some(path),
        }
    }

    #[test]
    fn the_command_line_counts_more_than_the_file_and_that_more_than_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let file = "data = \"/srv/weir\"\ndurability = \"os\"\npast_max = \"7d\"\nmemory = \"2GiB\"\n";
        let mut options = options(&folder, file);
        options.data = Some("here".into());
        options.memory = Some("3GiB".parse().unwrap());
        options.past_max = Some(past_max("48h").unwrap());
        let config = Config::of(&options).unwrap();
        let expected = Config {
            data: "here".into(),
            database: Database::File("here/weir.db".into()),
            listen: LISTEN_DEFAULT.parse().unwrap(),
            rules: None,
            activate: false,
            durability: Durability::Os,
            memory: "3GiB".parse().unwrap(),
            past_max: Duration::from_secs(48 * 3600),
        };
        assert_eq!(config, expected);
        (options.memory, options.past_max) = (None, None);
        let config = Config::of(&options).unwrap();
        let (memory, past_max) = ("2GiB".parse().unwrap(), Duration::from_secs(7 * 24 * 3600));
        assert_eq!(config, Config { memory, past_max, ..expected });
    }

    #[test]
    fn what_is_to_be_activated_may_be_named_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let activated =
            |file: &str| Config::of(&Options { activate: true, ..options(&folder, file) }).map(|it| it.rules);
        assert_eq!(activated("rules = \"r\"\n").unwrap(), Some("r".into()));
        let refused = activated("").unwrap_err().to_string();
        assert!(refused.starts_with("`--activate` puts in force"), "{refused}");
    }

    #[test]
    fn a_slip_in_the_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let rows = [
            ("lisen = \"x\"\n", "in line 1: unknown field `lisen`"),
            ("durability = \"disk\"\n", "unknown variant `disk`"),
            ("listen = \"localhost\"\n", "`localhost` is no address to listen on"),
            ("memory = \"much\"\n", "`memory`: `much` is no size"),
            ("past_max = \"5\"\n", "`past_max`: `5` is not a duration"),
            ("past_max = \"-5m\"\n", "`past_max`: `-5m` is less than nothing"),
            ("database = \"weir.db\"\n", "the URL of the database is not PostgreSQL's"),
            ("listen = \"x\"\ndatabase = \"postgres://ann:hidden@db/weir\" 5\n", "in line 2: "),
        ];
        for (text, expected) in rows {
            let error = format!("{:#}", Config::of(&options(&folder, text)).unwrap_err());
            assert!(error.contains(expected) && !error.contains("hidden"), "{text}: {error}");
        }
    }
}
