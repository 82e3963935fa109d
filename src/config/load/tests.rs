//! What keys become, and which combinations are refused.

use super::*;
use crate::diagnostic::Problems;

/// Reads a file as the command `check` does.
pub(crate) fn read(text: &str, problems: &mut Problems) -> Option<Config> {
    let repository = "acme/home".parse().unwrap();
    let (flags, selection) = (RotationKeys::default(), Selection::default());
    load(&Request { file: Some(text.to_owned()), flags, selection, repository }, problems)
}

fn loaded(text: &str) -> (Option<Config>, String) {
    let mut problems = Problems::default();
    problems.set_file("crossfade.yml", text);
    let config = read(text, &mut problems);
    assert_eq!(config.is_none(), problems.has_errors());
    (config, problems.to_string())
}

fn rotation(more: &str) -> String {
    format!("rotations:\n  - name: ci\n    provider: axiom\n    token: ci\n{more}")
}

#[test]
fn defaults_fill_what_a_rotation_does_not_say() {
    let text = "\
defaults:
  { provider: axiom, provider_url: https://a.example, credential: AXIOM, org_id: acme, lifetime: 60d, overlap: 3d,
    rotate_before: 10d, delete_after: 2d }
rotations:
  - { name: a, token: a, secrets: [A] }
  - { name: b, token: b, secrets: [B], overlap: 5d, credential: OTHER }
";
    let rotations = loaded(text).0.unwrap().rotations;
    let [a, b] = &rotations[..] else { panic!("two rotations") };
    let days = crate::period::Period::from_days;
    let policy =
        Policy { lifetime: days(60), overlap: days(3), rotate_before: days(10), delete_after: Some(days(2)) };
    assert_eq!(a.policy, policy);
    assert_eq!(a.provider.kind, "axiom".parse().unwrap());
    assert_eq!(a.provider.url.as_ref().map(url::Url::as_str), Some("https://a.example/"));
    assert_eq!(a.provider.with.get("org_id").map(String::as_str), Some("acme"));
    assert_eq!(a.provider.credential, "AXIOM");
    assert_eq!(b.policy, Policy { overlap: days(5), ..policy });
    assert_eq!(b.provider.credential, "OTHER");
}

#[test]
fn secrets_in_every_form() {
    let (config, text) = loaded(&rotation(
        r#"    secrets:
      - A
      - { name: b, repository: acme/api }
      - { name: C, environment: prod, create_environment: true }
      - { name: D, organization: acme, visibility: selected, store: codespaces }
      - { name: E, repositories: ["acme/*", "!acme/legacy-*"], store: dependabot }
"#,
    ));
    assert_eq!(text, "");
    let rotation = config.unwrap().rotations.remove(0);
    let shown: Vec<String> = rotation.secrets.iter().map(|s| s.destination.to_string()).collect();
    assert_eq!(shown, ["acme/home:A", "acme/api:B", "acme/home@prod:C", "codespaces+org:acme:D"]);
    assert!(rotation.secrets[2].create_environment);
    assert_eq!(rotation.secrets[3].visibility, Some(super::super::Visibility::Selected));
    let pattern = &rotation.patterns[0];
    assert!(pattern.takes(&"acme/api".parse().unwrap()));
    assert!(!pattern.takes(&"acme/legacy-x".parse().unwrap()));
}

#[test]
fn policies_that_cannot_work() {
    let text = |policy: &str| loaded(&rotation(&format!("{policy}    secrets: [A]\n"))).1;
    insta::assert_snapshot!(
        [
            "    overlap: 14d\n",
            "    rotate_before: 7d\n",
            "    lifetime: 21d\n",
            "    lifetime: 3d\n    overlap: 1d\n    rotate_before: 2d\n",
            "    overlap: 12h\n",
        ]
        .map(text)
        .join("\n\n"),
        @r#"
            error: the overlap (14d) must be shorter than rotate_before (14d, the default)
             --> crossfade.yml:5:14
              |
            5 |     overlap: 14d
              |              ^^^
              |
              = help: otherwise the previous token expires before its overlap ends

            error: the overlap (7d, the default) must be shorter than rotate_before (7d)
             --> crossfade.yml:5:20
              |
            5 |     rotate_before: 7d
              |                    ^^
              |
              = help: otherwise the previous token expires before its overlap ends

            error: rotate_before (14d, the default) and overlap (7d, the default) together must be shorter than the lifetime (21d)
             --> crossfade.yml:5:15
              |
            5 |     lifetime: 21d
              |               ^^^
              |
              = help: otherwise every run would rotate

            error: rotate_before (2d) and overlap (1d) together must be shorter than the lifetime (3d)
             --> crossfade.yml:5:15
              |
            5 |     lifetime: 3d
              |               ^^
              |
              = help: otherwise every run would rotate

            warning: an overlap of 12h is shorter than a day
             --> crossfade.yml:5:14
              |
            5 |     overlap: 12h
              |              ^^^
              |
              = help: a run that is cut off is finished by the next one, which must come inside the overlap; jobs that wait in a queue keep the old token
            "#
    );
    assert_eq!(text("    lifetime: 21d1s\n"), "");
    assert!(loaded(&rotation("    overlap: 0h\n    secrets: [A]\n")).0.is_some(), "an emergency is legal");
}

