//! What a GitHub App signs in with: a JSON Web Token, RS256.
//! Source: GitHub's page on generating a JWT for an App.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use zeroize::Zeroizing;

use super::super::error::{Error, ErrorKind, Result};

/// GitHub allows ten minutes; a server's clock may be a little ahead of another's.
const LIFE: SignedDuration = SignedDuration::from_mins(9);
/// Issued a minute ago, for the same reason.
const ISSUED_BEFORE: SignedDuration = SignedDuration::from_mins(1);
/// So long one is used.
const USED: SignedDuration = SignedDuration::from_mins(5);

/// An App's id and private key.
pub(super) struct Signer {
    id: String,
    key: RsaKeyPair,
}

impl Signer {
    /// Reads a PEM file, PKCS#1 (as GitHub makes it) or PKCS#8.
    pub(super) fn new(id: &str, pem: &SecretString) -> Result<Self> {
        let unusable = |why: &str| {
            let cause = format!("the GitHub App's private key cannot be used: {why}");
            Error::new(ErrorKind::Unauthenticated, "", cause)
        };
        let der = plain(pem.expose_secret())
            .and_then(|pem| PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok())
            .ok_or_else(|| unusable("it is no whole PEM file, from -----BEGIN to the last line"))?;
        let key = match &der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(unusable("it is no RSA key")),
        };
        let key = key.map_err(|why| unusable(&format!("it is no RSA key of 2048 to 4096 bits ({why})")))?;
        Ok(Self { id: id.to_owned(), key })
    }

    /// A token as of `now`, which is GitHub's time, and until when to use it.
    pub(super) fn sign(&self, now: Timestamp) -> Result<(SecretString, Timestamp)> {
        let second = now.as_second();
        let claims = json!({
            "iat": second - ISSUED_BEFORE.as_secs(),
            "exp": second + LIFE.as_secs(),
            "iss": self.id,
        });
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let head = encode(json!({ "alg": "RS256", "typ": "JWT" }).to_string().as_bytes());
        let signed = format!("{head}.{}", encode(claims.to_string().as_bytes()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| Error::new(ErrorKind::Unauthenticated, "", "the GitHub App's key cannot sign"))?;
        let token = format!("{signed}.{}", encode(&signature)).into();
        Ok((token, now.saturating_add(USED).unwrap_or(now)))
    }
}

/// A PEM file in its plain form. Copying one into an environment variable may indent
/// it, quote it, or turn its line ends into `\r\n`, into spaces or into the two
/// characters `\` and `n`; what stands before and after it does not matter.
fn plain(pem: &str) -> Option<Zeroizing<String>> {
    let unescaped = Zeroizing::new(pem.replace("\\r", " "));
    let unescaped = Zeroizing::new(unescaped.replace("\\n", " "));
    let (_, rest) = unescaped.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let mut plain = Zeroizing::new(String::with_capacity(pem.len() + 2));
    plain.push_str(&format!("-----BEGIN {label}-----\n"));
    plain.extend(body.chars().filter(|c| !c.is_whitespace()));
    plain.push_str(&format!("\n-----END {label}-----\n"));
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = include_str!("../../../tests/support/github/keys/app.pkcs1.pem");

    fn is_read(pem: &str) -> bool {
        Signer::new("1", &SecretString::from(pem)).is_ok()
    }

    #[test]
    fn a_key_survives_what_copying_does_to_it() {
        let lines = |with: &str| PEM.trim().lines().collect::<Vec<_>>().join(with);
        for (what, pem) in [
            ("as it is", PEM.to_owned()),
            ("spaces in front", format!("  {PEM}")),
            ("lines in front and behind", format!("\n\n\t{PEM}\n \n")),
            ("indented", format!("    {}", lines("\n    "))),
            ("spaces at the ends of lines", lines("  \n")),
            ("CRLF", lines("\r\n")),
            ("CR", lines("\r")),
            ("escaped", lines("\\n")),
            ("escaped CRLF", lines("\\r\\n")),
            ("escaped and quoted", format!("\"{}\\n\"", lines("\\n"))),
            ("quoted", format!("'{PEM}'")),
            ("one line", lines(" ")),
            ("empty lines between", lines("\n\n")),
            ("byte order mark", format!("\u{feff}{PEM}")),
        ] {
            assert!(is_read(&pem), "{what}");
        }
    }

    #[test]
    fn a_part_of_a_key_is_no_key() {
        let lines: Vec<&str> = PEM.trim().lines().collect();
        let without = |skipped: usize| {
            let kept = lines.iter().enumerate().filter(|(at, _)| *at != skipped);
            kept.map(|(_, line)| *line).collect::<Vec<_>>().join("\n")
        };
        for pem in ["", "-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN ", &without(0), &without(3)] {
            assert!(!is_read(pem));
        }
        assert!(!is_read(&without(lines.len() - 1)));
        assert!(!is_read(&PEM.replacen('M', "*", 1)));
    }
}
