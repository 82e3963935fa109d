//! The main job on embedded fakes: nothing to sign up for, nothing leaves this machine.
//!
//! `cargo run --example sandbox` walks through a rotation and explains each step;
//! `--provider NAME` does so with another service than Axiom. `--serve` only starts
//! the fakes and prints how to reach them, for trying crossfade by hand.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use jiff::SignedDuration;
use support::github::{Credential, On};
use support::provider::{Service, axiom, deepset, launchdarkly, lighthouse, softwareone};
use support::world::{REPOSITORY, TOKEN};
use support::{Invocation, Ran, World};

/// What is particular to one provider.
struct Demo {
    service: &'static Service,
    /// What people call it.
    title: &'static str,
    /// The secret that holds its token.
    secret: &'static str,
    /// How it ends a token.
    end: &'static str,
    /// How it creates the new token.
    mint: &'static str,
    /// What happens to the previous token after the overlap.
    overlap: &'static str,
    /// A later run ends the previous token, not the service itself.
    is_retired: bool,
}

/// A GitHub credential of `--serve` that lacks the right to write.
const READ_ONLY: &str = "github_pat_11AAQX7Y20read0only0aB3cD4eF5gH6iJ7kL8mN9oP0qR1sT2uV3wX4yZ";

/// How often the servers' clock moves on while they only serve.
const SECOND: Duration = Duration::from_secs(1);

/// The files of a checkout.
const CONFIG: &str = ".github/crossfade.yml";
const WORKFLOW: &str = ".github/workflows/rotate.yml";

/// What is deployed with the token, and the workflow that does so.
const DEPLOYED: &str = "acme/api";
const DEPLOY: &str = "deploy.yml";

const DEMOS: [Demo; 5] = [
    Demo {
        service: &axiom::SERVICE,
        title: "Axiom",
        secret: "AXIOM_TOKEN",
        end: "expires in 11 days",
        mint: "asks Axiom to regenerate the token. That creates a new token, and Axiom itself ends the previous \
               one after the overlap",
        overlap: "Axiom has ended the previous token by itself, and nothing uses it any more.",
        is_retired: false,
    },
    Demo {
        service: &softwareone::SERVICE,
        title: "the Marketplace",
        secret: "MARKETPLACE_TOKEN",
        end: "does not expire, but is 78 days old",
        mint: "creates a token with the same account and modules. The previous one is left as it is",
        overlap: "No secret holds the previous token any more, so the first run after the overlap disables it. That can \
                  still be undone; a week later it is deleted.",
        is_retired: true,
    },
    Demo {
        service: &deepset::SERVICE,
        title: "deepset",
        secret: "DEEPSET_API_KEY",
        end: "expires in 11 days",
        mint: "creates a token with the same role and workspaces. The previous one is left as it is",
        overlap: "No secret holds the previous token any more, so the first run after the overlap deletes it.",
        is_retired: true,
    },
    Demo {
        service: &launchdarkly::SERVICE,
        title: "LaunchDarkly",
        secret: "LAUNCHDARKLY_TOKEN",
        end: "expires in 11 days",
        mint: "creates a token with the same role",
        overlap: "As soon as every secret held the new token, crossfade set the expiry of the previous one to the end \
                  of the overlap. It has expired since, and nothing uses it any more.",
        is_retired: false,
    },
    Demo {
        service: &lighthouse::SERVICE,
        title: "Lighthouse, which crossfade knows only by the file in docs/providers.md",
        secret: "LIGHTHOUSE_KEY",
        end: "expires in 11 days",
        mint: "creates a token with the same scopes. The previous one is left as it is",
        overlap: "No secret holds the previous token any more, so the first run after the overlap deletes it.",
        is_retired: true,
    },
];

#[tokio::main]
async fn main() -> ExitCode {
    let Some((demo, serves)) = understood(std::env::args().skip(1)) else {
        let names = DEMOS.map(|demo| demo.service.name).join("|");
        println!("usage: sandbox [--provider {names}] [--serve]");
        return ExitCode::from(2);
    };
    let world = World::builder()
        .provider(demo.service)
        .destinations(destinations(demo))
        .expires_in_days(12)
        .start()
        .await;
    if serves {
        serve(demo, &world).await;
    } else {
        tour(demo, &world).await;
    }
    ExitCode::SUCCESS
}

