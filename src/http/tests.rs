use std::sync::Mutex;

use http::header::{AUTHORIZATION, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::clock::ClockId;

/// A service whose redirects are followed, and which refuses by 403 what is too much.
pub(super) const LENIENT: Peer = Peer {
    clock: ClockId::Github,
    policy: &PeerPolicy {
        name: None,
        follows_redirects: true,
        is_rate_limit: |reply| matches!(reply.status.as_u16(), 403 | 429),
        rests_after_rate_limit: true,
        quotes_pages: true,
    },
};

/// A service with the usual rules.
pub(super) const STRICT: Peer = Peer { clock: ClockId::Provider(0), policy: &PeerPolicy::STRICT };

impl Call {
    /// A read: may be repeated, and is answered with JSON.
    pub(super) fn get(peer: Peer, url: Url) -> Self {
        Self { retry: Retry::Idempotent, is_valid_body: json, ..Self::new(peer, Method::GET, url) }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply({})", self.status)
    }
}

impl Reply {
    /// A reply without a body, from nowhere.
    pub(crate) fn of(status: StatusCode, headers: HeaderMap) -> Self {
        let url = Url::parse("https://api.example/").unwrap();
        Self {
            status,
            headers,
            date: None,
            may_have_been_applied: false,
            url,
            body: Zeroizing::new(Vec::new()),
        }
    }

    /// The same reply with this body.
    pub(crate) fn with_body(self, body: &[u8]) -> Self {
        Self { body: Zeroizing::new(body.to_vec()), ..self }
    }
}

/// Waits little between attempts, and long for an answer: tests may run on a busy machine.
fn client() -> Http {
    let retry = RetryPolicy::for_timeout(Duration::from_millis(300));
    let settings = HttpSettings { request_timeout: Duration::from_secs(10), retry };
    Http::new(settings, Arc::new(Clock::default()))
}

/// Waits little for an answer, too.
fn impatient() -> Http {
    Http::new(HttpSettings::new(Duration::from_millis(300)), Arc::new(Clock::default()))
}

fn url(server: &MockServer, path: &str) -> Url {
    Url::parse(&server.uri()).unwrap().join(path).unwrap()
}

async fn count(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

/// Answers with each template in turn, then with the last one for ever.
async fn answers(server: &MockServer, templates: Vec<ResponseTemplate>) {
    let next = Mutex::new(0);
    let answer = move |_: &Request| {
        let mut next = next.lock().unwrap();
        let template = templates[(*next).min(templates.len() - 1)].clone();
        *next += 1;
        template
    };
    Mock::given(wiremock::matchers::any()).respond_with(answer).mount(server).await;
}

fn status(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status)
}

fn ok() -> ResponseTemplate {
    status(200).set_body_json(serde_json::json!({"a": 1}))
}

#[tokio::test]
async fn a_read_is_repeated_until_it_succeeds() {
    let server = MockServer::start().await;
    let torn = status(200).set_body_string("{\"a\":");
    answers(&server, vec![status(500), status(502), status(429), torn, status(200), ok()]).await;
    let reply = client().send(Call::get(LENIENT, url(&server, "/x"))).await;
    // Such a 429 without a time asks for half the cap.
    let reply = reply.unwrap();
    assert_eq!(reply.json::<serde_json::Value>().unwrap(), serde_json::json!({"a": 1}));
    assert_eq!(count(&server).await, 6);
}

#[tokio::test]
async fn a_refusal_after_a_doubtful_attempt_says_so() {
    for (first, may_have_been_applied) in [(500, true), (429, false)] {
        let server = MockServer::start().await;
        answers(&server, vec![status(first), status(422)]).await;
        let reply = client().send(Call::get(STRICT, url(&server, "/x"))).await.unwrap();
        assert_eq!(
            (reply.status.as_u16(), reply.may_have_been_applied),
            (422, may_have_been_applied),
            "{first}"
        );
    }
}

#[tokio::test]
async fn a_permanent_failure_is_returned_and_not_hammered() {
    let server = MockServer::start().await;
    answers(&server, vec![status(500)]).await;
    let reply = client().send(Call::get(STRICT, url(&server, "/x"))).await.unwrap();
    assert_eq!(reply.status, 500);
    assert!(count(&server).await <= 8);
}

#[tokio::test]
async fn a_mint_is_sent_exactly_once() {
    for answer in [status(500), status(429), status(503).insert_header("retry-after", "0"), ok()] {
        let server = MockServer::start().await;
        answers(&server, vec![answer.set_delay(Duration::from_millis(1)), ok()]).await;
        client().send(Call::new(STRICT, Method::POST, url(&server, "/mint"))).await.unwrap();
        assert_eq!(count(&server).await, 1);
    }
}

#[tokio::test]
async fn a_slow_mint_is_a_timeout_that_may_have_been_processed() {
    let server = MockServer::start().await;
    answers(&server, vec![ok().set_delay(Duration::from_secs(5))]).await;
    let error = impatient().send(Call::new(STRICT, Method::POST, url(&server, "/mint"))).await.unwrap_err();
    assert!(matches!(error, HttpError::Timeout { .. }), "{error}");
    assert!(!error.certainly_not_sent());
    assert_eq!(count(&server).await, 1);
}

#[tokio::test]
async fn a_closed_port_is_known_not_to_have_got_anything() {
    // Taken, so that no other test listens there, and not listening.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = taken.local_addr().unwrap();
    let target = Url::parse(&format!("http://{address}/?secret=1")).unwrap();
    let error = client().send(Call::new(STRICT, Method::POST, target)).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { .. }), "{error}");
    assert!(error.certainly_not_sent());
    assert!(!error.to_string().contains("secret"), "{error}");
}

