//! Files that a user writes: right ones, wrong ones, hostile ones.

use crate::config::read_for_tests;
use crate::diagnostic::Problems;

const GOOD: &str = r#"providers:
  lighthouse:
    api: https://api.lighthouse.example/v1
    variables:
      team: { about: the id of the team }
      kind: { default: teams, one_of: [teams, users] }
      second: { secret: true, optional: true }
    headers: { X-Second: <second> }
    secrets: [secret]
    token:
      id: /key_id
      name: /label
      marker: { at: /label, max: 120 }
      expires: { at: /expires, form: rfc3339 }
      rights:
        scopes: /scopes
    list:
      get: /<kind>/<team>/keys
      items: /keys
    create:
      post: /<kind>/<team>/keys
      body: { label: <marker>, scopes: <rights.scopes>, expires: "<expires:rfc3339>" }
      value: /secret
    verify: { get: /me, shows: { /key_id: <id> } }
    delete: { delete: /keys/<id> }
rotations:
  - { name: ci, provider: lighthouse, credential: LH_KEY, token: ci, with: { team: a }, secrets: [LH] }
"#;

fn problems(text: &str) -> Problems {
    let mut problems = Problems::default();
    problems.set_file("crossfade.yml", text);
    read_for_tests(text, &mut problems);
    problems
}

#[test]
fn a_file_of_ones_own_is_a_provider() {
    assert_eq!(problems(GOOD).to_string(), "");
}

/// What the service does not publish must be proved, and a rotation says that it was.
#[test]
fn a_length_that_is_not_published_is_left_to_a_proof() {
    let open = GOOD.replace("{ at: /label, max: 120 }", "/label");
    let open = open.replacen("    secrets:", "    unproved: the longest label\n    secrets:", 1);
    assert_eq!(problems(&open).to_string(), "");
    for text in [&open, GOOD] {
        assert_eq!(problems(&text.replace("{ team: a }", "{ team: a, proved: yes }")).to_string(), "");
        let maybe = problems(&text.replace("{ team: a }", "{ team: a, proved: maybe }")).to_string();
        assert!(maybe.contains("`maybe` is not allowed here"), "{maybe}");
    }
    // Where the marker stands in the name, the name's length counts.
    let in_name = GOOD
        .replace("name: /label\n      marker: { at: /label, max: 120 }", "name: { at: /label, max: 120 }");
    assert_eq!(problems(&in_name).to_string(), "");
}

