//! What a file says of a listed token.

use super::super::keys::{RightMapping, TimeMapping, TokenKeys};
use super::super::template::Pointer;
use super::super::time::TimeForm;
use super::super::{IdForm, Projection, Right, TokenRules};
use super::{Builder, texts};
use crate::diagnostic::{Invalid, Origin, named, quoted};
use crate::provider::LONGEST_MARKER;
use crate::yaml::keys::{At, Field, all, checked, given, origin_of};

impl Builder<'_> {
    pub(super) fn token(&mut self, keys: &TokenKeys, secrets: &[String]) -> Option<TokenRules> {
        let id = self.required(&keys.id, "id").cloned();
        let name_keys = self.required(&keys.name, "name").map(|keys| &keys.0);
        let name = name_keys.and_then(|keys| self.required(&keys.at, "at")).cloned();
        if let Some(id) = id.as_ref().filter(|id| secrets.iter().any(|secret| secret == id.last())) {
            let help = "ids are printed and stand in addresses; such a service cannot be described";
            self.refuse(&keys.id, format!("the id at {} is a secret", quoted(id.text())), help);
        }
        let id_form = match given(&keys.id_form) {
            Some(text) => self.problems.note(self.at(&keys.id_form), id_form(text)),
            None => Some(IdForm::Anything),
        };
        let marker_keys = given(&keys.marker).map(|keys| &keys.0);
        let marker = match marker_keys {
            Some(keys) => self.required(&keys.at, "at").cloned(),
            None => name.clone(),
        };
        let carrier = marker_keys.or(name_keys);
        let marker_max = carrier.and_then(|keys| given(&keys.max)).copied();
        if let (Some(carrier), Some(max)) = (carrier, marker_max.filter(|max| *max < LONGEST_MARKER)) {
            let message = format!(
                "a marker does not fit: the field holds {max} characters, and a marker has up to {LONGEST_MARKER}"
            );
            self.refuse(&carrier.max, message, "choose another field of the token, if it has a longer one");
        }
        let expires = given(&keys.expires).and_then(|expires| self.time(expires, None));
        let form = expires.as_ref().map_or(TimeForm::Rfc3339, |(_, form)| *form);
        let mut time =
            |keys: &Option<Field<At<TimeMapping>>>| given(keys).and_then(|keys| self.time(keys, Some(form)));
        let (created, changed, last_used) = (time(&keys.created), time(&keys.changed), time(&keys.last_used));
        let rights = all(&keys.rights).iter();
        let rights: Vec<Right> = rights
            .filter_map(|(name, origin, field)| self.right(name, *origin, field.value.as_ref()?))
            .collect();
        if !rights.is_empty() && keys.rights_at.is_some() {
            let help = "either the token has rights of its own, or its owner has them";
            self.refuse(&keys.rights_at, "`rights` and `rights_at` exclude each other", help);
        }
        if rights.is_empty() && keys.rights_at.is_none() && keys.unknown_rights.is_none() {
            let help = "list under `rights` what a token may do, so that it is copied and compared; or write `rights_at: owner` if nothing of it is decided by the token";
            self.refuse(&keys.rights, "`token` says nothing of the rights of a token", help);
        }
        let word = |wanted| move |text: &str| named("value of this key", &[(wanted, ())], text);
        checked(&keys.rights_at, self.problems, word("owner"));
        checked(&keys.unknown_rights, self.problems, word("copy"));
        if given(&keys.expires).is_some() && expires.is_none() {
            return None;
        }
        Some(TokenRules {
            id: id?,
            id_form: id_form?,
            name: name?,
            name_max: name_keys.and_then(|keys| given(&keys.max)).copied(),
            marker: marker?,
            marker_max,
            expires,
            created,
            changed,
            last_used,
            disabled: self.conditions(all(&keys.disabled)),
            ignore: self.conditions(all(&keys.ignore)),
            only: self.conditions(all(&keys.only)),
            hint: given(&keys.hint).cloned(),
            rights,
            has_effective_rights: given(&keys.effective_rights) == Some(&true),
            copies_unknown_rights: keys.unknown_rights.is_some(),
            credential: match given(&keys.credential) {
                Some(rule) => rule.0.as_ref().map(|named| self.conditions(named)),
                None => Some(Vec::new()),
            },
        })
    }

    /// Notes that the file does not say how long the marker's field may be.
    pub(super) fn unknown_length(&mut self, keys: Option<&TokenKeys>, token: &TokenRules) {
        let marker = keys.and_then(|keys| origin_of(&keys.marker));
        let name = keys.map_or(self.origin, |keys| self.at(&keys.name));
        let invalid = Invalid::new("how long the field may be that carries the marker is not said");
        let help = format!(
            "write {{ at: {}, max: LENGTH }}; if the service does not publish it, write `unproved: the longest …`: then \
             no token is created until `crossfade provider prove` has shown that a marker fits",
            token.marker.text()
        );
        self.problems.error(marker.unwrap_or(name), invalid.help(help));
    }

    /// A date. Without a form it is written like the expiry, which must say it.
    fn time(&mut self, At(keys): &At<TimeMapping>, form: Option<TimeForm>) -> Option<(Pointer, TimeForm)> {
        let at = self.required(&keys.at, "at").cloned();
        let form = given(&keys.form).copied().or(form);
        if form.is_none() && keys.form.is_none() {
            let help = "expected { at: POINTER, form: FORM } with rfc3339, date, seconds or milliseconds";
            self.refuse(&keys.at, "this date does not say in which form it is written", help);
        }
        at.zip(form)
    }

    fn right(&mut self, name: &str, origin: Origin, At(keys): &At<RightMapping>) -> Option<Right> {
        let at = given(&keys.at).cloned();
        if keys.at.is_none() {
            self.problems
                .error(origin, Invalid::new("this right has no `at`").help("say where the token shows it"));
        }
        let (keep, drop, each) = (given(&keys.keep), given(&keys.drop), given(&keys.each));
        let projection = match (keep, drop, each) {
            (None, None, None) => Projection::Whole,
            (Some(_), None, None) => Projection::Keep(texts(&keys.keep)),
            (None, Some(_), None) => Projection::Drop(texts(&keys.drop)),
            (None, None, Some(each)) => Projection::Each(each.clone()),
            _ => {
                self.problems.error(origin, Invalid::new("`keep`, `drop` and `each` exclude each other"));
                Projection::Whole
            }
        };
        Some(Right {
            name: name.to_owned(),
            at: at?,
            projection,
            default: given(&keys.default).and_then(|node| node.json(self.problems)),
            is_required: given(&keys.required) == Some(&true),
            omits_empty: given(&keys.omit_empty) == Some(&true),
            unless: self.conditions(all(&keys.unless)),
            is_copied: given(&keys.copy) != Some(&false),
        })
    }
}

fn id_form(text: &str) -> Result<IdForm, Invalid> {
    let beginning = text.strip_suffix('*').filter(|start| !start.is_empty());
    let hex = text.strip_prefix("hex ").and_then(|length| length.parse().ok());
    match (text, beginning, hex) {
        ("uuid", ..) => Ok(IdForm::Uuid),
        ("digits", ..) => Ok(IdForm::Digits),
        (_, Some(start), _) => Ok(IdForm::Beginning(start.to_owned())),
        (_, _, Some(length)) => Ok(IdForm::Hex(length)),
        _ => Err(Invalid::new(format!("unknown form of an id {}", quoted(text))).help(
            "expected uuid, digits, a number of hexadecimal digits like `hex 24`, or a beginning like TKN-*",
        )),
    }
}
