//! Passphrases: bytes, wiped on drop, and the rule for those that come from a file (docs/spec.md §5).

use core::fmt;

use studioml_envelope_core::SecretBytes;

/// A passphrase. Bytes, not text: nothing is normalised.
///
/// One that was typed or passed by a descriptor is tried as it is. One that was read from a file is tried as it is and then
/// without one trailing LF or CRLF: `echo` and editors leave a line end that was never part of it.
pub struct Passphrase {
    bytes: SecretBytes,
    from_file: bool,
}

impl Passphrase {
    /// A passphrase that is tried exactly as it is.
    #[must_use]
    pub fn exact(bytes: Vec<u8>) -> Self {
        Self { bytes: SecretBytes::new(bytes), from_file: false }
    }

    /// The contents of a passphrase file: tried as they are, then without one trailing LF or CRLF.
    #[must_use]
    pub fn from_file_contents(bytes: Vec<u8>) -> Self {
        Self { bytes: SecretBytes::new(bytes), from_file: true }
    }

    /// The passphrase with one trailing LF or CRLF taken off, and whether there was one: for *making* a key, where the
    /// choice is made once and the user is told.
    #[must_use]
    pub fn strip_line_end(self) -> (Self, bool) {
        match strip_line_end(self.bytes.expose_secret()) {
            Some(stripped) => (Self::exact(stripped.to_vec()), true),
            None => (Self { bytes: self.bytes, from_file: false }, false),
        }
    }

    /// The bytes as they were given, for the code that derives a key from them.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8] {
        self.bytes.expose_secret()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What to try, in order.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = &[u8]> {
        let bytes = self.bytes.expose_secret();
        let stripped = if self.from_file { strip_line_end(bytes) } else { None };
        core::iter::once(bytes).chain(stripped)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

fn strip_line_end(bytes: &[u8]) -> Option<&[u8]> {
    bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_tried_as_it_is_and_then_without_one_line_end() {
        let tried = |bytes: &[u8]| {
            let passphrase = Passphrase::from_file_contents(bytes.to_vec());
            passphrase.candidates().map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        assert_eq!(tried(b"secret"), [b"secret".to_vec()]);
        assert_eq!(tried(b"secret\n"), [b"secret\n".to_vec(), b"secret".to_vec()]);
        assert_eq!(tried(b"secret\r\n"), [b"secret\r\n".to_vec(), b"secret".to_vec()]);
        assert_eq!(tried(b"secret\n\n"), [b"secret\n\n".to_vec(), b"secret\n".to_vec()]);
        assert_eq!(tried(b"secret\r"), [b"secret\r".to_vec()]);
        assert_eq!(tried(b""), [b"".to_vec()]);
    }

    #[test]
    fn an_exact_passphrase_keeps_its_line_end() {
        let passphrase = Passphrase::exact(b"secret\n".to_vec());
        assert_eq!(passphrase.candidates().collect::<Vec<_>>(), [b"secret\n"]);
    }

    #[test]
    fn making_a_key_strips_one_line_end_and_says_so() {
        let (passphrase, stripped) = Passphrase::from_file_contents(b"secret\n\n".to_vec()).strip_line_end();
        assert!(stripped);
        assert_eq!(passphrase.candidates().collect::<Vec<_>>(), [b"secret\n"]);
        assert!(!Passphrase::exact(b"secret".to_vec()).strip_line_end().1);
    }
}
