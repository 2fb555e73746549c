//! What a name means where it stands: the event in scope, the event being decided, and what has been made sure of.

use super::missing;
use super::names::{Absence, Checker, Global};
use super::quantity::{self, SLOT_DIGITS_MAX, present};
use super::words;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::schema::{BuiltInEnum, EnumId, EnumType, EventTypeId, FieldId};
use crate::span::Span;
use crate::syntax::ast;
use crate::typed::{Captured, Expr, ExprKind, FeatureId, MutableColumn, Numeric, Type};
use crate::value::Value;

/// Where an expression stands.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// The types that the event in scope may have. None: what would tell them has failed, and wrong is only what is
    /// so on every type.
    pub(super) types: Vec<EventTypeId>,
    /// Inside an aggregate, where the event in scope is a past one: the types of the event being decided.
    pub(super) current: Option<Vec<EventTypeId>>,
    /// What is known not to be missing here.
    pub(super) facts: Vec<ExprKind>,
    /// Whether more may be present than is known, because the condition that would tell has failed.
    pub(super) facts_failed: bool,
    /// Whether the score may be read.
    pub(super) score: bool,
    /// What nameless aggregates are called after; none: they cannot stand here.
    pub(super) nameless: Option<String>,
}

impl Scope {
    /// Of the event being decided.
    pub(super) fn current(types: Vec<EventTypeId>) -> Self {
        let facts = Vec::new();
        Self { types, current: None, facts, facts_failed: false, score: false, nameless: None }
    }

    /// With room for nameless aggregates, called after where they stand.
    pub(super) fn of(types: Vec<EventTypeId>, owner: &str) -> Self {
        Self { nameless: Some(owner.to_owned()), ..Self::current(types) }
    }

    /// The scope where a condition holds: what it makes sure of is present. None: it failed.
    pub(super) fn where_holds(&self, condition: Option<&Expr>) -> Self {
        let mut scope = self.clone();
        match condition {
            Some(condition) => missing::present_if_true(condition, &mut scope.facts),
            None => scope.facts_failed = true,
        }
        scope
    }

    /// The words of the language that are names here.
    fn words(&self) -> Vec<&'static str> {
        let mut words = vec!["time", "type"];
        words.extend(self.score.then_some("score"));
        if self.current.is_some() {
            words.extend(MUTABLE.map(|(name, _)| name));
        }
        words
    }

    /// Of a past event.
    pub(super) fn past(types: Vec<EventTypeId>, current: Vec<EventTypeId>) -> Self {
        Self { current: Some(current), ..Self::current(types) }
    }
}

/// Checks expressions in one scope.
#[derive(Debug)]
pub(super) struct Exprs<'c, 'a> {
    pub(super) checker: &'c mut Checker<'a>,
    pub(super) scope: Scope,
}

impl Exprs<'_, '_> {
    /// `amount`, `payment.amount`, `this.amount`. The hint is the type of what it is compared with: an enum's values
    /// and the event types are looked up there first.
    pub(super) fn path(&mut self, path: &ast::Path, span: Span, hint: Option<Type>) -> Option<Expr> {
        match (path.names.as_slice(), path.this) {
            ([name], None) => self.name(name, hint),
            ([name], Some(_)) => self.in_current(|exprs| exprs.name(name, None)),
            ([of, name], None) => self.qualified(of, name, span),
            _ => {
                self.checker.reports.error_with_help(
                    Code::UnknownName,
                    span,
                    "no name has so many parts",
                    "a field is `amount`, or of past events `payment.amount`",
                );
                None
            }
        }
    }

    /// Checks something in the scope of the event being decided; inside an aggregate the way there is
    /// [`ExprKind::This`].
    pub(super) fn in_current(&mut self, check: impl FnOnce(&mut Self) -> Option<Expr>) -> Option<Expr> {
        let Some(current) = self.scope.current.clone() else { return check(self) };
        let past = std::mem::replace(&mut self.scope, Scope::current(current));
        let checked = check(self);
        self.scope = past;
        let expr = checked?;
        let (ty, optional) = (expr.ty, expr.optional);
        let kind = ExprKind::This(Box::new(expr));
        let optional = optional && !self.scope.facts.contains(&kind);
        Some(Expr { kind, ty, optional })
    }

