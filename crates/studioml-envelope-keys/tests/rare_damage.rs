//! Damage that no writer makes by itself, forged field by field: what is refused, and as what (docs/spec.md §5.4).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "support/der.rs"]
mod der;
mod support;

use der::{bits, explicit, integer, octets, oid, pem, sequence};
use studioml_envelope_core::{KeyError, PrivateKey, PublicKey};
use studioml_envelope_keys::{
    Format, Kdf, KeyFileError, Passphrase, Protection, inspect, limits, read_private, read_public,
};
use support::{PROVIDER, vector};

const INCONSISTENT: KeyFileError = KeyFileError::Key(KeyError::Inconsistent);

fn error_of(bytes: &[u8]) -> KeyFileError {
    read_private(bytes, Some(&Passphrase::exact(b"x".to_vec())), PROVIDER).unwrap_err()
}

mod openssh {
    use super::*;

    const DAMAGED: KeyFileError = KeyFileError::Damaged { structure: "OpenSSH private key" };
    const MAGIC: &[u8] = b"openssh-key-v1\0";

    fn string(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
    }

    /// Cuts a string off.
    fn cut(bytes: &mut &[u8]) -> Vec<u8> {
        let (length, rest) = bytes.split_first_chunk().unwrap();
        let (string, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        *bytes = rest;
        string.to_vec()
    }

    /// The members of a file with one key.
    struct File {
        cipher: Vec<u8>,
        kdf: Vec<u8>,
        options: Vec<u8>,
        public: Vec<u8>,
        private: Vec<u8>,
    }

    impl File {
        fn of(name: &str) -> Self {
            let (contents, _) = pem::decode(&vector(&format!("keyfiles/{name}")));
            let mut rest = contents.strip_prefix(MAGIC).unwrap();
            let [cipher, kdf, options] = [(); 3].map(|()| cut(&mut rest));
            rest = rest.strip_prefix(&[0, 0, 0, 1]).unwrap();
            let [public, private] = [(); 2].map(|()| cut(&mut rest));
            Self { cipher, kdf, options, public, private }
        }

        /// The private section of a file's binary form.
        fn private_of(contents: &[u8]) -> Vec<u8> {
            let mut rest = contents.strip_prefix(MAGIC).unwrap();
            let _head = [(); 3].map(|()| cut(&mut rest));
            rest = rest.strip_prefix(&[0, 0, 0, 1]).unwrap();
            let [_public, private] = [(); 2].map(|()| cut(&mut rest));
            private
        }

        fn written(&self) -> Vec<u8> {
            let head = [MAGIC, &string(&self.cipher), &string(&self.kdf), &string(&self.options), &[0, 0, 0, 1]];
            pem::encode(
                "OPENSSH PRIVATE KEY",
                &[&head.concat()[..], &string(&self.public), &string(&self.private)].concat(),
            )
        }
    }

    fn bcrypt(salt: &[u8], rounds: u32) -> Vec<u8> {
        let options = [string(salt), rounds.to_be_bytes().to_vec()].concat();
        File { options, ..File::of("ed25519.openssh-enc") }.written()
    }

    #[test]
    fn ciphers_and_derivations_that_are_not_known_are_named() {
        let file = || File::of("ed25519.openssh-enc");
        let error = error_of(&File { cipher: b"rijndael-cbc@lysator.liu.se".to_vec(), ..file() }.written());
        assert_eq!(error.to_string(), "unsupported cipher rijndael-cbc@lysator.liu.se");
        let error = error_of(&File { kdf: b"argon2id".to_vec(), ..file() }.written());
        assert_eq!(error.to_string(), "unsupported key derivation argon2id");
        // both are known, and the options are none
        assert_eq!(error_of(&File { options: b"\0".to_vec(), ..file() }.written()), DAMAGED);
        // cut within the names
        for length in [MAGIC.len(), MAGIC.len() + 4, MAGIC.len() + 14, MAGIC.len() + 20] {
            let (contents, label) = pem::decode(&file().written());
            assert_eq!(error_of(&pem::encode(&label, &contents[..length])), DAMAGED, "{length}");
        }
    }

    /// Those that no vector has, by a file with another of the same length.
    #[test]
    fn every_cipher_has_its_name() {
        for (file, key_length) in [("aes256-cbc", "128"), ("aes256-cbc", "192"), ("aes256-gcm", "128")] {
            let (mut contents, label) = pem::decode(&vector(&format!("keyfiles/rsa.openssh-enc-{file}")));
            let at = contents.windows(6).position(|window| window == b"aes256").unwrap();
            contents[at + 3..at + 6].copy_from_slice(key_length.as_bytes());
            let protection = inspect(&pem::encode(&label, &contents), PROVIDER).unwrap().remove(0).protection;
            let Protection::Encrypted { cipher, .. } = protection else { panic!("{file}") };
            assert!(cipher.starts_with(&file.replace("256", key_length)), "{file}: {cipher}");
        }
    }

    #[test]
    fn a_public_half_that_is_not_the_encrypted_ones_is_refused() {
        let mut file = File::of("ed25519.openssh-enc");
        let at = file.public.len() - 32;
        file.public.truncate(at);
        file.public.extend([0x42; 31]);
        file.public.push(0x11);
        let passphrase = Passphrase::exact(b"correct horse battery staple".to_vec());
        assert_eq!(read_private(&file.written(), Some(&passphrase), PROVIDER).unwrap_err(), INCONSISTENT);
    }

    /// Whoever only looks at the file is told too: a description with such a protection would promise one.
    #[test]
    fn an_encryption_without_a_derivation_is_damage_before_any_passphrase() {
        let none = File { kdf: b"none".to_vec(), options: Vec::new(), ..File::of("ed25519.openssh-enc") }.written();
        for file in [bcrypt(&[1; 16], 0), bcrypt(&[], 16), none] {
            assert_eq!(inspect(&file, PROVIDER).unwrap_err(), DAMAGED);
            assert_eq!(error_of(&file), DAMAGED);
        }
        assert!(inspect(&bcrypt(&[1], 1), PROVIDER).is_ok());
    }

    #[test]
    fn the_most_rounds_that_are_allowed_are_tried() {
        assert_eq!(error_of(&bcrypt(&[1; 16], 256)), KeyFileError::WrongPassphrase);
        let expected = KeyFileError::TooExpensive { kdf: "bcrypt", parameter: "rounds", found: 257, maximum: 256 };
        assert_eq!(error_of(&bcrypt(&[1; 16], 257)), expected);
    }

    /// check-ints, name, curve, point, scalar, comment and padding.
    fn p256(check: [u32; 2], curve: &[u8], scalar: &[u8], comment: &[u8], padding: Option<&[u8]>) -> Vec<u8> {
        let file = File::of("ec.openssh");
        let point = &file.public[file.public.len() - 65..];
        let members = [b"ecdsa-sha2-nistp256".as_slice(), curve, point, scalar, comment];
        let mut private: Vec<u8> = check.iter().flat_map(|check| check.to_be_bytes()).collect();
        private.extend(members.iter().flat_map(|member| string(member)));
        let needed: Vec<u8> = (1..=8).take((8 - private.len() % 8) % 8).collect();
        private.extend(padding.unwrap_or(&needed));
        File { private, ..file }.written()
    }

    fn scalar() -> Vec<u8> {
        let PrivateKey::P256(key) = read_private(&vector("keyfiles/ec.openssh"), None, PROVIDER).unwrap().into_key()
        else {
            panic!("not a P-256 key")
        };
        key.scalar().expose_secret().to_vec()
    }

    #[test]
    fn what_a_p256_pair_must_be() {
        let good = |scalar: &[u8]| p256([7, 7], b"nistp256", scalar, b"", None);
        let scalar = scalar();
        for same in [scalar.clone(), [&[0], &scalar[..]].concat(), [&[0, 0], &scalar[..]].concat()] {
            assert!(read_private(&good(&same), None, PROVIDER).is_ok(), "{}", same.len());
        }
        assert_eq!(error_of(&good(&scalar[..31])), INCONSISTENT);
        for zero in [&[][..], &[0], &[0; 33]] {
            assert_eq!(error_of(&good(zero)), KeyFileError::Key(KeyError::ScalarOutOfRange));
        }
        let expected = KeyError::Length { kind: "P-256 private", expected: 32, found: 33 };
        assert_eq!(error_of(&good(&[1; 33])), KeyFileError::Key(expected));
        assert_eq!(error_of(&p256([7, 7], b"nistp384", &scalar, b"", None)), DAMAGED);
        // not encrypted, so no passphrase is wrong
        assert_eq!(error_of(&p256([7, 8], b"nistp256", &scalar, b"", None)), DAMAGED);
    }

    /// PuTTYgen pads to 16 bytes, and where they are whole already too.
    #[test]
    fn padding_counts_from_1_and_ends() {
        let scalar = scalar();
        let whole: Vec<u8> = (1..=24).collect();
        for comment in [&b"1"[..], b"12", b"123", b"1234", b"12345", b"123456", b"1234567", b"12345678"] {
            let padded = |padding: &[u8]| p256([7, 7], b"nistp256", &scalar, comment, Some(padding));
            let (contents, _) = pem::decode(&padded(&[]));
            let needed = (8 - File::private_of(&contents).len() % 8) % 8;
            let (good, bad): (Vec<usize>, Vec<usize>) =
                [0, 8, 16].map(|more| needed + more).iter().partition(|all| **all <= 16);
            for length in good {
                assert!(read_private(&padded(&whole[..length]), None, PROVIDER).is_ok(), "{length}");
            }
            for length in bad.into_iter().chain([needed + 1]) {
                assert_eq!(error_of(&padded(&whole[..length])), DAMAGED, "{length}");
            }
            for at in 0..needed + 8 {
                let mut other = whole[..needed + 8].to_vec();
                other[at] ^= 1;
                assert_eq!(error_of(&padded(&other)), DAMAGED, "{at}");
            }
        }
    }

    #[test]
    fn a_comment_is_shown_without_control_characters() {
        let file = p256([7, 7], b"nistp256", &scalar(), b" \x1b[31mme\n\xff", None);
        let read = read_private(&file, None, PROVIDER).unwrap();
        assert_eq!(read.description().comment.as_deref(), Some("[31mme\u{fffd}"));
    }

    #[test]
    fn a_file_has_one_key_and_nothing_behind_it() {
        let (contents, label) = pem::decode(&vector("keyfiles/ec.openssh"));
        let at = contents.windows(8).position(|window| window == b"\0\0\0\x01\0\0\0\x68").unwrap();
        for (count, expected) in [(0, DAMAGED), (2, KeyFileError::SeveralKeys { found: 2 })] {
            let mut contents = contents.clone();
            contents[at + 3] = count;
            assert_eq!(error_of(&pem::encode(&label, &contents)), expected);
        }
        assert_eq!(error_of(&pem::encode(&label, &[&contents[..], &[0]].concat())), DAMAGED);
        // a length that no block of the cipher has
        for name in ["ec.openssh", "ed25519.openssh-enc"] {
            let mut file = File::of(name);
            file.private.pop();
            assert_eq!(error_of(&file.written()), DAMAGED, "{name}");
        }
        // without its tag
        let mut file = File::of("rsa.openssh-enc-aes256-gcm");
        assert_eq!(error_of(&file.written()), DAMAGED);
        file.cipher = b"aes256-ctr".to_vec();
        assert_eq!(error_of(&file.written()), KeyFileError::WrongPassphrase);
        // a derivation where nothing is encrypted
        let plain = File { cipher: b"none".to_vec(), ..File::of("ed25519.openssh-enc") };
        assert_eq!(error_of(&plain.written()), DAMAGED);
    }

    /// n, e, d, qInv, p and q of the private part, and what stands before and after them.
    struct Rsa {
        head: Vec<u8>,
        numbers: [Vec<u8>; 6],
    }

    const D: usize = 2;
    const Q_INV: usize = 3;
    const P: usize = 4;
    const Q: usize = 5;

    impl Rsa {
        fn read(private: &[u8]) -> Self {
            let (check, mut rest) = private.split_at(8);
            assert_eq!(cut(&mut rest), b"ssh-rsa");
            Self { head: [check, &string(b"ssh-rsa")].concat(), numbers: [(); 6].map(|()| cut(&mut rest)) }
        }

        fn with(number: usize, value: &[u8]) -> Vec<u8> {
            let file = File::of("rsa.openssh");
            let mut rsa = Self::read(&file.private);
            rsa.numbers[number] = value.to_vec();
            let numbers = rsa.numbers.iter().flat_map(|number| string(number));
            let mut private: Vec<u8> = rsa.head.iter().copied().chain(numbers).chain(string(b"")).collect();
            private.extend((1..=8).take((8 - private.len() % 8) % 8));
            File { private, ..file }.written()
        }
    }

    #[test]
    fn numbers_that_no_rsa_key_has_are_refused() {
        let own = Rsa::read(&File::of("rsa.openssh").private).numbers;
        assert!(read_private(&Rsa::with(P, &own[P]), None, PROVIDER).is_ok(), "nothing is changed here");
        let long = [1; 700];
        for (number, value) in [(D, &long[..]), (P, &long), (Q, &long), (P, &[1]), (Q, &[1]), (P, &own[Q]), (D, &[3])] {
            assert_eq!(error_of(&Rsa::with(number, value)), INCONSISTENT, "number {number}");
        }
        for number in [D, Q_INV, P, Q] {
            for value in [&[][..], &[0x80], &[0xff, 0x01]] {
                let error = error_of(&Rsa::with(number, value));
                assert!(error == INCONSISTENT || error == DAMAGED, "number {number}, {value:x?}: {error}");
            }
        }
    }
}

mod pkcs8 {
    use super::*;

