//! One run of crossfade through its public entry point, in this process.
//!
//! Arguments and environment are a run's own, so many can run side by side. To
//! run the built binary instead, see `tests/it/process.rs`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crossfade::{Environment, Input, Stream, Streams, run};
use serde_json::Value;

use super::world::{REPOSITORY, TOKEN, World};

/// What is to be run.
#[derive(Clone, Default)]
pub struct Invocation {
    /// Arguments, without the program's name.
    pub arguments: Vec<String>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// How wide the terminal is that shows standard output, if one does.
    pub columns: Option<usize>,
    /// Whether a terminal shows standard error.
    pub stderr_is_terminal: bool,
    /// The user, if there is one.
    pub stdin: Option<Input>,
}

/// The exit code of a run that was killed.
pub const KILLED: u8 = 137;

/// What a run left behind.
#[derive(Debug, Clone)]
pub struct Ran {
    /// 0, 1 or 2; [`KILLED`].
    pub exit_code: u8,
    /// The report.
    pub stdout: String,
    /// Workflow commands, progress and logs.
    pub stderr: String,
}

impl Invocation {
    /// `crossfade <command>` with nothing in its environment.
    #[must_use]
    pub fn of(command: &str) -> Self {
        Self { arguments: vec![command.to_owned()], ..Self::default() }
    }

    /// `crossfade rotate` by flags for the standard scene: its token, its
    /// destinations, its credentials.
    #[must_use]
    pub fn rotate(world: &World) -> Self {
        Self::of("rotate").scene(world, &world.github.url(), &world.provider.url())
    }

    /// The flags and credentials of the standard scene, with the servers found
    /// at these addresses.
    #[must_use]
    pub fn scene(self, world: &World, github: &str, provider: &str) -> Self {
        let destinations = world.destinations();
        let mut this = self
            .configured(world)
            .credentials(world)
            .arg("--provider", world.provider.service().name)
            .arg("--token", TOKEN)
            .arg("--provider-url", provider)
            .arg("--github-api-url", github)
            .arg("--repository", REPOSITORY);
        for destination in destinations {
            this = this.arg("--secret", &destination);
        }
        this
    }

    /// With the configuration that the service's page shows, where flags are not enough.
    fn configured(self, world: &World) -> Self {
        let Some(file) = &world.configuration else { return self };
        let this = self.arg("--config", file.path().to_str().unwrap());
        let text = std::fs::read_to_string(file.path()).unwrap();
        // A provider file has a key of this name, too.
        let mut named = text.lines().filter_map(|line| line.trim().strip_prefix("credential: "));
        let named = named.rfind(|value| value.starts_with(|c: char| c.is_ascii_uppercase()));
        named.into_iter().fold(this, |this, variable| this.env(variable, world.provider_token()))
    }

    /// The credentials of the standard scene alone.
    #[must_use]
    pub fn credentials(self, world: &World) -> Self {
        self.env("CROSSFADE_PROVIDER_TOKEN", world.provider_token())
            .env("CROSSFADE_GITHUB_TOKEN", world.github_token())
    }

    /// With this provider credential instead of the scene's, wherever that is held.
    #[must_use]
    pub fn signed_in_with(mut self, world: &World, value: &str) -> Self {
        let all = self.environment.values_mut();
        all.filter(|held| *held == world.provider_token()).for_each(|held| value.clone_into(held));
        self
    }

    /// Adds a flag and its value.
    #[must_use]
    pub fn arg(self, flag: &str, value: &str) -> Self {
        self.flag(flag).flag(value)
    }

    /// Adds one argument.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.arguments.push(flag.to_owned());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Shown on a terminal so wide.
    #[must_use]
    pub fn on_terminal(self, columns: usize) -> Self {
        Self { columns: Some(columns), ..self.env("LANG", "C.UTF-8") }
    }

    /// With standard error shown on a terminal.
    #[must_use]
    pub fn on_stderr_terminal(self) -> Self {
        Self { stderr_is_terminal: true, ..self }
    }

    /// At a terminal with a user who answers like this.
    #[must_use]
    pub fn answered(self, answer: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        let stdin = Input::new(move || Box::pin(std::future::ready(answer())));
        Self { stdin: Some(stdin), ..self.on_stderr_terminal() }
    }

    /// As a step of a workflow: the runner reads commands and files.
    #[must_use]
    pub fn on_actions(self, output: PathBuf, summary: PathBuf) -> Self {
        self.env("GITHUB_ACTIONS", "true")
            .env("GITHUB_OUTPUT", &output.display().to_string())
            .env("GITHUB_STEP_SUMMARY", &summary.display().to_string())
    }

    /// Runs to the end.
    pub async fn run(&self) -> Ran {
        self.run_until(std::future::pending()).await
    }

    /// Runs; `stop` is the signal of a cancelled job.
    pub async fn run_until(&self, stop: impl Future<Output = ()>) -> Ran {
        self.run_through(stop, std::future::pending()).await
    }

    /// Runs, and dies where it stands when `killed` resolves: nothing of the run
    /// is polled again, as nothing of a process runs after SIGKILL.
    pub async fn run_or_die(&self, killed: impl Future<Output = ()>) -> Ran {
        self.run_through(std::future::pending(), killed).await
    }

    async fn run_through(&self, stop: impl Future<Output = ()>, killed: impl Future<Output = ()>) -> Ran {
        let (stdout, stderr) = (Captured::default(), Captured::default());
        let shown = Stream::new(stdout.clone());
        let shown = self.columns.map_or(shown.clone(), |columns| shown.on_terminal(columns));
        let log = Stream::new(stderr.clone());
        let log = if self.stderr_is_terminal { log.on_terminal(80) } else { log };
        let streams = Streams { stdout: shown, stderr: log, stdin: self.stdin.clone() };
        let environment: Environment = self.environment.clone().into_iter().collect();
        let arguments = std::iter::once("crossfade".to_owned()).chain(self.arguments.clone());
        let mut stop = Some(Box::pin(stop));
        let exit_code = tokio::select! {
            biased;
            () = killed => KILLED,
            code = run(arguments.map(Into::into), &environment, streams, async || match &mut stop {
                Some(signal) => {
                    signal.await;
                    stop = None;
                }
                None => std::future::pending().await,
            }) => code,
        };
        Ran { exit_code, stdout: stdout.text(), stderr: stderr.text() }
    }
}

impl Ran {
    /// The report of a run with `--format json`.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("no JSON ({error}), exit code {}:\n{}\n{}", self.exit_code, self.stdout, self.stderr)
        })
    }

    /// The only rotation of that report.
    #[must_use]
    pub fn rotation(&self) -> Value {
        self.json()["rotations"][0].clone()
    }

    /// Everything that was printed.
    #[must_use]
    pub fn everything(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
