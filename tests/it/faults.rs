//! Proves that the faults of a fake's server do what they say, and cost little.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, header, json_of};
use crate::support::clock::{DateHeader, http_date};
use crate::support::server::{Front, Gate, When};
use crate::support::{Fault, Faults, Peer, Target, World};

struct Scene {
    world: World,
    faults: Faults,
    front: Front,
    axiom: Client,
}

impl Scene {
    async fn start() -> Self {
        let world = World::start().await;
        let faults = Faults::none();
        let front = world.behind(&faults);
        let axiom = Client::new(front.provider.url(), world.provider_token());
        Self { world, faults, front, axiom }
    }

    async fn mint(&self) -> Result<reqwest::Response, reqwest::Error> {
        let url = format!("{}/v2/tokens", self.front.provider.url());
        let request =
            self.axiom.http.post(url).bearer_auth(&self.axiom.bearer).timeout(Duration::from_millis(300));
        request
            .header("content-type", "application/json")
            .body(json!({ "name": "new" }).to_string())
            .send()
            .await
    }

    /// How many tokens were made here.
    fn minted(&self) -> usize {
        self.world.axiom.tokens().len() - 2
    }
}

#[tokio::test]
async fn without_a_fault_nothing_is_changed() {
    let scene = Scene::start().await;
    let github = Client::new(scene.front.github.url(), scene.world.github_token());
    let body = github.sealed("/repos/acme/infra/actions/secrets/public-key", "through this server").await;
    let path = "/repos/acme/infra/actions/secrets/AXIOM_TOKEN";
    assert_eq!(github.status(Method::PUT, path, Some(body)).await, 204);
    assert_eq!(scene.world.github.secret("acme/infra:AXIOM_TOKEN").unwrap().value, "through this server");
    let list = scene.axiom.get("/v2/tokens").await;
    assert_eq!(header(&list, "date"), Some(http_date(scene.world.clock.now()).as_str()));
    assert_eq!(json_of(list).await.as_array().unwrap().len(), 2);
    let passed = scene.faults.passed();
    assert_eq!(
        passed.iter().map(|p| (p.n, p.peer)).collect::<Vec<_>>(),
        [(1, Peer::Github), (2, Peer::Github), (3, Peer::Provider)]
    );
    scene.world.assert_no_violations();
}

#[tokio::test]
async fn every_fault_looks_as_it_says_and_is_processed_or_not() {
    for fault in Fault::all() {
        let scene = Scene::start().await;
        scene.faults.inject(Target::on("POST", "/v2/tokens"), fault.clone());
        let reply = scene.mint().await;
        assert_eq!(scene.minted(), usize::from(fault.is_processed()), "{fault}");
        let date = http_date(scene.world.clock.now());
        match fault {
            Fault::CloseBefore | Fault::CloseAfter => assert!(!reply.unwrap_err().is_timeout(), "{fault}"),
            Fault::NoAnswer { .. } => assert!(reply.unwrap_err().is_timeout(), "{fault}"),
            Fault::CutBody => assert!(reply.unwrap().bytes().await.is_err(), "{fault}"),
            _ => {
                let reply = reply.unwrap();
                assert_eq!(header(&reply, "date"), Some(date.as_str()), "{fault}");
                let (status, after) =
                    (reply.status().as_u16(), header(&reply, "retry-after").map(str::to_owned));
                let body = reply.bytes().await.unwrap();
                let json = serde_json::from_slice::<Value>(&body);
                match fault {
                    Fault::Status { code, .. } => assert_eq!(status, code),
                    Fault::Html502 { .. } => assert!(status == 502 && body.starts_with(b"<html>")),
                    Fault::TooMany { retry_after } => {
                        assert_eq!((status, after), (429, retry_after.map(|s| s.to_string())))
                    }
                    Fault::Secondary403 { .. } => {
                        assert_eq!((status, after.as_deref()), (403, Some("1")));
                        assert!(json.unwrap()["message"].as_str().unwrap().contains("secondary rate limit"));
                    }
                    Fault::TruncatedJson => assert!(status == 200 && !body.is_empty() && json.is_err()),
                    Fault::Empty200 | Fault::Swallowed => assert!(status == 200 && body.is_empty()),
                    Fault::WrongJson | Fault::SwallowedJson => {
                        assert_eq!((status, json.unwrap()), (200, json!({ "message": "ok" })))
                    }
                    Fault::WrongHtml => assert!(status == 200 && body.starts_with(b"<html>")),
                    other => panic!("{other} is not looked at"),
                }
            }
        }
        assert_eq!(scene.faults.struck().len(), 1);
        assert!(scene.world.journal.text().contains("fault: "));
        assert_eq!(
            scene.mint().await.unwrap().status(),
            200,
            "a fault strikes once: {:?}",
            scene.faults.struck()
        );
    }
}

