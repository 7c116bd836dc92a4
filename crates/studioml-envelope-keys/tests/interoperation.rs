//! What is written here is read by the real `openssl` and `ssh-keygen`, and what they write is read here (docs/spec.md §5).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;
#[path = "support/tools.rs"]
mod tools;

use std::path::{Path, PathBuf};

use studioml_envelope_core::{KeyError, P256PrivateKey, PrivateKey, PublicKey, SecretBytes};
use studioml_envelope_keys::{
    Format, KeyFileError, Passphrase, PrivateFormat, PublicFormat,
    disk::{Replace, write_private},
    encode_private, encode_public, inspect, read_private, read_public,
};
use support::{PROVIDER, vector};
use tools::{openssl_public, run, ssh_keygen_public};

/// With a quote, a space and two bytes of UTF-8, as people have them.
const PASSPHRASE: &str = "correct 'horse' Straße";
const COMMENT: &str = "someone@somewhere, the second";

fn keys() -> Vec<(&'static str, PrivateKey, PublicKey)> {
    ["rsa.pkcs8.pem", "ed25519.pkcs8.pem", "ec.pkcs8.pem"]
        .map(|file| {
            let loaded = read_private(&vector(&format!("keyfiles/{file}")), None, PROVIDER).unwrap();
            let public = loaded.public_key().clone();
            (public_kind(&public), loaded.into_key(), public)
        })
        .into()
}

fn public_kind(public: &PublicKey) -> &'static str {
    public.kind()
}

fn passphrase() -> Passphrase {
    Passphrase::exact(PASSPHRASE.into())
}

fn file_in(directory: &tempfile::TempDir, contents: &[u8]) -> PathBuf {
    let path = directory.path().join("key");
    write_private(&path, contents, Replace::Existing).unwrap();
    path
}

#[test]
fn private_keys_round_trip_in_every_format() {
    for (kind, key, public) in keys() {
        for format in [
            PrivateFormat::Pkcs8,
            PrivateFormat::Pkcs8Pbkdf2,
            PrivateFormat::Pkcs8Der,
            PrivateFormat::LegacyPem,
            PrivateFormat::OpenSsh,
        ] {
            for passphrase in [None, Some(passphrase())] {
                let written = encode_private(&key, format, passphrase.as_ref(), COMMENT, PROVIDER);
                match (kind, format, &passphrase) {
                    ("Ed25519", PrivateFormat::LegacyPem, _) => {
                        let expected = KeyError::Kind { expected: "RSA or P-256", found: "Ed25519" };
                        assert_eq!(written.unwrap_err(), KeyFileError::Key(expected));
                        continue;
                    }
                    (_, PrivateFormat::Pkcs8Der, Some(_)) => {
                        assert!(matches!(written, Err(KeyFileError::Unsupported { .. })));
                        continue;
                    }
                    _ => {}
                }
                let written = written.unwrap();
                let described = inspect(written.expose_secret(), PROVIDER).unwrap().remove(0);
                assert_eq!(described.protection.is_encrypted(), passphrase.is_some());
                let read = read_private(written.expose_secret(), passphrase.as_ref(), PROVIDER).unwrap();
                assert_eq!(read.public_key(), &public, "{kind} {format:?}");
                let comment = (format == PrivateFormat::OpenSsh).then_some(COMMENT);
                assert_eq!(read.description().comment.as_deref(), comment);
            }
        }
    }
}

