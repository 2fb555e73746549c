//! From another rule set's numbers to those here: whatever it names by number is looked up by name. What is not found
//! gets a number that nothing has, which is missing in every event.

use crate::schema::{EnumId, EventTypeId, Field, FieldId, FieldType, KindId, Schema};
use crate::typed::{
    Aggregate, Captured, Definition, Expr, ExprKind, Feature, FeatureId, ListId, RuleSet, Type,
};

/// What another rule set's numbers are here.
pub(crate) struct Numbers {
    kinds: Vec<KindId>,
    enums: Vec<EnumId>,
    events: Vec<EventTypeId>,
    fields: Vec<FieldId>,
    lists: Vec<ListId>,
    /// Of the features so far: a feature reads only earlier ones.
    pub(crate) features: Vec<FeatureId>,
}

impl Numbers {
    pub(crate) fn new(theirs: &RuleSet, ours: &RuleSet) -> Self {
        let (from, to) = (&theirs.schema, &ours.schema);
        let kinds = found(&from.kinds, &to.kinds, |a, b| a.name == b.name, KindId);
        let enums = found(&from.enums, &to.enums, |a, b| a.name == b.name, EnumId);
        let events = found(&from.events, &to.events, |a, b| a.name == b.name, EventTypeId);
        let lists = found(&theirs.lists, &ours.lists, |a, b| a.name == b.name, ListId);
        let mut numbers = Self { kinds, enums, events, lists, fields: Vec::new(), features: Vec::new() };
        numbers.fields = numbers.fields_of(from, to);
        numbers
    }

    fn fields_of(&self, from: &Schema, to: &Schema) -> Vec<FieldId> {
        found(&from.fields, &to.fields, |theirs, ours| self.is_same_field(theirs, ours), FieldId)
    }

    /// Whether a field of the other rule set is this one here. How long a text may be is no part of what it means.
    pub(crate) fn is_same_field(&self, theirs: &Field, ours: &Field) -> bool {
        let same_type = match (self.field_type(theirs.ty), ours.ty) {
            (FieldType::Text { .. }, FieldType::Text { .. }) => true,
            (theirs, ours) => theirs == ours,
        };
        theirs.name == ours.name && same_type
    }

    pub(crate) fn field_type(&self, ty: FieldType) -> FieldType {
        match ty {
            FieldType::Enum(id) => FieldType::Enum(self.enum_type(id)),
            FieldType::Entity(kind) => FieldType::Entity(self.kind(kind)),
            other => other,
        }
    }

    pub(crate) fn kind(&self, id: KindId) -> KindId {
        at(&self.kinds, id.index(), KindId)
    }
    fn enum_type(&self, id: EnumId) -> EnumId {
        at(&self.enums, id.index(), EnumId)
    }
    fn event(&self, id: EventTypeId) -> EventTypeId {
        at(&self.events, id.index(), EventTypeId)
    }
    fn field(&self, id: FieldId) -> FieldId {
        at(&self.fields, id.index(), FieldId)
    }
    fn list(&self, id: ListId) -> ListId {
        at(&self.lists, id.index(), ListId)
    }
    fn feature_id(&self, id: FeatureId) -> FeatureId {
        at(&self.features, id.index(), FeatureId)
    }

    /// A feature of the other rule set, as one that is kept up here.
    pub(crate) fn feature(&self, it: &Feature) -> Feature {
        let definition = match &it.definition {
            Definition::Expr(expr) => Definition::Expr(self.expr(expr)),
            Definition::Aggregate(aggregate) => Definition::Aggregate(Box::new(self.aggregate(aggregate))),
        };
        let captured = if it.captured == Captured::No { Captured::No } else { Captured::ForOthers };
        let domain = it.domain.iter().map(|it| self.event(*it)).collect();
        Feature { ty: self.ty(it.ty), domain, definition, captured, own: false, ..it.clone() }
    }

    fn aggregate(&self, it: &Aggregate) -> Aggregate {
        let fields = |of: &[FieldId]| of.iter().map(|it| self.field(*it)).collect();
        Aggregate {
            of: it.of.iter().map(|it| self.event(*it)).collect(),
            argument: it.argument.as_ref().map(|it| self.expr(it)),
            by: fields(&it.by),
            via: fields(&it.via),
            condition: it.condition.as_ref().map(|it| self.expr(it)),
            numerator: it.numerator.as_ref().map(|it| self.expr(it)),
            ..it.clone()
        }
    }

    fn expr(&self, it: &Expr) -> Expr {
        let mut it = it.clone();
        self.renumber(&mut it);
        it
    }

    fn renumber(&self, it: &mut Expr) {
        it.ty = self.ty(it.ty);
        match &mut it.kind {
            ExprKind::EntityId(kind, _) => *kind = self.kind(*kind),
            ExprKind::Field(field) => *field = self.field(*field),
            ExprKind::Feature(feature) => *feature = self.feature_id(*feature),
            ExprKind::Listed(list, role) | ExprKind::TableValue(list, role) => {
                (*list, *role) = (self.list(*list), self.field(*role));
            }
            ExprKind::ListedValue(list, _) => *list = self.list(*list),
            _ => {}
        }
        it.for_each_child(&mut |child| self.renumber(child));
    }

    pub(crate) fn ty(&self, ty: Type) -> Type {
        match ty {
            Type::Entity(kind) => Type::Entity(self.kind(kind)),
            Type::Enum(id) => Type::Enum(self.enum_type(id)),
            other => other,
        }
    }
}

/// Where each of `from` stands in `to`.
fn found<T, I>(from: &[T], to: &[T], same: impl Fn(&T, &T) -> bool, id: fn(u16) -> I) -> Vec<I> {
    let place = |it| to.iter().position(|known| same(it, known)).and_then(|at| u16::try_from(at).ok());
    from.iter().map(|it| id(place(it).unwrap_or(u16::MAX))).collect()
}

fn at<I: Copy>(numbers: &[I], index: usize, id: fn(u16) -> I) -> I {
    numbers.get(index).copied().unwrap_or(id(u16::MAX))
}
