//! Warnings about tokens that are kept, ignored or retired in spite of doubts.

use super::apply::RotationRun;
use super::marker::strip;
use super::names::secrets;
use super::plan::{Plan, PlanInput, Retirement, Step};
use super::session::ProviderSession;
use super::trust::Support;
use crate::config::Rotation;
use crate::diagnostic::nearest;
use crate::github::Mode;
use crate::provider::{Provider, RetireAction, Token};
use crate::report::RotationReport;

/// Said once in a report, however many tokens are doubted.
const SIGN_MARKERS: &str =
    "Set CROSSFADE_MARKER_KEY, so that crossfade can tell its own tokens from forged ones";

/// Leaves what is not about one rotation in the first rotation's warnings alone.
pub(super) fn say_once(rotations: &mut [RotationReport]) {
    let mut is_said = false;
    for report in rotations {
        report.warnings.retain(|warning| warning != SIGN_MARKERS || !std::mem::replace(&mut is_said, true));
    }
}

impl RotationRun {
    /// Warns if `token` names another token than the one that the rotation goes on with, or
    /// none. An id may be that of an original which is gone, so it is not doubted.
    pub(super) fn warn_of_named_token(&mut self, rotation: &Rotation, tokens: &[Token], provider: &Provider) {
        let named = &rotation.token;
        let another =
            self.lineage.members.last().and_then(|last| Some((last, self.lineage.renamed_from(last)?)));
        if let Some((another, own)) = another {
            self.warnings.push(format!(
                "`token` names `{named}` ({}), but this rotation goes on with its own token, `{}` ({}). Correct `token`, \
                 or give the other token a rotation of its own",
                another.token.id,
                strip(&own.token.name),
                own.token.id
            ));
            return;
        }
        let Some(own) = self.lineage.members.iter().find(|member| member.marker.is_some()) else { return };
        let name = strip(&own.token.name);
        let is_listed = tokens.iter().any(|token| token.id == *named || strip(&token.name) == *named);
        // A name that holds the marker may have been cut, and a unique one has a part of its own.
        let is_cut = provider.profile().marks_the_name && named.starts_with(&name);
        let is_own = is_cut || name.strip_prefix(named).is_some_and(|rest| rest.starts_with('-'));
        let has_form_of_id = named.len() == own.token.id.len() || named.bytes().all(|b| b.is_ascii_digit());
        let is_misspelt =
            nearest(named, [&*name]).is_some() || !has_form_of_id || !provider.could_be_id(named);
        if !is_listed && !is_own && is_misspelt {
            self.warnings.push(format!(
                "the provider lists no token `{named}`; this rotation goes on with its own token, `{name}` ({}). Correct \
                 `token`",
                own.token.id
            ));
        }
    }

    /// Warns of tokens that are kept because of their markers, and of tokens that are
    /// retired on weak evidence of a successor.
    pub(super) fn warn_of_doubts(&mut self, input: PlanInput<'_>, plan: &Plan) {
        self.warnings.extend(self.lineage.ignored.iter().map(ToString::to_string));
        let withheld = self.situation(input).withheld().into_iter().map(|id| {
            format!(
                "token {id} is not retired: only an unsigned marker says that it was replaced. If crossfade created \
                 the newer token, delete this one at the provider"
            )
        });
        let mut doubts: Vec<String> = withheld.collect();
        for Retirement { token: id, support, .. } in &plan.retire {
            let Some(member) = self.lineage.get(id).filter(|member| member.is_live(input.now)) else {
                continue;
            };
            if let Some(newer) = self.lineage.siblings(member).next() {
                doubts.push(format!(
                    "token {id} is retired because token {} has the marker of a later attempt of the same run. If \
                     crossfade did not create that one, replace the token now with --force",
                    newer.token.id
                ));
            } else if *support == Support::EqualPrivileges {
                doubts.push(format!(
                    "token {id} is retired although only an unsigned marker says that it was replaced"
                ));
            }
        }
        if !doubts.is_empty() {
            doubts.push(SIGN_MARKERS.to_owned());
        }
        self.warnings.extend(doubts);
    }