/// A server that reads a request, writes `answer` and hangs up; counts requests.
async fn rude_server(answer: &'static str) -> (Url, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Url::parse(&format!("http://{}/x?q=1", listener.local_addr().unwrap())).unwrap();
    let seen = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            if socket.read(&mut buffer).await.unwrap_or(0) > 0 {
                counter.fetch_add(1, Ordering::SeqCst);
                socket.write_all(answer.as_bytes()).await.ok();
            }
        }
    });
    (target, seen)
}

#[tokio::test]
async fn a_lost_connection_differs_from_a_refused_one() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"tok"] {
        let (target, seen) = rude_server(answer).await;
        let mint = Call::new(STRICT, Method::POST, target.clone());
        let error = client().send(mint).await.unwrap_err();
        assert!(matches!(error, HttpError::Dropped { .. }), "{error}");
        assert!(!error.certainly_not_sent());
        assert!(!error.to_string().contains("q=1"), "{error}");
        assert_eq!(seen.load(Ordering::SeqCst), 1);

        client().send(Call::get(STRICT, target)).await.unwrap_err();
        assert!(seen.load(Ordering::SeqCst) > 2, "a read is tried again");
    }
}

#[tokio::test]
async fn a_body_is_bounded_whether_announced_or_not() {
    let server = MockServer::start().await;
    answers(&server, vec![status(200).set_body_bytes(vec![b'1'; body::LIMIT + 1])]).await;
    let error = client().send(Call::get(LENIENT, url(&server, "/x"))).await.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { .. }), "{error}");
    assert_eq!(count(&server).await, 1);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        assert!(socket.read(&mut [0; 4096]).await.unwrap() > 0);
        socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.ok();
        let chunk = format!("10000\r\n{}\r\n", "1".repeat(0x10000));
        while socket.write_all(chunk.as_bytes()).await.is_ok() {}
    });
    let error = client().send(Call::new(LENIENT, Method::GET, target)).await.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn an_announced_size_is_not_believed() {
    let (target, _) = rude_server("HTTP/1.1 200 OK\r\ncontent-length: 900000000000000\r\n\r\n1").await;
    let error = client().send(Call::get(LENIENT, target)).await.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_body_of_the_whole_limit_is_read() {
    let server = MockServer::start().await;
    answers(&server, vec![status(200).set_body_bytes(vec![b'1'; body::LIMIT])]).await;
    let call = Call::new(LENIENT, Method::GET, url(&server, "/x"));
    assert_eq!(client().send(call).await.unwrap().body().len(), body::LIMIT);
}

#[tokio::test]
async fn dates_are_observed_on_their_side_and_kept_with_the_reply() {
    let server = MockServer::start().await;
    let dated = ok().insert_header("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    answers(&server, vec![dated]).await;
    let http = client();
    let reply = http.send(Call::get(LENIENT, url(&server, "/x"))).await.unwrap();
    let date: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
    assert_eq!(reply.date, Some(date));
    assert!(http.clock().now().unwrap() >= date);
    assert_eq!(http.clock().skew(ClockId::Provider(0)), None, "the provider has not spoken");
}

#[tokio::test]
async fn a_rename_is_followed_with_method_body_and_credential() {
    let server = MockServer::start().await;
    let moved = status(307).insert_header(LOCATION.as_str(), "/new?x=1");
    Mock::given(path("/old")).respond_with(moved).expect(1).mount(&server).await;
    Mock::given(method("PUT"))
        .and(path("/new"))
        .and(header(AUTHORIZATION.as_str(), "Bearer token"))
        .and(wiremock::matchers::body_json(serde_json::json!({"v": 1})))
        .respond_with(status(204))
        .expect(1)
        .mount(&server)
        .await;
    let call = Call::new(LENIENT, Method::PUT, url(&server, "/old"))
        .bearer(&SecretString::from("token"))
        .unwrap()
        .json(&serde_json::json!({"v": 1}));
    assert_eq!(client().send(call).await.unwrap().status, 204);
}

#[tokio::test]
async fn another_origin_never_hears_of_the_request() {
    let (here, there) = (MockServer::start().await, MockServer::start().await);
    let moved = status(301).insert_header(LOCATION.as_str(), url(&there, "/x?secret=1").as_str());
    answers(&here, vec![moved]).await;
    answers(&there, vec![ok()]).await;
    let error = client().send(Call::get(LENIENT, url(&here, "/x"))).await.unwrap_err();
    assert!(matches!(error, HttpError::Redirect { .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!((count(&here).await, count(&there).await), (1, 0));
}

#[tokio::test]
async fn a_circle_of_redirects_ends() {
    let server = MockServer::start().await;
    answers(&server, vec![status(301).insert_header(LOCATION.as_str(), "/x")]).await;
    client().send(Call::get(LENIENT, url(&server, "/x"))).await.unwrap_err();
    assert_eq!(count(&server).await, redirect::MOST + 1);
}

#[tokio::test]
async fn plain_http_is_for_loopback_alone() {
    for target in ["http://localhost/", "http://192.0.2.1/", "http://127.0.0.1.example/", "ftp://127.0.0.1/"]
    {
        let error = client().send(Call::get(LENIENT, Url::parse(target).unwrap())).await.unwrap_err();
        assert!(matches!(error, HttpError::Insecure { .. }), "{target}: {error}");
    }
}

#[tokio::test]
async fn nothing_is_started_after_the_window() {
    let server = MockServer::start().await;
    answers(&server, vec![status(500).insert_header("date", "Sun, 06 Nov 1994 08:49:37 GMT")]).await;
    let http = client();
    let end: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
    let call = |until| Call { until: Some(until), ..Call::get(LENIENT, url(&server, "/x")) };

    let error = http.send(call(end)).await.unwrap_err();
    assert!(matches!(error, HttpError::Late), "without any date the time is not known: {error}");
    assert_eq!(count(&server).await, 0);

    // The first answer shows that the window is over: there is no second attempt.
    http.clock().observe(ClockId::Github, "1994-11-06T08:49:00Z".parse().unwrap());
    let error = http.send(call(end)).await.unwrap_err();
    assert!(matches!(error, HttpError::Late), "{error}");
    assert_eq!(count(&server).await, 1);
}

#[tokio::test]
async fn a_deadline_ends_the_attempts() {
    let server = MockServer::start().await;
    answers(&server, vec![ok().set_delay(Duration::from_secs(5))]).await;
    let began = Instant::now();
    let deadline = Some(began + Duration::from_millis(50));
    let call = Call { deadline, ..Call::get(LENIENT, url(&server, "/x")) };
    client().send(call).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(4), "shorter than the request timeout");
}

/// One at a time.
struct Turnstile(Arc<Semaphore>);

#[async_trait::async_trait]
impl RateLimiter for Turnstile {
    async fn acquire(&self, _: &Method) -> Permit {
        Box::new(Arc::clone(&self.0).acquire_owned().await.unwrap())
    }
}

#[tokio::test]
async fn the_permit_is_not_held_between_attempts() {
    let server = MockServer::start().await;
    answers(&server, vec![status(500)]).await;
    let turns = Arc::new(Semaphore::new(1));
    let rate_limiter: Arc<dyn RateLimiter> = Arc::new(Turnstile(Arc::clone(&turns)));
    // The second attempt comes a second after the first at the earliest.
    let http = Http::new(HttpSettings::new(Duration::from_secs(30)), Arc::default());
    let call = Call { rate_limiter: Some(rate_limiter), ..Call::get(LENIENT, url(&server, "/x")) };
    tokio::time::timeout(Duration::from_millis(700), async {
        tokio::join!(http.send(call), async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!(count(&server).await, 1);
            assert_eq!(turns.available_permits(), 1, "free while the call waits");
        })
    })
    .await
    .unwrap_err();
}

#[test]
fn request_ids_are_harmless() {
    let mut headers = HeaderMap::new();
    assert_eq!(request_id(&headers), "");
    headers.insert("x-request-id", HeaderValue::from_static("C0DE:1F:AB-1_2.3"));
    assert_eq!(request_id(&headers), "C0DE:1F:AB-1_2.3");
    // Less than the whole would hide a secret from the redactor.
    headers.insert("x-request-id", HeaderValue::from_static("::add-mask::AB-1 ##[group]"));
    assert_eq!(request_id(&headers), "");
    headers.insert("x-request-id", HeaderValue::from_static("Zq7/x+W-pT4"));
    assert_eq!(request_id(&headers), "");
}
