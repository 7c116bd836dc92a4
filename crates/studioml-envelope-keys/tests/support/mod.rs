//! The vectors, and a provider to load keys with.
#![allow(dead_code, reason = "each test program uses its part")]

use std::path::{Path, PathBuf};

use studioml_envelope_aws_lc_rs as aws_lc_rs;
use studioml_envelope_core::{Implementation, Nonce, Part, Provider, SecretBox, SessionKey, Tag, Unauthentic};

/// Key files need no SecretBox.
struct NoSecretBox;

impl Part for NoSecretBox {
    fn implementation(&self) -> Implementation {
        Implementation { library: "none", version: "", path: "" }
    }
}

impl SecretBox for NoSecretBox {
    fn seal_in_place(&self, _: &SessionKey, _: &Nonce, _: &mut [u8]) -> Tag {
        unreachable!("key files need no SecretBox")
    }
    fn seal_chunks(&self, _: &SessionKey, _: &Nonce, _: &[u8], _: &mut dyn FnMut(&[u8])) -> Tag {
        unreachable!("key files need no SecretBox")
    }
    fn open_in_place(&self, _: &SessionKey, _: &Nonce, _: &Tag, _: &mut [u8]) -> Result<(), Unauthentic> {
        unreachable!("key files need no SecretBox")
    }
}

pub const PROVIDER: &Provider = &Provider {
    name: "aws-lc-rs without SecretBox",
    random: &aws_lc_rs::RANDOM,
    digest: &aws_lc_rs::DIGEST,
    key_wrap: &aws_lc_rs::KEY_WRAP,
    key_unwrap: &aws_lc_rs::KEY_UNWRAP,
    secret_box: &NoSecretBox,
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
