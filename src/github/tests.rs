//! Reading; the server and its answers, which [`writing`] uses too.

mod writing;

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crypto_box::SecretKey;
use crypto_box::aead::OsRng;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;
use wiremock::matchers::{any, body_json, header, method, path, path_regex, query_param};
use wiremock::{Match, Mock, MockServer, Request as Received, ResponseTemplate};

use super::*;
use crate::clock::{Clock, ClockId};
use crate::config::{Destination, Repository, Scope, Store, Visibility};
use crate::http::{HttpSettings, RetryPolicy};

const LIST: &str = "/repos/acme/api/actions/secrets";
const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const VALUE: &str = "xaat-0123456789abcdef";

fn now() -> Timestamp {
    "1994-11-06T08:49:37Z".parse().unwrap()
}

fn window() -> Timestamp {
    now() + Duration::from_secs(120)
}

fn connect_with(server: &MockServer, concurrency: usize) -> GitHub {
    let clock = Arc::new(Clock::default());
    clock.observe(ClockId::Github, now());
    let retry = RetryPolicy::for_timeout(Duration::from_millis(300));
    let settings = HttpSettings { request_timeout: Duration::from_secs(10), retry };
    let http = Arc::new(Http::new(settings, clock));
    let settings = GithubSettings {
        api_url: Url::parse(&server.uri()).unwrap(),
        credential: GithubCredential::Token(SecretString::from("token")),
    };
    let options = GithubOptions {
        concurrency,
        pace: Pace::default(),
        mode: Mode::Apply,
        announce: Arc::new(|_| {}),
        progress: Progress::default(),
    };
    GitHub::connect(http, &settings, options).unwrap()
}

fn connect(server: &MockServer) -> GitHub {
    connect_with(server, 8)
}

fn repository(name: &str) -> ConfiguredSecret {
    let repository = Repository { owner: "acme".to_owned(), name: name.to_owned() };
    target(Store::Actions, Scope::Repository(repository), "TOKEN")
}

fn environment(create: bool) -> ConfiguredSecret {
    let repository = Repository { owner: "acme".to_owned(), name: "api".to_owned() };
    let scope = Scope::Environment { repository, environment: "my env".to_owned() };
    ConfiguredSecret { create_environment: create, ..target(Store::Actions, scope, "TOKEN") }
}

fn organization(store: Store) -> ConfiguredSecret {
    target(store, Scope::Organization("acme".to_owned()), "TOKEN")
}

fn target(store: Store, scope: Scope, name: &str) -> ConfiguredSecret {
    let destination = Destination { store, scope, name: name.to_owned() };
    ConfiguredSecret { destination, create_environment: false, visibility: None }
}

fn named(mut target: ConfiguredSecret, name: &str) -> ConfiguredSecret {
    target.destination.name = name.to_owned();
    target
}

/// An answer of a server whose clock stands still.
fn status(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).insert_header("date", NOW)
}

fn ok(body: &Value) -> ResponseTemplate {
    status(200).set_body_json(body)
}

fn entry(name: &str) -> Value {
    json!({"name": name, "created_at": "1994-01-01T00:00:00Z", "updated_at": "1994-10-01T00:00:00Z",
        "visibility": "selected"})
}

fn list(total: usize, names: &[String]) -> Value {
    let secrets: Vec<Value> = names.iter().map(|name| entry(name)).collect();
    json!({"total_count": total, "secrets": secrets})
}

fn upstatus() -> Option<Timestamp> {
    Some("1994-10-01T00:00:00Z".parse().unwrap())
}

async fn given(server: &MockServer, verb: &str, at: &str, answer: ResponseTemplate, times: u64) {
    Mock::given(method(verb)).and(path(at)).respond_with(answer).expect(times).mount(server).await;
}

