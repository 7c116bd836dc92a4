//! RSA-OAEP with SHA-256, MGF1-SHA-256 and the empty label (docs/spec.md §1; RFC 8017 §7.1). Leans on `rsa` and `sha2`.
//!
//! Two attackers. Manger's sends chosen wrapped keys and watches how they fail: every failure leaves here as the same
//! [`Unwrapped`]. Marvin's times the private-key operation: it is blinded, and the crate's front page says how far that goes.

use rsa::{
    BoxedUint, Oaep,
    errors::Error,
    traits::{PaddingScheme as _, PrivateKeyParts as _, PublicKeyParts as _},
};
use sha2::Sha256;
use studioml_envelope_core::{
    Identity, Implementation, KeyError, KeyUnwrap, KeyWrap, Part, Random, Recipient, RsaPrivateKey, RsaPrivateNumbers,
    RsaPublicKey, SessionKey, Unwrapped, WrapError,
};
use zeroize::Zeroizing;

use crate::random::{Source, seeded};

/// RSA-OAEP, the sender's side.
pub static KEY_WRAP: RsaWrap = RsaWrap;
/// RSA-OAEP, the receiver's side.
pub static KEY_UNWRAP: RsaUnwrap = RsaUnwrap;

/// The type of [`KEY_WRAP`].
#[derive(Clone, Copy, Debug)]
pub struct RsaWrap;

/// The type of [`KEY_UNWRAP`].
#[derive(Clone, Copy, Debug)]
pub struct RsaUnwrap;

const IMPLEMENTATION: Implementation = Implementation { library: "rsa", version: "0.10.0-rc.20", path: "" };

impl Part for RsaWrap {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Part for RsaUnwrap {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl KeyWrap for RsaWrap {
    fn load(&self, key: &RsaPublicKey) -> Result<Box<dyn Recipient>, KeyError> {
        Ok(Box::new(PublicKey(public_key(key)?)))
    }
}

impl KeyUnwrap for RsaUnwrap {
    fn load(&self, key: &RsaPrivateKey) -> Result<Box<dyn Identity>, KeyError> {
        Ok(Box::new(PrivateKey(private_key(key)?)))
    }

    fn generate(&self, bits: usize, random: &dyn Random) -> Result<RsaPrivateKey, KeyError> {
        if ![2048, 3072, 4096, 8192].contains(&bits) {
            return Err(KeyError::GenerationSize { bits });
        }
        let mut generator = seeded(random).map_err(|_| KeyError::Generation)?;
        let key = rsa::RsaPrivateKey::new(&mut generator, bits).map_err(|_| KeyError::Generation)?;
        export(&key)
    }
}

/// Modulus, exponent and the Montgomery parameters of the modulus.
struct PublicKey(rsa::RsaPublicKey);

impl Recipient for PublicKey {
    fn wrapped_len(&self) -> usize {
        self.0.size()
    }

    fn wrap(&self, session_key: &SessionKey, random: &dyn Random, out: &mut [u8]) -> Result<(), WrapError> {
        if out.len() != self.wrapped_len() {
            return Err(WrapError);
        }
        let wrapped = Oaep::<Sha256>::new()
            .encrypt(&mut Source(random), &self.0, session_key.expose_secret())
            .map_err(|_| WrapError)?;
        if out.len() != wrapped.len() {
            return Err(WrapError);
        }
        out.copy_from_slice(&wrapped);
        Ok(())
    }
}

/// The key with its CRT values, which the library wipes on drop (the front page says which it does not).
struct PrivateKey(rsa::RsaPrivateKey);

impl Identity for PrivateKey {
    fn wrapped_len(&self) -> usize {
        self.0.size()
    }

