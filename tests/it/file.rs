//! Rotations by configuration file.

use tempfile::TempDir;

use crate::support::Invocation;
use crate::support::world::{REPOSITORY, TOKEN, World};

/// A configuration file; it lives as long as this.
pub(crate) struct File {
    folder: TempDir,
}

impl File {
    /// Under `rotations`: what is given here, with the scene's provider as default.
    pub(crate) fn of_rotations(world: &World, rotations: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let defaults = format!("defaults: {{ provider: axiom, provider_url: '{}' }}", world.axiom.url());
        std::fs::write(folder.path().join("crossfade.yml"), format!("{defaults}\nrotations:\n{rotations}"))
            .unwrap();
        Self { folder }
    }

    /// The scene's token, in the secrets of this YAML list.
    pub(crate) fn of_secrets(world: &World, secrets: &[&str]) -> Self {
        let secrets = secrets.iter().map(|secret| format!("      - {secret}\n")).collect::<String>();
        Self::of_rotations(world, &format!("  - name: {TOKEN}\n    token: {TOKEN}\n    secrets:\n{secrets}"))
    }

    /// `crossfade <command>` with this file and the scene's credentials, for a
    /// report in JSON.
    pub(crate) fn run(&self, command: &str, world: &World) -> Invocation {
        Invocation::of(command)
            .credentials(world)
            .arg("--config", self.folder.path().join("crossfade.yml").to_str().unwrap())
            .arg("--repository", REPOSITORY)
            .arg("--github-api-url", &world.github.url())
            .arg("--format", "json")
    }

    /// `crossfade rotate`.
    pub(crate) fn rotate(&self, world: &World) -> Invocation {
        self.run("rotate", world)
    }
}