/// Whose tour, and whether only to serve; `None`: that is no way to call this.
fn understood(mut arguments: impl Iterator<Item = String>) -> Option<(&'static Demo, bool)> {
    let (mut demo, mut serves) = (&DEMOS[0], false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--serve" => serves = true,
            "--provider" => {
                let name = arguments.next()?;
                demo = DEMOS.iter().find(|demo| demo.service.name == name)?;
            }
            _ => return None,
        }
    }
    Some((demo, serves))
}

fn destinations(demo: &Demo) -> [String; 2] {
    ["acme/infra", "acme/api"].map(|repository| format!("{repository}:{}", demo.secret))
}

/// Prints how to reach the fakes, and keeps them running.
async fn serve(demo: &Demo, world: &World) {
    println!("github={}", world.github.url());
    println!("{}={}", demo.service.name, world.provider.url());
    println!("provider-token={}", world.provider_token());
    println!("github-token={}", world.github_token());
    println!("repository={REPOSITORY}");
    println!("token={TOKEN}");
    println!("ready=true");
    println!("\nIn another terminal, and then as README.md says:\n");
    for (variable, value) in [
        ("CROSSFADE_GITHUB_API_URL", world.github.url().as_str()),
        ("CROSSFADE_GITHUB_TOKEN", world.github_token()),
        ("CROSSFADE_PROVIDER", world.provider.service().name),
        ("CROSSFADE_PROVIDER_URL", &world.provider.url()),
        ("CROSSFADE_PROVIDER_TOKEN", world.provider_token()),
        ("CROSSFADE_REPOSITORY", REPOSITORY),
        ("CROSSFADE_TOKEN", TOKEN),
        ("CROSSFADE_SECRETS", &world.destinations().join("\n")),
    ] {
        println!("export {variable}='{value}'");
    }
    let file = demo.service.configuration().map(|text| {
        let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
        std::fs::write(&file, text).unwrap();
        println!("export CROSSFADE_CONFIG='{}'", file.path().display());
        println!("export LIGHTHOUSE_ADMIN_KEY='{}'", world.provider_token());
        file
    });
    // Built together with this program, the command lies one folder up.
    let here = std::env::current_exe().unwrap();
    let built = here.ancestors().nth(2).filter(|folder| folder.join("crossfade").exists());
    if let Some(folder) = built {
        println!("export PATH='{}':\"$PATH\"", folder.display());
    }
    world.github.add_credential(Credential::new("reader", READ_ONLY).read_only());
    println!("\n# With a credential that may not write secrets, `doctor` finds that:");
    println!("# CROSSFADE_GITHUB_TOKEN='{READ_ONLY}' crossfade doctor");
    println!("\nCtrl-C ends the servers, and forgets everything.");
    // Kept until the program ends.
    let _file = file;
    loop {
        tokio::time::sleep(SECOND).await;
        world.clock.advance(SignedDuration::from_secs(1));
    }
}

