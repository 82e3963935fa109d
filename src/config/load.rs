//! From keys to a checked [`Config`]: selection, flags over file over defaults,
//! one [`Rotation`] after the other.
//!
//! What must hold between values and between rotations lives in [`super::check`].

use super::check::{self, Written};
use super::diagnostic::{Invalid, Place, Problems, looks_like_a_secret, quoted};
use super::file::{self, DefaultsKeys, Field, FileKeys, RotationKeys};
use super::selection::Selection;
use super::{Config, Policy, ProviderSettings, Repository, Rotation, RotationKey, address};

/// The variable that holds the provider credential unless a rotation names another.
pub const DEFAULT_CREDENTIAL: &str = "CROSSFADE_PROVIDER_TOKEN";

/// Everything that the user said about rotations.
#[derive(Debug)]
pub(crate) struct Request {
    /// The configuration file's text; `None`: the flags describe the one rotation.
    pub(crate) file: Option<String>,
    /// What flags and variables say.
    pub(crate) flags: RotationKeys,
    /// Which of the file's rotations.
    pub(crate) selection: Selection,
    /// The repository that rotates.
    pub(crate) repository: Repository,
}

/// The selected rotations, checked. Everything that is wrong with any of the
/// rotations, selected or not, is noted; with an error among it there is no result.
pub(crate) fn load(request: &Request, problems: &mut Problems) -> Option<Config> {
    let before = problems.errors();
    let FileKeys { defaults, rotations } = match &request.file {
        Some(text) => file::read(text, problems),
        None => FileKeys {
            defaults: None,
            rotations: Some(Field { place: Place::Missing, value: Some(vec![by_flags(&request.flags)]) }),
        },
    };
    let defaults = defaults.and_then(|field| field.value).unwrap_or_default();
    let rotations = match rotations {
        Some(Field { value, .. }) => value.unwrap_or_default(),
        None => Vec::new(),
    };
    if rotations.is_empty() && problems.errors() == before {
        problems.error(Place::Missing, Invalid::new("the configuration file has no `rotations`"));
    }
    let names: Vec<&str> =
        rotations.iter().filter_map(|r| given(&r.value.as_ref()?.name).map(String::as_str)).collect();
    request.selection.check(&names, problems);
    let selected: Vec<&str> = names.iter().copied().filter(|name| request.selection.takes(name)).collect();
    if request.file.is_some() {
        flags_fit(&request.flags, &selected, problems);
    }

    let mut written = Vec::new();
    let mut config = Config { rotations: Vec::new() };
    for Field { place, value } in &rotations {
        let Some(keys) = value else { continue };
        let is_selected = given(&keys.name).is_some_and(|name| request.selection.takes(name));
        let keys = if is_selected { over(&request.flags, keys) } else { keys.clone() };
        let mut source = Source { place: *place, by_flags: request.file.is_none(), problems };
        let (rotation, places) = source.rotation(&under(keys, &defaults), &request.repository);
        written.push(places);
        config.rotations.extend(rotation.filter(|_| is_selected));
    }
    check::together(&written, problems);
    (problems.errors() == before).then_some(config)
}

/// What a key was given, if it was and could be read.
pub(super) fn given<T>(field: &Option<Field<T>>) -> Option<&T> {
    field.as_ref().and_then(|f| f.value.as_ref())
}

/// Without a file: a rotation is called what its token is called.
fn by_flags(flags: &RotationKeys) -> Field<RotationKeys> {
    let mut keys = flags.clone();
    keys.name = keys.name.or_else(|| keys.token.clone());
    Field { place: Place::Missing, value: Some(keys) }
}

/// Flags that describe one rotation need exactly one.
fn flags_fit(flags: &RotationKeys, selected: &[&str], problems: &mut Problems) {
    if let Some(name) = &flags.name {
        let invalid =
            Invalid::new("a name is for the rotation that flags describe, and here is a configuration file");
        problems.error(name.place, invalid.help("choose a rotation of the file with --only"));
    }
    let token = flags.token.as_ref().map(|f| f.place);
    let secrets = flags.secrets.as_ref().map(|f| f.place);
    for place in [token, secrets].into_iter().flatten() {
        if selected.len() > 1 {
            let count = selected.len();
            let invalid =
                Invalid::new(format!("this belongs to one rotation, and {count} of the file are selected"));
            problems.error(place, invalid.help("choose one with --only"));
        }
    }
}

