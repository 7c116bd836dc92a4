//! See `studioml_envelope_fuzz::key_directory::key_directory`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| studioml_envelope_fuzz::key_directory::key_directory(data));
