//! The job summary of whole runs.

use crate::file::File;
use crate::support::axiom::TokenSpec;
use crate::support::{Invocation, World};

async fn summary(invocation: Invocation) -> String {
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary");
    let server = invocation.env("GITHUB_SERVER_URL", "https://github.example");
    server.on_actions(folder.path().join("output"), summary.clone()).run().await;
    std::fs::read_to_string(summary).unwrap()
}

/// The lines of the chart.
fn chart(summary: &str) -> Vec<&str> {
    let chart = summary.split("```mermaid\n").nth(1).and_then(|rest| rest.split("```").next());
    chart.unwrap_or_default().lines().map(str::trim).collect()
}

#[tokio::test]
async fn a_rotation_and_its_plan_are_drawn() {
    let world = World::builder().destination_count(2).expires_in_days(12).start().await;
    let plan = summary(Invocation::rotate(&world).flag("--dry-run")).await;
    assert!(
        plan.starts_with("## 🔜 crossfade: 1 rotation to run\n\nThis is a dry run; nothing was changed. **Nothing is broken.**"),
        "{plan}"
    );
    assert!(chart(&plan).contains(&"would be created :2026-03-02 09:00, 2026-05-31 09:00"), "{plan}");
    let done = summary(Invocation::rotate(&world)).await;
    assert!(
        done.starts_with(
            "## 🔄 crossfade: 1 rotation done\n\n**Nothing is broken.** Every secret holds a valid token."
        ),
        "{done}"
    );
    let newest = &world.newest().unwrap().id[..8];
    let lines = chart(&done);
    assert!(lines.contains(&"section ci-ingest"), "{done}");
    let begins = |beginning: &str| lines.iter().any(|line| line.starts_with(beginning));
    assert!(begins(&format!("token {newest} in 2 of 2 :active, 2026-03-02 09:00, 2026-05-17 ")), "{done}");
    assert!(begins("overlap :done, crit, 2026-03-02 09:00, 2026-03-09 "), "{done}");
    assert!(begins("due :active, crit, 2026-05-17 "), "{done}");
    assert_eq!(done.matches(&format!("current&nbsp;<code title=\"{}", &newest[..8])).count(), 2, "{done}");
    let link = "<a href=\"https://github.example/acme/infra/settings/secrets/actions\"><code>";
    assert_eq!(done.matches(link).count(), 1, "{done}");
}

#[tokio::test]
async fn thirty_rotations_are_drawn_and_more_are_counted() {
    let world = World::builder().expires_in_days(60).start().await;
    let mut rotations = String::new();
    for n in 0..32 {
        world.axiom.add_token(TokenSpec::ingest(&format!("token-{n}")).expires_in_days(30 + n));
        rotations += &format!("  - {{ name: rotation-{n}, token: token-{n}, secrets: [TOKEN_{n}] }}\n");
    }
    let file = File::of_rotations(&world, &rotations);
    let page = summary(file.run("rotate", &world)).await;
    let lines = chart(&page);
    assert_eq!(lines.iter().filter(|line| line.starts_with("section rotation-")).count(), 30, "{page}");
    assert!(page.contains(" 2 more rotations are not drawn.\n"), "{page}");
    assert!(page.contains("<details><summary>Who holds what: 32 secrets</summary>"), "{page}");
    assert!(page.len() < 50_000, "{}", page.len());
}
