//! What GitHub's refusals are made of.

use super::*;
use crate::config::{Destination, Repository, Store};

const NOT_ACCESSIBLE: &str = "Resource not accessible by personal access token";

fn scopes() -> [Scope; 3] {
    let repository = Repository { owner: "acme".to_owned(), name: "api".to_owned() };
    [
        Scope::Repository(repository.clone()),
        Scope::Environment { repository, environment: "my env".to_owned() },
        Scope::Organization("acme".to_owned()),
    ]
}

fn secret(store: Store, scope: &Scope) -> Destination {
    Destination { store, scope: scope.clone(), name: "TOKEN".to_owned() }
}

fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
    list.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
}

fn refused(secret: &Destination, status: u16, list: &[(&'static str, &str)], message: &str) -> Error {
    let body = serde_json::json!({ "message": message }).to_string();
    refused_with(&Subject::Secrets(secret), status, list, &body, SignedWith::Token)
}

fn refused_with(
    subject: &Subject<'_>,
    status: u16,
    list: &[(&'static str, &str)],
    body: &str,
    signed_with: SignedWith,
) -> Error {
    let status = StatusCode::from_u16(status).unwrap();
    let reply = Reply::of(status, headers(list)).with_body(body.as_bytes());
    Error::refused(subject, &Refusal { reply: &reply, signed_with })
}

/// The error and its remedy.
fn text_of(error: &Error) -> String {
    format!("{error}. {}", error.remedy.as_deref().unwrap_or_default())
}

#[test]
fn statuses_have_their_kinds() {
    let [repository, ..] = &scopes();
    let secret = secret(Store::Actions, repository);
    let kinds = [
        (400, ErrorKind::Invalid),
        (401, ErrorKind::Unauthenticated),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (409, ErrorKind::Unavailable),
        (422, ErrorKind::Invalid),
        (429, ErrorKind::RateLimited),
        (500, ErrorKind::Unavailable),
        (503, ErrorKind::Unavailable),
        (418, ErrorKind::Unavailable),
    ];
    for (status, kind) in kinds {
        assert_eq!(refused(&secret, status, &[], "").kind, kind, "{status}");
    }
    assert_eq!(refused(&secret, 403, &[("retry-after", "60")], "").kind, ErrorKind::RateLimited);
    let archived = refused(&secret, 403, &[], "Repository was archived so is read-only.");
    assert_eq!(archived.kind, ErrorKind::Invalid, "no permission would help");
}

#[test]
fn the_permission_to_tick_is_named() {
    let [repository, environment, organization] = &scopes();
    let needed = [
        (Store::Actions, repository, "repository permission \"Secrets\": read and write"),
        (Store::Dependabot, repository, "repository permission \"Dependabot secrets\""),
        (Store::Codespaces, repository, "repository permission \"Codespaces secrets\""),
        (Store::Agents, repository, "repository permission \"Agent secrets\""),
        (Store::Actions, environment, "repository permission \"Environments\""),
        (Store::Actions, organization, "organization permission \"Secrets\""),
        (Store::Dependabot, organization, "\"Organization dependabot secrets\""),
    ];
    for (store, scope, expected) in needed {
        let text = text_of(&refused(&secret(store, scope), 403, &[], NOT_ACCESSIBLE));
        assert!(text.contains(expected), "{text}");
    }
    let create = Subject::Environment(&secret(Store::Actions, environment));
    let body = serde_json::json!({ "message": NOT_ACCESSIBLE }).to_string();
    let text = text_of(&refused_with(&create, 403, &[], &body, SignedWith::Token));
    assert!(text.contains("\"Administration\": write"), "{text}");
}

#[test]
fn github_s_own_hints_are_used() {
    let [repository, _, organization] = &scopes();
    let asked = [("x-accepted-github-permissions", "secrets=write")];
    let text = text_of(&refused(&secret(Store::Actions, repository), 403, &asked, NOT_ACCESSIBLE));
    assert!(text.contains("(GitHub asks for secrets=write)"), "{text}");

    let classic = [("x-oauth-scopes", "gist")];
    let text = text_of(&refused(&secret(Store::Actions, organization), 403, &classic, ""));
    assert!(text.contains("admin:org"), "{text}");

    let sso = [("x-github-sso", "required; url=https://github.com/orgs/acme/sso?authorization_request=x")];
    let text = text_of(&refused(&secret(Store::Actions, organization), 403, &sso, ""));
    assert!(text.contains("single sign-on") && !text.contains("authorization_request"), "{text}");

    let message = "Resource not accessible by integration";
    let text = text_of(&refused(&secret(Store::Actions, repository), 403, &[], message));
    assert!(text.contains("GITHUB_TOKEN can never"), "{text}");
}

#[test]
fn a_server_without_the_store_is_a_possible_reason() {
    let [repository, ..] = &scopes();
    let codespaces = secret(Store::Codespaces, repository);
    let missing_at = |server: &str| {
        let mut reply = Reply::of(StatusCode::NOT_FOUND, HeaderMap::new());
        reply.url = server.parse().unwrap();
        let refusal = Refusal { reply: &reply, signed_with: SignedWith::Token };
        Error::refused(&Subject::Secrets(&codespaces), &refusal).to_string()
    };
    assert!(missing_at("https://ghe.acme.com/api/v3/x").contains("no Codespaces secrets"));
    assert!(!missing_at("https://api.github.com/x").contains("no Codespaces secrets"));
}

#[test]
fn words_from_outside_are_harmless() {
    let [repository, ..] = &scopes();
    let hostile = "\n::set-output name=x::y\u{1b}[31m##[group]\u{202e}\"";
    let text = text_of(&refused(&secret(Store::Actions, repository), 422, &[], hostile));
    assert!(
        !text.contains(" ::") && !text.contains("\"::") && !text.contains("##[") && !text.contains('\n'),
        "{text}"
    );
    assert!(text.chars().all(|c| matches!(c, ' '..='~')), "{text}");
}

/// GitHub's messages for 403 that are about no permission, from public issues.
const OTHER_CAUSES: [&str; 5] = [
    "Although you appear to have the correct authorization credentials, the `acme` organization has an IP \
     allow list enabled, and your IP address is not permitted to access this resource.",
    "Repository was archived so is read-only.",
    "The 'acme' organization forbids access via a fine-grained personal access tokens if the token's \
     lifetime is greater than 366 days.",
    "Repository access blocked",
    "Must have admin rights to Repository.",
];

#[test]
fn the_words_of_a_refusal_are_shown_and_a_permission_only_where_they_are_about_one() {
    let [repository, ..] = &scopes();
    let subjects = [
        Subject::Secrets(&secret(Store::Actions, repository)),
        Subject::Repositories("acme"),
        Subject::Installation("acme"),
        Subject::InstallationToken("acme"),
    ];
    for subject in subjects {
        for reason in OTHER_CAUSES {
            let body = serde_json::json!({ "message": reason }).to_string();
            for status in [403, 451] {
                let text = text_of(&refused_with(&subject, status, &[], &body, SignedWith::Token));
                assert!(text.contains(&reason.replace('"', "'")), "{text}");
                assert!(!text.contains("permission \"") && !text.contains("do not belong"), "{text}");
            }
        }
        for status in [400, 401, 404, 409, 422, 429, 500, 502] {
            let body = r#"{"message": "in GitHub's words", "errors": [{"message": "more"}]}"#;
            for signed_with in [SignedWith::Token, SignedWith::AppKey, SignedWith::InstallationToken] {
                let text = text_of(&refused_with(&subject, status, &[], body, signed_with));
                assert!(text.contains("in GitHub's words; more"), "{status}: {text}");
                assert!(text.contains(&status.to_string()), "{text}");
            }
        }
        let text = text_of(&refused_with(&subject, 403, &[], "{}", SignedWith::Token));
        assert!(text.contains("403 Forbidden, without a reason"), "{text}");
    }
    let text = refused_with(
        &subjects[1],
        403,
        &[],
        &format!(r#"{{"message": "{NOT_ACCESSIBLE}"}}"#),
        SignedWith::Token,
    );
    assert!(text_of(&text).contains("repository permission \"Metadata\": read"), "{text}");
}

#[test]
fn one_status_has_one_meaning_for_all_requests() {
    let [repository, ..] = &scopes();
    let secrets = Subject::Secrets(&secret(Store::Actions, repository));
    for status in 400..600 {
        let kind = |subject| refused_with(&subject, status, &[], "{}", SignedWith::Token).kind;
        for other in [Subject::Repositories("a"), Subject::Installation("a"), Subject::InstallationToken("a")]
        {
            assert_eq!(kind(other), kind(secrets), "{status}");
        }
    }
    let rejected =
        |signed_with| text_of(&refused_with(&Subject::Repositories("a"), 401, &[], "{}", signed_with));
    assert!(rejected(SignedWith::Token).contains("`CROSSFADE_GITHUB_TOKEN`"));
    assert!(rejected(SignedWith::AppKey).contains("do not belong together"));
    assert!(!rejected(SignedWith::InstallationToken).contains("do not belong together"));
}

#[test]
fn a_page_of_a_proxy_is_read_as_its_text() {
    let page = "<!DOCTYPE html><!-- <p>x --><HTML><head><style>p { a: b }</style><title>Blocked\n</title></head>\
                <body><script>if (1 < 2) alert('x')</script><p>Category: <b>DIY</b> sites.</body></html>";
    let [repository, ..] = &scopes();
    let subject = Subject::Secrets(&secret(Store::Actions, repository));
    let text = refused_with(&subject, 403, &[], page, SignedWith::Token).to_string();
    assert!(text.contains("(403 Forbidden: \"Blocked Category: DIY sites.\")"), "{text}");
    for (body, reason_of) in
        [(r#"{"error":"blocked by policy"}"#, "blocked by policy"), ("\"no\"", "no"), ("[1]", "[1]")]
    {
        let text = refused_with(&subject, 403, &[], body, SignedWith::Token).to_string();
        assert!(text.contains(reason_of), "{text}");
    }
    for page in ["<", "<script", "<script>x", "<!--", "a < b", "\u{fffd}<\u{e9}"] {
        refused_with(&subject, 502, &[], page, SignedWith::Token);
    }
    let long = refused_with(&subject, 502, &[], &"word ".repeat(10_000), SignedWith::Token).to_string();
    assert!(long.len() < 500, "{}", long.len());
}

#[test]
fn lines_of_a_message_stay_apart_and_what_looks_like_a_secret_goes() {
    let [repository, ..] = &scopes();
    let reason = "Invalid request.\n\nInvalid input: ghp_0123456789abcdefABCDEF0123456789abcd";
    let text = refused(&secret(Store::Actions, repository), 422, &[], reason).to_string();
    assert!(text.contains("Invalid request. Invalid input:") && !text.contains("abcdefABCDEF"), "{text}");
}

#[test]
fn what_the_errors_of_a_refusal_add_is_said() {
    let reason = |errors: Value| {
        reason_of(serde_json::json!({"message": "Failed", "errors": errors}).to_string().as_bytes())
    };
    assert_eq!(reason(serde_json::json!(["a", "b"])), "Failed; a; b");
    assert_eq!(reason(serde_json::json!("a")), "Failed; a");
    let one = serde_json::json!([{"resource": "Secret", "field": "key_id", "code": "invalid"}]);
    assert_eq!(reason(one), "Failed; Secret key_id invalid");
    assert_eq!(reason(serde_json::json!({})), "Failed");
}

#[test]
fn single_sign_on_is_named_only_where_it_is_required() {
    let [repository, ..] = &scopes();
    let partial = [("x-github-sso", "partial-results; organizations=1")];
    let text = text_of(&refused(&secret(Store::Actions, repository), 403, &partial, "other"));
    assert!(!text.contains("single sign-on"), "{text}");
}
