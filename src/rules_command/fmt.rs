//! `weir rules fmt`: one layout for all rule files.

use std::path::{Path, PathBuf};

use rules::diagnostic::{self, Colour, Source};
use stream::text;

use super::{Error, print};
use crate::load::{self, LoadError};
use crate::stderr;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rule files and folders of them; `-` reads standard input and writes standard output
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Write nothing: list the files that would change, and fail if there are any
    #[arg(long)]
    check: bool,
}

/// What became of a text.
enum Formatted {
    /// It stands as it should.
    Same,
    /// It should be this.
    Changed(String),
    /// It has errors, which have been said.
    Unreadable,
}

/// Whether all files could be read and, with `--check`, none would change.
pub(super) fn run(options: &Options) -> Result<bool, Error> {
    if options.paths.iter().any(|it| it.as_os_str() == "-") {
        return if options.paths.len() == 1 {
            standard_input(options.check)
        } else {
            Err(Error::Argument("`-` is standard input: name it alone, or name files".to_owned()))
        };
    }
    let mut clean = true;
    for path in files(&options.paths)? {
        clean &= file(&path, options.check)?;
    }
    Ok(clean)
}

fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = load::weir_files(path)?;
            if found.is_empty() {
                return Err(LoadError::Empty(path.clone()).into());
            }
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn standard_input(check: bool) -> Result<bool, Error> {
    let read = text::read_from(std::io::stdin().lock());
    let text = read.map_err(|cause| Error::File { what: "read", path: "-".to_owned(), cause })?;
    match (formatted("-", &text), check) {
        (Formatted::Unreadable, _) => return Ok(false),
        (Formatted::Same, true) => {}
        (Formatted::Changed(_), true) => {
            print("-\n")?;
            return Ok(false);
        }
        (Formatted::Same, false) => print(&text)?,
        (Formatted::Changed(new), false) => print(&new)?,
    }
    Ok(true)
}

fn file(path: &Path, check: bool) -> Result<bool, Error> {
    let name = load::shown(path);
    let failed = |what| {
        let path = name.clone();
        move |cause| Error::File { what, path, cause }
    };
    let text = text::read(path).map_err(failed("read"))?;
    match (formatted(&name, &text), check) {
        (Formatted::Unreadable, _) => return Ok(false),
        (Formatted::Same, _) => {}
        (Formatted::Changed(_), true) => {
            print(&format!("{name}\n"))?;
            return Ok(false);
        }
        (Formatted::Changed(new), false) => replace(path, &new).map_err(failed("write"))?,
    }
    Ok(true)
}

/// Writes beside the file and then takes its place, so that a full disk or a cut cable leaves the old one whole.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = path.canonicalize()?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let permissions = std::fs::metadata(&path)?.permissions();
    let written = std::fs::write(&beside, text)
        .and_then(|()| std::fs::set_permissions(&beside, permissions))
        .and_then(|()| std::fs::rename(&beside, &path));
    if written.is_err() {
        // What could not be finished is of no use; that it cannot be removed either changes nothing.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

fn formatted(name: &str, text: &str) -> Formatted {
    match rules::syntax::format(text) {
        Ok(new) if new == text => Formatted::Same,
        Ok(new) => Formatted::Changed(new),
        Err(diagnostics) => {
            stderr::show(diagnostic::render(&diagnostics, &[Source { name, text }], Colour::Never));
            Formatted::Unreadable
        }
    }
}
