//! I4 where it is hardest: replies that quote secrets wherever a reply can, at every
//! request, and everything that a person may type in the wrong place.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::github::{APP_ID, Installation, KEY_PKCS1};
use crate::support::leaks::find_leaks;
use crate::support::provider::{ALL, FURTHER, Service};
use crate::support::{Fault, Faults, Invocation, Ran, Target, World};

/// What is done to one reply, beside the quotes in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trick {
    /// Nothing.
    Quoted,
    /// It is a refusal, although the request was processed.
    Refused(u16),
    /// It is cut off, and the next one is a refusal.
    Cut,
    /// It has no id, and the next one is a refusal.
    WithoutId,
}

const TRICKS: [Trick; 5] =
    [Trick::Quoted, Trick::Refused(422), Trick::Refused(500), Trick::Cut, Trick::WithoutId];

/// Who signs in to GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    Token,
    App,
}

/// How a run prints.
#[derive(Debug, Clone, Copy)]
struct Printing {
    verbosity: &'static str,
    on_actions: bool,
    format: &'static str,
}

impl Printing {
    /// One of all eight.
    fn nth(n: usize) -> Self {
        Self {
            verbosity: ["-v", "-vv"][n % 2],
            on_actions: (n / 2).is_multiple_of(2),
            format: ["text", "json"][n / 4 % 2],
        }
    }
}

/// Secrets that replies have shown, without what their services begin them with: by
/// its form alone nobody would recognise one.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeSet<String>>>);

impl Seen {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().cloned().collect()
    }

    /// Takes note of the values in a reply, and gives the one that is in it. What an
    /// App is given is not quoted by other replies, which may be under way before
    /// this one has arrived.
    fn look_at(&self, body: &[u8]) -> Option<String> {
        let reply = serde_json::from_slice::<Value>(body).ok()?;
        let mut own = None;
        for value in values(&reply) {
            if value.len() >= 16 {
                let tail = value.rsplit(':').next().unwrap_or_default();
                own = Some(tail[tail.len().saturating_sub(28).max(6)..].to_owned());
                if !value.starts_with("ghs_") {
                    self.0.lock().unwrap().extend(own.clone());
                }
            }
        }
        own
    }
}

/// The values in the reply to a creation, wherever the services show them. Not those in a list,
/// which other replies may quote before it has arrived.
fn values(reply: &Value) -> Vec<&str> {
    const FIELDS: [&str; 8] =
        ["token", "api_token", "key", "value", "tokenValue", "token_value", "access_token", "secret"];
    match reply {
        // A public key of GitHub's.
        Value::Object(fields) if fields.contains_key("key") && fields.contains_key("key_id") => Vec::new(),
        Value::Object(fields) => {
            let own = FIELDS.iter().filter_map(|field| fields.get(*field)?.as_str());
            own.chain(fields.values().flat_map(values)).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether the values of a service can be told by how they begin.
fn has_form(service: &Service) -> bool {
    let path = format!("{}/src/catalogue/{}.yml", env!("CARGO_MANIFEST_DIR"), service.name);
    std::fs::read_to_string(path).is_ok_and(|file| file.contains("\nvalues:"))
}

/// Quotes every secret of the world in headers and fields of a reply.
fn quote(world: &World, seen: &Seen, headers: &mut Vec<(String, Vec<u8>)>, body: &mut Vec<u8>) {
    let own = seen.look_at(body);
    // Of a value that no reply has shown, only its form tells what it is.
    let has_form = has_form(world.provider.service());
    let is_known = |value: &String| has_form || *value == world.admin.value;
    let whole = world.provider.tokens().into_iter().map(|token| token.value).filter(is_known);
    let secrets: Vec<String> = whole.chain([world.github_token().to_owned()]).chain(seen.all()).collect();
    let newest = own.or_else(|| seen.all().pop()).or_else(|| secrets.last().cloned()).unwrap_or_default();
    for name in [
        "x-request-id",
        "x-github-request-id",
        "x-axiom-trace-id",
        "server",
        "www-authenticate",
        "retry-after",
    ] {
        headers.retain(|(known, _)| known != name);
        let value = if name == "retry-after" { "0".to_owned() } else { newest.clone() };
        headers.push((name.to_owned(), value.into_bytes()));
    }
    let Ok(mut document) = serde_json::from_slice::<Value>(body) else { return };
    let said = secrets.join(" and ");
    if let Some(reply) = document.as_object_mut() {
        for field in ["message", "detail", "title", "error", "documentation_url"] {
            reply.insert(field.to_owned(), json!(said));
        }
    }
    *body = document.to_string().into_bytes();
}

fn forget_ids(_: &mut Vec<(String, Vec<u8>)>, body: &mut Vec<u8>) {
    fn forget(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|field, _| !["id", "_id", "api_token_id", "token_id"].contains(&&**field));
                fields.values_mut().for_each(forget);
            }
            Value::Array(all) => all.iter_mut().for_each(forget),
            _ => {}
        }
    }
    let Ok(mut reply) = serde_json::from_slice::<Value>(body) else { return };
    forget(&mut reply);
    *body = reply.to_string().into_bytes();
}

