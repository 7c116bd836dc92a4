//! P-256 ECDH channel for StudioML: StudioML's first exchange (mode `seed`) and Noise XX, without I/O and over tokio (docs/spec.md §8).
//!
//! | mode | what it is | who is at the other end |
//! |---|---|---|
//! | [`noise`], the default | `Noise_XX_P256_AESGCM_SHA256` | proved by a static key, pinned by fingerprint |
//! | [`seed`] | the exchange that StudioML first described, then AES-256-GCM records | anybody: its constructors say `unauthenticated` |
//!
//! Two layers. Below, state machines without I/O: a [`Handshake`] takes bytes and gives bytes until it is complete, then a
//! [`RecordWriter`] turns messages into bytes and a [`RecordReader`] bytes into messages. They run over the slots of any
//! [`Provider`](studioml_envelope_core::Provider). Above, with the feature `tokio` (on by default): a [`Channel`] over any
//! `AsyncRead + AsyncWrite`, a client ([`Connector`]) that submits messages and reads receipts, and a [`Server`] with caps and
//! deadlines that serves many of them.
//!
//! ```
//! use std::sync::Arc;
//! use studioml_envelope_channel::{Connector, Origin, Pins, Receipt, Server, noise::LocalKey};
//! # use studioml_envelope_core::{Fingerprint, FingerprintForm, PublicKey};
//! use studioml_envelope_rustcrypto::PROVIDER;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let generate = || LocalKey::load(&PROVIDER, &PROVIDER.agree_static.generate(PROVIDER.random)?);
//! # let fingerprint = |key: &LocalKey| {
//! #     Fingerprint::of(&PublicKey::P256(*key.public_key()), FingerprintForm::SshSha256, PROVIDER.digest)
//! # };
//! let (client_key, server_key) = (generate()?, generate()?);
//! let clients = Arc::new(Pins::new([fingerprint(&client_key)]));
//! let servers = Arc::new(Pins::new([fingerprint(&server_key)]));
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! let server = Server::noise(&PROVIDER, server_key, clients);
//! let accept = |_: Origin, _message: Vec<u8>| async { Receipt::Accepted };
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let serving = tokio::spawn(server.serve(listener, accept, async { drop(stopped.await) }));
//!
//! let mut client = Connector::noise(&PROVIDER, client_key, servers).connect(address).await?;
//! assert_eq!(client.submit(b"an envelope").await?, Receipt::Accepted);
//! client.close().await?;
//! drop(stop);
//! assert_eq!(serving.await?.messages_accepted, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # What is wiped
//!
//! Private keys, chaining keys, DH outputs and derived keys are wiped on drop, by the types of the core crate and by the parts
//! that hold them. Buffers in which records are decrypted are wiped before their memory is given back. A message is not: not
//! while it is joined from its parts, and once it was handed to its receiver it is the receiver's.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "tokio")]
mod allow_list;
#[cfg(feature = "tokio")]
mod budget;
#[cfg(feature = "tokio")]
mod channel;
#[cfg(feature = "tokio")]
mod client;
mod error;
mod handshake;
pub mod noise;
mod peer;
#[cfg(feature = "tokio")]
mod receipt;
mod record;
pub mod seed;
#[cfg(feature = "tokio")]
mod server;
#[cfg(feature = "tokio")]
mod tcp;

pub use error::{HandshakeError, RecordError};
pub use handshake::{Handshake, MAX_HANDSHAKE_INPUT, Progress};
pub use peer::{Peer, PeerKey, PeerPolicy, Pins};
pub use record::{DEFAULT_MAX_MESSAGE, Established, Received, RecordOptions, RecordReader, RecordWriter, Rekey};

#[cfg(feature = "tokio")]
pub use {
    allow_list::{AllowList, AllowListError, MAX_ALLOW_LIST},
    channel::{Channel, ChannelError, Deadlines},
    client::{Client, Connector, SubmitError},
    receipt::{MAX_RECEIPT, Receipt, ReceiptError},
    server::{Handler, Origin, Refusal, Server, ServerCounters, ServerEvent, ServerOptions, ServerReport},
};
