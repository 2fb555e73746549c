//! The canonical form: a text that says what a rule set means and nothing of how it was written. Its hashes name
//! features' state and whole rule sets, so **what is written here never changes** for a meaning that does not.
//!
//! Left out: comments, layout, order of declarations that do not read each other, names of constants, tests, places.
//! A feature is written without its name, and other features in it as their hashes.

use std::fmt::Write;

use crate::schema::{Derivation, EventTypeId, FieldId, FieldType, KindId, Schema};
use crate::typed::{
    Aggregate, Definition, Effect, Expr, ExprKind, Feature, FeatureId, Function, ListId, ListKind, Operator,
    Policy, Rule, RuleSet, Type,
};
use crate::value::Value;

/// Fills in the hashes of every feature and of the rule set.
pub(super) fn seal(rule_set: &mut RuleSet) {
    for index in 0..rule_set.features.len() {
        let mut form = Form { rule_set, text: String::new() };
        if let Some(feature) = rule_set.features.get(index) {
            form.feature(feature);
        }
        let hash = blake3::hash(form.text.as_bytes());
        if let (Some(feature), Some(half)) = (rule_set.features.get_mut(index), hash.as_bytes().first_chunk())
        {
            feature.hash = *half;
        }
    }
    let mut form = Form { rule_set, text: String::new() };
    form.rule_set();
    rule_set.hash = *blake3::hash(form.text.as_bytes()).as_bytes();
}

/// Writes the canonical form: words in parentheses, texts in Rust's quotes, everything by name.
struct Form<'r> {
    rule_set: &'r RuleSet,
    text: String,
}

