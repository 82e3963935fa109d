//! A GitHub server of one's own, behind a certificate that a company signed itself.

use std::process::Output;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::process::output;
use crate::support::{Invocation, World};

const SERVER: &[u8] = include_bytes!("tls/server.pem");
const SERVER_KEY: &[u8] = include_bytes!("tls/server.key.pem");
const OWN_CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tls/ca.pem");

/// Puts TLS in front of a server that speaks plain HTTP; the address to speak it to.
async fn behind_tls(plain: &str) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(SERVER).unwrap()],
            PrivateKeyDer::from_pem_slice(SERVER_KEY).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (origin, base) = plain.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let origin = origin.to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, origin) = (acceptor.clone(), origin.clone());
            tokio::spawn(async move {
                // A client that does not trust the certificate hangs up here.
                let Ok(mut client) = acceptor.accept(stream).await else { return };
                let mut server = TcpStream::connect(origin).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    format!("https://{address}/{base}")
}

/// The binary, because the roots are read from the environment of a process.
async fn rotate(world: &World, github: &str, roots: &str) -> Output {
    let invocation = Invocation::of("rotate")
        .scene(world, github, &world.provider.url())
        // A proxy would see none of it, but must not be asked either.
        .env("NO_PROXY", "127.0.0.1")
        .env("SSL_CERT_FILE", roots)
        .arg("--request-timeout", "1s");
    output(invocation).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_ca_is_trusted_by_ssl_cert_file_and_not_without() {
    let world = World::builder().github_base("/api/v3").start().await;
    let github = behind_tls(&world.github.url()).await;
    assert!(github.ends_with("/api/v3"), "{github}");

    // Some other root: none that has anything to do with the server.
    let strange = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tls/stranger.pem");
    let refused = rotate(&world, &github, strange).await;
    let output = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{output}");
    assert!(output.contains("SSL_CERT_FILE"), "what to do: {output}");
    assert_eq!(world.github.requests().len(), 0, "nothing was sent to a server that nobody vouches for");
    assert!(world.marked_tokens().is_empty());

    let trusted = rotate(&world, &github, OWN_CA).await;
    let output = String::from_utf8_lossy(&trusted.stdout).into_owned();
    assert_eq!(trusted.status.code(), Some(0), "{output}{}", String::from_utf8_lossy(&trusted.stderr));
    assert!(output.starts_with("rotated ci-ingest"), "{output}");
    assert_eq!(world.undelivered(), Vec::<String>::new());
}

/// What a run says of a proxy; GitHub is at a name that only a proxy could resolve.
async fn through_proxy(world: &World, proxies: &[(&str, &str)]) -> String {
    let mut invocation = Invocation::of("rotate")
        .scene(world, "https://github.invalid", &world.provider.url())
        .arg("--request-timeout", "200ms");
    for (name, value) in proxies {
        invocation = invocation.env(name, value);
    }
    let ran = output(invocation).await;
    assert_eq!(ran.status.code(), Some(1));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_failures_name_the_proxy() {
    let world = World::start().await;
    // A closed port.
    let output = through_proxy(&world, &[("HTTPS_PROXY", "http://user:hunter2hunter2@127.0.0.1:9")]).await;
    assert!(output.contains("through the proxy http://127.0.0.1:9"), "{output}");
    assert!(!output.contains("hunter2"), "{output}");

    // A proxy that refuses, in the words of its status.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream
                .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
                .await;
        }
    });
    let output = through_proxy(&world, &[("ALL_PROXY", &format!("http://{address}"))]).await;
    assert!(
        output.contains(&format!("through the proxy http://{address}: proxy authorization required")),
        "{output}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_cannot_be_used_is_an_error_and_not_ignored() {
    let world = World::start().await;
    for (name, value) in [
        ("HTTPS_PROXY", "http://["),
        ("https_proxy", "ftp://proxy.example"),
        ("ALL_PROXY", "socks5://hunter2hunter2@proxy.example"),
    ] {
        let output = through_proxy(&world, &[(name, value)]).await;
        assert!(output.contains(&format!("HTTPS cannot be used: `{name}`")), "{output}");
        assert!(output.contains("expected one like http://proxy.example:3128"), "{output}");
        assert!(!output.contains("hunter2") && !output.contains("ftp://"), "{output}");
    }
}
