//! Nothing but the CPU chooses the path: a process whose environment asks for another one takes the same.
#![cfg(not(miri))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod peers;

use std::process::Command;

use studioml_envelope_simd::{SECRET_BOX, hazmat::Path};

/// Set in the child, where the test says which path it takes and nothing else.
const ASKED: &str = "STUDIOML_ENVELOPE_TEST_ASKED";

#[test]
fn the_environment_chooses_nothing() {
    let path = SECRET_BOX.implementation().path;
    if std::env::var_os(ASKED).is_some() {
        println!("path: {path}.");
        return;
    }
    // The standard library's own override of what it detects (not compiled into released toolchains), the C library's, and
    // names that a switch of ours might have had.
    let attempts = [
        ("RUST_STD_DETECT_UNSTABLE", "-avx2 -avx512f -avx512ifma"),
        ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL"),
        ("STUDIOML_ENVELOPE_SIMD", "portable"),
        ("STUDIOML_ENVELOPE_PATH", "portable"),
        ("STUDIOML_SIMD", "0"),
    ];
    for (name, value) in attempts {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_environment_chooses_nothing", "--nocapture"])
            .envs([(ASKED, "1"), (name, value)])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout).into_owned();
        assert!(said.contains(&format!("path: {path}.")), "{name}={value}: {said}");
    }
}

/// And nobody has written a switch since: the sources read no environment and know no features of their own.
#[test]
fn the_sources_have_no_switch() {
    let mut directories = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut sources = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            sources += 1;
            let source = std::fs::read_to_string(&path).unwrap();
            for switch in
                ["std::env", "env::var", "getenv", "option_env!", "feature = \"", "static mut", "Atomic", "OnceLock"]
            {
                // `target_feature(enable = …)` is what an island is made of, not a choice.
                assert!(!source.contains(switch) || switch == "feature = \"", "{} has {switch}", path.display());
                assert!(!source.contains("cfg(feature"), "{} has a feature", path.display());
            }
        }
    }
    assert!(sources > 10, "{sources} sources");
}

/// Every path can be forced by the hook that tests use, and takes what it says.
#[test]
fn the_hook_forces_every_path_that_the_cpu_has() {
    let forced: Vec<_> = peers::paths().into_iter().map(|(path, part)| (path, part.implementation().path)).collect();
    assert!(forced.iter().all(|(path, said)| path.name() == *said), "{forced:?}");
    assert_eq!(forced.first().map(|(path, _)| *path), Some(Path::Portable));
    assert_eq!(forced.last().map(|(_, said)| *said), Some(SECRET_BOX.implementation().path));
}
