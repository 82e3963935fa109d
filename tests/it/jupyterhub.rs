//! Rotations against a real server: JupyterHub, which reuses ids, refuses with 403 alone,
//! shows effective scopes in an order of its own, and widens a token whose creation names
//! no scopes.
//!
//! Skipped where JUPYTERHUB_PYTHON does not name a Python that has JupyterHub.

mod hub;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::events::Peer;
use crate::support::github::{Credential, FakeGithub, On};
use crate::support::server::{Passing, Server, Upstream};
use crate::support::{Fault, Faults, Ran, Target, VirtualClock};
use hub::Hub;

const USER: &str = "ci-bot";
const SECRET: &str = "acme/infra:HUB_TOKEN";
const WRITER: &str = "github_pat_11AAQX7Y20Zk3vT8wLr5Nq_bM4hJ9cDfS6gE1uPiOyRtWxVzKmBn";
const SCOPES: [&str; 2] = ["read:users:name!user", "read:users:activity!user"];

/// A hub behind a server with faults, a fake GitHub with one secret, and the token in it.
struct Scene {
    hub: Hub,
    faults: Faults,
    _server: Server,
    github: FakeGithub,
    clock: VirtualClock,
    original: Value,
    folder: TempDir,
}

impl Scene {
    /// The token may do what these scopes say.
    async fn start(scopes: &[&str]) -> Option<Self> {
        let hub = Hub::start()?;
        let original = hub.create(USER, "ci-ingest", scopes).await;
        // The hub lives in real time, so the fake does too.
        let clock = VirtualClock::at(Timestamp::now());
        let github = FakeGithub::start(&clock);
        github.add_place_of(SECRET);
        github.add_credential(Credential::new("writer", WRITER));
        clock.advance(SignedDuration::from_hours(-24));
        github.put_by_hand(SECRET, value_of(&original));
        clock.advance(SignedDuration::from_hours(24));
        let faults = Faults::none();
        let server = Server::start(Peer::Provider, Upstream::Address(hub.address()), "/hub/api", &faults);
        let folder = tempfile::tempdir().unwrap();
        let file = format!(
            "rotations:\n  - name: ci-ingest\n    provider: jupyterhub\n    provider_url: {}\n    \
             with: {{ user: {USER} }}\n    token: ci-ingest\n    lifetime: 30d\n    overlap: 1d\n    \
             rotate_before: 7d\n    secrets: [HUB_TOKEN]\n",
            server.url()
        );
        std::fs::write(folder.path().join("crossfade.yml"), file).unwrap();
        Some(Self { hub, faults, _server: server, github, clock, original, folder })
    }

    /// Runs the built binary with the administrator's credential.
    async fn rotate(&self) -> Ran {
        self.rotate_with(self.hub.admin()).await
    }

