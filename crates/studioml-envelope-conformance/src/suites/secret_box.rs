//! Suites for [`SecretBox`] parts: NaCl's own vector, libsodium's answers around every length boundary, and forgeries.

use serde::Deserialize;
use studioml_envelope_core::{CHUNK, Digest, Nonce, SecretBox, SessionKey, Tag, Unauthentic};

use crate::{Cases, Role, SuiteReport, Vectors, Verdict, expect, expect_bytes, expect_eq};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NaclFile {
    #[serde(rename = "source")]
    _source: String,
    cases: Vec<NaclCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NaclCase {
    number: usize,
    key: String,
    nonce: String,
    plaintext: String,
    r#box: String,
}

/// One key, nonce, plaintext and what becomes of them.
struct Answer {
    key: SessionKey,
    nonce: Nonce,
    plaintext: Vec<u8>,
    tag: Tag,
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// The vector of NaCl's own test, every way through the part.
#[must_use]
pub fn nacl(vectors: &Vectors, part: &dyn SecretBox) -> SuiteReport {
    const FILE: &str = "known-answers/secretbox-nacl.json";
    let mut cases = Cases::of_part("NaCl", Role::SecretBox, part.implementation(), &[]);
    match vectors.json::<NaclFile>(FILE) {
        Err(error) => cases.check(FILE, "the file", Err(error)),
        Ok(file) => {
            for case in file.cases {
                let verdict = (|| {
                    let boxed = hex::decode(&case.r#box).map_err(|error| error.to_string())?;
                    let (tag, ciphertext) = boxed.split_first_chunk::<16>().ok_or("shorter than a tag")?;
                    let plaintext = hex::decode(&case.plaintext).map_err(|error| error.to_string())?;
                    let key = SessionKey::from_bytes(decode(&case.key)?);
                    let answer = Answer { key, nonce: decode(&case.nonce)?, plaintext, tag: *tag };
                    every_way(part, &answer, |found| expect_bytes("ciphertext", found, ciphertext))
                })();
                cases.check(FILE, case.number, verdict);
            }
        }
    }
    cases.finish()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LibsodiumFile {
    #[serde(rename = "plaintext")]
    _plaintext: String,
    #[serde(rename = "made_by")]
    _made_by: String,
    cases: Vec<LibsodiumCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LibsodiumCase {
    number: usize,
    key: String,
    nonce: String,
    plaintext_bytes: usize,
    tag: String,
    ciphertext_sha256: String,
}

/// libsodium's answers for lengths around every block, kernel and chunk boundary up to 1 MiB.
#[must_use]
pub fn libsodium(vectors: &Vectors, part: &dyn SecretBox, digest: &dyn Digest) -> SuiteReport {
    const FILE: &str = "known-answers/secretbox-libsodium.json";
    let mut cases = Cases::of_part("libsodium", Role::SecretBox, part.implementation(), &[]);
    match vectors.json::<LibsodiumFile>(FILE) {
        Err(error) => cases.check(FILE, "the file", Err(error)),
        Ok(file) => {
            for case in file.cases {
                let verdict = (|| {
                    let key = SessionKey::from_bytes(decode(&case.key)?);
                    let plaintext = pattern(case.plaintext_bytes);
                    let answer = Answer { key, nonce: decode(&case.nonce)?, plaintext, tag: decode(&case.tag)? };
                    every_way(part, &answer, |found| {
                        expect_eq("ciphertext's SHA-256", &hex::encode(digest.sha256(found)), &case.ciphertext_sha256)
                    })
                })();
                cases.check(FILE, format_args!("{}, {} bytes", case.number, case.plaintext_bytes), verdict);
            }
        }
    }
    cases.finish()
}

/// The plaintext of the libsodium file: byte i is (i · i + 7 · i) / 8 mod 256.
fn pattern(length: usize) -> Vec<u8> {
    let byte = |i: u64| u8::try_from((i * i + 7 * i) / 8 % 256).unwrap_or_default();
    (0..length as u64).map(byte).collect()
}

/// Seals in place and in chunks, and opens again.
fn every_way(part: &dyn SecretBox, answer: &Answer, is_ciphertext: impl Fn(&[u8]) -> Verdict) -> Verdict {
    let Answer { key, nonce, plaintext, tag } = answer;
    let mut text = plaintext.clone();
    expect_bytes("tag in place", &part.seal_in_place(key, nonce, &mut text), tag)?;
    is_ciphertext(&text)?;

    let (mut chunks, mut largest, mut empty) = (Vec::new(), 0, 0);
    let chunked_tag = part.seal_chunks(key, nonce, plaintext, &mut |piece| {
        chunks.extend_from_slice(piece);
        largest = largest.max(piece.len());
        empty += usize::from(piece.is_empty());
    });
    expect_bytes("tag in chunks", &chunked_tag, tag)?;
    expect_bytes("ciphertext in chunks", &chunks, &text)?;
    expect("a chunk longer than CHUNK", largest <= CHUNK)?;
    expect("a chunk of nothing", empty == 0)?;

    expect_eq("opening", &part.open_in_place(key, nonce, tag, &mut text), &Ok(()))?;
    expect_bytes("plaintext", &text, plaintext)
}

/// Boxes with one bit changed somewhere: all refused, and the text left as it came.
#[must_use]
pub fn forgeries(part: &dyn SecretBox) -> SuiteReport {
    let mut cases = Cases::of_part("forgeries", Role::SecretBox, part.implementation(), &[]);
    for length in [0, 1, 31, 32, 33, 63, 64, 65, 96, 255, 1000, CHUNK + 1] {
        let (key, nonce) = (SessionKey::from_bytes([0x5a; 32]), [0xa5; 24]);
        let mut sealed = pattern(length);
        let tag = part.seal_in_place(&key, &nonce, &mut sealed);
        let places = [("key", 32), ("nonce", 24), ("tag", 16), ("ciphertext", length)];
        for (what, places) in places {
            // every byte of what is short, a sample of what is long
            for place in (0..places).step_by((places / 64).max(1)) {
                let flip =
                    |bytes: &mut [u8]| bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << (place % 8));
                let mut forged_key = *key.expose_secret();
                let (mut forged_nonce, mut forged_tag, mut text) = (nonce, tag, sealed.clone());
                match what {
                    "key" => flip(&mut forged_key),
                    "nonce" => flip(&mut forged_nonce),
                    "tag" => flip(&mut forged_tag),
                    _ => flip(&mut text),
                }
                let before = text.clone();
                let opened =
                    part.open_in_place(&SessionKey::from_bytes(forged_key), &forged_nonce, &forged_tag, &mut text);
                let verdict = expect_eq("opening", &opened, &Err(Unauthentic))
                    .and_then(|()| expect_bytes("the text after a refusal", &text, &before));
                cases.check("forgeries", format_args!("{length} bytes, {what} byte {place}"), verdict);
            }
        }
        if length > 0 {
            let mut text = sealed.clone();
            text.truncate(length - 1);
            let opened = part.open_in_place(&key, &nonce, &tag, &mut text);
            cases.check(
                "forgeries",
                format_args!("{length} bytes, last cut off"),
                expect_eq("opening", &opened, &Err(Unauthentic)),
            );
        }
    }
    cases.finish()
}
