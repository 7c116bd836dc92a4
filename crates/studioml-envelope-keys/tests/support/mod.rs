//! The vectors, and a provider to load keys with.
#![allow(dead_code, reason = "each test program uses its part")]

use std::path::{Path, PathBuf};

use studioml_envelope_aws_lc_rs as aws_lc_rs;
use studioml_envelope_core::Provider;
use studioml_envelope_rustcrypto as rustcrypto;

pub const PROVIDER: &Provider = &Provider {
    name: "aws-lc-rs with a SecretBox of RustCrypto's",
    random: &aws_lc_rs::RANDOM,
    digest: &aws_lc_rs::DIGEST,
    key_wrap: &aws_lc_rs::KEY_WRAP,
    key_unwrap: &aws_lc_rs::KEY_UNWRAP,
    secret_box: &rustcrypto::SECRET_BOX,
    sign: &aws_lc_rs::SIGN,
    verify: &aws_lc_rs::VERIFY,
    agree: &aws_lc_rs::AGREE,
    agree_static: &aws_lc_rs::AGREE_STATIC,
    aead: &aws_lc_rs::AEAD,
    kdf: &aws_lc_rs::KDF,
};

pub fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../studioml-envelope-conformance/vectors")
}

pub fn vector(path: &str) -> Vec<u8> {
    let path = vectors().join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn expected() -> serde_json::Value {
    serde_json::from_slice(&vector("expected.json")).unwrap()
}
