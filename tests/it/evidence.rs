//! Whether GitHub will take a write is found out before anything is minted: what
//! cannot be delivered costs nothing, for as long as it lasts.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::file::File;
use crate::scene::{Credential, PATIENT, Scene};
use crate::support::axiom::TokenSpec;
use crate::support::github::{
    APP_ID, Credential as GithubCredential, Installation, KEY_PKCS8, On, WriteCheck,
};
use crate::support::{Invocation, Ran, World};

const CLASSIC: &str = "ghp_0123456789abcdefABCDEF0123456789abcd";

/// A token that is due and outlives the overlap: nothing needs an emergency.
async fn scene(destinations: &[&str]) -> World {
    World::builder().destinations(destinations.iter().copied()).expires_in_days(13).start().await
}

fn rotate(world: &World) -> Invocation {
    Invocation::rotate(world).arg("--format", "json").arg("--request-timeout", "500ms")
}

/// With a key that signs markers.
fn signed(world: &World) -> Invocation {
    rotate(world).env("CROSSFADE_MARKER_KEY", "a key that signs markers, for these tests")
}

fn as_app(mut invocation: Invocation) -> Invocation {
    invocation.environment.remove("CROSSFADE_GITHUB_TOKEN");
    invocation.env("CROSSFADE_GITHUB_APP_ID", APP_ID).env("CROSSFADE_GITHUB_APP_PRIVATE_KEY", KEY_PKCS8)
}

#[track_caller]
/// What went wrong, and what to do.
fn error(ran: &Ran) -> String {
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    let rotation = ran.rotation();
    format!("{} {}", rotation["error"].as_str().unwrap(), rotation["steps"]).replace("\\\"", "\"")
}

#[track_caller]
fn assert_rotated(world: &World, ran: &Ran) {
    assert_eq!((ran.exit_code, &ran.rotation()["outcome"]), (0, &json!("rotated")), "{}", ran.everything());
    assert_eq!(world.undelivered(), Vec::<String>::new());
    world.assert_no_violations();
}

/// Which requests a run sent to GitHub: how many reads of single repositories, and
/// how many write checks.
fn looked(world: &World) -> (usize, usize) {
    let is_repository = |path: &str| path.starts_with("/repos/") && path.matches('/').count() == 3;
    let reads =
        world.github.requests().iter().filter(|r| r.method == "GET" && is_repository(&r.path)).count();
    (reads, world.github.write_checks().len())
}

/// Days on which a cause lasts: each run names it and mints nothing. Then the cause
/// is gone, and the next run heals.
async fn lasts(world: &World, run: impl Fn() -> Invocation, said: &[&str], heal: impl FnOnce()) {
    let end = world.original.expires_at;
    for day in 0..5 {
        let ran = run().run().await;
        let text = error(&ran);
        for said in said {
            assert!(text.contains(said), "day {day}: {said} in {text}");
        }
        assert!(world.marked_tokens().is_empty(), "day {day}: nothing is minted");
        let original = world.provider.token_by_value(&world.original.value).unwrap();
        assert_eq!(original.expires_at, end, "day {day}: the token in use keeps its end");
        world.assert_no_violations();
        world.advance_days(1);
    }
    heal();
    assert_rotated(world, &run().run().await);
}

#[tokio::test]
async fn an_archived_repository_costs_nothing() {
    let world = scene(&["acme/infra:T", "acme/old:T", "acme/old@live:T"]).await;
    world.github.set_archived("acme/old", true);
    let heal = || world.github.set_archived("acme/old", false);
    lasts(
        &world,
        || rotate(&world),
        &[
            "acme/old:T and acme/old@live:T cannot be read or written",
            "is archived",
            "remove the repository's secrets from the rotation",
        ],
        heal,
    )
    .await;
}

#[tokio::test]
async fn a_dry_run_reports_an_archived_repository() {
    let world = scene(&["acme/infra:T", "acme/old:T"]).await;
    world.github.set_archived("acme/old", true);
    let text = error(&rotate(&world).flag("--dry-run").run().await);
    assert!(
        text.contains("acme/old:T cannot be read or written: the repository is archived")
            && !text.contains("acme/infra"),
        "{text}"
    );
    assert!(world.github.requests().iter().all(|request| request.method == "GET"));
}

