//! Lists of names in sentences.

use crate::report::format::listed;

/// Names shown of a list; the rest are counted.
const NAMED: usize = 5;

/// Secrets shown of a list; the report has all of them.
const SECRETS: usize = 3;

/// Characters shown of a list, so that the text after it is not cut off.
const SHOWN: usize = 300;

/// `a, b, c, d, e and 295 more`
pub(super) fn some(names: &[String]) -> String {
    few(names, NAMED)
}

/// `a, b and c`, or `300 secrets (a, b, c and 297 more)`
pub(crate) fn secrets(names: &[String]) -> String {
    match names.len() {
        0..=SECRETS => few(names, SECRETS),
        count => format!("{count} secrets ({})", few(names, SECRETS)),
    }
}

fn few(names: &[String], most: usize) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut left = SHOWN;
    for name in names.iter().take(most) {
        let length = name.chars().count();
        if length > left && !shown.is_empty() {
            break;
        }
        shown.push(if length > left {
            format!("{}…", name.chars().take(left).collect::<String>())
        } else {
            name.clone()
        });
        left = left.saturating_sub(length);
    }
    listed(&shown, names.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_few_are_named() {
        let names = |count: usize| (1..=count).map(|n| n.to_string()).collect::<Vec<_>>();
        let (named, of_secrets) = (|count| some(&names(count)), |count| secrets(&names(count)));
        assert_eq!((named(0), named(1), named(2)), (String::new(), "1".to_owned(), "1 and 2".to_owned()));
        assert_eq!(named(5), "1, 2, 3, 4 and 5");
        assert_eq!(named(7), "1, 2, 3, 4, 5 and 2 more");
        assert_eq!(of_secrets(3), "1, 2 and 3");
        assert_eq!(of_secrets(300), "300 secrets (1, 2, 3 and 297 more)");
        let long: Vec<String> = ["a", "b", "c"].map(|name| name.repeat(300)).to_vec();
        assert_eq!(some(&long), format!("{} and 2 more", long[0]));
        assert_eq!(some(&["é".repeat(1000)]), format!("{}…", "é".repeat(300)));
    }
}
