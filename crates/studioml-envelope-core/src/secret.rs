//! Secrets: one newtype each, wiped on drop, silent in `Debug`, read through one accessor.
//!
//! The attacker of this module is whoever reads logs, error reports, swap or a core dump. Nothing here compares, prints or
//! copies a secret on its own account; comparisons go through [`subtle`].

use core::{fmt, iter::repeat};

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The 32-byte key of one message's SecretBox: random, fresh for every message, never stored.
///
/// Wiped on drop. Neither `Clone` nor `PartialEq`; `Debug` shows no byte of it.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SessionKey([u8; SessionKey::LEN]);

impl SessionKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Takes over 32 bytes. The caller wipes its own copy.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The key itself, for the part that uses it.
    #[must_use]
    pub const fn expose_secret(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The key itself, for the part that draws it.
    pub const fn expose_secret_mut(&mut self) -> &mut [u8; Self::LEN] {
        &mut self.0
    }

    /// `chosen ? other : self`, without a branch on `chosen`.
    pub(crate) fn conditional_assign(&mut self, other: &Self, chosen: Choice) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0.iter()) {
            mine.conditional_assign(theirs, chosen);
        }
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

/// The 32-byte x-coordinate that a P-256 key agreement yields. Not a key: it goes through [`Kdf`](crate::Kdf) first.
///
/// Wiped on drop, and on the heap: when it is handed on no copy stays behind in a frame. Neither `Clone` nor `PartialEq`;
/// `Debug` shows no byte of it.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SharedSecret(Box<[u8; SharedSecret::LEN]>);

impl SharedSecret {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Copies 32 bytes. The caller wipes the original.
    #[must_use]
    pub fn copy_from(bytes: &[u8; Self::LEN]) -> Self {
        let mut secret = Self(Box::new([0; Self::LEN]));
        secret.0.copy_from_slice(bytes);
        secret
    }

    /// The x-coordinate, big-endian.
    #[must_use]
    pub const fn expose_secret(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}

/// Secret bytes of any length: a passphrase, the DER of a private key, a decrypted key file.
///
/// Wiped on drop, over the whole capacity. Neither `Clone` nor `PartialEq`; `Debug` shows nothing of it.
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes over a buffer. It is not copied, so nothing is left behind.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Copies a slice. The caller wipes the original.
    #[must_use]
    pub fn copy_from(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }

    /// The bytes.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes. The length of a passphrase is told to nobody by this crate.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

/// More stack than a library takes to decode or load a key.
const FRAMES: usize = 32 << 10;

/// Runs `run`, and then writes over the 32 KiB of stack below the caller, where its frames were.
///
/// For libraries that hold small keys inline and hand them on by value: every move leaves a copy in a frame that nobody wipes,
/// for whoever reads this memory long after the key was dropped. What `run` returns must hold its secrets on the heap.
#[inline(never)]
pub fn in_wiped_frames<T>(run: impl FnOnce() -> T) -> T {
    let outcome = apart(run);
    write_over_frames();
    outcome
}

/// Keeps the frames of `run` where those of [`write_over_frames`] will be.
#[inline(never)]
fn apart<T>(run: impl FnOnce() -> T) -> T {
    run()
}

#[inline(never)]
fn write_over_frames() {
    let mut frames = [0_u8; FRAMES];
    frames.zeroize();
    core::hint::black_box(&frames);
}

/// What a private-key operation made of a wrapped key, before anybody may know.
///
/// Every adapter's unwrap ends here, so that the step from "what the library said" to "the key that is used" exists once
/// and is the same for every failure. The attacker is Manger's: somebody who sends chosen wrapped keys and watches for a
/// difference between one failure and another (J. Manger, CRYPTO 2001). So a failure and an output of the wrong length
/// become the same value, and the caller runs the MAC with a substitute key instead of returning early.
#[must_use]
pub struct Unwrapped {
    candidate: SessionKey,
    found: Choice,
}

impl Unwrapped {
    /// From what the library returned: the decrypted bytes, or `None` for any failure.
    ///
    /// Whether *some* key was found is not secret (which of several keys fits is public, docs/spec.md §7); why none was found is.
    pub fn from_library(output: Option<&[u8]>) -> Self {
        let mut candidate = SessionKey::from_bytes([0; SessionKey::LEN]);
        let bytes = output.unwrap_or_default();
        let right_length = Choice::from(u8::from(bytes.len() == SessionKey::LEN));
        for (to, from) in candidate.0.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self { candidate, found: right_length }
    }

    /// Whether the wrapped key gave 32 bytes under this private key.
    #[must_use]
    pub fn found(&self) -> bool {
        self.found.into()
    }

    /// Replaces `substitute` by the key that was found, if one was found; without a branch on it.
    pub fn select_into(self, substitute: &mut SessionKey) {
        substitute.conditional_assign(&self.candidate, self.found);
    }
}

impl fmt::Debug for Unwrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unwrapped(..)")
    }
}

/// Overwrites with zeros and keeps the compiler from leaving that out.
///
/// For what may be a plaintext of any size: [`Zeroize`] of a slice writes byte by byte, which takes longer than to decrypt it.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    zeroize::optimization_barrier(bytes);
}

/// Whether a secret big-endian number is below a limit of the same length or longer, without a branch on its digits.
///
/// A number of more digits than the limit is not below it, leading zeros or not.
pub(crate) fn is_below_be(number: &[u8], limit: &[u8]) -> Choice {
    // number − limit borrows exactly if number < limit
    let digits = number.iter().rev().chain(repeat(&0)).zip(limit.iter().rev());
    let borrow = digits.fold(0_u16, |borrow, (digit, limit)| {
        u16::from(*digit).wrapping_sub(u16::from(*limit)).wrapping_sub(borrow) >> 15
    });
    borrow.ct_eq(&1) & Choice::from(u8::from(number.len() <= limit.len()))
}
