//! Reads the workflows of the checkout that run `crossfade rotate`. Offline, and only as far
//! as it matters for the schedule.

use std::io::Read as _;
use std::path::Path;

use crate::yaml::{self, MAX_BYTES, Node, Value};

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
#[must_use]
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
        match yaml::parse(&text) {
            Ok(root) => workflows.found.extend(workflow(&root, file, is_own_action)),
            Err(_) => workflows.unreadable.push(file),
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

/// A workflow, if a job of it rotates.
fn workflow(root: &Node, file: String, is_own_action: bool) -> Option<Workflow> {
    let jobs = entries(key(root, "jobs")?);
    let rotates = |job: &&Node| {
        key(job, "steps")
            .is_some_and(|steps| items(steps).iter().any(|step| is_rotation(step, is_own_action)))
    };
    let rotating: Vec<&Node> = jobs.iter().map(|(_, job)| job).filter(rotates).collect();
    if rotating.is_empty() {
        return None;
    }
    let has_concurrency =
        key(root, "concurrency").is_some() || rotating.iter().all(|job| key(job, "concurrency").is_some());
    let schedules = key(root, "on").and_then(|on| key(on, "schedule")).map(items).unwrap_or_default();
    let crons = schedules.iter().filter_map(|one| scalar(key(one, "cron")?)).map(str::to_owned).collect();
    Some(Workflow { file, crons, has_concurrency })
}

fn is_rotation(step: &Node, is_own_action: bool) -> bool {
    let uses = key(step, "uses").and_then(scalar).unwrap_or_default();
    let action = uses.split('@').next().unwrap_or_default();
    let is_action = action.rsplit('/').next().is_some_and(|name| name.eq_ignore_ascii_case("crossfade"))
        || is_own_action && action == "./";
    let is_dry = key(step, "with").and_then(|with| scalar(key(with, "dry-run")?)) == Some("true");
    let run = key(step, "run").and_then(scalar).unwrap_or_default();
    is_action && !is_dry || run.lines().any(is_command)
}

/// `crossfade rotate`, and not as a dry run.
fn is_command(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_rotate = |pair: &[&str]| pair[0].rsplit('/').next() == Some("crossfade") && pair[1] == "rotate";
    words.windows(2).any(is_rotate) && !words.contains(&"--dry-run")
}

fn key<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    entries(node).iter().find(|(key, _)| scalar(key) == Some(name)).map(|(_, value)| value)
}

fn entries(node: &Node) -> &[(Node, Node)] {
    if let Value::Map(entries) = &node.value { entries } else { &[] }
}

fn items(node: &Node) -> &[Node] {
    if let Value::List(items) = &node.value { items } else { &[] }
}

fn scalar(node: &Node) -> Option<&str> {
    if let Value::Scalar { text, .. } = &node.value { Some(text) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<Workflow> {
        workflow(&yaml::parse(text).unwrap(), "rotate.yml".to_owned(), false)
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
