//! Shows that a provider file is right: by reading, and by one token that is created,
//! found, verified and deleted again.
//!
//! The tokens of a proof carry a key of their own, so no rotation takes them for its
//! own, and a later proof deletes what an earlier one left behind.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::marker::{self, Marker, MarkerKeys};
use super::retire::retire;
use super::session::{CredentialFallback, ProviderSession};
use crate::config::{Repository, Rotation, RotationKey};
use crate::limits::delivery_window;
use crate::provider::{Ending, Error, Expiry, MarkerIn, Mint, Minted, Token, Verification};
use crate::redact::is_maskable;
use crate::report::provider::{Outcome, Step};

/// How much later than asked for a token may end, where services round.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(25);

/// Whether a token carries a marker: of this rotation (`Some(true)`), or of another.
#[must_use]
pub(crate) fn is_ours(rotation: &Rotation, token: &Token) -> Option<bool> {
    Marker::find(&token.note).map(|marker| rotation.has_key(&marker.key))
}

/// A proof under way.
pub(crate) struct Proof<'a> {
    /// The provider, and the credential.
    pub session: &'a ProviderSession,
    /// The rotation whose token the new one is made like.
    pub rotation: &'a Rotation,
    /// The repository that rotates.
    pub repository: &'a Repository,
    /// The shortest life of a token.
    pub shortest: Duration,
    /// How long the provider may lag.
    pub patience: Duration,
    /// The provider's time, once it has answered.
    pub now: &'a dyn Fn() -> Option<Timestamp>,
}