    /// Decrypts blinded: without random bytes for that nothing is decrypted at all.
    fn unwrap(&self, wrapped: &[u8], random: &dyn Random) -> Unwrapped {
        let Ok(mut generator) = seeded(random) else {
            return Unwrapped::from_library(None);
        };
        let decrypted = Oaep::<Sha256>::new().decrypt(Some(&mut generator), &self.0, wrapped).map(Zeroizing::new);
        Unwrapped::from_library(decrypted.as_ref().ok().map(|bytes| bytes.as_slice()))
    }
}

fn public_key(key: &RsaPublicKey) -> Result<rsa::RsaPublicKey, KeyError> {
    let modulus = number(key.modulus(), precision(key)?).ok_or(KeyError::ModulusSize { bits: key.bits() })?;
    let exponent = BoxedUint::from(key.exponent());
    rsa::RsaPublicKey::new_with_size_limits(modulus, exponent, RsaPublicKey::MIN_BITS..=RsaPublicKey::MAX_BITS).map_err(
        |error| match error {
            Error::InvalidModulus => KeyError::ModulusEven,
            Error::InvalidExponent | Error::PublicExponentTooSmall | Error::PublicExponentTooLarge => {
                KeyError::PublicExponent
            }
            _ => KeyError::ModulusSize { bits: key.bits() },
        },
    )
}

/// Checks all that RFC 8017 §3.2 says of the numbers but that `p` and `q` are prime.
///
/// `rsa` checks `n = p·q`, `d < n` and `e·d ≡ 1` modulo `p − 1` and `q − 1`, then makes its own CRT values from `p`, `q` and
/// `d`. The key's own are compared with these: another library computes with them, so a key in which they are wrong would
/// open here and fail there, and one wrong CRT value gives the modulus away to who sees the result (D. Boneh, R. DeMillo,
/// R. Lipton, EUROCRYPT 1997).
fn private_key(key: &RsaPrivateKey) -> Result<rsa::RsaPrivateKey, KeyError> {
    key.check_ranges()?;
    let bits = precision(key.public_key())?;
    let prime_bits = bits.div_ceil(2);
    let modulus = number(key.public_key().modulus(), bits).ok_or(KeyError::Inconsistent)?;
    let exponent = BoxedUint::from(key.public_key().exponent());
    key.with_numbers(|numbers| {
        let number = |digits, bits| number(digits, bits).ok_or(KeyError::Inconsistent);
        let private_exponent = number(numbers.private_exponent, bits)?;
        let primes = vec![number(numbers.prime_p, prime_bits)?, number(numbers.prime_q, prime_bits)?];
        let loaded = rsa::RsaPrivateKey::from_components(modulus, exponent, private_exponent, primes)
            .map_err(|_| KeyError::Inconsistent)?;

        let [exponent_p, exponent_q, coefficient] =
            [numbers.exponent_p, numbers.exponent_q, numbers.coefficient].map(|digits| number(digits, prime_bits));
        let (exponent_p, exponent_q) = (Zeroizing::new(exponent_p?), Zeroizing::new(exponent_q?));
        let coefficient = Zeroizing::new(coefficient?);
        let computed = loaded.qinv().map(|form| Zeroizing::new(form.retrieve()));
        let consistent = loaded.dp() == Some(&*exponent_p)
            && loaded.dq() == Some(&*exponent_q)
            && computed.as_deref() == Some(&*coefficient);
        if consistent { Ok(loaded) } else { Err(KeyError::Inconsistent) }
    })
}

/// The numbers of a new key as core holds them.
fn export(key: &rsa::RsaPrivateKey) -> Result<RsaPrivateKey, KeyError> {
    let secret = |number: &BoxedUint| Zeroizing::new(number.to_be_bytes());
    let ([p, q], Some(exponent_p), Some(exponent_q), Some(coefficient)) =
        (key.primes(), key.dp(), key.dq(), key.qinv())
    else {
        return Err(KeyError::Generation);
    };
    let coefficient = Zeroizing::new(coefficient.retrieve());
    let public = RsaPublicKey::new(&key.n().to_be_bytes(), &key.e().to_be_bytes())?;
    RsaPrivateKey::new(
        public,
        &RsaPrivateNumbers {
            private_exponent: &secret(key.d()),
            prime_p: &secret(p),
            prime_q: &secret(q),
            exponent_p: &secret(exponent_p),
            exponent_q: &secret(exponent_q),
            coefficient: &secret(&coefficient),
        },
    )
}

/// The size of the modulus, 2048 to 8192 bits, as the library wants it.
fn precision(key: &RsaPublicKey) -> Result<u32, KeyError> {
    u32::try_from(key.bits()).map_err(|_| KeyError::ModulusSize { bits: key.bits() })
}

/// A big-endian number in a width that does not depend on its value; `None` if it does not fit.
fn number(digits: &[u8], bits: u32) -> Option<BoxedUint> {
    BoxedUint::from_be_slice(digits, bits).ok()
}

#[cfg(test)]
mod tests {
    use super::{KEY_UNWRAP, KEY_WRAP};
    use crate::random::{
        RANDOM,
        sources::{Failing, Stuck},
    };
    use std::sync::LazyLock;
    use studioml_envelope_core::{
        Identity, KeyError, KeyUnwrap as _, KeyWrap as _, Recipient, RsaPrivateKey, RsaPrivateNumbers, RsaPublicKey,
        SessionKey, WrapError,
    };

