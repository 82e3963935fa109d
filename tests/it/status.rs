//! `crossfade status`: what people and monitors see, and that it only looks.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::file::File;
use crate::support::axiom::TokenSpec;
use crate::support::github::On;
use crate::support::provider::FakeToken;
use crate::support::{Invocation, Ran, World};

fn status(world: &World) -> Invocation {
    Invocation::of("status").scene(world, &world.github.url(), &world.axiom.url())
}

/// Ids differ from run to run.
fn named(world: &World, text: &str) -> String {
    let mut text = text.to_owned();
    for (index, token) in world.axiom.tokens().into_iter().enumerate() {
        // As long as the id, so that columns keep their widths.
        let name = format!("<id-{index}>");
        text = text.replace(&token.id, &format!("{name:-<width$}", width = token.id.len()));
        text = text.replace(&token.id[..8], &format!("{name:-<8}"));
    }
    text
}

/// Rotates once, so that two tokens live side by side, and lets time pass.
async fn after_a_rotation(days: i64) -> World {
    let world = World::builder().destination_count(2).expires_in_days(12).start().await;
    assert_eq!(Invocation::rotate(&world).run().await.exit_code, 0);
    world.advance_days(days);
    world
}

#[tokio::test]
async fn before_the_first_rotation() {
    let world = World::builder().destination_count(2).expires_in_days(12).start().await;
    let ran = status(&world).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    insta::assert_snapshot!("status-due", named(&world, &ran.stdout));
}

#[tokio::test]
async fn in_the_overlap() {
    let world = after_a_rotation(3).await;
    let ran = status(&world).run().await;
    insta::assert_snapshot!("status-overlap", named(&world, &ran.stdout));
}

#[tokio::test]
async fn a_terminal_shows_the_timeline() {
    let world = after_a_rotation(3).await;
    let plain = status(&world).on_terminal(100).env("NO_COLOR", "1").run().await;
    insta::assert_snapshot!("status-terminal", named(&world, &plain.stdout));
    let narrow = status(&world).on_terminal(100).env("NO_COLOR", "1").env("COLUMNS", "60").run().await;
    let drawn = narrow.stdout.lines().take_while(|line| !line.starts_with("Old tokens"));
    assert!(
        drawn.clone().count() > 7 && drawn.clone().all(|line| line.chars().count() <= 60),
        "{}",
        narrow.stdout
    );
    let coloured = status(&world).on_terminal(100).run().await;
    assert!(coloured.stdout.contains("\u{1b}[32mfresh\u{1b}[0m"), "{}", coloured.stdout);
    assert!(!plain.stdout.contains('\u{1b}'));
    let dumb = status(&world).on_terminal(100).env("TERM", "dumb").run().await;
    assert!(dumb.stdout.is_ascii(), "{}", dumb.stdout);
    let drawn = ['█', '▓', '░', '│', '◆', '┄'];
    let ascii =
        plain.stdout.chars().map(|c| drawn.iter().position(|d| *d == c).map_or(c, |at| b"#%.|>-"[at].into()));
    assert_eq!(dumb.stdout, ascii.collect::<String>());
}

