//! See `studioml_envelope_fuzz::gateway_config::gateway_config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| studioml_envelope_fuzz::gateway_config::gateway_config(data));
