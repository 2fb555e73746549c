//! What is of the language and not available yet, and what to write in its place until then.

/// Calls.
const CALLS: &[(&str, &str)] = &[
    ("age", "`first_seen(device) by user` tells whether it is new"),
    ("anomaly", "how unusual a value is: `(amount - usual) / spread`, of a `mean` and a `stddev`"),
    ("contains", TEXTS),
    ("entropy", "`distinct(payment.shop) by user over 1d` counts how many different ones there were"),
    ("ewma", "`mean(payment.amount) by user over 7d` is the mean of a window"),
    ("hit", PAST_DECISION),
    ("holiday", "`weekend(time)` tells Saturdays and Sundays"),
    ("linked", "`distinct(any.user) by device over 30d` counts how many share it"),
    ("lower", SPELLINGS),
    ("median", "`mean(payment.amount)`, with `stddev` beside it, tells what is usual"),
    ("model", "have the model's answer sent with each event, as a field such as `risk: decimal(4)?`"),
    (
        "most_frequent",
        "`last(payment.shop) by user` is the newest, `first_seen(shop) by user` whether it is new",
    ),
    ("nth_last", "`last(payment.amount) by user` is the newest"),
    ("original", "a field `money USD` in the schema holds amounts of that one currency"),
    ("percentile", "`mean(payment.amount)`, with `stddev` beside it, tells what is usual"),
    ("sequence", "`time_since(login) by user` tells how long ago the first step was"),
    ("similarity", TEXTS),
    ("streak", "`count(payment) by user over 1h where …` counts those of a window"),
    ("tagged", PAST_DECISION),
    ("upper", SPELLINGS),
    ("variance", "`stddev(payment.amount)` is its root"),
];

/// Clauses, operators and names.
const OTHERS: &[(&str, &str)] = &[
    ("group by", "count by a pair of roles: `by (user, card)`"),
    ("matches", TEXTS),
    ("over last", "take a window of time, such as `over 24h`"),
    ("over this", "take a window of a fixed length, such as `over 7d` or `over 30d`"),
    ("over today", "take the last day: `over 24h`"),
    ("score", PAST_DECISION),
    ("starts", TEXTS),
    ("step", "leave it out: windows are exact without it"),
    ("within", "`over` says how far back an aggregate looks: `over 15m`"),
];

const TEXTS: &str = "compare whole texts, `code in [\"5732\", \"5944\"]`, or have the schema compute what a text begins \
                     with: `head: text(2)? = prefix(code, 2)`";
const SPELLINGS: &str = "name each spelling: `code in [\"a1\", \"A1\"]`";
const PAST_DECISION: &str =
    "make a feature of what that stands on and read it here: it is kept as it was at each event";

/// Whether a call's name is of the language but still to come.
pub(super) fn is_later(name: &str) -> bool {
    CALLS.iter().any(|(it, _)| *it == name)
}

/// What to write instead.
pub(super) fn instead(what: &str) -> &'static str {
    let found = CALLS.iter().chain(OTHERS).find(|(it, _)| *it == what);
    found.map_or("leave it out, or say it with what the reference of the language has", |(_, help)| help)
}
