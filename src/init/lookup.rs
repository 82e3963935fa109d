//! Reads what a user can choose from, with the credentials that are in the environment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use super::credential_variable;
use crate::clock::{Clock, ClockId};
use crate::config::{DEFAULT_CREDENTIAL, Held, Repository, check_values};
use crate::diagnostic::Problems;
use crate::environment::{Environment, visible};
use crate::github::{GitHub, GithubOptions, GithubSettings, Mode, Pace};
use crate::http::{Announce, Http, HttpSettings};
use crate::progress::Progress;
use crate::provider::{Kind, Provider, ProviderSettings, Token};
use crate::redact::Redactor;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What can be read.
pub(crate) struct Lookup<'a> {
    pub(crate) environment: &'a Environment,
    /// `None`: there is no GitHub credential.
    pub(crate) github: Option<&'a GithubSettings>,
    pub(crate) redactor: &'a Redactor,
    pub(crate) announce: Announce,
}

/// The provider's tokens.
pub(crate) struct Listed {
    pub(crate) tokens: Vec<Token>,
    /// The id of the only one that can be the credential.
    pub(crate) credential: Option<String>,
    /// By the provider's clock.
    pub(crate) now: Option<Timestamp>,
    pub(crate) variable: String,
}

impl Lookup<'_> {
    /// The variable that holds a credential of this provider, if one is set.
    pub(crate) fn credential(&self, provider: &Kind) -> Option<String> {
        let variables = [credential_variable(provider), DEFAULT_CREDENTIAL.to_owned()];
        variables.into_iter().find(|variable| self.environment.get(variable).is_some())
    }

    /// The provider's tokens; `None` without a credential. An error is one sentence.
    pub(crate) async fn tokens(&self, settings: ProviderSettings) -> Result<Option<Listed>, String> {
        let Some(variable) = self.credential(&settings.kind) else { return Ok(None) };
        let settings = ProviderSettings { credential: variable.clone(), ..settings };
        let mut secrets: BTreeMap<String, SecretString> = BTreeMap::new();
        for name in settings.credentials() {
            let value = self.environment.get(name).ok_or_else(|| format!("{name} is not set"))?;
            let value = visible(value).map_err(|invalid| format!("{name}: {invalid}"))?;
            self.redactor.register(&value);
            secrets.insert(name.clone(), value);
        }
        let held = secrets.iter().map(|(variable, value)| Held {
            variable,
            value: value.clone(),
            provider: Some(&settings),
        });
        let mut problems = Problems::default();
        check_values(&held.collect::<Vec<_>>(), &mut problems);
        if let Some(problem) = problems.sorted().first() {
            let help = problem.help.iter().map(|help| format!("; {help}"));
            return Err(format!("{}{}", problem.message, help.collect::<String>()));
        }
        let clock = Arc::new(Clock::default());
        // Nothing is asked of GitHub by this clock, so the provider's is the one that counts.
        let (http, id) = (http(&clock), ClockId::Github);
        let provider = Provider::new(&settings, &secrets, http, id, Arc::clone(&self.announce))
            .map_err(|error| error.to_string())?;
        let credential = secrets.get(&variable).cloned().unwrap_or_default();
        let tokens = provider.list(&credential).await.map_err(|error| error.to_string())?;
        let mut own = tokens.iter().filter(|token| provider.could_be_value_of(token, &credential));
        let own = own.next().filter(|_| own.next().is_none()).map(|token| token.id.clone());
        Ok(Some(Listed { tokens, credential: own, now: clock.now(), variable }))
    }

    /// The names of a repository's Actions secrets; `None` without a GitHub credential.
    pub(crate) async fn secrets(&self, repository: &Repository) -> Result<Option<Vec<String>>, String> {
        let Some(settings) = self.github else { return Ok(None) };
        let options = GithubOptions {
            concurrency: 1,
            pace: Pace::default(),
            mode: Mode::ReadOnly,
            announce: Arc::clone(&self.announce),
            progress: Progress::default(),
        };
        let github = GitHub::connect(http(&Arc::new(Clock::default())), settings, options)
            .map_err(|error| error.to_string())?;
        github.secret_names(repository).await.map(Some).map_err(|error| error.to_string())
    }
}

/// A client that gives up soon on a host that cannot be reached: a user waits.
fn http(clock: &Arc<Clock>) -> Arc<Http> {
    let mut settings = HttpSettings::new(REQUEST_TIMEOUT);
    settings.retry.is_impatient = true;
    Arc::new(Http::new(settings, Arc::clone(clock)))
}
