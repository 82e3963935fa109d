//! Whatever a file says, no credential reaches two services.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;

use super::super::selection::Selection;
use super::super::{Config, Request, load};
use super::*;
use crate::provider::ProviderSettings;

const PROVIDERS: [&str; 4] = ["axiom", "softwareone", "deepset", "launchdarkly"];

fn loaded(text: &str, flags: RotationKeys, only: &[&str]) -> (Option<Config>, String) {
    let mut problems = Problems::default();
    problems.set_file("crossfade.yml", text);
    let only = only
        .iter()
        .map(|name| Field { origin: Origin::Input("--only"), value: Some((*name).to_owned()) })
        .collect();
    let request = Request {
        file: Some(text.to_owned()),
        flags,
        selection: Selection { only, shard: None },
        repository: "acme/home".parse().unwrap(),
    };
    let config = load(&request, &mut problems);
    assert_eq!(config.is_none(), problems.has_errors());
    (config, problems.to_string())
}

fn flag<T>(name: &'static str, value: T) -> Option<Field<T>> {
    Some(Field { origin: Origin::Input(name), value: Some(value) })
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn refused(text: &str, flags: RotationKeys, only: &[&str]) -> String {
    let (config, text) = loaded(text, flags, only);
    assert!(config.is_none(), "must be refused:\n{text}");
    text
}

#[test]
fn one_variable_is_for_one_service_and_one_origin() {
    let two = |one: &str, other: &str| {
        format!(
            "rotations:\n  - {{ name: a, token: a, secrets: [A], {one} }}\n  - {{ name: b, token: b, secrets: [B], {other} }}\n"
        )
    };
    let bad = [
        ("provider: axiom", "provider: deepset", "two services, `axiom` and `deepset`"),
        ("provider: axiom", "provider: deepset, credential: CROSSFADE_PROVIDER_TOKEN", "two services"),
        ("provider: axiom, credential: X", "provider: launchdarkly, credential: X", "two services"),
        ("provider: axiom", "provider: axiom, provider_url: https://axiom.example", "two addresses"),
        (
            "provider: axiom, provider_url: https://a.example",
            "provider: axiom, provider_url: 'https://a.example:444'",
            "two addresses",
        ),
        (
            "provider: axiom, provider_url: https://api.github.com",
            "provider: axiom, credential: Y",
            "this is the address of GitHub",
        ),
        (
            "provider: axiom, provider_url: https://app.launchdarkly.com",
            "provider: axiom, credential: Y",
            "this is the address of launchdarkly",
        ),
    ];
    for (one, other, words) in bad {
        for only in [&[][..], &["a"], &["b"]] {
            let text = refused(&two(one, other), RotationKeys::default(), only);
            assert!(text.contains(words), "{text}");
        }
    }
    let good = [
        ("provider: axiom", "provider: axiom"),
        ("provider: axiom", "provider: axiom, provider_url: https://api.axiom.co/v2"),
        ("provider: axiom", "provider: deepset, credential: DEEPSET"),
        ("provider: axiom, credential: A", "provider: axiom, provider_url: https://a.example, credential: B"),
    ];
    let vendor = [
        ("provider: pulumi", "provider: pulumi-team", ""),
        ("provider: cloudflare", "provider: cloudflare-user", ""),
        ("provider: grafana, provider_url: https://a.example", "provider: grafana-cloud", "two services"),
        (
            "provider: cloudflare",
            "provider: cloudflare-user, provider_url: https://a.example",
            "two addresses",
        ),
    ];
    for (one, other, words) in vendor {
        let text = loaded(&two(one, other), RotationKeys::default(), &[]).1;
        assert_eq!(text.contains("would be sent to two"), !words.is_empty(), "{text}");
        assert!(text.contains(words), "{text}");
    }
    for (one, other) in good {
        assert_eq!(loaded(&two(one, other), RotationKeys::default(), &[]).1, "");
    }
}

#[test]
fn a_default_is_for_the_provider_that_the_defaults_name() {
    let file = |defaults: &str| {
        format!(
            "defaults: {{ {defaults} }}\nrotations:\n  - {{ name: a, provider: axiom, token: a, secrets: [A] }}\n  \
             - {{ name: b, provider: deepset, credential: DEEPSET, token: b, secrets: [B] }}\n"
        )
    };
    for default in ["credential: X", "provider_url: https://x.example", "org_id: acme"] {
        for only in [&[][..], &["a"], &["b"]] {
            let text = refused(&file(default), RotationKeys::default(), only);
            assert!(text.contains("must say for which provider it is"), "{text}");
        }
    }
    let defaults = "provider: axiom, credential: X, provider_url: https://x.example, org_id: acme";
    let rotations = loaded(&file(defaults), RotationKeys::default(), &[]).0.unwrap().rotations;
    let (a, b) = (&rotations[0].provider, &rotations[1].provider);
    assert_eq!(
        (a.credential.as_str(), a.origin(), a.with.get("org_id").map(String::as_str)),
        ("X", "https://x.example".to_owned(), Some("acme"))
    );
    assert_eq!((b.credential.as_str(), b.url.as_ref(), b.with.get("org_id")), ("DEEPSET", None, None));
    // Of one provider alone, a default needs no name.
    let alone =
        "defaults: { credential: X }\nrotations:\n  - { name: a, provider: axiom, token: a, secrets: [A] }\n";
    assert_eq!(loaded(alone, RotationKeys::default(), &[]).0.unwrap().rotations[0].provider.credential, "X");
}

#[test]
fn flags_send_no_credential_elsewhere() {
    let file = "\
rotations:
  - { name: a, provider: axiom, token: a, secrets: [A] }
  - { name: b, provider: deepset, credential: DEEPSET, token: b, secrets: [B] }
  - { name: c, provider: axiom, provider_url: https://own.example, credential: OWN, token: c, secrets: [C] }
";
    let provider = |name: &str| RotationKeys {
        provider: flag("--provider", ProviderName(name.to_owned())),
        ..RotationKeys::default()
    };
    let to = |text: &str| RotationKeys {
        provider_url: flag("--provider-url", url(text)),
        ..RotationKeys::default()
    };
    assert!(
        refused(file, provider("deepset"), &["a"])
            .contains("a rotation of the provider `axiom`, not `deepset`")
    );
    assert!(
        refused(file, provider("axiom"), &[]).contains("a rotation of the provider `deepset`, not `axiom`")
    );
    assert!(refused(file, to("https://x.example"), &[]).contains("several providers"));
    assert!(refused(file, to("https://x.example"), &["a", "b"]).contains("several providers"));
    assert!(refused(file, to("https://x.example"), &["c"]).contains("its own `provider_url`"));
    assert!(loaded(file, to("https://own.example/v2"), &["c"]).0.is_some());
    assert!(loaded(file, to("https://x.example"), &["a"]).0.is_some());
    assert!(loaded(file, provider("axiom"), &["a", "c"]).0.is_some());
    let inherited = "defaults: { provider: axiom }\nrotations: [{ name: a, token: a, secrets: [A] }]\n";
    assert!(refused(inherited, provider("deepset"), &[]).contains("not `deepset`"));
    let unsaid = "rotations: [{ name: a, token: a, secrets: [A] }]\n";
    assert!(loaded(unsaid, provider("deepset"), &[]).0.is_some());
}

fn held<'a>(variable: &'a str, value: &str, provider: Option<&'a ProviderSettings>) -> Held<'a> {
    Held { variable, value: SecretString::from(value), provider }
}

fn provider(name: &str, credential: &str) -> ProviderSettings {
    ProviderSettings {
        kind: name.parse().unwrap(),
        url: None,
        with: std::collections::BTreeMap::new(),
        credential: credential.to_owned(),
    }
}

fn text(held: &[Held<'_>]) -> String {
    let mut problems = Problems::default();
    values(held, &mut problems);
    problems.to_string()
}

#[test]
fn a_value_of_another_service_is_not_sent() {
    let (axiom, deepset) = (provider("axiom", "A"), provider("deepset", "D"));
    let key = "api_0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";
    let github = [
        "ghp_hunter2hunter2",
        "\"ghp_hunter2hunter2\"",
        "TOKEN=github_pat_hunter2hunter2",
        "token: 'ghs_hunter2'",
        "Bearer gho_hunter2",
    ];
    for value in github.into_iter().chain([
        key,
        "idt:TKN-1-2:hunter2hunter2",
        "api-0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9",
    ]) {
        let text = text(&[held("A", value, Some(&axiom))]);
        assert!(text.contains("holds what looks like a token of"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("0a1b2c3d"), "{text}");
    }
    for value in ["xaat-hunter2", "'xaat-hunter2'", key] {
        assert!(text(&[held("G", value, None)]).contains("and it is for `github`"));
    }
    for (service, value) in
        [(&axiom, "xaat-1"), (&deepset, key), (&axiom, "anything-else"), (&deepset, "api_word")]
    {
        assert_eq!(text(&[held("A", value, Some(service))]), "");
    }
    assert_eq!(text(&[held("G", "ghp_0123456789abcdef", None), held("A", "xaat-1", Some(&axiom))]), "");
}

#[test]
fn equal_values_are_for_one_service() {
    let (axiom, deepset) = (provider("axiom", "A"), provider("deepset", "D"));
    let elsewhere = ProviderSettings { url: Some(url("https://axiom.example")), ..provider("axiom", "B") };
    for other in [
        held("D", "same-value\n", Some(&deepset)),
        held("B", "same-value", Some(&elsewhere)),
        held("G", " same-value", None),
    ] {
        let text = text(&[held("A", "same-value", Some(&axiom)), other]);
        assert!(text.contains("hold the same value"), "{text}");
        assert!(!text.contains("same-value"), "{text}");
    }
    assert_eq!(text(&[held("A", "same", Some(&axiom)), held("B", "same", Some(&axiom))]), "");
    let (account, user) = (provider("cloudflare", "A"), provider("cloudflare-user", "B"));
    assert_eq!(text(&[held("A", "same", Some(&account)), held("B", "same", Some(&user))]), "");
}

#[test]
fn a_personal_token_of_axiom_needs_its_organization() {
    let mut axiom = provider("axiom", "A");
    assert!(text(&[held("A", "xapt-0a1b", Some(&axiom))]).contains("needs `org_id`"));
    axiom.with.insert("org_id".to_owned(), "acme-1".to_owned());
    assert_eq!(text(&[held("A", "xapt-0a1b", Some(&axiom))]), "");
}

/// One rotation: provider, URL and credential, where it says them.
type Said = (Option<usize>, Option<usize>, Option<usize>);

const URLS: [&str; 3] = ["https://one.example", "https://two.example/v2", "https://api.axiom.co"];
const VARIABLES: [&str; 3] = ["ONE", "TWO", "CROSSFADE_PROVIDER_TOKEN"];

fn said() -> impl Strategy<Value = Said> {
    (
        prop::option::of(0..PROVIDERS.len()),
        prop::option::weighted(0.3, 0..URLS.len()),
        prop::option::of(0..VARIABLES.len()),
    )
}

fn written((provider, address, credential): &Said) -> String {
    let mut text = String::new();
    if let Some(provider) = provider {
        write!(text, "provider: {}, ", PROVIDERS[*provider]).unwrap();
    }
    if let Some(address) = address {
        write!(text, "provider_url: '{}', ", URLS[*address]).unwrap();
    }
    if let Some(credential) = credential {
        write!(text, "credential: {}, ", VARIABLES[*credential]).unwrap();
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_credential_reaches_two_services(
        defaults in said(),
        rotations in prop::collection::vec(said(), 1..5),
        (of_flags, only) in (prop_oneof![3 => Just((None, None, None)), 1 => said()], prop::option::of(0..5_usize)),
    ) {
        let mut text = format!("defaults: {{ {} lifetime: 90d }}\nrotations:\n", written(&defaults));
        for (n, rotation) in rotations.iter().enumerate() {
            writeln!(text, "  - {{ {} name: r{n}, token: t{n}, secrets: [S{n}] }}", written(rotation)).unwrap();
        }
        let (provider, address, _): Said = of_flags;
        let flags = RotationKeys {
            provider: provider.and_then(|index| flag("--provider", ProviderName(PROVIDERS[index].to_owned()))),
            provider_url: address.and_then(|index| flag("--provider-url", url(URLS[index]))),
            ..RotationKeys::default()
        };
        let only = only.map(|index| format!("r{}", index % rotations.len()));
        let only: Vec<&str> = only.iter().map(String::as_str).collect();
        let Some(config) = loaded(&text, flags, &only).0 else { return Ok(()) };
        let mut reached: BTreeMap<&str, BTreeSet<(String, String)>> = BTreeMap::new();
        for rotation in &config.rotations {
            let settings = &rotation.provider;
            reached.entry(&settings.credential).or_default().insert((settings.kind.to_string(), settings.origin()));
            let index: usize = rotation.name[1..].parse().unwrap();
            let (own_provider, own_address, own_credential) = rotations[index];
            let meant = own_provider.or(defaults.0).or(provider).map(|index| PROVIDERS[index]);
            prop_assert_eq!(Some(settings.kind.name()), meant);
            let of_defaults = defaults.0.is_none_or(|default| Some(PROVIDERS[default]) == meant);
            let names = own_credential.or(defaults.2.filter(|_| of_defaults)).map_or(VARIABLES[2], |index| VARIABLES[index]);
            prop_assert_eq!(settings.credential.as_str(), names);
            let file_address = own_address.or(defaults.1.filter(|_| of_defaults)).map(|index| url(URLS[index]));
            if let Some(file_address) = file_address {
                prop_assert_eq!(settings.origin(), file_address.origin().ascii_serialization(), "it is the file's");
            }
        }
        for (variable, services) in reached {
            prop_assert_eq!(services.len(), 1, "{} in\n{}", variable, text);
        }
    }
}
