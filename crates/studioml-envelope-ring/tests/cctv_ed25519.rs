//! The C2SP/CCTV Ed25519 edge cases: with what core's types refuse first, the library's verdict is the strict one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where something is not as expected")]

use serde_json::Value;
use studioml_envelope_core::{Ed25519PublicKey, Ed25519Signature, Signature, SigningPublicKey, Verify as _};
use studioml_envelope_ring::VERIFY;

const VECTORS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../studioml-envelope-conformance/vectors/third-party/cctv-ed25519.json");

/// A flag whose case strict verification refuses: small-order A or R, a residue of small order that only the cofactored
/// equation clears, a point in another encoding than its one.
const REFUSED: [&str; 5] = ["low_order_A", "low_order_R", "low_order_residue", "non_canonical_A", "non_canonical_R"];

fn accepts(case: &Value) -> bool {
    let bytes = |member: &str| hex::decode(case[member].as_str().unwrap()).unwrap();
    let Ok(key) = Ed25519PublicKey::from_bytes(&bytes("key")) else {
        return false;
    };
    let Ok(signature) = Ed25519Signature::from_bytes(&bytes("sig")) else {
        return false;
    };
    let key = VERIFY.load(&SigningPublicKey::Ed25519(key)).unwrap();
    key.verify(case["msg"].as_str().unwrap().as_bytes(), &Signature::Ed25519(signature)).is_ok()
}

#[test]
fn exactly_the_strict_cases_are_accepted() {
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(VECTORS).unwrap()).unwrap();
    let mut accepted = 0;
    for case in &cases {
        let flags: Vec<&str> =
            case["flags"].as_array().into_iter().flatten().map(|flag| flag.as_str().unwrap()).collect();
        let strict = !flags.iter().any(|flag| REFUSED.contains(flag));
        assert_eq!(accepts(case), strict, "case {} with {flags:?}", case["number"]);
        accepted += usize::from(strict);
    }
    assert_eq!((cases.len(), accepted), (914, 43));
}
