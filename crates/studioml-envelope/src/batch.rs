//! Batches over all cores: order kept, each message's verdict its own.
//!
//! RSA decides a small message, so messages per second grow with cores. A forged message leaves at its signature check and
//! never reaches the private key. Work is divided by [rayon]'s current thread pool; a caller who wants fewer cores, or wants
//! to keep RSA off other threads, runs the call inside a pool of its own (`ThreadPool::install`).

use rayon::prelude::*;
use thiserror::Error;

use crate::{Message, MessageError, OpenError, Opened, Opener, SealError, Sealer, Signer, Verifier, VerifyError};

/// Why one message of a batch was not opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is malformed.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// It does not verify, or the policy refuses it.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Parses, verifies and opens message envelopes, each in its own buffer; verdicts come in the order of the messages.
///
/// Memory: nothing of payload size beside the messages themselves. `max_plaintext` is the largest plaintext in bytes.
pub fn open_batch<'m, B: AsMut<[u8]> + Send>(
    messages: &'m mut [B],
    verifier: &Verifier,
    opener: &Opener,
    max_plaintext: usize,
) -> Vec<Result<Opened<'m>, Refusal>> {
    let open = |message: &'m mut B| -> Result<Opened<'m>, Refusal> {
        let verified = verifier.verify(Message::parse(message.as_mut(), max_plaintext)?)?;
        Ok(opener.open(verified)?)
    };
    // one message is work enough for a thread: splitting finer than rayon does by itself is not needed
    messages.par_iter_mut().with_max_len(1).map(open).collect()
}

/// Seals and signs Requests; message envelopes come in the order of the Requests.
///
/// Memory: the envelopes, about 4/3 of the Requests. A caller with more Requests than memory passes them in slices.
pub fn seal_batch<B: AsRef<[u8]> + Sync>(
    requests: &[B],
    sealer: &Sealer,
    signer: &Signer,
) -> Vec<Result<Vec<u8>, SealError>> {
    let seal = |request: &B| sealer.seal_signed_envelope(request.as_ref(), signer);
    requests.par_iter().with_max_len(1).map(seal).collect()
}
