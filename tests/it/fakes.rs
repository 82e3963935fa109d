//! Proves that the fakes enforce what they claim.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, header, json_of};
use crate::support::axiom::TokenSpec;
use crate::support::clock::{DateHeader, http_date};
use crate::support::contracts::{DEEPSET, SOFTWAREONE};
use crate::support::github::{Credential, On, RateLimit};
use crate::support::leaks::find_leaks;
use crate::support::marker::Marker;
use crate::support::reply::Recorded;
use crate::support::{FakeAxiom, FakeGithub, Invariant, VirtualClock, World};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const SECRET: &str = "/repos/acme/infra/actions/secrets/AXIOM_TOKEN";
const KEY: &str = "/repos/acme/infra/actions/secrets/public-key";

// ---- time ----

#[tokio::test]
async fn the_date_header_is_the_virtual_one_alone() {
    let world = World::start().await;
    world.github.set_clock(|clock| clock.skew = HOUR);
    let reply = Client::github(&world).get(SECRET).await;
    let dates: Vec<_> = reply.headers().get_all("date").iter().collect();
    assert_eq!(dates, [&http_date(world.clock.now().checked_add(HOUR).unwrap())]);
    assert_eq!(http_date("2026-03-02T08:00:00Z".parse().unwrap()), "Mon, 02 Mar 2026 08:00:00 GMT");
    world.axiom.set_clock(|clock| clock.header = DateHeader::Garbled);
    let reply = Client::axiom(&world).get("/v2/tokens").await;
    assert_eq!(reply.headers().get_all("date").iter().count(), 1);
    assert_eq!(header(&reply, "date"), Some("the day after tomorrow"));
}

// ---- GitHub ----

#[tokio::test]
async fn a_secret_is_opened_stored_and_dated() {
    let world = World::start().await;
    let client = Client::github(&world);
    let before = world.github.secret("acme/infra:AXIOM_TOKEN").unwrap();
    let body = client.sealed(KEY, "the-new-value").await;
    assert_eq!(client.status(Method::PUT, SECRET, Some(body.clone())).await, 204);
    let after = world.github.secret("acme/infra:axiom_token").unwrap();
    assert_eq!((after.value.as_str(), after.writes, after.by.as_str()), ("the-new-value", 2, "writer"));
    assert_eq!((after.created_at, after.updated_at), (before.created_at, world.clock.now()));
    assert_eq!(client.status(Method::PUT, "/repos/acme/infra/actions/secrets/other", Some(body)).await, 201);
    assert_eq!(world.github.secret("acme/infra:OTHER").unwrap().value, "the-new-value");
    let shown = json_of(client.get(SECRET).await).await;
    assert_eq!(shown["updated_at"], "2026-03-02T09:00:00Z");
    assert_eq!(client.status(Method::DELETE, SECRET, None).await, 204);
    assert_eq!(client.get(SECRET).await.status(), 404);
    assert_eq!(world.github.secret("acme/infra:AXIOM_TOKEN"), None);
    world.assert_no_violations();
}

#[tokio::test]
async fn what_cannot_be_opened_is_refused() {
    let world = World::start().await;
    let client = Client::github(&world);
    let put = async |body: Value| client.status(Method::PUT, SECRET, Some(body)).await;
    let good = client.sealed(KEY, "value").await;
    world.github.rotate_key("acme/infra");
    assert_eq!(put(good.clone()).await, 422, "a key id that is no longer current");
    let current = client.sealed(KEY, "value").await;
    let mixed = json!({ "encrypted_value": good["encrypted_value"], "key_id": current["key_id"] });
    assert_eq!(put(mixed).await, 422, "sealed with another key");
    let misnamed = json!({ "encrypted_value": current["encrypted_value"], "key_id": good["key_id"] });
    assert_eq!(put(misnamed).await, 422, "sealed with the current key under an old name");
    assert_eq!(put(current).await, 204);
    world.assert_no_violations();
    assert_eq!(put(json!({ "encrypted_value": "not base64!", "key_id": "1" })).await, 422);
    assert!(!world.github.violations().is_empty(), "the contract's pattern was broken");
}

