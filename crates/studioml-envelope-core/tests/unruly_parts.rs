//! Parts that break their contract, and parts that count: what core makes sure of itself, whoever made the part.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

mod parties;

use std::sync::atomic::{AtomicUsize, Ordering};

use parties::{PROVIDER, identities, private_key, recipient, sealed, signer};
use studioml_envelope_core::{
    BadSignature, CHUNK, DEFAULT_MAX_PLAINTEXT, Implementation, KeyError, Nonce, Part, Payload, Provider, Random,
    RandomError, SealError, SecretBox, SessionKey, Signature, SigningPublicKey, Tag, TrustedSigner, Unauthentic,
    Verify, VerifyError, VerifyingKey, seal,
};

const UNRULY: Implementation = Implementation { library: "unruly", version: "0", path: "" };

/// Hands out other pieces than it was given: of the ciphertext only the front, or bytes that were never asked for.
struct Pieces {
    keeps_back: usize,
    adds: usize,
    /// The length of each piece.
    length: usize,
}

impl Part for Pieces {
    fn implementation(&self) -> Implementation {
        UNRULY
    }
}

impl SecretBox for Pieces {
    fn seal_in_place(&self, key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag {
        PROVIDER.secret_box.seal_in_place(key, nonce, text)
    }

    fn seal_chunks(&self, key: &SessionKey, nonce: &Nonce, plaintext: &[u8], sink: &mut dyn FnMut(&[u8])) -> Tag {
        let mut text = plaintext.to_vec();
        let tag = self.seal_in_place(key, nonce, &mut text);
        text.truncate(text.len() - self.keeps_back);
        text.extend(vec![0; self.adds]);
        text.chunks(self.length).for_each(sink);
        tag
    }

    fn open_in_place(&self, key: &SessionKey, nonce: &Nonce, tag: &Tag, text: &mut [u8]) -> Result<(), Unauthentic> {
        PROVIDER.secret_box.open_in_place(key, nonce, tag, text)
    }
}

/// What comes of sealing `plaintext` with such a part.
fn sealed_in(keeps_back: usize, adds: usize, length: usize, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
    // a provider's slots are static, and this test ends soon
    let secret_box: &'static Pieces = Box::leak(Box::new(Pieces { keeps_back, adds, length }));
    let provider = Provider { secret_box, ..PROVIDER };
    seal(&provider, &*recipient(), plaintext, DEFAULT_MAX_PLAINTEXT)
}

/// A short payload would have lost data, a long one would have been cut: neither passes in silence.
#[test]
fn a_part_that_hands_out_less_or_more_than_it_was_given_seals_nothing() {
    let plaintext = [0x5a; 100];
    for (keeps_back, adds) in [(1, 0), (2, 0), (3, 0), (98, 0), (99, 0), (100, 0), (0, 1), (0, 2), (0, 3), (0, 1000)] {
        for length in [1, 2, 3, 7, 64, 2000] {
            let outcome = sealed_in(keeps_back, adds, length, &plaintext).map(|_| ());
            assert_eq!(outcome, Err(SealError::OutputLength), "{keeps_back} kept, {adds} added, pieces of {length}");
        }
    }
    for adds in [1, 2, 3] {
        assert_eq!(sealed_in(0, adds, 7, b"").map(|_| ()), Err(SealError::OutputLength), "{adds} to nothing");
    }
}

#[test]
fn pieces_of_any_length_make_the_same_payload() {
    let plaintext: Vec<u8> = (0..=255).cycle().take(300).collect();
    for size in [0, 1, 2, 3, 4, 5, 6, 100, 101, 102, 300] {
        let plaintext = plaintext.get(..size).unwrap();
        for length in [1, 2, 3, 4, 5, 64, 1000] {
            let mut text = sealed_in(0, 0, length, plaintext).unwrap();
            let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).unwrap();
            let opened = payload.open_unauthenticated(&PROVIDER, &identities()).unwrap();
            assert_eq!(opened.unauthenticated_plaintext(), plaintext, "{size} bytes in pieces of {length}");
        }
    }
}