#[tokio::test]
async fn a_disabled_repository_costs_nothing() {
    let world = scene(&["acme/infra:T", "dependabot+acme/bad:T"]).await;
    world.github.set_disabled("acme/bad", true);
    let heal = || world.github.set_disabled("acme/bad", false);
    lasts(
        &world,
        || rotate(&world),
        &["acme/bad:T cannot be read or written", "the repository is disabled"],
        heal,
    )
    .await;
}

#[tokio::test]
async fn a_read_only_token_costs_nothing() {
    let world = scene(&["acme/infra:T", "acme/web:T"]).await;
    world.github.change_credential(world.github_token(), GithubCredential::read_only);
    let heal = || world.github.change_credential(world.github_token(), GithubCredential::read_and_write);
    let said = [
        "Resource not accessible by personal access token",
        "repository permission \"Secrets\": read and write",
        "GitHub asks for secrets=write",
    ];
    lasts(&world, || rotate(&world), &said, heal).await;
}

#[tokio::test]
async fn an_app_without_the_permission_costs_nothing() {
    for granted in [
        Installation::at("acme", &["secrets"]).reads("organization_secrets"),
        Installation::at("acme", &["secrets"]),
    ] {
        let world = scene(&["acme/infra:T", "org:acme:T"]).await;
        world.github.install_app(granted);
        let heal = || {
            world.github.change_installation("acme", |one| {
                one.permissions.insert("organization_secrets".to_owned(), "write".to_owned());
            });
        };
        let said = ["the GitHub App lacks the organization permission \"Secrets\": read and write"];
        lasts(&world, || as_app(rotate(&world)), &said, heal).await;
    }
}

#[tokio::test]
async fn a_removed_collaborator_costs_nothing() {
    let world = scene(&["acme/infra:T", "widgets/shop:T"]).await;
    world.github.change_credential(world.github_token(), |one| one.only(&["acme/*"]));
    let heal = || world.github.change_credential(world.github_token(), GithubCredential::read_and_write);
    lasts(&world, || rotate(&world), &["widgets/shop", "404 Not Found"], heal).await;
}

#[tokio::test]
async fn a_token_without_single_sign_on_costs_nothing() {
    let world = scene(&["acme/infra:T", "acme/web:T"]).await;
    world.github.change_credential(world.github_token(), GithubCredential::without_sso);
    let heal = || world.github.change_credential(world.github_token(), GithubCredential::read_and_write);
    lasts(&world, || rotate(&world), &["protected by organization SAML enforcement", "Configure SSO"], heal)
        .await;
}

