//! What must work with every provider.

use jiff::SignedDuration;
use serde_json::json;

use super::{assert_sound, rotate, rotates};
use crate::support::provider::{ALL, Service};
use crate::support::{Fault, Faults, Invariant, Invocation, Target, World};

/// One test per provider and scene.
macro_rules! with_every_provider {
    ($($scene:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $scene() {
                for service in ALL {
                    scenes::$scene(service).await;
                }
            }
        )*
    };
}

with_every_provider!(
    a_due_token_is_replaced_everywhere,
    a_fresh_token_costs_one_list,
    a_dry_run_changes_nothing,
    a_later_run_retires_what_no_destination_holds,
    nothing_is_ended_while_a_destination_lacks_the_successor,
    an_undelivered_token_is_healed,
    a_lost_mint_is_found_and_healed,
    a_mint_that_never_arrived_is_repeated,
    a_mint_that_stays_lost_touches_no_secret,
    a_missing_token_is_created,
    a_missing_token_without_create_is_an_error,
    a_refusal_quotes_the_provider,
    a_credential_without_rights_names_the_missing_right,
    an_unknown_credential_is_reported,
    the_list_comes_in_pages,
    a_new_token_with_other_privileges_is_not_used,
    two_tokens_of_one_name_are_not_guessed_at,
);

mod scenes {
    use super::*;

    pub(super) async fn a_due_token_is_replaced_everywhere(service: &'static Service) {
        let world = World::builder().provider(service).destination_count(3).expires_in_days(5).start().await;
        let old = world.original.clone();
        let ran = rotates(&world, "rotated").await;
        let newest = world.newest().unwrap();
        assert_ne!(newest.value, old.value, "{}", service.name);
        assert!(newest.name().starts_with("ci-ingest"), "{}", newest.name());
        assert_eq!(ran.rotation()["token"]["name"], "ci-ingest");
        assert!(world.provider.is_accepted(&old.value), "{}: the overlap", service.name);
        assert_sound(&world, &ran);
    }

    pub(super) async fn a_fresh_token_costs_one_list(service: &'static Service) {
        let world = World::builder().provider(service).expires_in_days(60).start().await;
        rotates(&world, "fresh").await;
        assert_eq!(world.provider.requests().len(), 1, "{}", service.name);
        world.assert_no_violations();
    }

    pub(super) async fn a_dry_run_changes_nothing(service: &'static Service) {
        let world = World::builder().provider(service).start().await;
        let ran = Invocation::rotate(&world).flag("--dry-run").arg("--format", "json").run().await;
        assert_eq!(ran.rotation()["outcome"], "planned", "{}", ran.everything());
        let requests = world.provider.requests();
        assert!(requests.iter().all(|request| request.method == "GET"), "{}", service.name);
    }

    pub(super) async fn a_later_run_retires_what_no_destination_holds(service: &'static Service) {
        let world = World::builder().provider(service).destination_count(2).expires_in_days(12).start().await;
        let token = Invocation::rotate(&world).arg("--format", "json");
        rotates(&world, "rotated").await;
        for _ in 0..6 {
            world.advance_days(1);
            rotates(&world, "fresh").await;
            assert!(world.provider.is_accepted(&world.original.value), "{}", service.name);
        }
        world.advance_days(2);
        let ran = token.run().await;
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        assert!(!world.provider.is_accepted(&world.original.value), "{}", service.name);
        world.advance_days(8);
        rotates(&world, "fresh").await;
        assert_eq!(world.uncollected(), Vec::<String>::new(), "{}", service.name);
        assert_sound(&world, &ran);
    }

    pub(super) async fn nothing_is_ended_while_a_destination_lacks_the_successor(service: &'static Service) {
        let world = World::builder().provider(service).destination_count(2).start().await;
        world.github.break_scope("acme/service-1", crate::support::github::On::Writes, 404);
        let ran = rotate(&world).await;
        assert_eq!(ran.exit_code, 1, "{}", ran.everything());
        world.github.mend_scope("acme/service-1");
        world.github.break_scope("acme/service-1", crate::support::github::On::All, 404);
        world.advance_days(6);
        let before: Vec<_> = world.provider.live_tokens().into_iter().map(|token| token.id).collect();
        let ran = rotate(&world).await;
        assert_eq!(ran.exit_code, 1, "{}", ran.everything());
        let ended = before.iter().filter(|id| world.provider.token(id).unwrap().deleted).count();
        assert_eq!(ended, 0, "{}: {}", service.name, world.journal.text());
    }

