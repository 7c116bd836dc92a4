//! See `studioml_envelope_fuzz::public_key::public_key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| studioml_envelope_fuzz::public_key::public_key(data));
