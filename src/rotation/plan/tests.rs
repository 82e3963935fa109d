//! Properties of the plan over arbitrary lineages, and one example per verdict.

mod retirement;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::Policy;
use crate::github::WriteError;
use crate::rotation::marker::{self, Marker};
use crate::rotation::samples::{
    NATIVE, day, epoch, github_error, input, key, lineage, minted, minute, missing, not_read, original,
    rotation, written,
};

const ACROSS_RUNS: Profile = Profile {
    has_native_overlap: false,
    expires: false,
    marks_the_name: false,
    can_disable: true,
    can_set_expiry: false,
    marker_max: None,
    has_effective_rights: false,
};

fn decide(now: Timestamp, members: &[Member], secrets: &[Secret]) -> Plan {
    decide_with(NATIVE, now, false, members, secrets).unwrap()
}

fn decide_with(
    profile: Profile,
    now: Timestamp,
    force: bool,
    members: &[Member],
    secrets: &[Secret],
) -> Result<Plan, RotationError> {
    let rotation = rotation(secrets.len());
    let lineage = lineage(members.to_vec());
    plan(&Situation::new(PlanInput { rotation: &rotation, profile, now, force }, &lineage, secrets))
}

fn mint(plan: &Plan) -> &MintPlan {
    match &plan.step {
        Step::Mint(mint) => mint,
        step => panic!("no mint: {step:?}"),
    }
}

/// The id of the token that a mint succeeds.
fn previous(plan: &Plan) -> String {
    mint(plan).previous.clone().unwrap()
}

#[test]
fn before_the_first_rotation_only_the_expiry_counts() {
    let members = [original(Some(day(60)))];
    let plan = decide(day(0), &members, &[written(day(-300))]);
    assert_eq!(plan.verdict, Verdict::Fresh);
    assert!(matches!(plan.step, Step::Nothing));
    let plan = decide(day(46), &members, &[written(day(-300))]);
    assert_eq!(plan.verdict, Verdict::Due);
    assert_eq!(previous(&plan), "original");
    assert!(!mint(&plan).previous_is_orphan);
}

#[test]
fn a_missing_secret_is_undelivered_even_before_the_first_rotation() {
    let plan = decide(day(0), &[original(Some(day(60)))], &[missing()]);
    assert_eq!(plan.verdict, Verdict::Undelivered);
    assert_eq!(plan.why, "acme/app-0:TOKEN does not exist");
}

#[test]
fn a_token_without_an_end_is_due_where_tokens_end() {
    assert_eq!(decide(day(0), &[original(None)], &[written(day(-1))]).verdict, Verdict::Due);
    let long = [original(Some(day(92)))];
    assert_eq!(decide(day(0), &long, &[written(day(-1))]).verdict, Verdict::Due);
    let rounded = [original(Some(day(90) + SignedDuration::from_hours(20)))];
    assert_eq!(decide(day(0), &rounded, &[written(day(-1))]).verdict, Verdict::Fresh);
    assert_eq!(decide(day(0), &[original(Some(day(91)))], &[written(day(-1))]).verdict, Verdict::Fresh);
}

#[test]
fn held_everywhere_is_fresh_and_elsewhere_undelivered() {
    let members = [minted("new", day(0), Some(day(90))), original(Some(day(7)))];
    assert_eq!(decide(day(1), &members, &[written(minute(1)), written(minute(2))]).verdict, Verdict::Fresh);
    let plan = decide(day(1), &members, &[written(minute(1)), written(day(-30))]);
    assert_eq!(plan.verdict, Verdict::Undelivered);
    assert!(!mint(&plan).previous_is_orphan, "one destination holds it");
    let by_hand = decide(day(1), &members, &[written(minute(1)), written(minute(60))]);
    assert_eq!(by_hand.verdict, Verdict::Undelivered, "something else wrote it");
}

#[test]
fn an_orphan_is_ended_by_the_mint_that_replaces_it() {
    let members = [minted("orphan", day(0), Some(day(90))), original(Some(day(7)))];
    let plan = decide(day(1), &members, &[written(day(-30))]);
    assert_eq!(plan.verdict, Verdict::Undelivered);
    assert_eq!(previous(&plan), "orphan");
    assert!(mint(&plan).previous_is_orphan);
    // A write after its window might be its own, late.
    let plan = decide(day(1), &members, &[written(minute(30))]);
    assert!(!mint(&plan).previous_is_orphan);
}

