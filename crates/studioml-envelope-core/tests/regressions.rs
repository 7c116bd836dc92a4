//! One test for every bug that was found, named for the behaviour.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use studioml_envelope_core::{DEFAULT_MAX_PLAINTEXT, KeyError, Message, MessageError, P256PublicKey, PublicKey};

/// Wycheproof's ecdh_secp256r1 case 570: an arc of the curve's identifier begins with a padding byte.
#[test]
fn a_curve_identifier_in_another_encoding_is_damaged() {
    let curve = [0x06, 0x09, 0x2a, 0x80, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let damaged = KeyError::Encoding { structure: "elliptic curve parameters" };
    assert_eq!(P256PublicKey::check_curve_parameters(&curve), Err(damaged.clone()));

    let algorithm = [&[0x30, 0x14, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01][..], &curve].concat();
    let point = [&[0x03, 0x42, 0x00, 0x04][..], &[1; 64]].concat();
    let info = [&[0x30, 0x5a][..], &algorithm, &point].concat();
    assert_eq!(PublicKey::from_spki_der(&info), Err(damaged));
}

#[test]
fn positions_in_json_count_from_one() {
    for (text, line, column) in [("", 1, 1), ("\n", 2, 1), ("{\n", 2, 1), ("hello", 1, 1), ("{\n}x", 2, 2)] {
        let error = Message::parse(&mut text.as_bytes().to_vec(), DEFAULT_MAX_PLAINTEXT).unwrap_err();
        assert_eq!(error, MessageError::NotJson { line, column }, "{text:?}");
    }
}
