//! The marker, read anew: an oracle that does not share the crate's parser.

use jiff::Timestamp;

/// `[crossfade <owner/repo>/<rotation> <minted_at> until <t> nonce <n>]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// `owner/repo/rotation`.
    pub key: String,
    /// When its run asked for the mint.
    pub minted_at: Timestamp,
    /// When its run has stopped delivering.
    pub until: Timestamp,
    /// `<stem>.<attempt>`.
    pub nonce: String,
}

impl Marker {
    /// The marker in a description, if there is one.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        let inner = text.split_once("[crossfade ")?.1.split_once(']')?.0;
        // A rotation's name may hold spaces, so from the end.
        let mut words = inner.rsplitn(6, ' ');
        let nonce = words.next()?.to_owned();
        let (nonce_word, until, until_word) = (words.next()?, words.next()?, words.next()?);
        let (minted_at, key) = (words.next()?, words.next()?);
        if (nonce_word, until_word) != ("nonce", "until") {
            return None;
        }
        Some(Self {
            key: key.to_owned(),
            minted_at: minted_at.parse().ok()?,
            until: until.parse().ok()?,
            nonce,
        })
    }

    /// The part of the nonce that all attempts of one run share.
    #[must_use]
    pub fn stem(&self) -> &str {
        self.nonce.rsplit_once('.').map_or(self.nonce.as_str(), |(stem, _)| stem)
    }

    /// Whether its run may still be delivering.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.minted_at <= now && now <= self.until
    }
}