/// The list of destinations may have changed since: a renamed secret is a missing
/// one, and the old name still holds the token.
#[test]
fn what_may_have_been_taken_elsewhere_is_given_its_overlap() {
    let orphan = |members: &[Member], secrets: &[Secret]| {
        let plan = decide(day(20), members, secrets);
        let mint = mint(&plan);
        // The one that a native overlap ends, and those that are ended before.
        let own = mint.previous.clone().filter(|_| mint.previous_is_orphan);
        own.into_iter().chain(mint.orphans.clone()).collect::<Vec<_>>()
    };
    let first = [minted("new", day(0), Some(day(90))), original(Some(day(60)))];
    let (one, none) = (["new"], [""; 0]);
    assert_eq!(orphan(&first, &[written(day(-30))]), one, "there was nothing to take it from");
    assert_eq!(orphan(&first, &[missing()]), none);
    assert_eq!(orphan(&first, &[written(day(-30)), missing()]), none);
    let members =
        [minted("new", day(10), Some(day(90))), minted("old", day(0), Some(day(60))), original(None)];
    assert_eq!(orphan(&members, &[written(day(0))]), one, "it holds the one before");
    assert_eq!(orphan(&members, &[written(day(0)), written(day(-30))]), one);
    assert_eq!(orphan(&members, &[written(day(-30))]), none, "as if it had never been on the list");
    // All attempts of the newest run are orphans.
    let attempt = |attempt: u32| {
        let mut member = minted("new", minute(i64::from(attempt)), Some(day(90)));
        member.token.id = format!("attempt-{attempt}");
        member.marker.as_mut().unwrap().attempt = attempt;
        member
    };
    let attempts = [attempt(2), attempt(1), original(Some(day(60)))];
    assert_eq!(orphan(&attempts, &[written(day(-30))]), ["attempt-2", "attempt-1"]);
    // Two runs of late were killed.
    let members = [
        minted("newest", day(12), Some(day(90))),
        minted("new", day(10), Some(day(90))),
        minted("old", day(0), Some(day(60))),
    ];
    assert_eq!(orphan(&members, &[written(day(0))]), ["newest", "new"]);
    // Timestamps may lag, so one waits whose window closed less than an hour ago.
    let members = [minted("newest", day(20), Some(day(90))), minted("old", day(0), Some(day(60)))];
    let ended_at = |now| {
        let plan = decide(now, &members, &[written(day(0))]);
        mint(&plan).previous_is_orphan
    };
    assert!(!ended_at(day(20) + SignedDuration::from_mins(61)));
    assert!(ended_at(day(20) + SignedDuration::from_mins(62)));
}

#[test]
fn an_expired_orphan_gives_way_to_the_token_in_use() {
    let members = [minted("expired", day(0), Some(day(0))), original(Some(day(60)))];
    let plan = decide(day(1), &members, &[written(day(-30))]);
    assert_eq!((plan.verdict, plan.current), (Verdict::Fresh, Some(members[1].id())));
}

#[test]
fn while_a_window_is_open_nothing_is_minted_not_even_by_force() {
    let members = [minted("new", day(0), Some(day(90))), original(Some(day(7)))];
    for (now, verdict) in [(minute(4), Verdict::InFlight), (minute(5), Verdict::Undelivered)] {
        assert_eq!(decide(now, &members, &[written(day(-30))]).verdict, verdict);
    }
    let held = [written(minute(1))];
    assert_eq!(decide(minute(3), &members, &held).verdict, Verdict::Fresh);
    let forced = decide_with(NATIVE, minute(3), true, &members, &held).unwrap();
    assert_eq!(forced.verdict, Verdict::InFlight);
    assert!(matches!(forced.step, Step::Refuse(RotationError::InFlight { until, .. }) if until == minute(4)));
    assert_eq!(decide_with(NATIVE, minute(5), true, &members, &held).unwrap().verdict, Verdict::Forced);
}