/// Flags override the file.
fn over(flags: &RotationKeys, file: &RotationKeys) -> RotationKeys {
    let RotationKeys {
        name: _,
        provider,
        provider_url,
        credential,
        org_id,
        token,
        formerly,
        lifetime,
        overlap,
        rotate_before,
        delete_after,
        create,
        verify,
        secrets,
    } = flags.clone();
    let file = file.clone();
    RotationKeys {
        name: file.name,
        provider: provider.or(file.provider),
        provider_url: provider_url.or(file.provider_url),
        credential: credential.or(file.credential),
        org_id: org_id.or(file.org_id),
        token: token.or(file.token),
        formerly: formerly.or(file.formerly),
        lifetime: lifetime.or(file.lifetime),
        overlap: overlap.or(file.overlap),
        rotate_before: rotate_before.or(file.rotate_before),
        delete_after: delete_after.or(file.delete_after),
        create: create.or(file.create),
        verify: verify.or(file.verify),
        secrets: secrets.or(file.secrets),
    }
}

/// `defaults` fill what a rotation does not say.
fn under(keys: RotationKeys, defaults: &DefaultsKeys) -> RotationKeys {
    let DefaultsKeys {
        provider,
        provider_url,
        credential,
        org_id,
        lifetime,
        overlap,
        rotate_before,
        delete_after,
    } = defaults.clone();
    RotationKeys {
        provider: keys.provider.or(provider),
        provider_url: keys.provider_url.or(provider_url),
        credential: keys.credential.or(credential),
        org_id: keys.org_id.or(org_id),
        lifetime: keys.lifetime.or(lifetime),
        overlap: keys.overlap.or(overlap),
        rotate_before: keys.rotate_before.or(rotate_before),
        delete_after: keys.delete_after.or(delete_after),
        ..keys
    }
}

/// Where a rotation comes from, and where its problems go.
pub(super) struct Source<'a> {
    pub(super) place: Place,
    pub(super) by_flags: bool,
    pub(super) problems: &'a mut Problems,
}

