//! The issue of `--report-issue`, by what the fake GitHub holds in the end.

use crate::file::File;
use crate::support::axiom::TokenSpec;
use crate::support::github::{APP_ID, Credential, FakeIssue, KEY_PKCS1, On};
use crate::support::leaks::find_leaks;
use crate::support::server::{Front, Gate, When};
use crate::support::world::{REPOSITORY, TOKEN};
use crate::support::{Fault, Faults, Invocation, Ran, Target, World};

const SECRET: &str = "acme/infra:AXIOM_TOKEN";

fn rotate(world: &World) -> Invocation {
    Invocation::rotate(world).flag("--report-issue")
}

fn status(world: &World) -> Invocation {
    let status = Invocation::of("status").scene(world, &world.github.url(), &world.axiom.url());
    status.flag("--report-issue")
}

/// From now on every rotation fails before it creates a token.
fn break_it(world: &World) {
    world.github.break_scope(REPOSITORY, On::Reads, 404);
}

fn issues(world: &World) -> Vec<FakeIssue> {
    world.github.issues(REPOSITORY)
}

/// The numbers of the open issues.
fn open(world: &World) -> Vec<u64> {
    issues(world).into_iter().filter(|issue| issue.is_open).map(|issue| issue.number).collect()
}

/// Requests about issues, without their queries.
fn requests(world: &World) -> Vec<String> {
    let all = world.github.requests().into_iter();
    all.filter(|request| request.path.contains("/issues")).map(|request| request.line()).collect()
}

#[track_caller]
fn failed(ran: &Ran) {
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    assert!(!ran.stderr.contains("not up to date"), "{}", ran.everything());
}

#[tokio::test]
async fn an_issue_from_the_first_failure_to_the_recovery() {
    let world = World::start().await;
    break_it(&world);
    failed(&rotate(&world).run().await);
    let [first] = issues(&world).try_into().unwrap();
    assert!(first.is_open && first.comments.is_empty(), "{first:?}");
    assert_eq!(
        (first.title.as_str(), first.labels.as_slice()),
        ("crossfade: a rotation failed (ci-ingest)", &["crossfade".to_owned()][..])
    );
    assert!(first.body.contains("### ❌ <code>ci-ingest</code>"), "{}", first.body);

    // No comment about what was announced already; the summary is today's.
    world.advance_days(1);
    failed(&rotate(&world).run().await);
    let [second] = issues(&world).try_into().unwrap();
    assert!(second.comments.is_empty(), "{second:?}");
    assert_ne!(second.body, first.body);

    world.github.repair();
    let ran = rotate(&world).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let [closed] = issues(&world).try_into().unwrap();
    assert_eq!(
        (closed.is_open, closed.state_reason.as_deref(), closed.comments.len()),
        (false, Some("completed"), 1)
    );
    assert!(closed.comments[0].starts_with("All is well again"), "{:?}", closed.comments);
    assert!(closed.body.contains("## 🔄 crossfade: 1 rotation done"), "{}", closed.body);

    break_it(&world);
    failed(&rotate(&world).run().await);
    let [again] = issues(&world).try_into().unwrap();
    assert_eq!((again.is_open, again.comments.len()), (true, 2), "{again:?}");
    assert!(
        again.comments[1].starts_with("**Needs attention again:** <code>ci-ingest</code>"),
        "{:?}",
        again.comments
    );
    let text = [again.body, again.comments.concat(), again.title].join("\n");
    assert_eq!(find_leaks(&text, &world.secrets()), Vec::<String>::new());
    world.assert_no_violations();
}

#[tokio::test]
async fn a_fresh_day_costs_one_list_and_only_if_it_is_asked_for() {
    let world = World::builder().expires_in_days(60).start().await;
    world.github.add_issue(REPOSITORY, "crossfade: a rotation failed", "a user's own");
    for (run, expected) in [
        (rotate(&world), 1),
        (status(&world), 1),
        (rotate(&world).flag("--dry-run"), 0),
        (Invocation::rotate(&world), 0),
        (Invocation::rotate(&world).env("CROSSFADE_REPORT_ISSUE", "false"), 0),
        (Invocation::rotate(&world).env("CROSSFADE_REPORT_ISSUE", "true"), 1),
    ] {
        world.github.forget_requests();
        assert_eq!(run.run().await.exit_code, 0);
        assert_eq!(requests(&world), vec!["GET /repos/acme/infra/issues"; expected]);
    }
    assert!(issues(&world)[0].comments.is_empty());
    break_it(&world);
    world.github.forget_requests();
    assert_eq!(rotate(&world).flag("--dry-run").run().await.exit_code, 1);
    assert_eq!(requests(&world), Vec::<String>::new(), "a dry run writes nothing");
}

