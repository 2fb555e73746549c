//! Where files came from that come back changed: it tells which of them were changed, and what others changed since.

use std::collections::BTreeSet;
use std::fmt;

use engine::hex::hex;
use rules::typed::List;
use stream::bundle::Bundle;
use stream::in_force::InForce;
use stream::intake::pointer;

use super::files::as_shown;
use crate::problem::{Code, Problem, Where};

/// Bytes of a hash that tells one text from the next.
const HASH_BYTES: usize = 16;

/// Names schema and rules as they are written, and what the files beside them held. Whoever gets it sends it back as it is, so
/// that nothing of what was once shown need be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Base {
    /// The hash of schema and rules, in hexadecimal.
    rules: String,
    /// The hashes of what each list held, and of the rates, in hexadecimal.
    contents: BTreeSet<String>,
}

/// What others changed that somebody's files would undo.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Undone {
    /// Schema or rules.
    Rules,
    /// What stands in a file beside them, by its name.
    File(String),
}

impl Base {
    /// Of files as they are shown.
    pub(super) fn of(shown: &Bundle) -> Self {
        let mut rules = blake3::Hasher::new();
        for file in &shown.sources {
            feed(&file.name, &mut rules);
            feed(&file.text, &mut rules);
        }
        let lists = shown.lists.iter().map(|it| content(Some(&it.list), &it.text));
        let rates = shown.rates.iter().map(|it| content(None, &it.text));
        Self { rules: finished(&rules), contents: lists.chain(rates).collect() }
    }

    /// As it was shown; none if it was not.
    pub(super) fn read(shown: &str) -> Option<Self> {
        let is_hash = |it: &&str| {
            it.len() == 2 * HASH_BYTES && it.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
        };
        let mut parts = shown.split('.').map(|it| Some(it).filter(is_hash).map(str::to_owned));
        Some(Self { rules: parts.next()??, contents: parts.collect::<Option<_>>()? })
    }

    /// What was changed of these files, beside schema and rules: what is as it was is left out, so that it stays as it is now.
    pub(super) fn changed(&self, sent: &Bundle, lists: &[List]) -> Bundle {
        sent.without_contents(lists, |list, text| self.holds(list, text))
    }

    /// What others changed meanwhile that a bundle of [`Base::changed`] would undo; none if there is nothing.
    pub(super) fn undone(&self, changed: &Bundle, in_force: &InForce) -> Option<Undone> {
        let (now, typed) = (in_force.bundle.as_deref()?, &in_force.rules.typed);
        self.undone_of(changed, &typed.lists, &as_shown(now, typed))
    }

    fn undone_of(&self, changed: &Bundle, lists: &[List], now: &Bundle) -> Option<Undone> {
        if self.rules != Self::of(now).rules {
            return Some(Undone::Rules);
        }
        let rates = changed.rates.iter().zip(&now.rates).map(|(it, now)| (&it.name, None, &now.text));
        let values = changed.lists.iter().filter(|it| it.is_of_values(lists)).filter_map(|it| {
            let now = now.lists.iter().find(|now| now.list == it.list)?;
            Some((&it.name, Some(it.list.as_str()), &now.text))
        });
        let mut both = rates.chain(values).filter(|(_, list, now)| !self.holds(*list, now));
        both.next().map(|(name, ..)| Undone::File(name.clone()))
    }

    /// Whether a list held this, or the rate table did.
    fn holds(&self, list: Option<&str>, text: &str) -> bool {
        self.contents.contains(&content(list, text))
    }
}

impl Undone {
    /// What somebody is told who sent the files.
    pub(super) fn problem(&self) -> Problem {
        let (place, detail) = match self {
            Self::Rules => ("#/base".to_owned(), "other rules came into force since these files were shown"),
            Self::File(name) => {
                (format!("#/files{}", pointer(name)), "others changed what stands in it since it was shown")
            }
        };
        Problem::at(Code::RulesChanged, Where::Pointer(place), detail)
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rules)?;
        self.contents.iter().try_for_each(|it| write!(f, ".{it}"))
    }
}

/// The hash of what a list holds, or the rate table.
fn content(list: Option<&str>, text: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[u8::from(list.is_some())]);
    feed(list.unwrap_or_default(), &mut hasher);
    feed(text, &mut hasher);
    finished(&hasher)
}

