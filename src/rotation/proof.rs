//! Shows that a provider file is right: by reading, and by one token that is created,
//! found, verified and deleted again.
//!
//! The tokens of a proof carry a key of their own, so no rotation takes them for its
//! own, and a later proof deletes what an earlier one left behind.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::marker::{self, Marker, MarkerKeys};
use super::retire::retire;
use super::session::{CredentialFallback, ProviderSession};
use super::stop_signal::StopSignal;
use crate::config::{Rotation, RotationKey};
use crate::limits::delivery_window;
use crate::provider::{Error, Mint, Minted, RetireAction, Token, Verification};
use crate::redact::is_maskable;
use crate::report::provider::{Outcome, Step};

/// How much later than asked for a token may end, where services round.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(25);

/// Signs the marker of a proof, so that it is as long as that of any run. It proves nothing.
const SIGNED: &str = "the key of a proof that anybody may know";

/// Whether a token carries a marker: of this rotation (`Some(true)`), or of another.
pub(crate) fn is_ours(rotation: &Rotation, token: &Token) -> Option<bool> {
    Marker::find(&token.note).map(|marker| rotation.has_key(&marker.key))
}

pub(crate) struct Proof<'a> {
    pub session: &'a ProviderSession,
    /// The rotation whose token the new one is made like.
    pub rotation: &'a Rotation,
    /// The shortest life of a token.
    pub shortest: Duration,
    /// How long the provider may lag.
    pub patience: Duration,
    /// Ends the proof, except for the deletion of what it created.
    pub stop_signal: &'a StopSignal,
    /// The provider's time, once it has answered.
    pub now: &'a dyn Fn() -> Option<Timestamp>,
}

