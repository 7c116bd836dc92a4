//! Floods: input that is to cost its reader more than its sender. Memory is counted in this thread; derivations of keys are
//! refused by their parameters, before they take any.

use allocation_counter::{AllocationInfo, measure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use studioml_envelope::{Message, MessageError, Payload, PayloadError, UnauthenticatedRequest, provider};
use studioml_envelope_core::{Fingerprint, KeyError, PublicKey, Signature};
use studioml_envelope_keys::{KeyFileError, Passphrase, read_private, read_public_keys};

use crate::parties::{Parties, with_member};

const MIB: usize = 1 << 20;
/// Errors, short names, one-off tables.
const SMALL: u64 = 64 << 10;

fn measured<T>(run: impl FnOnce() -> T) -> (T, AllocationInfo) {
    let mut outcome = None;
    let info = measure(|| outcome = Some(run()));
    (outcome.unwrap(), info)
}

fn at_most(what: &str, info: &AllocationInfo, bytes: u64) {
    assert!(info.bytes_max <= bytes, "{what}: {} bytes at once, {bytes} allowed", info.bytes_max);
}

fn parsed(text: &[u8]) -> (Result<(), MessageError>, AllocationInfo) {
    let mut buffer = text.to_vec();
    measured(|| Message::parse(&mut buffer, 1 << 20).map(drop))
}

#[test]
fn comma_floods_cost_no_memory() {
    for mut text in [vec![b','; 16 * MIB], b"AAAA,".repeat(3 * MIB)] {
        let (refused, info) = measured(|| Payload::parse(&mut text, usize::MAX).map(drop));
        assert_eq!(refused, Err(PayloadError::Fields { fields: 3 }));
        at_most("a payload of commas", &info, 1024);
        let message = format!(r#"{{"message":{{"payload":"{}"}}}}"#, str::from_utf8(&text).unwrap());
        let (refused, info) = parsed(message.as_bytes());
        assert_eq!(refused, Err(MessageError::Payload(PayloadError::Fields { fields: 3 })));
        at_most("a message of commas", &info, SMALL);
    }
}

#[test]
fn deep_json_is_refused_wherever_it_stands() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(MIB), close.repeat(MIB));
    for (open, close) in [("[", "]"), ("{\"a\":", "0}")] {
        let deep = deep(open, close).replace("0}0}", "0}}").replacen(":}", ":0}", 1);
        for text in [
            deep.clone(),
            format!(r#"{{"message":{deep}}}"#),
            format!(r#"{{"message":{{"payload":{deep}}}}}"#),
            format!(r#"{{"message":{{"signature":{deep},"payload":"x"}}}}"#),
            format!(r#"{{"message":{{"experiment":{deep},"payload":"x"}}}}"#),
            format!(r#"{{"message":{{"payload":"x"}},"beside":{deep}}}"#),
        ] {
            let (refused, info) = parsed(text.as_bytes());
            assert!(refused.is_err(), "{text:.60}");
            at_most("deep JSON", &info, 4 * MIB as u64);
        }
        let mut allowing = studioml_envelope::Policy::default();
        allowing.clear_text_messages = true;
        let request = format!(r#"{{"experiment":{deep},"config":{{}}}}"#);
        assert!(UnauthenticatedRequest::admit(request.as_bytes(), &allowing, false).is_err());
    }
}

#[test]
fn a_flood_of_members_is_refused_at_a_number_of_them() {
    let members: Vec<String> = (0..MIB).map(|index| format!("\"{index:x}\":0")).collect();
    let members = members.join(",");
    for text in [
        format!(r#"{{"message":{{{members},"payload":"x"}}}}"#),
        format!(r#"{{"message":{{"payload":"x"}},{members}}}"#),
        format!(r#"{{"message":{{"experiment":{{{members}}},"payload":"x"}}}}"#),
        format!(r#"{{"message":{{"experiment":[[{{{members}}}]],"payload":"x"}}}}"#),
    ] {
        let (refused, info) = parsed(text.as_bytes());
        assert_eq!(refused, Err(MessageError::TooManyMembers), "{text:.60}");
        at_most("members", &info, 32 * MIB as u64);
    }
}

#[test]
fn long_strings_and_numbers_cost_a_few_copies() {
    let parties = Parties::new(&provider::default());
    let message = parties.message();
    let long = "x".repeat(4 * MIB);
    let escapes = "\\u0041".repeat(MIB);
    let digits = "7".repeat(4 * MIB);
    for (what, text) in [
        ("signature", with_member(&message, "signature", Some(long.clone().into()))),
        ("fingerprint", with_member(&message, "fingerprint", Some(long.clone().into()))),
        ("a name", with_member(&message, &long, Some(0.into()))),
        ("a header", with_member(&message, "experiment_lifetime", Some(long.into()))),
        ("escapes", message.replacen("\"payload\":\"", &format!("\"payload\":\"{escapes}"), 1)),
        ("digits", message.replacen("{\"message\":{", &format!("{{\"message\":{{\"time_added\":{digits},"), 1)),
        ("fraction", message.replacen("{\"message\":{", &format!("{{\"message\":{{\"time_added\":0.{digits},"), 1)),
        ("exponent", message.replacen("{\"message\":{", &format!("{{\"message\":{{\"time_added\":1e{digits},"), 1)),
    ] {
        let (_, info) = parsed(text.as_bytes());
        at_most(what, &info, 5 * text.len() as u64 + SMALL);
        let refused = parties.receive(text.as_bytes());
        assert!(refused.is_err() || matches!(what, "a name" | "a header" | "digits" | "fraction"), "{what}");
    }
    let huge = format!("{digits}e999999999999999999999");
    let text = message.replacen("{\"message\":{", &format!("{{\"message\":{{\"time_added\":{huge},"), 1);
    assert!(parsed(text.as_bytes()).0.is_err(), "a number that no float holds");
}

#[test]
fn long_signatures_and_fingerprints_are_refused_without_being_decoded() {
    let parties = Parties::new(&provider::default());
    let long = "A".repeat(16 * MIB);
    let (refused, info) = measured(|| Signature::from_base64(&long, parties.signer.public_key()).map(drop));
    assert!(refused.is_err());
    at_most("a signature", &info, 1024);
    for prefix in ["", "SHA256:", "SHA1:"] {
        let text = format!("{prefix}{long}");
        let (refused, info) = measured(|| text.parse::<Fingerprint>().map(drop));
        assert!(refused.is_err());
        at_most("a fingerprint", &info, 1024);
    }
}

/// Distinguished encoding of one value.
fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = body.len().to_be_bytes();
    let start = length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1);
    let digits = &length[start..];
    let length = if body.len() < 0x80 { digits.to_vec() } else { [&[0x80 | digits.len() as u8], digits].concat() };
    [&[tag], length.as_slice(), body].concat()
}

/// Of digits without leading zeros.
fn integer(number: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if number[0] < 0x80 { &[] } else { &[0] };
    tlv(2, &[sign, number].concat())
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

#[test]
fn huge_exponents_and_moduli_are_refused_before_any_arithmetic() {
    let modulus = [0xab; 512];
    for (n, e, expected) in [
        (&modulus[..], vec![0xff; 5], KeyError::PublicExponent),
        (&modulus, vec![0xff; 8], KeyError::PublicExponent),
        (&modulus, vec![0xff; 9], KeyError::PublicExponent),
        (&modulus, vec![0xff; 511], KeyError::PublicExponent),
        (&modulus, vec![0xff; 100_000], KeyError::PublicExponent),
        (&modulus, vec![1], KeyError::PublicExponent),
        (&modulus, vec![2, 0], KeyError::PublicExponent),
        (&[0xab; 2048], vec![1, 0, 1], KeyError::ModulusSize { bits: 16_384 }),
        (&[0xab; 500_000], vec![1, 0, 1], KeyError::ModulusSize { bits: 4_000_000 }),
        (&[0xab; 128], vec![1, 0, 1], KeyError::ModulusSize { bits: 1024 }),
    ] {
        let pkcs1 = tlv(0x30, &[integer(n), integer(&e)].concat());
        let algorithm = tlv(0x30, &[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1], &[5, 0][..]].concat());
        let spki = tlv(0x30, &[algorithm, tlv(3, &[&[0], pkcs1.as_slice()].concat())].concat());
        let positive = |number: &[u8]| string(&[&[0], number].concat());
        let exponent = if e[0] < 0x80 { string(&e) } else { positive(&e) };
        let blob = [string(b"ssh-rsa"), exponent, positive(n)].concat();
        let (read, info) = measured(|| (PublicKey::from_spki_der(&spki), PublicKey::from_ssh_blob(&blob)));
        assert_eq!(read, (Err(expected.clone()), Err(expected)));
        at_most("a key that is refused", &info, 4 * spki.len() as u64 + 4096);
    }
}

#[test]
fn der_that_announces_more_than_there_is_takes_no_memory() {
    for der in [
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff][..],
        &[0x30, 0x80, 0, 0],
        &[0x30, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x30, 0x0a, 2, 0x84, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0],
    ] {
        let (refused, info) = measured(|| read_public_keys(der).map(drop));
        assert!(refused.is_err());
        at_most("DER", &info, 4096);
        let armored = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der));
        assert!(read_public_keys(armored.as_bytes()).is_err());
    }
    let announcing = [b"openssh-key-v1\0".as_slice(), &[0xff; 40]].concat();
    let armored = format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
        STANDARD.encode(announcing)
    );
    let (refused, info) = measured(|| read_private(armored.as_bytes(), None, &provider::default()).map(drop));
    assert!(refused.is_err());
    at_most("an OpenSSH file", &info, 8192);
}

#[test]
fn key_files_of_many_small_pieces_cost_a_multiple_of_their_length() {
    let block = "-----BEGIN EC PARAMETERS-----\n-----END EC PARAMETERS-----\n";
    let pieces = |piece: &str| piece.repeat(MIB / piece.len());
    for (what, text) in [
        ("empty blocks", pieces(block)),
        ("lines", format!("-----BEGIN PUBLIC KEY-----\n{}-----END PUBLIC KEY-----\n", pieces("A\n"))),
        ("headers", format!("-----BEGIN RSA PRIVATE KEY-----\n{}", pieces("a:b\n"))),
        ("comments", pieces("#\n")),
        ("line ends", pieces("\n")),
        ("lines of keys that are none", pieces("ssh-ed25519 AAAA\n")),
        ("begins", pieces("-----BEGIN X-----\n")),
    ] {
        let (refused, info) = measured(|| read_public_keys(text.as_bytes()).map(drop));
        assert!(refused.is_err(), "{what}");
        at_most(what, &info, 40 * text.len() as u64);
    }
    let (refused, info) = measured(|| read_public_keys(&vec![b'#'; 64 * MIB]).map(drop));
    assert!(matches!(refused, Err(KeyFileError::TooLarge { .. })));
    at_most("a file larger than any key", &info, 65 * MIB as u64);
}

/// `EncryptedPrivateKeyInfo` with PBES2, AES-256-CBC and a derivation of one's own.
fn pbes2(derivation: &[u8]) -> Vec<u8> {
    let cipher = [&[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x2a][..], &tlv(4, &[0; 16])].concat();
    let parameters = tlv(0x30, &[derivation.to_vec(), tlv(0x30, &cipher)].concat());
    let algorithm =
        tlv(0x30, &[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 0x0d], parameters.as_slice()].concat());
    tlv(0x30, &[algorithm, tlv(4, &[0; 64])].concat())
}

fn scrypt(n: u64, r: u64, p: u64) -> Vec<u8> {
    let numbers = [n, r, p].map(|number| integer(&number.to_be_bytes()[7 - (number.max(1).ilog2() / 8) as usize..]));
    let parameters = tlv(0x30, &[tlv(4, &[0; 8]), numbers.concat()].concat());
    pbes2(&tlv(0x30, &[&[6, 9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 4, 0x0b], parameters.as_slice()].concat()))
}

fn pbkdf2(iterations: u64) -> Vec<u8> {
    let number = integer(&iterations.to_be_bytes()[7 - (iterations.max(1).ilog2() / 8) as usize..]);
    let parameters = tlv(0x30, &[tlv(4, &[0; 8]), number].concat());
    pbes2(&tlv(0x30, &[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 0x0c], parameters.as_slice()].concat()))
}

#[test]
fn hostile_derivation_costs_are_refused_before_any_memory_is_taken() {
    let passphrase = Passphrase::exact(b"passphrase".to_vec());
    let read = |file: &[u8]| measured(|| read_private(file, Some(&passphrase), &provider::default()).map(drop));
    for (what, file) in [
        ("scrypt of 1 GiB", scrypt(1 << 20, 8, 1)),
        ("scrypt of 1 TiB", scrypt(1 << 30, 8, 1)),
        ("scrypt of 2^63", scrypt(1 << 63, 1, 1)),
        ("scrypt with r of 2^30", scrypt(2, 1 << 30, 1)),
        ("scrypt with p of 2^30", scrypt(2, 1, 1 << 30)),
        ("scrypt whose product overflows", scrypt(1 << 62, 1 << 62, 1 << 62)),
        ("scrypt of little memory and much work", scrypt(1 << 14, 8, 1 << 12)),
        ("PBKDF2 of 2^32", pbkdf2(1 << 32)),
        ("PBKDF2 of 2^63", pbkdf2(1 << 63)),
        ("PBKDF2 one above the limit", pbkdf2(studioml_envelope_keys::limits::MAX_PBKDF2_ITERATIONS + 1)),
    ] {
        let (refused, info) = read(&file);
        assert!(matches!(refused, Err(KeyFileError::TooExpensive { .. })), "{what}: {refused:?}");
        at_most(what, &info, SMALL);
    }
    // what is affordable runs, within its limit of memory
    let (refused, info) = read(&scrypt(1 << 10, 8, 1));
    assert_eq!(refused, Err(KeyFileError::WrongPassphraseOrDamaged));
    at_most("scrypt of 1 MiB", &info, 2 * MIB as u64);
}

/// Clause 5.5 says what a file may cost; a limit that moves must move there too.
#[test]
fn the_specification_has_the_limits_of_key_files() {
    use studioml_envelope_keys::limits::{
        MAX_BCRYPT_ROUNDS, MAX_KEY_FILE, MAX_PBKDF2_ITERATIONS, MAX_PKCS12_ITERATIONS, MAX_SCRYPT_MEMORY,
        MAX_SCRYPT_WORK,
    };
    let specification = include_str!("../../../../docs/spec.md");
    let clause = specification.split("**5.5**").nth(1).unwrap().split("Held by").next().unwrap();
    assert_eq!(MAX_PBKDF2_ITERATIONS, MAX_PKCS12_ITERATIONS);
    for text in [
        format!("{MAX_BCRYPT_ROUNDS} rounds of bcrypt"),
        format!("{MAX_PBKDF2_ITERATIONS} iterations of PBKDF2"),
        format!("{} MiB and", MAX_SCRYPT_MEMORY >> 20),
        format!("N·r·p of {MAX_SCRYPT_WORK} for scrypt"),
        format!("{} MiB of file", MAX_KEY_FILE / MIB),
    ] {
        assert!(clause.contains(&text), "{text}");
    }
}

/// An error is read by people and by logs. It must not carry the sender's megabytes, nor his words for long.
#[test]
fn errors_do_not_repeat_the_input() {
    let parties = Parties::new(&provider::default());
    let message = parties.message();
    let marker = "MARKER".repeat(MIB / 6);
    let check = |what: &str, error: String| {
        assert!(error.len() <= 300, "{what}: an error of {} bytes", error.len());
        assert!(error.matches("MARKER").count() <= 64 / 6, "{what}: {error}");
    };
    for name in ["payload", "signature", "fingerprint"] {
        let text = with_member(&message, name, Some(marker.clone().into()));
        check(name, format!("{:?}", parties.receive(text.as_bytes()).unwrap_err()));
    }
    for text in [
        marker.clone(),
        format!("{{\"{marker}\":0}}"),
        format!("{{\"{marker}\":0,\"{marker}\":0}}"),
        format!("{{\"message\":\"{marker}\"}}"),
        format!("{{\"message\":{{\"{marker}\":{{\"{marker}\":0,\"{marker}\":0}}}}}}"),
    ] {
        check("a message", parsed(text.as_bytes()).0.unwrap_err().to_string());
        let admitted = UnauthenticatedRequest::admit(text.as_bytes(), &allowing(), false);
        check("clear text", admitted.map(drop).unwrap_err().to_string());
    }
    let short = &marker[..100_000];
    for text in [
        short.to_owned(),
        format!("ssh-{short} AAAA"),
        format!("-----BEGIN {short} PRIVATE KEY-----\nAAAA\n-----END {short} PRIVATE KEY-----\n"),
        format!("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: {short}\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"),
        format!(
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: {short},00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
        ),
    ] {
        check("a key file", read_public_keys(text.as_bytes()).map(drop).unwrap_err().to_string());
        let read = read_private(text.as_bytes(), None, &provider::default()).map(drop);
        check("a key file", read.unwrap_err().to_string());
    }
}

fn allowing() -> studioml_envelope::Policy {
    let mut policy = studioml_envelope::Policy::default();
    policy.clear_text_messages = true;
    policy
}
