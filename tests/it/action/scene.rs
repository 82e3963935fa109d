//! What lies around a workflow run: a user's repository, the action's tree, and
//! stand-ins for the other actions that the example workflows use.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::support::world::REPOSITORY;

/// A checkout of another repository than the user's own, which `act` plays: of the
/// action's, or of the one that rotates.
const CHECKOUT: &str = r#"
name: checkout
inputs: { repository: {}, ref: {}, path: {}, token: {} }
runs:
  using: composite
  steps:
    - shell: sh
      run: |
        case "$WANTED" in
          "$RELEASE") cp -R "$ACTION_TREE" "$INTO" ;;
          "$ROTATES@") test -n "$TOKEN" && cp -R "$ROTATES_TREE/." . ;;
          *) exit 1 ;;
        esac
      env:
        WANTED: ${{ inputs.repository }}@${{ inputs.ref }}
        INTO: ${{ inputs.path }}
        TOKEN: ${{ inputs.token }}
"#;

const UPLOAD_ARTIFACT: &str = r#"
name: upload-artifact
inputs: { name: {}, path: {} }
runs:
  using: composite
  steps:
    - shell: sh
      run: |
        mkdir "$ARTIFACTS/$NAME"
        cp "$FILE" "$ARTIFACTS/$NAME/"
      env:
        NAME: ${{ inputs.name }}
        FILE: ${{ inputs.path }}
"#;

const DOWNLOAD_ARTIFACT: &str = r#"
name: download-artifact
inputs: { pattern: {}, path: {} }
runs:
  using: composite
  steps:
    - shell: sh
      run: |
        mkdir "$INTO"
        cp -R "$ARTIFACTS"/$PATTERN "$INTO"
      env:
        PATTERN: ${{ inputs.pattern }}
        INTO: ${{ inputs.path }}
"#;

/// A folder with everything that a run reads and writes; it goes when this does.
pub(super) struct Scene(TempDir);

impl Scene {
    /// The action as a release tag has it: with a binary for this machine.
    pub(super) fn released() -> Self {
        let scene = Self::unreleased();
        fs::create_dir_all(scene.binary().parent().unwrap()).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_crossfade"), scene.binary()).unwrap();
        let digest = Sha256::digest(fs::read(scene.binary()).unwrap());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        scene.add("action/dist/SHA256SUMS", &format!("{digest}  {}/crossfade\n", target()));
        scene
    }

    /// The action as a branch has it: without a binary. These files alone are
    /// the action, so nothing else of the project is there.
    pub(super) fn unreleased() -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        for file in ["action.yml", ".github/action/run.sh"] {
            scene.add(&format!("action/{file}"), &project_file(file));
        }
        // Of the user's checkout, no more of git than what names it.
        scene.add("repository/.git/HEAD", "ref: refs/heads/main\n");
        scene.add("repository/.git/refs/heads/main", "0123456789012345678901234567890123456789\n");
        scene.set_repository(REPOSITORY);
        scene.add("stand-ins/checkout/action.yml", CHECKOUT);
        scene.add("stand-ins/upload-artifact/action.yml", UPLOAD_ARTIFACT);
        scene.add("stand-ins/download-artifact/action.yml", DOWNLOAD_ARTIFACT);
        for folder in ["home", "artifacts", "tools"] {
            fs::create_dir(scene.path(folder)).unwrap();
        }
        scene
    }

    /// Names the repository that the workflow runs in.
    pub(super) fn set_repository(&self, name: &str) {
        let origin = format!("[remote \"origin\"]\n\turl = https://github.com/{name}.git\n");
        self.add("repository/.git/config", &format!("[core]\n\tbare = false\n{origin}"));
    }

    /// Adds a workflow to the user's repository.
    pub(super) fn add_workflow(&self, name: &str, text: &str) {
        self.add(&format!("repository/.github/workflows/{name}"), text);
    }

    /// Adds the configuration to the user's repository.
    pub(super) fn add_config(&self, text: &str) {
        self.add("repository/.github/crossfade.yml", text);
    }

    /// Adds the configuration to the repository that rotates, where the workflow runs in another one.
    pub(super) fn add_config_elsewhere(&self, text: &str) {
        self.add("rotates/.github/crossfade.yml", text);
    }

    /// Writes a file, and the folders that it needs.
    pub(super) fn add(&self, name: &str, text: &str) {
        let file = self.path(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// The binary that the action's tree carries for this machine.
    pub(super) fn binary(&self) -> PathBuf {
        self.path("action/dist").join(target()).join("crossfade")
    }

    /// A place in this folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// The target that a release builds for machines like this one.
fn target() -> String {
    let vendor = if cfg!(target_os = "macos") { "apple-darwin" } else { "unknown-linux-musl" };
    format!("{}-{vendor}", std::env::consts::ARCH)
}

/// A file of this project, as text.
pub(super) fn project_file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// `action.yml`, parsed.
pub(super) fn action() -> serde_json::Value {
    serde_saphyr::from_str(&project_file("action.yml")).unwrap()
}
