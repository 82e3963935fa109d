//! A bare HTTP client for tests of the fakes themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_box::PublicKey;
use crypto_box::aead::OsRng;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::World;

/// A bare client: one base URL, one credential.
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) bearer: String,
}

impl Client {
    pub(crate) fn new(base: &str, bearer: &str) -> Self {
        // Only the first caller can install it; all install the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let redirect = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().user_agent("self-test").redirect(redirect).build().unwrap();
        Self { http, base: base.to_owned(), bearer: bearer.to_owned() }
    }

    pub(crate) fn github(world: &World) -> Self {
        Self::new(&world.github.url(), world.github_token())
    }

    pub(crate) fn axiom(world: &World) -> Self {
        Self::new(&world.axiom.url(), world.provider_token())
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.bearer);
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        request.send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn status(&self, method: Method, path: &str, body: Option<Value>) -> u16 {
        self.send(method, path, body).await.status().as_u16()
    }

    /// Reads the key beside a secret, and seals a value for it.
    pub(crate) async fn sealed(&self, key_path: &str, value: &str) -> Value {
        let key = json_of(self.get(key_path).await).await;
        let public = STANDARD.decode(key["key"].as_str().unwrap()).unwrap();
        let sealed = PublicKey::from_slice(&public).unwrap().seal(&mut OsRng, value.as_bytes()).unwrap();
        json!({ "encrypted_value": STANDARD.encode(sealed), "key_id": key["key_id"] })
    }
}

pub(crate) async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}
