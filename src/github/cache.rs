//! Answers that are asked for once in a run, however many ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::Error;

type Cell<T> = Arc<OnceCell<Result<T, Error>>>;

/// Answers by key. Who asks while the answer is under way waits for the same
/// one; an error is an answer too, because its retries are already spent.
pub(super) struct Cache<T>(Mutex<HashMap<String, Cell<T>>>);

impl<T: Clone> Cache<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// The answer, found by `ask` if it is not yet known. On the heap, because
    /// thousands may wait, and each of them would grow by it several times.
    pub(super) async fn get<Asking>(&self, key: &str, ask: impl FnOnce() -> Asking) -> Result<T, Error>
    where
        Asking: Future<Output = Result<T, Error>>,
    {
        let cell = Arc::clone(self.lock().entry(key.to_owned()).or_default());
        cell.get_or_init(|| Box::pin(ask())).await.clone()
    }

    /// Takes an answer that was found elsewhere, unless there is one already.
    pub(super) fn put(&self, key: &str, answer: T) {
        let cell = Arc::clone(self.lock().entry(key.to_owned()).or_default());
        // A request for the same answer may be under way; its result is as good.
        let _ = cell.set(Ok(answer));
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