impl Source<'_> {
    fn rotation(&mut self, keys: &RotationKeys, repository: &Repository) -> (Option<Rotation>, Written) {
        let name = self
            .required(&keys.name, "name", "--name")
            .and_then(|name| self.legal(&keys.name, check::rotation_name(name)));
        let kind = self.required(&keys.provider, "provider", "--provider").copied();
        let token = self
            .required(&keys.token, "token", "--token")
            .and_then(|token| self.legal(&keys.token, token_name(token)));
        let credential = match given(&keys.credential) {
            Some(variable) => self.legal(&keys.credential, check::credential(variable)),
            None => Some((DEFAULT_CREDENTIAL.to_owned(), self.place)),
        };
        let verify = given(&keys.verify).and_then(|path| self.legal(&keys.verify, address::path(path)));
        let policy = self.policy(keys);
        let (secrets, patterns) = self.secrets(keys, repository);

        let key = name.clone().map(|(name, _)| RotationKey { repository: repository.clone(), name });
        let formerly: Vec<(RotationKey, Place)> = given(&keys.formerly)
            .into_iter()
            .flatten()
            .filter_map(|f| Some((f.value.clone()?.0, f.place)))
            .collect();
        let provider = kind.zip(credential).map(|(kind, (credential, _))| ProviderSettings {
            kind,
            url: given(&keys.provider_url).cloned(),
            org_id: given(&keys.org_id).cloned(),
            credential,
        });
        let written = Written {
            name: name.clone(),
            formerly: formerly.clone(),
            key: key.clone(),
            token: provider
                .clone()
                .zip(token.clone())
                .map(|(provider, (token, place))| (provider, token, place)),
            destinations: secrets
                .iter()
                .map(|(target, place)| (target.destination.clone(), *place))
                .collect(),
        };
        let rotation = (|| {
            Some(Rotation {
                name: name?.0,
                key: key?,
                formerly: formerly.into_iter().map(|(key, _)| key).collect(),
                provider: provider?,
                token: token?.0,
                policy,
                create: given(&keys.create).map(|create| create.0.clone()),
                verify: verify.map(|(path, _)| path),
                secrets: secrets.into_iter().map(|(target, _)| target).collect(),
                patterns,
            })
        })();
        (rotation, written)
    }

    /// A key without which there is no rotation.
    fn required<'k, T>(&mut self, field: &'k Option<Field<T>>, key: &str, flag: &str) -> Option<&'k T> {
        if field.is_none() {
            let invalid = if self.by_flags {
                // A rotation takes its name from its token.
                let key = if key == "name" { return None } else { key };
                let variable = format!("CROSSFADE_{}", key.to_uppercase());
                Invalid::new(format!("no {key} is given"))
                    .help(format!("give {flag}, the variable {variable} or the action's input `{key}`"))
            } else {
                Invalid::new(format!("this rotation has no `{key}`"))
            };
            self.problems.error(self.place, invalid);
        }
        given(field)
    }

    /// A checked value with its place, or its problem noted.
    fn legal<T, U>(&mut self, field: &Option<Field<T>>, result: Result<U, Invalid>) -> Option<(U, Place)> {
        let place = field.as_ref().map_or(self.place, |f| f.place);
        self.problems.note(place, result).map(|value| (value, place))
    }

    fn policy(&mut self, keys: &RotationKeys) -> Policy {
        let fields = [&keys.lifetime, &keys.overlap, &keys.rotate_before, &keys.delete_after];
        let standard = Policy::default();
        let value = |field: &Option<Field<super::Period>>, default| given(field).copied().unwrap_or(default);
        let policy = Policy {
            lifetime: value(&keys.lifetime, standard.lifetime),
            overlap: value(&keys.overlap, standard.overlap),
            rotate_before: value(&keys.rotate_before, standard.rotate_before),
            delete_after: value(&keys.delete_after, standard.delete_after),
        };
        // A value that could not be read is no reason to complain about the others.
        if fields.iter().all(|f| f.as_ref().is_none_or(|f| f.value.is_some())) {
            let place = |field: &Option<Field<super::Period>>| field.as_ref().map(|f| f.place);
            let places = check::PolicyPlaces {
                lifetime: place(&keys.lifetime),
                overlap: place(&keys.overlap),
                rotate_before: place(&keys.rotate_before),
                rotation: self.place,
            };
            check::policy(policy, places, self.problems);
        }
        policy
    }
}

