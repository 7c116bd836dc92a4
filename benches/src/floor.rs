//! A whole message by bare library calls: what sealing and opening would cost if there were nothing to do but to call the
//! primitives one after another, into one new buffer to seal and in buffers that are there already to open.
//!
//! No structure is checked, no limit is enforced, nothing is wiped, and decoding goes into a second buffer: a program could
//! not be written this way. It is what the project's own overhead is measured against.

use base64::Engine as _;
use studioml_envelope::{Nonce, Provider, Tag};

use crate::bare::{self, BASE64};

const HEADER: usize = 24 + 16;

/// The bare calls of the libraries that serve a provider's slots, with keys loaded and buffers allocated.
pub struct Floor {
    secret_box: &'static str,
    random: bare::Random,
    wrap: bare::Wrap,
    unwrap: bare::Unwrap,
    sign: bare::Sign,
    verify: bare::Verify,
    wrapped: [u8; 512],
    scratch: [u8; 512],
    /// `nonce || tag || text`.
    boxed: Vec<u8>,
    payload_len: usize,
}

impl Floor {
    /// For messages of `size` bytes under the keys of this crate.
    #[must_use]
    pub fn of(provider: &Provider, size: usize) -> Self {
        let key = crate::rsa_4096();
        let payload_len = studioml_envelope::sealed_len(512, size).expect("sizes of benches are small");
        Self {
            secret_box: provider.secret_box.implementation().library,
            random: bare::random(provider.random.implementation().library),
            wrap: bare::wrap(provider.key_wrap.implementation().library, &key),
            unwrap: bare::unwrap(provider.key_unwrap.implementation().library, &key),
            sign: bare::sign(provider.sign.implementation().library),
            verify: bare::verify(provider.verify.implementation().library),
            wrapped: [0; 512],
            scratch: [0; 512],
            boxed: vec![7; HEADER + size],
            payload_len,
        }
    }

    /// Draws, encrypts the text that stands in the box's buffer, wraps, encodes. Gives the payload string, which is the one
    /// allocation that sealing cannot do without: from some size on the system's new pages cost as much as encoding into them.
    pub fn seal(&mut self) -> Vec<u8> {
        let (mut session_key, mut nonce): ([u8; 32], Nonce) = ([0; 32], [0; 24]);
        (self.random)(&mut session_key);
        (self.random)(&mut nonce);
        let (header, text) = self.boxed.split_at_mut(HEADER);
        let tag = bare::seal_box(self.secret_box, &session_key, &nonce, text);
        let (nonce_out, tag_out) = header.split_at_mut(nonce.len());
        nonce_out.copy_from_slice(&nonce);
        tag_out.copy_from_slice(&tag);
        (self.wrap)(&session_key, &mut self.wrapped);
        // `encode_slice` would want the new memory zeroed first
        let mut payload = Vec::with_capacity(self.payload_len);
        base64_simd::STANDARD.encode_append(self.wrapped, &mut payload);
        payload.push(b',');
        base64_simd::STANDARD.encode_append(&self.boxed, &mut payload);
        payload
    }

    /// Decodes, unwraps, checks and decrypts. Gives the plaintext.
    pub fn open(&mut self, payload: &[u8]) -> &[u8] {
        let (key_field, box_field) = payload.split_at(BASE64_OF_512);
        BASE64.decode_slice(key_field, &mut self.wrapped).unwrap();
        BASE64.decode_slice(box_field.get(1..).unwrap(), &mut self.boxed).unwrap();
        let session_key = (self.unwrap)(&self.wrapped, &mut self.scratch);
        let (header, text) = self.boxed.split_at_mut(HEADER);
        let (nonce, tag) = header.split_at(24);
        let (nonce, tag): (&Nonce, &Tag) = (nonce.try_into().unwrap(), tag.try_into().unwrap());
        bare::open_box(self.secret_box, &session_key, nonce, tag, text);
        text
    }

    /// Signs with Ed25519 and encodes.
    #[must_use]
    pub fn sign(&self, payload: &[u8]) -> String {
        BASE64.encode((self.sign)(payload))
    }

    /// Decodes and verifies an Ed25519 signature.
    #[must_use]
    pub fn verify(&self, payload: &[u8], signature: &str) -> bool {
        let mut decoded = [0; 66]; // the decoder wants room for whole groups
        BASE64.decode_slice(signature, &mut decoded).unwrap();
        (self.verify)(payload, decoded.first_chunk().unwrap())
    }

    /// [`seal`](Self::seal), then [`sign`](Self::sign).
    pub fn seal_and_sign(&mut self) -> (Vec<u8>, String) {
        let payload = self.seal();
        let signature = self.sign(&payload);
        (payload, signature)
    }
}

const BASE64_OF_512: usize = 684;

#[cfg(test)]
mod tests {
    use super::Floor;
    use crate::{MAX_PLAINTEXT, ed25519, request, rsa_4096};
    use studioml_envelope::{Opener, Payload, Sealer, Signer, Verifier, provider};

    /// The floor does the whole work: what it seals and signs opens, and it opens what was sealed.
    #[test]
    fn floor_and_provider_read_each_other() {
        let plaintext = request(4096);
        for provider in provider::ALL {
            let key = rsa_4096();
            let opener = Opener::new(provider, [&key]).unwrap();
            let signer = Signer::new(provider, &ed25519()).unwrap();
            let verifier = Verifier::new(provider, [signer.public_key()]).unwrap();
            let mut floor = Floor::of(provider, plaintext.len());

            floor.boxed[super::HEADER..].copy_from_slice(&plaintext);
            let (mut payload, signature) = floor.seal_and_sign();
            let payload = Payload::parse(&mut payload, MAX_PLAINTEXT).unwrap();
            let opened = opener.open(verifier.verify_payload(payload, &signature).unwrap()).unwrap();
            assert_eq!(opened.plaintext(), plaintext, "{}", provider.name);

            let payload = Sealer::new(provider, key.public_key()).unwrap().seal(&plaintext).unwrap();
            let signature = signer.sign(&payload).unwrap();
            assert!(floor.verify(&payload, &signature), "{}", provider.name);
            assert!(!floor.verify(&payload[1..], &signature), "{}", provider.name);
            assert_eq!(floor.open(&payload), plaintext, "{}", provider.name);
        }
    }
}
