//! The bodies of the fuzz targets: one per boundary, each a function of bytes that panics when something is found.
//!
//! They stand in a library so that past findings are replayed by `cargo test` too, without libFuzzer and without a nightly
//! toolchain. `fuzz_targets/` has one program of one line for each.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod agreement;
pub mod channel;
pub mod gateway_config;
pub mod key_directory;
pub mod keys;
pub mod memory;
pub mod message;
pub mod payload;
pub mod private_key;
pub mod providers;
pub mod public_key;
pub mod rsa_unwrap;
pub mod seal_mutate_open;
pub mod secret_box;
pub mod signature;
pub mod symmetric;

/// A target's name and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target: the names of the programs, of the seed folders and of the folders of past findings.
pub const TARGETS: &[Target] = &[
    ("agreement", agreement::agreement),
    ("channel_handshake", channel::handshake),
    ("channel_handshake_bytes", channel::handshake_bytes),
    ("channel_records", channel::records),
    ("gateway_config", gateway_config::gateway_config),
    ("key_directory", key_directory::key_directory),
    ("key_file_der", private_key::der),
    ("key_file_legacy_pem", private_key::legacy_pem),
    ("key_file_openssh", private_key::openssh),
    ("key_file_text", private_key::text),
    ("message", message::message),
    ("payload", payload::payload),
    ("public_key", public_key::public_key),
    ("rsa_private_key", private_key::rsa_numbers),
    ("rsa_unwrap", rsa_unwrap::rsa_unwrap),
    ("seal_mutate_open", seal_mutate_open::seal_mutate_open),
    ("secret_box", secret_box::secret_box),
    ("signature", signature::signature),
    ("simd_kernels", secret_box::kernels),
    ("symmetric", symmetric::symmetric),
];
