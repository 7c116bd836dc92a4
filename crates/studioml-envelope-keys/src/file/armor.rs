//! The text around keys: PEM (RFC 7468, with the headers of RFC 1421) and the SSH2 blocks of RFC 4716.
//!
//! `pem-rfc7468` reads one block, without headers, wrapped evenly. Files in the field have headers (legacy encryption), a
//! block before the one that matters (`EC PARAMETERS`), several keys, CRLF and odd line lengths, so the cutting into
//! blocks is done here, in one pass, over lines.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use studioml_envelope_core::SecretBytes;

use crate::KeyFileError;

const DAMAGED: KeyFileError = KeyFileError::Damaged { structure: "PEM" };

/// Canonical: padded, spare bits zero.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// One block.
pub(super) struct Block<'a> {
    /// Between `BEGIN` and the dashes.
    pub label: &'a str,
    /// Whether the dashes are those of RFC 4716.
    pub ssh2: bool,
    /// Header lines, name and value.
    headers: Vec<(String, String)>,
    /// The decoded contents. Wiped, as they may be a private key.
    pub contents: SecretBytes,
}

impl Block<'_> {
    /// The value of a header, by case-insensitive name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim_end())
    }
}

/// Whether there are blocks in it.
pub(super) fn is_armored(bytes: &[u8]) -> bool {
    lines(bytes).any(|line| begin(line).is_some())
}

/// A block, or a line outside of blocks.
pub(super) enum Piece<'a> {
    Block(Block<'a>),
    /// Not empty. Explanation (RFC 7468 §2), unless the caller knows better.
    Line(&'a [u8]),
}

/// All of a text file, in order.
///
/// # Errors
/// `Damaged` if a block does not begin or end, its ends do not match, or its contents are not base64.
pub(super) fn pieces(bytes: &[u8]) -> Result<Vec<Piece<'_>>, KeyFileError> {
    let mut pieces = Vec::new();
    let mut lines = lines(bytes);
    while let Some(line) = lines.next() {
        match begin(line) {
            Some((label, ssh2)) => pieces.push(Piece::Block(block(label, ssh2, &mut lines)?)),
            None if is_spoilt_boundary(line) => return Err(DAMAGED),
            None if !line.is_empty() => pieces.push(Piece::Line(line)),
            None => {}
        }
    }
    Ok(pieces)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii)
}

fn begin(line: &[u8]) -> Option<(&str, bool)> {
    boundary(line, b"BEGIN ")
}

/// Whether a line outside of blocks was meant to begin or end one: the block is not to be taken for an explanation.
fn is_spoilt_boundary(line: &[u8]) -> bool {
    let has = |word: &[u8]| line.windows(word.len()).any(|part| part == word);
    line.starts_with(b"--") && (has(b"BEGIN ") || has(b"END "))
}

/// The label of a boundary line and whether it is one of RFC 4716's.
fn boundary<'a>(line: &'a [u8], word: &[u8]) -> Option<(&'a str, bool)> {
    let cut = |dashes: &[u8], end: &[u8]| {
        line.strip_prefix(dashes)?.strip_prefix(word)?.strip_suffix(end).and_then(|label| str::from_utf8(label).ok())
    };
    match (cut(b"-----", b"-----"), cut(b"---- ", b" ----")) {
        (Some(label), _) => Some((label, false)),
        (None, Some(label)) => Some((label, true)),
        (None, None) => None,
    }
}

/// The block whose BEGIN line has been read.
fn block<'a>(label: &'a str, ssh2: bool, lines: &mut dyn Iterator<Item = &'a [u8]>) -> Result<Block<'a>, KeyFileError> {
    let mut headers = Vec::new();
    let mut body = Vec::new();
    let mut continued = false;
    for line in lines {
        if boundary(line, b"END ") == Some((label, ssh2)) {
            let text = join(&body);
            return Ok(Block { label, ssh2, headers, contents: decode(&text)? });
        }
        if line.starts_with(b"----") {
            return Err(DAMAGED);
        }
        if continued || (body.is_empty() && line.contains(&b':')) {
            continued = header(line, continued, ssh2, &mut headers)?;
        } else if !line.is_empty() {
            body.push(line);
        }
    }
    Err(DAMAGED)
}

