//! The main job: what GitHub and the provider hold after a run.

use crate::support::marker::key_of;
use serde_json::json;

use crate::file::File;
use crate::support::axiom::TokenSpec;
use crate::support::provider::{axiom, deepset, softwareone};
use crate::support::world::TOKEN;
use crate::support::{Invocation, World};

#[tokio::test]
async fn a_due_token_is_replaced_everywhere() {
    let world = World::builder().destination_count(3).expires_in_days(12).start().await;
    let old = world.original.clone();
    let ran = Invocation::rotate(&world).arg("--format", "json").run().await;
    let rotation = ran.rotation();
    assert_eq!((ran.exit_code, &rotation["outcome"]), (0, &json!("rotated")), "{}", ran.everything());
    assert_eq!(rotation["reason"], "due");
    let newest = world.newest().unwrap();
    for destination in world.destinations() {
        assert_eq!(world.held(&destination).unwrap().id, newest.id, "{destination}");
    }
    assert_ne!(newest.id, old.id);
    assert_eq!(newest.name(), old.name());
    assert_eq!(rotation["token"]["id"], newest.id);
    assert_eq!(rotation["previous"]["id"], old.id);
    assert_eq!(rotation["previous"]["valid_until"], "2026-03-09T09:00:00Z", "the overlap of 7 days");
    assert_eq!(rotation["token"]["expires_at"], "2026-05-31T09:00:00Z", "the lifetime of 90 days");
    assert_eq!(rotation["next_rotation_at"], "2026-05-17T09:00:00Z", "14 days before that");
    assert!(world.axiom.is_accepted(&old.value), "the overlap");
    world.assert_no_violations();
}

#[tokio::test]
async fn the_successor_can_do_just_what_its_predecessor_could() {
    let capabilities = json!({
        "logs": {"ingest": ["create"], "telepathy": ["send", "receive"]},
        "*": {"query": ["read"]},
    });
    let original = TokenSpec::named("ci-ingest")
        .description("Used by CI, ask Ann")
        .with("datasetCapabilities", capabilities.clone())
        .with("orgCapabilities", json!({"annotations": ["create", "read"]}))
        .with("quantumCapabilities", json!({"entangle": [true, null, 7]}))
        .with("auditIdentity", json!({"id": "USR-1", "type": "user"}))
        .with("apiLastUsed", json!("2026-03-01T00:00:00Z"))
        .with("ingestLastUsed", json!(null))
        .with("queryLastUsed", json!("2026-03-01T00:00:00Z"))
        .with("createdAt", json!("2026-01-01T00:00:00Z"))
        .with("createdBy", json!("USR-1"))
        .with("colour", json!("blue"));
    let world = World::builder().original(original).start().await;
    let ran = Invocation::rotate(&world).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let newest = world.newest().unwrap();
    let shown = newest.shown();
    assert_eq!(shown["datasetCapabilities"], capabilities);
    assert_eq!(shown["quantumCapabilities"], json!({"entangle": [true, null, 7]}));
    for record in [
        "auditIdentity",
        "apiLastUsed",
        "ingestLastUsed",
        "queryLastUsed",
        "createdAt",
        "createdBy",
        "colour",
    ] {
        assert_eq!(shown.get(record), None, "a record is not a privilege");
    }
    assert!(
        newest
            .description()
            .starts_with(&format!("Used by CI, ask Ann xf1.{}.", key_of("acme/infra/ci-ingest")))
    );
    world.assert_no_violations();
}