#[test]
fn openssl_reads_what_is_written() {
    for (kind, key, public) in keys() {
        for format in [PrivateFormat::Pkcs8, PrivateFormat::Pkcs8Pbkdf2, PrivateFormat::LegacyPem] {
            if (kind, format) == ("Ed25519", PrivateFormat::LegacyPem) {
                continue;
            }
            for passphrase in [None, Some(passphrase())] {
                let written = encode_private(&key, format, passphrase.as_ref(), "", PROVIDER).unwrap();
                let found = openssl_public(written.expose_secret(), PASSPHRASE);
                assert_eq!(found, public.to_spki_der(), "{kind} {format:?} {}", passphrase.is_some());
            }
        }
        let der = encode_private(&key, PrivateFormat::Pkcs8Der, None, "", PROVIDER).unwrap();
        let found = run("openssl", &["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], der.expose_secret());
        assert_eq!(found, public.to_spki_der(), "{kind}");
    }
}

#[test]
fn ssh_keygen_reads_what_is_written() {
    let directory = tempfile::tempdir().unwrap();
    for (kind, key, public) in keys() {
        let expected = String::from_utf8(encode_public(&public, PublicFormat::SshLine, "").unwrap()).unwrap();
        for format in [PrivateFormat::OpenSsh, PrivateFormat::Pkcs8, PrivateFormat::LegacyPem] {
            // ssh-keygen reads Ed25519 in its own format only
            if kind == "Ed25519" && format != PrivateFormat::OpenSsh {
                continue;
            }
            for passphrase in [None, Some(passphrase())] {
                let written = encode_private(&key, format, passphrase.as_ref(), COMMENT, PROVIDER).unwrap();
                let path = file_in(&directory, written.expose_secret());
                let given = if passphrase.is_some() { PASSPHRASE } else { "" };
                assert_eq!(ssh_keygen_public(&path, given), expected.trim_end(), "{kind} {format:?}");
            }
        }
    }
}

#[test]
fn public_keys_round_trip_and_are_read_by_both_tools() {
    let directory = tempfile::tempdir().unwrap();
    for (kind, _, public) in keys() {
        let line = encode_public(&public, PublicFormat::SshLine, COMMENT).unwrap();
        let read = read_public(&line).unwrap();
        assert_eq!((&read.key, read.comment.as_deref()), (&public, Some(COMMENT)));
        let path = file_in(&directory, &line);
        let listed = String::from_utf8(run("ssh-keygen", &["-l", "-f", path.to_str().unwrap()], b"")).unwrap();
        assert!(listed.contains(COMMENT), "{kind}: {listed}");

        for (format, form) in [(PublicFormat::SpkiPem, "PEM"), (PublicFormat::SpkiDer, "DER")] {
            let written = encode_public(&public, format, "").unwrap();
            assert_eq!(read_public(&written).unwrap().key, public);
            let found = run("openssl", &["pkey", "-pubin", "-inform", form, "-pubout", "-outform", "DER"], &written);
            assert_eq!(found, public.to_spki_der(), "{kind} {form}");
        }

        let pkcs1 = encode_public(&public, PublicFormat::Pkcs1Pem, "");
        if kind == "RSA" {
            let pkcs1 = pkcs1.unwrap();
            assert!(pkcs1.starts_with(b"-----BEGIN RSA PUBLIC KEY-----\n"));
            assert_eq!(read_public(&pkcs1).unwrap().key, public);
            let found = run("openssl", &["rsa", "-RSAPublicKey_in", "-pubout", "-outform", "DER"], &pkcs1);
            assert_eq!(found, public.to_spki_der());
        } else {
            assert_eq!(pkcs1.unwrap_err(), KeyFileError::Key(KeyError::Kind { expected: "RSA", found: kind }));
        }
    }
}

#[test]
fn a_comment_cannot_add_a_line() {
    let (_, key, public) = keys().remove(1);
    let hostile = "me\nssh-ed25519 AAAA somebody else";
    let line = encode_public(&public, PublicFormat::SshLine, hostile).unwrap();
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    let file = encode_private(&key, PrivateFormat::OpenSsh, None, hostile, PROVIDER).unwrap();
    let read = read_private(file.expose_secret(), None, PROVIDER).unwrap();
    assert_eq!(read.description().comment.as_deref(), Some("messh-ed25519 AAAA somebody else"));
}

#[test]
fn an_empty_passphrase_encrypts_nothing() {
    let (_, key, _) = keys().remove(1);
    let empty = Passphrase::exact(Vec::new());
    let written = encode_private(&key, PrivateFormat::Pkcs8, Some(&empty), "", PROVIDER);
    assert_eq!(written.unwrap_err(), KeyFileError::EmptyPassphrase);
}

#[test]
fn two_writings_under_one_passphrase_share_nothing() {
    let (_, key, _) = keys().remove(1);
    for format in [PrivateFormat::Pkcs8Pbkdf2, PrivateFormat::OpenSsh] {
        let write = || encode_private(&key, format, Some(&passphrase()), "", PROVIDER).unwrap();
        assert_ne!(write().expose_secret(), write().expose_secret(), "{format:?}");
    }
}

/// The commands by which cluster owners have made their key pairs, with a smaller key.
#[test]
fn the_commands_of_the_seed_make_files_that_load() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let key = path("studioml_message");
    run(
        "ssh-keygen",
        &["-q", "-t", "rsa", "-b", "2048", "-f", &key, "-C", "Message Encryption Key", "-N", "PassPhrase"],
        b"",
    );
    let public = run("ssh-keygen", &["-f", &path("studioml_message.pub"), "-e", "-m", "PEM"], b"");
    let pem = path("studioml_message.pem");
    std::fs::copy(&key, &pem).unwrap();
    run("ssh-keygen", &["-f", &pem, "-e", "-m", "PEM", "-p", "-P", "PassPhrase", "-N", "PassPhrase"], b"");

    let public = read_public(&public).unwrap();
    assert_eq!(public.format, Format::Pkcs1);
    let passphrase = Passphrase::from_file_contents(b"PassPhrase".to_vec());
    for (file, format) in [(key, Format::OpenSsh), (pem, Format::Pkcs1)] {
        let read = read_private(&std::fs::read(&file).unwrap(), Some(&passphrase), PROVIDER).unwrap();
        assert_eq!((read.public_key(), read.description().format), (&public.key, format));
    }
}

#[test]
fn the_signing_commands_of_the_seed_make_files_that_load() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (key, public) = (path("studioml_signing.pem"), path("studioml_signing.pub.pem"));
    run("openssl", &["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", &key], b"");
    run("openssl", &["ec", "-in", &key, "-pubout", "-out", &public], b"");
    let read = read_private(&std::fs::read(&key).unwrap(), None, PROVIDER).unwrap();
    assert_eq!(read.public_key(), &read_public(&std::fs::read(&public).unwrap()).unwrap().key);
}

