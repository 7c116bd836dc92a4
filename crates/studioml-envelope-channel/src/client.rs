//! The client of a channel: connects, submits messages, reads receipts.

use std::{sync::Arc, time::Duration};

use studioml_envelope_core::Provider;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, ToSocketAddrs},
    time::timeout,
};

use crate::{
    Channel, ChannelError, Deadlines, Handshake, Peer, PeerPolicy, Receipt, ReceiptError, RecordOptions,
    noise::{self, LocalKey},
    seed, tcp,
};

/// How a client makes channels: in which mode, as whom, to whom.
#[derive(Clone)]
pub struct Connector {
    provider: Provider,
    mode: Mode,
    deadlines: Deadlines,
    records: RecordOptions,
}

#[derive(Clone)]
enum Mode {
    Noise { key: LocalKey, servers: Arc<dyn PeerPolicy> },
    SeedUnauthenticated,
}

/// Submitting a message failed. Whether the server took it is not known.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The channel failed.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The server answered with something else than a receipt.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// The server closed the channel instead of answering.
    #[error("the server closed the channel without a receipt")]
    ClosedByServer,
    /// An earlier [`submit`](Client::submit) was dropped or failed before its receipt was there. Whatever comes now may be that
    /// one, so that nothing more can be submitted here.
    #[error("an earlier message was sent and its receipt not waited for")]
    Interrupted,
}

impl Connector {
    /// Mode `noise`: this end proves `key`, the server has to be one of `servers`.
    #[must_use]
    pub fn noise(provider: &Provider, key: LocalKey, servers: Arc<dyn PeerPolicy>) -> Self {
        Self::new(provider, Mode::Noise { key, servers })
    }

    /// Mode `seed`: **anybody in the middle can read and change what is sent.**
    #[must_use]
    pub fn seed_unauthenticated(provider: &Provider) -> Self {
        Self::new(provider, Mode::SeedUnauthenticated)
    }

    fn new(provider: &Provider, mode: Mode) -> Self {
        // a receipt may wait for a disk or a broker behind the server, but not for ever
        let deadlines = Deadlines { idle: Some(Duration::from_secs(120)), ..Deadlines::default() };
        Self { provider: *provider, mode, deadlines, records: RecordOptions::default() }
    }

    /// Other deadlines than the default; `idle` is how long a receipt may take, 120 s unless told otherwise.
    #[must_use]
    pub const fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// Other limits than the default.
    #[must_use]
    pub const fn with_records(mut self, records: RecordOptions) -> Self {
        self.records = records;
        self
    }

    /// Connects over TCP. Name resolution and connecting have the handshake's deadline, and the handshake has it again.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub async fn connect(&self, address: impl ToSocketAddrs) -> Result<Client<TcpStream>, ChannelError> {
        let limit = self.deadlines.handshake;
        let stream = timeout(limit, tcp::connect(address))
            .await
            .map_err(|_| ChannelError::Deadline { waiting_for: "the connection", limit })??;
        self.over(stream).await
    }

    /// Makes a channel over a stream that is connected already.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub async fn over<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Result<Client<S>, ChannelError> {
        let handshake = match &self.mode {
            Mode::Noise { key, servers } => Handshake::from(noise::Handshake::initiator(
                &self.provider,
                key.clone(),
                Arc::clone(servers),
                self.records,
            )),
            Mode::SeedUnauthenticated => seed::Handshake::unauthenticated_client(&self.provider, self.records).into(),
        };
        let channel = Box::pin(Channel::establish(stream, handshake, self.deadlines)).await?;
        Ok(Client { channel, receipt_is_due: false })
    }
}

impl core::fmt::Debug for Connector {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mode = match self.mode {
            Mode::Noise { .. } => "noise",
            Mode::SeedUnauthenticated => "seed, unauthenticated",
        };
        f.debug_struct("Connector").field("mode", &mode).finish_non_exhaustive()
    }
}

/// A client's end of an established channel.
#[derive(Debug)]
pub struct Client<S> {
    channel: Channel<S>,
    /// Whether a message was sent whose receipt has not been read: receipts bear no name, only their order tells whose they are.
    receipt_is_due: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Who the server is.
    #[must_use]
    pub const fn peer(&self) -> &Arc<Peer> {
        self.channel.peer()
    }

    /// Sends one message and waits for its receipt.
    ///
    /// Not cancel safe: after a future that was dropped half way nothing more can be submitted.
    ///
    /// # Errors
    /// [`SubmitError`]. A refusal is no error: it is a receipt.
    pub async fn submit(&mut self, message: &[u8]) -> Result<Receipt, SubmitError> {
        if self.receipt_is_due {
            return Err(SubmitError::Interrupted);
        }
        self.channel.send(message).await?;
        self.receipt_is_due = true;
        let answer = self.channel.receive().await?;
        self.receipt_is_due = false;
        Ok(Receipt::from_json(&answer.ok_or(SubmitError::ClosedByServer)?)?)
    }

    /// Ends the channel in order.
    ///
    /// # Errors
    /// [`ChannelError`] if the close could not be sent. Every receipt read before it stands.
    pub async fn close(self) -> Result<(), ChannelError> {
        self.channel.close().await
    }

    /// The channel itself, for messages that are no submissions.
    #[must_use]
    pub fn into_channel(self) -> Channel<S> {
        self.channel
    }
}
