//! Fakes that hold what a shown configuration names, and runs of shown commands
//! against them. A command is run as it stands on the page: what a reader has in
//! the environment and on the disk, the stage has too.

use std::collections::BTreeMap;

use serde_json::Value;
use tempfile::TempDir;

use crate::init::typed;
use crate::support::provider::catalogue::CATALOGUE;
use crate::support::provider::{ALL, FakeToken, Service, lighthouse, proved};
use crate::support::world::REPOSITORY;
use crate::support::{Invocation, Ran, World};

/// A rotation as `check` reads it.
struct Shown {
    token: String,
    secrets: Vec<String>,
}

/// The fakes, and the environment of a shell in which the page is followed.
pub(super) struct Stage {
    pub(super) world: World,
    /// What there was before, in the order of the rotations.
    pub(super) originals: Vec<FakeToken>,
    environment: BTreeMap<String, String>,
    rotations: Vec<Shown>,
    _folder: TempDir,
}

impl Stage {
    /// For a configuration file; its tokens end in so many days.
    pub(super) async fn of_file(configuration: &str, days: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("crossfade.yml");
        std::fs::write(&file, proved(configuration)).unwrap();
        let mut environment: BTreeMap<String, String> = BTreeMap::new();
        environment.insert("CROSSFADE_CONFIG".to_owned(), file.display().to_string());
        let named = configuration.lines().filter_map(|line| line.trim().strip_prefix("credential:"));
        let named = named.filter_map(|rest| rest.split_whitespace().next()).map(str::to_owned);
        let credentials: Vec<String> = named.chain(["CROSSFADE_PROVIDER_TOKEN".to_owned()]).collect();
        Self::set(folder, environment, &[], &credentials, days).await
    }

    /// For one rotation by flags, or by variables as an action's step gives them.
    pub(super) async fn of_flags(flags: &[String], environment: BTreeMap<String, String>, days: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let credentials = ["CROSSFADE_PROVIDER_TOKEN".to_owned()];
        Self::set(folder, environment, flags, &credentials, days).await
    }

    async fn set(
        folder: TempDir,
        mut environment: BTreeMap<String, String>,
        flags: &[String],
        credentials: &[String],
        days: i64,
    ) -> Self {
        environment.insert("GITHUB_REPOSITORY".to_owned(), REPOSITORY.to_owned());
        let (service, rotations) = read(flags, &environment).await;
        // A token that rotates itself is the credential that the page names.
        let is_own = |rotation: &Shown| {
            let names = rotation.secrets.iter().filter_map(|secret| secret.rsplit(':').next());
            names.into_iter().any(|name| credentials.iter().any(|credential| credential == name))
        };
        let spec = |rotation: &Shown| {
            let make = if is_own(rotation) { service.admin } else { service.ordinary };
            make(&rotation.token)
        };
        let first = &rotations[0];
        let world = World::builder().provider(service).destinations(first.secrets.clone());
        let world = world.original(spec(first)).expires_in_days(days).start().await;
        let mut originals = vec![world.original.clone()];
        for rotation in &rotations[1..] {
            let token = world.provider.add_token(spec(rotation).expires_in_days(days));
            for secret in &rotation.secrets {
                world.github.add_place_of(secret);
                world.github.put_by_hand(secret, &token.value);
            }
            originals.push(token);
        }
        let own = rotations.iter().zip(&originals).find(|(rotation, _)| is_own(rotation));
        let credential =
            own.map_or_else(|| world.provider_token().to_owned(), |(_, token)| token.value.clone());
        for variable in credentials {
            environment.insert(variable.clone(), credential.clone());
        }
        environment.insert("CROSSFADE_GITHUB_TOKEN".to_owned(), world.github_token().to_owned());
        environment.insert("CROSSFADE_GITHUB_API_URL".to_owned(), world.github.url());
        environment.insert("CROSSFADE_PROVIDER_URL".to_owned(), world.provider.url());
        if let Some(file) = environment.get("CROSSFADE_CONFIG") {
            // An address that the page shows is the fake's here.
            let text = std::fs::read_to_string(file).unwrap();
            let line = |line: &str| match line.split_once("provider_url: ") {
                Some((indent, _)) => format!("{indent}provider_url: {}\n", world.provider.url()),
                None => format!("{line}\n"),
            };
            std::fs::write(file, text.lines().map(line).collect::<String>()).unwrap();
        }
        Self { world, originals, environment, rotations, _folder: folder }
    }

