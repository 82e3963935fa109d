//! Single values of the configuration file: how each is read.

use std::str::FromStr as _;

use serde_json::{Map, Value as Json};
use url::Url;

use super::address::origin;
use super::{Repository, RepositoryPattern, RotationKey, Store, Visibility};
use crate::diagnostic::{Invalid, Problems, name_of, named, quoted};
use crate::yaml::keys::{Read, by_text};
use crate::yaml::{Node, Value, words};

by_text! {
    Url, origin;
    Repository, Self::from_str;
    RepositoryPattern, Self::from_str;
    RotationKey, Self::from_str;
    Store, Self::parse;
    Visibility, Self::parse;
}

impl Visibility {
    pub(crate) const NAMES: [(&'static str, Self); 3] =
        [("all", Self::All), ("private", Self::Private), ("selected", Self::Selected)];

    pub(crate) fn parse(text: &str) -> Result<Self, Invalid> {
        named("visibility", &Self::NAMES, text)
    }
}

impl std::fmt::Display for Visibility {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(name_of(&Self::NAMES, *self))
    }
}

/// What to create, in the provider's own terms.
#[derive(Debug, Clone)]
pub(crate) struct Creation(pub(crate) Map<String, Json>);

/// What the rotation itself decides, written without `_` and in lower case.
const NOT_IN_CREATE: &str =
    "name expires expiresat expiresin expiry expirydate expiration expirationdate validuntil";

impl Read for Creation {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let invalid = Invalid::new(format!("expected a mapping, found {}", node.kind()));
            let help = "write the provider's creation body, without name and expiry";
            return problems.note(node.origin, Err(invalid.help(help)));
        };
        for (key, origin, _) in words(entries, problems) {
            let plain = key.to_ascii_lowercase().replace(['_', '-'], "");
            if NOT_IN_CREATE.split(' ').any(|decided| plain == decided) {
                let invalid = Invalid::new(format!("`create` may not hold {}", quoted(key)));
                let help = "the rotation's own `token` and `lifetime` decide name and expiry";
                problems.error(origin, invalid.help(help));
            }
        }
        node.json(problems).map(|json| match json {
            Json::Object(map) => Self(map),
            _ => Self(Map::new()),
        })
    }
}