#[tokio::test]
async fn an_allow_list_refusal_quotes_github_at_every_step() {
    let said = "Although you appear to have the correct authorization credentials, the `acme` organization has an \
                IP allow list enabled, and your IP address is not permitted to access this resource.";
    let world = scene(&["acme/infra:T"]).await;
    world.github.change_credential(world.github_token(), |one| one.refused(said));
    let pattern = File::of_secrets(&world, &["{ repositories: ['acme/*'], name: T }"]);
    for run in [rotate(&world), pattern.rotate(&world)] {
        let text = error(&run.run().await);
        assert!(text.contains(said) && !text.contains("permission \""), "{text}");
    }
    // The App's sign-in, its token, and the repositories that it covers.
    world.github.install_app(Installation::at("acme", &["secrets"]));
    world.github.switch(|switches| switches.app_refusal = Some(said.to_owned()));
    for run in [as_app(rotate(&world)), as_app(pattern.rotate(&world))] {
        let text = error(&run.run().await);
        assert!(text.contains(said) && !text.contains("do not belong together"), "{text}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_reported_alike_with_and_without_a_pattern() {
    let world = scene(&["acme/infra:T"]).await;
    let pattern = File::of_secrets(&world, &["{ repositories: ['acme/*'], name: T }"]);
    for run in [rotate(&world), pattern.rotate(&world)] {
        let text = error(&run.env("CROSSFADE_GITHUB_TOKEN", "github_pat_wrong").run().await);
        assert!(text.contains("GitHub rejected the credential in `CROSSFADE_GITHUB_TOKEN` (401"), "{text}");
        assert!(!text.contains("Metadata"), "{text}");
    }
}

#[tokio::test]
async fn a_classic_token_is_judged_by_its_scopes() {
    let world = scene(&["acme/infra:T", "org:acme:T"]).await;
    world.github.add_credential(GithubCredential::new("writer", CLASSIC).classic("gist, repo"));
    let run = || rotate(&world).env("CROSSFADE_GITHUB_TOKEN", CLASSIC);
    for run in [run(), run().flag("--dry-run")] {
        let text = error(&run.run().await);
        assert!(text.contains("the scope \"admin:org\"; its scopes are \"gist, repo\""), "{text}");
        assert!(!text.contains("acme/infra:T"), "{text}");
    }
    let heal = || world.github.change_credential(CLASSIC, |one| one.classic("repo, admin:org"));
    lasts(&world, run, &["admin:org"], heal).await;
    assert_eq!(world.github.write_checks(), [], "its scopes tell");
}

#[tokio::test]
async fn one_check_serves_an_owner_and_a_permission() {
    let destinations = [
        "acme/a:T",
        "acme/b:T",
        "Acme/c:T",
        "acme/a@live:T",
        "acme/b@live:T",
        "dependabot+acme/a:T",
        "dependabot+acme/b:T",
        "codespaces+acme/a:T",
        "agents+acme/a:T",
        "org:acme:T",
        "org:acme:U",
        "dependabot+org:acme:T",
        "widgets/a:T",
    ];
    let world = scene(&destinations).await;
    let other = TokenSpec::ingest("other").expires_in(SignedDuration::from_hours(24 * 12));
    world.axiom.add_token(other);
    let secrets: String = destinations.iter().map(|one| format!("'{one}', ")).collect();
    let rotations = format!(
        "  - {{ name: ci-ingest, token: ci-ingest, secrets: [{secrets}] }}\n  \
         - {{ name: other, token: other, secrets: ['acme/a:OTHER', 'acme/d:OTHER'] }}\n"
    );
    world.github.add_repo("acme/d");
    let file = File::of_rotations(&world, &rotations);
    let ran = file.rotate(&world).flag("--dry-run").run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(looked(&world), (5, 0), "a dry run sends nothing but reads");
    world.github.forget_requests();
    let ran = file.rotate(&world).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    world.assert_no_violations();
    assert_eq!(looked(&world), (5, 8));
    assert!(world.github.write_checks().iter().all(|(_, status)| *status == 422));
    // On a fresh day nothing of this is asked.
    world.github.forget_requests();
    let ran = file.rotate(&world).run().await;
    assert_eq!((ran.exit_code, looked(&world)), (0, (0, 0)), "{}", ran.everything());
    let ran = file.run("status", &world).run().await;
    assert_eq!((ran.exit_code, looked(&world)), (0, (0, 0)), "{}", ran.everything());
}

#[tokio::test]
async fn an_app_and_a_pattern_need_no_request_of_their_own() {
    let world = scene(&[]).await;
    for name in ["acme/api", "acme/web"] {
        world.github.add_repo(name);
    }
    world.github.install_app(Installation::at("acme", &["secrets"]));
    let file = File::of_secrets(&world, &["{ repositories: ['acme/*'], name: T }"]);
    let ran = as_app(file.rotate(&world)).run().await;
    assert_eq!((ran.exit_code, looked(&world)), (0, (0, 0)), "{}", ran.everything());
    // Named beside the pattern, an archived one is known by its list.
    let world = scene(&[]).await;
    world.github.add_repo("acme/old");
    world.github.set_archived("acme/old", true);
    let file = File::of_secrets(&world, &["{ repositories: ['acme/*'], name: T }", "'acme/old:T'"]);
    let ran = file.rotate(&world).run().await;
    assert!(
        error(&ran).contains("acme/old:T cannot be read or written: the repository is archived"),
        "{}",
        ran.everything()
    );
    assert_eq!(looked(&world).0, 0);
}

#[tokio::test]
async fn an_archived_repository_says_nothing_of_others() {
    // The first four are archived, and the one check meets one of them.
    let destinations = ["acme/a:T", "acme/b:T", "acme/c:T", "acme/d:T", "acme/e:T", "acme/f:T"];
    let world = World::builder().destinations(destinations).expires_in_days(5).start().await;
    for name in ["acme/a", "acme/b", "acme/c", "acme/d"] {
        world.github.set_archived(name, true);
    }
    let ran = rotate(&world).run().await;
    // Two can be served, and their token would end within the overlap.
    let outcomes: Vec<Value> =
        ran.rotation()["destinations"].as_array().unwrap().iter().map(|one| one["outcome"].clone()).collect();
    assert_eq!(ran.exit_code, 1);
    assert_eq!(
        outcomes,
        ["failed", "failed", "failed", "failed", "written", "written"],
        "{}",
        ran.everything()
    );
    assert_eq!(looked(&world), (6, 1), "{:?}", world.github.write_checks());
    world.assert_no_violations();
}

/// The three requests of a preflight wait for one another in nothing.
#[tokio::test]
async fn evidence_costs_no_round_trip() {
    use crate::support::server::{Gate, Passing, When};
    use crate::support::{Fault, Target};
    let held = [("GET", "/public-key"), ("PUT", "/CROSSFADE_WRITE_CHECK"), ("GET", "/repos/acme/infra")];
    for (method, path) in held {
        let scene = Scene::new(scene(&["acme/infra:T"]).await, Credential::Admin);
        let gate = Gate::new();
        let is_held = move |request: &Passing| request.method == method && request.path.ends_with(path);
        let hold = Fault::Hold { when: When::Before, gate: gate.clone() };
        scene.faults.inject(Target::matching(is_held), hold);
        let run = scene.rotate(PATIENT);
        let (ran, ()) = tokio::join!(run.run(), async {
            gate.reached().await;
            // The list, and the two others of the preflight, without the one that is held.
            while scene.world.github.requests().len() < 3 {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            gate.open();
        });
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        let sent = scene.faults.passed().iter().filter(|request| is_held(request)).count();
        assert_eq!(sent, 1, "the others came only after {path} had timed out");
    }
}

/// A run in which GitHub answers the write check in this way.
async fn after_a_check(answer: WriteCheck) -> (World, Ran) {
    let world = scene(&["acme/infra:T"]).await;
    world.github.switch(|switches| switches.write_check = Some(answer));
    let ran = signed(&world).run().await;
    assert_rotated(&world, &ran);
    (world, ran)
}

#[tokio::test]
async fn where_nothing_can_be_known_the_previous_token_keeps_its_end() {
    let elsewhere = "https://elsewhere.example/x".to_owned();
    for answer in [
        WriteCheck::Fails(500),
        WriteCheck::Fails(401),
        WriteCheck::Fails(409),
        WriteCheck::Redirected(elsewhere),
        WriteCheck::Limited(99),
    ] {
        let (world, _) = after_a_check(answer.clone()).await;
        let end = |world: &World| world.provider.token_by_value(&world.original.value).unwrap().expires_at;
        assert_eq!(end(&world), world.original.expires_at, "{answer:?}");
        if matches!(answer, WriteCheck::Fails(_)) {
            assert_eq!(world.github.write_checks().len(), 1, "only limits are tried again");
        }
        // Past the overlap a later run retires it, where a signature supports that it was
        // replaced: its own end does not, because the mint left that alone.
        world.github.switch(|switches| switches.write_check = None);
        world.advance(SignedDuration::from_hours(7 * 24 + 1));
        let ran = signed(&world).run().await;
        assert_eq!(ran.rotation()["retired"], json!([world.original.id]), "{}", ran.everything());
    }
    // Where it was shown, the mint ends it with the overlap.
    let world = scene(&["acme/infra:T"]).await;
    assert_rotated(&world, &rotate(&world).run().await);
    let end = world.provider.token_by_value(&world.original.value).unwrap().expires_at.unwrap();
    assert!(end < world.original.expires_at.unwrap());
}

#[tokio::test]
async fn a_refusal_never_shortens_the_life_of_the_token_in_use() {
    // The check is answered with 500, and every write is refused: day after day a new
    // token is revoked, and the one in use keeps its own end.
    let world = scene(&["acme/infra:T"]).await;
    world.github.switch(|switches| switches.write_check = Some(WriteCheck::Fails(500)));
    world.github.break_secret("acme/infra:T", On::Writes, 403);
    for _ in 0..3 {
        error(&rotate(&world).run().await);
        let original = world.provider.token_by_value(&world.original.value).unwrap();
        assert_eq!(original.expires_at, world.original.expires_at);
        world.advance_days(1);
    }
}

#[tokio::test]
async fn a_limit_is_waited_for() {
    let (world, _) = after_a_check(WriteCheck::Limited(1)).await;
    let statuses: Vec<u16> = world.github.write_checks().into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, [403, 422]);
}

#[tokio::test]
async fn a_secret_stored_by_the_write_check_is_deleted_and_reported() {
    let (world, ran) = after_a_check(WriteCheck::Stored).await;
    assert_eq!(world.github.secret("acme/infra:CROSSFADE_WRITE_CHECK"), None);
    let warnings = ran.rotation()["warnings"].to_string();
    assert!(warnings.contains("acme/infra:CROSSFADE_WRITE_CHECK. It was deleted again"), "{warnings}");

    let (world, ran) = after_a_check(WriteCheck::StoredForGood).await;
    assert!(world.github.secret("acme/infra:CROSSFADE_WRITE_CHECK").is_some());
    let warnings = ran.rotation()["warnings"].to_string();
    assert!(warnings.contains("delete it by hand"), "{warnings}");

    // A secret of that name that existed before is left alone.
    let world = scene(&["acme/infra:T"]).await;
    world.github.put_by_hand("acme/infra:CROSSFADE_WRITE_CHECK", "another value");
    world.github.switch(|switches| switches.write_check = Some(WriteCheck::Stored));
    let ran = rotate(&world).run().await;
    assert_rotated(&world, &ran);
    assert!(world.github.secret("acme/infra:CROSSFADE_WRITE_CHECK").is_some());
    let warnings = ran.rotation()["warnings"].to_string();
    assert!(warnings.contains("was left alone"), "{warnings}");
}

#[tokio::test]
async fn a_missing_environment_is_made_before_it_is_checked() {
    let world = scene(&[]).await;
    let file = File::of_secrets(
        &world,
        &["{ repository: acme/infra, environment: new, create_environment: true, name: T }"],
    );
    let ran = file.rotate(&world).run().await;
    assert_eq!(ran.rotation()["outcome"], "rotated", "{}", ran.everything());
    let checks = world.github.write_checks();
    assert_eq!(
        checks,
        [("/repos/acme/infra/environments/new/secrets/CROSSFADE_WRITE_CHECK".to_owned(), 422)]
    );
    world.assert_no_violations();
}

#[tokio::test]
async fn a_renamed_repository_is_checked_where_it_is_now() {
    let world = scene(&["acme/infra:T", "acme/web:T"]).await;
    world.github.rename("acme/web", "acme/site");
    world.github.rename("acme/infra", "acme/core");
    assert_rotated(&world, &rotate(&world).run().await);
}

#[tokio::test]
async fn what_the_app_may_not_write_does_not_stop_what_it_may() {
    let world =
        World::builder().destinations(["acme/infra:T", "org:acme:T"]).expires_in_days(5).start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]));
    let ran = as_app(rotate(&world)).run().await;
    assert_eq!(ran.rotation()["destinations"][0]["outcome"], "written", "{}", ran.everything());
    assert_eq!(ran.rotation()["destinations"][1]["outcome"], "not_read");
    assert!(
        world
            .github
            .tokens_given()
            .iter()
            .all(|given| !given.permissions.contains_key("organization_secrets"))
    );
}

