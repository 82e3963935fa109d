//! Makes sure that each credential is sent only to the service and origin that it is
//! configured for.
//!
//! [`decide`] checks the file, its defaults, flags and variables together, and decides
//! which defaults apply to each rotation; [`values`] checks the credentials in the
//! variables. Both add the problems that they find.

use std::collections::HashMap;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::file::{Defaults, RotationKeys};
use super::providers::{ProviderName, Providers, with};
use super::{DEFAULT_CREDENTIAL, Rotation};
use crate::diagnostic::{Invalid, Origin, Problems, one_of, quoted};
use crate::http::is_loopback;
use crate::provider::{ProviderSettings, origins};
use crate::redact::{GITHUB, issuer};
use crate::yaml::keys::{Field, given, origin_of};

/// One rotation of the file, before defaults and flags apply.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConfiguredRotation<'a> {
    pub(super) keys: &'a RotationKeys,
    pub(super) origin: Origin,
    pub(super) is_selected: bool,
}

/// The keys of every rotation with flags and defaults filled in, in order. Adds a
/// problem for everything in the file, selected or not, that would send a credential to
/// a service or an origin that it is not configured for.
pub(super) fn decide(
    rotations: &[ConfiguredRotation<'_>],
    Defaults(defaults): &Defaults,
    flags: Option<&RotationKeys>,
    providers: &Providers,
    problems: &mut Problems,
) -> Vec<RotationKeys> {
    let kinds: Vec<ProviderName> = rotations.iter().filter_map(|one| kind(one, defaults, flags)).collect();
    let has_several = kinds.iter().any(|kind| *kind != kinds[0]);
    if has_several && defaults.provider.is_none() {
        refuse_ambiguous_defaults(defaults, problems);
    }
    let in_file: Vec<RotationKeys> = rotations
        .iter()
        .map(|one| {
            let takes = match (given(&defaults.provider), kind(one, defaults, flags)) {
                (Some(meant), Some(own)) => *meant == own,
                (None, _) => !has_several,
                (Some(_), None) => true,
            };
            one.keys.clone().or(if takes { defaults.clone() } else { policy_only(defaults) })
        })
        .collect();
    let all = || rotations.iter().zip(&in_file);
    one_service_each(all().map(|(one, keys)| (keys, one.origin)), providers, problems);
    let Some(flags) = flags else { return in_file };
    let selected: Vec<&RotationKeys> =
        all().filter(|(one, _)| one.is_selected).map(|(_, keys)| keys).collect();
    refuse_flags(flags, &selected, problems);
    // A rotation of the file keeps its name.
    let flags = RotationKeys { name: None, ..flags.clone() };
    let over = |keys: &RotationKeys| flags.clone().or(keys.clone());
    let resolved: Vec<RotationKeys> =
        all().map(|(one, keys)| if one.is_selected { over(keys) } else { keys.clone() }).collect();
    let of_run = rotations.iter().zip(&resolved).filter(|(one, _)| one.is_selected);
    one_service_each(of_run.map(|(one, keys)| (keys, one.origin)), providers, problems);
    resolved
}

/// The service that a rotation is about.
fn kind(
    one: &ConfiguredRotation<'_>,
    defaults: &RotationKeys,
    flags: Option<&RotationKeys>,
) -> Option<ProviderName> {
    let flags = flags.filter(|_| one.is_selected);
    let of_file = given(&one.keys.provider).or_else(|| given(&defaults.provider));
    of_file.or_else(|| given(&flags?.provider)).cloned()
}

/// Defaults without what belongs to one service.
fn policy_only(defaults: &RotationKeys) -> RotationKeys {
    RotationKeys { provider_url: None, credential: None, org_id: None, with: None, ..defaults.clone() }
}

/// Refuses a default that belongs to one service if the file has several and does not
/// say which.
fn refuse_ambiguous_defaults(defaults: &RotationKeys, problems: &mut Problems) {
    let origins = [
        ("credential", origin_of(&defaults.credential)),
        ("provider_url", origin_of(&defaults.provider_url)),
        ("org_id", origin_of(&defaults.org_id)),
        ("with", origin_of(&defaults.with)),
    ];
    for (key, origin) in origins.into_iter().filter_map(|(key, origin)| Some((key, origin?))) {
        let invalid = Invalid::new(format!(
            "a default `{key}` in a file of several providers must say for which provider it is"
        ));
        problems.error(origin, invalid.help("add `provider` to `defaults`, and it applies only to the rotations of that provider; or write it in each rotation"));
    }
}

/// Flags and variables that would send the selected rotations' credentials elsewhere.
fn refuse_flags(flags: &RotationKeys, selected: &[&RotationKeys], problems: &mut Problems) {
    let named = || selected.iter().filter_map(|keys| given(&keys.provider));
    if let Some(Field { origin, value: Some(wanted) }) = &flags.provider
        && let Some(other) = named().find(|own| *own != wanted)
    {
        let invalid = Invalid::new(format!(
            "{} of the file is a rotation of the provider `{}`, not `{}`",
            if selected.len() == 1 { "the selected rotation" } else { "a selected rotation" },
            other.0,
            wanted.0
        ));
        let help = "choose other rotations with --only, or leave the provider to the file";
        problems.error(*origin, invalid.help(help));
    }
    let Some(Field { origin, value: Some(url) }) = &flags.provider_url else { return };
    let kind = |keys: &&RotationKeys| given(&keys.provider).or_else(|| given(&flags.provider)).cloned();
    let kinds: Vec<ProviderName> = selected.iter().filter_map(kind).collect();
    if kinds.iter().any(|kind| *kind != kinds[0]) {
        let invalid = Invalid::new("one provider URL for rotations of several providers");
        problems.error(*origin, invalid.help("each provider has its own; choose the rotations of one provider with --only, or write `provider_url` in the file"));
    }
    let mut own = selected.iter().filter_map(|keys| given(&keys.provider_url));
    if own.any(|own| own.origin() != url.origin()) {
        let help =
            "its credential is for that origin; choose other rotations with --only, or change the file";
        let invalid = Invalid::new("a selected rotation has its own `provider_url`, with another origin");
        problems.error(*origin, invalid.help(help));
    }
}

/// One variable holds one credential, for one service at one origin.
fn one_service_each<'a>(
    rotations: impl Iterator<Item = (&'a RotationKeys, Origin)>,
    providers: &Providers,
    problems: &mut Problems,
) {
    let mut known: HashMap<String, (ProviderSettings, Origin)> = HashMap::new();
    for (keys, rotation) in rotations {
        let Some(settings) = settings(keys, providers) else { continue };
        let origin = origin_of(&keys.credential).unwrap_or(rotation);
        let address = origin_of(&keys.provider_url).or(settings.kind.is_own().then_some(rotation));
        if let (Some(address), Some(other)) = (address, foreign_origin(&settings)) {
            let invalid = Invalid::new(format!(
                "this is the address of {other}, and the rotation's provider is `{}`",
                settings.kind
            ));
            problems.error(address, invalid.help("the provider's credential would be sent there"));
        }
        for variable in settings.credentials() {
            let (first, first_origin) =
                known.entry(variable.clone()).or_insert_with(|| (settings.clone(), origin));
            if is_one_target(first, &settings) {
                continue;
            }
            let two = match is_one_service(first, &settings) {
                true => format!("addresses, {} and {}", first.origin(), settings.origin()),
                false => format!("services, `{}` and `{}`", first.kind, settings.kind),
            };
            let invalid =
                Invalid::new(format!("the credential in {} would be sent to two {two}", quoted(variable)));
            let other_line = match first_origin {
                Origin::File(at) => format!(" (line {} uses it already)", at.line),
                Origin::Input(_) | Origin::Missing => String::new(),
            };
            let help = format!("name another variable with `credential`{other_line}");
            problems.error(origin, invalid.help(help));
        }
    }
}

/// Whether two rotations are about one service. The kinds of tokens of one vendor, such as
/// `cloudflare` and `cloudflare-user`, have one public origin.
fn is_one_service(one: &ProviderSettings, other: &ProviderSettings) -> bool {
    let (kind, own) = (&one.kind, one.kind.is_own() || other.kind.is_own());
    *kind == other.kind || !own && kind.origin().is_some() && kind.origin() == other.kind.origin()
}

/// Whether two rotations are about one service at one origin.
fn is_one_target(one: &ProviderSettings, other: &ProviderSettings) -> bool {
    is_one_service(one, other) && one.origin() == other.origin()
}

/// Another known service whose public origin a rotation names as its own.
fn foreign_origin(settings: &ProviderSettings) -> Option<&'static str> {
    let origin = settings.origin();
    let is_there =
        |address: &str| Url::parse(address).is_ok_and(|url| url.origin().ascii_serialization() == origin);
    if ["https://api.github.com", "https://github.com"].into_iter().any(is_there) {
        return Some("GitHub");
    }
    // A file of one's own may describe other tokens of a known service.
    let mut others = origins().filter(|(name, _)| *name != settings.kind.name() && !settings.kind.is_own());
    others.find(|(_, other)| *other == origin).map(|(name, _)| name)
}

