//! The payload string (docs/spec.md §1): `b64(wrapped_key) "," b64(nonce || tag || ciphertext)`, sealed in one pass and opened
//! in place.
//!
//! Secret here: the session key and the plaintext. Public: everything in the string, and every length. The attacker can
//! change any byte of the string and sees whether, and how, it was refused. So whatever is public is checked first and
//! named exactly, and whatever depends on a key ends in the one [`OpenError::CannotOpen`].

use core::ops::Range;

use base64::Engine as _;

use crate::{
    Identity, OpenError, PayloadError, Provider, RandomError, Recipient, SealError, SessionKey, WrapError,
    encoding::{BASE64, append_base64},
    role::{Nonce, Tag},
    secret::wipe,
};

/// The largest plaintext accepted where nothing else is configured: 256 MiB.
pub const DEFAULT_MAX_PLAINTEXT: usize = 256 << 20;

/// Bytes of a nonce and a tag, which stand before the ciphertext in the second field.
const BOX_OVERHEAD: usize = NONCE_LEN + TAG_LEN;
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
/// Fewest and most bytes of a wrapped key that the parser lets through: RSA of 2048 and of 8192 bits.
const MIN_WRAPPED_KEY: usize = 256;
const MAX_WRAPPED_KEY: usize = 1024;

/// Length in bytes of the payload string that sealing `plaintext_len` bytes for a recipient gives.
///
/// `wrapped_len` is the recipient's [`Recipient::wrapped_len`]. `None` if it does not fit `usize`.
#[must_use]
pub fn sealed_len(wrapped_len: usize, plaintext_len: usize) -> Option<usize> {
    let boxed = plaintext_len.checked_add(BOX_OVERHEAD)?;
    base64_len(wrapped_len)?.checked_add(1)?.checked_add(base64_len(boxed)?)
}

fn base64_len(bytes: usize) -> Option<usize> {
    bytes.div_ceil(3).checked_mul(4)
}

/// Seals `plaintext` for `recipient` and returns the payload string, ASCII.
///
/// One pass and one allocation: the ciphertext is produced in pieces that stay in the first-level cache and encoded
/// straight into the output. `max_plaintext` is the largest plaintext in bytes that the receiving side will accept.
///
/// # Errors
/// [`SealError::TooLarge`], or [`SealError::Random`] / [`SealError::Wrap`] if a library failed.
pub fn seal(
    provider: &Provider,
    recipient: &dyn Recipient,
    plaintext: &[u8],
    max_plaintext: usize,
) -> Result<Vec<u8>, SealError> {
    let mut out = Vec::new();
    seal_into(provider, recipient, plaintext, max_plaintext, &mut out)?;
    Ok(out)
}

/// Seals like [`seal`] into `out`, whose contents are replaced and whose memory is used again where it is large enough.
///
/// For who seals many large messages: memory that the system has to hand out afresh costs more than to encrypt it.
///
/// # Errors
/// As for [`seal`]; `out` is empty then.
pub fn seal_into(
    provider: &Provider,
    recipient: &dyn Recipient,
    plaintext: &[u8],
    max_plaintext: usize,
    out: &mut Vec<u8>,
) -> Result<(), SealError> {
    out.clear();
    append_sealed(provider, recipient, plaintext, max_plaintext, out, 0)
}

/// Seals `plaintext` behind what stands in `out`, and sees to it that `room` more bytes fit behind that without moving it.
///
/// # Errors
/// As for [`seal`]; `out` is as it was then.
pub(crate) fn append_sealed(
    provider: &Provider,
    recipient: &dyn Recipient,
    plaintext: &[u8],
    max_plaintext: usize,
    out: &mut Vec<u8>,
    room: usize,
) -> Result<(), SealError> {
    let too_large = SealError::TooLarge { found: plaintext.len(), maximum: max_plaintext };
    if plaintext.len() > max_plaintext {
        return Err(too_large);
    }
    let length = sealed_len(recipient.wrapped_len(), plaintext.len()).ok_or(too_large)?;
    out.reserve_exact(length.saturating_add(room));
    let start = out.len();
    let sealed = write_sealed(provider, recipient, plaintext, out).and_then(|()| {
        let written = out.len().checked_sub(start);
        if written == Some(length) { Ok(()) } else { Err(SealError::OutputLength) }
    });
    if sealed.is_err() {
        out.truncate(start);
    }
    sealed
}

