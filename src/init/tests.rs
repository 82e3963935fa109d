//! From answers to texts, and back through the parser.

use proptest::prelude::*;

use super::steps::Steps;
use super::*;
use crate::provider::catalogue;

/// Answers for a rotation of this provider, with something for each variable that it needs.
fn answers(provider: &str) -> Answers {
    let kind: Kind = provider.parse().unwrap();
    let with = required_variables(&kind).map(|name| (name.clone(), "42".to_owned())).collect();
    Answers {
        repository: Some("acme/infra".parse().unwrap()),
        provider_url: kind.origin().is_none().then(|| "https://hub.example.org/api".parse().unwrap()),
        provider: Some(kind),
        with,
        token: Some("ci-ingest".to_owned()),
        name: None,
        secrets: ["AXIOM_TOKEN", "acme/api@production:AXIOM_TOKEN", "dependabot+org:acme:AXIOM_TOKEN"]
            .map(str::to_owned)
            .to_vec(),
        extras: Extras::default(),
    }
}

#[track_caller]
fn checked(answers: &Answers) -> Setup {
    let mut problems = Problems::default();
    let setup = setup(answers, &mut problems);
    setup.unwrap_or_else(|| panic!("{problems}"))
}

/// The only rotation of a configuration file, without any problem.
fn read(text: &str) -> Result<Rotation, String> {
    let mut problems = Problems::default();
    problems.set_file("crossfade.yml", text);
    let request = Request {
        file: Some(text.to_owned()),
        flags: RotationKeys::default(),
        selection: Selection::default(),
        repository: "acme/infra".parse().unwrap(),
    };
    let config = load(&request, &mut problems);
    match config {
        Some(mut config) if problems.is_empty() && config.rotations.len() == 1 => {
            Ok(config.rotations.remove(0))
        }
        _ => Err(problems.to_string()),
    }
}

fn written(setup: &Setup, path: &str) -> String {
    files::all(setup).into_iter().find(|(one, _)| *one == path).unwrap().1
}

#[test]
fn every_provider_s_configuration_is_read_as_it_was_meant() {
    for kind in catalogue() {
        let setup = checked(&answers(kind.name()));
        let text = written(&setup, files::CONFIG);
        let rotation = read(&text).unwrap_or_else(|problems| panic!("{kind}: {problems}\n{text}"));
        assert_eq!(rotation.provider, setup.rotation.provider);
        assert_eq!(rotation.secrets, setup.rotation.secrets);
    }
    let setup =
        checked(&Answers { extras: Extras { app: true, sign: true, monitor: true }, ..answers("gitlab") });
    insta::assert_snapshot!(written(&setup, files::CONFIG));
}

proptest! {
    #[test]
    fn hostile_names_are_read_as_they_were_meant(
        token in prop_oneof![any::<String>(), "\\PC{0,120}", "[-:#&*!|>'\"%@`{}\\[\\], a0.~?]{0,12}"],
        environment in "[^\\p{C}]{1,20}",
    ) {
        let secrets = vec!["A".to_owned(), format!("acme/api@{environment}:A")];
        let answers = Answers { token: Some(token), secrets, ..answers("axiom") };
        let mut problems = Problems::default();
        // What cannot be written is refused.
        if let Some(setup) = setup(&answers, &mut problems) {
            let rotation = read(&written(&setup, files::CONFIG)).unwrap();
            prop_assert_eq!(&rotation.token, &setup.rotation.token);
            prop_assert_eq!(&rotation.name, &setup.rotation.name);
            prop_assert_eq!(&rotation.secrets, &setup.rotation.secrets);
        }
    }
}

#[test]
fn a_rotation_is_named_after_its_token_as_far_as_that_is_possible() {
    for (token, name) in [
        ("ci-ingest", "ci-ingest"),
        (" team [eu]\n", "team -eu-"),
        ("a\u{202e}b", "a-b"),
        ("", "token"),
        (&"x ".repeat(80), &format!("{}x", "x ".repeat(49))),
    ] {
        assert_eq!(rotation_named_after(token), name);
    }
}