async fn tour(demo: &Demo, world: &World) {
    let Demo { title, end, mint, .. } = demo;
    let old = world.original.value.clone();
    let accepts_old = || world.provider.is_accepted(&old);
    let holds_old = || holds(world, &old);

    say(
        1,
        "What is there",
        &format!(
            "Two servers run in this process: one plays GitHub, one plays {title}, a service that issues API \
             tokens. There is a token `ci-ingest` that {end}. Two repositories keep it in a secret, \
             acme/infra and acme/api. GitHub shows the value of a secret to no one, crossfade included."
        ),
    );
    let checkout = tempfile::tempdir().unwrap();
    let at = Sandbox { demo, world, checkout: checkout.path() };
    let mut runs: Vec<Ran> = at.set_up().await.into_iter().collect();

    say(
        2,
        "A permission is missing",
        "An administrator made the GitHub credential without the right to write secrets. `doctor` finds it before a \
         rotation does, and says what to do. Then it is fixed.",
    );
    world.github.change_credential(world.github_token(), Credential::read_only);
    let broken = show(&at.crossfade("doctor")).await;
    check("the doctor found it", broken.exit_code == 1 && broken.stdout.contains("read and write"));
    world.github.change_credential(world.github_token(), Credential::read_and_write);
    let healthy = show(&at.crossfade("doctor")).await;
    check("now a rotation would work", healthy.exit_code == 0);
    check("GitHub still holds the old token", holds_old());

    say(3, "What would happen", "A dry run looks at everything and changes nothing.");
    let planned = show(&at.crossfade("rotate").flag("--dry-run")).await;
    check("the dry run planned a rotation", planned.stdout.starts_with("would rotate"));
    check("GitHub still holds the old token", holds_old());

    say(
        4,
        "The rotation, and a deployment",
        &format!(
            "Without --dry-run, crossfade {mint}. It asks {title} whether it \
             accepts the new value; if the reply does not show that, the report says *unverified*. Then it seals the \
             value with each repository's public key and writes it. The previous token stays valid for 7 days: a job \
             that was queued a minute ago still uses it. An application that was deployed with it does not read \
             secrets by itself, so the configuration names the workflow that deploys it."
        ),
    );
    let rotated = show(&at.crossfade("rotate")).await;
    check("every destination acknowledged the new token", rotated.exit_code == 0);
    check("GitHub holds a new token, opened with its private key", !holds_old());
    check("what each secret holds is accepted", world.unaccepted().is_empty());
    check("what a queued job carries is accepted", accepts_old());
    check("the new token may do what the old one could", world.changed_privileges().is_empty());
    check("the workflow was started once", world.github.runs(DEPLOYED, DEPLOY).len() == 1);

    say(
        5,
        "The next day",
        "The schedule runs again. Nothing is due, so it costs one look at the provider and one at each \
         repository; until the overlap is over, also one at the runs of the workflow.",
    );
    world.advance_days(1);
    world.github.forget_requests();
    world.provider.forget_requests();
    let fresh = show(&at.crossfade("rotate")).await;
    check("no token was created", fresh.stdout.starts_with("fresh"));
    check("one request to the provider: its list of tokens", world.provider.requests().len() == 1);
    check("the workflow was not started again", world.github.runs(DEPLOYED, DEPLOY).len() == 1);

    say(6, "A week later", demo.overlap);
    world.advance_days(7);
    runs.extend([broken, healthy, planned, rotated, fresh]);
    if demo.is_retired {
        runs.push(show(&at.crossfade("rotate")).await);
        world.advance_days(8);
        runs.push(show(&at.crossfade("rotate")).await);
        let original = world.provider.token(&world.original.id);
        check("in the end the previous token is deleted", original.is_none_or(|token| token.deleted));
    }
    check("the previous token is no longer accepted", !accepts_old());
    check("what each secret holds is accepted", world.unaccepted().is_empty());

    say(
        7,
        "An issue while something fails",
        "The GitHub credential loses its access to acme/api. With --report-issue, crossfade keeps an issue open as \
         long as a rotation fails, and closes it when all is well.",
    );
    let reporting = || at.crossfade("rotate").flag("--report-issue");
    let issue = || world.github.issues(REPOSITORY).pop();
    world.github.break_scope("acme/api", On::Reads, 404);
    runs.push(show(&reporting()).await);
    check("an issue is open", issue().is_some_and(|issue| issue.is_open));
    world.github.repair();
    runs.push(show(&reporting()).await);
    check("it was closed with a comment", issue().is_some_and(|it| !it.is_open && it.comments.len() == 1));

    let printed = runs.iter().map(Ran::everything).collect::<Vec<_>>().join("\n");
    check(
        "no part of any secret was printed",
        support::leaks::find_leaks(&printed, &world.secrets()).is_empty(),
    );
    world.assert_no_violations();
    println!("\nThat is the whole job. README.md shows the same as a scheduled workflow.");
}

