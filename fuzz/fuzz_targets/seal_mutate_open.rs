//! See `studioml_envelope_fuzz::seal_mutate_open::seal_mutate_open`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| studioml_envelope_fuzz::seal_mutate_open::seal_mutate_open(data));