    const DAMAGED: KeyFileError = KeyFileError::Damaged { structure: "EncryptedPrivateKeyInfo" };
    const AES_256: &str = "2.16.840.1.101.3.4.1.42";
    const PBKDF2: &str = "1.2.840.113549.1.5.12";

    fn encrypted(scheme: &[u8], ciphertext: &[u8]) -> Vec<u8> {
        sequence(&[scheme, &octets(ciphertext)])
    }

    fn pbes2(kdf: &[u8], cipher: &[u8]) -> Vec<u8> {
        let scheme = sequence(&[&oid("1.2.840.113549.1.5.13"), &sequence(&[kdf, cipher])]);
        encrypted(&scheme, &[0; 32])
    }

    fn aes() -> Vec<u8> {
        sequence(&[&oid(AES_256), &octets(&[0; 16])])
    }

    /// PBKDF2 with one iteration, and what stands behind it.
    fn pbkdf2(rest: &[u8]) -> Vec<u8> {
        sequence(&[&oid(PBKDF2), &sequence(&[&octets(&[1; 8]), &integer(1), rest])])
    }

    #[test]
    fn what_is_not_known_is_named() {
        let algorithm = |name: &str| sequence(&[&oid(name), &sequence(&[])]);
        for (file, expected) in [
            (encrypted(&algorithm("1.2.840.113549.1.5.3"), &[0; 8]), "PKCS #8 encryption 1.2.840.113549.1.5.3"),
            (pbes2(&algorithm("1.2.3.4"), &aes()), "key derivation 1.2.3.4"),
            (pbes2(&pbkdf2(&algorithm("1.2.3.5")), &aes()), "PBKDF2 function 1.2.3.5"),
            (pbes2(&pbkdf2(&[]), &algorithm("1.2.3.6")), "cipher 1.2.3.6"),
        ] {
            assert_eq!(error_of(&file).to_string(), format!("unsupported {expected}"));
        }
    }

