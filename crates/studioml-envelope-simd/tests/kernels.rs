//! Every kernel against its twin: the vector kernels against RustCrypto's `salsa20` and `poly1305`, the scalar Poly1305 too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod peers;

use peers::Bytes;
use proptest::prelude::*;
use studioml_envelope_simd::hazmat::{self, Kernels, Path};

/// The kernels of every vector path.
fn kernels() -> Vec<(&'static str, &'static dyn Kernels)> {
    Path::ALL
        .into_iter()
        .filter(|path| *path != Path::Portable)
        .filter_map(|path| Some((path.name(), peers::there(path, hazmat::kernels(path))?)))
        .collect()
}

fn twin() -> &'static dyn Kernels {
    hazmat::kernels(Path::Portable).unwrap()
}

fn check_xor(key: &[u8; 32], nonce: &[u8; 8], counter: u64, text: &[u8]) {
    let mut expected = text.to_vec();
    twin().salsa20_xor(key, nonce, counter, &mut expected);
    for (name, kernels) in kernels() {
        let mut found = text.to_vec();
        kernels.salsa20_xor(key, nonce, counter, &mut found);
        assert!(found == expected, "{name}, counter {counter:#x}, {} bytes", text.len());
    }
}

fn check_mac(key: &[u8; 32], message: &[u8]) {
    let expected = twin().poly1305(key, message);
    assert_eq!(hazmat::poly1305_short(key, message), expected, "scalar, {} bytes", message.len());
    for (name, kernels) in kernels() {
        assert_eq!(kernels.poly1305(key, message), expected, "{name}, {} bytes", message.len());
    }
}

/// Half of them where a message has them, and the sliced shapes look ahead; a uniform one is never there.
fn counters() -> impl Strategy<Value = u64> {
    prop_oneof![0..1_u64 << 32, 0..u64::MAX - 64]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn hsalsa20_is_its_twin(key: [u8; 32], input: [u8; 16]) {
        for (name, kernels) in kernels() {
            prop_assert_eq!(kernels.hsalsa20(&key, &input), twin().hsalsa20(&key, &input), "{}", name);
        }
    }

    #[test]
    fn salsa20_is_its_twin(key: [u8; 32], nonce: [u8; 8], counter in counters(), text in proptest::collection::vec(any::<u8>(), 0..3000)) {
        check_xor(&key, &nonce, counter, &text);
    }

    #[test]
    fn first_blocks_are_their_twin(key: [u8; 32], nonce: [u8; 8], len in 0..=17 * 64_usize) {
        for (name, kernels) in kernels() {
            let len = len.min(kernels.first_len());
            let (mut expected, mut found) = (vec![0; len], vec![0; len]);
            twin().salsa20_first(&key, &nonce, &mut expected);
            kernels.salsa20_first(&key, &nonce, &mut found);
            prop_assert!(found == expected, "{}, {} bytes", name, len);
        }
    }

    #[test]
    fn poly1305_is_its_twin(key: [u8; 32], message in proptest::collection::vec(any::<u8>(), 0..12_000)) {
        check_mac(&key, &message);
    }
}

#[test]
fn salsa20_counts_in_64_bits() {
    let mut bytes = Bytes(1);
    let (key, nonce, text) = (bytes.array(), bytes.array(), bytes.vec(3 * 16 * 64 + 100));
    for top in [1_u64 << 32, 2 << 32, 0xffff_ffff << 32] {
        for before in 0..=49 {
            check_xor(&key, &nonce, top - before, &text);
        }
        // The few-block shapes for what is left over.
        for len in (1..=1024).step_by(63) {
            for before in 0..=16 {
                check_xor(&key, &nonce, top - before, &text[..len]);
            }
        }
    }
}

/// And against the library that NaCl became, behind whose 64 bits there is nothing: the counter begins again at zero.
#[test]
fn salsa20_counts_as_libsodium_does() {
    let mut bytes = Bytes(4);
    let (key, nonce, text): ([u8; 32], [u8; 8], _) = (bytes.array(), bytes.array(), bytes.vec(3 * 16 * 64 + 100));
    for end in [1_u64 << 32, 7 << 32, 0] {
        for before in 0..=49 {
            let counter = end.wrapping_sub(before);
            for len in [1, 64, 100, 300, 500, 700, 1024, text.len()] {
                let text = &text[..len];
                let expected = peers::libsodium_salsa20_xor(&key, &nonce, counter, text);
                for (name, kernels) in kernels() {
                    let mut found = text.to_vec();
                    kernels.salsa20_xor(&key, &nonce, counter, &mut found);
                    assert!(found == expected, "{name}, counter {counter:#x}, {len} bytes");
                }
            }
        }
    }
}

