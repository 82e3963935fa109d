//! Reading a body: never more than is expected, and wiped when it is dropped,
//! because the reply to a mint holds a secret.

use url::Url;
use zeroize::Zeroizing;

use super::HttpError;
use super::origin;

/// The longest body that is read unless a call says otherwise, in bytes.
pub(super) const LIMIT: usize = 1024 * 1024;

/// Reads the whole body, or fails as soon as it is known to be too long. What was
/// read is in `body` either way.
pub(super) async fn read(
    url: &Url,
    mut response: reqwest::Response,
    limit: usize,
    body: &mut Zeroizing<Vec<u8>>,
) -> Result<(), HttpError> {
    let too_large = || HttpError::TooLarge { origin: origin(url) };
    let announced = response.content_length().map_or(Ok(0), usize::try_from).map_err(|_| too_large())?;
    if announced > limit {
        return Err(too_large());
    }
    body.reserve_exact(announced);
    while let Some(chunk) = response.chunk().await.map_err(|error| HttpError::of(url, None, &error))? {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        append(body, &chunk);
    }
    Ok(())
}

/// Appends without leaving a copy behind, as a growing `Vec` would.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    let needed = body.len() + chunk.len();
    if needed > body.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * body.capacity())));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(chunk);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appending_keeps_every_byte() {
        let mut body = Zeroizing::new(Vec::new());
        let mut expected = Vec::new();
        for n in 0..200_u8 {
            let chunk = vec![n; usize::from(n)];
            append(&mut body, &chunk);
            expected.extend_from_slice(&chunk);
        }
        assert_eq!(*body, expected);
    }
}
