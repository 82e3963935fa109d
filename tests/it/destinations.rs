//! Every place where GitHub keeps a secret.

use serde_json::json;

use crate::file::File;
use crate::support::github::{Credential, On};
use crate::support::{Invocation, Ran, World};

/// Every store × scope that there is, and an environment whose name needs encoding.
const EVERYWHERE: [&str; 10] = [
    "acme/infra:AXIOM_TOKEN",
    "dependabot+acme/infra:AXIOM_TOKEN",
    "codespaces+acme/infra:AXIOM_TOKEN",
    "agents+acme/infra:AXIOM_TOKEN",
    "acme/infra@production:AXIOM_TOKEN",
    "acme/infra@eu west/a:b@c é?#%2F:AXIOM_TOKEN",
    "org:acme:AXIOM_TOKEN",
    "dependabot+org:acme:AXIOM_TOKEN",
    "codespaces+org:acme:AXIOM_TOKEN",
    "agents+org:acme:AXIOM_TOKEN",
];

#[track_caller]
fn assert_rotated(world: &World, ran: &Ran) {
    assert_eq!((ran.exit_code, &ran.rotation()["outcome"]), (0, &json!("rotated")), "{}", ran.everything());
    assert_eq!(world.undelivered(), Vec::<String>::new());
    world.assert_no_violations();
}

/// What went wrong, and what to do.
fn error(ran: &Ran) -> String {
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    let rotation = ran.rotation();
    format!("{} {}", rotation["error"].as_str().unwrap(), rotation["steps"]).replace("\\\"", "\"")
}

#[tokio::test]
async fn every_store_and_scope_takes_the_new_token() {
    for base in ["", "/api/v3"] {
        let world = World::builder().github_base(base).destinations(EVERYWHERE).start().await;
        let ran = Invocation::rotate(&world).arg("--format", "json").run().await;
        assert_rotated(&world, &ran);
        let reported = ran.rotation()["destinations"].as_array().unwrap().clone();
        let names: Vec<_> = reported.iter().map(|one| one["destination"].as_str().unwrap()).collect();
        assert_eq!(names, EVERYWHERE);
        let base = world.github.requests().into_iter().all(|request| request.path.starts_with(base));
        assert!(base, "the API's own path comes first");
        // Everything is found again by the timestamps of each place.
        let ran = Invocation::rotate(&world).arg("--format", "json").run().await;
        assert_eq!(ran.rotation()["outcome"], "fresh", "{}", ran.everything());
    }
}

#[tokio::test]
async fn secrets_that_do_not_exist_are_made_everywhere() {
    let world = World::builder().destinations(EVERYWHERE).empty().start().await;
    let visible = "store: actions, visibility: private";
    let secrets: Vec<String> = EVERYWHERE
        .iter()
        .map(|destination| match destination.split_once("org:acme:") {
            None => format!("'{destination}'"),
            Some((store, name)) => {
                let store = store.trim_end_matches('+');
                let visible = visible.replace("actions", if store.is_empty() { "actions" } else { store });
                format!("{{ organization: acme, name: {name}, {visible} }}")
            }
        })
        .collect();
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let ran = File::of_secrets(&world, &secrets).rotate(&world).run().await;
    assert_rotated(&world, &ran);
    for destination in EVERYWHERE.iter().filter(|destination| destination.contains("org:")) {
        let held = world.github.secret(destination).unwrap();
        assert_eq!(held.visibility.as_deref(), Some("private"), "{destination}");
    }
}

#[tokio::test]
async fn many_owners_are_served_by_one_rotation() {
    let everyone = ["acme/infra:T", "Widgets/shop@live:T", "org:gadgets:T", "dependabot+solo/tool:T"];
    let world = World::builder().destinations(everyone).start().await;
    assert_rotated(&world, &Invocation::rotate(&world).arg("--format", "json").run().await);
}

#[tokio::test]
async fn an_organization_secret_keeps_exactly_its_readers() {
    let destinations = ["org:acme:AXIOM_TOKEN", "codespaces+org:acme:AXIOM_TOKEN", "org:acme:OTHER"];
    let world = World::builder().destinations(destinations).start().await;
    let ids: Vec<u64> = (0..257).map(|n| world.github.add_repo(&format!("acme/reader-{n}"))).collect();
    world.github.set_visibility(destinations[0], "selected", &ids);
    world.github.set_visibility(destinations[1], "selected", &[]);
    world.github.set_visibility(destinations[2], "private", &[]);
    let ran = Invocation::rotate(&world).arg("--format", "json").run().await;
    assert_rotated(&world, &ran);
    let readers = |destination| {
        let held = world.github.secret(destination).unwrap();
        let mut selected = held.selected;
        selected.sort_unstable();
        (held.visibility.unwrap(), selected)
    };
    assert_eq!(readers(destinations[0]), ("selected".to_owned(), ids));
    assert_eq!(readers(destinations[1]), ("selected".to_owned(), Vec::new()));
    assert_eq!(readers(destinations[2]), ("private".to_owned(), Vec::new()));
}

