//! See `studioml_envelope_fuzz::symmetric::symmetric`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| studioml_envelope_fuzz::symmetric::symmetric(data));
