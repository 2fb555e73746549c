//! What comes into force: the canonical rules with features that nobody has kept, and these with another threshold.

use stream::bundle::Bundle;

/// A window wider than any of a user, and what no window holds.
const NEW: &str = "
feature user_n_20d   = count(payment) by user over 20d
feature new_merchant = first_seen(merchant) by user
rule new_merchant_of_the_busy \"A busy user, at a merchant for the first time\"
  on payment
  when new_merchant and user_n_20d > 40
  then score +5
";
/// A threshold of the canonical rules, and what becomes of it.
const THRESHOLD: [&str; 2] = ["user_n_1m > 6", "user_n_1m > 7"];

/// The canonical rules and two features that need state of their own.
pub(super) fn with_new_features() -> Bundle {
    changed(|rules| match rules.find("\npolicy") {
        Some(policy) => rules.insert_str(policy, NEW),
        None => rules.push_str(NEW),
    })
}

/// The rule set with new features, with another threshold: no state is new.
pub(super) fn with_another_threshold() -> Bundle {
    let [old, new] = THRESHOLD;
    let mut bundle = with_new_features();
    for file in &mut bundle.sources {
        file.text = file.text.replace(old, new);
    }
    bundle
}

/// The canonical rules, whose file stands behind that of the schema, changed.
fn changed(change: impl FnOnce(&mut String)) -> Bundle {
    let mut bundle = canonical::bundle();
    if let Some(rules) = bundle.sources.last_mut() {
        change(&mut rules.text);
    }
    bundle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_pass_their_check_and_differ() {
        let [canonical, new, threshold] =
            [canonical::bundle(), with_new_features(), with_another_threshold()]
                .map(|it| it.check().unwrap().rules);
        assert_eq!(
            (canonical.features.len() + 2, canonical.rules.len() + 1),
            (new.features.len(), new.rules.len())
        );
        assert_eq!(new.features.len(), threshold.features.len());
        assert_ne!(new.hash, threshold.hash);
    }
}
