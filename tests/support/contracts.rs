//! The published API descriptions as judges of requests and replies.
//!
//! A request to a path that no description has is a violation, unless it is on
//! [`Api::beyond`] with a reason. OpenAPI 3.0 is close to JSON Schema; what
//! differs (`nullable`) is translated when an operation is first used.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::reply::Recorded;

/// One API description.
#[derive(Debug)]
pub struct Api {
    /// What violations call it.
    name: &'static str,
    /// What the description's paths are relative to, at the fake.
    prefix: &'static str,
    document: Value,
    /// Requests beyond the description: method, path template, reason.
    beyond: &'static [(&'static str, &'static str, &'static str)],
    /// Query parameters of lists that the description leaves out.
    queries: &'static [&'static str],
    validators: Mutex<HashMap<String, Option<Arc<Validator>>>>,
    /// The template of each path that was asked for.
    templates: Mutex<HashMap<String, Option<String>>>,
}

/// GitHub: secrets, what is needed to reach them, and issues.
pub static GITHUB: LazyLock<Api> = LazyLock::new(|| {
    let mut api =
        Api::new("github", "", include_str!("../contracts/github-secrets.openapi.json"), GITHUB_BEYOND);
    let others = [
        include_str!("../contracts/github-basics.openapi.json"),
        include_str!("../contracts/github-issues.openapi.json"),
        include_str!("../contracts/github-workflows.openapi.json"),
    ];
    for other in others {
        let other: Value = serde_json::from_str(other).unwrap();
        for (name, schema) in other["components"]["schemas"].as_object().unwrap() {
            api.document["components"]["schemas"][name] = schema.clone();
        }
        for (path, item) in other["paths"].as_object().unwrap() {
            api.document["paths"][path] = item.clone();
        }
    }
    api
});

/// Axiom: tokens.
pub static AXIOM: LazyLock<Api> = LazyLock::new(|| {
    let text = include_str!("../contracts/axiom-tokens.openapi.json");
    Api::new("axiom", "/v2", text, &[("GET", "/datasets", "a path that a rotation may name in `verify`")])
});

/// SoftwareOne Marketplace: API tokens.
pub static SOFTWAREONE: LazyLock<Api> = LazyLock::new(|| {
    let text = include_str!("../contracts/softwareone-api-tokens.openapi.json");
    // The query language is described on a page of its own.
    Api { queries: &["limit", "offset", "select"], ..Api::new("softwareone", "", text, &[]) }
});

/// deepset: the one published operation.
pub static DEEPSET: LazyLock<Api> = LazyLock::new(|| {
    let text = include_str!("../contracts/deepset-token.openapi.json");
    let beyond = &[
        ("GET", "/api/v1/token", "the list: older SDK and documentation pages only"),
        ("POST", "/api/v1/token", "creation: older SDK and documentation pages only"),
        ("DELETE", "/api/v1/token/{api_token_id}", "deletion: older SDK only"),
    ];
    Api::new("deepset", "", text, beyond)
});

/// LaunchDarkly: access tokens.
pub static LAUNCHDARKLY: LazyLock<Api> = LazyLock::new(|| {
    let text = include_str!("../contracts/launchdarkly-tokens.openapi.json");
    Api::new("launchdarkly", "", text, &[])
});

/// Lighthouse, which does not exist: keys.
pub static LIGHTHOUSE: LazyLock<Api> = LazyLock::new(|| {
    let text = include_str!("../contracts/lighthouse-keys.openapi.json");
    Api::new("lighthouse", "/v1", text, &[])
});

