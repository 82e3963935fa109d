//! Which markers are believed, and what may be ended on the word of one.
//!
//! Everyone who may create tokens at the provider can write a marker, but cannot sign one
//! without the key, set a creation date, or move another token's expiry. Pure, like
//! everything that the plan is made of.

use jiff::Timestamp;

use super::error::RotationError;
use super::lineage::{Lineage, Member, SKEW, TOLERANCE, after, before};
use super::marker::{Marker, MarkerKeys, strip};
use super::plan::PlanInput;
use crate::config::Rotation;
use crate::limits::LONGEST_WINDOW;
use crate::provider::Token;

/// A token with this rotation's marker on which no run acts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("token {id} was ignored: {reason}. Delete it at the provider if nothing uses it")]
pub(super) struct Ignored {
    pub(super) id: String,
    pub(super) reason: WhyIgnored,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WhyIgnored {
    #[error("its marker is not signed, unlike those of other tokens of this rotation")]
    Unsigned,
    #[error("no key in CROSSFADE_MARKER_KEY made the signature of its marker")]
    WrongSignature,
    #[error("the provider created it at another time than its marker says")]
    Copied,
    #[error("its privileges differ from those of the token that `trusted` names")]
    OtherPrivileges,
}

/// Sorts out which of the tokens with this rotation's marker count.
///
/// Without a signature anywhere, a marker that no run of crossfade writes stops the
/// rotation. With one, what is not signed is ignored, unless it is older than
/// everything that is: it was minted before there was a key.
pub(super) fn believe(
    marked: Vec<(&Token, Marker)>,
    keys: &MarkerKeys,
    now: Timestamp,
) -> Result<Lineage, RotationError> {
    let signed = marked.iter().find(|(_, marker)| marker.mac.is_some());
    if let Some((token, _)) = signed.filter(|_| keys.is_empty()) {
        return Err(RotationError::MarkerKeyMissing { id: token.id.clone() });
    }
    let is_proven = |token: &Token, marker: &Marker| keys.verify(marker) && !is_contradicted(token, marker);
    let oldest_signed = marked
        .iter()
        .filter(|(token, marker)| is_proven(token, marker))
        .map(|(_, marker)| marker.minted_at)
        .min();
    let mut lineage = Lineage { is_signed: oldest_signed.is_some(), ..Lineage::default() };
    for (token, marker) in marked {
        let is_proven = is_proven(token, &marker);
        let reason = match oldest_signed {
            _ if is_proven => None,
            None if marker.mac.is_some() && !keys.verify(&marker) => {
                return Err(RotationError::MarkerKeyUnknown { id: token.id.clone() });
            }
            None => {
                refuse_implausible(token, &marker, now)?;
                None
            }
            Some(_) if keys.verify(&marker) => Some(WhyIgnored::Copied),
            Some(_) if marker.mac.is_some() => Some(WhyIgnored::WrongSignature),
            Some(oldest)
                if marker.minted_at < oldest
                    && is_plausible(&marker, now)
                    && !is_contradicted(token, &marker) =>
            {
                None
            }
            Some(_) => Some(WhyIgnored::Unsigned),
        };
        match reason {
            Some(reason) => lineage.ignored.push(Ignored { id: token.id.clone(), reason }),
            None => lineage.members.push(Member { token: token.clone(), marker: Some(marker), is_proven }),
        }
    }
    Ok(lineage)
}

/// Stops at a marker that no run of crossfade writes.
fn refuse_implausible(token: &Token, marker: &Marker, now: Timestamp) -> Result<(), RotationError> {
    let id = token.id.clone();
    if marker.minted_at > after(now, TOLERANCE) {
        return Err(RotationError::FutureMarker { id, minted_at: marker.minted_at, now });
    }
    if !is_plausible(marker, now) {
        return Err(RotationError::ImplausibleWindow { id, until: marker.until });
    }
    match token.created_at.filter(|_| is_contradicted(token, marker)) {
        Some(created_at) => {
            Err(RotationError::ContradictedMarker { id, minted_at: marker.minted_at, created_at })
        }
        None => Ok(()),
    }
}

fn is_plausible(marker: &Marker, now: Timestamp) -> bool {
    marker.minted_at <= after(now, TOLERANCE) && marker.window() <= LONGEST_WINDOW
}

/// Whether the provider's creation date lies outside the marker's delivery window,
/// by more than the clocks may differ.
fn is_contradicted(token: &Token, marker: &Marker) -> bool {
    token.created_at.is_some_and(|created_at| {
        created_at < before(marker.minted_at, SKEW) || created_at > after(marker.until, SKEW)
    })
}

/// Stops if tokens of a rotation have different privileges: one of them may be forged, and
/// a new token must not inherit from it. Live ones are compared, and those of `ended`. The
/// user ends the comparison by naming the right token.
pub(super) fn compare_privileges(
    lineage: &Lineage,
    now: Timestamp,
    ended: &[&Member],
) -> Result<(), RotationError> {
    if lineage.has_trusted {
        return Ok(());
    }
    // Where markers are signed, no new token is made from one that is not.
    let is_compared = |member: &&Member| {
        (member.is_live(now) || ended.iter().any(|other| other.is(member)))
            && (member.is_proven || !lineage.is_signed)
    };
    let mut compared = lineage.members.iter().filter(is_compared);
    let Some(newest) = compared.next() else { return Ok(()) };
    match compared.find(|other| other.token.privileges != newest.token.privileges) {
        None => Ok(()),
        Some(other) => Err(different_privileges(lineage, newest, other)),
    }
}

fn different_privileges(lineage: &Lineage, newest: &Member, other: &Member) -> RotationError {
    if let Some(own) = lineage.renamed_from(other) {
        let name = |member: &Member| strip(&member.token.name);
        return RotationError::TokenChanged {
            named: name(other),
            id: other.id(),
            own: name(own),
            own_id: own.id(),
        };
    }
    let marked = other.marker.is_none().then(|| newest.id());
    RotationError::DifferentPrivileges { newest: newest.id(), other: other.id(), marked }
}

/// What supports the claim that a token replaced another one; the strongest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Support {
    /// Nothing but an unsigned marker.
    None,
    /// Equal privileges, at a provider that offers no other evidence.
    EqualPrivileges,
    /// A signature, a creation date, the previous token's own end, or this run itself.
    Evidence,
}

