//! Keeping up what another rule set remembers: its features beside one's own, though no rule here reads them, so that
//! the other can come (back) into force at once.
//!
//! What is the same has the same definition hash and is there once.
//!
//! And the other way round: a rule set whose features are remembered no more, for what was recorded under it is still read.

use crate::renumber::Numbers;
use crate::typed::{Captured, Definition, Expr, ExprKind, FeatureId, RuleSet};
use crate::value::Value;

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

    /// Asks for no state but that of the features with these definition hashes: the others are missing, whatever the event.
    /// Nothing can be decided by it any more.
    pub fn remember_only(&mut self, remembered: impl Fn(&[u8; 16]) -> bool) {
        for it in &mut self.features {
            if it.aggregate().is_some() && !remembered(&it.hash) {
                let kind = ExprKind::Const(Value::Missing);
                it.definition = Definition::Expr(Expr { kind, ty: it.ty, optional: true });
                it.captured = Captured::No;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::typed::{Captured, RuleSet};
    use crate::widen::tests::checked;

    const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity user\nentity card owned\n\
         event login\n  user: user\n\
         event payment\n  user: user\n  card: card\n  amount: money\n";

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
    fn of_features_that_say_the_same_one_is_kept() {
        let twins = "feature n = count(payment) by user over 1h\nfeature m = count(payment) by user over 1h\n\
             feature s = max(payment.m) by card over 1d\n";
        check_kept(twins, twins);
        let kept = |own: &str, other: &str| {
            let mut own = checked(SCHEMA, own);
            own.keep_up(&checked(SCHEMA, other)).unwrap();
            own.features.iter().map(|it| (it.name.clone(), it.captured)).collect::<Vec<_>>()
        };
        let named = |(name, captured): (&str, Captured)| (name.to_owned(), captured);
        assert_eq!(
            kept(twins, twins),
            [("n", Captured::Own), ("m", Captured::No), ("s", Captured::No)].map(named)
        );
        assert_eq!(kept("", twins), [("n", Captured::ForOthers), ("s", Captured::No)].map(named));
    }

    #[test]
    fn what_is_not_remembered_has_no_definition_that_looks_back() {
        let text = "feature n = count(payment) by user over 1h\nfeature m = count(payment) by user over 2h\n\
                    feature often = m > 2\nfeature s = count(payment) by card over 1d where m > 2\n";
        let mut rules = checked(SCHEMA, text);
        let before = rules.clone();
        let n = rules.features[0].hash;
        rules.remember_only(|hash| *hash == n);
        let look_back = |of: &RuleSet| {
            let aggregates = of.features.iter().filter(|it| it.aggregate().is_some());
            aggregates.map(|it| it.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            (look_back(&before), look_back(&rules)),
            (vec!["n".into(), "m".into(), "s".into()], vec!["n".into()])
        );
        let named =
            |of: &RuleSet| of.features.iter().map(|it| (it.name.clone(), it.hash)).collect::<Vec<_>>();
        assert_eq!(
            (rules.hash, named(&rules)),
            (before.hash, named(&before)),
            "and all names are what they were"
        );
        assert!(rules.features.iter().all(|it| it.captured == Captured::No));
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
