//! A PostgreSQL server for the tests of one process: it is made in a folder of its own, listens on a socket in it alone,
//! and ends with the process, however that ends.

use std::ffi::OsStr;
use std::io::{Error, Result, Write as _};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Who may do everything in it.
const USER: &str = "weir";
/// It opens nothing but a folder that goes with the tests.
const PASSWORD: &str = "secret";
/// Nothing in it outlives the tests, so nothing waits for the disk.
const SETTINGS: &str = "\nlisten_addresses = ''\nmax_connections = 200\nshared_buffers = 16MB\nfsync = off\n\
                        synchronous_commit = off\nfull_page_writes = off\n";
/// Waits until its input ends, which it does when the tests' process is gone; then stops the server and removes the
/// folder.
const GUARD: &str = "trap '' INT TERM HUP; read _; \"$0\" -D \"$1/data\" -m immediate stop; rm -rf \"$1\"";

/// The server, once it was asked for; inside, none where PostgreSQL is not installed.
static SERVER: Mutex<Option<Option<Server>>> = Mutex::new(None);

struct Server {
    programs: Programs,
    folder: PathBuf,
    /// So many databases have been made.
    databases: u32,
    /// Its input is open as long as this is here.
    _guard: Child,
}

/// The URL of a new database; none where PostgreSQL is not installed.
pub(super) fn database() -> Result<Option<String>> {
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if server.is_none() {
        *server = Some(start()?);
    }
    server.as_mut().and_then(Option::as_mut).map(Server::database).transpose()
}

fn start() -> Result<Option<Server>> {
    let Some(programs) = Programs::find() else {
        // Past the tests' capture: what was left out is said even where all is green.
        writeln!(std::io::stderr(), "skipped over PostgreSQL: no `initdb` in PATH or /usr/lib/postgresql")?;
        return Ok(None);
    };
    let folder = tempfile::Builder::new().prefix("weir-postgres-").tempdir()?.keep();
    let guard = programs.guard(&folder)?;
    programs.give(&folder)?;
    let password = folder.join("password");
    std::fs::write(&password, PASSWORD)?;
    programs.give(&password)?;
    let data = folder.join("data");
    let mut initdb = programs.command("initdb");
    initdb.arg("-D").arg(&data).arg("--pwfile").arg(&password).args([
        "-U",
        USER,
        "-A",
        "scram-sha-256",
        "-N",
    ]);
    initdb.args(["-E", "UTF8", "--locale=C"]);
    // In the order of a language, as many servers have texts, and not in that of bytes.
    if said(programs.command("initdb").arg("--help"))?.contains("--icu-locale") {
        initdb.args(["--locale-provider=icu", "--icu-locale=en"]);
    }
    said(&mut initdb)?;
    let settings = format!("{SETTINGS}unix_socket_directories = '{}'\n", folder.display());
    std::fs::OpenOptions::new()
        .append(true)
        .open(data.join("postgresql.conf"))?
        .write_all(settings.as_bytes())?;
    said(
        programs
            .command("pg_ctl")
            .arg("-D")
            .arg(&data)
            .arg("-l")
            .arg(folder.join("log"))
            .args(["-w", "start"]),
    )?;
    Ok(Some(Server { programs, folder, databases: 0, _guard: guard }))
}

impl Server {
    fn database(&mut self) -> Result<String> {
        self.databases += 1;
        let name = format!("test{}", self.databases);
        let folder = self.folder.display();
        let mut createdb = self.programs.command("createdb");
        said(createdb.arg("-h").arg(&self.folder).args(["-U", USER, &name]).env("PGPASSWORD", PASSWORD))?;
        Ok(format!("postgres://{USER}:{PASSWORD}@localhost/{name}?host={folder}"))
    }
}

/// PostgreSQL's programs, and as whom they run.
struct Programs {
    folder: PathBuf,
    /// User and group: the server refuses to run as root.
    run_as: Option<(u32, u32)>,
}

impl Programs {
    fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let in_path = std::env::split_paths(&path).map(|it| it.join("initdb"));
        let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let initdb = in_path.chain(debian.map(|it| it.path().join("bin/initdb"))).find(|it| it.exists())?;
        // What stands in PATH may be a link to where all of them are.
        let folder = initdb.canonicalize().ok()?.parent()?.to_owned();
        Some(Self { folder, run_as: unless_root() })
    }

    fn command(&self, program: &str) -> Command {
        self.run(self.folder.join(program))
    }

    fn run(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null());
        if let Some((user, group)) = self.run_as {
            command.uid(user).gid(group);
        }
        command
    }

    fn give(&self, path: &Path) -> Result<()> {
        match self.run_as {
            Some((user, group)) => chown(path, Some(user), Some(group)),
            None => Ok(()),
        }
    }

    fn guard(&self, folder: &Path) -> Result<Child> {
        let mut guard = self.run("sh");
        guard.args(["-c", GUARD]).arg(self.folder.join("pg_ctl")).arg(folder);
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    }
}

/// As whom the server runs where the tests run as root.
fn unless_root() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> Option<u32> {
        said(Command::new("id").args(arguments)).ok()?.trim().parse().ok()
    };
    if id(&["-u"])? != 0 {
        return None;
    }
    ["postgres", "nobody"].into_iter().find_map(|user| Some((id(&["-u", user])?, id(&["-g", user])?)))
}

/// What a program says; an error where it fails.
fn said(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let [out, error] = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    if output.status.success() { Ok(out) } else { Err(Error::other(format!("{command:?}: {out}{error}"))) }
}