fn write_sealed(
    provider: &Provider,
    recipient: &dyn Recipient,
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), SealError> {
    // Secret: the session key. It exists on this stack frame only and is wiped when the function returns.
    let mut session_key = SessionKey::from_bytes([0; SessionKey::LEN]);
    provider.random.fill(session_key.expose_secret_mut())?;
    // Public. 192 random bits never repeat by chance, and the key is fresh besides.
    let mut nonce: Nonce = [0; NONCE_LEN];
    provider.random.fill(&mut nonce)?;

    // the wrapped key's place, filled in at the end
    let mut wrapped = [0; MAX_WRAPPED_KEY];
    let wrapped = wrapped.get_mut(..recipient.wrapped_len()).ok_or(WrapError)?;
    let start = out.len();
    append_base64(wrapped, out);
    let key_field = start..out.len();
    out.push(b',');

    let mut writer = BoxWriter::new(out, plaintext.len());
    let tag = provider.secret_box.seal_chunks(&session_key, &nonce, plaintext, &mut |piece| writer.push(piece));
    writer.finish(&nonce, &tag)?;

    recipient.wrap(&session_key, provider.random, wrapped)?;
    let place = out.get_mut(key_field).ok_or(SealError::OutputLength)?;
    BASE64.encode_slice(wrapped, place).map(|_| ()).map_err(|_| SealError::OutputLength)
}

/// Encodes `nonce || tag || ciphertext` as it comes, although the tag comes last.
///
/// Base64 works on groups of 3 bytes, and 40 bytes stand before the ciphertext: 13 whole groups, and a 14th that holds the
/// last byte of the tag and the first two of the ciphertext. Those 56 characters are written at the end; the rest of the
/// ciphertext is encoded on the way, with up to two bytes carried from piece to piece.
struct BoxWriter<'o> {
    out: &'o mut Vec<u8>,
    /// Where the first 56 characters stand, or all of a field that is shorter.
    head: Range<usize>,
    /// The first two bytes of the ciphertext.
    first: Carry<2>,
    /// Bytes of a group that is not complete yet.
    carry: Carry<3>,
    /// Bytes of ciphertext that are still to come. A part that breaks its contract must not pass in silence: `None` once
    /// it has handed out more than it was given, none of which is written.
    remaining: Option<usize>,
}

/// Up to `N` bytes.
struct Carry<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Carry<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    /// Takes bytes off the front of `piece` until it is full.
    fn fill_from<'p>(&mut self, mut piece: &'p [u8]) -> &'p [u8] {
        while let (Some(free), [first, rest @ ..]) = (self.bytes.get_mut(self.len), piece) {
            *free = *first;
            self.len += 1;
            piece = rest;
        }
        piece
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl<'o> BoxWriter<'o> {
    /// For `plaintext_len` bytes of ciphertext, behind what stands in `out`.
    fn new(out: &'o mut Vec<u8>, plaintext_len: usize) -> Self {
        /// Bytes that wait for the tag: the 14 groups of nonce, tag and two bytes of ciphertext.
        const HEAD: usize = BOX_OVERHEAD + 2;
        let start = out.len();
        let head = plaintext_len.saturating_add(BOX_OVERHEAD).min(HEAD).div_ceil(3) * 4;
        out.resize(start + head, 0);
        let head = start..start + head;
        Self { out, head, first: Carry::new(), carry: Carry::new(), remaining: Some(plaintext_len) }
    }

    fn push(&mut self, piece: &[u8]) {
        self.remaining = self.remaining.and_then(|remaining| remaining.checked_sub(piece.len()));
        if self.remaining.is_none() {
            return;
        }
        let piece = self.first.fill_from(piece);
        let piece = if self.carry.len == 0 { piece } else { self.carry.fill_from(piece) };
        if self.carry.len == 3 {
            self.carry.len = 0;
            append_base64(&self.carry.bytes, self.out);
        }
        let (groups, remainder) = piece.split_at(piece.len() / 3 * 3);
        append_base64(groups, self.out);
        self.carry.fill_from(remainder);
    }

    fn finish(self, nonce: &Nonce, tag: &Tag) -> Result<(), SealError> {
        if self.remaining != Some(0) {
            return Err(SealError::OutputLength);
        }
        append_base64(self.carry.as_slice(), self.out);
        let mut head = Carry::<{ BOX_OVERHEAD + 2 }>::new();
        for part in [nonce.as_slice(), tag, self.first.as_slice()] {
            head.fill_from(part);
        }
        let place = self.out.get_mut(self.head).ok_or(SealError::OutputLength)?;
        BASE64.encode_slice(head.as_slice(), place).map(|_| ()).map_err(|_| SealError::OutputLength)
    }
}

