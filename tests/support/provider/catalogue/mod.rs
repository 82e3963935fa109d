//! The services of the catalogue at fakes that are written from their contracts: forms of
//! dates, pages, what a reply leaves out, and what the server decides by itself.

pub mod buildkite;
pub mod cloudflare;
pub mod databricks;
pub mod datadog;
pub mod gitlab;
pub mod grafana;
pub mod hcp_terraform;
pub mod jupyterhub;
pub mod pulumi;
pub mod snyk;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::super::reply::Request;
use super::Service;

/// Each service whose page has a configuration with variables.
pub static CATALOGUE: [&Service; 13] = [
    &jupyterhub::SERVICE,
    &gitlab::SERVICE,
    &grafana::SERVICE,
    &grafana::CLOUD,
    &cloudflare::ACCOUNT,
    &cloudflare::USER,
    &hcp_terraform::SERVICE,
    &buildkite::SERVICE,
    &databricks::SERVICE,
    &pulumi::ORGANIZATION,
    &pulumi::TEAM,
    &snyk::SERVICE,
    &datadog::SERVICE,
];

/// A field that a creation must have, as text.
fn text(body: &mut Map<String, Value>, field: &str) -> Result<String, String> {
    let value = body.remove(field).and_then(|value| value.as_str().map(str::to_owned));
    value.ok_or_else(|| format!("{field} is required"))
}

/// The same under another name.
fn rename(body: &mut Map<String, Value>, field: &str, name: &str) -> Result<(), String> {
    let value = text(body, field)?;
    body.insert(name.to_owned(), json!(value));
    Ok(())
}

/// A required date in RFC 3339.
fn date(body: &mut Map<String, Value>, field: &str) -> Result<Timestamp, String> {
    text(body, field)?.parse().map_err(|_| format!("{field} is not a date"))
}

/// A required lifetime in seconds from now on.
fn seconds_from(body: &mut Map<String, Value>, field: &str, now: Timestamp) -> Result<Timestamp, String> {
    let seconds = body.remove(field).and_then(|value| value.as_i64()).filter(|seconds| *seconds > 0);
    let seconds = seconds.ok_or_else(|| format!("{field} is required"))?;
    now.checked_add(SignedDuration::from_secs(seconds)).map_err(|_| format!("{field} is too long"))
}

/// `/data/attributes` of a JSON:API body of this type.
fn attributes(mut body: Map<String, Value>, kind: &str) -> Result<Map<String, Value>, String> {
    let data = body.remove("data").unwrap_or_default();
    let attributes = data["attributes"].as_object().filter(|_| data["type"] == kind);
    attributes.cloned().ok_or_else(|| format!("data of the type {kind} is required"))
}

/// Whether a body is sent as JSON:API has it.
fn is_json_api(request: &Request) -> Result<(), &'static str> {
    let kind = request.headers.get("content-type");
    let is_right = request.body.is_empty() || kind.is_some_and(|kind| kind == "application/vnd.api+json");
    is_right.then_some(()).ok_or("the content type must be application/vnd.api+json")
}