    #[test]
    fn parameters_that_are_missing_or_of_another_kind_are_damage() {
        let bare = |name: &str| sequence(&[&oid(name)]);
        let odd = |name: &str| sequence(&[&oid(name), &integer(5)]);
        for name in ["1.2.840.113549.1.5.13", "1.2.840.113549.1.12.1.3"] {
            assert_eq!(error_of(&encrypted(&bare(name), &[0; 32])), DAMAGED, "{name}");
            assert_eq!(error_of(&encrypted(&odd(name), &[0; 32])), DAMAGED, "{name}");
        }
        for name in [PBKDF2, "1.3.6.1.4.1.11591.4.11"] {
            assert_eq!(error_of(&pbes2(&bare(name), &aes())), DAMAGED, "{name}");
            assert_eq!(error_of(&pbes2(&odd(name), &aes())), DAMAGED, "{name}");
        }
        assert_eq!(error_of(&pbes2(&pbkdf2(&[]), &bare(AES_256))), DAMAGED);
        assert_eq!(error_of(&pbes2(&pbkdf2(&[]), &odd(AES_256))), DAMAGED);
    }

    #[test]
    fn a_key_length_is_the_ciphers() {
        assert_eq!(error_of(&pbes2(&pbkdf2(&integer(32)), &aes())), KeyFileError::WrongPassphraseOrDamaged);
        for length in [0, 16, 31, 33] {
            assert_eq!(error_of(&pbes2(&pbkdf2(&integer(length)), &aes())), DAMAGED, "{length}");
        }
    }

