//! Where a token is given new values under the same id.

use super::*;

const IN_PLACE: Profile = Profile {
    overlap: Overlap::InPlace,
    expiry: Expiry::ByAge,
    marker_in: MarkerIn::Name,
    can_disable: false,
};

fn decide_in_place(now: Timestamp, members: &[Member], readings: &[Reading]) -> Plan {
    decide_with(IN_PLACE, now, false, members, readings).unwrap()
}

#[test]
fn a_value_is_replaced_in_place_unless_an_earlier_one_may_live() {
    let never = [original(None)];
    assert!(!mint(&decide_in_place(day(0), &never, &[written(day(-30))])).by_creation);
    let long_ago = [minted("same", day(0), None)];
    assert!(!mint(&decide_in_place(day(80), &long_ago, &[written(minute(1))])).by_creation);
    let within = decide_in_place(day(7), &long_ago, &[written(minute(1)), written(day(-30))]);
    assert_eq!(within.verdict, Verdict::Undelivered);
    assert!(mint(&within).by_creation);
    let after = decide_in_place(day(7) + TOLERANCE * 2, &long_ago, &[written(minute(1)), written(day(-30))]);
    assert!(!mint(&after).by_creation);
}

#[test]
fn an_earlier_value_outlives_the_window_by_either_clock() {
    let policy = Policy { overlap: "0h".parse().unwrap(), ..Policy::default() };
    let rotation = Rotation { policy, ..rotation(1) };
    let lineage = Lineage { members: vec![minted("same", day(0), None)] };
    let by_creation = |now| {
        let at = Circumstances { rotation: &rotation, profile: IN_PLACE, now, force: true };
        mint(&plan(&at, &lineage, &[written(minute(1))]).unwrap()).by_creation
    };
    // A window of 2, 5 between the clocks, 2 of tolerance.
    assert!(by_creation(minute(9)));
    assert!(!by_creation(minute(10)));
}

#[test]
fn a_token_with_earlier_values_is_no_orphan() {
    let members = [minted("same", day(0), None)];
    let plan = decide_in_place(day(1), &members, &[written(day(-30))]);
    assert_eq!((mint(&plan).predecessor, mint(&plan).predecessor_is_orphan), (Some(0), false));
    assert_eq!(mint(&plan).orphans, Vec::<usize>::new());
}

#[test]
fn a_token_is_not_retired_for_its_own_new_value() {
    let members = [minted("same", day(0), None), minted("same", day(-80), Some(day(90)))];
    assert_eq!(decide_in_place(day(30), &members, &[written(minute(1))]).retire, []);
    let other = [minted("other", day(0), None), minted("same", day(-80), None)];
    assert_eq!(decide_in_place(day(30), &other, &[written(minute(1))]).retire.len(), 1);
}

#[test]
fn a_token_whose_earlier_value_may_be_held_is_not_retired() {
    let members = [minted("new", day(1), None), minted("old", day(0), None)];
    let readings = [written(day(1)), written(day(-30))];
    assert_eq!(decide_in_place(day(30), &members, &readings).retire, []);
    let elsewhere = decide_with(ACROSS_RUNS, day(30), false, &members, &readings).unwrap();
    assert_eq!(elsewhere.retire.len(), 1, "a token that is new cannot be older than itself");
}

#[test]
fn an_earlier_value_that_would_die_is_replaced_although_another_place_is_unreadable() {
    let members = [minted("same", day(0), None)];
    let dead = Reading::Unreadable("404".into());
    let plan = decide_in_place(day(1), &members, &[written(day(-30)), dead.clone()]);
    assert!(matches!(plan.step, Step::Mint(_)), "{}", plan.why);
    let held = decide_in_place(day(1), &members, &[written(minute(1)), dead]);
    assert!(matches!(held.step, Step::Refuse(_)));
}