#[test]
fn one_unreadable_destination_stops_the_mint_unless_the_token_would_expire() {
    let members = [original(Some(day(10)))];
    let secrets = [written(day(-30)), not_read()];
    let plan = decide(day(0), &members, &secrets);
    assert!(matches!(plan.step, Step::Refuse(RotationError::Unreadable { .. })));
    let plan = decide(day(3), &members, &secrets);
    assert_eq!(plan.verdict, Verdict::Due);
    assert_eq!(previous(&plan), "original");
}

#[test]
fn a_token_that_ended_long_ago_or_is_not_held_does_not_count_as_expiring() {
    let down = not_read;
    let is_served = |members: &[Member], secret: Secret| {
        matches!(decide(day(10), members, &[secret, down()]).step, Step::Mint(_))
    };
    let members = [
        minted("new", day(0), Some(day(90))),
        minted("old", day(-80), Some(day(7))),
        original(Some(day(-70))),
    ];
    let another_s = written(day(5));
    assert!(!is_served(&members, another_s.clone()), "what it may hold and is valid, stays valid");
    assert!(is_served(&members, written(day(-80))), "it holds what has ended");
    let ending =
        [minted("new", day(0), Some(day(90))), minted("old", day(-80), Some(day(12))), original(None)];
    assert!(is_served(&ending, another_s.clone()), "it may hold what ends soon");
    assert!(!is_served(&ending, missing()));
    assert!(is_served(&ending, written(day(-80))));
    let expired = [minted("new", day(-90), Some(day(0)))];
    assert!(is_served(&expired, another_s), "all that it may hold has ended");
    let mut disabled = minted("new", day(0), Some(day(90)));
    disabled.token.disabled = true;
    assert!(is_served(&[disabled], written(day(0))));
}

#[test]
fn an_unreadable_destination_fails_even_a_fresh_rotation() {
    let secrets = [written(day(-30)), not_read()];
    let plan = decide(day(0), &[original(Some(day(60)))], &secrets);
    assert_eq!(plan.verdict, Verdict::Fresh);
    assert!(matches!(plan.step, Step::Refuse(RotationError::DestinationNotRead { .. })));
}

#[test]
fn undelivered_alone_mints_three_times_a_day_unless_a_token_would_expire() {
    let hour = |hours: i64| minute(hours * 60);
    let members = |end| {
        let at = |hours, end| minted(&format!("{hours}"), hour(hours), Some(end));
        [at(3, day(90)), at(2, day(9)), at(1, day(9)), minted("held", day(-30), Some(end))]
    };
    let secrets = [written(hour(3)), written(day(-30))];
    let plan = decide(hour(4), &members(day(60)), &secrets);
    assert_eq!(plan.verdict, Verdict::Undelivered);
    let Step::Refuse(RotationError::HeldBack { live: 4, until, failing, overwritten }) = &plan.step else {
        panic!("{:?}", plan.step)
    };
    assert_eq!(*until, hour(25));
    assert_eq!((failing.as_slice(), overwritten.len()), (["acme/app-1:TOKEN".to_owned()].as_slice(), 0));
    mint(&decide(hour(25), &members(day(60)), &secrets));
    mint(&decide(hour(4), &members(hour(28)), &secrets));
    let held_back = decide(hour(4), &members(hour(28) + SignedDuration::from_secs(1)), &secrets);
    assert!(matches!(held_back.step, Step::Refuse(RotationError::HeldBack { .. })));
    mint(&decide_with(NATIVE, hour(4), true, &members(day(60)), &secrets).unwrap());
    // Written since by something else.
    let plan = decide(hour(9), &members(day(60)), &[written(hour(3)), written(hour(5))]);
    let Step::Refuse(RotationError::HeldBack { failing, overwritten, .. }) = &plan.step else {
        panic!("{:?}", plan.step)
    };
    assert_eq!((failing.len(), overwritten.as_slice()), (0, ["acme/app-1:TOKEN".to_owned()].as_slice()));
}

