//! HCP Terraform: a list over all teams, JSON:API, another form of id in the reply to a
//! creation, and a 404 for what is not permitted.

use serde_json::{Value, json};

use super::super::super::contracts;
use super::super::super::reply::Reply;
use super::super::rest::{PLAIN, Rest, at_host, manager, number, route, slice};
use super::super::{FakeToken, Service, TokenSpec};
use super::{attributes, date, is_json_api, rename};

/// Tokens of the team team-42.
pub static SERVICE: Service = Service {
    name: "hcp-terraform",
    by_age: false,
    marker_in: "name",
    api: &contracts::HCP_TERRAFORM,
    route: |state, request| route(state, request, &REST),
    refusal,
    names: |state| {
        let digits = state.digits("value");
        (format!("at-{}", &state.digits("id")[..16]), format!("{}.atlasv1.{}", &digits[..14], &digits[14..]))
    },
    ordinary: TokenSpec::named,
    admin: |name| manager(TokenSpec::named(name)),
    file: Some(include_str!("../../../../docs/providers/hcp-terraform.md")),
};

const REST: Rest = Rest {
    tokens: &["api", "v2", "organizations", "acme", "team-tokens"],
    creations: Some(&["api", "v2", "teams", "team-42", "authentication-tokens"]),
    single: Some(&["api", "v2", "authentication-tokens"]),
    whoami: &["api", "v2", "account", "details"],
    requires: is_json_api,
    lists_managers: false,
    refused: (401, 404),
    shown: |token| item(&token.id, "team-42", token),
    page: |all, request| {
        let size = number(request, "page[size]", 20).min(100);
        let page = number(request, "page[number]", 1);
        let (items, next) = slice(all, (page - 1) * size, size);
        // A token of another team, which has the same name.
        let mut items = items.to_vec();
        let mut other = json!({ "id": "at-other", "type": "authentication-tokens" });
        other["attributes"] =
            json!({ "description": "ci-ingest", "created-at": "2026-01-01T00:00:00Z", "token": "old" });
        other["relationships"] = json!({ "team": { "data": { "id": "team-1", "type": "teams" } } });
        items.push(other);
        let origin = at_host(request).origin().ascii_serialization();
        let next = next.map(|_| {
            let path = request.url.path();
            format!("{origin}{path}?page%5Bnumber%5D={}&page%5Bsize%5D={size}", page + 1)
        });
        json!({ "data": items, "links": { "next": next } })
    },
    asked: |body, _| {
        let mut asked = attributes(body, "authentication-tokens")?;
        let end = date(&mut asked, "expired-at")?;
        rename(&mut asked, "description", "name")?;
        Ok((asked, Some(end)))
    },
    unique: Some(("name", false)),
    created: |token| {
        let mut shown = item("4111797", "team-42", token);
        shown["attributes"]["token"] = json!(token.value);
        (201, json!({ "data": shown }))
    },
    read: |shown| json!({ "data": shown }),
    caller: |token| {
        let link = format!("/api/v2/authentication-tokens/{}", token.id);
        json!({ "data": { "id": "user-1", "type": "users", "attributes": {}, "links": { "auth-token": link } } })
    },
    refusal,
    ..PLAIN
};

fn item(id: &str, team: &str, token: &FakeToken) -> Value {
    json!({
        "id": id,
        "type": "authentication-tokens",
        "attributes": {
            "description": token.name(),
            "created-at": token.created_at,
            "last-used-at": token.last_used_at,
            "expired-at": token.expires_at,
            "token": null,
        },
        "relationships": { "team": { "data": { "id": team, "type": "teams" } } },
    })
}

fn refusal(status: u16, message: &str) -> Reply {
    Reply::json(status, json!({ "errors": [{ "status": status.to_string(), "title": message }] }))
}
