//! Oracles: whoever sends chosen wrapped keys and watches how they fail (J. Manger, CRYPTO 2001; D. Bleichenbacher, CRYPTO
//! 1998). Every failure that depends on a private key must be the same error after the same work. What the libraries do inside
//! one RSA operation is watched by `cargo xtask timing`.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use num_bigint::BigUint;
use sha2::{Digest as _, Sha256};
use studioml_envelope::{OpenError, Opener, Payload, PayloadError, Provider, provider};

use crate::parties::{Parties, Refused, cluster_key, member, other_cluster_key, with_member};
use crate::watched::{Record, Work, watched};

const HASH: usize = 32;

/// RSA with the numbers in the open: the attacker's half, and for the tests' sake the owner's.
struct Rsa {
    n: BigUint,
    e: BigUint,
    d: BigUint,
    len: usize,
}

impl Rsa {
    fn of_cluster() -> Self {
        let key = cluster_key();
        let public = key.public_key();
        let d = key.with_numbers(|numbers| Ok(BigUint::from_bytes_be(numbers.private_exponent))).unwrap();
        let n = BigUint::from_bytes_be(public.modulus());
        Self { n, e: public.exponent().into(), d, len: public.modulus().len() }
    }

    fn public(&self, message: &BigUint) -> BigUint {
        message.modpow(&self.e, &self.n)
    }

    fn private(&self, ciphertext: &BigUint) -> BigUint {
        ciphertext.modpow(&self.d, &self.n)
    }

    fn bytes(&self, number: &BigUint) -> Vec<u8> {
        let digits = number.to_bytes_be();
        [vec![0; self.len - digits.len()], digits].concat()
    }

    /// The first byte of the encoded message that a ciphertext decrypts to: what Manger's oracle tells.
    fn first_byte(&self, ciphertext: &BigUint) -> u8 {
        self.bytes(&self.private(ciphertext))[0]
    }
}

fn mgf1(seed: &[u8], length: usize) -> Vec<u8> {
    (0_u32..)
        .flat_map(|counter| Sha256::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize())
        .take(length)
        .collect()
}