/// A text behind its length, so that no two rows of texts are the same bytes.
fn feed(text: &str, to: &mut blake3::Hasher) {
    to.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
}

fn finished(hasher: &blake3::Hasher) -> String {
    hex(hasher.finalize().as_bytes().get(..HASH_BYTES).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use rules::typed::RuleSet;
    use stream::bundle::{File, ListFile};

    use super::*;

    const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency CNY\nrates \"rates.csv\"\nentity user\nevent payment\n  user: user\n";
    const RULES: &str = "use schema s\nlist winter : text(4) from \"winter.txt\"\nlist summer : text(4)\nlist watched : user\n";

    fn bundle(rules: &str, lists: &[(&str, &str)], rates: &str) -> Bundle {
        let list = |(list, text): &(&str, &str)| ListFile {
            list: (*list).to_owned(),
            name: format!("{list}.txt"),
            text: (*text).to_owned(),
        };
        let lists = lists.iter().map(list).collect();
        Bundle { lists, rates: Some(File::new("rates.csv", rates)), ..Bundle::of(&[("s.weir", rules)]) }
    }

    fn typed() -> RuleSet {
        let sources = Bundle::of(&[("s.schema.weir", SCHEMA), ("s.weir", RULES)]);
        let rates = Some(File::new("rates.csv", "currency,rate\n"));
        Bundle { rates, ..sources }.check().unwrap().rules
    }

    #[test]
    fn it_is_read_as_it_is_shown() {
        let base = Base::of(&bundle(RULES, &[("winter", "5732\n")], "currency,rate\n"));
        let shown = base.to_string();
        assert_eq!(Base::read(&shown), Some(base.clone()));
        assert!(base.holds(Some("winter"), "5732\n") && base.holds(None, "currency,rate\n"));
        let (rules, _) = shown.split_once('.').unwrap();
        assert_eq!(Base::read(rules), Some(Base::of(&Bundle::of(&[("s.weir", RULES)]))));
        for wrong in
            ["", "1", &shown[1..], &shown[..shown.len() - 1], &format!("{shown}."), &shown.to_uppercase()]
        {
            assert_eq!(Base::read(wrong), None, "{wrong}");
        }
    }

    /// What was shown held `1` and `2` in the two lists of values, `u` in that of users, and rates of `3`.
    #[test]
    fn what_is_changed_counts_unless_others_changed_it_too() {
        let typed = typed();
        let shown = |winter, summer, watched, rates: &str| {
            bundle(RULES, &[("winter", winter), ("summer", summer), ("watched", watched)], rates)
        };
        let was = shown("1", "2", "u", "3");
        let base = Base::of(&was);
        let check = |sent: &Bundle, now: &Bundle, changed: &[&str], undone: Option<Undone>| {
            let left = base.changed(sent, &typed.lists);
            let lists =
                left.lists.iter().filter(|it| it.is_of_values(&typed.lists)).map(|it| it.name.as_str());
            let said: Vec<_> = lists.chain(left.rates.iter().map(|it| it.name.as_str())).collect();
            assert_eq!(said, changed, "{sent:?}");
            assert_eq!(base.undone_of(&left, &typed.lists, now), undone, "{sent:?} over {now:?}");
        };
        let file = |name: &str| Some(Undone::File(name.to_owned()));
        check(&was, &was, &[], None);
        check(&was, &shown("8", "9", "v", "7"), &[], None);
        check(&shown("1", "5", "u", "3"), &shown("8", "2", "u", "7"), &["summer.txt"], None);
        check(&shown("1", "5", "u", "3"), &shown("1", "9", "u", "3"), &["summer.txt"], file("summer.txt"));
        check(&shown("1", "2", "u", "4"), &shown("8", "2", "u", "7"), &["rates.csv"], file("rates.csv"));
        check(&shown("1", "2", "w", "3"), &shown("1", "2", "v", "3"), &[], None);
        // What was one list's is another's now.
        check(&shown("2", "1", "u", "3"), &was, &["winter.txt", "summer.txt"], None);
        let added = bundle(RULES, &[("winter", "1"), ("spring", "1")], "3");
        assert_eq!(base.changed(&added, &typed.lists).lists.len(), 1, "no list of that name held it");
        let commented = format!("{RULES}// asked for by the bank\n");
        check(&was, &bundle(&commented, &[], "3"), &[], Some(Undone::Rules));
    }
}