#[tokio::test]
async fn scopes_and_stores_have_their_own_keys_and_secrets() {
    let world = World::start().await;
    let client = Client::github(&world);
    world.github.add_environment("acme/infra", "eu/prod 1");
    world.github.add_org("acme");
    let paths = [
        ("acme/infra:T", "/repos/acme/infra/actions/secrets"),
        ("dependabot+acme/infra:T", "/repos/acme/infra/dependabot/secrets"),
        ("codespaces+acme/infra:T", "/repos/acme/infra/codespaces/secrets"),
        ("agents+acme/infra:T", "/repos/acme/infra/agents/secrets"),
        ("acme/infra@eu/prod 1:T", "/repos/acme/infra/environments/eu%2Fprod%201/secrets"),
        ("org:acme:T", "/orgs/acme/actions/secrets"),
        ("dependabot+org:acme:T", "/orgs/acme/dependabot/secrets"),
    ];
    let mut keys = std::collections::HashSet::new();
    for (destination, path) in paths {
        let mut body = client.sealed(&format!("{path}/public-key"), destination).await;
        keys.insert(body["key_id"].to_string());
        if destination.contains("org:") {
            assert_eq!(client.status(Method::PUT, &format!("{path}/T"), Some(body.clone())).await, 422);
            body["visibility"] = json!("private");
        }
        assert_eq!(client.status(Method::PUT, &format!("{path}/T"), Some(body)).await, 201, "{path}");
        assert_eq!(world.github.secret(destination).unwrap().value, destination);
    }
    assert_eq!(keys.len(), paths.len());
    assert_eq!(client.get("/repos/acme/infra/environments/none/secrets").await.status(), 404);
    assert_eq!(client.get("/repos/acme/none/actions/secrets").await.status(), 404);
    assert_eq!(client.get("/orgs/none/actions/secrets").await.status(), 404);
    let complaints = world.github.violations();
    assert_eq!(complaints.len(), 2, "only the two without visibility: {complaints:?}");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::builder().empty().start().await;
    for n in 0..65 {
        world.github.put_by_hand(&format!("acme/infra:NAME_{n:02}"), "value");
    }
    let client = Client::github(&world);
    let list = "/repos/acme/infra/actions/secrets";
    let first = client.get(list).await;
    let link = header(&first, "link").unwrap().to_owned();
    assert!(
        link.contains(&format!("<{}{list}?per_page=30&page=2>; rel=\"next\"", world.github.url())),
        "{link}"
    );
    let first = json_of(first).await;
    assert_eq!((first["total_count"].as_u64(), first["secrets"].as_array().unwrap().len()), (Some(65), 30));
    let last = client.get(&format!("{list}?page=3")).await;
    assert!(!header(&last, "link").unwrap().contains("next"));
    assert_eq!(json_of(last).await["secrets"].as_array().unwrap().len(), 5);
    let whole = client.get(&format!("{list}?per_page=100")).await;
    assert_eq!(header(&whole, "link"), None);
    world.assert_no_violations();
}