/// A payload string whose public structure has been checked, and nothing else: neither signature nor base64 nor key.
///
/// It borrows the caller's buffer, in which it will be opened.
pub struct Payload<'a> {
    /// The payload string, and the line end after it where it came from a file.
    text: &'a mut [u8],
    /// Length of the payload string.
    len: usize,
    comma: usize,
    wrapped_key_len: usize,
    box_len: usize,
}

impl<'a> Payload<'a> {
    /// Splits a payload string into its two fields and checks their lengths. Costs one look at each byte.
    ///
    /// `max_plaintext` is the largest plaintext in bytes that is let through.
    ///
    /// # Errors
    /// [`PayloadError`]; base64 is looked at in detail only after the signature.
    pub fn parse(text: &'a mut [u8], max_plaintext: usize) -> Result<Self, PayloadError> {
        let len = text.len();
        Self::parse_front(text, len, max_plaintext, SecondComma::Searched)
    }

    /// Like [`parse`](Self::parse) for a payload that is opened at once, with the same verdicts.
    ///
    /// The second field is not searched for another comma, which is no base64 and is noticed when the field is decoded. To
    /// look at each byte of a large payload once more would be a tenth of what opening it costs.
    pub(crate) fn parse_to_open(text: &'a mut [u8], max_plaintext: usize) -> Result<Self, PayloadError> {
        let len = text.len();
        Self::parse_front(text, len, max_plaintext, SecondComma::LeftToDecoding)
    }

    /// Like [`parse`](Self::parse) for the contents of a payload file: one trailing LF or CRLF is not part of the payload.
    ///
    /// A deployed signer signs the file as it stands, so [`verify`](Self::verify) tries without the line end and then with
    /// it (docs/spec.md §1).
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn parse_file(contents: &'a mut [u8], max_plaintext: usize) -> Result<Self, PayloadError> {
        let without_line_end = contents.strip_suffix(b"\r\n").or_else(|| contents.strip_suffix(b"\n"));
        let len = without_line_end.unwrap_or(contents).len();
        Self::parse_front(contents, len, max_plaintext, SecondComma::Searched)
    }

    fn parse_front(
        contents: &'a mut [u8],
        len: usize,
        max_plaintext: usize,
        second_comma: SecondComma,
    ) -> Result<Self, PayloadError> {
        let text = contents.get(..len).unwrap_or_default();
        if text.starts_with(b"studioml.") {
            return Err(PayloadError::UnsupportedVersion);
        }
        let comma = memchr::memchr(b',', text).ok_or(PayloadError::Fields { fields: 1 })?;
        let (key_field, rest) = text.split_at_checked(comma).unwrap_or_default();
        let box_field = rest.get(1..).unwrap_or_default();
        let lengths = field_lengths(key_field, box_field, max_plaintext);
        // a text of too many fields is called that, whatever else is wrong with it
        if second_comma == SecondComma::Searched || lengths.is_err() {
            refuse_third_field(box_field)?;
        }
        let (wrapped_key_len, box_len) = lengths?;
        Ok(Self { text: contents, len, comma, wrapped_key_len, box_len })
    }

    /// The payload string: what is signed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }

    /// The file's contents as they stand, where a line end follows the payload.
    pub(crate) fn with_line_end(&self) -> Option<&[u8]> {
        (self.len < self.text.len()).then_some(&*self.text)
    }

    /// Length of the wrapped key in bytes: that of the recipient's modulus.
    #[must_use]
    pub const fn wrapped_key_len(&self) -> usize {
        self.wrapped_key_len
    }

