//! Answers that are asked for once in a run, however many ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::Error;

type Cell<T> = Arc<OnceCell<Result<T, Error>>>;

/// Answers by key. Who asks while the answer is under way waits for the same
/// one; an error is an answer too, because its retries are already spent.
pub(super) struct Shared<T>(Mutex<HashMap<String, Cell<T>>>);

impl<T: Clone> Shared<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// The answer, found by `ask` if it is not yet known.
    pub(super) async fn get(
        &self,
        key: &str,
        ask: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let cell = Arc::clone(self.lock().entry(key.to_owned()).or_default());
        cell.get_or_init(|| ask).await.clone()
    }

    /// Forgets an answer that proved wrong, unless another took its place already.
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
