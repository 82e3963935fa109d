//! A list that comes in pages.

use std::collections::HashSet;

use http::{HeaderMap, header};
use serde_json::Value;
use url::Url;

use crate::http::Call;
use crate::provider::file::template::{Pointer, text_of};
use crate::provider::file::{Page, PageBy};
use crate::provider::{Error, Result};

/// The most pages that a list of tokens may have.
const MOST_PAGES: usize = 100;

/// What the pages so far held, and where the next one is.
pub(super) struct Pages<'f> {
    pub(super) items: Vec<Value>,
    page: &'f Page,
    id: &'f Pointer,
    ids: HashSet<String>,
    count: usize,
    /// The cursor of the next page, or its address.
    next: Option<String>,
}

impl<'f> Pages<'f> {
    /// No page yet; `id` tells the items apart.
    pub(super) fn new(page: &'f Page, id: &'f Pointer) -> Self {
        Self { items: Vec::new(), page, id, ids: HashSet::new(), count: 0, next: None }
    }

    /// The request for the next page. Where the service names its address, that must stay on
    /// the origin: the credential is sent there.
    pub(super) fn next(&self, mut request: Call, base: &Url) -> Result<Call> {
        let limit = self.page.limit.as_ref().map(|(name, size)| (name, size.to_string()));
        let place = match (&self.page.by, &self.next) {
            (PageBy::Offset(name), _) => Some((name, self.items.len().to_string())),
            (PageBy::Number(name, first), _) => Some((name, (first + self.count).to_string())),
            (PageBy::Cursor(name, _), Some(cursor)) => Some((name, cursor.clone())),
            (PageBy::Next(_) | PageBy::Link, Some(next)) => {
                return Ok(Call { url: next_url(next, base)?, ..request });
            }
            (PageBy::Nothing, _) | (_, None) => None,
        };
        for (name, value) in limit.into_iter().chain(place) {
            request.url.query_pairs_mut().append_pair(name, &value);
        }
        Ok(request)
    }

    /// Adds a page; returns whether to request another. A page without new items ends
    /// the list, and an item that moved to the next page counts once.
    pub(super) fn add(&mut self, page: Vec<Value>, reply: &Value, headers: &HeaderMap) -> Result<bool> {
        self.count += 1;
        if self.count > MOST_PAGES {
            return Err(Error::unreadable("a list of tokens without an end"));
        }
        let known = self.items.len();
        for item in page {
            let id = self.id.of(&item).map(Value::to_string).unwrap_or_default();
            if !item.is_object() {
                return Err(Error::unreadable("a token that is no object"));
            }
            if self.ids.insert(id) {
                self.items.push(item);
            }
        }
        let is_longer = self.items.len() > known;
        Ok(self.has_more(reply, headers) && is_longer)
    }

    fn has_more(&mut self, reply: &Value, headers: &HeaderMap) -> bool {
        self.next = match &self.page.by {
            PageBy::Nothing => return false,
            PageBy::Offset(_) | PageBy::Number(..) => None,
            PageBy::Cursor(_, at) | PageBy::Next(at) => {
                // JSON:API writes a link as a text, or as an object.
                let next = at.of(reply).and_then(|next| text_of(next.get("href").unwrap_or(next)));
                next.filter(|next| !next.is_empty())
            }
            PageBy::Link => next_link(headers),
        };
        let is_named = !matches!(self.page.by, PageBy::Cursor(..) | PageBy::Next(_) | PageBy::Link);
        let total = self.page.total.as_ref().and_then(|at| at.of(reply)?.as_u64());
        let is_short = |total: u64| u64::try_from(self.items.len()).is_ok_and(|known| known < total);
        let more = self.page.more.as_ref().map(|at| at.of(reply) == Some(&Value::Bool(true)));
        (is_named || self.next.is_some()) && total.is_none_or(is_short) && more.unwrap_or(true)
    }
}

fn next_url(next: &str, base: &Url) -> Result<Url> {
    // Some services leave out the API's own path.
    let is_below = next.starts_with('/') && !next.starts_with("//") && !next.starts_with(base.path());
    let next =
        if is_below { format!("{}{next}", base.path().trim_end_matches('/')) } else { next.to_owned() };
    let url = base
        .join(&next)
        .ok()
        .filter(|url| url.origin() == base.origin() && url.username().is_empty() && url.password().is_none());
    url.ok_or_else(|| Error::unreadable("a next page at another address, which is not followed"))
}