    /// Length of the plaintext in bytes.
    #[must_use]
    pub const fn plaintext_len(&self) -> usize {
        self.box_len.saturating_sub(BOX_OVERHEAD)
    }

    /// Opens the payload in its own buffer: base64, unwrap, MAC, and only then decryption.
    ///
    /// On failure nothing of the plaintext is in the buffer: where the MAC does not fit, zeros stand in place of the ciphertext;
    /// before that nothing was decrypted.
    pub(crate) fn open_in_place<I: AsRef<dyn Identity>>(
        self,
        provider: &Provider,
        identities: &[I],
    ) -> Result<&'a mut [u8], OpenError> {
        let text = self.text.get_mut(..self.len).unwrap_or_default();
        let (key_field, rest) = text.split_at_mut_checked(self.comma).unwrap_or_default();
        let box_field = rest.get_mut(1..).unwrap_or_default();

        // Which keys come into question is decided by length, which is public, before any base64 is decoded.
        let length = self.wrapped_key_len;
        let fitting = || identities.iter().map(AsRef::as_ref).filter(move |identity| identity.wrapped_len() == length);
        if fitting().next().is_none() {
            refuse_third_field(box_field)?;
            return Err(OpenError::NoKeyOfLength { found: length });
        }
        let mut wrapped = [0; MAX_WRAPPED_KEY];
        let decoded = BASE64.decode_slice(key_field, &mut wrapped).or_else(|error| {
            refuse_third_field(box_field)?;
            Err(PayloadError::Base64 { field: "wrapped key", offset: offset_of(&error) })
        })?;
        let wrapped = wrapped.get(..decoded).unwrap_or_default();
        let decoded = decode_in_place(box_field)?;
        let boxed = box_field.get_mut(..decoded).unwrap_or_default();

        let session_key = unwrap_or_substitute(provider, fitting(), wrapped)?;
        open_box(provider, &session_key, boxed)
    }
}

/// Who looks for a comma in the second field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SecondComma {
    /// It is searched for.
    Searched,
    /// Whoever decodes the field finds it.
    LeftToDecoding,
}

impl core::fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Payload({} bytes of text)", self.len)
    }
}

/// Unwraps with each key in turn until one gives a session key; a random key where none does.
///
/// Against Manger: the substitute is drawn before the unwrap, whatever comes of it, and chosen without a branch, so that a
/// failed unwrap runs into the same MAC check as a good one and leaves by the same exit. Which of several keys fits is
/// public (it is a property of the message and of public keys), so the loop may stop at the first that does.
fn unwrap_or_substitute<'i>(
    provider: &Provider,
    identities: impl Iterator<Item = &'i (dyn Identity + 'static)>,
    wrapped: &[u8],
) -> Result<SessionKey, RandomError> {
    let mut session_key = SessionKey::from_bytes([0; SessionKey::LEN]);
    provider.random.fill(session_key.expose_secret_mut())?;
    for identity in identities {
        let unwrapped = identity.unwrap(wrapped, provider.random);
        let found = unwrapped.found();
        unwrapped.select_into(&mut session_key);
        if found {
            break;
        }
    }
    Ok(session_key)
}

/// The one exit: checks the MAC over `nonce || tag || ciphertext` and decrypts in place, or wipes and says "cannot open".
fn open_box<'b>(provider: &Provider, session_key: &SessionKey, boxed: &'b mut [u8]) -> Result<&'b mut [u8], OpenError> {
    let cannot_open = Err(OpenError::CannotOpen);
    let Some((nonce, rest)) = boxed.split_first_chunk_mut::<NONCE_LEN>() else { return cannot_open };
    let Some((tag, text)) = rest.split_first_chunk_mut::<TAG_LEN>() else { return cannot_open };
    match provider.secret_box.open_in_place(session_key, nonce, tag, text) {
        Ok(()) => Ok(text),
        Err(_) => {
            wipe(text);
            cannot_open
        }
    }
}

/// Refuses a text of so many characters, or more, that no payload of `max_plaintext` bytes of plaintext has.
pub(crate) fn refuse_too_long(characters: usize, max_plaintext: usize) -> Result<(), PayloadError> {
    let longest = sealed_len(MAX_WRAPPED_KEY, max_plaintext).unwrap_or(usize::MAX);
    let Some(more) = characters.checked_sub(longest).filter(|more| *more > 0) else { return Ok(()) };
    Err(PayloadError::TooLarge { found: max_plaintext.saturating_add(more.div_ceil(4)), maximum: max_plaintext })
}