/// Runs once; gives what leaked, and how many requests there were.
async fn run(
    service: &'static Service,
    writer: Writer,
    at: usize,
    trick: Trick,
    printing: Printing,
) -> (Vec<String>, usize) {
    let world = World::builder().provider(service).start().await;
    let faults = Faults::none();
    let front = world.behind(&faults);
    let seen = Seen::default();
    match trick {
        Trick::Quoted => {}
        Trick::Refused(code) => faults.inject(Target::Nth(at), Fault::Status { code, processed: true }),
        Trick::Cut => faults.inject(Target::Nth(at), Fault::TruncatedJson),
        Trick::WithoutId => faults.inject(Target::Nth(at), Fault::Rewrite(Arc::new(forget_ids))),
    }
    if matches!(trick, Trick::Cut | Trick::WithoutId) {
        // What is seen of a value before it is lost must be known, too.
        let (world, seen) = (world.detached(), seen.clone());
        let refused = Fault::Status { code: 403, processed: true };
        faults.inject(Target::Nth(at + 1), refused);
        faults.inject_times(
            Target::All,
            Fault::Rewrite(Arc::new(move |h, b| quote(&world, &seen, h, b))),
            99,
        );
    } else {
        let (world, seen) = (world.detached(), seen.clone());
        faults.inject_times(
            Target::All,
            Fault::Rewrite(Arc::new(move |h, b| quote(&world, &seen, h, b))),
            99,
        );
    }
    let folder = TempDir::new().unwrap();
    let (output, summary) = (folder.path().join("output"), folder.path().join("summary"));
    let mut invocation = Invocation::of("rotate")
        .scene(&world, front.github.url(), front.provider.url())
        // What a busy machine delays must not look like a lost value.
        .arg("--request-timeout", "4s")
        .arg("--format", printing.format)
        .flag(printing.verbosity);
    if printing.on_actions {
        invocation = invocation.on_actions(output.clone(), summary.clone());
    }
    if writer == Writer::App {
        world.github.install_app(Installation::at("acme", &["secrets"]));
        invocation.environment.remove("CROSSFADE_GITHUB_TOKEN");
        invocation = invocation
            .env("CROSSFADE_GITHUB_APP_ID", APP_ID)
            .env("CROSSFADE_GITHUB_APP_PRIVATE_KEY", KEY_PKCS1);
    }
    let ran = invocation.run().await;
    front.quiet().await;
    let file = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut outputs = [ran.stdout.clone(), file(&output), file(&summary)].join("\n");
    let is_mask = |line: &&str| printing.on_actions && line.starts_with("::add-mask::");
    outputs.extend(ran.stderr.lines().filter(|line| !is_mask(line)).flat_map(|line| [line, "\n"]));
    let secrets = [world.secrets(), seen.all()].concat();
    let mut wrong = find_leaks(&outputs, &secrets);
    if !wrong.is_empty() {
        let lines = outputs.lines().filter(|line| !find_leaks(line, &secrets).is_empty());
        wrong.extend(lines.map(str::to_owned));
    }
    if ran.exit_code > 1 {
        wrong.push(format!("exit code {}: {}", ran.exit_code, ran.everything()));
    }
    let context = format!("{} {writer:?} #{at} {trick:?} {printing:?}", service.name);
    let passed = faults.passed();
    let request = passed.get(at.saturating_sub(1)).map(ToString::to_string).unwrap_or_default();
    let problems = wrong.into_iter().map(|what| format!("{context} ({request}): {what}"));
    (problems.collect(), passed.len())
}

