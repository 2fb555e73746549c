//! Where rows go and in which form: what the name of a file says.

use std::path::{Path, PathBuf};

use crate::packed::Packing;

/// Where rows go and in which form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// CSV to standard output.
    StandardOutput,
    /// A file of CSV.
    Csv(Packing),
    /// A Parquet file.
    Parquet,
}

impl Form {
    /// What a name says; none where it says nothing.
    pub(super) fn of(path: &Path) -> Option<Self> {
        if is_standard_output(path) {
            return Some(Self::StandardOutput);
        }
        if is_device(path) {
            return Some(Self::Csv(Packing::Plain));
        }
        let name = path.to_string_lossy();
        let (stem, packing) = Packing::of(&name);
        match (Path::new(stem).extension()?.to_str()?, packing) {
            ("csv", packing) => Some(Self::Csv(packing)),
            ("parquet", Packing::Plain) => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Whether a name stands for standard output, whatever that is.
pub(crate) fn is_standard_output(path: &Path) -> bool {
    path == "-" || path == "/dev/stdout"
}

/// Whether it is there and no file, such as a pipe: its name says nothing of what is written there.
pub(crate) fn is_device(path: &Path) -> bool {
    path.metadata().is_ok_and(|it| !it.is_file() && !it.is_dir())
}

/// A name under which rows can be written.
pub(crate) fn table_name(path: PathBuf) -> Result<PathBuf, &'static str> {
    match Form::of(&path) {
        Some(_) => Ok(path),
        None => Err(
            "expected a name that ends in `.csv`, `.csv.gz`, `.csv.zst` or `.parquet`, or `-` for standard output",
        ),
    }
}

/// A name under which CSV can be written.
pub(crate) fn csv_name(path: PathBuf) -> Result<PathBuf, &'static str> {
    match Form::of(&path) {
        Some(Form::Csv(_) | Form::StandardOutput) => Ok(path),
        Some(Form::Parquet) | None => {
            Err("expected a name that ends in `.csv`, `.csv.gz` or `.csv.zst`, or `-` for standard output")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_the_form() {
        #[rustfmt::skip]
        let rows = [
            ("-",               Some(Form::StandardOutput)),
            ("/dev/stdout",     Some(Form::StandardOutput)),
            ("o.csv",           Some(Form::Csv(Packing::Plain))),
            ("a.b/o.x.csv.gz",  Some(Form::Csv(Packing::Gzip))),
            ("o.csv.zst",       Some(Form::Csv(Packing::Zstd))),
            ("o.parquet",       Some(Form::Parquet)),
            ("/dev/null",       Some(Form::Csv(Packing::Plain))),
            ("o.parquet.gz",    None),
            ("o.txt",           None),
            ("o.gz",            None),
            ("csv",             None),
            (".csv",            None),
            ("o.CSV",           None),
            ("o.jsonl",         None),
        ];
        for (name, form) in rows {
            let path = PathBuf::from(name);
            assert_eq!(Form::of(&path), form, "{name}");
            assert_eq!(table_name(path.clone()).is_ok(), form.is_some(), "{name}");
            assert_eq!(csv_name(path).is_ok(), form.is_some_and(|it| it != Form::Parquet), "{name}");
        }
    }
}
