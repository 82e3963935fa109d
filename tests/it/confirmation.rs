//! The question at a terminal before tokens are ended at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossfade::Input;
use serde_json::json;

use crate::file::File;
use crate::support::axiom::TokenSpec;
use crate::support::{Invocation, Ran, World};

const QUESTION: &str = "Continue? With no, nothing is changed. [y/N] ";

/// A forced rotation that ends the token at once.
fn emergency(world: &World) -> Invocation {
    Invocation::rotate(world).flag("--force").arg("--overlap", "0h").arg("--format", "json")
}

fn said(answer: &str) -> Option<String> {
    Some(answer.to_owned())
}

/// Requests that change something, or try whether that is possible.
fn changes(world: &World) -> Vec<String> {
    let requests = world.github.requests().into_iter().chain(world.axiom.requests());
    requests.filter(|one| one.method != "GET").map(|one| format!("{} {}", one.method, one.path)).collect()
}

fn asked(ran: &Ran) -> usize {
    ran.stderr.matches(QUESTION).count()
}

#[tokio::test]
async fn without_a_yes_nothing_is_changed() {
    for answer in [|| None, || said(""), || said("n\n"), || said("yess")] {
        let world = World::builder().destination_count(2).expires_in_days(60).start().await;
        let ran = emergency(&world).answered(answer).run().await;
        assert_eq!((ran.exit_code, asked(&ran)), (1, 1), "{}", ran.everything());
        assert!(
            ran.stderr.contains(&format!(
                "  ci-ingest: token {}: as soon as every secret holds the new token",
                world.original.id
            )),
            "{}",
            ran.stderr
        );
        let rotation = ran.rotation();
        assert_eq!(
            (&rotation["outcome"], &rotation["reason"], &rotation["error"]),
            (&json!("failed"), &json!("forced"), &json!("Not confirmed; nothing was changed."))
        );
        assert_eq!(changes(&world), Vec::<String>::new());
        assert!(world.axiom.is_accepted(&world.original.value));
    }
}

#[tokio::test]
async fn nothing_is_changed_before_the_answer() {
    let world = World::builder().destination_count(2).expires_in_days(60).start().await;
    let (seen, before) = (world.detached(), Arc::new(AtomicUsize::new(usize::MAX)));
    let counted = Arc::clone(&before);
    let answer = move || {
        counted.store(changes(&seen).len(), Ordering::SeqCst);
        Some("Y\n".to_owned())
    };
    let ran = emergency(&world).answered(answer).run().await;
    assert_eq!((ran.exit_code, asked(&ran)), (0, 1), "{}", ran.everything());
    assert_eq!(before.load(Ordering::SeqCst), 0);
    assert_eq!(ran.rotation()["outcome"], "rotated");
    assert!(!world.axiom.is_accepted(&world.original.value));
}

#[tokio::test]
async fn only_a_user_at_a_terminal_is_asked_and_only_about_an_end_at_once() {
    type Change = fn(Invocation) -> Invocation;
    let no: Change = |run| run.answered(|| said("n"));
    let cases: [(&str, Change); 6] = [
        ("--yes", |run| run.answered(|| said("n")).flag("--yes")),
        ("CROSSFADE_YES", |run| run.answered(|| said("n")).env("CROSSFADE_YES", "true")),
        ("a runner", |run| run.answered(|| said("n")).env("GITHUB_ACTIONS", "true")),
        ("a pipe behind it", |run| Invocation { stderr_is_terminal: false, ..run.answered(|| said("n")) }),
        ("a pipe before it", Invocation::on_stderr_terminal),
        ("a dry run", |run| run.answered(|| said("n")).flag("--dry-run")),
    ];
    for (what, change) in cases {
        let world = World::builder().expires_in_days(60).start().await;
        let ran = change(emergency(&world)).run().await;
        assert_eq!((ran.exit_code, asked(&ran)), (0, 0), "{what}: {}", ran.everything());
    }
    // With an overlap, and for the retirement after it.
    let world = World::builder().expires_in_days(5).start().await;
    for _ in 0..3 {
        let ran = no(Invocation::rotate(&world).flag("--force")).run().await;
        assert_eq!((ran.exit_code, asked(&ran)), (0, 0), "{}", ran.everything());
        world.advance_days(8);
    }
}

#[tokio::test]
async fn one_answer_is_for_all_rotations() {
    for (answer, exit_code) in [("no", 1), ("yes", 0)] {
        let world = World::builder().expires_in_days(60).start().await;
        for (name, days) in [("due", 5), ("fresh", 60)] {
            world.axiom.add_token(TokenSpec::ingest(name).expires_in_days(days));
            world.github.add_place_of(&format!("acme/{name}:TOKEN"));
            world.github.put_by_hand(&format!("acme/{name}:TOKEN"), "written-by-somebody-else-0001");
        }
        let file = File::of_rotations(
            &world,
            "  - { name: at-once, token: ci-ingest, overlap: 0h, rotate_before: 70d, secrets: ['acme/infra:AXIOM_TOKEN'] }\n  \
               - { name: due, token: due, secrets: ['acme/due:TOKEN'] }\n  \
               - { name: fresh, token: fresh, secrets: ['acme/fresh:TOKEN'] }\n",
        );
        let ran = file.rotate(&world).answered(move || said(answer)).run().await;
        assert_eq!((ran.exit_code, asked(&ran)), (exit_code, 1), "{}", ran.everything());
        assert!(!ran.stderr.contains("due: token"), "only what is ended at once: {}", ran.stderr);
        let outcome = |n: usize| ran.json()["rotations"][n]["outcome"].as_str().unwrap().to_owned();
        let changed = if exit_code == 0 { "rotated" } else { "failed" };
        assert_eq!([0, 1, 2].map(outcome), [changed, changed, "fresh"]);
        assert_eq!(changes(&world).is_empty(), exit_code == 1);
    }
}

#[tokio::test]
async fn a_stop_ends_the_question() {
    let world = World::builder().expires_in_days(60).start().await;
    let (asked_now, stop) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let signal = Arc::clone(&asked_now);
    let stdin = Input::new(move || {
        signal.notify_one();
        Box::pin(std::future::pending())
    });
    let run = Invocation { stdin: Some(stdin), ..emergency(&world).on_stderr_terminal() };
    let stopper = async {
        asked_now.notified().await;
        stop.notify_one();
    };
    let (ran, ()) = tokio::join!(run.run_until(stop.notified()), stopper);
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    assert!(ran.stdout.contains("the run was stopped"), "{}", ran.everything());
    assert_eq!(changes(&world), Vec::<String>::new());
}
