//! Every kind of record comes back from its bytes.

use engine::entity::EntityKey;
use engine::event::{Amendment, Change};
use engine::lists::Membership;
use rules::past::{Challenge, Label, OperationResult, Outcome};
use rules::schema::KindId;
use rules::typed::ListId;

use super::*;
use crate::gate::Place;

fn entity(kind: u16) -> EntityKey {
    EntityKey::new(KindId(kind), u128::from(kind) << 100 | 77)
}

fn place(entities: &[EntityKey]) -> Place {
    Place { at: -5, position: 1 << 40, entities: entities.iter().copied().collect() }
}

/// A body's stamp and message come back; every shorter stamp is refused.
#[track_caller]
fn check<T: Message + Default + PartialEq + std::fmt::Debug>(message: &T) {
    let (stamp, mut body) = (Stamp { clock: -9, rule_set: 3 }, vec![1, 2, 3]);
    stamp.write(message, &mut body);
    let (read, bytes) = Stamp::split(&body).unwrap();
    assert_eq!(read, stamp);
    assert_eq!(&T::decode(bytes).unwrap(), message);
    for length in 0..Stamp::BYTES {
        assert_eq!(Stamp::split(&body[..length]), None);
    }
}

#[test]
fn an_amendment_comes_back_with_its_place() {
    let places = [place(&[]), place(&[entity(0)]), place(&[entity(0), entity(2), entity(7)])];
    let changes = [
        Change::Label(Label::Fraud, Some("card_stolen".to_owned())),
        Change::Label(Label::Legitimate, None),
        Change::Challenge(Challenge::Expired),
        Change::Result(OperationResult::Reversed),
        Change::Outcome(Outcome::Block),
    ];
    let mut amend = Amend::default();
    for (place, change) in places.iter().flat_map(|place| changes.iter().map(move |it| (place, it))) {
        let (id, event_id, change) = ("a-1".to_owned(), "p-1".to_owned(), change.clone());
        let amendment = Amendment { id, event_id, time: 8, time_given: true, change };
        amend.set(&amendment, &[7; 16], place);
        check(&amend);
        assert_eq!(amend.place().as_ref(), Some(place));
        assert_eq!(amend.amendment(), Some(amendment));
        assert_eq!(amend.cause(), Cause::Said);
    }
    amend.set_fallback("p-2", 9, Outcome::Challenge, &places[1]);
    check(&amend);
    assert_eq!((amend.cause(), amend.change()), (Cause::Deadline, Some(Change::Outcome(Outcome::Challenge))));
    let damaged = [
        Amend { column: 9, ..amend.clone() },
        Amend { value: 9, ..amend.clone() },
        Amend { hashes: vec![1; 15], ..amend.clone() },
        Amend { hashes: vec![1; 32], ..amend.clone() },
        Amend { kinds: vec![1 << 16], ..amend },
    ];
    for it in damaged {
        assert!(it.change().is_none() || it.place().is_none(), "{it:?}");
    }
}

#[test]
fn changes_of_lists_come_back() {
    let membership = Membership { list: ListId(4), until: Some(5), value: Some(-6) };
    let entered = ListRecord::entered("watched", entity(3), &membership);
    check(&entered);
    assert_eq!(entered.entity(), Some(entity(3)));
    assert_eq!(entered.membership(ListId(4)), membership);
    assert!(!entered.removed);
    let left = ListRecord::left("watched", entity(3));
    check(&left);
    assert!(left.removed);
    check(&ListRecord::of_value("risky", "5732", true));
    assert_eq!(ListRecord { hash: vec![1; 15], ..left }.entity(), None);
}

#[test]
fn what_comes_into_force_comes_back() {
    use crate::bundle::{Bundle, File};
    let file = File { name: "s.weir".to_owned(), text: "schema s 1".to_owned() };
    let bundle = Bundle { sources: vec![file.clone()], rates: Some(file.clone()), ..Bundle::default() };
    let record = RuleSetRecord::new(&bundle, &[3; 32]);
    assert!(!record.time_zones.is_empty());
    check(&record);
    check(&RatesRecord { rates: file });
    check(&WarmRecord { definition: vec![1; 16], since: 4 });
}

/// Places are no part of what live and replay must agree in: they stand last, behind all that is.
#[test]
fn the_place_of_an_original_stands_behind_everything_else() {
    let decided = Decided { id: "r-1".to_owned(), rule_set: vec![9; 32], ..Decided::default() };
    let placed = Decided { original: Some(Original { at: 1, position: 2 }), ..decided.clone() };
    assert!(placed.encode_to_vec().starts_with(&decided.encode_to_vec()));
    check(&placed);
}
