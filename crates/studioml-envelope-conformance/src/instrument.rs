//! Parts that write down what is asked of them, around the parts of any provider.
//!
//! Slots are `&'static`, so an instrumented provider is leaked: a few hundred bytes each, in a program that tests.

use std::sync::{Mutex, PoisonError};

use studioml_envelope_core::{
    BadSignature, Identity, Implementation, KeyError, KeyUnwrap, KeyWrap, Nonce, Part, Provider, Random, RandomError,
    Recipient, RsaPrivateKey, RsaPublicKey, SecretBox, SessionKey, Sign, Signature, SigningKey, SigningPrivateKey,
    SigningPublicKey, Tag, Unauthentic, Unwrapped, Verify, VerifyingKey, WrapError,
};

/// Something that a part was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Random bytes were drawn: these. What a library draws for its own blinding and padding is not written down.
    Random(Vec<u8>),
    Wrap {
        session_key: [u8; 32],
    },
    Unwrap {
        found: bool,
    },
    SealBox {
        session_key: [u8; 32],
    },
    /// One MAC pass, under this key.
    OpenBox {
        session_key: [u8; 32],
        authentic: bool,
    },
    Sign,
    Verify {
        good: bool,
    },
}

/// What happened, in order.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Vec<Event>>);

impl Log {
    fn add(&self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// Everything since the last call.
    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The parts of `inner`, which write into one log.
#[derive(Clone, Copy)]
struct Logged {
    inner: Provider,
    log: &'static Log,
}

/// A provider that works like `provider` and writes down what is asked of it.
pub(crate) fn instrument(provider: &Provider) -> (Provider, &'static Log) {
    let log: &'static Log = Box::leak(Box::default());
    let parts: &'static Logged = Box::leak(Box::new(Logged { inner: *provider, log }));
    let instrumented = Provider {
        random: parts,
        key_wrap: parts,
        key_unwrap: parts,
        secret_box: parts,
        sign: parts,
        verify: parts,
        ..*provider
    };
    (instrumented, log)
}

impl Part for Logged {
    fn implementation(&self) -> Implementation {
        Implementation { library: "instrumented", version: "", path: "" }
    }
}

impl Random for Logged {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        self.inner.random.fill(out)?;
        self.log.add(Event::Random(out.to_vec()));
        Ok(())
    }
}

/// A loaded key of one of the inner parts.
struct LoggedKey<K: ?Sized> {
    key: Box<K>,
    parts: Logged,
}

impl KeyWrap for Logged {
    fn load(&self, key: &RsaPublicKey) -> Result<Box<dyn Recipient>, KeyError> {
        Ok(Box::new(LoggedKey { key: self.inner.key_wrap.load(key)?, parts: *self }))
    }
}

impl Recipient for LoggedKey<dyn Recipient> {
    fn wrapped_len(&self) -> usize {
        self.key.wrapped_len()
    }

    fn wrap(&self, session_key: &SessionKey, _: &dyn Random, out: &mut [u8]) -> Result<(), WrapError> {
        self.parts.log.add(Event::Wrap { session_key: *session_key.expose_secret() });
        self.key.wrap(session_key, self.parts.inner.random, out)
    }
}

impl KeyUnwrap for Logged {
    fn load(&self, key: &RsaPrivateKey) -> Result<Box<dyn Identity>, KeyError> {
        Ok(Box::new(LoggedKey { key: self.inner.key_unwrap.load(key)?, parts: *self }))
    }

    fn generate(&self, bits: usize, _: &dyn Random) -> Result<RsaPrivateKey, KeyError> {
        self.inner.key_unwrap.generate(bits, self.inner.random)
    }
}

impl Identity for LoggedKey<dyn Identity> {
    fn wrapped_len(&self) -> usize {
        self.key.wrapped_len()
    }

