//! HTTP/1.1 messages on a socket: just enough to pass them on, or to break them.

use std::io;

use http::{HeaderName, HeaderValue};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use url::Url;

use super::super::reply::{Reply, Request};

/// One side's socket.
pub(super) type Socket = BufReader<TcpStream>;

/// A request or a reply, read whole. Header values may be any bytes.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// `GET /path HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub(super) start: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// A reply of our own. Its date, if any, is the caller's.
    pub(super) fn reply(status: u16, kind: &str, body: &str) -> Self {
        let reason =
            http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Fault");
        let mut headers = Vec::new();
        if !kind.is_empty() {
            headers.push(("content-type".to_owned(), kind.into()));
        }
        Self { start: format!("HTTP/1.1 {status} {reason}"), headers, body: body.into() }
    }

    /// A request as a fake sees it.
    pub(super) fn received(&self) -> Request {
        let host = String::from_utf8_lossy(self.header("host").unwrap_or(b"localhost")).into_owned();
        let name = |name: &str| HeaderName::from_bytes(name.as_bytes()).unwrap();
        Request {
            method: self.word(0).parse().unwrap(),
            url: Url::parse(&format!("http://{host}{}", self.word(1))).unwrap(),
            headers: self
                .headers
                .iter()
                .map(|(known, value)| (name(known), HeaderValue::from_bytes(value).unwrap()))
                .collect(),
            body: self.body.clone(),
        }
    }

    /// A header's value; the name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.into()));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| known != name);
    }

    /// One word of the first line.
    pub(super) fn word(&self, place: usize) -> &str {
        self.start.split(' ').nth(place).unwrap_or_default()
    }

    pub(super) fn says_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"))
    }

    /// The status of a reply.
    fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or_default()
    }

    /// Whether a reply with this status can have a body.
    pub(super) fn may_have_body(&self) -> bool {
        !matches!(self.status(), 100..=199 | 204 | 304)
    }

    /// As it goes over the wire, framed by `content-length`.
    pub(super) fn bytes(&self, length: usize) -> Vec<u8> {
        let mut out = format!("{}\r\n", self.start).into_bytes();
        for (name, value) in &self.headers {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
        let is_reply = self.start.starts_with("HTTP/");
        if (is_reply && self.may_have_body()) || (!is_reply && length > 0) {
            out.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }
}

impl From<Reply> for Message {
    fn from(reply: Reply) -> Self {
        let kind = if reply.body.is_some() { "application/json; charset=utf-8" } else { "" };
        let body = reply.body.map(|body| body.to_string()).unwrap_or_default();
        let mut message = Self::reply(reply.status, kind, &body);
        message
            .headers
            .extend(reply.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value.into_bytes())));
        message
    }
}

/// Writes a message in one piece.
pub(super) async fn write(socket: &mut Socket, message: &Message) -> io::Result<()> {
    write_claiming(socket, message, message.body.len()).await
}

/// Writes a message that claims a body of another length than it has.
pub(super) async fn write_claiming(socket: &mut Socket, message: &Message, length: usize) -> io::Result<()> {
    socket.get_mut().write_all(&message.bytes(length)).await
}

/// Reads a request; `None` when the client has gone.
pub(super) async fn read_request(socket: &mut Socket) -> io::Result<Option<Message>> {
    let Some(mut message) = read_head(socket).await? else { return Ok(None) };
    read_body(socket, &mut message, false).await?;
    Ok(Some(message))
}

/// Reads a reply.
pub(super) async fn read_reply(socket: &mut Socket) -> io::Result<Message> {
    let mut message = read_head(socket).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    if message.may_have_body() {
        read_body(socket, &mut message, true).await?;
    }
    Ok(message)
}

/// Waits until the client hangs up.
pub(super) async fn until_closed(socket: &mut Socket) {
    let mut waste = [0; 256];
    while socket.read(&mut waste).await.is_ok_and(|read| read > 0) {}
}

async fn read_head(socket: &mut Socket) -> io::Result<Option<Message>> {
    let Some(start) = read_line(socket).await? else { return Ok(None) };
    let mut headers = Vec::new();
    while let Some(line) = read_line(socket).await? {
        if line.is_empty() {
            let start = String::from_utf8_lossy(&start).into_owned();
            return Ok(Some(Message { start, headers, body: Vec::new() }));
        }
        let colon = line.iter().position(|byte| *byte == b':').ok_or(io::ErrorKind::InvalidData)?;
        let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
        headers.push((name, line[colon + 1..].trim_ascii().to_vec()));
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// A line without its end; `None` at the end of the stream.
async fn read_line(socket: &mut Socket) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if socket.read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(Some(line))
}

/// Reads a body and takes its framing off the headers.
async fn read_body(socket: &mut Socket, message: &mut Message, to_the_end: bool) -> io::Result<()> {
    let length = message.header("content-length").and_then(|v| String::from_utf8_lossy(v).parse().ok());
    if message.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case(b"chunked")) {
        read_chunks(socket, &mut message.body).await?;
    } else if let Some(length) = length {
        message.body.resize(length, 0);
        socket.read_exact(&mut message.body).await?;
    } else if to_the_end {
        socket.read_to_end(&mut message.body).await?;
    }
    message.remove("content-length");
    message.remove("transfer-encoding");
    Ok(())
}

async fn read_chunks(socket: &mut Socket, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let line = read_line(socket).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let size = String::from_utf8_lossy(&line);
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        if size == 0 {
            // Trailers, if any, end with an empty line.
            while read_line(socket).await?.is_some_and(|line| !line.is_empty()) {}
            return Ok(());
        }
        let start = body.len();
        body.resize(start + size, 0);
        socket.read_exact(&mut body[start..]).await?;
        read_line(socket).await?;
    }
}
