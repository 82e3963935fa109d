//! A JupyterHub process, and what it knows of its tokens.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, json_of};

/// The token of the service that may manage every user's tokens.
const ADMIN: &str = "f2a94c1be07d4d3d8a56b1c9e3f7042d";

/// The longest wait for a start: seconds, on a machine that does nothing else.
const START: Duration = Duration::from_secs(120);

/// A running hub with a database of its own. Clones are the same hub.
#[derive(Clone)]
pub(crate) struct Hub {
    python: PathBuf,
    folder: Arc<TempDir>,
    port: u16,
    process: Arc<Mutex<Child>>,
}

impl Hub {
    /// Starts a hub; `None`, with a message, where JupyterHub is not installed and not
    /// required.
    pub(crate) fn start() -> Option<Self> {
        let Some(python) = std::env::var_os("JUPYTERHUB_PYTHON").map(PathBuf::from) else {
            assert_ne!(
                std::env::var("JUPYTERHUB_TESTS").as_deref(),
                Ok("required"),
                "JUPYTERHUB_PYTHON is not set"
            );
            let skipped =
                b"skipped: JUPYTERHUB_PYTHON names no Python with JupyterHub; `.ci/run tests` installs it.\n";
            std::io::stderr().write_all(skipped).unwrap();
            return None;
        };
        let folder = Arc::new(tempfile::tempdir().unwrap());
        // Below the ports that systems give to whoever asks for any.
        let port = (20_000 + rand::random_range(0..10_000_u16)..)
            .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
            .unwrap();
        let process = Arc::new(Mutex::new(spawn(&python, &folder, port)));
        let hub = Self { python, folder, port, process };
        hub.wait();
        Some(hub)
    }

    /// Where the hub listens.
    pub(crate) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The API's URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hub/api", self.port)
    }

    /// The credential of the service that may manage every user's tokens.
    pub(crate) fn admin(&self) -> &'static str {
        ADMIN
    }

    /// Kills the process, as a failing machine does, and starts it on the same database.
    pub(crate) fn kill_and_restart(&self) {
        let mut process = self.process.lock().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        *process = spawn(&self.python, &self.folder, self.port);
        drop(process);
        self.wait();
    }

    /// Waits until the hub accepts connections. The port opens when it is ready.
    fn wait(&self) {
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.process.lock().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the hub ended: {}", self.log());
            assert!(started.elapsed() < START, "the hub does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("hub.log")).unwrap_or_default()
    }

    /// Creates a token for a user: its record, with its value in `token`.
    pub(crate) async fn create(&self, user: &str, note: &str, scopes: &[&str]) -> Value {
        let body = json!({ "note": note, "expires_in": 5 * 24 * 3600, "scopes": scopes });
        let path = format!("/users/{user}/tokens");
        let reply = Client::new(&self.url(), ADMIN).send(Method::POST, &path, Some(body)).await;
        assert_eq!(reply.status(), 201);
        json_of(reply).await
    }

    /// Every token of a user that the hub still lists.
    pub(crate) async fn tokens(&self, user: &str) -> Vec<Value> {
        let reply = Client::new(&self.url(), ADMIN).get(&format!("/users/{user}/tokens")).await;
        json_of(reply).await["api_tokens"].as_array().unwrap().clone()
    }

    /// Whose token a value is: its id, if the hub accepts it.
    pub(crate) async fn accepts(&self, value: &str) -> Option<String> {
        let reply = Client::new(&self.url(), value).get("/user").await;
        if reply.status() != 200 {
            return None;
        }
        Some(json_of(reply).await["token_id"].as_str().unwrap().to_owned())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if Arc::strong_count(&self.process) == 1 {
            let mut process = self.process.lock().unwrap();
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn spawn(python: &PathBuf, folder: &TempDir, port: u16) -> Child {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/jupyterhub/jupyterhub_config.py");
    let log = std::fs::File::options().create(true).append(true).open(folder.path().join("hub.log")).unwrap();
    Command::new(python)
        .args(["-m", "jupyterhub", "-f", config])
        .current_dir(folder.path())
        .env("HUB_DIR", folder.path())
        .env("HUB_PORT", port.to_string())
        .env("HUB_ADMIN_TOKEN", ADMIN)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
