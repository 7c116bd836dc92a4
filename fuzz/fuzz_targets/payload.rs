//! See `studioml_envelope_fuzz::payload::payload`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| studioml_envelope_fuzz::payload::payload(data));
