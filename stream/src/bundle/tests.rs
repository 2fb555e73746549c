//! A bundle says what its texts say, and a change of one text changes nothing else.

use super::*;

const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency EUR\nrates \"rates.csv\"\n\
                      entity user\nevent payment\n  user: user\n  mcc: text(4)?\n";
const RULES: &str = "use schema s\nlist watched : user from \"watched.txt\"\n\
                     list risky : text(4) from \"risky.txt\"\n\
                     list rates_of : decimal(2) from \"rates_of.txt\"\n\
                     table limits : user -> money from \"limits.txt\"\n\
                     table codes : user -> text(4) from \"codes.txt\"\n";

fn list(list: &str, text: &str) -> ListFile {
    ListFile { list: list.to_owned(), name: format!("{list}.txt"), text: text.to_owned() }
}

fn bundle() -> Bundle {
    Bundle {
        lists: vec![list("watched", "u1\n"), list("risky", "5732 # shops\n5944\n")],
        rates: Some(File::new("rates.csv", "currency,rate\nUSD,0.9\n")),
        ..Bundle::of(&[("s.schema.weir", SCHEMA), ("s.weir", RULES)])
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
    let marked = Bundle { lists: vec![list("risky", "\u{feff}5732\n5944\n")], ..bundle() };
    assert_eq!(risky(&marked.with_value("risky", "5732", false)), ["5944"]);
    let empty = Bundle { lists: Vec::new(), ..bundle() };
    assert_eq!(risky(&empty.with_value("risky", "5999", true)), ["5999"]);
    let rates = Rates::parse("currency,rate\nUSD,0.8\nGBP,1.2\n", checked.rates.base()).unwrap();
    let changed = bundle().with_rates(&rates);
    assert_eq!(changed.check().unwrap().rates, rates);
    assert_eq!(Bundle { rates: bundle().rates, ..changed }, bundle());
}

#[test]
fn what_is_wrong_is_told_with_file_and_line() {
    let wrong = Bundle::of(&[("s.schema.weir", SCHEMA), ("s.weir", "rule")]);
    let Err(BundleError::Rules { diagnostics, said }) = wrong.check() else { panic!() };
    assert!(!diagnostics.is_empty() && said.contains("s.weir:1"), "{said}");
    let wrong = Bundle {
        lists: vec![list("watched", &format!("u1\n{}\n", "u".repeat(300))), list("risky", "5944\n")],
        rates: Some(File::new("rates.csv", "currency,rate\nUSD,no\n")),
        ..bundle()
    };
    let told = wrong.check().unwrap_err().to_string();
    let expected = "rate table `rates.csv`: line 2: `no` is not a positive number of at most 18 digits\n\
                    list `watched`: `watched.txt`, line 2: ";
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn what_people_send_holds_each_item_once_and_no_text_too_long() {
    #[rustfmt::skip]
    let rows = [
        ("watched",  "u1\nu2\n",            ""),
        ("watched",  "u1\n# u1\nu1 # he\n", "line 3: `u1` stands in line 1 already: leave one"),
        ("risky",    "5732\n\n5732",         "line 3: `5732` stands in line 1 already: leave one"),
        ("risky",    "5732\n57321\n",        "line 2: `57321` is too long: 5 bytes, at most 4"),
        ("rates_of", "0.10\n0.1",           "line 2: `0.1` stands in line 1 already: leave one"),
        ("limits",   "u1, 1.00\nu1,2.00\n",  "line 2: `u1` stands in line 1 already: leave one"),
        ("limits",   "u1,5.00\nu2,1,000.00", "line 2: `u2,1,000.00` has a comma too many: neither an id of a table nor a number has one in it"),
        ("codes",    "u1,5732\nu2,57321\n",  "line 2: `57321` is too long: 5 bytes, at most 4"),
        ("codes",    "u1,5732\nu2,5732\n",   ""),
    ];
    for (name, text, problem) in rows {
        let given = Bundle { lists: vec![list(name, text)], ..bundle() };
        let told = given.check_new().map(drop).map_err(|it| it.to_string());
        let expected = match problem {
            "" => Ok(()),
            problem => Err(format!("list `{name}`: `{name}.txt`, {problem}")),
        };
        assert_eq!(told, expected, "{text:?}");
        assert!(given.check().is_ok(), "what is recorded stays readable: {text:?}");
    }
}
