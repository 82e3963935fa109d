//! What users get wrong, and what crossfade then says: the real cause, and no advice that
//! would do harm.

use crate::file::File;
use crate::support::provider::{TokenSpec, axiom};
use crate::support::{Invocation, Ran, World};

const SECRETS: &str = "secrets: [AXIOM_TOKEN]";

/// A world after its first rotation.
async fn rotated() -> World {
    let world = World::builder().expires_in_days(12).start().await;
    let ran = Invocation::rotate(&world).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    world
}

/// The same rotation, with another `token`.
fn naming(world: &World, token: &str) -> File {
    File::of_rotations(world, &format!("  - {{ name: ci-ingest, token: {token}, {SECRETS} }}\n"))
}

fn message(ran: &Ran) -> String {
    let rotation = ran.rotation();
    format!("{} {}", rotation["error"].as_str().unwrap_or_default(), rotation["steps"])
}

#[tokio::test]
async fn only_a_token_with_the_marker_of_the_rotation_may_be_forged() {
    let world = rotated().await;
    let other = world.axiom.add_token(TokenSpec::admin("nightly"));
    let own = world.held(&world.destinations()[0]).unwrap();
    world.advance_days(1);
    let ran = naming(&world, "nightly").rotate(&world).run().await;
    assert_eq!(ran.exit_code, 1);
    let said = message(&ran);
    let facts = format!(
        "`token` names `nightly` ({}), but this rotation has rotated `ci-ingest` ({})",
        other.id, own.id
    );
    assert!(said.contains(&facts) && said.contains("`token: ci-ingest`"), "{said}");
    let (_, advice) = said.split_once("If no run of yours created").unwrap();
    assert!(advice.contains(&own.id) && !advice.contains(&other.id), "{advice}");
    assert_eq!(said.matches("delete").count(), 1, "{said}");
    assert_eq!(ran.rotation()["destinations"][0]["state"], "current", "it holds the rotation's own token");
}

#[tokio::test]
async fn another_token_with_equal_rights_is_a_warning() {
    let world = rotated().await;
    world.axiom.add_token((axiom::SERVICE.ordinary)("nightly"));
    world.advance_days(1);
    let ran = naming(&world, "nightly").rotate(&world).run().await;
    let warnings = ran.rotation()["warnings"].to_string();
    assert_eq!((ran.exit_code, ran.rotation()["outcome"].as_str()), (0, Some("fresh")), "{warnings}");
    assert!(warnings.contains("`token` names `nightly`"), "{warnings}");
    let forced = naming(&world, "nightly").rotate(&world).flag("--force").run().await;
    assert_eq!(forced.exit_code, 0, "{}", forced.everything());
    world.advance_days(10);
    naming(&world, "nightly").rotate(&world).run().await;
    let nightly = world.axiom.tokens().into_iter().find(|token| token.name() == "nightly").unwrap();
    assert!(world.axiom.is_accepted(&nightly.value), "no marker takes it for the original");
}

#[tokio::test]
async fn a_misspelt_token_is_a_warning_once_the_rotation_has_its_own() {
    let world = rotated().await;
    world.advance_days(1);
    for misspelt in ["ci-ingst", "foo"] {
        let file = naming(&world, misspelt);
        let warnings = file.rotate(&world).run().await.rotation()["warnings"].to_string();
        assert!(warnings.contains(&format!("the provider lists no token `{misspelt}`")), "{warnings}");
        let doctor = file.run("doctor", &world).run().await;
        assert!(doctor.stdout.contains(&format!("no token `{misspelt}`")), "{}", doctor.everything());
    }
    for right in ["ci-ingest", &world.original.id] {
        let ran = naming(&world, right).rotate(&world).run().await;
        assert_eq!(ran.rotation()["warnings"].to_string(), "[]", "{right}");
    }
    // The original is gone, and its id is no mistake.
    world.advance_days(8);
    world.axiom.delete_by_hand(&world.original.id);
    let ran = naming(&world, &world.original.id).rotate(&world).run().await;
    assert_eq!(ran.rotation()["warnings"].to_string(), "[]");
}

