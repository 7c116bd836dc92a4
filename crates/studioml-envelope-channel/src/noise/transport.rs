//! Transport messages (docs/spec.md §8): `u16 be length || ciphertext || tag`, the plaintext being a marker byte and data.
//!
//! 0: more of the message follows; 1: last part of a message; 2: close, no data. Each direction rekeys by its own count.

use std::borrow::Cow;

use super::{MAX_PART, TAG, cipher::CipherState};
use crate::{
    RecordError,
    record::{Received, RecordOptions, Rekey},
};

const LENGTH: usize = 2;
const MARKER: usize = 1;

const MORE: u8 = 0;
const LAST: u8 = 1;
const CLOSE: u8 = 2;

/// A CipherState that changes its key as agreed. Both ends count the same messages and bytes.
struct Direction {
    cipher: CipherState,
    rekey: Rekey,
    messages: u64,
    bytes: u64,
}

impl Direction {
    const fn new(cipher: CipherState, rekey: Rekey) -> Self {
        Self { cipher, rekey, messages: 0, bytes: 0 }
    }

    fn encrypt(&mut self, text: &mut [u8]) -> Result<[u8; TAG], RecordError> {
        let tag = self.cipher.encrypt_with_ad(&[], text)?;
        self.count(text.len());
        Ok(tag)
    }

    fn decrypt(&mut self, tag: &[u8; TAG], text: &mut [u8]) -> Result<(), RecordError> {
        self.cipher.decrypt_with_ad(&[], tag, text)?;
        self.count(text.len());
        Ok(())
    }

    fn count(&mut self, text: usize) {
        let ciphertext = text.saturating_add(TAG);
        self.messages = self.messages.saturating_add(1);
        self.bytes = self.bytes.saturating_add(u64::try_from(ciphertext).unwrap_or(u64::MAX));
        if self.messages >= self.rekey.messages.get() || self.rekey.bytes.is_some_and(|limit| self.bytes >= limit.get())
        {
            self.cipher.rekey();
            (self.messages, self.bytes) = (0, 0);
        }
    }
}

/// Writes transport messages of one direction.
pub(crate) struct Writer {
    direction: Direction,
    max_message: usize,
    /// A part has gone out and more of the message follows. A message too large is refused before its first part.
    in_progress: bool,
    closed: bool,
}

impl Writer {
    pub(super) const fn new(cipher: CipherState, options: RecordOptions) -> Self {
        let direction = Direction::new(cipher, options.rekey);
        Self { direction, max_message: options.max_message, in_progress: false, closed: false }
    }

    pub(crate) fn write_part<'m>(
        &mut self,
        message: &'m [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<&'m [u8]>, RecordError> {
        if !self.in_progress && message.len() > self.max_message {
            return Err(RecordError::TooLarge { maximum: self.max_message });
        }
        let (part, rest) = message.split_at_checked(MAX_PART).unwrap_or((message, &[]));
        let marker = if rest.is_empty() { LAST } else { MORE };
        self.write_transport_message(marker, part, out)?;
        self.in_progress = marker == MORE;
        Ok(self.in_progress.then_some(rest))
    }

    pub(crate) fn write_close(&mut self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        self.write_transport_message(CLOSE, &[], out)?;
        self.closed = true;
        Ok(())
    }

    fn write_transport_message(&mut self, marker: u8, data: &[u8], out: &mut Vec<u8>) -> Result<(), RecordError> {
        if self.closed {
            return Err(RecordError::Closed);
        }
        let length = data.len().saturating_add(MARKER + TAG);
        let length_prefix = u16::try_from(length).map_err(|_| RecordError::TooLarge { maximum: MAX_PART })?;
        let start = out.len();
        out.reserve(length.saturating_add(LENGTH));
        out.extend_from_slice(&length_prefix.to_be_bytes());
        out.push(marker);
        out.extend_from_slice(data);
        let text = out.get_mut(start.saturating_add(LENGTH)..).unwrap_or_default();
        match self.direction.encrypt(text) {
            Ok(tag) => {
                out.extend_from_slice(&tag);
                Ok(())
            }
            Err(exhausted) => {
                // nothing unencrypted may stay in what is about to be sent
                out.truncate(start);
                Err(exhausted)
            }
        }
    }
}

impl core::fmt::Debug for Writer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("noise::Writer").field("closed", &self.closed).finish_non_exhaustive()
    }
}

/// Reads transport messages of one direction.
pub(crate) struct Reader {
    direction: Direction,
    max_message: usize,
    /// The parts of a message that goes on.
    parts: Option<Vec<u8>>,
    over: bool,
}

