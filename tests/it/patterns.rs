//! Secrets in all repositories that fit a pattern.

use serde_json::json;

use crate::file::File;
use crate::support::axiom::TokenSpec;
use crate::support::github::{APP_ID, Credential, Installation, KEY_PKCS8};
use crate::support::{Ran, World};

#[track_caller]
fn assert_rotated(world: &World, ran: &Ran) {
    assert_eq!((ran.exit_code, &ran.rotation()["outcome"]), (0, &json!("rotated")), "{}", ran.everything());
    world.assert_no_violations();
}

fn destinations(ran: &Ran) -> Vec<String> {
    let reported = ran.rotation()["destinations"].as_array().unwrap().clone();
    reported.iter().map(|one| one["destination"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn error(ran: &Ran) -> String {
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    ran.rotation()["error"].as_str().unwrap().to_owned()
}

/// Repositories of two owners; one is archived, one has another prefix.
async fn fleet() -> World {
    let world = World::start().await;
    for name in ["acme/api", "acme/web", "acme/legacy-billing", "acme/old", "Widgets/shop", "widgets/stall"] {
        world.github.add_repo(name);
    }
    world.github.set_archived("acme/old", true);
    world
}

const PATTERN: &str = "{ repositories: ['acme/*', '!acme/legacy-*', 'widgets/sh?p'], name: AXIOM_TOKEN }";
const FOUND: [&str; 4] =
    ["acme/api:AXIOM_TOKEN", "acme/infra:AXIOM_TOKEN", "acme/web:AXIOM_TOKEN", "Widgets/shop:AXIOM_TOKEN"];

#[tokio::test]
async fn a_pattern_reaches_what_fits_and_is_not_archived() {
    let world = fleet().await;
    let file = File::of_secrets(&world, &[PATTERN]);
    let ran = file.rotate(&world).flag("--dry-run").run().await;
    assert_eq!(destinations(&ran), FOUND, "{}", ran.everything());
    let note = "acme/*, widgets/sh?p, !acme/legacy-*: 4 repositories; 1 archived left out";
    assert_eq!(ran.rotation()["notes"], json!([note]));
    let ran = file.rotate(&world).run().await;
    assert_rotated(&world, &ran);
    for destination in FOUND {
        assert_eq!(world.held(destination).unwrap().id, world.newest().unwrap().id, "{destination}");
    }
    assert_eq!(world.github.secret("acme/legacy-billing:AXIOM_TOKEN"), None);
    let ran = file.rotate(&world).run().await;
    assert_eq!(ran.rotation()["outcome"], "fresh", "{}", ran.everything());
}

#[tokio::test]
async fn environments_and_stores_go_by_pattern_too() {
    let world = fleet().await;
    world.github.add_environment("acme/api", "live");
    let secrets = [
        "{ repositories: ['acme/*'], environment: live, create_environment: true, name: A }",
        "{ repositories: ['acme/w*'], store: dependabot, name: B }",
    ];
    let ran = File::of_secrets(&world, &secrets).rotate(&world).run().await;
    assert_rotated(&world, &ran);
    let found = ["acme/api@live:A", "acme/infra@live:A", "acme/legacy-billing@live:A", "acme/web@live:A"];
    assert_eq!(destinations(&ran), [&found[..], &["dependabot+acme/web:B"]].concat());
}

#[tokio::test]
async fn what_is_listed_and_found_is_one_destination() {
    let world = fleet().await;
    let secrets = ["'ACME/web:AXIOM_TOKEN'", PATTERN, "{ repositories: ['acme/w*'], name: axiom_token }"];
    let ran = File::of_secrets(&world, &secrets).rotate(&world).run().await;
    assert_rotated(&world, &ran);
    let expected = ["ACME/web:AXIOM_TOKEN", FOUND[0], FOUND[1], FOUND[3]];
    assert_eq!(destinations(&ran), expected);
}

#[tokio::test]
async fn a_pattern_that_matches_nothing_is_an_error() {
    let world = fleet().await;
    for (pattern, said) in [
        ("acme/nothing-*", "No repository matches acme/nothing-*. No token"),
        ("acme/ol?", "No repository matches acme/ol? (1 archived"),
        ("nobody/*", "The repositories of nobody/* could not be listed"),
    ] {
        let secrets = ["AXIOM_TOKEN".to_owned(), format!("{{ repositories: ['{pattern}'], name: T }}")];
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let ran = File::of_secrets(&world, &secrets).rotate(&world).run().await;
        let text = error(&ran);
        assert!(text.contains(said), "{text}");
        assert!(world.marked_tokens().is_empty(), "nothing was minted");
    }
}

#[tokio::test]
async fn a_rotation_whose_pattern_fails_does_not_stop_the_others() {
    let world = fleet().await;
    world.axiom.add_token(TokenSpec::ingest("other").expires_in_days(3));
    let rotations = "  - { name: ci-ingest, token: ci-ingest, secrets: [{ repositories: ['nobody/*'], name: T }] }\n  \
                     - { name: other, token: other, secrets: [OTHER] }\n";
    let ran = File::of_rotations(&world, rotations).rotate(&world).run().await;
    assert_eq!(ran.exit_code, 1);
    assert_eq!(ran.json()["rotations"][1]["outcome"], "rotated", "{}", ran.everything());
    let advice = ran.rotation()["next_step"].to_string();
    assert!(advice.contains("Check the spelling of the pattern"), "{advice}");
}

#[tokio::test]
async fn a_secret_of_another_rotation_is_not_taken_by_a_pattern() {
    let world = fleet().await;
    world.axiom.add_token(TokenSpec::ingest("other").expires_in_days(3));
    let rotations = "  - { name: ci-ingest, token: ci-ingest, secrets: [{ repositories: ['acme/*'], name: T }] }\n  \
                     - { name: other, token: other, secrets: ['acme/WEB:T'] }\n";
    let ran = File::of_rotations(&world, rotations).rotate(&world).run().await;
    let text = error(&ran);
    assert!(text.contains("belongs to the rotation other too"), "{text}");
    assert_eq!(ran.json()["rotations"][1]["outcome"], "rotated", "the one that names it");
}

/// Two rotations in one file, the first of which is selected alone.
async fn alone(world: &World, one: &str, other: &str) -> Ran {
    world.axiom.add_token(TokenSpec::ingest("other").expires_in_days(3));
    let rotations = format!(
        "  - {{ name: ci-ingest, token: ci-ingest, secrets: [{one}] }}\n  \
         - {{ name: other, token: other, secrets: [{other}] }}\n"
    );
    File::of_rotations(world, &rotations).rotate(world).arg("--only", "ci-ingest").run().await
}

#[tokio::test]
async fn what_belongs_to_a_rotation_that_is_not_selected_is_not_taken_by_a_pattern() {
    let pattern = "{ repositories: ['acme/*'], name: T }";
    for (other, claimed) in [
        ("'acme/WEB:T'", "acme/WEB:T"),
        ("{ repositories: ['Acme/w?b', '!acme/x*'], name: t }", "acme/web:T"),
    ] {
        let world = fleet().await;
        let ran = alone(&world, pattern, other).await;
        let text = error(&ran);
        assert!(text.to_lowercase().contains(&claimed.to_lowercase()), "{text}");
        assert!(text.contains("belongs to the rotation other too"), "{text}");
        assert!(world.marked_tokens().is_empty());
        let lists = world.github.requests().into_iter().filter(|it| it.path.ends_with("/repos"));
        assert_eq!(lists.count(), 1, "for the pattern that is selected");
    }
}

#[tokio::test]
async fn what_a_rotation_names_is_its_own_whatever_a_pattern_takes_in() {
    let world = fleet().await;
    let ran = alone(&world, "'acme/web:T'", "{ repositories: ['acme/*'], name: T }").await;
    assert_rotated(&world, &ran);
    assert!(world.github.requests().iter().all(|it| !it.path.ends_with("/repos")), "no list is needed");
    // The same where it has a pattern besides.
    let world = fleet().await;
    let one = "'acme/web:T', { repositories: ['widgets/*'], name: T }";
    let ran = alone(&world, one, "{ repositories: ['acme/*'], name: T }").await;
    assert_rotated(&world, &ran);
}

#[tokio::test]
async fn rotations_of_other_names_stores_and_environments_do_not_clash() {
    let world = fleet().await;
    world.github.add_environment("acme/web", "live");
    let others = "{ repositories: ['acme/*'], name: U }, { repositories: ['acme/*'], store: dependabot, name: T }, \
                  { repositories: ['acme/*'], environment: live, name: T }, \
                  { repositories: ['acme/*', '!acme/*'], name: T }";
    let ran = alone(&world, "{ repositories: ['acme/w*'], name: T }", others).await;
    assert_rotated(&world, &ran);
}

#[tokio::test]
async fn a_shard_knows_what_belongs_to_the_others() {
    let world = fleet().await;
    world.axiom.add_token(TokenSpec::ingest("other").expires_in_days(3));
    let rotations = "  - { name: ci-ingest, token: ci-ingest, secrets: [{ repositories: ['acme/*'], name: T }] }\n  \
                     - { name: other, token: other, secrets: ['acme/web:T'] }\n";
    let file = File::of_rotations(&world, rotations);
    let mut outcomes = Vec::new();
    for shard in ["1/2", "2/2"] {
        let ran = file.rotate(&world).arg("--shard", shard).run().await;
        let rotations = ran.json()["rotations"].as_array().unwrap().clone();
        outcomes.extend(rotations.iter().map(|it| format!("{} {}", it["name"], it["outcome"])));
    }
    outcomes.sort();
    assert_eq!(outcomes, ["\"ci-ingest\" \"failed\"", "\"other\" \"rotated\""]);
}

#[tokio::test]
async fn each_owner_is_asked_once_and_to_the_last_page() {
    let world = fleet().await;
    for n in 0..130 {
        world.github.add_repo(&format!("acme/service-{n:03}"));
    }
    world.axiom.add_token(TokenSpec::ingest("other").expires_in_days(3));
    let rotations = "  - { name: ci-ingest, token: ci-ingest, secrets: [{ repositories: ['acme/*'], name: A }] }\n  \
                     - { name: other, token: other, secrets: [{ repositories: ['Acme/service-*'], name: B }] }\n";
    let ran = File::of_rotations(&world, rotations).rotate(&world).flag("--dry-run").run().await;
    assert_eq!(destinations(&ran).len(), 134, "{}", ran.everything());
    assert_eq!(ran.json()["rotations"][1]["destinations"].as_array().unwrap().len(), 130);
    let lists = world.github.requests().into_iter().filter(|request| request.path.ends_with("/repos"));
    assert_eq!(lists.count(), 3);
}

#[tokio::test]
async fn a_user_s_private_repositories_are_found() {
    let world = World::start().await;
    world.github.add_user("ann");
    world.github.add_repo("Ann/notes");
    world.github.add_repo("Ann/site");
    let file = File::of_secrets(&world, &["{ repositories: ['ann/*'], name: T }"]);
    let ran = file.rotate(&world).run().await;
    assert_rotated(&world, &ran);
    assert_eq!(destinations(&ran), ["Ann/notes:T", "Ann/site:T"]);
}

#[tokio::test]
async fn an_app_finds_what_its_installation_covers() {
    let world = fleet().await;
    let covered = ["acme/api", "acme/infra", "acme/old"];
    world.github.install_app(Installation::at("acme", &["secrets"]).only(&covered));
    let file = File::of_secrets(&world, &["{ repositories: ['acme/*'], name: T }"]);
    let mut invocation = file
        .rotate(&world)
        .env("CROSSFADE_GITHUB_APP_ID", APP_ID)
        .env("CROSSFADE_GITHUB_APP_PRIVATE_KEY", KEY_PKCS8);
    invocation.environment.remove("CROSSFADE_GITHUB_TOKEN");
    let ran = invocation.run().await;
    assert_rotated(&world, &ran);
    assert_eq!(destinations(&ran), ["acme/api:T", "acme/infra:T"]);
    let given = world.github.tokens_given();
    assert_eq!(json!(given[0].permissions), json!({"metadata": "read"}), "to look around");
    assert_eq!(given[1].repositories, Some(vec!["acme/api".to_owned(), "acme/infra".to_owned()]));
    assert_eq!(given.len(), 2);
}

#[tokio::test]
async fn a_token_sees_no_more_than_it_may() {
    let world = fleet().await;
    world.github.add_credential(Credential::new("narrow", "github_pat_narrow").only(&["acme/web"]));
    let file = File::of_secrets(&world, &["{ repositories: ['acme/*'], name: T }"]);
    let ran = file.rotate(&world).env("CROSSFADE_GITHUB_TOKEN", "github_pat_narrow").run().await;
    assert_rotated(&world, &ran);
    assert_eq!(destinations(&ran), ["acme/web:T"]);
}