/// Where the commands of the tour run.
struct Sandbox<'a> {
    demo: &'a Demo,
    world: &'a World,
    checkout: &'a Path,
}

impl Sandbox<'_> {
    /// A command in the checkout, which finds the servers by variables.
    fn crossfade(&self, command: &str) -> Invocation {
        let Self { world, checkout, demo } = self;
        Invocation::of(command)
            .credentials(world)
            .env(&credential_of(demo), world.provider_token())
            .env("CROSSFADE_CONFIG", checkout.join(CONFIG).to_str().unwrap())
            .env("CROSSFADE_PROVIDER_URL", &world.provider.url())
            .env("CROSSFADE_GITHUB_API_URL", &world.github.url())
            .env("CROSSFADE_REPOSITORY", REPOSITORY)
            .env("GITHUB_WORKSPACE", checkout.to_str().unwrap())
            .env("LANG", "C.UTF-8")
    }

    /// `crossfade init` in an empty checkout; for a service that is not built in, what the
    /// documentation shows.
    async fn set_up(&self) -> Option<Ran> {
        let ran = match self.demo.service.configuration() {
            None => {
                println!(
                    "`init` writes the configuration and the workflow; at a terminal it asks, and lists what there is.\n"
                );
                let init = self.crossfade("init").flag("--yes").arg("--provider", self.demo.service.name);
                let init = init.arg("--token", TOKEN);
                let secrets = destinations(self.demo);
                let ran = show(&secrets.iter().fold(init, |init, secret| init.arg("--secret", secret))).await;
                check("the configuration and the workflow are there", ran.exit_code == 0);
                Some(ran)
            }
            Some(shown) => {
                let both = destinations(self.demo).map(|secret| format!("{secret:?}")).join(", ");
                let shown = shown.replace(&format!("[{}]", self.demo.secret), &format!("[{both}]"));
                std::fs::create_dir_all(self.checkout.join(WORKFLOW).parent().unwrap()).unwrap();
                std::fs::write(self.checkout.join(CONFIG), shown).unwrap();
                std::fs::write(self.checkout.join(WORKFLOW), include_str!("workflows/rotate.yml")).unwrap();
                None
            }
        };
        self.world.github.add_workflow(DEPLOYED, DEPLOY);
        let after = format!("    after: [{{ repository: {DEPLOYED}, workflow: {DEPLOY}, ref: main }}]\n");
        println!("To the end of {CONFIG}, for step 4:\n\n{after}");
        let config = self.checkout.join(CONFIG);
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(config, text + &after).unwrap();
        ran
    }
}

/// The variable that the configuration names for the provider credential.
fn credential_of(demo: &Demo) -> String {
    match demo.service.configuration() {
        None => format!("{}_ADMIN_TOKEN", demo.service.name.to_uppercase()),
        Some(_) => "LIGHTHOUSE_ADMIN_KEY".to_owned(),
    }
}

/// Whether every secret holds this value.
fn holds(world: &World, value: &str) -> bool {
    let holds =
        |destination: &String| world.github.secret(destination).is_some_and(|held| held.value == value);
    world.destinations().iter().all(holds)
}

fn say(step: usize, title: &str, text: &str) {
    println!(
        "\n── {step}. {title} {}\n{}\n",
        "─".repeat(70_usize.saturating_sub(title.len())),
        wrapped(text)
    );
}

/// The text in lines of at most 100 characters.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + word.chars().count() < 100 => {
                line.push_str(&format!(" {word}"))
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

/// Runs crossfade and shows the command and what it printed.
async fn show(invocation: &Invocation) -> Ran {
    println!("  $ crossfade {}\n", invocation.arguments.join(" "));
    let ran = invocation.run().await;
    for line in ran.stdout.lines().chain(ran.stderr.lines()) {
        println!("  │ {line}");
    }
    println!();
    ran
}

fn check(what: &str, holds: bool) {
    assert!(holds, "not true: {what}");
    println!("  ✓ {what}");
}
