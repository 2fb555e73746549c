//! A bundle says what its texts say, and a change of one text changes nothing else.

use super::*;

const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency EUR\nrates \"rates.csv\"\n\
                      entity user\nevent payment\n  user: user\n  mcc: text(4)?\n";
const RULES: &str = "use schema s\nlist watched : user from \"watched.txt\"\n\
                     list risky : text(4) from \"risky.txt\"\n";

fn file(name: &str, text: &str) -> File {
    File { name: name.to_owned(), text: text.to_owned() }
}

fn list(list: &str, text: &str) -> ListFile {
    ListFile { list: list.to_owned(), name: format!("{list}.txt"), text: text.to_owned() }
}

fn bundle() -> Bundle {
    Bundle {
        sources: vec![file("s.schema.weir", SCHEMA), file("s.weir", RULES)],
        lists: vec![list("watched", "u1\n"), list("risky", "5732 # shops\n5944\n")],
        rates: Some(file("rates.csv", "currency,rate\nUSD,0.9\n")),
    }
}

/// Which codes the list of plain values holds.
fn risky(bundle: &Bundle) -> Vec<&'static str> {
    let key = HashKey::new([7; 16]);
    let rules = bundle.check().unwrap().compile(key).unwrap();
    let held = |it: &&str| rules.values.contains(ListId(1), key.slot(it));
    ["5732", "5944", "5999"].into_iter().filter(held).collect()
}

#[test]
fn values_and_rates_change_alone() {
    let checked = bundle().check().unwrap();
    assert_eq!(checked.rates.iter().count(), 1);
    assert_eq!(checked.items.len(), 3);
    assert_eq!(risky(&bundle()), ["5732", "5944"]);
    let more = bundle().with_value("risky", "5999", true);
    assert_eq!(risky(&more), ["5732", "5944", "5999"]);
    assert_eq!(risky(&more.with_value("risky", "5732", false)), ["5944", "5999"]);
    let empty = Bundle { lists: Vec::new(), ..bundle() };
    assert_eq!(risky(&empty.with_value("risky", "5999", true)), ["5999"]);
    let rates = Rates::parse("currency,rate\nUSD,0.8\nGBP,1.2\n", checked.rates.base()).unwrap();
    let changed = bundle().with_rates(&rates);
    assert_eq!(changed.check().unwrap().rates, rates);
    assert_eq!(Bundle { rates: bundle().rates, ..changed }, bundle());
}

#[test]
fn what_is_wrong_is_told_with_file_and_line() {
    let wrong = Bundle { sources: vec![file("s.schema.weir", SCHEMA), file("s.weir", "rule")], ..bundle() };
    let Err(BundleError::Rules { diagnostics, said }) = wrong.check() else { panic!() };
    assert!(!diagnostics.is_empty() && said.contains("s.weir:1"), "{said}");
    let wrong = Bundle {
        lists: vec![list("watched", &format!("u1\n{}\n", "u".repeat(300))), list("risky", "5944\n")],
        rates: Some(file("rates.csv", "currency,rate\nUSD,no\n")),
        ..bundle()
    };
    let told = wrong.check().unwrap_err().to_string();
    let expected = "rate table `rates.csv`: line 2: `no` is not a positive number of at most 18 digits\n\
                    list `watched`: `watched.txt`, line 2: ";
    assert!(told.starts_with(expected), "{told}");
}