impl Proof<'_> {
    /// The round trip, up to a step that fails; what was created is deleted, or else named.
    pub(crate) async fn run(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let created = Box::pin(self.create(&mut steps)).await;
        if let Some((minted, previous)) = created {
            let checks = async {
                let is_sound = self.examine(&mut steps, &minted, previous.as_ref()).await;
                if is_sound { self.verify(&mut steps, &minted).await } else { None }
            };
            let verification = match self.unless_stopped(checks).await {
                Ok(verification) => verification,
                Err(why) => note(&mut steps, "check it", Err(why)),
            };
            self.delete(&mut steps, &minted.token).await;
            if verification == Some(Verification::Verified) {
                self.is_refused(&mut steps, &minted).await;
            }
        }
        steps
    }

    /// No rotation has this key: their names may not contain brackets.
    fn key(&self) -> RotationKey {
        RotationKey::new(&self.rotation.repository, &format!("{}[prove]", self.rotation.name))
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, String> {
        self.stop_signal.unless_stopped(work).await.map_err(not_done)
    }

    async fn create(&self, steps: &mut Vec<Step>) -> Option<(Minted, Option<Token>)> {
        let listed = self.unless_stopped(self.session.provider.list(&self.session.credential)).await;
        let listed = listed.and_then(|listed| listed.map_err(|error| error.to_string()));
        let tokens = note(steps, "list the tokens", listed)?;
        let file = self.rotation.provider.kind.file();
        for warning in file.token.absent_from(&tokens) {
            steps.push(Step { what: "read the tokens".to_owned(), outcome: Outcome::Warning(warning) });
        }
        let key = self.key();
        for left in tokens.iter().filter(|token| Marker::find(&token.note).is_some_and(|one| one.key == key))
        {
            if self.stop_signal.check().is_ok() {
                self.delete(steps, left).await;
            }
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
        let keys = MarkerKeys(vec![SIGNED.into()]);
        let window = delivery_window(1);
        let marker = Marker::new(key, now, window, marker::new_run(Some(named))).signed(&keys);
        let name = "crossfade-proof";
        let text = if profile.marks_the_name { name } else { "made by crossfade provider prove" };
        let own = previous.as_ref().map_or_else(|| named.clone(), |previous| marker::strip(&previous.note));
        let text = as_long_as(text, &own);
        let marked = marker::annotate(&marker::cut(&text, profile.marker_max), &marker);
        let life = SignedDuration::try_from(self.shortest).unwrap_or(SignedDuration::from_hours(1));
        let mint = Mint {
            previous: previous.as_ref(),
            by_creation: true,
            template,
            name,
            note: &marked,
            minted_at: marker.minted_at,
            expires_at: profile.expires.then(|| now.saturating_add(life).unwrap_or(Timestamp::MAX)),
            previous_ends_at: None,
        };
        if let Err(why) = self.stop_signal.check() {
            return note(steps, "create a token", Err(not_done(why)));
        }
        let minted = self.session.provider.mint(&self.session.credential, &mint).await;
        let may_exist = minted.as_ref().is_err_and(|error| !error.kind.is_refusal());
        let minted = note(steps, "create a token", minted.map_err(|error| error.to_string()));
        if may_exist {
            self.look_for(steps, &marked).await;
        }
        Some((minted?, previous))
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
        let look = async || self.session.provider.list(&self.session.credential).await.map(is_it);
        let found = self.repeated(look, "the list does not show it: see `list`, `eventual`").await;
        let Some(token) = note(steps, "find it in the list", found) else { return false };
        let now = (self.now)();
        let profile = self.session.provider.profile();
        let asked = Asked {
            key: self.key(),
            privileges: previous.map(|previous| &previous.privileges),
            ends_within: now.filter(|_| profile.expires).map(|now| (now, self.shortest)),
        };
        let value =
            check(is_maskable(&minted.value), "it is not 16 to 4096 visible ASCII characters: see `value`");
        let mut is_sound = note(steps, "use its value", value).is_some();
        for (what, result) in asked.compare(&token) {
            is_sound &= note(steps, what, result).is_some();
        }
        is_sound
    }

    async fn verify(&self, steps: &mut Vec<Step>, minted: &Minted) -> Option<Verification> {
        let path = self.rotation.verify.as_deref();
        let look = async || {
            let verification = self.session.provider.verify(minted, path).await?;
            Ok(Some(verification).filter(|one| *one != Verification::Rejected))
        };
        let verified = self.repeated(look, "the service does not accept its value: see `verify`").await;
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
        let deleted = retire(self.session, &credentials, token, RetireAction::Delete).await;
        let deleted = deleted.map_err(|why| format!("{why}. Delete the token {} by hand", token.id));
        if note(steps, &format!("delete the token {}", token.id), deleted).is_none() {
            return;
        }
        let look = async || {
            let shown = self.session.provider.get(&self.session.credential, &token.id).await?;
            Ok(shown.is_none().then_some(()))
        };
        let looks = self.repeated(look, "the service still shows it: see `delete`, `token.ignore`");
        note(steps, "see that it is gone", self.unless_stopped(looks).await.flatten());
    }

    /// The deleted token's value must be refused, or `verify` proves nothing.
    async fn is_refused(&self, steps: &mut Vec<Step>, minted: &Minted) {
        let path = self.rotation.verify.as_deref();
        let look = async || {
            let verification = self.session.provider.verify(minted, path).await?;
            Ok((verification == Verification::Rejected).then_some(()))
        };
        let otherwise = "it is still accepted, or the refusal is not among `verify.rejected`";
        let looks = self.repeated(look, otherwise);
        note(steps, "see that its value is refused", self.unless_stopped(looks).await.flatten());
    }

    /// Asks until there is an answer, while the service may lag; `otherwise` is the error.
    async fn repeated<T>(
        &self,
        ask: impl AsyncFn() -> Result<Option<T>, Error>,
        otherwise: &str,
    ) -> Result<T, String> {
        let mut repetitions = self.session.retry.repetitions();
        let mut waited = Duration::ZERO;
        loop {
            if let Some(answer) = ask().await.map_err(|error| error.to_string())? {
                return Ok(answer);
            }
            match repetitions.next_wait(None) {
                Some(wait) if waited + wait <= self.patience => {
                    tokio::time::sleep(wait).await;
                    waited += wait;
                }
                _ => return Err(otherwise.to_owned()),
            }
        }
    }
}

fn not_done(why: String) -> String {
    format!("not done, because {why}")
}

/// What the new token must be.
struct Asked<'a> {
    key: RotationKey,
    /// Those of the token that it was copied from.
    privileges: Option<&'a Value>,
    /// Now, and how long it was to live; `None`: the provider has no expiry, or no clock.
    ends_within: Option<(Timestamp, Duration)>,
}

impl Asked<'_> {
    /// Each comparison of the token in the list with what was asked for.
    fn compare(&self, token: &Token) -> [(&'static str, Result<(), String>); 3] {
        let has_marker = Marker::find(&token.note).is_some_and(|one| one.key == self.key);
        let marker =
            check(has_marker, "the list does not show it at `token.marker`, or the service changed it");
        let is_equal = self.privileges.is_none_or(|privileges| *privileges == token.privileges);
        let rights = check(
            is_equal,
            "its rights are not those of the token that it was copied from: see `token.rights` and the body of `create`",
        );
        let expiry = match (self.ends_within, token.expires_at) {
            (None, _) => Ok(()),
            (Some(_), None) => {
                Err("it does not show one: see `token.expires` and the body of `create`".to_owned())
            }
            (Some((now, life)), Some(end)) => {
                let life = SignedDuration::try_from(life).unwrap_or(SignedDuration::MAX);
                let latest = now.saturating_add(life.saturating_add(TOLERANCE)).unwrap_or(Timestamp::MAX);
                check(
                    end > now && end <= latest,
                    &format!(
                        "it ends at {end}, which was not asked for: see the form of the dates, and `shortest`"
                    ),
                )
            }
        };
        [
            ("recognise it by its marker", marker),
            ("compare its rights", rights),
            ("compare its expiry", expiry),
        ]
    }
}