/// Each change of the good file is refused, on the line of the change, with these words.
#[test]
fn a_file_that_could_do_harm_is_refused_where_it_is_wrong() {
    let cases = [
        // Where the credential goes.
        ("https://api.lighthouse.example/v1", "http://api.lighthouse.example/v1", "must begin with https://"),
        (
            "https://api.lighthouse.example/v1",
            "https://user@api.lighthouse.example",
            "user name or a password",
        ),
        ("https://api.lighthouse.example/v1", "https://api.github.com", "this is the address of GitHub"),
        ("get: /me", "get: https://evil.example/me", "not a path below the API's address"),
        ("get: /me", "get: //evil.example", "not a path below the API's address"),
        ("get: /me", "get: /a/../../b", "not a path below the API's address"),
        ("get: /me", "get: /a%2f..", "not a path below the API's address"),
        ("get: /me", "get: /me?key=<credential>", "the placeholder `<credential>` is not allowed here"),
        ("get: /me", "get: /me/<second>", "the placeholder `<second>` is not allowed here"),
        (
            "label: <marker>",
            "label: <marker>, x: <credential>",
            "the placeholder `<credential>` is not allowed here",
        ),
        ("X-Second: <second>", "Host: evil.example", "the header `Host` cannot be set"),
        ("X-Second: <second>", "X-A: { value: k, onyl: xapt- }", "did you mean `only`?"),
        ("X-Second: <second>", "X-A: { value: k, bogus: 1 }", "unknown key `bogus`"),
        ("X-Second: <second>", "X-A: { value: k, only: [a] }", "expected text, found a list"),
        ("X-Second: <second>", "X-A:", "expected a mapping, found nothing"),
        ("X-Second: <second>", "X-A: { only: z }", "the header `X-A` has no `value`"),
        ("X-Second: <second>", "X-A: { value: }", "the header `X-A` has no `value`"),
        // What it reads.
        ("X-Second: <second>", "X-Second: <env:HOME>", "unknown placeholder `<env:HOME>`"),
        ("X-Second: <second>", "X-Second: <GITHUB_TOKEN>", "unknown placeholder `<GITHUB_TOKEN>`"),
        ("{ team: a }", "{ team: a, second: GITHUB_TOKEN }", "is one of GitHub's own variables"),
        ("{ team: a }", "{ team: a, second: CROSSFADE_MARKER_KEY }", "holds the key that signs markers"),
        // What it prints.
        ("value: /secret", "value: /token", "the value at `/token` is not among the `secrets`"),
        ("value: /secret", "value: secret", "write `/secret`"),
        ("value: /secret", "value: \"<reply:/id>:<reply:/x>\"", "is not among the `secrets`"),
        ("id: /key_id", "id: /secret", "the id at `/secret` is a secret"),
        // What makes a rotation unsafe.
        ("scopes: /scopes", "scopes: { at: /scopes, default: { a: 1, a: 2 } }", "`a` is given twice"),
        ("max: 120", "max: 63", "a marker does not fit"),
        (
            "{ at: /label, max: 120 }",
            "/label",
            "how long the field may be that carries the marker is not said",
        ),
        ("      marker: { at: /label, max: 120 }\n", "", "how long the field may be"),
        (
            "name: /label\n      marker: { at: /label, max: 120 }",
            "name: { at: /label, max: 63 }",
            "does not fit",
        ),
        ("      team: {", "      proved: { optional: true }\n      team: {", "`proved` cannot be the name"),
        ("    verify: { get: /me, shows: { /key_id: <id> } }\n", "", "which tokens can be the credential"),
        ("label: <marker>, ", "", "has no <marker>"),
        ("scopes: <rights.scopes>, ", "", "does not copy the right `scopes`"),
        ("      rights:\n        scopes: /scopes\n", "", "says nothing of the rights"),
        (", form: rfc3339 }", " }", "does not say in which form it is written"),
        ("form: rfc3339", "form: unix", "unknown form of a date `unix`"),
        ("<expires:rfc3339>", "<expires>", "does not say in which form"),
        (", expires: \"<expires:rfc3339>\"", "", "says nothing of when"),
        ("delete: /keys/<id>", "delete: /keys/all", "does not say which token it is about"),
        // What is misspelt.
        ("    secrets: [secret]", "    secretz: [secret]", "did you mean `secrets`?"),
        ("<marker>", "<markr>", "did you mean `<marker>`?"),
        ("<rights.scopes>", "<rights.scope>", "unknown right `scope`"),
        ("<rights.scopes>", "<right.scopes>", "did you mean `<rights.scopes>`?"),
        ("<rights.scopes>", "<right>", "did you mean `<rights.scopes>`?"),
        ("/scopes\n", "scopes\n", "invalid JSON pointer `scopes`"),
        ("lighthouse:", "axiom:", "the provider `axiom` is built in"),
        ("provider: lighthouse", "provider: lighthose", "did you mean `lighthouse`?"),
        // What a rotation sets.
        ("{ team: a }", "{ }", "needs the variable `team`"),
        ("{ team: a }", "{ team: a, kind: orgs }", "`orgs` is not allowed here"),
        ("{ team: a }", "{ team: .. }", "cannot be the value of a variable"),
        ("{ team: a }", "{ team: a, tem: b }", "has no variable `tem`"),
        ("    api: https://api.lighthouse.example/v1\n", "", "has no public address"),
    ];
    let mut wrong = Vec::new();
    for (from, to, words) in cases {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replacen(from, to, 1);
        let problems = problems(&text);
        let shown = problems.to_string();
        if !(problems.has_errors() && shown.contains(words) && shown.contains("--> crossfade.yml:")) {
            wrong.push(format!("{to:?}: expected {words}\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_wrong_address_is_one_error() {
    let problems = problems(&GOOD.replacen("https://api.light", "http://api.light", 1));
    assert_eq!(problems.errors(), 1, "{problems}");
}

#[test]
fn a_variable_of_the_environment_serves_one_service_at_one_address() {
    let second = "  - { name: b, provider: axiom, credential: LH_KEY, token: b, secrets: [B] }\n";
    assert!(problems(&format!("{GOOD}{second}")).to_string().contains("two services"), "the credential");
    let second = "  - { name: b, provider: axiom, credential: OTHER, token: b, secrets: [B] }\n";
    let shared = GOOD.replace("{ team: a }", "{ team: a, second: OTHER }");
    assert!(problems(&format!("{shared}{second}")).to_string().contains("two services"), "a secret variable");
    let elsewhere = "  - { name: b, provider: lighthouse, provider_url: \"https://other.example\", credential: LH_KEY, token: b, with: { team: b }, secrets: [B] }\n";
    assert!(problems(&format!("{GOOD}{elsewhere}")).to_string().contains("two addresses"));
}

#[test]
fn a_default_for_variables_needs_a_provider() {
    let two = format!(
        "defaults: {{ with: {{ team: a }} }}\n{GOOD}  - {{ name: b, provider: axiom, credential: B, token: b, secrets: [B] }}\n"
    );
    assert!(problems(&two).to_string().contains("a default `with` in a file of several providers"));
}

/// What its values look like is known before anything is printed.
#[test]
fn a_value_of_ones_own_provider_is_no_name() {
    let value = "lh_0123456789abcdefghij";
    let text = GOOD.replace(
        "    secrets: [secret]\n",
        "    secrets: [secret]\n    values: [{ prefix: lh_, least: 16 }]\n",
    );
    assert_eq!(problems(&text).to_string(), "");
    let refused = problems(&text.replace("token: ci,", &format!("token: {value},"))).to_string();
    assert!(refused.contains("looks like a secret") && !refused.contains(&value[..15]), "{refused}");
}
