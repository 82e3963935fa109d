//! What a marker is trusted for, against an attacker who may create tokens.

use jiff::SignedDuration;

use crate::scene::{Credential, PATIENT, Scene};
use crate::support::marker::Marker;
use crate::support::provider::axiom::SERVICE as AXIOM;
use crate::support::provider::deepset::SERVICE as DEEPSET;
use crate::support::provider::launchdarkly::SERVICE as LAUNCHDARKLY;
use crate::support::provider::softwareone::SERVICE as SOFTWAREONE;
use crate::support::provider::{FakeToken, Service, TokenSpec};
use crate::support::server::{Gate, When};
use crate::support::{Fault, Ran, Target, World};

const KEY: &str = "the signing key of these tests";

/// A token that nothing is due for, in one secret.
async fn fresh(service: &'static Service) -> Scene {
    let world = World::builder().provider(service).expires_in_days(60).start().await;
    Scene::new(world, Credential::Admin).watch()
}

/// Adds a token whose marker covers the time at which the secret was written, as a later
/// attempt of the run that made `like`, if that is given.
fn forge(scene: &Scene, is_admin: bool, like: Option<&Marker>) -> FakeToken {
    forge_at(scene, -10, is_admin, like)
}

/// The same, with a marker that says that it was minted so many seconds after the write.
fn forge_at(scene: &Scene, seconds: i64, is_admin: bool, like: Option<&Marker>) -> FakeToken {
    forge_for(scene, 90 * 24, seconds, is_admin, like)
}

/// The same, with a token that lives for so many hours.
fn forge_for(scene: &Scene, hours: i64, seconds: i64, is_admin: bool, like: Option<&Marker>) -> FakeToken {
    let world = &scene.world;
    let written = world.github.secret(&world.destinations()[0]).unwrap().updated_at;
    let at = written + SignedDuration::from_secs(seconds);
    let forged = Marker::of(&world.key, at, 2, &format!("000000000000-{}", digest(&world.original.id)));
    let marker = like.map_or(forged, |like| Marker { attempt: like.attempt + 1, mac: None, ..like.clone() });
    let service = world.provider.service();
    let spec = if is_admin { service.admin } else { service.ordinary };
    let spec: TokenSpec = match service.marker_in {
        "name" => spec(&format!("ci-ingest {}", marker.unsigned())),
        field => spec("ci-ingest").with(field, marker.unsigned().into()),
    };
    world.provider.add_token(spec.expires_in(SignedDuration::from_hours(hours)).forged())
}

/// The first 8 hexadecimal digits of an id's digest.
fn digest(id: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, id.as_bytes());
    digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// A run after the overlap of every held token.
async fn much_later(scene: &Scene) -> Ran {
    scene.world.advance(SignedDuration::from_hours(8 * 24));
    scene.run().await
}

fn stops(scene: &Scene, ran: &Ran, why: &str) {
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    let said = format!("{} {}", ran.rotation()["error"], ran.rotation()["steps"]);
    assert!(said.contains(why), "{}", ran.everything());
    assert_eq!(scene.broken(), Vec::<String>::new());
}

#[tokio::test]
async fn a_forged_token_with_other_privileges_stops_the_rotation_held_or_not() {
    for service in [&AXIOM, &DEEPSET] {
        let scene = fresh(service).await;
        let forged = forge(&scene, true, None);
        let ran = scene.rotate(PATIENT).flag("--force").run().await;
        stops(&scene, &ran, "have different privileges");
        assert!(ran.stdout.contains(&format!("`trusted: {}`", scene.world.original.id)), "{}", ran.stdout);
        stops(&scene, &much_later(&scene).await, "have different privileges");
        let own = scene.world.provider.live_tokens().into_iter().filter(|token| token.marker().is_some());
        assert_eq!(own.map(|token| token.id).collect::<Vec<_>>(), [forged.id], "nothing was made from it");
    }
}

/// Until it has expired the rotation stops; then the real token is the one to copy.
#[tokio::test]
async fn nothing_is_inherited_from_a_forged_token_that_has_expired() {
    for service in [&AXIOM, &DEEPSET] {
        let scene = fresh(service).await;
        forge_for(&scene, 1, -10, true, None);
        scene.later();
        let ran = scene.run().await;
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        let held = scene.world.held(&scene.world.destinations()[0]).unwrap();
        assert_eq!((held.privileges(), scene.broken()), (scene.world.original.privileges(), vec![]));
    }
}

#[tokio::test]
async fn the_rotation_stays_stopped_when_the_real_token_expires() {
    for service in [&AXIOM, &DEEPSET] {
        let world = World::builder().provider(service).expires_in_days(60).start().await;
        let scene = Scene::new(world, Credential::Admin);
        forge(&scene, true, None);
        scene.world.advance(SignedDuration::from_hours(61 * 24));
        stops(&scene, &scene.run().await, "have different privileges");
    }
}