    fn qualified(&mut self, of: &ast::Name, name: &ast::Name, span: Span) -> Option<Expr> {
        if self.scope.current.is_none() {
            self.checker.reports.error_with_help(
                Code::WrongScope,
                span,
                format!("`{}.{}` speaks of past events, which only an aggregate has", of.text, name.text),
                format!("the current event's is `{}`", name.text),
            );
            return None;
        }
        if of.text == "any" {
            return self.name(name, None);
        }
        let id = self.checker.event_type(of);
        if id.is_some_and(|id| !self.scope.types.is_empty() && self.scope.types != [id]) {
            let types = self.checker.type_names(&self.scope.types);
            self.checker.reports.error_with_help(
                Code::WrongScope,
                span,
                format!("the aggregate looks at {types}, not at `{}` alone", of.text),
                format!("leave `{}.` out", of.text),
            );
            return None;
        }
        let around = std::mem::replace(&mut self.scope.types, id.into_iter().collect());
        let found = self.name(name, None);
        self.scope.types = around;
        found.filter(|_| id.is_some())
    }

    /// A bare name.
    pub(super) fn name(&mut self, name: &ast::Name, hint: Option<Type>) -> Option<Expr> {
        match hint {
            Some(Type::Enum(id)) => {
                if let Some(found) = self.enum_value(name, id) {
                    return found;
                }
            }
            Some(Type::EventType) => {
                if let Some(id) = self.checker.schema.event_type(&name.text) {
                    let value = Value::Exact(i128::from(id.0));
                    return Some(present(ExprKind::Const(value), Type::EventType));
                }
                self.checker.event_type(name);
                return None;
            }
            _ => {}
        }
        let mut expr = self.known_name(name)?;
        if self.scope.facts.contains(&expr.kind) {
            expr.optional = false;
        }
        Some(expr)
    }

    /// A value of an enum; the outer none: it is not one, but it may mean something else.
    fn enum_value(&mut self, name: &ast::Name, id: EnumId) -> Option<Option<Expr>> {
        let of = self.checker.schema.enum_type(id)?;
        let means_more = self.means_something(name);
        // Where the types are not known, a field of that name may be another type's. What becomes known later is no
        // rival: it is built in like `outcome`, whose value it may be, and nobody can rename either.
        let means_both = means_more
            && mutable_column(&name.text).is_none()
            && (!self.scope.types.is_empty() || self.means_something_on(name, &[]));
        let Some(place) = of.values.iter().position(|it| *it == name.text) else {
            if means_more {
                return None;
            }
            let message = format!("`{}` is not a value of `{}`", name.text, of.name);
            let diagnostic = Diagnostic::new(Code::UnknownName, name.span, message);
            self.checker.reports.add(suggest_value(diagnostic, &name.text, of));
            return Some(None);
        };
        if means_both {
            self.checker.reports.error_with_help(
                Code::AmbiguousName,
                name.span,
                format!("`{}` is a value of `{}` and a name of its own", name.text, of.name),
                "rename one of them",
            );
            return Some(None);
        }
        let value = Value::Exact(i128::try_from(place).unwrap_or_default());
        Some(Some(present(ExprKind::Const(value), Type::Enum(id))))
    }

    /// Whether a bare name means something in this scope by itself.
    pub(super) fn means_something(&self, name: &ast::Name) -> bool {
        if self.scope.types.is_empty() {
            return self.means_something_on(name, &self.checker.all_types().collect::<Vec<_>>());
        }
        self.means_something_on(name, &self.scope.types)
    }

    fn means_something_on(&self, name: &ast::Name, types: &[EventTypeId]) -> bool {
        let text = name.text.as_str();
        let on_type = |it: &EventTypeId| self.checker.schema.field_of(*it, text).is_some();
        matches!(text, "time" | "type")
            || (text == "score" && self.scope.score)
            || (self.scope.current.is_some() && mutable_column(text).is_some())
            || self.checker.globals.contains_key(text)
            || types.iter().any(on_type)
    }

    fn known_name(&mut self, name: &ast::Name) -> Option<Expr> {
        let text = name.text.as_str();
        match text {
            "time" => return Some(present(ExprKind::Time, Type::Time)),
            "type" => return Some(present(ExprKind::EventType, Type::EventType)),
            "score" if self.scope.score => {
                let scaled = Numeric::Exact { scale: 6, digits: quantity::DURATION_DIGITS };
                return Some(present(ExprKind::Score, Type::Number(scaled)));
            }
            "score" if self.scope.current.is_some() => {
                self.checker.not_yet(name.span, "score");
                return None;
            }
            "score" | "id" => {
                let help =
                    if text == "score" { "policy lines read the score" } else { "count by a role instead" };
                let message = format!("`{text}` cannot be read here");
                self.checker.reports.error_with_help(Code::WrongScope, name.span, message, help);
                return None;
            }
            _ => {}
        }
        if let Some(column) = mutable_column(text) {
            return self.mutable(name, column);
        }
        match self.checker.globals.get(text) {
            Some(Global::Const(value)) => value.clone(),
            Some(Global::Feature(id)) => {
                let id = (*id)?;
                self.feature(name, id)
            }
            Some(Global::List(_)) => {
                self.checker.reports.error_with_help(
                    Code::ListMisplaced,
                    name.span,
                    format!("`{text}` is a list or table"),
                    format!("ask `device in {text}`, or look up `{text}[merchant]`"),
                );
                None
            }
            None => {
                let words = self.scope.words();
                let field = self.checker.field_on(name, &self.scope.types, &words)?;
                let ty = self.checker.schema.field(field)?.ty;
                let ty = quantity::field_type(ty, self.checker.schema.currency);
                let optional = self.checker.is_optional(field, &self.scope.types);
                Some(Expr { kind: ExprKind::Field(field), ty, optional })
            }
        }
    }

