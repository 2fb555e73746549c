//! How each part of a file is written: what is shown where something else was expected in it.

use super::kind::SyntaxKind as K;

/// Where no item is open.
pub(super) const ITEMS: &str =
    "items begin with a word such as `feature`, `rule`, `policy`, `list` or `test`";
/// Durations, wherever they stand.
pub(super) const DURATIONS: &str = "durations are written as `500ms`, `30s`, `10m`, `1h`, `7d` or `2w`";
/// The fields of an event type.
pub(super) const FIELDS: &str =
    "a field is written `amount: money`, or `card: card?` where it may be missing";
/// The types of fields, lists and tables.
pub(super) const TYPES: &str = "types are `flag`, `int`, `decimal(2)`, `money`, `place`, `time`, `duration`, `text(4)`, \
                                and what `entity` and `enum` declare";

/// How a node is written that begins with a word; none if that says nothing of what stands in it.
pub(super) fn node(kind: K, word: &str) -> Option<&'static str> {
    Some(match kind {
        K::Schema => "a schema begins with its name and version: `schema wallet 1`",
        K::Setting => setting(word),
        K::Entity => {
            "the first entity is written `entity user`, each other one with whose it is: `entity card owned`"
        }
        K::Enum => "an enum is written `enum channel = app, web`",
        K::Event => "an event type is written `event payment`, with its fields below",
        K::Field => FIELDS,
        K::TypeRef => match word {
            "text" => "a text has its greatest length in bytes: `text(16)`",
            "decimal" => "a decimal has its digits after the point: `decimal(2)`",
            _ => TYPES,
        },
        K::Use => "write `use schema wallet`, with the name that the schema has",
        K::List => "a list is written `list watched : user`, or `list watched : user from \"watched.txt\"`",
        K::Table => "a table is written `table most : shop -> money`",
        K::Const => "a constant is one value: `const tiny = 2.00 EUR`",
        K::Feature => "a feature is written `feature paid_1h = count(payment) by user over 1h`",
        K::Record => "features are recorded by their names: `record paid_1h, usual`",
        K::Rule => {
            "a rule is written `rule fast \"Five payments in an hour\" on payment when paid_1h >= 5 then block`"
        }
        K::Policy => "a policy is written `policy`, or `policy on payment`, with its lines below",
        K::PolicyLine => policy_line(word),
        K::Effect => effect(word)?,
        K::Test => {
            "a test is written `test \"one payment\" when payment user u1 amount 5.00 EUR then allow`, \
             with `given …` before `when` for what came before"
        }
        K::Step => {
            "an event is written with a value behind the name of each field: `payment user u1 amount 5.00 EUR`"
        }
        K::Then => {
            "what is expected is written `then block`, `then not hit fast` or `then allow, paid_1h == 1`"
        }
        K::Expectation => {
            "write `block`, `block because fast`, `not hit fast` or a condition such as `paid_1h == 1`"
        }
        _ => return expression(kind, word),
    })
}

fn setting(word: &str) -> &'static str {
    match word {
        "zone" => "a zone is written `zone \"Europe/Paris\"`",
        "currency" => "a currency is written `currency EUR`",
        "lateness" => "how late an event may come is written `lateness 10m`",
        "keep" => "how long is remembered is written `keep 400d`",
        _ => "the file of exchange rates is written `rates \"rates.csv\"`",
    }
}

fn policy_line(word: &str) -> &'static str {
    match word {
        "deadline" => "a deadline is written `deadline 10ms else challenge`",
        "valid" => "how long a decision may be acted on is written `valid for 60s`",
        _ => "a line is written `block when score >= 90`",
    }
}

fn effect(word: &str) -> Option<&'static str> {
    Some(match word {
        "challenge" => "factors are written `challenge with passkey or pay_pwd + sms_otp`",
        "score" => "a score is written `score +40`, or `score - 2 * n`",
        "alert" => "an alert is written `alert high`, or `alert high once per user 10m`",
        "tag" => "a tag is written `tag odd`",
        "freeze" => "whom to freeze is written `freeze card for 1d`",
        "delay" => "a delay is written `delay 1h`",
        "add" => "an entry in a list is written `add user to watched`, or `add user to watched for 7d`",
        "remove" => "the end of an entry in a list is written `remove user from watched`",
        _ => return None,
    })
}

fn expression(kind: K, word: &str) -> Option<&'static str> {
    Some(match (kind, word) {
        (K::Clause, "by") => "whose past it is, is written `by user`, or `by (user, shop)` for a pair",
        (K::Clause, "over") => "a window is a length of time: `over 24h`",
        (K::Clause, "where") => "which past events are meant is written `where n > 3`",
        (K::Clause, "group") => {
            "`group by` is not available yet: count by a pair of roles, `by (user, card)`"
        }
        (K::Path, "this") => "what the current event has is written `this.amount`",
        (K::Path, _) => "what past events have is written `payment.amount`, or `any.amount`",
        (K::Lookup, _) => "a table is looked up by a role: `most[shop]`",
        (K::Call | K::Arg, _) => "arguments are values with a comma between them: `max(n, 3)`",
        (K::Set, _) => "a set is written `[app, web]`",
        (K::Paren, _) => "a value stands in parentheses: `(n + 1)`",
        (K::In, _) => "write `in watched`, `in [app, web]` or `in 22 .. 6`",
        (K::IsMissing, _) => "write `is missing` or `is not missing`",
        (K::Not, _) => "write behind `not` what must not hold: `not night(time)`",
        (K::Negate, _) => "write a number behind the sign: `-5`",
        _ => return None,
    })
}
