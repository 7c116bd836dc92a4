//! The same-error check: the same input gives the same result and the same error variant, whichever provider is asked.
//!
//! The attacker is somebody who learns from a difference which library stands behind a queue, or gets a message past one
//! receiver that another refuses. Every input here is made once and given to all providers; what they say is compared as
//! text, errors with all their fields.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use studioml_envelope_core::{
    DEFAULT_MAX_PLAINTEXT, Ed25519PrivateKey, Ed25519PublicKey, Identity, P256PrivateKey, P256PublicKey, Payload,
    Provider, RsaPrivateKey, RsaPrivateNumbers, RsaPublicKey, SecretBytes, SigningPrivateKey, SigningPublicKey,
    TrustedSigner,
};

use crate::{Cases, Report, Role, Vectors, expect_eq, keys};

/// Gives the same mutated payloads, signatures and keys to every provider. The first is the one that the others must agree
/// with; that there are two, and that inputs of each kind are both accepted and refused, is part of the check.
#[must_use]
pub fn same_errors(vectors: &Vectors, providers: &[Provider]) -> Report {
    type Say = fn(&Vectors, &Provider) -> Result<Vec<(String, String)>, String>;
    let kinds: [(&str, Say); 4] =
        [("payloads", payloads), ("signatures", signatures), ("RSA keys", rsa_keys), ("curve keys", curve_keys)];
    let mut suites = Vec::new();
    for (kind, say) in kinds {
        let said: Vec<_> = std::thread::scope(|scope| {
            let runs: Vec<_> = providers.iter().map(|provider| scope.spawn(move || say(vectors, provider))).collect();
            let joined = runs.into_iter().map(|run| run.join().unwrap_or_else(|_| Err("a panic".to_owned())));
            joined.collect()
        });
        let first = said.first().cloned().unwrap_or_else(|| Err("no provider".to_owned()));
        for (provider, said) in providers.iter().zip(said) {
            let mut cases = Cases::new(format!("same result: {kind}"), Role::Provider, provider.name, &[]);
            match (&first, said) {
                (Ok(first), Ok(said)) => {
                    cases.check(kind, "as many inputs", expect_eq("inputs", &said.len(), &first.len()));
                    for ((input, expected), (_, found)) in first.iter().zip(&said) {
                        cases.check(kind, input, expect_eq("result", found, expected));
                    }
                    let results =
                        |accepted| said.iter().filter(move |(_, result)| result.starts_with("Ok") == accepted);
                    let verdict = match (results(true).count(), results(false).count()) {
                        (1.., 1..) if providers.len() >= 2 => Ok(()),
                        counts => Err(format!("{} providers, accepted and refused: {counts:?}", providers.len())),
                    };
                    cases.check(kind, "a check that can fail", verdict);
                }
                (Err(error), _) => cases.check(kind, "the first provider", Err(error.clone())),
                (_, Err(error)) => cases.check(kind, "the inputs", Err(error)),
            }
            suites.push(cases.finish());
        }
    }
    Report { suites, absent: Vec::new() }
}

/// What became of something, with every field of its error.
fn said<T, E: core::fmt::Debug>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => "Ok".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

/// The character after this one in the base64 alphabet, so that the text stays base64.
fn next_base64(byte: u8) -> u8 {
    match byte {
        b'Z' => b'a',
        b'z' => b'0',
        b'9' => b'+',
        b'+' => b'/',
        b'/' => b'A',
        b'=' => b'A',
        other => other.wrapping_add(1),
    }
}

