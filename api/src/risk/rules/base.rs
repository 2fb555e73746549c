//! Where files came from that come back changed: it tells which of them were changed, and whether the rules were since.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use engine::hex::hex;
use stream::gate::RulesHash;

use super::files::is_source;

/// Bytes of a hash that tells one text of a file from the next.
const CONTENT_BYTES: usize = 16;

/// Names rules, and what the files beside them held. Whoever gets it sends it back as it is, so that nothing of what was once
/// shown need be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Base {
    /// Their hash, in hexadecimal.
    rules: String,
    /// The hashes of the files, in hexadecimal.
    contents: BTreeSet<String>,
}

impl Base {
    /// Of rules and the files that are shown of them.
    pub(super) fn of(rules: &RulesHash, files: &BTreeMap<String, String>) -> Self {
        let beside = files.iter().filter(|(name, _)| !is_source(name));
        Self { rules: hex(rules), contents: beside.map(|(name, text)| content(name, text)).collect() }
    }

    /// As it was shown; none if it was not.
    pub(super) fn read(shown: &str) -> Option<Self> {
        let is_hex = |it: &str| it.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        let mut parts = shown.split('.').map(|it| Some(it).filter(|it| is_hex(it)).map(str::to_owned));
        let (rules, contents) = (parts.next()??, parts.collect::<Option<BTreeSet<_>>>()?);
        let is_whole = rules.len() == 2 * size_of::<RulesHash>()
            && contents.iter().all(|it| it.len() == 2 * CONTENT_BYTES);
        is_whole.then_some(Self { rules, contents })
    }

    /// Whether these are its rules.
    pub(super) fn is_of(&self, rules: &RulesHash) -> bool {
        self.rules == hex(rules)
    }

    /// Whether a file beside the rules is as it was.
    pub(super) fn has(&self, name: &str, text: &str) -> bool {
        self.contents.contains(&content(name, text))
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rules)?;
        self.contents.iter().try_for_each(|it| write!(f, ".{it}"))
    }
}

/// The hash of a file's name and text.
fn content(name: &str, text: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(text.as_bytes());
    hex(hasher.finalize().as_bytes().get(..CONTENT_BYTES).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_shown() {
        let files = [("s.weir", "rules"), ("risky.txt", "5732\n"), ("rates.csv", "currency,rate\n")];
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let base = Base::of(&[7; 32], &files.into());
        let shown = base.to_string();
        assert_eq!(Base::read(&shown), Some(base.clone()));
        assert!(base.is_of(&[7; 32]) && !base.is_of(&[8; 32]));
        let known = |name, text| base.has(name, text);
        assert!(known("risky.txt", "5732\n") && known("rates.csv", "currency,rate\n"));
        assert!(!known("risky.txt", "5732") && !known("risk", "y.txt5732\n") && !known("s.weir", "rules"));
        let (rules, _) = shown.split_once('.').unwrap();
        assert_eq!(Base::read(rules), Some(Base::of(&[7; 32], &BTreeMap::new())));
        for wrong in
            ["", "1", &shown[1..], &shown[..shown.len() - 1], &format!("{shown}."), &shown.to_uppercase()]
        {
            assert_eq!(Base::read(wrong), None, "{wrong}");
        }
    }
}