fn xor(bytes: &mut [u8], mask: &[u8]) {
    bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

/// `EM = first || maskedSeed || maskedDB` (RFC 8017 §7.1.1) of a data block of one's own making.
fn encoded(first: u8, data_block: &[u8]) -> Vec<u8> {
    let mut seed = [0x5c; HASH].to_vec();
    let mut masked = data_block.to_vec();
    xor(&mut masked, &mgf1(&seed, data_block.len()));
    xor(&mut seed, &mgf1(&masked, HASH));
    [vec![first], seed, masked].concat()
}

/// `DB = lHash || PS || 01 || M`.
fn data_block(length: usize, message: &[u8]) -> Vec<u8> {
    let padding = vec![0; length - HASH - 1 - message.len()];
    [Sha256::digest(b"").to_vec(), padding, vec![1], message.to_vec()].concat()
}

/// Wrapped keys that fail, each in its own way, by name. The last few are Manger's: multiples of a good one.
fn wrapped_keys(rsa: &Rsa) -> BTreeMap<String, Vec<u8>> {
    let length = rsa.len - HASH - 1;
    let good = data_block(length, &[7; 32]);
    let altered = |at: usize, with: u8| {
        let mut block = good.clone();
        block[at] = with;
        block
    };
    let longest = vec![7; length - HASH - 1];
    let mut found = BTreeMap::new();
    for (name, first, block) in [
        ("a good one, of a box under another key", 0, good.clone()),
        ("first byte 01", 1, good.clone()),
        ("label hash", 0, altered(0, good[0] ^ 1)),
        ("last byte of the label hash", 0, altered(HASH - 1, good[HASH - 1] ^ 1)),
        ("padding begins with 02", 0, altered(HASH, 2)),
        ("padding ends with ff", 0, altered(length - 34, 0xff)),
        ("no separator", 0, [Sha256::digest(b"").to_vec(), vec![0; length - HASH]].concat()),
        ("another separator", 0, altered(length - 33, 2)),
        ("no key", 0, data_block(length, b"")),
        ("a key of 31 bytes", 0, data_block(length, &[7; 31])),
        ("a key of 33 bytes", 0, data_block(length, &[7; 33])),
        ("a key of 64 bytes", 0, data_block(length, &[7; 64])),
        ("the longest key", 0, data_block(length, &longest)),
        ("an empty data block", 0, vec![0; length]),
    ] {
        let em = BigUint::from_bytes_be(&encoded(first, &block));
        found.insert(name.to_owned(), rsa.bytes(&rsa.public(&em)));
    }
    for (name, number) in [
        ("0", BigUint::ZERO),
        ("1", BigUint::from(1_u8)),
        ("2", BigUint::from(2_u8)),
        ("n - 1", &rsa.n - 1_u8),
        ("n", rsa.n.clone()),
        ("n + 1", &rsa.n + 1_u8),
        ("all ones", (BigUint::from(1_u8) << (8 * rsa.len)) - 1_u8),
    ] {
        found.insert(format!("the number {name}"), rsa.bytes(&number));
    }
    let target = rsa.public(&BigUint::from_bytes_be(&encoded(0, &good)));
    for s in (2_u32..40).chain([257, 65_537, 1 << 20]) {
        let multiple = (&target * rsa.public(&s.into())) % &rsa.n;
        found.insert(format!("c·{s}^e"), rsa.bytes(&multiple));
    }
    let not_reduced = &target + &rsa.n;
    if not_reduced.bits() as usize <= 8 * rsa.len {
        found.insert("a good one plus n".to_owned(), rsa.bytes(&not_reduced));
    }
    found
}

fn payload(wrapped: &[u8]) -> Vec<u8> {
    format!("{},{}", STANDARD.encode(wrapped), STANDARD.encode([0x24; 40 + 100])).into_bytes()
}

/// Opens with the watched provider and gives all that can be seen from outside.
fn observe(opener: &Opener, record: &Record, wrapped: &[u8]) -> (OpenError, String, Vec<u8>, Vec<Work>) {
    let mut buffer = payload(wrapped);
    let comma = buffer.iter().position(|byte| *byte == b',').unwrap();
    record.take();
    let refused = opener.open_unauthenticated(Payload::parse(&mut buffer, 1 << 20).unwrap()).unwrap_err();
    let text = format!("{refused} {refused:?}");
    (refused, text, buffer.split_off(comma), record.take())
}

#[test]
fn manger_chosen_ciphertexts_give_one_error_after_one_and_the_same_work() {
    let rsa = Rsa::of_cluster();
    let wrapped_keys = wrapped_keys(&rsa);
    let first_bytes: Vec<u8> = wrapped_keys
        .iter()
        .filter(|(name, _)| name.contains("^e"))
        .map(|(_, wrapped)| rsa.first_byte(&BigUint::from_bytes_be(wrapped)))
        .collect();
    assert!(first_bytes.contains(&0) && first_bytes.iter().any(|byte| *byte != 0), "both sides of Manger's bound");

    for provider in provider::ALL {
        let (watched, record) = watched(provider);
        let opener = Opener::new(&watched, [&cluster_key()]).unwrap();
        let mut expected = None;
        for (name, wrapped) in &wrapped_keys {
            let seen = observe(&opener, record, wrapped);
            assert_eq!(seen.0, OpenError::CannotOpen, "{}: {name}", provider.name);
            assert_eq!(seen.1, "cannot open CannotOpen");
            // a substitute key is drawn before the unwrap, and there is one MAC pass after it
            let unwraps = seen.3.iter().position(|work| *work == Work::Unwrap(rsa.len)).unwrap();
            assert_eq!((seen.3[0], unwraps), (Work::Random(32), 1), "{}: {name}", provider.name);
            assert_eq!(seen.3.iter().filter(|work| **work == Work::OpenBox(100)).count(), 1);
            assert_eq!(seen.3.last(), Some(&Work::OpenBox(100)));
            let expected = expected.get_or_insert_with(|| seen.clone());
            assert_eq!(seen, *expected, "{}: {name}", provider.name);
        }
    }
}

#[test]
fn manger_gets_nothing_more_from_a_receiver_with_several_keys() {
    let rsa = Rsa::of_cluster();
    let (watched, record) = watched(&provider::default());
    let opener = Opener::new(&watched, [&cluster_key(), other_cluster_key()]).unwrap();
    let is_good = |name: &str| ["a good one, of a box under another key", "a good one plus n"].contains(&name);
    for (name, wrapped) in wrapped_keys(&rsa) {
        let (error, _, _, work) = observe(&opener, record, &wrapped);
        assert_eq!(error, OpenError::CannotOpen, "{name}");
        let count = |kind: fn(&Work) -> bool| work.iter().filter(|work| kind(work)).count();
        assert_eq!(count(|work| matches!(work, Work::OpenBox(_))), 1, "one MAC pass, whatever the keys: {name}");
        // which key fits is public (docs/spec.md §7): every failure, of whichever kind, asks all of them
        let tried = if is_good(&name) && error == OpenError::CannotOpen { 1..=2 } else { 2..=2 };
        assert!(tried.contains(&count(|work| matches!(work, Work::Unwrap(_)))), "{name}");
    }
}

#[test]
fn a_ciphertext_that_is_not_below_the_modulus_is_opened_by_no_provider() {
    let rsa = Rsa::of_cluster();
    let parties = Parties::new(&provider::default());
    for _ in 0..64 {
        let sealed = String::from_utf8(parties.sealer.seal(b"text").unwrap()).unwrap();
        let (wrapped, boxed) = sealed.split_once(',').unwrap();
        let wrapped = BigUint::from_bytes_be(&STANDARD.decode(wrapped).unwrap());
        let not_reduced = wrapped + &rsa.n;
        if not_reduced.bits() as usize > 8 * rsa.len {
            continue;
        }
        let payload = format!("{},{boxed}", STANDARD.encode(rsa.bytes(&not_reduced)));
        assert_eq!(parties.open_report(sealed.as_bytes()), Ok(b"text".to_vec()));
        for provider in provider::ALL {
            let opened = Parties::new(provider).open_report(payload.as_bytes());
            assert_eq!(opened, Err(OpenError::CannotOpen), "{}", provider.name);
        }
        return;
    }
    panic!("no ciphertext in 64 was small enough to have a second form");
}

#[test]
fn size_probing_costs_no_private_operation() {
    let boxed = STANDARD.encode([0; 40]);
    let with_wrapped = |length: usize| format!("{},{boxed}", STANDARD.encode(vec![1; length])).into_bytes();
    for provider in provider::ALL {
        let (watched, record) = watched(provider);
        let opener = Opener::new(&watched, [&cluster_key()]).unwrap();
        record.take();
        for found in [0, 1, 255, 1025, 4096] {
            let mut buffer = with_wrapped(found);
            let refused = Payload::parse(&mut buffer, 1 << 20).unwrap_err();
            assert_eq!(refused, PayloadError::WrappedKeyLength { found });
        }
        for found in [257, 383, 512, 1024] {
            let mut buffer = with_wrapped(found);
            let payload = Payload::parse(&mut buffer, 1 << 20).unwrap();
            let refused = opener.open_unauthenticated(payload).unwrap_err();
            assert_eq!(refused, OpenError::NoKeyOfLength { found }, "{}", provider.name);
        }
        assert_eq!(record.take(), [], "{}: no work was done for any of them", provider.name);
    }
}

#[test]
fn forgeries_never_reach_the_private_key() {
    let (watched, record) = watched(&provider::default());
    let parties = Parties::new(&watched);
    let message = parties.message();
    let stranger = Parties::signing_with(&watched, &crate::parties::ed25519(9)).message();
    let signature = member(&message, "signature");
    let spare_bits = format!("{}B", signature.strip_suffix("==").map(|text| &text[..text.len() - 1]).unwrap()) + "==";
    let payload = member(&message, "payload");
    record.take();
    for forgery in [
        stranger.clone(),
        with_member(&message, "signature", None),
        with_member(&message, "signature", Some(member(&stranger, "signature").into())),
        with_member(&message, "signature", Some(spare_bits.into())),
        with_member(&message, "payload", Some(member(&stranger, "payload").into())),
        with_member(&message, "payload", Some(format!("{payload}AAAA").into())),
        with_member(&message, "payload", Some(payload.replace(',', "").into())),
        with_member(&message, "fingerprint", None),
        with_member(&message, "fingerprint", Some("SHA256:AAAA".into())),
    ] {
        let refused = parties.receive(forgery.as_bytes()).unwrap_err();
        assert!(!matches!(refused, Refused::Open(_)), "{refused:?}");
        assert_eq!(record.take(), [], "{refused:?}");
    }
    assert!(parties.receive(message.as_bytes()).is_ok());
    assert_eq!(record.take().iter().filter(|work| matches!(work, Work::Unwrap(_))).count(), 1);
}

/// The provider used to seal does not matter: whatever was changed in a box, the one error says it.
#[test]
fn a_changed_box_and_a_changed_key_cannot_be_told_apart() {
    let parties = Parties::new(&provider::default());
    let sealed = String::from_utf8(parties.sealer.seal(&[5; 100]).unwrap()).unwrap();
    let (wrapped, boxed) = sealed.split_once(',').unwrap();
    let (wrapped, boxed) = (STANDARD.decode(wrapped).unwrap(), STANDARD.decode(boxed).unwrap());
    let altered = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0x10;
        bytes
    };
    let text = |wrapped: &[u8], boxed: &[u8]| format!("{},{}", STANDARD.encode(wrapped), STANDARD.encode(boxed));
    let in_box = [0, 23, 24, 39, 40, 139].map(|at| text(&wrapped, &altered(&boxed, at)));
    let in_key = [0, 1, 128, 255].map(|at| text(&altered(&wrapped, at), &boxed));
    for provider in provider::ALL as &[Provider] {
        let receiver = Parties::new(provider);
        assert_eq!(receiver.open_report(sealed.as_bytes()), Ok(vec![5; 100]));
        for payload in in_box.iter().chain(&in_key) {
            assert_eq!(receiver.open_report(payload.as_bytes()), Err(OpenError::CannotOpen), "{}", provider.name);
        }
    }
}