    #[test]
    fn the_most_iterations_that_are_allowed_are_tried() {
        let kdf = |iterations| sequence(&[&oid(PBKDF2), &sequence(&[&octets(&[1; 8]), &integer(iterations)])]);
        assert_eq!(error_of(&pbes2(&kdf(2_000_000), &aes())), KeyFileError::WrongPassphraseOrDamaged);
        let too_many = error_of(&pbes2(&kdf(2_000_001), &aes()));
        assert!(
            matches!(too_many, KeyFileError::TooExpensive { found: 2_000_001, maximum: 2_000_000, .. }),
            "{too_many}"
        );
    }

    #[test]
    fn a_ciphertext_that_is_no_blocks_cannot_be_told_from_a_wrong_passphrase() {
        for length in [0, 1, 15, 17, 31] {
            let scheme = sequence(&[&oid("1.2.840.113549.1.5.13"), &sequence(&[&pbkdf2(&[]), &aes()])]);
            let error = error_of(&encrypted(&scheme, &vec![0; length]));
            assert_eq!(error, KeyFileError::WrongPassphraseOrDamaged, "{length}");
        }
    }

    #[test]
    fn an_algorithm_inside_that_is_not_known_is_named() {
        let key = |algorithm: &str| sequence(&[&integer(0), &sequence(&[&oid(algorithm)]), &octets(&octets(&[1; 32]))]);
        for (identifier, name) in [
            ("1.2.840.10040.4.1", "DSA"),
            ("1.2.840.113549.1.1.7", "RSAES-OAEP"),
            ("1.2.840.113549.1.1.10", "RSASSA-PSS"),
            ("1.2.840.113549.1.3.1", "Diffie-Hellman"),
            ("1.3.101.110", "X25519"),
            ("1.3.101.111", "X448"),
            ("1.3.101.113", "Ed448"),
            ("1.2.3.4.5", "1.2.3.4.5"),
        ] {
            assert_eq!(error_of(&key(identifier)).to_string(), format!("unsupported key algorithm {name}"));
        }
        let curve = |curve: &str| {
            let algorithm = sequence(&[&oid("1.2.840.10045.2.1"), &oid(curve)]);
            sequence(&[&integer(0), &algorithm, &octets(&sequence(&[&integer(1), &octets(&[1; 32])]))])
        };
        for (identifier, name) in [
            ("1.2.840.10045.3.1.1", "P-192"),
            ("1.3.132.0.33", "P-224"),
            ("1.3.132.0.35", "P-521"),
            ("1.3.132.0.10", "secp256k1"),
            ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
            ("1.2.3.4.5", "1.2.3.4.5"),
        ] {
            let expected = KeyFileError::Key(KeyError::UnsupportedCurve { curve: name.into() });
            assert_eq!(error_of(&curve(identifier)), expected);
        }
    }