/// The first `times` answers; later mocks take over after them.
async fn first(server: &MockServer, verb: &str, at: &str, answer: ResponseTemplate, times: u64) {
    let mock = Mock::given(method(verb)).and(path(at)).respond_with(answer);
    mock.up_to_n_times(times).expect(times).mount(server).await;
}

struct Key {
    secret: SecretKey,
    body: Value,
}

fn new_key(id: &str) -> Key {
    let secret = SecretKey::generate(&mut OsRng);
    let body = json!({"key_id": id, "key": BASE64_STANDARD.encode(secret.public_key().as_bytes())});
    Key { secret, body }
}

impl Key {
    fn open(&self, put: &Value) -> String {
        let sealed = BASE64_STANDARD.decode(put["encrypted_value"].as_str().unwrap()).unwrap();
        String::from_utf8(self.secret.unseal(&sealed).unwrap()).unwrap()
    }
}

/// Answers the write check as GitHub's description has it; of repositories it tells
/// nothing. An answer that is not arranged would come from another clock.
async fn refuses_checks(server: &MockServer) {
    Mock::given(method("GET"))
        .and(path_regex("^/repos/[^/]+/[^/]+$"))
        .respond_with(status(404))
        .mount(server)
        .await;
    Mock::given(method("PUT"))
        .and(path_regex("/CROSSFADE_WRITE_CHECK$"))
        .respond_with(status(422))
        .mount(server)
        .await;
}

async fn puts(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    let is_check = |r: &Received| r.url.path().ends_with("/CROSSFADE_WRITE_CHECK");
    requests.iter().filter(|r| r.method == "PUT" && !is_check(r)).map(|r| r.body_json().unwrap()).collect()
}

async fn write(github: &GitHub, target: &ConfiguredSecret) -> Result<(), WriteError> {
    github.write(target, &SecretString::from(VALUE), window()).await
}

#[tokio::test]
async fn a_scope_is_listed_once_however_many_ask() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path(LIST))
        .and(query_param("per_page", "100"))
        .and(header("authorization", "Bearer token"))
        .and(header("accept", "application/vnd.github+json"))
        .and(header("x-github-api-version", "2022-11-28"))
        .respond_with(ok(&list(1, &["TOKEN".to_owned()])))
        .expect(1)
        .mount(&server)
        .await;
    given(&server, "GET", "/repos/acme/gone/actions/secrets", status(404), 1).await;
    let github = connect(&server);
    let targets = [
        repository("gone"),
        repository("api"),
        named(repository("API"), "other"),
        named(repository("api"), "token"),
    ];
    for _ in 0..2 {
        let seen = github.observe(&targets).await;
        assert_eq!(seen[0].as_ref().unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(*seen[1].as_ref().unwrap(), upstatus());
        assert_eq!(*seen[2].as_ref().unwrap(), None);
        assert_eq!(*seen[3].as_ref().unwrap(), upstatus());
    }
}

#[tokio::test]
async fn wrong_content_is_unreadable_and_not_missing() {
    let bodies = [json!({}), json!([]), json!({"total_count": 1, "secrets": [{"name": "TOKEN"}]})];
    for body in bodies {
        let server = MockServer::start().await;
        given(&server, "GET", LIST, ok(&body), 1).await;
        let seen = connect(&server).observe(&[repository("api")]).await;
        assert_eq!(seen[0].as_ref().unwrap_err().kind, ErrorKind::Unreadable, "{body}");
    }
}

#[tokio::test]
async fn a_page_in_place_of_an_answer_is_quoted() {
    let server = MockServer::start().await;
    let page = "<html><title>Access denied</title><p>Ask the\nnetwork team.</html>";
    let answer = ResponseTemplate::new(200).set_body_raw(page, "text/html; charset=utf-8");
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let error = connect(&server).observe(&[repository("api")]).await.remove(0).unwrap_err();
    assert!(error.to_string().contains(": \"Access denied Ask the network team.\""), "{error}");
}