#[tokio::test]
async fn codespaces_are_listed_with_the_right_to_write() {
    let world = World::builder().destinations(["codespaces+acme/infra:T"]).expires_in_days(60).start().await;
    world.github.install_app(Installation::at("acme", &["codespaces_secrets"]));
    let file = File::of_secrets(&world, &["'codespaces+acme/infra:T'"]);
    for run in [file.run("status", &world), file.rotate(&world).flag("--dry-run"), file.rotate(&world)] {
        let ran = as_app(run).run().await;
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    }
    let read_only = World::builder().destinations(["codespaces+acme/infra:T"]).start().await;
    read_only.github.install_app(Installation::at("acme", &[]).reads("codespaces_secrets"));
    let file = File::of_secrets(&read_only, &["'codespaces+acme/infra:T'"]);
    let ran = as_app(file.run("status", &read_only)).run().await;
    assert!(ran.stdout.contains("\\\"Codespaces secrets\\\": read and write"), "{}", ran.everything());
}

#[tokio::test]
async fn dependabot_takes_ids_as_strings() {
    let world = scene(&["dependabot+org:acme:T", "org:acme:T"]).await;
    world.github.switch(|switches| switches.dependabot_ids_are_strings = true);
    let ids = [world.github.add_repo("acme/a"), world.github.add_repo("acme/b")];
    for destination in world.destinations() {
        world.github.set_visibility(&destination, "selected", &ids);
    }
    assert_rotated(&world, &rotate(&world).run().await);
    for destination in world.destinations() {
        assert_eq!(world.github.secret(&destination).unwrap().selected, ids, "{destination}");
    }
}

#[tokio::test]
async fn one_refusal_is_reported_once_for_many_secrets() {
    let world = World::builder().destination_count(110).expires_in_days(13).start().await;
    world.github.change_credential(world.github_token(), GithubCredential::read_only);
    let text = error(&rotate(&world).run().await);
    assert_eq!(text.matches("Resource not accessible").count(), 1, "{text}");
}