/// The text with as many characters as another one has, if it has fewer: where no limit is
/// known, a proof takes as much room as the rotation's own text will.
fn as_long_as(text: &str, other: &str) -> String {
    let width = other.chars().count();
    format!("{text:-<width$}")
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::samples::{day, minted};
    use super::*;

    const LIFE: Duration = Duration::from_secs(3600);

    fn asked() -> Asked<'static> {
        let key = minted("tok", day(0), None).marker.unwrap().key;
        Asked { key, privileges: None, ends_within: None }
    }

    fn token(end: Option<Timestamp>) -> Token {
        let member = minted("tok", day(0), end);
        Token { note: marker::annotate("ci", &member.marker.unwrap()), ..member.token }
    }

    /// What fails, by the first word after the verb.
    fn failures(asked: &Asked<'_>, token: &Token) -> Vec<&'static str> {
        let failed = asked.compare(token).into_iter().filter(|(_, result)| result.is_err());
        failed.map(|(what, _)| what).collect()
    }

    #[test]
    fn a_token_needs_the_marker_of_this_proof() {
        assert_eq!(failures(&asked(), &token(None)), [""; 0]);
        let none = Token { note: "ci".to_owned(), ..token(None) };
        assert_eq!(failures(&asked(), &none), ["recognise it by its marker"]);
        let repository = "acme/infra".parse().unwrap();
        let another = Asked { key: RotationKey::new(&repository, "another/prove"), ..asked() };
        assert_eq!(failures(&another, &token(None)), ["recognise it by its marker"]);
    }

    #[test]
    fn a_copy_has_the_rights_of_its_original() {
        let wanted = json!({ "scopes": ["read"] });
        let equal = Token { privileges: wanted.clone(), ..token(None) };
        let wider = Token { privileges: json!({ "scopes": ["read", "write"] }), ..token(None) };
        let copied = Asked { privileges: Some(&wanted), ..asked() };
        assert_eq!(failures(&copied, &equal), [""; 0]);
        assert_eq!(failures(&copied, &wider), ["compare its rights"]);
        assert_eq!(failures(&asked(), &wider), [""; 0], "made from the rotation's `create`");
    }

    #[test]
    fn it_ends_when_it_was_asked_to_or_when_a_day_is_rounded() {
        let short = Asked { ends_within: Some((day(10), LIFE)), ..asked() };
        let at = |hours: i64| Some(day(10) + SignedDuration::from_hours(hours));
        for (end, is_right) in
            [(at(1), true), (at(26), true), (at(27), false), (at(0), false), (at(-1), false), (None, false)]
        {
            assert_eq!(failures(&short, &token(end)).is_empty(), is_right, "{end:?}");
        }
        assert_eq!(failures(&asked(), &token(None)), [""; 0], "by age, or without a clock");
        let longest = Asked { ends_within: Some((Timestamp::MAX, Duration::MAX)), ..asked() };
        assert_eq!(failures(&longest, &token(at(1))), ["compare its expiry"]);
    }

    #[test]
    fn a_proof_takes_as_much_room_as_a_rotation() {
        assert_eq!(as_long_as("proof", "a longer name"), "proof--------");
        assert_eq!(as_long_as("proof", "ci"), "proof");
        let keys = MarkerKeys(vec![SIGNED.into()]);
        let run = marker::new_run(Some("tok"));
        let marker = Marker::new(asked().key, day(0), delivery_window(1), run).signed(&keys).to_string();
        assert!(marker.len() >= 62, "{marker}");
    }

    #[test]
    fn whose_a_token_is_follows_from_its_marker() {
        let rotation = super::super::samples::rotation(1);
        assert_eq!(is_ours(&rotation, &Token { note: "ci".to_owned(), ..token(None) }), None);
        assert_eq!(is_ours(&rotation, &token(None)), Some(true));
        let another =
            Rotation { key: RotationKey::parse("aaaaaaaaaa").unwrap(), formerly: Vec::new(), ..rotation };
        assert_eq!(is_ours(&another, &token(None)), Some(false));
    }
}
