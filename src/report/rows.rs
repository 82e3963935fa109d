//! What every report for users says of a rotation and of its secrets: the words, the
//! causes, the dates. The layouts of [`super::text`], [`super::status`] and
//! [`super::summary`] are made from these rows.

mod words;

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::format::{self, Format};
use super::model::{
    DestinationOutcome, DestinationReport, RedactedReport, Report, Reporter, RotationOutcome, RotationReport,
    SecretState, Verdict, WhyUnknown, WorkflowOutcome, WorkflowReport,
};
use super::paint::Role;
pub(super) use words::because;
use words::{mints, word};

pub(super) struct View<'a> {
    pub(super) report: &'a Report,
    pub(super) format: Format,
    /// In the user's order.
    pub(super) rows: Vec<Row<'a>>,
}

pub(super) struct Row<'a> {
    pub(super) rotation: &'a RotationReport,
    pub(super) word: &'static str,
    pub(super) role: Role,
    /// Those that failed first.
    pub(super) secrets: Vec<Secret<'a>>,
}

#[derive(Clone, Copy)]
pub(super) struct Secret<'a> {
    pub(super) destination: &'a DestinationReport,
    /// What became of it, or else what it holds.
    pub(super) word: &'static str,
    pub(super) role: Role,
    /// The token that it holds, if only presumably.
    pub(super) token: Option<&'a str>,
    /// When that token ends, which may be never; the outer `None`: unknown.
    pub(super) end: Option<Option<Timestamp>>,
    /// Why it failed, without its own name.
    pub(super) cause: Option<&'a str>,
}

impl<'a> View<'a> {
    pub(super) fn new(report: &'a RedactedReport) -> Self {
        let format = Format::new(report);
        let rows = report.rotations.iter().map(|rotation| Row::new(rotation, report.command)).collect();
        Self { report, format, rows }
    }

