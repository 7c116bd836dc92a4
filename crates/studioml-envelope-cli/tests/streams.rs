//! Streams that break, inputs that never end, files that may not be read: what the program says, and its exit code.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::{
    fs::{self, File, OpenOptions},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
};

use support::{Place, ran};

fn place() -> Place {
    let place = Place::with_keys_of_python();
    place.copy_vector("python/stock.envelope.json", "message.json");
    place
}

#[test]
fn a_standard_error_that_takes_nothing_changes_no_exit_code() {
    let place = place();
    for (arguments, exit) in [
        ("verify --signer signing.pub nofile", 4),
        ("verify --signer signing.pub signing", 3),
        ("verify --nonsense", 2),
        ("open --key message.pem --passphrase-file phrase --unverified message.json", 0),
    ] {
        let mut command = place.program();
        command.args(arguments.split_whitespace());
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let status = command.stdout(File::create(place.file("out")).unwrap()).stderr(full).status().unwrap();
        assert_eq!(status.code(), Some(exit), "{arguments}");
    }
}

#[test]
fn help_that_cannot_be_printed_is_a_failed_output() {
    let place = Place::new();
    for arguments in ["--help", "--version", "keys --help", "backends", "man"] {
        place.shell(&format!("se {arguments} > /dev/full")).exits(4).says("standard output: No space left on device");
    }
}

#[test]
fn an_input_is_read_up_to_its_limit() {
    let place = place();
    File::create(place.file("sparse")).unwrap().set_len(1 << 40).unwrap();
    let open = "open --key message.pem --passphrase-file phrase --signer signing.pub";
    for (arguments, limit) in [
        (
            "seal --recipient message.pub.pem --max-plaintext 1000 IN",
            "larger than the maximum of 1000 bytes of a plaintext",
        ),
        ("sign --key signing IN", "of a message"),
        ("verify --signer signing.pub IN", "of a message"),
        (&format!("{open} IN"), "of a message"),
        ("inspect IN --max-plaintext 1000", "of a message"),
        ("seal --recipient IN message.json", "1048576 bytes of a key file"),
        ("verify --signer IN message.json", "1048576 bytes of a key file"),
        ("kubernetes signing --key rmq_cpu_=IN", "1048576 bytes of a key file"),
        ("sign --key IN message.json", "larger than 1048576 bytes"),
        ("keys show IN", "larger than 1048576 bytes"),
        ("keys show message.pem --passphrase-file IN", "larger than 65536 bytes"),
    ] {
        place.chmod("sparse", 0o600);
        place.run(&arguments.replace("IN", "sparse")).exits(3).says("sparse: larger than").says(limit);
        // what has no size is read until it is too much
        if limit != "of a message" || arguments.contains("--max-plaintext") {
            place.run(&arguments.replace("IN", "/dev/zero")).exits(3).says("/dev/zero: larger than").says(limit);
        }
    }
    // of a file that somebody else has begun to read, only the rest counts
    place.write("rest", [vec![b'x'; 2000], b"\nthe rest".to_vec()].concat());
    place.shell("{ read line; se seal --recipient message.pub.pem --max-plaintext 8; } < rest").exits(0);
    let piped = vec![b'x'; (1 << 20) + 1];
    place.run_with("keys show -", &piped).exits(3).says("standard input: larger than 1048576 bytes");
    place
        .run_with("seal --recipient message.pub.pem --max-plaintext 10", &piped)
        .exits(3)
        .says("--max-plaintext BYTES");
}

#[test]
fn a_private_key_comes_by_standard_input_too() {
    let place = place();
    let key = place.read("signing");
    place.run("seal --recipient message.pub.pem message.json -o payload").exits(0);
    let signature = place.run_with("sign --key - payload", &key).exits(0).stdout;
    assert_eq!(signature, place.run("sign --key signing payload").exits(0).stdout);
    // from where the one who hands it on has got to
    place.write("more", [b"skipped\n".as_slice(), &key].concat());
    let rest = place.shell("{ read skipped; se sign --key - payload; } < more").exits(0);
    assert_eq!(rest.stdout, signature);
}