/// An API of the catalogue, below this path at the fake.
macro_rules! catalogue {
    ($($(#[doc = $doc:literal])* $static:ident, $name:literal, $prefix:literal, $file:literal;)*) => {$(
        $(#[doc = $doc])*
        pub static $static: LazyLock<Api> = LazyLock::new(|| {
            Api::new($name, $prefix, include_str!(concat!("../contracts/", $file, ".openapi.json")), &[])
        });
    )*};
}

catalogue! {
    /// GitLab: access tokens of projects and groups.
    GITLAB, "gitlab", "", "gitlab-access-tokens";
    /// Grafana: tokens of service accounts.
    GRAFANA, "grafana", "", "grafana-service-account-tokens";
    /// Grafana Cloud: tokens of access policies.
    GRAFANA_CLOUD, "grafana-cloud", "/api", "grafana-cloud-tokens";
    /// Cloudflare: API tokens of accounts and users.
    CLOUDFLARE, "cloudflare", "/client/v4", "cloudflare-tokens";
    /// HCP Terraform: tokens of teams.
    HCP_TERRAFORM, "hcp-terraform", "/api/v2", "hcp-terraform-team-tokens";
    /// Buildkite: agent tokens.
    BUILDKITE, "buildkite", "/v2", "buildkite-agent-tokens";
    /// JupyterHub: API tokens of a user.
    JUPYTERHUB, "jupyterhub", "", "jupyterhub-tokens";
    /// Databricks: personal access tokens.
    DATABRICKS, "databricks", "", "databricks-tokens";
    /// Pulumi Cloud: access tokens of organizations and teams.
    PULUMI, "pulumi", "", "pulumi-tokens";
    /// Snyk: service accounts.
    SNYK, "snyk", "/rest", "snyk-service-accounts";
    /// Datadog: access tokens of service accounts.
    DATADOG, "datadog", "", "datadog-service-account-tokens";
}

const GITHUB_BEYOND: &[(&str, &str, &str)] = &[
    ("GET", "/repositories/{id}", "where a renamed repository's redirect leads"),
    ("GET", "/repositories/{id}/{*rest}", "where a renamed repository's redirect leads"),
    ("PUT", "/repositories/{id}/{*rest}", "where a renamed repository's redirect leads"),
    ("POST", "/repositories/{id}/{*rest}", "where a renamed repository's redirect leads"),
    ("PATCH", "/repositories/{id}/{*rest}", "where a renamed repository's redirect leads"),
];

impl Api {
    fn new(
        name: &'static str,
        prefix: &'static str,
        text: &str,
        beyond: &'static [(&'static str, &'static str, &'static str)],
    ) -> Self {
        let document = serde_json::from_str(text).unwrap();
        Self {
            name,
            prefix,
            document,
            beyond,
            queries: &[],
            validators: Mutex::default(),
            templates: Mutex::default(),
        }
    }

    /// Why a request does not fit; empty if it does. `base` is what stands
    /// before the API's paths at this server, such as `/api/v3`.
    #[must_use]
    pub fn judge_request(&self, base: &str, request: &Recorded) -> Vec<String> {
        let Some(path) = self.relative(base, &request.path) else {
            return vec![self.complaint(request, "leads out of the API")];
        };
        let Some((template, operation)) = self.operation(&request.method, path) else {
            let known = self.beyond.iter().any(|(m, t, _)| *m == request.method && fits(t, path));
            return if known { Vec::new() } else { vec![self.complaint(request, "is in no description")] };
        };
        let mut complaints = self.judge_query(operation, request);
        let (wanted, schema) = body_of(&operation["requestBody"]);
        match (schema.is_null(), request.body.is_empty()) {
            (true, true) => {}
            (true, false) => complaints.push(self.complaint(request, "has a body, but takes none")),
            (false, true) => complaints.push(self.complaint(request, "has no body")),
            (false, false) => {
                let kind = request.header("content-type").unwrap_or_default();
                if !kind.starts_with(wanted) {
                    complaints.push(self.complaint(request, &format!("is not sent as {wanted}")));
                }
                let key = format!("{} {template}", request.method);
                let mut wrong = match serde_json::from_slice(&request.body) {
                    Ok(body) => self.judge_body(&key, schema, &body, request),
                    Err(_) => vec![self.complaint(request, "carries a body that is no JSON")],
                };
                if request.method == "PUT" && request.path.ends_with("/CROSSFADE_WRITE_CHECK") {
                    // Meant to be refused: by its value, and by nothing else.
                    let before = wrong.len();
                    wrong.retain(|complaint| !complaint.ends_with("at \"/encrypted_value\""));
                    if wrong.len() == before {
                        wrong.push(self.complaint(request, "is a write check that a server could store"));
                    }
                }
                complaints.extend(wrong);
            }
        }
        complaints
    }

    /// Why a fake's own reply does not fit; empty if it does. Failures are
    /// judged only where the description has them.
    #[must_use]
    pub fn judge_reply(&self, base: &str, request: &Recorded, body: Option<&Value>) -> Vec<String> {
        let Some(path) = self.relative(base, &request.path) else { return Vec::new() };
        let Some((template, operation)) = self.operation(&request.method, path) else { return Vec::new() };
        let status = request.status.to_string();
        let Some(reply) = operation["responses"].get(&status) else {
            let success = request.status < 300;
            return if success {
                vec![self.complaint(request, "answered with an unknown status")]
            } else {
                Vec::new()
            };
        };
        let (_, schema) = body_of(reply);
        match (schema.is_null(), body) {
            (true, None) => Vec::new(),
            // A description names many failures without their bodies.
            (true, Some(_)) if request.status >= 400 => Vec::new(),
            (true, Some(_)) => vec![self.complaint(request, "answered with a body, but has none")],
            (false, None) => vec![self.complaint(request, "answered without a body")],
            (false, Some(body)) => {
                let key = format!("{} {template} {status}", request.method);
                self.judge_body(&key, schema, body, request)
            }
        }
    }

    fn relative<'a>(&self, base: &str, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(base)?.strip_prefix(self.prefix).filter(|rest| rest.starts_with('/'))
    }

    /// The operation of a path; literal segments win over parameters.
    fn operation(&self, method: &str, path: &str) -> Option<(&str, &Value)> {
        let paths = self.document["paths"].as_object().unwrap();
        let mut templates = self.templates.lock().unwrap();
        let template = templates.entry(path.to_owned()).or_insert_with(|| {
            let fitting = paths.keys().filter(|template| fits(template, path));
            fitting.min_by_key(|template| template.matches('{').count()).cloned()
        });
        let (template, item) = paths.get_key_value(template.as_deref()?)?;
        Some((template, item.get(method.to_ascii_lowercase())?))
    }

    fn judge_query(&self, operation: &Value, request: &Recorded) -> Vec<String> {
        let declared = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut complaints = Vec::new();
        for (key, value) in url::form_urlencoded::parse(request.query.as_bytes()) {
            if self.queries.contains(&&*key) {
                continue;
            }
            let Some(parameter) = declared.iter().find(|p| p["in"] == "query" && p["name"] == *key) else {
                complaints.push(self.complaint(request, &format!("has an unknown query parameter {key:?}")));
                continue;
            };
            if parameter["schema"]["type"] == "integer" && value.parse::<u64>().is_err() {
                complaints.push(
                    self.complaint(request, &format!("has a query parameter {key:?} that is no number")),
                );
            }
        }
        complaints
    }

    fn judge_body(&self, key: &str, schema: &Value, body: &Value, request: &Recorded) -> Vec<String> {
        let validator = self.validator(key, schema);
        // Where and which rule, never the value: bodies hold secrets.
        let errors = validator.iter_errors(body);
        errors
            .map(|e| {
                self.complaint(
                    request,
                    &format!("breaks {} at {:?}", e.schema_path(), e.instance_path().as_str()),
                )
            })
            .collect()
    }

    fn validator(&self, key: &str, schema: &Value) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap();
        let slot = validators.entry(key.to_owned()).or_default();
        let validator = slot.get_or_insert_with(|| {
            let mut root = translate(schema, &self.document);
            if let Some(components) = self.document.get("components") {
                root["components"] = translate(components, &self.document);
            }
            Arc::new(jsonschema::options().should_validate_formats(true).build(&root).unwrap())
        });
        Arc::clone(validator)
    }

    fn complaint(&self, request: &Recorded, what: &str) -> String {
        let answer = if request.status == 0 { String::new() } else { format!(" -> {}", request.status) };
        format!("{}: {}{answer} {what}", self.name, request.line())
    }
}

