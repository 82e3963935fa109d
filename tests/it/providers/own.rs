//! A provider that the user describes in the configuration.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Notify;

use super::assert_sound;
use crate::support::provider::catalogue::CATALOGUE;
use crate::support::provider::{Service, TokenSpec, axiom, deepset, launchdarkly, softwareone};
use crate::support::{Fault, Faults, Invocation, Ran, Target, World};

/// The built-in file of this name.
fn built_in(name: &str) -> String {
    std::fs::read_to_string(format!("{}/src/catalogue/{name}.yml", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A scene of this service, with a credential that no built-in service would claim.
async fn world(service: &'static Service, original: TokenSpec) -> World {
    let admin = (service.admin)("crossfade").value("mine-0a1b2c3d4e5f60718293a4b5c6d7e8f9");
    World::builder().provider(service).original(original).admin(admin).start().await
}

/// `provider prove`, and the signal of a cancelled job right after this request.
async fn proof_stopped_after(world: &World, target: Target) -> Ran {
    let faults = Faults::none();
    let front = world.behind(&faults);
    let config = configuration(world, &built_in("deepset"));
    let text = std::fs::read_to_string(config.path()).unwrap();
    std::fs::write(config.path(), text.replace(&world.provider.url(), front.provider.url())).unwrap();
    let stopped = Arc::new(Notify::new());
    let stop = Arc::clone(&stopped);
    faults.inject(target, Fault::after(move |_| stop.notify_one()));
    let prove = Invocation::of("provider").flag("prove").flag("mine").credentials(world);
    let prove = prove.arg("--config", config.path().to_str().unwrap()).arg("--repository", "acme/infra");
    prove.run_until(stopped.notified()).await
}

#[tokio::test]
async fn a_proof_that_is_stopped_creates_nothing_or_deletes_what_it_created() {
    for (target, made) in [(Target::on("GET", "/token"), 0), (Target::on("POST", "/token"), 1)] {
        let world = world(&deepset::SERVICE, (deepset::SERVICE.ordinary)("ci-ingest")).await;
        let before = world.provider.tokens().len();
        let ran = proof_stopped_after(&world, target).await;
        assert_eq!(ran.exit_code, 1, "{}", ran.everything());
        assert!(ran.everything().contains("not done, because the run was stopped"), "{}", ran.everything());
        assert_eq!(world.provider.tokens().len(), before + made, "{}", ran.everything());
        assert_eq!(world.provider.live_tokens().len(), before, "{}", ran.everything());
        world.assert_no_violations();
    }
}

/// A configuration whose provider `mine` is described by `file`, and was proved: these files
/// do not say how long the field of the marker may be.
fn configuration(world: &World, file: &str) -> tempfile::NamedTempFile {
    let indented: String = file.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "providers:\n  mine:\n    unproved: the longest text\n{indented}rotations:\n- name: ci-ingest\n  provider: mine\n  provider_url: {}\n  with: {{ proved: \"yes\" }}\n  token: ci-ingest\n  secrets: [AXIOM_TOKEN]\n",
        world.provider.url()
    );
    let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
    std::fs::write(&file, text).unwrap();
    file
}

async fn run(world: &World, command: &[&str], config: &tempfile::NamedTempFile) -> Ran {
    let mut invocation = Invocation::of(command[0]);
    for argument in &command[1..] {
        invocation = invocation.flag(argument);
    }
    let invocation = invocation.credentials(world).arg("--config", config.path().to_str().unwrap());
    let invocation = invocation.arg("--repository", "acme/infra").arg("--request-timeout", "2s");
    if command[0] == "provider" {
        return invocation.run().await;
    }
    invocation.arg("--github-api-url", &world.github.url()).arg("--format", "json").run().await
}

/// What is built in works the same as a file of one's own.
#[tokio::test]
async fn a_file_of_ones_own_rotates_like_a_built_in_one() {
    for service in [&softwareone::SERVICE, &deepset::SERVICE, &launchdarkly::SERVICE] {
        let world = world(service, (service.ordinary)("ci-ingest")).await;
        let config = configuration(&world, &built_in(service.name));
        let ran = run(&world, &["rotate"], &config).await;
        assert_eq!(ran.exit_code, 0, "{}: {}", service.name, ran.everything());
        assert_eq!(ran.rotation()["outcome"], "rotated");
        assert_eq!(ran.rotation()["warnings"], json!([]), "it was proved");
        assert_sound(&world, &ran);
    }
}

#[tokio::test]
async fn a_check_prints_each_token_as_it_is_understood_and_changes_nothing() {
    let world = world(&deepset::SERVICE, (deepset::SERVICE.ordinary)("ci-ingest")).await;
    let config = configuration(&world, &built_in("deepset"));
    run(&world, &["rotate"], &config).await;
    world.provider.forget_requests();
    let ran = run(&world, &["provider", "check", "mine"], &config).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert!(ran.stdout.contains("3 tokens") && ran.stdout.contains(&world.original.id), "{}", ran.stdout);
    assert!(ran.stdout.contains("made by    this rotation"), "{}", ran.stdout);
    assert!(ran.stdout.contains("2026-05-31T09:00:00Z"), "{}", ran.stdout);
    assert!(world.provider.requests().iter().all(|request| request.method == "GET"));
    assert_eq!(crate::support::leaks::find_leaks(&ran.everything(), &world.secrets()), Vec::<String>::new());
}

#[tokio::test]
async fn a_proof_makes_one_token_and_leaves_nothing_behind() {
    for service in [&axiom::SERVICE, &softwareone::SERVICE, &deepset::SERVICE, &launchdarkly::SERVICE] {
        let world = world(service, (service.ordinary)("ci-ingest")).await;
        let config = configuration(&world, &built_in(service.name));
        let before = world.provider.live_tokens().len();
        let ran = run(&world, &["provider", "prove", "mine"], &config).await;
        assert_eq!(ran.exit_code, 0, "{}: {}", service.name, ran.everything());
        assert!(ran.stdout.contains("The provider works as its file says."), "{}", ran.stdout);
        assert_eq!(world.provider.live_tokens().len(), before, "{}", service.name);
        assert_eq!(world.provider.tokens().len(), before + 1, "{}: one was made", service.name);
        assert_eq!(world.unaccepted(), Vec::<String>::new(), "{}: the others are untouched", service.name);
        assert_eq!(
            crate::support::leaks::find_leaks(&ran.everything(), &world.secrets()),
            Vec::<String>::new()
        );
        world.assert_no_violations();
    }
}

/// A proof that meets a wrong file: the step that fails, and what is left.
async fn disproved(changes: &[(&str, &str)], step: &str) -> String {
    let admin = (deepset::SERVICE.admin)("ci-ingest");
    let world = world(&deepset::SERVICE, admin).await;
    let mut file = built_in("deepset");
    for (from, to) in changes {
        assert!(file.contains(from), "{from}");
        file = file.replacen(from, to, 1);
    }
    let config = configuration(&world, &file);
    let before = world.provider.live_tokens().len();
    let ran = run(&world, &["provider", "prove", "mine"], &config).await;
    assert_eq!(ran.exit_code, 1, "{step}: {}", ran.everything());
    let line = ran.stdout.lines().find(|line| line.contains(step)).unwrap_or_default().to_owned();
    assert!(line.starts_with("FAILED"), "{step}: {}", ran.everything());
    assert_eq!(world.provider.live_tokens().len(), before, "{step}: {}", ran.everything());
    assert_eq!(world.unaccepted(), Vec::<String>::new(), "{step}");
    line
}

#[tokio::test]
async fn an_error_names_the_request_and_the_key() {
    let said = disproved(&[("items: [/data, \"\"]", "items: /date")], "list the tokens").await;
    assert!(said.contains("GET /api/v1/") && said.contains("`list.items` (/date)"), "{said}");
    assert!(said.contains("it has data"), "{said}");
    let said = disproved(&[("form: rfc3339", "form: milliseconds")], "list the tokens").await;
    assert!(said.contains("`token.expires` (/expires_at)"), "{said}");
    let world = world(&deepset::SERVICE, (deepset::SERVICE.ordinary)("ci-ingest")).await;
    let wrong = built_in("deepset").replace("/api/v1", "/api/v1/v1");
    let ran = run(&world, &["provider", "check", "mine"], &configuration(&world, &wrong)).await;
    assert!(ran.stderr.contains("GET /api/v1/v1/"), "{}", ran.everything());
    let config = configuration(&world, &built_in("deepset"));
    let ran = run(&world, &["provider", "check", "nope"], &config).await;
    assert!(ran.stderr.contains("unknown provider `nope`"), "{}", ran.everything());
}

#[tokio::test]
async fn a_wrong_file_fails_its_proof_and_its_token_is_deleted() {
    disproved(&[("items: [/data, \"\"]", "items: /date")], "list the tokens").await;
    disproved(&[("form: rfc3339", "form: milliseconds")], "list the tokens").await;
    let forgotten = [
        (
            "organization_role: /organization_role",
            "organization_role: { at: /organization_role, copy: false }",
        ),
        ("    organization_role: <rights.organization_role>\n", ""),
    ];
    disproved(&forgotten, "compare its rights").await;
    let never =
        [("expires: true", "expires: false"), ("expires_at: <expires:rfc3339>", "other: <expires:rfc3339>")];
    disproved(&never, "compare its expiry").await;
    disproved(
        &[("unverified: [400,", "rejected: []\n  unverified: [400, 401,")],
        "see that its value is refused",
    )
    .await;
}

/// A scene of this service whose file has a mistake; the token is named by its id.
async fn mistaken(
    service: &'static Service,
    original: TokenSpec,
    (from, to): (&str, &str),
) -> (World, tempfile::NamedTempFile) {
    let world = world(service, original).await;
    let file = built_in(service.name);
    assert!(file.contains(from), "{from}");
    let config = configuration(&world, &file.replacen(from, to, 1));
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("token: ci-ingest", &format!("token: {}", world.original.id)))
        .unwrap();
    (world, config)
}

/// What a file expects and no reply has is a warning: the rotation would still work.
#[tokio::test]
async fn what_no_reply_has_is_a_warning() {
    let absent = "`token.name` (/lable) is absent from all 2 tokens";
    let (world, config) = mistaken(
        &softwareone::SERVICE,
        (softwareone::SERVICE.ordinary)("ci-ingest"),
        ("name: /name", "name: /lable"),
    )
    .await;
    let ran = run(&world, &["provider", "check", "mine"], &config).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert!(ran.stdout.ends_with(&format!("warning: {absent}\n")), "{}", ran.stdout);
    let ran = run(&world, &["provider", "prove", "mine"], &config).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert!(ran.stdout.contains(&format!("WARNING read the tokens: {absent}\n")), "{}", ran.stdout);
    assert!(!ran.stdout.contains("as its file says"), "{}", ran.stdout);

    // This token may read itself.
    let original = (deepset::SERVICE.admin)("ci-ingest");
    let (world, config) =
        mistaken(&deepset::SERVICE, original, ("shows: { /api_token_id:", "shows: { /key_id:")).await;
    let ran = run(&world, &["provider", "prove", "mine"], &config).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let warning = " was answered without /key_id. Every rotation would be *unverified*: see `verify.shows`\n";
    assert!(ran.stdout.contains(warning), "{}", ran.stdout);
    assert!(!ran.stdout.contains("as its file says"), "{}", ran.stdout);
    assert_eq!(crate::support::leaks::find_leaks(&ran.everything(), &world.secrets()), Vec::<String>::new());
}

#[tokio::test]
async fn the_built_in_files_can_be_listed_and_printed() {
    let ran = Invocation::of("provider").flag("list").run().await;
    assert!(ran.stdout.contains("https://api.platform.softwareone.com"), "{}", ran.everything());
    for service in crate::support::provider::ALL.into_iter().chain(CATALOGUE) {
        assert!(ran.stdout.contains(service.name));
        let shown = Invocation::of("provider").flag("show").flag(service.name).run().await;
        assert_eq!(shown.stdout, built_in(service.name));
    }
    let ran = Invocation::of("provider").flag("show").flag("nobody").run().await;
    assert_eq!(ran.exit_code, 2, "{}", ran.everything());
}
