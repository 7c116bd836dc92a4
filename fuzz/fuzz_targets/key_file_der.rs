//! See `studioml_envelope_fuzz::private_key::der`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| studioml_envelope_fuzz::private_key::der(data));
