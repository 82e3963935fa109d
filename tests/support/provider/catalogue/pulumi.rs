//! Pulumi Cloud: a creation shows id and value alone, names of at most 40 characters are never
//! used twice, and dates are seconds.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::super::contracts;
use super::super::super::reply::Reply;
use super::super::rest::{Asked, PLAIN, Rest, manager, number, route, slice, token_scheme};
use super::super::{FakeToken, Service, State, TokenSpec};

/// Access tokens of an organization.
pub static ORGANIZATION: Service = Service {
    name: "pulumi",
    by_age: false,
    marker_in: "description",
    api: &contracts::PULUMI,
    route: |state, request| route(state, request, &ORGANIZATION_REST),
    refusal,
    names,
    ordinary: |name| TokenSpec::named(name).with("admin", json!(false)).with("roleID", json!("role-1")),
    admin: |name| manager(TokenSpec::named(name).with("admin", json!(true)).with("roleID", json!("role-2"))),
    file: Some(include_str!("../../../../docs/providers/pulumi.md")),
};

/// Access tokens of a team.
pub static TEAM: Service = Service {
    name: "pulumi-team",
    by_age: false,
    marker_in: "description",
    api: &contracts::PULUMI,
    route: |state, request| route(state, request, &TEAM_REST),
    refusal,
    names,
    ordinary: TokenSpec::named,
    admin: |name| manager(TokenSpec::named(name)),
    file: Some(include_str!("../../../../docs/providers/pulumi-team.md")),
};

const ORGANIZATION_REST: Rest = Rest {
    tokens: &["api", "orgs", "acme", "tokens"],
    asked: |body, _| match body.get("admin") {
        Some(Value::Bool(_)) => asked(body),
        _ => Err("admin is required".to_owned()),
    },
    ..TEAM_REST
};

const TEAM_REST: Rest = Rest {
    tokens: &["api", "orgs", "acme", "teams", "platform", "tokens"],
    whoami: &["api", "user"],
    credential: token_scheme,
    reads_one: false,
    lists_managers: false,
    shown,
    page: |all, request| {
        let start = number(request, "continuationToken", 0);
        let (page, next) = slice(all, start, number(request, "maxResults", 100));
        let mut reply = json!({ "tokens": page });
        if let Some(next) = next {
            reply["continuationToken"] = json!(next.to_string());
        }
        reply
    },
    asked: |body, _| asked(body),
    unique: Some(("name", true)),
    created: |token| (200, json!({ "id": token.id, "tokenValue": token.value })),
    caller: |token| {
        json!({
            "id": "1", "name": "acme", "githubLogin": "acme", "avatarUrl": "", "email": "", "hasMFA": false,
            "identities": [], "organizations": [], "isManagedByMultiOrg": false, "isOrgManaged": false,
            "tokenInfo": { "name": token.name(), "organization": "acme", "team": "" },
        })
    },
    refusal,
    ..PLAIN
};

fn names(state: &mut State) -> (String, String) {
    (state.unique("id"), format!("pul-{}", &state.digits("value")[..40]))
}

fn asked(mut body: Map<String, Value>) -> Result<Asked, String> {
    let end = body.remove("expires").and_then(|end| end.as_i64()).ok_or("expires is required")?;
    let end = Timestamp::from_second(end).map_err(|_| "expires is invalid")?;
    let name = body.get("name").and_then(Value::as_str).ok_or("name is required")?;
    if name.chars().count() > 40 {
        return Err("name is too long".to_owned());
    }
    Ok((body, Some(end)))
}

fn shown(token: &FakeToken) -> Value {
    let mut shown = json!({
        "id": token.id,
        "name": token.name(),
        "description": token.description(),
        "created": token.created_at,
        "createdBy": "acme-admin",
        "lastUsed": token.last_used_at.map_or(0, Timestamp::as_second),
        "expires": token.expires_at.map_or(0, Timestamp::as_second),
        "admin": token.raw.get("admin") == Some(&json!(true)),
    });
    if let Some(role) = token.raw.get("roleID") {
        shown["role"] = json!({ "id": role, "name": "a role", "defaultIdentifier": "member" });
    }
    shown
}

fn refusal(status: u16, message: &str) -> Reply {
    Reply::json(status, json!({ "code": status, "message": message }))
}
