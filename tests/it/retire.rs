//! Ending a token: what counts as ended, and that it is the right one.

use futures_util::future::join_all;
use serde_json::json;

use crate::scene::{Credential, IMPATIENT, Scene};
use crate::support::provider::Service;
use crate::support::provider::axiom::SERVICE as AXIOM;
use crate::support::provider::deepset::SERVICE as DEEPSET;
use crate::support::provider::launchdarkly::SERVICE as LAUNCHDARKLY;
use crate::support::provider::softwareone::SERVICE as SOFTWAREONE;
use crate::support::{Fault, Peer, Ran, Target, World};

/// A scene in which the next run ends the original token, by the provider's means.
struct Retiring {
    scene: Scene,
    /// The request that ends it.
    ending: Target,
    /// Whether that disables it.
    disables: bool,
}

impl Retiring {
    fn original(&self) -> &str {
        &self.scene.world.original.id
    }

    fn has_ended(&self) -> bool {
        let provider = &self.scene.world.provider;
        let token = provider.token_by_value(&self.scene.world.original.value).unwrap();
        let has_expired = token.expires_at.is_some_and(|end| end <= provider.now());
        token.deleted || has_expired || (self.disables && token.disabled)
    }

    /// How often the provider was asked to end a token.
    fn asked(&self) -> usize {
        let requests = self.scene.world.provider.requests();
        requests.iter().filter(|it| it.method == "DELETE" || it.path.ends_with("/disable")).count()
    }

    /// A run that meets what was injected.
    async fn faulty(&self) -> Ran {
        let ran = self.scene.rotate(IMPATIENT).run().await;
        self.scene.front.quiet().await;
        assert_eq!(self.scene.overstated(&ran), Vec::<String>::new(), "{}", ran.everything());
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        ran
    }
}

async fn rotated(service: &'static Service, flag: Option<&str>) -> Scene {
    // Due, and still valid after the overlap.
    let world = World::builder().provider(service).expires_in_days(12).start().await;
    let scene = Scene::new(world, Credential::Admin);
    let scene = flag.into_iter().fold(scene, Scene::flag).watch();
    if flag.is_none() {
        let ran = scene.run().await;
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        scene.world.advance_days(8);
    }
    scene.faults.clear();
    scene
}

/// Every way in which a provider's tokens are ended.
async fn every_ending() -> Vec<Retiring> {
    let at_once = rotated(&AXIOM, Some("--overlap=0h")).await;
    let delete = || Target::on("DELETE", "/token");
    let disabled = rotated(&SOFTWAREONE, None).await;
    let deleted = rotated(&SOFTWAREONE, None).await;
    deleted.run().await;
    deleted.world.advance_days(8);
    deleted.faults.clear();
    vec![
        Retiring { scene: at_once, ending: delete(), disables: false },
        Retiring { scene: rotated(&DEEPSET, None).await, ending: delete(), disables: false },
        Retiring { scene: disabled, ending: Target::on("POST", "/disable"), disables: true },
        Retiring { scene: deleted, ending: Target::on("DELETE", "/api-tokens"), disables: false },
    ]
}

#[tokio::test]
async fn an_answer_that_a_proxy_made_up_is_not_believed_and_the_request_is_repeated() {
    for fault in [Fault::Swallowed, Fault::SwallowedJson, Fault::WrongHtml, Fault::Empty200] {
        for one in Box::pin(every_ending()).await {
            one.scene.faults.inject(one.ending.clone(), fault.clone());
            let ran = one.faulty().await;
            assert!(one.has_ended(), "{fault}: {}", ran.everything());
            assert_eq!(ran.rotation()["retired"], json!([one.original()]), "{fault}");
        }
    }
}

