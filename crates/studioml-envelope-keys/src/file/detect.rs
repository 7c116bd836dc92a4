//! Which format the bytes of a file are in: found by content, never by the file's name (docs/spec.md §5).

use der::{AnyRef, Decode as _, Reader as _, SliceReader, Tag, Tagged as _};
use studioml_envelope_core::SecretBytes;

use super::{
    armor::{self, Block, Piece},
    legacy::DekInfo,
    public,
};
use crate::{Encoding, Format, KeyFileError, limits};

/// A structure that holds one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    OpenSsh,
    Pkcs1Private,
    Sec1,
    Pkcs8,
    EncryptedPkcs8,
    Pkcs1Public,
    Spki,
    SshLine,
    Rfc4716,
}

impl Container {
    pub(super) const fn is_private(self) -> bool {
        matches!(self, Self::OpenSsh | Self::Pkcs1Private | Self::Sec1 | Self::Pkcs8 | Self::EncryptedPkcs8)
    }

    pub(super) const fn format(self) -> Format {
        match self {
            Self::OpenSsh => Format::OpenSsh,
            Self::Pkcs1Private | Self::Pkcs1Public => Format::Pkcs1,
            Self::Sec1 => Format::Sec1,
            Self::Pkcs8 | Self::EncryptedPkcs8 => Format::Pkcs8,
            Self::Spki => Format::Spki,
            Self::SshLine => Format::SshLine,
            Self::Rfc4716 => Format::Rfc4716,
        }
    }

    /// The kind of key, where the container has only one.
    pub(super) const fn kind(self) -> Option<&'static str> {
        match self {
            Self::Pkcs1Private | Self::Pkcs1Public => Some("RSA"),
            Self::Sec1 => Some("P-256"),
            _ => None,
        }
    }
}

/// One key of a file, cut out and not yet read.
pub(super) struct Found {
    pub container: Container,
    pub encoding: Encoding,
    /// DER, or the binary form of an SSH structure.
    pub contents: SecretBytes,
    /// How the contents are encrypted, for legacy PEM.
    pub dek_info: Option<DekInfo>,
    pub comment: Option<String>,
}

/// All keys of a file; at least one.
///
/// # Errors
/// `Unrecognised`, `TooLarge`, `Unsupported` or `Damaged`.
pub(super) fn find(bytes: &[u8]) -> Result<Vec<Found>, KeyFileError> {
    if bytes.len() > limits::MAX_KEY_FILE {
        return Err(KeyFileError::TooLarge { maximum: limits::MAX_KEY_FILE });
    }
    if armor::is_armored(bytes) {
        return find_blocks(bytes);
    }
    if public::is_ssh_lines(bytes) {
        return public::ssh_lines(bytes).map(ssh_line).collect();
    }
    if bytes.starts_with(b"PuTTY-User-Key-File-") {
        return Err(KeyFileError::unsupported("PuTTY private key", ""));
    }
    Ok(vec![find_der(bytes)?])
}

fn find_blocks(bytes: &[u8]) -> Result<Vec<Found>, KeyFileError> {
    let mut found = Vec::new();
    let mut skipped = Vec::new();
    for piece in armor::pieces(bytes)? {
        match piece {
            Piece::Block(block) => match container_of(&block)? {
                Some(container) => found.push(from_block(container, block)?),
                None => skipped.push(block.label),
            },
            // in a rotation, a key in one form may stand beside a key in another: none may be overlooked
            Piece::Line(line) if public::has_ssh_blob(line) => found.push(ssh_line(line)?),
            Piece::Line(_) => {}
        }
    }
    // beside a public key, a block that nobody knows may be a key that was meant to count
    let private = found.iter().any(|found| found.container.is_private());
    let is_no_key = |label: &str| private || label.ends_with("CERTIFICATE") || label.ends_with("PARAMETERS");
    match skipped.into_iter().find(|label| found.is_empty() || !is_no_key(label)) {
        Some(label) => Err(KeyFileError::unsupported("PEM block", label)),
        None if found.is_empty() => Err(KeyFileError::Unrecognised),
        None => Ok(found),
    }
}

