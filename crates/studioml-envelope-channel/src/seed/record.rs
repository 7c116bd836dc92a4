//! Records of mode `seed` (docs/spec.md §8):
//!
//! ```text
//! record = u32 be length || nonce (12) || ciphertext || tag (16)          length = 28 + plaintext length
//! nonce  = direction (1 byte) || 3 zero bytes || u64 be counter
//! ```
//!
//! The attacker sits on the wire: replays, reorders, drops, reflects, cuts.

use std::borrow::Cow;

use super::{Direction, SharedKey};
use crate::{RecordError, record::Received};

const LENGTH: usize = 4;
const NONCE: usize = 12;
const TAG: usize = 16;
/// What a record has beside its length and its plaintext.
const OVERHEAD: usize = NONCE + TAG;

/// The nonces of one direction, each given out once.
#[derive(Debug)]
struct Nonces {
    direction: Direction,
    /// `None` once 2^64 − 1 was given out.
    next: Option<u64>,
}

impl Nonces {
    const fn new(direction: Direction) -> Self {
        Self { direction, next: Some(0) }
    }

    fn peek(&self) -> Result<[u8; NONCE], RecordError> {
        let counter = self.next.ok_or(RecordError::CounterExhausted)?;
        let [c0, c1, c2, c3, c4, c5, c6, c7] = counter.to_be_bytes();
        Ok([self.direction as u8, 0, 0, 0, c0, c1, c2, c3, c4, c5, c6, c7])
    }

    fn advance(&mut self) {
        self.next = self.next.and_then(|counter| counter.checked_add(1));
    }
}

/// Writes records of one direction.
pub(crate) struct Writer {
    key: SharedKey,
    nonces: Nonces,
    max_message: usize,
    closed: bool,
}

impl Writer {
    pub(super) fn new(key: SharedKey, direction: Direction, max_message: usize) -> Self {
        Self { key, nonces: Nonces::new(direction), max_message, closed: false }
    }

    pub(crate) fn write(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), RecordError> {
        if message.is_empty() {
            return Err(RecordError::EmptyMessage);
        }
        self.write_record(message, out)
    }

    pub(crate) fn write_close(&mut self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        self.write_record(&[], out)?;
        self.closed = true;
        Ok(())
    }

    fn write_record(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), RecordError> {
        const TOO_LARGE: fn(usize) -> RecordError = |maximum| RecordError::TooLarge { maximum };
        if self.closed {
            return Err(RecordError::Closed);
        }
        if plaintext.len() > self.max_message {
            return Err(TOO_LARGE(self.max_message));
        }
        let nonce = self.nonces.peek()?;
        let length =
            u32::try_from(plaintext.len().saturating_add(OVERHEAD)).map_err(|_| TOO_LARGE(self.max_message))?;
        out.reserve(plaintext.len().saturating_add(LENGTH + OVERHEAD));
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let tag = self.key.seal_in_place(&nonce, &[], out.get_mut(start..).unwrap_or_default());
        out.extend_from_slice(&tag);
        self.nonces.advance();
        Ok(())
    }
}

impl core::fmt::Debug for Writer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("seed::Writer").field("nonces", &self.nonces).finish_non_exhaustive()
    }
}

/// Reads records of one direction.
pub(crate) struct Reader {
    key: SharedKey,
    nonces: Nonces,
    max_message: usize,
    /// Nothing has come after the END line yet, so that one line feed may.
    at_start: bool,
    over: bool,
}

impl Reader {
    pub(super) fn new(key: SharedKey, direction: Direction, max_message: usize) -> Self {
        Self { key, nonces: Nonces::new(direction), max_message, at_start: true, over: false }
    }

