//! A plain tree as tokens, written apart from the grammar: what the parser must make of them is the tree again.

use crate::past::Outcome;
use crate::schema::Ownership;
use crate::syntax::ast::*;
use crate::typed::{Comparison, Mode, MutableColumn, Severity};

/// How tightly an expression holds together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Not,
    Compare,
    Coalesce,
    Sum,
    Product,
    Sign,
    Atom,
}

/// The tokens of a file; any white space and comments may stand between them.
pub(super) fn tokens(file: &File) -> Vec<String> {
    let mut printer = Printer { tokens: Vec::new() };
    file.items.iter().for_each(|it| printer.item(it));
    printer.tokens
}

struct Printer {
    tokens: Vec<String>,
}

impl Printer {
    /// Tokens, as words with spaces between.
    fn put(&mut self, text: &str) {
        self.tokens.extend(text.split_whitespace().map(str::to_owned));
    }

    fn name(&mut self, name: &Name) {
        self.tokens.push(name.text.clone());
    }

    fn text(&mut self, text: &str) {
        self.tokens.push(format!("\"{}\"", text.replace('"', "\"\"")));
    }

    fn id(&mut self, name: &Name) {
        let is_word = name.text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if is_word { self.name(name) } else { self.text(&name.text) }
    }

    fn list<T>(&mut self, items: &[T], between: &str, print: impl Fn(&mut Self, &T)) {
        for (at, item) in items.iter().enumerate() {
            if at != 0 {
                self.put(between);
            }
            print(self, item);
        }
    }

