//! Why secrets failed: each cause once, with the secrets that it hit.

use super::names::secrets;
use super::secret::Secret;
use crate::config::Rotation;
use crate::error_code::ErrorCode;
use crate::github;
use crate::report::format::counted;

/// Causes named in one sentence; the report has the others beside each secret.
const NAMED: usize = 3;

#[derive(Debug, Clone)]
pub(super) struct Cause {
    /// The error of the first secret; the others' differ in what they are about.
    pub(super) error: github::Error,
    pub(super) secrets: Vec<String>,
}

/// Why secrets failed, the most frequent cause first.
#[derive(Debug, Clone, Default)]
pub struct Causes(pub(super) Vec<Cause>);

impl Causes {
    /// Groups secrets by the cause of their errors.
    pub fn new(failed: impl IntoIterator<Item = (String, github::Error)>) -> Self {
        let mut causes: Vec<Cause> = Vec::new();
        for (secret, error) in failed {
            match causes.iter_mut().find(|cause| cause.error.has_same_cause(&error)) {
                Some(cause) => cause.secrets.push(secret),
                None => causes.push(Cause { error, secrets: vec![secret] }),
            }
        }
        // Stable: of two causes that hit as many, the first one stays first.
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.secrets.len()));
        Self(causes)
    }

    /// Of the secrets that could not be read, prepared or written; `None`: none failed.
    pub(super) fn of(rotation: &Rotation, secrets: &[Secret]) -> Option<Self> {
        let failed = rotation.secrets.iter().zip(secrets);
        let causes = Self::new(failed.filter_map(|(target, secret)| {
            Some((target.destination.to_string(), secret.failure()?.clone()))
        }));
        (!causes.0.is_empty()).then_some(causes)
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|cause| cause.secrets.len()).sum()
    }

    /// The code of the most frequent cause.
    pub(super) fn code(&self) -> ErrorCode {
        self.0.first().map_or(ErrorCode::GithubReply, |cause| cause.error.code())
    }

    /// `acme/api:T: it is archived. acme/web:T: there is no such repository.`
    pub(super) fn reasons(&self) -> String {
        let named = self.0.iter().take(NAMED);
        let mut text: Vec<String> =
            named.map(|cause| format!("{}: {}.", secrets(&cause.secrets), cause.error.cause)).collect();
        let rest: usize = self.0.iter().skip(NAMED).map(|cause| cause.secrets.len()).sum();
        if rest > 0 {
            text.push(format!("{} failed for other reasons.", counted(rest, "more secret")));
        }
        text.join(" ")
    }

    /// `acme/api:T could not be read: it is archived.`; `failed`: "could not be read"
    pub(super) fn sentence(&self, failed: &str) -> String {
        match self.0.as_slice() {
            [only] => format!("{} {failed}: {}.", secrets(&only.secrets), only.error.cause),
            _ => format!("{} {failed}. {}", counted(self.count(), "secret"), self.reasons()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::{Error, ErrorKind};

    fn error(about: &str, cause: &str) -> Error {
        Error::new(ErrorKind::Forbidden, about, cause)
    }

    #[test]
    fn one_cause_is_told_once() {
        let sentence = |causes: &[&str]| {
            let failed = causes.iter().enumerate().map(|(n, cause)| {
                (format!("acme/{n}:T"), error(&format!("Actions secrets of acme/{n}"), cause))
            });
            Causes::new(failed).sentence("could not be read")
        };
        assert_eq!(sentence(&["no"]), "acme/0:T could not be read: no.");
        assert_eq!(sentence(&["no", "no"]), "acme/0:T and acme/1:T could not be read: no.");
        assert_eq!(
            sentence(&["no"; 300]),
            "300 secrets (acme/0:T, acme/1:T, acme/2:T and 297 more) could not be read: no."
        );
    }

    #[test]
    fn the_most_frequent_cause_comes_first() {
        let causes = ["down: 503", "no", "down: 502", "no", "late", "odd", "rare"];
        let failed = causes.iter().enumerate().map(|(n, cause)| (n.to_string(), error("x", cause)));
        assert_eq!(
            Causes::new(failed).sentence("could not be read"),
            "7 secrets could not be read. 1 and 3: no. 0: down: 503. 2: down: 502. 3 more secrets failed for other \
             reasons."
        );
    }

    #[test]
    fn what_github_asks_for_tells_causes_apart_too() {
        let lacking = |what: &str| Error { remedy: Some(what.to_owned()), ..error("x", "no") };
        let causes = Causes::new([("a".to_owned(), lacking("read")), ("b".to_owned(), lacking("write"))]);
        assert_eq!(causes.0.len(), 2);
    }

    #[test]
    fn a_long_list_hides_no_reason() {
        let failed = (0..3000).map(|n| {
            let name = format!("acme/a-repository-with-a-long-name-{n:04}:TOKEN");
            (name, error("x", &format!("no access for reason {}", n % 5)))
        });
        let text = Causes::new(failed).sentence("could not be read");
        assert!(text.contains("for reason 2") && text.contains("1200 more secrets"), "{text}");
        assert!(text.len() < 1500, "{} bytes: {text}", text.len());
    }
}
