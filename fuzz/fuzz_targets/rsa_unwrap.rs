//! See `studioml_envelope_fuzz::rsa_unwrap::rsa_unwrap`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| studioml_envelope_fuzz::rsa_unwrap::rsa_unwrap(data));