#[tokio::test]
async fn what_stays_unconfirmed_is_said_and_asked_again_by_the_next_run() {
    for fault in [Fault::SwallowedJson, Fault::Html404] {
        // At once: most of the time is waiting.
        join_all(Box::pin(every_ending()).await.into_iter().map(async |one| {
            one.scene.faults.inject_times(one.ending.clone(), fault.clone(), 100);
            let before = one.asked();
            let ran = one.faulty().await;
            assert_eq!((one.has_ended(), one.asked()), (false, before), "{fault}");
            assert_eq!(ran.rotation()["retired"], json!([]), "{fault}: {}", ran.everything());
            let warnings = ran.rotation()["warnings"].to_string();
            assert!(warnings.contains(&format!("token {} could not be ended", one.original())), "{warnings}");
            one.scene.later();
            let ran = one.scene.run().await;
            assert_eq!((ran.exit_code, one.has_ended()), (0, true), "{fault}: {}", ran.everything());
            assert_eq!(one.scene.broken(), Vec::<String>::new());
        }))
        .await;
    }
}

/// A page of a proxy in place of the token does not mean that the token is gone.
#[tokio::test]
async fn a_page_that_says_404_does_not_mean_that_a_token_is_gone() {
    for one in Box::pin(every_ending()).await {
        let id = one.original().to_owned();
        let read = Target::matching(move |it| it.method == "GET" && it.path.contains(&id));
        one.scene.faults.inject_times(read, Fault::Html404, 100);
        let ran = one.faulty().await;
        assert_eq!(ran.rotation()["retired"], json!([]), "{}", ran.everything());
        assert!(!one.has_ended());
    }
}

#[tokio::test]
async fn a_token_that_is_gone_already_counts_as_ended_and_nothing_is_sent() {
    for one in Box::pin(every_ending()).await {
        let world = one.scene.world.detached();
        let id = one.original().to_owned();
        let gone = id.clone();
        let read = Target::matching(move |it| it.method == "GET" && it.path.contains(&id));
        one.scene.faults.inject(read, Fault::before(move |_| world.provider.delete_by_hand(&gone)));
        let before = one.asked();
        let ran = one.faulty().await;
        assert_eq!((ran.rotation()["retired"].clone(), one.asked()), (json!([one.original()]), before));
    }
}

#[tokio::test]
async fn an_id_that_became_another_tokens_is_left_alone() {
    for one in Box::pin(every_ending()).await {
        let (world, id) = (one.scene.world.detached(), one.original().to_owned());
        let read = id.clone();
        let read = Target::matching(move |it| it.method == "GET" && it.path.contains(&read));
        let service = world.provider.service();
        let another = (service.ordinary)("of-somebody-else").expires_in_days(60);
        one.scene
            .faults
            .inject(read, Fault::before(move |_| drop(world.provider.take_over(&id, another.clone()))));
        let before = one.asked();
        let ran = one.faulty().await;
        assert_eq!(one.asked(), before, "{}", ran.everything());
        let other = one.scene.world.provider.live_tokens();
        assert!(other.iter().any(|it| it.name() == "of-somebody-else"), "{}: {other:?}", service.name);
        let warnings = ran.rotation()["warnings"].to_string();
        assert!(warnings.contains("a different token"), "{warnings}");
        assert!(warnings.contains("of-somebody-else"), "{warnings}");
        assert_eq!(ran.rotation()["retired"], json!([]));
    }
}

/// The first deletion was processed, its answer was lost, and the id was given away.
#[tokio::test]
async fn a_deletion_is_not_repeated_against_the_next_owner_of_an_id() {
    for fault in [Fault::CloseAfter, Fault::Status { code: 503, processed: true }, Fault::Empty200] {
        for one in Box::pin(every_ending()).await {
            let (world, id) = (one.scene.world.detached(), one.original().to_owned());
            let another = (world.provider.service().ordinary)("of-somebody-else").expires_in_days(60);
            let take_over = move |_: &_| drop(world.provider.take_over(&id, another.clone()));
            if one.disables {
                continue;
            }
            // Deleted already when the id is given away.
            let (world, id) = (one.scene.world.detached(), one.original().to_owned());
            let revive = move |passing: &_| {
                world.provider.edit(&id, |token| token.deleted = false);
                take_over(passing);
            };
            one.scene.faults.inject(one.ending.clone(), Fault::after(revive));
            one.scene.faults.inject(one.ending.clone(), fault.clone());
            let before = one.asked();
            let ran = one.faulty().await;
            assert_eq!(one.asked(), before + 1, "{fault}: {}", ran.everything());
            let live = one.scene.world.provider.live_tokens();
            assert!(live.iter().any(|it| it.name() == "of-somebody-else"), "{fault}: {}", ran.everything());
        }
    }
}

