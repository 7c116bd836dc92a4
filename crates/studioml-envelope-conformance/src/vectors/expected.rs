//! `expected.json`, which came with the peers' vectors, as types: a key that is not known here makes it unreadable, so that
//! nothing it says goes unread.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    #[serde(rename = "about")]
    _about: String,
    pub(crate) made_by: BTreeMap<String, String>,
    #[serde(rename = "rules")]
    _rules: Rules,
    pub(crate) sets: BTreeMap<String, PeerSet>,
    pub(crate) requests: BTreeMap<String, RequestFile>,
    pub(crate) keyfiles: KeyFiles,
    pub(crate) signing_dir: SigningDir,
    pub(crate) bad: BadSet,
    pub(crate) ecdh: SeedExchange,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "prose for people; named so that unknown keys are noticed")]
struct Rules {
    payload: String,
    signature: String,
    fingerprint: String,
}

/// What one deployed peer wrote, with its keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeerSet {
    pub(crate) dir: String,
    pub(crate) keys: PeerKeys,
    pub(crate) items: Vec<PeerItem>,
    pub(crate) note: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeerKeys {
    pub(crate) rsa: PeerRsa,
    pub(crate) ed25519: PeerEd25519,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeerRsa {
    pub(crate) private_openssh_bcrypt: Option<String>,
    pub(crate) private_legacy_pem: String,
    pub(crate) public_pkcs1_pem: String,
    pub(crate) passphrase_file: String,
    pub(crate) bits: usize,
    pub(crate) e: u64,
    pub(crate) n_sha256: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeerEd25519 {
    pub(crate) private_openssh: String,
    pub(crate) public_line: String,
    pub(crate) public_hex: String,
    pub(crate) fingerprints: SshFingerprints,
}

/// As `ssh-keygen -l` prints them. MD5 is none of the forms of docs/spec.md §4: it is read and left alone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SshFingerprints {
    pub(crate) sha256: String,
    pub(crate) sha1: String,
    #[serde(rename = "md5")]
    _md5: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeerItem {
    pub(crate) request: String,
    pub(crate) payload: String,
    pub(crate) payload_plaintext_sha256: String,
    pub(crate) payload_plaintext_bytes: usize,
    pub(crate) signature: String,
    pub(crate) signature_ssh_wire: Option<String>,
    pub(crate) envelope: String,
    pub(crate) envelope_plaintext_sha256: String,
    pub(crate) envelope_plaintext_bytes: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestFile {
    pub(crate) file: String,
    pub(crate) bytes: usize,
    pub(crate) sha256: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyFiles {
    pub(crate) dir: String,
    pub(crate) files: Vec<KeyFile>,
    pub(crate) keys: KeyFileKeys,
    pub(crate) check: KeyFileCheck,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyFile {
    pub(crate) file: String,
    pub(crate) format: String,
    pub(crate) made_with: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(rename = "passphrase")]
    _passphrase: Option<String>,
    #[serde(rename = "kdf_rounds")]
    _kdf_rounds: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyFileKeys {
    pub(crate) rsa: KnownKey,
    pub(crate) ed25519: KnownKey,
    pub(crate) ec: KnownKey,
    #[serde(rename = "commands")]
    _commands: BTreeMap<String, String>,
}

/// A key in every public encoding, with its fingerprints in the four forms.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KnownKey {
    pub(crate) spki_sha256_base64: String,
    pub(crate) spki_sha1_base64: String,
    pub(crate) spki_der_hex: String,
    pub(crate) ssh_fingerprints: SshFingerprints,
    pub(crate) ssh_blob_base64: String,
    pub(crate) bits: Option<usize>,
    pub(crate) e: Option<u64>,
    pub(crate) n_sha256: Option<String>,
    pub(crate) public_hex: Option<String>,
    pub(crate) public_uncompressed_hex: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyFileCheck {
    pub(crate) payload: String,
    pub(crate) plaintext: String,
    pub(crate) ed25519_signature: String,
    pub(crate) ecdsa_p256_sha256_der_signature: String,
    pub(crate) note: String,
}

/// Which prefix owns which queue is the business of key directories; here only where they lie.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SigningDir {
    pub(crate) dir: String,
    #[serde(rename = "select_longest_prefix")]
    _select_longest_prefix: BTreeMap<String, Option<String>>,
    #[serde(rename = "note")]
    _note: String,
}

/// Messages that somebody should refuse.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BadSet {
    #[serde(rename = "dir")]
    _dir: String,
    pub(crate) keys: String,
    pub(crate) queue: String,
    pub(crate) signing_dir: String,
    pub(crate) note: String,
    pub(crate) items: Vec<BadCase>,
}

/// One of them, with what each deployed peer does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BadCase {
    pub(crate) file: String,
    pub(crate) case: String,
    #[serde(rename = "go_envelope")]
    _go_envelope: String,
    #[serde(rename = "go_open")]
    _go_open: Option<String>,
    #[serde(rename = "py_catcher")]
    _py_catcher: Option<String>,
    #[serde(rename = "py_client")]
    _py_client: Option<String>,
    #[serde(rename = "py_verify")]
    _py_verify: Option<String>,
}

/// The seed's key exchange with both private keys (docs/spec.md §8).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeedExchange {
    pub(crate) dir: String,
    pub(crate) wire: String,
    pub(crate) shared_secret_hex: String,
    #[serde(rename = "hkdf")]
    _hkdf: String,
    pub(crate) key_hex: String,
    pub(crate) aes_gcm: SeedRecord,
    pub(crate) bytes_each_way: [usize; 2],
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeedRecord {
    pub(crate) nonce_hex: String,
    pub(crate) aad: String,
    pub(crate) plaintext: String,
    pub(crate) ciphertext_and_tag_hex: String,
}
