//! Which past events an aggregate looks at: `payment`, `payment.amount`, `any.device`, or what its argument names.

use super::domain::{for_each_path, is_plain};
use super::names::Checker;
use crate::diagnostic::Code;
use crate::schema::{EventTypeId, FieldType, KindId};
use crate::span::Span;
use crate::syntax::ast;
use crate::typed::{AggregateFunction, Comparison};

/// The conditions of an aggregate, taken apart at their `and`s.
#[derive(Debug, Default)]
pub(super) struct Conditions<'e> {
    pub(super) parts: Vec<&'e ast::Expr>,
}

impl<'e> Conditions<'e> {
    pub(super) fn add(&mut self, condition: &'e ast::Expr) {
        match &condition.kind {
            ast::ExprKind::Binary { op: ast::BinaryOp::And, left, right, .. } => {
                self.add(left);
                self.add(right);
            }
            _ => self.parts.push(condition),
        }
    }

    /// Takes out what says nothing but which types: `type in [payment, transfer]`, `type == payment`.
    fn take_types(&mut self) -> Vec<Vec<&'e ast::Name>> {
        let mut said = Vec::new();
        self.parts.retain(|part| match types_said(part) {
            Some(types) => {
                said.push(types);
                false
            }
            None => true,
        });
        said
    }
}

fn types_said(expr: &ast::Expr) -> Option<Vec<&ast::Name>> {
    match &expr.kind {
        ast::ExprKind::In { negated: false, operand, range: ast::Range::Of(set) } => {
            let ast::ExprKind::Set(items) = &set.kind else { return None };
            (bare_name(operand)?.text == "type").then_some(())?;
            items.iter().map(bare_name).collect()
        }
        ast::ExprKind::Binary { op: ast::BinaryOp::Compare(Comparison::Equal), left, right, .. } => {
            (bare_name(left)?.text == "type").then_some(())?;
            Some(vec![bare_name(right)?])
        }
        _ => None,
    }
}

