//! See `studioml_envelope_fuzz::private_key::legacy_pem`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| studioml_envelope_fuzz::private_key::legacy_pem(data));