    fn mutable(&mut self, name: &ast::Name, column: MutableColumn) -> Option<Expr> {
        if self.scope.current.is_none() {
            self.checker.reports.error_with_help(
                Code::WrongScope,
                name.span,
                format!("`{}` becomes known after the decision, so only past events have it", name.text),
                "read it in the `where` of an aggregate",
            );
            return None;
        }
        let built_in = |it| Type::Enum(self.checker.schema.built_in(it));
        let ty = match column {
            MutableColumn::Outcome => built_in(BuiltInEnum::Outcome),
            MutableColumn::Challenge => built_in(BuiltInEnum::Challenge),
            MutableColumn::Result => built_in(BuiltInEnum::Result),
            MutableColumn::Label => built_in(BuiltInEnum::Label),
            MutableColumn::Accepted => Type::Flag,
        };
        Some(present(ExprKind::Mutable(column), ty))
    }

    fn feature(&mut self, name: &ast::Name, id: FeatureId) -> Option<Expr> {
        let feature = self.checker.features.get(id.index())?;
        let lacking: Vec<EventTypeId> =
            self.scope.types.iter().copied().filter(|it| !feature.domain.contains(it)).collect();
        if !lacking.is_empty() {
            let message = format!("`{}` has no meaning on {}", name.text, self.checker.type_names(&lacking));
            let help = format!("it can be used on {}", self.checker.type_names(&feature.domain));
            self.checker.reports.error_with_help(Code::NotOnType, name.span, message, help);
            return None;
        }
        let expr = self.feature_value(id)?;
        if self.scope.current.is_some()
            && let Some(feature) = self.checker.features.get_mut(id.index())
        {
            feature.captured = Captured::Own;
        }
        Some(expr)
    }

    /// A feature's value in this scope. Of a past event it is read from a slot, which the longest sums may outgrow.
    pub(super) fn feature_value(&self, id: FeatureId) -> Option<Expr> {
        let feature = self.checker.features.get(id.index())?;
        let absence = self.checker.absences.get(id.index())?;
        let outgrows = self.scope.current.is_some()
            && matches!(quantity::dimension(feature.ty),
                Some((_, Numeric::Exact { digits, .. })) if SLOT_DIGITS_MAX < digits);
        let optional = outgrows || self.may_be_absent(absence);
        Some(Expr { kind: ExprKind::Feature(id), ty: feature.ty, optional })
    }

    /// Whether something that is missing for these reasons may be missing here.
    fn may_be_absent(&self, absence: &Absence) -> bool {
        let may_lack = |field: &FieldId| {
            self.checker.is_optional(*field, &self.scope.types)
                && !self.scope.facts.contains(&ExprKind::Field(*field))
        };
        absence.otherwise || absence.fields.iter().any(may_lack)
    }
}

/// Asks for the value that was meant, or tells which there are.
pub(super) fn suggest_value(diagnostic: Diagnostic, written: &str, of: &EnumType) -> Diagnostic {
    let values = of.values.iter().map(String::as_str);
    match nearest(written, values.clone()) {
        Some(it) => diagnostic.suggest(Some(it)),
        None => diagnostic.help(format!("its values are {}", words::listing(values))),
    }
}

/// What becomes known of past events.
const MUTABLE: [(&str, MutableColumn); 5] = [
    ("outcome", MutableColumn::Outcome),
    ("challenge", MutableColumn::Challenge),
    ("result", MutableColumn::Result),
    ("label", MutableColumn::Label),
    ("accepted", MutableColumn::Accepted),
];

/// A mutable column by its name.
pub(super) fn mutable_column(name: &str) -> Option<MutableColumn> {
    MUTABLE.iter().find(|(it, _)| *it == name).map(|(_, column)| *column)
}
