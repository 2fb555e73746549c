//! `weir keys`: API keys, in a server's database, whether the server runs or not.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use api::now;
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{Table, presets};
use desk::key::{Key, Role};
use desk::{Database, Desk, Url};

use crate::directory::DATA_DEFAULT;
use crate::stderr;
use crate::stdout::say;

/// Make, list and revoke API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key and print it, alone, on standard output. It is valid at once and never shown again.
    Create(Create),
    /// Show all keys, never the keys themselves.
    List(Data),
    /// Revoke a key. A running server refuses it within a second.
    Revoke(Revoke),
}

/// Where the keys are.
#[derive(Debug, Args)]
pub(crate) struct Data {
    /// The server's data directory
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    data: PathBuf,
    /// The database of a server that was started with `--database`
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    data: Data,
    /// What its holder is
    #[arg(long)]
    role: RoleName,
    /// What it is for, in your words
    #[arg(long, value_parser = some_name)]
    name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    data: Data,
    /// The key's number, as `weir keys list` shows it
    id: i64,
}

/// A key is told from others by its name, and revoked years later by whoever reads it.
fn some_name(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("is no name: say what the key is for") } else { Ok(text.to_owned()) }
}

/// The names of roles on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    /// May do everything
    Admin,
    /// A person of the fraud desk: reads everything, works on alerts, changes lists and rules
    Analyst,
    /// A program that moves money: sends events and amendments, reads its decisions and the rules
    Service,
    /// Who runs the server: metrics, rate tables
    Operator,
}

impl RoleName {
    fn role(self) -> Role {
        match self {
            Self::Admin => Role::Admin,
            Self::Analyst => Role::Analyst,
            Self::Service => Role::Service,
            Self::Operator => Role::Operator,
        }
    }
}

/// The database of a data directory, or the one that a URL names instead.
pub(crate) fn database(data: &Path, url: Option<&str>) -> Result<Database, desk::Error> {
    match url {
        Some(url) => Url::parse(url).map(Database::Server),
        None => Ok(Database::File(database_file(data))),
    }
}

/// The file in which the database of a data directory is.
pub(crate) fn database_file(data: &Path) -> PathBuf {
    data.join("weir.db")
}

pub(crate) fn run(command: &Command) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Create(options) => create(options).await,
            Command::List(options) => list(options).await,
            Command::Revoke(options) => revoke(options).await,
        }
    })
}

/// Opens the database, which is there.
async fn open(options: &Data) -> anyhow::Result<Desk> {
    let data = options.data.display();
    ensure!(options.is_there()?, "`{data}` holds no database: name the data directory of a `weir serve`");
    options.open().await
}

/// Opens the database, or begins one: keys may be made before the server starts for the first time.
async fn open_or_begin(options: &Data) -> anyhow::Result<Desk> {
    let data = options.data.display();
    if !options.is_there()? {
        stream::disk::Folder::create(&options.data)
            .with_context(|| format!("cannot create the data directory `{data}`"))?;
        stderr::note(&format!(
            "`{data}` held no database: one is begun, and the key is for a server that is started on this directory"
        ));
    }
    options.open().await
}

impl Data {
    /// Whether there is a database; a server's says so itself.
    fn is_there(&self) -> anyhow::Result<bool> {
        let looked = || format!("`{}` cannot be looked into", self.data.display());
        Ok(self.database.is_some() || database_file(&self.data).try_exists().with_context(looked)?)
    }

    async fn open(&self) -> anyhow::Result<Desk> {
        Ok(Desk::open(&database(&self.data, self.database.as_deref())?).await?)
    }
}

async fn create(options: &Create) -> anyhow::Result<()> {
    let desk = open_or_begin(&options.data).await?;
    let secret = desk.create_key(options.role.role(), &options.name, now()).await?;
    say(secret.reveal())?;
    desk.close().await;
    Ok(())
}

async fn list(data: &Data) -> anyhow::Result<()> {
    let desk = open(data).await?;
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["id", "key", "role", "name", "made", "revoked"]);
    for key in desk.keys().await? {
        table.add_row(row(&key));
    }
    say(&table)?;
    desk.close().await;
    Ok(())
}

fn row(key: &Key) -> [String; 6] {
    let time = |micros| jiff::Timestamp::from_microsecond(micros).map(|it| it.strftime("%F %T").to_string());
    [
        key.id.to_string(),
        format!("{}…", key.shown),
        key.role.name().to_owned(),
        key.name.clone(),
        time(key.created_at).unwrap_or_default(),
        key.revoked_at.map_or_else(String::new, |it| time(it).unwrap_or_default()),
    ]
}

async fn revoke(options: &Revoke) -> anyhow::Result<()> {
    let desk = open(&options.data).await?;
    let revoked = desk.revoke_key(options.id, now()).await?;
    desk.close().await;
    if !revoked {
        bail!("there is no valid key {}: `weir keys list` shows which there are", options.id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_name() {
        assert_eq!(some_name("shop").as_deref(), Ok("shop"));
        for none in ["", " ", "\t"] {
            assert!(some_name(none).is_err(), "{none:?}");
        }
    }
}
