//! What is said to do about an error.

use rules::check::check;
use rules::diagnostic::Source;

const SCHEMA: &str = include_str!("../golden/ok/demo.schema.weir");

/// The help of a rule file's only error.
#[track_caller]
fn check_help(schema: &str, rules: &str, expected: &str) {
    let text = format!("use schema demo\n{rules}");
    let sources = [Source { name: "schema", text: schema }, Source { name: "rules", text: &text }];
    let diagnostics = check(&sources).diagnostics;
    let help: Vec<String> = diagnostics.iter().map(|it| it.help.join("; ")).collect();
    assert_eq!(help, [expected], "{rules}: {diagnostics:?}");
}

/// Rule files, each with the help of its only error.
#[track_caller]
fn check_rows(rows: &[(&str, &str)]) {
    for (rules, expected) in rows {
        check_help(SCHEMA, rules, expected);
    }
}

/// Conditions of a rule, likewise.
#[track_caller]
fn check_conditions(rows: &[(&str, &str)]) {
    for (condition, expected) in rows {
        check_help(SCHEMA, &format!("rule r \"x\" on pay when {condition} then block"), expected);
    }
}

#[test]
fn a_comparison_that_a_condition_took_is_shown_behind_the_aggregate() {
    let rows = [
        ("count(pay) by user over 1h before where accepted > 3", "accepted) > 3"),
        ("count(pay) by user over 1h where n > 2 and urgent == 3", "urgent) == 3"),
    ];
    for (feature, shown) in rows {
        let help = format!(
            "all that follows `where` is its condition: to compare the aggregate, write `(… where {shown}`"
        );
        check_help(SCHEMA, &format!("feature h = {feature}\nrecord h"), &help);
    }
}

#[test]
fn a_comparison_behind_another_is_one_error() {
    let aggregate = |shown: &str| {
        format!("all that follows `where` is its condition: to compare the aggregate, write `(… {shown} …`; ")
    };
    let twice = "to compare twice, write `a < b and b < c`";
    let rows = [
        ("feature h = count(pay) by user over 1h before where label == fraud > 3", "label == fraud) >"),
        (
            "feature h = count(pay) by user over 1h before where n > 2 and\n  label ==\n  fraud > 3",
            "label == fraud) >",
        ),
        ("feature h = count(pay) by user over 1h where n > 2 in [3]", "n > 2) in"),
        ("feature h = 1 + (count(pay) by user over 1h where n > 2 is missing)", "n > 2) is"),
        ("rule r \"x\" on pay when count(pay) by user over 1h where n > 1 > 3 then block", "n > 1) >"),
    ];
    for (rules, shown) in rows {
        let rules = if rules.starts_with("rule") { rules.to_owned() } else { format!("{rules}\nrecord h") };
        check_help(SCHEMA, &rules, &(aggregate(shown) + twice));
    }
    for condition in
        ["1 < n < 3", "n < 3 == channel", "n == 3 in [1, 2]", "n > 3 < amount", "channel == app == web"]
    {
        check_help(SCHEMA, &format!("rule r \"x\" on pay when {condition} then block"), twice);
    }
}

#[test]
fn an_aggregate_is_compared_behind_its_parentheses() {
    let rows = [
        ("count(pay) by user over 1h before where accepted > 3", "accepted) > 3"),
        ("n > 1 and count(pay) by user over 1h before where n > 2 and accepted >= 3", "accepted) >= 3"),
    ];
    for (condition, shown) in rows {
        let help = format!(
            "all that follows `where` is its condition: to compare the aggregate, write `(… where {shown}`"
        );
        check_help(SCHEMA, &format!("rule r \"x\" on pay when {condition} then block"), &help);
    }
}

#[test]
fn parentheses_are_shown_around_an_aggregate() {
    let rows = [
        (
            "rule r \"x\" on pay when count(pay) by user over 1h > 3 then block",
            "write `(count(pay) by user over 1h) > 3`",
        ),
        (
            "rule r \"x\" on pay when n > 1 and count(pay) by user over 1h > 3 and n > 2 then block",
            "write `(count(pay) by user over 1h) > 3`",
        ),
        (
            "rule r \"x\" on pay when 3 < count(pay) by user over 1h then block",
            "write `3 < (count(pay) by user over 1h)`",
        ),
        (
            "rule r \"x\" on pay when n > 1 and sum(pay.n) by user\n    over 1h >\n 3 then block",
            "write `(sum(pay.n) by user over 1h) > 3`",
        ),
        (
            "rule r \"x\" on pay when count(pay) by user // whose\n over 1h > 3 then block",
            "put the call and its clauses in parentheses",
        ),
        (
            "rule r \"x\" on pay when first_seen(shop) by user over 1h then block",
            "write `(first_seen(shop) by user over 1h)`",
        ),
        (
            "rule r \"x\" on pay when not first_seen(shop) by user then tag x",
            "write `not (first_seen(shop) by user)`",
        ),
        (
            "rule r \"x\" on pay when n > 1 then score + 2 * count(pay) by user over 1h",
            "write `2 * (count(pay) by user over 1h)`",
        ),
        ("policy\n  block when count(pay) by user over 1h > 3", "write `(count(pay) by user over 1h) > 3`"),
        (
            "feature h = max(pay.amount) by user over 1d + 1.00 EUR\nrecord h",
            "write `(max(pay.amount) by user over 1d) + 1.00 EUR`",
        ),
        (
            "feature h = 2 + count(pay) by user over 1d where n > 1\nrecord h",
            "write `2 + (count(pay) by user over 1d where n > 1)`",
        ),
    ];
    check_rows(&rows);
}

