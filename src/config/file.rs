//! The keys of the configuration file: what may stand where, and its JSON Schema.
//!
//! Each group of keys is written down once, by [`keys!`]; the reader and the
//! schema both come from there, so they cannot disagree. A value that is refused
//! is noted and the reading goes on: every problem is told at once. What values
//! mean together is decided in [`super::check`].

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json};
use std::borrow::Cow;
use url::Url;

use super::diagnostic::{Invalid, Place, Problems, nearest, one_of, quoted};
use super::node::{self, Node, Value};
use super::value::Read;
use super::{Period, Repository, Store, Visibility};
use crate::provider::Kind;

/// A value that was given, and where.
#[derive(Debug, Clone)]
pub(crate) struct Field<T> {
    /// Where it was written.
    pub(crate) place: Place,
    /// `None`: it was refused, and that has been noted.
    pub(crate) value: Option<T>,
}

/// A list in which every item knows its place.
pub(crate) type List<T> = Vec<Field<T>>;

impl<T: Read> Field<T> {
    fn read(node: &Node, problems: &mut Problems) -> Self {
        Self { place: node.place, value: T::read(node, problems) }
    }
}

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

/// A group of keys: a struct of optional fields, its reader and its schema.
macro_rules! keys {
    (
        $(#[doc = $doc:literal])*
        $name:ident, required $required:tt {
            $($(#[doc = $key_doc:literal])* $key:ident: $type:ty,)*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $name {
            $($(#[doc = $key_doc])* pub(crate) $key: Option<Field<$type>>,)*
        }

        impl $name {
            /// Every key, as it is written.
            pub(crate) const KEYS: &[&str] = &[$(stringify!($key)),*];
        }

        impl Read for $name {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                let mut keys = Self::default();
                for (key, value) in entries(node, Self::KEYS, problems)? {
                    match key {
                        $(stringify!($key) => keys.$key = Some(Field::read(value, problems)),)*
                        _ => {}
                    }
                }
                Some(keys)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).trim_end_matches("Keys").into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let mut properties = Map::new();
                $(properties.insert(
                    stringify!($key).to_owned(),
                    described::<$type>(generator, concat!($($key_doc),*)),
                );)*
                json_schema!({
                    "type": "object",
                    "description": concat!($($doc),*).trim(),
                    "properties": properties,
                    "required": $required,
                    "additionalProperties": false,
                })
            }
        }
    };
}

keys! {
    /// The configuration of crossfade.
    FileKeys, required ["rotations"] {
        /// What every rotation does unless it says otherwise.
        defaults: DefaultsKeys,
        /// The tokens to keep fresh.
        rotations: List<RotationKeys>,
    }
}

keys! {
    /// What every rotation does unless it says otherwise.
    DefaultsKeys, required [] {
        /// The service that issues the token.
        provider: Kind,
        /// The service's origin, with or without the API's path, where it is not the public one.
        provider_url: Url,
        /// The environment variable that holds the provider credential. Default: CROSSFADE_PROVIDER_TOKEN.
        credential: String,
        /// The Axiom organization, for personal tokens.
        org_id: String,
        /// How long a minted token lives. Default: 90d.
        lifetime: Period,
        /// How long the previous token stays valid after the mint. Default: 7d.
        overlap: Period,
        /// How long before its end a token is replaced. Default: 14d.
        rotate_before: Period,
        /// How long a disabled token is kept before it is deleted. Default: 7d.
        delete_after: Period,
    }
}

keys! {
    /// One token, its policy and the secrets that hold it.
    RotationKeys, required ["name", "token", "secrets"] {
        /// The rotation's name; part of what marks its tokens, so keep it.
        name: String,
        /// The service that issues the token.
        provider: Kind,
        /// The service's origin, with or without the API's path, where it is not the public one.
        provider_url: Url,
        /// The environment variable that holds the provider credential. Default: CROSSFADE_PROVIDER_TOKEN.
        credential: String,
        /// The Axiom organization, for personal tokens.
        org_id: String,
        /// Name or id of the token to keep fresh.
        token: String,
        /// Earlier keys of this rotation, owner/repo/rotation, from before it was renamed or moved.
        formerly: List<FormerKey>,
        /// How long a minted token lives. Default: 90d.
        lifetime: Period,
        /// How long the previous token stays valid after the mint. Default: 7d.
        overlap: Period,
        /// How long before its end a token is replaced. Default: 14d.
        rotate_before: Period,
        /// How long a disabled token is kept before it is deleted. Default: 7d.
        delete_after: Period,
        /// What to create when the token is missing, in the provider's own terms, without name and expiry.
        create: Creation,
        /// A path on the provider's own origin that the new token must be able to GET.
        verify: String,
        /// Every GitHub secret that holds the token.
        secrets: List<SecretKeys>,
    }
}

keys! {
    /// A GitHub secret, or with `repositories` one in each of them.
    SecretMappingKeys, required ["name"] {
        /// The secret's name.
        name: String,
        /// The repository, owner/name. Default: the one that rotates.
        repository: Repository,
        /// Patterns of repositories, like acme/* or !acme/legacy-*.
        repositories: List<SignedPattern>,
        /// A deployment environment of the repository.
        environment: String,
        /// Create the environment if it does not exist.
        create_environment: bool,
        /// The organization whose secret it is.
        organization: String,
        /// Who may read an organization secret that is created.
        visibility: Visibility,
        /// The store that keeps the secret. Default: actions.
        store: Store,
    }
}

pub(crate) use super::value::{Creation, FormerKey, SignedPattern};

/// A secret in its short form, or as a mapping.
#[derive(Debug, Clone)]
pub(crate) enum SecretKeys {
    /// `owner/repo@environment:NAME`
    Short(String),
    /// `{ organization: acme, name: NAME }`
    Mapping(Box<SecretMappingKeys>),
}

impl Read for SecretKeys {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Map(_) => {
                SecretMappingKeys::read(node, problems).map(|keys| Self::Mapping(Box::new(keys)))
            }
            _ => String::read(node, problems).map(Self::Short),
        }
    }
}

impl JsonSchema for SecretKeys {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            {
                "type": "string",
                "description": "NAME, owner/repo:NAME, owner/repo@environment:NAME or org:acme:NAME; with dependabot+, codespaces+ or agents+ in front for another store than that of Actions.",
            },
            generator.subschema_for::<SecretMappingKeys>(),
        ]})
    }
}

