//! Faults between a client and a fake: a small HTTP/1.1 proxy.
//!
//! The server library cannot cut a connection or leave a date out; this can.
//! [`fault`] says what can go wrong, [`wire`] reads and writes messages.

mod fault;
mod wire;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};

use super::events::Peer;
use super::world::World;
use wire::{Message, Socket};

pub use fault::{Act, Fault, Faults, Gate, Passing, Target, When};

/// The `Date` of a reply that the proxy makes up.
pub type Dates = Arc<dyn Fn() -> String + Send + Sync>;

/// A proxy in front of one fake. Stops when it is dropped.
pub struct FaultProxy {
    url: String,
    strip_date: Arc<AtomicBool>,
    connections: watch::Receiver<usize>,
    _stop: oneshot::Sender<()>,
}

/// What a proxy's connections share.
#[derive(Clone)]
struct Post {
    peer: Peer,
    upstream: SocketAddr,
    faults: Faults,
    dates: Dates,
    strip_date: Arc<AtomicBool>,
    connections: Arc<watch::Sender<usize>>,
}

impl FaultProxy {
    /// Starts a proxy in front of `upstream`, a URL on a loopback address.
    #[must_use]
    pub fn start(peer: Peer, upstream: &str, faults: &Faults, dates: Dates) -> Self {
        let upstream = url::Url::parse(upstream).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let path = upstream.path().trim_end_matches('/');
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        let strip_date = Arc::new(AtomicBool::new(false));
        let upstream = upstream.socket_addrs(|| None).unwrap()[0];
        let (count, connections) = watch::channel(0);
        let post = Post {
            peer,
            upstream,
            faults: faults.clone(),
            dates,
            strip_date: Arc::clone(&strip_date),
            connections: Arc::new(count),
        };
        let (stop, stopped) = oneshot::channel();
        // A thread of its own: tests may block theirs while a client runs.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, post) => {}
                }
            });
        });
        Self { url, strip_date, connections, _stop: stop }
    }

    /// Waits until no client is connected: what a client that is gone had sent
    /// has been processed by then.
    pub async fn quiet(&self) {
        let mut connections = self.connections.clone();
        // An error means that the proxy has stopped.
        let _ = connections.wait_for(|count| *count == 0).await;
    }

    /// The URL to give to a client instead of the fake's.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Takes the `Date` header off every reply, and leaves it out of its own.
    pub fn strip_date(&self, strip: bool) {
        self.strip_date.store(strip, Ordering::Relaxed);
    }
}

/// The proxies in front of both fakes of a scene.
pub struct Front {
    /// In front of GitHub.
    pub github: FaultProxy,
    /// In front of the provider.
    pub provider: FaultProxy,
}

impl Front {
    /// Waits until no client is connected to either side.
    pub async fn quiet(&self) {
        // What a client sent with its last breath may not have been accepted yet.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        tokio::join!(self.github.quiet(), self.provider.quiet());
    }
}

impl World {
    /// Puts a proxy in front of each fake. Faults are noted in the journal.
    #[must_use]
    pub fn behind(&self, faults: &Faults) -> Front {
        faults.note_in(&self.journal);
        let (github, axiom) = (self.github.detached(), self.axiom.detached());
        let github_dates: Dates = Arc::new(move || github.date());
        let axiom_dates: Dates = Arc::new(move || axiom.date());
        Front {
            github: FaultProxy::start(Peer::Github, &self.github.url(), faults, github_dates),
            provider: FaultProxy::start(Peer::Provider, &self.axiom.url(), faults, axiom_dates),
        }
    }
}

async fn accept(listener: TcpListener, post: Post) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((client, _)) = listener.accept().await {
        let post = post.clone();
        post.connections.send_modify(|count| *count += 1);
        tokio::spawn(async move {
            // An error means that the client or the fake closed the connection, which is
            // fine.
            let _ = post.serve(client).await;
            post.connections.send_modify(|count| *count -= 1);
        });
    }
}

impl Post {
    /// Serves a connection until it is closed.
    async fn serve(&self, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut client = BufReader::new(client);
        let mut upstream = None;
        while let Some(request) = wire::read_request(&mut client).await? {
            let last = request.says_close();
            if !self.pass(request, &mut client, &mut upstream).await? || last {
                break;
            }
        }
        Ok(())
    }

