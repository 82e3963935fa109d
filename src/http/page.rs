//! HTML pages that a proxy or a failing server sends in place of a reply.

/// So much of a page is looked at, in bytes.
const LONGEST: usize = 16 * 1024;

/// The text of an HTML page, or of anything else, without its tags, scripts and styles.
pub(crate) fn text_of_page(page: &[u8]) -> String {
    let page = String::from_utf8_lossy(&page[..page.len().min(LONGEST)]);
    let mut text = String::new();
    let mut rest = &*page;
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        text.push(' ');
        let tag = &rest[start..];
        let is = |name: &str| tag[1..].get(..name.len()).is_some_and(|t| t.eq_ignore_ascii_case(name));
        let end = match ["script", "style"].into_iter().find(|name| is(name)) {
            Some(name) => find_ignoring_case(tag, &format!("</{name}")),
            None if is("!--") => tag.find("-->").map(|at| at + 2),
            None => Some(0),
        };
        let Some(closed) = end.and_then(|end| Some(end + tag[end..].find('>')? + 1)) else { return text };
        rest = &tag[closed..];
    }
    text.push_str(rest);
    text.trim().to_owned()
}

fn find_ignoring_case(text: &str, part: &str) -> Option<usize> {
    text.as_bytes().windows(part.len()).position(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}