    pub(crate) fn read<'a>(&mut self, buffer: &'a mut [u8]) -> Result<Received<'a>, RecordError> {
        if self.over {
            return Err(RecordError::Closed);
        }
        let result = self.read_record(buffer);
        self.over = matches!(result, Err(_) | Ok(Received::Closed { .. }));
        result
    }

    fn read_record<'a>(&mut self, buffer: &'a mut [u8]) -> Result<Received<'a>, RecordError> {
        // a length begins with 0 or 1, so a line feed here can only be the PEM's
        let line_feed = usize::from(self.at_start && buffer.first() == Some(&b'\n'));
        self.at_start = self.at_start && buffer.is_empty();
        let buffer = buffer.get_mut(line_feed..).unwrap_or_default();
        let incomplete = |missing: usize| Ok(Received::Incomplete { consumed: line_feed, missing });

        let available = buffer.len();
        let Some((length, rest)) = buffer.split_first_chunk_mut::<LENGTH>() else {
            return incomplete(LENGTH.saturating_sub(available));
        };
        let maximum = self.max_message.saturating_add(OVERHEAD);
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if !(OVERHEAD..=maximum).contains(&length) {
            return Err(RecordError::Length { found: length, minimum: OVERHEAD, maximum });
        }
        let missing = length.saturating_sub(rest.len());
        let Some((nonce, rest)) = rest.split_first_chunk_mut::<NONCE>() else {
            return incomplete(missing);
        };
        if *nonce != self.nonces.peek()? {
            return Err(RecordError::OutOfOrder);
        }
        let plaintext_length = length.saturating_sub(OVERHEAD);
        let Some((text, rest)) = rest.split_at_mut_checked(plaintext_length) else {
            return incomplete(missing);
        };
        let Some(tag) = rest.first_chunk::<TAG>() else {
            return incomplete(missing);
        };
        self.key.open_in_place(nonce, &[], tag, text).map_err(|_| RecordError::Unauthentic)?;
        self.nonces.advance();
        let consumed = line_feed.saturating_add(LENGTH).saturating_add(length);
        if text.is_empty() {
            return Ok(Received::Closed { consumed });
        }
        Ok(Received::Message { consumed, message: Cow::Borrowed(text) })
    }
}

impl core::fmt::Debug for Reader {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("seed::Reader").field("nonces", &self.nonces).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use studioml_envelope_core::Aead as _;
    use studioml_envelope_rustcrypto::AEAD;

    use super::{Direction, Nonces, Reader, Received, RecordError, SharedKey, Writer};

    fn pair(next: u64) -> (Writer, Reader) {
        let direction = Direction::ServerToClient;
        let mut writer = Writer::new(SharedKey::new(AEAD.load(&[7; 32])), direction, 100);
        let mut reader = Reader::new(SharedKey::new(AEAD.load(&[7; 32])), direction, 100);
        (writer.nonces.next, reader.nonces.next) = (Some(next), Some(next));
        (writer, reader)
    }

    #[test]
    fn the_last_counter_is_used_and_none_follows() {
        let (mut writer, mut reader) = pair(u64::MAX);
        let mut record = Vec::new();
        writer.write(b"last", &mut record).unwrap();
        assert_eq!(&record[4..16], [1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
        assert!(matches!(reader.read(&mut record), Ok(Received::Message { .. })));

        let length = record.len();
        assert_eq!(writer.write(b"one more", &mut record), Err(RecordError::CounterExhausted));
        assert_eq!(writer.write_close(&mut record), Err(RecordError::CounterExhausted));
        assert_eq!(record.len(), length, "nothing was appended");

        // a peer that wraps: the record with counter 0 is authentic, and still refused
        let (mut wrapped, _) = pair(0);
        record.clear();
        wrapped.write(b"wrapped", &mut record).unwrap();
        assert_eq!(reader.read(&mut record), Err(RecordError::CounterExhausted));
    }

    #[test]
    fn a_counter_that_was_passed_over_is_refused() {
        let (mut writer, _) = pair(6);
        let (_, mut reader) = pair(5);
        let mut record = Vec::new();
        writer.write(b"sixth", &mut record).unwrap();
        assert_eq!(reader.read(&mut record), Err(RecordError::OutOfOrder));
    }

    #[test]
    fn nonces_begin_at_zero() {
        assert_eq!(Nonces::new(Direction::ClientToServer).peek(), Ok([0; 12]));
    }
}
