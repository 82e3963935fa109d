//! `after`: workflows are started once every secret holds the new token.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::file::File;
use crate::scene::{Credential, PATIENT, Scene};
use crate::support::axiom::TokenSpec;
use crate::support::github::{APP_ID, Credential as GithubCredential, Installation, KEY_PKCS1, On};
use crate::support::{Fault, Invocation, Ran, Target, World};

const APP: &str = "acme/app";
const DEPLOY: &str = "deploy.yml";

/// Two rotations that are due, each with a secret of its own, and a workflow.
async fn world() -> World {
    let world = World::start().await;
    world.axiom.add_token(TokenSpec::ingest("other").expires_in_days(5));
    world.add_destination("acme/web:TOKEN");
    world.github.add_workflow(APP, DEPLOY);
    world
}

fn file(world: &World, git_ref: &str) -> File {
    let after = format!("after: [{{ repository: {APP}, workflow: {DEPLOY}{git_ref} }}]");
    File::of_rotations(
        world,
        &format!(
            "  - {{ name: ci-ingest, token: ci-ingest, secrets: [AXIOM_TOKEN], {after} }}\n  \
             - {{ name: other, token: other, secrets: ['acme/web:TOKEN'], {after} }}\n"
        ),
    )
}

/// The same, of the standard scene's rotation alone.
fn one(world: &World) -> File {
    let after = format!("after: [{{ repository: {APP}, workflow: {DEPLOY}, ref: main }}]");
    let rotation = format!("  - {{ name: ci-ingest, token: ci-ingest, secrets: [AXIOM_TOKEN], {after} }}\n");
    File::of_rotations(world, &rotation)
}

async fn started_world() -> World {
    let world = World::start().await;
    world.github.add_workflow(APP, DEPLOY);
    world
}

fn runs(world: &World) -> usize {
    world.github.runs(APP, DEPLOY).len()
}

/// The outcome of the workflow, by rotation.
fn outcomes(ran: &Ran) -> Vec<String> {
    let report = ran.json();
    let rotations = report["rotations"].as_array().unwrap().iter();
    rotations.map(|rotation| rotation["after"][0]["outcome"].as_str().unwrap().to_owned()).collect()
}

fn warnings(ran: &Ran) -> String {
    ran.rotation()["warnings"].to_string()
}

/// The same run without a flag and its value.
fn without(mut run: Invocation, flag: &str) -> Invocation {
    let at = run.arguments.iter().position(|argument| argument == flag).unwrap();
    run.arguments.drain(at..at + 2);
    run
}

/// The requests about workflows since the last look.
fn asked(world: &World) -> Vec<String> {
    let requests = world.github.requests().into_iter().filter(|it| it.path.contains("/actions/workflows/"));
    let asked = requests.map(|it| it.line()).collect();
    world.github.forget_requests();
    asked
}

#[tokio::test]
async fn a_workflow_is_started_once_however_many_rotations_name_it() {
    let world = world().await;
    let file = file(&world, ", ref: main");
    let ran = file.rotate(&world).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(outcomes(&ran), ["started", "started"]);
    let [run] = &world.github.runs(APP, DEPLOY)[..] else { panic!("{:?}", asked(&world)) };
    assert_eq!((run.event, run.git_ref.as_str()), ("workflow_dispatch", "main"));
    assert_eq!(world.not_started(), Vec::<String>::new());
    let path = format!("/repos/{APP}/actions/workflows/{DEPLOY}");
    assert_eq!(asked(&world), [format!("GET {path}"), format!("POST {path}/dispatches")]);

    world.advance_days(1);
    let ran = file.rotate(&world).run().await;
    assert_eq!(outcomes(&ran), ["has_run", "has_run"], "{}", ran.everything());
    assert_eq!(asked(&world), [format!("GET {path}/runs")], "one request within the overlap");

    world.advance_days(7);
    let ran = file.rotate(&world).run().await;
    assert_eq!(outcomes(&ran), ["not_due", "not_due"], "{}", ran.everything());
    assert_eq!(asked(&world), Vec::<String>::new(), "and none after it");
    assert_eq!(runs(&world), 1);
    world.assert_no_violations();
}