#[tokio::test]
async fn credentials_may_do_what_they_may() {
    let world = World::start().await;
    let github = &world.github;
    let end = world.clock.now().checked_add(HOUR).unwrap();
    github.add_credential(Credential::new("reader", "t-reader").read_only());
    github.add_credential(Credential::new("job", "t-job").integration());
    github.add_credential(Credential::new("short", "t-short").expires_at(end));
    github.add_credential(Credential::new("elsewhere", "t-else").only(&["acme/other", "beta/*"]));
    github.add_credential(Credential::new("half", "t-half").without("secrets"));
    let get = async |token: &str| Client::new(&github.url(), token).get(KEY).await;
    assert_eq!(get("t-unknown").await.status(), 401);
    assert_eq!(get("t-else").await.status(), 404);
    let refused = get("t-job").await;
    assert_eq!(refused.status(), 403);
    assert_eq!(json_of(refused).await["message"], "Resource not accessible by integration");
    let refused = get("t-half").await;
    assert_eq!(header(&refused, "x-accepted-github-permissions"), Some("secrets=read"));
    let reader = Client::new(&github.url(), "t-reader");
    let body = reader.sealed(KEY, "value").await;
    let refused = reader.send(Method::PUT, SECRET, Some(body)).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(header(&refused, "x-accepted-github-permissions"), Some("secrets=write"));
    let short = get("t-short").await;
    assert_eq!(header(&short, "github-authentication-token-expiration"), Some("2026-03-02 10:00:00 UTC"));
    world.advance(HOUR);
    assert_eq!(get("t-short").await.status(), 401);
    github.assert_no_violations();
}

#[tokio::test]
async fn a_renamed_repository_redirects() {
    let world = World::start().await;
    world.github.rename("acme/infra", "acme/platform");
    let client = Client::github(&world);
    let body = client.sealed("/repos/acme/platform/actions/secrets/public-key", "value").await;
    let moved = client.get(&format!("{KEY}?page=1")).await;
    assert_eq!(moved.status(), 301);
    let location = header(&moved, "location").unwrap().to_owned();
    let path = location.strip_prefix(&world.github.url()).expect("the same origin");
    assert!(path.ends_with("/actions/secrets/public-key?page=1"), "{path}");
    assert_eq!(client.get(path).await.status(), 200);
    let moved = client.send(Method::PUT, SECRET, Some(body.clone())).await;
    assert_eq!(moved.status(), 307);
    let path = header(&moved, "location").unwrap().strip_prefix(&world.github.url()).unwrap().to_owned();
    assert_eq!(client.status(Method::PUT, &path, Some(body)).await, 204);
    assert_eq!(world.github.secret("acme/platform:AXIOM_TOKEN").unwrap().value, "value");
    world.github.switch(|s| s.redirect_origin = Some("http://127.0.0.1:9".to_owned()));
    let moved = client.get(KEY).await;
    assert!(header(&moved, "location").unwrap().starts_with("http://127.0.0.1:9/repositories/"));
}

#[tokio::test]
async fn broken_places_fail_as_arranged() {
    let world = World::builder().destinations(["acme/infra:A", "acme/infra:B", "acme/api:A"]).start().await;
    let client = Client::github(&world);
    let path = |repo: &str, name: &str| format!("/repos/acme/{repo}/actions/secrets/{name}");
    world.github.break_scope("acme/infra", On::Writes, 500);
    world.github.break_secret("acme/api:A", On::All, 404);
    assert_eq!(client.get(&path("infra", "A")).await.status(), 200);
    assert_eq!(client.status(Method::DELETE, &path("infra", "A"), None).await, 500);
    assert_eq!(client.get(&path("api", "A")).await.status(), 404);
    assert_eq!(client.get(&path("api", "public-key")).await.status(), 200);
    world.github.repair();
    world.github.break_times("acme/infra", On::Reads, 403, 1);
    assert_eq!(client.get(&path("infra", "B")).await.status(), 403);
    assert_eq!(client.get(&path("infra", "B")).await.status(), 200);
    world.github.set_archived("acme/infra", true);
    assert_eq!(client.status(Method::DELETE, &path("infra", "A"), None).await, 403);
}

