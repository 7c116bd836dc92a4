//! Records after the handshake, the same face for both modes: messages in, bytes out, and bytes in, messages out (docs/spec.md §8).
//!
//! No I/O happens here. The caller owns the buffer of what has arrived, and records are opened in place in it, so that a
//! message that fits one record is never copied.

use core::num::NonZeroU64;
use std::{borrow::Cow, sync::Arc};

use crate::{RecordError, noise, peer::Peer, seed};

/// The largest application message unless told otherwise, in bytes: 16 MiB.
pub const DEFAULT_MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// What both ends have to agree on beyond the wire format's defaults, and how much one is willing to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordOptions {
    /// The largest application message that is sent or accepted, in bytes. In mode `seed` never more than 16 MiB.
    pub max_message: usize,
    /// When a direction of mode `noise` changes its key. **Both ends must have the same numbers**: nothing on the wire tells, and
    /// with other ones the channel fails at the first key that is changed. docs/spec.md §8.2.4 fixes 65,536 messages, which is the
    /// default here and what other implementations have; anything else is between two programs that were both told so.
    pub rekey: Rekey,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self { max_message: DEFAULT_MAX_MESSAGE, rekey: Rekey::default() }
    }
}

/// When a direction of mode `noise` changes its key: after so many transport messages, or so many bytes, whichever is first.
///
/// Nothing on the wire announces it; both ends count, and both must have the same numbers. Other implementations have the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rekey {
    /// Transport messages per key.
    pub messages: NonZeroU64,
    /// Bytes of ciphertext with tags, without length prefixes, per key. The message that reaches the number is the last.
    pub bytes: Option<NonZeroU64>,
}

impl Rekey {
    /// Transport messages per key on the wire of docs/spec.md §8.
    pub const DEFAULT_MESSAGES: NonZeroU64 = NonZeroU64::MIN.saturating_add(65_535);
}

impl Default for Rekey {
    fn default() -> Self {
        Self { messages: Self::DEFAULT_MESSAGES, bytes: None }
    }
}

/// What a handshake ends in: one value per direction, and who is at the other end.
#[derive(Debug)]
pub struct Established {
    /// Writes what this end sends.
    pub writer: RecordWriter,
    /// Reads what the other end sends.
    pub reader: RecordReader,
    /// Who is at the other end.
    pub peer: Arc<Peer>,
}

/// Turns messages into records, one direction.
#[derive(Debug)]
pub struct RecordWriter(pub(crate) Writer);

#[derive(Debug)]
pub(crate) enum Writer {
    Seed(seed::Writer),
    Noise(noise::Writer),
}

impl RecordWriter {
    /// Appends the next record of a message to `out` and returns what is left of the message; `None` when it was the last.
    ///
    /// A message in mode `seed` is one record. In mode `noise` a record carries at most 65,518 bytes of it, so that a large
    /// message needs no second buffer of its size.
    ///
    /// # Errors
    /// [`RecordError::TooLarge`], [`RecordError::EmptyMessage`], [`RecordError::CounterExhausted`] or
    /// [`RecordError::Closed`]. Nothing was appended then.
    pub fn write_part<'m>(&mut self, message: &'m [u8], out: &mut Vec<u8>) -> Result<Option<&'m [u8]>, RecordError> {
        match &mut self.0 {
            Writer::Seed(writer) => writer.write(message, out).map(|()| None),
            Writer::Noise(writer) => writer.write_part(message, out),
        }
    }

    /// Appends all records of a message to `out`.
    ///
    /// # Errors
    /// As [`write_part`](Self::write_part). `out` then ends with the records before the failure.
    pub fn write_message(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), RecordError> {
        let mut rest = self.write_part(message, out)?;
        while let Some(message) = rest {
            rest = self.write_part(message, out)?;
        }
        Ok(())
    }

    /// Appends the orderly close to `out`. Nothing can be written after it.
    ///
    /// # Errors
    /// [`RecordError::CounterExhausted`] or [`RecordError::Closed`].
    pub fn write_close(&mut self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        match &mut self.0 {
            Writer::Seed(writer) => writer.write_close(out),
            Writer::Noise(writer) => writer.write_close(out),
        }
    }
}

/// Turns records into messages, one direction.
#[derive(Debug)]
pub struct RecordReader(pub(crate) Reader);

#[derive(Debug)]
pub(crate) enum Reader {
    Seed(seed::Reader),
    Noise(noise::Reader),
}

/// What a [`RecordReader`] made of the bytes at hand.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// No whole record is there.
    Incomplete {
        /// Bytes to drop from the front of the buffer: the line feed that may follow the seed's PEM, else 0.
        consumed: usize,
        /// How many more bytes the record needs, as far as is known: at least 1.
        missing: usize,
    },
    /// A record that is part of a message that goes on.
    Part {
        /// Bytes to drop from the front of the buffer.
        consumed: usize,
    },
    /// A whole message.
    Message {
        /// Bytes to drop from the front of the buffer, once the message has been used.
        consumed: usize,
        /// The message: borrowed from the buffer where it came in one record, owned where it was joined.
        message: Cow<'a, [u8]>,
    },
    /// The orderly close. An end of the stream without it is truncation.
    Closed {
        /// Bytes to drop from the front of the buffer.
        consumed: usize,
    },
}

impl RecordReader {
    /// Reads the record at the front of `buffer`, decrypting it in place.
    ///
    /// # Errors
    /// [`RecordError`]; every further call gives [`RecordError::Closed`].
    pub fn read<'a>(&mut self, buffer: &'a mut [u8]) -> Result<Received<'a>, RecordError> {
        match &mut self.0 {
            Reader::Seed(reader) => reader.read(buffer),
            Reader::Noise(reader) => reader.read(buffer),
        }
    }

    /// How many bytes are kept of a message that has begun.
    #[must_use]
    pub fn buffered(&self) -> usize {
        match &self.0 {
            Reader::Seed(_) => 0,
            Reader::Noise(reader) => reader.buffered(),
        }
    }

    /// Whether a message has begun and not ended: some of its records were consumed.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        match &self.0 {
            Reader::Seed(_) => false,
            Reader::Noise(reader) => reader.is_mid_message(),
        }
    }
}
