//! Who is at the other end, and who may be (docs/spec.md §8: "A peer is pinned by any fingerprint form of §4").

use studioml_envelope_core::{Digest, Fingerprint, P256PublicKey, PublicKey};

/// Who is at the other end of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Mode `seed`: anybody, and anybody may be in between.
    Unauthenticated,
    /// Mode `noise`: whoever holds the private key of this static key.
    Authenticated(PeerKey),
}

/// The fingerprint in its default form, or `unauthenticated`.
impl core::fmt::Display for Peer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unauthenticated => f.write_str("unauthenticated"),
            Self::Authenticated(key) => key.fingerprint().fmt(f),
        }
    }
}

/// A peer's static public key with its fingerprints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerKey {
    public_key: P256PublicKey,
    fingerprints: [Fingerprint; 4],
}

impl Peer {
    /// The static key, if there is one.
    #[must_use]
    pub const fn key(&self) -> Option<&PeerKey> {
        match self {
            Self::Unauthenticated => None,
            Self::Authenticated(key) => Some(key),
        }
    }
}

impl PeerKey {
    /// Takes the fingerprints of a static key.
    #[must_use]
    pub fn new(public_key: P256PublicKey, digest: &dyn Digest) -> Self {
        Self { public_key, fingerprints: Fingerprint::all_of(&PublicKey::P256(public_key), digest) }
    }

    /// The key.
    #[must_use]
    pub const fn public_key(&self) -> &P256PublicKey {
        &self.public_key
    }

    /// Its fingerprints in all forms, the default form first.
    #[must_use]
    pub const fn fingerprints(&self) -> &[Fingerprint; 4] {
        &self.fingerprints
    }

    /// Its fingerprint in the default form, `SHA256:…`.
    #[must_use]
    pub const fn fingerprint(&self) -> &Fingerprint {
        let [default_form, ..] = &self.fingerprints;
        default_form
    }
}

/// Says which static keys may be at the other end. Asked during every handshake, and by a server again for every message.
pub trait PeerPolicy: Send + Sync {
    /// Whether this peer is let in.
    fn permits(&self, peer: &PeerKey) -> bool;
}

/// The peers that one was told of: any of these fingerprints, in any form.
#[derive(Clone, Debug, Default)]
pub struct Pins(Vec<Fingerprint>);

impl Pins {
    /// Nobody but the holders of keys with these fingerprints. No fingerprint lets nobody in.
    #[must_use]
    pub fn new(fingerprints: impl IntoIterator<Item = Fingerprint>) -> Self {
        Self(fingerprints.into_iter().collect())
    }
}

impl PeerPolicy for Pins {
    fn permits(&self, peer: &PeerKey) -> bool {
        self.0.iter().any(|pin| peer.fingerprints.contains(pin))
    }
}
