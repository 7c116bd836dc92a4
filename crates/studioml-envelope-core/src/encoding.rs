//! Encodings that several modules need: canonical base64 and the SSH `string` and `mpint` of RFC 4251 §5.

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurposeConfig, simd::Simd},
};
use std::sync::LazyLock;

/// The engine for payload-sized data: AVX2 where there is AVX2. Canonical: padded, spare bits zero.
pub(crate) static BASE64: LazyLock<Simd> = LazyLock::new(|| {
    Simd::standard(
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(false)
            .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
    )
});

/// Appends canonical, padded base64 of data of any size.
///
/// By the library that writes to a Vec's spare capacity. The engine above wants bytes that are there already, and to zero
/// a large output first is to write it to memory twice: a fifth of what it takes to seal it.
pub(crate) fn append_base64(data: &[u8], out: &mut Vec<u8>) {
    base64_simd::STANDARD.encode_append(data, out);
}

/// Canonical, padded base64 of short data.
pub(crate) fn base64_encode(data: &[u8]) -> String {
    BASE64.encode(data)
}

/// Decodes canonical, padded base64 of short data.
pub(crate) fn base64_decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// Appends an SSH `string`: u32 big-endian length, then the bytes.
pub(crate) fn put_ssh_string(out: &mut Vec<u8>, bytes: &[u8]) {
    // keys and signatures are far below 4 GiB; a longer slice cannot be built from the types that call this
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends an SSH `mpint` from an unsigned big-endian integer: no leading zeros but the one that keeps it positive.
pub(crate) fn put_ssh_mpint(out: &mut Vec<u8>, unsigned: &[u8]) {
    let digits = strip_leading_zeros(unsigned);
    let mut positive = Vec::with_capacity(digits.len().saturating_add(1));
    if digits.first().is_some_and(|byte| *byte >= 0x80) {
        positive.push(0);
    }
    positive.extend_from_slice(digits);
    put_ssh_string(out, &positive);
}

/// Takes an SSH `string` off the front of `input`.
pub(crate) fn take_ssh_string<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = input.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (string, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some(string)
}

/// Big-endian digits without leading zeros.
pub(crate) fn strip_leading_zeros(mut unsigned: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = unsigned {
        unsigned = rest;
    }
    unsigned
}