/// What supports the claim of `successor`'s marker that it replaced `previous`.
pub(super) fn support(
    lineage: &Lineage,
    PlanInput { rotation, profile, .. }: PlanInput<'_>,
    successor: &Member,
    previous: &Member,
) -> Support {
    let Some(marker) = &successor.marker else { return Support::None };
    if successor.is_proven {
        return Support::Evidence;
    }
    if lineage.is_signed {
        return Support::None;
    }
    // A mint with a native overlap moves the previous token's end, which a credential that
    // may only create tokens cannot.
    let latest_end =
        after(after(marker.minted_at, rotation.policy.overlap.duration().max(marker.window())), SKEW);
    let was_ended = previous.token.expires_at.is_some_and(|end| end <= latest_end);
    if successor.token.created_at.is_some() || was_ended {
        return Support::Evidence;
    }
    let offers_nothing = !profile.has_native_overlap;
    if offers_nothing && successor.token.privileges == previous.token.privileges {
        Support::EqualPrivileges
    } else {
        Support::None
    }
}

/// Leaves out tokens with other privileges than the trusted one, and reports the live ones.
pub(super) fn keep_trusted(rotation: &Rotation, lineage: &mut Lineage, now: Timestamp) {
    let is_trusted = |member: &&Member| Some(&member.token.id) == rotation.trusted.as_ref();
    let Some(trusted) = lineage.members.iter().find(is_trusted) else { return };
    let wanted = trusted.token.privileges.clone();
    let is_kept = |member: &Member| member.token.privileges == wanted;
    let left_out = lineage.members.iter().filter(|member| !is_kept(member) && member.is_live(now));
    let left_out = left_out.map(|member| Ignored { id: member.id(), reason: WhyIgnored::OtherPrivileges });
    lineage.ignored.extend(left_out);
    lineage.members.retain(is_kept);
    lineage.has_trusted = true;
    lineage.is_signed = lineage.members.iter().any(|member| member.is_proven);
}

#[cfg(test)]
mod tests;
