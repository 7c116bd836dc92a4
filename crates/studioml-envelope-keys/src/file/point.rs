//! Points of P-256 as key files hold them, compressed ones too (SEC 1 §2.3.4), brought to the one form that the rest takes.
//!
//! Public data only, a square root in the field and no group arithmetic. It stands here and not in a backend because the
//! wire refuses compressed points: only files may hold them.

use crypto_bigint::{U256, modular::ConstMontyForm};
use studioml_envelope_core::{KeyError, P256PublicKey};

// p = 2^256 − 2^224 + 2^192 + 2^96 − 1 (SP 800-186 §3.2.1.3)
crypto_bigint::const_monty_params!(
    P256Field,
    U256,
    "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
    "The field of P-256."
);
type Element = ConstMontyForm<P256Field, { U256::LIMBS }>;

const PRIME: U256 = U256::from_be_hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
/// The coefficient b of y² = x³ − 3x + b.
const B: U256 = U256::from_be_hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");
/// (p + 1) / 4: as p ≡ 3 (mod 4), a^((p+1)/4) is a square root of a if there is one.
const SQUARE_ROOT: U256 = U256::from_be_hex("3fffffffc0000000400000000000000000000000400000000000000000000000");

/// A point of the curve from its compressed (33 bytes) or uncompressed (65 bytes) encoding.
///
/// # Errors
/// [`KeyError::PointEncoding`] for another encoding, [`KeyError::PointNotOnCurve`] if it is not on the curve.
pub(super) fn decode(encoded: &[u8]) -> Result<P256PublicKey, KeyError> {
    let (Some(tag), Some(x)) = (encoded.first(), encoded.get(1..33)) else { return Err(KeyError::PointEncoding) };
    match (tag, encoded.get(33..)) {
        (2 | 3, Some([])) => decompress(x, tag & 1),
        (4, Some(y)) if y.len() == 32 => {
            let point = P256PublicKey::from_uncompressed(encoded)?;
            let on_curve = element(y)?.square() == curve_equation(element(x)?);
            if on_curve { Ok(point) } else { Err(KeyError::PointNotOnCurve) }
        }
        _ => Err(KeyError::PointEncoding),
    }
}

fn decompress(x: &[u8], odd: u8) -> Result<P256PublicKey, KeyError> {
    let square = curve_equation(element(x)?);
    let root = square.pow_vartime(&SQUARE_ROOT);
    if root.square() != square {
        return Err(KeyError::PointNotOnCurve);
    }
    // y = 0 would need a point of order two, and the order of the group is an odd prime
    let is_odd = |root: &Element| root.retrieve().to_be_bytes().as_ref().last().is_some_and(|byte| byte & 1 == 1);
    let y = if is_odd(&root) == (odd == 1) { root } else { -root };
    let y = y.retrieve().to_be_bytes();
    P256PublicKey::from_uncompressed(&[&[4], x, y.as_ref()].concat())
}

/// x³ − 3x + b
fn curve_equation(x: Element) -> Element {
    x.square() * x - (x + x + x) + Element::new(&B)
}

/// A coordinate, which is below p.
fn element(digits: &[u8]) -> Result<Element, KeyError> {
    if digits.len() != 32 {
        return Err(KeyError::PointEncoding);
    }
    let integer = U256::from_be_slice(digits);
    if integer >= PRIME { Err(KeyError::PointNotOnCurve) } else { Ok(Element::new(&integer)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The base point G (SP 800-186 §3.2.1.3); its y is odd.
    const G: &str = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                     4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

    #[test]
    fn the_base_point_decodes_in_both_forms() {
        let g = hex::decode(G).unwrap();
        assert_eq!(decode(&g).unwrap().as_bytes().as_slice(), g);
        let compressed = [&[3], &g[1..33]].concat();
        assert_eq!(decode(&compressed).unwrap().as_bytes().as_slice(), g);
        let negative = decode(&[&[2], &g[1..33]].concat()).unwrap();
        assert_ne!(negative.as_bytes().as_slice(), g);
        assert_eq!(decode(negative.as_bytes()), Ok(negative));
    }

    #[test]
    fn points_off_the_curve_are_refused() {
        let mut g = hex::decode(G).unwrap();
        g[64] ^= 1;
        assert_eq!(decode(&g), Err(KeyError::PointNotOnCurve));
        // x = 1: 1 − 3 + b is no square; x = p is not reduced
        assert_eq!(decode(&[[2].as_slice(), &[0; 31], &[1]].concat()), Err(KeyError::PointNotOnCurve));
        assert_eq!(decode(&[[2].as_slice(), &PRIME.to_be_bytes()].concat()), Err(KeyError::PointNotOnCurve));
    }

    #[test]
    fn other_encodings_are_refused() {
        let g = hex::decode(G).unwrap();
        let hybrid = [&[7], &g[1..]].concat();
        for encoded in [&[][..], &[0], &g[..64], &g[..33], &hybrid, &[2; 32], &[2; 65]] {
            assert_eq!(decode(encoded), Err(KeyError::PointEncoding), "{encoded:02x?}");
        }
    }
}
