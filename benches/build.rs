//! Lets `benches/sodium` hide AVX-512 from libsodium, to measure its AVX2 kernels on a CPU that has both.
#![forbid(unsafe_code)]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_PEERS").is_some() {
        println!("cargo::rustc-link-arg-benches=-Wl,--wrap=sodium_runtime_has_avx512f");
    }
}
