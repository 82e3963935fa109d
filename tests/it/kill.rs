//! SIGKILL to the built binary, and that the matrix's way of killing is the same.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::scene::{Credential, PATIENT, Scene};
use crate::support::marker::Marker;
use crate::support::proxy::{Passing, When};
use crate::support::{Fault, Target, World};

/// The requests of a clean run of the standard scene.
const REQUESTS: usize = 7;

/// What the fakes hold, without what differs from run to run: each token's
/// parent, end, fate and window, and which of them lies in the secret.
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
        // Whoever kills waits until there is somebody to kill.
        let mut child = child.lock().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.env_clear().envs(&run.environment).args(&run.arguments);
        *child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
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
