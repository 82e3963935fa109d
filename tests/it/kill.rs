//! Signals to the built binary: SIGKILL, and that the matrix's way of killing is the
//! same; SIGTERM and SIGINT, by which a job is cancelled.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::scene::{Credential, PATIENT, Scene};
use crate::support::marker::Marker;
use crate::support::server::{Gate, Passing, When};
use crate::support::{Fault, Invocation, Ran, Target, World};

/// The requests of a clean run of the standard scene.
const REQUESTS: usize = 7;

/// What the fakes hold, without what differs from run to run: each token's
/// parent, end, acceptance and window, and which of them lies in the secret.
type Picture = (Vec<(Option<String>, Option<Timestamp>, bool, Option<Timestamp>)>, Option<String>);

fn picture(scene: &Scene) -> Picture {
    let tokens = scene.world.axiom.tokens().into_iter().map(|token| {
        let until = Marker::find(token.description()).map(|marker| marker.until);
        (token.parent, token.expires_at, token.deleted, until)
    });
    (tokens.collect(), scene.world.held("acme/infra:AXIOM_TOKEN").map(|token| token.id))
}

fn hook(when: When, act: impl Fn(&Passing) + Send + Sync + 'static) -> Fault {
    match when {
        When::Before => Fault::before(act).and_close(),
        When::After => Fault::after(act).and_close(),
    }
}

/// The built binary, to be run like this.
fn binary(run: &Invocation) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.env_clear().envs(&run.environment).args(&run.arguments);
    command
}

async fn scene() -> Scene {
    Scene::new(World::start().await, Credential::Admin).watch()
}