#[tokio::test]
async fn no_reply_makes_a_run_show_a_secret() {
    let mut cases = Vec::new();
    for (service, writer) in
        ALL.into_iter().map(|service| (service, Writer::Token)).chain([(ALL[0], Writer::App)])
    {
        for n in 0..8 {
            cases.push((service, writer, 0, Trick::Quoted, Printing::nth(n)));
        }
        let (_, requests) = run(service, writer, 0, Trick::Quoted, Printing::nth(0)).await;
        assert!(requests > 5, "{} {requests}", service.name);
        for at in 1..=requests {
            for trick in TRICKS.into_iter().filter(|trick| *trick != Trick::Quoted) {
                cases.push((service, writer, at, trick, Printing::nth(cases.len())));
                cases.push((service, writer, at, trick, Printing::nth(cases.len() * 3 + 1)));
            }
        }
    }
    // The engine is the same for every file, so one trick at each request of the others.
    for (index, service) in FURTHER.into_iter().enumerate() {
        let (_, requests) = run(service, Writer::Token, 0, Trick::Quoted, Printing::nth(index)).await;
        assert!(requests > 5, "{} {requests}", service.name);
        for at in 0..=requests {
            let trick = if at == 0 { Trick::Quoted } else { TRICKS[1 + (index + at) % 4] };
            cases.push((service, Writer::Token, at, trick, Printing::nth(cases.len())));
        }
    }
    let count = cases.len();
    let results = stream::iter(cases)
        .map(|(service, writer, at, trick, printing)| run(service, writer, at, trick, printing));
    let results: Vec<_> = results.buffer_unordered(24).collect().await;
    let wrong: Vec<String> = results.into_iter().flat_map(|(wrong, _)| wrong).collect();
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Tokens of every known form; of a private key what is secret in it.
fn known_forms() -> Vec<(String, String)> {
    let random = "0A1b2c3d4E5f60718293a4b5c6d7e8f901234567";
    let key = "MIIEpAIBAAKCAQEAw7Zq7xWkm9pT4vN9sR2LbQ";
    let mut all: Vec<(String, String)> = [
        "xaat-0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9".to_owned(),
        "xapt-0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9".to_owned(),
        "idt:TKN-1671-0642:Zq7x.W+k!m~pT4vN9sR2LbQ(xY)".to_owned(),
        "api-0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9".to_owned(),
        "api_0123456789abcdefABCDEF0123456789".to_owned(),
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMjM0NSJ9.Zq7xWkm9pT4vN9sR2LbQ".to_owned(),
        format!("ghp_{random}"),
        format!("ghs_{random}"),
        format!("github_pat_11ABCDEFG0{random}"),
    ]
    .into_iter()
    .map(|token| (token.clone(), token))
    .collect();
    all.push((
        format!("-----BEGIN RSA PRIVATE KEY-----\\n{key}\\n-----END RSA PRIVATE KEY-----"),
        key.to_owned(),
    ));
    all.push((format!("https://user:{random}@api.example"), format!("user:{random}")));
    all
}

/// What can be given by a flag and by a variable.
const INPUTS: [(&str, &str); 19] = [
    ("--provider", "CROSSFADE_PROVIDER"),
    ("--provider-url", "CROSSFADE_PROVIDER_URL"),
    ("--token", "CROSSFADE_TOKEN"),
    ("--secret", "CROSSFADE_SECRETS"),
    ("--name", "CROSSFADE_NAME"),
    ("--lifetime", "CROSSFADE_LIFETIME"),
    ("--overlap", "CROSSFADE_OVERLAP"),
    ("--rotate-before", "CROSSFADE_ROTATE_BEFORE"),
    ("--org-id", "CROSSFADE_ORG_ID"),
    ("--repository", "CROSSFADE_REPOSITORY"),
    ("--only", "CROSSFADE_ONLY"),
    ("--shard", "CROSSFADE_SHARD"),
    ("--format", "CROSSFADE_FORMAT"),
    ("--config", "CROSSFADE_CONFIG"),
    ("--concurrency", "CROSSFADE_CONCURRENCY"),
    ("--pace", "CROSSFADE_PACE"),
    ("--request-timeout", "CROSSFADE_REQUEST_TIMEOUT"),
    ("--deadline", "CROSSFADE_DEADLINE"),
    ("--github-api-url", "CROSSFADE_GITHUB_API_URL"),
];

/// A rotation by flags whose servers do not exist.
fn by_flags(provider: &str) -> Invocation {
    let flags =
        [("--provider", "axiom"), ("--token", "ci"), ("--secret", "A"), ("--repository", "acme/infra")];
    let nobody = [("--github-api-url", "http://127.0.0.1:9"), ("--provider-url", "http://127.0.0.1:9")];
    flags
        .into_iter()
        .chain(nobody)
        .fold(Invocation::of("rotate"), |it, (flag, value)| it.arg(flag, value))
        .env("CROSSFADE_PROVIDER_TOKEN", provider)
        .env("CROSSFADE_GITHUB_TOKEN", "writer-value-of-a-test")
        .env("CROSSFADE_REQUEST_TIMEOUT", "30ms")
}

fn check(ran: &Ran, secret: &str, context: &str, must_refuse: bool) {
    let leaks = find_leaks(&ran.everything(), &[secret.to_owned()]);
    assert!(leaks.is_empty(), "{context}: {leaks:?} in\n{}", ran.everything());
    if must_refuse {
        assert_eq!(ran.exit_code, 2, "{context}:\n{}", ran.everything());
    }
}

#[tokio::test]
async fn a_secret_in_a_wrong_flag_or_variable_is_refused_and_not_shown() {
    for (secret, hidden) in known_forms() {
        for (flag, variable) in INPUTS {
            let mut without = by_flags("xaat-0123456789");
            let place = without.arguments.iter().position(|argument| argument == flag);
            if let Some(place) = place {
                without.arguments.drain(place..place + 2);
            }
            for (context, invocation) in [
                (flag, without.clone().arg(flag, &secret)),
                (flag, without.clone().flag(&format!("{flag}={secret}"))),
                (variable, without.clone().env(variable, &secret.replace("\\n", "\n"))),
                (
                    variable,
                    without.clone().env(variable, &format!("\"{secret}\"")).env("GITHUB_ACTIONS", "true"),
                ),
            ] {
                check(&invocation.run().await, &hidden, &format!("{secret} at {context}"), true);
            }
        }
        check(&by_flags("xaat-1").flag(&secret).run().await, &hidden, "an argument", true);
    }
}

#[tokio::test]
async fn a_secret_anywhere_in_a_file_is_refused_and_not_shown() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("crossfade.yml");
    let keys = [
        "name",
        "provider",
        "provider_url",
        "credential",
        "org_id",
        "token",
        "formerly",
        "trusted",
        "lifetime",
        "overlap",
        "rotate_before",
        "delete_after",
        "verify",
        "secrets",
        "after",
        "unknown_key",
    ];
    let nested = [
        "create: { description: 'VALUE' }",
        "create: { 'VALUE': 1 }",
        "'VALUE': x",
        "secrets: ['VALUE']",
        "secrets: [{ name: 'VALUE' }]",
        "secrets: [{ name: A, environment: 'VALUE' }]",
        "secrets: [{ name: A, organization: 'VALUE' }]",
        "secrets: [{ name: A, repository: 'VALUE' }]",
        "secrets: [{ name: A, repositories: ['VALUE'] }]",
        "secrets: [{ name: A, store: 'VALUE' }]",
        "secrets: ['acme/api@VALUE:A']",
        "after: [{ workflow: 'VALUE' }]",
        "after: [{ workflow: deploy.yml, repository: 'VALUE' }]",
        "after: [{ workflow: deploy.yml, ref: 'VALUE' }]",
        "token: 'it is VALUE or so'",
        "token: [VALUE",
    ];
    let lines = keys.iter().map(|key| format!("{key}: 'VALUE'")).chain(nested.map(str::to_owned));
    let lines: Vec<String> = lines.chain(["credential: VALUE".to_owned()]).collect();
    for (n, (secret, hidden)) in known_forms().into_iter().enumerate() {
        for (line, at_defaults) in
            lines.iter().map(|line| (line, false)).chain([(&lines[1], true), (&lines[3], true)])
        {
            let line = line.replace("VALUE", &secret);
            let key = line.split(':').next().unwrap_or_default();
            let sound = [("name", "ci"), ("provider", "axiom"), ("token", "ci"), ("secrets", "[A]")];
            let rest = sound.iter().filter(|(name, _)| *name != key || at_defaults);
            let rest: String = rest.map(|(name, value)| format!("    {name}: {value}\n")).collect();
            let text = if at_defaults {
                format!("defaults:\n  {line}\nrotations:\n  -\n{rest}")
            } else {
                format!("rotations:\n  -\n{rest}    {line}\n")
            };
            std::fs::write(&path, &text).unwrap();
            for (command, format) in [("check", "text"), ("check", "json"), ("rotate", "text")] {
                let mut invocation = Invocation::of(command)
                    .arg("--config", path.to_str().unwrap())
                    .arg("--format", format)
                    .arg("--repository", "acme/infra")
                    .env("CROSSFADE_PROVIDER_TOKEN", "xaat-0123456789")
                    .env("CROSSFADE_GITHUB_TOKEN", "writer-value-of-a-test");
                if n % 2 == 0 {
                    invocation = invocation.env("GITHUB_ACTIONS", "true");
                }
                check(&invocation.run().await, &hidden, &format!("{command} of\n{text}"), true);
            }
        }
    }
}