/// A new token that is not used is ended by the same means.
#[tokio::test]
async fn a_revoked_token_is_only_said_to_be_gone_if_it_is() {
    for service in [&AXIOM, &DEEPSET, &SOFTWAREONE] {
        let scene = Scene::new(World::builder().provider(service).start().await, Credential::Admin);
        let puts = Target::matching(|it| it.method == "PUT" && !it.path.ends_with("/CROSSFADE_WRITE_CHECK"));
        scene.faults.inject_times(puts, Fault::Status { code: 403, processed: false }, 100);
        scene.faults.inject_times(Target::on("DELETE", "/"), Fault::Swallowed, 100);
        let ran = scene.rotate(IMPATIENT).run().await;
        let error = ran.rotation()["error"].to_string();
        assert!(error.contains("was not written to any secret"), "{error}");
        assert!(error.contains("could not be revoked"), "{}: {error}", service.name);
        assert!(error.contains("may still be valid"), "{}: {error}", service.name);
        assert_eq!(scene.world.marked_tokens().iter().filter(|it| !it.0.deleted).count(), 1);
    }
}

/// The lost attempt that a retry replaces is ended by the same means, too.
#[tokio::test]
async fn a_lost_attempt_is_not_believed_to_be_ended() {
    for service in [&DEEPSET, &SOFTWAREONE] {
        let scene = Scene::new(World::builder().provider(service).start().await, Credential::Admin).watch();
        scene.faults.inject(Target::on("POST", "/"), Fault::CloseAfter);
        scene.faults.inject(Target::on("DELETE", "/"), Fault::Swallowed);
        let ran = scene.rotate(IMPATIENT).run().await;
        scene.front.quiet().await;
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        let live = scene.world.provider.live_tokens();
        assert_eq!(live.iter().filter(|it| it.marker().is_some()).count(), 1, "{}", ran.everything());
    }
}

/// A proxy's answer verifies nothing and is not a list of tokens.
#[tokio::test]
async fn an_answer_without_the_token_does_not_verify_its_value() {
    for service in [&AXIOM, &DEEPSET, &SOFTWAREONE] {
        let original = (service.admin)("ci-ingest");
        let world = World::builder().provider(service).original(original).start().await;
        let scene = Scene::new(world, Credential::Admin);
        let known = scene.world.provider.tokens();
        let probes = Target::matching(move |it| {
            let last = it.path.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
            let is_list = ["token", "tokens", "api-tokens"].contains(&last);
            it.peer == Peer::Provider
                && it.method == "GET"
                && !is_list
                && known.iter().all(|one| one.id != last)
        });
        scene.faults.inject_times(probes, Fault::SwallowedJson, 100);
        let ran = scene.rotate(IMPATIENT).run().await;
        assert_eq!(ran.rotation()["probe"], "unverified", "{}: {}", service.name, ran.everything());
    }
}

#[tokio::test]
async fn an_answer_without_tokens_is_not_an_empty_list() {
    for service in [&AXIOM, &DEEPSET, &LAUNCHDARKLY, &SOFTWAREONE] {
        let scene = Scene::new(World::builder().provider(service).start().await, Credential::Admin);
        scene.faults.inject_times(Target::on("GET", "token"), Fault::SwallowedJson, 100);
        let ran = scene.rotate(IMPATIENT).run().await;
        let error = ran.rotation()["error"].to_string();
        assert!(error.contains("could not be read"), "{}: {error}", service.name);
    }
}