/// Refuses a GitHub API at the origin of a provider: one of the two credentials would be
/// sent to the other's service. Servers on loopback are exempt.
pub(crate) fn github_apart(api_url: &Url, rotations: &[Rotation]) -> Result<(), Invalid> {
    let origin = api_url.origin().ascii_serialization();
    let used = rotations.iter().map(|rotation| &rotation.provider);
    let used = used.map(|provider| (provider.kind.name(), provider.origin()));
    let mut all = origins().chain(used);
    match all.find(|(_, other)| *other == origin).filter(|_| !is_loopback(api_url)) {
        None => Ok(()),
        Some((provider, _)) => Err(Invalid::new(format!(
            "GitHub's API and the provider {provider} have the same origin, {origin}"
        ))
        .help("each credential is sent only to its own service")),
    }
}

/// How the provider of these keys is reached, if they say which it is.
pub(super) fn settings(keys: &RotationKeys, providers: &Providers) -> Option<ProviderSettings> {
    let kind = providers.find(given(&keys.provider)?)?.clone();
    Some(ProviderSettings {
        with: with(&kind, keys),
        kind,
        url: given(&keys.provider_url).cloned(),
        credential: given(&keys.credential).map_or(DEFAULT_CREDENTIAL, String::as_str).to_owned(),
    })
}