fn payloads(vectors: &Vectors, provider: &Provider) -> Result<Vec<(String, String)>, String> {
    let private = keys::rsa_private(vectors, "python")?;
    let identities: [Box<dyn Identity>; 1] = [provider.key_unwrap.load(&private).map_err(|error| error.to_string())?];
    let text = vectors.bytes("python/empty.payload")?.trim_ascii_end().to_vec();
    let comma = text.iter().position(|byte| *byte == b',').ok_or("no comma")?;

    let mut inputs = vec![("as it is".to_owned(), text.clone())];
    let changed = |place: usize, change: fn(u8) -> u8| {
        let mut text = text.clone();
        text.iter_mut().skip(place).take(1).for_each(|byte| *byte = change(*byte));
        text
    };
    // an RSA operation each: a sample of the first field, every character of the second
    for place in (0..comma).step_by(13).chain(comma - 4..text.len()) {
        inputs.push((format!("another base64 character at {place}"), changed(place, next_base64)));
    }
    for place in (0..text.len()).step_by(5) {
        inputs.push((format!("! at {place}"), changed(place, |_| b'!')));
        inputs.push((format!("= at {place}"), changed(place, |_| b'=')));
        inputs.push((format!(", at {place}"), changed(place, |_| b',')));
        inputs.push((format!("a byte that is no ASCII at {place}"), changed(place, |byte| byte | 0x80)));
        inputs.push((format!("cut at {place}"), text.iter().copied().take(place).collect()));
        inputs.push((format!("cut before {place}"), text.iter().copied().skip(place + 1).collect()));
    }
    let (key, boxed) = (text.get(..comma).unwrap_or_default(), text.get(comma + 1..).unwrap_or_default());
    for (what, fields) in [
        ("fields exchanged", vec![boxed, key]),
        ("the first field twice", vec![key, key]),
        ("a third field", vec![key, boxed, boxed]),
        ("an empty third field", vec![key, boxed, b""]),
        ("no first field", vec![b"", boxed]),
        ("no second field", vec![key, b""]),
        ("a version", vec![b"studioml.v2", key, boxed]),
        ("nothing", vec![b""]),
    ] {
        inputs.push((what.to_owned(), fields.join(&b',')));
    }
    let said = inputs.into_iter().map(|(what, mut text)| {
        let result = match Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT) {
            Err(error) => format!("{error:?}"),
            Ok(payload) => match payload.open_unauthenticated(provider, &identities) {
                Err(error) => format!("{error:?}"),
                Ok(opened) => format!("Ok {}", hex::encode(opened.unauthenticated_plaintext())),
            },
        };
        (what, result)
    });
    Ok(said.collect())
}

/// An SSH wire form: `string name || string blob`.
fn ssh_form(name: &[u8], blob: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in [name, blob] {
        out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// `r` and `s` of a strict DER signature as SSH writes them.
fn ssh_mpints(der: &[u8]) -> Option<Vec<u8>> {
    let r_len = usize::from(*der.get(3)?);
    let r = der.get(4..4 + r_len)?;
    let s = der.get(6 + r_len..)?;
    Some(ssh_form(r, s))
}

fn signatures(vectors: &Vectors, provider: &Provider) -> Result<Vec<(String, String)>, String> {
    let check = &vectors.expected().keyfiles.check;
    let path = |file: &str| format!("keyfiles/{file}");
    let text = vectors.bytes(&path(&check.payload))?.trim_ascii_end();
    let ed25519 = keys::base64(vectors.text(&path(&check.ed25519_signature))?)?;
    let ecdsa = keys::base64(vectors.text(&path(&check.ecdsa_p256_sha256_der_signature))?)?;
    let mpints = ssh_mpints(&ecdsa).ok_or("check.ecdsa-signature is no DER")?;
    let forms = [
        ("Ed25519", ed25519.clone()),
        ("Ed25519 in SSH form", ssh_form(b"ssh-ed25519", &ed25519)),
        ("ECDSA", ecdsa.clone()),
        ("ECDSA in SSH form", ssh_form(b"ecdsa-sha2-nistp256", &mpints)),
        ("Ed25519 under ECDSA's name", ssh_form(b"ecdsa-sha2-nistp256", &ed25519)),
    ];
    let mut trusted = Vec::new();
    for key in keys::signers(vectors)? {
        trusted.push(TrustedSigner::load(provider, &key).map_err(|error| error.to_string())?);
    }

    let mut inputs: Vec<(String, String)> = Vec::new();
    for (form, bytes) in &forms {
        inputs.push((format!("{form} as it is"), STANDARD.encode(bytes)));
        for place in 0..bytes.len() {
            for bit in [0, 3, 7] {
                let mut bytes = bytes.clone();
                bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << bit);
                inputs.push((format!("{form}, bit {bit} of byte {place}"), STANDARD.encode(&bytes)));
            }
            let zeroed = bytes.iter().enumerate().map(|(at, byte)| if at == place { 0 } else { *byte });
            inputs.push((format!("{form}, byte {place} zero"), STANDARD.encode(zeroed.collect::<Vec<_>>())));
            inputs.push((format!("{form} cut at {place}"), STANDARD.encode(bytes.get(..place).unwrap_or_default())));
        }
        for more in [1, 4, 100, 1000] {
            inputs.push((format!("{form} and {more} bytes"), STANDARD.encode([bytes.clone(), vec![0; more]].concat())));
        }
        let encoded = STANDARD.encode(bytes);
        inputs.push((format!("{form} without padding"), encoded.trim_end_matches('=').to_owned()));
        inputs.push((format!("{form} and a line end"), format!("{encoded}\n")));
    }
    let mut said = Vec::new();
    for (what, signature) in inputs {
        for signer in &trusted {
            let mut text = text.to_vec();
            let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).map_err(|error| error.to_string())?;
            let result = payload.verify(&signature, &[signer]);
            said.push((format!("{what}, under {}", signer.public_key().kind()), self::said(result)));
        }
    }
    Ok(said)
}