#[tokio::test]
async fn what_was_not_compared_was_not_written_by_something_else() {
    let world = rotated().await;
    let wrong = Invocation::of("status").scene(&world, &world.github.url(), &world.provider.url());
    let wrong =
        wrong.env("CROSSFADE_PROVIDER_TOKEN", "xaat-00000000-0000-4000-a000-000000000000").run().await;
    assert!(!wrong.stdout.contains("something other"), "{}", wrong.stdout);
    assert!(wrong.stdout.contains("could not be compared with the provider's tokens"), "{}", wrong.stdout);
    world.add_destination("acme/new:AXIOM_TOKEN");
    let other =
        Invocation::of("status").scene(&world, &world.github.url(), &world.provider.url()).run().await;
    let forced = Invocation::rotate(&world).flag("--force").run().await;
    for ran in [other, forced] {
        assert!(!ran.stdout.contains("something other"), "{}", ran.stdout);
        assert!(ran.stdout.contains("missing"), "{}", ran.stdout);
    }
}

#[tokio::test]
async fn a_second_forced_run_says_when_to_try_again() {
    let world = rotated().await;
    let forced = || Invocation::rotate(&world).flag("--force").arg("--format", "json");
    let ran = forced().run().await;
    let said = message(&ran);
    assert_eq!((ran.exit_code, ran.rotation()["reason"].as_str()), (1, Some("in_flight")));
    assert!(said.contains("every secret holds it") && said.contains("To rotate again, run after"), "{said}");
    assert!(!said.contains("concurrency"), "{said}");
    world.add_destination("acme/new:AXIOM_TOKEN");
    let said = message(&forced().run().await);
    assert!(said.contains("may still be writing it") && said.contains("concurrency"), "{said}");
}

#[tokio::test]
async fn a_wrong_repository_is_named_as_the_cause() {
    let world = rotated().await;
    let own = world.held(&world.destinations()[0]).unwrap();
    let elsewhere = Invocation::rotate(&world).arg("--format", "json");
    let mut elsewhere = elsewhere;
    let at = elsewhere.arguments.iter().position(|argument| argument == "acme/infra").unwrap();
    elsewhere.arguments[at] = "acme/api".to_owned();
    let said = message(&elsewhere.run().await);
    assert!(
        said.contains(&format!("Token {} belongs to another rotation than ci-ingest of acme/api", own.id)),
        "{said}"
    );
    assert!(said.contains("`CROSSFADE_REPOSITORY`") && said.contains("formerly"), "{said}");
}

#[tokio::test]
async fn a_doctor_names_a_secret_that_does_not_exist() {
    let world = rotated().await;
    world.add_destination("acme/api:NOT_THERE");
    world.advance_days(1);
    let ran = Invocation::of("doctor").scene(&world, &world.github.url(), &world.provider.url()).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert!(
        ran.stdout.contains("acme/api:NOT_THERE does not exist; the next rotation creates it"),
        "{}",
        ran.stdout
    );
}

/// What is read is not guessed: an option that describes the rotation leaves the file aside.
#[tokio::test]
async fn a_file_that_is_not_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".github")).unwrap();
    std::fs::write(folder.path().join(".github/crossfade.yml"), "rotations: [{ overlapp: 7d }]").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.env_clear().current_dir(folder.path()).args(["check", "--token", "ci", "--secret", "A"]);
    let ran = command.env("CROSSFADE_PROVIDER", "axiom").output().unwrap();
    let note = "using the rotation given by CROSSFADE_PROVIDER; .github/crossfade.yml is not read\n";
    assert_eq!(String::from_utf8(ran.stderr).unwrap(), note);
    assert!(!String::from_utf8(ran.stdout).unwrap().contains("not read"));
}