    /// Version 2 has the public key beside the private one (RFC 5958 §2).
    #[test]
    fn a_public_key_beside_the_private_one_is_its_own() {
        let version_2 = |algorithm: &[&[u8]], private: &[u8], public: &[u8]| {
            let bits = [&[0], public].concat();
            let bits = der::implicit(1, &bits);
            sequence(&[&integer(1), &sequence(algorithm), &octets(private), &bits])
        };
        let public = |file: &str| read_public(&vector(&format!("keyfiles/{file}"))).unwrap().key;
        let (PublicKey::Rsa(rsa), PublicKey::P256(p256)) = (public("rsa.pub-pkcs1.pem"), public("ec.spki.pem")) else {
            panic!("not an RSA and a P-256 key")
        };
        let (mut other_rsa, other_p256) = (rsa.to_pkcs1_der(), negative(p256.as_bytes()));
        let at = other_rsa.len() - 7;
        other_rsa[at] ^= 2;

        let rsa_algorithm = [&oid("1.2.840.113549.1.1.1")[..], &[5, 0]];
        let (rsa_private, _) = pem::decode(&vector("keyfiles/rsa.pkcs1.pem"));
        assert!(read_private(&version_2(&rsa_algorithm, &rsa_private, &rsa.to_pkcs1_der()), None, PROVIDER).is_ok());
        assert_eq!(error_of(&version_2(&rsa_algorithm, &rsa_private, &other_rsa)), INCONSISTENT);

        let (ec, curve) = (oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7"));
        let sec1 = vector("keyfiles/ec.sec1.der");
        let PrivateKey::P256(key) = read_private(&sec1, None, PROVIDER).unwrap().into_key() else {
            panic!("not P-256")
        };
        let bare = sequence(&[&integer(1), &octets(key.scalar().expose_secret())]);
        for private in [&sec1, &bare] {
            let read = read_private(&version_2(&[&ec, &curve], private, p256.as_bytes()), None, PROVIDER).unwrap();
            assert_eq!(read.public_key(), &PublicKey::P256(p256));
            assert_eq!(error_of(&version_2(&[&ec, &curve], private, &other_p256)), INCONSISTENT);
            let damaged = error_of(&version_2(&[&ec, &curve], private, &[0]));
            assert_eq!(damaged, KeyFileError::Key(KeyError::PointEncoding));
        }
        // a curve that only one of the two places names
        let p384 = KeyFileError::Key(KeyError::UnsupportedCurve { curve: "P-384".into() });
        assert_eq!(error_of(&version_2(&[&ec, &oid("1.3.132.0.34")], &sec1, p256.as_bytes())), p384);
    }

    /// The point with the other y: of the curve, and of another key.
    fn negative(point: &[u8; 65]) -> Vec<u8> {
        let mut compressed = point[..33].to_vec();
        compressed[0] = if point[64] & 1 == 0 { 3 } else { 2 };
        compressed
    }

    #[test]
    fn an_ed25519_key_that_is_no_octet_string_is_damage() {
        let key = sequence(&[&integer(0), &sequence(&[&oid("1.3.101.112")]), &octets(&[1; 32])]);
        assert_eq!(error_of(&key), KeyFileError::Damaged { structure: "PrivateKeyInfo" });
    }
}

mod sec1 {
    use super::*;

