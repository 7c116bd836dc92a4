//! Secrets leave no copy behind: after they were used and dropped, the memory of this process is searched for them.
//!
//! What it relies on: Linux's `/proc/self/mem`; that a secret of 32 random bytes stands nowhere by chance; that what is
//! searched for is held masked, so that the search does not find itself; and that the search finds the secret while it is
//! alive, which every case proves first. It sees heap, statics and all of every stack, dead frames included. It does not see
//! registers, pages that were given back to the system, or a secret in another form than its bytes (a key schedule, the
//! Montgomery form of a prime), and it says nothing of another compiler or another build. This binary has one test, so that
//! no other thread moves memory about.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where something is not as expected"
)]

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Mutex;

use studioml_envelope::{Opener, Payload, Provider, Sealer, Signer, provider};
use studioml_envelope_core::{
    Ed25519PrivateKey, Implementation, KeyError, Nonce, P256PrivateKey, Part, PrivateKey, Random, RandomError,
    RsaPrivateKey, SecretBox, SecretBytes, SessionKey, SigningPrivateKey, Tag, Unauthentic,
};
use studioml_envelope_keys::{Passphrase, PrivateFormat, encode_private, read_private};

/// A secret that is searched for: 32 bytes, masked.
#[derive(Clone, Copy)]
struct Marker([u8; 32]);

const MASK: u8 = 0xa5;

impl Marker {
    fn draw(provider: &Provider) -> Self {
        let mut marker = [0; 32];
        provider.random.fill(&mut marker).unwrap();
        // from here on only the masked form exists; a scalar stays below the order of P-256
        marker[0] = 0x7a ^ MASK;
        Self(marker)
    }

    /// Of a slice of a secret that exists already.
    fn of(secret: &[u8]) -> Self {
        let mut marker = [0; 32];
        marker.iter_mut().zip(secret).for_each(|(masked, byte)| *masked = byte ^ MASK);
        Self(marker)
    }

    fn write_to(&self, out: &mut [u8]) {
        out.iter_mut().zip(self.0).for_each(|(byte, masked)| *byte = masked ^ MASK);
    }

    fn secret(&self) -> SecretBytes {
        let mut bytes = vec![0; 32];
        self.write_to(&mut bytes);
        SecretBytes::new(bytes)
    }

    /// How many times it stands in the memory of this process, in either byte order.
    fn copies(&self) -> usize {
        self.places().len()
    }

    fn places(&self) -> Vec<String> {
        let mut reversed = self.0;
        reversed.reverse();
        search(&[self.0, reversed])
    }
}

const WINDOW: usize = 1 << 18;

/// The mappings in which it was found, once per copy.
fn search(masked: &[[u8; 32]; 2]) -> Vec<String> {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut buffer = vec![0; WINDOW + 31];
    let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut found = Vec::new();
    let here = std::ptr::from_ref(&found) as u64;
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw"))) {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        // without the buffer itself, which holds copies of everything
        for (start, end) in [(start, end.min(own.start)), (start.max(own.end), end)] {
            if (start..end).contains(&own.start) || start >= end {
                continue;
            }
            let mut at = start;
            while at < end {
                let length = usize::try_from(end - at).unwrap().min(WINDOW + 31);
                let Ok(read) = memory.read_at(&mut buffer[..length], at) else { break };
                let fresh = read.saturating_sub(31);
                let name = line.split_whitespace().nth(5).unwrap_or("memory without a name");
                let place = if (start..end).contains(&here) { "this thread's stack" } else { name };
                found.extend(std::iter::repeat_n(place.to_owned(), count(&buffer[..read], masked)));
                if fresh == 0 {
                    break;
                }
                at += fresh as u64;
            }
        }
    }
    buffer.fill(0);
    std::hint::black_box(&buffer);
    found
}

