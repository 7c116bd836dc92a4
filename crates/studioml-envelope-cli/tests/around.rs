//! `demo`, `backends`, help, completions, manual page: what a newcomer types first.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use support::{Place, ran};

#[test]
fn the_demo_ends_well_and_leaves_nothing() {
    let place = Place::new();
    let mut command = place.program();
    command.args(["demo", "--bits", "2048"]).env("TMPDIR", place.path());
    let demo = ran(&mut command, b"").exits(0).stdout_text();
    for text in [
        "byte for byte",
        "refused: the signature does not verify",
        "forgeries tried",
        "the temporary directory is gone",
    ] {
        assert!(demo.contains(text), "{text:?} is not in {demo}");
    }
    assert!(!demo.contains("ACCEPTED"));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn backends_name_the_library_of_each_slot() {
    let place = Place::new();
    let shown = place.run("backends").exits(0).stdout_text();
    for text in [
        "aws-lc-rs+simd  (default)",
        "aws-lc-rs+rustcrypto",
        "ring+rustcrypto",
        "key_unwrap    rsa 0.10",
        "secret_box    crypto_secretbox",
    ] {
        assert!(shown.contains(text), "{text:?} is not in {shown}");
    }
    let json = place.run("--json backends").exits(0).stdout_text();
    assert!(json.contains("\"secret_box\"") && json.contains("\"cpu\":["));
    let cpu = shown.lines().find_map(|line| line.strip_prefix("CPU:")).unwrap();
    #[cfg(target_arch = "x86_64")]
    assert_eq!(cpu.split(' ').any(|feature| feature == "avx2"), std::arch::is_x86_feature_detected!("avx2"), "{cpu}");
}

#[test]
fn every_verbs_help_ends_with_an_example() {
    let place = Place::new();
    for verb in [
        "keygen",
        "keys",
        "kubernetes",
        "channel",
        "keygen encryption",
        "keygen signing",
        "fingerprint",
        "keys show",
        "keys convert",
        "keys check",
        "keys select",
        "seal",
        "sign",
        "verify",
        "open",
        "inspect",
        "demo",
        "backends",
        "kubernetes secrets",
        "kubernetes signing",
        "kubernetes deployment",
        "channel keygen",
        "channel serve",
        "channel send",
        "gateway",
        "completions",
        "man",
    ] {
        let help = place.run(&format!("{verb} --help")).exits(0).stdout_text();
        let (own, of_every_verb) = help.split_once("Options of every verb:").unwrap();
        assert!(!own.contains("--backend") && of_every_verb.contains("--backend"), "{verb}: {help}");
        let examples = help.split("Example").nth(1).unwrap_or_else(|| panic!("{verb} has no example"));
        let first_words = verb.split(' ').collect::<Vec<_>>().join(" ");
        assert!(examples.contains(&format!("studioml-envelope {first_words}")), "{verb}: {examples}");
    }
}

#[test]
fn packagers_get_completions_and_a_manual_page() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.run(&format!("completions {shell}")).exits(0).stdout_text().contains("studioml-envelope"));
    }
    let page = place.run("man").exits(0).stdout_text();
    for verb in ["studioml\\-envelope\\-seal", "studioml\\-envelope\\-keygen\\-signing"] {
        assert!(page.contains(verb), "{verb}");
    }
}