    /// Takes one request to its end; tells whether the connection lives on.
    async fn pass(
        &self,
        mut request: Message,
        client: &mut Socket,
        upstream: &mut Option<Socket>,
    ) -> io::Result<bool> {
        let (passing, faults) = self.faults.take(self.peer, request.word(0), request.word(1));
        for fault in &faults {
            match fault {
                Fault::Hook { when: When::Before, act, close } => {
                    act(&passing);
                    if *close {
                        return Ok(false);
                    }
                }
                Fault::Hold { when: When::Before, gate } => gate.pass().await,
                Fault::Delay(delay) => tokio::time::sleep(*delay).await,
                Fault::CloseBefore => return Ok(false),
                Fault::NoAnswer { processed: false } => {
                    wire::until_closed(client).await;
                    return Ok(false);
                }
                other if !other.is_processed() => {
                    let reply = self.made_up(other).expect("a reply of its own");
                    wire::write(client, &reply).await?;
                    return Ok(true);
                }
                _ => {}
            }
        }
        request.remove("connection");
        let mut reply = self.forward(&request, upstream).await?;
        let length = reply.body.len();
        for fault in &faults {
            match fault {
                Fault::Hook { when: When::After, act, close } => {
                    act(&passing);
                    if *close {
                        return Ok(false);
                    }
                }
                Fault::Hold { when: When::After, gate } => gate.pass().await,
                Fault::CloseAfter => return Ok(false),
                Fault::Rewrite(rewrite) => rewrite(&mut reply.headers, &mut reply.body),
                Fault::NoAnswer { processed: true } => {
                    wire::until_closed(client).await;
                    return Ok(false);
                }
                Fault::TruncatedJson => {
                    reply.body.truncate(length / 2);
                    reply.set("connection", "close");
                    wire::write(client, &reply).await?;
                    return Ok(false);
                }
                Fault::CutBody => {
                    // One byte is claimed even of an empty body, and never comes.
                    reply.body.truncate(length / 2);
                    wire::write_claiming(client, &reply, length.max(1)).await?;
                    return Ok(false);
                }
                other => {
                    if let Some(instead) = self.made_up(other) {
                        reply = instead;
                    }
                }
            }
        }
        if self.strip_date.load(Ordering::Relaxed) {
            reply.remove("date");
        }
        wire::write(client, &reply).await?;
        Ok(!reply.says_close())
    }

    /// Passes a request on, over the connection that is there or a new one.
    async fn forward(&self, request: &Message, upstream: &mut Option<Socket>) -> io::Result<Message> {
        if upstream.is_none() {
            let socket = TcpStream::connect(self.upstream).await?;
            socket.set_nodelay(true)?;
            *upstream = Some(BufReader::new(socket));
        }
        let socket = upstream.as_mut().expect("connected above");
        wire::write(socket, request).await?;
        let reply = wire::read_reply(socket).await?;
        if reply.says_close() {
            *upstream = None;
        }
        Ok(reply)
    }

    /// The reply that a fault gives instead of the fake's.
    fn made_up(&self, fault: &Fault) -> Option<Message> {
        const JSON: &str = "application/json; charset=utf-8";
        const HTML: &str = "text/html";
        let page = "<html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>";
        let (mut reply, retry_after) = match fault {
            Fault::Status { code, .. } => {
                (Message::reply(*code, JSON, r#"{"message":"Server Error"}"#), None)
            }
            Fault::Html502 { .. } => (Message::reply(502, HTML, page), None),
            Fault::TooMany { retry_after } => {
                (Message::reply(429, JSON, r#"{"message":"rate limit exceeded"}"#), *retry_after)
            }
            Fault::Secondary403 { retry_after } => (Message::reply(403, JSON, SECONDARY), *retry_after),
            Fault::Html404 => (Message::reply(404, HTML, page), None),
            Fault::Empty200 | Fault::Swallowed => (Message::reply(200, "", ""), None),
            Fault::WrongJson | Fault::SwallowedJson => {
                (Message::reply(200, JSON, r#"{"message":"ok"}"#), None)
            }
            Fault::WrongHtml => (Message::reply(200, HTML, "<html><body>Sign in</body></html>"), None),
            _ => return None,
        };
        if !self.strip_date.load(Ordering::Relaxed) {
            reply.set("date", (self.dates)());
        }
        if let Some(seconds) = retry_after {
            reply.set("retry-after", seconds.to_string());
        }
        Some(reply)
    }
}

/// GitHub's words, by which clients tell this 403 from a missing permission.
const SECONDARY: &str = r#"{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.","documentation_url":"https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"}"#;