#[test]
fn what_was_meant_is_asked() {
    let rows = [
        ("policy\n  block when scor > 5", "did you mean `score`?"),
        ("rule r \"x\" on pay when n > 1 then freeze usr for 1h", "did you mean `user`?"),
        (
            "rule r \"x\" on pay when n > 1 then freeze whoever for 1h",
            "known are `user`, `shop`, `card`, `bin` and `payee`",
        ),
        ("rule r \"x\" on buying when n > 1 then block", "known are `pay`, `send` and `login`"),
        ("list watched : user\nrule r \"x\" on pay when user in others then block", "known is `watched`"),
        ("rule r \"x\" on pay when user in others then block", "declare it: `list others : user`"),
        ("rule r \"x\" on pay when hour(tme) > 5 then block", "did you mean `time`?"),
        ("rule r \"x\" on pay when tpe == pay then block", "did you mean `type`?"),
        ("record f\nfeature f = count(pay) by user over 1h before where acepted", "did you mean `accepted`?"),
        ("test \"t\" when pay amount 5.00 EUR n 1 then alow", "did you mean `allow`?"),
        (
            "test \"t\" when pay amount 5.00 EUR n 1 then alow because x",
            "did you mean `allow`?; it is one of `allow`, `challenge` or `block`",
        ),
        ("test \"t\" when pay amount 5.00 EUR n 1 then scor > 5", "did you mean `score`?"),
        ("rule r \"x\" on pay when channel == \"app\" then block", "write `app`"),
        ("rule r \"x\" on pay when \"app\" == channel then block", "write `app`"),
        ("rule r \"x\" on pay when channel in [web, \"app\"] then block", "write `app`"),
        ("rule r \"x\" on pay when channel == \"ap\" then block", "did you mean `app`?"),
        ("rule r \"x\" on pay when channel == \"branch\" then block", "its values are `app` and `web`"),
        ("rule r \"x\" on pay when channel == code then block", "its values are `app` and `web`"),
    ];
    check_rows(&rows);
}

#[test]
fn examples_are_in_the_schema_s_currency() {
    for (currency, amount) in
        [("EUR", "5.00 EUR"), ("CNY", "5.00 CNY"), ("JPY", "5 JPY"), ("KWD", "5.000 KWD")]
    {
        let schema = SCHEMA.replace("currency EUR", &format!("currency {currency}"));
        check_help(
            &schema,
            "test \"t\" when pay then allow",
            &format!("give it: `amount {amount} n 5`, say"),
        );
        check_help(
            &schema,
            "rule r \"x\" on pay when n > 1 then score + amount",
            &format!("divide it by its like: `amount / {amount}`, say"),
        );
    }
}

#[test]
fn a_list_of_no_type_is_one_error() {
    check_help(
        SCHEMA,
        "list odd : usr\nrule r \"x\" on pay when user in odd then add user to odd",
        "did you mean `user`?",
    );
}

#[test]
fn a_name_with_clauses_is_shown_as_a_call() {
    check_help(
        SCHEMA,
        "feature h = count by user  over 1h\nrecord h",
        "say in parentheses what of: `count(…) by user over 1h`",
    );
    check_help(
        SCHEMA,
        "feature h = (count(pay) by user over 1h) by card\nrecord h",
        "put the call and its clauses in parentheses: `(count(payment) by user over 1h) + 1`",
    );
}

#[test]
fn a_bracket_closes_nothing_only_where_none_is_open() {
    let nothing = "it closes nothing that is open here";
    let rows = [
        ("feature h = 1 + 1)\nrecord h", nothing),
        ("feature h = count(pay)) by user over 1h\nrecord h", nothing),
        ("rule r \"x\" on pay when n in [1) then block", nothing),
        ("feature h = (1 + )\nrecord h", "write its other side: `1 + …`"),
        ("feature h = max(1, (1 + ))\nrecord h", "write its other side: `1 + …`"),
        (
            "feature h = count(pay) by (user) over 1h\nrecord h",
            "whose past it is, is written `by user`, or `by (user, shop)` for a pair",
        ),
        (
            "table most : shop -> money\nrule r \"x\" on pay when most[] > 3.00 EUR then block",
            "a table is looked up by a role: `most[shop]`",
        ),
    ];
    check_rows(&rows);
}

