//! Runs a workflow with `act`.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, fs, process};

use super::log::Log;
use super::scene::{Scene, action};
use crate::support::World;
use crate::support::world::REPOSITORY;

/// What every `INPUT_*` variable holds here.
const NONSENSE: &str = "read from INPUT, which a runner does not set";

/// Whether `act` is on `PATH`. If not, these tests are to be skipped.
///
/// # Panics
/// If it is not, and `ACTION_TESTS` is `required`.
pub(super) fn is_installed() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        let version = process::Command::new("act").arg("--version").output();
        let installed = version.is_ok_and(|output| output.stdout.starts_with(b"act version "));
        if !installed {
            let required = env::var("ACTION_TESTS").is_ok_and(|value| value == "required");
            assert!(!required, "act is not on PATH; `.ci/run tests` installs it");
            // Written past the test harness, which would keep it to itself.
            let skipped =
                b"skipped: the tests that run action.yml. act is not on PATH; `.ci/run tests` installs it.\n";
            std::io::stderr().write_all(skipped).unwrap();
        }
        installed
    })
}

/// One run of a workflow, to be.
pub(super) struct Act<'a> {
    scene: &'a Scene,
    arguments: Vec<String>,
}

impl<'a> Act<'a> {
    /// In this scene, with the fake GitHub as the runner's GitHub.
    pub(super) fn new(scene: &'a Scene, world: &World) -> Self {
        let release = format!("crossfade-rs/crossfade@v{}", env!("CARGO_PKG_VERSION"));
        let arguments = ["--json", "--no-cache-server", "--platform", "ubuntu-latest=-self-hosted"];
        Self { scene, arguments: arguments.map(str::to_owned).to_vec() }
            .with("--local-repository", &release, &scene.path("action").to_string_lossy())
            .env("GITHUB_API_URL", &world.github.url())
            // Only the fakes, which speak plain HTTP, can be reached.
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("RELEASE", &release)
            .env("ROTATES", REPOSITORY)
            .env("ROTATES_TREE", &scene.path("rotates").to_string_lossy())
            .env("ACTION_TREE", &scene.path("action").to_string_lossy())
            .env("ARTIFACTS", &scene.path("artifacts").to_string_lossy())
    }

    /// Sets a secret of the user's repository.
    pub(super) fn secret(self, name: &str, value: &str) -> Self {
        self.with("--secret", name, value)
    }

    /// Sets a variable of the user's repository.
    pub(super) fn variable(self, name: &str, value: &str) -> Self {
        self.with("--var", name, value)
    }

    /// Gives an input of a dispatched workflow.
    pub(super) fn input(self, name: &str, value: &str) -> Self {
        self.with("--input", name, value)
    }

    /// Sets an environment variable of every step.
    pub(super) fn env(self, name: &str, value: &str) -> Self {
        self.with("--env", name, value)
    }

    /// Puts a stand-in in the place of another action: `actions/<name>@<commit>`.
    pub(super) fn stand_in(self, action: &str) -> Self {
        let name = action.trim_start_matches("actions/").split('@').next().unwrap();
        let folder = self.scene.path("stand-ins").join(name);
        self.with("--local-repository", action, &folder.to_string_lossy())
    }

    fn with(mut self, flag: &str, name: &str, value: &str) -> Self {
        self.arguments.extend([flag.to_owned(), format!("{name}={value}")]);
        self
    }

    /// Runs a workflow of the user's repository for an event.
    pub(super) async fn run(self, event: &str, workflow: &str) -> Log {
        let context = self.scene.path("tools");
        let poisoned = self.scene.path("poisoned");
        let shell = context.join("sh");
        let variables = input_variables().join(&format!("='{NONSENSE}' "));
        let script = format!(
            "#!/bin/sh\n: >'{}'\nexec env {variables}='{NONSENSE}' /bin/sh \"$@\"\n",
            poisoned.display()
        );
        fs::write(&shell, script).unwrap();
        fs::set_permissions(&shell, fs::Permissions::from_mode(0o755)).unwrap();

        let path = format!("{}:{}", context.display(), env::var("PATH").unwrap());
        let mut command = tokio::process::Command::new("act");
        command
            .arg(event)
            .args(["--workflows", &format!(".github/workflows/{workflow}")])
            .args(&self.arguments)
            .current_dir(self.scene.path("repository"))
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.scene.path("home"))
            .env("TMPDIR", self.scene.path("home"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(120), command.output());
        let output = output.await.expect("act ends within two minutes").unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let log = Log::new(output.status.success(), &text(&output.stdout), &text(&output.stderr));
        assert!(poisoned.exists(), "no step ran in the shell that spoils INPUT_*:\n{log}");
        log
    }
}

/// The variables that `act` sets for the action's inputs, and those that one
/// might take them for.
fn input_variables() -> Vec<String> {
    let action = action();
    let names = action["inputs"].as_object().unwrap().keys().map(|name| name.to_uppercase());
    names.flat_map(|name| [format!("INPUT_{name}"), format!("INPUT_{}", name.replace('-', "_"))]).collect()
}
