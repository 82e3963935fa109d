//! A GitHub App in place of a personal access token.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::json;

use crate::file::File;
use crate::support::github::{APP_ID, Installation, KEY_OF_A_STRANGER, KEY_PKCS1, KEY_PKCS8};
use crate::support::leaks::find_leaks;
use crate::support::{Invocation, Ran, VirtualClock, World};

fn with_key(mut invocation: Invocation, key: &str) -> Invocation {
    invocation.environment.remove("CROSSFADE_GITHUB_TOKEN");
    invocation.env("CROSSFADE_GITHUB_APP_ID", APP_ID).env("CROSSFADE_GITHUB_APP_PRIVATE_KEY", key)
}

fn rotate(world: &World) -> Invocation {
    with_key(Invocation::rotate(world).arg("--format", "json"), KEY_PKCS1)
}

#[track_caller]
fn assert_rotated(world: &World, ran: &Ran) {
    assert_eq!((ran.exit_code, &ran.rotation()["outcome"]), (0, &json!("rotated")), "{}", ran.everything());
    assert_eq!(world.undelivered(), Vec::<String>::new());
    world.assert_no_violations();
}

#[track_caller]
/// What went wrong, and what to do.
fn error(ran: &Ran) -> String {
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    let rotation = ran.rotation();
    format!("{} {}", rotation["error"].as_str().unwrap(), rotation["steps"]).replace("\\\"", "\"")
}

#[tokio::test]
async fn every_form_of_the_key_signs_in() {
    let escaped = KEY_PKCS1.replace('\n', "\\n");
    for key in [KEY_PKCS1, KEY_PKCS8, escaped.as_str()] {
        let world = World::start().await;
        world.github.install_app(Installation::at("acme", &["secrets"]));
        let ran = with_key(Invocation::rotate(&world).arg("--format", "json"), key).run().await;
        assert_rotated(&world, &ran);
        assert_eq!(world.github.secret("acme/infra:AXIOM_TOKEN").unwrap().by, "app");
    }
}

#[tokio::test]
async fn a_key_that_is_none_or_another_s_is_refused_in_words() {
    let world = World::start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]));
    let ran = with_key(Invocation::rotate(&world).arg("--format", "json"), KEY_OF_A_STRANGER).run().await;
    assert!(
        error(&ran).contains("its id and its private key do not belong together"),
        "{}",
        ran.everything()
    );
    assert!(world.marked_tokens().is_empty(), "nothing was minted");
    let half = &KEY_PKCS1[..KEY_PKCS1.len() / 2];
    let ran = with_key(Invocation::rotate(&world).arg("--format", "json"), half).run().await;
    assert_eq!(ran.exit_code, 2, "{}", ran.everything());
    assert!(ran.stderr.contains("no whole PEM file"), "{}", ran.stderr);
}

#[tokio::test]
async fn each_owner_has_one_token_that_is_good_for_no_more_than_is_needed() {
    let destinations =
        ["acme/infra:T", "dependabot+acme/api:T", "acme/api@live:T", "Widgets/shop:T", "org:gadgets:T"];
    let world = World::builder().destinations(destinations).start().await;
    world.github.add_repo("acme/unrelated");
    let everything = &["secrets", "dependabot_secrets", "environments", "contents", "administration"];
    world.github.install_app(Installation::at("acme", everything));
    world.github.install_app(Installation::at("widgets", everything).of_user());
    world.github.install_app(Installation::at("gadgets", &["organization_secrets", "members"]));
    assert_rotated(&world, &rotate(&world).run().await);
    let mut given = world.github.tokens_given();
    given.sort_by(|a, b| a.owner.cmp(&b.owner));
    let shown: Vec<_> = given
        .iter()
        .map(|one| {
            (
                one.owner.as_str(),
                json!(one.permissions),
                one.repositories.clone().map(|names| names.join(" ")),
            )
        })
        .collect();
    let acme = json!({"dependabot_secrets": "write", "environments": "write", "secrets": "write", "metadata": "read"});
    assert_eq!(
        shown,
        [
            ("acme", acme, Some("acme/api acme/infra".to_owned())),
            ("gadgets", json!({"organization_secrets": "write", "metadata": "read"}), None),
            ("widgets", json!({"secrets": "write", "metadata": "read"}), Some("widgets/shop".to_owned())),
        ]
    );
}

