//! What a report states must be true: what was not read, when the next run mints,
//! which name was meant, and what is missing where a file could not be written.

use std::sync::Arc;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::github::On;
use crate::support::provider::{ALL, FURTHER};
use crate::support::{Fault, Faults, Invocation, Target, World};

fn in_json(invocation: Invocation) -> Invocation {
    invocation.arg("--format", "json")
}

fn status(world: &World) -> Invocation {
    let mut status = Invocation::rotate(world);
    "status".clone_into(&mut status.arguments[0]);
    status
}

#[tokio::test]
async fn a_secret_that_was_never_read_is_not_said_to_be_missing() {
    let world = World::builder().destination_count(2).start().await;
    for command in [status(&world), Invocation::rotate(&world)] {
        let stopped = in_json(command.clone()).run_until(std::future::ready(())).await;
        assert_eq!(stopped.exit_code, 1, "{}", stopped.everything());
        for destination in stopped.rotation()["destinations"].as_array().unwrap() {
            assert_eq!((&destination["outcome"], &destination["error"]), (&json!("not_read"), &Value::Null));
        }
        let ran = command.run_until(std::future::ready(())).await;
        assert!(ran.stdout.contains("not read"), "{}", ran.everything());
        assert!(!ran.stdout.contains("no such secret"), "{}", ran.everything());
    }
}

#[tokio::test]
async fn a_secret_whose_read_failed_is_not_read() {
    let world = World::builder().destination_count(2).expires_in_days(60).start().await;
    world.github.break_scope("acme/service-1", On::All, 404);
    for command in [status(&world), Invocation::rotate(&world), Invocation::rotate(&world).flag("--dry-run")]
    {
        let ran = in_json(command).run().await;
        let [read, unread] = [0, 1].map(|n| ran.rotation()["destinations"][n].clone());
        assert_ne!(read["outcome"], "not_read", "{}", ran.everything());
        assert_eq!(unread["outcome"], "not_read", "{}", ran.everything());
        assert!(unread["error"].as_str().unwrap().contains("acme/service-1"), "{unread}");
        assert_eq!(ran.exit_code, 1);
    }
}

/// Of a secret that can be read and not prepared the report still knows its date.
#[tokio::test]
async fn what_was_read_stays_known_when_it_cannot_be_prepared() {
    let world = World::builder().destination_count(2).expires_in_days(10).start().await;
    let faults = Faults::none();
    let front = world.behind(&faults);
    let keys = Target::on("GET", "service-1/actions/secrets/public-key");
    faults.inject_times(keys, Fault::Status { code: 404, processed: false }, 9);
    let run = Invocation::of("rotate").scene(&world, front.github.url(), front.provider.url());
    let ran = in_json(run).run().await;
    let unprepared = &ran.rotation()["destinations"][1];
    assert_eq!(unprepared["outcome"], "failed", "{}", ran.everything());
    assert!(unprepared["updated_at"].is_string(), "{unprepared}");
}

#[tokio::test]
async fn there_is_no_date_where_the_next_run_mints() {
    let next = |ran: &crate::support::Ran| ran.rotation()["next_rotation_at"].clone();
    // A destination that refuses the new token.
    let world = World::builder().destination_count(2).start().await;
    world.github.break_scope("acme/service-1", On::Writes, 403);
    let folder = tempfile::tempdir().unwrap();
    let (output, summary) = (folder.path().join("output"), folder.path().join("summary"));
    let ran = in_json(Invocation::rotate(&world)).on_actions(output.clone(), summary.clone()).run().await;
    assert_eq!((ran.exit_code, next(&ran)), (1, Value::Null), "{}", ran.everything());
    let outputs = std::fs::read_to_string(&output).unwrap();
    let mut lines = outputs.lines().skip_while(|line| !line.starts_with("next-rotation-at<<"));
    assert_eq!(lines.nth(1), Some(""), "{outputs}");
    // A due token, planned or looked at.
    let world = World::start().await;
    for command in [status(&world), Invocation::rotate(&world).flag("--dry-run")] {
        let ran = in_json(command).run().await;
        assert_eq!(next(&ran), Value::Null, "{}", ran.everything());
    }
    // One that is forced and not due keeps its date.
    let world = World::builder().expires_in_days(60).start().await;
    let ran = in_json(Invocation::rotate(&world)).flag("--dry-run").flag("--force").run().await;
    assert!(next(&ran).is_string(), "{}", ran.everything());
    let ran = in_json(Invocation::rotate(&world)).run().await;
    assert!(ran.exit_code == 0 && next(&ran).is_string(), "{}", ran.everything());
}