#[tokio::test]
async fn the_configured_visibility_is_for_new_secrets_alone() {
    let world = World::builder().destinations(["org:acme:AXIOM_TOKEN"]).start().await;
    let file = File::of_secrets(&world, &["{ organization: acme, name: AXIOM_TOKEN, visibility: selected }"]);
    assert_rotated(&world, &file.rotate(&world).run().await);
    let held = world.github.secret("org:acme:AXIOM_TOKEN").unwrap();
    assert_eq!(held.visibility.as_deref(), Some("all"), "as it was");
}

#[tokio::test]
async fn a_new_organization_secret_needs_a_visibility() {
    let world = World::builder().destinations(["org:acme:AXIOM_TOKEN"]).empty().start().await;
    let ran = Invocation::rotate(&world).arg("--format", "json").run().await;
    assert!(error(&ran).contains("set `visibility`: who may read it"), "{}", ran.everything());
    assert!(world.marked_tokens().is_empty(), "nothing was minted");
}

#[tokio::test]
async fn a_missing_environment_is_an_error_that_says_how_to_have_it_made() {
    let world = World::start().await;
    let file = File::of_secrets(&world, &["'acme/infra@new env:AXIOM_TOKEN'"]);
    let ran = file.rotate(&world).run().await;
    let error = error(&ran);
    assert!(error.contains("the environment does not exist"), "{error}");
    assert!(error.contains("create_environment: true"), "{error}");
    assert!(world.marked_tokens().is_empty(), "nothing was minted");
}

const NEW_ENVIRONMENT: &str =
    "{ repository: acme/infra, environment: 'new env/1', create_environment: true, name: AXIOM_TOKEN }";

#[tokio::test]
async fn a_missing_environment_is_made_on_demand_and_not_by_a_dry_run() {
    let world = World::start().await;
    let file = File::of_secrets(&world, &[NEW_ENVIRONMENT]);
    // A plan says what would be written, status what is there.
    let commands =
        [(file.rotate(&world).flag("--dry-run"), "planned"), (file.run("status", &world), "unknown")];
    for (command, outcome) in commands {
        let ran = command.run().await;
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        assert_eq!(ran.rotation()["destinations"][0]["outcome"], outcome, "{}", ran.everything());
        let changes = world.github.requests().into_iter().filter(|request| request.method != "GET");
        assert_eq!(changes.map(|request| request.line()).collect::<Vec<_>>(), Vec::<String>::new());
    }
    let ran = file.rotate(&world).run().await;
    assert_eq!(ran.rotation()["outcome"], "rotated", "{}", ran.everything());
    let held = world.github.secret("acme/infra@new env/1:AXIOM_TOKEN").unwrap();
    assert_eq!(held.value, world.newest().unwrap().value);
    let puts = |world: &World| {
        let requests = world.github.requests();
        requests.iter().filter(|r| r.method == "PUT" && r.path.ends_with("new%20env%2F1")).count()
    };
    assert_eq!(puts(&world), 1);
    world.advance_days(1);
    let ran = file.rotate(&world).flag("--force").run().await;
    assert_eq!(ran.rotation()["outcome"], "rotated", "{}", ran.everything());
    assert_eq!(puts(&world), 1, "an environment that exists is left alone: a PUT would reset its rules");
    world.assert_no_violations();
}

#[tokio::test]
async fn a_dry_run_reports_an_environment_that_cannot_be_created() {
    let world = World::start().await;
    let nowhere = NEW_ENVIRONMENT.replace("acme/infra", "acme/nowhere");
    for dry in ["--dry-run", "--quiet"] {
        let ran = File::of_secrets(&world, &[&nowhere]).rotate(&world).flag(dry).run().await;
        assert!(error(&ran).contains("acme/nowhere"), "{}", ran.everything());
    }
    world.github.add_credential(Credential::new("half", "ghp_half").without("administration"));
    let file = File::of_secrets(&world, &[NEW_ENVIRONMENT]);
    let ran = file.rotate(&world).env("CROSSFADE_GITHUB_TOKEN", "ghp_half").run().await;
    assert!(error(&ran).contains("\"Administration\": write"), "{}", ran.everything());
    assert!(world.marked_tokens().is_empty(), "nothing was minted");
}

#[tokio::test]
async fn a_renamed_repository_is_followed() {
    for by_name in [false, true] {
        let world = World::builder().destinations(["acme/infra:T", "acme/infra@live:T"]).start().await;
        world.github.switch(|switches| switches.redirect_by_name = by_name);
        world.github.rename("acme/infra", "acme/platform");
        assert_rotated(&world, &Invocation::rotate(&world).arg("--format", "json").run().await);
        let answers: Vec<u16> = world.github.requests().iter().map(|request| request.status).collect();
        assert!(answers.contains(&301) && answers.contains(&307), "{answers:?}");
    }
}

