use super::*;
use crate::environment::Environment;
use crate::redact::Redactor;

/// A token of each known kind, as its service would issue it.
fn samples() -> Vec<(&'static str, String)> {
    let random = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";
    let sample = |shape: &TokenShape| match shape.body {
        Body::Uuid => "0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9".to_owned(),
        Body::IdAndVisible(_) => "1671-0642:Zq7x.W+k!m~pT4,vN9(sR2;qLxB".to_owned(),
        Body::DottedWord(_) => format!("{}.{}.{}", &random[..8], &random[8..30], &random[30..]),
        Body::Word(_) | Body::RandomWord(_) => random.to_owned(),
    };
    known().map(|(issuer, shape)| (issuer, format!("{}{}", shape.prefix, sample(shape)))).collect()
}

fn shows_a_part(text: &str, secret: &str) -> bool {
    let text = text.to_lowercase();
    let secret = secret.to_lowercase();
    secret
        .as_bytes()
        .windows(super::super::GRAM)
        .any(|part| text.as_bytes().windows(super::super::GRAM).any(|window| window == part))
}

#[test]
fn a_file_says_in_one_paragraph_what_its_values_look_like() {
    let prefixes = |text: &str| {
        let shapes = described(&read(text)).into_iter();
        shapes.map(|shape| shape.prefix.into_owned()).collect::<Vec<_>>()
    };
    for (name, text) in catalogue::FILES {
        assert_eq!(prefixes(paragraph_of_values(text)), prefixes(text), "{name}");
    }
}

/// Adding a provider is enough: all that read the table know its tokens.
#[test]
fn every_provider_is_known_to_every_reader_of_the_table() {
    let samples = samples();
    // Their values begin with nothing public, or like another service's.
    let unknown = ["cloudflare", "cloudflare-user", "hcp-terraform", "pulumi-team", "jupyterhub"];
    let services = catalogue::FILES.iter().map(|(name, _)| *name).chain([GITHUB]);
    for service in services.filter(|service| !unknown.contains(service)) {
        assert!(samples.iter().any(|(issuer, _)| *issuer == service), "{service} describes no token");
    }
    for (service, token) in samples {
        for text in [token.clone(), format!("it says \"{token}\"."), format!("x={token};y")] {
            let scrubbed = Redactor::new().scrub(&text);
            assert!(!shows_a_part(&scrubbed, &token), "{service}: {scrubbed}");
        }
        assert!(looks_like_a_secret(&token), "{service}");
        for text in [token.clone(), format!("'{token}'"), format!("TOKEN={token}"), format!("x: {token}")] {
            assert_eq!(issuer(&text).map(|(issuer, _)| issuer), Some(service), "{service}");
        }
        let nothing = Environment::default();
        for argument in [token.clone(), format!("--token={token}"), format!("--token='{token}'")] {
            let arguments = ["crossfade", "rotate", &argument].map(Into::into);
            let text = crate::cli::invocation(arguments, &nothing, &Redactor::new()).unwrap_err();
            assert_eq!(text.exit_code, 2);
            assert!(text.stderr.contains("looks like a secret") && !shows_a_part(&text.stderr, &token));
        }
        for key in ["token", "credential", "org_id", "verify", "name"] {
            let mut problems = crate::diagnostic::Problems::default();
            let file = format!("rotations:\n- {{ provider: axiom, secrets: [A], {key}: \"{token}\" }}\n");
            problems.set_file("crossfade.yml", &file);
            crate::config::read_for_tests(&file, &mut problems);
            let text = problems.to_string();
            assert!(text.contains("looks like a secret"), "{service} as {key}: {text}");
            assert!(!shows_a_part(&text, &token), "{service} as {key}: {text}");
        }
    }
}

#[test]
fn ordinary_names_are_no_tokens() {
    for name in [
        "api_ingest_production_2024_europe",
        "API_KEY_FOR_PRODUCTION_2024_EUROPE",
        "api-gateway-production",
        "api-0a1b2c3d",
        "TKN-1671-0642",
        "ci-ingest",
        "AXIOM_TOKEN",
    ] {
        assert!(!looks_like_a_secret(name), "{name}");
        assert_eq!(Redactor::new().scrub(name), name);
        assert!(issuer(name).is_none(), "{name}");
    }
}

#[test]
fn a_value_may_show_the_id_of_its_token() {
    assert_eq!(secret_part("idt:TKN-1671-0642:abc:def"), "abc:def");
    for odd in ["", "idt:", "idt:TKN-1", "TKN-1:x", "idt:USR-1:x", "xaat-0a1b2c3d"] {
        assert_eq!(secret_part(odd), odd);
    }
}

/// A scan takes time in proportion to the text, whatever stands in it.
#[test]
fn each_run_is_read_once() {
    for prefix in ["ghp_", "idt:TKN-", "eyJ", "api_", "bearer ", "://", "snyk_sat."] {
        let text = prefix.repeat(200_000 / prefix.len());
        let began = std::time::Instant::now();
        find(text.as_bytes());
        let short = began.elapsed();
        assert!(short < std::time::Duration::from_secs(5), "{prefix}: {short:?}");
    }
}

#[test]
fn a_run_that_was_read_already_is_known_from_each_of_its_places() {
    let text = b"ab cd-ef.gh: (ij). ";
    for class in [Class::Word, Class::DottedWord, Class::Visible, Class::HeaderValue] {
        let mut orders: Vec<Vec<usize>> = vec![(0..text.len()).collect(), (0..text.len()).rev().collect()];
        orders.push((0..text.len()).flat_map(|at| [(at + 3).min(text.len() - 1), at]).collect());
        for order in orders {
            let mut runs = Runs::new(text);
            for at in order {
                assert_eq!(runs.length(class, at), Runs::new(text).length(class, at), "{class:?} at {at}");
            }
        }
    }
}