#[tokio::test]
async fn it_waits_for_every_secret_of_a_rotation_but_not_for_another_rotation() {
    let world = world().await;
    let file = file(&world, ", ref: main");
    world.github.break_scope("acme/infra", On::Writes, 500);
    world.github.break_scope("acme/web", On::Writes, 500);
    let fast = |run: Invocation| run.arg("--request-timeout", "50ms").arg("--deadline", "20s");
    let ran = fast(file.rotate(&world)).arg("--only", "ci-ingest").run().await;
    assert_eq!((ran.exit_code, outcomes(&ran), runs(&world)), (1, vec!["waiting".to_owned()], 0));

    world.advance(SignedDuration::from_hours(3));
    world.github.mend_scope("acme/infra");
    let ran = fast(file.rotate(&world)).run().await;
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    assert_eq!((outcomes(&ran), runs(&world)), (vec!["started".to_owned(); 2], 1), "{}", ran.everything());

    world.advance(SignedDuration::from_hours(3));
    world.github.repair();
    let ran = file.rotate(&world).run().await;
    assert_eq!((ran.exit_code, runs(&world)), (0, 2), "the other one was delivered: {}", ran.everything());
    assert_eq!(world.not_started(), Vec::<String>::new());
    world.assert_no_violations();
}

#[tokio::test]
async fn a_later_run_starts_what_a_killed_one_did_not() {
    for (starts_before, pushed, expected) in [(false, false, 1), (true, false, 1), (false, true, 1)] {
        let world = World::start().await;
        let scene = Scene::new(world, Credential::Admin).after(APP, DEPLOY);
        scene.run_killed_at(Target::on("POST", "/dispatches"), starts_before).await;
        scene.later();
        if pushed {
            scene.world.github.push(APP, DEPLOY);
        }
        let ran = scene.run().await;
        assert_eq!(ran.rotation()["outcome"], "fresh", "{}", ran.everything());
        assert_eq!(runs(&scene.world), expected, "{starts_before} {pushed}: {}", ran.everything());
        assert_eq!(scene.world.not_started(), Vec::<String>::new());
        scene.world.assert_no_violations();
    }
}

#[tokio::test]
async fn a_lost_reply_is_not_repeated_blindly() {
    for (fault, dispatches) in [
        (Fault::CloseAfter, 1),
        (Fault::Empty200, 1),
        (Fault::CloseBefore, 2),
        (Fault::SwallowedJson, 2),
        (Fault::Status { code: 500, processed: true }, 1),
        (Fault::Status { code: 503, processed: false }, 2),
        (Fault::TooMany { retry_after: Some(0) }, 2),
    ] {
        let scene = Scene::new(World::start().await, Credential::Admin).after(APP, DEPLOY);
        let name = fault.to_string();
        scene.faults.inject(Target::on("POST", "/dispatches"), fault);
        let ran = scene.rotate(PATIENT / 20).run().await;
        let sent = scene.faults.passed().iter().filter(|it| it.path.ends_with("/dispatches")).count();
        assert_eq!((runs(&scene.world), sent), (1, dispatches), "{name}: {}", ran.everything());
        assert_eq!(outcomes(&ran), ["started"], "{name}: {}", ran.everything());
        scene.world.assert_no_violations();
    }
}

#[tokio::test]
async fn a_list_that_lags_costs_a_second_start_and_never_the_first() {
    let scene = Scene::new(World::start().await, Credential::Admin).after(APP, DEPLOY);
    scene.world.github.switch(|switches| switches.run_lag = SignedDuration::from_hours(1));
    scene.faults.inject(Target::on("POST", "/dispatches"), Fault::CloseAfter);
    let ran = scene.rotate(PATIENT / 20).run().await;
    assert_eq!((outcomes(&ran), runs(&scene.world)), (vec!["started".to_owned()], 2), "{}", ran.everything());
}

/// A change that keeps a workflow from being started, and what the report says of it.
type Refusal = (fn(&World), &'static [&'static str]);

