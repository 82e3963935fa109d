use jiff::Unit;

use super::super::samples::{
    day, github_error, key_of, lineage, minted, minute, missing, not_read, original, rotation, token, written,
};
use super::*;

/// A token of the provider's list that carries this member's marker.
fn listed(member: &Member) -> Token {
    let note = member.marker.as_ref().map(|marker| marker::annotate("by Ann", marker));
    Token { note: note.unwrap_or_default(), ..member.token.clone() }
}

/// The ids of a rotation's tokens among these, newest first.
fn traced(rotation: &Rotation, tokens: &[Token]) -> Vec<String> {
    let lineage = Lineage::trace(rotation, tokens, &MarkerKeys::default(), day(50)).unwrap();
    lineage.members.into_iter().map(|member| member.token.id).collect()
}

/// What a secret holds: a token's id, or a word.
fn held<'a>(lineage: &'a Lineage, secret: &Secret) -> &'a str {
    match lineage.holder(secret) {
        Holder::Token(member, _) => &member.token.id,
        Holder::Unknown(_) => "unknown",
        Holder::Missing => "missing",
        Holder::NotRead => "not read",
    }
}

fn of_another_rotation(id: &str) -> Member {
    let mut member = minted(id, day(2), None);
    member.marker.as_mut().unwrap().key = key_of("elsewhere");
    member
}

#[test]
fn a_rotation_s_tokens_are_the_marked_ones_newest_first_and_the_original_last() {
    let tokens = [
        listed(&minted("first", day(1), None)),
        Token { name: "other".into(), ..token("other", None) },
        listed(&of_another_rotation("theirs")),
        listed(&original(None)),
        listed(&minted("second", day(9), None)),
    ];
    assert_eq!(traced(&rotation(1), &tokens), ["second", "first", "original"]);
    // A key that it had before counts like its own.
    let renamed = Rotation { formerly: vec![of_another_rotation("x").marker.unwrap().key], ..rotation(1) };
    assert_eq!(traced(&renamed, &tokens), ["second", "theirs", "first", "original"]);
}

#[test]
fn the_original_is_the_one_without_a_marker() {
    let of = |members: &[Member]| lineage(members.to_vec());
    let before = of(&[original(None)]);
    let after = of(&[minted("new", day(0), None), original(None)]);
    assert_eq!(before.original().unwrap().id, "original");
    assert_eq!(after.original().unwrap().id, "original");
    assert!(of(&[minted("new", day(0), None)]).original().is_none());
}

#[test]
fn a_token_from_the_future_or_with_an_endless_window_is_not_trusted() {
    let trace =
        |member: &Member| Lineage::trace(&rotation(1), &[listed(member)], &MarkerKeys::default(), day(0));
    assert!(trace(&minted("late", minute(2), None)).is_ok(), "clocks differ by so much");
    assert!(matches!(trace(&minted("forged", minute(3), None)), Err(RotationError::FutureMarker { .. })));
    let mut member = minted("wide", day(-1), None);
    let marker = member.marker.as_mut().unwrap();
    marker.until = after(marker.minted_at, crate::limits::LONGEST_WINDOW);
    assert!(trace(&member).is_ok());
    let marker = member.marker.as_mut().unwrap();
    marker.until = after(marker.until, SignedDuration::from_secs(1));
    assert!(matches!(trace(&member), Err(RotationError::ImplausibleWindow { .. })));
}

#[test]
fn a_destination_holds_the_token_in_whose_window_alone_it_was_written() {
    let lineage =
        self::lineage(vec![minted("new", minute(10), None), minted("old", minute(0), None), original(None)]);
    let holder = |at: Timestamp| held(&lineage, &written(at));
    // Windows of 2 minutes, and 2 more on either side.
    for (minutes, expected) in
        [(-3, "unknown"), (-2, "old"), (4, "old"), (5, "unknown"), (8, "new"), (14, "new"), (15, "unknown")]
    {
        assert_eq!(holder(minute(minutes)), expected, "{minutes}");
    }
    assert_eq!(held(&lineage, &missing()), "missing");
    assert_eq!(held(&lineage, &not_read()), "not read");
}

#[test]
fn two_runs_whose_windows_overlap_leave_the_holder_unknown() {
    let lineage = self::lineage(vec![minted("new", minute(3), None), minted("old", minute(0), None)]);
    assert_eq!(held(&lineage, &written(minute(0))), "old");
    assert_eq!(held(&lineage, &written(minute(3))), "unknown");
    assert_eq!(held(&lineage, &written(minute(7))), "new");
}

#[test]
fn of_the_attempts_of_one_run_the_last_is_held() {
    let attempt = |id: &str, at: Timestamp, attempt: u32| {
        let mut member = minted(id, at, None);
        member.marker.as_mut().unwrap().run = "onerun000000".into();
        member.marker.as_mut().unwrap().attempt = attempt;
        member
    };
    let members = vec![attempt("second", minute(6), 2), attempt("first", minute(0), 1)];
    let lineage = self::lineage(members);
    assert_eq!(held(&lineage, &written(minute(6))), "second");
    // Before the last attempt was made, only something else can have written.
    assert_eq!(held(&lineage, &written(minute(1))), "unknown");
}

#[test]
fn what_was_written_before_a_mint_cannot_hold_what_it_made() {
    let new = minted("new", minute(10), None);
    let lineage = self::lineage(vec![new.clone()]);
    let at = |at| lineage.holder(&written(at));
    let just = at(minute(8));
    let earlier = at(before(minute(8), SignedDuration::from_secs(1)));
    assert!(earlier.never_was(&new) && !just.never_was(&new));
    assert!(!earlier.may_be(&new) && just.may_be(&new));
    let [missing, not_read] = [missing(), not_read()].map(|secret| lineage.holder(&secret));
    assert!(missing.never_was(&new) && !missing.may_be(&new));
    assert!(!not_read.never_was(&new) && not_read.may_be(&new));
}