#[tokio::test]
async fn a_misspelt_token_is_named_with_the_nearest() {
    for service in ALL.into_iter().chain(FURTHER) {
        let world = World::builder().provider(service).start().await;
        let mut run = Invocation::rotate(&world);
        let name = run.arguments.iter().position(|argument| argument == "ci-ingest").unwrap();
        "ci-ingets".clone_into(&mut run.arguments[name]);
        let ran = in_json(run.clone()).run().await;
        assert_eq!(ran.exit_code, 1, "{}", ran.everything());
        let error = ran.rotation()["error"].as_str().unwrap().to_owned();
        let said = "No token named `ci-ingets`. Did you mean `ci-ingest`? The provider credential sees ";
        assert!(error.starts_with(said) && error.ends_with(" Nothing was changed."), "{error}");
        // Some services do not list the credential.
        assert!(["sees 1 token.", "sees 2 tokens."].iter().any(|count| error.contains(count)), "{error}");
        assert!(!ran.everything().contains("valid any more"), "{}", ran.everything());
        "something-else".clone_into(&mut run.arguments[name]);
        let ran = in_json(run).run().await;
        let error = ran.rotation()["error"].as_str().unwrap().to_owned();
        assert!(
            error.starts_with("No token named `something-else`") && !error.contains("Did you mean"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_changes_no_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().to_owned();
    let world = World::start().await;
    let ran = in_json(Invocation::rotate(&world)).on_actions(nowhere.clone(), nowhere).run().await;
    assert_eq!((ran.exit_code, &ran.rotation()["outcome"]), (0, &json!("rotated")), "{}", ran.everything());
    let warnings: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("::warning ")).collect();
    assert!(
        warnings.iter().any(|line| line.contains("next-rotation-at") && line.contains("are missing")),
        "{warnings:?}"
    );
    assert!(warnings.iter().any(|line| line.contains("the job summary is missing")), "{warnings:?}");
}

/// Whoever sees a value sealed to such a key can open it.
#[tokio::test]
async fn a_public_key_that_protects_nothing_is_found_before_the_mint() {
    let mut near_p = [0xff_u8; 32];
    (near_p[0], near_p[31]) = (0xed, 0x7f);
    let mut one = [0_u8; 32];
    one[0] = 1;
    for key in [[0; 32], one, near_p] {
        let world = World::builder().expires_in_days(10).start().await;
        let faults = Faults::none();
        let front = world.behind(&faults);
        let key = base64::engine::general_purpose::STANDARD.encode(key);
        let rewrite = move |_: &mut Vec<(String, Vec<u8>)>, body: &mut Vec<u8>| {
            let mut reply: Value = serde_json::from_slice(body).unwrap();
            reply["key"] = json!(key);
            *body = reply.to_string().into_bytes();
        };
        faults.inject_times(Target::on("GET", "public-key"), Fault::Rewrite(Arc::new(rewrite)), 9);
        let run = Invocation::of("rotate").scene(&world, front.github.url(), front.provider.url());
        let ran = in_json(run).run().await;
        assert_eq!(ran.exit_code, 1, "{}", ran.everything());
        assert!(
            ran.rotation()["error"].as_str().unwrap().contains("protects nothing"),
            "{}",
            ran.everything()
        );
        assert!(world.marked_tokens().is_empty(), "nothing was minted");
    }
}

#[tokio::test]
async fn a_file_full_of_mistakes_is_reported_at_once_and_briefly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crossfade.yml");
    let mut text =
        "rotations:\n  - name: ci\n    provider: axiom\n    token: ci\n    secrets: [A]\n".to_owned();
    (0..40_000).for_each(|n| text.push_str(&format!("    unknown_{n}: 1\n")));
    std::fs::write(&path, text).unwrap();
    let check = Invocation::of("check").arg("--config", path.to_str().unwrap()).env("GITHUB_ACTIONS", "true");
    let began = std::time::Instant::now();
    let ran = check.run().await;
    // Built for tests and on a busy machine; it took minutes.
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    assert_eq!(ran.exit_code, 2);
    assert_eq!(ran.stderr.matches("error: unknown key").count(), 100, "{}", ran.stderr.len());
    assert!(ran.stderr.contains("Only the first 100 problems are shown."), "{}", ran.stderr.len());
    assert_eq!(ran.stderr.matches("::error ").count(), 100);
}
