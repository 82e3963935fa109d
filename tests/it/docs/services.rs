//! The tables of all services, written from their files and from runs, and the pages of each.
//! To write the tables anew: `UPDATE_DOCS=1 cargo test --test it -- docs::services`

use serde_json::Value as Json;

use super::page::project_file;
use crate::support::provider::{ALL, FURTHER, Service};
use crate::support::{Invocation, World};

/// The names of the built-in services, in the order of `provider list`.
async fn names() -> Vec<String> {
    let ran = Invocation::of("provider").flag("list").run().await;
    let lines = ran.stdout.lines().take_while(|line| !line.is_empty());
    let names: Vec<String> = lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    assert!(names.len() > 16, "{}", ran.everything());
    names
}

/// The file of a built-in service.
fn file(name: &str) -> Json {
    serde_saphyr::from_str(&project_file(&format!("src/catalogue/{name}.yml"))).unwrap()
}

/// What people call the service, and what of it.
fn title(file: &Json) -> (&str, Option<&str>) {
    let title = file["title"].as_str().unwrap();
    title.split_once(" (").map_or((title, None), |(name, rest)| (name, Some(rest.trim_end_matches(')'))))
}

fn row(name: &str) -> String {
    let file = file(name);
    let (service, of) = title(&file);
    let of = of.map(|of| format!(", {of}")).unwrap_or_default();
    let variables = file["variables"].as_object().cloned().unwrap_or_default();
    let variables: Vec<String> = variables.keys().map(|variable| format!("`{variable}`")).collect();
    let ends = match () {
        () if !file["regenerate"].is_null() => "ends by itself",
        () if !file["set_expiry"].is_null() => "is given an expiry, or deleted",
        () if !file["disable"].is_null() => "is disabled, then deleted",
        () => "is deleted",
    };
    let expiry = match file["token"]["expires"]["form"].as_str() {
        None => "by age",
        Some("date") => "a date",
        Some(_) => "native",
    };
    let token = &file["token"];
    let marker = if token["marker"].is_null() { &token["name"] } else { &token["marker"] };
    let at = marker.as_str().or_else(|| marker["at"].as_str()).unwrap();
    let max = marker["max"].as_u64().map(|max| format!(", {max}")).unwrap_or_default();
    let field = at.rsplit('/').next().unwrap();
    let shows = file["verify"]["shows"].to_string();
    let verified = match () {
        () if file["verify"].is_null() => "unverified",
        () if shows.contains("<id>") => "its own id",
        () if shows.contains("<name>") => "its own name",
        () => "being accepted",
    };
    let prove = if file["unproved"].is_null() { "" } else { "yes" };
    format!(
        "| [{service}](providers/{name}.md){of} | `{name}` | {} | {expiry} | {ends} | `{field}`{max} | {verified} | {prove} |\n",
        variables.join(", ")
    )
}

/// Puts the text between the marks of a page, or asserts that it stands there.
fn between(page: &str, mark: &str, text: &str) {
    let shown = project_file(page);
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->"));
    let (before, rest) = shown.split_once(&begin).unwrap();
    let expected = format!("{before}{begin}\n{text}\n{end}{}", rest.split_once(&end).unwrap().1);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page), &expected).unwrap();
    } else {
        assert!(shown == expected, "{page} is stale: UPDATE_DOCS=1 cargo test --test it -- docs::services");
    }
}

#[tokio::test]
async fn the_table_has_every_service() {
    let mut table = "| service | `provider` | variables (`with`) | expiry | the previous token | marker in | verified by | prove first |\n|---|---|---|---|---|---|---|---|\n".to_owned();
    table.extend(names().await.iter().map(|name| row(name)));
    between("docs/providers.md", "services", &table);
}

#[tokio::test]
async fn the_readme_names_every_service() {
    let readme = project_file("README.md");
    let paragraph = readme.split("\n\n").find(|text| text.starts_with("**Services**")).unwrap();
    let paragraph = paragraph.replace('\n', " ");
    for name in names().await {
        let file = file(&name);
        let (service, _) = title(&file);
        assert!(paragraph.contains(service), "{service}: {paragraph}");
    }
}

#[tokio::test]
async fn every_page_is_short() {
    for name in names().await {
        let lines = project_file(&format!("docs/providers/{name}.md")).lines().count();
        assert!(lines <= 45, "docs/providers/{name}.md: {lines}");
    }
}

/// Requests of a run: all, and those to the provider.
async fn requests(world: &World) -> (usize, usize) {
    world.github.forget_requests();
    world.provider.forget_requests();
    let ran = Invocation::rotate(world).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let provider = world.provider.requests().len();
    (world.github.requests().len() + provider, provider)
}

/// A fresh day, a day on which a token is created, and one on which the previous one is ended.
async fn costs(service: &'static Service) -> [(usize, usize); 3] {
    let fresh = World::builder().provider(service).expires_in_days(60).start().await;
    let world = World::builder().provider(service).expires_in_days(12).start().await;
    let (fresh, mint) = (requests(&fresh).await, requests(&world).await);
    world.advance_days(8);
    [fresh, mint, requests(&world).await]
}

#[tokio::test]
async fn the_requests_of_every_service_are_counted() {
    let mut table = "| `provider` | a fresh day | a mint day | of these at the provider | a day on which the previous token is ended |\n|---|---:|---:|---:|---:|\n".to_owned();
    for name in names().await {
        let service = ALL.into_iter().chain(FURTHER).find(|service| service.name == name).unwrap();
        let [fresh, mint, end] = costs(service).await;
        // One list of secrets, and one of tokens, of which Cloudflare has a page after the last.
        assert!(fresh.0 - fresh.1 == 1 && fresh.1 <= 2, "{name}: {fresh:?}");
        table += &format!("| `{name}` | {} | {} | {} | {} |\n", fresh.0, mint.0, mint.1, end.0);
    }
    between("docs/performance.md", "providers", &table);
}
