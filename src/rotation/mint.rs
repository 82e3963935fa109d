//! From the decision to mint to a new token that may be delivered.
//!
//! A mint is never repeated blindly: if its reply is lost, the list of tokens is
//! searched for the attempt's marker first. A new token is revoked before any secret is
//! written if it differs from the request, if the provider does not accept its value, or
//! if another run minted too.

use std::collections::BTreeSet;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::RunContext;
use super::error::{Cleanup, RotationError};
use super::lineage::{Lineage, Member};
use super::marker::{self, Marker};
use super::plan::{MintPlan, PlanInput};
use super::retire::retire;
use super::session::{CredentialFallback, ProviderSession};
use crate::provider::{Error, Mint, Minted, RetireAction, Token, Verification};
use crate::redact::is_maskable;
use crate::report::VerificationOutcome;

/// Requests to mint in one run, lost ones included.
const ATTEMPTS: u32 = 3;

/// How often the token of a lost attempt is looked for, over some seconds.
const LOOKUPS: usize = 3;

pub(super) struct MintAttempt<'a> {
    pub(super) context: &'a RunContext<'a>,
    pub(super) session: &'a ProviderSession,
    pub(super) input: PlanInput<'a>,
    pub(super) lineage: &'a Lineage,
}

/// A new token that passed every check and may be delivered.
pub(super) struct NewToken {
    pub(super) member: Member,
    pub(super) value: SecretString,
    pub(super) until: Timestamp,
    pub(super) verification: VerificationOutcome,
    /// The previous token after the mint, with its new expiry.
    pub(super) previous: Option<Token>,
    /// Tokens of earlier attempts of this run whose replies were lost.
    pub(super) lost_attempts: Vec<Token>,
    pub(super) warning: Option<String>,
}

/// A mint without a token to deliver.
pub(super) struct MintFailure {
    pub(super) error: RotationError,
    /// The previous token as it may be now: a lost attempt, or one whose token was
    /// revoked, has set its expiry all the same.
    pub(super) previous: Option<Token>,
}

/// Why a new token is not delivered.
enum Rejection {
    Rival {
        id: String,
        minted_at: Timestamp,
    },
    /// The token differs from the request, or the provider does not accept its value.
    Unfit(String),
}

