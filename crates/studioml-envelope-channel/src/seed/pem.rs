//! The one PEM that each end sends (RFC 7468 §13), taken from a stream: it may arrive in any number of reads and records may
//! follow at once (docs/spec.md §8).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use studioml_envelope_core::{KeyError, P256PublicKey, PublicKey};

use crate::HandshakeError;

/// The most bytes that a peer's PEM may take: what the seed's own `recv` takes. A P-256 key needs 178.
pub const MAX_PEM: usize = 1024;

const LABEL: &str = "PUBLIC KEY";
const BEGIN: &[u8] = b"-----BEGIN PUBLIC KEY-----";
const END: &[u8] = b"\n-----END PUBLIC KEY-----";

/// The DER of a SubjectPublicKeyInfo before its point, which the curve decides: `id-ecPublicKey`, `prime256v1`, and the head of a
/// BIT STRING of 65 bytes (RFC 5480 §2).
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const DER: usize = P256_HEAD.len() + 65;
const BASE64: usize = DER.div_ceil(3) * 4;
/// Characters of a line (RFC 7468 §2). The base64 takes one and the most of another.
const LINE: usize = 64;
/// What OpenSSL and Python write of a key, without the line feed at its end.
const USUAL: usize = BEGIN.len() + 1 + BASE64 + 1 + END.len();

/// Takes a public key off the front of `input`; `None` as long as its END line is not there.
///
/// The optional line feed after the END line is left: whether it comes is known only when the next byte is there, and the
/// key must not wait for that.
pub(super) fn take_public_key(input: &[u8]) -> Result<Option<(P256PublicKey, usize)>, HandshakeError> {
    match input.get(..USUAL).and_then(read_usual) {
        Some(key) => Ok(Some((key, USUAL))),
        None => take_any(input),
    }
}

fn take_any(input: &[u8]) -> Result<Option<(P256PublicKey, usize)>, HandshakeError> {
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

/// Reads a PEM that [`put_public_key`] could have written, for speed alone: whatever else it is gets its verdict from [`take_any`],
/// which would give this one the same. A public key is no secret, so that nothing here has to take the same time for every key.
fn read_usual(pem: &[u8]) -> Option<P256PublicKey> {
    let (first, second) = pem.strip_prefix(BEGIN)?.strip_prefix(b"\n")?.strip_suffix(END)?.split_at_checked(LINE)?;
    let mut base64 = [0; BASE64];
    let (first_out, second_out) = base64.split_at_mut_checked(LINE)?;
    first_out.copy_from_slice(first);
    second_out.copy_from_slice(second.strip_prefix(b"\n")?);
    let mut der = [0; BASE64 / 4 * 3];
    let length = STANDARD.decode_slice(base64, &mut der).ok()?;
    P256PublicKey::from_uncompressed(der.get(..length)?.strip_prefix(&P256_HEAD)?).ok()
}

/// Appends a public key as PEM SubjectPublicKeyInfo, line feeds, as OpenSSL and Python write it.
pub(super) fn put_public_key(key: &P256PublicKey, output: &mut Vec<u8>) {
    let mut der = [0; DER];
    let (head, point) = der.split_at_mut(P256_HEAD.len());
    head.copy_from_slice(&P256_HEAD);
    point.copy_from_slice(key.as_bytes());
    let base64 = STANDARD.encode(der);
    let (first, second) = base64.as_bytes().split_at(LINE);
    for part in [BEGIN, b"\n", first, b"\n", second, END, b"\n"] {
        output.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use studioml_envelope_core::{AgreeStatic as _, PublicKey};
    use studioml_envelope_rustcrypto::{AGREE_STATIC, RANDOM};

    use super::{DER, LABEL, P256_HEAD, P256PublicKey, USUAL, put_public_key, read_usual, take_any};

    fn some_key() -> P256PublicKey {
        *AGREE_STATIC.generate(&RANDOM).unwrap().public_key()
    }

    #[test]
    fn what_is_written_is_the_usual_pem_of_the_usual_der() {
        let key = some_key();
        let der = PublicKey::P256(key).to_spki_der();
        assert_eq!((der.len(), &der[..P256_HEAD.len()]), (DER, &P256_HEAD[..]));
        let mut written = Vec::new();
        put_public_key(&key, &mut written);
        let encoded = pem_rfc7468::encode_string(LABEL, pem_rfc7468::LineEnding::LF, &der).unwrap();
        assert_eq!(String::from_utf8(written), Ok(encoded));
    }

    #[test]
    fn the_short_way_takes_what_the_long_way_takes() {
        let key = some_key();
        let mut pem = Vec::new();
        put_public_key(&key, &mut pem);
        pem.truncate(USUAL);
        assert_eq!(read_usual(&pem), Some(key));
        let mut short = 0;
        for at in 0..USUAL {
            for byte in 0..=u8::MAX {
                let mut changed = pem.clone();
                changed[at] = byte;
                if let Some(read) = read_usual(&changed) {
                    short += 1;
                    assert_eq!(take_any(&changed), Ok(Some((read, USUAL))), "{at}: {byte}");
                }
            }
        }
        // one in 256 is no change, and the others make another point, which is not looked for on the curve here
        assert!(short > USUAL, "{short}");
        assert_eq!(read_usual(&pem[..USUAL - 1]), None);
    }
}
