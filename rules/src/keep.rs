//! Keeping up what another rule set remembers: its features beside one's own, though no rule here reads them, so that
//! the other can come (back) into force at once.
//!
//! What is the same has the same definition hash and is there once. Everything that the other names by number is
//! looked up here by name; what is not found here gets a number that nothing has, which is missing in every event.

use crate::schema::{EnumId, EventTypeId, Field, FieldId, FieldType, KindId, Schema};
use crate::typed::{
    Aggregate, Captured, Definition, Expr, ExprKind, Feature, FeatureId, ListId, RuleSet, Type,
};

/// More features than can be numbered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "together with the features that are kept up for other rule sets there are more than can be numbered"
)]
pub struct TooManyFeatures;

impl RuleSet {
    /// Takes up the features of another rule set that this one does not have, and before what they speak of
    /// ([`RuleSet::widen`]). They come behind its own and are not among the named ones.
    ///
    /// # Errors
    /// If there are more features then than can be numbered.
    pub fn keep_up(&mut self, other: &Self) -> Result<(), TooManyFeatures> {
        self.widen(other);
        let mut numbers = Numbers::new(other, self);
        for theirs in &other.features {
            let known = self.features.iter_mut().position(|it| it.hash == theirs.hash);
            let at = known.unwrap_or(self.features.len());
            numbers.features.push(FeatureId(u16::try_from(at).map_err(|_| TooManyFeatures)?));
            match self.features.get_mut(at) {
                Some(own) => {
                    if theirs.captured != Captured::No && own.captured == Captured::No {
                        own.captured = Captured::ForOthers;
                    }
                }
                None => self.features.push(numbers.feature(theirs)),
            }
        }
        Ok(())
    }
}

/// What another rule set's numbers are here.
pub(crate) struct Numbers {
    kinds: Vec<KindId>,
    enums: Vec<EnumId>,
    events: Vec<EventTypeId>,
    fields: Vec<FieldId>,
    lists: Vec<ListId>,
    /// Of the features so far: a feature reads only earlier ones.
    features: Vec<FeatureId>,
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

    fn feature(&self, it: &Feature) -> Feature {
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

#[cfg(test)]
pub(crate) mod tests {
    use crate::testing::rule_set;
    use crate::typed::{Captured, RuleSet};

    const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity user\nentity card owned\n\
         event login\n  user: user\n\
         event payment\n  user: user\n  card: card\n  amount: money\n";

    pub(crate) fn checked(schema: &str, rules: &str) -> RuleSet {
        let rules = format!("use schema s\n{rules}");
        rule_set(schema, &rules)
    }

    /// Whoever takes up a rule set's features has them as if they had been declared here, behind its own.
    fn check_kept(own: &str, kept: &str) {
        let mut together = checked(SCHEMA, own);
        let (before, other) = (together.clone(), checked(SCHEMA, kept));
        together.keep_up(&other).unwrap();
        assert_eq!(together.hash, before.hash, "it is the same rule set");
        assert_eq!(together.feature_order, before.feature_order, "and shows the same features");
        // Declared in one file under names of their own, they have the same hashes and the same definitions.
        let declared = checked(
            SCHEMA,
            &format!(
                "{own}{}",
                kept.replace("feature ", "feature kept_").replace("where n ", "where kept_n ")
            ),
        );
        let hashes = |of: &RuleSet| of.features.iter().map(|it| it.hash).collect::<Vec<_>>();
        let expected: Vec<_> = declared.features.iter().map(|it| (it.hash, &it.definition)).collect();
        for feature in &together.features {
            let same = expected.iter().find(|(hash, _)| *hash == feature.hash);
            assert!(same.is_some(), "`{}` is not what it was", feature.name);
        }
        let mut unique = hashes(&together);
        unique.sort_unstable();
        unique.dedup();
        assert!(hashes(&declared).iter().all(|hash| unique.contains(hash)), "one is missing");
        assert!(unique.len() <= before.features.len() + other.features.len());
        for (at, feature) in together.features.iter().enumerate() {
            assert_eq!(feature.own, at < before.features.len(), "`{}`", feature.name);
        }
    }

    #[test]
    fn features_of_another_rule_set_are_taken_up_once() {
        let small = "feature n = count(payment) by user over 1h\n";
        let large = "feature n = count(payment) by user over 1h\n\
                     feature s = sum(payment.amount) by card over 1d where n > 2\n";
        check_kept(small, small);
        check_kept(small, large);
        check_kept(large, small);
        check_kept("feature n = count(login) by user over 1h\n", large);
        check_kept("", large);
    }

    #[test]
    fn what_only_the_other_captures_is_captured_for_it() {
        let mut own = checked(SCHEMA, "feature n = count(payment) by user over 1h\n");
        let other = checked(
            SCHEMA,
            "feature n = count(payment) by user over 1h\nfeature s = sum(payment.amount) by card over 1d where n > 2\n",
        );
        own.keep_up(&other).unwrap();
        let captured: Vec<_> = own.features.iter().map(|it| (it.name.as_str(), it.captured)).collect();
        assert_eq!(captured, [("n", Captured::ForOthers), ("s", Captured::No)]);
    }

    #[test]
    fn numbers_of_a_schema_that_has_grown_are_those_of_the_names() {
        let grown =
            SCHEMA.replace("event login\n  user: user\n", "event login\n  user: user\n  place: place?\n");
        let rules = "feature n = count(payment) by card over 1h where amount > 10 EUR\n";
        let (mut new, old) = (checked(&grown, ""), checked(SCHEMA, rules));
        new.keep_up(&old).unwrap();
        let same = checked(&grown, rules);
        assert_eq!(new.features[0].definition, same.features[0].definition);
    }
}