    pub(super) async fn an_undelivered_token_is_healed(service: &'static Service) {
        let world = World::builder().provider(service).destination_count(2).start().await;
        world.github.break_scope("acme/service-1", crate::support::github::On::Writes, 404);
        let ran = rotate(&world).await;
        assert_eq!(ran.rotation()["outcome"], "failed", "{}", ran.everything());
        world.github.mend_scope("acme/service-1");
        world.advance_days(1);
        let ran = rotates(&world, "rotated").await;
        assert_eq!(ran.rotation()["reason"], "undelivered");
        assert_sound(&world, &ran);
    }

    /// A run whose mints meet this fault, so many times.
    async fn with_lost_mints(world: &World, fault: Fault, times: u32) -> crate::support::Ran {
        let faults = Faults::none();
        let front = world.behind(&faults);
        faults.inject_times(Target::on("POST", "token"), fault, times);
        let invocation = Invocation::of("rotate").scene(world, front.github.url(), front.provider.url());
        invocation.arg("--request-timeout", "2s").arg("--format", "json").run().await
    }

    pub(super) async fn a_lost_mint_is_found_and_healed(service: &'static Service) {
        for fault in [Fault::CloseAfter, Fault::TruncatedJson, Fault::WrongJson] {
            let world = World::builder().provider(service).destination_count(2).start().await;
            world.watch(&[Invariant::Accepted]);
            let ran = with_lost_mints(&world, fault.clone(), 1).await;
            assert_eq!(ran.exit_code, 0, "{} {fault}: {}", service.name, ran.everything());
            assert_sound(&world, &ran);
            world.advance_days(8);
            rotates(&world, "fresh").await;
            world.advance_days(8);
            rotates(&world, "fresh").await;
            assert_eq!(world.uncollected(), Vec::<String>::new(), "{} {fault}", service.name);
            world.assert_unbroken();
        }
    }

    pub(super) async fn a_mint_that_never_arrived_is_repeated(service: &'static Service) {
        let world = World::builder().provider(service).start().await;
        world.watch(&[Invariant::Accepted]);
        let ran = with_lost_mints(&world, Fault::Status { code: 500, processed: false }, 1).await;
        assert_eq!(ran.exit_code, 0, "{}: {}", service.name, ran.everything());
        assert_sound(&world, &ran);
        world.assert_unbroken();
    }

    pub(super) async fn a_mint_that_stays_lost_touches_no_secret(service: &'static Service) {
        let world = World::builder().provider(service).start().await;
        world.watch(&[Invariant::Accepted]);
        let ran = with_lost_mints(&world, Fault::CloseAfter, 9).await;
        assert_eq!(ran.exit_code, 1, "{}: {}", service.name, ran.everything());
        assert_eq!(world.held("acme/infra:AXIOM_TOKEN").unwrap().value, world.original.value);
        world.advance(SignedDuration::from_hours(1));
        let ran = rotates(&world, "rotated").await;
        assert_sound(&world, &ran);
        world.assert_unbroken();
    }

    /// A run for another token than the scene's.
    fn named(world: &World, token: &str) -> Invocation {
        let mut invocation = Invocation::rotate(world);
        let place = invocation.arguments.iter().position(|argument| argument == "--token").unwrap() + 1;
        invocation.arguments[place] = token.to_owned();
        invocation
    }

    fn create_of(world: &World) -> String {
        let rights: serde_json::Map<_, _> =
            world.original.privileges().into_iter().filter(|(field, _)| !field.starts_with('_')).collect();
        json!(rights).to_string()
    }

    async fn with_create(world: &World, create: &str) -> crate::support::Ran {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("crossfade.yml");
        let text = format!(
            "rotations:\n- name: made\n  provider: {}\n  provider_url: {}\n  token: made-by-crossfade\n  create: {create}\n  secrets: [MADE_TOKEN]\n",
            world.provider.service().name,
            world.provider.url(),
        );
        std::fs::write(&file, text).unwrap();
        let invocation = Invocation::of("rotate").credentials(world).arg("--config", file.to_str().unwrap());
        let invocation = invocation.arg("--repository", "acme/infra").arg("--format", "json");
        invocation.arg("--github-api-url", &world.github.url()).run().await
    }

    pub(super) async fn a_missing_token_is_created(service: &'static Service) {
        let world = World::builder().provider(service).start().await;
        let ran = with_create(&world, &create_of(&world)).await;
        assert_eq!(ran.rotation()["reason"], "missing", "{}", ran.everything());
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        let held = world.held("acme/infra:MADE_TOKEN").unwrap();
        assert_eq!(held.privileges(), world.original.privileges(), "{}", service.name);
        assert!(world.provider.is_accepted(&held.value));
        let again = with_create(&world, &create_of(&world)).await;
        assert_eq!(again.rotation()["outcome"], "fresh", "{}", again.everything());
        world.assert_no_violations();
    }

