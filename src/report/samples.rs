//! Reports that the tests of every form share.

use jiff::{SignedDuration, Timestamp};

use super::model::{
    DestinationOutcome, DestinationReport, PlannedMint, Report, RotationOutcome, RotationReport, SecretState,
    TokenEnd, TokenReport, TokenSpan, Verdict, VerificationOutcome, WorkflowOutcome, WorkflowReport,
};

/// A string that tries to be obeyed by everything that may read a report.
pub(super) const HOSTILE: &str = "a\n::set-output name=rotated::true\r\n%0A::error::x ##[error]y \u{1b}[31m\u{1b}]0;t\u{7} \
     | `b` [c](http://evil.example) <img src=x onerror=alert(1)> \u{202e}txt @octocat #1 &amp; \\| *d* _e_";

impl RotationReport {
    /// A rotation of which nothing is known yet: *failed* until its outcome is set.
    pub(crate) fn new(name: impl Into<String>, provider: impl Into<String>) -> Self {
        Self { name: name.into(), provider: provider.into(), ..Self::default() }
    }
}

impl DestinationReport {
    /// A destination with nothing to add to its outcome.
    pub(crate) fn new(destination: impl Into<String>, outcome: DestinationOutcome) -> Self {
        let state = match outcome {
            DestinationOutcome::Written | DestinationOutcome::Held => SecretState::Current,
            DestinationOutcome::NotRead => SecretState::NotRead,
            DestinationOutcome::Failed | DestinationOutcome::Planned | DestinationOutcome::Unknown => {
                SecretState::Unknown
            }
        };
        Self { destination: destination.into(), outcome, state, ..Self::default() }
    }
}

pub(super) fn time(text: &str) -> Option<Timestamp> {
    Some(text.parse().expect("a time"))
}

pub(super) fn report(rotations: Vec<RotationReport>) -> Report {
    let (now, end) = (time("2026-09-01T06:00:00Z"), time("2026-12-01T06:00:00Z"));
    Report { now, rotations, github_credential_expires_at: end, ..Report::default() }
}

fn token(id: &str, expires_at: &str) -> Option<TokenReport> {
    Some(TokenReport { id: id.to_owned(), name: "ci-ingest".to_owned(), expires_at: time(expires_at) })
}

fn end(id: &str) -> Option<TokenEnd> {
    Some(TokenEnd { id: id.to_owned(), valid_until: time("2026-09-08T06:00:00Z") })
}

pub(super) fn span(id: &str, minted: &str, ends: Option<&str>, held_by: usize) -> TokenSpan {
    TokenSpan {
        id: id.to_owned(),
        minted_at: time(minted),
        ends_at: ends.and_then(time),
        retire_at: None,
        disabled: false,
        held_by,
    }
}

fn deploy(outcome: WorkflowOutcome) -> Vec<WorkflowReport> {
    vec![WorkflowReport {
        repository: "acme/api".to_owned(),
        workflow: "deploy.yml".to_owned(),
        git_ref: Some("main".to_owned()),
        outcome,
        error: None,
    }]
}

pub(super) fn rotated() -> RotationReport {
    RotationReport {
        outcome: RotationOutcome::Rotated,
        reason: Some(Verdict::Due),
        reason_text: Some("12 days left, rotates at 14".to_owned()),
        token: token("tok-2", "2026-11-30T06:00:00Z"),
        previous: end("tok-1"),
        verification: VerificationOutcome::Verified,
        destinations: vec![
            DestinationReport::new("acme/api@production:AXIOM_TOKEN", DestinationOutcome::Written),
            DestinationReport::new("dependabot+org:acme:AXIOM_TOKEN", DestinationOutcome::Written),
        ],
        retired: vec!["tok-0".to_owned()],
        tokens: vec![
            span("tok-2", "2026-09-01T06:00:00Z", Some("2026-11-30T06:00:00Z"), 2),
            span("tok-1", "2026-06-15T06:00:00Z", Some("2026-09-08T06:00:00Z"), 0),
        ],
        next_rotation_at: time("2026-11-16T06:00:00Z"),
        after: deploy(WorkflowOutcome::Started),
        ..RotationReport::new("ci-ingest", "axiom")
    }
}

