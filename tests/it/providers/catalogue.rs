//! The services of the catalogue: a whole life at a fake with the peculiarities of each, every
//! request judged by an extract of what the vendor publishes.

use serde_json::json;

use super::common::scenes;
use super::{assert_sound, rotate, rotates};
use crate::support::provider::Service;
use crate::support::provider::catalogue::{self, CATALOGUE};
use crate::support::{Invocation, Ran, World};

/// One test per scene.
macro_rules! life_of {
    ($service:expr; $($scene:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $scene() {
                scenes::$scene($service).await;
            }
        )*
    };
}

/// A module of tests per service.
macro_rules! lives {
    ($($module:ident: $service:expr;)*) => {
        $(
            mod $module {
                use super::*;

                life_of!(
                    $service;
                    a_due_token_is_replaced_everywhere,
                    a_dry_run_changes_nothing,
                    a_later_run_retires_what_no_destination_holds,
                    an_undelivered_token_is_healed,
                    a_lost_mint_is_found_and_healed,
                    a_refusal_quotes_the_provider,
                    the_list_comes_in_pages,
                );

                #[tokio::test]
                async fn an_unknown_credential_is_reported() {
                    // JupyterHub answers 403 to it, as to what is not permitted.
                    let service: &Service = $service;
                    if service.name != "jupyterhub" {
                        scenes::an_unknown_credential_is_reported($service).await;
                    }
                }

                #[tokio::test]
                async fn a_credential_without_rights_names_the_missing_right() {
                    // HCP Terraform answers 404 to what is not permitted.
                    let service: &Service = $service;
                    if service.name != "hcp-terraform" {
                        scenes::a_credential_without_rights_names_the_missing_right($service).await;
                    }
                }

                #[tokio::test]
                async fn a_new_token_with_other_privileges_is_not_used() {
                    if has_rights($service) {
                        scenes::a_new_token_with_other_privileges_is_not_used($service).await;
                    }
                }

                #[tokio::test]
                async fn the_new_value_is_verified() {
                    is_verified($service).await;
                }

                #[tokio::test]
                async fn a_proof_makes_one_token_and_leaves_nothing_behind() {
                    is_proved($service).await;
                }
            }
        )*
    };
}

lives! {
    jupyterhub: &catalogue::jupyterhub::SERVICE;
    gitlab: &catalogue::gitlab::SERVICE;
    grafana: &catalogue::grafana::SERVICE;
    grafana_cloud: &catalogue::grafana::CLOUD;
    cloudflare: &catalogue::cloudflare::ACCOUNT;
    cloudflare_user: &catalogue::cloudflare::USER;
    hcp_terraform: &catalogue::hcp_terraform::SERVICE;
    buildkite: &catalogue::buildkite::SERVICE;
    databricks: &catalogue::databricks::SERVICE;
    pulumi: &catalogue::pulumi::ORGANIZATION;
    pulumi_team: &catalogue::pulumi::TEAM;
    snyk: &catalogue::snyk::SERVICE;
    datadog: &catalogue::datadog::SERVICE;
}

/// Whether its tokens have rights of their own.
fn has_rights(service: &Service) -> bool {
    let spec = (service.ordinary)("ci-ingest");
    spec.raw().keys().any(|field| field != "name")
}

/// A command with the configuration of the service's page.
async fn run(world: &World, command: &[&str]) -> Ran {
    let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
    let text = world.provider.service().configuration().unwrap();
    std::fs::write(&file, &text).unwrap();
    let invocation = command[1..].iter().fold(Invocation::of(command[0]), |it, argument| it.flag(argument));
    let variable = text.lines().find_map(|line| line.trim().strip_prefix("credential: ")).unwrap();
    let invocation = invocation
        .env(variable, world.provider_token())
        .env("CROSSFADE_GITHUB_TOKEN", world.github_token())
        .env("CROSSFADE_PROVIDER_URL", &world.provider.url())
        .env("CROSSFADE_GITHUB_API_URL", &world.github.url());
    let invocation = invocation.arg("--config", file.path().to_str().unwrap());
    invocation.arg("--repository", "acme/infra").arg("--request-timeout", "2s").run().await
}

/// Agents of Buildkite sign in at another address, and few tokens of Grafana Cloud may list tokens.
async fn is_verified(service: &'static Service) {
    let world = World::builder().provider(service).start().await;
    let ran = rotates(&world, "rotated").await;
    let expected = match service.name {
        "buildkite" | "grafana-cloud" => "unverified",
        _ => "verified",
    };
    assert_eq!(ran.rotation()["probe"], expected, "{}", ran.everything());
}