/// The container that a label names; `None` for what may stand beside a key.
fn container_of(block: &Block<'_>) -> Result<Option<Container>, KeyFileError> {
    match (block.label, block.ssh2) {
        ("OPENSSH PRIVATE KEY", false) => Ok(Some(Container::OpenSsh)),
        ("RSA PRIVATE KEY", false) => Ok(Some(Container::Pkcs1Private)),
        ("EC PRIVATE KEY", false) => Ok(Some(Container::Sec1)),
        ("PRIVATE KEY", false) => Ok(Some(Container::Pkcs8)),
        ("ENCRYPTED PRIVATE KEY", false) => Ok(Some(Container::EncryptedPkcs8)),
        ("RSA PUBLIC KEY", false) => Ok(Some(Container::Pkcs1Public)),
        ("PUBLIC KEY", false) => Ok(Some(Container::Spki)),
        ("SSH2 PUBLIC KEY", true) => Ok(Some(Container::Rfc4716)),
        (label, _) if label.ends_with("PRIVATE KEY") || label.ends_with("PUBLIC KEY") => {
            Err(KeyFileError::unsupported("PEM block", label))
        }
        _ => Ok(None),
    }
}

fn from_block(container: Container, block: Block<'_>) -> Result<Found, KeyFileError> {
    let dek_info = DekInfo::of(&block)?;
    if dek_info.is_some() && !matches!(container, Container::Pkcs1Private | Container::Sec1 | Container::Pkcs8) {
        return Err(KeyFileError::unsupported("encryption of PEM block", block.label));
    }
    let comment = block.header("Comment").and_then(|text| public::comment(text.trim_matches('"').as_bytes()));
    Ok(Found { container, encoding: Encoding::Text, contents: block.contents, dek_info, comment })
}

fn ssh_line(line: &[u8]) -> Result<Found, KeyFileError> {
    let (contents, comment) = public::cut_ssh_line(line)?;
    Ok(Found { container: Container::SshLine, encoding: Encoding::Text, contents, dek_info: None, comment })
}

/// DER: told apart by the tags of the outermost sequence's first members.
fn find_der(bytes: &[u8]) -> Result<Found, KeyFileError> {
    let container = match first_tags(bytes).ok_or(KeyFileError::Unrecognised)?.as_slice() {
        [Tag::Integer, Tag::Integer] => Container::Pkcs1Public,
        [Tag::Integer, Tag::Integer, ..] => Container::Pkcs1Private,
        [Tag::Integer, Tag::OctetString, ..] => Container::Sec1,
        [Tag::Integer, Tag::Sequence, Tag::OctetString, ..] => Container::Pkcs8,
        [Tag::Sequence, Tag::OctetString] => Container::EncryptedPkcs8,
        [Tag::Sequence, Tag::BitString] => Container::Spki,
        [Tag::Sequence, Tag::Sequence, Tag::BitString] => {
            return Err(KeyFileError::unsupported("X.509 structure", ""));
        }
        _ => return Err(KeyFileError::Unrecognised),
    };
    let contents = SecretBytes::copy_from(bytes);
    Ok(Found { container, encoding: Encoding::Der, contents, dek_info: None, comment: None })
}

fn first_tags(bytes: &[u8]) -> Option<Vec<Tag>> {
    let outer = AnyRef::from_der(bytes).ok().filter(|outer| outer.tag() == Tag::Sequence)?;
    let mut reader = SliceReader::new(outer.value()).ok()?;
    let mut tags = Vec::new();
    while !reader.is_finished() && tags.len() < 4 {
        tags.push(AnyRef::decode(&mut reader).ok()?.tag());
    }
    Some(tags)
}