#[tokio::test]
async fn an_organization_secret_keeps_or_loses_its_readers() {
    let world = World::builder().destinations(["org:acme:T"]).start().await;
    let client = Client::github(&world);
    let (a, b) = (world.github.add_repo("acme/a"), world.github.add_repo("acme/b"));
    world.github.set_visibility("org:acme:T", "selected", &[a, b]);
    let shown = json_of(client.get("/orgs/acme/actions/secrets/T").await).await;
    assert_eq!(shown["visibility"], "selected");
    let readers =
        shown["selected_repositories_url"].as_str().unwrap().strip_prefix(&world.github.url()).unwrap();
    let page = json_of(client.get(&format!("{readers}?per_page=1&page=2")).await).await;
    assert_eq!((&page["total_count"], &page["repositories"][0]["id"]), (&json!(2), &json!(b)));
    let mut body = client.sealed("/orgs/acme/actions/secrets/public-key", "value").await;
    body["visibility"] = json!("selected");
    body["selected_repository_ids"] = json!([a, b]);
    assert_eq!(client.status(Method::PUT, "/orgs/acme/actions/secrets/T", Some(body.clone())).await, 204);
    assert_eq!(world.github.secret("org:acme:T").unwrap().selected, [a, b]);
    let ids = json!({ "selected_repository_ids": [b] });
    assert_eq!(client.status(Method::PUT, readers, Some(ids)).await, 204);
    assert_eq!(world.github.secret("org:acme:T").unwrap().selected, [b]);
    body.as_object_mut().unwrap().remove("selected_repository_ids");
    assert_eq!(client.status(Method::PUT, "/orgs/acme/actions/secrets/T", Some(body)).await, 204);
    assert!(
        world.github.secret("org:acme:T").unwrap().selected.is_empty(),
        "the list was replaced by nothing"
    );
    assert_eq!(json_of(client.get("/orgs/acme/repos").await).await.as_array().unwrap().len(), 3);
    world.assert_no_violations();
}

#[tokio::test]
async fn a_github_of_ones_own_begins_at_a_path_and_limits_rates() {
    let clock = VirtualClock::new();
    let github = FakeGithub::start_at(&clock, "/api/v3");
    github.add_repo("acme/infra");
    github.add_credential(Credential::new("writer", "t"));
    let reset = clock.now().checked_add(HOUR).unwrap();
    github.switch(|s| s.rate_limit = Some(RateLimit { limit: 5000, remaining: 1, reset }));
    let client = Client::new(&github.url(), "t");
    let reply = client.get(KEY).await;
    assert_eq!((reply.status().as_u16(), header(&reply, "x-ratelimit-remaining")), (200, Some("0")));
    assert_eq!(client.get(KEY).await.status(), 403);
    clock.advance(HOUR);
    assert_eq!(client.get(KEY).await.status(), 200);
    github.assert_no_violations();
    assert_eq!(Client::new(github.url().trim_end_matches("/api/v3"), "t").get(KEY).await.status(), 404);
    assert!(github.violations()[0].contains("leads out of the API"));
}

// ---- Axiom ----

fn regenerate(world: &World, old_end: &str) -> (String, Value) {
    let body = json!({
        "existingTokenExpiresAt": old_end,
        "newToken": {
            "name": "ci-ingest", "description": "marked", "expiresAt": "2026-06-01T00:00:00Z",
            "datasetCapabilities": { "ci-logs": { "ingest": ["create"], "teleport": ["create"] } }, "novel": { "kept": 1 },
        },
    });
    (format!("/v2/tokens/{}/regenerate", world.original.id), body)
}

#[tokio::test]
async fn regenerating_gives_a_new_id_and_shortens_the_old_life() {
    let world = World::start().await;
    let client = Client::axiom(&world);
    let (path, body) = regenerate(&world, "2026-03-03T00:00:00Z");
    let create = client.send(Method::POST, &path, Some(body.clone())).await;
    assert_eq!(create.status(), 200);
    let create = json_of(create).await;
    let value = create["token"].as_str().unwrap();
    assert!(value.starts_with("xaat-") && create["id"] != json!(world.original.id));
    assert_eq!(
        (&create["novel"], &create["expiresAt"]),
        (&json!({ "kept": 1 }), &json!("2026-06-01T00:00:00Z"))
    );
    assert!(world.axiom.is_accepted(value) && world.axiom.is_accepted(&world.original.value));
    let shown = json_of(client.get(&format!("/v2/tokens/{}", create["id"].as_str().unwrap())).await).await;
    assert_eq!(
        (&shown["description"], &shown["datasetCapabilities"]),
        (&json!("marked"), &create["datasetCapabilities"])
    );
    assert!(shown.get("token").is_none(), "the value is shown once");
    assert!(world.unaccepted().is_empty());
    world.advance_days(1);
    assert!(!world.axiom.is_accepted(&world.original.value), "the overlap is over");
    assert_eq!(world.unaccepted().len(), 1, "and the secret still holds it");
    world.assert_no_violations();
    assert_eq!(client.status(Method::POST, &path, Some(body)).await, 200);
    world.assert_no_violations();
}