/// Its form is not known, but it is the run's own.
#[tokio::test]
async fn a_credential_of_unknown_form_is_not_shown_wherever_it_is_typed() {
    let secret = "Zq7xWkm9pT4vN9sR2LbQ";
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("crossfade.yml");
    for (flag, variable) in INPUTS {
        for invocation in [by_flags(secret).arg(flag, secret), by_flags(secret).env(variable, secret)] {
            for invocation in [invocation.clone(), invocation.env("GITHUB_ACTIONS", "true")] {
                check(
                    &invocation.run().await,
                    secret,
                    flag,
                    invocation.arguments.iter().any(|it| it == secret),
                );
            }
        }
    }
    for (line, variable) in [
        (format!("credential: {secret}"), "CROSSFADE_PROVIDER_TOKEN"),
        (format!("credential: OWN\n    lifetime: {secret}"), "OWN"),
        (format!("credential: OWN\n    {secret}: 1"), "OWN"),
        (format!("credential: OWN\n    org_id: {secret}\n    overlap: 1h"), "OWN"),
        (format!("provider_url: 'https://{secret}'\n    credential: OWN\n    lifetime: x"), "OWN"),
    ] {
        let text = format!(
            "rotations:\n  - name: ci\n    provider: axiom\n    token: ci\n    secrets: [A]\n    {line}\n"
        );
        std::fs::write(&path, &text).unwrap();
        for (command, format) in [("check", "text"), ("check", "json"), ("rotate", "text")] {
            let invocation = Invocation::of(command)
                .arg("--config", path.to_str().unwrap())
                .arg("--format", format)
                .arg("--repository", "acme/infra")
                .env(variable, secret)
                .env("GITHUB_ACTIONS", "true")
                .env("CROSSFADE_GITHUB_API_URL", "http://127.0.0.1:9")
                .env("CROSSFADE_REQUEST_TIMEOUT", "30ms")
                .env("CROSSFADE_GITHUB_TOKEN", "writer-value-of-a-test");
            check(&invocation.run().await, secret, &text, false);
        }
    }
    // A value nobody has in a variable, where a variable's name belongs.
    std::fs::write(
        &path,
        format!(
            "rotations:\n  - {{ name: ci, provider: axiom, token: ci, secrets: [A], credential: {secret} }}\n"
        ),
    )
    .unwrap();
    let ran = Invocation::of("check").arg("--config", path.to_str().unwrap()).run().await;
    check(&ran, secret, "credential", true);
}