#[test]
fn whatever_openssl_encrypts_is_read() {
    let (_, key, public) = keys().remove(2);
    let plain = encode_private(&key, PrivateFormat::Pkcs8, None, "", PROVIDER).unwrap();
    let pass = format!("pass:{PASSPHRASE}");
    let pkcs8 = ["pkcs8", "-topk8", "-passout", &pass];
    let variants: [&[&str]; 10] = [
        &["-v2", "aes-128-cbc"],
        &["-v2", "aes-192-cbc"],
        &["-v2", "aes-256-cbc"],
        &["-v2", "des3"],
        &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1", "-iter", "1"],
        &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA224"],
        &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA384"],
        &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512", "-iter", "100000"],
        &["-scrypt_N", "1024", "-scrypt_r", "4", "-scrypt_p", "3"],
        &["-v1", "PBE-SHA1-3DES", "-iter", "7"],
    ];
    for variant in variants {
        let arguments: Vec<&str> = pkcs8.iter().chain(variant).copied().collect();
        let written = run("openssl", &arguments, plain.expose_secret());
        let read = read_private(&written, Some(&passphrase()), PROVIDER).unwrap_or_else(|e| panic!("{variant:?}: {e}"));
        assert_eq!(read.public_key(), &public, "{variant:?}");
    }
    for cipher in ["-aes128", "-aes192", "-aes256", "-des3"] {
        let written = run("openssl", &["ec", cipher, "-passout", &pass], plain.expose_secret());
        let read = read_private(&written, Some(&passphrase()), PROVIDER).unwrap_or_else(|e| panic!("{cipher}: {e}"));
        assert_eq!((read.public_key(), read.description().format), (&public, Format::Sec1), "{cipher}");
    }
}

#[test]
fn other_ciphers_are_refused_by_name() {
    let (_, key, _) = keys().remove(2);
    let plain = encode_private(&key, PrivateFormat::Pkcs8, None, "", PROVIDER).unwrap();
    let refused = |written: &[u8]| read_private(written, Some(&passphrase()), PROVIDER).unwrap_err().to_string();
    let pass = format!("pass:{PASSPHRASE}");
    let camellia = run("openssl", &["ec", "-camellia128", "-passout", &pass], plain.expose_secret());
    assert_eq!(refused(&camellia), "unsupported cipher CAMELLIA-128-CBC");
    let aria = run("openssl", &["pkcs8", "-topk8", "-v2", "aria-128-cbc", "-passout", &pass], plain.expose_secret());
    assert_eq!(refused(&aria), "unsupported cipher 1.2.410.200046.1.1.2");
}