#[tokio::test]
async fn a_run_that_only_looks_asks_for_no_right_to_write() {
    let world = World::start().await;
    let reader = Installation::at("acme", &[]).reads("secrets");
    world.github.install_app(reader.clone());
    let file = File::of_secrets(&world, &["AXIOM_TOKEN"]);
    let status = with_key(file.run("status", &world), KEY_PKCS1);
    let ran = status.run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(world.github.tokens_given()[0].permissions["secrets"], "read");
    // A dry run reports the permission that a run would lack.
    let ran = rotate(&world).flag("--dry-run").run().await;
    assert!(error(&ran).contains("\"Secrets\": read and write"), "{}", ran.everything());
    let world = World::start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]));
    let ran = rotate(&world).flag("--dry-run").run().await;
    assert_eq!(ran.rotation()["outcome"], "planned", "{}", ran.everything());
    assert_eq!(world.github.tokens_given()[0].permissions["secrets"], "read");
}

#[tokio::test]
async fn what_the_installation_lacks_is_named_before_anything_is_minted() {
    let world =
        World::builder().destinations(["acme/infra:T", "org:acme:T"]).expires_in_days(12).start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]).reads("organization_secrets"));
    let ran = rotate(&world).run().await;
    let text = error(&ran);
    assert!(
        text.contains("the GitHub App lacks the organization permission \"Secrets\": read and write"),
        "{text}"
    );
    assert!(text.contains("accept the change where it is installed"), "{text}");
    assert!(world.marked_tokens().is_empty());
    // What can be served is read all the same.
    let given = world.github.tokens_given();
    assert!(given.iter().all(|one| one.permissions["secrets"] == "write"), "{given:?}");

    let file = File::of_secrets(
        &world,
        &["{ repository: acme/infra, environment: new, create_environment: true, name: T }"],
    );
    let ran = with_key(file.rotate(&world), KEY_PKCS1).run().await;
    let text = error(&ran);
    for permission in
        ["\"Environments\": read and write", "\"Administration\": read and write", "\"Actions\": read"]
    {
        assert!(text.contains(permission), "{permission} in {text}");
    }
}

#[tokio::test]
async fn an_app_that_is_not_there_is_an_error_that_says_so() {
    let world = World::start().await;
    let ran = rotate(&world).run().await;
    assert!(error(&ran).contains("the GitHub App is not installed at acme"), "{}", ran.everything());
    world.github.install_app(Installation { suspended: true, ..Installation::at("acme", &["secrets"]) });
    let ran = rotate(&world).run().await;
    assert!(error(&ran).contains("installation at acme is suspended"), "{}", ran.everything());
}

#[tokio::test]
async fn one_repository_that_is_not_covered_fails_alone() {
    let destinations = ["acme/infra:T", "acme/other:T"];
    let world = World::builder().destinations(destinations).expires_in_days(12).start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]).only(&["acme/infra"]));
    let ran = rotate(&world).run().await;
    let text = error(&ran);
    assert!(
        text.contains("acme/other:T cannot be read or written") && !text.contains("acme/infra:T"),
        "{text}"
    );
    // Rather than let the token die, those that can be served are.
    world.advance_days(6);
    let ran = rotate(&world).run().await;
    assert_eq!(ran.rotation()["destinations"][0]["outcome"], "written", "{}", ran.everything());
    assert_eq!(ran.rotation()["destinations"][1]["outcome"], "not_read");
    let last = world.github.tokens_given().pop().unwrap();
    assert_eq!(last.repositories, Some(vec!["acme/infra".to_owned()]), "still narrowed");
}