    /// Runs `crossfade` with these arguments.
    pub(super) async fn run(&self, arguments: &[String]) -> Ran {
        let (arguments, environment) = (arguments.to_vec(), self.environment.clone());
        let ran = Invocation { arguments, environment, ..Invocation::default() }.run().await;
        self.world.assert_no_violations();
        ran
    }

    /// Runs `crossfade init` with these arguments in an empty folder, with a user who types
    /// these lines.
    pub(super) async fn set_up(&self, arguments: &[String], lines: &[&str]) -> (Ran, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = self.environment.clone();
        environment.remove("CROSSFADE_CONFIG");
        let (arguments, root) = (arguments.to_vec(), folder.path().to_str().unwrap());
        let run =
            Invocation { arguments, environment, ..Invocation::default() }.env("GITHUB_WORKSPACE", root);
        (typed(run, lines).run().await, folder)
    }

    /// Sent to either server since this was last asked, as methods and paths.
    pub(super) fn take_requests(&self) -> Vec<String> {
        let (github, provider) = (&self.world.github, &self.world.provider);
        let requests = github.requests().into_iter().chain(provider.requests());
        let requests = requests.map(|request| format!("{} {}", request.method, request.path)).collect();
        github.forget_requests();
        provider.forget_requests();
        requests
    }

    /// The token of each destination, or what is wrong with it.
    pub(super) fn held(&self) -> Vec<Vec<FakeToken>> {
        let of = |rotation: &Shown| {
            let held =
                |secret: &String| self.world.held(secret).unwrap_or_else(|| panic!("{secret} is empty"));
            rotation.secrets.iter().map(held).collect()
        };
        self.rotations.iter().map(of).collect()
    }

    /// Whether every destination of every rotation holds a new token, which the
    /// provider accepts, and all of a rotation the same.
    pub(super) fn is_rotated(&self) -> bool {
        let held = self.held();
        held.iter().zip(&self.originals).all(|(tokens, original)| {
            let is_new = |token: &FakeToken| {
                token.value != original.value && self.world.provider.is_accepted(&token.value)
            };
            tokens.iter().all(|token| is_new(token) && token.value == tokens[0].value)
        })
    }
}

/// What `check` reads: the service, and the rotations.
async fn read(flags: &[String], environment: &BTreeMap<String, String>) -> (&'static Service, Vec<Shown>) {
    let check = Invocation::of("check").arg("--format", "json");
    let check = flags.iter().fold(check, |check, flag| check.flag(flag));
    // An expression stands for a secret, and its words would be hidden like one.
    let plain = environment.iter().filter(|(_, value)| !value.contains("${{"));
    let check = plain.fold(check, |check, (name, value)| check.env(name, value));
    let ran = check.run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let all = ran.json()["rotations"].as_array().unwrap().clone();
    let provider = all[0]["provider"].as_str().unwrap().to_owned();
    assert!(all.iter().all(|rotation| rotation["provider"] == provider.as_str()), "one stage, one provider");
    let service = ALL
        .into_iter()
        .chain([&lighthouse::SERVICE])
        .chain(CATALOGUE)
        .find(|service| service.name == provider)
        .unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let shown = |rotation: &Value| Shown {
        token: text(&rotation["token"]),
        secrets: rotation["secrets"].as_array().unwrap().iter().map(text).collect(),
    };
    (service, all.iter().map(shown).collect())
}