#[tokio::test]
async fn a_life_is_never_extended_unnoticed() {
    let world = World::start().await;
    let before = world.original.expires_at;
    let (path, body) = regenerate(&world, "2027-01-01T00:00:00Z");
    assert_eq!(Client::axiom(&world).status(Method::POST, &path, Some(body)).await, 200);
    assert_eq!(world.axiom.token(&world.original.id).unwrap().expires_at, before);
    assert!(world.axiom.violations()[0].contains("extends"));
}

#[tokio::test]
async fn bad_regenerations_are_refused() {
    let world = World::start().await;
    let client = Client::axiom(&world);
    let (path, _) = regenerate(&world, "");
    let post = async |body: Value| client.status(Method::POST, &path, Some(body)).await;
    assert_eq!(post(json!({})).await, 422);
    assert_eq!(post(json!({ "existingTokenExpiresAt": "soon" })).await, 400);
    let nameless = json!({ "existingTokenExpiresAt": "2026-03-03T00:00:00Z", "newToken": {} });
    assert_eq!(post(nameless).await, 422);
    assert_eq!(world.axiom.violations().len(), 3, "the contract sees each of them");
    assert_eq!(world.axiom.tokens().len(), 2);
    assert_eq!(post(json!({ "existingTokenExpiresAt": "2026-03-03T00:00:00Z" })).await, 200);
    let clone = world.axiom.tokens().pop().unwrap();
    assert_eq!((clone.raw, clone.expires_at), (world.original.raw.clone(), None));
}

#[tokio::test]
async fn tokens_authenticate_by_their_life_and_rights() {
    let clock = VirtualClock::new();
    let axiom = FakeAxiom::start(&clock);
    let list = async |value: &str| Client::new(&axiom.url(), value).get("/v2/tokens").await.status().as_u16();
    let reader = TokenSpec::named("reader").with("orgCapabilities", json!({ "apiTokens": ["read"] }));
    let reader = axiom.add_token(reader.expires_in(HOUR));
    let plain = axiom.add_token(TokenSpec::ingest("plain"));
    assert_eq!(
        (list(&reader.value).await, list(&plain.value).await, list("xaat-unknown").await),
        (200, 403, 401)
    );
    let client = Client::new(&axiom.url(), &reader.value);
    assert_eq!(client.status(Method::DELETE, &format!("/v2/tokens/{}", plain.id), None).await, 403);
    assert_eq!(client.status(Method::POST, "/v2/tokens", Some(json!({ "name": "x" }))).await, 403);
    clock.advance(HOUR);
    assert_eq!(list(&reader.value).await, 401, "expired");
    axiom.switch(|s| s.unauthenticated = 403);
    assert_eq!(list(&reader.value).await, 403);
    let personal = axiom.add_personal_token("acme-1");
    assert_eq!(list(&personal).await, 400, "no organization");
    let with_org = async |org: &str| {
        let request = client.http.get(format!("{}/v2/tokens", axiom.url())).bearer_auth(&personal);
        request.header("X-Axiom-Org-Id", org).send().await.unwrap().status().as_u16()
    };
    assert_eq!((with_org("acme-1").await, with_org("beta-2").await), (200, 403));
    axiom.assert_no_violations();
}