/// A variable's value, and the service that it is for.
#[derive(Debug, Clone)]
pub(crate) struct Held<'a> {
    pub(crate) variable: &'a str,
    pub(crate) value: SecretString,
    /// The provider that it is for; `None`: GitHub.
    pub(crate) provider: Option<&'a ProviderSettings>,
}

impl Held<'_> {
    fn service(&self) -> &str {
        self.provider.map_or(GITHUB, |provider| provider.kind.name())
    }

    /// Whether both are for one service at one origin.
    fn has_target_of(&self, other: &Self) -> bool {
        match (self.provider, other.provider) {
            (None, None) => true,
            (Some(one), Some(other)) => is_one_target(one, other),
            _ => false,
        }
    }
}

/// A variable that a credential of this form needs, and that the rotation does not set.
fn missing_variable<'a>(provider: &'a ProviderSettings, credential: &str) -> Option<&'a str> {
    let of_form = |one: &&crate::provider::file::ValueShape| credential.starts_with(&*one.shape.prefix);
    let form = provider.kind.file().values.iter().find(of_form)?;
    form.needs.iter().find(|name| !provider.with.contains_key(*name)).map(String::as_str)
}

/// Notes values that are another service's: by their form, or because another
/// variable holds the same for it. No value is shown.
pub(crate) fn values(held: &[Held<'_>], problems: &mut Problems) {
    for (index, one) in held.iter().enumerate() {
        let value = one.value.expose_secret().trim();
        let variable = one.variable;
        let of = issuer(value);
        // A file of one's own may describe other tokens of a known service, at its address.
        let is_at_home = |other: &str| {
            let homes = one.provider.map(|provider| [Some(provider.origin()), provider.kind.origin()]);
            let is_home = |origin| homes.as_ref().is_some_and(|homes| homes.contains(&Some(origin)));
            origins().any(|(name, origin)| name == other && is_home(origin))
        };
        if let Some((other, _)) = of.filter(|(other, _)| *other != one.service() && !is_at_home(other)) {
            let invalid = Invalid::new(format!(
                "{} holds what looks like a token of `{other}`, and it is for `{}`",
                quoted(variable),
                one.service()
            ));
            let help = "were two credentials swapped? Each is sent only to its own service";
            problems.error(Origin::Missing, invalid.help(help));
        }
        let provider = one.provider.filter(|provider| provider.credential == variable);
        if let Some(missing) = provider.and_then(|provider| missing_variable(provider, value)) {
            let invalid =
                Invalid::new(format!("{} holds a token that needs {}", quoted(variable), quoted(missing)));
            problems.error(Origin::Missing, invalid.help(match missing {
                "org_id" => "write the organization's id at `org_id` of the rotation, or give --org-id (CROSSFADE_ORG_ID)",
                _ => "write it under `with` of the rotation",
            }));
        }
        let is_same =
            |other: &&Held<'_>| other.value.expose_secret().trim() == value && !other.has_target_of(one);
        if let Some(other) = held[..index].iter().find(is_same) {
            let invalid = Invalid::new(format!(
                "{} hold the same value, and they are for different services or addresses",
                one_of([other.variable, variable]).replace(" or ", " and ")
            ));
            problems.error(Origin::Missing, invalid.help("a credential is sent only to its own service"));
        }
    }
}

#[cfg(test)]
mod tests;
