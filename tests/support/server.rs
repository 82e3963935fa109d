//! The HTTP server of a fake, shared by its clones.

use std::sync::Arc;

use wiremock::MockServer;

/// Stops with its last clone. Dropping the server waits for requests under way, and the
/// proxy that they come through may run on the dropping thread; so it is dropped on a
/// thread of its own.
#[derive(Clone)]
pub struct Server(Option<Arc<MockServer>>);

impl Server {
    /// Shares this server.
    #[must_use]
    pub fn new(server: MockServer) -> Self {
        Self(Some(Arc::new(server)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(server) = self.0.take().and_then(Arc::into_inner) {
            std::thread::spawn(move || drop(server));
        }
    }
}