    /// The rows, failed ones first, then those that are due first.
    pub(super) fn by_urgency(&self) -> Vec<&Row<'a>> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|row| {
            (row.rotation.outcome, row.rotation.next_rotation_at.unwrap_or(Timestamp::MAX))
        });
        rows
    }

    pub(super) fn count(&self, outcome: RotationOutcome) -> usize {
        self.rows.iter().filter(|row| row.rotation.outcome == outcome).count()
    }

    /// `1 failed, 2 rotated`: how many rotations have which word.
    pub(super) fn tally(&self) -> String {
        match self.rows.is_empty() {
            true => "no rotations".to_owned(),
            false => tally(self.by_urgency().iter().map(|row| row.word)),
        }
    }

    /// When a run will do something: a date, or the next run.
    pub(super) fn next(&self, rotation: &RotationReport) -> String {
        match (rotation.outcome, rotation.next_rotation_at) {
            (RotationOutcome::Planned, _) | (RotationOutcome::Failed, None) => "next run".to_owned(),
            _ if rotation.reason.is_none() => "next run".to_owned(),
            (_, Some(next)) => self.format.when(next),
            (_, None) => "not by date".to_owned(),
        }
    }

    /// What failed, each cause once, however many rotations it hit.
    pub(super) fn failures(&self) -> Vec<Failure<'_, 'a>> {
        let failed = self.rows.iter().filter(|row| row.rotation.outcome == RotationOutcome::Failed);
        let groups = grouped(failed.map(|row| {
            let causes: BTreeSet<&str> = row.secrets.iter().filter_map(|secret| secret.cause).collect();
            // With causes, the error only names the secrets.
            let error = row.rotation.error.as_ref().filter(|_| causes.is_empty());
            ((causes, error, &row.rotation.steps), row)
        }));
        groups.into_iter().map(|(_, rows)| Failure::new(rows)).collect()
    }

    /// Warnings, each once, with the rotations that it is of.
    pub(super) fn warnings(&self) -> Vec<(&'a str, Vec<&'a str>)> {
        grouped(self.rows.iter().flat_map(|row| {
            row.rotation.warnings.iter().map(|warning| (warning.as_str(), row.rotation.name.as_str()))
        }))
    }

    /// Is anything broken, and until when is everything valid? Names go through `shown`;
    /// `emphasis` stands around the verdict. Empty if there are no secrets.
    pub(super) fn lead(&self, emphasis: &str, shown: fn(&str) -> String) -> String {
        let now = self.report.now;
        let (mut broken, mut unknown, mut missing, mut unwritten) = (Vec::new(), 0, 0, 0);
        let mut ends: Vec<(Timestamp, &str)> = Vec::new();
        let (mut total, mut at_least) = (0, None);
        for row in &self.rows {
            for secret in &row.secrets {
                total += 1;
                let name = secret.destination.destination.as_str();
                let is_unwritten = secret.destination.presumed.is_some();
                match (secret.end, now) {
                    (Some(Some(end)), Some(now)) if end <= now && !is_unwritten => broken.push(name),
                    (Some(end), Some(now)) if end.is_none_or(|end| end > now) => {
                        unwritten += usize::from(is_unwritten);
                        ends.extend(end.map(|end| (end, name)));
                    }
                    _ if secret.destination.state == SecretState::Missing => missing += 1,
                    _ => {
                        unknown += 1;
                        let live = row.rotation.tokens.iter().filter_map(|span| span.ends_at);
                        at_least = at_least.into_iter().chain(live.filter(|end| Some(*end) > now)).min();
                    }
                }
            }
        }
        let is_failed = self.count(RotationOutcome::Failed) > 0;
        let verdict = match (broken.len(), unknown) {
            _ if total == 0 => return String::new(),
            (0, 0) if is_failed => "Nothing is broken yet.".to_owned(),
            (0, 0) => "Nothing is broken.".to_owned(),
            (0, unknown) if unknown + missing == total => {
                "It is not known whether anything is broken.".to_owned()
            }
            (0, _) => "Nothing is known to be broken.".to_owned(),
            (count, _) => {
                format::share(count, total, ["holds", "hold"]) + " a token that is no longer valid:"
            }
        };
        let mut said = vec![format!("{emphasis}{verdict}{emphasis}")];
        if !broken.is_empty() {
            said.push(format!("{}.", format::names(&broken, shown)));
        }
        if unknown + missing + broken.len() == 0 {
            said.push(match unwritten {
                0 => "Every secret holds a valid token.".to_owned(),
                _ if unwritten == total => {
                    "Every token is valid; crossfade has not yet written the secrets.".to_owned()
                }
                _ => {
                    let rest =
                        format::share(unwritten, total, ["presumably holds its", "presumably hold their"]);
                    format!("Every secret that crossfade wrote holds a valid token; {rest} original token.")
                }
            });
        }
        if unknown > 0 {
            let share = format::share(unknown, total, ["holds", "hold"]);
            said.push(format!("crossfade cannot tell what {share}."));
            if let Some(end) = at_least.filter(|end| ends.iter().all(|(first, _)| end < first)) {
                let when = self.format.when(end);
                said.push(format!("The tokens of these rotations are valid at least until {when}."));
            }
        }
        if missing > 0 {
            said.push(format::share(missing, total, ["does", "do"]) + " not exist yet.");
        }
        if let Some(first) = ends.iter().map(|(end, _)| *end).min() {
            let names: Vec<_> = ends.iter().filter(|(end, _)| *end == first).map(|(_, name)| *name).collect();
            let (names, when) = (format::names(&names, shown), self.format.when(first));
            said.push(format!("The first to expire: {names}, {when}."));
        }
        said.join(" ")
    }
}

/// What failed for one reason, in one rotation or in many.
pub(super) struct Failure<'b, 'a> {
    pub(super) rows: Vec<&'b Row<'a>>,
    /// The error, unless the causes tell it.
    pub(super) error: Option<&'a str>,
    /// Why secrets failed, where the error does not tell, each with its secrets.
    pub(super) causes: Vec<(&'a str, Vec<&'a str>)>,
}

impl<'b, 'a> Failure<'b, 'a> {
    fn new(rows: Vec<&'b Row<'a>>) -> Self {
        let mut error = rows[0].rotation.error.as_deref();
        let secrets = rows.iter().flat_map(|row| &row.secrets);
        let mut causes = grouped(
            secrets.filter_map(|secret| Some((secret.cause?, secret.destination.destination.as_str()))),
        );
        if rows.len() > 1 && !causes.is_empty() {
            // An error names the secrets of its own rotation alone.
            error = None;
        }
        causes.retain(|(cause, _)| !error.is_some_and(|error| error.contains(cause)));
        Self { rows, error, causes }
    }

