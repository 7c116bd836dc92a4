//! RSA-OAEP: what wraps unwraps, keys whose numbers do not belong together are refused, failures are one value.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where something is not as expected")]

use studioml_envelope_aws_lc_rs::{KEY_UNWRAP, KEY_WRAP, RANDOM};
use studioml_envelope_core::{
    KeyError, KeyUnwrap as _, KeyWrap as _, RsaPrivateKey, RsaPrivateNumbers, RsaPublicKey, SessionKey, WrapError,
};

const KEY: &[u8] = include_bytes!("data/rsa2048.der");
const SWAPPED_PRIMES: &[u8] = include_bytes!("data/rsa2048-swapped-primes.der");
const OTHER_EXPONENT: &[u8] = include_bytes!("data/rsa2048-other-exponent.der");
const LARGEST_PUBLIC_EXPONENT: &[u8] = include_bytes!("data/rsa2048-largest-public-exponent.der");
const LONG_EXPONENT: &[u8] = include_bytes!("data/rsa2048-long-exponent.der");
const UNEQUAL_PRIMES: &[u8] = include_bytes!("data/rsa2048-unequal-primes.der");

fn wrap(key: &RsaPublicKey, session_key: [u8; 32]) -> Vec<u8> {
    let recipient = KEY_WRAP.load(key).unwrap();
    let mut wrapped = vec![0; recipient.wrapped_len()];
    recipient.wrap(&SessionKey::from_bytes(session_key), &RANDOM, &mut wrapped).unwrap();
    wrapped
}

/// The session key that `wrapped` gives, or `None` if none was found and the substitute was kept.
fn unwrap(key: &RsaPrivateKey, wrapped: &[u8]) -> Option<[u8; 32]> {
    let unwrapped = KEY_UNWRAP.load(key).unwrap().unwrap(wrapped, &RANDOM);
    let found = unwrapped.found();
    let mut session_key = SessionKey::from_bytes([0x55; 32]);
    unwrapped.select_into(&mut session_key);
    assert!(found || *session_key.expose_secret() == [0x55; 32], "a failure changed the substitute");
    found.then_some(*session_key.expose_secret())
}

fn refusal(key: &RsaPrivateKey) -> Option<KeyError> {
    KEY_UNWRAP.load(key).err()
}

#[test]
fn what_one_side_wraps_the_other_unwraps() {
    for der in [KEY, SWAPPED_PRIMES, OTHER_EXPONENT, LARGEST_PUBLIC_EXPONENT] {
        let key = RsaPrivateKey::from_pkcs1_der(der).unwrap();
        let wrapped = wrap(key.public_key(), [7; 32]);
        assert_eq!(wrapped.len(), 256);
        assert_eq!(unwrap(&key, &wrapped), Some([7; 32]));
        assert_ne!(wrapped, wrap(key.public_key(), [7; 32]), "the seed of OAEP is fresh");
    }
}

#[test]
fn one_loaded_key_serves_many_threads() {
    let key = RsaPrivateKey::from_pkcs1_der(KEY).unwrap();
    let recipient = KEY_WRAP.load(key.public_key()).unwrap();
    let identity = KEY_UNWRAP.load(&key).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (recipient, identity) = (&recipient, &identity);
            scope.spawn(move || {
                for message in 0..20 {
                    let mut wrapped = [0; 256];
                    recipient.wrap(&SessionKey::from_bytes([thread ^ message; 32]), &RANDOM, &mut wrapped).unwrap();
                    let mut session_key = SessionKey::from_bytes([0x55; 32]);
                    identity.unwrap(&wrapped, &RANDOM).select_into(&mut session_key);
                    assert_eq!(*session_key.expose_secret(), [thread ^ message; 32]);
                }
            });
        }
    });
}

#[test]
fn every_failure_to_unwrap_leaves_the_substitute() {
    let key = RsaPrivateKey::from_pkcs1_der(KEY).unwrap();
    let modulus = key.public_key().modulus().to_vec();
    let good = wrap(key.public_key(), [7; 32]);
    let mut flipped = good.clone();
    flipped[255] ^= 1;
    let mut above_the_modulus = modulus.clone();
    above_the_modulus[255] |= 2;
    let mut one = vec![0; 256];
    one[255] = 1;
    let longer = [&[0], &*good].concat();
    for wrapped in [&flipped, &modulus, &above_the_modulus, &one, &vec![0; 256], &longer, &good[1..].to_vec(), &vec![]]
    {
        assert_eq!(unwrap(&key, wrapped), None);
    }
}

#[test]
fn a_plaintext_of_another_length_is_no_session_key() {
    use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
    let key = RsaPrivateKey::from_pkcs1_der(KEY).unwrap();
    let spki = studioml_envelope_core::PublicKey::Rsa(key.public_key().clone()).to_spki_der();
    let recipient = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&spki).unwrap()).unwrap();
    for (length, label, found) in
        [(0, None, false), (31, None, false), (32, None, true), (33, None, false), (32, Some(&b"label"[..]), false)]
    {
        let mut wrapped = [0; 256];
        recipient.encrypt(&OAEP_SHA256_MGF1SHA256, &vec![9; length], &mut wrapped, label).unwrap();
        assert_eq!(unwrap(&key, &wrapped).is_some(), found, "{length} bytes, label {label:?}");
    }
}

