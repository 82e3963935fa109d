use insta::assert_snapshot;

use super::super::samples;
use super::*;
use crate::redact::Redactor;
use crate::report::{DestinationOutcome, DestinationReport, Report, RotationReport};

fn redacted(report: &Report) -> RedactedReport {
    report.redacted(&Redactor::new())
}

fn rendered(report: &Report) -> String {
    page(&redacted(report), Some("https://github.com"), FILE_LIMIT)
}

#[test]
fn each_kind_of_day_has_its_page() {
    for (name, report) in samples::scenes() {
        assert_snapshot!(name, rendered(&report));
    }
}

#[test]
fn hostile_strings_change_no_structure() {
    let hostile = rendered(&samples::hostile());
    let mut tags = hostile.replace("```", "");
    for ours in ["code>", "a>", "a href=\"https://github.com/acme/api/settings/secrets/actions\">"] {
        tags = tags.replace(&format!("<{ours}"), "").replace(&format!("</{ours}"), "");
    }
    let title = tags.find("<code title=\"").map_or(0, |at| at + "<code title=\"".len());
    let whole = tags[title..].split_once("\">").unwrap().0.to_owned();
    let tags = tags.replace(&format!("<code title=\"{whole}\">"), "");
    assert!(!whole.contains(['<', '>', '"', '`', '&']) || whole.starts_with("a &#58;"), "{whole}");
    assert!(!tags.contains(['<', '>', '`', '[', '\\', '@', '\u{1b}', '\u{202e}']), "{tags}");
    let tame = rendered(&samples::report(vec![samples::failed()]));
    let shape = |text: &str| {
        text.lines().map(|line| line.matches('|').count()).filter(|count| *count > 0).collect::<Vec<_>>()
    };
    assert_eq!(shape(&hostile), shape(&tame));
    assert!(!hostile.lines().any(|line| line.trim_start().starts_with("::") || line.contains("##[")));
}

#[test]
fn a_page_is_short_however_much_there_is() {
    let destinations = (0..3000).map(|index| {
        DestinationReport::new(format!("acme/service-{index}:AXIOM_TOKEN"), DestinationOutcome::Written)
    });
    let wide = RotationReport { destinations: destinations.collect(), ..samples::rotated() };
    assert!(rendered(&samples::report(vec![wide])).len() < 64 * 1024);
    let failed = |index: usize| RotationReport {
        name: format!("rotation-{index}"),
        error: Some(format!("error {index}: {}", "x".repeat(1000))),
        destinations: vec![DestinationReport::new(format!("acme/{index}:T"), DestinationOutcome::Failed)],
        warnings: vec![format!("warning {index}: {}", "x".repeat(1000))],
        ..samples::failed()
    };
    let many: Vec<_> = (0..1000).map(failed).chain((0..2000).map(|_| samples::fresh())).collect();
    let text = rendered(&samples::report(many));
    assert!(text.len() > PAGE_LIMIT / 2 && text.len() <= PAGE_LIMIT, "{}", text.len());
    assert!(text.contains(" failed for other reasons.\n") && text.contains(" in the log\n"), "{text}");
    assert!(text.contains(" more rows are left out to keep this page short"));
    assert!(text.contains(" 2970 more rotations are not drawn."));
    assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    assert_eq!(page(&redacted(&samples::report(vec![samples::failed()])), None, 100), "");
}

#[test]
fn a_secret_leads_to_its_page_and_an_error_to_its_section() {
    let with = |server, path: &str, code: &str| {
        let mut rotation = samples::failed();
        rotation.error_code = Some(code.to_owned());
        rotation.destinations[0].settings_path = path.to_owned();
        page(&redacted(&samples::report(vec![rotation])), server, FILE_LIMIT)
    };
    let text = with(Some("https://ghes.example"), "/acme/api/settings/secrets/actions", "github-permission");
    assert!(
        text.contains("<a href=\"https://ghes.example/acme/api/settings/secrets/actions\"><code>acme/api")
    );
    assert!(text.contains(&format!("<a href=\"{ERRORS}github-permission\">")));
    for (server, path) in [
        (None, "/acme/api/settings"),
        (Some("javascript:alert(1)"), "/acme/api/settings"),
        (Some("https://a\"b"), "/acme/api/settings"),
        (Some("https://ghes.example"), "/acme\"><img src=x>"),
        (Some("https://ghes.example"), "@evil.example"),
    ] {
        assert!(!with(server, path, "a\"b").contains("<a href"), "{server:?} {path}");
    }
}

#[test]
fn appends_to_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("summary.md");
    std::fs::write(&file, "before\n").unwrap();
    append(&redacted(&samples::report(vec![samples::rotated()])), None, &file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("before\n## 🔄 crossfade: 1 rotation done\n\n**Nothing is broken.**"), "{text}");
    std::fs::write(&file, "x".repeat(FILE_LIMIT - 10)).unwrap();
    append(&redacted(&samples::report(vec![samples::rotated()])), None, &file).unwrap();
    assert!(std::fs::metadata(&file).unwrap().len() <= FILE_LIMIT as u64);
}