    /// Warns when a retired token was used recently.
    pub(super) fn warn_of_use(&mut self, input: PlanInput<'_>, one: &Retirement) {
        let Some(used_at) = one.used_at else { return };
        let what = match one.action {
            RetireAction::Disable => format!(
                "It is disabled now, and deleted {} later: enable it at the provider if it is needed",
                input.rotation.policy.delete_disabled_after()
            ),
            // The warning was given when the token was disabled.
            RetireAction::Delete if input.profile.can_disable => return,
            RetireAction::Delete => "It is deleted now".to_owned(),
        };
        self.warnings.push(format!(
            "token {} was last used at {used_at}, after every secret had been written with a newer one: a copy of it \
             is in use elsewhere, or a job waited for long. {what}",
            one.token
        ));
    }

    /// Warns of what breaks when the previous token has no overlap.
    pub(super) fn warn_of_no_overlap(&mut self, session: &ProviderSession, input: PlanInput<'_>, mode: Mode) {
        if !input.rotation.policy.overlap.duration().is_zero() {
            return;
        }
        let warning = match (&self.plan, &self.delivery) {
            (Some(Plan { step: Step::Mint(mint), .. }), _) if mode != Mode::Apply => {
                mint.previous.as_ref().map(|id| {
                    format!(
                        "with an overlap of 0h, token {id} is ended as soon as every secret holds the new token: jobs \
                         that are queued or running by then still use it, and fail. Start them again"
                    )
                })
            }
            (_, Some(delivery)) => {
                delivery.previous.as_ref().and_then(|old| self.ended_at_once(session, input, old))
            }
            _ => None,
        };
        self.warnings.extend(warning);
    }

    /// Whether the previous token was ended right after the delivery, in words.
    fn ended_at_once(&self, session: &ProviderSession, input: PlanInput<'_>, old: &Token) -> Option<String> {
        let id = &old.id;
        if self.retired.contains(id) {
            return Some(format!(
                "token {id} was ended at once, because of the overlap of 0h: jobs that were queued or running before \
                 this still use it, and fail. Start them again"
            ));
        }
        let until = old.expires_at.map(|end| format!(" until {end:.0}")).unwrap_or_default();
        // While a destination may hold it, no advice says to end it.
        let situation = self.situation(input);
        let member = self.lineage.get(id)?;
        let targets = input.rotation.secrets.iter().zip(&situation.holders);
        let holders = targets.filter(|(_, holder)| situation.may_hold(**holder, member));
        let holders: Vec<String> = holders.map(|(secret, _)| secret.destination.to_string()).collect();
        let why = if !holders.is_empty() {
            format!(
                "{} may still hold it. A run ends it once every secret holds a newer token",
                secrets(&holders)
            )
        } else if session.provider.could_be_value_of(old, &session.credential) {
            format!(
                "No secret of this rotation holds it any more. It may be the provider credential in use: set {} to \
                 another one and run again",
                input.rotation.provider.credential
            )
        } else {
            "No secret of this rotation holds it any more. The next run tries again; or end it at the provider \
             by hand"
                .to_owned()
        };
        Some(format!(
            "token {id} was NOT ended at once, although the overlap is 0h. It is valid{until}. {why}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_recommended_once_in_a_report() {
        let doubted = |name: &str| {
            let mut report = RotationReport::new(name, "deepset".to_owned());
            report.warnings = vec![format!("token {name} is not retired"), SIGN_MARKERS.to_owned()];
            report
        };
        let mut reports = [doubted("a"), doubted("b"), doubted("c")];
        say_once(&mut reports);
        assert_eq!(reports.map(|report| report.warnings.len()), [2, 1, 1]);
    }
}
