//! Examples of what is believed, and an adversary who creates any tokens.

use jiff::SignedDuration;
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::super::marker::annotate;
use super::super::plan::{self, PlanInput, Situation, Step};
use super::super::samples::{
    NATIVE, day, key, lineage as unsigned, minted, minute, original, rotation, token, written,
};
use super::super::secret::Secret;
use super::*;
use crate::provider::Profile;

/// Creates beside the previous token, and expires tokens by itself.
const CREATES: Profile = Profile { has_native_overlap: false, expires: true, marks_the_name: true, ..NATIVE };

fn keys() -> MarkerKeys {
    MarkerKeys(vec![SecretString::from("a key of more than 16 characters")])
}

/// A listed token with a marker that is signed, or not.
fn listed(id: &str, at: Timestamp, keys: &MarkerKeys) -> Token {
    let member = minted(id, at, Some(after(at, SignedDuration::from_hours(90 * 24))));
    let marker = member.marker.unwrap().signed(keys);
    Token { note: annotate("", &marker), ..member.token }
}

/// What each token with this rotation's marker counts as, in the order of the list.
fn believed(tokens: &[Token], keys: &MarkerKeys) -> Result<Vec<String>, RotationError> {
    let marked = tokens.iter().map(|token| (token, Marker::find(&token.note).unwrap())).collect();
    let believed = believe(marked, keys, day(50))?;
    let members = believed
        .members
        .iter()
        .map(|member| format!("{}{}", member.token.id, if member.is_proven { " proven" } else { "" }));
    Ok(members.chain(believed.ignored.iter().map(|one| format!("{} {:?}", one.id, one.reason))).collect())
}

#[test]
fn once_a_token_is_signed_later_unsigned_ones_are_ignored() {
    let none = MarkerKeys::default();
    let [old, signed, forged] =
        [listed("old", day(1), &none), listed("signed", day(2), &keys()), listed("forged", day(3), &none)];
    let before = believed(&[old.clone(), forged.clone()], &keys()).unwrap();
    assert_eq!(before, ["old", "forged"], "nothing is signed yet");
    let after = believed(&[old.clone(), signed.clone(), forged.clone()], &keys()).unwrap();
    assert_eq!(after, ["old", "signed proven", "forged Unsigned"]);
    let Err(RotationError::MarkerKeyMissing { id }) = believed(&[old.clone(), signed.clone()], &none) else {
        panic!("a run without the key goes on")
    };
    assert_eq!(id, "signed");
    let other = MarkerKeys(vec![SecretString::from("another key of 16 and more")]);
    assert!(matches!(
        believed(std::slice::from_ref(&signed), &other),
        Err(RotationError::MarkerKeyUnknown { .. })
    ));
    let by_other = listed("other", day(4), &other);
    let after = believed(&[signed.clone(), by_other], &keys()).unwrap();
    assert_eq!(after, ["signed proven", "other WrongSignature"]);
    // A copy that the provider created at another time.
    let copy = Token { id: "copy".into(), created_at: Some(day(9)), ..signed.clone() };
    assert_eq!(believed(&[signed, copy], &keys()).unwrap(), ["signed proven", "copy Copied"]);
}

#[test]
fn a_creation_date_outside_the_window_contradicts_the_marker() {
    let created = |minutes: i64| {
        let created_at = Some(day(1) + SignedDuration::from_mins(minutes));
        believed(
            &[Token { created_at, ..listed("t", day(1), &MarkerKeys::default()) }],
            &MarkerKeys::default(),
        )
    };
    // Minted at minute 0, with a window of 2 minutes.
    for minutes in [-5, 0, 2 + 5] {
        assert!(created(minutes).is_ok(), "{minutes}");
    }
    for minutes in [-6, 2 + 6] {
        assert!(matches!(created(minutes), Err(RotationError::ContradictedMarker { .. })), "{minutes}");
    }
}

#[test]
fn a_claim_is_supported_by_what_its_author_could_not_forge() {
    let new = minted("new", day(10), Some(day(100)));
    let until = |end| minted("old", day(0), Some(end));
    let rotation = rotation(1);
    let support = |profile, signed, new: &Member, old: &Member| {
        let lineage = Lineage { is_signed: signed, ..unsigned(Vec::new()) };
        let input = PlanInput { rotation: &rotation, profile, now: day(50), force: false };
        support(&lineage, input, new, old)
    };
    assert_eq!(support(NATIVE, false, &new, &until(day(60))), Support::None);
    assert_eq!(support(NATIVE, false, &new, &until(day(17))), Support::Evidence, "as the mint set it");
    assert_eq!(support(CREATES, false, &new, &until(day(60))), Support::EqualPrivileges);
    let mut dated = new.clone();
    dated.token.created_at = Some(day(10));
    assert_eq!(support(CREATES, false, &dated, &until(day(60))), Support::Evidence);
    assert_eq!(support(CREATES, true, &dated, &until(day(60))), Support::None, "others are signed");
    let proven = Member { is_proven: true, ..new.clone() };
    assert_eq!(support(NATIVE, true, &proven, &until(day(60))), Support::Evidence);
    let mut other = new;
    other.token.privileges = json!("admin");
    assert_eq!(support(CREATES, false, &other, &until(day(60))), Support::None);
}

