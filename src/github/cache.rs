//! Single-flight cache: concurrent look-ups of one key share one request and its result,
//! errors included.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::error::Result;

type Cell<T> = Arc<OnceCell<Result<T>>>;

/// Results by key. Errors are kept too, because their retries are already spent.
pub(super) struct Cache<T>(Mutex<HashMap<String, Cell<T>>>);

impl<T: Clone> Cache<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// The result, from `fetch` if it is not known yet. Boxed, because thousands of
    /// futures may wait here and each would grow by it.
    pub(super) async fn get<Fetching>(&self, key: &str, fetch: impl FnOnce() -> Fetching) -> Result<T>
    where
        Fetching: Future<Output = Result<T>>,
    {
        let cell = Arc::clone(self.lock().entry(key.to_owned()).or_default());
        cell.get_or_init(|| Box::pin(fetch())).await.clone()
    }

    /// Stores a result from elsewhere, unless there is one already.
    pub(super) fn put(&self, key: &str, answer: T) {
        let cell = Arc::clone(self.lock().entry(key.to_owned()).or_default());
        // A request for the same key may be under way; its result is equally good.
        let _ = cell.set(Ok(answer));
    }

    /// Removes a result that proved wrong, unless it was replaced already.
    pub(super) fn forget(&self, key: &str, wrong: impl Fn(&T) -> bool) {
        let mut cells = self.lock();
        let known = cells.get(key).and_then(|cell| cell.get());
        if known.is_some_and(|answer| answer.as_ref().is_ok_and(wrong)) {
            cells.remove(key);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Cell<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