#[tokio::test]
async fn a_comment_tells_what_changed() {
    let world = World::builder().expires_in_days(60).start().await;
    for name in ["a", "b"] {
        world.axiom.add_token(TokenSpec::ingest(name).expires_in_days(60));
        world.github.add_place_of(&format!("acme/{name}:TOKEN"));
    }
    let rotation = |name| format!("  - {{ name: {name}, token: {name}, secrets: [acme/{name}:TOKEN] }}\n");
    let file = File::of_rotations(&world, &["a", "b"].map(rotation).concat());
    let run = async |failing: &[&str]| {
        world.github.repair();
        failing.iter().for_each(|name| world.github.break_scope(&format!("acme/{name}"), On::Reads, 404));
        let ran = file.rotate(&world).flag("--report-issue").run().await;
        assert_eq!(ran.exit_code, u8::from(!failing.is_empty()), "{}", ran.everything());
    };
    for failing in [&["a"][..], &["a", "b"], &["b", "a"], &["b"], &[], &["b"]] {
        run(failing).await;
    }
    let [issue] = issues(&world).try_into().unwrap();
    let told: Vec<&str> = issue.comments.iter().map(|comment| comment.split(". ").next().unwrap()).collect();
    assert_eq!(
        told,
        [
            "**New:** <code>b</code>",
            "**Resolved:** <code>a</code>",
            "All is well again",
            "**Needs attention again:** <code>b</code>",
        ]
    );
    assert!(issue.title.ends_with("crossfade.yml)"), "{}", issue.title);
}

#[tokio::test]
async fn what_users_wrote_stays() {
    let world = World::start().await;
    break_it(&world);
    rotate(&world).run().await;
    world.github.edit_issue(REPOSITORY, 1, |issue| {
        // GitHub's editor ends lines like this.
        issue.body = format!(
            "Ask @ops first.\r\n\r\n{}\r\n\r\nSee #7 <!-- mine -->",
            issue.body.replace('\n', "\r\n")
        );
        issue.title = "Rotation of the ingest token".to_owned();
        issue.labels.push("incident".to_owned());
    });
    world.advance_days(1);
    failed(&rotate(&world).run().await);
    world.github.repair();
    rotate(&world).run().await;
    let [issue] = issues(&world).try_into().unwrap();
    assert!(issue.body.starts_with("Ask @ops first.\r\n\r\n<!-- crossfade:issue "), "{}", issue.body);
    assert!(issue.body.ends_with(" -->\r\n\r\nSee #7 <!-- mine -->"), "{}", issue.body);
    assert_eq!(
        issue.body.matches("## ").count(),
        issue.body.matches("\n## ").count() + issue.body.matches("\n### ").count()
    );
    assert_eq!(issue.body.matches("crossfade replaces this text").count(), 1, "{}", issue.body);
    assert_eq!(issue.title, "Rotation of the ingest token");
    assert_eq!((issue.is_open, issue.labels), (false, vec!["crossfade".to_owned(), "incident".to_owned()]));
}

#[tokio::test]
async fn a_description_stays_within_githubs_limit() {
    // Each fails for a reason of its own. The names make a long title.
    let world = World::start().await;
    let rotation = |n| format!("  - {{ name: rotation-{n}, token: {TOKEN}-{n}, secrets: [T{n}] }}\n");
    let file = File::of_rotations(&world, &(0..300).map(rotation).collect::<String>());
    let run = file.rotate(&world).flag("--report-issue");
    let only = |run: Invocation, n| run.arg("--only", &format!("rotation-{n}"));
    let run = (0..300).fold(run, only);
    failed(&run.run().await);
    assert!(issues(&world)[0].title.ends_with("…)"), "{}", issues(&world)[0].title);
    let whole = issues(&world)[0].body.clone();
    assert!(whole.len() > 25_000, "{}", whole.len());
    let marks: Vec<&str> = whole.lines().filter(|line| line.starts_with("<!--")).collect();
    for more in [45_000, 62_000] {
        world.github.edit_issue(REPOSITORY, 1, |issue| {
            issue.body = format!("{}\n{}", "x".repeat(more), marks.join("\n"));
        });
        // The fake refuses what is too long.
        failed(&run.run().await);
        let body = &issues(&world)[0].body;
        assert!(body.starts_with(&"x".repeat(more)) && body.len() <= 65_536, "{}", body.len());
    }
}

