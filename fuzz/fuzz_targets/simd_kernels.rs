//! See `studioml_envelope_fuzz::secret_box::kernels`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| studioml_envelope_fuzz::secret_box::kernels(data));
