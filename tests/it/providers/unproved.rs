//! Providers that were not proved: a run says it once for each file, `doctor` says it, and
//! nobody says it twice.

use serde_json::{Value, json};

use crate::support::provider::catalogue::buildkite;
use crate::support::provider::{Service, lighthouse};
use crate::support::{Invocation, Ran, World};

/// A scene with a token that is not due.
async fn fresh(service: &'static Service) -> World {
    World::builder().provider(service).expires_in_days(60).start().await
}

/// A run with the configuration of the service's page after a change.
async fn run(command: &str, world: &World, change: impl Fn(&str) -> String) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crossfade.yml");
    std::fs::write(&file, change(&world.provider.service().configuration().unwrap())).unwrap();
    Invocation::of(command)
        .env("LIGHTHOUSE_ADMIN_KEY", world.provider_token())
        .env("BUILDKITE_ADMIN_TOKEN", world.provider_token())
        .env("CROSSFADE_GITHUB_TOKEN", world.github_token())
        .env("GITHUB_WORKSPACE", folder.path().to_str().unwrap())
        .arg("--provider-url", &world.provider.url())
        .arg("--github-api-url", &world.github.url())
        .arg("--config", file.to_str().unwrap())
        .arg("--repository", "acme/infra")
        .arg("--format", "json")
        .run()
        .await
}

/// The texts of this field, of every rotation or check, that name the proof.
fn naming_the_proof(ran: &Ran, of: &str, field: &str) -> Vec<String> {
    let document = ran.json();
    let texts = document[of].as_array().unwrap().iter().flat_map(|one| match &one[field] {
        Value::Array(all) => all.clone(),
        text => vec![text.clone()],
    });
    let texts = texts.filter_map(|text| text.as_str().map(str::to_owned));
    texts.filter(|text| text.contains("crossfade provider prove")).collect()
}

/// A second rotation of the same provider.
fn twice(text: &str) -> String {
    format!(
        "{text}  - name: other\n    provider: lighthouse\n    credential: LIGHTHOUSE_ADMIN_KEY\n    token: other\n    secrets: [OTHER_KEY]\n"
    )
}

fn proved(text: &str) -> String {
    text.replace("    token: ci-ingest\n", "    token: ci-ingest\n    with: { proved: \"yes\" }\n")
}

#[tokio::test]
async fn a_file_of_ones_own_is_doubted_once_in_a_run_until_it_was_proved_or_used() {
    let world = fresh(&lighthouse::SERVICE).await;
    world.provider.add_token((lighthouse::SERVICE.ordinary)("other").expires_in_days(60));
    world.github.put_by_hand("acme/infra:LIGHTHOUSE_KEY", &world.original.value);
    world.github.put_by_hand("acme/infra:OTHER_KEY", &world.original.value);
    let ran = run("rotate", &world, twice).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let [only] = naming_the_proof(&ran, "rotations", "warnings").try_into().unwrap();
    assert!(only.contains("`lighthouse`, which your configuration describes, was not proved"), "{only}");
    assert!(only.contains("`proved: yes`"), "{only}");
    let ran = run("doctor", &world, twice).await;
    let [only] = naming_the_proof(&ran, "checks", "fix").try_into().unwrap();
    assert!(only.contains("crossfade provider prove lighthouse"), "{only}");
    let check = ran.json()["checks"].as_array().unwrap().iter().find(|one| one["check"] == "proof").cloned();
    assert_eq!(check.unwrap()["state"], "warning");

    let ran = run("rotate", &world, proved).await;
    assert_eq!(naming_the_proof(&ran, "rotations", "warnings"), Vec::<String>::new());
    let ran = run("doctor", &world, proved).await;
    assert_eq!(naming_the_proof(&ran, "checks", "fix"), Vec::<String>::new());

    // Its first token shows that it works.
    let ran =
        run("rotate", &world, |text| text.replace("token: ci-ingest", "token: ci-ingest\n    lifetime: 30d"))
            .await;
    assert_eq!(ran.rotation()["outcome"], "rotated", "{}", ran.everything());
    assert_eq!(ran.rotation()["warnings"], json!([]), "not doubted beside its first rotation");
    let ran = run("rotate", &world, str::to_owned).await;
    assert_eq!(ran.rotation()["warnings"], json!([]));
}

/// On a day on which nothing is due a warning, else the error.
#[tokio::test]
async fn what_a_service_does_not_publish_is_said_before_it_stops_a_rotation() {
    let unproved = |text: &str| text.replace(", proved: \"yes\"", "");
    let world = fresh(&buildkite::SERVICE).await;
    world.github.put_by_hand("acme/infra:BUILDKITE_TOKEN", &world.original.value);
    let ran = run("rotate", &world, unproved).await;
    assert_eq!((ran.exit_code, &ran.rotation()["outcome"]), (0, &json!("fresh")), "{}", ran.everything());
    let [only] = naming_the_proof(&ran, "rotations", "warnings").try_into().unwrap();
    assert!(only.contains("the longest description") && only.contains("no token is created"), "{only}");
    let ran = run("doctor", &world, unproved).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(naming_the_proof(&ran, "checks", "fix").len(), 1, "{}", ran.everything());

    world.advance_days(50);
    let ran = run("rotate", &world, unproved).await;
    assert_eq!(ran.rotation()["error_code"], "unproved");
    assert_eq!(ran.rotation()["warnings"], json!([]), "the error says it");
    let ran = run("doctor", &world, unproved).await;
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    assert_eq!(naming_the_proof(&ran, "checks", "fix").len(), 1, "{}", ran.everything());
}

#[tokio::test]
async fn doctor_says_what_the_credential_needs() {
    let needs = "an API access token with the scopes read_clusters and write_clusters";
    let credential = |ran: &Ran| {
        let document = ran.json();
        let check = document["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["check"] == "credential" && one["subject"].to_string().contains("BUILDKITE"))
            .cloned();
        check.unwrap()
    };
    let world = fresh(&buildkite::SERVICE).await;
    let ran = run("doctor", &world, str::to_owned).await;
    let check = credential(&ran);
    assert_eq!(check["state"], "ok");
    assert!(check["message"].to_string().contains(needs), "{check}");
    world.provider.edit(&world.admin.id, |token| token.disabled = true);
    let check = credential(&run("doctor", &world, str::to_owned).await);
    assert_eq!(check["state"], "failed");
    assert!(check["fix"].to_string().contains(needs), "{check}");
}
