//! Decides what to do with the issues that were found: a pure function.

/// An issue that carries the marks of this run's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) number: u64,
    pub(super) is_open: bool,
    /// The set that its mark carries.
    pub(super) announced: String,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// All is well, and no issue is open.
    Nothing,
    Create,
    /// Write the current summary into an issue.
    Update {
        number: u64,
        /// It is closed.
        reopen: bool,
        /// Tell by a comment what changed.
        comment: bool,
    },
    /// All is well again.
    Close {
        number: u64,
    },
}

/// `announcement`: the set that needs attention, as marks carry it.
pub(super) fn decide(is_well: bool, announcement: &str, found: &[Found]) -> Decision {
    let open = found.iter().filter(|issue| issue.is_open).min_by_key(|issue| issue.number);
    let closed = found.iter().filter(|issue| !issue.is_open).max_by_key(|issue| issue.number);
    match (is_well, open, closed) {
        (true, None, _) => Decision::Nothing,
        (true, Some(issue), _) => Decision::Close { number: issue.number },
        (false, Some(issue), _) => {
            let comment = issue.announced != announcement;
            Decision::Update { number: issue.number, reopen: false, comment }
        }
        (false, None, Some(issue)) => Decision::Update { number: issue.number, reopen: true, comment: true },
        (false, None, None) => Decision::Create,
    }
}

/// The open issues besides the one that stays: the lowest number stays, so that two runs
/// at once agree.
pub(super) fn duplicates(found: &[Found]) -> Option<(u64, Vec<u64>)> {
    let mut open: Vec<u64> = found.iter().filter(|issue| issue.is_open).map(|issue| issue.number).collect();
    open.sort_unstable();
    open.dedup();
    match open.as_slice() {
        [] | [_] => None,
        [kept, others @ ..] => Some((*kept, others.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(number: u64, is_open: bool) -> Found {
        Found { number, is_open, announced: "aaaaaaaa".to_owned() }
    }

    #[test]
    fn one_issue_while_something_needs_attention() {
        let update = |number, reopen, comment| Decision::Update { number, reopen, comment };
        let [open, closed, older] = [issue(7, true), issue(5, false), issue(4, false)];
        let all = vec![older.clone(), open.clone(), closed.clone()];
        for (is_well, announcement, found, expected) in [
            (true, "-", vec![], Decision::Nothing),
            (true, "-", vec![closed.clone()], Decision::Nothing),
            (true, "-", all.clone(), Decision::Close { number: 7 }),
            (false, "aaaaaaaa", vec![], Decision::Create),
            (false, "aaaaaaaa", all.clone(), update(7, false, false)),
            (false, "bbbbbbbb", all, update(7, false, true)),
            (false, "aaaaaaaa", vec![older, closed], update(5, true, true)),
            (false, "aaaaaaaa", vec![issue(9, true), open], update(7, false, false)),
        ] {
            assert_eq!(decide(is_well, announcement, &found), expected, "{announcement} {found:?}");
        }
    }

    #[test]
    fn of_several_the_lowest_number_stays() {
        assert_eq!(duplicates(&[issue(9, true), issue(3, false)]), None);
        let several = [issue(9, true), issue(3, false), issue(12, true), issue(7, true), issue(9, true)];
        assert_eq!(duplicates(&several), Some((7, vec![9, 12])));
    }
}