    async fn rotate_with(&self, credential: &str) -> Ran {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command
            .env_clear()
            .args(["rotate", "--format", "json", "--repository", "acme/infra", "--config"])
            .arg(self.folder.path().join("crossfade.yml"))
            .env("GITHUB_API_URL", self.github.url())
            .env("CROSSFADE_GITHUB_TOKEN", WRITER)
            .env("CROSSFADE_PROVIDER_TOKEN", credential)
            .stdin(Stdio::null());
        let output = command.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let exit_code = output.status.code().unwrap().try_into().unwrap();
        Ran { exit_code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Lets GitHub's time pass, and shows the hub's replies with that time. What the hub
    /// itself does, it does in real time.
    fn advance(&self, by: SignedDuration) {
        self.clock.advance(by);
        let github = self.github.detached();
        let redate = move |headers: &mut Vec<(String, Vec<u8>)>, _: &mut Vec<u8>| {
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("date"));
            headers.push(("date".to_owned(), github.date().into_bytes()));
        };
        self.faults.inject_times(Target::All, Fault::Rewrite(Arc::new(redate)), u32::MAX);
    }

    /// The value that the secret holds.
    fn secret(&self) -> String {
        self.github.secret(SECRET).unwrap().value
    }

    /// The tokens that carry this rotation's marker.
    async fn marked(&self) -> Vec<Value> {
        let tokens = self.hub.tokens(USER).await;
        tokens.into_iter().filter(|token| token["note"].as_str().unwrap().contains(" xf1.")).collect()
    }
}

fn value_of(token: &Value) -> &str {
    token["token"].as_str().unwrap()
}

fn scopes_of(token: &Value) -> BTreeSet<&str> {
    token["scopes"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_rotated_and_the_previous_one_retired_after_the_overlap() {
    let Some(scene) = Scene::start(&SCOPES).await else { return };
    let ran = scene.rotate().await;
    let rotation = ran.rotation();
    assert_eq!((ran.exit_code, &rotation["outcome"]), (0, &"rotated".into()), "{}", ran.everything());
    assert_eq!(rotation["probe"], "verified");
    let id = scene.hub.accepts(&scene.secret()).await;
    assert_eq!(id.as_deref(), rotation["token"]["id"].as_str());
    let marked = scene.marked().await;
    assert_eq!(marked.len(), 1);
    assert_eq!(marked[0]["id"].as_str(), id.as_deref());
    assert_eq!(scopes_of(&marked[0]), scopes_of(&scene.original), "omitted scopes would widen");
    assert!(scene.hub.accepts(value_of(&scene.original)).await.is_some(), "valid for the overlap");
    assert!(!ran.everything().contains(&scene.secret()));

    scene.advance(SignedDuration::from_hours(26));
    let ran = scene.rotate().await;
    assert_eq!(ran.rotation()["outcome"], "fresh", "{}", ran.everything());
    assert_eq!(ran.rotation()["retired"], serde_json::json!([scene.original["id"]]));
    assert_eq!(scene.hub.accepts(value_of(&scene.original)).await, None);
    assert_eq!(scene.hub.accepts(&scene.secret()).await, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_rotates_itself() {
    let Some(scene) = Scene::start(&["tokens!user"]).await else { return };
    let ran = scene.rotate_with(value_of(&scene.original)).await;
    assert_eq!(ran.rotation()["outcome"], "rotated", "{}", ran.everything());
    let new = scene.secret();
    assert_eq!(scopes_of(&scene.marked().await[0]), scopes_of(&scene.original));
    scene.advance(SignedDuration::from_hours(26));
    let ran = scene.rotate_with(&new).await;
    assert_eq!(ran.rotation()["retired"], serde_json::json!([scene.original["id"]]), "{}", ran.everything());
    assert_eq!(scene.hub.accepts(value_of(&scene.original)).await, None);
    assert!(scene.hub.accepts(&new).await.is_some());
}

/// GitHub refuses the write, so the new token is deleted; the reply to that is lost, and
/// another user's next token gets the freed id before the deletion is repeated.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_another_user_s_token_took_over_is_left_alone() {
    let Some(scene) = Scene::start(&SCOPES).await else { return };
    scene.github.break_secret(SECRET, On::Writes, 403);
    let (sender, receiver) = std::sync::mpsc::channel();
    let hub = scene.hub.clone();
    let take_over = move |_: &Passing| {
        let (hub, sender) = (hub.clone(), sender.clone());
        // The hook runs on the server's thread, which has a runtime already.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            sender.send(runtime.block_on(hub.create(USER, "someone else's", &SCOPES))).unwrap();
        })
        .join()
        .unwrap();
    };
    // crossfade tries the new value first, in case the previous token was the credential,
    // and that may not delete tokens.
    let refused = std::sync::atomic::AtomicBool::new(false);
    let second = move |one: &Passing| {
        one.method == "DELETE" && refused.swap(true, std::sync::atomic::Ordering::Relaxed)
    };
    scene.faults.inject(Target::matching(second), Fault::after(take_over).and_close());
    let ran = scene.rotate().await;
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    let other = receiver.try_recv().expect("the new token was deleted");
    assert_eq!(scene.hub.accepts(value_of(&other)).await.as_deref(), other["id"].as_str());
    let passed = scene.faults.passed().into_iter();
    let deleted: Vec<String> = passed.filter(|one| one.method == "DELETE").map(|one| one.path).collect();
    let reused = format!("/hub/api/users/{USER}/tokens/{}", other["id"].as_str().unwrap());
    assert_eq!(deleted, [reused.clone(), reused], "{}", ran.everything());
    assert_eq!(scene.marked().await, Vec::<Value>::new());
    assert!(scene.hub.accepts(&scene.secret()).await.is_some());
}

/// The hub is killed after it created the token and before it answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_killed_between_create_and_reply_leaves_one_token_in_use() {
    let Some(scene) = Scene::start(&SCOPES).await else { return };
    let hub = scene.hub.clone();
    let restart = move |_: &Passing| hub.kill_and_restart();
    scene.faults.inject(Target::on("POST", "/tokens"), Fault::after(restart).and_close());
    let ran = scene.rotate().await;
    assert_eq!(ran.rotation()["outcome"], "rotated", "{}", ran.everything());
    let id = scene.hub.accepts(&scene.secret()).await;
    assert_eq!(id.as_deref(), ran.rotation()["token"]["id"].as_str());
    scene.advance(SignedDuration::from_hours(26));
    scene.rotate().await;
    let left: Vec<Value> = scene.marked().await.into_iter().map(|token| token["id"].clone()).collect();
    assert_eq!(left, [Value::from(id)], "the token of the lost attempt was ended");
}
