//! Asks at a terminal for the answers that are missing, one after the other.

use std::io::Write as _;
use std::str::FromStr as _;

use super::choices::SHOWN;
use super::lookup::{Listed, Lookup};
use super::{Answers, Extras, choices, credential_variable, files};
use crate::config::address::origin;
use crate::config::{Destination, Repository, token_name, variable_value};
use crate::diagnostic::{Invalid, quoted};
use crate::github::GithubCredential;
use crate::provider::{Kind, ProviderSettings, catalogue};
use crate::redact::looks_like_a_secret;
use crate::streams::{Input, Stream};

/// The user closed standard input, or the terminal is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

/// A terminal with a user, and what they can choose from.
pub(crate) struct Dialog<'a> {
    pub(crate) stderr: Stream,
    pub(crate) stdin: Input,
    pub(crate) lookup: &'a Lookup<'a>,
}

impl Dialog<'_> {
    /// Asks for everything that is missing. `is_there`: whether a file is there already.
    pub(crate) async fn complete(
        &self,
        answers: &mut Answers,
        is_there: impl Fn(&str) -> bool,
    ) -> Result<(), Closed> {
        self.say(&format!(
            "This writes {} and {}, and changes nothing else. Ctrl-C ends it.",
            files::CONFIG,
            files::ROTATE
        ))?;
        let repository = match answers.repository.take() {
            Some(repository) => repository,
            None => {
                self.ask("Repository that will run crossfade (owner/name):", Repository::from_str).await?
            }
        };
        answers.repository = Some(repository.clone());
        let provider = self.provider(answers).await?;
        self.settings(answers, &provider).await?;
        if answers.token.is_none() {
            self.token(answers, &provider).await?;
        }
        if answers.secrets.is_empty() {
            self.secrets(answers, &provider, &repository).await?;
        }
        let may_monitor = !is_there(files::MONITOR);
        self.extras(&mut answers.extras, &provider, may_monitor).await
    }

    async fn provider(&self, answers: &mut Answers) -> Result<Kind, Closed> {
        if let Some(provider) = &answers.provider {
            return Ok(provider.clone());
        }
        let lines = catalogue().iter().map(|kind| format!("{:<16}{}", kind.name(), kind.file().title));
        self.list("Which service issues the token?", lines)?;
        let read = |answer: &str| match choices::numbered(answer, catalogue()) {
            Some(kind) => Ok(kind.clone()),
            None if answer.is_empty() || answer.bytes().all(|byte| byte.is_ascii_digit()) => {
                Err(Invalid::new(format!("expected a number from 1 to {}, or a name", catalogue().len())))
            }
            None => Kind::from_str(answer),
        };
        let provider = self.ask("Number or name:", read).await?;
        answers.provider = Some(provider.clone());
        Ok(provider)
    }

    /// Where the provider is, and its variables.
    async fn settings(&self, answers: &mut Answers, provider: &Kind) -> Result<(), Closed> {
        let title = &provider.file().title;
        if provider.origin().is_none() && answers.provider_url.is_none() {
            let question = format!("Address of your {title}, with the API's path (https://…):");
            answers.provider_url = Some(self.ask(&question, origin).await?);
        }
        for (name, variable) in &provider.file().variables {
            let is_choice = !variable.one_of.is_empty();
            let is_asked = !variable.is_optional && (variable.default.is_none() || is_choice);
            if !is_asked || answers.with.contains_key(name) {
                continue;
            }
            let kind = if variable.is_secret { ", in which environment variable" } else { "" };
            let about =
                if variable.about.is_empty() { String::new() } else { format!(", {}", variable.about) };
            let default =
                variable.default.as_ref().map(|default| format!(" [{default}]")).unwrap_or_default();
            let question = format!("{title}: {name}{about}{kind}{default}:");
            let read = |answer: &str| match (&variable.default, answer) {
                (Some(_), "") => Ok(None),
                (None, "") => Err(Invalid::new(format!("{name} is required"))),
                (_, answer) => variable_value(variable, answer).map(|()| Some(answer.to_owned())),
            };
            if let Some(value) = self.ask(&question, read).await? {
                answers.with.insert(name.clone(), value);
            }
        }
        Ok(())
    }

    async fn token(&self, answers: &mut Answers, provider: &Kind) -> Result<(), Closed> {
        let title = &provider.file().title;
        let settings = ProviderSettings {
            kind: provider.clone(),
            url: answers.provider_url.clone(),
            with: answers.with.clone(),
            credential: credential_variable(provider),
        };
        let listed = self.lookup.tokens(settings).await;
        let Ok(Some(Listed { tokens, credential, now, variable })) = listed else {
            let why = match listed {
                Err(error) => format!("cannot be listed: {error}"),
                Ok(_) => format!("are not listed: {} is not set.", credential_variable(provider)),
            };
            self.say(&format!("The tokens at {title} {why}"))?;
            let question = format!("Token to keep fresh, by its name or id at {title} (never its value):");
            answers.token = Some(self.ask(&question, token_name).await?);
            return Ok(());
        };
        let offered = choices::tokens(&tokens, credential.as_deref(), now, self.lookup.redactor);
        let heading = format!("Tokens at {title}, read with {variable}:");
        self.list(&heading, offered.iter().map(|one| one.label.clone()))?;
        let rotated = tokens.len() - offered.len();
        if rotated > 0 {
            self.say(&format!("Not listed: {rotated}, which crossfade rotates already or cannot name."))?;
        }
        let read = |answer: &str| choices::token(answer, &offered, &tokens);
        let chosen = self.ask("Token to keep fresh (number, name or id):", read).await?;
        self.say(&format!("Chosen: {}", quoted(&chosen.token)))?;
        (answers.token, answers.name) = (Some(chosen.token), Some(chosen.name));
        Ok(())
    }

    async fn secrets(
        &self,
        answers: &mut Answers,
        provider: &Kind,
        repository: &Repository,
    ) -> Result<(), Closed> {
        let known = match self.lookup.secrets(repository).await {
            Ok(names) => names.unwrap_or_default(),
            Err(error) => {
                self.say(&format!("The secrets of {repository} cannot be listed: {error}"))?;
                Vec::new()
            }
        };
        let named_after = answers.name.as_deref().or(answers.token.as_deref()).unwrap_or_default();
        let own = credential_variable(provider);
        let fitting = choices::secrets(&known, provider, named_after, &own);
        if !fitting.is_empty() {
            let heading = format!("Secrets of {repository} whose names fit:");
            self.list(&heading, fitting.iter().map(|name| self.lookup.redactor.line(name)))?;
        }
        let number = if fitting.is_empty() { "" } else { "a number, " };
        self.say(&format!(
        "Which secrets hold the token? One a line: {number}NAME, owner/repo:NAME, owner/repo@environment:NAME or \
         org:acme:NAME. An empty line ends the list."
    ))?;
        let mut chosen: Vec<Destination> = Vec::new();
        loop {
            let read = |answer: &str| {
                match answer {
                    "" if chosen.is_empty() => return Err(Invalid::new("expected at least one secret")),
                    "" => return Ok(None),
                    _ => {}
                }
                let name = choices::numbered(answer, &fitting).map_or(answer, |name| name.as_str());
                let destination = Destination::parse(name, repository)?;
                if chosen.contains(&destination) {
                    return Err(Invalid::new(format!("{} is on the list already", quoted(name))));
                }
                Ok(Some((name.to_owned(), destination)))
            };
            let Some((text, destination)) = self.ask("Secret:", read).await? else { return Ok(()) };
            self.say(&format!("Chosen: {destination}"))?;
            answers.secrets.push(text);
            chosen.push(destination);
        }
    }

    async fn extras(&self, extras: &mut Extras, provider: &Kind, may_monitor: bool) -> Result<(), Closed> {
        match self.lookup.github.map(|github| &github.credential) {
            Some(GithubCredential::App { .. }) => extras.app = true,
            None if !extras.app => {
                let question = "Sign in to GitHub as an App, instead of with a personal access token?";
                extras.app = self.confirm(question).await?;
            }
            _ => {}
        }
        if !extras.sign {
            let title = &provider.file().title;
            let question =
                format!("May other people create tokens at {title}? Then markers are signed with a key.");
            extras.sign = self.confirm(&question).await?;
        }
        if !extras.monitor && may_monitor {
            let question = format!("Also write {}, which fails before a token expires?", files::MONITOR);
            extras.monitor = self.confirm(&question).await?;
        }
        Ok(())
    }

    pub(crate) fn say(&self, text: &str) -> Result<(), Closed> {
        self.print(&format!("{}\n", self.lookup.redactor.message(text)))
    }

    /// Lines that are safe to print, with numbers from 1, under a heading.
    fn list(&self, heading: &str, lines: impl Iterator<Item = String>) -> Result<(), Closed> {
        let lines: Vec<String> = lines.collect();
        let mut text = format!("\n{}\n", self.lookup.redactor.message(heading));
        for (index, line) in lines.iter().take(SHOWN).enumerate() {
            text.push_str(&format!("{:>4}  {}\n", index + 1, self.lookup.redactor.scrub(line)));
        }
        if lines.len() > SHOWN {
            text.push_str(&format!("      and {} more\n", lines.len() - SHOWN));
        }
        self.print(&text)
    }

    /// Asks until the answer can be read. A secret is refused, and not shown.
    async fn ask<T>(&self, question: &str, read: impl Fn(&str) -> Result<T, Invalid>) -> Result<T, Closed> {
        loop {
            self.print(&format!("{} ", self.lookup.redactor.message(question)))?;
            let line = self.stdin.line().await.ok_or(Closed)?;
            let answer = line.trim();
            let is_secret = looks_like_a_secret(answer) || self.lookup.redactor.changes(answer);
            let refused = "this looks like a secret itself, where a name belongs; it is not shown here";
            let help = "replace it: it was typed where others may see it";
            let result = if is_secret { Err(Invalid::new(refused).help(help)) } else { read(answer) };
            match result {
                Ok(value) => return Ok(value),
                Err(Invalid { message, help }) => {
                    let help = help.map(|help| format!("; {help}")).unwrap_or_default();
                    self.say(&format!("{message}{help}"))?;
                }
            }
        }
    }

    /// Yes, or no by default.
    async fn confirm(&self, question: &str) -> Result<bool, Closed> {
        let read = |answer: &str| match answer.to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(true),
            "" | "n" | "no" => Ok(false),
            _ => Err(Invalid::new("expected y or n")),
        };
        self.ask(&format!("{question} [y/N]"), read).await
    }

    fn print(&self, text: &str) -> Result<(), Closed> {
        let mut stderr = self.stderr.clone();
        stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()).map_err(|_| Closed)
    }
}
