//! Refuses to write a file that is read or written otherwise as well, and to read a stream twice.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use stream::source::Mapping;

use super::output::{is_device, is_standard_output};
use super::run::is_standard_input;
use crate::load::Loaded;

/// Files that are read.
pub(crate) fn read(files: &[PathBuf], mapping: Option<&Mapping>, rules: Option<&Loaded>) -> Vec<PathBuf> {
    let rules = rules.map_or_else(Vec::new, Loaded::files);
    files.iter().cloned().chain(mapping.into_iter().flat_map(Mapping::files)).chain(rules).collect()
}

/// Refuses to read standard input twice.
pub(crate) fn read_once<'a>(read: impl IntoIterator<Item = &'a PathBuf>) -> anyhow::Result<()> {
    let mut inputs = read.into_iter().filter(|path| is_standard_input(path));
    if let (Some(first), Some(second)) = (inputs.next(), inputs.next()) {
        let (first, second) = (first.display(), second.display());
        bail!("`{first}` and `{second}` are both standard input, which can be read only once");
    }
    Ok(())
}

/// Refuses to write a file that is read, or one in two ways. Written ones stand behind the option that names them.
pub(crate) fn check<'a>(
    read: &[PathBuf],
    written: impl IntoIterator<Item = (&'static str, &'a Path)>,
) -> anyhow::Result<()> {
    let mut taken: Vec<(PathBuf, String)> = read
        .iter()
        .map(|path| if is_standard_input(path) { Path::new("/dev/stdin") } else { path })
        // A pipe or a terminal is not written over.
        .filter(|path| !is_device(path))
        .map(|path| (place(path), format!("what is read from `{}`", path.display())))
        .collect();
    for (option, path) in written {
        let place = place(if is_standard_output(path) { Path::new("/dev/stdout") } else { path });
        if place == Path::new("/dev/null") {
            continue;
        }
        let other = taken.iter().find(|(taken, _)| *taken == place);
        ensure!(
            other.is_none(),
            "`{option} {}` would write over {}: name another file",
            path.display(),
            other.map_or("", |(_, what)| what)
        );
        taken.push((place, format!("what `{option}` writes")));
    }
    Ok(())
}

/// Where a file is, or would be, however its path is written.
fn place(path: &Path) -> PathBuf {
    let created = || {
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(folder.canonicalize().ok()?.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(created).unwrap_or_else(|| path.to_owned())
}