pub(super) fn fresh() -> RotationReport {
    RotationReport {
        outcome: RotationOutcome::Fresh,
        reason: Some(Verdict::Fresh),
        reason_text: Some("60 days left, rotates at 14".to_owned()),
        token: token("tok-7", "2026-10-31T06:00:00Z"),
        destinations: vec![
            DestinationReport::new("acme/api:AXIOM_TOKEN", DestinationOutcome::Held),
            DestinationReport::new("acme/web:AXIOM_TOKEN", DestinationOutcome::Unknown),
        ],
        next_rotation_at: time("2026-10-17T06:00:00Z"),
        tokens: vec![span("tok-7", "2026-08-02T06:00:00Z", Some("2026-10-31T06:00:00Z"), 1)],
        warnings: vec!["acme/web:AXIOM_TOKEN was written by a manual edit".to_owned()],
        ..RotationReport::new("nightly", "axiom")
    }
}

pub(super) fn planned() -> RotationReport {
    RotationReport {
        outcome: RotationOutcome::Planned,
        token: token("tok-1", "2026-09-13T06:00:00Z"),
        previous: None,
        verification: VerificationOutcome::Skipped,
        destinations: vec![
            DestinationReport {
                updated_at: time("2026-06-15T06:00:00Z"),
                state: SecretState::Current,
                holds: end("tok-1"),
                ..DestinationReport::new("acme/api@production:AXIOM_TOKEN", DestinationOutcome::Planned)
            },
            DestinationReport {
                state: SecretState::Missing,
                ..DestinationReport::new("dependabot+org:acme:AXIOM_TOKEN", DestinationOutcome::Planned)
            },
        ],
        tokens: vec![span("tok-1", "2026-06-15T06:00:00Z", Some("2026-09-13T06:00:00Z"), 2)],
        planned: Some(PlannedMint {
            expires_at: time("2026-11-30T06:00:00Z"),
            previous_valid_until: time("2026-09-08T06:00:00Z"),
        }),
        after: deploy(WorkflowOutcome::Planned),
        ..rotated()
    }
}

pub(super) fn failed() -> RotationReport {
    RotationReport {
        outcome: RotationOutcome::Failed,
        destinations: vec![
            DestinationReport::new("acme/api:AXIOM_TOKEN", DestinationOutcome::Written),
            DestinationReport {
                error: Some(
                    "could not be written: the repository does not exist, or the GitHub credential cannot see it (404 Not Found: \"Not Found\")".to_owned(),
                ),
                state: SecretState::Previous,
                holds: end("tok-1"),
                ..DestinationReport::new("acme/gone:AXIOM_TOKEN", DestinationOutcome::Failed)
            },
        ],
        error: Some("acme/gone:AXIOM_TOKEN could not be written: the repository does not exist, or the GitHub credential cannot see it (404 Not Found: \"Not Found\"). 1 of 2 secrets holds the new token".to_owned()),
        steps: vec!["Check the spelling of acme/gone:AXIOM_TOKEN, and that the GitHub credential has access. The next run creates one new token for both secrets.".to_owned()],
        retired: Vec::new(),
        next_rotation_at: None,
        tokens: vec![
            span("tok-2", "2026-09-01T06:00:00Z", Some("2026-11-30T06:00:00Z"), 1),
            span("tok-1", "2026-06-15T06:00:00Z", Some("2026-09-08T06:00:00Z"), 1),
        ],
        after: deploy(WorkflowOutcome::Waiting),
        ..rotated()
    }
}

/// Many rotations of which nothing is due, and that crossfade never wrote.
fn unwritten(count: usize) -> Vec<RotationReport> {
    let rotation = |index: usize| {
        let now = time("2026-09-01T06:00:00Z").expect("a time");
        let end = now + SignedDuration::from_hours(24 * (16 + 7 * (i64::try_from(index).unwrap_or(0) % 40)));
        let id = format!("{:08x}-7d5a-4c71-9a4e-{index:012}", 0x4be0_3db0_u64 + 7_919 * index as u64);
        let name = format!("service-{index}");
        let destinations = ["api", "infra"].map(|repository| DestinationReport {
            updated_at: time("2026-05-20T06:00:00Z"),
            presumed: Some(TokenEnd { id: id.clone(), valid_until: Some(end) }),
            settings_path: format!("/acme/{repository}/settings/secrets/actions"),
            ..DestinationReport::new(format!("acme/{repository}:TOKEN_{index}"), DestinationOutcome::Unknown)
        });
        RotationReport {
            token: Some(TokenReport { id: id.clone(), name: name.clone(), expires_at: Some(end) }),
            destinations: destinations.to_vec(),
            tokens: vec![TokenSpan { ends_at: Some(end), ..span(&id, "2026-05-20T06:00:00Z", None, 0) }],
            next_rotation_at: Some(end - SignedDuration::from_hours(24 * 14)),
            warnings: Vec::new(),
            ..RotationReport { name, ..fresh() }
        }
    };
    (0..count).map(rotation).collect()
}