/// An organization with three pages of secrets; all but the first by number.
async fn large_organization(server: &MockServer, first_page: u64, other_pages: u64) {
    let names: Vec<String> = (0..250).map(|n| format!("S{n:03}")).collect();
    for (number, page) in names.chunks(100).enumerate() {
        let expected = if number == 0 { first_page } else { other_pages };
        Mock::given(path("/orgs/acme/actions/secrets"))
            .and(query_param("page", (number + 1).to_string()))
            .respond_with(ok(&list(names.len(), page)))
            .expect(expected)
            .mount(server)
            .await;
    }
}

#[tokio::test]
async fn a_few_secrets_of_a_large_organization_are_asked_for_by_name() {
    let server = MockServer::start().await;
    large_organization(&server, 1, 0).await;
    given(&server, "GET", "/orgs/acme/actions/secrets/S200", ok(&entry("S200")), 1).await;
    given(&server, "GET", "/orgs/acme/actions/secrets/TOKEN", status(404), 1).await;
    let github = connect(&server);
    let org = || organization(Store::Actions);
    let seen = github.observe(&[named(org(), "S005"), named(org(), "S200"), org()]).await;
    assert_eq!(seen.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [upstatus(), upstatus(), None]);
}

#[tokio::test]
async fn many_secrets_of_a_large_organization_are_listed() {
    let server = MockServer::start().await;
    large_organization(&server, 1, 1).await;
    Mock::given(path_regex("^/orgs/acme/actions/secrets/S1..$"))
        .respond_with(ok(&entry("S1")))
        .expect(2)
        .mount(&server)
        .await;
    given(&server, "GET", "/orgs/acme/actions/secrets/LAST", status(404), 1).await;
    let github = connect(&server);
    let mut targets: Vec<ConfiguredSecret> =
        (100..140).map(|n| named(organization(Store::Actions), &format!("S{n}"))).collect();
    targets.push(named(organization(Store::Actions), "LAST"));
    let seen = github.observe(&targets).await;
    let missing = seen.iter().filter(|reading| reading.as_ref().unwrap().is_none()).count();
    assert_eq!((seen.len(), missing), (41, 1));
}

#[tokio::test]
async fn what_was_announced_is_listed_without_trying_names_first() {
    let server = MockServer::start().await;
    large_organization(&server, 1, 1).await;
    let github = connect(&server);
    let targets: Vec<ConfiguredSecret> =
        (100..140).map(|n| named(organization(Store::Actions), &format!("s{n}"))).collect();
    github.expect(&targets, []);
    let seen = github.observe(&targets).await;
    assert!(seen.iter().all(|reading| *reading.as_ref().unwrap() == upstatus()));
    assert_eq!(server.received_requests().await.unwrap().len(), 3, "three pages, and nothing by name");
}

#[tokio::test]
async fn no_more_requests_than_permitted_are_under_way() {
    let server = MockServer::start().await;
    let slow = ok(&list(0, &[])).set_delay(Duration::from_millis(100));
    Mock::given(any()).respond_with(slow).mount(&server).await;
    let targets: Vec<ConfiguredSecret> = (0..6).map(|n| repository(&format!("r{n}"))).collect();
    let github = connect_with(&server, 2);
    let began = Instant::now();
    let seen = github.observe(&targets).await;
    let in_twos = began.elapsed();
    assert!(seen.iter().all(Result::is_ok));
    assert!(in_twos >= Duration::from_millis(300), "three rounds");
    let github = connect_with(&server, 6);
    let began = Instant::now();
    github.observe(&targets).await;
    assert!(began.elapsed() < in_twos, "one round");
}

#[tokio::test]
async fn a_key_that_is_none_stops_the_preflight() {
    let server = MockServer::start().await;
    let body = json!({"key_id": "1", "key": "bm90IGEga2V5"});
    Mock::given(any()).respond_with(ok(&body)).mount(&server).await;
    let error = connect(&server).preflight(&repository("api")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreadable, "{error}");
}