#[test]
fn what_two_rotations_claim() {
    let text = "\
rotations:
  - { name: a, provider: axiom, token: a, secrets: [X, acme/home:x] }
  - { name: b, provider: axiom, token: a, secrets: [ACME/HOME:X, Y] }
  - { name: b, provider: axiom, token: c, secrets: [], formerly: [acme/home/a] }
";
    insta::assert_snapshot!(loaded(text).1, @r#"
        error: `acme/home:X` is listed twice
         --> crossfade.yml:2:56
          |
        2 |   - { name: a, provider: axiom, token: a, secrets: [X, acme/home:x
          |                                                        ^^^^^^^^^^^
          |
          = help: it stands on line 2 already

        warning: two rotations keep the token `a` fresh
         --> crossfade.yml:3:40
          |
        3 |   - { name: b, provider: axiom, token: a
          |                                        ^
          |
          = help: it stands on line 2 already

        error: `ACME/HOME:X` belongs to another rotation already: it can hold one token
         --> crossfade.yml:3:53
          |
        3 |   - { name: b, provider: axiom, token: a, secrets: [ACME/HOME:X
          |                                                     ^^^^^^^^^^^
          |
          = help: it stands on line 2 already

        error: two rotations have the name `b`
         --> crossfade.yml:4:13
          |
        4 |   - { name: b
          |             ^
          |
          = help: it stands on line 3 already

        error: a rotation needs at least one secret
         --> crossfade.yml:4:52
          |
        4 |   - { name: b, provider: axiom, token: c, secrets: [
          |                                                    ^

        error: this is the key of a rotation of this file
         --> crossfade.yml:4:67
          |
        4 |   - { name: b, provider: axiom, token: c, secrets: [], formerly: [acme/home/a
          |                                                                   ^^^^^^^^^^^
          |
          = help: its tokens cannot belong to two rotations
        "#);
}

#[test]
fn secrets_that_contradict_themselves() {
    let text = rotation(
        r#"    credential: gh_token
    secrets:
      - { repository: acme/api }
      - { name: A, repository: acme/api, organization: acme }
      - { name: B, organization: acme, environment: prod }
      - { name: C, environment: prod, store: agents }
      - { name: D, create_environment: true, visibility: all }
      - { name: E, repositories: ["!acme/x"] }
"#,
    );
    insta::assert_snapshot!(loaded(&text).1, @r#"
        error: `gh_token` is one of GitHub's own variables
         --> crossfade.yml:5:17
          |
        5 |     credential: gh_token
          |                 ^^^^^^^^
          |
          = help: a GitHub credential is never sent to a provider; use another variable

        error: this secret has no `name`
         --> crossfade.yml:7:11
          |
        7 |       - { repository
          |           ^^^^^^^^^^

        error: a secret belongs to one of `repository`, `repositories` or `organization`
         --> crossfade.yml:8:11
          |
        8 |       - { name
          |           ^^^^

        error: an organization has no environments
         --> crossfade.yml:9:53
          |
        9 |       - { name: B, organization: acme, environment: prod
          |                                                     ^^^^

        error: the agents store has no environments
          --> crossfade.yml:10:33
           |
        10 |       - { name: C, environment: prod
           |                                 ^^^^
           |
           = help: only the actions store has environments

        error: `create_environment` requires `environment`
          --> crossfade.yml:11:40
           |
        11 |       - { name: D, create_environment: true
           |                                        ^^^^

        error: `visibility` is only for organization secrets
          --> crossfade.yml:11:58
           |
        11 |       - { name: D, create_environment: true, visibility: all
           |                                                          ^^^
           |
           = help: name the `organization`

        error: `repositories` includes no repository
          --> crossfade.yml:12:34
           |
        12 |       - { name: E, repositories: [
           |                                  ^
           |
           = help: begin with a pattern like acme/*
        "#);
}
