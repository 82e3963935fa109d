//! A workflow to start, as `after` names it.

use std::fmt;

use super::Repository;
use super::file::WorkflowKeys;
use crate::diagnostic::{Invalid, Problems, suspicious};
use crate::yaml::Node;
use crate::yaml::keys::{Read, checked};

/// One workflow of GitHub Actions, and where to start it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Workflow {
    /// The repository that it belongs to.
    pub repository: Repository,
    /// Its file in `.github/workflows`, or its numeric id.
    pub file: String,
    /// The branch or tag to start it on; `None`: the repository's default branch.
    pub git_ref: Option<String>,
}

impl fmt::Display for Workflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.file, self.repository)
    }
}

impl Read for Workflow {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let keys = WorkflowKeys::read(node, problems)?;
        let file = checked(&keys.workflow, problems, file_name);
        let git_ref = checked(&keys.git_ref, problems, ref_name);
        if keys.workflow.is_none() {
            let invalid = Invalid::new("this entry of `after` has no `workflow`");
            problems.error(node.origin, invalid.help(EXPECTED));
        }
        let repository =
            keys.repository.map_or_else(|| Some(Repository::that_rotates()), |field| field.value);
        let is_whole = keys.git_ref.is_none() || git_ref.is_some();
        is_whole.then_some(Self { repository: repository?, file: file?, git_ref })
    }
}

const EXPECTED: &str =
    "expected the name of a file in .github/workflows, like deploy.yml, or the workflow's numeric id";

/// The name of a workflow's file, or its id.
fn file_name(text: &str) -> Result<String, Invalid> {
    if text.contains(['/', '\\']) {
        let invalid = Invalid::text("workflow name", text);
        return Err(invalid.help("write the name of the file alone, without its folder, like deploy.yml"));
    }
    let is_file =
        [".yml", ".yaml"].iter().any(|end| text.strip_suffix(end).is_some_and(|stem| !stem.is_empty()));
    let is_id = text.bytes().all(|b| b.is_ascii_digit()) && text.len() < 20;
    let is_harmless = text.len() <= 255 && text.trim() == text && !text.chars().any(suspicious);
    let is_legal = (is_file || is_id) && is_harmless;
    Invalid::unless(is_legal, "workflow name", text).map_err(|e| e.help(EXPECTED))
}

/// The name of a branch or tag, by the rules of Git.
fn ref_name(text: &str) -> Result<String, Invalid> {
    let is_legal = text.len() <= 255
        && !text.chars().any(|c| suspicious(c) || c.is_whitespace() || "~^:?*[\\".contains(c))
        && !["..", "//", "@{"].iter().any(|part| text.contains(part))
        && !text.starts_with(['/', '-'])
        && !text.ends_with(['/', '.'])
        && !text.ends_with(".lock");
    Invalid::unless(is_legal, "branch or tag", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_workflows_and_refs() {
        for good in ["deploy.yml", "Deploy to prod.yaml", "é.yml", "123456"] {
            assert_eq!(file_name(good).as_deref(), Ok(good));
        }
        for bad in [
            "deploy",
            "deploy.json",
            ".yml",
            "..",
            ".github/workflows/deploy.yml",
            "..\\a.yml",
            "a\u{202e}.yml",
            "a.yml ",
        ] {
            assert!(file_name(bad).is_err(), "{bad}");
        }
        for good in ["main", "release/2.x", "v1.0", "refs/heads/main", "é"] {
            assert_eq!(ref_name(good).as_deref(), Ok(good));
        }
        for bad in ["a b", "a..b", "/a", "a/", "-a", "a.lock", "a^", "a\u{1b}", "@{u}"] {
            assert!(ref_name(bad).is_err(), "{bad}");
        }
    }
}