fn rsa_keys(vectors: &Vectors, provider: &Provider) -> Result<Vec<(String, String)>, String> {
    let good = keys::rsa_private(vectors, keys::KEYFILES)?;
    let public = good.public_key();
    let own = |digits: &[u8]| digits.to_vec();
    let numbers = good
        .with_numbers(|n| {
            Ok([n.private_exponent, n.prime_p, n.prime_q, n.exponent_p, n.exponent_q, n.coefficient].map(own))
        })
        .map_err(|error| error.to_string())?;
    let load = |public: RsaPublicKey, numbers: &[Vec<u8>; 6]| {
        let [private_exponent, prime_p, prime_q, exponent_p, exponent_q, coefficient] = numbers;
        let numbers = RsaPrivateNumbers { private_exponent, prime_p, prime_q, exponent_p, exponent_q, coefficient };
        said(RsaPrivateKey::new(public, &numbers).and_then(|key| provider.key_unwrap.load(&key)))
    };

    let mut results = vec![("as it is".to_owned(), load(public.clone(), &numbers))];
    let names = ["d", "p", "q", "dP", "dQ", "qInv"];
    for (number, name) in names.into_iter().enumerate() {
        let mut change = |what: &str, change: &dyn Fn(&mut Vec<u8>)| {
            let mut numbers = numbers.clone();
            numbers.iter_mut().skip(number).take(1).for_each(change);
            results.push((format!("{name} {what}"), load(public.clone(), &numbers)));
        };
        for place in [0, 1, 7, 100, 200, 255] {
            for bit in [0, 1, 7] {
                let flip = |digits: &mut Vec<u8>| {
                    digits.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << bit);
                };
                change(&format!("with bit {bit} of byte {place} changed"), &flip);
            }
        }
        change("with its last bit changed", &|digits| digits.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1));
        change("of zero", &|digits| digits.fill(0));
        change("of one", &|digits| *digits = vec![1]);
        change("empty", &Vec::clear);
        change("cut by a byte", &|digits| digits.truncate(digits.len().saturating_sub(1)));
        change("longer by a byte", &|digits| digits.push(1));
        change("with leading zeros", &|digits| drop(digits.splice(..0, [0; 9])));
        change("of ones", &|digits| digits.fill(0xff));
    }
    for (one, other) in [(0, 1), (1, 2), (3, 4), (1, 5)] {
        let mut exchanged = numbers.clone();
        exchanged.swap(one, other);
        results.push((format!("numbers {one} and {other} exchanged"), load(public.clone(), &exchanged)));
    }
    for (what, modulus, exponent) in public_variants(public) {
        let key = RsaPublicKey::new(&modulus, &exponent);
        let recipient = key.clone().and_then(|key| provider.key_wrap.load(&key));
        results.push((format!("recipient with {what}"), said(recipient)));
        let private = key.map(|key| load(key, &numbers));
        results.push((format!("private key with {what}"), private.unwrap_or_else(|error| format!("{error:?}"))));
    }
    Ok(results)
}

