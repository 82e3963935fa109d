//! The services of the catalogue: a whole life at a fake with the peculiarities of each, every
//! request judged by an extract of what the vendor publishes.

use serde_json::json;

use super::common::scenes;
use super::{assert_sound, rotate, rotates};
use crate::support::provider::catalogue::CATALOGUE;
use crate::support::provider::{Service, TokenSpec};
use crate::support::{Invocation, Ran, World};

/// One test per scene, with each service.
macro_rules! with_every_service {
    ($($scene:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $scene() {
                for service in CATALOGUE {
                    scenes::$scene(service).await;
                }
            }
        )*
    };
}

with_every_service!(
    a_due_token_is_replaced_everywhere,
    a_dry_run_changes_nothing,
    a_later_run_retires_what_no_destination_holds,
    an_undelivered_token_is_healed,
    a_lost_mint_is_found_and_healed,
    a_refusal_quotes_the_provider,
    a_credential_without_rights_names_the_missing_right,
    an_unknown_credential_is_reported,
    the_list_comes_in_pages,
);

/// Services whose tokens have rights of their own.
fn with_rights() -> impl Iterator<Item = &'static Service> {
    let rights = |spec: TokenSpec| spec.raw().keys().any(|field| field != "name" && !field.starts_with('_'));
    CATALOGUE.into_iter().filter(move |service| rights((service.ordinary)("ci-ingest")))
}

#[tokio::test]
async fn a_new_token_with_other_privileges_is_not_used() {
    assert_eq!(with_rights().count(), 8);
    for service in with_rights() {
        scenes::a_new_token_with_other_privileges_is_not_used(service).await;
    }
}

/// A command with the configuration of the service's page.
async fn run(world: &World, command: &[&str]) -> Ran {
    let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
    let text = world.provider.service().configuration().unwrap();
    std::fs::write(&file, text).unwrap();
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

#[tokio::test]
async fn a_proof_makes_one_token_and_leaves_nothing_behind() {
    for service in CATALOGUE {
        let world = World::builder().provider(service).start().await;
        let before = world.provider.live_tokens().len();
        let ran = run(&world, &["provider", "prove", service.name]).await;
        assert_eq!(ran.exit_code, 0, "{}: {}", service.name, ran.everything());
        assert_eq!(world.provider.live_tokens().len(), before, "{}", service.name);
        assert_eq!(world.provider.tokens().len(), before + 1, "{}: one was made", service.name);
        assert_eq!(
            crate::support::leaks::find_leaks(&ran.everything(), &world.secrets()),
            Vec::<String>::new()
        );
        world.assert_no_violations();
    }
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
        let error = ran.rotation()["error"].to_string();
        assert!(error.contains(&format!("crossfade provider prove {}", service.name)), "{error}");
        assert!(world.provider.requests().iter().all(|request| request.method == "GET"), "{}", service.name);
    }
    assert_eq!(
        unproved,
        ["grafana-cloud", "hcp-terraform", "buildkite", "databricks", "pulumi", "pulumi-team", "snyk", "datadog"]
    );
}

/// A server that drops what it does not know: GitLab had no descriptions before 17.7.
#[tokio::test]
async fn a_server_that_drops_the_marker_gets_no_further() {
    let service = &crate::support::provider::catalogue::GITLAB;
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
    let service = &crate::support::provider::catalogue::GITLAB;
    let world = World::builder().provider(service).start().await;
    let ran = rotates(&world, "rotated").await;
    let newest = world.newest().unwrap();
    assert_eq!((&newest.raw["scopes"], &newest.raw["access_level"]), (&json!(["read_api"]), &json!(20)));
    assert_eq!(ran.rotation()["token"]["expires_at"], "2026-05-31T00:00:00Z");
    assert_sound(&world, &ran);
}
