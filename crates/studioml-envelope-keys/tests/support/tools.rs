//! `openssl` and `ssh-keygen`, the real ones. A missing one fails the test that needs it.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// Runs a program with `input` on standard input and gives its standard output.
pub fn run(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let (succeeded, stdout, stderr) = try_run(program, arguments, input);
    assert!(succeeded, "{program} {}: {stderr}", arguments.join(" "));
    stdout
}

/// Runs a program and says whether it succeeded.
pub fn try_run(program: &str, arguments: &[&str], input: &[u8]) -> (bool, Vec<u8>, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs {program}: {error}"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The public key (SPKI, DER) of a private key as `openssl` reads it.
pub fn openssl_public(private: &[u8], passphrase: &str) -> Vec<u8> {
    let pass = format!("pass:{passphrase}");
    run("openssl", &["pkey", "-in", "/dev/stdin", "-passin", &pass, "-pubout", "-outform", "DER"], private)
}

/// The public line of a private key file as `ssh-keygen` reads it, without its comment.
pub fn ssh_keygen_public(private: &Path, passphrase: &str) -> String {
    let line = run("ssh-keygen", &["-y", "-P", passphrase, "-f", private.to_str().unwrap()], b"");
    let line = String::from_utf8(line).unwrap();
    line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}