impl Proof<'_> {
    /// The whole round trip. The last step that failed is the last one; whatever was
    /// created is deleted, or named if that fails.
    pub(crate) async fn run(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let created = self.create(&mut steps).await;
        if let Some((minted, previous)) = created {
            let is_sound = self.examine(&mut steps, &minted, previous.as_ref()).await;
            let verification = if is_sound { self.verify(&mut steps, &minted).await } else { None };
            self.delete(&mut steps, &minted.token).await;
            if verification == Some(Verification::Verified) {
                self.is_refused(&mut steps, &minted).await;
            }
        }
        steps
    }

    fn key(&self) -> RotationKey {
        RotationKey::new(self.repository, &format!("{}/prove", self.rotation.name))
    }

    async fn create(&self, steps: &mut Vec<Step>) -> Option<(Minted, Option<Token>)> {
        let listed = self.session.provider.list(&self.session.credential).await;
        let tokens = note(steps, "list the tokens", listed.map_err(|error| error.to_string()))?;
        let file = self.rotation.provider.kind.file();
        for warning in file.token.absent_from(&tokens) {
            steps.push(Step { what: "read the tokens".to_owned(), outcome: Outcome::Warning(warning) });
        }
        let key = self.key();
        for left in tokens.iter().filter(|token| Marker::find(&token.note).is_some_and(|one| one.key == key))
        {
            self.delete(steps, left).await;
        }
        let named = &self.rotation.token;
        let previous =
            tokens.into_iter().find(|token| token.id == *named || marker::strip(&token.name) == *named);
        let template = self.rotation.create.as_ref();
        if previous.is_none() && template.is_none() {
            let why = "there is no such token to copy the rights from, and the rotation has no `create`";
            return note(steps, &format!("find the token {named}"), Err(why.to_owned()));
        }
        let now =
            note(steps, "read the provider's clock", (self.now)().ok_or("it sends no date".to_owned()))?;
        let profile = self.session.provider.profile();
        let keys = MarkerKeys::default();
        let window = delivery_window(1);
        let marker = Marker::new(key, now, window, marker::new_run(None), &keys);
        let name = "crossfade-proof";
        let text =
            if profile.marker_in == MarkerIn::Name { name } else { "made by crossfade provider prove" };
        let marked = marker::annotate(&marker::cut(text, profile.marker_max), &marker);
        let life = SignedDuration::try_from(self.shortest).unwrap_or(SignedDuration::from_hours(1));
        let mint = Mint {
            previous: previous.as_ref(),
            by_creation: true,
            template,
            name,
            note: &marked,
            minted_at: marker.minted_at,
            expires_at: (profile.expiry == Expiry::Native)
                .then(|| now.saturating_add(life).unwrap_or(Timestamp::MAX)),
            previous_ends_at: None,
        };
        let minted = match self.session.provider.mint(&self.session.credential, &mint).await {
            Ok(minted) => Ok(minted),
            Err(error) => {
                if !error.kind.is_refusal() {
                    self.look_for(steps, &marked).await;
                }
                Err(error.to_string())
            }
        };
        let minted = note(steps, "create a token", minted)?;
        Some((minted, previous))
    }

    /// Deletes the token of a creation whose reply could not be used.
    async fn look_for(&self, steps: &mut Vec<Step>, note: &str) {
        if let Ok(tokens) = self.session.provider.list(&self.session.credential).await
            && let Some(lost) = tokens.iter().find(|token| token.note == note)
        {
            self.delete(steps, lost).await;
        }
    }

    /// Compares the token in the list with what was asked for.
    async fn examine(&self, steps: &mut Vec<Step>, minted: &Minted, previous: Option<&Token>) -> bool {
        let is_it = |tokens: Vec<Token>| tokens.into_iter().find(|token| token.id == minted.token.id);
        let found = self
            .repeated(async || self.session.provider.list(&self.session.credential).await.map(is_it))
            .await
            .and_then(|found| {
                found.ok_or_else(|| "the list does not show it: see `list`, `eventual`".to_owned())
            });
        let Some(token) = note(steps, "find it in the list", found) else { return false };
        let has_marker = Marker::find(&token.note).is_some_and(|one| one.key == self.key());
        let marker =
            check(has_marker, "the list does not show it at `token.marker`, or the service changed it");
        let is_marked = note(steps, "recognise it by its marker", marker).is_some();
        let value =
            check(is_maskable(&minted.value), "it is not 16 to 4096 visible ASCII characters: see `value`");
        let has_value = note(steps, "use its value", value).is_some();
        let rights = previous.is_none_or(|previous| previous.privileges == token.privileges);
        let rights = check(
            rights,
            "its rights are not those of the token that it was copied from: see `token.rights` and the body of `create`",
        );
        let is_equal = note(steps, "compare its rights", rights).is_some();
        let ends = match (self.session.provider.profile().expiry, token.expires_at, (self.now)()) {
            (Expiry::ByAge, _, _) | (_, _, None) => Ok(()),
            (Expiry::Native, None, _) => {
                Err("it does not show one: see `token.expires` and the body of `create`".to_owned())
            }
            (Expiry::Native, Some(end), Some(now)) => {
                let life = SignedDuration::try_from(self.shortest).unwrap_or(SignedDuration::MAX);
                let latest = now.saturating_add(life.saturating_add(TOLERANCE)).unwrap_or(Timestamp::MAX);
                check(
                    end > now && end <= latest,
                    &format!(
                        "it ends at {end}, which was not asked for: see the form of the dates, and `shortest`"
                    ),
                )
            }
        };
        let has_end = note(steps, "compare its expiry", ends).is_some();
        is_marked && has_value && is_equal && has_end
    }

    async fn verify(&self, steps: &mut Vec<Step>, minted: &Minted) -> Option<Verification> {
        let path = self.rotation.verify.as_deref();
        let verified = self
            .repeated(async || {
                let verification = self.session.provider.verify(minted, path).await?;
                Ok(Some(verification).filter(|one| *one != Verification::Rejected))
            })
            .await
            .and_then(|verified| {
                verified.ok_or_else(|| "the service does not accept its value: see `verify`".to_owned())
            });
        let what = match verified {
            Ok(Verification::Unverified) => "verify its value (the answer cannot tell: unverified)",
            _ => "verify its value",
        };
        if path.is_none()
            && let Ok(Verification::Unverified) = verified
            && let Some(unmet) = self.session.provider.not_shown(minted).await
        {
            let warning = format!("{unmet}. Every rotation would be *unverified*: see `verify.shows`");
            steps.push(Step { what: "verify its value".to_owned(), outcome: Outcome::Warning(warning) });
            return Some(Verification::Unverified);
        }
        note(steps, what, verified)
    }

    async fn delete(&self, steps: &mut Vec<Step>, token: &Token) {
        let credentials = CredentialFallback::before_mint(self.session);
        let deleted = retire(self.session, &credentials, token, Ending::Delete).await;
        let deleted = deleted.map_err(|error| format!("{error}. Delete the token {} by hand", token.id));
        if note(steps, &format!("delete the token {}", token.id), deleted).is_none() {
            return;
        }
        let gone = self
            .repeated(async || {
                let shown = self.session.provider.get(&self.session.credential, &token.id).await?;
                Ok(Some(()).filter(|()| shown.is_none()))
            })
            .await
            .and_then(|gone| {
                gone.ok_or_else(|| "the service still shows it: see `delete`, `token.ignore`".to_owned())
            });
        note(steps, "see that it is gone", gone);
    }

    /// The deleted token's value must be refused, or `verify` proves nothing.
    async fn is_refused(&self, steps: &mut Vec<Step>, minted: &Minted) {
        let path = self.rotation.verify.as_deref();
        let refused = self
            .repeated(async || {
                let verification = self.session.provider.verify(minted, path).await?;
                Ok(Some(()).filter(|()| verification == Verification::Rejected))
            })
            .await
            .and_then(|refused| {
                refused.ok_or_else(|| {
                    "it is still accepted, or the refusal is not among `verify.rejected`".to_owned()
                })
            });
        note(steps, "see that its value is refused", refused);
    }

    /// Asks until there is an answer, for as long as the service may lag.
    async fn repeated<T>(
        &self,
        ask: impl AsyncFn() -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, String> {
        let mut repetitions = self.session.retry.repetitions();
        let mut waited = Duration::ZERO;
        loop {
            if let Some(answer) = ask().await.map_err(|error| error.to_string())? {
                return Ok(Some(answer));
            }
            match repetitions.next_wait(None) {
                Some(wait) if waited + wait <= self.patience => {
                    tokio::time::sleep(wait).await;
                    waited += wait;
                }
                _ => return Ok(None),
            }
        }
    }
}

fn check(is_right: bool, otherwise: &str) -> Result<(), String> {
    if is_right { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// Adds a step; the value if it was taken.
fn note<T>(steps: &mut Vec<Step>, what: &str, result: Result<T, String>) -> Option<T> {
    let (value, outcome) = match result {
        Ok(value) => (Some(value), Outcome::Done),
        Err(failure) => (None, Outcome::Failed(failure)),
    };
    steps.push(Step { what: what.to_owned(), outcome });
    value
}