#[tokio::test]
async fn faults_are_counted_over_both_sides() {
    let scene = Scene::start().await;
    let github = Client::new(scene.front.github.url(), scene.world.github_token());
    scene.faults.inject(Target::Nth(3), Fault::Status { code: 500, processed: false });
    scene.faults.inject_times(Target::peer(Peer::Github), Fault::TooMany { retry_after: None }, 2);
    let key = "/repos/acme/infra/actions/secrets/public-key";
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(github.get(key).await.status().as_u16());
        statuses.push(scene.axiom.get("/v2/tokens").await.status().as_u16());
    }
    assert_eq!(statuses, [429, 200, 500, 200], "the first planned of two wins");
    scene.faults.clear();
    assert_eq!((github.get(key).await.status().as_u16(), scene.faults.passed()[0].n), (200, 1));
}

#[tokio::test]
async fn hooks_act_before_and_after_processing() {
    let scene = Scene::start().await;
    let seen = Arc::new(AtomicUsize::new(0));
    let (axiom, count) = (scene.world.axiom.detached(), Arc::clone(&seen));
    scene
        .faults
        .inject(Target::Nth(1), Fault::before(move |_| count.store(axiom.tokens().len(), Ordering::SeqCst)));
    scene.mint().await.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    let (axiom, count) = (scene.world.axiom.detached(), Arc::clone(&seen));
    scene
        .faults
        .inject(Target::Nth(2), Fault::after(move |_| count.store(axiom.tokens().len(), Ordering::SeqCst)));
    scene.mint().await.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 4);
    scene.faults.inject(Target::Nth(3), Fault::before(|_| ()).and_close());
    assert!(scene.mint().await.is_err());
    assert_eq!(scene.minted(), 2);
    scene.faults.inject(Target::Nth(4), Fault::after(|_| ()).and_close());
    assert!(scene.mint().await.is_err());
    assert_eq!(scene.minted(), 3);
}

#[tokio::test]
async fn a_gate_holds_a_request() {
    let scene = Scene::start().await;
    let gate = Gate::new();
    scene.faults.inject(Target::All, Fault::Hold { when: When::After, gate: gate.clone() });
    let (reply, ()) = tokio::join!(scene.mint(), async {
        gate.reached().await;
        assert_eq!(scene.minted(), 1, "processed, and not answered");
        scene.world.advance(SignedDuration::from_hours(1));
        gate.open();
    });
    assert_eq!(reply.unwrap().status(), 200);
}

#[tokio::test]
async fn a_reply_can_be_without_a_date() {
    let scene = Scene::start().await;
    scene.world.provider.set_clock(|clock| clock.header = DateHeader::Missing);
    assert_eq!(header(&scene.axiom.get("/v2/tokens").await, "date"), None);
    scene.faults.inject(Target::All, Fault::Status { code: 500, processed: true });
    let made_up = scene.axiom.get("/v2/tokens").await;
    assert_eq!((made_up.status().as_u16(), header(&made_up, "date")), (500, None));
}

#[tokio::test]
async fn connections_are_kept_and_cheap() {
    let scene = Scene::start().await;
    let start = Instant::now();
    for _ in 0..500 {
        assert_eq!(scene.axiom.get("/v2/tokens").await.status(), 200);
    }
    // Delayed acknowledgements would cost 40 ms each, new connections much less.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(scene.faults.passed().len(), 500);
}

#[tokio::test]
async fn a_scene_leaves_no_server_behind() {
    let scene = Scene::start().await;
    scene.world.watch(&[crate::support::Invariant::Accepted]);
    scene.axiom.get("/v2/tokens").await;
    let urls = [scene.world.github.url(), scene.world.axiom.url(), scene.front.provider.url().to_owned()]
        .map(|url| {
            let address = url.strip_prefix("http://").unwrap().to_owned();
            assert!(std::net::TcpStream::connect(&address).is_ok());
            address
        });
    drop(scene);
    for address in urls {
        let gone = async || {
            while std::net::TcpStream::connect(&address).is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), gone()).await.expect("the server has stopped");
    }
}
