//! Decides what to do with the issues that were found: pure functions.

use super::marks::Section;

/// An issue with the marks of this run's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found<'i> {
    pub(super) number: u64,
    pub(super) is_open: bool,
    pub(super) labels: Vec<&'i str>,
    pub(super) description: &'i str,
    /// The description, in parts.
    pub(super) section: Section<'i>,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision<'f> {
    /// All is well, and no issue is open.
    Nothing,
    Create,
    /// Write the current summary into an issue.
    Update {
        issue: &'f Found<'f>,
        /// Tell by a comment what changed.
        comment: bool,
    },
    /// All is well again.
    Close {
        issue: &'f Found<'f>,
    },
}

/// `announcement`: the set that needs attention, as marks carry it.
pub(super) fn decide<'f>(is_well: bool, announcement: &str, found: &'f [Found<'f>]) -> Decision<'f> {
    let open = found.iter().filter(|issue| issue.is_open).min_by_key(|issue| issue.number);
    let closed = found.iter().filter(|issue| !issue.is_open).max_by_key(|issue| issue.number);
    match (is_well, open, closed) {
        (true, None, _) => Decision::Nothing,
        (true, Some(issue), _) => Decision::Close { issue },
        (false, Some(issue), _) => {
            Decision::Update { issue, comment: issue.section.announced != announcement }
        }
        (false, None, Some(issue)) => Decision::Update { issue, comment: true },
        (false, None, None) => Decision::Create,
    }
}

/// The number of the open issue that stays, and the others: the lowest number stays, so
/// that two runs at once agree.
pub(super) fn duplicates<'f>(found: &'f [Found<'f>]) -> Option<(u64, Vec<&'f Found<'f>>)> {
    let open = || found.iter().filter(|issue| issue.is_open);
    let kept = open().map(|issue| issue.number).min()?;
    Some((kept, open().filter(|issue| issue.number != kept).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(number: u64, is_open: bool) -> Found<'static> {
        let section = Section { announced: "aaaaaaaa", ..Section::empty() };
        Found { number, is_open, labels: Vec::new(), description: "", section }
    }

    /// What is done to which issue.
    fn decided(is_well: bool, announcement: &str, found: &[Found<'_>]) -> (&'static str, u64) {
        match decide(is_well, announcement, found) {
            Decision::Nothing => ("nothing", 0),
            Decision::Create => ("create", 0),
            Decision::Update { issue, comment: false } => ("update", issue.number),
            Decision::Update { issue, comment: true } => ("comment", issue.number),
            Decision::Close { issue } => ("close", issue.number),
        }
    }

    #[test]
    fn one_issue_while_something_needs_attention() {
        let [open, closed, older] = [issue(7, true), issue(5, false), issue(4, false)];
        let all = vec![older.clone(), open.clone(), closed.clone()];
        for (is_well, announcement, found, expected) in [
            (true, "-", vec![], ("nothing", 0)),
            (true, "-", vec![closed.clone()], ("nothing", 0)),
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
        let others: Vec<u64> = others.into_iter().map(|issue| issue.number).collect();
        assert_eq!((kept, others), (7, vec![9, 12]));
    }
}
