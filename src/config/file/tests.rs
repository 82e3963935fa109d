//! What the reader accepts, and how it says what it does not.

use proptest::prelude::*;

use serde_json::{Map, Value as Json, json};

use super::*;
use crate::provider::all_but_axiom_left_out;
use crate::yaml::schema::Schema;

fn problems(text: &str) -> Problems {
    let mut problems = Problems::default();
    problems.set_file("crossfade.yml", text);
    keys(text, &mut problems);
    problems
}

fn keys(text: &str, problems: &mut Problems) -> FileKeys {
    read(text, problems)
}

#[test]
fn every_problem_is_reported_at_once_with_its_origin() {
    let text = "\
defaults: { lifetme: 90d }
rotations:
  - name: ci
    provider: axiom
    lifetime: 90x
    provider_token: not-to-be-shown
    name: again
    secrets:
      - { name: X, visibility: al }
      - { name: Y, create_environment: yes }
";
    insta::assert_snapshot!(all_but_axiom_left_out(&problems(text).to_string()), @r#"
        error: unknown key `lifetme`
         --> crossfade.yml:1:13
          |
        1 | defaults: { lifetme
          |             ^^^^^^^
          |
          = help: did you mean `lifetime`? Allowed: `provider`, `provider_url`, `credential`, `org_id`, `with`, `lifetime`, `overlap`, `rotate_before` or `delete_after`

        error: invalid duration `90x` (try 90d, 48h or 1d12h)
         --> crossfade.yml:5:15
          |
        5 |     lifetime: 90x
          |               ^^^

        error: unknown key `provider_token`
         --> crossfade.yml:6:5
          |
        6 |     provider_token
          |     ^^^^^^^^^^^^^^
          |
          = help: allowed: `name`, `provider`, `provider_url`, `credential`, `org_id`, `with`, `token`, `formerly`, `trusted`, `lifetime`, `overlap`, `rotate_before`, `delete_after`, `create`, `verify`, `secrets` or `after`

        error: `name` is given twice
         --> crossfade.yml:7:5
          |
        7 |     name
          |     ^^^^
          |
          = help: it stands on line 3 already

        error: unknown visibility `al`
         --> crossfade.yml:9:32
          |
        9 |       - { name: X, visibility: al
          |                                ^^
          |
          = help: did you mean `all`? Allowed: `all`, `private` or `selected`

        error: `visibility` is only for organization secrets
         --> crossfade.yml:9:32
          |
        9 |       - { name: X, visibility: al
          |                                ^^
          |
          = help: name the `organization`

        error: expected `true` or `false`
          --> crossfade.yml:10:40
           |
        10 |       - { name: Y, create_environment: yes
           |                                        ^^^
        "#);
}

#[test]
fn what_is_no_yaml() {
    let texts = [
        "",
        "# nothing\n",
        "- a\n",
        "rotations: [\n",
        "a: *b\n",
        "rotations: !x y\n",
        "a: 1\n---\nb: 2\n",
        "rotations: &a [*a]\n",
    ];
    insta::assert_snapshot!(texts.map(|text| problems(text).to_string()).join("\n"), @r#"
        error: the configuration file is empty
         --> crossfade.yml:1:1
          |
        1 |
          | ^
          |
          = help: it needs `rotations:`
        error: the configuration file is empty
         --> crossfade.yml:2:1
          |
        2 |
          | ^
          |
          = help: it needs `rotations:`
        error: expected a mapping, found a list
         --> crossfade.yml:1:1
          |
        1 | -
          | ^
          |
          = help: its keys: `defaults`, `providers` or `rotations`
        error: invalid YAML: unclosed bracket '['
         --> crossfade.yml:1:12
          |
        1 | rotations: [
          |            ^
        error: invalid YAML: reference to unknown value
         --> crossfade.yml:1:4
          |
        1 | a: *
          |    ^
          |
          = help: put quotes around text that begins with *
        error: invalid YAML: unsupported tag `!x`
         --> crossfade.yml:1:15
          |
        1 | rotations: !x y
          |               ^
          |
          = help: put quotes around text that begins with !
        error: invalid YAML: only single YAML document expected but multiple found
         --> crossfade.yml:3:1
          |
        3 | b
          | ^
        error: invalid YAML: Recursive reference not allowed here
         --> crossfade.yml:1:16
          |
        1 | rotations: &a [*a
          |                ^^
        "#);
}

#[test]
fn aliases_do_not_grow_without_bound() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let items = vec![format!("*a{}", i - 1); 9].join(", ");
        text.push_str(&format!("a{i}: &a{i} [{items}]\n"));
    }
    assert!(problems(&text).to_string().contains("invalid YAML"), "an alias bomb was read");
    assert!(problems(&" ".repeat(yaml::MAX_BYTES + 1)).has_errors());
}

#[test]
fn hostile_characters_and_secrets_are_not_printed() {
    let text = "rotations:\n  - name: ci\n    \"\\e[2J##[error]\u{202e}x\": 1\n    provider: ghp_0123456789abcdefghij\n";
    let shown = problems(text).to_string();
    assert!(!shown.contains(['\u{1b}', '\u{202e}']) && !shown.contains("##["), "{shown}");
    assert!(!shown.contains("0123456789"), "{shown}");
}

#[test]
fn numbers_are_the_text_that_was_written() {
    let mut problems = Problems::default();
    let keys = keys("rotations: [{ name: 12e5, token: 0x10 }]", &mut problems);
    let rotation = keys.rotations.unwrap().value.unwrap().remove(0).value.unwrap();
    assert_eq!(rotation.name.unwrap().value.unwrap(), "12e5");
    assert_eq!(rotation.token.unwrap().value.unwrap(), "0x10");
    assert!(problems.is_empty());
}

/// The example of the design, word for word.
const EXAMPLE: &str = "\
# .github/crossfade.yml
rotations:
  - name: ci-ingest
    provider: axiom
    credential: AXIOM_ADMIN_TOKEN      # environment variable with the provider credential
    token: ci-ingest                   # name or id of the token to keep fresh
    lifetime: 90d
    overlap: 7d
    rotate_before: 14d
    secrets:
      - AXIOM_TOKEN
      - acme/api@production:AXIOM_TOKEN
      - { organization: acme, name: AXIOM_TOKEN, store: dependabot }
    after:
      - { repository: acme/api, workflow: deploy.yml, ref: main }
";

impl Schema for Defaults {
    fn schema(groups: &mut Map<String, Json>) -> Json {
        let mut schema = RotationKeys::group(DEFAULTS, groups);
        schema["required"] = json!([]);
        schema
    }
}

/// The schema of the keys, pretty-printed.
fn schema_text() -> String {
    let mut groups = Map::new();
    FileKeys::schema(&mut groups);
    let mut schema = groups.shift_remove("File").unwrap();
    schema["title"] = "crossfade.yml".into();
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["$defs"] = groups.into();
    let defs = ["Rotation", "SecretMapping", "Workflow"].map(|group| format!("/$defs/{group}"));
    for group in defs.into_iter().chain(["/properties/defaults".to_owned()]) {
        let properties = schema.pointer_mut(&format!("{group}/properties"));
        for (key, property) in properties.and_then(Json::as_object_mut).into_iter().flatten() {
            if let (Some(default), Some(Json::String(text))) =
                (default_of(key), property.get_mut("description"))
            {
                text.push_str(&format!(" Default: {default}."));
            }
        }
    }
    format!("{schema:#}\n")
}

#[test]
fn the_published_schema_is_current() {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/crossfade.schema.json");
        std::fs::write(path, schema_text()).unwrap();
    } else {
        assert!(SCHEMA == schema_text(), "write it anew: UPDATE_DOCS=1 cargo test published_schema");
    }
}

#[test]
fn the_example_is_read_and_fits_the_schema() {
    assert!(problems(EXAMPLE).is_empty());
    let schema: Json = serde_json::from_str(&schema_text()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let example: Json = serde_saphyr::from_str(EXAMPLE).unwrap();
    assert!(validator.is_valid(&example));
    let misspelt: Json = serde_saphyr::from_str(&EXAMPLE.replace("lifetime", "lifetme")).unwrap();
    assert!(!validator.is_valid(&misspelt));
}

#[test]
fn the_schema_describes_every_key_and_the_reader_knows_it() {
    let schema: Json = serde_json::from_str(&schema_text()).unwrap();
    let groups = [
        ("/properties", FileKeys::KEYS, "KEY: 1"),
        ("/properties/defaults/properties", DEFAULTS, "defaults: { KEY: 1 }"),
        ("/$defs/Rotation/properties", RotationKeys::KEYS, "rotations: [{ KEY: 1 }]"),
        (
            "/$defs/SecretMapping/properties",
            SecretMappingKeys::KEYS,
            "rotations: [{ secrets: [{ KEY: 1 }] }]",
        ),
        ("/$defs/Workflow/properties", WorkflowKeys::KEYS, "rotations: [{ after: [{ KEY: 1 }] }]"),
    ];
    for (pointer, keys, text) in groups {
        let properties = schema.pointer(pointer).unwrap().as_object().unwrap();
        assert_eq!(properties.keys().collect::<Vec<_>>(), keys, "{pointer}");
        for (key, property) in properties {
            assert!(property["description"].as_str().is_some_and(|d| d.len() > 15), "{key}");
            let text = problems(&text.replace("KEY", key)).to_string();
            assert!(!text.contains("unknown key"), "{key}: {text}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        let _ = problems(&text).to_string();
    }

    #[test]
    fn no_yaml_makes_the_reader_panic(
        lines in prop::collection::vec(("[ -]{0,6}", "name|token|secrets|rotations|defaults|lifetime|create|[a-z]{1,3}", "[:]? ?", "[\\[\\]{}*&!'\",:a-z0-9 é\t\u{202e}#|>~-]{0,9}"), 0..9)
    ) {
        let text: String = lines.iter().map(|(a, b, c, d)| format!("{a}{b}{c}{d}\n")).collect();
        let _ = problems(&text).to_string();
    }
}