/// 300 destinations, of which some refused the new token.
fn wide() -> RotationReport {
    let destination = |index: usize| {
        let name = format!("acme/service-{index}:AXIOM_TOKEN");
        let settings_path = format!("/acme/service-{index}/settings/secrets/actions");
        let written =
            DestinationReport { settings_path, ..DestinationReport::new(name, DestinationOutcome::Written) };
        if !index.is_multiple_of(25) {
            return written;
        }
        DestinationReport {
            outcome: DestinationOutcome::Failed,
            state: SecretState::Previous,
            holds: end("tok-1"),
            error: Some(format!("Actions secrets of acme/service-{index}: {REFUSED}")),
            ..written
        }
    };
    RotationReport {
        destinations: (0..300).map(destination).collect(),
        tokens: vec![
            span("tok-2", "2026-09-01T06:00:00Z", Some("2026-11-30T06:00:00Z"), 288),
            span("tok-1", "2026-06-15T06:00:00Z", Some("2026-09-08T06:00:00Z"), 12),
        ],
        error: Some("token tok-2 was minted, but acme/service-0:AXIOM_TOKEN, acme/service-25:AXIOM_TOKEN and 10 more did not take it. Its delivery window is open until 2026-09-01T06:04:00Z".to_owned()),
        ..failed()
    }
}

const REFUSED: &str = "GitHub refuses the request (403 Forbidden: \"Resource not accessible by personal access token\"). It needs the repository permission \"Secrets\": read and write";

/// [`failed`], as rule 11 of the design holds it back.
fn held_back() -> RotationReport {
    let mut rotation = failed();
    for (destination, outcome) in
        rotation.destinations.iter_mut().zip([DestinationOutcome::Held, DestinationOutcome::Unknown])
    {
        (destination.outcome, destination.error) = (outcome, None);
    }
    RotationReport {
        reason: Some(Verdict::Undelivered),
        reason_text: Some("acme/gone:AXIOM_TOKEN was not written with token tok-2".to_owned()),
        verification: VerificationOutcome::Skipped,
        error: Some("Not every secret holds the current token, but no new one is created before 2026-09-02T06:00:00Z: each attempt needs a new token, and earlier runs have created as many as the limit for repeated deliveries allows (4 are valid). Not written with it: acme/gone:AXIOM_TOKEN.".to_owned()),
        steps: vec!["Find out why acme/gone:AXIOM_TOKEN could not be written: `crossfade doctor` shows GitHub's answer. Fix that.".to_owned(), "Run again after 2026-09-02T06:00:00Z, or now with `--force`: that run creates a new token for all secrets.".to_owned()],
        next_rotation_at: time("2026-09-02T06:00:00Z"),
        ..rotation
    }
}

/// With ids as long as a provider's: what users see.
fn with_long_ids(mut report: Report) -> Report {
    let long = |id: &mut String| {
        let long = match id.as_str() {
            "tok-0" => "0d1f6e22-5b0c-4a55-8f3c-111111111111",
            "tok-1" => "c69d4bd8-b3fa-4aa7-a1fa-b9d78c7e134f",
            "tok-2" => "8d1bc13a-04de-4f44-9d3e-6d4d46c31c19",
            "tok-7" => "16e3e380-61d5-45f2-a2cd-9d3d8dd17a51",
            _ => return,
        };
        long.clone_into(id);
    };
    for rotation in &mut report.rotations {
        rotation.token.iter_mut().for_each(|token| long(&mut token.id));
        rotation.previous.iter_mut().for_each(|end| long(&mut end.id));
        rotation.retired.iter_mut().for_each(long);
        rotation.tokens.iter_mut().for_each(|span| long(&mut span.id));
        for destination in &mut rotation.destinations {
            destination.holds.iter_mut().for_each(|end| long(&mut end.id));
            if destination.settings_path.is_empty() {
                let repository =
                    destination.destination.split([':', '@']).next().filter(|one| one.contains('/'));
                destination.settings_path =
                    format!("/{}/settings/secrets/actions", repository.unwrap_or("acme/api"));
            }
        }
    }
    report
}

