//! What needs attention by a report, and how that differs from what an issue announced.

use std::collections::BTreeMap;

use super::marks::short_digest;
use crate::report::{RedactedReport, RotationOutcome};

/// How many characters of a digest stand for one name.
const ID_LENGTH: usize = 8;
/// A longer set is announced by one digest, because a description is limited.
const MOST_IDS: usize = 1000;
/// What is announced while all is well.
const NOTHING: &str = "-";
/// What stands for the GitHub credential, where others have a rotation's name.
const CREDENTIAL: &str = "the GitHub credential";

/// The rotations that failed, or whose tokens would expire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attention {
    /// By the digest of each name.
    concerned: BTreeMap<String, String>,
    /// All rotations of the report, to name those that are well again.
    all: BTreeMap<String, String>,
}

/// How two sets differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Change<'a> {
    pub(super) new: Vec<&'a str>,
    pub(super) resolved: Vec<&'a str>,
}

impl Attention {
    /// Of a report.
    pub(super) fn of(report: &RedactedReport) -> Self {
        let failed = report.rotations.iter().filter(|one| one.outcome == RotationOutcome::Failed);
        let failed = failed.map(|one| one.name.as_str());
        let expiring = report.expiring.iter().map(|one| one.rotation.as_deref().unwrap_or(CREDENTIAL));
        let found = report.fail_on.iter().map(|one| one.rotation.as_str());
        let all = report.rotations.iter().map(|one| one.name.as_str()).chain([CREDENTIAL]);
        Self { concerned: by_id(failed.chain(expiring).chain(found)), all: by_id(all) }
    }

    /// Whether nothing needs attention.
    pub(super) fn is_empty(&self) -> bool {
        self.concerned.is_empty()
    }

    /// The names, in an order that does not change.
    pub(super) fn names(&self) -> Vec<&str> {
        self.concerned.values().map(String::as_str).collect()
    }

    /// The set, as the first mark carries it: digests of the names.
    pub(super) fn announcement(&self) -> String {
        let ids: Vec<&str> = self.concerned.keys().map(String::as_str).collect();
        match ids.len() {
            0 => NOTHING.to_owned(),
            1..=MOST_IDS => ids.join("."),
            count => format!("{count}-{}", short_digest(&ids.join("."), ID_LENGTH)),
        }
    }

    /// What changed since the set that was announced.
    pub(super) fn since(&self, announced: &str) -> Change<'_> {
        let is_list = announced == NOTHING || announced.split('.').all(|id| id.len() == ID_LENGTH);
        if !is_list {
            return Change::default();
        }
        let earlier: Vec<&str> = announced.split('.').collect();
        let new = self.concerned.iter().filter(|(id, _)| !earlier.contains(&id.as_str()));
        let resolved = earlier.iter().filter(|id| !self.concerned.contains_key(**id));
        Change {
            new: new.map(|(_, name)| name.as_str()).collect(),
            resolved: resolved.filter_map(|id| self.all.get(*id)).map(String::as_str).collect(),
        }
    }
}

fn by_id<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    names.map(|name| (short_digest(name, ID_LENGTH), name.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Redactor;
    use crate::report::{Report, RotationReport};

    fn attention(failed: &[&str], fresh: &[&str]) -> Attention {
        let failed = failed.iter().map(|name| RotationReport::new(*name, "axiom"));
        let fresh = fresh.iter().map(|name| RotationReport {
            outcome: RotationOutcome::Fresh,
            ..RotationReport::new(*name, "axiom")
        });
        let report = Report { rotations: failed.chain(fresh).collect(), ..Report::default() };
        Attention::of(&report.redacted(&Redactor::new()))
    }

    #[test]
    fn a_change_is_told_by_name() {
        let before = attention(&["a", "b"], &["c"]).announcement();
        let now = attention(&["b", "c"], &["a"]);
        assert_eq!(now.since(&before), Change { new: vec!["c"], resolved: vec!["a"] });
        assert_eq!(attention(&["b", "a"], &["c"]).announcement(), before, "the order does not matter");
        let removed = attention(&["b"], &[]);
        assert_eq!(removed.since(&before), Change::default(), "it is no longer configured");
        assert_ne!(removed.announcement(), before);
    }

    #[test]
    fn all_is_well_without_a_failure() {
        assert!(attention(&[], &["a"]).is_empty());
        assert_eq!(attention(&[], &["a"]).announcement(), NOTHING);
        assert_eq!(attention(&["a"], &[]).since(NOTHING).new, ["a"]);
    }

    #[test]
    fn a_large_set_stays_short() {
        let names: Vec<String> = (0..=MOST_IDS).map(|n| format!("rotation-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let all = attention(&names, &[]).announcement();
        assert!(all.len() < 20, "{all}");
        let fewer = attention(&names[1..], &[names[0]]);
        assert!(fewer.announcement().len() <= MOST_IDS * (ID_LENGTH + 1));
        assert_eq!(fewer.since(&all), Change::default(), "only that it changed is known");
        assert_ne!(fewer.announcement(), all);
    }
}