#[tokio::test]
async fn a_refusal_is_a_warning_with_its_reason_and_the_next_run_tries_again() {
    let refusals: &[Refusal] = &[
        (
            |world| world.github.change_workflow(APP, DEPLOY, |one| one.is_dispatchable = false),
            &["Workflow does not have 'workflow_dispatch' trigger", "Add `workflow_dispatch:`"],
        ),
        (
            |world| world.github.change_workflow(APP, DEPLOY, |one| one.required_input = Some("target")),
            &["Required input 'target' not provided", "crossfade sends none"],
        ),
        (
            |world| world.github.change_workflow(APP, DEPLOY, |one| one.state = "disabled_manually"),
            &["on a disabled workflow", "Enable the workflow"],
        ),
        (
            |world| {
                world.github.change_credential(world.github_token(), |one| one.without("actions"));
            },
            &["403", "repository permission \"Actions\": read and write (GitHub asks for actions=write)"],
        ),
        (|world| world.github.set_archived(APP, true), &["Repository was archived"]),
    ];
    for (refuse, expected) in refusals {
        let world = started_world().await;
        refuse(&world);
        let file = one(&world);
        let ran = file.rotate(&world).run().await;
        let rotation = ran.rotation();
        assert_eq!((ran.exit_code, &rotation["outcome"]), (0, &json!("rotated")), "{}", ran.everything());
        assert_eq!(world.undelivered(), Vec::<String>::new());
        let warnings: Vec<&str> =
            rotation["warnings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let [warning] = warnings[..] else { panic!("{warnings:?}") };
        assert!(warning.starts_with("workflow deploy.yml of acme/app was not started: "), "{warning}");
        assert!(warning.ends_with("A run before 2026-03-09T09:00:00Z tries again"), "{warning}");
        for part in *expected {
            assert!(warning.contains(part), "{part}: {warning}");
        }
        assert_eq!((&rotation["after"][0]["outcome"], runs(&world)), (&json!("failed"), 0));

        world.advance_days(1);
        world.github.set_archived(APP, false);
        world.github.change_workflow(APP, DEPLOY, |one| {
            (one.is_dispatchable, one.required_input, one.state) = (true, None, "active");
        });
        let writer = GithubCredential::new("writer", world.github_token());
        world.github.change_credential(world.github_token(), |_| writer);
        let ran = file.rotate(&world).run().await;
        assert_eq!((outcomes(&ran), runs(&world)), (vec!["started".to_owned()], 1), "{}", ran.everything());
        assert_eq!(ran.rotation()["outcome"], "fresh");
        world.assert_no_violations();
    }
}

#[tokio::test]
async fn the_preflight_warns_and_never_blocks() {
    let world = World::start().await;
    world.github.add_repo(APP);
    let file = one(&world);
    let ran = file.rotate(&world).flag("--dry-run").run().await;
    assert_eq!((ran.exit_code, &ran.rotation()["outcome"]), (0, &json!("planned")), "{}", ran.everything());
    let warning = warnings(&ran);
    assert!(
        warning.contains("workflow deploy.yml of acme/app cannot be started after the rotation"),
        "{warning}"
    );
    assert!(warning.contains("no such workflow") && warning.contains("Check `repository`"), "{warning}");
    assert!(world.github.requests().iter().all(|it| it.method == "GET"));

    let ran = file.run("doctor", &world).run().await;
    assert!(ran.stdout.contains("cannot be started after the rotation"), "{}", ran.everything());

    world.github.add_workflow(APP, DEPLOY);
    world.github.change_workflow(APP, DEPLOY, |one| one.state = "disabled_inactivity");
    let ran = file.rotate(&world).flag("--dry-run").run().await;
    assert!(
        warnings(&ran).contains("its state is \\\"disabled_inactivity\\\". Enable"),
        "{}",
        ran.everything()
    );

    let ran = file.rotate(&world).run().await;
    assert_eq!((ran.exit_code, &ran.rotation()["outcome"]), (0, &json!("rotated")), "{}", ran.everything());
    assert!(warnings(&ran).contains("was not started"), "{}", ran.everything());
    world.assert_no_violations();
}

#[tokio::test]
async fn a_dry_run_and_status_say_what_would_be_started() {
    let world = started_world().await;
    let file = one(&world);
    let planned = async |command: &str, flags: &[&str]| {
        let run = flags.iter().fold(file.run(command, &world), |run, flag| run.flag(flag));
        let json = run.run().await;
        assert_eq!(outcomes(&json), ["planned"], "{}", json.everything());
        without(run, "--format").run().await.stdout
    };
    let plan = planned("rotate", &["--dry-run"]).await;
    assert!(plan.contains("+ start   workflow deploy.yml of acme/app, once every secret holds"), "{plan}");
    assert!(plan.contains("write 1 secret, start 1 workflow. Nothing was changed"), "{plan}");
    let status = planned("status", &[]).await;
    assert!(
        status.contains("the next run starts workflow deploy.yml of acme/app, after ci-ingest"),
        "{status}"
    );

    world.github.change_workflow(APP, DEPLOY, |one| one.is_dispatchable = false);
    file.rotate(&world).run().await;
    world.github.forget_requests();
    let plan = planned("rotate", &["--dry-run"]).await;
    assert!(plan.starts_with("would start ci-ingest") && plan.contains("which has not run since"), "{plan}");
    let status = planned("status", &[]).await;
    assert!(status.contains("it has not run since ci-ingest was delivered"), "{status}");
    assert!(world.github.requests().iter().all(|it| it.method == "GET"));
    assert_eq!(runs(&world), 0);
}

#[tokio::test]
async fn without_a_ref_it_is_started_on_the_default_branch() {
    let world = world().await;
    world.github.switch(|switches| switches.shows_started_runs = true);
    let ran = file(&world, "").rotate(&world).run().await;
    assert_eq!(outcomes(&ran), ["started", "started"], "{}", ran.everything());
    assert_eq!(world.github.runs(APP, DEPLOY)[0].git_ref, "main");
    assert_eq!(ran.rotation()["after"][0]["ref"], Value::Null);
    world.assert_no_violations();
}

#[tokio::test]
async fn a_renamed_repository_is_followed() {
    let world = started_world().await;
    let file = one(&world);
    world.github.rename(APP, "acme/renamed");
    let ran = file.rotate(&world).run().await;
    assert_eq!(outcomes(&ran), ["started"], "{}", ran.everything());
    assert_eq!(world.github.runs("acme/renamed", DEPLOY).len(), 1);
    world.advance_days(1);
    let ran = file.rotate(&world).run().await;
    assert_eq!(outcomes(&ran), ["has_run"], "{}", ran.everything());
    world.assert_no_violations();
}

#[tokio::test]
async fn an_app_asks_for_the_permission_that_a_start_takes() {
    for (granted, expected) in [(["secrets", "actions"], "started"), (["secrets", "contents"], "failed")] {
        let world = started_world().await;
        world.github.install_app(Installation::at("acme", &granted));
        let file = one(&world);
        let mut rotate = file.rotate(&world);
        rotate.environment.remove("CROSSFADE_GITHUB_TOKEN");
        let as_app = |run: Invocation| {
            run.env("CROSSFADE_GITHUB_APP_ID", APP_ID).env("CROSSFADE_GITHUB_APP_PRIVATE_KEY", KEY_PKCS1)
        };
        let ran = as_app(rotate.clone()).flag("--dry-run").run().await;
        let lacks =
            warnings(&ran).contains("lacks the repository permission \\\"Actions\\\": read and write");
        assert_eq!(lacks, expected == "failed", "{}", ran.everything());
        let ran = as_app(rotate).run().await;
        assert_eq!((outcomes(&ran), ran.exit_code), (vec![expected.to_owned()], 0), "{}", ran.everything());
        let given = world.github.tokens_given();
        let actions = given.last().unwrap().permissions.get("actions").map(String::as_str);
        assert_eq!(actions, (expected == "started").then_some("write"));
        world.assert_no_violations();
    }
}

#[tokio::test]
async fn a_cancelled_run_leaves_the_start_to_the_next() {
    let scene = Scene::new(World::start().await, Credential::Admin).after(APP, DEPLOY);
    let stopped = Arc::new(Notify::new());
    let stop = Arc::clone(&stopped);
    scene.faults.inject(Target::on("PUT", "/secrets/AXIOM_TOKEN"), Fault::after(move |_| stop.notify_one()));
    let ran = scene.rotate(PATIENT).run_until(stopped.notified()).await;
    assert_eq!((outcomes(&ran), runs(&scene.world)), (vec!["failed".to_owned()], 0), "{}", ran.everything());
    assert_eq!((ran.exit_code, &ran.rotation()["outcome"]), (0, &json!("rotated")));
    scene.later();
    let ran = scene.run().await;
    assert_eq!((outcomes(&ran), runs(&scene.world)), (vec!["started".to_owned()], 1), "{}", ran.everything());
}

#[tokio::test]
async fn the_report_shows_it_to_people_and_to_the_runner() {
    let world = started_world().await;
    let files = tempfile::tempdir().unwrap();
    let (output, summary) = (files.path().join("output"), files.path().join("summary"));
    let file = one(&world);
    let run = || {
        without(file.rotate(&world), "--format")
            .on_actions(output.clone(), summary.clone())
            .env("NO_COLOR", "1")
    };
    world.github.change_workflow(APP, DEPLOY, |one| one.is_dispatchable = false);
    let ran = run().run().await;
    let warning = "::warning title=crossfade%3A ci-ingest::workflow deploy.yml of acme/app was not started: ";
    assert!(ran.stderr.contains(warning), "{}", ran.everything());
    assert!(std::fs::read_to_string(&summary).unwrap().contains("### ⚠️ Warnings"));
    assert!(
        ran.stdout.contains("  warning         workflow deploy.yml of acme/app was not started"),
        "{}",
        ran.stdout
    );

    world.github.change_workflow(APP, DEPLOY, |one| one.is_dispatchable = true);
    let ran = run().run().await;
    assert!(ran.stdout.contains("  started         workflow deploy.yml of acme/app\n"), "{}", ran.stdout);
    let page = std::fs::read_to_string(&summary).unwrap();
    assert!(page.contains("<br>started: workflow deploy&#46;yml of acme/app"), "{page}");
    assert!(!ran.stderr.contains("::warning"), "{}", ran.stderr);
}

#[tokio::test]
async fn check_refuses_what_cannot_be_a_workflow() {
    let world = World::start().await;
    let check = async |after: &str| {
        let rotation = format!("  - {{ name: a, token: a, secrets: [A], after: [{after}] }}\n");
        let more = "  - { name: b, token: b, secrets: [B], after: [{ workflow: deploy.yml, ref: main }] }\n";
        let file = File::of_rotations(&world, &(rotation + more));
        without(file.run("check", &world), "--github-api-url").run().await
    };
    for (after, message) in [
        ("{ workflow: .github/workflows/deploy.yml }", "write the name of the file alone"),
        ("{ workflow: deploy }", "or the workflow's numeric id"),
        ("{ workflow: '' }", "the text is empty"),
        ("{ repository: acme/api }", "has no `workflow`"),
        ("{ workflow: a.yml, ref: 'a b' }", "invalid branch or tag"),
        ("{ workflow: a.yml, repository: acme }", "expected owner/name"),
        ("{ worflow: a.yml }", "did you mean `workflow`?"),
        ("{ workflow: a.yml, inputs: {} }", "unknown key `inputs`"),
        ("{ workflow: a.yml }, { workflow: a.yml }", "is listed twice"),
        ("{ workflow: a.yml }, { repository: ACME/infra, workflow: a.yml }", "is listed twice"),
        ("{ workflow: deploy.yml, ref: next }", "has another `ref` at another rotation"),
        ("deploy.yml", "expected a mapping"),
    ] {
        let ran = check(after).await;
        assert_eq!(ran.exit_code, 2, "{after}: {}", ran.everything());
        assert!(ran.everything().contains(message), "{after}: {}", ran.everything());
    }
    for after in [
        "{ workflow: deploy.yml, ref: main }",
        "{ workflow: 161335 }, { workflow: a.yaml, repository: x/y }",
        "",
    ] {
        let ran = check(after).await;
        assert_eq!(ran.exit_code, 0, "{after}: {}", ran.everything());
    }
}
