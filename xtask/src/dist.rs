//! `cargo xtask dist`: the program as it is handed out, with all that a packager or an auditor asks for beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::checksum;
use crate::layers::plan;
use crate::process;
use crate::tool::{self, Tool};
use crate::workspace::Workspace;

/// Build the program for release, auditable, with its bill of materials, man page, completions and checksums
///
/// Writes `target/dist/<name>-<version>-<target>/`, a .tar.gz of it and SHA256SUMS. The same
/// files pack to the same archive, whoever packs them and when.
///
/// Example: cargo xtask dist
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {}

/// The program's name.
const PROGRAM: &str = "studioml-envelope";

/// The program's completions: shell, and the file name that packagers install.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "studioml-envelope.bash"), ("zsh", "_studioml-envelope"), ("fish", "studioml-envelope.fish")];

/// The section of the program in which cargo-auditable keeps the dependency list.
const AUDITABLE_SECTION: &[u8] = b".dep-v0";

pub fn run(_args: &Args, workspace: &Workspace) -> Result<()> {
    let built = build(workspace)?;
    let name = format!("{PROGRAM}-{}-{}", version(workspace)?, host()?);
    let dist = workspace.target().join("dist");
    let folder = dist.join(&name);
    if dist.exists() {
        std::fs::remove_dir_all(&dist).with_context(|| dist.display().to_string())?;
    }
    std::fs::create_dir_all(folder.join("completions")).with_context(|| folder.display().to_string())?;

    let program = folder.join(PROGRAM);
    std::fs::copy(&built, &program).with_context(|| built.display().to_string())?;
    for document in ["LICENSE", "README.md"] {
        let from = workspace.root().join(document);
        std::fs::copy(&from, folder.join(document)).with_context(|| from.display().to_string())?;
    }
    says(&program, &["man"], &folder.join(format!("{PROGRAM}.1")))?;
    for (shell, file) in COMPLETIONS {
        says(&program, &["completions", shell], &folder.join("completions").join(file))?;
    }
    bill_of_materials(workspace, &folder.join(format!("{PROGRAM}.cdx.json")))?;

    let archive = dist.join(format!("{name}.tar.gz"));
    pack(&dist, &name, &archive, &commit_time(workspace)?)?;
    let sums = checksum::written(&checksum::of_tree(&dist, &dist)?);
    std::fs::write(dist.join("SHA256SUMS"), &sums)?;
    print!("{sums}");
    println!("in {}", dist.display());
    Ok(())
}

/// The program with its dependency list inside, so that a scanner of the installed file knows what it is made of.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = tool::command(Tool::Auditable, workspace)?;
    command.args(["build", "--release", "--locked", "--package", plan::CLI, "--bin", PROGRAM]);
    process::run(command.current_dir(workspace.root()))?;
    let built = workspace.target().join("release").join(PROGRAM);
    let bytes = std::fs::read(&built).with_context(|| built.display().to_string())?;
    if !bytes.windows(AUDITABLE_SECTION.len()).any(|window| window == AUDITABLE_SECTION) {
        bail!("{} does not hold its dependency list", built.display());
    }
    Ok(built)
}

fn bill_of_materials(workspace: &Workspace, path: &Path) -> Result<()> {
    let mut command = tool::command(Tool::Sbom, workspace)?;
    command.args(["--cargo-package", plan::CLI, "--output-format", "cyclone_dx_json_1_6"]);
    let bill = process::capture(command.current_dir(workspace.root()))?;
    let parsed: serde_json::Value = serde_json::from_str(&bill).context("cargo-sbom wrote no JSON")?;
    if parsed.get("components").and_then(|components| components.as_array()).is_none_or(Vec::is_empty) {
        bail!("the bill of materials names no components");
    }
    std::fs::write(path, bill).with_context(|| path.display().to_string())
}

/// What the program prints, into a file.
fn says(program: &Path, args: &[&str], path: &Path) -> Result<()> {
    let text = process::capture(Command::new(program).args(args))?;
    if text.trim().is_empty() {
        bail!("`{PROGRAM} {}` printed nothing", args.join(" "));
    }
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

/// Names, owners and times that do not depend on who packs, so that two builds of a commit can be compared.
fn pack(dist: &Path, name: &str, archive: &Path, time: &str) -> Result<()> {
    let mut command = Command::new("tar");
    command.args(["--create", "--use-compress-program=gzip --no-name --best", "--file"]).arg(archive);
    command.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u+rw,go-w,a+rX"]);
    command.arg(format!("--mtime=@{time}")).arg("--directory").arg(dist).arg(name);
    process::run(&mut command)
}

/// Seconds since 1970, from the caller as reproducible builds have it or from the commit.
fn commit_time(workspace: &Workspace) -> Result<String> {
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(epoch);
    }
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(workspace.root());
    let time = process::capture(&mut git).context("outside a git checkout, SOURCE_DATE_EPOCH must say the time")?;
    Ok(time.trim().to_owned())
}

fn version(workspace: &Workspace) -> Result<String> {
    let program = workspace.members().find(|package| package.name.as_str() == plan::CLI);
    program.map(|package| package.version.to_string()).context("the workspace has no program")
}

fn host() -> Result<String> {
    let rustc = process::capture(Command::new("rustc").arg("-vV"))?;
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_make_the_same_archive() {
        let digest = |time: u64| {
            let dist = tempfile::tempdir().unwrap();
            std::fs::create_dir(dist.path().join("it")).unwrap();
            for name in ["b", "a"] {
                let file = std::fs::File::create(dist.path().join("it").join(name)).unwrap();
                file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(time)).unwrap();
            }
            let archive = dist.path().join("it.tar.gz");
            pack(dist.path(), "it", &archive, "1700000000").unwrap();
            checksum::of_file(&archive).unwrap()
        };
        assert_eq!(digest(1_000_000_000), digest(1_234_567_890));
    }

    #[test]
    fn a_silent_program_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(says(Path::new("true"), &["man"], &folder.path().join("page")).is_err());
    }
}