/// Public keys around the limits of docs/spec.md §1, and moduli that are no product of two primes.
fn public_variants(public: &RsaPublicKey) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let modulus = |bits: usize| {
        let mut digits = vec![0; bits.div_ceil(8)];
        digits.first_mut().into_iter().for_each(|digit| *digit = 1 << ((bits + 7) % 8));
        digits.last_mut().into_iter().for_each(|digit| *digit |= 1);
        digits
    };
    let exponent = public.exponent_bytes();
    let mut variants = vec![
        ("another modulus".to_owned(), public.modulus().iter().map(|byte| byte | 1).collect(), exponent.clone()),
        ("a modulus of ones".to_owned(), vec![0xff; 512], exponent.clone()),
        ("an even modulus".to_owned(), public.modulus().iter().map(|byte| byte & 0xfe).collect(), exponent.clone()),
        ("an empty modulus".to_owned(), Vec::new(), exponent.clone()),
    ];
    for bits in [1024, 2040, 2047, 2048, 2049, 2056, 4096, 8184, 8192, 8193, 8200, 16384] {
        variants.push((format!("a modulus of {bits} bits"), modulus(bits), exponent.clone()));
    }
    for exponent in [0_u64, 1, 2, 3, 4, 65536, 65537, (1 << 33) - 1, 1 << 33, (1 << 33) + 1, u64::MAX] {
        variants.push((format!("e = {exponent}"), public.modulus().to_vec(), exponent.to_be_bytes().to_vec()));
    }
    variants.push(("e of nine bytes".to_owned(), public.modulus().to_vec(), vec![1, 0, 0, 0, 0, 0, 0, 0, 1]));
    variants
}

fn curve_keys(vectors: &Vectors, provider: &Provider) -> Result<Vec<(String, String)>, String> {
    let known = keys::p256_private(vectors)?;
    let scalar = || SecretBytes::copy_from(known.scalar().expose_secret());
    let mut results = Vec::new();
    for (what, point) in points(known.public_key()) {
        let Ok(point) = P256PublicKey::from_uncompressed(&point) else {
            results.push((what, "core refuses the encoding".to_owned()));
            continue;
        };
        let signing = SigningPublicKey::P256(point);
        results.push((format!("{what}: verifying key"), said(provider.verify.load(&signing))));
        let pair = provider.agree.generate(provider.random).map_err(|error| error.to_string())?;
        results.push((format!("{what}: agreed with once"), said(pair.agree(&point))));
        let kept = provider.agree_static.load(&known).map_err(|error| error.to_string())?;
        results.push((format!("{what}: agreed with"), said(kept.agree(&point))));
        let private = || P256PrivateKey::new(scalar(), point).map_err(|error| error.to_string());
        results.push((format!("{what}: kept key"), said(provider.agree_static.load(&private()?))));
        let signer = SigningPrivateKey::P256(private()?);
        results.push((format!("{what}: signing key"), said(provider.sign.load(&signer))));
    }
    // n of SP 800-186 §3.2.1.3, and its neighbours
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc6325";
    for (what, scalar) in [
        ("0", "00".repeat(32)),
        ("1", format!("{}01", "00".repeat(31))),
        ("n - 1", format!("{order}50")),
        ("n", format!("{order}51")),
        ("n + 1", format!("{order}52")),
        ("2^256 - 1", "ff".repeat(32)),
    ] {
        let bytes = || hex::decode(&scalar).map(SecretBytes::new).map_err(|error| error.to_string());
        let public = provider.agree_static.public_key_of(&bytes()?);
        let point = public.clone().map(|public| hex::encode(public.as_bytes()));
        results.push((format!("scalar {what}: public key"), format!("{point:?}")));
        let public = public.unwrap_or(*known.public_key());
        let private = || P256PrivateKey::new(bytes()?, public).map_err(|error| error.to_string());
        results.push((format!("scalar {what}: kept key"), said(provider.agree_static.load(&private()?))));
        let signer = SigningPrivateKey::P256(private()?);
        results.push((format!("scalar {what}: signing key"), said(provider.sign.load(&signer))));
    }
    ed25519_keys(vectors, provider, &mut results)?;
    Ok(results)
}