/// The attempt that it imitates is due when its own time has come.
#[tokio::test]
async fn a_forged_later_attempt_does_not_hide_the_expiry_of_the_real_one() {
    let world = World::builder().expires_in_days(10).start().await;
    let scene = Scene::new(world, Credential::Admin).watch();
    assert_eq!(scene.run().await.exit_code, 0);
    scene.world.advance(SignedDuration::from_hours(30 * 24));
    forge(&scene, false, scene.world.newest().unwrap().marker().as_ref());
    for _ in 0..70 {
        scene.world.advance(SignedDuration::from_hours(24));
        assert_eq!(scene.run().await.exit_code, 0);
    }
    assert_eq!(scene.broken(), Vec::<String>::new());
}

#[tokio::test]
async fn a_marker_that_the_creation_date_contradicts_stops_the_rotation() {
    for service in [&SOFTWAREONE, &LAUNCHDARKLY] {
        let scene = fresh(service).await;
        forge(&scene, false, None);
        stops(&scene, &scene.run().await, "the marker was copied or forged");
        stops(&scene, &much_later(&scene).await, "the marker was copied or forged");
    }
}

#[tokio::test]
async fn at_axiom_the_original_survives_a_forged_successor_with_equal_privileges() {
    let scene = fresh(&AXIOM).await;
    forge(&scene, false, None);
    let ran = much_later(&scene).await;
    assert_eq!(scene.broken(), Vec::<String>::new());
    let said = format!("token {} is not retired: only an unsigned marker says", scene.world.original.id);
    assert!(ran.stdout.contains(&said) && ran.stdout.contains("Set CROSSFADE_MARKER_KEY"), "{}", ran.stdout);
}

/// deepset shows nothing that could contradict it: this is what the threat model admits.
#[tokio::test]
async fn a_forged_later_attempt_is_reported_before_the_replaced_token_is_retired() {
    let world = World::builder().provider(&DEEPSET).expires_in_days(10).start().await;
    let scene = Scene::new(world, Credential::Admin);
    assert_eq!(scene.run().await.exit_code, 0);
    let real = scene.world.newest().unwrap();
    let forged = forge(&scene, false, real.marker().as_ref());
    scene.world.advance(SignedDuration::from_hours(8 * 24));
    let ran = scene.rotate(PATIENT).flag("--dry-run").run().await;
    let said =
        format!("token {} is retired because token {} has the marker of a later attempt", real.id, forged.id);
    assert!(ran.stdout.contains(&said) && ran.stdout.contains("Set CROSSFADE_MARKER_KEY"), "{}", ran.stdout);
}

#[tokio::test]
async fn with_a_key_markers_are_signed_and_forged_ones_reported_and_ignored() {
    for service in [&AXIOM, &DEEPSET, &SOFTWAREONE, &LAUNCHDARKLY] {
        let world = World::builder().provider(service).expires_in_days(10).start().await;
        let scene = Scene::new(world, Credential::Admin).signing(KEY).watch();
        assert_eq!(scene.run().await.exit_code, 0);
        let signed = scene.world.newest().unwrap();
        assert!(signed.marker().unwrap().is_signed_by(KEY), "{signed:?}");
        for (is_admin, like) in [(true, None), (false, signed.marker())] {
            let forged = forge_at(&scene, 5, is_admin, like.as_ref());
            let ran = scene.run().await;
            assert_eq!(ran.exit_code, 0, "{}", ran.everything());
            assert_eq!(ran.rotation()["token"]["id"], signed.id);
            assert!(ran.stdout.contains(&format!("token {} was ignored", forged.id)), "{}", ran.stdout);
        }
        let ran = much_later(&scene).await;
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        assert_eq!(scene.broken(), Vec::<String>::new());
        assert_eq!(scene.world.uncollected(), Vec::<String>::new());
        let forged = scene.world.provider.live_tokens().into_iter().filter(|token| token.forged);
        assert_eq!(forged.count(), 2, "they are left alone");
    }
}

/// One that claims to be older than every signed token counts as a previous one: its
/// window makes the holder unknown, which costs one more token and nothing else.
#[tokio::test]
async fn with_a_key_a_forged_earlier_token_costs_one_mint() {
    let world = World::builder().expires_in_days(10).start().await;
    let scene = Scene::new(world, Credential::Admin).signing(KEY).watch();
    assert_eq!(scene.run().await.exit_code, 0);
    forge(&scene, true, None);
    scene.later();
    assert_eq!(scene.run().await.rotation()["outcome"], "rotated");
    for _ in 0..3 {
        let ran = much_later(&scene).await;
        assert_eq!(ran.rotation()["outcome"], "fresh", "{}", ran.everything());
    }
    assert_eq!(scene.world.changed_privileges(), Vec::<String>::new());
    assert_eq!(scene.broken(), Vec::<String>::new());
}

