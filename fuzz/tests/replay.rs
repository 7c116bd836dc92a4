//! Every seed and every past finding, once more: each file below `seeds/<target>/` and `regressions/<target>/` is given to
//! its target, which panics if what was found is there again.

use std::path::Path;

use studioml_envelope_fuzz::TARGETS;

/// One test for all, as the limit on memory is the process's.
#[test]
fn seeds_and_past_findings_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for kind in ["seeds", "regressions"] {
        for entry in std::fs::read_dir(root.join(kind)).into_iter().flatten() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let known = TARGETS.iter().any(|(target, _)| *target == name);
            assert!(known || name == "README.md", "{kind}/{name} belongs to no target");
        }
    }
    for (target, run) in TARGETS {
        let seeds = files(&root.join("seeds").join(target));
        assert!(!seeds.is_empty(), "{target} has no seeds: cargo xtask fuzz-seeds makes them");
        for file in seeds.into_iter().chain(files(&root.join("regressions").join(target))) {
            println!("{}", file.display());
            run(&std::fs::read(&file).unwrap());
        }
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Each target has a program, and each program a target.
#[test]
fn targets_and_programs_are_the_same() {
    let programs = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets"));
    let programs: Vec<_> = programs.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    let mut targets: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    targets.sort_unstable();
    assert_eq!(programs, targets);
    let manifest = include_str!("../Cargo.toml");
    for target in targets {
        assert!(manifest.contains(&format!("name = \"{target}\"\n")), "{target} is not in Cargo.toml");
    }
}