    /// Its secrets, those that failed first.
    pub(super) fn secrets(&self) -> Vec<Secret<'a>> {
        let mut secrets: Vec<Secret<'_>> = self.rows.iter().flat_map(|row| &row.secrets).copied().collect();
        secrets.sort_by_key(Secret::rank);
        secrets
    }

    /// What is wrong, in a few words.
    pub(super) fn headline(&self) -> String {
        let secrets = self.secrets();
        let count = |outcome| secrets.iter().filter(|secret| secret.destination.outcome == outcome).count();
        let has_cause = secrets.iter().any(|secret| secret.cause.is_some());
        let failed = count(DestinationOutcome::Failed);
        match (failed, count(DestinationOutcome::NotRead), self.rows[0].rotation.reason) {
            (1.., ..) => format::share(failed, secrets.len(), ["was not written", "were not written"]),
            (0, count @ 1.., _) if has_cause => {
                format::share(count, secrets.len(), ["could not be read", "could not be read"])
            }
            (.., Some(Verdict::InFlight)) => "another run is at work, or ended a moment ago".to_owned(),
            (.., Some(_)) => "no new token was created".to_owned(),
            (.., None) => "nothing was rotated".to_owned(),
        }
    }

    pub(super) fn steps(&self) -> &'a [String] {
        &self.rows[0].rotation.steps
    }
}

impl<'a> Row<'a> {
    fn new(rotation: &'a RotationReport, command: Reporter) -> Self {
        let (word, role) = word(rotation, command);
        let mut secrets: Vec<_> =
            rotation.destinations.iter().map(|destination| Secret::new(rotation, destination)).collect();
        secrets.sort_by_key(Secret::rank);
        Self { rotation, word, role, secrets }
    }

    /// Whether there is nothing to say of it but that nothing is due.
    pub(super) fn is_quiet(&self) -> bool {
        self.rotation.outcome == RotationOutcome::Fresh
            && self.rotation.warnings.is_empty()
            && self.rotation.notes.is_empty()
            && self.rotation.retired.is_empty()
            && self.workflows().is_empty()
            && self.secrets.iter().all(Secret::is_as_expected)
    }

    /// The workflows of which there is something to say, except what warnings say: a role, a
    /// word and the rest.
    pub(super) fn workflows(&self) -> Vec<(Role, &'static str, String)> {
        // On another day a failure says nothing about workflows.
        let is_behind = self.rotation.outcome == RotationOutcome::Failed && mints(self.rotation);
        let said = |workflow: &WorkflowReport| match workflow.outcome {
            WorkflowOutcome::Started => Some((Role::Good, "started", format!("workflow {workflow}"))),
            WorkflowOutcome::Planned => Some((Role::Change, "to start", format!("workflow {workflow}"))),
            WorkflowOutcome::Waiting if is_behind => {
                let until = "it starts once every secret holds the new token";
                Some((Role::Plain, "not started", format!("workflow {workflow}: {until}")))
            }
            WorkflowOutcome::Waiting
            | WorkflowOutcome::HasRun
            | WorkflowOutcome::NotDue
            | WorkflowOutcome::Failed => None,
        };
        self.rotation.after.iter().filter_map(said).collect()
    }

    /// `1 not written, 1 written`
    pub(super) fn tally(&self) -> String {
        tally(self.secrets.iter().map(|secret| secret.word))
    }
}

impl<'a> Secret<'a> {
    fn new(rotation: &'a RotationReport, destination: &'a DestinationReport) -> Self {
        let current = rotation.token.as_ref();
        let holds = destination.holds.as_ref().or(destination.presumed.as_ref());
        let (token, end) = match (destination.state, holds, current) {
            (_, Some(holds), _) => (Some(holds.id.as_str()), Some(holds.valid_until)),
            (SecretState::Current, None, Some(token)) => (Some(token.id.as_str()), Some(token.expires_at)),
            _ => (None, None),
        };
        let (word, role) = match (destination.outcome, destination.state) {
            (DestinationOutcome::Written, _) => ("written", Role::Good),
            (DestinationOutcome::Failed, _) => ("not written", Role::Bad),
            (DestinationOutcome::Planned, SecretState::Missing) => ("to create", Role::Change),
            (DestinationOutcome::Planned, _) => ("to write", Role::Change),
            (DestinationOutcome::NotRead, _) => ("not read", Role::Bad),
            (DestinationOutcome::Unknown, _) if destination.presumed.is_some() => {
                ("not yet written", Role::Quiet)
            }
            (_, state) => words::state(state),
        };
        let cause = destination.error.as_deref().map(|error| cause(&destination.destination, error));
        Self { destination, word, role, token, end, cause }
    }

