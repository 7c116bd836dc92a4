//! Public key files: PKCS #1 and SPKI, the lines of OpenSSH and the blocks of RFC 4716.

use der::{Decode as _, Encode as _, asn1::BitStringRef};
use spki::SubjectPublicKeyInfoRef;
use studioml_envelope_core::{KeyError, PublicKey, SecretBytes};

use super::{armor::decode_base64, oid::EC_PUBLIC_KEY, point};
use crate::KeyFileError;

/// `SubjectPublicKeyInfo`, with compressed points expanded.
///
/// # Errors
/// `Key`.
pub(super) fn from_spki(der: &[u8]) -> Result<PublicKey, KeyFileError> {
    let info = SubjectPublicKeyInfoRef::from_der(der);
    if let Ok(info) = &info
        && info.algorithm.oid == EC_PUBLIC_KEY
        && let Some(bits) = info.subject_public_key.as_bytes()
        && matches!(bits.first(), Some(2 | 3))
    {
        let expanded = point::decode(bits)?;
        let info = BitStringRef::from_bytes(expanded.as_bytes())
            .and_then(|subject_public_key| {
                SubjectPublicKeyInfoRef { algorithm: info.algorithm, subject_public_key }.to_der()
            })
            .map_err(|_| KeyError::PointEncoding)?;
        return Ok(PublicKey::from_spki_der(&info)?);
    }
    checked(PublicKey::from_spki_der(der)?)
}

/// The contents of an SSH line or of an RFC 4716 block.
///
/// # Errors
/// `Key`.
pub(super) fn from_ssh_blob(blob: &[u8]) -> Result<PublicKey, KeyFileError> {
    checked(PublicKey::from_ssh_blob(blob)?)
}

/// That a point is on the curve shows here, where the file is, and not at the first signature.
fn checked(key: PublicKey) -> Result<PublicKey, KeyFileError> {
    if let PublicKey::P256(key) = &key {
        point::decode(key.as_bytes())?;
    }
    Ok(key)
}

/// Whether the file consists of SSH lines: its first line that is neither empty nor a comment is one.
pub(super) fn is_ssh_lines(bytes: &[u8]) -> bool {
    ssh_lines(bytes).next().is_some_and(is_ssh_line)
}

/// Whether a line begins as one with a key does.
fn is_ssh_line(line: &[u8]) -> bool {
    let (algorithm, rest) = cut_word(line);
    let known = [b"ssh-".as_slice(), b"ecdsa-sha2-", b"sk-"].iter().any(|prefix| algorithm.starts_with(prefix));
    known && cut_word(rest).0.starts_with(BLOB)
}

/// How every blob begins in base64: with the upper bytes of a length.
const BLOB: &[u8] = b"AAAA";

/// Whether a line has the blob of a key in it, whatever stands before that: a misspelt name, or options.
pub(super) fn has_ssh_blob(line: &[u8]) -> bool {
    line.split(u8::is_ascii_whitespace).any(|word| word.starts_with(BLOB))
}

/// The lines that count.
pub(super) fn ssh_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

/// One line: algorithm, base64 of the blob, comment. Gives the blob and the comment.
///
/// # Errors
/// `Damaged`.
pub(super) fn cut_ssh_line(line: &[u8]) -> Result<(SecretBytes, Option<String>), KeyFileError> {
    const DAMAGED: KeyFileError = KeyFileError::Damaged { structure: "SSH public key line" };
    let (algorithm, rest) = cut_word(line);
    let (blob, rest) = cut_word(rest);
    let blob = decode_base64(blob).ok_or(DAMAGED)?;
    // the name stands on the line and in the blob
    if !blob.expose_secret().get(4..).is_some_and(|inner| inner.starts_with(algorithm)) {
        return Err(DAMAGED);
    }
    Ok((blob, comment(rest)))
}

fn cut_word(line: &[u8]) -> (&[u8], &[u8]) {
    let line = line.trim_ascii_start();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    line.split_at_checked(end).unwrap_or((line, &[]))
}

/// A comment: printable, of bounded length.
pub(crate) fn comment(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text.trim_ascii());
    let text: String = text.chars().filter(|c| !c.is_control()).take(256).collect();
    (!text.is_empty()).then_some(text)
}