/// A second reader would find nothing, and seal that.
#[test]
fn standard_input_is_read_for_one_input_only() {
    let place = place();
    for (arguments, input) in [
        ("seal --recipient - -o out", "message.pub.pem"),
        ("sign --key - -o out", "signing"),
        ("verify --signer -", "signing.pub"),
        ("open --key message.pem --passphrase-file phrase --signer - -o out", "signing.pub"),
        ("open --key message.pem --passphrase-fd 0 --signer signing.pub -o out", "phrase"),
        ("open --key - --passphrase-fd 0 --signer signing.pub -o out message.json", "message.pem"),
        ("channel send --connect 127.0.0.1:1 --mode seed --unauthenticated - -", "message.json"),
    ] {
        place.run_with(arguments, &place.read(input)).exits(2).says("two inputs are to come from standard input");
        assert!(!place.file("out").exists(), "{arguments}");
    }
}

/// A shell that sends it to a file has opened that file, so that it is not this program's to make.
#[test]
fn standard_output_by_its_name_is_standard_output() {
    let place = place();
    for name in ["-", "/dev/stdout", "/dev/fd/1"] {
        place.run("seal --recipient message.pub.pem message.json -o payload --force").exits(0);
        let signed = place.run("sign --key signing payload").exits(0).stdout_text();
        place.shell(&format!("{{ echo first; se sign --key signing payload -o {name}; }} > out")).exits(0);
        assert_eq!(String::from_utf8(place.read("out")).unwrap(), format!("first\n{signed}"), "{name}");
        let open = "open --json --key message.pem --passphrase-file phrase --signer signing.pub message.json";
        place.run(&format!("{open} -o {name}")).exits(2).says("cannot both go to standard output");
    }
}

/// Nobody, as root may read whatever there is.
const NOBODY: u32 = 65_534;

#[test]
fn a_file_that_may_not_be_read_is_an_input_that_cannot_be_used() {
    let place = place();
    // by another process: a descriptor of this one would keep the copy from being run
    place.tool("cp", &[env!("CARGO_BIN_EXE_studioml-envelope"), "se"]);
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(place.file("closed-directory")).unwrap();
    place.write("closed", "");
    for name in ["closed", "closed-directory"] {
        place.chmod(name, 0o000);
    }
    for name in ["message.pem", "message.pub.pem", "phrase", "signing", "signing.pub", "message.json"] {
        place.chmod(name, 0o644);
    }
    let open = "--allow-readable-key open --key message.pem --passphrase-file phrase";
    for arguments in [
        "seal --recipient closed message.json",
        "seal --recipient message.pub.pem closed",
        "seal --config closed message.json",
        "sign --key closed message.json",
        "verify --signer closed message.json",
        "verify --signer signing.pub closed",
        "verify --signing-keys closed-directory --queue rmq_q message.json",
        &format!("{open} --unverified closed"),
        &format!("{open} --signer closed message.json"),
        "--allow-readable-key open --key message.pem --passphrase-file closed --unverified message.json",
        "open --key closed --unverified message.json",
        "inspect closed",
        "fingerprint closed",
        "keys show closed",
        "keys convert closed --to pkcs8 -o -",
        "keys check closed-directory",
        "keys select closed-directory --queue rmq_q",
        "kubernetes secrets --private closed --public message.pub.pem",
        "kubernetes signing --key rmq_cpu_=closed",
        "channel serve --listen 127.0.0.1:0 --key signing --allow closed",
        "gateway --config closed",
        "gateway --config closed --check",
    ] {
        let mut command = Command::new(place.file("se"));
        command.args(arguments.split_whitespace()).current_dir(place.path()).env_remove("STUDIOML_PASSPHRASE_FILE");
        if rustix::process::getuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        ran(&mut command, b"").exits(3).says("closed").says("Permission denied");
        let missing = arguments.replace("closed-directory", "missing-directory").replace("closed", "missing");
        if !missing.contains("missing-directory") {
            place.run(&missing).exits(4).says("missing").says("No such file");
        }
    }
}