impl<T: Read> Read for List<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if let Value::List(items) = &node.value {
            return Some(items.iter().map(|item| Field::read(item, problems)).collect());
        }
        let invalid = Invalid::new(format!("a list is needed here, not {}", node.kind()));
        problems.error(node.place, invalid.help("begin each item with a dash: `- item`"));
        None
    }
}

/// Reads a file's text: every problem of its keys and single values is noted.
pub(crate) fn read(text: &str, problems: &mut Problems) -> FileKeys {
    match node::parse(text) {
        Ok(Node { value: Value::Null, place }) => {
            problems
                .error(place, Invalid::new("the configuration file is empty").help("it needs `rotations:`"));
            FileKeys::default()
        }
        Ok(root) => FileKeys::read(&root, problems).unwrap_or_default(),
        Err((place, invalid)) => {
            problems.error(place, invalid);
            FileKeys::default()
        }
    }
}

/// The published schema of the file, pretty-printed.
#[must_use]
pub fn schema_text() -> String {
    let mut schema = schemars::schema_for!(FileKeys);
    schema.insert("title".to_owned(), "crossfade.yml".into());
    format!("{:#}\n", schema.as_value())
}

/// The mapping's entries with a known key and a value; the others are noted.
fn entries<'a>(
    node: &'a Node,
    known: &[&'static str],
    problems: &mut Problems,
) -> Option<Vec<(&'static str, &'a Node)>> {
    let Value::Map(map) = &node.value else {
        let invalid = Invalid::new(format!("a mapping is needed here, not {}", node.kind()));
        problems.error(node.place, invalid.help(format!("its keys: {}", one_of(known.iter().copied()))));
        return None;
    };
    let mut found: Vec<(&'static str, &Node)> = Vec::new();
    let mut places: Vec<(&'static str, Place)> = Vec::new();
    for (key, value) in map {
        let Value::Scalar { text, .. } = &key.value else {
            problems.error(key.place, Invalid::new("a key must be a word"));
            continue;
        };
        let Some(name) = known.iter().copied().find(|k| k == text) else {
            problems.error(key.place, unknown_key(text, known));
            continue;
        };
        if let Some((_, Place::File(first))) = places.iter().find(|(k, _)| *k == name) {
            let invalid = Invalid::new(format!("`{name}` is given twice"));
            problems.error(key.place, invalid.help(format!("it stands on line {} already", first.line)));
            continue;
        }
        places.push((name, key.place));
        // `key:` with nothing behind it is a key that was not given.
        if !matches!(value.value, Value::Null) {
            found.push((name, value));
        }
    }
    Some(found)
}

fn unknown_key(key: &str, known: &[&'static str]) -> Invalid {
    let unknown = Invalid::new(format!("unknown key {}", quoted(key)));
    let all = one_of(known.iter().copied());
    unknown.help(match nearest(key, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`? Allowed: {all}"),
        None if key == "<<" => {
            "merge keys are not read; what rotations share belongs under `defaults`".to_owned()
        }
        None => format!("allowed: {all}"),
    })
}

/// The schema of a key's value, with what the key is for.
fn described<T: JsonSchema>(generator: &mut SchemaGenerator, description: &str) -> Json {
    let mut schema = generator.subschema_for::<T>();
    schema.insert("description".to_owned(), description.trim().into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problems(text: &str) -> Problems {
        let mut problems = Problems::default();
        problems.set_file("crossfade.yml", text);
        read(text, &mut problems);
        problems
    }

    #[test]
    fn everything_wrong_is_told_at_once_with_its_place() {
        let text = "\
defaults: { lifetme: 90d }
rotations:
  - name: ci
    provider: axoim
    lifetime: 90x
    provider_token: not-to-be-shown
    name: again
    secrets:
      - { name: X, visibility: al }
      - { name: Y, create_environment: yes }
";
        insta::assert_snapshot!(problems(text), @r#"
        error: unknown key `lifetme`
         --> crossfade.yml:1:13
          |
        1 | defaults: { lifetme
          |             ^^^^^^^
          |
          = help: did you mean `lifetime`? Allowed: `provider`, `provider_url`, `credential`, `org_id`, `lifetime`, `overlap`, `rotate_before` or `delete_after`

        error: `axoim` is no provider
         --> crossfade.yml:4:15
          |
        4 |     provider: axoim
          |               ^^^^^
          |
          = help: did you mean `axiom`? Allowed: `axiom`

        error: `90x` is no duration: write it like 90d, 48h or 1d12h
         --> crossfade.yml:5:15
          |
        5 |     lifetime: 90x
          |               ^^^

        error: unknown key `provider_token`
         --> crossfade.yml:6:5
          |
        6 |     provider_token
          |     ^^^^^^^^^^^^^^
          |
          = help: allowed: `name`, `provider`, `provider_url`, `credential`, `org_id`, `token`, `formerly`, `lifetime`, `overlap`, `rotate_before`, `delete_after`, `create`, `verify` or `secrets`

        error: `name` is given twice
         --> crossfade.yml:7:5
          |
        7 |     name
          |     ^^^^
          |
          = help: it stands on line 3 already

        error: `al` is no visibility
         --> crossfade.yml:9:32
          |
        9 |       - { name: X, visibility: al
          |                                ^^
          |
          = help: did you mean `all`? Allowed: `all`, `private` or `selected`

        error: `true` or `false` is needed here
          --> crossfade.yml:10:40
           |
        10 |       - { name: Y, create_environment: yes
           |                                        ^^^
        "#);
    }

    #[test]
    fn what_is_no_yaml() {
        let texts = [
            "",
            "# nothing\n",
            "- a\n",
            "rotations: [\n",
            "a: *b\n",
            "rotations: !x y\n",
            "a: 1\n---\nb: 2\n",
            "rotations: &a [*a]\n",
        ];
        insta::assert_snapshot!(texts.map(|text| problems(text).to_string()).join("\n"), @r#"
        error: the configuration file is empty
         --> crossfade.yml:1:1
          |
        1 |
          | ^
          |
          = help: it needs `rotations:`
        error: the configuration file is empty
         --> crossfade.yml:2:1
          |
        2 |
          | ^
          |
          = help: it needs `rotations:`
        error: a mapping is needed here, not a list
         --> crossfade.yml:1:1
          |
        1 | -
          | ^
          |
          = help: its keys: `defaults` or `rotations`
        error: this is no YAML: unclosed bracket '['
         --> crossfade.yml:1:12
          |
        1 | rotations: [
          |            ^
        error: this is no YAML: reference to unknown value
         --> crossfade.yml:1:4
          |
        1 | a: *
          |    ^
          |
          = help: put quotes around a text that begins with *
        error: this is no YAML: unsupported tag `!x`
         --> crossfade.yml:1:15
          |
        1 | rotations: !x y
          |               ^
          |
          = help: put quotes around a text that begins with !
        error: this is no YAML: only single YAML document expected but multiple found
         --> crossfade.yml:3:1
          |
        3 | b
          | ^
        error: this is no YAML: Recursive reference not allowed here
         --> crossfade.yml:1:16
          |
        1 | rotations: &a [*a
          |                ^^
        "#);
    }

    #[test]
    fn aliases_do_not_grow_without_bound() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            let items = vec![format!("*a{}", i - 1); 9].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{items}]\n"));
        }
        assert!(problems(&text).to_string().contains("no YAML"), "an alias bomb was read");
        assert!(problems(&" ".repeat(node::MAX_BYTES + 1)).has_errors());
    }

    #[test]
    fn hostile_characters_and_secrets_are_not_printed() {
        let text = "rotations:\n  - name: ci\n    \"\\e[2J##[error]\u{202e}x\": 1\n    provider: ghp_0123456789abcdefghij\n";
        let shown = problems(text).to_string();
        assert!(!shown.contains(['\u{1b}', '\u{202e}']) && !shown.contains("##["), "{shown}");
        assert!(!shown.contains("0123456789"), "{shown}");
    }

    #[test]
    fn numbers_are_the_text_that_was_written() {
        let mut problems = Problems::default();
        let keys = read("rotations: [{ name: 12e5, token: 0x10 }]", &mut problems);
        let rotation = keys.rotations.unwrap().value.unwrap().remove(0).value.unwrap();
        assert_eq!(rotation.name.unwrap().value.unwrap(), "12e5");
        assert_eq!(rotation.token.unwrap().value.unwrap(), "0x10");
        assert!(problems.is_empty());
    }

    /// The example of the design, word for word.
    const EXAMPLE: &str = "\
# .github/crossfade.yml
rotations:
  - name: ci-ingest
    provider: axiom
    credential: AXIOM_ADMIN_TOKEN      # environment variable with the provider credential
    token: ci-ingest                   # name or id of the token to keep fresh
    lifetime: 90d
    overlap: 7d
    rotate_before: 14d
    secrets:
      - AXIOM_TOKEN
      - acme/api@production:AXIOM_TOKEN
      - { organization: acme, name: AXIOM_TOKEN, store: dependabot }
";

    #[test]
    fn the_example_is_read_and_fits_the_schema() {
        assert!(problems(EXAMPLE).is_empty());
        let schema: Json = serde_json::from_str(&schema_text()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let example: Json = serde_saphyr::from_str(EXAMPLE).unwrap();
        assert!(validator.is_valid(&example));
        let misspelt: Json = serde_saphyr::from_str(&EXAMPLE.replace("lifetime", "lifetme")).unwrap();
        assert!(!validator.is_valid(&misspelt));
    }

    #[test]
    fn the_schema_describes_every_key_and_the_reader_knows_it() {
        let schema: Json = serde_json::from_str(&schema_text()).unwrap();
        let groups = [
            ("/properties", FileKeys::KEYS, "KEY: 1"),
            ("/$defs/Defaults/properties", DefaultsKeys::KEYS, "defaults: { KEY: 1 }"),
            ("/$defs/Rotation/properties", RotationKeys::KEYS, "rotations: [{ KEY: 1 }]"),
            (
                "/$defs/SecretMapping/properties",
                SecretMappingKeys::KEYS,
                "rotations: [{ secrets: [{ KEY: 1 }] }]",
            ),
        ];
        for (pointer, keys, text) in groups {
            let properties = schema.pointer(pointer).unwrap().as_object().unwrap();
            assert_eq!(properties.keys().collect::<Vec<_>>(), keys, "{pointer}");
            for (key, property) in properties {
                assert!(property["description"].as_str().is_some_and(|d| d.len() > 15), "{key}");
                let told = problems(&text.replace("KEY", key)).to_string();
                assert!(!told.contains("unknown key"), "{key}: {told}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*") {
            let _ = problems(&text).to_string();
        }

        #[test]
        fn no_yaml_makes_the_reader_panic(
            lines in prop::collection::vec(("[ -]{0,6}", "name|token|secrets|rotations|defaults|lifetime|create|[a-z]{1,3}", "[:]? ?", "[\\[\\]{}*&!'\",:a-z0-9 é\t\u{202e}#|>~-]{0,9}"), 0..9)
        ) {
            let text: String = lines.iter().map(|(a, b, c, d)| format!("{a}{b}{c}{d}\n")).collect();
            let _ = problems(&text).to_string();
        }
    }
}
