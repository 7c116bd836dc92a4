//! A channel over any `AsyncRead + AsyncWrite`: the state machines, buffers that are there only while bytes move, deadlines.
//!
//! The attacker is slow, silent, or announces more than it sends: memory grows with what has arrived and never with what was
//! announced, and every wait has an end.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    time::{Instant, timeout, timeout_at},
};
use zeroize::Zeroizing;

use crate::{
    Established, Handshake, HandshakeError, MAX_HANDSHAKE_INPUT, Peer, Progress, Received, RecordError,
    budget::{Budget, Held},
};

/// How long the other end may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For the whole handshake.
    pub handshake: Duration,
    /// From the first byte of a message to its last.
    pub message: Duration,
    /// Between messages; `None` waits for ever.
    pub idle: Option<Duration>,
    /// To take each 128 KiB that are written to it.
    pub write: Duration,
    /// To end its side once this side is closed.
    pub linger: Duration,
}

impl Default for Deadlines {
    /// 10 s for a handshake, 120 s for a message, 15 min between messages, 30 s to take 128 KiB, 2 s to end.
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            message: Duration::from_secs(120),
            idle: Some(Duration::from_secs(15 * 60)),
            write: Duration::from_secs(30),
            linger: Duration::from_secs(2),
        }
    }
}

/// A channel failed. It is to be dropped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The handshake failed.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// A record is bad, or cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The stream failed.
    #[error("network: {0}")]
    Io(#[from] io::Error),
    /// The stream ended before the handshake was complete.
    #[error("the connection ended during the handshake")]
    EndedInHandshake,
    /// The stream ended without the orderly close: what was sent last may be missing.
    #[error("the connection was cut: it ended without a close")]
    Truncated,
    /// The other end was too slow.
    #[error("deadline: {waiting_for} took longer than {} s", .limit.as_secs_f64())]
    Deadline {
        /// What was waited for.
        waiting_for: &'static str,
        /// The deadline that passed.
        limit: Duration,
    },
    /// Nothing arrived between messages for the idle time.
    #[error("nothing arrived for {} s", .limit.as_secs_f64())]
    Idle {
        /// The idle time.
        limit: Duration,
    },
    /// The server made room: all its places for handshakes were taken and this was the oldest.
    #[error("the handshake was given up to make room for others")]
    CrowdedOut,
    /// The peer was taken off the list of peers while connected.
    #[error("the peer is not on the list of peers any more")]
    Revoked,
    /// The messages in progress on all connections take all the memory that the server gives them, and this one asked for more.
    #[error("the messages in progress take all the memory there is for them")]
    NoRoom,
    /// An earlier [`send`](Channel::send) was dropped half way.
    #[error("an earlier message was sent in part only")]
    Interrupted,
}

/// The most that is written, and waited for, at once.
const WRITE_CHUNK: usize = 128 * 1024;
/// Records are collected until there is so much to write: the largest Noise message is not cut into a large and a tiny packet.
const COLLECTED: usize = WRITE_CHUNK / 2;
/// What is read at once from a connection that was idle, on the stack.
const FIRST_READ: usize = 16 * 1024;
/// Read buffers of busy connections grow to this unless a record needs more.
const BUSY_BUFFER: usize = 256 * 1024;
/// What a closed connection may still send before it is cut.
const LINGER_BYTES: usize = 1024 * 1024;

