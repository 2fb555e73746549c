//! Random aggregates as text.

use super::exprs::{Scope, Writer, Written};
use super::schema::{ALL, EVENT_TYPES, FIELDS, Field, Kind, Types};

/// The events that an aggregate looks at, as written and as types.
struct Source {
    name: &'static str,
    types: Types,
}

impl Writer<'_> {
    /// An aggregate for these types of events being decided, with its kind and whether it surely has a value.
    pub(super) fn aggregate(&mut self, current: Types) -> (String, Kind, bool) {
        let (by, via) = self.roles(current);
        let all = [
            "count",
            "ratio",
            "time_since",
            "first_seen",
            "speed",
            "sum",
            "mean",
            "stddev",
            "min",
            "max",
            "distinct",
            "first",
            "last",
        ];
        match self.pick(&all, "count") {
            function @ ("count" | "ratio" | "time_since") => self.counting(function, current, &by, &via),
            function @ ("first_seen" | "speed") => self.plain(function, current, &by),
            function => self.of_values(function, current, &by, &via),
        }
    }

    /// An aggregate in parentheses, if one of the wanted kind turns up.
    pub(super) fn nameless(&mut self, kind: Kind, scope: Scope) -> Option<Written> {
        (0..4)
            .map(|_| self.aggregate(scope.types))
            .find(|it| it.1 == kind)
            .map(|(text, _, sure)| (format!("({text})"), sure))
    }

    /// Roles of the event being decided, and the roles on which past events are matched.
    fn roles(&mut self, current: Types) -> (Vec<&'static Field>, Vec<&'static Field>) {
        let all: Vec<_> =
            FIELDS.iter().filter(|it| it.kind.is_entity() && it.on & current == current).collect();
        let first = self.choices.pick(&all).copied().unwrap_or(&FIELDS[0]);
        let mut by = vec![first];
        if self.choices.chance(25)
            && let Some(second) = self.choices.pick(&all)
        {
            by.push(second);
        }
        let mut via = by.clone();
        if self.choices.chance(30) {
            let others: Vec<_> = by.iter().map(|it| Self::other(it)).collect();
            if others.iter().fold(ALL, |types, it| types & it.on) != 0 {
                via = others;
            }
        }
        (by, via)
    }

    /// The other role of a user; of other kinds the only one.
    fn other(role: &'static Field) -> &'static Field {
        let is_other = |it: &&Field| it.kind == Kind::User && it.name != role.name;
        FIELDS.iter().find(|it| role.kind == Kind::User && is_other(it)).unwrap_or(role)
    }

    /// A type that has these fields, or `any`.
    fn source(&mut self, fields: &[&Field]) -> Option<Source> {
        let having = fields.iter().fold(ALL, |types, it| types & it.on);
        let mut all: Vec<_> = EVENT_TYPES.iter().filter(|it| it.1 & having != 0).copied().collect();
        if !all.is_empty() {
            all.push(("any", having));
        }
        self.choices.pick(&all).map(|(name, types)| Source { name, types: *types })
    }

    fn counting(
        &mut self,
        function: &str,
        current: Types,
        by: &[&Field],
        via: &[&Field],
    ) -> (String, Kind, bool) {
        let source = self.source(via).unwrap_or(Source { name: "any", types: ALL });
        let kind = if function == "time_since" { Kind::Duration } else { Kind::Number };
        let inner = |condition: &str| format!("{function}({} where {condition})", source.name);
        let mut plan = Plan::new(self, function);
        let call = if function == "ratio" || self.choices.chance(20) {
            inner(&self.condition(current, source.types, &mut plan))
        } else {
            format!("{function}({})", source.name)
        };
        let narrow = if source.name == "any" { self.narrowing(source.types) } else { None };
        let types = narrow.as_ref().map_or(source.types, |it| it.1);
        let text = self.clauses(call, current, types, (by, via), &mut plan, narrow.map(|it| it.0));
        (text, kind, false)
    }

    /// `first_seen` and `speed`: arguments without a type.
    fn plain(&mut self, function: &str, current: Types, by: &[&Field]) -> (String, Kind, bool) {
        let mut plan = Plan::new(self, function);
        let role = by.first().copied().unwrap_or(&FIELDS[0]);
        let by = [role];
        let (argument, kind, types) = if function == "speed" {
            ("place".to_owned(), Kind::Speed, role.on)
        } else {
            let fields: Vec<_> = FIELDS.iter().filter(|it| it.on & current == current).collect();
            let field = self.choices.pick(&fields).copied().unwrap_or(role);
            match self.choices.chance(20) {
                true => ("hour(time)".to_owned(), Kind::Flag, role.on),
                false => (field.name.to_owned(), Kind::Flag, role.on & field.on),
            }
        };
        let call = format!("{function}({argument})");
        (self.clauses(call, current, types, (&by, &by), &mut plan, None), kind, false)
    }

    fn of_values(
        &mut self,
        function: &str,
        current: Types,
        by: &[&Field],
        via: &[&Field],
    ) -> (String, Kind, bool) {
        let fits = |kind: Kind| match function {
            "sum" | "mean" | "stddev" => matches!(kind, Kind::Number | Kind::Money | Kind::Duration),
            "min" | "max" => {
                matches!(
                    kind,
                    Kind::Number | Kind::Money | Kind::Duration | Kind::Time | Kind::Distance | Kind::Speed
                )
            }
            _ => true,
        };
        let role_types = via.iter().fold(ALL, |types, it| types & it.on);
        let fields = FIELDS.iter().filter(|it| fits(it.kind) && it.on & role_types != 0);
        let mut all: Vec<_> = fields.map(|it| (it.name.to_owned(), it.kind, it.on & role_types)).collect();
        let features = self.features.iter().filter(|it| fits(it.kind) && it.types & role_types != 0);
        let features: Vec<_> = features.map(|it| (it.name.clone(), it.kind, it.types & role_types)).collect();
        if self.choices.chance(40) && !features.is_empty() {
            all = features;
        }
        let Some((name, kind, types)) = self.choices.pick(&all).cloned() else {
            return self.counting("count", current, by, via);
        };
        let named: Vec<_> = EVENT_TYPES.iter().filter(|it| it.1 & types != 0).copied().collect();
        // `any` would look at all types that have the field, on some of which a feature may have no meaning.
        let is_field = FIELDS.iter().any(|it| it.name == name);
        let source = match self.choices.chance(30) && is_field {
            true => ("any", types),
            false => self.choices.pick(&named).copied().unwrap_or(EVENT_TYPES[0]),
        };
        let mut plan = Plan::new(self, function);
        let argument = match (kind, self.choices.chance(15)) {
            _ if plan.mutable && function == "distinct" && self.choices.chance(30) => {
                format!("{}.{}", source.0, self.pick(&["label", "outcome", "challenge", "result"], "label"))
            }
            (Kind::Number | Kind::Money | Kind::Duration, true) => {
                format!("{0}.{name} * {1}", source.0, self.pick(&["2", "1.5", "15%"], "2"))
            }
            (Kind::Number | Kind::Money, false) if self.choices.chance(10) => {
                format!("{0}.{name} / 3", source.0)
            }
            _ => format!("{}.{name}", source.0),
        };
        let call = format!("{function}({argument})");
        let kind = if function == "distinct" { Kind::Number } else { kind };
        (self.clauses(call, current, source.1, (by, via), &mut plan, None), kind, false)
    }

    /// `type in [payment]`, and the types that are left.
    fn narrowing(&mut self, types: Types) -> Option<(String, Types)> {
        if !self.choices.chance(40) {
            return None;
        }
        let all: Vec<_> = EVENT_TYPES.iter().filter(|it| it.1 & types != 0).copied().collect();
        let (name, bit) = self.choices.pick(&all).copied()?;
        Some((format!("type in [{name}]"), bit))
    }

    fn condition(&mut self, current: Types, past: Types, plan: &mut Plan) -> String {
        let scope = Scope {
            types: past,
            current: Some(current),
            mutable: plan.mutable,
            this: plan.over,
            nameless: false,
            score: false,
        };
        let (text, _) = self.expr(Kind::Flag, scope, 2);
        if plan.mutable && self.choices.chance(50) { format!("{} and {text}", self.mutable()) } else { text }
    }

    fn clauses(
        &mut self,
        call: String,
        current: Types,
        past: Types,
        (by, via): (&[&Field], &[&Field]),
        plan: &mut Plan,
        narrow: Option<String>,
    ) -> String {
        let names = |roles: &[&Field]| match roles {
            [one] => one.name.to_owned(),
            all => format!("({})", all.iter().map(|it| it.name).collect::<Vec<_>>().join(", ")),
        };
        let mut text = format!("{call} by {}", names(by));
        if names(by) != names(via) {
            text.push_str(&format!(" via {}", names(via)));
        }
        if plan.over {
            text.push_str(&format!(" over {}", self.pick(&["1h", "1s", "1d", "7d", "10m"], "1h")));
        }
        let condition = self.choices.chance(50).then(|| self.condition(current, past, plan));
        let conditions: Vec<_> = narrow.into_iter().chain(condition).collect();
        if plan.before {
            text.push_str(" before");
        }
        if plan.delay {
            text.push_str(&format!(" delay {}", self.pick(&["1h", "10s", "1d"], "1h")));
        }
        if !conditions.is_empty() {
            text.push_str(&format!(" where {}", conditions.join(" and ")));
        }
        text
    }
}

/// What an aggregate's clauses will be, so that its conditions keep to it.
struct Plan {
    over: bool,
    before: bool,
    delay: bool,
    mutable: bool,
}

impl Plan {
    fn new(writer: &mut Writer<'_>, function: &str) -> Self {
        let windowless = matches!(function, "last" | "first_seen" | "time_since" | "speed");
        let over = !windowless || writer.choices.chance(40);
        let before = writer.choices.chance(30);
        let delay = over && writer.choices.chance(20);
        Self { over, before, delay, mutable: over && (before || delay) }
    }
}