#[test]
fn live_tokens_with_different_privileges_stop_the_rotation_held_or_not() {
    let other = || json!({"orgCapabilities": {"apiTokens": ["create"]}});
    let mut forged = minted("forged", day(0), Some(day(90)));
    forged.token.privileges = other();
    let original = original(Some(day(7)));
    for secrets in [[written(day(-30))], [written(minute(1))]] {
        for members in [vec![forged.clone(), original.clone()], vec![original.clone(), forged.clone()]] {
            let plan = decide_with(NATIVE, day(1), true, &members, &secrets);
            assert!(matches!(plan, Err(RotationError::DifferentPrivileges { .. })), "{plan:?}");
        }
    }
    let mut disabled = forged.clone();
    disabled.token.disabled = true;
    for ended in [disabled, minted("expired", day(0), Some(day(1)))] {
        let plan = decide_with(NATIVE, day(1), false, &[original.clone(), ended], &[written(day(-30))]);
        assert_eq!(plan.unwrap().verdict, Verdict::Due, "what is not live is not compared");
    }
}

#[test]
fn an_ended_token_that_is_held_is_compared_with_a_live_one() {
    let mut older = minted("older", day(-10), Some(day(300)));
    older.token.privileges = json!({"orgCapabilities": {"apiTokens": ["create"]}});
    let members = [minted("ended", day(0), Some(day(90))), older];
    let decide = |members: &[Member], at| decide_with(NATIVE, day(100), false, members, &[written(at)]);
    let plan = decide(&members, day(0));
    assert!(matches!(plan, Err(RotationError::DifferentPrivileges { .. })), "{plan:?}");
    // The original has ended, and what is valid only claims to have replaced it.
    let mut forged = minted("forged", day(0), Some(day(300)));
    forged.token.privileges = json!({"orgCapabilities": {"apiTokens": ["create"]}});
    let plan = decide(&[forged, original(Some(day(60)))], day(0));
    assert!(matches!(plan, Err(RotationError::DifferentPrivileges { .. })), "{plan:?}");
    // A newer one that has ended is no reason to doubt the original.
    let mut forged = minted("forged", day(0), Some(day(1)));
    forged.token.privileges = json!({"orgCapabilities": {"apiTokens": ["create"]}});
    let members = [forged, original(Some(day(150)))];
    let plan = decide(&members, day(0));
    assert!(
        matches!(plan, Err(RotationError::DifferentPrivileges { .. })),
        "known by its name alone: {plan:?}"
    );
    let rotation = Rotation { token: "original".into(), ..rotation(1) };
    let input = PlanInput { rotation: &rotation, profile: NATIVE, now: day(100), force: false };
    let lineage = lineage(members.to_vec());
    let plan = super::plan(&Situation::new(input, &lineage, &[written(day(0))])).unwrap();
    assert_eq!((plan.verdict, previous(&plan)), (Verdict::Due, "original".to_owned()));
}

#[test]
fn another_token_of_the_original_s_name_is_no_predecessor() {
    let members = [minted("ended", day(0), Some(day(90))), original(Some(day(300)))];
    let plan = decide(day(100), &members, &[written(day(0))]);
    assert_eq!(plan.verdict, Verdict::Due);
    assert_eq!(previous(&plan), "ended", "it is ours");
    let older = [members[0].clone(), minted("older", day(-10), Some(day(300)))];
    assert_eq!(previous(&decide(day(100), &older, &[written(day(0))])), "older", "it is valid");
    let plan = decide(day(85), &members[1..], &[written(day(0))]);
    assert_eq!(plan.verdict, Verdict::Due, "before the first rotation, the name is all there is");
    assert_eq!(previous(&plan), "original");
}

#[test]
fn a_predecessor_outlives_the_delivery_by_either_clock() {
    let rotation =
        Rotation { policy: Policy { overlap: "0h".parse().unwrap(), ..Policy::default() }, ..rotation(1) };
    let at = PlanInput { rotation: &rotation, profile: NATIVE, now: minute(0), force: false };
    let old = original(Some(day(10)));
    let mint = MintPlan {
        keeps_previous: false,
        previous: Some(old.id()),
        previous_is_orphan: false,
        orphans: Vec::new(),
        window: delivery_window(1),
    };
    let ends_at = |ahead| at.previous_ends_at(minute(0), SignedDuration::from_mins(ahead), &mint, &old);
    assert_eq!(ends_at(0), Some(minute(2)));
    assert_eq!(ends_at(4), Some(minute(2 + 4)));
}

