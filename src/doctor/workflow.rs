//! Reads the workflows of the checkout that run `crossfade rotate`. Offline, and only as far
//! as it matters for the schedule.

use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use crate::diagnostic::Problems;
use crate::yaml::{self, MAX_BYTES};

/// More files than any repository's folder of workflows has.
const MOST: usize = 500;

/// The workflows that run crossfade.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Workflows {
    /// In the order of their names.
    pub(crate) found: Vec<Workflow>,
    /// Files that mention crossfade and are no YAML.
    pub(crate) unreadable: Vec<String>,
}

/// One workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workflow {
    /// Its file's name.
    pub(crate) file: String,
    /// Its schedules, as they are written.
    pub(crate) crons: Vec<String>,
    /// It, or each job that rotates, has a `concurrency`.
    pub(crate) has_concurrency: bool,
}

/// Reads `.github/workflows` of a checkout; nothing if there is none.
pub(crate) fn read(checkout: &Path) -> Workflows {
    let folder = checkout.join(".github").join("workflows");
    let is_own_action = text(&checkout.join("action.yml")).is_some_and(|text| text.contains("crossfade"));
    let mut workflows = Workflows::default();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(MOST);
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let is_yaml = path.extension().is_some_and(|end| end == "yml" || end == "yaml");
        let Some(text) = text(&path).filter(|text| is_yaml && (text.contains("crossfade") || is_own_action))
        else {
            continue;
        };
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match json(&text) {
            Some(root) => workflows.found.extend(workflow(&root, file, is_own_action)),
            None => workflows.unreadable.push(file),
        }
    }
    workflows
}

fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let bound = u64::try_from(MAX_BYTES).ok()?;
    std::fs::File::open(path).ok()?.take(bound).read_to_string(&mut text).ok()?;
    Some(text)
}

fn json(text: &str) -> Option<Value> {
    yaml::parse(text).ok()?.json(&mut Problems::default())
}

/// A workflow, if a job of it rotates.
fn workflow(root: &Value, file: String, is_own_action: bool) -> Option<Workflow> {
    let rotates = |job: &&Value| items(&job["steps"]).iter().any(|step| is_rotation(step, is_own_action));
    let rotating: Vec<&Value> = root["jobs"].as_object()?.values().filter(rotates).collect();
    if rotating.is_empty() {
        return None;
    }
    let is_limited = |node: &Value| node.get("concurrency").is_some();
    let has_concurrency = is_limited(root) || rotating.into_iter().all(is_limited);
    let schedules = items(&root["on"]["schedule"]).iter();
    let crons = schedules.filter_map(|one| one["cron"].as_str()).map(str::to_owned).collect();
    Some(Workflow { file, crons, has_concurrency })
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

fn is_rotation(step: &Value, is_own_action: bool) -> bool {
    let action = step["uses"].as_str().unwrap_or_default().split('@').next().unwrap_or_default();
    let is_action = action.rsplit('/').next().is_some_and(|name| name.eq_ignore_ascii_case("crossfade"))
        || is_own_action && action == "./";
    let dry_run = &step["with"]["dry-run"];
    let is_dry = dry_run == &Value::Bool(true) || dry_run == "true";
    let run = step["run"].as_str().unwrap_or_default();
    is_action && !is_dry || run.lines().any(is_command)
}

/// `crossfade rotate`, and not as a dry run.
fn is_command(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_rotate = |pair: &[&str]| pair[0].rsplit('/').next() == Some("crossfade") && pair[1] == "rotate";
    words.windows(2).any(is_rotate) && !words.contains(&"--dry-run")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<Workflow> {
        workflow(&json(text).unwrap(), "rotate.yml".to_owned(), false)
    }

    #[test]
    fn a_step_that_rotates() {
        let steps = |step: &str| {
            format!("on: {{ schedule: [{{ cron: '7 5 * * *' }}] }}\njobs: {{ a: {{ steps: [{step}] }} }}\n")
        };
        for step in [
            "{ uses: crossfade-rs/crossfade@v1 }",
            "{ uses: acme/Crossfade@0123456 }",
            "{ uses: crossfade-rs/crossfade@v1, with: { dry-run: '${{ inputs.dry }}' } }",
            "{ run: crossfade rotate }",
            "{ run: \"set -e\\n./bin/crossfade rotate --force\\n\" }",
        ] {
            let workflow = found(&steps(step)).unwrap_or_else(|| panic!("{step}"));
            assert_eq!((workflow.crons, workflow.has_concurrency), (vec!["7 5 * * *".to_owned()], false));
        }
        for step in [
            "{ uses: actions/checkout@v1 }",
            "{ uses: ./ }",
            "{ uses: crossfade-rs/crossfade@v1, with: { dry-run: true } }",
            "{ run: crossfade status }",
            "{ run: crossfade rotate --dry-run }",
            "{ run: echo crossfade }",
        ] {
            assert_eq!(found(&steps(step)), None, "{step}");
        }
    }

    #[test]
    fn odd_workflows() {
        for text in
            ["", "[]", "jobs: 1", "jobs: { a: { steps: { uses: crossfade-rs/crossfade@v1 } } }", "on: push"]
        {
            assert_eq!(found(text), None, "{text}");
        }
        let text =
            "on: [push]\njobs: { a: { concurrency: x, steps: [{ uses: crossfade-rs/crossfade@v1 }] } }";
        let workflow = found(text).unwrap();
        assert_eq!((workflow.crons, workflow.has_concurrency), (Vec::new(), true));
    }
}
