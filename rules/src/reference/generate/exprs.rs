//! Random expressions as text, of a wanted kind, over what there is in a scope.

use super::Choices;
use super::schema::{ALL, EVENT_TYPES, FIELDS, Kind, LOGIN, PAYMENT, TRANSFER, Types};

/// A feature that may be read.
#[derive(Clone, Debug)]
pub(super) struct Readable {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Types on which it may be used (perhaps not all).
    pub(super) types: Types,
    /// What it says.
    pub(super) text: String,
}

/// Where an expression stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    /// Types of the event in scope.
    pub(super) types: Types,
    /// Inside a `where`: types of the event being decided.
    pub(super) current: Option<Types>,
    /// Whether a `where` may read mutable columns.
    pub(super) mutable: bool,
    /// Whether `this.` may be written.
    pub(super) this: bool,
    /// Whether aggregates in parentheses may stand here.
    pub(super) nameless: bool,
    /// Whether the score may be read.
    pub(super) score: bool,
}

impl Scope {
    pub(super) fn current(types: Types) -> Self {
        Self { types, current: None, mutable: false, this: false, nameless: true, score: false }
    }
}

/// Writes expressions.
pub(super) struct Writer<'a> {
    pub(super) choices: &'a mut Choices,
    pub(super) features: Vec<Readable>,
}

/// Text, and whether it surely has a value.
pub(super) type Written = (String, bool);