#[tokio::test]
async fn new_tokens_can_be_slow_hidden_capped_and_altered() {
    let world = World::start().await;
    let client = Client::axiom(&world);
    world.axiom.switch(|s| {
        s.new_token_refused_uses = 2;
        s.new_token_hidden_lists = 1;
        s.longest_life = Some(HOUR);
        s.alter_new_token = Some(std::sync::Arc::new(|raw| drop(raw.remove("orgCapabilities"))));
        s.refuse_delete = true;
    });
    let body = json!({ "name": "twin", "expiresAt": "2027-01-01T00:00:00Z", "orgCapabilities": { "apiTokens": ["read"] } });
    let create = json_of(client.send(Method::POST, "/v2/tokens", Some(body)).await).await;
    assert_eq!(
        (&create["expiresAt"], &create["orgCapabilities"]),
        (&json!("2026-03-02T10:00:00Z"), &json!({}))
    );
    let value = create["token"].as_str().unwrap();
    assert!(!world.axiom.is_accepted(value));
    let new_client = Client::new(&world.axiom.url(), value);
    assert_eq!(new_client.get("/v2/tokens").await.status(), 401, "not yet, once");
    assert_eq!(new_client.get("/v2/tokens").await.status(), 401, "not yet, twice");
    assert_eq!(new_client.get("/v2/tokens").await.status(), 403, "accepted, but may nothing");
    assert!(world.axiom.is_accepted(value));
    let count = async || json_of(client.get("/v2/tokens").await).await.as_array().unwrap().len();
    assert_eq!((count().await, count().await), (2, 3));
    let path = format!("/v2/tokens/{}", create["id"].as_str().unwrap());
    assert_eq!(client.status(Method::DELETE, &path, None).await, 403);
    world.axiom.switch(|s| s.refuse_delete = false);
    assert_eq!(client.status(Method::DELETE, &path, None).await, 204);
    assert_eq!(client.get(&path).await.status(), 404);
    assert!(world.axiom.token_by_value(value).unwrap().deleted);
    world.assert_no_violations();
}

// ---- contracts, events, invariants ----

#[tokio::test]
async fn requests_that_no_description_has_are_violations() {
    let world = World::start().await;
    let (github, axiom) = (Client::github(&world), Client::axiom(&world));
    github.get("/repos/acme/infra/actions/variables").await;
    github.get("/repos/acme/infra/actions/secrets?sort=name").await;
    axiom.get("/v2/tokens?limit=1").await;
    axiom.send(Method::PUT, "/v2/tokens", Some(json!({}))).await;
    axiom.send(Method::POST, "/v2/tokens", Some(json!({ "name": 7 }))).await;
    assert_eq!((world.github.violations().len(), world.axiom.violations().len()), (2, 3));
    assert!(!world.axiom.violations().join("").contains('7'), "bodies are never quoted");
}

#[tokio::test]
async fn the_fakes_own_replies_are_judged() {
    let world = World::start().await;
    world.axiom.add_token(TokenSpec::named("drifted").with("datasetCapabilities", json!("all")));
    assert_eq!(Client::axiom(&world).get("/v2/tokens").await.status(), 200);
    assert!(
        world.axiom.violations()[0].contains("GET /v2/tokens -> 200 breaks"),
        "{:?}",
        world.axiom.violations()
    );
}

