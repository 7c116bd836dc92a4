//! A provider that keeps a record of the work it is asked for: which operations, in which order, on how many bytes. Time is
//! not measured here; what is done is what an observer could time.

use std::sync::Mutex;

use studioml_envelope_core::{
    Identity, Implementation, KeyError, KeyUnwrap, Nonce, Part, Provider, Random, RandomError, RsaPrivateKey,
    SecretBox, SessionKey, Tag, Unauthentic, Unwrapped,
};

/// One thing that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Random(usize),
    Unwrap(usize),
    OpenBox(usize),
}

/// What was asked for, in order.
#[derive(Debug, Default)]
pub struct Record(Mutex<Vec<Work>>);

impl Record {
    fn note(&self, work: Work) {
        self.0.lock().unwrap().push(work);
    }

    /// What was noted since the last time.
    pub fn take(&self) -> Vec<Work> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// `provider`, watched. Leaks a few hundred bytes, as the slots are `'static`.
pub fn watched(provider: &Provider) -> (Provider, &'static Record) {
    let record: &'static Record = Box::leak(Box::default());
    let watched = Provider {
        random: Box::leak(Box::new(WatchedRandom { inner: provider.random, record })),
        secret_box: Box::leak(Box::new(WatchedBox { inner: provider.secret_box, record })),
        key_unwrap: Box::leak(Box::new(WatchedUnwrap { inner: provider.key_unwrap, record })),
        ..*provider
    };
    (watched, record)
}

struct WatchedRandom {
    inner: &'static dyn Random,
    record: &'static Record,
}

struct WatchedBox {
    inner: &'static dyn SecretBox,
    record: &'static Record,
}

struct WatchedUnwrap {
    inner: &'static dyn KeyUnwrap,
    record: &'static Record,
}

struct WatchedIdentity {
    inner: Box<dyn Identity>,
    record: &'static Record,
}

macro_rules! part {
    ($($name:ident),*) => {$(
        impl Part for $name {
            fn implementation(&self) -> Implementation {
                self.inner.implementation()
            }
        }
    )*};
}

part!(WatchedRandom, WatchedBox, WatchedUnwrap);

impl Random for WatchedRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        self.record.note(Work::Random(out.len()));
        self.inner.fill(out)
    }
}

impl SecretBox for WatchedBox {
    fn seal_in_place(&self, key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag {
        self.inner.seal_in_place(key, nonce, text)
    }

    fn seal_chunks(&self, key: &SessionKey, nonce: &Nonce, plaintext: &[u8], sink: &mut dyn FnMut(&[u8])) -> Tag {
        self.inner.seal_chunks(key, nonce, plaintext, sink)
    }

    fn open_in_place(&self, key: &SessionKey, nonce: &Nonce, tag: &Tag, text: &mut [u8]) -> Result<(), Unauthentic> {
        self.record.note(Work::OpenBox(text.len()));
        self.inner.open_in_place(key, nonce, tag, text)
    }
}

impl KeyUnwrap for WatchedUnwrap {
    fn load(&self, key: &RsaPrivateKey) -> Result<Box<dyn Identity>, KeyError> {
        Ok(Box::new(WatchedIdentity { inner: self.inner.load(key)?, record: self.record }))
    }

    fn generate(&self, bits: usize, random: &dyn Random) -> Result<RsaPrivateKey, KeyError> {
        self.inner.generate(bits, random)
    }
}

impl Identity for WatchedIdentity {
    fn wrapped_len(&self) -> usize {
        self.inner.wrapped_len()
    }

    fn unwrap(&self, wrapped: &[u8], random: &dyn Random) -> Unwrapped {
        self.record.note(Work::Unwrap(wrapped.len()));
        self.inner.unwrap(wrapped, random)
    }
}