#[test]
fn salsa20_of_every_length() {
    let mut bytes = Bytes(2);
    let (key, nonce, text) = (bytes.array(), bytes.array(), bytes.vec(2200));
    for len in 0..=text.len() {
        check_xor(&key, &nonce, 1, &text[..len]);
    }
}

#[test]
fn poly1305_of_every_length() {
    let mut bytes = Bytes(3);
    let message = bytes.vec(8800);
    // from 8 KiB on the AVX2 path takes its largest batches
    for len in (0..=1200).chain(8100..=message.len()) {
        check_mac(&bytes.array(), &message[..len]);
    }
}

/// `r` at the extremes of its clamp, `s` all ones, and blocks that make every limb and every carry as large as it gets.
#[test]
fn poly1305_at_its_edges() {
    const P_LOW: [u8; 16] = {
        // p − 2¹²⁸·3: the low 16 bytes of 2¹³⁰ − 5.
        let mut low = [0xff; 16];
        low[0] = 0xfb;
        low
    };
    let rs: Vec<[u8; 16]> = [
        [0x00; 16],
        [0xff; 16],
        1_u128.to_le_bytes(),
        4_u128.to_le_bytes(),
        (1_u128 << 64).to_le_bytes(),
        (4_u128 << 64).to_le_bytes(),
        0x0fff_fffc_0000_0000_0000_0000_0000_0000_u128.to_le_bytes(),
        0x0000_0000_0000_0000_0000_0000_0fff_ffff_u128.to_le_bytes(),
        0x0fff_fffc_0fff_fffc_0000_0000_0000_0000_u128.to_le_bytes(),
        0x0000_0000_0000_0000_0fff_fffc_0fff_ffff_u128.to_le_bytes(),
    ]
    .to_vec();
    let mut below_p = P_LOW;
    below_p[0] = 0xfa;
    let mut above_p = P_LOW;
    above_p[0] = 0xfc;
    let blocks: Vec<[u8; 16]> = vec![
        [0xff; 16],
        [0x00; 16],
        P_LOW,
        below_p,
        above_p,
        1_u128.to_le_bytes(),
        (u128::MAX << 44).to_le_bytes(),
        ((1_u128 << 44) - 1).to_le_bytes(),
        ((1_u128 << 88) - 1).to_le_bytes(),
        ((1_u128 << 26) - 1).to_le_bytes(),
        ((1_u128 << 52) - 1).to_le_bytes(),
        ((1_u128 << 104) - 1).to_le_bytes(),
        (1_u128 << 127).to_le_bytes(),
    ];
    for r in &rs {
        for s in [[0x00; 16], [0xff; 16], P_LOW] {
            let mut key = [0; 32];
            key[..16].copy_from_slice(r);
            key[16..].copy_from_slice(&s);
            for block in &blocks {
                for count in (1..=40).chain([63, 64, 65, 127, 128, 129, 512, 1000]) {
                    let message = block.repeat(count);
                    check_mac(&key, &message);
                    check_mac(&key, &message[..message.len() - 1]);
                    check_mac(&key, &message[..message.len() - 15]);
                }
            }
            // Two kinds of block after one another: what a carry leaves behind meets all ones.
            for first in &blocks {
                for second in &blocks {
                    let message: Vec<u8> = first.iter().chain(second).copied().cycle().take(16 * 549).collect();
                    for count in [1, 2, 3, 8, 9, 16, 17, 33, 34, 548, 549] {
                        check_mac(&key, &message[..16 * count]);
                    }
                }
            }
        }
    }
}

/// With r = 1 the sum is of the blocks themselves, each counting as itself plus 2¹²⁸, so that it can be put at p, on both sides of
/// it, and at every value that is not below p though it has but 130 bits: p … 2¹³⁰ − 1, which only the last step takes down.
#[test]
fn poly1305_reduces_around_p() {
    let mut key = [0; 32];
    key[0] = 1;
    // Two blocks of which the sum is p, which is nothing: 2·2¹²⁸ + (2¹²⁸ − 1) + (2¹²⁸ − 4).
    let nothing = [u128::MAX, u128::MAX - 3];
    for x in 0..32_u128 {
        // Three blocks: 3·2¹²⁸ + (2¹²⁸ − 16 + x) = 2¹³⁰ − 16 + x, which is p at x = 11 and 2¹³⁰ at x = 16.
        let last = if x < 16 { [0, 0, u128::MAX - 15 + x] } else { [1, x - 16, u128::MAX] };
        let sum = if x < 11 { u128::MAX - 15 + x } else { x - 11 };
        for lead in 0..20 {
            let blocks = nothing.repeat(lead).into_iter().chain(last);
            let message: Vec<u8> = blocks.flat_map(u128::to_le_bytes).collect();
            check_mac(&key, &message);
            assert_eq!(hazmat::poly1305_short(&key, &message), sum.to_le_bytes(), "2^130 - 16 + {x}");
        }
    }
}