    /// Made by `openssl genrsa -traditional 2048`.
    const KEY: &[u8] = include_bytes!("../tests/data/rsa-2048.pkcs1.der");
    /// `0123456789abcdef0123456789ABCDEF` by `openssl pkeyutl -encrypt` with OAEP, SHA-256 twice.
    const WRAPPED_BY_OPENSSL: &[u8] = include_bytes!("../tests/data/wrapped-by-openssl.bin");

    static IDENTITY: LazyLock<Box<dyn Identity>> = LazyLock::new(|| KEY_UNWRAP.load(&key()).unwrap());
    static RECIPIENT: LazyLock<Box<dyn Recipient>> = LazyLock::new(|| KEY_WRAP.load(key().public_key()).unwrap());

    fn key() -> RsaPrivateKey {
        RsaPrivateKey::from_pkcs1_der(KEY).unwrap()
    }

    fn unwrap(identity: &dyn Identity, wrapped: &[u8]) -> Option<[u8; 32]> {
        let unwrapped = identity.unwrap(wrapped, &RANDOM);
        let found = unwrapped.found();
        let mut session_key = SessionKey::from_bytes([0xee; 32]);
        unwrapped.select_into(&mut session_key);
        assert_eq!(found, *session_key.expose_secret() != [0xee; 32]);
        found.then_some(*session_key.expose_secret())
    }

    fn wrap(recipient: &dyn Recipient, session_key: [u8; 32]) -> Vec<u8> {
        let mut wrapped = vec![0; recipient.wrapped_len()];
        recipient.wrap(&SessionKey::from_bytes(session_key), &RANDOM, &mut wrapped).unwrap();
        wrapped
    }

    #[test]
    fn unwraps_what_openssl_wrapped() {
        assert_eq!(unwrap(&**IDENTITY, WRAPPED_BY_OPENSSL), Some(*b"0123456789abcdef0123456789ABCDEF"));
    }

    #[test]
    fn wrapped_unwraps_and_is_never_twice_the_same() {
        assert_eq!((RECIPIENT.wrapped_len(), IDENTITY.wrapped_len()), (256, 256));
        let [one, other] = [wrap(&**RECIPIENT, [9; 32]), wrap(&**RECIPIENT, [9; 32])];
        assert_ne!(one, other);
        assert_eq!(unwrap(&**IDENTITY, &one), Some([9; 32]));
        assert_eq!(unwrap(&**IDENTITY, &other), Some([9; 32]));
    }

