//! Who is in a rule's rollout: a share of all ids, the same on every node and for ever.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

/// Where an id lies for a rule, in millionths from 0 to 999 999: a hash of the rule's name and the id's text under no
/// key, so that every node agrees. A rule that is rolled out to a share of `s` millionths has those below `s`.
pub fn place_e6(rule: &str, id: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(rule.as_bytes());
    hasher.write_u8(0);
    hasher.write(id.as_bytes());
    hasher.finish() % 1_000_000
}