#[tokio::test]
async fn a_renamed_repository_is_covered_by_its_old_name() {
    let world = World::builder().destinations(["acme/infra:T", "acme/other:T"]).start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]));
    world.github.rename("acme/other", "acme/renamed");
    assert_rotated(&world, &rotate(&world).run().await);
    let last = world.github.tokens_given().pop().unwrap();
    assert_eq!(last.repositories, Some(vec!["acme/infra".to_owned(), "acme/renamed".to_owned()]));
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let world = World::start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]));
    // Five minutes before its end a token is too old, and every request takes a
    // second: the first one is used for a while, and not for the write.
    world.github.switch(|switches| switches.installation_token_life = Some(SignedDuration::from_secs(302)));
    world.clock.set_per_request(SignedDuration::from_secs(1));
    assert_rotated(&world, &rotate(&world).run().await);
    let given = world.github.tokens_given();
    let of = |method: &str, end: &str| {
        let requests = world.github.requests();
        let request = requests.iter().find(|r| r.method == method && r.path.ends_with(end)).unwrap();
        request.header("authorization").unwrap().trim_start_matches("Bearer ").to_owned()
    };
    assert_eq!(of("GET", "/actions/secrets"), given[0].value);
    assert_eq!(of("PUT", "/AXIOM_TOKEN"), given.last().unwrap().value);
    assert_ne!(given[0].value, given.last().unwrap().value);
    assert!(world.github.requests().iter().all(|request| request.status < 400));
}

#[tokio::test]
async fn a_token_that_ends_early_is_replaced_once() {
    let world = World::start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]));
    let detached = world.detached();
    world.github.observers().add(Arc::new(move |event| {
        if event.what.contains("public-key") {
            detached.github.revoke("app");
        }
    }));
    assert_rotated(&world, &rotate(&world).run().await);
    assert_eq!(world.github.tokens_given().len(), 2);
}

#[tokio::test]
async fn github_s_clock_is_the_one_that_counts() {
    // Every server's clock is years away from this machine's.
    let years_ahead = VirtualClock::at("2041-07-01T12:00:00Z".parse().unwrap());
    let world = World::builder().clock(years_ahead).start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]));
    assert_rotated(&world, &rotate(&world).run().await);
    let first = &world.github.requests()[0];
    assert_eq!((first.path.as_str(), first.header("authorization")), ("/rate_limit", None));
}

#[tokio::test]
async fn neither_key_nor_tokens_are_shown_and_tokens_are_masked_on_actions() {
    let world = World::start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]));
    let folder = tempfile::tempdir().unwrap();
    let (output, summary) = (folder.path().join("output"), folder.path().join("summary"));
    let ran = rotate(&world).flag("-vv").on_actions(output.clone(), summary.clone()).run().await;
    assert_rotated(&world, &ran);
    let token = world.github.tokens_given()[0].value.clone();
    let mask = format!("::add-mask::{token}\n");
    assert_eq!(ran.stderr.matches(&mask).count(), 1);
    let printed = ran.stderr.lines().filter(|line| !line.starts_with("::add-mask::"));
    let files = [output, summary].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let everything =
        format!("{}\n{}\n{}", printed.collect::<Vec<_>>().join("\n"), ran.stdout, files.concat());
    let secrets: Vec<String> = [token, KEY_PKCS1.to_owned()].into();
    assert!(find_leaks(&everything, &secrets).is_empty());
    // Off Actions no value is ever printed.
    let world = World::start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]));
    let ran = rotate(&world).flag("-vv").run().await;
    let secrets: Vec<String> = world.github.tokens_given().into_iter().map(|given| given.value).collect();
    assert!(!secrets.is_empty() && find_leaks(&ran.everything(), &secrets).is_empty());
}

#[tokio::test]
async fn a_thousand_repositories_are_more_than_a_token_can_name() {
    let world = World::builder().destination_count(501).start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]));
    assert_rotated(&world, &rotate(&world).run().await);
    assert_eq!(world.github.tokens_given().len(), 1);
    assert_eq!(world.github.tokens_given()[0].repositories, None);
}