/// An established channel over a stream.
///
/// An idle channel holds no buffers.
pub struct Channel<S> {
    stream: S,
    records: Box<Established>,
    incoming: Incoming,
    outgoing: Vec<u8>,
    deadlines: Deadlines,
    /// When the first byte of the message in progress was there.
    message_began: Option<Instant>,
    closed_by_peer: bool,
    sending: bool,
    held: Held,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Channel<S> {
    /// Runs a handshake over `stream`.
    ///
    /// # Errors
    /// [`ChannelError`]; the stream is dropped and nothing was said about why.
    pub async fn establish(stream: S, handshake: Handshake, deadlines: Deadlines) -> Result<Self, ChannelError> {
        let limit = deadlines.handshake;
        timeout(limit, Self::shake_hands(stream, handshake, deadlines))
            .await
            .unwrap_or(Err(ChannelError::Deadline { waiting_for: "the handshake", limit }))
    }

    async fn shake_hands(mut stream: S, mut handshake: Handshake, deadlines: Deadlines) -> Result<Self, ChannelError> {
        let mut input = Vec::with_capacity(256);
        let mut output = Vec::with_capacity(256);
        loop {
            let progress = handshake.advance(&input, &mut output)?;
            if !output.is_empty() {
                stream.write_all(&output).await?;
                stream.flush().await?;
                output.clear();
            }
            match progress {
                Progress::Complete { consumed, established } => {
                    input.drain(..consumed);
                    return Ok(Self {
                        stream,
                        records: established,
                        incoming: Incoming { bytes: Zeroizing::new(input), start: 0 },
                        outgoing: Vec::new(),
                        deadlines,
                        message_began: None,
                        closed_by_peer: false,
                        sending: false,
                        held: Held::default(),
                    });
                }
                Progress::Incomplete { consumed } => drop(input.drain(..consumed)),
            }
            // neither mode leaves that much unconsumed; whoever sends more waits in the kernel's buffer
            let room = MAX_HANDSHAKE_INPUT.saturating_sub(input.len());
            if (&mut stream).take(u64::try_from(room).unwrap_or(0)).read_buf(&mut input).await? == 0 {
                return Err(ChannelError::EndedInHandshake);
            }
        }
    }

    /// Counts the messages that it receives from now on against a budget.
    pub(crate) fn count_against(&mut self, budget: Arc<Budget>) {
        self.held = Held::of(budget);
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> &Arc<Peer> {
        &self.records.peer
    }

    /// The stream below.
    #[must_use]
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// Whether a part of a message has arrived and its end has not.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        !self.incoming.unread().is_empty() || self.records.reader.is_mid_message()
    }

    /// Sends one message.
    ///
    /// Not cancel safe: a future dropped half way leaves the channel unable to send.
    ///
    /// # Errors
    /// [`ChannelError`]. After [`RecordError::TooLarge`] and [`RecordError::EmptyMessage`] the channel is as before.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), ChannelError> {
        if self.sending {
            return Err(ChannelError::Interrupted);
        }
        let mut rest = self.records.writer.write_part(message, &mut self.outgoing)?;
        self.sending = true;
        while let Some(message) = rest {
            if self.outgoing.len() >= COLLECTED {
                self.write_outgoing().await?;
            }
            rest = self.records.writer.write_part(message, &mut self.outgoing)?;
        }
        self.write_outgoing().await?;
        self.sending = false;
        Ok(())
    }

    /// Receives one message; `None` is the orderly close.
    ///
    /// Cancel safe: what has arrived stays.
    ///
    /// # Errors
    /// [`ChannelError`]; [`ChannelError::Truncated`] if the stream ended without a close.
    pub async fn receive(&mut self) -> Result<Option<Vec<u8>>, ChannelError> {
        while !self.closed_by_peer {
            let (consumed, missing) = match self.records.reader.read(self.incoming.unread_mut())? {
                Received::Message { consumed, message } => {
                    let message = message.into_owned();
                    self.incoming.consume(consumed);
                    self.hold(message.len())?; // until the next call: the caller has it meanwhile
                    self.message_began = None;
                    return Ok(Some(message));
                }
                Received::Closed { consumed } => {
                    self.closed_by_peer = true;
                    (consumed, None)
                }
                Received::Part { consumed } => (consumed, None),
                Received::Incomplete { consumed, missing } => (consumed, Some(missing)),
            };
            self.incoming.consume(consumed);
            if let Some(missing) = missing
                && self.fill(missing).await? == 0
            {
                return Err(ChannelError::Truncated);
            }
        }
        Ok(None)
    }