/// The name, if the expression is a name and nothing more.
pub(super) fn bare_name(expr: &ast::Expr) -> Option<&ast::Name> {
    match &expr.kind {
        ast::ExprKind::Path(ast::Path { this: None, names }) => match names.as_slice() {
            [name] => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// What the argument says of the events.
#[derive(Debug)]
pub(super) enum Named<'e> {
    /// One type.
    Type(EventTypeId),
    /// Every type that has these fields.
    Having(Vec<&'e ast::Name>),
    /// A name among them is unknown.
    Unknown,
}

impl Checker<'_> {
    /// The past events that an argument names. None, and a report, where it has a form in which it names none.
    pub(super) fn named_events<'e>(
        &mut self,
        function: AggregateFunction,
        call: &ast::Call,
        argument: &'e ast::Expr,
    ) -> Option<Named<'e>> {
        use AggregateFunction as F;
        if matches!(argument.kind, ast::ExprKind::Error) {
            return None;
        }
        if matches!(function, F::Count | F::Ratio | F::TimeSince) {
            return match bare_name(argument) {
                Some(name) if name.text == "any" => Some(Named::Having(Vec::new())),
                Some(name) => Some(self.event_type(name).map_or(Named::Unknown, Named::Type)),
                None => {
                    let message = format!("`{}` counts events, not values", call.name.text);
                    let help = "name an event type, such as `payment`, or `any`";
                    self.reports.error_with_help(Code::AggregateArgument, argument.span, message, help);
                    None
                }
            };
        }
        if is_plain(Some(function)) {
            self.plain_argument(call, argument)
        } else {
            self.qualified_argument(call, argument)
        }
    }

    /// `first_seen(device)`: bare names only.
    fn plain_argument<'e>(&mut self, call: &ast::Call, argument: &'e ast::Expr) -> Option<Named<'e>> {
        let mut fields = Vec::new();
        let mut qualified: Option<&ast::Path> = None;
        for_each_path(argument, &mut |path| match path.names.as_slice() {
            [name] => fields.push(name),
            _ => qualified = Some(path),
        });
        if let Some(field) = qualified.and_then(|it| it.names.last()) {
            let name = &call.name.text;
            let message =
                format!("`{name}` compares the current event with past ones, so its argument names no type");
            let help = format!("write `{name}({})`, and `where type == …` if need be", field.text);
            self.reports.error_with_help(Code::AggregateArgument, argument.span, message, help);
            return None;
        }
        Some(self.having(fields))
    }

    /// `sum(payment.amount)`: one type throughout.
    fn qualified_argument<'e>(&mut self, call: &ast::Call, argument: &'e ast::Expr) -> Option<Named<'e>> {
        let mut of: Option<&ast::Name> = None;
        let mut fields = Vec::new();
        let mut odd: Option<&'e ast::Path> = None;
        for_each_path(argument, &mut |path| match (path.names.as_slice(), path.this) {
            ([qualifier, field], None) if of.is_none_or(|it| it.text == qualifier.text) => {
                of = Some(qualifier);
                fields.push(field);
            }
            _ => odd = Some(path),
        });
        let Some(of) = of.filter(|_| odd.is_none()) else {
            let message = format!("`{}` looks at values of past events of one type", call.name.text);
            let field =
                odd.and_then(|it| it.names.last()).filter(|it| self.schema.event_type(&it.text).is_none());
            let field = field.map_or("amount", |it| it.text.as_str());
            let help = format!("say whose: `payment.{field}`, or `any.{field}`");
            self.reports.error_with_help(Code::AggregateArgument, argument.span, message, help);
            return None;
        };
        if of.text != "any" {
            return Some(self.event_type(of).map_or(Named::Unknown, Named::Type));
        }
        Some(self.having(fields))
    }

    /// A name that means nothing is reported where it is looked up.
    fn having<'e>(&self, mut fields: Vec<&'e ast::Name>) -> Named<'e> {
        if fields.iter().any(|it| self.means_nothing(&it.text)) {
            return Named::Unknown;
        }
        fields.retain(|it| self.schema.fields.iter().any(|field| field.name == it.text));
        Named::Having(fields)
    }

    /// The types of past events: those named, that have the roles and are not narrowed away by `type in …`. None where
    /// that cannot be told: because a name or a role has failed, or because there are none, which is reported.
    pub(super) fn past_types(
        &mut self,
        named: Option<&Named<'_>>,
        roles: Option<Vec<(&ast::Name, KindId)>>,
        conditions: &mut Conditions<'_>,
        span: Span,
    ) -> Vec<EventTypeId> {
        let fields = match named {
            Some(Named::Type(id)) => return vec![*id],
            Some(Named::Having(fields)) => fields,
            Some(Named::Unknown) | None => return Vec::new(),
        };
        let narrowed = self.narrowed(conditions);
        let schema = self.schema;
        let is_role = |name: &str| {
            schema.fields.iter().any(|it| it.name == name && matches!(it.ty, FieldType::Entity(_)))
        };
        let roles = roles.filter(|it| it.iter().all(|(name, _)| is_role(&name.text)));
        let (Some(roles), Some(narrowed)) = (roles, narrowed) else { return Vec::new() };
        let has_role = |it: EventTypeId, (role, kind): &(&ast::Name, KindId)| {
            schema.field_of(it, &role.text).is_some_and(|field| schema.role_kind(field.field) == Some(*kind))
        };
        let has = |it: EventTypeId, name: &str| schema.field_of(it, name).is_some();
        let types: Vec<EventTypeId> = self
            .all_types()
            .filter(|it| roles.iter().all(|role| has_role(*it, role)))
            .filter(|it| fields.iter().all(|name| has(*it, &name.text)))
            .filter(|it| narrowed.iter().all(|types| types.contains(it)))
            .collect();
        if types.is_empty() {
            self.reports.error_with_help(
                Code::EmptyDomain,
                span,
                "no event type has all that this looks at",
                "past events are matched on the role after `by`, or on another after `via`",
            );
        }
        types
    }

    /// The sets of types that conditions narrow to; none where one of those types is unknown.
    fn narrowed(&mut self, conditions: &mut Conditions<'_>) -> Option<Vec<Vec<EventTypeId>>> {
        let mut sound = true;
        let mut sets = Vec::new();
        for said in conditions.take_types() {
            let found: Vec<EventTypeId> = said.iter().filter_map(|it| self.event_type(it)).collect();
            sound &= found.len() == said.len();
            sets.push(found);
        }
        sound.then_some(sets)
    }
}