#[test]
fn a_buffer_of_another_length_is_not_written() {
    let key = RsaPrivateKey::from_pkcs1_der(KEY).unwrap();
    let recipient = KEY_WRAP.load(key.public_key()).unwrap();
    for length in [0, 255, 257] {
        let mut out = vec![0; length];
        assert_eq!(recipient.wrap(&SessionKey::from_bytes([7; 32]), &RANDOM, &mut out), Err(WrapError));
        assert_eq!(out, vec![0; length]);
    }
}

#[test]
fn one_number_of_the_private_key_changed_makes_it_inconsistent() {
    let key = RsaPrivateKey::from_pkcs1_der(KEY).unwrap();
    type Change = fn(&[u8]) -> Vec<u8>;
    let changes: [Change; 6] = [
        |number| changed_last_byte(number, 2),
        |number| changed_last_byte(number, 1),
        |number| changed_first_byte(number),
        |_| vec![1],
        |_| vec![2],
        |number| [number, &[1; 8]].concat(),
    ];
    for change in changes {
        for position in 0..6 {
            let altered = key
                .with_numbers(|numbers| {
                    let mut all = [
                        numbers.private_exponent,
                        numbers.prime_p,
                        numbers.prime_q,
                        numbers.exponent_p,
                        numbers.exponent_q,
                        numbers.coefficient,
                    ];
                    let replacement = change(all[position]);
                    all[position] = &replacement;
                    let [private_exponent, prime_p, prime_q, exponent_p, exponent_q, coefficient] = all;
                    RsaPrivateKey::new(
                        key.public_key().clone(),
                        &RsaPrivateNumbers { private_exponent, prime_p, prime_q, exponent_p, exponent_q, coefficient },
                    )
                })
                .unwrap();
            assert_eq!(refusal(&altered), Some(KeyError::Inconsistent), "number {position}");
        }
    }
}

#[test]
fn a_private_key_under_another_public_key_is_inconsistent() {
    let key = RsaPrivateKey::from_pkcs1_der(KEY).unwrap();
    let exponent = key.public_key().exponent_bytes();
    let other_modulus = changed_last_byte(key.public_key().modulus(), 2);
    for (modulus, exponent) in
        [(&*other_modulus, &*exponent), (key.public_key().modulus(), &[3]), (key.public_key().modulus(), &[1, 0, 3])]
    {
        let public = RsaPublicKey::new(modulus, exponent).unwrap();
        let altered = key.with_numbers(|numbers| RsaPrivateKey::new(public.clone(), numbers)).unwrap();
        assert_eq!(refusal(&altered), Some(KeyError::Inconsistent));
    }
}

#[test]
fn what_only_aws_lc_would_load_is_inconsistent() {
    for der in [LONG_EXPONENT, UNEQUAL_PRIMES] {
        let key = RsaPrivateKey::from_pkcs1_der(der).unwrap();
        assert_eq!(refusal(&key), Some(KeyError::Inconsistent));
    }
}

#[test]
fn primes_swapped_without_their_coefficient_are_inconsistent() {
    let key = RsaPrivateKey::from_pkcs1_der(KEY).unwrap();
    let swapped = key
        .with_numbers(|numbers| {
            let swapped = RsaPrivateNumbers {
                prime_p: numbers.prime_q,
                prime_q: numbers.prime_p,
                exponent_p: numbers.exponent_q,
                exponent_q: numbers.exponent_p,
                ..*numbers
            };
            RsaPrivateKey::new(key.public_key().clone(), &swapped)
        })
        .unwrap();
    assert_eq!(refusal(&swapped), Some(KeyError::Inconsistent));
}

#[test]
fn a_key_that_was_made_here_works() {
    let key = KEY_UNWRAP.generate(2048, &RANDOM).unwrap();
    assert_eq!((key.public_key().bits(), key.public_key().exponent()), (2048, 65537));
    assert_eq!(unwrap(&key, &wrap(key.public_key(), [7; 32])), Some([7; 32]));
}

#[test]
fn other_sizes_are_not_made() {
    for bits in [0, 1024, 2047, 2056, 7680, 16384] {
        assert_eq!(KEY_UNWRAP.generate(bits, &RANDOM).err(), Some(KeyError::GenerationSize { bits }));
    }
}

#[test]
fn public_keys_at_the_limits_load() {
    for (bytes, exponent) in [(256, &[3][..]), (512, &[1, 0, 1]), (1024, &[1, 0xff, 0xff, 0xff, 0xff])] {
        let key = RsaPublicKey::new(&vec![0xff; bytes], exponent).unwrap();
        assert_eq!(wrap(&key, [7; 32]).len(), bytes);
    }
}

fn changed_last_byte(number: &[u8], change: u8) -> Vec<u8> {
    let mut number = number.to_vec();
    *number.last_mut().unwrap() ^= change;
    number
}

fn changed_first_byte(number: &[u8]) -> Vec<u8> {
    let mut number = number.to_vec();
    number[0] ^= 1;
    number
}