fn count(bytes: &[u8], masked: &[[u8; 32]; 2]) -> usize {
    let starts = [masked[0][0] ^ MASK, masked[1][0] ^ MASK];
    let is_at = |at: usize, masked: &[u8; 32]| {
        bytes[at..at + 32].iter().zip(masked).all(|(byte, masked)| byte ^ MASK == *masked)
    };
    let Some(last) = bytes.len().checked_sub(32) else { return 0 };
    let candidates = memchr::memchr2_iter(starts[0], starts[1], &bytes[..=last]);
    candidates.filter(|at| masked.iter().any(|masked| is_at(*at, masked))).count()
}

/// Gives the marker for the first draw of 32 bytes, and then what the provider's own source gives.
struct Marked {
    inner: &'static dyn Random,
    marker: Mutex<Option<Marker>>,
}

impl Part for Marked {
    fn implementation(&self) -> Implementation {
        self.inner.implementation()
    }
}

impl Random for Marked {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        let marker = if out.len() == 32 { self.marker.lock().unwrap().take() } else { None };
        match marker {
            Some(marker) => marker.write_to(out),
            None => self.inner.fill(out)?,
        }
        Ok(())
    }
}

/// Searches while the key is in use: a search that finds nothing then would find nothing ever.
struct Watching {
    inner: &'static dyn SecretBox,
    marker: Marker,
    alive: Mutex<usize>,
}

impl Part for Watching {
    fn implementation(&self) -> Implementation {
        self.inner.implementation()
    }
}

impl Watching {
    fn look(&self) {
        *self.alive.lock().unwrap() += self.marker.copies();
    }
}