#[test]
fn the_other_descriptions_judge_too() {
    let request = |method: &str, path: &str, body: Value| Recorded {
        at: VirtualClock::new().now(),
        method: method.to_owned(),
        path: path.to_owned(),
        query: String::new(),
        headers: [("content-type".parse().unwrap(), "application/json".parse().unwrap())]
            .into_iter()
            .collect(),
        body: if body.is_null() { Vec::new() } else { body.to_string().into() },
        status: 0,
    };
    let tokens = "/public/v1/accounts/api-tokens";
    let complaints = |body: Value| SOFTWAREONE.judge_request("", &request("POST", tokens, body)).len();
    let account = json!({ "id": "ACC-1234-5678" });
    assert_eq!(complaints(json!({ "name": "n", "account": account, "modules": [{ "id": "MOD-1234" }] })), 0);
    assert_eq!(complaints(json!({ "name": 7, "account": account })), 1);
    let mut created = request("POST", tokens, json!({}));
    created.status = 201;
    let judge = |body| SOFTWAREONE.judge_reply("", &created, Some(&body));
    assert_eq!(judge(json!({ "id": "TKN-1", "description": null })), [""; 0]);
    assert_eq!(judge(json!({ "status": 1 })).len(), 1);
    assert_eq!(DEEPSET.judge_request("", &request("GET", "/api/v1/token/1", Value::Null)), [""; 0]);
    assert_eq!(DEEPSET.judge_request("", &request("PUT", "/api/v1/token/1", Value::Null)).len(), 1);
}

#[test]
fn leaks_are_found_in_every_encoding() {
    let secret = "xaat-0123abcd-4e5f+/~=";
    let secrets = [secret.to_owned()];
    let clean = |output: &str| find_leaks(output, &secrets).is_empty();
    assert!(clean("xaat-0123a and nothing else") && clean("") && clean("eGFhdC0wMTIz"));
    for pad in ["", "a", "ab", "abc"] {
        let text = format!("{pad}{secret}");
        for leak in [&text[..11 + pad.len()], &STANDARD.encode(&text), &URL_SAFE_NO_PAD.encode(&text)] {
            assert!(!clean(&format!("log: {leak}!")), "{leak}");
        }
    }
    let escaped: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    for leak in ["abcd-4e5f%2B%2F~%3D", "abcd-4e5f%2b%2f", &escaped, &hex, &secret.to_uppercase()] {
        assert!(!clean(leak), "{leak}");
    }
}

#[tokio::test]
async fn invariants_are_looked_at_after_every_event() {
    let world = World::builder().destination_count(3).start().await;
    world.watch(&[Invariant::Accepted, Invariant::OneWindow]);
    assert_eq!(Client::axiom(&world).get("/v2/tokens").await.status(), 200);
    world.assert_unbroken();
    world.github.put_by_hand("acme/service-1:AXIOM_TOKEN", "nobody's");
    assert_eq!(world.take_broken().len(), 1);
    world.forget_destination("acme/service-1:AXIOM_TOKEN");
    let marked = |run: &str, attempt: u32| {
        let marker = Marker::of(&world.key, "2026-03-02T08:59:00Z".parse().unwrap(), 2, run);
        TokenSpec::ingest("ci-ingest").description(&Marker { attempt, ..marker }.unsigned())
    };
    world.axiom.add_token(marked("aaaaaaaaaaaa", 1));
    world.axiom.add_token(marked("aaaaaaaaaaaa", 2));
    assert!(world.take_broken().is_empty(), "two attempts of one run are one window");
    assert_eq!((world.undelivered().len(), world.uncollected().len()), (2, 1));
    let rival = world.axiom.add_token(marked("bbbbbbbbbbbb", 1));
    assert!(world.take_broken()[0].starts_with("I5"));
    assert!(world.changed_privileges().is_empty());
    world.axiom.edit(&rival.id, |t| drop(t.raw.insert("orgCapabilities".into(), json!({}))));
    assert_eq!(world.changed_privileges().len(), 1);
    assert!(!world.take_broken().is_empty());
    world.advance(HOUR);
    assert!(world.open_windows().is_empty() && world.take_broken().is_empty());
    world.advance_days(5);
    assert!(world.take_broken()[0].starts_with("I1"), "the original has ended");
    assert!(world.journal.text().contains("provider GET /v2/tokens -> 200"), "{}", world.journal.text());
    let journal = world.journal.text();
    assert!(world.secrets().iter().all(|secret| !journal.contains(secret.as_str())));
}
