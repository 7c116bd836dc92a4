//! The key derivation of PKCS #12 (RFC 7292 appendix B.2) with SHA-1, for old encrypted PKCS #8 files.
//!
//! Written out here because the `pkcs12` crate's release stands on the previous generation of `der` and `digest` and brings
//! X.509 and CMS with it.

use sha1::{Digest as _, Sha1};
use zeroize::{Zeroize as _, Zeroizing};

/// `v`: the block of SHA-1 in bytes.
const BLOCK: usize = 64;

/// `ID`: what the derived bytes are for (appendix B.3).
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Key = 1,
    Iv = 2,
}

/// Fills `out`. `None` if there are no iterations.
pub(super) fn derive(purpose: Purpose, passphrase: &[u8], salt: &[u8], iterations: u64, out: &mut [u8]) -> Option<()> {
    let again = iterations.checked_sub(1)?;
    let diversifier = [purpose as u8; BLOCK];
    let passphrase = bmp_string(passphrase);
    let input: Vec<u8> = fill_blocks(salt).chain(fill_blocks(&passphrase)).collect();
    let mut input = Zeroizing::new(input);
    for piece in out.chunks_mut(20) {
        // A_i = H^r(D || I)
        let mut hash = Sha1::new().chain_update(diversifier).chain_update(&*input).finalize();
        for _ in 0..again {
            hash = Sha1::digest(hash);
        }
        for (to, from) in piece.iter_mut().zip(&hash) {
            *to = *from;
        }
        // B = A_i || A_i || … cut to one block; I_j = (I_j + B + 1) mod 2^(8v)
        let repeated: Zeroizing<Vec<u8>> = Zeroizing::new(hash.iter().copied().cycle().take(BLOCK).collect());
        for block in input.chunks_mut(BLOCK) {
            let mut carry = 1_u16;
            for (digit, addend) in block.iter_mut().rev().zip(repeated.iter().rev()) {
                carry += u16::from(*digit) + u16::from(*addend);
                *digit = carry.to_le_bytes()[0];
                carry >>= 8;
            }
        }
        hash.as_mut_slice().zeroize();
    }
    Some(())
}

/// `S` or `P`: as many copies as fill whole blocks, the last one cut.
fn fill_blocks(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().copied().cycle().take(bytes.len().next_multiple_of(BLOCK))
}

/// The passphrase as a zero-terminated BMPString, big-endian (appendix B.1). Bytes that are not UTF-8 are taken one by one,
/// as OpenSSL does.
fn bmp_string(passphrase: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut units: Zeroizing<Vec<u16>> = Zeroizing::new(Vec::with_capacity(passphrase.len().saturating_add(1)));
    match str::from_utf8(passphrase) {
        Ok(text) => units.extend(text.encode_utf16()),
        Err(_) => units.extend(passphrase.iter().map(|byte| u16::from(*byte))),
    }
    units.push(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(units.len().saturating_mul(2)));
    for unit in units.iter() {
        bytes.extend_from_slice(&unit.to_be_bytes());
    }
    bytes
}