#[test]
fn the_trusted_token_ends_the_comparison() {
    let mut wrong = minted("wrong", day(2), Some(day(90)));
    wrong.token.privileges = json!("admin");
    let members = [wrong, minted("right", day(1), Some(day(90)))];
    let tokens = members.map(|member| Token { note: annotate("", &member.marker.unwrap()), ..member.token });
    let trace = |trusted: Option<&str>| {
        let rotation = Rotation { trusted: trusted.map(str::to_owned), ..rotation(1) };
        Lineage::trace(&rotation, &tokens, &MarkerKeys::default(), day(3)).unwrap()
    };
    assert!(compare_privileges(&trace(None), day(3), &[]).is_err());
    assert!(compare_privileges(&trace(Some("gone")), day(3), &[]).is_err());
    let lineage = trace(Some("right"));
    assert!(compare_privileges(&lineage, day(3), &[]).is_ok());
    assert_eq!(lineage.members.len(), 1);
    assert_eq!(lineage.ignored, [Ignored { id: "wrong".into(), reason: WhyIgnored::OtherPrivileges }]);
}

/// The only signed token was never delivered and has expired; an unsigned one claims to be
/// older, and is valid.
#[test]
fn an_expired_signed_token_is_still_the_one_to_inherit_from() {
    let signed = Token { expires_at: Some(day(10)), ..listed("signed", day(9), &keys()) };
    let older = listed("forged", day(5), &MarkerKeys::default());
    let forged = Token { privileges: json!("admin"), expires_at: Some(day(90)), ..older };
    let readings = vec![written(day(-1)); 2];
    let (_, inherited) = acts(CREATES, &keys(), &[signed, forged], &readings, true).unwrap();
    assert_eq!(inherited.unwrap().id, "signed");
}

/// An expired forged token, dated so shortly before the last write that a secret may hold
/// it, and a live one that only shares the original's name.
#[test]
fn an_expired_token_that_a_secret_may_hold_is_compared() {
    let at = run_at(-1).checked_sub(SignedDuration::from_mins(5)).unwrap();
    let forged = Token {
        privileges: json!("admin"),
        expires_at: Some(now()),
        ..listed("forged", at, &MarkerKeys::default())
    };
    let tokens = [original(Some(day(40))).token, forged];
    let secrets = vec![written(run_at(-1)); 2];
    assert!(acts(CREATES, &MarkerKeys::default(), &tokens, &secrets, true).is_none(), "other privileges");
}

/// What the adversary puts into a forged token.
#[derive(Debug, Clone)]
struct Forged {
    /// Minutes after which it was really created; the marker says what it likes.
    created: i64,
    minted: i64,
    window: i64,
    attempt: u32,
    /// Which honest marker is copied, as a whole or its run alone.
    copied: Option<(usize, bool)>,
    names_original: bool,
    is_admin: bool,
    life: i64,
}

/// When the n-th honest run took place; the original was written before the first.
fn run_at(n: i64) -> Timestamp {
    minute(1440 * n)
}

/// When the plan is made: past the overlap of every honest run.
fn now() -> Timestamp {
    day(14)
}

fn forged() -> impl Strategy<Value = Forged> {
    // Often at the time of an honest write, where it may be believed.
    let minted =
        prop_oneof![3 => (-1..5_i64, -3..3_i64).prop_map(|(n, off)| 1440 * n + off), 1 => -3000..21_000_i64];
    let created = prop_oneof![(-9..60_i64).prop_map(Some), Just(None)];
    let copied = prop::option::of((0..4_usize, any::<bool>()));
    let rights = (any::<bool>(), prop::bool::weighted(0.2));
    (minted, created, 0..32_i64, 1..4_u32, copied, rights, -15_000..60_000_i64).prop_map(
        |(minted, created, window, attempt, copied, (names_original, is_admin), life)| Forged {
            created: created.map_or(20_000, |late| minted + late),
            minted,
            window,
            attempt,
            copied,
            names_original,
            is_admin,
            life,
        },
    )
}

/// Tokens as honest runs left them: which destinations hold which, and when they were
/// written. The first ones were minted before there was a key.
struct Honest {
    tokens: Vec<Token>,
    markers: Vec<Marker>,
    observations: Vec<Secret>,
    held: Vec<String>,
}

