//! The one PEM that each end sends (RFC 7468 §13), taken from a stream: it may arrive in any number of reads and records may
//! follow at once (FORMAT §8).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use studioml_envelope_core::{KeyError, P256PublicKey, PublicKey};

use crate::HandshakeError;

/// The most bytes that a peer's PEM may take: what the seed's own `recv` takes. A P-256 key needs 178.
pub const MAX_PEM: usize = 1024;

const LABEL: &str = "PUBLIC KEY";
const BEGIN: &[u8] = b"-----BEGIN PUBLIC KEY-----";
const END: &[u8] = b"\n-----END PUBLIC KEY-----";

/// The SubjectPublicKeyInfo of a P-256 key up to its point (RFC 5480 §2): `id-ecPublicKey`, `secp256r1`, 66 bytes of BIT STRING.
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// In base64: a line of 64 characters, and one of 60.
const LINE: usize = 64;
const LAST_LINE: usize = 60;

/// Takes a public key off the front of `input`; `None` as long as its END line is not there.
///
/// The optional line feed after the END line is left: whether it comes is known only when the next byte is there, and the
/// key must not wait for that.
pub(super) fn take_public_key(input: &[u8]) -> Result<Option<(P256PublicKey, usize)>, HandshakeError> {
    if let Some(key) = take_usual(input) {
        return Ok(Some(key));
    }
    if !input.iter().zip(BEGIN).all(|(found, expected)| found == expected) {
        return Err(HandshakeError::Pem);
    }
    let within_limit = input.get(..MAX_PEM).unwrap_or(input);
    let Some(end_line) = within_limit.windows(END.len()).position(|window| window == END) else {
        let too_long = input.len() >= MAX_PEM;
        return if too_long { Err(HandshakeError::PemTooLong { maximum: MAX_PEM }) } else { Ok(None) };
    };
    let consumed = end_line.saturating_add(END.len());
    let pem = input.get(..consumed).unwrap_or_default();
    let (label, der) = pem_rfc7468::decode_vec(pem).map_err(|_| HandshakeError::Pem)?;
    if label != LABEL {
        return Err(HandshakeError::Pem);
    }
    match PublicKey::from_spki_der(&der)? {
        PublicKey::P256(key) => Ok(Some((key, consumed))),
        other => Err(KeyError::Kind { expected: "P-256", found: other.kind() }.into()),
    }
}

/// [`take_public_key`] for the one form that OpenSSL, Python and this crate write; `None` for all else. The decoders of any PEM
/// and any key took 2 % of a handshake.
fn take_usual(input: &[u8]) -> Option<(P256PublicKey, usize)> {
    let (first, rest) = input.strip_prefix(BEGIN)?.strip_prefix(b"\n")?.split_first_chunk::<LINE>()?;
    let (last, rest) = rest.strip_prefix(b"\n")?.split_first_chunk::<LAST_LINE>()?;
    let rest = rest.strip_prefix(END)?;
    let mut text = [0; LINE + LAST_LINE];
    let (first_of_text, last_of_text) = text.split_at_mut(LINE);
    first_of_text.copy_from_slice(first);
    last_of_text.copy_from_slice(last);
    let mut der = [0; (LINE + LAST_LINE) / 4 * 3];
    let length = STANDARD.decode_slice(text, &mut der).ok()?;
    let point = der.get(..length)?.strip_prefix(&SPKI_HEAD)?;
    let key = P256PublicKey::from_uncompressed(point).ok()?;
    Some((key, input.len().saturating_sub(rest.len())))
}

/// Appends a public key as PEM SubjectPublicKeyInfo, line feeds, as OpenSSL and Python write it.
pub(super) fn put_public_key(key: &P256PublicKey, output: &mut Vec<u8>) {
    let text = STANDARD.encode([SPKI_HEAD.as_slice(), key.as_bytes()].concat());
    let (first, last) = text.as_bytes().split_at_checked(LINE).unwrap_or_default();
    output.reserve(MAX_PEM / 4);
    for part in [BEGIN, b"\n", first, b"\n", last, END, b"\n"] {
        output.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop};

    use super::*;

    fn key(point: &[u8]) -> P256PublicKey {
        P256PublicKey::from_uncompressed(&[&[4], point].concat()).unwrap()
    }

    /// What the general encoders make of a key.
    fn pem_of(key: P256PublicKey) -> String {
        let der = PublicKey::P256(key).to_spki_der();
        pem_rfc7468::encode_string(LABEL, pem_rfc7468::LineEnding::LF, &der).unwrap()
    }

    /// What the general decoders make of it.
    fn taken_by_any(pem: &[u8]) -> Option<P256PublicKey> {
        let (label, der) = pem_rfc7468::decode_vec(pem).ok()?;
        let PublicKey::P256(key) = PublicKey::from_spki_der(&der).ok()? else { return None };
        (label == LABEL).then_some(key)
    }

    #[test]
    fn what_is_not_the_usual_form_is_read_all_the_same() {
        let (key, pem) = (key(&[7; 64]), pem_of(key(&[7; 64])));
        let der = PublicKey::P256(key).to_spki_der();
        let crlf = pem_rfc7468::encode_string(LABEL, pem_rfc7468::LineEnding::CRLF, &der).unwrap();
        assert!(take_usual(crlf.as_bytes()).is_none());
        assert_eq!(take_public_key(crlf.replace("\r\n-----END", "\n-----END").as_bytes()), Ok(Some((key, 179))));
        assert_eq!(take_public_key(pem.as_bytes()), Ok(Some((key, 177))));
    }

    proptest::proptest! {
        #[test]
        fn a_key_is_written_as_the_general_encoders_write_it(point in prop::collection::vec(any::<u8>(), 64)) {
            let (key, mut written) = (key(&point), b"before".to_vec());
            put_public_key(&key, &mut written);
            let expected = format!("before{}", pem_of(key)).into_bytes();
            proptest::prop_assert_eq!(written, expected);
        }

        /// One byte is another one, or none.
        #[test]
        fn what_the_short_way_takes_the_general_decoders_take_for_the_same(
            point in prop::collection::vec(any::<u8>(), 64),
            (at, byte) in (0_usize..178, prop::option::of(prop_byte())),
        ) {
            let mut pem = pem_of(key(&point)).into_bytes();
            proptest::prop_assert_eq!(take_usual(&pem), Some((key(&point), 177)));
            match byte {
                Some(byte) => pem[at] = byte,
                None => drop(pem.remove(at)),
            }
            if let Some((key, consumed)) = take_usual(&pem) {
                proptest::prop_assert_eq!(taken_by_any(&pem[..consumed]), Some(key));
            }
        }
    }

    /// Any byte, those of base64 more often.
    fn prop_byte() -> impl Strategy<Value = u8> {
        proptest::prop_oneof![any::<u8>(), prop::sample::select(b"ABCxyz0189+/=\n\r -".to_vec()), Just(b'A')]
    }
}