#[tokio::test]
async fn a_pull_request_and_a_quoted_key_are_left_alone() {
    let world = World::start().await;
    break_it(&world);
    rotate(&world).run().await;
    let copy = issues(&world)[0].body.clone();
    world.github.edit_issue(REPOSITORY, 1, |issue| issue.is_pull_request = true);
    failed(&rotate(&world).run().await);
    assert_eq!(issues(&world)[0].body, copy);
    assert_eq!(open(&world), [1, 2]);
}

#[tokio::test]
async fn the_label_is_not_needed_in_a_small_repository_and_finds_it_in_a_busy_one() {
    let world = World::start().await;
    let token = "ghp_00000000000000000000000000000000abcd";
    world.github.add_credential(Credential::new("reporter", token).without("push"));
    break_it(&world);
    let by_reporter = || rotate(&world).env("CROSSFADE_ISSUE_TOKEN", token);
    failed(&by_reporter().run().await);
    failed(&by_reporter().run().await);
    let [unlabelled] = issues(&world).try_into().unwrap();
    assert!(unlabelled.labels.is_empty() && unlabelled.by == "reporter", "{unlabelled:?}");
    // One that may label does.
    failed(&rotate(&world).run().await);
    assert_eq!(issues(&world)[0].labels, ["crossfade"]);
    world.advance_days(1);
    for n in 0..60 {
        world.github.add_issue(REPOSITORY, &format!("other {n}"), "");
    }
    failed(&by_reporter().run().await);
    assert_eq!(issues(&world).len(), 61, "found by its label");
    world.github.repair();
    rotate(&world).run().await;
    assert!(!issues(&world)[0].is_open);
}

#[tokio::test]
async fn each_command_file_and_shard_has_its_own() {
    let world = World::builder().expires_in_days(5).start().await;
    let run = async |run: Invocation| {
        run.run().await;
        open(&world)
    };
    let soon = |world: &World| status(world).arg("--fail-within", "7d");
    assert_eq!(run(soon(&world)).await, [1], "it would expire");
    assert_eq!(issues(&world)[0].title, "crossfade: a token needs attention (ci-ingest)");
    break_it(&world);
    assert_eq!(run(rotate(&world)).await, [1, 2]);
    let file = File::of_secrets(&world, &[SECRET]);
    assert_eq!(run(file.rotate(&world).flag("--report-issue")).await, [1, 2, 3]);
    for shard in ["1/2", "2/2", "1/2"] {
        run(file.rotate(&world).flag("--report-issue").arg("--shard", shard)).await;
    }
    let failing_shards = 1;
    assert_eq!(open(&world).len(), 3 + failing_shards);
    assert_eq!(run(file.rotate(&world).flag("--report-issue").arg("--only", TOKEN)).await.len(), 5);
    world.github.repair();
    run(rotate(&world)).await;
    assert_eq!(open(&world), [1, 3, 4, 5], "each run closes its own");
    world.advance_days(1);
    assert_eq!(run(soon(&world)).await, [3, 4, 5]);
    world.assert_no_violations();
}

#[tokio::test]
async fn a_workflow_token_with_the_right_permission_is_enough() {
    let world = World::start().await;
    let job = "ghs_00000000000000000000000000000000abcd";
    world.github.add_credential(Credential::job_token(
        "job",
        job,
        &[("issues", "write"), ("metadata", "read")],
    ));
    break_it(&world);
    let run = rotate(&world).env("CROSSFADE_ISSUE_TOKEN", job);
    failed(&run.run().await);
    assert_eq!(issues(&world)[0].by, "job");
    let by_app = || {
        let mut run = run
            .clone()
            .env("CROSSFADE_GITHUB_APP_ID", APP_ID)
            .env("CROSSFADE_GITHUB_APP_PRIVATE_KEY", KEY_PKCS1);
        run.environment.remove("CROSSFADE_GITHUB_TOKEN");
        run
    };
    failed(&by_app().run().await);
    assert_eq!(open(&world), [1]);
    let mut alone = by_app();
    alone.environment.remove("CROSSFADE_ISSUE_TOKEN");
    let ran = alone.run().await;
    assert_eq!(ran.exit_code, 2, "{}", ran.everything());
    assert!(
        ran.stderr.contains("--report-issue needs a token, and CROSSFADE_ISSUE_TOKEN is not set"),
        "{}",
        ran.stderr
    );
}