#[test]
fn the_workflows_are_those_of_the_examples() {
    let example = |name: &str| {
        std::fs::read_to_string(format!("{}/examples/workflows/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let code = |text: &str| {
        text.lines().filter(|line| !line.trim_start().starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    let setup =
        checked(&Answers { extras: Extras { app: false, sign: true, monitor: true }, ..answers("axiom") });
    assert_eq!(code(&written(&setup, files::ROTATE)), code(&example("rotate.yml")));
    assert!(!written(&setup, files::ROTATE).contains("Copy it"));
    assert_eq!(written(&setup, files::MONITOR), example("monitor.yml"));
    let mut elsewhere = setup;
    elsewhere.rotation.repository = "other/tokens".parse().unwrap();
    let monitor = written(&elsewhere, files::MONITOR);
    assert!(monitor.contains("CROSSFADE_REPOSITORY: other/tokens\n") && !monitor.contains("acme/infra"));

    let app = checked(&Answers { extras: Extras { app: true, ..Extras::default() }, ..answers("gitlab") });
    let [app, with_app] = [written(&app, files::ROTATE), example("rotate-with-app.yml")];
    let inputs = |text: &str| {
        let lines = code(text).into_iter().skip_while(|line| !line.contains("uses: crossfade-rs"));
        lines.filter(|line| !line.contains("force:")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(inputs(&app), inputs(&with_app).replace("AXIOM_ADMIN_TOKEN", "GITLAB_ADMIN_TOKEN"));
    for text in [app, written(&checked(&answers("deepset")), files::ROTATE)] {
        assert!(!text.contains("MARKER") && !text.contains("AXIOM"), "{text}");
    }
}

#[test]
fn the_pages_of_the_providers_name_the_same_variable() {
    for kind in catalogue() {
        let page = format!("{}/docs/providers/{kind}.md", env!("CARGO_MANIFEST_DIR"));
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.contains("\n## The credential\n"), "{kind}");
        let variable = credential_variable(kind);
        assert!(page.contains(&variable), "docs/providers/{kind}.md does not name {variable}");
    }
}

#[test]
fn what_is_left_to_do() {
    let text = |setup: &Setup, site: &str, has: bool| {
        let credential = has.then(|| setup.rotation.provider.credential.clone());
        Steps { setup, site, credential, has_github: has }.text()
    };
    insta::assert_snapshot!("steps", text(&checked(&answers("axiom")), steps::GITHUB, false));
    let mut all = answers("datadog");
    all.extras = Extras { app: true, sign: true, monitor: true };
    insta::assert_snapshot!("steps-with-everything", text(&checked(&all), "https://ghe.example", true));
    let mut owners = answers("axiom");
    owners.secrets.push("other/api:AXIOM_TOKEN".to_owned());
    let text = text(&checked(&owners), steps::GITHUB, true);
    assert!(text.contains("the secrets belong to acme and other: use a GitHub App"), "{text}");
}

#[test]
fn everything_missing_is_reported_at_once_with_its_flag() {
    let refusal = |answers: &Answers| {
        let mut problems = Problems::default();
        assert!(setup(answers, &mut problems).is_none());
        problems.to_string()
    };
    let nothing = refusal(&Answers::default());
    let grafana = refusal(&Answers { provider: Some("grafana".parse().unwrap()), ..Answers::default() });
    insta::assert_snapshot!(format!("{nothing}\n\nWith a provider:\n\n{grafana}"));
    let mut wrong = answers("gitlab");
    wrong.with.insert("resorce".to_owned(), "1".to_owned());
    wrong.secrets.push("axiom_token".to_owned());
    insta::assert_snapshot!("refused", refusal(&wrong));
}