/// Takes a header line. In RFC 4716 a backslash at its end continues it; in RFC 1421 the next line would begin with a
/// space, which no key tool writes.
fn header(line: &[u8], continued: bool, ssh2: bool, headers: &mut Vec<(String, String)>) -> Result<bool, KeyFileError> {
    let line = String::from_utf8_lossy(line);
    let (line, continues) = match line.strip_suffix('\\') {
        Some(start) if ssh2 => (start, true),
        _ => (line.as_ref(), false),
    };
    if continued {
        let (_, value) = headers.last_mut().ok_or(DAMAGED)?;
        value.push_str(line);
    } else {
        let (name, value) = line.split_once(':').ok_or(DAMAGED)?;
        // the end stays as it is: a continued value goes on right there
        headers.push((name.trim().to_owned(), value.trim_start().to_owned()));
    }
    Ok(continues)
}

/// The base64 of all lines as one text. One allocation of the right size, so that no copy of a key is left behind.
fn join(lines: &[&[u8]]) -> SecretBytes {
    let mut text = Vec::with_capacity(lines.iter().map(|line| line.len()).sum());
    for line in lines {
        text.extend_from_slice(line);
    }
    SecretBytes::new(text)
}

fn decode(text: &SecretBytes) -> Result<SecretBytes, KeyFileError> {
    decode_base64(text.expose_secret()).ok_or(DAMAGED)
}

/// Decodes canonical base64 without leaving copies behind.
pub(super) fn decode_base64(text: &[u8]) -> Option<SecretBytes> {
    let mut contents = vec![0; text.len().div_ceil(4).saturating_mul(3)];
    match BASE64.decode_slice(text, &mut contents) {
        Ok(length) => {
            contents.truncate(length);
            Some(SecretBytes::new(contents))
        }
        Err(_) => {
            drop(SecretBytes::new(contents));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_blocks_headers_and_explanations() {
        let text = "Bag Attributes\n-----BEGIN A B-----\r\nProc-Type: 4,ENCRYPTED\r\nDEK-Info: X,00\r\n\r\nAQID\r\nBA==\r\n\
                    -----END A B-----\n  indented:\n---- BEGIN SSH2 PUBLIC KEY ----\nComment: \"one \\\ntwo\"\nBQ==\n\
                    ---- END SSH2 PUBLIC KEY ----";
        let pieces = pieces(text.as_bytes()).unwrap();
        let [Piece::Line(b"Bag Attributes"), Piece::Block(first), Piece::Line(b"indented:"), Piece::Block(second)] =
            pieces.as_slice()
        else {
            panic!("{} pieces", pieces.len())
        };
        assert_eq!((first.label, first.ssh2, first.contents.expose_secret()), ("A B", false, [1, 2, 3, 4].as_slice()));
        assert_eq!(first.header("dek-info"), Some("X,00"));
        assert_eq!(
            (second.label, second.ssh2, second.contents.expose_secret()),
            ("SSH2 PUBLIC KEY", true, [5].as_slice())
        );
        assert_eq!(second.header("Comment"), Some("\"one two\""));
    }

    #[test]
    fn refuses_blocks_that_are_cut_off_mixed_up_or_not_base64() {
        for text in [
            "-----BEGIN A-----\nAQID\n",
            "-----BEGIN A-----\nAQID\n-----END B-----\n",
            "-----BEGIN A-----\nAQID\n-----BEGIN A-----\nAQID\n-----END A-----\n",
            "-----BEGIN A-----\nAQ*D\n-----END A-----\n",
            "-----BEGIN A-----\nAQI\n-----END A-----\n",
            "-----BEGIN A-----\nAQIDBB==\n-----END A-----\n",
            "-----BEGIN A-----",
        ] {
            assert_eq!(pieces(text.as_bytes()).map(|pieces| pieces.len()), Err(DAMAGED), "{text}");
        }
    }

    #[test]
    fn an_empty_block_is_a_block() {
        let pieces = pieces(b"-----BEGIN A-----\n-----END A-----").unwrap();
        assert!(matches!(pieces.as_slice(), [Piece::Block(block)] if block.contents.is_empty()));
    }
}