    pub(super) async fn a_missing_token_without_create_is_an_error(service: &'static Service) {
        let world = World::builder().provider(service).start().await;
        let ran = named(&world, "nobody-knows").run().await;
        assert_ne!(ran.exit_code, 0, "{}", service.name);
        assert_eq!(world.provider.tokens().len(), 2);
    }

    pub(super) async fn a_refusal_quotes_the_provider(service: &'static Service) {
        for status in [400, 409, 422] {
            let world = World::builder().provider(service).start().await;
            world.provider.switch(|switches| {
                switches.refuse_mint = Some(status);
                switches.error_message = Some("the moon is in the wrong place".to_owned());
            });
            let ran = rotate(&world).await;
            assert_eq!(ran.exit_code, 1);
            let error = ran.rotation()["error"].to_string();
            assert!(error.contains("the moon is in the wrong place"), "{}: {error}", service.name);
            assert!(error.contains(&format!("HTTP {status}")), "{}: {error}", service.name);
            assert_eq!(world.unaccepted(), Vec::<String>::new());
            assert!(world.held("acme/infra:AXIOM_TOKEN").unwrap().value == world.original.value);
        }
    }

    pub(super) async fn a_credential_without_rights_names_the_missing_right(service: &'static Service) {
        let world = World::builder().provider(service).start().await;
        let invocation = Invocation::rotate(&world).env("CROSSFADE_PROVIDER_TOKEN", &world.original.value);
        let ran = invocation.arg("--format", "json").run().await;
        assert_eq!(ran.exit_code, 1);
        let error = ran.rotation()["error"].to_string();
        assert!(error.contains("it needs"), "{}: {error}", service.name);
    }

    pub(super) async fn an_unknown_credential_is_reported(service: &'static Service) {
        let world = World::builder().provider(service).start().await;
        let invocation =
            Invocation::rotate(&world).env("CROSSFADE_PROVIDER_TOKEN", "this-is-no-token-of-anybody");
        let ran = invocation.arg("--format", "json").run().await;
        let error = ran.rotation()["error"].to_string();
        assert!(
            error.contains("the provider rejected the credential (HTTP 401)"),
            "{}: {error}",
            service.name
        );
    }

    pub(super) async fn the_list_comes_in_pages(service: &'static Service) {
        let world = World::builder().provider(service).start().await;
        for number in 0..230 {
            world.provider.add_token((service.ordinary)(&format!("other-{number}")));
        }
        // The one to rotate is on the last page.
        let last = (service.ordinary)("last").expires_in(SignedDuration::from_hours(24));
        world.provider.add_token(last);
        let ran = named(&world, "last").arg("--format", "json").flag("--dry-run").run().await;
        assert_eq!(ran.rotation()["outcome"], "planned", "{}: {}", service.name, ran.everything());
        world.assert_no_violations();
    }

    pub(super) async fn a_new_token_with_other_privileges_is_not_used(service: &'static Service) {
        let world = World::builder().provider(service).start().await;
        let other = (service.admin)("x");
        world.provider.switch(|switches| {
            switches.alter_new_token = Some(std::sync::Arc::new(move |raw| {
                for (field, value) in other.raw() {
                    if field != "name" {
                        raw.insert(field.clone(), value.clone());
                    }
                }
            }));
        });
        let ran = rotate(&world).await;
        let error = ran.rotation()["error"].to_string();
        assert!(
            error.contains("privileges differ from those of the previous token"),
            "{}: {error}",
            service.name
        );
        assert!(error.contains("The new token was revoked"), "{}: {error}", service.name);
        assert_eq!(world.held("acme/infra:AXIOM_TOKEN").unwrap().value, world.original.value);
        assert_eq!(world.unaccepted(), Vec::<String>::new());
    }

    pub(super) async fn two_tokens_of_one_name_are_not_guessed_at(service: &'static Service) {
        let world = World::builder().provider(service).start().await;
        let same_name = world.provider.add_token((service.ordinary)("ci-ingest"));
        let ran = rotate(&world).await;
        let error = ran.rotation()["error"].to_string();
        assert!(error.contains(&same_name.id) && error.contains(&world.original.id), "{error}");
        let ran = named(&world, &world.original.id).run().await;
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        assert_eq!(world.unaccepted(), Vec::<String>::new());
    }
}