impl MintAttempt<'_> {
    /// Mints a token, checks it and verifies its value.
    pub(super) async fn mint(&self, plan: &MintPlan) -> Result<NewToken, MintFailure> {
        let (minted, marker, previous) = self.mint_with_retries(plan).await?;
        if !is_maskable(&minted.value) {
            let why = "its value is not 16 to 4096 visible ASCII characters";
            return Err(self.reject(&minted, previous, Rejection::Unfit(why.to_owned())).await);
        }
        // The first of the two checks that fails ends the wait for the other.
        let mut listing = Err(String::new());
        let checked = tokio::try_join!(
            self.verify(&minted),
            self.examine(&minted, &marker, previous.as_ref(), &mut listing)
        );
        let listed = listing.as_deref().unwrap_or_default();
        // Another run may have set an earlier end than this one asked for.
        let previous = previous.map(|old| shown(&old, listed).clone());
        let (verification, member) = match checked {
            Ok(checked) => checked,
            Err(rejection) => return Err(self.reject(&minted, previous, rejection).await),
        };
        let is_lost_attempt = |token: &&Token| {
            token.id != minted.token.id
                && self
                    .any_marker(token)
                    .is_some_and(|other| other.run == marker.run && self.is_verified(&other))
                && token.expires_at.is_none_or(|end| end > self.input.now)
        };
        let lost_attempts = listed.iter().filter(is_lost_attempt).cloned().collect();
        let could_not = |why| format!("crossfade could not check whether another run is at work: {why}");
        let warning = listing.err().map(could_not);
        let (value, until) = (minted.value, marker.until);
        Ok(NewToken { member, value, until, verification, previous, lost_attempts, warning })
    }

    /// Lists the tokens again to look for a token of another run, and compares the new
    /// token with the request.
    async fn examine(
        &self,
        minted: &Minted,
        marker: &Marker,
        previous: Option<&Token>,
        listing: &mut Result<Vec<Token>, String>,
    ) -> Result<Member, Rejection> {
        let credentials = CredentialFallback::after_mint(self.session, &minted.value, previous);
        let list = credentials.call(async |credential| self.session.provider.list(credential).await);
        *listing = match timeout(longest_check(self.context.patience), list).await {
            Ok(listed) => listed.map_err(|error| error.to_string()),
            Err(_) => Err("the provider took too long to list its tokens".to_owned()),
        };
        let listed = listing.as_deref().unwrap_or_default();
        let new_token = shown(&minted.token, listed).clone();
        let member = Member { token: new_token, marker: Some(marker.clone()), is_proven: true };
        let unfit = || self.unfit(&member, previous).map(Rejection::Unfit);
        self.rival(listed, marker).or_else(unfit).map_or(Ok(()), Err)?;
        Ok(member)
    }

    /// Requests a token until a reply arrives; after a lost reply, looks for the token
    /// that the attempt may have created. Returns the previous token as it is then, too.
    async fn mint_with_retries(
        &self,
        plan: &MintPlan,
    ) -> Result<(Minted, Marker, Option<Token>), MintFailure> {
        let run = marker::new_run(self.lineage.original().map(|token| token.id.as_str()));
        let mut attempt = 1;
        let mut plan = plan.clone();
        let mut old = plan.previous.as_ref().and_then(|id| self.lineage.get(id)).cloned();
        let now = || self.context.clock.now().unwrap_or(self.input.now);
        // The previous token as it was before, once a request may have set its expiry.
        let mut touched: Option<Token> = None;
        loop {
            let keys = &self.context.marker_keys;
            let key = self.input.rotation.key.clone();
            let first = Marker::new(key, now(), plan.window, run.clone());
            let marker = Marker { attempt, ..first }.signed(keys);
            let ends_at = old.as_ref().and_then(|old| {
                let ahead = self.context.ahead(self.session.clock);
                self.input.previous_ends_at(marker.minted_at, ahead, &plan, old)
            });
            let error = match self.request(old.as_ref(), ends_at, &marker).await {
                Ok(minted) => {
                    let previous = touched.or_else(|| ended(old.as_ref(), ends_at));
                    return Ok((minted, marker, previous));
                }
                Err(error) if error.kind.is_refusal() => {
                    return Err(MintFailure { error: RotationError::MintRefused(error), previous: touched });
                }
                Err(error) => error,
            };
            let now_ends = ended(old.as_ref(), ends_at);
            touched = touched.or_else(|| now_ends.clone());
            tracing::warn!(attempt, "the reply to the creation was lost: {error}");
            let is_last = attempt >= ATTEMPTS || self.context.stop_signal.check().is_err();
            let lost = match self.look_for(&marker, &error).await {
                Some(lost) if !is_last => lost,
                checked => {
                    // Its value is lost and this run makes no further attempt.
                    if let Some(Some(lost)) = checked {
                        self.delete(&lost).await;
                    }
                    let error = RotationError::MintLost { attempts: attempt, last: error };
                    return Err(MintFailure { error, previous: touched });
                }
            };
            match lost {
                // Its value is lost, so the next attempt replaces it and ends it at once.
                Some(lost) if self.input.profile.has_native_overlap => {
                    plan.previous_is_orphan = true;
                    old = Some(Member { token: lost, marker: Some(marker), is_proven: true });
                }
                Some(lost) => self.delete(&lost).await,
                // The lost request may have set an expiry, which must not be extended.
                None => {
                    old = old.zip(now_ends).map(|(old, token)| Member { token, ..old });
                }
            }
            attempt += 1;
        }
    }

    /// One request to mint. Creates the token if the previous one has ended and the
    /// provider refuses to regenerate it.
    async fn request(
        &self,
        old: Option<&Member>,
        previous_ends_at: Option<Timestamp>,
        marker: &Marker,
    ) -> Result<Minted, Error> {
        let PlanInput { rotation, profile, now, .. } = self.input;
        let name = old.map_or_else(|| rotation.token.clone(), |old| marker::strip(&old.token.name));
        let description = rotation.create.as_ref().and_then(|create| create.get("description")?.as_str());
        let note = match old {
            Some(old) => &old.token.note,
            None if profile.marks_the_name => &rotation.token,
            None => description.unwrap_or_default(),
        };
        let lifetime = rotation.policy.lifetime.duration();
        let mut mint = Mint {
            previous: old.map(|old| &old.token),
            by_creation: !profile.has_native_overlap,
            template: rotation.create.as_ref(),
            name: &name,
            note: &marker::annotate(&marker::cut(note, profile.marker_max), marker),
            expires_at: profile.expires.then(|| super::lineage::after(marker.minted_at, lifetime)),
            previous_ends_at,
            minted_at: marker.minted_at,
        };
        let provider = &self.session.provider;
        let result = Box::pin(provider.mint(&self.session.credential, &mint)).await;
        let has_ended = old.is_some_and(|old| !old.is_live(now));
        match result {
            Err(error) if has_ended && !mint.by_creation && error.kind.is_about_the_token() => {
                tracing::info!("the ended previous token cannot be regenerated ({error}); creating instead");
                mint.by_creation = true;
                Box::pin(provider.mint(&self.session.credential, &mint)).await
            }
            result => result,
        }
    }

    /// Looks for the token of a lost attempt. `None`: the list could not be read, so it
    /// is unknown whether there is one. Then this run makes no further attempt; the next
    /// run sees the token.
    async fn look_for(&self, marker: &Marker, lost: &Error) -> Option<Option<Token>> {
        let asked = lost.retry_after.unwrap_or_default();
        if asked > self.context.patience {
            return None;
        }
        tokio::time::sleep(asked.max(self.context.first_wait)).await;
        let look = async || {
            let listed = self.session.provider.list(&self.session.credential).await.map_err(|_| None)?;
            let is_lost = |token: &Token| Marker::find(&token.note).is_some_and(|found| found == *marker);
            // The list may lag behind.
            listed.into_iter().find(is_lost).map(Some).ok_or(Some(()))
        };
        match look.retry(self.backoff().with_max_times(LOOKUPS - 1)).await {
            Ok(found) => Some(found),
            Err(read) => read.map(|()| None),
        }
    }

    /// Verifies that the provider accepts the new value, which may take some seconds.
    async fn verify(&self, minted: &Minted) -> Result<VerificationOutcome, Rejection> {
        let verify = self.input.rotation.verify.as_deref();
        let check = async || match self.session.provider.verify(minted, verify).await {
            Ok(Verification::Rejected) => Err("the provider does not accept its value".to_owned()),
            Ok(Verification::Verified) => Ok(VerificationOutcome::Verified),
            Ok(Verification::Unverified) => Ok(VerificationOutcome::Unverified),
            Err(error) => Err(format!("the provider could not confirm that it accepts its value: {error}")),
        };
        let backoff = self.backoff().with_max_times(usize::MAX).with_total_delay(Some(self.context.patience));
        let checked = timeout(longest_check(self.context.patience), check.retry(backoff)).await;
        let too_long = "the provider took too long to confirm that it accepts its value";
        checked.unwrap_or_else(|_| Err(too_long.to_owned())).map_err(Rejection::Unfit)
    }

    fn backoff(&self) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_min_delay(self.context.first_wait)
            .with_max_delay(self.context.patience.max(Duration::from_secs(1)) / 8)
            .with_jitter()
    }

    /// A token that another run minted: its delivery window is open, or it is newer than
    /// this run's first list.
    fn rival(&self, listed: &[Token], own: &Marker) -> Option<Rejection> {
        let now = self.context.clock.now().unwrap_or(self.input.now);
        listed.iter().find_map(|token| {
            let marker = self.any_marker(token)?;
            // A run may lack the key only until the first signed token is listed.
            if self.lineage.is_signed && !self.is_verified(&marker) {
                return None;
            }
            let minted_at = marker.minted_at;
            let is_other = marker.run != own.run;
            let member = Member { token: token.clone(), marker: Some(marker), is_proven: false };
            let was_listed = self.lineage.get(&token.id).is_some()
                || self.lineage.ignored.iter().any(|ignored| ignored.id == token.id);
            let is_rival = is_other && (member.window_is_open(now) || !was_listed);
            is_rival.then(|| Rejection::Rival { id: token.id.clone(), minted_at })
        })
    }

    /// The marker of a listed token if it names this rotation.
    fn any_marker(&self, token: &Token) -> Option<Marker> {
        Marker::find(&token.note).filter(|marker| self.input.rotation.has_key(&marker.key))
    }

    fn is_verified(&self, marker: &Marker) -> bool {
        let keys = &self.context.marker_keys;
        keys.is_empty() || keys.verify(marker)
    }

    /// Why the new token cannot be used, if there is a reason.
    fn unfit(&self, new_token: &Member, previous: Option<&Token>) -> Option<String> {
        if Marker::find(&new_token.token.note) != new_token.marker {
            return Some(
                "the provider did not keep its marker, so no later run would recognise it".to_owned(),
            );
        }
        if let Some(old) = previous.filter(|old| old.privileges != new_token.token.privileges) {
            let fields = differing_fields(&old.privileges, &new_token.token.privileges);
            return Some(format!("its privileges differ from those of the previous token ({fields})"));
        }
        // It would be due at once, and again after every mint.
        if self.input.profile.expires && new_token.token.expires_at.is_none() {
            let why = "it does not show the requested expiry, so crossfade could not tell when to replace it. \
                       This server may not support token expiries";
            return Some(why.to_owned());
        }
        self.input.due(new_token).map(|why| format!("it would have to be replaced at once: {why}"))
    }

    /// Revokes a new token that was not written anywhere.
    async fn reject(&self, minted: &Minted, previous: Option<Token>, rejection: Rejection) -> MintFailure {
        let cleanup = self.revoke(minted, previous.as_ref()).await;
        let id = minted.token.id.clone();
        let error = match rejection {
            Rejection::Rival { id: rival, minted_at } => {
                RotationError::Overtaken { id, rival, minted_at, cleanup }
            }
            Rejection::Unfit(why) => RotationError::Unfit { id, why, cleanup },
        };
        MintFailure { error, previous }
    }

    /// Deletes a new token; returns whether that succeeded.
    pub(super) async fn revoke(&self, minted: &Minted, previous: Option<&Token>) -> Cleanup {
        let credentials = CredentialFallback::after_mint(self.session, &minted.value, previous);
        match retire(self.session, &credentials, &minted.token, RetireAction::Delete).await {
            Ok(()) => Cleanup::Revoked,
            Err(why) => Cleanup::Failed { until: minted.token.expires_at, why },
        }
    }

    /// Deletes the token of a lost attempt. If that fails, a later run does it.
    async fn delete(&self, lost: &Token) {
        let credentials = CredentialFallback::before_mint(self.session);
        if let Err(error) = retire(self.session, &credentials, lost, RetireAction::Delete).await {
            tracing::warn!("the token of a lost attempt could not be deleted: {error}");
        }
    }
}

/// The token as the list shows it, if it does: a reply to a creation may leave fields out.
fn shown<'a>(token: &'a Token, listed: &'a [Token]) -> &'a Token {
    listed.iter().find(|other| other.id == token.id).unwrap_or(token)
}

fn differing_fields(one: &Value, other: &Value) -> String {
    let names = [one, other].into_iter().filter_map(Value::as_object).flat_map(Map::keys);
    let differing: BTreeSet<&str> =
        names.filter(|name| one.get(*name) != other.get(*name)).map(String::as_str).collect();
    Vec::from_iter(differing).join(", ")
}

/// The token with the expiry that a mint gives it.
fn ended(old: Option<&Member>, end: Option<Timestamp>) -> Option<Token> {
    old.map(|old| Token { expires_at: end.or(old.token.expires_at), ..old.token.clone() })
}

/// The longest check before the delivery, whose window is already open. A request sent
/// before `patience` runs out may still finish.
fn longest_check(patience: Duration) -> Duration {
    patience + patience / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_leaves_time_for_the_delivery() {
        assert_eq!(longest_check(Duration::from_secs(60)), Duration::from_secs(90));
    }
}