    fn after<T>(&mut self, word: &str, item: Option<&T>, print: impl Fn(&mut Self, &T)) {
        if let Some(item) = item {
            self.put(word);
            print(self, item);
        }
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Schema(it) => {
                self.put("schema");
                self.name(&it.name);
                self.put(&it.version.unwrap().value.to_string());
            }
            Item::Zone(it) => self.after("zone", Some(it), |p, it| p.text(&it.text)),
            Item::Rates(it) => self.after("rates", Some(it), |p, it| p.text(&it.text)),
            Item::Currency(it) => self.after("currency", Some(it), Self::name),
            Item::Lateness(it) => self.after("lateness", Some(it), Self::duration),
            Item::Keep(it) => self.after("keep", Some(it), Self::duration),
            Item::Entity(it) => {
                self.after("entity", Some(&it.name), Self::name);
                match it.ownership {
                    Some((Ownership::Shared, _)) => self.put("shared"),
                    Some(_) => self.put("owned"),
                    None => {}
                }
            }
            Item::Enum(it) => {
                self.after("enum", Some(&it.name), Self::name);
                self.put("=");
                self.list(&it.values, ",", Self::name);
            }
            Item::Event(it) => {
                self.after("event", Some(&it.name), Self::name);
                it.fields.iter().for_each(|field| self.field(field));
            }
            Item::Use(it) => self.after("use schema", Some(it), Self::name),
            Item::List(it) => {
                self.after("list", Some(&it.name), Self::name);
                self.after(":", it.of.as_ref(), Self::type_ref);
                self.after("from", it.file.as_ref(), |p, it| p.text(&it.text));
            }
            Item::Table(it) => {
                self.after("table", Some(&it.name), Self::name);
                self.after(":", it.key.as_ref(), Self::type_ref);
                self.after("->", it.value.as_ref(), Self::type_ref);
                self.after("from", it.file.as_ref(), |p, it| p.text(&it.text));
            }
            Item::Const(it) => {
                self.after("const", Some(&it.name), Self::name);
                self.after("=", Some(&it.value), Self::expr);
            }
            Item::Feature(it) => {
                self.after("feature", Some(&it.name), Self::name);
                self.put("=");
                match &it.value.kind {
                    ExprKind::Aggregate(aggregate) => self.aggregate(aggregate),
                    _ => self.expr(&it.value),
                }
            }
            Item::Record(names) => {
                self.put("record");
                self.list(names, ",", Self::name);
            }
            Item::Rule(it) => self.rule(it),
            Item::Policy(it) => self.policy(it),
            Item::Test(it) => self.test(it),
            Item::Error(_) => unreachable!("nothing is generated that does not parse"),
        }
    }

    fn field(&mut self, field: &Field) {
        self.name(&field.name);
        self.after(":", field.ty.as_ref(), Self::type_ref);
        if field.optional {
            self.put("?");
        }
        self.after("=", field.derived.as_ref(), Self::expr);
    }

    fn type_ref(&mut self, ty: &TypeRef) {
        self.name(&ty.name);
        if let Some(size) = ty.size {
            self.put(&format!("( {} )", size.value));
        }
        self.after("", ty.currency.as_ref(), Self::name);
    }

    fn duration(&mut self, duration: &Duration) {
        self.put(&duration.text);
    }

    fn date(&mut self, date: &Date) {
        self.put(&date.day.to_string());
    }

    fn quantity(&mut self, quantity: &Quantity) {
        self.put(&quantity.value.to_string());
        match &quantity.unit {
            Unit::None => {}
            Unit::Percent => self.put("%"),
            Unit::Kilometres => self.put("km"),
            Unit::Metres => self.put("metres"),
            Unit::KilometresPerHour => self.put("km/h"),
            Unit::Currency(name) => self.name(name),
        }
    }

    fn expr(&mut self, expr: &Expr) {
        self.at_least(Level::Or, expr);
    }

    /// An expression, in parentheses if it would otherwise fall apart.
    fn at_least(&mut self, least: Level, expr: &Expr) {
        if level(expr) < least {
            self.put("(");
            self.bare(expr);
            self.put(")");
        } else {
            self.bare(expr);
        }
    }

    fn bare(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Flag(flag) => self.put(&flag.to_string()),
            ExprKind::Quantity(it) => self.quantity(it),
            ExprKind::Duration(it) => self.duration(it),
            ExprKind::Text(it) => self.text(it),
            ExprKind::Date(it) => self.date(it),
            ExprKind::Path(it) => {
                if it.this.is_some() {
                    self.put("this .");
                }
                self.list(&it.names, ".", Self::name);
            }
            ExprKind::Lookup { table, key } => {
                self.name(table);
                self.after("[", Some(&**key), Self::expr);
                self.put("]");
            }
            ExprKind::Call(call) => self.call(call),
            ExprKind::Aggregate(aggregate) => {
                self.put("(");
                self.aggregate(aggregate);
                self.put(")");
            }
            ExprKind::Set(items) => {
                self.put("[");
                self.list(items, ",", Self::expr);
                self.put("]");
            }
            ExprKind::Negate(operand) => {
                self.after("-", Some(&**operand), |p, it| p.at_least(Level::Sign, it))
            }
            ExprKind::Not(operand) => self.after("not", Some(&**operand), |p, it| p.at_least(Level::Not, it)),
            ExprKind::Binary { op, left, right, .. } => self.binary(*op, left, right),
            ExprKind::In { negated, operand, range } => {
                self.at_least(Level::Coalesce, operand);
                self.put(if *negated { "not in" } else { "in" });
                match range {
                    Range::Of(set) => self.at_least(Level::Coalesce, set),
                    Range::Between { low, high } => {
                        self.at_least(Level::Coalesce, low);
                        self.put("..");
                        self.at_least(Level::Coalesce, high);
                    }
                }
            }
            ExprKind::IsMissing { negated, operand } => {
                self.at_least(Level::Coalesce, operand);
                self.put(if *negated { "is not missing" } else { "is missing" });
            }
            ExprKind::Error => unreachable!("nothing is generated that does not parse"),
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr) {
        let (left_least, word, right_least) = match op {
            BinaryOp::Or => (Level::Or, "or", Level::And),
            BinaryOp::And => (Level::And, "and", Level::Not),
            BinaryOp::Compare(op) => (Level::Coalesce, comparison(op), Level::Coalesce),
            BinaryOp::Contains => (Level::Coalesce, "contains", Level::Coalesce),
            BinaryOp::Starts => (Level::Coalesce, "starts", Level::Coalesce),
            BinaryOp::Matches => (Level::Coalesce, "matches", Level::Coalesce),
            BinaryOp::Coalesce => (Level::Sum, "??", Level::Coalesce),
            BinaryOp::Add => (Level::Sum, "+", Level::Product),
            BinaryOp::Subtract => (Level::Sum, "-", Level::Product),
            BinaryOp::Multiply => (Level::Product, "*", Level::Sign),
            BinaryOp::Divide => (Level::Product, "/", Level::Sign),
        };
        self.at_least(left_least, left);
        self.put(word);
        self.at_least(right_least, right);
    }

    fn call(&mut self, call: &Call) {
        self.name(&call.name);
        self.put("(");
        self.list(&call.args, ",", |p, arg| {
            if arg.not.is_some() {
                p.put("not");
            }
            p.at_least(if arg.not.is_some() { Level::Not } else { Level::Or }, &arg.expr);
            p.after("where", arg.where_.as_ref(), Self::expr);
            p.after("within", arg.within.as_ref(), Self::duration);
        });
        self.put(")");
    }

    fn aggregate(&mut self, aggregate: &Aggregate) {
        self.call(&aggregate.call);
        aggregate.clauses.iter().for_each(|clause| self.clause(&clause.kind));
    }

    fn clause(&mut self, clause: &ClauseKind) {
        match clause {
            ClauseKind::By { roles, via } => {
                self.after("by", Some(roles), |p, it| p.roles(it));
                self.after("via", Some(via).filter(|it| !it.is_empty()), |p, it| p.roles(it));
            }
            ClauseKind::Over(Window::Sliding(it)) => self.after("over", Some(it), Self::duration),
            ClauseKind::Over(Window::Today) => self.put("over today"),
            ClauseKind::Over(Window::This(unit)) => {
                let unit = format!("{unit:?}").to_lowercase();
                self.put(&format!("over this {unit}"));
            }
            ClauseKind::Over(Window::Last { count, of }) => {
                self.put(&format!("over last {} {}", count.value, of.text));
            }
            ClauseKind::Where(it) => self.after("where", Some(it), Self::expr),
            ClauseKind::Before => self.put("before"),
            ClauseKind::Delay(it) => self.after("delay", Some(it), Self::duration),
            ClauseKind::Within(it) => self.after("within", Some(it), Self::duration),
            ClauseKind::Step(it) => self.after("step", Some(it), Self::duration),
            ClauseKind::GroupBy { role, having, op, value } => {
                self.after("group by", Some(role), Self::name);
                self.after("having", Some(having), Self::call);
                self.after(comparison(*op), Some(value), |p, it| p.at_least(Level::Sum, it));
            }
            ClauseKind::Error => unreachable!("nothing is generated that does not parse"),
        }
    }

    fn roles(&mut self, roles: &[Name]) {
        if let [role] = roles {
            return self.name(role);
        }
        self.put("(");
        self.list(roles, ",", Self::name);
        self.put(")");
    }

    fn rule(&mut self, rule: &Rule) {
        self.after("rule", Some(&rule.name), Self::name);
        self.after("", rule.reason.as_ref(), |p, it| p.text(&it.text));
        self.after("tell", rule.tell.as_ref(), |p, it| p.text(&it.text));
        match rule.mode {
            Some((Mode::Live, _)) => self.put("live"),
            Some((Mode::Shadow, _)) => self.put("shadow"),
            Some((Mode::Off, _)) => self.put("off"),
            None => {}
        }
        self.after("to", rule.rollout.as_ref(), |p, it| {
            p.quantity(&it.share);
            p.after("of", Some(&it.role), Self::name);
        });
        self.after("from", rule.from.as_ref(), Self::date);
        self.after("until", rule.until.as_ref(), Self::date);
        self.put("on");
        self.list(&rule.on, ",", Self::name);
        self.after("when", Some(&rule.when), Self::expr);
        self.put("then");
        self.list(&rule.effects, ",", Self::effect);
    }

    fn effect(&mut self, effect: &Effect) {
        match &effect.kind {
            EffectKind::Block { always } => self.put(if *always { "block always" } else { "block" }),
            EffectKind::Challenge { factors, always } => {
                self.put(if factors.is_empty() { "challenge" } else { "challenge with" });
                self.list(factors, "or", |p, set| p.list(set, "+", Self::name));
                self.put(if *always { "always" } else { "" });
            }
            EffectKind::Allow => self.put("allow"),
            EffectKind::Score { negative, value } => {
                self.put(if *negative { "score -" } else { "score +" });
                self.at_least(Level::Product, value);
            }
            EffectKind::Alert { severity, once } => {
                self.put(match severity {
                    Severity::Low => "alert low",
                    Severity::Medium => "alert medium",
                    Severity::High => "alert high",
                    Severity::Critical => "alert critical",
                });
                self.after("once per", once.as_ref(), |p, it| {
                    p.name(&it.role);
                    p.duration(&it.span);
                });
            }
            EffectKind::Tag(it) => self.after("tag", Some(it), Self::name),
            EffectKind::Freeze { role, span } => {
                self.after("freeze", Some(role), Self::name);
                self.after("for", Some(span), Self::duration);
            }
            EffectKind::Delay(it) => self.after("delay", Some(it), Self::duration),
            EffectKind::Add { role, list, span } => {
                self.after("add", Some(role), Self::name);
                self.after("to", Some(list), Self::name);
                self.after("for", span.as_ref(), Self::duration);
            }
            EffectKind::Remove { role, list } => {
                self.after("remove", Some(role), Self::name);
                self.after("from", Some(list), Self::name);
            }
            EffectKind::Error => unreachable!("nothing is generated that does not parse"),
        }
    }

    fn policy(&mut self, policy: &Policy) {
        self.put(if policy.on.is_empty() { "policy" } else { "policy on" });
        self.list(&policy.on, ",", Self::name);
        for line in &policy.lines {
            self.list(&line.effects, ",", Self::effect);
            self.after("when", Some(&line.when), Self::expr);
        }
        self.after("deadline", policy.deadline.as_ref(), |p, it| {
            p.duration(&it.after);
            p.put("else");
            p.put(outcome(it.outcome));
        });
        self.after("valid for", policy.valid_for.as_ref(), Self::duration);
    }

    fn test(&mut self, test: &Test) {
        self.put("test");
        self.text(&test.name.text);
        test.steps.iter().for_each(|step| self.step(step));
        self.put("then");
        self.list(&test.expectations, ",", |p, it| p.expectation(&it.kind));
    }

    fn step(&mut self, step: &Step) {
        self.put(if step.role == StepRole::Given { "given" } else { "when" });
        match &step.kind {
            StepKind::Event { event_type, id, fields } => {
                self.name(event_type);
                self.after("as", id.as_ref(), Self::id);
                for (name, value) in fields {
                    self.name(name);
                    self.at_least(Level::Sign, value);
                }
            }
            StepKind::Amendment { column, value, event } => {
                self.put(match column {
                    MutableColumn::Label => "label",
                    MutableColumn::Result => "result",
                    MutableColumn::Challenge => "challenge",
                    _ => "outcome",
                });
                self.name(value);
                self.after("on", Some(event), Self::id);
            }
            StepKind::Listed { item, list, value } => {
                self.id(item);
                self.after("in", Some(list), Self::name);
                self.after("=", value.as_ref(), |p, it| p.at_least(Level::Sign, it));
            }
            StepKind::Error => unreachable!("nothing is generated that does not parse"),
        }
        self.after(",", step.repeat.as_ref(), |p, it| {
            p.put(&format!("{} times every {}", it.count.value, it.every.text));
        });
        match &step.at {
            Some(Moment::After(it)) => self.after("after", Some(it), Self::duration),
            Some(Moment::At(it)) => self.after("at", Some(it), |p, it| p.text(&it.text)),
            None => {}
        }
    }

    fn expectation(&mut self, expectation: &ExpectationKind) {
        match expectation {
            ExpectationKind::Outcome { outcome: it, because } => {
                self.put(outcome(*it));
                self.put(if because.is_empty() { "" } else { "because" });
                self.list(because, "and", Self::name);
            }
            ExpectationKind::Hit { negated, rule } => {
                self.put(if *negated { "not hit" } else { "hit" });
                self.name(rule);
            }
            ExpectationKind::Holds(it) => self.expr(it),
            ExpectationKind::Error => unreachable!("nothing is generated that does not parse"),
        }
    }
}

fn level(expr: &Expr) -> Level {
    match &expr.kind {
        ExprKind::Not(_) => Level::Not,
        ExprKind::Negate(_) => Level::Sign,
        ExprKind::In { .. } | ExprKind::IsMissing { .. } => Level::Compare,
        ExprKind::Binary { op, .. } => match op {
            BinaryOp::Or => Level::Or,
            BinaryOp::And => Level::And,
            BinaryOp::Coalesce => Level::Coalesce,
            BinaryOp::Add | BinaryOp::Subtract => Level::Sum,
            BinaryOp::Multiply | BinaryOp::Divide => Level::Product,
            _ => Level::Compare,
        },
        _ => Level::Atom,
    }
}

fn comparison(op: Comparison) -> &'static str {
    match op {
        Comparison::Equal => "==",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allow => "allow",
        Outcome::Challenge => "challenge",
        _ => "block",
    }
}