impl<'r> Form<'r> {
    fn schema(&self) -> &'r Schema {
        &self.rule_set.schema
    }

    fn put(&mut self, what: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(what);
    }

    fn word(&mut self, word: &str) {
        self.put(format_args!("{word} "));
    }

    fn list<T>(
        &mut self,
        word: &str,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T),
    ) {
        self.put(format_args!("({word} "));
        for item in items {
            each(self, item);
        }
        self.word(")");
    }

    fn rule_set(&mut self) {
        self.whole_schema();
        let rule_set = self.rule_set;
        for list in &rule_set.lists {
            self.list("list", [&list.file], |it, file| it.put(format_args!("{:?} {file:?} ", list.name)));
            self.list_kind(list.of);
        }
        for id in &rule_set.feature_order {
            if let Some(feature) = rule_set.feature(*id) {
                self.put(format_args!("(feature {} ", feature.name));
                self.feature_hash(*id);
                self.word(")");
            }
        }
        self.list("record", &rule_set.record, |it, id| it.feature_hash(*id));
        rule_set.rules.iter().for_each(|it| self.rule(it));
        rule_set.policies.iter().for_each(|it| self.policy(it));
    }

    fn whole_schema(&mut self) {
        let schema = self.schema();
        self.put(format_args!(
            "(schema {} {} {:?} {} {} {} {:?} ",
            schema.name,
            schema.version,
            schema.zone_name,
            schema.currency.code(),
            schema.lateness,
            schema.keep,
            schema.rates_file
        ));
        for kind in &schema.kinds {
            self.put(format_args!("(kind {} {:?}) ", kind.name, kind.ownership));
        }
        let (built_in, own) = schema.enums.split_at(schema.enums.len() - schema.own_enums().len());
        for it in own.iter().chain(built_in) {
            self.list(&it.name, &it.values, |form, value| form.word(value));
        }
        for event in &schema.events {
            self.list(&event.name, &event.fields, |form, field| {
                form.field(field.field);
                form.word(if field.optional { "optional" } else { "required" });
                if let Some(Derivation::Prefix { of, characters }) = field.derived {
                    form.put(format_args!("(prefix {characters} "));
                    form.field(of);
                    form.word(")");
                }
            });
        }
        self.word(")");
    }

    /// A feature's meaning: what it computes and, where it has no window, how long is remembered.
    fn feature(&mut self, feature: &Feature) {
        match &feature.definition {
            Definition::Expr(expr) => self.scaled(expr),
            Definition::Aggregate(aggregate) => self.aggregate(aggregate),
        }
    }

    fn aggregate(&mut self, it: &Aggregate) {
        let (lateness, keep) = (self.schema().lateness, self.schema().keep);
        self.put(format_args!("(aggregate {:?} lateness {lateness} ", it.function));
        self.list("of", &it.of, |form, id| form.event_type(*id));
        self.list("by", &it.by, |form, id| form.field(*id));
        self.list("via", &it.via, |form, id| form.field(*id));
        match it.over {
            Some(over) => self.put(format_args!("(over {over}) ")),
            None => self.put(format_args!("(keep {keep}) ")),
        }
        self.put(format_args!("(delay {:?}) (before {}) ", it.delay, it.before));
        for (word, expr) in [("of", &it.argument), ("where", &it.condition), ("above", &it.numerator)] {
            self.list(word, expr, |form, expr| form.expr(expr));
        }
        self.word(")");
    }

    fn feature_hash(&mut self, id: FeatureId) {
        let hash = self.rule_set.feature(id).map(|it| it.hash).unwrap_or_default();
        for byte in hash {
            self.put(format_args!("{byte:02x}"));
        }
        self.word("");
    }

    fn event_type(&mut self, id: EventTypeId) {
        let event = self.schema().event(id);
        self.word(event.map_or("?", |it| it.name.as_str()));
    }

    fn kind(&mut self, id: KindId) {
        self.word(self.schema().kind_name(id));
    }

    /// A field's name and type. Of a text not how long it may be: that may grow, and its hash stays.
    fn field(&mut self, id: FieldId) {
        let Some(field) = self.schema().field(id) else { return };
        self.put(format_args!("{}:", field.name));
        match field.ty {
            FieldType::Text { .. } => self.word("text"),
            FieldType::Entity(kind) => self.kind(kind),
            FieldType::Enum(id) => self.word(self.schema().enum_name(id)),
            FieldType::Money { currency: None } => {
                self.put(format_args!("money {:?} ", self.schema().currency))
            }
            other => self.put(format_args!("{other:?} ")),
        }
    }

    fn list_named(&mut self, id: ListId) {
        let Some(list) = self.rule_set.list(id) else { return };
        self.put(format_args!("{:?} ", list.name));
        self.list_kind(list.of);
    }

    fn list_kind(&mut self, of: ListKind) {
        match of {
            ListKind::Entities(kind) => self.kind(kind),
            ListKind::Table(kind, ty) => {
                self.kind(kind);
                self.ty(ty);
            }
            ListKind::Values(ty) => self.ty(ty),
        }
    }

    fn ty(&mut self, ty: Type) {
        match ty {
            Type::Entity(kind) => self.kind(kind),
            Type::Enum(id) => self.word(self.schema().enum_name(id)),
            other => self.put(format_args!("{other:?} ")),
        }
    }

    /// An expression where nothing else tells the scale of one that is made of constants alone: `1.5` and `15%` are the same
    /// digits.
    fn scaled(&mut self, expr: &Expr) {
        if let Type::Number(numeric) = expr.ty
            && 0 < numeric.scale()
            && is_constant(expr)
        {
            self.put(format_args!("(scale {}) ", numeric.scale()));
        }
        self.expr(expr);
    }

    fn expr(&mut self, expr: &Expr) {
        let word = match &expr.kind {
            ExprKind::Const(value) => return self.constant(*value, expr.ty),
            ExprKind::Text(text) => return self.put(format_args!("{text:?} ")),
            ExprKind::EntityId(kind, id) => {
                self.put(format_args!("{id:?}:"));
                return self.kind(*kind);
            }
            ExprKind::Field(id) => return self.field(*id),
            ExprKind::EventType => return self.word("type"),
            ExprKind::Time => return self.word("time"),
            ExprKind::Mutable(column) => return self.put(format_args!("{column:?} ")),
            ExprKind::Feature(id) => return self.feature_hash(*id),
            ExprKind::Score => return self.word("score"),
            ExprKind::Listed(list, role) | ExprKind::TableValue(list, role) => {
                self.word("(listed");
                self.list_named(*list);
                self.field(*role);
                return self.word(")");
            }
            ExprKind::ListedValue(list, value) => {
                self.word("(listed");
                self.list_named(*list);
                self.expr(value);
                return self.word(")");
            }
            ExprKind::This(_) => "this".to_owned(),
            ExprKind::Not(_) => "not".to_owned(),
            ExprKind::And(..) => "and".to_owned(),
            ExprKind::Or(..) => "or".to_owned(),
            ExprKind::Compare(comparison, ..) => format!("{comparison:?}"),
            ExprKind::Between { wraps, .. } => format!("between {wraps}"),
            ExprKind::OneOf(..) => "one of".to_owned(),
            ExprKind::IsMissing(_) => "missing".to_owned(),
            ExprKind::Coalesce(..) => "??".to_owned(),
            ExprKind::Arithmetic(operator, ..) => format!("{operator:?}"),
            ExprKind::Negate(_) => "-".to_owned(),
            ExprKind::Rescale(_, by) => format!("rescale {by}"),
            ExprKind::ToReal(_, scale) => format!("real {scale}"),
            ExprKind::Call(function, _) => function_name(function),
        };
        // Operands of all else are brought to one scale, and say it.
        let is_product = matches!(expr.kind, ExprKind::Arithmetic(Operator::Multiply, ..));
        self.list(&word, expr.children(), if is_product { Self::scaled } else { Self::expr });
    }

    /// Enum values and event types by name, so that the order in which they are declared does not matter.
    fn constant(&mut self, value: Value, ty: Type) {
        let place = value.exact().and_then(|it| usize::try_from(it).ok());
        let named = match ty {
            Type::Enum(id) => place.and_then(|at| self.schema().enum_type(id)?.values.get(at)),
            Type::EventType => place.and_then(|at| Some(&self.schema().events.get(at)?.name)),
            _ => None,
        };
        match (named, value, ty) {
            (Some(name), ..) => self.put(format_args!("{name:?} ")),
            (None, Value::Real(real), _) => self.put(format_args!("{:016x} ", real.to_bits())),
            (None, value, Type::Money(currency, _)) => self.put(format_args!("{value:?} {currency:?} ")),
            (None, value, _) => self.put(format_args!("{value:?} ")),
        }
    }

    fn rule(&mut self, rule: &Rule) {
        self.put(format_args!(
            "(rule {} {:?} {:?} {:?} {:?} {:?} ",
            rule.name, rule.reason, rule.tell, rule.mode, rule.from, rule.until
        ));
        if let Some((role, share)) = rule.rollout {
            self.put(format_args!("{share} of "));
            self.field(role);
        }
        self.list("on", &rule.on, |form, id| form.event_type(*id));
        self.expr(&rule.when);
        rule.effects.iter().for_each(|it| self.effect(it));
        self.word(")");
    }

    fn policy(&mut self, policy: &Policy) {
        self.put(format_args!("(policy {:?} {:?} ", policy.deadline, policy.valid_for));
        self.list("on", &policy.on, |form, id| form.event_type(*id));
        for line in &policy.lines {
            self.word("(line");
            self.expr(&line.when);
            line.effects.iter().for_each(|it| self.effect(it));
            self.word(")");
        }
        self.word(")");
    }

    fn effect(&mut self, effect: &Effect) {
        match effect {
            Effect::Score(expr) => self.list("score", [expr], Self::expr),
            Effect::Alert { severity, once } => {
                self.put(format_args!("alert {severity:?} "));
                if let Some((role, span)) = once {
                    self.put(format_args!("once {span} "));
                    self.field(*role);
                }
            }
            Effect::Freeze { role, span } => {
                self.put(format_args!("freeze {span} "));
                self.field(*role);
            }
            Effect::Add { role, list, span } => {
                self.put(format_args!("add {span:?} "));
                self.field(*role);
                self.list_named(*list);
            }
            Effect::Remove { role, list } => {
                self.word("remove");
                self.field(*role);
                self.list_named(*list);
            }
            plain @ (Effect::Block { .. }
            | Effect::Challenge { .. }
            | Effect::Allow
            | Effect::Tag(_)
            | Effect::Delay(_)) => self.put(format_args!("{plain:?} ")),
        }
    }
}

fn function_name(function: &Function) -> String {
    let (word, zone) = match function {
        Function::Hour(zone) => ("hour", zone),
        Function::Weekday(zone) => ("weekday", zone),
        Function::Weekend(zone) => ("weekend", zone),
        Function::Night(zone) => ("night", zone),
        Function::Min => return "min".to_owned(),
        Function::Max => return "max".to_owned(),
        Function::Abs => return "abs".to_owned(),
        Function::Distance => return "distance".to_owned(),
    };
    format!("{word} {}", zone.iana_name().unwrap_or("UTC"))
}

/// Whether it is made of constants alone.
fn is_constant(expr: &Expr) -> bool {
    let children = expr.children();
    matches!(expr.kind, ExprKind::Const(_))
        || !children.is_empty() && children.iter().all(|it| is_constant(it))
}
