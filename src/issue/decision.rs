//! Decides what to do with the issues that were found: pure functions.

use super::marks::Section;
use crate::github::ListedIssue;

/// An issue with the marks of this run's key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found<'i> {
    pub(super) issue: &'i ListedIssue,
    /// Its description, in parts.
    pub(super) section: Section<'i>,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub(super) enum Decision<'f> {
    /// All is well, and no issue is open.
    Nothing,
    Create,
    /// Write the current summary into an issue.
    Update {
        found: &'f Found<'f>,
        /// Tell by a comment what changed.
        comment: bool,
    },
    /// All is well again.
    Close(&'f Found<'f>),
}

/// `announcement`: the set that needs attention, as marks carry it.
pub(super) fn decide<'f>(is_well: bool, announcement: &str, found: &'f [Found<'f>]) -> Decision<'f> {
    let number = |found: &&Found<'_>| found.issue.number;
    let open = found.iter().filter(|found| found.issue.is_open()).min_by_key(number);
    let closed = found.iter().filter(|found| !found.issue.is_open()).max_by_key(number);
    match (is_well, open, closed) {
        (true, None, _) => Decision::Nothing,
        (true, Some(found), _) => Decision::Close(found),
        (false, Some(found), _) => {
            Decision::Update { found, comment: found.section.announced != announcement }
        }
        (false, None, Some(found)) => Decision::Update { found, comment: true },
        (false, None, None) => Decision::Create,
    }
}

/// The number of the open issue that stays, and the others: the lowest number stays, so
/// that two runs at once agree.
pub(super) fn duplicates<'f>(found: &'f [Found<'f>]) -> Option<(u64, Vec<&'f Found<'f>>)> {
    let open = || found.iter().filter(|found| found.issue.is_open());
    let kept = open().map(|found| found.issue.number).min()?;
    Some((kept, open().filter(|found| found.issue.number != kept).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(number: u64, is_open: bool) -> Found<'static> {
        let state = if is_open { "open" } else { "closed" };
        let issue = serde_json::from_value(serde_json::json!({ "number": number, "state": state })).unwrap();
        Found {
            issue: Box::leak(Box::new(issue)),
            section: Section { announced: "aaaaaaaa", ..Section::empty() },
        }
    }

    /// What is done to which issue.
    fn decided(is_well: bool, announcement: &str, found: &[Found<'_>]) -> (&'static str, u64) {
        match decide(is_well, announcement, found) {
            Decision::Nothing => ("nothing", 0),
            Decision::Create => ("create", 0),
            Decision::Update { found, comment: false } => ("update", found.issue.number),
            Decision::Update { found, comment: true } => ("comment", found.issue.number),
            Decision::Close(found) => ("close", found.issue.number),
        }
    }

    #[test]
    fn one_issue_while_something_needs_attention() {
        let [open, closed, older] = [issue(7, true), issue(5, false), issue(4, false)];
        let all = vec![older, open, closed];
        for (is_well, announcement, found, expected) in [
            (true, "-", vec![], ("nothing", 0)),
            (true, "-", vec![closed], ("nothing", 0)),
            (true, "-", all.clone(), ("close", 7)),
            (false, "aaaaaaaa", vec![], ("create", 0)),
            (false, "aaaaaaaa", all.clone(), ("update", 7)),
            (false, "bbbbbbbb", all, ("comment", 7)),
            (false, "aaaaaaaa", vec![older, closed], ("comment", 5)),
            (false, "aaaaaaaa", vec![issue(9, true), open], ("update", 7)),
        ] {
            assert_eq!(decided(is_well, announcement, &found), expected, "{announcement} {found:?}");
        }
    }

    #[test]
    fn of_several_the_lowest_number_stays() {
        assert_eq!(duplicates(&[issue(3, false)]), None);
        let several = [issue(9, true), issue(3, false), issue(12, true), issue(7, true)];
        let (kept, others) = duplicates(&several).unwrap();
        let others: Vec<u64> = others.into_iter().map(|found| found.issue.number).collect();
        assert_eq!((kept, others), (7, vec![9, 12]));
    }
}
