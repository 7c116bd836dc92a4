//! Tells the kernels whether they are optimised for speed: how much stack they use, and have to overwrite, depends on it.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(optimised_for_speed)");
    if std::env::var("OPT_LEVEL").is_ok_and(|level| level == "3") {
        println!("cargo::rustc-cfg=optimised_for_speed");
    }
}