#[test]
fn an_id_of_several_events_is_left_out() {
    let test =
        |step: &str| format!("test \"t\"\n  given {step}\n  when pay amount 5.00 EUR n 1\n  then allow");
    let pay = "pay as p amount 5.00 EUR n 1";
    check_help(
        SCHEMA,
        &test(&format!("{pay}, 2 times every 1s")),
        "leave the id out, or give the event that it names by itself",
    );
    check_help(SCHEMA, &test(&format!("{pay}\n  given {pay}")), "choose another id");
}

#[test]
fn what_is_suggested_can_be_written_as_it_stands() {
    let rows = [
        ("(count(pay) by card over 1h) > 1", "write `?? …` behind its parentheses"),
        ("hour(time, \"Berlin\") > 3", "did you mean `Europe/Berlin`?"),
        ("hour(time, \"europe/pari\") > 3", "did you mean `Europe/Paris`?"),
        ("hour(time, \"Somewhere\") > 3", "zones are named after a city: `Europe/Paris`, or `UTC`"),
    ];
    check_conditions(&rows);
}

#[test]
fn how_it_is_written_is_shown_with_what_stands_there() {
    let rows = [
        ("feature h = count(pay by user over 1h\nrecord h", "close it: `count(pay)`"),
        ("rule r \"x\" on pay when n in [1 3] then block", "put `,` before `3`, or close it: `[1]`"),
        ("const h 5", "put `=` between `h` and `5`"),
        ("feature h = count(pay) by user over 3 hours\nrecord h", "write `3h`"),
        (
            "feature h = count(pay) by over 1h",
            "whose past it is, is written `by user`, or `by (user, shop)` for a pair",
        ),
        ("feature h = count(pay) by user over 1h wher n > 3", "did you mean `where`?"),
        (
            "feature h = amount > 5 EURO",
            "the units of a number are `%`, `km`, `metres`, `km/h` and currencies such as `CNY`",
        ),
        ("list watched user", "put `:` between `watched` and `user`"),
        ("list watched : user from watched", "put it in quotes: `\"watched\"`"),
        ("rule r \"x\" on pay when n > 1 then freeze \"user\" for 1h", "write it without quotes: `user`"),
        ("rule r \"x\" on pay when n > 1 then add user watched", "put `to` between `user` and `watched`"),
        (
            "rule r \"x\" on pay when n > 1 then score +40 points",
            "effects have a comma between them: `then block, alert high`",
        ),
        ("rule r \"x\" on pay when n > 1 and then block", "write its other side: `n > 1 and …`"),
        (
            "rule r \"x\" on pay when user in then block",
            "write `in watched`, `in [app, web]` or `in 22 .. 6`",
        ),
        (
            "rule r \"x\" until 2027-04-31 on pay when n > 1 then block",
            "the last of that month is `2027-04-30`",
        ),
        ("policy\n  block when score > 3\n  valid 60s", "put `for` between `valid` and `60s`"),
        (
            "test \"t\" given pay amount 5.00 EUR n 1, 4 time every 5s when pay amount 5.00 EUR n 1 then allow",
            "a row of events is written `payment user u1, 4 times every 5s`",
        ),
    ];
    check_rows(&rows);
}

#[test]
fn what_does_not_go_together_is_brought_together() {
    let rows = [
        ("amount > n", "give it a unit: `n * 1.00 EUR`"),
        ("n + 1 < amount", "give it a unit: `(n + 1) * 1.00 EUR`"),
        ("time - (due ?? time) > 1.5", "write `1500ms`"),
        ("n > \"5\"", "write `5`"),
        ("amount > \"5\"", "write `5.00 EUR`"),
        (
            "user == shop",
            "compare it with an id in quotes, or with its like: of kind `user` are `user` and `payee`",
        ),
        ("user == code", "`code` can be compared with `user` where the schema gives it the type `user`"),
        ("channel == n", "its values are `app` and `web`"),
        (
            "due == \"2027-03-31\"",
            "compare it with another time, such as the day `2027-03-31` or `time - 1h`",
        ),
        ("urgent ?? 0", "what stands in is of the same sort: `urgent ?? true`"),
        ("channel ?? n == app", "what stands in is of the same sort: `channel ?? app`"),
        ("amount * amount > 5.00 EUR", "one of the two must be a plain number: `amount * 1.5`"),
        ("amount / 1h > 5", "divide by a plain number, or by its like: `amount / 5.00 EUR`"),
    ];
    check_conditions(&rows);
}