/// A field that looks like a privilege, and that the provider sets by itself.
#[tokio::test]
async fn a_body_that_the_provider_refuses_is_sent_once_more_as_published() {
    for service in [&axiom::SERVICE, &deepset::SERVICE, &softwareone::SERVICE] {
        let own = ("effectivePermissions", json!(["all"]));
        let original = (service.ordinary)("ci-ingest").with(own.0, own.1.clone());
        let world = World::builder().provider(service).original(original).start().await;
        world.provider.switch(|switches| switches.own_field = Some(own));
        let ran = Invocation::rotate(&world).arg("--format", "json").run().await;
        assert_eq!(ran.rotation()["outcome"], "rotated", "{}: {}", service.name, ran.everything());
        let requests = world.provider.requests();
        let mints: Vec<usize> = (0..requests.len()).filter(|at| requests[*at].method == "POST").collect();
        let [refused, taken] = mints[..] else { panic!("{}: {} mints", service.name, mints.len()) };
        let has_it = |at: usize| String::from_utf8_lossy(&requests[at].body).contains("effectivePermissions");
        assert_eq!((has_it(refused), has_it(taken)), (true, false), "{}", service.name);
        assert!(requests[refused..taken].iter().any(|it| it.method == "GET"), "a list comes in between");
        assert_eq!(world.marked_tokens().len(), 1);
    }
}

#[tokio::test]
async fn a_body_that_is_refused_as_published_is_not_sent_again() {
    for service in [&axiom::SERVICE, &deepset::SERVICE, &softwareone::SERVICE] {
        let world = World::builder().provider(service).start().await;
        world.provider.switch(|switches| switches.refuse_mint = Some(422));
        let ran = Invocation::rotate(&world).run().await;
        assert_eq!(ran.exit_code, 1, "{}", ran.everything());
        let mints = world.provider.requests().into_iter().filter(|it| it.method == "POST");
        assert_eq!(mints.count(), 1, "{}", service.name);
    }
}

#[tokio::test]
async fn a_rotation_costs_nine_requests_and_a_fresh_day_two() {
    let world = World::start().await;
    let count = || world.github.requests().len() + world.axiom.requests().len();
    Invocation::rotate(&world).run().await;
    // Two of them tell whether the write will be taken.
    assert_eq!(count(), 9);
    world.advance_days(1);
    world.github.forget_requests();
    world.axiom.forget_requests();
    let ran = Invocation::rotate(&world).run().await;
    assert!(ran.stdout.starts_with("fresh"), "{}", ran.everything());
    assert_eq!(count(), 2);
}

#[tokio::test]
async fn a_second_run_finds_nothing_to_do_a_second_later() {
    let world = World::start().await;
    Invocation::rotate(&world).run().await;
    let newest = world.newest().unwrap();
    let ran = Invocation::rotate(&world).arg("--format", "json").run().await;
    assert_eq!(ran.rotation()["outcome"], "fresh", "{}", ran.everything());
    assert_eq!(ran.rotation()["destinations"][0]["outcome"], "held");
    assert_eq!(world.newest().unwrap().id, newest.id);
    let forced = Invocation::rotate(&world).arg("--format", "json").flag("--force").run().await;
    assert_eq!((forced.exit_code, &forced.rotation()["reason"]), (1, &json!("in_flight")));
    assert_eq!(world.newest().unwrap().id, newest.id);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let world = World::start().await;
    let before = (world.axiom.tokens().len(), world.github.secret("acme/infra:AXIOM_TOKEN"));
    let ran = Invocation::rotate(&world).flag("--dry-run").arg("--format", "json").run().await;
    assert_eq!(ran.json()["dry_run"], true);
    assert_eq!(ran.rotation()["outcome"], "planned", "{}", ran.everything());
    assert_eq!(ran.rotation()["destinations"][0]["outcome"], "planned");
    assert_eq!(ran.rotation()["probe"], "skipped");
    assert_eq!(ran.rotation()["token"]["id"], world.original.id);
    assert_eq!(before, (world.axiom.tokens().len(), world.github.secret("acme/infra:AXIOM_TOKEN")));
    let writes = world.github.requests().into_iter().chain(world.axiom.requests());
    assert!(writes.map(|request| request.method).all(|method| method == "GET"));
}