    /// Ends the channel in order: the close is sent, and the other end gets a moment to end its side.
    ///
    /// # Errors
    /// [`ChannelError`] if the close could not be sent.
    pub async fn close(mut self) -> Result<(), ChannelError> {
        if self.sending {
            return Err(ChannelError::Interrupted);
        }
        self.records.writer.write_close(&mut self.outgoing)?;
        self.write_outgoing().await?;
        self.stream.shutdown().await?;
        // A socket that is closed with unread input resets the connection, and the peer may lose what was sent to it last.
        let _ = timeout(self.deadlines.linger, discard(&mut self.stream)).await;
        Ok(())
    }

    /// Answers for the read buffer and `beside` it.
    fn hold(&mut self, beside: usize) -> Result<(), ChannelError> {
        let bytes = self.incoming.bytes.capacity().saturating_add(beside);
        if self.held.hold(bytes) { Ok(()) } else { Err(ChannelError::NoRoom) }
    }

    async fn write_outgoing(&mut self) -> Result<(), ChannelError> {
        let limit = self.deadlines.write;
        let write = async |stream: &mut S, chunk: &[u8]| {
            let slow = |_| ChannelError::Deadline { waiting_for: "writing", limit };
            timeout(limit, stream.write_all(chunk)).await.map_err(slow)?.map_err(ChannelError::Io)
        };
        for chunk in self.outgoing.chunks(WRITE_CHUNK) {
            write(&mut self.stream, chunk).await?;
        }
        self.stream.flush().await?;
        self.outgoing.clear();
        Ok(())
    }

    /// Waits for more bytes: until the message's deadline where one has begun, else for the idle time. 0 is the end.
    async fn fill(&mut self, missing: usize) -> Result<usize, ChannelError> {
        let (deadline, too_late) = if self.is_mid_message() {
            let limit = self.deadlines.message;
            let began = *self.message_began.get_or_insert_with(Instant::now);
            (began.checked_add(limit), ChannelError::Deadline { waiting_for: "the rest of a message", limit })
        } else {
            let limit = self.deadlines.idle;
            let until = limit.and_then(|limit| Instant::now().checked_add(limit));
            (until, ChannelError::Idle { limit: limit.unwrap_or_default() })
        };
        self.incoming.make_room(missing);
        self.hold(self.records.reader.buffered())?;
        let buffered = self.records.reader.buffered();
        let (stream, incoming, outgoing, held) =
            (&mut self.stream, &mut self.incoming, &mut self.outgoing, &mut self.held);
        let read = poll_fn(|cx| {
            let read = incoming.poll_read(Pin::new(&mut *stream), outgoing, cx);
            if read.is_pending() {
                // a buffer that was given back before the wait is others' to use; less than was held is always granted
                held.hold(incoming.bytes.capacity().saturating_add(buffered));
            }
            read
        });
        match deadline {
            Some(deadline) => timeout_at(deadline, read).await.map_err(|_| too_late)?,
            None => read.await,
        }
        .map_err(ChannelError::Io)
    }
}

impl<S> core::fmt::Debug for Channel<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Channel").field("peer", &self.records.peer).finish_non_exhaustive()
    }
}

async fn discard(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut allowance = LINGER_BYTES;
    let mut sink = vec![0; 4096];
    while allowance > 0 {
        match stream.read(&mut sink).await? {
            0 => break,
            read => allowance = allowance.saturating_sub(read),
        }
    }
    Ok(())
}

/// What has arrived and was not used yet. Records are decrypted in it, so it is wiped before its memory is given back.
struct Incoming {
    bytes: Zeroizing<Vec<u8>>,
    start: usize,
}