#[test]
fn a_predecessor_keeps_its_end_where_the_delivery_is_not_sure() {
    let rotation = rotation(1);
    let at = PlanInput { rotation: &rotation, profile: NATIVE, now: day(0), force: false };
    let ends_at = |end: Option<Timestamp>, keeps_previous, previous_is_orphan| {
        let mint = MintPlan {
            keeps_previous,
            previous: None,
            previous_is_orphan,
            orphans: Vec::new(),
            window: delivery_window(1),
        };
        at.previous_ends_at(day(0), SignedDuration::ZERO, &mint, &original(end)).unwrap()
    };
    assert_eq!(ends_at(Some(day(12)), false, false), day(7));
    assert_eq!(ends_at(Some(day(12)), true, false), day(12), "its own end");
    assert_eq!(ends_at(Some(day(3)), true, false), day(3));
    assert_eq!(ends_at(None, true, false), day(7), "without one, the overlap");
    assert_eq!(ends_at(Some(day(12)), true, true), day(0), "no destination holds an orphan");
}

#[test]
fn the_next_rotation_follows_from_the_expiry_or_the_age() {
    let token = minted("new", day(0), Some(day(90)));
    let rotation = rotation(1);
    let next = |profile, member: &Member| {
        PlanInput { rotation: &rotation, profile, now: day(0), force: false }.next_rotation_at(member)
    };
    assert_eq!(next(NATIVE, &token), Some(day(76)));
    assert_eq!(next(ACROSS_RUNS, &token), Some(day(76)));
    assert_eq!(next(ACROSS_RUNS, &minted("new", day(5), None)), Some(day(81)));
    assert_eq!(next(NATIVE, &original(None)), None);
    assert_eq!(next(ACROSS_RUNS, &original(None)), None);
}

#[test]
fn while_a_secret_lacks_the_new_token_the_next_run_mints() {
    let rotation = rotation(2);
    let mut lineage = lineage(vec![minted("old", day(-80), Some(day(7)))]);
    lineage.add_minted(minted("new", day(0), Some(day(90))));
    let delivered = || Secret { write: Some(Ok(minute(1))), ..written(day(-80)) };
    let next = |second: Secret| {
        let secrets = [delivered(), second];
        let situation = Situation::new(input(&rotation, minute(2)), &lineage, &secrets);
        next_rotation_at(&situation, lineage.minted())
    };
    assert_eq!(next(delivered()), Some(day(76)));
    let refused = WriteError { refused: true, error: github_error("422") };
    let refused = Secret { write: Some(Err(refused)), ..written(day(-80)) };
    for lacking in [not_read(), missing(), refused] {
        assert_eq!(next(lacking.clone()), None, "{lacking:?}");
    }
}

prop_compose! {
    fn member(index: usize)(
        minted_at in -200_000_i64..0,
        window in 0_i64..10,
        life in prop::option::of(-1000_i64..200_000),
        disabled in prop::bool::weighted(0.1),
        shared in prop::bool::weighted(0.2),
    ) -> Member {
        let mut member = minted(&format!("t{index}"), minute(minted_at), life.map(|life| minute(minted_at + life)));
        member.token.disabled = disabled;
        if let Some(marker) = &mut member.marker {
            marker.until = minute(minted_at + window);
            if shared {
                (marker.run, marker.attempt) = ("shared000000".into(), u32::try_from(index).unwrap());
            }
        }
        member
    }
}

fn secret() -> impl Strategy<Value = Secret> {
    prop_oneof![
        6 => (-250_000_i64..10).prop_map(|at| written(minute(at))),
        1 => Just(missing()),
        1 => Just(not_read()),
    ]
}

