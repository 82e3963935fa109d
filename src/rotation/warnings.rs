//! Warnings about tokens that are kept, ignored or retired in spite of doubts.

use super::apply::RotationRun;
use super::plan::{self, Plan, PlanInput, Retirement};
use super::trust::Support;
use crate::provider::Ending;
use crate::report::RotationReport;

/// Said once in a report, however many tokens are doubted.
const SIGN_MARKERS: &str =
    "Set CROSSFADE_MARKER_KEY, so that crossfade can tell its own tokens from forged ones";

/// Leaves the recommendation of a key in the first rotation's warnings alone.
pub(super) fn say_once(rotations: &mut [RotationReport]) {
    let mut is_said = false;
    for report in rotations {
        report.warnings.retain(|warning| warning != SIGN_MARKERS || !std::mem::replace(&mut is_said, true));
    }
}

impl RotationRun {
    /// Warns of tokens that are kept because of their markers, and of tokens that are
    /// retired on weak evidence of a successor.
    pub(super) fn warn_of_doubts(&mut self, input: &PlanInput<'_>, plan: &Plan) {
        self.warnings.extend(self.lineage.ignored.iter().map(ToString::to_string));
        let id = |member: usize| self.lineage.members[member].token.id.as_str();
        let kept = plan::withheld(input, &self.lineage, &self.observations);
        let mut doubts: Vec<String> = kept
            .into_iter()
            .map(|member| {
                format!(
                    "token {} is not retired: only an unsigned marker says that it was replaced. If crossfade made \
                     the newer token, delete this one at the provider",
                    id(member)
                )
            })
            .collect();
        for one in plan.retire.iter().filter(|one| self.lineage.members[one.member].is_live(input.now)) {
            if let Some(newer) = self.lineage.siblings(one.member).next() {
                doubts.push(format!(
                    "token {} is retired because token {} has the marker of a later attempt of the same run. If crossfade \
                     did not make that one, replace the token now with --force",
                    id(one.member),
                    newer.token.id
                ));
            } else if one.support == Support::EqualPrivileges {
                doubts.push(format!(
                    "token {} is retired although only an unsigned marker says that it was replaced",
                    id(one.member)
                ));
            }
        }
        if !doubts.is_empty() {
            doubts.push(SIGN_MARKERS.to_owned());
        }
        self.warnings.extend(doubts);
    }

    /// Warns when a retired token was used recently.
    pub(super) fn warn_of_use(&mut self, input: &PlanInput<'_>, one: Retirement) {
        let Some(used_at) = plan::used_since_replaced(input, &self.lineage, &self.observations, one.member)
        else {
            return;
        };
        let id = &self.lineage.members[one.member].token.id;
        let what = match one.ending {
            Ending::Disable => format!(
                "It is disabled, and deleted {} later: enable it at the provider if it is needed",
                input.rotation.policy.delete_disabled_after()
            ),
            // The warning was given when the token was disabled.
            Ending::Delete if input.profile.can_disable => return,
            Ending::Delete => "It is deleted".to_owned(),
        };
        self.warnings.push(format!(
            "token {id} was last used at {used_at}, after every destination had its successor: a copy of it is in \
             use elsewhere, or a job waited long. {what}"
        ));
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