/// The address with `rel="next"` in the `Link` headers (RFC 8288).
fn next_link(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
    links.flat_map(|links| links.split(", ")).find_map(|link| {
        let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next =
            parameters.split(';').map(str::trim).any(|one| matches!(one, "rel=\"next\"" | "rel=next"));
        is_next.then(|| address.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(by: PageBy) -> Page {
        Page { by, limit: None, total: None, more: None }
    }

    fn items(ids: &[u32]) -> Vec<Value> {
        ids.iter().map(|id| json!({ "id": id })).collect()
    }

    #[test]
    fn a_list_may_shift_between_two_pages() {
        let (page, id) = (page(PageBy::Offset("offset".into())), Pointer::parse("/id").unwrap());
        let mut pages = Pages::new(&page, &id);
        let mut add = |ids: &[u32]| pages.add(items(ids), &json!({}), &HeaderMap::new()).unwrap();
        assert!(add(&[1, 2]));
        assert!(add(&[2, 3]), "one was made in front of them");
        assert!(!add(&[2, 3]), "the same page again");
        assert_eq!(pages.items.len(), 3);
    }

    #[test]
    fn each_way_ends_where_the_service_says() {
        let id = Pointer::parse("/id").unwrap();
        let at = |text: &str| Pointer::parse(text).unwrap();
        let more = |page: &Page, reply: Value| {
            Pages::new(page, &id).add(items(&[1, 2]), &reply, &HeaderMap::new()).unwrap()
        };
        let total = Page { total: Some(at("/total")), ..page(PageBy::Offset("o".into())) };
        assert!(!more(&total, json!({"total": 2})));
        assert!(more(&total, json!({"total": 3})));
        assert!(more(&total, json!({})), "without a number until a page brings nothing");
        let flag = Page { more: Some(at("/more")), ..page(PageBy::Number("p".into(), 1)) };
        assert!(more(&flag, json!({"more": true})));
        assert!(!more(&flag, json!({})));
        let cursor = page(PageBy::Cursor("c".into(), at("/next")));
        assert!(more(&cursor, json!({"next": "x"})));
        assert!(more(&cursor, json!({"next": 7})));
        for end in [json!({"next": null}), json!({"next": ""}), json!({})] {
            assert!(!more(&cursor, end));
        }
    }

    #[test]
    fn a_next_page_stays_on_the_origin() {
        let base = Url::parse("https://api.example/v1").unwrap();
        let (page, id) =
            (page(PageBy::Next(Pointer::parse("/next").unwrap())), Pointer::parse("/id").unwrap());
        let url = |next: &str| {
            let mut pages = Pages::new(&page, &id);
            pages.add(items(&[1]), &json!({ "next": next }), &HeaderMap::new()).unwrap();
            next_url(&pages.next.unwrap(), &base).map(|url| url.to_string()).ok()
        };
        assert_eq!(url("/v1/tokens?after=1").as_deref(), Some("https://api.example/v1/tokens?after=1"));
        assert_eq!(url("/tokens?after=1").as_deref(), Some("https://api.example/v1/tokens?after=1"));
        let mut pages = Pages::new(&page, &id);
        pages.add(items(&[1]), &json!({ "next": { "href": "/tokens?after=1" } }), &HeaderMap::new()).unwrap();
        assert_eq!(pages.next.as_deref(), Some("/tokens?after=1"), "a link of JSON:API may be an object");
        assert_eq!(url("https://api.example/x").as_deref(), Some("https://api.example/x"));
        for elsewhere in [
            "https://evil.example/",
            "//evil.example/",
            "http://api.example/",
            "https://api.example:8443/",
            "https://user@api.example/",
            "https://api.example.evil.example/",
            "data:text/plain,x",
        ] {
            assert_eq!(url(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn the_link_header_names_the_next_page() {
        let link = |value: &str| next_link(&HeaderMap::from_iter([(header::LINK, value.parse().unwrap())]));
        let both = r#"<https://a.example/?page=1>; rel="prev", <https://a.example/?page=3>; rel="next""#;
        assert_eq!(link(both).as_deref(), Some("https://a.example/?page=3"));
        assert_eq!(link(r#"<https://a.example/?page=1>; rel="last""#), None);
        assert_eq!(link("nonsense"), None);
    }
}