/// The warning of a run whose issue could not be written, on GitHub Actions.
async fn warning(world: &World, run: Invocation) -> String {
    let folder = tempfile::tempdir().unwrap();
    let run = run.on_actions(folder.path().join("output"), folder.path().join("summary"));
    let ran = run.arg("--request-timeout", "500ms").run().await;
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    assert_eq!(issues(world).len(), 0);
    let mut warnings = ran.stderr.lines().filter_map(|line| line.strip_prefix("::warning title=crossfade::"));
    let warning =
        warnings.find(|line| line.contains("the issue in")).unwrap_or_else(|| panic!("{}", ran.stderr));
    warning.to_owned()
}

#[tokio::test]
async fn an_issue_that_cannot_be_written_is_a_warning_with_the_next_step() {
    let world = World::start().await;
    break_it(&world);
    let job = "ghs_00000000000000000000000000000000abcd";
    world.github.add_credential(Credential::job_token(
        "job",
        job,
        &[("issues", "read"), ("metadata", "read")],
    ));
    let mut told = vec![warning(&world, rotate(&world).env("CROSSFADE_ISSUE_TOKEN", job)).await];
    let wrong = "ghs_00000000000000000000000000000000wxyz";
    told.push(warning(&world, rotate(&world).env("CROSSFADE_ISSUE_TOKEN", wrong)).await);
    told.push(warning(&world, Invocation::rotate(&world).arg("--report-issue", "acme/nowhere")).await);
    world.github.set_archived(REPOSITORY, true);
    told.push(warning(&world, rotate(&world)).await);
    world.github.set_archived(REPOSITORY, false);
    world.github.disable_issues(REPOSITORY);
    told.push(warning(&world, rotate(&world)).await);
    world.github.set_public(REPOSITORY);
    insta::assert_snapshot!("issue-warnings", told.join("\n"));
}

#[tokio::test]
async fn a_public_repository_takes_the_consent_of_the_user() {
    let world = World::start().await;
    world.github.set_public(REPOSITORY);
    break_it(&world);
    world.github.forget_requests();
    let told = warning(&world, rotate(&world)).await;
    assert!(told.contains("the repository is public") && told.contains("--public-issue"), "{told}");
    let writes = world.github.requests().into_iter().filter(|request| request.method != "GET").count();
    assert_eq!(writes, 0);
    failed(&rotate(&world).flag("--public-issue").run().await);
    assert_eq!(open(&world), [1]);
    // Another repository than the one that rotates.
    world.github.add_repo("acme/alerts");
    failed(&Invocation::rotate(&world).arg("--report-issue", "acme/alerts").run().await);
    assert_eq!(world.github.issues("acme/alerts").len(), 1);
}

/// Whoever reads the description of one issue can open another with the same marks.
#[tokio::test]
async fn in_a_public_repository_marks_without_the_label_are_not_trusted() {
    let world = World::start().await;
    world.github.set_public(REPOSITORY);
    break_it(&world);
    let run = || rotate(&world).flag("--public-issue");
    failed(&run().run().await);
    let [ours] = issues(&world).try_into().unwrap();
    world.github.edit_issue(REPOSITORY, ours.number, |issue| issue.is_open = false);
    let forged = world.github.add_issue(REPOSITORY, &ours.title, &ours.body);
    failed(&run().run().await);
    assert_eq!(open(&world), [ours.number, forged], "ours was opened again");
    assert_eq!(issues(&world)[1].body, ours.body, "the other one is left alone");
    world.github.repair();
    assert_eq!(run().run().await.exit_code, 0);
    assert_eq!(open(&world), [forged]);
}

#[tokio::test]
async fn a_renamed_repository_is_followed() {
    let world = World::start().await;
    world.github.add_repo("acme/alerts");
    let run = || Invocation::rotate(&world).arg("--report-issue", "acme/alerts");
    break_it(&world);
    failed(&run().run().await);
    world.github.rename("acme/alerts", "acme/alarms");
    world.github.repair();
    assert_eq!(run().run().await.exit_code, 0);
    let [issue] = world.github.issues("acme/alarms").try_into().unwrap();
    assert_eq!((issue.is_open, issue.comments.len()), (false, 1));
    world.assert_no_violations();
}