impl Writer<'_> {
    pub(super) fn pick<T: Copy>(&mut self, from: &[T], otherwise: T) -> T {
        self.choices.pick(from).copied().unwrap_or(otherwise)
    }

    /// An expression that has a value.
    pub(super) fn present(&mut self, kind: Kind, scope: Scope, depth: usize) -> String {
        let (text, sure) = self.expr(kind, scope, depth);
        if sure { text } else { format!("({text} ?? {})", self.literal(kind)) }
    }

    pub(super) fn expr(&mut self, kind: Kind, scope: Scope, depth: usize) -> Written {
        if depth == 0 || self.choices.chance(25) {
            return self.leaf(kind, scope);
        }
        if scope.nameless
            && self.choices.chance(6)
            && let Some((text, of)) = self.nameless(kind, scope)
        {
            return (text, of);
        }
        let below = depth - 1;
        match kind {
            Kind::Flag => self.flag(scope, below),
            Kind::Number => self.number(scope, below),
            Kind::Money | Kind::Duration => self.quantity(kind, scope, below),
            Kind::Distance => {
                let (from, to) = (self.leaf(Kind::Place, scope), self.leaf(Kind::Place, scope));
                (format!("distance({}, {})", from.0, to.0), from.1 && to.1)
            }
            _ => self.leaf(kind, scope),
        }
    }

    /// A field, a feature or a literal.
    fn leaf(&mut self, kind: Kind, scope: Scope) -> Written {
        let mut all = self.names(kind, scope);
        if kind == Kind::Time {
            all.push(("time".to_owned(), true));
        }
        if self.choices.chance(20) || all.is_empty() {
            return (self.literal(kind), true);
        }
        self.choices.pick(&all).cloned().unwrap_or_default()
    }

    /// The fields and features that may be read.
    fn names(&self, kind: Kind, scope: Scope) -> Vec<Written> {
        let mut all: Vec<Written> = Vec::new();
        let sets = [(Some(scope.types), ""), (scope.current.filter(|_| scope.this), "this.")];
        for (types, prefix) in sets.iter().filter_map(|(types, prefix)| Some(((*types)?, prefix))) {
            let fields = FIELDS.iter().filter(|it| it.kind == kind && it.on & types == types);
            all.extend(fields.map(|it| (format!("{prefix}{}", it.name), it.is_required_on(types))));
            let features = self.features.iter().filter(|it| it.kind == kind && it.types & types == types);
            all.extend(features.map(|it| (format!("{prefix}{}", it.name), false)));
        }
        all
    }

    /// A leaf that is not a literal, if there is one.
    fn named(&mut self, kind: Kind, scope: Scope) -> Option<Written> {
        let all = self.names(kind, scope);
        self.choices.pick(&all).cloned()
    }

    pub(super) fn literal(&mut self, kind: Kind) -> String {
        let number = self.choices.below(20);
        let plain = self.choices.chance(75);
        match kind {
            Kind::Flag => if plain { "false" } else { "true" }.to_owned(),
            Kind::Number if plain => number.to_string(),
            Kind::Number => {
                let unit = self.pick(&["%", ".5", ".125"], "%");
                if number == 0 { "half".to_owned() } else { format!("{number}{unit}") }
            }
            Kind::Money => {
                if plain {
                    format!("{number}.00 CNY")
                } else {
                    "tiny".to_owned()
                }
            }
            Kind::Duration => format!("{number}{}", self.pick(&["s", "m", "h", "d", "w", "ms"], "s")),
            Kind::Time => "2026-01-05".to_owned(),
            Kind::Place => format!("place({number}.5, -{number}.25)"),
            Kind::Distance => {
                if plain {
                    format!("{number} km")
                } else {
                    format!("{number}0 metres")
                }
            }
            Kind::Speed => format!("{number}0 km/h"),
            Kind::Channel => self.pick(&["app", "web", "api"], "app").to_owned(),
            Kind::Text | Kind::User | Kind::Card | Kind::Device | Kind::Merchant => {
                format!("\"{}\"", self.pick(&["0", "1", "2", "3"], "0"))
            }
        }
    }

    fn number(&mut self, scope: Scope, below: usize) -> Written {
        match self.choices.below(9) {
            0..4 => {
                let operator = self.pick(&["+", "-", "*", "/"], "+");
                self.binary(Kind::Number, operator, Kind::Number, scope, below)
            }
            4 => {
                let kind = self.pick(&[Kind::Money, Kind::Duration, Kind::Distance], Kind::Money);
                self.binary(kind, "/", kind, scope, below)
            }
            5 => {
                let (time, sure) = self.leaf(Kind::Time, scope);
                let zone = self.pick(&["", ", \"Europe/Paris\""], "");
                (format!("hour({time}{zone})"), sure)
            }
            6 => self.extreme(Kind::Number, scope, below),
            7 => self.wrapped("abs(", Kind::Number, ")", scope, below),
            _ => self.wrapped("(-", Kind::Number, ")", scope, below),
        }
    }

    /// Money or a duration.
    fn quantity(&mut self, kind: Kind, scope: Scope, below: usize) -> Written {
        match self.choices.below(8) {
            0 | 1 => {
                let operator = self.pick(&["+", "-"], "+");
                self.binary(kind, operator, kind, scope, below)
            }
            2 => {
                let operator = self.pick(&["*", "/"], "*");
                self.binary(kind, operator, Kind::Number, scope, below)
            }
            3 => self.extreme(kind, scope, below),
            4 => self.wrapped("abs(", kind, ")", scope, below),
            5 => {
                let (text, _) = self.expr(kind, scope, below);
                let (otherwise, sure) = self.expr(kind, scope, below);
                (format!("({text} ?? {otherwise})"), sure)
            }
            _ if kind == Kind::Duration => {
                let (from, to) = (self.leaf(Kind::Time, scope), self.leaf(Kind::Time, scope));
                (format!("({} - {})", from.0, to.0), from.1 && to.1)
            }
            _ => match (scope.types & PAYMENT == scope.types, scope.current) {
                (true, None) => ("shop_limit[merchant]".to_owned(), false),
                _ => self.leaf(kind, scope),
            },
        }
    }

    fn binary(&mut self, left: Kind, operator: &str, right: Kind, scope: Scope, below: usize) -> Written {
        let (a, b) = (self.expr(left, scope, below), self.expr(right, scope, below));
        (format!("({} {operator} {})", a.0, b.0), a.1 && b.1 && operator != "/")
    }

    fn extreme(&mut self, kind: Kind, scope: Scope, below: usize) -> Written {
        let (a, b) = (self.expr(kind, scope, below), self.expr(kind, scope, below));
        (format!("{}({}, {})", self.pick(&["min", "max"], "min"), a.0, b.0), a.1 && b.1)
    }

    fn wrapped(&mut self, open: &str, kind: Kind, close: &str, scope: Scope, below: usize) -> Written {
        let (text, sure) = self.expr(kind, scope, below);
        (format!("{open}{text}{close}"), sure)
    }

    fn flag(&mut self, scope: Scope, below: usize) -> Written {
        match self.choices.below(15) {
            0..3 => {
                let operator = self.pick(&["and", "or"], "and");
                self.binary(Kind::Flag, operator, Kind::Flag, scope, below)
            }
            3 => self.wrapped("(not ", Kind::Flag, ")", scope, below),
            4..7 => {
                let kinds =
                    [Kind::Number, Kind::Money, Kind::Duration, Kind::Distance, Kind::Speed, Kind::Time];
                let kind = self.pick(&kinds, Kind::Number);
                let operator = self.pick(&["==", "!=", "<", "<=", ">", ">="], ">");
                self.binary(kind, operator, kind, scope, below)
            }
            7 => self.presence(scope, below),
            8 => self.range(scope, below),
            9 => self.set(scope),
            10 => self.listed(scope),
            11 => self.same(scope),
            12 => {
                let (time, sure) = self.leaf(Kind::Time, scope);
                (format!("{}({time})", self.pick(&["night", "weekend"], "night")), sure)
            }
            13 if scope.mutable => (format!("({})", self.mutable()), true),
            13 if scope.score => (format!("(score >= {})", self.choices.below(120)), true),
            13 => self.of_type(scope),
            _ => {
                let (text, _) = self.expr(Kind::Flag, scope, below);
                (format!("({text} ?? {})", self.literal(Kind::Flag)), true)
            }
        }
    }

    /// A condition on what becomes known later.
    pub(super) fn mutable(&mut self) -> &'static str {
        const ALL: [&str; 9] = [
            "accepted",
            "label == fraud",
            "label != legitimate",
            "outcome == allow",
            "outcome == challenge",
            "outcome in [allow, block]",
            "outcome in [allow, challenge]",
            "challenge == passed",
            "result != reversed",
        ];
        self.pick(&ALL, "accepted")
    }

    /// `is missing`, alone or as what makes the rest sure.
    fn presence(&mut self, scope: Scope, below: usize) -> Written {
        let kind =
            self.pick(&[Kind::Money, Kind::Number, Kind::Place, Kind::Device, Kind::Flag], Kind::Money);
        let (text, _) = self.leaf(kind, scope);
        match self.choices.below(3) {
            0 => (format!("({text} is missing)"), true),
            1 => (format!("({text} is not missing)"), true),
            _ => {
                let (money, _) = self.leaf(Kind::Money, scope);
                let (limit, sure) = self.expr(Kind::Money, scope, below);
                (format!("({money} is not missing and {money} > {limit})"), sure)
            }
        }
    }

    fn range(&mut self, scope: Scope, below: usize) -> Written {
        let not = self.pick(&["", "not "], "");
        let text = match self.choices.below(4) {
            0 => format!("hour({}) {not}in 22 .. 6", self.leaf(Kind::Time, scope).0),
            1 => format!("weekday({}) {not}in fri .. mon", self.leaf(Kind::Time, scope).0),
            2 => format!("{} {not}in 1.00 CNY .. 9.00 CNY", self.expr(Kind::Money, scope, below).0),
            _ => {
                let (it, low) = (self.expr(Kind::Number, scope, below).0, self.leaf(Kind::Number, scope).0);
                format!("{it} {not}in {low} .. (1 + abs({low}))")
            }
        };
        (format!("({text})"), true)
    }

    fn set(&mut self, scope: Scope) -> Written {
        let kind =
            self.pick(&[Kind::Channel, Kind::Text, Kind::Number, Kind::Money, Kind::User], Kind::Number);
        let Some((text, _)) = self.named(kind, scope) else { return self.leaf(Kind::Flag, scope) };
        let items: Vec<_> = (0..1 + self.choices.below(3)).map(|_| self.literal(kind)).collect();
        let not = self.pick(&["", "not "], "");
        (format!("({text} {not}in [{}])", items.join(", ")), true)
    }

    fn listed(&mut self, scope: Scope) -> Written {
        let (types, prefix) = match scope.current {
            None => (scope.types, ""),
            Some(current) if scope.this => (current, "this."),
            Some(_) => return self.same(scope),
        };
        let mut all = vec!["user in watched", "device in blocked_devices", "level[user] is missing"];
        if types & TRANSFER == types {
            all.push("payee in watched");
        }
        if types & PAYMENT == types {
            all.extend(["mcc in risky_mcc", "mcc not in risky_mcc"]);
        }
        let text = self.pick(&all, "user in watched");
        let text = match text.strip_prefix("level[") {
            Some(rest) => format!("level[{prefix}{rest}"),
            None => format!("{prefix}{text}"),
        };
        (format!("({text})"), true)
    }

    /// Equality of what has no order.
    fn same(&mut self, scope: Scope) -> Written {
        let operator = self.pick(&["==", "!="], "==");
        if self.choices.chance(25) {
            let (time, sure) = self.leaf(Kind::Time, scope);
            return (format!("(weekday({time}) {operator} {})", self.pick(&["mon", "sun"], "mon")), sure);
        }
        let kinds = [Kind::Channel, Kind::Text, Kind::User, Kind::Device, Kind::Merchant, Kind::Place];
        let kind = self.pick(&kinds, Kind::User);
        match (self.named(kind, scope), self.leaf(kind, scope)) {
            (Some(a), b) => (format!("({} {operator} {})", a.0, b.0), a.1 && b.1),
            (None, _) => self.leaf(Kind::Flag, scope),
        }
    }

    fn of_type(&mut self, scope: Scope) -> Written {
        if scope.current.is_some() {
            return self.leaf(Kind::Flag, scope);
        }
        let (name, _) = self.pick(&EVENT_TYPES, EVENT_TYPES[0]);
        if self.choices.chance(50) {
            return (format!("(type == {name})"), true);
        }
        (format!("(type in [{name}, transfer])"), true)
    }

    /// Types, at least one.
    pub(super) fn some_types(&mut self) -> Types {
        self.pick(&[PAYMENT, TRANSFER, LOGIN, PAYMENT | TRANSFER, ALL, PAYMENT, TRANSFER], PAYMENT)
    }
}
