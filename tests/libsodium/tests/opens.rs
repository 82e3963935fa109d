//! libsodium opens what crossfade seals.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use libsodium_oracle::seal::seal;
use proptest::prelude::*;
use secrecy::SecretString;
use sodiumoxide::crypto::{box_, sealedbox};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn libsodium_opens_what_is_sealed(value in prop_oneof![".{0,300}", "[!-~]{16,4096}"], repeat in 1_usize..200) {
        // GitHub takes up to 48 KB.
        let mut value = value.repeat(repeat);
        while value.len() > 48 * 1024 {
            value.pop();
        }
        let (public, secret) = box_::gen_keypair();
        let sealed = seal(&BASE64_STANDARD.encode(public.as_ref()), &SecretString::from(value.clone())).unwrap();
        let opened = sealedbox::open(&BASE64_STANDARD.decode(sealed.as_str()).unwrap(), &public, &secret).unwrap();
        prop_assert_eq!(opened, value.into_bytes());
    }
}
