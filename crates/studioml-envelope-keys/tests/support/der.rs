//! DER and PEM by hand, to forge what no writer writes.
#![allow(dead_code, reason = "each test program uses its part")]

fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        Ok(byte) => out.extend([0x81, byte]),
        Err(_) => {
            out.push(0x82);
            out.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    out.extend_from_slice(contents);
    out
}

pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(0x04, bytes)
}

pub fn bits(bytes: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], bytes].concat())
}

pub fn explicit(number: u8, inner: &[u8]) -> Vec<u8> {
    tlv(0xa0 + number, inner)
}

pub fn implicit(number: u8, contents: &[u8]) -> Vec<u8> {
    tlv(0x80 + number, contents)
}

pub fn integer(value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(7);
    let digits = &bytes[first..];
    let zero: &[u8] = if digits[0] >= 0x80 { &[0] } else { &[] };
    tlv(0x02, &[zero, digits].concat())
}

pub fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u32> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut out = vec![u8::try_from(arcs[0] * 40 + arcs[1]).unwrap()];
    for arc in &arcs[2..] {
        let mut digits = vec![u8::try_from(arc & 0x7f).unwrap()];
        let mut rest = arc >> 7;
        while rest > 0 {
            digits.push(0x80 | u8::try_from(rest & 0x7f).unwrap());
            rest >>= 7;
        }
        out.extend(digits.iter().rev());
    }
    tlv(0x06, &out)
}

/// PEM without headers.
pub mod pem {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    /// The contents of the last block and its label.
    pub fn decode(pem: &[u8]) -> (Vec<u8>, String) {
        let text = std::str::from_utf8(pem).unwrap();
        let begin = text.rfind("-----BEGIN ").unwrap();
        let (label, rest) = text[begin + 11..].split_once("-----").unwrap();
        let (body, _) = rest.split_once("-----END").unwrap();
        let body: String = body.split_whitespace().collect();
        (STANDARD.decode(body).unwrap(), label.to_owned())
    }

    pub fn encode(label: &str, contents: &[u8]) -> Vec<u8> {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(contents)).into_bytes()
    }
}