/// The form in which a body is sent, and its schema.
fn body_of(described: &Value) -> (&'static str, &Value) {
    let kinds = ["application/json", "application/vnd.api+json"];
    let kind = kinds.into_iter().find(|kind| described["content"].get(kind).is_some()).unwrap_or(kinds[0]);
    (kind, &described["content"][kind]["schema"])
}

/// Whether a path has the form of a template. `{*rest}` stands for any end.
fn fits(template: &str, path: &str) -> bool {
    let mut given = path.trim_matches('/').split('/');
    for wanted in template.trim_matches('/').split('/') {
        let Some(segment) = given.next() else { return false };
        if wanted.starts_with("{*") {
            return true;
        }
        if !segment_fits(wanted, segment) {
            return false;
        }
    }
    given.next().is_none()
}

fn segment_fits(wanted: &str, given: &str) -> bool {
    match wanted.starts_with('{') {
        true => !given.is_empty(),
        false if given.contains('%') => percent_decode_str(given).eq(wanted.bytes()),
        false => wanted == given,
    }
}

/// OpenAPI 3.0 to JSON Schema: `nullable` becomes a union with `null`, what
/// refers to a part that the slice leaves out may be anything, and a schema that
/// others build on no longer forbids what they add.
fn translate(schema: &Value, document: &Value) -> Value {
    match schema {
        Value::Array(items) => Value::Array(items.iter().map(|item| translate(item, document)).collect()),
        Value::Object(fields) => {
            if referred(schema).is_some_and(|pointer| document.pointer(pointer).is_none()) {
                return json!({});
            }
            let translated = |(name, value): (&String, &Value)| {
                let value = if name == "allOf" { &opened(value, document) } else { value };
                (name.clone(), translate(value, document))
            };
            let mut out: Map<String, Value> = fields.iter().map(translated).collect();
            if out.get("nullable").is_some_and(Value::is_boolean)
                && out.remove("nullable") == Some(json!(true))
            {
                return json!({ "anyOf": [out, { "type": "null" }] });
            }
            Value::Object(out)
        }
        other => other.clone(),
    }
}

/// Where a schema refers to, as a JSON pointer.
fn referred(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix('#')
}

/// The parts of an `allOf`, with those that are referred to put in, and open.
fn opened(parts: &Value, document: &Value) -> Value {
    let open = |part: &Value| {
        let mut part = referred(part).and_then(|pointer| document.pointer(pointer)).unwrap_or(part).clone();
        if part.get("additionalProperties") == Some(&json!(false)) {
            part.as_object_mut().unwrap().shift_remove("additionalProperties");
        }
        part
    };
    Value::Array(parts.as_array().into_iter().flatten().map(open).collect())
}
