//! See `studioml_envelope_fuzz::channel::handshake_bytes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| studioml_envelope_fuzz::channel::handshake_bytes(data));