impl Incoming {
    fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    fn unread_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..).unwrap_or_default()
    }

    fn consume(&mut self, consumed: usize) {
        self.start = self.start.saturating_add(consumed);
        if self.start >= self.bytes.len() {
            self.start = 0;
            self.bytes.clear();
        }
    }

    /// Makes room for some of the `missing` bytes of a record: no more at once than has arrived of it already, so that an
    /// announced length costs nobody any memory. A buffer that was filled to the brim grows, too: the connection is busy.
    fn make_room(&mut self, missing: usize) {
        if self.bytes.capacity() == 0 {
            return; // idle: the next read goes through the stack
        }
        let unread = self.unread().len();
        let wanted = unread.saturating_add(missing.min(unread.max(FIRST_READ)));
        let busy = self.bytes.len() == self.bytes.capacity() && self.bytes.capacity() < BUSY_BUFFER;
        let doubled = if busy { self.bytes.capacity().saturating_mul(2) } else { 0 };
        let capacity = wanted.max(doubled);
        if capacity > self.bytes.capacity() {
            // not `reserve`: it would free the old buffer without wiping it
            let mut grown = Zeroizing::new(Vec::with_capacity(capacity));
            grown.extend_from_slice(self.unread());
            (self.bytes, self.start) = (grown, 0);
        } else if self.start > 0 {
            let end = self.bytes.len();
            self.bytes.copy_within(self.start..end, 0);
            self.bytes.truncate(unread);
            self.start = 0;
        }
    }

    /// Reads what is there. A connection with nothing to read and nothing begun gives its buffers back before it waits.
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: Pin<&mut S>,
        outgoing: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let read = if self.bytes.capacity() > 0 { self.poll_more(stream, cx) } else { self.poll_first(stream, cx) };
        if read.is_pending() && self.bytes.is_empty() {
            self.bytes = Zeroizing::default();
            *outgoing = Vec::new();
        }
        read
    }

    fn poll_more<S: AsyncRead + Unpin>(
        &mut self,
        mut stream: Pin<&mut S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        pin!(stream.read_buf(&mut *self.bytes)).poll(cx)
    }

    /// By way of the stack: whoever waits for a first byte holds no memory for it.
    fn poll_first<S: AsyncRead + Unpin>(
        &mut self,
        stream: Pin<&mut S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut on_stack = [MaybeUninit::uninit(); FIRST_READ];
        let mut arrived = ReadBuf::uninit(&mut on_stack);
        std::task::ready!(stream.poll_read(cx, &mut arrived))?;
        self.bytes.extend_from_slice(arrived.filled());
        Poll::Ready(Ok(arrived.filled().len()))
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::Pin, sync::Arc};

    use studioml_envelope_core::AgreeStatic as _;
    use studioml_envelope_rustcrypto::{AGREE_STATIC, DIGEST, PROVIDER, RANDOM};
    use tokio::io::{DuplexStream, duplex};

    use super::{BUSY_BUFFER, Channel, ChannelError, Deadlines, FIRST_READ, Incoming};
    use crate::{
        Handshake, PeerKey, Pins, RecordOptions,
        budget::Budget,
        noise::{self, LocalKey},
        seed,
    };

    /// Both ends of each mode.
    fn handshakes() -> [(Handshake, Handshake); 2] {
        let options = RecordOptions::default();
        let key = AGREE_STATIC.generate(&RANDOM).unwrap();
        let pins = Arc::new(Pins::new([*PeerKey::new(*key.public_key(), &DIGEST).fingerprint()]));
        let key = LocalKey::load(&PROVIDER, &key).unwrap();
        [
            (
                seed::Handshake::unauthenticated_client(&PROVIDER, options).into(),
                seed::Handshake::unauthenticated_server(&PROVIDER, options).into(),
            ),
            (
                noise::Handshake::initiator(&PROVIDER, key.clone(), pins.clone(), options).into(),
                noise::Handshake::responder(&PROVIDER, key, pins, options).into(),
            ),
        ]
    }

    /// Both ends, after their handshake; so many bytes may be under way each way.
    async fn established(
        (client, server): (Handshake, Handshake),
        under_way: usize,
    ) -> (Channel<DuplexStream>, Channel<DuplexStream>) {
        let (left, right) = duplex(under_way);
        let (client, server) = tokio::join!(
            Channel::establish(left, client, Deadlines::default()),
            Channel::establish(right, server, Deadlines::default())
        );
        (client.unwrap(), server.unwrap())
    }

    #[tokio::test]
    async fn an_idle_channel_gives_the_memory_of_its_last_message_back() {
        const MESSAGE: usize = 1 << 20;
        for handshakes in handshakes() {
            let (mut client, mut server) = established(handshakes, 1 << 16).await;
            let budget = Budget::new(4 * MESSAGE);
            server.count_against(budget.clone());
            let message = vec![7; MESSAGE];
            let (sent, received) = tokio::join!(client.send(&message), server.receive());
            sent.unwrap();
            assert_eq!(received.unwrap().unwrap(), message);
            assert!(budget.left() < 3 * MESSAGE + MESSAGE / 2, "whoever has the message has not given it back yet");
            {
                let mut waiting = std::pin::pin!(server.receive());
                assert!(poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx))).await.is_pending());
            }
            assert_eq!(budget.left(), 4 * MESSAGE);
        }
    }

    #[tokio::test]
    async fn small_messages_need_none_of_the_budget() {
        for handshakes in handshakes() {
            let (mut client, mut server) = established(handshakes, 1 << 16).await;
            server.count_against(Budget::new(0));
            for size in [1, 6000, 10_000] {
                client.send(&vec![7; size]).await.unwrap();
                assert_eq!(server.receive().await.unwrap().unwrap().len(), size);
            }
            client.send(&vec![7; 40_000]).await.unwrap();
            assert!(matches!(server.receive().await, Err(ChannelError::NoRoom)));
        }
    }

    #[tokio::test]
    async fn a_channel_that_waits_for_an_answer_holds_nothing_of_what_it_sent() {
        for handshakes in handshakes() {
            let (mut client, _server) = established(handshakes, 4 << 20).await;
            // the second time there is no buffer to read into either
            for _ in 0..2 {
                client.send(&vec![7; 1 << 20]).await.unwrap();
                {
                    let mut waiting = std::pin::pin!(client.receive());
                    assert!(poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx))).await.is_pending());
                }
                assert_eq!((client.incoming.bytes.capacity(), client.outgoing.capacity()), (0, 0));
            }
        }
    }

    async fn read(incoming: &mut Incoming, mut stream: &[u8]) -> usize {
        poll_fn(|cx| incoming.poll_read(Pin::new(&mut stream), &mut Vec::new(), cx)).await.unwrap()
    }

    #[tokio::test]
    async fn memory_follows_what_has_arrived_and_not_what_was_announced() {
        let mut incoming = Incoming { bytes: Default::default(), start: 0 };
        let announced = 16 * 1024 * 1024;
        let mut arrived = 0;
        for _ in 0..5000 {
            incoming.make_room(announced - arrived);
            arrived += read(&mut incoming, &[7; 33]).await;
            let capacity = incoming.bytes.capacity();
            assert!(capacity <= 2 * arrived + FIRST_READ, "{capacity} bytes for {arrived}");
        }
        assert_eq!(incoming.unread(), vec![7; 5000 * 33]);
    }

    #[tokio::test]
    async fn a_busy_connection_reads_in_large_pieces_and_no_larger() {
        let mut incoming = Incoming { bytes: Default::default(), start: 0 };
        let mut largest = 0;
        for _ in 0..1000 {
            incoming.make_room(19);
            let length = read(&mut incoming, &vec![7; 1 << 20]).await;
            largest = length.max(largest);
            incoming.consume(incoming.unread().len() - 1);
            assert!(incoming.bytes.capacity() <= BUSY_BUFFER);
        }
        assert!(largest > BUSY_BUFFER / 2, "{largest}");
    }

    #[test]
    fn consuming_keeps_the_rest() {
        let mut incoming = Incoming { bytes: zeroize::Zeroizing::new(b"one two".to_vec()), start: 0 };
        incoming.consume(4);
        incoming.make_room(1);
        assert_eq!(incoming.unread_mut(), b"two");
        incoming.consume(3);
        assert!(incoming.unread().is_empty());
    }
}
