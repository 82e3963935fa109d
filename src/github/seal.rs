//! Seals a value with GitHub's public key, so that only GitHub can read it.
//!
//! libsodium's `crypto_box_seal`, which GitHub's API asks for: an ephemeral
//! X25519 key in front, XSalsa20-Poly1305 behind it. `tests/libsodium` opens with
//! libsodium what this file seals, so it uses nothing else of this crate.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crypto_box::PublicKey;
use crypto_box::aead::OsRng;
use secrecy::{ExposeSecret as _, SecretString};

/// Why nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not 32 bytes in base64.
    #[error("GitHub's public key is not 32 bytes in base64")]
    Key,
    /// One of the few points that make every sealed value readable for everybody.
    #[error(
        "GitHub's public key is one that protects nothing: whoever sees a value sealed with it could open it"
    )]
    Weak,
    /// The cipher refused.
    #[error("the value could not be sealed")]
    Cipher,
}

/// Seals a value with the key of its scope. The result is base64, for the API's field
/// `encrypted_value`.
///
/// # Errors
/// When the key is none.
pub fn seal(public_key: &str, value: &SecretString) -> Result<String, SealError> {
    // The plaintext is not copied; it is wiped with `value`.
    let sealed =
        key(public_key)?.seal(&mut OsRng, value.expose_secret().as_bytes()).map_err(|_| SealError::Cipher)?;
    Ok(BASE64_STANDARD.encode(sealed))
}

/// Reads a key. Checked before a value exists that should be sealed with it.
pub(super) fn key(public_key: &str) -> Result<PublicKey, SealError> {
    let key = BASE64_STANDARD.decode(public_key).map_err(|_| SealError::Key)?;
    let key: [u8; 32] = key.try_into().map_err(|_| SealError::Key)?;
    if is_low_order(key) {
        return Err(SealError::Weak);
    }
    Ok(PublicKey::from(key))
}

/// Whether a key is a point of low order: then the secret that is agreed on is all
/// zero, whatever the other key is. libsodium's `crypto_box_seal` refuses these.
fn is_low_order(mut key: [u8; 32]) -> bool {
    // X25519 ignores the highest bit.
    key[31] &= 0x7f;
    LOW_ORDER.contains(&key)
}

/// Every encoding of a point of low order on Curve25519, little-endian: those of
/// libsodium's list (`x25519_ref10.c`, `has_small_order`).
const LOW_ORDER: [[u8; 32]; 7] = [
    // 0, of order 4
    [0; 32],
    // 1
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    // two of order 8
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
        0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04,
        0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    // p - 1, p and p + 1, where p is 2^255 - 19
    near_p(0xec),
    near_p(0xed),
    near_p(0xee),
];

/// The number of 255 bits, all set but for the lowest byte, which is this one.
const fn near_p(lowest: u8) -> [u8; 32] {
    let mut number = [0xff; 32];
    number[0] = lowest;
    number[31] = 0x7f;
    number
}

#[cfg(test)]
mod tests {
    use crypto_box::{SalsaBox, SecretKey};

    use super::*;

    #[test]
    fn a_key_has_32_bytes() {
        let value = SecretString::from("value");
        let long = BASE64_STANDARD.encode([7; 33]);
        let short = BASE64_STANDARD.encode([7; 31]);
        for key in ["", "not base64", &long, &short, &BASE64_STANDARD.encode([7; 32])[..43]] {
            assert_eq!(seal(key, &value), Err(SealError::Key), "{key}");
        }
    }

    /// Of such a key, everybody's secret key agrees on the same.
    #[test]
    fn a_key_that_protects_nothing_is_refused() {
        let agreed = |key: [u8; 32], secret: u8| {
            let secret = SecretKey::from([secret; 32]);
            let nonce = [0; 24].into();
            crypto_box::aead::Aead::encrypt(
                &SalsaBox::new(&PublicKey::from(key), &secret),
                &nonce,
                &b"value"[..],
            )
        };
        let value = SecretString::from("value");
        for point in LOW_ORDER {
            for high_bit in [0, 0x80] {
                let mut key = point;
                key[31] |= high_bit;
                assert_eq!(agreed(key, 7), agreed(key, 9), "{key:x?} is of low order");
                assert_eq!(seal(&BASE64_STANDARD.encode(key), &value), Err(SealError::Weak), "{key:x?}");
            }
        }
        for ordinary in [[9; 32], [7; 32], near_p(0xef), near_p(0xeb)] {
            assert_ne!(agreed(ordinary, 7), agreed(ordinary, 9));
            assert!(seal(&BASE64_STANDARD.encode(ordinary), &value).is_ok());
        }
    }

    #[test]
    fn the_same_value_never_looks_the_same() {
        let key = BASE64_STANDARD.encode(SecretKey::generate(&mut OsRng).public_key().as_bytes());
        let value = SecretString::from("value");
        assert_ne!(seal(&key, &value), seal(&key, &value));
    }

    /// Boxes that libsodium sealed, with the secret key that opens them.
    #[test]
    fn opens_what_libsodium_sealed() {
        for (secret, sealed, expected) in VECTORS {
            let secret: [u8; 32] = BASE64_STANDARD.decode(secret).unwrap().try_into().unwrap();
            let opened = SecretKey::from(secret).unseal(&BASE64_STANDARD.decode(sealed).unwrap()).unwrap();
            assert_eq!(opened, expected.as_bytes());
        }
    }

    const VECTORS: [(&str, &str, &str); 3] = [
        (
            "H2anR2xHvr4+InAJ6EUxGvHIrPaGcX2t6Aevrf4vtj0=",
            "TkIn3hzuE1GAXI4BPE/TIcS2PFIpmOZxgdxqWbq4eRoGh8cUf1EO9KPQqNKx32Gk",
            "",
        ),
        (
            "g5JUhs3Ww4ngwSExnk3Q1ibfP42Ba+1iULu4LHZxlWU=",
            "SmZJ8p+j/20O+z9HZTvKt+UHFtnKzkQDiEMdFUO8K0bL+qHJbuyHtUFjdnWXVFKsSh4J2ZNPBrYT2jw9MrSkZDTHC8rg",
            "xaat-0123456789abcdef",
        ),
        (
            "wYS4hkbVZ6SUSQi35/izTjOISCggHajGYo/mTdP7XH0=",
            "4rQvxf4VW3uu771L6FIOZdrI3fYss383UX9rfu3bESvbN3uML1YdlAuXrrRmMdMRDIzEQs+oYm1fZk8=",
            "äöü €\n",
        ),
    ];
}