    /// Those that failed first, then those that are to be changed.
    fn rank(&self) -> u8 {
        match self.role {
            Role::Bad => 0,
            Role::Change => 1,
            _ => 2,
        }
    }

    pub(super) fn state(&self) -> &'static str {
        words::state(self.destination.state).0
    }

    /// The word, where that is short enough to stand in front of a name.
    pub(super) fn label(&self) -> &'static str {
        if self.destination.outcome == DestinationOutcome::Unknown { self.state() } else { self.word }
    }

    pub(super) fn note(&self) -> Option<&'static str> {
        match self.destination.state {
            _ if self.destination.outcome != DestinationOutcome::Unknown => None,
            SecretState::Unknown if self.destination.presumed.is_some() => {
                Some("not yet written by crossfade")
            }
            SecretState::Unknown => Some(match self.destination.why_unknown {
                WhyUnknown::Overwritten => "last written by something other than crossfade",
                WhyUnknown::NotCompared => "could not be compared with the provider's tokens",
                WhyUnknown::AnotherRun => "another run may be writing it",
            }),
            SecretState::Missing => Some("there is no such secret yet"),
            SecretState::Current | SecretState::Previous | SecretState::NotRead => None,
        }
    }

    /// Whether it holds the current token, if only presumably.
    pub(super) fn is_as_expected(&self) -> bool {
        self.destination.outcome == DestinationOutcome::Held
            || (self.destination.outcome == DestinationOutcome::Unknown
                && self.destination.presumed.is_some())
    }
}

/// Secrets of which the same is true, in the order of the first of each; single ones
/// where there are `few` of a kind at most.
pub(super) fn folded<'a, 'b>(secrets: &'b [Secret<'a>], few: usize) -> Vec<Vec<&'b Secret<'a>>> {
    let key =
        |secret: &Secret<'a>| (secret.word, secret.destination.state, secret.token, secret.end, secret.cause);
    let split = |(_, group): (_, Vec<&'b Secret<'a>>)| match group.len() {
        count if count > few => vec![group],
        _ => group.into_iter().map(|secret| vec![secret]).collect(),
    };
    grouped(secrets.iter().map(|secret| (key(secret), secret))).into_iter().flat_map(split).collect()
}

/// What stands for secrets that are alike where there is no room for their names.
pub(super) fn name(group: &[&Secret<'_>]) -> String {
    match group {
        [secret] => secret.destination.destination.clone(),
        _ => format!("{} secrets; -v lists them", group.len()),
    }
}

/// The error without the scope in front, which the destination's own name has.
fn cause<'a>(destination: &str, error: &'a str) -> &'a str {
    let scope = destination.rsplit_once(':').map_or(destination, |(scope, _)| scope);
    let scope = scope.split_once('+').map_or(scope, |(_, scope)| scope);
    let scope = scope.split('@').next().unwrap_or(scope).trim_start_matches("org:");
    error.split_once(": ").filter(|(before, _)| before.contains(scope)).map_or(error, |(_, cause)| cause)
}

/// Values of one key together, in the order in which the keys are first seen.
fn grouped<K: PartialEq, T>(values: impl Iterator<Item = (K, T)>) -> Vec<(K, Vec<T>)> {
    let mut groups: Vec<(K, Vec<T>)> = Vec::new();
    for (key, value) in values {
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => groups.push((key, vec![value])),
        }
    }
    groups
}

/// `1 failed, 2 rotated`
fn tally<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let counts = grouped(words.map(|word| (word, ()))).into_iter();
    let counts = counts.map(|(word, all)| format!("{} {}", all.len(), word.to_lowercase()));
    counts.collect::<Vec<_>>().join(", ")
}