prop_compose! {
    /// Anything that might be observed: tokens of any age in any state, some with
    /// overlapping windows; secrets written at any time, often inside a window.
    fn scene()(
        members in prop::collection::vec(any::<prop::sample::Index>(), 0..5)
            .prop_flat_map(|all| (0..all.len()).map(member).collect::<Vec<_>>()),
        with_original in any::<bool>(),
        original_ends in prop::option::of(-10_000_i64..200_000),
        secrets in prop::collection::vec((secret(), prop::option::of((any::<prop::sample::Index>(), 0_i64..3))), 1..4),
        native in any::<bool>(),
        force in prop::bool::weighted(0.2),
    ) -> (Profile, bool, Vec<Member>, Vec<Secret>) {
        let mut members = members;
        members.sort_by_key(|member| std::cmp::Reverse(member.marker.as_ref().map(|m| (m.minted_at, m.attempt))));
        let secrets = secrets.into_iter().map(|(any, inside)| match inside {
            Some((index, minutes)) if !members.is_empty() => {
                let marker = members[index.index(members.len())].marker.as_ref().unwrap();
                written(marker.minted_at + SignedDuration::from_mins(minutes))
            }
            _ => any,
        }).collect();
        if with_original {
            members.push(original(original_ends.map(minute)));
        }
        (if native { NATIVE } else { ACROSS_RUNS }, force, members, secrets)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mints_only_when_it_may((profile, force, members, secrets) in scene()) {
        let plan = decide_with(profile, epoch(), force, &members, &secrets).unwrap();
        if let Step::Mint(mint) = &plan.step {
            prop_assert!(!matches!(plan.verdict, Verdict::Fresh | Verdict::InFlight));
            prop_assert!(members.iter().all(|member| !member.window_is_open(epoch())), "a window is open");
            let lineage = lineage(members.clone());
            for orphan in &mint.orphans {
                let orphan = lineage.get(orphan).unwrap();
                prop_assert!(secrets.iter().all(|secret| !lineage.holder(secret).may_be(orphan)));
            }
        }
        if plan.verdict == Verdict::InFlight {
            let refused = matches!(plan.step, Step::Refuse(RotationError::InFlight { .. }));
            prop_assert!(refused);
        }
    }

    #[test]
    fn never_extends_a_life_and_never_cuts_it_inside_the_delivery(
        (_, force, members, secrets) in scene()
    ) {
        let plan = decide_with(NATIVE, epoch(), force, &members, &secrets).unwrap();
        let Step::Mint(mint) = plan.step else { return Ok(()) };
        let lineage = lineage(members);
        let Some(old) = mint.previous.as_ref().and_then(|id| lineage.get(id)) else { return Ok(()) };
        let rotation = rotation(secrets.len());
        let at = PlanInput { rotation: &rotation, profile: NATIVE, now: epoch(), force };
        let end = at.previous_ends_at(epoch(), SignedDuration::ZERO, &mint, old).unwrap();
        prop_assert!(old.token.expires_at.is_none_or(|expiry| end <= expiry), "extended");
        if !mint.previous_is_orphan {
            let window = epoch() + mint.window;
            prop_assert!(end >= old.token.expires_at.map_or(window, |expiry| expiry.min(window)), "cut short");
        }
    }

    #[test]
    fn never_ends_what_a_destination_may_hold((profile, force, members, secrets) in scene()) {
        let plan = decide_with(profile, epoch(), force, &members, &secrets).unwrap();
        let lineage = lineage(members);
        for one in plan.retire {
            prop_assert_ne!(Some(&one.token), plan.current.as_ref());
            let member = lineage.get(&one.token).unwrap();
            for secret in &secrets {
                let holder = lineage.holder(secret);
                prop_assert!(!holder.may_be(member) && !holder.is(member), "{:?}", secret);
            }
        }
    }

    #[test]
    fn what_is_due_stays_due((profile, _, members, secrets) in scene(), later in 0_i64..100_000) {
        let rotation = rotation(secrets.len());
        let at = |now| PlanInput { rotation: &rotation, profile, now, force: false };
        for member in &members {
            let is_long = member.token.expires_at.is_none_or(|end| end > day(90));
            if at(epoch()).due(member).is_some() && (!is_long || !profile.expires) {
                prop_assert!(at(minute(later)).due(member).is_some());
            }
        }
    }

    #[test]
    fn what_can_be_retired_can_be_retired_later((profile, force, members, secrets) in scene(), later in 0_i64..100_000) {
        let now = decide_with(profile, epoch(), force, &members, &secrets).unwrap();
        let then = decide_with(profile, minute(later), force, &members, &secrets).unwrap();
        for one in now.retire {
            let index = members.iter().position(|member| member.id() == one.token).unwrap();
            let ended = |at| !members[index].is_live(at);
            let successor_ended = members[..index].iter().any(|newer| !newer.is_live(minute(later)));
            prop_assert!(then.retire.contains(&one) || ended(minute(later)) || successor_ended);
        }
    }
}