    #[test]
    fn oaep_seed_is_what_the_source_gave() {
        let wrap = |random| {
            let mut wrapped = vec![0; 256];
            RECIPIENT.wrap(&SessionKey::from_bytes([9; 32]), random, &mut wrapped).map(|()| wrapped)
        };
        assert_eq!(wrap(&Stuck(1)), wrap(&Stuck(1)));
        assert_ne!(wrap(&Stuck(1)), wrap(&Stuck(2)));
        assert_eq!(wrap(&Failing), Err(WrapError));
    }

    #[test]
    fn wrapping_into_another_length_is_refused() {
        for length in [0, 255, 257, 512] {
            let mut out = vec![0; length];
            let wrapped = RECIPIENT.wrap(&SessionKey::from_bytes([9; 32]), &RANDOM, &mut out);
            assert_eq!(wrapped, Err(WrapError), "{length}");
            assert!(out.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn unwrapping_without_random_bytes_for_blinding_finds_nothing() {
        assert!(!IDENTITY.unwrap(WRAPPED_BY_OPENSSL, &Failing).found());
        for byte in [0, 0xff] {
            assert!(IDENTITY.unwrap(WRAPPED_BY_OPENSSL, &Stuck(byte)).found());
        }
    }

    #[test]
    fn damaged_wrapped_keys_find_nothing() {
        let modulus = key().public_key().modulus().to_vec();
        let mut below_modulus = modulus.clone();
        below_modulus[255] -= 1;
        let mut flipped = WRAPPED_BY_OPENSSL.to_vec();
        flipped[100] ^= 4;
        let padded = [&[0], WRAPPED_BY_OPENSSL].concat();
        for wrapped in
            [&[][..], &WRAPPED_BY_OPENSSL[..255], &padded, &flipped, &[0; 256], &[0xff; 256], &modulus, &below_modulus]
        {
            assert_eq!(unwrap(&**IDENTITY, wrapped), None);
        }
    }

    #[test]
    fn every_altered_number_is_inconsistent() {
        fn altered(number: &[u8]) -> Vec<u8> {
            let mut number = number.to_vec();
            let middle = number.len() / 2;
            number[middle] ^= 0x10;
            number
        }
        let key = key();
        let checked = key.with_numbers(|n| {
            let load = |numbers| KEY_UNWRAP.load(&RsaPrivateKey::new(key.public_key().clone(), &numbers)?).map(drop);
            let numbers = [n.private_exponent, n.prime_p, n.prime_q, n.exponent_p, n.exponent_q, n.coefficient];
            let [d, p, q, dp, dq, qinv] = numbers.map(altered);
            let long = [&[1], n.private_exponent].concat();
            let modulus = key.public_key().modulus();
            for (what, numbers) in [
                ("d", RsaPrivateNumbers { private_exponent: &d, ..*n }),
                ("d longer than n", RsaPrivateNumbers { private_exponent: &long, ..*n }),
                ("p", RsaPrivateNumbers { prime_p: &p, ..*n }),
                ("q", RsaPrivateNumbers { prime_q: &q, ..*n }),
                ("p = 1", RsaPrivateNumbers { prime_p: &[1], ..*n }),
                ("p = 1, q = n", RsaPrivateNumbers { prime_p: &[1], prime_q: modulus, ..*n }),
                ("p and q the same", RsaPrivateNumbers { prime_p: n.prime_q, ..*n }),
                ("p and q swapped alone", RsaPrivateNumbers { prime_p: n.prime_q, prime_q: n.prime_p, ..*n }),
                ("dP", RsaPrivateNumbers { exponent_p: &dp, ..*n }),
                ("dP not reduced", RsaPrivateNumbers { exponent_p: n.private_exponent, ..*n }),
                ("dQ", RsaPrivateNumbers { exponent_q: &dq, ..*n }),
                ("dP and dQ swapped", RsaPrivateNumbers { exponent_p: n.exponent_q, exponent_q: n.exponent_p, ..*n }),
                ("qInv", RsaPrivateNumbers { coefficient: &qinv, ..*n }),
                ("qInv longer than p", RsaPrivateNumbers { coefficient: &long, ..*n }),
            ] {
                assert_eq!(load(numbers), Err(KeyError::Inconsistent), "{what}");
            }
            load(*n)
        });
        assert_eq!(checked, Ok(()));
    }

    #[test]
    fn altered_public_part_is_inconsistent() {
        let key = key();
        let mut modulus = key.public_key().modulus().to_vec();
        modulus[128] ^= 1;
        let other_modulus = RsaPublicKey::new(&modulus, &[1, 0, 1]).unwrap();
        let other_exponent = RsaPublicKey::new(key.public_key().modulus(), &[3]).unwrap();
        for public in [other_modulus, other_exponent] {
            let outcome = key.with_numbers(|numbers| KEY_UNWRAP.load(&RsaPrivateKey::new(public, numbers)?).map(drop));
            assert_eq!(outcome, Err(KeyError::Inconsistent));
        }
    }

    #[test]
    fn larger_prime_may_stand_second() {
        let key = key();
        // qInv of the swapped key is p^-1 mod q, which `from_components` computes
        let swapped = key
            .with_numbers(|numbers| {
                let number = |digits: &[u8], bits| super::number(digits, bits).unwrap();
                let loaded = rsa::RsaPrivateKey::from_components(
                    number(key.public_key().modulus(), 2048),
                    rsa::BoxedUint::from(key.public_key().exponent()),
                    number(numbers.private_exponent, 2048),
                    vec![number(numbers.prime_q, 1024), number(numbers.prime_p, 1024)],
                )
                .unwrap();
                super::export(&loaded)
            })
            .unwrap();
        let larger_first = |key: &RsaPrivateKey| key.with_numbers(|n| Ok(n.prime_p > n.prime_q)).unwrap();
        assert_ne!(larger_first(&key), larger_first(&swapped));
        let identity = KEY_UNWRAP.load(&swapped).unwrap();
        assert_eq!(unwrap(&*identity, WRAPPED_BY_OPENSSL), Some(*b"0123456789abcdef0123456789ABCDEF"));
    }

    #[test]
    fn public_keys_load_from_2048_to_8192_bits_with_exponents_to_the_limit() {
        for bits in [2048, 2056, 3072, 4096, 8192] {
            for exponent in [3, 65537, RsaPublicKey::MAX_EXPONENT] {
                let modulus = vec![0xff; bits / 8];
                let key = RsaPublicKey::new(&modulus, &u64::to_be_bytes(exponent)).unwrap();
                let recipient = KEY_WRAP.load(&key).unwrap();
                assert_eq!(wrap(&*recipient, [1; 32]).len(), bits / 8);
            }
        }
    }

    #[test]
    fn generates_keys_that_open() {
        let key = KEY_UNWRAP.generate(2048, &RANDOM).unwrap();
        assert_eq!((key.public_key().bits(), key.public_key().exponent()), (2048, 65537));
        let read_back = RsaPrivateKey::from_pkcs1_der(key.to_pkcs1_der().expose_secret()).unwrap();
        let identity = KEY_UNWRAP.load(&read_back).unwrap();
        let wrapped = wrap(&*KEY_WRAP.load(key.public_key()).unwrap(), [5; 32]);
        assert_eq!(unwrap(&*identity, &wrapped), Some([5; 32]));
        assert_eq!(unwrap(&**IDENTITY, &wrapped), None);
    }

    #[test]
    fn generation_refuses_other_sizes_and_reports_a_failing_source() {
        for bits in [0, 1024, 2047, 2056, 4095, 16384] {
            assert_eq!(KEY_UNWRAP.generate(bits, &RANDOM).map(drop), Err(KeyError::GenerationSize { bits }));
        }
        assert_eq!(KEY_UNWRAP.generate(2048, &Failing).map(drop), Err(KeyError::Generation));
    }
}
