//! What the tests need of the machine: Debian packages and a Python environment. Idempotent, and quick when all is there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// A Debian package, how one sees that it is there, and what for.
struct DebianPackage {
    name: &'static str,
    purpose: &'static str,
    is_there: fn() -> bool,
}

const DEBIAN: &[DebianPackage] = &[
    DebianPackage {
        name: "python3-venv",
        purpose: "the interoperability tests run PyCryptodome and PyNaCl in an environment of their own",
        is_there: || silent("python3", &["-c", "import ensurepip, venv"]),
    },
    DebianPackage {
        name: "openssh-client",
        purpose: "ssh-keygen makes keys that have to be read, and reads those that are made",
        is_there: || program_exists("ssh-keygen", &["/usr/bin"]),
    },
    DebianPackage {
        name: "openssl",
        purpose: "the same for its formats",
        is_there: || program_exists("openssl", &["/usr/bin"]),
    },
    DebianPackage {
        name: "rabbitmq-server",
        purpose: "the gateway's tests start a private broker",
        is_there: || program_exists("rabbitmq-server", &["/usr/sbin", "/usr/lib/rabbitmq/bin"]),
    },
    DebianPackage {
        name: "pkg-config",
        purpose: "finds the library below",
        is_there: || program_exists("pkg-config", &["/usr/bin"]),
    },
    DebianPackage {
        name: "libssl-dev",
        purpose: "the benches have OpenSSL as a peer, which would else be built from its source to test anything with all features",
        is_there: || silent("pkg-config", &["--exists", "libssl"]),
    },
    DebianPackage {
        name: "valgrind",
        purpose: "the tests that watch where secret bytes flow, and the instruction counts",
        is_there: || program_exists("valgrind", &["/usr/bin"]),
    },
];

/// Sees to it that everything is there, and returns the Python of the environment.
pub fn set_up(workspace: &Workspace, install: bool) -> Result<PathBuf> {
    let missing: Vec<&DebianPackage> = DEBIAN.iter().filter(|package| !(package.is_there)()).collect();
    let environment = Environment::of(workspace)?;
    let ready = environment.is_ready();
    if !missing.is_empty() && (!install || !is_root()) {
        bail!("{}", what_to_install(&missing));
    }
    if !ready && !install {
        let folder = environment.folder.display();
        bail!("{folder} lacks what xtask/requirements.txt lists\nhint: cargo xtask test, without --no-install");
    }
    if !missing.is_empty() {
        install_debian(&missing)?;
    }
    if !ready {
        environment.create()?;
    }
    Ok(environment.python())
}

/// The Python of the environment alone, made where it is missing.
pub fn python(workspace: &Workspace) -> Result<PathBuf> {
    let environment = Environment::of(workspace)?;
    if !environment.is_ready() {
        environment.create()?;
    }
    Ok(environment.python())
}

fn what_to_install(missing: &[&DebianPackage]) -> String {
    let reasons: Vec<String> = missing.iter().map(|p| format!("  {}: {}", p.name, p.purpose)).collect();
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    format!(
        "the tests need what is not on this machine:\n{}\nhint: sudo apt-get install -y {}",
        reasons.join("\n"),
        names.join(" ")
    )
}

fn install_debian(missing: &[&DebianPackage]) -> Result<()> {
    process::run(Command::new("apt-get").args(["update", "--quiet"]))?;
    let mut command = Command::new("apt-get");
    command.args(["install", "--yes", "--quiet", "--no-install-recommends"]);
    command.args(missing.iter().map(|package| package.name));
    // The tests start private brokers on ports of their own: the system's service is not wanted.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").stdin(Stdio::null());
    process::run(&mut command)?;
    match missing.iter().find(|package| !(package.is_there)()) {
        Some(package) => bail!("{} was installed and is still not found", package.name),
        None => Ok(()),
    }
}

/// The Python environment in the target folder.
struct Environment {
    folder: PathBuf,
    requirements: PathBuf,
    wanted: Vec<u8>,
}

impl Environment {
    fn of(workspace: &Workspace) -> Result<Self> {
        let requirements = workspace.root().join("xtask/requirements.txt");
        let wanted = std::fs::read(&requirements).with_context(|| requirements.display().to_string())?;
        Ok(Self { folder: workspace.target().join("python"), requirements, wanted })
    }

    fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// The requirements it was made from; written last, so that an interrupted installation is not taken for a whole one.
    fn made_from(&self) -> PathBuf {
        self.folder.join("requirements.txt")
    }

    fn is_ready(&self) -> bool {
        std::fs::read(self.made_from()).is_ok_and(|made_from| made_from == self.wanted)
            && silent(self.python(), &["-c", ""])
    }

    fn create(&self) -> Result<()> {
        process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&self.folder))?;
        let mut pip = Command::new(self.python());
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]);
        process::run(pip.arg("--requirement").arg(&self.requirements))?;
        std::fs::write(self.made_from(), &self.wanted).with_context(|| self.made_from().display().to_string())
    }
}

fn program_exists(name: &str, beside_path: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let beside = beside_path.iter().map(PathBuf::from);
    std::env::split_paths(&path).chain(beside).any(|folder| folder.join(name).is_file())
}

fn silent(program: impl AsRef<Path>, args: &[&str]) -> bool {
    let mut command = Command::new(program.as_ref());
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    process::capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_reason_and_one_command() {
        let missing: Vec<&DebianPackage> = DEBIAN.iter().filter(|package| package.name != "python3-venv").collect();
        let text = what_to_install(&missing);
        assert!(text.contains("  rabbitmq-server: the gateway's tests start a private broker"), "{text}");
        let command = "sudo apt-get install -y openssh-client openssl rabbitmq-server pkg-config libssl-dev valgrind";
        assert!(text.ends_with(&format!("hint: {command}")), "{text}");
    }

    #[test]
    fn programs_are_looked_up_beside_the_path_too() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("broker-of-this-test"), "").unwrap();
        assert!(!program_exists("broker-of-this-test", &[]));
        assert!(program_exists("broker-of-this-test", &[folder.path().to_str().unwrap()]));
    }
}