/// A piece that does not fit the first-level cache is encoded at the speed of the second: the number is part of the contract.
#[test]
fn a_piece_is_at_most_16_kib() {
    assert_eq!(CHUNK, 16_384);
    let key = SessionKey::from_bytes([1; 32]);
    let (mut longest, mut all) = (0, 0);
    PROVIDER.secret_box.seal_chunks(&key, &[2; 24], &[0; 100_000], &mut |piece| {
        longest = longest.max(piece.len());
        all += piece.len();
    });
    assert!(longest <= CHUNK, "{longest}");
    assert_eq!(all, 100_000);
}

/// Counts verifications.
struct Counting(&'static AtomicUsize);

impl Part for Counting {
    fn implementation(&self) -> Implementation {
        UNRULY
    }
}

struct CountingKey(Box<dyn VerifyingKey>, &'static AtomicUsize);

impl VerifyingKey for CountingKey {
    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.verify(message, signature)
    }
}

impl Verify for Counting {
    fn load(&self, key: &SigningPublicKey) -> Result<Box<dyn VerifyingKey>, KeyError> {
        Ok(Box::new(CountingKey(PROVIDER.verify.load(key)?, self.0)))
    }
}

/// A forged message costs one verification: the second look is for a file that ends with a line end.
#[test]
fn only_a_line_end_is_worth_a_second_look() {
    let text = sealed(b"plaintext");
    let forged = signer().sign(b"something else", PROVIDER.random).unwrap().to_base64();
    for (end, looks) in [("", 1), ("\n", 2), ("\r\n", 2)] {
        let count: &'static AtomicUsize = Box::leak(Box::default());
        let verify: &'static Counting = Box::leak(Box::new(Counting(count)));
        let provider = Provider { verify, ..PROVIDER };
        let trusted = [TrustedSigner::load(&provider, signer().public_key()).unwrap()];
        let mut contents = [&text[..], end.as_bytes()].concat();
        let payload = Payload::parse_file(&mut contents, DEFAULT_MAX_PLAINTEXT).unwrap();
        assert_eq!(payload.verify(&forged, &trusted).unwrap_err(), VerifyError::BadSignature);
        assert_eq!(count.load(Ordering::Relaxed), looks, "{end:?}");
    }
}

#[test]
fn a_payload_tells_its_lengths_before_anybody_has_a_key() {
    let wrapped_len = private_key().public_key().bits() / 8;
    for length in [0, 1, 2, 3, 1000] {
        let mut text = sealed(&vec![0; length]);
        let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).unwrap();
        assert_eq!((payload.wrapped_key_len(), payload.plaintext_len()), (wrapped_len, length));
    }
}

/// Gives the numbers from 0 on, so that what was drawn is known.
struct Numbers(AtomicUsize);

impl Part for Numbers {
    fn implementation(&self) -> Implementation {
        UNRULY
    }
}

impl Random for Numbers {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        out.fill_with(|| u8::try_from(self.0.fetch_add(1, Ordering::Relaxed) % 256).unwrap());
        Ok(())
    }
}

/// The key is drawn first and the nonce after it: a key that was not drawn is one that everybody knows.
#[test]
fn a_payload_is_sealed_under_the_key_and_the_nonce_that_were_drawn() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let provider = Provider { random: Box::leak(Box::new(Numbers(AtomicUsize::new(0)))), ..PROVIDER };
    let text = seal(&provider, &*recipient(), b"plaintext", DEFAULT_MAX_PLAINTEXT).unwrap();
    let text = String::from_utf8(text).unwrap();
    let boxed = STANDARD.decode(text.split_once(',').unwrap().1).unwrap();
    let (nonce, rest) = boxed.split_first_chunk::<24>().unwrap();
    let (tag, ciphertext) = rest.split_first_chunk::<16>().unwrap();
    assert_eq!(nonce, &core::array::from_fn(|at| 32 + u8::try_from(at).unwrap()));
    let key = SessionKey::from_bytes(core::array::from_fn(|at| u8::try_from(at).unwrap()));
    let mut plaintext = ciphertext.to_vec();
    assert_eq!(PROVIDER.secret_box.open_in_place(&key, nonce, tag, &mut plaintext), Ok(()));
    assert_eq!(plaintext, b"plaintext");
}