#[tokio::test]
async fn the_environment_decides_colors_and_characters() {
    let world = after_a_rotation(3).await;
    let page = async |columns: Option<usize>, variables: &[(&str, &str)]| {
        let shown =
            columns.map_or(status(&world), |columns| status(&world).on_terminal(columns).env("LANG", ""));
        variables.iter().fold(shown, |shown, (name, value)| shown.env(name, value)).run().await.stdout
    };
    let is_colored = |page: &str| page.contains('\u{1b}');
    for (columns, variables, colored, ascii) in [
        (None, &[][..], false, true),
        (None, &[("CLICOLOR_FORCE", "0")], false, true),
        (None, &[("CLICOLOR_FORCE", "1")], true, true),
        (None, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false, true),
        (None, &[("GITHUB_ACTIONS", "true")], true, true),
        (Some(100), &[], true, true),
        (Some(100), &[("LANG", "de_DE.UTF-8")], true, false),
        (Some(100), &[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")], true, true),
        (Some(100), &[("LANG", "C"), ("LC_CTYPE", "en_US.utf8")], true, false),
        (Some(100), &[("NO_COLOR", "")], true, true),
    ] {
        let page = page(columns, variables).await;
        assert_eq!(
            (is_colored(&page), page.is_ascii()),
            (colored, ascii),
            "{columns:?} {variables:?}: {page}"
        );
    }
}

#[tokio::test]
async fn a_due_token_shows_what_a_run_would_mint() {
    let world = World::builder().expires_in_days(12).start().await;
    let ran = status(&world).on_terminal(100).env("NO_COLOR", "1").run().await;
    insta::assert_snapshot!("status-terminal-due", named(&world, &ran.stdout));
}

#[tokio::test]
async fn it_only_reads() {
    let world = World::builder().destination_count(2).expires_in_days(5).start().await;
    world.github.forget_requests();
    world.axiom.forget_requests();
    let ran = status(&world).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let requests: Vec<_> = world.github.requests().into_iter().chain(world.axiom.requests()).collect();
    assert!(requests.iter().all(|request| request.method == "GET"));
    // One list of tokens, one list of secrets for each repository, and no keys.
    assert_eq!(requests.len(), 3);
}

#[tokio::test]
async fn an_environment_that_is_to_be_made_is_not_made_by_looking() {
    for command in [&["status"][..], &["rotate", "--dry-run"][..]] {
        let world = World::start().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("crossfade.yml");
        let text = format!(
            "rotations:\n  - name: ci-ingest\n    provider: axiom\n    provider_url: {}\n    token: ci-ingest\n    \
             secrets:\n      - {{ name: AXIOM_TOKEN, repository: acme/infra, environment: fresh, create_environment: true }}\n",
            world.axiom.url()
        );
        std::fs::write(&file, text).unwrap();
        let invocation = command[1..].iter().fold(Invocation::of(command[0]), |it, flag| it.flag(flag));
        let ran = invocation
            .credentials(&world)
            .arg("--config", file.to_str().unwrap())
            .arg("--repository", "acme/infra")
            .arg("--github-api-url", &world.github.url())
            .run()
            .await;
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        let requests = world.github.requests();
        assert!(requests.iter().all(|request| request.method == "GET"), "{command:?}");
    }
}

#[tokio::test]
async fn one_document_for_monitors() {
    let world = after_a_rotation(3).await;
    let ran = status(&world).arg("--format", "json").run().await;
    let (document, rotation) = (ran.json(), ran.rotation());
    assert_eq!((&document["command"], &document["dry_run"]), (&json!("status"), &json!(true)));
    assert_eq!((&rotation["outcome"], &rotation["reason"]), (&json!("fresh"), &json!("fresh")));
    assert_eq!(rotation["destinations"][0]["outcome"], "held");
    assert_eq!(rotation["destinations"][0]["updated_at"], "2026-03-02T09:00:00Z");
    let newest = world.newest().unwrap();
    assert_eq!(
        rotation["tokens"],
        json!([
            {"id": newest.id, "minted_at": "2026-03-02T09:00:00Z", "ends_at": "2026-05-31T09:00:00Z",
             "retire_at": null, "disabled": false, "held_by": 2},
            {"id": world.original.id, "minted_at": rotation["tokens"][1]["minted_at"],
             "ends_at": "2026-03-09T09:00:00Z", "retire_at": null, "disabled": false, "held_by": 0},
        ])
    );
}

#[tokio::test]
async fn fails_before_something_in_use_expires() {
    let world = World::builder().expires_in_days(12).start().await;
    let look =
        async |within: &str| status(&world).arg("--format", "json").arg("--fail-within", within).run().await;
    // An hour of the twelve days has passed.
    assert_eq!(look("11d").await.exit_code, 0);
    let ran = look("12d").await;
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    assert_eq!(ran.json()["expiring"][0]["rotation"], "ci-ingest");
    assert_eq!(ran.json()["expiring"][0]["id"], world.original.id);
    assert_eq!(ran.rotation()["outcome"], "planned", "the rotation itself has not failed");
    let text = status(&world).arg("--fail-within", "12d").run().await;
    assert!(text.stdout.contains("Expires too soon:\n  token "), "{}", text.stdout);
    // After a rotation the previous token ends soon too, but no destination uses it.
    assert_eq!(Invocation::rotate(&world).run().await.exit_code, 0);
    world.advance(SignedDuration::from_mins(10));
    let ran = look("30d").await;
    assert_eq!((ran.exit_code, &ran.json()["expiring"]), (0, &json!([])), "{}", ran.everything());
}

#[tokio::test]
async fn what_cannot_be_read_fails_and_is_named() {
    let world = after_a_rotation(1).await;
    world.github.break_scope("acme/service-1", On::All, 404);
    let ran = status(&world).run().await;
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    insta::assert_snapshot!("status-unreadable", named(&world, &ran.stdout));
}

#[tokio::test]
async fn a_plan_says_what_would_change_and_what_would_not() {
    let world = after_a_rotation(3).await;
    world.github.put_by_hand("acme/service-1:AXIOM_TOKEN", "written-by-somebody-else-0001");
    world.add_destination("acme/new:AXIOM_TOKEN");
    world.advance_days(1);
    let ran = Invocation::rotate(&world).flag("--dry-run").run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    insta::assert_snapshot!("plan-undelivered", named(&world, &ran.stdout));
    let json = Invocation::rotate(&world).flag("--dry-run").arg("--format", "json").run().await;
    let rotation = json.rotation();
    let newest = world.newest().unwrap().id;
    assert_eq!(rotation["destinations"][0]["holds"]["id"], newest.as_str(), "what would be overwritten");
    assert_eq!(rotation["destinations"][2]["updated_at"], json!(null), "what would be made");
    assert_eq!(rotation["planned"]["expires_at"], "2026-06-04T09:00:00Z");
}

#[tokio::test]
async fn in_an_emergency_it_says_what_breaks() {
    let world = World::builder().destination_count(2).expires_in_days(60).start().await;
    let now = || Invocation::rotate(&world).flag("--force").arg("--overlap", "0h");
    let plan = now().flag("--dry-run").run().await;
    insta::assert_snapshot!("emergency-plan", named(&world, &plan.stdout));
    let ran = now().run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    insta::assert_snapshot!("emergency", named(&world, &ran.stdout));
    assert!(!world.axiom.is_accepted(&world.original.value));
}

#[tokio::test]
async fn a_failed_emergency_says_that_the_old_token_is_valid() {
    let world = World::builder().destination_count(2).expires_in_days(60).start().await;
    world.github.break_secret("acme/service-1:AXIOM_TOKEN", On::Writes, 403);
    let ran = Invocation::rotate(&world).flag("--force").arg("--overlap", "0h").run().await;
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    insta::assert_snapshot!("emergency-failed", named(&world, &ran.stdout));
    assert!(world.axiom.is_accepted(&world.original.value));
}

/// `(rotation, condition, destinations)` of everything that `--fail-on` found.
fn found(ran: &Ran) -> Vec<(String, String, usize)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let document = ran.json();
    let findings = document["fail_on"].as_array().unwrap().iter();
    findings
        .map(|one| {
            let destinations = one["destinations"].as_array().unwrap().len();
            (text(&one["rotation"]), text(&one["condition"]), destinations)
        })
        .collect()
}

#[tokio::test]
async fn fails_on_the_conditions_that_are_named() {
    let world = World::builder().destination_count(3).expires_in_days(12).start().await;
    let look = async |on: &str| {
        let ran = status(&world).arg("--format", "json").arg("--fail-on", on).run().await;
        assert_eq!(ran.exit_code, u8::from(!found(&ran).is_empty()), "{on}: {}", ran.everything());
        found(&ran)
    };
    let one = |condition: &str, count| ("ci-ingest".to_owned(), condition.to_owned(), count);
    // Before the first rotation it is not known what a secret holds.
    assert_eq!(look("undelivered").await, []);
    assert_eq!(look("undelivered,due,unknown").await, [one("due", 0), one("unknown", 3)]);
    assert_eq!(Invocation::rotate(&world).run().await.exit_code, 0);
    world.advance_days(2);
    assert_eq!(look("undelivered,due,unknown").await, []);

    world.github.put_by_hand("acme/service-1:AXIOM_TOKEN", "written-by-somebody-else-0001");
    world.github.delete_by_hand("acme/service-2:AXIOM_TOKEN");
    assert_eq!(look("unknown").await, [one("unknown", 1)]);
    assert_eq!(look("due").await, []);
    let plain = status(&world).run().await;
    assert_eq!((plain.exit_code, plain.stdout.contains("--fail-on")), (0, false), "only if it is asked for");
    let text = status(&world).arg("--fail-on", "undelivered").arg("--fail-on", "unknown").run().await;
    assert_eq!(text.exit_code, 1);
    let section = text.stdout.split("Fails because of --fail-on:\n").nth(1).unwrap();
    let lines: Vec<&str> = section.lines().take(2).collect();
    assert_eq!(
        lines,
        [
            "  ci-ingest is undelivered: acme/service-2:AXIOM_TOKEN",
            "  ci-ingest has secrets whose token is unknown: acme/service-1:AXIOM_TOKEN",
        ]
    );

    // A rotation that is due, too, is still behind.
    world.advance_days(80);
    assert_eq!(look("undelivered").await, [one("undelivered", 1)]);
    let by_variable = status(&world).env("CROSSFADE_FAIL_ON", "due\nunknown").run().await;
    assert_eq!(by_variable.exit_code, 1);
    for wrong in ["late", "undelivered,late"] {
        let ran = status(&world).arg("--fail-on", wrong).run().await;
        assert_eq!(ran.exit_code, 2, "{wrong}");
        assert!(ran.stderr.contains("`late`"), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn what_fails_on_actions_is_an_annotation_and_in_the_summary() {
    let world = World::builder().destination_count(2).expires_in_days(12).start().await;
    let folder = tempfile::tempdir().unwrap();
    let (output, summary) = (folder.path().join("output"), folder.path().join("summary"));
    let ran = status(&world).arg("--fail-on", "due").on_actions(output, summary.clone()).run().await;
    assert_eq!(ran.exit_code, 1);
    assert!(ran.stderr.contains("::error title=crossfade::ci-ingest is due"), "{}", ran.stderr);
    let summary = std::fs::read_to_string(summary).unwrap();
    assert!(summary.contains("is due"), "{summary}");
}

#[tokio::test]
async fn tokens_that_no_rotation_covers_are_listed() {
    let world = after_a_rotation(3).await;
    let stray = world.axiom.add_token(TokenSpec::ingest("left-over").expires_in_days(5));
    let endless = world.axiom.add_token(TokenSpec::ingest("by-hand"));
    let look = || status(&world).flag("--unmanaged");
    world.axiom.forget_requests();
    let ran = look().arg("--format", "json").run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(world.axiom.requests().len(), 1, "the list that was read anyway");
    let document = ran.json();
    let names: Vec<&str> =
        document["unmanaged"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["by-hand", world.admin.raw["name"].as_str().unwrap(), "left-over"]);
    assert_eq!(
        document["unmanaged"][2],
        json!({"provider": "axiom", "id": stray.id, "name": "left-over", "marker": null, "disabled": false,
               "expires_at": stray.expires_at.unwrap().to_string()})
    );
    let text = look().run().await.stdout;
    let short = |token: &FakeToken| token.id[..8].to_owned();
    assert!(
        text.contains(&format!("  axiom \"by-hand\" ({}): does not expire\n", short(&endless))),
        "{text}"
    );
    assert!(
        text.contains(&format!("  axiom \"left-over\" ({}): expires 2026-03-10", short(&stray))),
        "{text}"
    );
    assert!(!text.contains(&stray.id), "{text}");
    let plain = status(&world).arg("--format", "json").run().await;
    assert_eq!(plain.json()["unmanaged"], json!(null), "not asked for");
}

#[tokio::test]
async fn a_rotation_that_is_not_selected_still_covers_its_tokens() {
    let world = World::start().await;
    world.axiom.add_token(TokenSpec::ingest("second").expires_in_days(50));
    world.github.add_place_of("acme/second:TOKEN");
    let third = world.axiom.add_token(TokenSpec::ingest("third").expires_in_days(50));
    let file = File::of_rotations(
        &world,
        &format!(
            "  - {{ name: one, token: ci-ingest, secrets: ['acme/infra:AXIOM_TOKEN'] }}\n  \
               - {{ name: two, token: second, secrets: ['acme/second:TOKEN'] }}\n  \
               - {{ name: three, token: {}, credential: ANOTHER, secrets: ['acme/second:THIRD'] }}\n",
            third.id
        ),
    );
    let unmanaged = async || {
        let ran = file.run("status", &world).arg("--only", "one").flag("--unmanaged").run().await;
        let document = ran.json();
        let tokens = document["unmanaged"].as_array().unwrap().clone();
        tokens.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let admin = world.admin.raw["name"].as_str().unwrap();
    assert_eq!(unmanaged().await, [admin]);
    let ran = file.rotate(&world).arg("--only", "two").flag("--force").run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(unmanaged().await, [admin], "by its marker");
}

#[tokio::test]
async fn a_hostile_token_cannot_write_into_the_list() {
    let world = World::start().await;
    let name = "x\n::error::y\u{1b}[31m ##[error]z <b>\u{202e}";
    world.axiom.add_token(TokenSpec::ingest(name));
    for format in ["text", "json"] {
        let ran = status(&world).flag("--unmanaged").arg("--format", format).run().await;
        assert!(ran.stdout.contains("<b>"), "{}", ran.stdout);
        for line in ran.stdout.lines() {
            assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{line}");
            assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line}");
        }
    }
}

#[tokio::test]
async fn a_dry_run_says_by_its_exit_code_whether_there_is_something_to_do() {
    let world = World::builder().destination_count(2).expires_in_days(12).start().await;
    let dry = || Invocation::rotate(&world).flag("--dry-run");
    assert_eq!(dry().run().await.exit_code, 0);
    assert_eq!(dry().flag("--detailed-exitcode").run().await.exit_code, 3, "due");
    assert_eq!(dry().env("CROSSFADE_DETAILED_EXITCODE", "true").run().await.exit_code, 3);
    let without = Invocation::rotate(&world).flag("--detailed-exitcode").run().await;
    assert_eq!(without.exit_code, 2, "{}", without.everything());
    assert!(without.stderr.contains("--dry-run"), "{}", without.stderr);

    assert_eq!(Invocation::rotate(&world).run().await.exit_code, 0);
    world.advance_days(1);
    assert_eq!(dry().flag("--detailed-exitcode").run().await.exit_code, 0, "fresh");
    world.github.break_scope("acme/service-1", On::All, 404);
    let failed = dry().flag("--detailed-exitcode").flag("--force").run().await;
    assert_eq!(failed.exit_code, 1, "a failure is never hidden: {}", failed.everything());
}