#[tokio::test]
async fn force_rotates_what_is_fresh() {
    let world = World::builder().expires_in_days(60).start().await;
    let ran = Invocation::rotate(&world).flag("--force").arg("--format", "json").run().await;
    assert_eq!(ran.rotation()["outcome"], "rotated", "{}", ran.everything());
    assert_eq!(ran.rotation()["reason"], "forced");
    assert_eq!(world.undelivered(), Vec::<String>::new());
}

#[tokio::test]
async fn a_personal_token_names_its_organization() {
    let world = World::start().await;
    let personal = world.axiom.add_personal_token("acme-org");
    let invocation = Invocation::rotate(&world).env("CROSSFADE_PROVIDER_TOKEN", &personal);
    let ran = invocation.run().await;
    assert_eq!(ran.exit_code, 2, "without the organization");
    assert!(ran.stderr.contains("`org_id`"), "{}", ran.stderr);
    assert!(world.axiom.requests().is_empty() && world.github.requests().is_empty());
    let ran = invocation.arg("--org-id", "acme-org").run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(world.undelivered(), Vec::<String>::new());
}

#[tokio::test]
async fn a_token_rotates_itself() {
    let own = TokenSpec::admin("ci-ingest");
    let world = World::builder().original(own).start().await;
    let ran = Invocation::rotate(&world).env("CROSSFADE_PROVIDER_TOKEN", &world.original.value).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(world.undelivered(), Vec::<String>::new());
    let newest = world.newest().unwrap();
    let after_the_mint =
        world.axiom.requests().into_iter().skip_while(|request| request.method != "POST").skip(1);
    let authorizations: Vec<String> =
        after_the_mint.map(|request| request.headers["authorization"].to_str().unwrap().to_owned()).collect();
    assert_eq!(
        authorizations,
        vec![format!("Bearer {}", newest.value); 2],
        "probe and list use the new value"
    );
}

#[tokio::test]
async fn one_unreadable_destination_stops_the_mint_and_is_named() {
    let world = World::builder().destination_count(2).expires_in_days(12).start().await;
    world.github.break_scope("acme/service-1", crate::support::github::On::All, 404);
    let ran = Invocation::rotate(&world).arg("--format", "json").run().await;
    assert_eq!((ran.exit_code, &ran.rotation()["outcome"]), (1, &json!("failed")));
    assert!(ran.rotation()["error"].as_str().unwrap().contains("acme/service-1:AXIOM_TOKEN"));
    assert!(world.marked_tokens().is_empty(), "nothing was minted");
}

#[tokio::test]
async fn a_token_that_would_otherwise_die_is_rotated_where_that_is_possible() {
    let world = World::builder().destination_count(2).expires_in_days(5).start().await;
    world.github.break_scope("acme/service-1", crate::support::github::On::All, 404);
    let ran = Invocation::rotate(&world).arg("--format", "json").run().await;
    assert_eq!((ran.exit_code, &ran.rotation()["outcome"]), (1, &json!("failed")));
    assert_eq!(world.held("acme/infra:AXIOM_TOKEN").unwrap().id, world.newest().unwrap().id);
    assert_eq!(ran.rotation()["destinations"][0]["outcome"], "written");
    assert_eq!(ran.rotation()["destinations"][1]["outcome"], "not_read");
    assert_eq!(world.held("acme/service-1:AXIOM_TOKEN").unwrap().id, world.original.id);
    assert!(ran.rotation()["error"].as_str().unwrap().contains("could not be read"), "{}", ran.everything());
    let prepares = |path: &str| path.contains("service-1") && path.ends_with("public-key");
    let prepared = world.github.requests().into_iter().any(|request| prepares(&request.path));
    assert!(!prepared, "what cannot be read is not prepared");
}