/// By name also where the key is encrypted: with the right passphrase there is no doubt what it is.
#[test]
fn other_keys_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |written: &[u8]| read_private(written, Some(&passphrase()), PROVIDER).unwrap_err().to_string();
    for (kind, bits, expected) in [
        ("ecdsa", "384", "unsupported key algorithm ecdsa-sha2-nistp384"),
        ("ecdsa", "521", "unsupported key algorithm ecdsa-sha2-nistp521"),
        ("rsa", "1024", "RSA modulus of 1024 bits: 2048 to 8192 bits, a multiple of 8, are supported"),
    ] {
        for given in ["", PASSPHRASE] {
            let path = directory.path().join(format!("{kind}-{bits}-{}", given.len()));
            run("ssh-keygen", &["-q", "-t", kind, "-b", bits, "-N", given, "-f", path.to_str().unwrap()], b"");
            assert_eq!(refused(&std::fs::read(&path).unwrap()), expected);
        }
    }
    let pass = format!("pass:{PASSPHRASE}");
    let p384 = "unsupported elliptic curve P-384: only P-256 (prime256v1) is supported";
    for (arguments, expected) in [
        (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"][..], p384),
        (&["-algorithm", "X25519"], "unsupported key algorithm X25519"),
        (&["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"], "unsupported key algorithm RSASSA-PSS"),
        (
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"],
            "explicit elliptic curve parameters are refused; write the key with a named curve",
        ),
    ] {
        for encryption in [&[][..], &["-aes256", "-pass", &pass]] {
            let written = run("openssl", &[&["genpkey"][..], arguments, encryption].concat(), b"");
            assert_eq!(refused(&written), expected);
        }
    }
    let sec1 = run("openssl", &["ecparam", "-name", "secp384r1", "-genkey", "-noout"], b"");
    assert_eq!(refused(&sec1), p384);
}

#[test]
fn whatever_ssh_keygen_encrypts_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let (_, key, public) = keys().remove(1);
    let plain = encode_private(&key, PrivateFormat::OpenSsh, None, COMMENT, PROVIDER).unwrap();
    let ciphers = String::from_utf8(run("ssh", &["-Q", "cipher"], b"")).unwrap();
    assert!(ciphers.lines().count() >= 8, "{ciphers}");
    for cipher in ciphers.lines() {
        let path = file_in(&directory, plain.expose_secret());
        let file = path.to_str().unwrap();
        run("ssh-keygen", &["-q", "-p", "-Z", cipher, "-a", "2", "-P", "", "-N", PASSPHRASE, "-f", file], b"");
        let written = std::fs::read(&path).unwrap();
        let read = read_private(&written, Some(&passphrase()), PROVIDER).unwrap_or_else(|e| panic!("{cipher}: {e}"));
        assert_eq!(read.public_key(), &public, "{cipher}");
    }
}

/// `ssh-keygen` writes the scalar as an mpint, which leaves out its leading zeros: one key in 256 has some.
#[test]
fn p256_scalars_that_begin_with_zeros_go_both_ways() {
    let directory = tempfile::tempdir().unwrap();
    for beginning in [&[0, 0x7f][..], &[0, 0x80], &[0, 0, 0, 1], &[0x80], &[0x7f]] {
        let scalar = SecretBytes::new([beginning, &[0x55; 32][beginning.len()..]].concat());
        let public = PROVIDER.agree_static.public_key_of(&scalar).unwrap();
        let key = PrivateKey::P256(P256PrivateKey::new(scalar, public).unwrap());
        let public = PublicKey::P256(public);
        let line = String::from_utf8(encode_public(&public, PublicFormat::SshLine, "").unwrap()).unwrap();
        for given in ["", PASSPHRASE] {
            let legacy = encode_private(&key, PrivateFormat::LegacyPem, None, "", PROVIDER).unwrap();
            let path = file_in(&directory, legacy.expose_secret());
            run("ssh-keygen", &["-q", "-p", "-P", "", "-N", given, "-f", path.to_str().unwrap()], b"");
            let read = read_private(&std::fs::read(&path).unwrap(), Some(&passphrase()), PROVIDER)
                .unwrap_or_else(|error| panic!("{beginning:x?}: {error}"));
            assert_eq!((read.public_key(), read.description().format), (&public, Format::OpenSsh));

            let passphrase = (!given.is_empty()).then(passphrase);
            let written = encode_private(&key, PrivateFormat::OpenSsh, passphrase.as_ref(), "", PROVIDER).unwrap();
            let path = file_in(&directory, written.expose_secret());
            assert_eq!(ssh_keygen_public(&path, given), line.trim_end(), "{beginning:x?}");
        }
    }
}

#[test]
fn an_honest_key_of_a_hundred_rounds_loads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    run("ssh-keygen", &["-q", "-t", "ed25519", "-a", "100", "-N", PASSPHRASE, "-f", path.to_str().unwrap()], b"");
    let read = read_private(&std::fs::read(&path).unwrap(), Some(&passphrase()), PROVIDER).unwrap();
    let public = read_public(&std::fs::read(public_file(&path)).unwrap()).unwrap();
    assert_eq!(read.public_key(), &public.key);
}

fn public_file(private: &Path) -> PathBuf {
    let mut name = private.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}
