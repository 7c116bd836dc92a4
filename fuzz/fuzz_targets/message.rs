//! See `studioml_envelope_fuzz::message::message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| studioml_envelope_fuzz::message::message(data));
