//! Secrets: silent in `Debug`, wiped on drop, and one value for every way an unwrap can fail (docs/spec.md §7).
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

mod parties;

use parties::{PROVIDER, private_key};
use studioml_envelope_core::{
    Ed25519PrivateKey, OpenError, PrivateKey, SecretBytes, SessionKey, SharedSecret, SigningPrivateKey, Unwrapped,
};
use zeroize::ZeroizeOnDrop;

const fn is_wiped_on_drop<T: ZeroizeOnDrop>() {}

/// Does not compile unless it holds.
const _: () = {
    is_wiped_on_drop::<SessionKey>();
    is_wiped_on_drop::<SharedSecret>();
};

#[test]
fn debug_forms_show_no_secret() {
    let secret = || SecretBytes::copy_from(&[0x5a; 32]);
    let p256 = PROVIDER.agree_static.generate(PROVIDER.random).unwrap();
    for (shown, expected) in [
        (format!("{:?}", SessionKey::from_bytes([0x5a; 32])), "SessionKey(..)"),
        (format!("{:?}", SharedSecret::copy_from(&[0x5a; 32])), "SharedSecret(..)"),
        (format!("{:?}", secret()), "SecretBytes(..)"),
        (format!("{:?}", Unwrapped::from_library(Some(&[0x5a; 32]))), "Unwrapped(..)"),
        (format!("{:?}", Ed25519PrivateKey::new(secret(), None).unwrap()), "Ed25519PrivateKey(..)"),
        (format!("{p256:?}"), "P256PrivateKey(..)"),
        (format!("{:?}", private_key()), "RsaPrivateKey(4096 bits, ..)"),
        (format!("{:?}", PrivateKey::Rsa(private_key())), "Rsa(RsaPrivateKey(4096 bits, ..))"),
        (format!("{:?}", SigningPrivateKey::P256(p256)), "P256(P256PrivateKey(..))"),
    ] {
        assert_eq!(shown, expected);
    }
}

/// Both sides of an agreement come to the same secret, which is the coordinate that was handed over.
#[test]
fn a_shared_secret_is_what_both_sides_agree_on() {
    let bytes: [u8; 32] = core::array::from_fn(|at| u8::try_from(at).unwrap());
    assert_eq!(SharedSecret::copy_from(&bytes).expose_secret(), &bytes);
    let keys = [(); 2].map(|()| PROVIDER.agree_static.generate(PROVIDER.random).unwrap());
    let [one, other] = keys.each_ref().map(|key| PROVIDER.agree_static.load(key).unwrap());
    let [mine, theirs] = keys.each_ref().map(|key| *key.public_key());
    let (here, there) = (one.agree(&theirs).unwrap(), other.agree(&mine).unwrap());
    assert_eq!(here.expose_secret(), there.expose_secret());
    assert_ne!(here.expose_secret(), one.agree(&mine).unwrap().expose_secret(), "another peer, another secret");
}

/// What is taken from an unwrap: whether something was found, and the key in a place where a substitute stood.
fn taken(output: Option<&[u8]>) -> (bool, [u8; 32]) {
    let unwrapped = Unwrapped::from_library(output);
    let found = unwrapped.found();
    let mut key = SessionKey::from_bytes([0xee; 32]);
    unwrapped.select_into(&mut key);
    (found, *key.expose_secret())
}

#[test]
fn only_32_bytes_are_a_session_key_and_everything_else_leaves_the_substitute() {
    assert_eq!(taken(Some(&[7; 32])), (true, [7; 32]));
    assert_eq!(taken(None), (false, [0xee; 32]));
    for length in (0..100).chain([446, 512]).filter(|length| *length != 32) {
        assert_eq!(taken(Some(&vec![7; length])), (false, [0xee; 32]), "{length} bytes");
    }
}

#[test]
fn cannot_open_says_nothing_more() {
    assert_eq!(OpenError::CannotOpen.to_string(), "cannot open");
    assert!(std::error::Error::source(&OpenError::CannotOpen).is_none());
}
