//! The tables of `docs/configuration.md`, written from the schema. To write them anew:
//! `UPDATE_DOCS=1 cargo test --test it -- docs::reference`

use serde_json::{Map, Value as Json};

use super::page::project_file;
use crate::support::Invocation;

const PAGE: &str = "docs/configuration.md";

/// An example for each key of a rotation.
const ROTATION: &[(&str, &str)] = &[
    ("name", "ci-ingest"),
    ("provider", "axiom"),
    ("provider_url", "https://axiom.example.com"),
    ("credential", "AXIOM_ADMIN_TOKEN"),
    ("org_id", "acme-x1y2"),
    ("with", "{ org_id: acme-x1y2 }"),
    ("token", "ci-ingest"),
    ("formerly", "[acme/old-infra/ci-ingest]"),
    ("trusted", "8d1bc13a-4f0e-4a57-9a54-0c2f3d1b7e66"),
    ("lifetime", "30d"),
    ("overlap", "48h"),
    ("rotate_before", "10d"),
    ("delete_after", "30d"),
    ("create", "{ datasetCapabilities: { logs: { ingest: [create] } } }"),
    ("verify", "/v2/datasets"),
    ("secrets", "[AXIOM_TOKEN, \"acme/api:AXIOM_TOKEN\"]"),
    ("after", "[{ workflow: deploy.yml }]"),
];

/// An example for each key of a secret: a secret that has it.
const SECRET: &[(&str, &str)] = &[
    ("name", "{ name: AXIOM_TOKEN }"),
    ("repository", "{ repository: acme/api, name: AXIOM_TOKEN }"),
    ("repositories", "{ repositories: [\"acme/*\", \"!acme/legacy-*\"], name: AXIOM_TOKEN }"),
    ("environment", "{ repository: acme/api, environment: live, name: AXIOM_TOKEN }"),
    ("create_environment", "{ environment: live, create_environment: true, name: AXIOM_TOKEN }"),
    ("organization", "{ organization: acme, name: AXIOM_TOKEN }"),
    ("visibility", "{ organization: acme, visibility: private, name: AXIOM_TOKEN }"),
    ("store", "{ repository: acme/api, store: dependabot, name: AXIOM_TOKEN }"),
];

/// An example for each key of a workflow: a workflow that has it.
const WORKFLOW: &[(&str, &str)] = &[
    ("repository", "{ repository: acme/api, workflow: deploy.yml }"),
    ("workflow", "{ workflow: deploy.yml }"),
    ("ref", "{ workflow: deploy.yml, ref: main }"),
];

/// A configuration whose rotation has this key with this value.
fn configuration(key: &str, value: &str) -> String {
    let own = ["name", "provider", "token", "secrets"].map(|required| {
        let example = ROTATION.iter().find(|(name, _)| *name == required).unwrap().1;
        format!("{required}: {}", if key == required { value } else { example })
    });
    let further = format!("{key}: {value}");
    let lines = own.iter().chain((!own.contains(&further)).then_some(&further));
    format!("rotations:\n  - {}\n", lines.cloned().collect::<Vec<_>>().join("\n    "))
}

/// One table: a row for each property of a group of the schema.
fn table(schema: &Json, group: &str, examples: &[(&str, &str)]) -> String {
    let is_rotation = group == "Rotation";
    let (group, defaults) = (&schema["$defs"][group], &schema["properties"]["defaults"]);
    let keys: &Map<String, Json> = group["properties"].as_object().unwrap();
    let required = group["required"].as_array().unwrap();
    let shown: Vec<&str> = examples.iter().map(|(key, _)| *key).collect();
    let known: Vec<&str> = keys.keys().map(String::as_str).collect();
    assert_eq!(shown, known, "an example for each key, in the order of the schema");
    // `defaults` may give what a rotation must have, so the schema does not require it.
    let is_required = |key: &str| required.contains(&key.into()) || is_rotation && key == "provider";
    let mut table = "| key | meaning | default | example |\n|---|---|---|---|\n".to_owned();
    for (key, property) in keys {
        let text = property["description"].as_str().unwrap();
        let (meaning, default) = text.split_once(" Default: ").unwrap_or((text, ""));
        let values = [property, &property["anyOf"][0]].into_iter().find_map(|of| of["enum"].as_array());
        let values = values.map(|all| all.iter().map(code).collect::<Vec<_>>().join(", "));
        let values = values.map_or_else(String::new, |all| format!(" One of {all}."));
        let default = match default.trim_end_matches('.') {
            "" if is_required(key) => "required".to_owned(),
            word if word.contains(' ') || word.is_empty() => word.to_owned(),
            word => code(&Json::from(word)),
        };
        let mark = if is_rotation && defaults["properties"].get(key).is_some() { " †" } else { "" };
        let value = examples.iter().find(|(name, _)| name == key).unwrap().1;
        let example = if is_rotation { format!("{key}: {value}") } else { (*value).to_owned() };
        table += &format!("| `{key}`{mark} | {meaning}{values} | {default} | `{example}` |\n");
    }
    table
}

fn code(word: &Json) -> String {
    format!("`{}`", word.as_str().unwrap())
}

#[test]
fn the_configuration_page_has_every_key_of_the_schema() {
    let schema: Json = serde_json::from_str(&project_file("docs/crossfade.schema.json")).unwrap();
    let rotation = table(&schema, "Rotation", ROTATION);
    let secret = table(&schema, "SecretMapping", SECRET);
    let workflow = table(&schema, "Workflow", WORKFLOW);
    let short = schema["$defs"]["Rotation"]["properties"]["secrets"]["items"]["anyOf"][0]["description"]
        .as_str()
        .unwrap();
    let written = format!(
        "<!-- begin -->\n\n## A rotation\n\nKeys with † may stand under `defaults` as well.\n\n{rotation}\n\
         ## A secret\n\nIn short: {short} Or a mapping:\n\n{secret}\n\
         ## A workflow\n\nA mapping under `after`; see [workflows after a rotation](reliability.md#workflows-after-a-rotation).\n\n\
         {workflow}\n<!-- end -->"
    );
    let page = project_file(PAGE);
    let (before, rest) = page.split_once("<!-- begin -->").unwrap();
    let expected = format!("{before}{written}{}", rest.split_once("<!-- end -->").unwrap().1);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE), &expected).unwrap();
    } else {
        assert!(page == expected, "{PAGE} is stale: UPDATE_DOCS=1 cargo test --test it -- docs::reference");
    }
}

#[tokio::test]
async fn every_example_of_the_configuration_page_is_valid() {
    let secrets = SECRET.iter().map(|(_, secret)| configuration("secrets", &format!("[{secret}]")));
    let workflows = WORKFLOW.iter().map(|(_, workflow)| configuration("after", &format!("[{workflow}]")));
    let rotations = ROTATION.iter().map(|(key, value)| configuration(key, value));
    for text in rotations.chain(secrets).chain(workflows) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &text).unwrap();
        let ran = Invocation::of("check").arg("--config", &file.path().display().to_string()).run().await;
        assert_eq!((ran.exit_code, ran.stderr.as_str()), (0, ""), "{text}\n{}", ran.everything());
    }
}