fn creation() -> Target {
    Target::matching(|request| request.method == "POST" && request.path.ends_with("/issues"))
}

/// A run against servers with faults.
fn through(world: &World, front: &Front) -> Invocation {
    let run = Invocation::of("rotate").scene(world, front.github.url(), front.provider.url());
    run.flag("--report-issue")
}

#[tokio::test]
async fn a_lost_reply_makes_no_second_issue() {
    for fault in [
        Fault::CloseAfter,
        Fault::CloseBefore,
        Fault::Status { code: 500, processed: true },
        Fault::Status { code: 500, processed: false },
        Fault::Html502 { processed: true },
        Fault::CutBody,
        Fault::Empty200,
        Fault::TooMany { retry_after: Some(0) },
        Fault::NoAnswer { processed: true },
    ] {
        let world = World::start().await;
        break_it(&world);
        let faults = Faults::none();
        let front = world.behind(&faults);
        faults.inject(creation(), fault.clone());
        let run = through(&world, &front).arg("--request-timeout", "500ms").arg("--pace", "900/1s");
        failed(&run.run().await);
        let all = (open(&world), issues(&world).len(), faults.struck().len());
        assert_eq!(all, (vec![1], 1, 1), "{fault}");
        world.assert_no_violations();
    }
}

#[tokio::test]
async fn a_lost_comment_is_sent_by_the_next_run() {
    let world = World::start().await;
    break_it(&world);
    rotate(&world).run().await;
    world.github.repair();
    rotate(&world).run().await;
    break_it(&world);
    let faults = Faults::none();
    let front = world.behind(&faults);
    let comments = || Target::matching(|request| request.path.ends_with("/comments"));
    faults.inject(comments(), Fault::Status { code: 403, processed: false });
    let ran = through(&world, &front).run().await;
    assert!(ran.stderr.contains("warning: the issue in acme/infra is not up to date"), "{}", ran.stderr);
    assert_eq!((open(&world), issues(&world)[0].comments.len()), (vec![1], 1));
    failed(&through(&world, &front).run().await);
    assert_eq!((open(&world), issues(&world)[0].comments.len()), (vec![1], 2));
    failed(&through(&world, &front).run().await);
    assert_eq!(issues(&world)[0].comments.len(), 2);
}

#[tokio::test]
async fn a_cancelled_run_prints_its_report_and_leaves_the_issue_to_the_next() {
    let world = World::start().await;
    break_it(&world);
    let faults = Faults::none();
    let (front, gate) = (world.behind(&faults), Gate::new());
    faults.inject(creation(), Fault::Hold { when: When::Before, gate: gate.clone() });
    let ran = through(&world, &front).run_until(gate.reached()).await;
    gate.open();
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    assert!(ran.stdout.starts_with("FAILED ci-ingest"), "{}", ran.stdout);
    assert!(ran.stderr.contains("the run was stopped. The next run tries again."), "{}", ran.stderr);
    failed(&through(&world, &front).run().await);
    assert_eq!(open(&world), [1]);
}

#[tokio::test]
async fn two_runs_at_once_end_with_one_issue() {
    for first_goes_on in [true, false] {
        let world = World::start().await;
        break_it(&world);
        let scenes =
            [Faults::none(), Faults::none()].map(|faults| (world.behind(&faults), faults, Gate::new()));
        for (_, faults, gate) in &scenes {
            // Both have found no issue.
            faults.inject(creation(), Fault::Hold { when: When::Before, gate: gate.clone() });
        }
        let runs = scenes.each_ref().map(|(front, ..)| through(&world, front));
        let gates = scenes.each_ref().map(|(.., gate)| gate);
        let (one, other, ()) = tokio::join!(runs[0].run(), runs[1].run(), async {
            gates[0].reached().await;
            gates[1].reached().await;
            gates[usize::from(!first_goes_on)].open();
            gates[usize::from(first_goes_on)].open();
        });
        failed(&one);
        failed(&other);
        assert_eq!((open(&world), issues(&world).len()), (vec![1], 2));
        let duplicate = &issues(&world)[1];
        assert_eq!(duplicate.state_reason.as_deref(), Some("not_planned"));
        assert_eq!(duplicate.body, "Two runs reported at the same time: see #1.");
        // It is not opened again.
        world.github.repair();
        rotate(&world).run().await;
        break_it(&world);
        failed(&rotate(&world).run().await);
        assert_eq!(open(&world), [1]);
        world.assert_no_violations();
    }
}