    fn unwrap(&self, wrapped: &[u8], _: &dyn Random) -> Unwrapped {
        let unwrapped = self.key.unwrap(wrapped, self.parts.inner.random);
        self.parts.log.add(Event::Unwrap { found: unwrapped.found() });
        unwrapped
    }
}

impl SecretBox for Logged {
    fn seal_in_place(&self, key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag {
        self.log.add(Event::SealBox { session_key: *key.expose_secret() });
        self.inner.secret_box.seal_in_place(key, nonce, text)
    }

    fn seal_chunks(&self, key: &SessionKey, nonce: &Nonce, plaintext: &[u8], sink: &mut dyn FnMut(&[u8])) -> Tag {
        self.log.add(Event::SealBox { session_key: *key.expose_secret() });
        self.inner.secret_box.seal_chunks(key, nonce, plaintext, sink)
    }

    fn open_in_place(&self, key: &SessionKey, nonce: &Nonce, tag: &Tag, text: &mut [u8]) -> Result<(), Unauthentic> {
        let opened = self.inner.secret_box.open_in_place(key, nonce, tag, text);
        self.log.add(Event::OpenBox { session_key: *key.expose_secret(), authentic: opened.is_ok() });
        opened
    }
}

impl Sign for Logged {
    fn load(&self, key: &SigningPrivateKey) -> Result<Box<dyn SigningKey>, KeyError> {
        Ok(Box::new(LoggedKey { key: self.inner.sign.load(key)?, parts: *self }))
    }
}

impl SigningKey for LoggedKey<dyn SigningKey> {
    fn public_key(&self) -> &SigningPublicKey {
        self.key.public_key()
    }

    fn sign(&self, message: &[u8], _: &dyn Random) -> Result<Signature, RandomError> {
        self.parts.log.add(Event::Sign);
        self.key.sign(message, self.parts.inner.random)
    }
}

impl Verify for Logged {
    fn load(&self, key: &SigningPublicKey) -> Result<Box<dyn VerifyingKey>, KeyError> {
        Ok(Box::new(LoggedKey { key: self.inner.verify.load(key)?, parts: *self }))
    }
}

impl VerifyingKey for LoggedKey<dyn VerifyingKey> {
    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let verdict = self.key.verify(message, signature);
        self.parts.log.add(Event::Verify { good: verdict.is_ok() });
        verdict
    }
}

/// A random source that gives the same bytes in every run: 0, 1, 2 … from where it was started.
#[derive(Debug, Default)]
pub(crate) struct Replayed(Mutex<u8>);

impl Replayed {
    pub(crate) fn leaked() -> &'static Self {
        Box::leak(Box::default())
    }
}

impl Part for Replayed {
    fn implementation(&self) -> Implementation {
        Implementation { library: "replayed", version: "", path: "" }
    }
}

impl Random for Replayed {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in out {
            *byte = *next;
            *next = next.wrapping_add(1);
        }
        Ok(())
    }
}

/// A random source that fails.
#[derive(Debug)]
pub(crate) struct Broken;

impl Part for Broken {
    fn implementation(&self) -> Implementation {
        Implementation { library: "broken", version: "", path: "" }
    }
}

impl Random for Broken {
    fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
        Err(RandomError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use studioml_envelope_rustcrypto::PROVIDER;

    /// No suite seals in place; a provider that is watched must do what the one inside does all the same.
    #[test]
    fn a_box_that_is_watched_seals_as_the_one_inside_it() {
        let (watched, log) = instrument(&PROVIDER);
        let (key, nonce) = (SessionKey::from_bytes([1; 32]), [2; 24]);
        let (mut watched_text, mut text) = (*b"a text", *b"a text");
        let tag = watched.secret_box.seal_in_place(&key, &nonce, &mut watched_text);
        assert_eq!(tag, PROVIDER.secret_box.seal_in_place(&key, &nonce, &mut text));
        assert_eq!(watched_text, text);
        assert_eq!(log.take(), [Event::SealBox { session_key: [1; 32] }]);
        assert_eq!(log.take(), [], "what was taken is not there any more");
    }

    #[test]
    fn a_source_that_is_replayed_goes_on_where_it_was() {
        let source = Replayed::default();
        let (mut one, mut other) = ([0; 200], [0; 100]);
        assert_eq!((source.fill(&mut one), source.fill(&mut other)), (Ok(()), Ok(())));
        assert_eq!(
            (one.first(), one.last(), other.first(), other.last()),
            (Some(&0), Some(&199), Some(&200), Some(&43))
        );
    }
}
