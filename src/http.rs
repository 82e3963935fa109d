//! The one HTTP client: timeouts, bounded bodies, retries, redirects, dates.
