//! What a workflow run left behind, from `act --json`.

use std::fmt;

use serde_json::Value;

/// One run of a workflow.
pub(super) struct Log {
    /// Whether every job succeeded.
    pub(super) succeeded: bool,
    entries: Vec<Value>,
    /// What else `act` said.
    rest: String,
}

impl Log {
    pub(super) fn new(succeeded: bool, stdout: &str, stderr: &str) -> Self {
        let lines = stdout.lines().map(|line| serde_json::from_str(line).map_err(|_| line));
        let (entries, other): (Vec<_>, Vec<_>) = lines.partition(Result::is_ok);
        let other: Vec<&str> = other.into_iter().filter_map(Result::err).collect();
        let rest = format!("{}\n{stderr}", other.join("\n"));
        Self { succeeded, entries: entries.into_iter().filter_map(Result::ok).collect(), rest }
    }

    /// The log, the outputs and the summaries, as people see them.
    pub(super) fn text(&self) -> String {
        let shown = |entry: &Value| {
            let fields =
                if entry["command"] == "add-mask" { &["msg"][..] } else { &["msg", "arg", "content"] };
            fields.iter().filter_map(|field| entry[field].as_str()).collect::<Vec<_>>().join("\n")
        };
        let entries: Vec<String> = self.entries.iter().map(shown).collect();
        format!("{}\n{}", entries.join("\n"), self.rest)
    }

    /// An output that the action's step set; empty where there is none.
    pub(super) fn output(&self, name: &str) -> &str {
        let mut entries = self.entries.iter();
        let set = entries.rfind(|entry| entry["command"] == "set-output" && entry["name"] == name);
        set.and_then(|entry| entry["arg"].as_str()).unwrap_or_default()
    }

    /// The output `report`.
    pub(super) fn report(&self) -> Value {
        serde_json::from_str(self.output("report"))
            .unwrap_or_else(|error| panic!("no report ({error}):\n{self}"))
    }

    /// The summaries of all steps.
    pub(super) fn summary(&self) -> String {
        let summaries = self.entries.iter().filter(|entry| entry["command"] == "summary");
        summaries.filter_map(|entry| entry["content"].as_str()).collect()
    }

    /// What `::error` commands said.
    pub(super) fn errors(&self) -> Vec<&str> {
        let errors = self.entries.iter().filter(|entry| entry["command"] == "error");
        errors.filter_map(|entry| entry["arg"].as_str()).collect()
    }

    /// The exit status of the first step that failed.
    pub(super) fn exit_status(&self) -> Option<&str> {
        self.entries.iter().find_map(|entry| entry["msg"].as_str()?.strip_prefix("exit status "))
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