#[tokio::test]
async fn a_redirect_to_another_server_is_not_followed() {
    let world = World::start().await;
    world.github.switch(|switches| switches.redirect_origin = Some(world.axiom.url()));
    world.github.rename("acme/infra", "acme/platform");
    let ran = Invocation::rotate(&world).arg("--format", "json").run().await;
    assert!(error(&ran).contains("redirect"), "{}", ran.everything());
    let strangers =
        world.axiom.requests().into_iter().filter(|request| request.path.contains("repositories"));
    assert_eq!(strangers.count(), 0, "the credential stays with its server");
}

#[tokio::test]
async fn a_store_that_the_server_lacks_is_named() {
    let destinations = ["codespaces+acme/infra:T", "agents+org:acme:T"];
    for (destination, store) in destinations.iter().zip(["Codespaces", "Agents"]) {
        let world = World::builder().github_base("/api/v3").destinations([*destination]).start().await;
        world.github.switch(|switches| switches.missing_stores = vec!["codespaces", "agents"]);
        let ran = Invocation::rotate(&world).arg("--format", "json").run().await;
        let error = error(&ran);
        assert!(error.contains(&format!("this GitHub server has no {store} secrets")), "{error}");
    }
}

#[tokio::test]
async fn a_missing_permission_is_named_for_every_place() {
    let named = [
        ("acme/infra:T", "secrets", "repository permission \"Secrets\""),
        ("dependabot+acme/infra:T", "dependabot_secrets", "\"Dependabot secrets\""),
        ("codespaces+acme/infra:T", "codespaces_secrets", "\"Codespaces secrets\""),
        ("agents+acme/infra:T", "agent_secrets", "\"Agent secrets\""),
        ("acme/infra@live:T", "environments", "repository permission \"Environments\""),
        ("org:acme:T", "organization_secrets", "organization permission \"Secrets\""),
        ("dependabot+org:acme:T", "organization_dependabot_secrets", "\"Organization dependabot secrets\""),
    ];
    for (destination, permission, expected) in named {
        let world = World::builder().destinations([destination]).start().await;
        world.github.add_credential(Credential::new("weak", "github_pat_weak").without(permission));
        let invocation = Invocation::rotate(&world).env("CROSSFADE_GITHUB_TOKEN", "github_pat_weak");
        let ran = invocation.arg("--format", "json").run().await;
        let error = error(&ran);
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(&format!("GitHub asks for {permission}=read")), "{error}");
        assert!(world.marked_tokens().is_empty(), "nothing was minted");
    }
}

#[tokio::test]
async fn the_workflow_s_own_token_is_recognised_and_explained() {
    let world = World::start().await;
    world.github.add_credential(Credential::new("workflow", "ghs_own").integration());
    let invocation = Invocation::rotate(&world).env("CROSSFADE_GITHUB_TOKEN", "ghs_own");
    let ran = invocation.arg("--format", "json").run().await;
    let error = error(&ran);
    assert!(error.contains("GITHUB_TOKEN can never have it"), "{error}");
    assert!(error.contains("fine-grained personal access token or a GitHub App"), "{error}");
    assert!(world.marked_tokens().is_empty(), "nothing was minted");
}

#[tokio::test]
async fn a_place_that_only_fails_to_be_written_fails_alone() {
    let world = World::builder().destinations(EVERYWHERE).start().await;
    world.github.break_scope("dependabot+org:acme", On::Writes, 422);
    let ran = Invocation::rotate(&world).arg("--format", "json").run().await;
    assert!(error(&ran).contains("dependabot+org:acme:AXIOM_TOKEN"), "{}", ran.everything());
    assert_eq!(world.undelivered(), ["I2: dependabot+org:acme:AXIOM_TOKEN does not hold the newest token"]);
}

#[tokio::test]
async fn the_writer_s_own_end_is_told_and_warned_about_in_its_last_14_days() {
    let world = World::start().await;
    let ending = |days: i64| world.clock.now() + jiff::SignedDuration::from_hours(24 * days);
    for (days, warns) in [(30, false), (15, false), (14, true), (3, true)] {
        let value = format!("github_pat_ends_in_{days}_days");
        world.github.add_credential(Credential::new("writer", &value).expires_at(ending(days)));
        let invocation = Invocation::rotate(&world).env("CROSSFADE_GITHUB_TOKEN", &value);
        let ran = invocation.clone().arg("--format", "json").run().await;
        assert_eq!(
            ran.json()["github_credential_expires_at"],
            ending(days).to_string(),
            "{}",
            ran.everything()
        );
        let folder = tempfile::tempdir().unwrap();
        let summary = folder.path().join("summary");
        let ran = invocation.on_actions(folder.path().join("output"), summary.clone()).run().await;
        let summary = std::fs::read_to_string(summary).unwrap();
        for output in [&ran.stdout, &ran.stderr, &summary] {
            assert_eq!(
                output.contains("GitHub credential, which writes the secrets, expires"),
                warns,
                "{days}: {output}"
            );
        }
    }
    let ran = Invocation::rotate(&world).arg("--format", "json").run().await;
    assert_eq!(ran.json()["github_credential_expires_at"], serde_json::Value::Null, "GitHub does not say");
}