#[tokio::test]
async fn one_of_many_rotations_is_chosen_from_the_file() {
    let world = World::builder().destination_count(2).start().await;
    world.axiom.add_token(TokenSpec::ingest("other").expires_in_days(3));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crossfade.yml");
    std::fs::write(
        &file,
        format!(
            "defaults:\n  provider: axiom\n  provider_url: {}\nrotations:\n\
             \x20 - name: ci-ingest\n    token: ci-ingest\n    secrets: [AXIOM_TOKEN, 'acme/service-1:AXIOM_TOKEN']\n\
             \x20 - name: other\n    token: other\n    secrets: [OTHER_TOKEN]\n",
            world.axiom.url()
        ),
    )
    .unwrap();
    let invocation = Invocation::of("rotate")
        .credentials(&world)
        .arg("--config", file.to_str().unwrap())
        .arg("--repository", "acme/infra")
        .arg("--github-api-url", &world.github.url())
        .arg("--format", "json");
    let ran = invocation.clone().arg("--only", "other").run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(ran.json()["rotations"].as_array().unwrap().len(), 1);
    assert!(world.github.secret("acme/infra:OTHER_TOKEN").is_some(), "created");
    let ran = invocation.run().await;
    let outcomes: Vec<_> = (0..2).map(|n| ran.json()["rotations"][n]["outcome"].clone()).collect();
    assert_eq!(outcomes, ["rotated", "fresh"], "{}", ran.everything());
    assert_eq!(world.undelivered(), Vec::<String>::new());
    world.assert_no_violations();
}

#[tokio::test]
async fn a_provider_that_answers_403_to_everything_is_unverified() {
    let world = World::start().await;
    world.axiom.switch(|switches| switches.unauthenticated = 403);
    let ran = Invocation::rotate(&world).arg("--format", "json").run().await;
    assert_eq!(ran.rotation()["probe"], "unverified", "{}", ran.everything());
    let verifying = World::builder().original(TokenSpec::admin("ci-ingest")).start().await;
    let ran = Invocation::rotate(&verifying).arg("--format", "json").run().await;
    assert_eq!(ran.rotation()["probe"], "verified", "{}", ran.everything());
}

#[tokio::test]
async fn a_renamed_rotation_differs_from_a_new_one() {
    let world = World::builder().expires_in_days(12).start().await;
    Invocation::rotate(&world).run().await;
    let before = world.axiom.tokens().len();
    let renamed = Invocation::rotate(&world).arg("--name", "renamed").arg("--format", "json").run().await;
    let error = format!("{} {}", renamed.rotation()["error"], renamed.rotation()["steps"]);
    assert!(error.contains(&format!("`formerly: [{}]`", key_of("acme/infra/ci-ingest"))), "{error}");
    assert_eq!(world.axiom.tokens().len(), before, "nothing was minted from the other's original");
}

#[tokio::test]
async fn an_expired_predecessor_stays_unless_it_is_to_be_deleted() {
    let world = World::start().await;
    let secrets = "secrets: [AXIOM_TOKEN]";
    let keeping =
        File::of_rotations(&world, &format!("  - {{ name: {TOKEN}, token: {TOKEN}, {secrets} }}\n"));
    let clearing = File::of_rotations(
        &world,
        &format!("  - {{ name: {TOKEN}, token: {TOKEN}, delete_after: 3d, {secrets} }}\n"),
    );
    let is_there = || !world.axiom.token(&world.original.id).unwrap().deleted;
    assert_eq!(clearing.rotate(&world).run().await.rotation()["outcome"], "rotated");
    world.advance_days(7);
    clearing.rotate(&world).run().await;
    assert!(!world.axiom.is_accepted(&world.original.value) && is_there());
    world.advance_days(3);
    keeping.rotate(&world).run().await;
    assert!(is_there());
    let ran = clearing.rotate(&world).run().await;
    assert_eq!(ran.rotation()["retired"], serde_json::json!([world.original.id]), "{}", ran.everything());
    assert!(!is_there());
    assert_eq!(clearing.rotate(&world).run().await.rotation()["outcome"], "fresh");
    assert_eq!(world.unaccepted(), Vec::<String>::new());
    world.assert_no_violations();
}