/// The binary, killed by the kernel while its n-th request is at the fake.
async fn killed_process(n: usize, when: When) -> Scene {
    let scene = scene().await;
    let child: Arc<Mutex<Option<Child>>> = Arc::default();
    let victim = Arc::clone(&child);
    let kill = move |_: &Passing| {
        let mut victim = victim.lock().unwrap();
        let child = victim.as_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    };
    scene.faults.inject(Target::Nth(n), hook(when, kill));
    let run = scene.rotate(PATIENT);
    {
        // Wait until the process runs before killing it.
        let mut child = child.lock().unwrap();
        *child = Some(binary(&run).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }
    let waiting = Arc::clone(&child);
    let ended = move || loop {
        if let Some(status) = waiting.lock().unwrap().as_mut().unwrap().try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    let status = tokio::task::spawn_blocking(ended).await.unwrap();
    assert_eq!(status.code(), None, "killed at request {n}");
    scene.front.quiet().await;
    scene
}

/// The same, by never polling the run again.
async fn dropped_run(n: usize, when: When) -> Scene {
    let scene = scene().await;
    let killed = Arc::new(Notify::new());
    let kill = Arc::clone(&killed);
    scene.faults.inject(Target::Nth(n), hook(when, move |_| kill.notify_one()));
    scene.rotate(PATIENT).run_or_die(killed.notified()).await;
    scene.front.quiet().await;
    scene
}

#[tokio::test]
async fn a_killed_process_leaves_what_a_dropped_run_leaves_and_the_next_run_heals_it() {
    for n in 1..=REQUESTS {
        for when in [When::Before, When::After] {
            let scene = killed_process(n, when).await;
            assert_eq!(picture(&scene), picture(&dropped_run(n, when).await), "request {n}, {when:?}");
            scene.later();
            let ran = scene.run().await;
            assert_eq!(ran.exit_code, 0, "request {n}, {when:?}: {}", ran.everything());
            assert_eq!(scene.world.undelivered(), Vec::<String>::new());
            scene.world.advance_days(8);
            scene.run().await;
            assert_eq!(scene.world.uncollected(), Vec::<String>::new());
            assert_eq!(scene.broken(), Vec::<String>::new(), "request {n}, {when:?}");
        }
    }
}

/// The binary, cancelled while a request is at the fake, and what it reported.
#[cfg(unix)]
async fn cancelled_process(scene: &Scene, signal: &'static str, target: Target, when: When) -> Ran {
    let gate = Gate::new();
    scene.faults.inject(target, Fault::Hold { when, gate: gate.clone() });
    let child = binary(&scene.rotate(PATIENT)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    gate.reached().await;
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    gate.open();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let exit_code = output.status.code().expect("not killed by the signal").try_into().unwrap();
    Ran { exit_code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[cfg(unix)]
#[tokio::test]
async fn a_cancelled_process_mints_no_more_and_delivers_what_it_minted() {
    for signal in ["-TERM", "-INT"] {
        let scene = scene().await;
        let before = scene.world.axiom.tokens().len();
        let ran = cancelled_process(&scene, signal, Target::on("GET", "public-key"), When::After).await;
        assert_eq!(ran.exit_code, 1, "{signal}: {}", ran.everything());
        assert!(ran.everything().contains("the run was stopped"), "{signal}: {}", ran.everything());
        assert_eq!(scene.world.axiom.tokens().len(), before, "{signal}");

        let ran = cancelled_process(&scene, signal, Target::on("POST", "/regenerate"), When::After).await;
        assert_eq!(ran.rotation()["outcome"], "rotated", "{signal}: {}", ran.everything());
        assert_eq!(scene.world.undelivered(), Vec::<String>::new(), "{signal}");
        assert_eq!(scene.broken(), Vec::<String>::new(), "{signal}");
    }
}

/// The binary with its log as it comes.
#[cfg(unix)]
struct Interrupted {
    child: Child,
    log: std::sync::mpsc::Receiver<String>,
    seen: String,
}

#[cfg(unix)]
impl Interrupted {
    fn start(run: &Invocation) -> Self {
        let mut child = binary(run).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = std::io::BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in std::io::BufRead::lines(stderr).map_while(Result::ok) {
                sender.send(line).ok();
            }
        });
        Self { child, log, seen: String::new() }
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for a line of the log.
    async fn says(&mut self, words: &str) -> String {
        loop {
            let line = tokio::task::block_in_place(|| self.log.recv_timeout(PATIENT));
            let line = line.unwrap_or_else(|_| panic!("no {words:?} in\n{}", self.seen));
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(words) {
                return line;
            }
        }
    }

    async fn exit_code(&mut self) -> Option<i32> {
        tokio::task::block_in_place(|| self.child.wait().unwrap()).code()
    }
}

/// A run that received a first SIGINT while its only write is held back by the gate.
#[cfg(unix)]
async fn interrupted_delivery() -> (Scene, Gate, Interrupted) {
    let scene = scene().await;
    let gate = Gate::new();
    let write = Target::on("PUT", "/AXIOM_TOKEN");
    scene.faults.inject(write, Fault::Hold { when: When::Before, gate: gate.clone() });
    let run = Interrupted::start(&scene.rotate(PATIENT));
    gate.reached().await;
    run.signal("-INT");
    (scene, gate, run)
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_ends_a_delivery_at_once_and_the_next_run_finishes_it() {
    let (scene, gate, mut run) = interrupted_delivery().await;
    run.says("Stopping. The new token is still being delivered (0 of 1); nothing else is started.").await;
    // A cancelled job receives this some seconds after the first one: it must not cut
    // the delivery short.
    run.signal("-TERM");
    run.signal("-INT");
    let last = run.says("Stopped at once.").await;
    assert!(last.contains("0 of 1 secrets"), "{last}");
    run.says("Run crossfade again").await;
    assert_eq!(run.exit_code().await, Some(130));
    gate.open();
    scene.front.quiet().await;

    scene.later();
    let ran = scene.run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(scene.world.undelivered(), Vec::<String>::new());
    assert_eq!(scene.broken(), Vec::<String>::new());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_sigterm_after_a_sigint_lets_the_delivery_go_on() {
    let (scene, gate, mut run) = interrupted_delivery().await;
    run.says("Stopping.").await;
    run.signal("-TERM");
    gate.open();
    assert_eq!(run.exit_code().await, Some(0));
    assert_eq!(scene.world.undelivered(), Vec::<String>::new());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_ends_a_proof_at_once() {
    let scene = scene().await;
    let before = scene.world.axiom.live_tokens().len();
    let gate = Gate::new();
    scene
        .faults
        .inject(Target::on("DELETE", "/tokens/"), Fault::Hold { when: When::Before, gate: gate.clone() });
    let prove = Invocation::of("provider").flag("prove").flag("axiom").credentials(&scene.world);
    let prove = prove.arg("--provider", "axiom").arg("--provider-url", scene.front.provider.url());
    let prove = prove.arg("--token", "ci-ingest").arg("--secret", "AXIOM_TOKEN");
    let prove = prove.arg("--repository", "acme/infra");
    let mut run = Interrupted::start(&prove);
    gate.reached().await;
    run.signal("-INT");
    run.says("Stopping. A token that was created is still being deleted.").await;
    run.signal("-INT");
    run.says("Run `crossfade provider prove` again").await;
    assert_eq!(run.exit_code().await, Some(130));
    gate.open();
    scene.front.quiet().await;
    let ran = prove.run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(scene.world.axiom.live_tokens().len(), before);
}