/// GitHub's timestamp stands beside what this run wrote, and is not changed by it.
#[test]
fn this_run_s_write_tells_what_a_secret_holds() {
    let mut lineage = self::lineage(vec![minted("old", minute(0), None)]);
    lineage.add_minted(minted("new", minute(10), None));
    let held = |at, write| held(&lineage, &Secret { write: Some(write), ..written(minute(at)) });
    let refused = || Err(WriteError { refused: true, error: github_error("422") });
    let unconfirmed = Err(WriteError { refused: false, error: github_error("504") });
    assert_eq!(held(0, Ok(minute(11))), "new");
    assert_eq!(held(0, unconfirmed), "unknown");
    assert_eq!(held(0, refused()), "old");
    assert_eq!(held(9, refused()), "unknown", "it was written right before the mint");
    let secret = Secret { write: Some(refused()), ..written(minute(9)) };
    assert!(lineage.members.iter().all(|member| lineage.holder(&secret).may_be(member)));
}

#[test]
fn the_attempt_decides_where_two_were_minted_at_once() {
    let mut second = minted("second", day(0), None);
    let mut first = minted("first", day(0), None);
    for (member, attempt) in [(&mut second, 2), (&mut first, 1)] {
        member.marker.as_mut().unwrap().run = "onerun000000".into();
        member.marker.as_mut().unwrap().attempt = attempt;
    }
    assert_eq!(traced(&rotation(1), &[listed(&first), listed(&second)]), ["second", "first"]);
    assert_eq!(day(0), day(0).round(Unit::Second).unwrap(), "markers count whole seconds");
}

#[test]
fn a_copied_marker_leaves_the_holder_unknown_and_both_tokens_alive() {
    let minted = minted("minted", day(0), None);
    let copy = Member { token: token("copy", None), ..minted.clone() };
    for members in [vec![minted.clone(), copy.clone()], vec![copy, minted]] {
        let lineage = self::lineage(members);
        let secret = written(minute(1));
        assert_eq!(held(&lineage, &secret), "unknown");
        assert!(lineage.members.iter().all(|member| lineage.holder(&secret).may_be(member)));
    }
}

/// A list may show one token twice, if another was deleted between two of its pages.
#[test]
fn a_token_that_is_listed_twice_is_one() {
    let twice = minted("twice", day(0), None);
    let lineage = self::lineage(vec![twice.clone(), twice.clone()]);
    assert_eq!(held(&lineage, &written(minute(1))), "twice");
    assert!(!lineage.is_newer(&twice, &twice));
}

#[test]
fn a_renamed_rotation_is_refused_though_its_original_is_named_by_its_id() {
    let mut successor = of_another_rotation("theirs");
    successor.marker.as_mut().unwrap().run = marker::new_run(Some("original"));
    let tokens = [listed(&successor), listed(&original(None))];
    for named in ["original", "ci-ingest"] {
        let rotation = Rotation { token: named.into(), ..rotation(1) };
        let traced = Lineage::trace(&rotation, &tokens, &MarkerKeys::default(), day(50));
        assert!(matches!(traced, Err(RotationError::BelongsToAnother { .. })), "{named}");
        let ours = [listed(&minted("ours", day(3), None)), listed(&successor)];
        assert_eq!(self::traced(&rotation, &ours), ["ours"]);
    }
}

/// What `token` says, among these tokens: an id, nothing, or what is wrong.
fn named(token: &str, tokens: &[Token]) -> String {
    let rotation = Rotation { token: token.into(), ..rotation(1) };
    match Lineage::trace(&rotation, tokens, &MarkerKeys::default(), day(50)) {
        Ok(lineage) => lineage.original().map_or("nothing".to_owned(), |token| token.id.clone()),
        Err(RotationError::BelongsToAnother { id, .. }) => format!("{id} belongs to another"),
        Err(RotationError::SeveralMatch { ids, .. }) => format!("several: {}", ids.join(", ")),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_original_is_found_by_its_id_or_by_a_name_that_is_its_own() {
    let theirs = listed(&of_another_rotation("theirs"));
    let mut successor = of_another_rotation("successor");
    successor.marker.as_mut().unwrap().run = marker::new_run(Some("original"));
    let successor = Token { name: "other".into(), ..listed(&successor) };
    let (original, same_name) =
        (listed(&original(None)), Token { id: "same-name".into(), ..token("x", None) });
    let ours = listed(&minted("ours", day(3), None));
    let all = |tokens: &[&Token]| tokens.iter().map(|token| (*token).clone()).collect::<Vec<_>>();

    for (token, tokens, before, after) in [
        ("original", all(&[&original, &same_name]), "original", "original"),
        ("ci-ingest", all(&[&original]), "original", "original"),
        ("ci-ingest", all(&[&original, &same_name]), "several: original, same-name", "nothing"),
        ("ci-ingest", all(&[&original, &successor]), "successor belongs to another", "nothing"),
        ("ci-ingest", all(&[&theirs]), "theirs belongs to another", "nothing"),
        ("theirs", all(&[&theirs]), "theirs belongs to another", "nothing"),
        ("ci-ingest", all(&[&original, &theirs]), "original", "original"),
        ("elsewhere", all(&[&original]), "nothing", "nothing"),
    ] {
        assert_eq!(named(token, &tokens), before, "{token}, before the first rotation");
        let tokens = [tokens, vec![ours.clone()]].concat();
        assert_eq!(named(token, &tokens), after, "{token}, once there are tokens of its own");
    }
}