impl Reader {
    pub(super) const fn new(cipher: CipherState, options: RecordOptions) -> Self {
        let direction = Direction::new(cipher, options.rekey);
        Self { direction, max_message: options.max_message, parts: None, over: false }
    }

    pub(crate) const fn is_mid_message(&self) -> bool {
        self.parts.is_some()
    }

    pub(crate) fn buffered(&self) -> usize {
        self.parts.as_ref().map_or(0, Vec::capacity)
    }

    pub(crate) fn read<'a>(&mut self, buffer: &'a mut [u8]) -> Result<Received<'a>, RecordError> {
        if self.over {
            return Err(RecordError::Closed);
        }
        let result = self.read_transport_message(buffer);
        self.over = matches!(result, Err(_) | Ok(Received::Closed { .. }));
        result
    }

    fn read_transport_message<'a>(&mut self, buffer: &'a mut [u8]) -> Result<Received<'a>, RecordError> {
        const MINIMUM: usize = MARKER + TAG;
        let incomplete = |missing: usize| Ok(Received::Incomplete { consumed: 0, missing });

        let available = buffer.len();
        let Some((length, rest)) = buffer.split_first_chunk_mut::<LENGTH>() else {
            return incomplete(LENGTH.saturating_sub(available));
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length < MINIMUM {
            return Err(RecordError::Length { found: length, minimum: MINIMUM, maximum: super::MAX_NOISE_MESSAGE });
        }
        let missing = length.saturating_sub(rest.len());
        let Some((message, _)) = rest.split_at_mut_checked(length) else {
            return incomplete(missing);
        };
        let Some((text, tag)) = message.split_last_chunk_mut::<TAG>() else {
            return incomplete(missing);
        };
        self.direction.decrypt(tag, text)?;
        let Some((marker, data)) = text.split_first() else {
            return Err(RecordError::Marker);
        };
        let consumed = LENGTH.saturating_add(length);
        match *marker {
            MORE => self.join(data).map(|()| Received::Part { consumed }),
            LAST if self.parts.is_some() => {
                self.join(data)?;
                let message = self.parts.take().unwrap_or_default();
                Ok(Received::Message { consumed, message: Cow::Owned(message) })
            }
            LAST if data.len() > self.max_message => Err(RecordError::TooLarge { maximum: self.max_message }),
            LAST => Ok(Received::Message { consumed, message: Cow::Borrowed(data) }),
            // a close in the middle of a message would pass a cut message off as an orderly end
            CLOSE if data.is_empty() && self.parts.is_none() => Ok(Received::Closed { consumed }),
            _ => Err(RecordError::Marker),
        }
    }

    fn join(&mut self, data: &[u8]) -> Result<(), RecordError> {
        let parts = self.parts.get_or_insert_default();
        if parts.len().saturating_add(data.len()) > self.max_message {
            return Err(RecordError::TooLarge { maximum: self.max_message });
        }
        parts.extend_from_slice(data);
        Ok(())
    }
}

impl core::fmt::Debug for Reader {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("noise::Reader").field("over", &self.over).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use studioml_envelope_rustcrypto::AEAD;

    use super::{CipherState, Reader, Received, RecordError, RecordOptions, Writer};

    fn pair(n: u64) -> (Writer, Reader) {
        let mut writer = Writer::new(CipherState::new(&AEAD, &[7; 32]), RecordOptions::default());
        let mut reader = Reader::new(CipherState::new(&AEAD, &[7; 32]), RecordOptions::default());
        writer.direction.cipher.set_nonce(n);
        reader.direction.cipher.set_nonce(n);
        (writer, reader)
    }

    #[test]
    fn the_reserved_nonce_is_never_used_for_a_message() {
        let (mut writer, mut reader) = pair(u64::MAX - 1);
        let mut record = Vec::new();
        writer.write_part(b"last", &mut record).unwrap();
        assert!(matches!(reader.read(&mut record.clone()), Ok(Received::Message { .. })));

        let length = record.len();
        assert_eq!(writer.write_part(b"one more", &mut record), Err(RecordError::CounterExhausted));
        assert_eq!(writer.write_close(&mut record), Err(RecordError::CounterExhausted));
        assert_eq!(record.len(), length, "no plaintext is left in the output");
        assert_eq!(reader.read(&mut record), Err(RecordError::CounterExhausted));
    }

    #[test]
    fn rekeying_goes_on_counting() {
        let (mut writer, _) = pair(41);
        writer.direction.rekey.messages = core::num::NonZeroU64::MIN;
        writer.write_part(b"x", &mut Vec::new()).unwrap();
        assert_eq!(writer.direction.cipher.nonce(), 42);
    }
}