    const DAMAGED: KeyFileError = KeyFileError::Damaged { structure: "ECPrivateKey" };

    #[test]
    fn version_curve_and_lengths_are_what_they_must_be() {
        let scalar = [&[0; 31][..], &[1]].concat();
        let curve = explicit(0, &oid("1.2.840.10045.3.1.7"));
        assert!(read_private(&sequence(&[&integer(1), &octets(&scalar), &curve]), None, PROVIDER).is_ok());
        assert_eq!(error_of(&sequence(&[&integer(2), &octets(&scalar), &curve])), DAMAGED);
        assert_eq!(error_of(&sequence(&[&integer(1), &octets(&scalar)])), DAMAGED);
        // bits that are no bytes
        let seven = explicit(1, &[0x03, 2, 1, 0x80]);
        assert_eq!(error_of(&sequence(&[&integer(1), &octets(&scalar), &curve, &seven])), DAMAGED);
        let long = sequence(&[&integer(1), &octets(&[1; 33]), &curve]);
        let expected = KeyError::Length { kind: "P-256 private", expected: 32, found: 33 };
        assert_eq!(error_of(&long), KeyFileError::Key(expected));
    }
}

mod found {
    use super::*;

    const UNRECOGNISED: KeyFileError = KeyFileError::Unrecognised;

    #[test]
    fn what_begins_like_a_key_and_does_not_go_on_like_one_is_damage() {
        let cut = [0x02, 5, 1];
        let key = sequence(&[&integer(0), &integer(3), &integer(5), &integer(7), &cut]);
        assert_eq!(error_of(&key), KeyFileError::Key(KeyError::Encoding { structure: "RSAPrivateKey" }));
    }

    #[test]
    fn a_file_may_be_as_long_as_the_limit() {
        let mut file = vector("keyfiles/rsa.pub-pkcs1.pem");
        file.resize(limits::MAX_KEY_FILE, b'\n');
        assert!(read_public(&file).is_ok());
        file.push(b'\n');
        let maximum = limits::MAX_KEY_FILE;
        assert_eq!(read_public(&file).unwrap_err(), KeyFileError::TooLarge { maximum });
    }