/// The two services' credentials, exchanged or equal, by every door.
#[tokio::test]
async fn no_credential_reaches_a_service_that_it_is_not_for() {
    let world = World::start().await;
    let github = "ghp_0A1b2c3d4E5f60718293a4b5c6d7e8f901234567";
    let cases = [
        ("CROSSFADE_GITHUB_TOKEN", world.provider_token().to_owned()),
        ("CROSSFADE_GITHUB_TOKEN", format!("'{}'", world.provider_token())),
        ("CROSSFADE_PROVIDER_TOKEN", github.to_owned()),
        ("CROSSFADE_PROVIDER_TOKEN", format!("\"{github}\"")),
        ("CROSSFADE_PROVIDER_TOKEN", format!("GITHUB_TOKEN={github}")),
        ("CROSSFADE_PROVIDER_TOKEN", world.github_token().to_owned()),
        ("CROSSFADE_PROVIDER_TOKEN", "api_0a1b2c3d4e5f60718293a4b5c6d7e8f901234567".to_owned()),
    ];
    for (variable, value) in cases {
        for command in ["rotate", "status", "check"] {
            let mut invocation = Invocation::rotate(&world).env(variable, &value);
            invocation.arguments[0] = command.to_owned();
            if command == "check" {
                let place = invocation.arguments.iter().position(|it| it == "--github-api-url").unwrap();
                invocation.arguments.drain(place..place + 2);
            }
            let ran = invocation.run().await;
            assert_eq!(ran.exit_code, 2, "{command} {variable}: {}", ran.everything());
            check(&ran, &value, variable, true);
        }
    }
    let both = "a-value-that-is-in-two-variables";
    let ran = Invocation::rotate(&world)
        .env("CROSSFADE_PROVIDER_TOKEN", both)
        .env("CROSSFADE_GITHUB_TOKEN", both)
        .run()
        .await;
    assert!(ran.exit_code == 2 && ran.stderr.contains("hold the same value"), "{}", ran.everything());
    assert!(world.github.requests().is_empty() && world.provider.requests().is_empty());
}