fn honest(
    profile: Profile,
    has_dates: bool,
    keys: &MarkerKeys,
    first_signed: usize,
    runs: &[[bool; 2]],
) -> Honest {
    let mut tokens = vec![original(Some(day(40))).token];
    let mut markers = Vec::new();
    let mut observations = vec![written(run_at(-1)); 2];
    let mut held = vec!["original".to_owned(); 2];
    for (n, delivered) in runs.iter().enumerate() {
        let at = run_at(i64::try_from(n).unwrap());
        if profile.has_native_overlap {
            let end = after(at, SignedDuration::from_hours(7 * 24));
            let previous = tokens.last_mut().unwrap();
            previous.expires_at = previous.expires_at.map(|own| own.min(end));
        }
        let none = MarkerKeys::default();
        let token = listed(&format!("honest{n}"), at, if n < first_signed { &none } else { keys });
        markers.push(Marker::find(&token.note).unwrap());
        tokens.push(Token { created_at: has_dates.then_some(at), ..token });
        for (index, _) in delivered.iter().enumerate().filter(|(_, delivered)| **delivered) {
            observations[index] = written(after(at, SignedDuration::from_mins(1)));
            held[index] = format!("honest{n}");
        }
    }
    Honest { tokens, markers, observations, held }
}

fn forge(forged: &Forged, index: usize, honest: &Honest, has_dates: bool) -> Token {
    let run = super::super::marker::new_run(forged.names_original.then_some("original"));
    let at = minute(forged.minted);
    let window = SignedDuration::from_mins(forged.window);
    let own = Marker { attempt: forged.attempt, ..Marker::new(key(), at, window, run) };
    let marker = match forged.copied.and_then(|(n, whole)| Some((honest.markers.get(n)?.clone(), whole))) {
        Some((copied, true)) => copied,
        Some((copied, false)) => {
            Marker { run: copied.run, mac: copied.mac.filter(|_| forged.is_admin), ..own }
        }
        None => own,
    };
    let created_at = minute(forged.created);
    Token {
        note: annotate("", &marker),
        created_at: has_dates.then_some(created_at),
        privileges: if forged.is_admin { json!("admin") } else { Value::Null },
        ..token(&format!("forged{index}"), Some(after(now(), SignedDuration::from_mins(forged.life))))
    }
}

/// Which tokens a run would end now, and what the next one would inherit.
fn acts(
    profile: Profile,
    keys: &MarkerKeys,
    tokens: &[Token],
    observations: &[Secret],
    force: bool,
) -> Option<(Vec<Token>, Option<Token>)> {
    let rotation = rotation(2);
    let now = now();
    let lineage = Lineage::trace(&rotation, tokens, keys, now).ok()?;
    let at = PlanInput { rotation: &rotation, profile, now, force };
    let plan = plan::plan(&Situation::new(at, &lineage, observations)).ok()?;
    let token = |id: &String| lineage.get(id).unwrap().token.clone();
    let mut ended: Vec<Token> = plan.retire.iter().map(|one| token(&one.token)).collect();
    let Step::Mint(mint) = &plan.step else { return Some((ended, None)) };
    ended.extend(mint.orphans.iter().map(token));
    let is_ended = mint.previous_is_orphan && profile.has_native_overlap;
    ended.extend(mint.previous.iter().filter(|_| is_ended).map(token));
    Some((ended, mint.previous.as_ref().map(token)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_forged_token_ends_a_held_one_or_is_inherited_from(
        native in any::<bool>(),
        has_dates in any::<bool>(),
        with_key in any::<bool>(),
        first_signed in 0..3_usize,
        runs in prop::collection::vec(any::<[bool; 2]>(), 0..5),
        forgeries in prop::collection::vec(forged(), 1..4),
        force in any::<bool>(),
    ) {
        let profile = if native { NATIVE } else { CREATES };
        let has_dates = has_dates && !native;
        let keys = if with_key { keys() } else { MarkerKeys::default() };
        let honest = honest(profile, has_dates, &keys, first_signed, &runs);
        let is_signed = with_key && runs.len() > first_signed;
        let mut tokens = honest.tokens.clone();
        tokens.extend(forgeries.iter().enumerate().map(|(n, forged)| forge(forged, n, &honest, has_dates)));
        let Some((ended, inherited)) = acts(profile, &keys, &tokens, &honest.observations, force) else { return Ok(()) };
        // Without a signature, tokens without dates are told apart by privileges alone,
        // and those with dates by the few minutes around a write (docs/reliability.md).
        let created_in_time = |forged: &Forged| {
            let distance = forged.created - forged.minted;
            (-5..=forged.window + 5).contains(&distance)
        };
        let is_known_gap = !is_signed && !native && (!has_dates || forgeries.iter().any(created_in_time));
        for token in ended {
            let is_live = token.expires_at.is_none_or(|end| end > now());
            prop_assert!(is_known_gap || !is_live || !honest.held.contains(&token.id), "{} is ended", token.id);
        }
        if let Some(token) = inherited {
            prop_assert_eq!(&token.privileges, &Value::Null, "{} is inherited from", token.id);
        }
    }
}
