//! A fake's HTTP/1.1 server, with the faults inside.
//!
//! Server libraries keep connections whole and replies complete; this one need not.
//! [`fault`] says what can go wrong, [`wire`] reads and writes messages.

mod fault;
mod wire;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};

use super::events::{Event, Observers, Peer};
use super::reply::{Reply, Request};
use super::world::World;
use wire::{Message, Socket};

pub use fault::{Act, Fault, Faults, Gate, Passing, Target, When};

/// The state of a fake, which answers requests.
pub trait Fake: Send {
    /// The reply to a request, which has its effect by then; and what observers are told.
    fn serve(&mut self, request: &Request) -> (Reply, Event);

    /// The `Date` of a reply that the server makes up; `None`: it has none.
    fn date(&self) -> Option<String>;
}

/// What is behind a server.
#[derive(Clone)]
pub enum Upstream {
    /// A fake, in this process, and who observes it.
    Fake(Arc<Mutex<dyn Fake>>, Observers),
    /// A real server. What is made up has no date.
    Address(SocketAddr),
}

/// A server. Stops when it is dropped.
pub struct Server {
    url: String,
    connections: watch::Receiver<usize>,
    _stop: oneshot::Sender<()>,
}

/// What a server's connections share.
#[derive(Clone)]
struct Post {
    peer: Peer,
    upstream: Upstream,
    faults: Faults,
    connections: Arc<watch::Sender<usize>>,
}

impl Server {
    /// Starts a server whose API begins at `path`.
    #[must_use]
    pub fn start(peer: Peer, upstream: Upstream, path: &str, faults: &Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        let (count, connections) = watch::channel(0);
        let post = Post { peer, upstream, faults: faults.clone(), connections: Arc::new(count) };
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
        Self { url, connections, _stop: stop }
    }

    /// Waits until no client is connected: what a client that is gone had sent
    /// has been processed by then.
    pub async fn quiet(&self) {
        let mut connections = self.connections.clone();
        // An error means that the server has stopped.
        let _ = connections.wait_for(|count| *count == 0).await;
    }

    /// The URL to give to a client.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Servers with faults for both fakes of a scene.
pub struct Front {
    /// GitHub.
    pub github: Server,
    /// The provider.
    pub provider: Server,
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
    /// A further server of each fake, with faults. They are noted in the journal.
    #[must_use]
    pub fn behind(&self, faults: &Faults) -> Front {
        faults.note_in(&self.journal);
        Front { github: self.github.behind(faults), provider: self.axiom.behind(faults) }
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
        wire::write(client, &reply).await?;
        Ok(!reply.says_close())
    }

    /// What is behind answers: a real server over the connection that is there, or a new one.
    async fn forward(&self, request: &Message, connection: &mut Option<Socket>) -> io::Result<Message> {
        let address = match &self.upstream {
            Upstream::Fake(fake, observers) => {
                let (reply, event) = fake.lock().unwrap().serve(&request.received());
                observers.notify(&event);
                // Even a wait of nothing would last until the next tick of the timer.
                if !reply.delay.is_zero() {
                    tokio::time::sleep(reply.delay).await;
                }
                return Ok(Message::from(reply));
            }
            Upstream::Address(address) => address,
        };
        if connection.is_none() {
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            *connection = Some(BufReader::new(socket));
        }
        let socket = connection.as_mut().expect("connected above");
        wire::write(socket, request).await?;
        let reply = wire::read_reply(socket).await?;
        if reply.says_close() {
            *connection = None;
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
        if let Upstream::Fake(fake, _) = &self.upstream
            && let Some(date) = fake.lock().unwrap().date()
        {
            reply.set("date", date);
        }
        if let Some(seconds) = retry_after {
            reply.set("retry-after", seconds.to_string());
        }
        Some(reply)
    }
}

/// GitHub's words, by which clients tell this 403 from a missing permission.
const SECONDARY: &str = r#"{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.","documentation_url":"https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"}"#;