impl SecretBox for Watching {
    fn seal_in_place(&self, key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag {
        self.inner.seal_in_place(key, nonce, text)
    }

    fn seal_chunks(&self, key: &SessionKey, nonce: &Nonce, plaintext: &[u8], sink: &mut dyn FnMut(&[u8])) -> Tag {
        self.look();
        self.inner.seal_chunks(key, nonce, plaintext, sink)
    }

    fn open_in_place(&self, key: &SessionKey, nonce: &Nonce, tag: &Tag, text: &mut [u8]) -> Result<(), Unauthentic> {
        self.look();
        self.inner.open_in_place(key, nonce, tag, text)
    }
}

#[test]
fn secrets_leave_no_copy_behind() {
    a_session_key_leaves_no_copy_behind();
    key_material_leaves_no_copy_behind();
    a_shared_secret_leaves_no_copy_behind();
}

/// Sealing, opening, and opening what does not open.
fn a_session_key_leaves_no_copy_behind() {
    for provider in provider::ALL {
        let key = provider.key_unwrap.generate(2048, provider.random).unwrap();
        let marker = Marker::draw(provider);
        let watching: &'static Watching =
            Box::leak(Box::new(Watching { inner: provider.secret_box, marker, alive: Mutex::new(0) }));
        let random: &'static Marked =
            Box::leak(Box::new(Marked { inner: provider.random, marker: Mutex::new(Some(marker)) }));
        let watched = Provider { secret_box: watching, random, ..*provider };
        let alive = || std::mem::take(&mut *watching.alive.lock().unwrap());

        let sealer = Sealer::new(&watched, key.public_key()).unwrap();
        let sealed = sealer.seal(&[b'x'; 40_000]).unwrap();
        assert!(alive() > 0, "{}: the session key is there while it seals", provider.name);
        assert_eq!(marker.copies(), 0, "{}: after sealing", provider.name);

        let opener = Opener::new(&watched, [&key]).unwrap();
        let mut payload = sealed.clone();
        let opened = opener.open_unauthenticated(Payload::parse(&mut payload, 1 << 20).unwrap()).unwrap();
        assert_eq!(opened.unauthenticated_plaintext(), [b'x'; 40_000]);
        drop(opened);
        assert!(alive() > 0, "{}: the session key is there while it opens", provider.name);
        assert_eq!(marker.copies(), 0, "{}: after opening", provider.name);

        let mut payload = sealed;
        let last = payload.len() - 8;
        payload[last] = if payload[last] == b'A' { b'B' } else { b'A' };
        let payload = Payload::parse(&mut payload, 1 << 20).unwrap();
        assert!(opener.open_unauthenticated(payload).is_err());
        assert!(alive() > 0);
        assert_eq!(marker.copies(), 0, "{}: after what did not open", provider.name);
    }
}

/// Seeds, scalars, primes and passphrases, held, loaded, used, written to key files and read from them.
fn key_material_leaves_no_copy_behind() {
    let mut problems = Vec::new();
    for provider in provider::ALL {
        // ring's own documentation, and this project's page on it: it wipes no key
        let wipes_signing_keys = !provider.name.starts_with("ring");

        leaves_nothing(&mut problems, provider, "an Ed25519 seed", wipes_signing_keys, |marker, alive| {
            let seed = Ed25519PrivateKey::new(marker.secret(), None).unwrap();
            let key = SigningPrivateKey::Ed25519(seed);
            let signer = Signer::new(provider, &key).unwrap();
            signer.sign(b"payload").unwrap();
            alive.set(marker.copies());
        });
        leaves_nothing(&mut problems, provider, "a P-256 scalar", wipes_signing_keys, |marker, alive| {
            let key = SigningPrivateKey::P256(p256(provider, marker).unwrap());
            let signer = Signer::new(provider, &key).unwrap();
            signer.sign(b"payload").unwrap();
            alive.set(marker.copies());
        });
        leaves_nothing(&mut problems, provider, "a static agreement key", true, |marker, alive| {
            let key = provider.agree_static.load(&p256(provider, marker).unwrap()).unwrap();
            let peer = provider.agree_static.generate(provider.random).unwrap();
            drop(key.agree(peer.public_key()).unwrap());
            alive.set(marker.copies());
        });
        for (what, format, encrypted) in [
            ("encrypted PKCS #8", PrivateFormat::Pkcs8, true),
            ("an encrypted OpenSSH file", PrivateFormat::OpenSsh, true),
            ("PKCS #8", PrivateFormat::Pkcs8, false),
            ("an OpenSSH file", PrivateFormat::OpenSsh, false),
        ] {
            let through = |key: &PrivateKey| {
                let passphrase = encrypted.then(|| Passphrase::exact(b"a passphrase".to_vec()));
                let file = encode_private(key, format, passphrase.as_ref(), "comment", provider).unwrap();
                drop(read_private(file.expose_secret(), passphrase.as_ref(), provider).unwrap());
            };
            let seed = format!("a seed through {what}");
            leaves_nothing(&mut problems, provider, &seed, wipes_signing_keys, |marker, alive| {
                let key = PrivateKey::Ed25519(Ed25519PrivateKey::new(marker.secret(), None).unwrap());
                through(&key);
                alive.set(marker.copies());
            });
            let scalar = format!("a scalar through {what}");
            leaves_nothing(&mut problems, provider, &scalar, wipes_signing_keys, |marker, alive| {
                let key = PrivateKey::P256(p256(provider, marker).unwrap());
                through(&key);
                alive.set(marker.copies());
            });
        }
        leaves_nothing(&mut problems, provider, "a passphrase", true, |marker, alive| {
            let key = PrivateKey::P256(provider.agree_static.generate(provider.random).unwrap());
            let passphrase = || Passphrase::exact(marker.secret().expose_secret().to_vec());
            for format in [PrivateFormat::Pkcs8, PrivateFormat::OpenSsh, PrivateFormat::LegacyPem] {
                let kept = passphrase();
                let file = encode_private(&key, format, Some(&kept), "", provider).unwrap();
                drop(read_private(file.expose_secret(), Some(&kept), provider).unwrap());
                alive.set(marker.copies());
            }
        });
    }
    assert!(problems.is_empty(), "copies left behind:\n{}", problems.join("\n"));
    primes_leave_no_copy_behind();
}

/// What two ends agree on, found out by the one and agreed again by the other, with a static key and with one for one use.
fn a_shared_secret_leaves_no_copy_behind() {
    let mut problems = Vec::new();
    for provider in provider::ALL {
        let generate = || provider.agree_static.generate(provider.random).unwrap();
        let (mine, theirs) = (generate(), generate());
        let (mine, theirs) = (provider.agree_static.load(&mine).unwrap(), provider.agree_static.load(&theirs).unwrap());
        let ephemeral = provider.agree.generate(provider.random).unwrap();
        let of_static = Marker::of(theirs.agree(mine.public_key()).unwrap().expose_secret());
        let of_ephemeral = Marker::of(theirs.agree(ephemeral.public_key()).unwrap().expose_secret());
        for (what, marker, shared) in [
            ("a static agreement", of_static, mine.agree(theirs.public_key()).unwrap()),
            ("an agreement for one use", of_ephemeral, ephemeral.agree(theirs.public_key()).unwrap()),
        ] {
            assert!(marker.copies() > 0, "{}, {what}: a secret that is there is found", provider.name);
            drop(shared);
            let left = marker.places();
            if !left.is_empty() {
                problems.push(format!("{}, {what}: in {left:?}", provider.name));
            }
        }
    }
    assert!(problems.is_empty(), "copies left behind:\n{}", problems.join("\n"));
}

/// The secret is drawn with the key here, so the marker is taken of it afterwards.
fn primes_leave_no_copy_behind() {
    for provider in provider::ALL {
        let key = provider.key_unwrap.generate(2048, provider.random).unwrap();
        let middle = |number: &[u8]| Marker::of(&number[40..72]);
        let markers = key
            .with_numbers(|n| {
                Ok([middle(n.prime_p), middle(n.prime_q), middle(n.private_exponent), middle(n.exponent_p)])
            })
            .unwrap();
        let copies = |markers: &[Marker; 4]| markers.map(|marker| marker.copies());
        use_rsa(provider, &key);
        assert!(copies(&markers).iter().all(|copies| *copies > 0), "{}: a key that is there is found", provider.name);
        drop(key);
        let left = copies(&markers);
        if provider.key_unwrap.implementation().library == "rsa" {
            // SECURITY.md says so: the crate does not wipe the intermediate values of its arithmetic
            println!("{}: {left:?} copies of p, q, d and dP left behind", provider.name);
        } else {
            assert_eq!(left, [0; 4], "{}: p, q, d, dP after the key was dropped", provider.name);
        }
    }
}

fn use_rsa(provider: &Provider, key: &RsaPrivateKey) {
    let opener = Opener::new(provider, [key]).unwrap();
    let mut sealed = Sealer::new(provider, key.public_key()).unwrap().seal(b"text").unwrap();
    drop(opener.open_unauthenticated(Payload::parse(&mut sealed, 1 << 20).unwrap()).unwrap());
    let again = RsaPrivateKey::from_pkcs8_der(key.to_pkcs8_der().unwrap().expose_secret()).unwrap();
    assert_eq!(again.public_key(), key.public_key());
}

fn p256(provider: &Provider, marker: &Marker) -> Result<P256PrivateKey, KeyError> {
    let public = provider.agree_static.public_key_of(&marker.secret())?;
    P256PrivateKey::new(marker.secret(), public)
}

fn leaves_nothing(
    problems: &mut Vec<String>,
    provider: &Provider,
    what: &str,
    wiped: bool,
    with: impl FnOnce(&Marker, &Cell<usize>),
) {
    let marker = Marker::draw(provider);
    assert_eq!(marker.copies(), 0, "nothing is there before");
    let alive = Cell::new(0);
    with(&marker, &alive);
    assert!(alive.get() > 0, "{}, {what}: it is there while it is used", provider.name);
    let left = marker.places();
    if wiped && !left.is_empty() {
        problems.push(format!("{}, {what}: in {left:?}", provider.name));
    } else if !wiped {
        println!("{}, {what}: left behind in {left:?}, by a library that says so", provider.name);
    }
}