/// Bytes that the two fields decode to, within their limits.
fn field_lengths(key_field: &[u8], box_field: &[u8], max_plaintext: usize) -> Result<(usize, usize), PayloadError> {
    let wrapped_key_len = decoded_len(key_field, "wrapped key")?;
    if !(MIN_WRAPPED_KEY..=MAX_WRAPPED_KEY).contains(&wrapped_key_len) {
        return Err(PayloadError::WrappedKeyLength { found: wrapped_key_len });
    }
    let box_len = decoded_len(box_field, "box")?;
    let plaintext_len = box_len.checked_sub(BOX_OVERHEAD).ok_or(PayloadError::BoxLength { found: box_len })?;
    if plaintext_len > max_plaintext {
        return Err(PayloadError::TooLarge { found: plaintext_len, maximum: max_plaintext });
    }
    Ok((wrapped_key_len, box_len))
}

/// Bytes that a field of canonical base64 decodes to, from its length and its padding.
fn decoded_len(field: &[u8], name: &'static str) -> Result<usize, PayloadError> {
    if field.is_empty() {
        return Ok(0);
    }
    if !field.len().is_multiple_of(4) {
        return Err(PayloadError::Base64 { field: name, offset: field.len() });
    }
    let padding = field.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    Ok(field.len() / 4 * 3 - padding)
}

/// Refuses a comma in what should be the last field.
fn refuse_third_field(field: &[u8]) -> Result<(), PayloadError> {
    match memchr::memchr(b',', field) {
        Some(_) => Err(PayloadError::Fields { fields: 3 }),
        None => Ok(()),
    }
}

/// Decodes the box, canonical base64, within its own field; gives the length of the decoded front part.
///
/// The output never overtakes the input: 3 bytes for 4. The decoder wants them apart, so the first pieces go through a
/// buffer on the stack, and then each piece goes into the gap that those before it have left, which grows by a third each
/// time: all but the first few kilobytes are decoded straight to where they belong.
fn decode_in_place(field: &mut [u8]) -> Result<usize, PayloadError> {
    const SCRATCH: usize = 3 * 1024;
    let mut scratch = [0; SCRATCH];
    let (mut read, mut written) = (0, 0);
    while read < field.len() {
        let (front, unread) = field.split_at_mut_checked(read).unwrap_or_default();
        let gap = front.get_mut(written..).unwrap_or_default();
        let through_scratch = gap.len() < SCRATCH;
        let to = if through_scratch { &mut scratch } else { gap };
        let piece_len = unread.len().min(to.len() / 3 * 4);
        let piece = unread.get(..piece_len).unwrap_or_default();

        let not_base64 = |offset| PayloadError::Base64 { field: "box", offset: read + offset };
        let decoded = BASE64.decode_slice(piece, to).map_err(|error| not_base64(offset_of(&error)));
        // padding may stand only at the very end; the decoder accepts it at the end of each piece
        let decoded = decoded.and_then(|decoded| {
            let whole = decoded == piece_len / 4 * 3 || piece_len == unread.len();
            if whole { Ok(decoded) } else { Err(not_base64(piece_len.saturating_sub(1))) }
        });
        let decoded = decoded.or_else(|error| refuse_third_field(unread).and(Err(error)))?;

        read += piece_len;
        if through_scratch {
            let bytes = scratch.get(..decoded).unwrap_or_default();
            field.get_mut(written..).and_then(|to| to.get_mut(..decoded)).unwrap_or_default().copy_from_slice(bytes);
        }
        written += decoded;
    }
    Ok(written)
}

fn offset_of(error: &base64::DecodeSliceError) -> usize {
    use base64::{DecodeError, DecodeSliceError};
    match error {
        DecodeSliceError::DecodeError(
            DecodeError::InvalidByte(offset, _) | DecodeError::InvalidLastSymbol { offset, .. },
        ) => *offset,
        _ => 0, // length and padding concern the field as a whole
    }
}
