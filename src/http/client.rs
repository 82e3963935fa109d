//! The two ways out of this process: to the world over TLS, and to this machine
//! over plain HTTP.

use std::time::Duration;

use super::HttpError;

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Kept connections are given up before servers do, which would cost a request.
const IDLE: Duration = Duration::from_secs(20);

/// TLS with the system's roots (or those of `SSL_CERT_FILE` in their place), and the
/// proxy that the environment names.
pub(super) fn public() -> Result<reqwest::Client, HttpError> {
    build(reqwest::Client::builder().https_only(true))
}

/// Neither roots, so that it works where there are none, nor a proxy, which
/// would see everything in the clear.
pub(super) fn loopback() -> Result<reqwest::Client, HttpError> {
    build(reqwest::Client::builder().tls_certs_only([]).no_proxy())
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, HttpError> {
    // An error says that a provider is installed already, which is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    builder
        .user_agent(concat!("crossfade/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        // By hand, in `redirect`: the library would drop the body of a PUT.
        .redirect(reqwest::redirect::Policy::none())
        // By `retry` alone.
        .retry(reqwest::retry::never())
        .referer(false)
        .build()
        .map_err(|error| HttpError::Setup { cause: setup_cause(&error) })
}

fn setup_cause(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    format!("{cause} (are there CA certificates on this system? SSL_CERT_FILE names others)")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    /// Set for the copy of this test program that runs without roots.
    const WITHOUT_ROOTS: &str = "CROSSFADE_TEST_WITHOUT_ROOTS";

    #[test]
    fn loopback_needs_no_certificates() {
        if std::env::var_os(WITHOUT_ROOTS).is_some() {
            assert!(super::public().is_err(), "the roots were to be hidden");
            super::loopback().unwrap();
            return;
        }
        let run = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "http::client::tests::loopback_needs_no_certificates"])
            .env(WITHOUT_ROOTS, "1")
            .env("SSL_CERT_FILE", "/nowhere/roots.pem")
            .env("SSL_CERT_DIR", "/nowhere")
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    }
}
