//! Where passphrases come from: file, variable, descriptor.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use support::{Place, Ran, ran};

fn place() -> Place {
    let place = Place::new();
    place.copy_vector("python/keys/studioml_message.pem", "message.pem");
    place.copy_vector("python/keys/passphrase", "phrase");
    place.copy_vector("python/stock.envelope.json", "message.json");
    place.write("other", "another");
    place
}

const OPEN: &str = "open --key message.pem --unverified message.json";

fn with_variable(place: &Place, value: &str, arguments: &str) -> Ran {
    let mut command = place.program();
    command.args(arguments.split_whitespace()).env("STUDIOML_PASSPHRASE_FILE", value);
    ran(&mut command, b"")
}

#[test]
fn the_variable_counts_where_the_command_line_says_nothing() {
    let place = place();
    with_variable(&place, "phrase", OPEN).exits(0);
    with_variable(&place, "other", &format!("{OPEN} --passphrase-file phrase")).exits(0);
    with_variable(&place, "other", OPEN).exits(3).says("wrong passphrase");
    with_variable(&place, "missing", OPEN).exits(4).says("passphrase file missing");
    with_variable(&place, "missing", "keygen encryption -o pair --bits 2048 --no-passphrase").exits(0);
    place
        .shell(&format!(
            "STUDIOML_PASSPHRASE_FILE=other; export STUDIOML_PASSPHRASE_FILE; se {OPEN} --passphrase-fd 5 5<phrase"
        ))
        .exits(0);
}

#[test]
fn an_empty_variable_is_none() {
    let place = place();
    with_variable(&place, "", "backends").exits(0);
    with_variable(&place, "", &format!("{OPEN} --passphrase-file phrase")).exits(0);
    with_variable(&place, "", "keygen signing -o pair").exits(0);
    with_variable(&place, "", "keys show message.pem").exits(0).keeps_quiet_of("passphrase file");
}

#[test]
fn keys_show_shows_what_is_public_whatever_the_variable_says() {
    let place = place();
    let hidden = place.run("keys show message.pem").exits(0).stdout;
    for value in ["other", "missing"] {
        let shown = with_variable(&place, value, "keys show message.pem").exits(0).says("STUDIOML_PASSPHRASE_FILE:");
        assert_eq!(shown.stdout, hidden);
    }
    assert_ne!(with_variable(&place, "phrase", "keys show message.pem").exits(0).stdout, hidden);
    place.run("keys show message.pem --passphrase-file other").exits(3);
}

#[test]
fn a_descriptor_is_read_as_it_was_handed_on() {
    let place = place();
    place.shell(&format!("se {OPEN} --passphrase-fd 5 5<phrase")).exits(0);
    place.shell(&format!("se {OPEN} --passphrase-fd 0 <phrase")).exits(0);
    // from where the one who hands it on has got to
    place.write("two", [b"first line\n".as_slice(), &place.read("phrase")].concat());
    place.shell(&format!("{{ read first <&5; se {OPEN} --passphrase-fd 5; }} 5<two")).exits(0);
    for absent in [3, 9, 4_294_967_295_u32] {
        place.shell(&format!("se {OPEN} --passphrase-fd {absent} 3<&-")).exits(4).says("passphrase descriptor");
    }
}

#[test]
fn a_socket_can_be_handed_on() {
    use std::{io::Write as _, os::fd::OwnedFd, os::unix::net::UnixStream, process::Stdio};
    let place = place();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(&place.read("phrase")).unwrap();
    drop(ours);
    let mut command = place.program();
    command.args(OPEN.split_whitespace()).args(["--passphrase-fd", "0"]);
    let output = command.stdin(Stdio::from(OwnedFd::from(theirs))).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_passphrase_file_may_be_as_long_as_in_a_mounted_directory() {
    let place = Place::new();
    place.write("phrase", vec![b'x'; 65_536]);
    place.run("keygen signing -o pair --passphrase-file phrase").exits(0);
    place.run("keys convert pair --to pkcs8 -o converted --passphrase-file phrase").exits(0);
}