/// A report for each kind of day.
pub(super) fn scenes() -> Vec<(&'static str, Report)> {
    let many = |first: Vec<RotationReport>, count: usize| {
        let count = count - first.len();
        first.into_iter().chain(unwritten(count)).collect::<Vec<_>>()
    };
    let billing = || {
        let mut rotation = failed();
        rotation.name = "billing-traces".to_owned();
        rotation.destinations[1].error = Some(format!("Actions secrets of acme/gone: {REFUSED}"));
        rotation.error = Some("token 8d1bc13a-04de-4f44-9d3e-6d4d46c31c19 was minted, but acme/gone:AXIOM_TOKEN did not take it. Its delivery window is open until 2026-09-01T06:04:00Z".to_owned());
        rotation.steps = vec![
            "Give `CROSSFADE_GITHUB_TOKEN` the repository permission Secrets: read and write on acme/gone".to_owned(),
            "Run again after 2026-09-01T06:04:00Z, or wait for the schedule: it creates one new token and writes both secrets".to_owned(),
        ];
        rotation.error_code = Some("github-permission".to_owned());
        rotation
    };
    let outage = || {
        let failed = |rotation: RotationReport| RotationReport {
            outcome: RotationOutcome::Failed,
            reason: None,
            error: Some("GitHub rejected the credential in `CROSSFADE_GITHUB_TOKEN` (401)".to_owned()),
            steps: vec![
                "Renew `CROSSFADE_GITHUB_TOKEN`".to_owned(),
                "The next run tries again from the beginning".to_owned(),
            ],
            destinations: rotation
                .destinations
                .iter()
                .map(|one| DestinationReport::new(one.destination.clone(), DestinationOutcome::NotRead))
                .collect(),
            ..rotation
        };
        unwritten(300).into_iter().map(failed).collect::<Vec<_>>()
    };
    let scenes = [
        ("rotated", report(vec![rotated()])),
        ("failed", report(vec![failed()])),
        ("fresh", report(vec![fresh()])),
        ("dry-run", Report { dry_run: true, ..report(vec![planned(), fresh()]) }),
        ("held-back", report(vec![held_back()])),
        ("12-rotations", report(many(vec![billing(), rotated(), fresh()], 12))),
        ("300-rotations", report(many(vec![rotated(), fresh()], 300))),
        ("300-rotations-failed", report(outage())),
        ("300-destinations", report(vec![wide()])),
        ("hostile", hostile()),
    ];
    scenes.into_iter().map(|(name, report)| (name, with_long_ids(report))).collect()
}

/// [`failed`], with [`HOSTILE`] wherever a string goes.
pub(crate) fn hostile() -> Report {
    let hostile = || HOSTILE.to_owned();
    let mut rotation = failed();
    rotation.name = hostile();
    rotation.provider = hostile();
    rotation.reason_text = Some(hostile());
    rotation.error = Some(hostile());
    rotation.next_step = Some(hostile());
    rotation.steps = vec![hostile()];
    rotation.token =
        Some(TokenReport { id: hostile(), name: hostile(), expires_at: time("2026-11-30T06:00:00Z") });
    rotation.previous = Some(TokenEnd { id: hostile(), valid_until: None });
    rotation.tokens.iter_mut().for_each(|span| span.id = hostile());
    for destination in &mut rotation.destinations {
        destination.destination = hostile();
        destination.error.iter_mut().for_each(|error| *error = hostile());
        destination.holds.iter_mut().for_each(|holds| holds.id = hostile());
    }
    for one in &mut rotation.after {
        (one.repository, one.workflow) = (hostile(), hostile());
    }
    report(vec![rotation])
}
