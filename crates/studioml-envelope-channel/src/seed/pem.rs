//! The one PEM that each end sends (RFC 7468 §13), taken from a stream: it may arrive in any number of reads and records may
//! follow at once (docs/spec.md §8).

use pem_rfc7468::LineEnding;
use studioml_envelope_core::{KeyError, P256PublicKey, PublicKey};

use crate::HandshakeError;

/// The most bytes that a peer's PEM may take: what the seed's own `recv` takes. A P-256 key needs 178.
pub const MAX_PEM: usize = 1024;

const LABEL: &str = "PUBLIC KEY";
const BEGIN: &[u8] = b"-----BEGIN PUBLIC KEY-----";
const END: &[u8] = b"\n-----END PUBLIC KEY-----";

/// Takes a public key off the front of `input`; `None` as long as its END line is not there.
///
/// The optional line feed after the END line is left: whether it comes is known only when the next byte is there, and the
/// key must not wait for that.
pub(super) fn take_public_key(input: &[u8]) -> Result<Option<(P256PublicKey, usize)>, HandshakeError> {
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

/// Appends a public key as PEM SubjectPublicKeyInfo, line feeds, as OpenSSL and Python write it.
pub(super) fn put_public_key(key: P256PublicKey, output: &mut Vec<u8>) -> Result<(), HandshakeError> {
    let der = PublicKey::P256(key).to_spki_der();
    let pem = pem_rfc7468::encode_string(LABEL, LineEnding::LF, &der).map_err(|_| HandshakeError::Pem)?;
    output.extend_from_slice(pem.as_bytes());
    Ok(())
}
