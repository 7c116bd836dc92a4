//! Public keys from their two encodings (SSH blob and SubjectPublicKeyInfo), loaded by every provider.

use studioml_envelope_core::{
    Fingerprint, KeyError, PublicKey, Random as _, SecretBytes, SessionKey, SigningPublicKey,
};

use crate::keys::p256;
use crate::memory;
use crate::providers::{Counter, agree, first, is_short};

/// The first byte says which encoding, the rest is it.
pub fn public_key(data: &[u8]) {
    let Some((encoding, bytes)) = data.split_first() else { return };
    let ssh = encoding & 1 == 0;
    let read = memory::at_most(8 * bytes.len() + 16 * 1024, || {
        if ssh { PublicKey::from_ssh_blob(bytes) } else { PublicKey::from_spki_der(bytes) }
    });
    match read {
        Ok(key) => {
            let written = if ssh { key.to_ssh_blob() } else { key.to_spki_der() };
            let again = if ssh { PublicKey::from_ssh_blob(&written) } else { PublicKey::from_spki_der(&written) };
            assert_eq!(again.as_ref(), Ok(&key), "what is written is read");
            assert_eq!(PublicKey::from_spki_der(&key.to_spki_der()).as_ref(), Ok(&key));
            assert_eq!(PublicKey::from_ssh_blob(&key.to_ssh_blob()).as_ref(), Ok(&key));
            agree(|provider| Fingerprint::all_of(&key, provider.digest));
            load(&key);
        }
        Err(error) => is_short(&error),
    }
}

fn load(key: &PublicKey) {
    if let Ok(signer) = SigningPublicKey::try_from(key.clone()) {
        let loaded = agree(|provider| provider.verify.load(&signer).map(drop));
        if let SigningPublicKey::P256(point) = signer {
            // a point that verifies is a point that agrees, and the other way round
            let mine = || p256([9; 32]).expect("a scalar in range");
            let agreed = agree(|provider| {
                let key = provider.agree_static.load(&mine()).expect("a consistent key");
                key.agree(&point).map(|shared| *shared.expose_secret())
            });
            assert_eq!(loaded.is_ok(), agreed.is_ok());
            let ephemeral = agree(|provider| {
                let key = provider.agree.generate(first().random).expect("the counter never fails");
                key.agree(&point).map(drop)
            });
            assert_eq!(loaded.is_ok(), ephemeral.is_ok());
        }
    }
    if let PublicKey::Rsa(key) = key {
        // a modulus of 8192 bits takes a while, and adds nothing to what 4096 show
        if key.bits() > 4096 {
            return;
        }
        let wrapped_len = agree(|provider| -> Result<usize, KeyError> {
            let recipient = provider.key_wrap.load(key)?;
            let mut out = vec![0; recipient.wrapped_len()];
            let mut session_key = SessionKey::from_bytes([0; 32]);
            Counter::new().fill(session_key.expose_secret_mut()).expect("the counter never fails");
            recipient.wrap(&session_key, first().random, &mut out).expect("any odd modulus wraps");
            Ok(out.len())
        });
        assert_eq!(wrapped_len, Ok(key.modulus().len()));
    }
}

/// A scalar's public key, or why there is none, from every provider.
pub(crate) fn of_scalar(scalar: &[u8]) -> Result<[u8; 65], KeyError> {
    agree(|provider| {
        provider.agree_static.public_key_of(&SecretBytes::copy_from(scalar)).map(|point| *point.as_bytes())
    })
}