/// The name or id of a token, never its value.
fn token_name(text: &str) -> Result<String, Invalid> {
    if looks_like_a_secret(text) {
        return Err(Invalid::new("this looks like a token itself; its name or id belongs here")
            .help("the value of a credential belongs in an environment variable; replace a token that was written down"));
    }
    if text.chars().any(char::is_control) || text.chars().count() > 500 {
        return Err(Invalid::new(format!("{} is no name or id of a token", quoted(text))));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loads a file in which `BODY` stands for more keys of a sound rotation.
    fn loaded(text: &str) -> (Option<Config>, String) {
        let mut problems = Problems::default();
        problems.set_file("crossfade.yml", text);
        let request = Request {
            file: Some(text.to_owned()),
            flags: RotationKeys::default(),
            selection: Selection::default(),
            repository: "acme/home".parse().unwrap(),
        };
        let config = load(&request, &mut problems);
        assert_eq!(config.is_none(), problems.has_errors());
        (config, problems.to_string())
    }

    fn rotation(more: &str) -> String {
        format!("rotations:\n  - name: ci\n    provider: axiom\n    token: ci\n{more}")
    }

    #[test]
    fn defaults_fill_what_a_rotation_does_not_say() {
        let text = "\
defaults:
  { provider: axiom, provider_url: https://a.example, credential: AXIOM, org_id: acme, lifetime: 60d, overlap: 3d,
    rotate_before: 10d, delete_after: 2d }
rotations:
  - { name: a, token: a, secrets: [A] }
  - { name: b, token: b, secrets: [B], overlap: 5d, credential: OTHER }
";
        let rotations = loaded(text).0.unwrap().rotations;
        let [a, b] = &rotations[..] else { panic!("two rotations") };
        let days = super::super::Period::from_days;
        let policy =
            Policy { lifetime: days(60), overlap: days(3), rotate_before: days(10), delete_after: days(2) };
        assert_eq!(a.policy, policy);
        assert_eq!(a.provider.kind, crate::provider::Kind::Axiom);
        assert_eq!(a.provider.url.as_ref().map(url::Url::as_str), Some("https://a.example/"));
        assert_eq!(a.provider.org_id.as_deref(), Some("acme"));
        assert_eq!(a.provider.credential, "AXIOM");
        assert_eq!(b.policy, Policy { overlap: days(5), ..policy });
        assert_eq!(b.provider.credential, "OTHER");
    }

    #[test]
    fn secrets_in_every_form() {
        let (config, told) = loaded(&rotation(
            r#"    secrets:
      - A
      - { name: b, repository: acme/api }
      - { name: C, environment: prod, create_environment: true }
      - { name: D, organization: acme, visibility: selected, store: codespaces }
      - { name: E, repositories: ["acme/*", "!acme/legacy-*"], store: dependabot }
"#,
        ));
        assert_eq!(told, "");
        let rotation = config.unwrap().rotations.remove(0);
        let shown: Vec<String> = rotation.secrets.iter().map(|s| s.destination.to_string()).collect();
        assert_eq!(shown, ["acme/home:A", "acme/api:B", "acme/home@prod:C", "codespaces+org:acme:D"]);
        assert!(rotation.secrets[2].create_environment);
        assert_eq!(rotation.secrets[3].visibility, Some(super::super::Visibility::Selected));
        let pattern = &rotation.patterns[0];
        assert!(pattern.takes(&"acme/api".parse().unwrap()));
        assert!(!pattern.takes(&"acme/legacy-x".parse().unwrap()));
    }

    #[test]
    fn policies_that_cannot_work() {
        let told = |policy: &str| loaded(&rotation(&format!("{policy}    secrets: [A]\n"))).1;
        insta::assert_snapshot!(
            [
                "    overlap: 14d\n",
                "    rotate_before: 7d\n",
                "    lifetime: 21d\n",
                "    lifetime: 3d\n    overlap: 1d\n    rotate_before: 2d\n",
                "    overlap: 12h\n",
            ]
            .map(told)
            .join("\n\n"),
            @r#"
            error: the overlap (14d) must be shorter than rotate_before (14d, the default)
             --> crossfade.yml:5:14
              |
            5 |     overlap: 14d
              |              ^^^
              |
              = help: else the old token dies inside its overlap

            error: the overlap (7d, the default) must be shorter than rotate_before (7d)
             --> crossfade.yml:5:20
              |
            5 |     rotate_before: 7d
              |                    ^^
              |
              = help: else the old token dies inside its overlap

            error: rotate_before (14d, the default) and overlap (7d, the default) together must be shorter than the lifetime (21d)
             --> crossfade.yml:5:15
              |
            5 |     lifetime: 21d
              |               ^^^
              |
              = help: else every run would rotate

            error: rotate_before (2d) and overlap (1d) together must be shorter than the lifetime (3d)
             --> crossfade.yml:5:15
              |
            5 |     lifetime: 3d
              |               ^^
              |
              = help: else every run would rotate

            warning: an overlap of 12h is shorter than a day
             --> crossfade.yml:5:14
              |
            5 |     overlap: 12h
              |              ^^^
              |
              = help: a run that is cut off is finished by the next one, which must come inside the overlap; jobs that wait in a queue keep the old token
            "#
        );
        assert_eq!(told("    lifetime: 21d1s\n"), "");
        assert!(
            loaded(&rotation("    overlap: 0h\n    secrets: [A]\n")).0.is_some(),
            "an emergency is legal"
        );
    }

    #[test]
    fn what_two_rotations_claim() {
        let text = "\
rotations:
  - { name: a, provider: axiom, token: a, secrets: [X, acme/home:x] }
  - { name: b, provider: axiom, token: a, secrets: [ACME/HOME:X, Y] }
  - { name: b, provider: axiom, token: c, secrets: [], formerly: [acme/home/a] }
";
        insta::assert_snapshot!(loaded(text).1, @r#"
        error: `acme/home:X` is listed twice
         --> crossfade.yml:2:56
          |
        2 |   - { name: a, provider: axiom, token: a, secrets: [X, acme/home:x
          |                                                        ^^^^^^^^^^^
          |
          = help: it stands on line 2 already

        warning: two rotations keep the token `a` fresh
         --> crossfade.yml:3:40
          |
        3 |   - { name: b, provider: axiom, token: a
          |                                        ^
          |
          = help: it stands on line 2 already

        error: `ACME/HOME:X` belongs to another rotation already: it can hold one token
         --> crossfade.yml:3:53
          |
        3 |   - { name: b, provider: axiom, token: a, secrets: [ACME/HOME:X
          |                                                     ^^^^^^^^^^^
          |
          = help: it stands on line 2 already

        error: a second rotation is called `b`
         --> crossfade.yml:4:13
          |
        4 |   - { name: b
          |             ^
          |
          = help: it stands on line 3 already

        error: a rotation needs at least one secret
         --> crossfade.yml:4:52
          |
        4 |   - { name: b, provider: axiom, token: c, secrets: [
          |                                                    ^

        error: `a` is the name of a rotation that exists
         --> crossfade.yml:4:67
          |
        4 |   - { name: b, provider: axiom, token: c, secrets: [], formerly: [acme/home/a
          |                                                                   ^^^^^^^^^^^
          |
          = help: its tokens cannot belong to two rotations
        "#);
    }

    #[test]
    fn secrets_that_contradict_themselves() {
        let text = rotation(
            r#"    credential: gh_token
    secrets:
      - { repository: acme/api }
      - { name: A, repository: acme/api, organization: acme }
      - { name: B, organization: acme, environment: prod }
      - { name: C, environment: prod, store: agents }
      - { name: D, create_environment: true, visibility: all }
      - { name: E, repositories: ["!acme/x"] }
"#,
        );
        insta::assert_snapshot!(loaded(&text).1, @r#"
        error: `gh_token` is a variable of GitHub's
         --> crossfade.yml:5:17
          |
        5 |     credential: gh_token
          |                 ^^^^^^^^
          |
          = help: a credential of GitHub is never sent to a provider; use another variable

        error: this secret has no `name`
         --> crossfade.yml:7:11
          |
        7 |       - { repository
          |           ^^^^^^^^^^

        error: a secret belongs to one of `repository`, `repositories` or `organization`
         --> crossfade.yml:8:11
          |
        8 |       - { name
          |           ^^^^

        error: an organization has no environments
         --> crossfade.yml:9:53
          |
        9 |       - { name: B, organization: acme, environment: prod
          |                                                     ^^^^

        error: the agents store has no environments
          --> crossfade.yml:10:33
           |
        10 |       - { name: C, environment: prod
           |                                 ^^^^
           |
           = help: environments exist in the actions store alone

        error: `create_environment` needs an `environment`
          --> crossfade.yml:11:40
           |
        11 |       - { name: D, create_environment: true
           |                                        ^^^^

        error: `visibility` is for organization secrets alone
          --> crossfade.yml:11:58
           |
        11 |       - { name: D, create_environment: true, visibility: all
           |                                                          ^^^
           |
           = help: name the `organization`

        error: `repositories` takes in no repository
          --> crossfade.yml:12:34
           |
        12 |       - { name: E, repositories: [
           |                                  ^
           |
           = help: begin with a pattern like acme/*
        "#);
    }
}
