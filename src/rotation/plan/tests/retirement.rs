//! When a previous token is ended, and how.

use super::*;
use crate::period::Period;
use crate::provider::RetireAction;
use crate::rotation::trust::Support;

fn retirement(action: RetireAction, from: Timestamp) -> Retirement {
    Retirement {
        token: minted("old", day(-80), None).id(),
        action,
        from,
        support: Support::EqualPrivileges,
        used_at: None,
    }
}

#[test]
fn a_previous_token_is_disabled_after_the_overlap_and_deleted_later() {
    let mut old = minted("old", day(-80), None);
    let held = [written(day(0))];
    let plan = |now, old: &Member| {
        decide_with(ACROSS_RUNS, now, false, &[minted("new", day(0), None), old.clone()], &held)
            .unwrap()
            .retire
    };
    assert_eq!(plan(day(6), &old), []);
    assert_eq!(plan(day(7), &old), [retirement(RetireAction::Disable, day(7))]);
    old.token.disabled = true;
    assert_eq!(plan(day(13), &old), []);
    assert_eq!(plan(day(14), &old), [retirement(RetireAction::Delete, day(14))]);
    // It was disabled late, because no run took place before.
    old.token.changed_at = Some(day(20));
    assert_eq!(plan(day(26), &old), []);
    assert_eq!(plan(day(27), &old), [retirement(RetireAction::Delete, day(27))]);
    // A user enabled it again.
    old.token.disabled = false;
    assert_eq!(plan(day(26), &old), []);
    assert_eq!(plan(day(27), &old), [retirement(RetireAction::Disable, day(27))]);
    old.token.changed_at = Some(day(-80));
    assert_eq!(plan(day(7), &old), [retirement(RetireAction::Disable, day(7))]);
}

#[test]
fn an_expired_predecessor_is_deleted_only_on_demand() {
    let members = [minted("new", day(10), Some(day(100))), minted("old", day(0), Some(day(17)))];
    let secrets = [written(day(10))];
    let lineage = lineage(members.to_vec());
    let retired = |delete_after: Option<Period>, secrets: &[Secret], now: Timestamp| {
        let mut rotation = rotation(1);
        rotation.policy.delete_after = delete_after;
        let at = PlanInput { rotation: &rotation, profile: NATIVE, now, force: false };
        Situation::new(at, &lineage, secrets)
            .retirements_now()
            .into_iter()
            .map(|one| (one.token, one.action))
            .collect::<Vec<_>>()
    };
    let three_days = Some(Period::from_days(3));
    assert_eq!(retired(None, &secrets, day(90)), []);
    assert_eq!(retired(three_days, &secrets, day(19)), []);
    assert_eq!(retired(three_days, &secrets, day(20)), [("old".to_owned(), RetireAction::Delete)]);
    // Its record still tells who holds it.
    assert_eq!(retired(three_days, &[written(day(0))], day(20)), []);
    assert_eq!(retired(three_days, &[written(day(5))], day(20)), []);
}

#[test]
fn a_previous_token_that_outlives_its_overlap_is_given_an_expiry() {
    let profile = Profile { expires: true, can_disable: false, can_set_expiry: true, ..ACROSS_RUNS };
    let to_set = |profile, old: &Member, secrets: &[Secret], now: Timestamp| {
        let mut rotation = rotation(secrets.len());
        rotation.policy.delete_after = Some(Period::from_days(3));
        let at = PlanInput { rotation: &rotation, profile, now, force: false };
        let lineage = lineage(vec![minted("new", day(0), Some(day(90))), old.clone()]);
        let all = Situation::new(at, &lineage, secrets).expiries_to_set();
        all.into_iter().map(|one| one.from).collect::<Vec<_>>()
    };
    let old = |end| minted("old", day(-80), end);
    let held = [written(day(0))];
    let at_once = |end| to_set(profile, &old(end), &held, minute(1));
    assert_eq!(at_once(None), [day(7)]);
    assert_eq!(at_once(Some(day(10))), [day(7)]);
    for earlier in [day(5), day(7), day(7) + TOLERANCE, day(-1)] {
        assert_eq!(at_once(Some(earlier)), [], "{earlier} is not extended, and not set again");
    }
    assert_eq!(to_set(profile, &old(None), &held, day(6)), [day(7)], "a later run does it, too");
    assert_eq!(to_set(profile, &old(None), &held, day(7)), [], "it is deleted now");
    assert_eq!(to_set(ACROSS_RUNS, &old(None), &held, day(1)), [], "not every provider can");
    for unknown in [written(day(-1)), not_read(), written(day(-80))] {
        let secrets = [written(day(0)), unknown];
        assert_eq!(to_set(profile, &old(None), &secrets, day(1)), [], "{secrets:?}");
    }
    assert_eq!(to_set(profile, &original(None), &held, day(1)), [], "it may be another token of that name");
}

#[test]
fn nothing_is_retired_while_a_destination_is_unknown() {
    let members = [minted("new", day(0), None), minted("old", day(-40), None)];
    for unknown in [written(day(-1)), not_read(), written(day(-40))] {
        let secrets = [written(day(0)), unknown];
        let plan = decide_with(ACROSS_RUNS, day(30), false, &members, &secrets).unwrap();
        assert_eq!(plan.retire, [], "{secrets:?}");
    }
}

#[test]
fn another_token_of_the_original_s_name_is_never_retired() {
    let members = [minted("new", day(0), None), original(None)];
    let held = [written(day(0))];
    let plan = decide_with(ACROSS_RUNS, day(30), false, &members, &held).unwrap();
    assert_eq!(plan.retire, [], "its name alone proves nothing");
    let mut members = members;
    let run = marker::new_run(Some("original"));
    let window = SignedDuration::from_mins(2);
    members[0].marker = Some(Marker::new(key(), day(0), window, run));
    let plan = decide_with(ACROSS_RUNS, day(30), false, &members, &held).unwrap();
    assert_eq!(plan.retire.len(), 1, "its successor's marker names it");
}

#[test]
fn the_last_use_counts_only_after_the_delivery() {
    let mut old = minted("old", day(-80), None);
    let used = |old: &Member| {
        let rotation = rotation(1);
        let at = PlanInput { rotation: &rotation, profile: ACROSS_RUNS, now: day(7), force: false };
        let lineage = lineage(vec![minted("new", day(0), None), old.clone()]);
        let retirements = Situation::new(at, &lineage, &[written(minute(1))]).retirements();
        retirements.iter().find_map(|one| one.used_at)
    };
    assert_eq!(used(&old), None);
    for not_after in [minute(0), minute(1)] {
        old.token.last_used_at = Some(not_after);
        assert_eq!(used(&old), None);
    }
    old.token.last_used_at = Some(minute(2));
    assert_eq!(used(&old), Some(minute(2)));
}
