//! The StudioML queue gateway: sealed requests in, clear requests out, nothing lost, nobody in.
//!
//! Experimenters publish sealed, signed envelopes at the *outer* side; runners take clear Requests at the *inner* side and do
//! no cryptography. The gateway stands between: it verifies and opens on the way in, and seals reports on the way out.
//!
//! ```
//! use std::{fs, path::Path, time::Duration};
//! use studioml_envelope::{PrivateKey, PublicKey, Sealer, Signer, generate_ed25519, generate_rsa, provider};
//! use studioml_envelope_gateway::{Config, Gateway};
//! use studioml_envelope_keys::{PrivateFormat, PublicFormat, encode_private, encode_public};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = provider::default();
//! let cluster_key = generate_rsa(&provider, 2048)?;
//! let signer = Signer::new(&provider, &generate_ed25519(&provider)?)?;
//! let sealer = Sealer::new(&provider, cluster_key.public_key())?;
//!
//! // the mounted keys, as Kubernetes lays them out
//! let root = tempfile::tempdir()?;
//! let at = |path: &str| root.path().join(path);
//! for folder in ["encryption", "passphrase", "signing", "reports", "outer/rmq_karl"] {
//!     fs::create_dir_all(at(folder))?;
//! }
//! let private = encode_private(&PrivateKey::Rsa(cluster_key), PrivateFormat::Pkcs8, None, "", &provider)?;
//! fs::write(at("encryption/ssh-privatekey"), private.expose_secret())?;
//! let public = encode_public(&PublicKey::from(*signer.public_key()), PublicFormat::SshLine, "")?;
//! fs::write(at("signing/rmq_karl"), public)?;
//!
//! // an experimenter publishes to a directory queue
//! let request = br#"{"experiment":{"status":"waiting"},"config":{}}"#;
//! fs::write(at("outer/rmq_karl/message-1"), sealer.seal_signed_envelope(request, &signer)?)?;
//!
//! let config = Config::parse(
//!     r#"
//!     [outer]
//!     kind = "dir"
//!     root = "outer"
//!     [inner]
//!     kind = "dir"
//!     root = "inner"
//!     [keys]
//!     encryption = "encryption"
//!     passphrase = "passphrase"
//!     signing = "signing"
//!     reports = "reports"
//!     [http]
//!     listen = "127.0.0.1:0"
//!     "#,
//!     root.path(),
//!     None,
//! )?;
//! let gateway = Gateway::start(config, provider).await?;
//! let arrived = async {
//!     while !at("inner/rmq_karl/message-1").exists() {
//!         tokio::time::sleep(Duration::from_millis(5)).await;
//!     }
//! };
//! gateway.run(arrived).await?; // until the shutdown that it is given, which is then drained
//! assert_eq!(fs::read(at("inner/rmq_karl/message-1"))?, request);
//! # Ok(())
//! # }
//! ```
//!
//! # What it keeps
//!
//! *Acknowledged means confirmed downstream or in the reject queue*, in every state and through every fault. The part that
//! decides this, [`decision`], does no I/O: it is a state machine that is tested against a simulated broker which reorders,
//! duplicates, delays and cuts at every step. What can never pass goes to a bounded reject queue as it came; what may pass
//! later backs off; what waits for keys or configuration pauses its queue.
//!
//! Delivery is at least once, and the message id (SHA-256 of the payload string) lets consumers recognise a duplicate. One
//! gateway does not publish what it knows to be confirmed; several gateways, or one that was restarted, do not know of each
//! other.
//!
//! # The parts
//!
//! | module | what |
//! |---|---|
//! | [`decision`] | what happens to a message, and when its source may hear of it |
//! | `processing` | verify, open, seal, on threads of their own; who has many messages waits behind who has few |
//! | [`queue`] | two small traits, source and sink; `dir`, `amqp` and `channel` implement them |
//! | `route`, `supervisor` | carry out decisions; which queues there are, which keys cover them |
//! | [`config`], [`mod@check`] | the file, and what is wrong with it |
//! | [`service`] | the process: logs, threads, signals |
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod amqp;
mod channel;
pub mod check;
pub mod config;
pub mod decision;
mod dir;
mod gateway;
mod health;
mod http;
mod keyring;
mod metrics;
mod processing;
pub mod queue;
mod route;
pub mod service;
mod supervisor;

pub use check::check;
pub use config::Config;
pub use dir::QueueWriter;
pub use gateway::{Gateway, GatewayError};
