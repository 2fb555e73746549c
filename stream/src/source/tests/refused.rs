//! Bad rows, bad mappings, bad files: each is told by name and place, and what was good is kept.

use expect_test::{Expect, expect};

use super::*;
use crate::testing::schema;

const FIELDS: &str = "entity user
entity bin shared
enum channel = app, web
event payment
  user: user
  amount: money
  yuan: money CNY?
  channel: channel?
  place: place?
  mcc: text(4)?
  bin: bin? = prefix(mcc, 2)
  tries: int?
event login
  user: user";
const MAP: &str = r#"schema = "s.schema.weir"
event = "payment"
id = "id"
time = { column = "t", format = "unix_s" }
[fields]
user = "u"
amount = { column = "a", currency = "EUR" }
mcc = "m"
place = { latitude = "lat", longitude = "lon" }
channel = { column = "c", values = { A = "app", W = "web" } }
tries = "n"
"#;
const HEADER: &str = "id,t,u,a,m,lat,lon,c,n\n";

#[track_caller]
fn check(map: &str, file: &[u8], expected: Expect) {
    let schema = schema(FIELDS);
    let (text, _) = read_all(open(map, &schema, &[file], OPTIONS, SourceState::default()), &schema);
    expected.assert_eq(&text);
}

#[test]
fn a_bad_row_names_its_column_and_the_others_stand() {
    let long = "x".repeat(10_000);
    let rows = [
        "p1,1,u,1.00,1234,1,2,A,3",
        "p2,1,u,1e3,,,,,",
        "p3,1,u,NaN,,,,,",
        "p4,1,u,123456789012345678901234567890,,,,,",
        "p5,1,u,-12.50,,,,,",
        "p6,1,u,1.005,,,,,",
        "p7,1,u,,,,,,",
        "p8,1,,1,,,,,",
        "p9,9999999999999,u,1,,,,,",
        "p10,-1,u,1,,,,,",
        "p11,,u,1,,,,,",
        ",1,u,1,,,,,",
        "p13,1,u,1,12345,,,,",
        "p14,1,u,1,,91,2,,",
        "p15,1,u,1,,1,x,,",
        "p16,1,u,1,,1,,,",
        "p17,1,u,1,,,,X,",
        "p18,1,u,1,,,,,1.5",
        "p19,1,u",
        "p20,1,u,1,,,,,,",
        &format!("{long},1,u,1,,,,,"),
        &format!("p22,1,{long},1,,,,,"),
        "p23,1,u,1,,,,,",
    ];
    let mut file = (HEADER.to_owned() + &rows.join("\n") + "\n").into_bytes();
    file.extend_from_slice(b"p24,1,u\xff,1,,,,,\np25,1,u,1,,,,,\n");
    check(
        MAP,
        &file,
        expect![[r#"
            payment p1 1970-01-01T00:00:01Z user=u amount=100EUR channel=0 place=10000000,20000000 mcc=1234 bin=12 tries=3
            reject 0:2 column `a`: `1e3` is not a plain number: write digits, such as `1000` or `-12.50`
            reject 0:3 column `a`: `NaN` is not a plain number: write digits, such as `1000` or `-12.50`
            reject 0:4 column `a`: `123456789012345678901234567890` is too large: at most 100000000000 in magnitude
            reject 0:5 column `a`: `-12.50` is negative: an amount says how much, the event's type which way; what has a sign is a `decimal`
            reject 0:6 column `a`: `1.005` has more than 2 digits after the point
            reject 0:7 column `a`: missing, and the field is required
            reject 0:8 column `u`: missing, and the field is required
            reject 0:9 column `t`: `9999999999999` is outside the years 1970 to 2199
            reject 0:10 column `t`: `-1` is outside the years 1970 to 2199
            reject 0:11 column `t`: `` is not a plain number: write digits, such as `1000` or `-12.50`
            reject 0:12 column `id`: `` is empty, and an id has at least one byte
            reject 0:13 column `m`: `12345` is too long: 5 bytes, at most 4
            reject 0:14 column `lat`: `91` is no place: latitude is within ±90, longitude within ±180
            reject 0:15 column `lon`: `x` is not a plain number: write digits, such as `1000` or `-12.50`
            payment p16 1970-01-01T00:00:01Z user=u amount=100EUR
            reject 0:17 column `c`: `X` is not named; there is `A`, `W`
            reject 0:18 column `n`: `1.5` is not a whole number
            reject 0:19 3 cells where the header has 9
            reject 0:20 10 cells where the header has 9
            reject 0:21 column `id`: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is too long: 10000 bytes, at most 128
            reject 0:22 column `u`: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is too long: 10000 bytes, at most 256
            payment p23 1970-01-01T00:00:01Z user=u amount=100EUR
            reject 0:24 column `u`: `u�` is not UTF-8 from byte 2
            payment p25 1970-01-01T00:00:01Z user=u amount=100EUR
        "#]],
    );
}

/// The mapping with a part of it changed.
fn change(from: &str, to: &str) -> String {
    assert!(MAP.contains(from), "{from}");
    MAP.replace(from, to)
}

/// The mapping with more lines.
fn add(lines: &str) -> String {
    format!("{MAP}{lines}\n")
}

/// The mapping with a label.
fn label(rest: &str) -> String {
    add(&format!("[label]\ncolumn = \"m\"\nvalues = {{ x = \"fraud\" }}\n{rest}"))
}

/// Each mapping is refused before the first row: with these words, a line each.
#[track_caller]
fn check_refused(maps: &[String], expected: Expect) {
    let schema = schema(FIELDS);
    let mut said = String::new();
    for map in maps {
        let source = open(map, &schema, &[HEADER.as_bytes()], OPTIONS, SourceState::default());
        let error = source.map(drop).unwrap_err().to_string();
        said.push_str(error.trim_end());
        said.push('\n');
    }
    expected.assert_eq(&said);
}

#[test]
fn a_mapping_that_names_what_is_not_there_is_refused() {
    check_refused(
        &[
            // Columns, fields, types.
            change("user = \"u\"", "user = \"uu\""),
            change("id = \"id\"", "id = \"transaction\""),
            change("user = \"u\"", "usr = \"u\""),
            change("user = \"u\"", ""),
            change("event = \"payment\"", "event = \"pament\""),
            change(
                "event = \"payment\"",
                "event = { column = \"c\", values = { A = \"payment\", B = \"logn\" } }",
            ),
            add("[fields.login]\nuser = \"u\""),
            add("bin = \"m\""),
            // Words.
            change("currency = \"EUR\"", "curency = \"EUR\""),
            change("currency = \"EUR\"", "currency = \"EURO\""),
            change("currency = \"EUR\"", "currency = \"EUR\", unit = \"cents\""),
            change("mcc = \"m\"", "mcc = { column = \"m\", currency = \"EUR\" }"),
            change("mcc = \"m\"", "mcc = { value = \"12345\" }"),
            change("mcc = \"m\"", "mcc = {}"),
            change("W = \"web\"", "W = \"wep\""),
            change(", longitude = \"lon\"", ""),
            add("yuan = { column = \"a\", currency = \"EUR\" }"),
        ],
        expect![[r#"
            map.toml, line 6: `user`: `file1` has no column `uu`; did you mean `u`?
            map.toml, line 3: `id`: `file1` has no column `transaction`; there is `id`, `t`, `u`, `a`, `m`, `lat`, `lon`, `c`, `n`
            map.toml, line 6: `usr`: `payment` has no field `usr`; did you mean `user`?
            map.toml, line 2: `user` of `payment` is required, and not in [fields]
            map.toml, line 2: `event`: the schema has no event type `pament`; did you mean `payment`?
            map.toml, line 2: `event`: the schema has no event type `logn`; did you mean `login`?
            map.toml, line 12: `login`: `login` has fields here, but no row becomes one
            map.toml, line 12: `bin`: `bin` is derived at intake: leave it out
            map.toml, line 7: `amount`: unknown field `curency`, expected one of `column`, `latitude`, `longitude`, `currency`, `currency_column`, `unit`, `format`, `zone`, `values`, `value`, `missing`; did you mean `currency`?
            map.toml, line 7: `amount`: `EURO` is no currency: write three capitals of ISO 4217, such as `EUR`
            map.toml, line 7: `amount`: `cents` is no unit of money; there is `major`, `minor`
            map.toml, line 8: `mcc`: `currency` is for money
            map.toml, line 8: `mcc`: `12345` is too long: 5 bytes, at most 4
            map.toml, line 8: `mcc`: a field is a `column`, a `value`, or a `latitude` and a `longitude`
            map.toml, line 10: `channel`: `wep` is no value of the enum; did you mean `web`?
            map.toml, line 9: `place`: `latitude` and `longitude` go together
            map.toml, line 12: `yuan`: the field takes only CNY
        "#]],
    );
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let several = |rows: &[(&str, &str)]| {
        rows.iter().fold(MAP.to_owned(), |map, (from, to)| {
            assert!(map.contains(from), "{from}");
            map.replace(from, to)
        })
    };
    check_refused(
        &[
            several(&[
                ("id = \"id\"", "id = {}"),
                ("unix_s", "unixs"),
                ("user = \"u\"", "usr = \"u\""),
                ("currency = \"EUR\"", "curency = \"EUR\""),
                ("\"m\"", "\"mm\""),
                ("\"n\"", "\"nn\""),
            ]),
            // Without a type nothing is said of its fields.
            several(&[("\"payment\"", "\"pament\""), ("id = \"id\"", "id = \"no\""), ("\"m\"", "\"mm\"")]),
            // What two types have is said once.
            several(&[
                ("event = \"payment\"", "event = { column = \"c\" }"),
                ("user = \"u\"", "user = \"uu\""),
                ("amount = ", "amuont = "),
            ]) + "[label]\ncolumn = \"x\"\nknown_after = \"7d\"\n",
        ],
        expect![[r#"
            map.toml, line 3: `id`: an id is a `column` or a `sequence`
            map.toml, line 4: `time`: `unixs` is no time format (those are `iso`, `unix_s`, `unix_ms`, a pattern such as `%d/%m/%Y %H:%M`, or { start, step }); did you mean `unix_s`?
            map.toml, line 6: `usr`: `payment` has no field `usr`; did you mean `user`?
            map.toml, line 7: `amount`: unknown field `curency`, expected one of `column`, `latitude`, `longitude`, `currency`, `currency_column`, `unit`, `format`, `zone`, `values`, `value`, `missing`; did you mean `currency`?
            map.toml, line 8: `mcc`: `file1` has no column `mm`; did you mean `m`?
            map.toml, line 11: `tries`: `file1` has no column `nn`; did you mean `n`?
            map.toml, line 2: `event`: the schema has no event type `pament`; did you mean `payment`?
            map.toml, line 3: `id`: `file1` has no column `no`; did you mean `n`?
            map.toml, line 6: `user`: `file1` has no column `uu`; did you mean `u`?
            map.toml, line 7: `amuont`: `payment`, `login` has no field `amuont`; did you mean `amount`?
            map.toml, line 12: `label`: `file1` has no column `x`; there is `id`, `t`, `u`, `a`, `m`, `lat`, `lon`, `c`, `n`
        "#]],
    );
}

#[test]
fn an_entry_tells_all_of_its_mistakes() {
    let amount = "amount = { column = \"a\", currency = \"EUR\" }";
    check_refused(
        &[
            change(amount, "amount = { colum = \"aa\", curency = \"EUR\", unit = 5 }"),
            change(
                amount,
                "amount = { column = \"aa\", currency = \"EURO\", unit = \"cents\", zone = \"UTC\" }",
            ),
            change("A = \"app\", W = \"web\"", "A = \"ap\", W = \"wep\"")
                .replace("column = \"c\"", "column = \"cc\", currency = \"EUR\", latitude = \"c\""),
            change(
                "event = \"payment\"",
                "event = { column = \"ty\", values = { P = \"pament\", L = \"logn\" } }",
            ),
            change("format = \"unix_s\"", "format = { start = \"now\", step = \"1y\" }, zone = \"Mars\"")
                .replace("column = \"t\"", "column = \"tt\""),
            change(
                "tries",
                "[fields.payment]\n\ntries = \"nn\"\nmcc = { column = \"mm\", unit = \"m\" }\nuser",
            ),
            label("known_after = \"7x\"\nkind = \"kk\"").replace("\"fraud\" }", "\"fruad\", y = \"ok\" }"),
            change("schema", "shema")
                .replace("time =", "ime =")
                .replace("id =", "ide =")
                .replace("[fields]", "order = 5\n[fields]"),
            format!("evnt = 1\n{}", change("event", "label")),
        ],
        expect![[r#"
            map.toml, line 7: `amount`: unknown field `colum`, expected one of `column`, `latitude`, `longitude`, `currency`, `currency_column`, `unit`, `format`, `zone`, `values`, `value`, `missing`; did you mean `column`?
            map.toml, line 7: `amount`: unknown field `curency`, expected one of `column`, `latitude`, `longitude`, `currency`, `currency_column`, `unit`, `format`, `zone`, `values`, `value`, `missing`; did you mean `currency`?
            map.toml, line 7: `amount`: invalid type: integer `5`, expected a string
            map.toml, line 7: `amount`: `zone` is for times
            map.toml, line 7: `amount`: `file1` has no column `aa`; did you mean `a`?
            map.toml, line 7: `amount`: `cents` is no unit of money; there is `major`, `minor`
            map.toml, line 7: `amount`: `EURO` is no currency: write three capitals of ISO 4217, such as `EUR`
            map.toml, line 10: `channel`: `currency` is for money
            map.toml, line 10: `channel`: `latitude` is for places
            map.toml, line 10: `channel`: `latitude` and `longitude` go together
            map.toml, line 2: `event`: the schema has no event type `logn`; did you mean `login`?
            map.toml, line 2: `event`: the schema has no event type `pament`; did you mean `payment`?
            map.toml, line 2: `event`: `file1` has no column `ty`; did you mean `t`?
            map.toml, line 4: `time`: there is no time zone `Mars`; such as `Europe/Berlin`
            map.toml, line 4: `time`: `start`: `now` is not an ISO time such as `2026-01-05T08:00:00`
            map.toml, line 4: `time`: `step`: `1y` is not a duration: write a whole number and `ms`, `s`, `m`, `h`, `d` or `w`, such as `15m`
            map.toml, line 4: `time`: `file1` has no column `tt`; did you mean `t`?
            map.toml, line 13: `payment.tries`: `file1` has no column `nn`; did you mean `n`?
            map.toml, line 14: `payment.mcc`: `unit` is for money and durations
            map.toml, line 14: `payment.mcc`: `file1` has no column `mm`; did you mean `m`?
            map.toml, line 12: `label`: `fruad` is no label; did you mean `fraud`?
            map.toml, line 12: `label`: `ok` is no label; there is `fraud`, `legitimate`
            map.toml, line 12: `label`: `known_after`: `7x` is not a duration: write a whole number and `ms`, `s`, `m`, `h`, `d` or `w`, such as `15m`
            map.toml, line 12: `label`: `file1` has no column `kk`; there is `id`, `t`, `u`, `a`, `m`, `lat`, `lon`, `c`, `n`
            map.toml, line 1: there is no key `shema`; did you mean `schema`?
            map.toml, line 3: there is no key `ide`; did you mean `id`?
            map.toml, line 4: there is no key `ime`; did you mean `time`?
            map.toml, line 5: `order`: wanted string or table
            map.toml, line 1: there is no key `evnt`; did you mean `event`?
            map.toml, line 3: `label`: invalid type: string "payment", expected a table
        "#]],
    );
}

#[test]
fn a_table_tells_all_of_its_wrong_keys() {
    let time = "{ column = \"t\", format = \"unix_s\" }";
    check_refused(
        &[
            change("event = \"payment\"", "event = { colum = \"t\", vals = 1, othr = \"skip\" }"),
            change("event = \"payment\"", "event = { column = \"t\", values = 5, other = \"drop\" }"),
            change("id = \"id\"", "id = { colum = \"id\", sequenc = \"{n}\", x = 1 }"),
            change(time, "{ column = 5, fromat = \"iso\", zone = 1 }"),
            change(time, "{ zon = \"UTC\", format = { start = 1, stepp = \"1h\", step = 2 } }"),
            // On lines of their own, and with tables of their own.
            label("known_aftr = \"7d\"\nknd = \"m\"")
                .replace("column = \"m\"", "colunm = \"m\"")
                .replace("id = \"id\"", "id = { colum = \"id\" }"),
            label("kind = { name = \"m\" }\n[label.known_at]\ncolum = \"t\"\nzne = \"UTC\""),
            format!(
                "join.c = {{ fil = \"c.csv\", key = 1, x = 2 }}\njoin.d = {{ kee = \"u\" }}\njoin.e = 5\n{MAP}"
            ),
        ],
        expect![[r#"
            map.toml, line 2: `event`: unknown field `colum`, expected one of `column`, `values`, `other`; did you mean `column`?
            map.toml, line 2: `event`: unknown field `othr`, expected one of `column`, `values`, `other`; did you mean `other`?
            map.toml, line 2: `event`: unknown field `vals`, expected one of `column`, `values`, `other`; did you mean `values`?
            map.toml, line 2: `event`: unknown word `drop`, expected `reject` or `skip`
            map.toml, line 2: `event`: invalid type: integer `5`, expected a map
            map.toml, line 3: `id`: unknown field `colum`, expected `column` or `sequence`; did you mean `column`?
            map.toml, line 3: `id`: unknown field `sequenc`, expected `column` or `sequence`; did you mean `sequence`?
            map.toml, line 3: `id`: unknown field `x`, expected `column` or `sequence`
            map.toml, line 4: `time`: invalid type: integer `5`, expected a string
            map.toml, line 4: `time`: unknown field `fromat`, expected one of `column`, `format`, `zone`; did you mean `format`?
            map.toml, line 4: `time`: invalid type: integer `1`, expected a string
            map.toml, line 4: `time`: invalid type: integer `1`, expected a string
            map.toml, line 4: `time`: invalid type: integer `2`, expected a string
            map.toml, line 4: `time`: unknown field `stepp`, expected `start` or `step`; did you mean `step`?
            map.toml, line 4: `time`: unknown field `zon`, expected one of `column`, `format`, `zone`; did you mean `zone`?
            map.toml, line 4: `time`: `column` is missing
            map.toml, line 3: `id`: unknown field `colum`, expected `column` or `sequence`; did you mean `column`?
            map.toml, line 13: `label`: unknown field `colunm`, expected one of `column`, `values`, `known_after`, `known_at`, `kind`; did you mean `column`?
            map.toml, line 15: `label`: unknown field `known_aftr`, expected one of `column`, `values`, `known_after`, `known_at`, `kind`; did you mean `known_after`?
            map.toml, line 16: `label`: unknown field `knd`, expected one of `column`, `values`, `known_after`, `known_at`, `kind`; did you mean `kind`?
            map.toml, line 15: `label`: unknown field `name`, expected `column`
            map.toml, line 15: `label.kind`: `column` is missing
            map.toml, line 17: `label`: unknown field `colum`, expected one of `column`, `format`, `zone`; did you mean `column`?
            map.toml, line 18: `label`: unknown field `zne`, expected one of `column`, `format`, `zone`; did you mean `zone`?
            map.toml, line 1: `join`: unknown field `fil`, expected `file` or `key`; did you mean `file`?
            map.toml, line 1: `join`: invalid type: integer `1`, expected a string
            map.toml, line 1: `join`: unknown field `x`, expected `file` or `key`
            map.toml, line 2: `join`: unknown field `kee`, expected `file` or `key`; did you mean `key`?
            map.toml, line 2: `join.d`: `file` is missing
            map.toml, line 3: `join`: invalid type: integer `5`, expected a table
        "#]],
    );
}

#[test]
fn times_and_ids_that_cannot_be_are_refused() {
    check_refused(
        &[
            // Ids and times.
            change("id = \"id\"", "id = { sequence = \"x\" }"),
            change("id = \"id\"", "id = {}"),
            change("id = \"id\"", "id = { sequence = \"x{n}{n}\" }"),
            change("format = \"unix_s\"", "format = \"unixs\""),
            change("format = \"unix_s\"", "format = \"%s\""),
            change("format = \"unix_s\"", "format = \"%Y-%m-%dT%H:%M:%SZ\", zone = \"Asia/Shanghai\""),
            change("format = \"unix_s\"", "format = \"%Y-%!\""),
            change("format = \"unix_s\"", "format = \"iso\", zone = \"Europe/Berln\""),
            change("format = \"unix_s\"", "format = \"unix_s\", zone = \"UTC\""),
            change("format = \"unix_s\"", "format = { start = \"yesterday\", step = \"1h\" }"),
            change("format = \"unix_s\"", "format = { start = \"2026-01-01\", step = \"1y\" }"),
            change("format = \"unix_s\"", "format = { start = \"2026-01-01\", step = \"0h\" }"),
            change("format = \"unix_s\"", "format = { start = \"2026-01-01\", step = \"-1h\" }"),
        ],
        expect![[r#"
            map.toml, line 3: `id`: a sequence holds `{n}` where the number goes, such as `tx-{n}`
            map.toml, line 3: `id`: an id is a `column` or a `sequence`
            map.toml, line 3: `id`: a sequence holds `{n}` once
            map.toml, line 4: `time`: `unixs` is no time format (those are `iso`, `unix_s`, `unix_ms`, a pattern such as `%d/%m/%Y %H:%M`, or { start, step }); did you mean `unix_s`?
            map.toml, line 4: `time`: the pattern `%s`: seconds since 1970 are `unix_s`
            map.toml, line 4: `time`: the pattern `%Y-%m-%dT%H:%M:%SZ`: its `Z` is only a letter, and the times would be of Asia/Shanghai: if they are UTC, add `zone = "UTC"`
            map.toml, line 4: `time`: the pattern `%Y-%!`: strftime formatting failed: found unrecognized specifier directive `!`
            map.toml, line 4: `time`: there is no time zone `Europe/Berln`; such as `Europe/Berlin`
            map.toml, line 4: `time`: seconds since 1970 are UTC: leave `zone` out
            map.toml, line 4: `time`: `start`: `yesterday` is not an ISO time such as `2026-01-05T08:00:00`
            map.toml, line 4: `time`: `step`: `1y` is not a duration: write a whole number and `ms`, `s`, `m`, `h`, `d` or `w`, such as `15m`
            map.toml, line 4: `time`: `step`: `0h` is no step forward in time
            map.toml, line 4: `time`: `step`: `-1h` is no step forward in time
        "#]],
    );
}

#[test]
fn labels_joins_and_files_that_are_no_mapping_are_refused() {
    check_refused(
        &[
            // Labels and joins.
            label(""),
            label("known_after = \"7x\""),
            label("known_after = \"-7d\""),
            label("known_after = \"7d\"\nknown_at = \"t\""),
            label("known_after = \"7d\"").replace("\"fraud\" }", "\"fruad\" }"),
            format!("join.c = {{ file = \"missing.csv\", key = \"u\" }}\n{MAP}"),
            // Not a mapping at all.
            change("schema", "scheme"),
            change("time = ", "time_of = "),
            "event = ".to_owned(),
            add("order = \"sorted\""),
            change("event = ", "order = \"sorted\"\nevent = "),
            label("known_at = { format = \"iso\" }"),
            change("mcc = \"m\"", "mcc = { column = \"m\", missing = \"\" }"),
        ],
        expect![[r#"
            map.toml, line 12: `label`: a label says when it is known: `known_after` or `known_at`
            map.toml, line 12: `label`: `known_after`: `7x` is not a duration: write a whole number and `ms`, `s`, `m`, `h`, `d` or `w`, such as `15m`
            map.toml, line 12: `label`: `known_after` goes back in time
            map.toml, line 12: `label`: a label says when it is known: `known_after` or `known_at`
            map.toml, line 12: `label`: `fruad` is no label; did you mean `fraud`?
            map.toml, line 1: the joined file `missing.csv` cannot be read: No such file or directory (os error 2)
            map.toml, line 1: there is no key `scheme`; did you mean `schema`?
            map.toml, line 4: there is no key `time_of`; did you mean `time`?
            map.toml, line 1: string values must be quoted, expected literal string
            map.toml, line 12: `order`: `payment` has no field `order`; there is `amount`, `bin`, `channel`, `mcc`, `place`, `tries`, `user`, `yuan`
            map.toml, line 2: `order`: unknown word `sorted`, expected one of `live`, `check`, `sort`; did you mean `sort`?
            map.toml, line 15: `label.known_at`: `column` is missing
            map.toml, line 8: `mcc`: `missing` is a list: write `missing = [""]`
        "#]],
    );
}

#[test]
fn a_joined_file_is_held_to_its_header() {
    #[track_caller]
    fn check(joined: &str, expected: &str) {
        check_beside(HEADER, joined, expected);
    }
    #[track_caller]
    fn check_beside(header: &str, joined: &str, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("c.csv"), joined).unwrap();
        let map = format!("join.c = {{ file = \"c.csv\", key = \"u\" }}\n{}", change("\"m\"", "\"c.m\""));
        let mapping = Mapping::parse("map.toml", &map, folder.path()).unwrap();
        let rows = format!("{header}p1,1,u,1,,,,,\n");
        let (inputs, schema) = (vec![Input::memory("file1", rows.as_bytes())], schema(FIELDS));
        let source =
            Source::open(inputs, Some(mapping), Arc::clone(&schema), OPTIONS, SourceState::default());
        assert_eq!(read_all(source, &schema).0, format!("{expected}\n"), "{joined:?}");
    }
    check_beside(
        "id,t,u,a,c.m,lat,lon,c,n\n",
        "u,m\nu,1\n",
        "error: map.toml, line 9: `mcc`: `file1` has the column `c.m` twice: its own, and that of the join `c`",
    );
    check("u,m\nu,1\n", "payment p1 1970-01-01T00:00:01Z user=u amount=100EUR mcc=1");
    check("u,m\nv,2\nu,1,2\n", "error: map.toml, line 1: `c.csv`, row 2: 3 cells where the header has 2");
    check("u,m\nu\n", "error: map.toml, line 1: `c.csv`, row 1: 1 cell where the header has 2");
    check("u,m,u\nu,1,2\n", "error: map.toml, line 1: `c.csv` has the column `u` twice");
    check("u,m,m\nu,1,2\n", "error: map.toml, line 9: `mcc`: `c.csv` has the column `m` twice");
    check("m;u\n1;u\n", "error: map.toml, line 1: the joined file `c.csv` has no column `u`; there is `m;u`");
    check("u,x,m,x\nu,1,2,3\n", "payment p1 1970-01-01T00:00:01Z user=u amount=100EUR mcc=2");
}

#[test]
fn a_damaged_file_gives_what_stands_before_and_says_where() {
    let rows: String = (0..30_000_u32)
        .map(|n| format!("p{n},1,u,{}.00,,,,,\n", n.wrapping_mul(2_654_435_761) >> 12))
        .collect();
    let whole = zstd::encode_all((HEADER.to_owned() + &rows).as_bytes(), 1).unwrap();
    let schema = schema(FIELDS);
    let cut = &whole[..whole.len() - 10];
    let (text, state) = read_all(open(MAP, &schema, &[cut], OPTIONS, SourceState::default()), &schema);
    let (events, end) = text.trim_end().rsplit_once('\n').unwrap();
    assert!(events.lines().all(|it| it.starts_with("payment p")), "no torn row is given out");
    assert!(10_000 < events.lines().count() && events.lines().count() < 30_000);
    assert_eq!(state.sequence, u64::try_from(events.lines().count()).unwrap());
    let expected = format!("error: `file1` is damaged or cut short at byte {}: ", cut.len());
    assert!(end.starts_with(&expected) && end.ends_with("; what stands before is read"), "{end}");
}

/// Blank lines are no rows, and count where an editor counts them.
#[test]
fn a_row_of_json_lines_bears_the_number_of_its_line() {
    let most =
        "note: `file1`: no line has `u`, `a`, `c`, `lat`, `lon`, `m`, `n`, `t`, which the mapping names\n";
    for (map, reason, note) in [
        ("", "`/type`: missing; `/id`: `1` must be a string, in quotes", ""),
        (MAP, "column `t`: `` is not a plain number: write digits, such as `1000` or `-12.50`", most),
    ] {
        let schema = schema(FIELDS);
        let lines = b"{\"id\":1}\n\n  \r\n{\"id\":1}\n";
        let (text, _) = read_all(open(map, &schema, &[lines], OPTIONS, SourceState::default()), &schema);
        assert_eq!(text, format!("reject 0:1 {reason}\nreject 0:4 {reason}\n{note}"));
    }
}

#[test]
fn other_files() {
    check(
        "",
        b"a,b\n1,2\n",
        expect![[r#"
        error: `file1` is not JSON lines, and nothing says what its columns are: give a mapping with `--map`
    "#]],
    );
    check(MAP, b"", expect![""]);
    check("", b"", expect![]);
    check("", b"{\"id\":1}\nnot json\n{\"id\":\"p\",\"type\":\"login\",\"user\":\"u\",\"time\":\"2026-01-05T00:00:00Z\"}", expect![[r#"
        reject 0:1 `/type`: missing; `/id`: `1` must be a string, in quotes
        reject 0:2 is no JSON: expected ident at column 2
        login p 2026-01-05T00:00:00Z user=u
    "#]]);
    check(
        "",
        b"\xef\xbb\xbf{\"id\":\"p\",\"type\":\"login\",\"user\":\"\xff\",\"time\":\"2026-01-05T00:00:00Z\"}",
        expect![[r#"
            reject 0:1 is no JSON: invalid unicode code point at column 34
        "#]],
    );
    check(
        MAP,
        b"id,t,u,a,m,lat,lon,c,u\n",
        expect![[r#"
            error: map.toml, line 6: `user`: `file1` has the column `u` twice
            map.toml, line 11: `tries`: `file1` has no column `n`; there is `id`, `t`, `u`, `a`, `m`, `lat`, `lon`, `c`, `u`
        "#]],
    );
    let paths = MAP.replace("\"u\"", "\"who.id\"");
    let lines = b"{\"id\":1,\"t\":1,\"who\":{\"id\":\"x\"},\"a\":\"1.5\"}\n{\"id\":1,\"t\":1,\"who\":{\"id\":[1]},\"a\":1}\n\
                  {\"id\":1,\"t\":1,\"who\":{},\"a\":1}\n{\"id\":1,\"id\":2}\n[1]\n{\"id\":2,\"t\":1,\"who.id\":\"flat\",\"a\":1e3}\n\
                  {\"id\":3,\"t\":1,\"who.id\":\"fl\\u0061t\",\"a\":2}\n";
    check(
        &paths,
        lines,
        expect![[r#"
            payment 1 1970-01-01T00:00:01Z user=x amount=150EUR
            reject 0:2 member `id`: an object or a list is no value
            reject 0:3 column `who.id`: missing, and the field is required
            reject 0:4 member `id` is there twice
            reject 0:5 must be a JSON object: `{…}`
            reject 0:6 column `a`: `1e3` is not a plain number: write digits, such as `1000` or `-12.50`
            payment 3 1970-01-01T00:00:01Z user=flat amount=200EUR
            note: `file1`: no line has `c`, `lat`, `lon`, `m`, `n`, which the mapping names
        "#]],
    );
    let quoted =
        [HEADER.as_bytes(), b"p1,1,u,1,,,,,\np2,1,\"u,1,,,,,\np3,1,u,1,,,,,\np4,1,u,\"1\",,,,,\n"].concat();
    check(
        MAP,
        &quoted,
        expect![[r#"
        payment p1 1970-01-01T00:00:01Z user=u amount=100EUR
        reject 0:2 a quote is opened and not closed in this line: close it, or double it
        payment p3 1970-01-01T00:00:01Z user=u amount=100EUR
        payment p4 1970-01-01T00:00:01Z user=u amount=100EUR
    "#]],
    );
    #[cfg(not(feature = "parquet"))]
    check(
        MAP,
        b"PAR1....",
        expect![[r#"
        error: `file1` is Parquet, which this build does not read: build with the feature `parquet`, or convert it
    "#]],
    );
}

#[test]
fn another_separator_is_told_once() {
    check(
        MAP,
        b"id;t;u;a;m;lat;lon;c;n\n",
        expect![[r#"
        error: file1, line 1: the header is one cell with `;` in it: cells are separated by commas
    "#]],
    );
    check(
        MAP,
        b"id\tt\n1\t1\n",
        expect![[r#"
        error: file1, line 1: the header is one cell with tabs in it: cells are separated by commas
    "#]],
    );
}

#[test]
fn what_is_neither_csv_nor_lines_is_told_by_how_it_begins() {
    let no_text = |bytes: &[u8], expected: Expect| check(MAP, bytes, expected);
    no_text(
        b"\xff\xfei\0d\0",
        expect![[r#"
        error: `file1` is UTF-16: save it as UTF-8; CSV and JSON lines are read plain or packed by gzip or zstd, Parquet plain
    "#]],
    );
    no_text(
        b"\xfd7zXZ\0\0",
        expect![[r#"
        error: `file1` is packed by xz: unpack it, or pack it by gzip or zstd; CSV and JSON lines are read plain or packed by gzip or zstd, Parquet plain
    "#]],
    );
    no_text(
        b"BZh91AY&SY",
        expect![[r#"
        error: `file1` is packed by bzip2: unpack it, or pack it by gzip or zstd; CSV and JSON lines are read plain or packed by gzip or zstd, Parquet plain
    "#]],
    );
    no_text(
        b"PK\x03\x04\x14",
        expect![[r#"
        error: `file1` is a zip archive: unpack it, or pack its file by gzip or zstd; CSV and JSON lines are read plain or packed by gzip or zstd, Parquet plain
    "#]],
    );
    no_text(
        &zstd::encode_all(&b"PAR1\x15\0"[..], 1).unwrap(),
        expect![[r#"
        error: `file1` is packed Parquet: unpack it; CSV and JSON lines are read plain or packed by gzip or zstd, Parquet plain
    "#]],
    );
    no_text(
        b"id,t\n\x00\x01",
        expect![[r#"
        error: `file1` is no text, for it has zero bytes; CSV and JSON lines are read plain or packed by gzip or zstd, Parquet plain
    "#]],
    );
    check(
        "",
        b"[{\"id\":1}]",
        expect![[r#"
        error: `file1` is a JSON array: write each of its objects on a line of its own, without commas between
    "#]],
    );
}

/// A row that lacks a column is no wrong row; a column that all lack is most likely misspelt.
#[test]
fn a_column_that_no_line_has_is_noted() {
    let lines = |line: &str| [line, &line.replace("p1", "p2")].concat();
    let all = r#"{"id":"p1","t":1,"u":"u","a":1,"m":"1234","lat":1,"lon":2,"c":"A","n":null}"#;
    let most = r#"{"id":"p1","t":1,"u":"u","a":1,"mcc":"1234","lng":2,"M":"1234"}"#;
    check(
        MAP,
        lines(&format!("{all}\n")).as_bytes(),
        expect![[r#"
        payment p1 1970-01-01T00:00:01Z user=u amount=100EUR channel=0 place=10000000,20000000 mcc=1234 bin=12
        payment p2 1970-01-01T00:00:01Z user=u amount=100EUR channel=0 place=10000000,20000000 mcc=1234 bin=12
    "#]],
    );
    check(
        MAP,
        lines(&format!("{most}\n")).as_bytes(),
        expect![[r#"
            payment p1 1970-01-01T00:00:01Z user=u amount=100EUR
            payment p2 1970-01-01T00:00:01Z user=u amount=100EUR
            note: `file1`: no line has `c`, `lat`, `lon`, `m` (did you mean `M`?), `n`, which the mapping names
        "#]],
    );
    check(MAP, b"\n", expect![[r#""#]]);
}