    #[test]
    fn der_that_is_no_key_is_not_taken_for_one() {
        for bytes in [
            sequence(&[]),
            sequence(&[&octets(&[1]), &integer(1)]),
            sequence(&[&integer(1)]),
            sequence(&[&sequence(&[]), &sequence(&[])]),
            octets(&sequence(&[&integer(1), &integer(1)])),
            // the second member is cut
            sequence(&[&integer(1), &[0x04, 0x05, 0x00]]),
        ] {
            assert_eq!(error_of(&bytes), UNRECOGNISED, "{bytes:02x?}");
        }
        let certificate = sequence(&[&sequence(&[&integer(1)]), &sequence(&[&oid("1.3.101.112")]), &bits(&[0; 64])]);
        assert_eq!(error_of(&certificate).to_string(), "unsupported X.509 structure");
    }

    #[test]
    fn headers_of_encryption_belong_to_the_structures_that_have_them() {
        let pem = |label: &str, headers: &str| {
            format!("-----BEGIN {label}-----\n{headers}\n\nMAA=\n-----END {label}-----\n").into_bytes()
        };
        let iv = "00112233445566778899aabbccddeeff";
        let headers = format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{iv}");
        for label in ["OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PUBLIC KEY"] {
            let expected = format!("unsupported encryption of PEM block {label}");
            assert_eq!(error_of(&pem(label, &headers)).to_string(), expected);
        }
        for (headers, expected) in [
            ("Proc-Type: 4,MIC-ONLY".to_owned(), "unsupported Proc-Type 4,MIC-ONLY"),
            ("Proc-Type: 4,ENCRYPTED".to_owned(), "damaged DEK-Info header"),
            ("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC".to_owned(), "damaged DEK-Info header"),
            ("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,xy".to_owned(), "damaged DEK-Info header"),
            (format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,{iv}"), "damaged DEK-Info header"),
            (format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: BF-CBC,{iv}"), "unsupported cipher BF-CBC"),
        ] {
            assert_eq!(error_of(&pem("RSA PRIVATE KEY", &headers)).to_string(), expected, "{headers}");
        }
    }

    /// The label says it, where the key itself is hidden.
    #[test]
    fn the_kind_is_told_of_what_is_encrypted_as_far_as_the_format_tells_it() {
        for (file, kind) in [
            ("rsa.pkcs1-aes256.pem", Some("RSA")),
            ("ec.sec1-aes256.pem", Some("P-256")),
            ("ec.pkcs8-enc.pem", None),
            ("ed25519.openssh-enc", Some("Ed25519")),
        ] {
            let described = inspect(&vector(&format!("keyfiles/{file}")), PROVIDER).unwrap();
            assert_eq!(described[0].kind, kind, "{file}");
            assert_eq!(described[0].public_key.is_some(), file.contains("openssh"), "{file}");
            assert!(described[0].protection.is_encrypted(), "{file}");
        }
        let described = inspect(&vector("keyfiles/rsa.pkcs1-aes256.pem"), PROVIDER).unwrap().remove(0);
        assert_eq!(described.protection, Protection::Encrypted { cipher: "AES-256-CBC", kdf: Kdf::Md5 });
        assert_eq!(described.format, Format::Pkcs1);
    }

    #[test]
    fn a_key_is_taken_for_what_it_can_do_alone() {
        let read = |file: &str| read_private(&vector(&format!("keyfiles/{file}")), None, PROVIDER).unwrap();
        let error = read("ed25519.openssh").into_identity().err();
        assert_eq!(error, Some(KeyError::Kind { expected: "RSA", found: "Ed25519" }));
        let error = read("rsa.openssh").into_signing_key().err();
        assert_eq!(error, Some(KeyError::Kind { expected: "Ed25519 or P-256", found: "RSA" }));
        assert!(read("rsa.openssh").into_identity().is_ok() && read("ec.sec1.pem").into_signing_key().is_ok());
    }

    #[test]
    fn one_public_key_is_one() {
        let one = vector("keyfiles/ed25519.ssh-line");
        assert!(read_public(&one).is_ok());
        let three = [one, vector("keyfiles/ec.spki.pem"), vector("keyfiles/rsa.pub-pkcs1.pem")].concat();
        assert_eq!(read_public(&three), Err(KeyFileError::SeveralKeys { found: 3 }));
    }
}