async fn is_proved(service: &'static Service) {
    let world = World::builder().provider(service).start().await;
    let before = world.provider.live_tokens().len();
    let ran = run(&world, &["provider", "prove", service.name]).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(world.provider.live_tokens().len(), before, "{}", ran.everything());
    assert_eq!(world.provider.tokens().len(), before + 1, "one was made");
    assert_eq!(crate::support::leaks::find_leaks(&ran.everything(), &world.secrets()), Vec::<String>::new());
    world.assert_no_violations();
}

/// What no source states must have been proved before a token is created.
#[tokio::test]
async fn an_unproved_service_creates_nothing() {
    let mut unproved = Vec::new();
    for service in CATALOGUE {
        let text = service.configuration().unwrap();
        if !text.contains("proved:") {
            continue;
        }
        unproved.push(service.name);
        let world = World::builder().provider(service).start().await;
        let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
        std::fs::write(&file, text.replace(", proved: \"yes\"", "")).unwrap();
        let mut invocation = Invocation::rotate(&world).arg("--format", "json");
        let place = invocation.arguments.iter().position(|argument| argument == "--config").unwrap() + 1;
        invocation.arguments[place] = file.path().to_str().unwrap().to_owned();
        let ran = invocation.run().await;
        assert_eq!(ran.exit_code, 1, "{}", ran.everything());
        let error = ran.rotation().to_string();
        assert!(error.contains(&format!("crossfade provider prove {}", service.name)), "{error}");
        assert!(world.provider.requests().iter().all(|request| request.method == "GET"), "{}", service.name);
    }
    assert_eq!(
        unproved,
        [
            "grafana-cloud",
            "hcp-terraform",
            "buildkite",
            "databricks",
            "pulumi",
            "pulumi-team",
            "snyk",
            "datadog"
        ]
    );
}

/// A server that drops what it does not know: GitLab had no descriptions before 17.7.
#[tokio::test]
async fn a_server_that_drops_the_marker_gets_no_further() {
    let service = &catalogue::gitlab::SERVICE;
    let world = World::builder().provider(service).start().await;
    world.provider.switch(|switches| {
        switches.alter_new_token = Some(std::sync::Arc::new(|raw| drop(raw.shift_remove("description"))));
    });
    let ran = rotate(&world).await;
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    assert!(ran.rotation()["error"].to_string().contains("did not keep its marker"), "{}", ran.everything());
    assert_eq!(world.held("acme/infra:AXIOM_TOKEN").unwrap().value, world.original.value);
    assert_eq!(world.provider.live_tokens().len(), 2, "the new token was revoked");
}

/// Revoked tokens stay readable, and a date ends at its beginning.
#[tokio::test]
async fn a_gitlab_token_keeps_scopes_and_role() {
    let service = &catalogue::gitlab::SERVICE;
    let world = World::builder().provider(service).start().await;
    let ran = rotates(&world, "rotated").await;
    let newest = world.newest().unwrap();
    assert_eq!((&newest.raw["scopes"], &newest.raw["access_level"]), (&json!(["read_api"]), &json!(20)));
    assert_eq!(ran.rotation()["token"]["expires_at"], "2026-05-31T00:00:00Z");
    assert_sound(&world, &ran);
}

/// The list shows the credential, and only its verification tells which token it is.
#[tokio::test]
async fn a_token_that_is_the_credential_is_not_ended() {
    for service in [&catalogue::cloudflare::ACCOUNT, &catalogue::cloudflare::USER, &catalogue::snyk::SERVICE]
    {
        let world = World::builder().provider(service).original((service.admin)("ci-ingest")).start().await;
        let itself = world.original.value.clone();
        let run = Invocation::rotate(&world).signed_in_with(&world, &itself).arg("--format", "json");
        let ran = run.arg("--overlap", "0h").flag("--yes").flag("--force").run().await;
        assert!(world.provider.is_accepted(&itself), "{}: {}", service.name, ran.everything());
        assert_ne!(world.held("acme/infra:AXIOM_TOKEN").unwrap().value, itself, "{}", ran.everything());
    }
}

/// Whoever may name a rotation can call it like the proof of another one.
#[tokio::test]
async fn a_proof_deletes_no_token_of_a_rotation() {
    let world = World::start().await;
    let ran = Invocation::rotate(&world).arg("--name", "ci-ingest/prove").flag("--force").run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let prove = Invocation::of("provider").flag("prove").flag("axiom");
    let ran = prove.scene(&world, &world.github.url(), &world.axiom.url()).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(world.unaccepted(), Vec::<String>::new(), "{}", ran.everything());
}