/// Points on the curve, off it, and in encodings that are none.
fn points(public: &P256PublicKey) -> Vec<(String, Vec<u8>)> {
    // p of SP 800-186 §3.2.1.3
    let prime = hex::decode("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff").unwrap_or_default();
    let good = public.as_bytes();
    let (x, y) = good.split_at(1).1.split_at(32);
    let point = |x: &[u8], y: &[u8]| [&[4][..], x, y].concat();
    let mut points = vec![
        ("as it is".to_owned(), good.to_vec()),
        ("coordinates exchanged".to_owned(), point(y, x)),
        ("(0, 0)".to_owned(), point(&[0; 32], &[0; 32])),
        ("(p, p)".to_owned(), point(&prime, &prime)),
        ("x = p".to_owned(), point(&prime, y)),
        ("y = p".to_owned(), point(x, &prime)),
        ("(2^256 - 1, 2^256 - 1)".to_owned(), point(&[0xff; 32], &[0xff; 32])),
        ("compressed".to_owned(), [&[2][..], x].concat()),
        ("hybrid".to_owned(), [&[6][..], x, y].concat()),
        ("the identity".to_owned(), vec![0]),
        ("nothing".to_owned(), Vec::new()),
        ("a byte more".to_owned(), [&good[..], &[0]].concat()),
    ];
    for place in [1, 2, 16, 32, 33, 48, 64] {
        let mut changed = good.to_vec();
        changed.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1);
        points.push((format!("byte {place} changed"), changed));
    }
    points
}

fn ed25519_keys(vectors: &Vectors, provider: &Provider, results: &mut Vec<(String, String)>) -> Result<(), String> {
    let [SigningPublicKey::Ed25519(good), _] = keys::signers(vectors)? else {
        return Err("keyfiles/ed25519.ssh-line holds another kind of key".to_owned());
    };
    let seed = || SecretBytes::copy_from(vectors.bytes("keyfiles/ed25519.seed").unwrap_or_default());
    let text = vectors.bytes("keyfiles/check.payload")?.trim_ascii_end();
    let signature = vectors.text("keyfiles/check.ed25519-signature")?;
    for place in 0..=32 {
        let mut bytes = *good.as_bytes();
        bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1);
        let what = if place == 32 { "as it is".to_owned() } else { format!("byte {place} changed") };
        // half of these are no points of the curve: they load everywhere and verify nothing
        let key = Ed25519PublicKey::from_bytes(&bytes).map_err(|error| error.to_string())?;
        let signer =
            TrustedSigner::load(provider, &SigningPublicKey::Ed25519(key)).map_err(|error| error.to_string())?;
        let mut text = text.to_vec();
        let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).map_err(|error| error.to_string())?;
        results.push((format!("Ed25519 key, {what}: verifying"), said(payload.verify(signature, &[signer]))));
        let private = Ed25519PrivateKey::new(seed(), Some(key)).map_err(|error| error.to_string())?;
        let private = SigningPrivateKey::Ed25519(private);
        results.push((format!("Ed25519 key, {what}: signing key"), said(provider.sign.load(&private))));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops where something is not as expected")]
mod tests {
    use super::*;

    /// Who compares two providers compares nothing if the inputs are gone: they are as many, and what is said of each is
    /// what it was when somebody last looked. Whoever changes an input on purpose changes its line here.
    #[test]
    fn the_inputs_are_those_that_were_looked_at() {
        let vectors = Vectors::bundled().unwrap();
        let provider = studioml_envelope::provider::default();
        let digest = |said: Vec<(String, String)>| {
            let lines: String = said.iter().map(|(input, result)| format!("{input}: {result}\n")).collect();
            let [a, b, c, d, ..] = provider.digest.sha256(lines.as_bytes());
            (said.len(), hex::encode([a, b, c, d]))
        };
        let said = [payloads, signatures, rsa_keys, curve_keys].map(|say| digest(say(&vectors, &provider).unwrap()));
        let expected = [(1017, "b083a566"), (4160, "7b6a1bbd"), (217, "17a6055b"), (159, "7022e1f7")];
        assert_eq!(said, expected.map(|(inputs, digest)| (inputs, digest.to_owned())));
    }
}