/// Until the first signed token is listed, a run without the key may be at work.
#[tokio::test]
async fn two_runs_of_which_only_one_signs_do_not_both_deliver() {
    let world = World::builder().expires_in_days(10).start().await;
    let scene = Scene::new(world, Credential::Admin);
    let [mint, write] = [Gate::new(), Gate::new()];
    scene.faults.inject(Target::mint(), Fault::Hold { when: When::Before, gate: mint.clone() });
    let signing = scene.rotate(PATIENT).env("CROSSFADE_MARKER_KEY", KEY);
    let (signing, unsigned) = tokio::join!(signing.run(), async {
        mint.reached().await;
        let writes = Target::matching(|it| it.method == "PUT" && !it.path.ends_with("WRITE_CHECK"));
        scene.faults.inject(writes, Fault::Hold { when: When::Before, gate: write.clone() });
        let run = scene.rotate(PATIENT);
        let (unsigned, ()) = tokio::join!(run.run(), async {
            write.reached().await;
            mint.open();
            // The signing run ends while the other one still waits to write.
            while !scene.world.provider.tokens().iter().any(|token| token.deleted) {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            write.open();
        });
        unsigned
    });
    assert_eq!((signing.exit_code, unsigned.exit_code), (1, 0), "{}", signing.everything());
    assert_eq!(scene.world.undelivered(), Vec::<String>::new());
}

#[tokio::test]
async fn a_run_without_the_key_stops_and_a_second_line_keeps_the_earlier_key() {
    let world = World::builder().expires_in_days(10).start().await;
    let scene = Scene::new(world, Credential::Admin).signing(KEY);
    assert_eq!(scene.run().await.exit_code, 0);
    let keyed = |keys: &str| scene.rotate(PATIENT).flag("--force").env("CROSSFADE_MARKER_KEY", keys);
    scene.later();
    stops(&scene, &keyed("").run().await, "CROSSFADE_MARKER_KEY is not set");
    stops(&scene, &keyed("another key of 16 and more").run().await, "add the earlier one on a second line");
    let both = format!("another key of 16 and more\n  {KEY}\n");
    let ran = keyed(&both).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let marker = scene.world.newest().unwrap().marker().unwrap();
    assert!(marker.is_signed_by("another key of 16 and more"), "the first key signs");
    assert!(!ran.everything().contains(KEY), "a key is a secret");
    let short = keyed("too short").run().await;
    assert_eq!(short.exit_code, 2, "{}", short.everything());
    assert!(short.stderr.contains("expected 16 to 4096"), "{}", short.stderr);
}

/// What docs/reliability.md says to do.
#[tokio::test]
async fn a_lost_key_is_replaced_by_renaming_the_rotation() {
    let world = World::builder().expires_in_days(10).start().await;
    let scene = Scene::new(world, Credential::Admin).signing(KEY).watch();
    assert_eq!(scene.run().await.exit_code, 0);
    scene.later();
    let by_hand = scene.world.provider.add_token(TokenSpec::ingest("by-hand").expires_in_days(90));
    let rotation = format!("  - {{ name: renamed, token: {}, secrets: [AXIOM_TOKEN] }}\n", by_hand.id);
    let file = crate::file::File::of_rotations(&scene.world, &rotation);
    let run = file.rotate(&scene.world).env("CROSSFADE_MARKER_KEY", "another key of 16 and more");
    let ran = run.flag("--force").run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let held = scene.world.held("acme/infra:AXIOM_TOKEN").unwrap();
    assert!(held.marker().unwrap().is_signed_by("another key of 16 and more"));
    assert_eq!((held.privileges(), scene.broken()), (scene.world.original.privileges(), vec![]));
}

#[tokio::test]
async fn the_trusted_token_is_the_way_out() {
    let scene = fresh(&AXIOM).await;
    let forged = forge(&scene, true, None);
    let id = &scene.world.original.id;
    let rotation =
        format!("  - {{ name: ci-ingest, token: ci-ingest, trusted: {id}, secrets: [AXIOM_TOKEN] }}\n");
    let file = crate::file::File::of_rotations(&scene.world, &rotation);
    let ran = file.rotate(&scene.world).flag("--force").run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert!(ran.stdout.contains(&format!("token {} was ignored", forged.id)), "{}", ran.stdout);
    assert_eq!(scene.world.newest().unwrap().privileges(), scene.world.original.privileges());
    assert_eq!(scene.world.undelivered(), Vec::<String>::new());
}
