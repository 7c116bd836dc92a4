//! `seal`, `sign`, `verify`, `open`, `inspect`: what experimenter and runner type, and every way in which it is refused.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;

use support::{Place, vectors};

fn place() -> Place {
    let place = Place::with_keys_of_python();
    place.copy_vector("requests/stock.json", "request.json");
    place
}

const OPEN: &str = "open --key message.pem --passphrase-file phrase --signer signing.pub";

#[test]
fn a_request_goes_the_whole_way() {
    let place = place();
    place.run("seal --recipient message.pub.pem --sign signing request.json -o message.json").exits(0);
    let verified = place.run("verify --signer signing.pub message.json").exits(0);
    assert_eq!(verified.stdout_text(), "SHA256:16wVQDqoPg9Vt2qFJGwZ6AnTkd6iMqg+Pjp0y9YY5JY\n");
    place.run(&format!("{OPEN} message.json -o opened.json")).exits(0);
    assert_eq!(place.read("opened.json"), place.read("request.json"));

    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(place.file("opened.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "an opened message is secret");
}

#[test]
fn streams_do_what_files_do() {
    let place = place();
    let request = place.read("request.json");
    let sealed = place.run_with("seal --recipient message.pub.pem --sign signing", &request).exits(0);
    let opened = place.run_with(&format!("{OPEN} - -o -"), &sealed.stdout).exits(0);
    assert_eq!(opened.stdout, request);
}

#[test]
fn any_bytes_round_trip_through_every_backend() {
    let place = place();
    let large: Vec<u8> = (0..16_usize << 20).map(|n| (n % 251) as u8).collect();
    for plaintext in [b"".as_slice(), b"x", b"\xff\xfe\x00 not UTF-8", &large] {
        for (sealer, opener) in [("rustcrypto", "aws-lc-rs"), ("aws-lc-rs", "ring"), ("ring", "rustcrypto")] {
            let seal = format!("--backend {sealer} seal --recipient message.pub.pem --sign signing");
            let sealed = place.run_with(&seal, plaintext).exits(0);
            let opened = place.run_with(&format!("--backend {opener} {OPEN}"), &sealed.stdout).exits(0);
            assert!(opened.stdout == plaintext, "{} bytes from {sealer} to {opener}", plaintext.len());
        }
    }
}

#[test]
fn a_report_is_a_bare_payload_that_opens_only_unverified() {
    let place = place();
    place.run("seal --recipient message.pub.pem request.json -o report").exits(0);
    assert_eq!(place.read("report").iter().filter(|byte| **byte == b',').count(), 1);
    let unverified = "open --key message.pem --passphrase-file phrase --unverified";
    place.run(&format!("{unverified} request.json")).exits(3).keeps_quiet_of("opened without");
    let opened = place.run(&format!("{unverified} report")).exits(0);
    assert!(opened.stderr.contains("without a signature check"));
    assert_eq!(opened.stdout, place.read("request.json"));
    place.run(&format!("{OPEN} report")).exits(3).says("--signature");
}

#[test]
fn a_payload_is_verified_with_its_signature_beside_it() {
    let place = place();
    place.run("seal --recipient message.pub.pem request.json -o payload").exits(0);
    let signature = place.run("sign --key signing payload").exits(0).stdout_text();
    let opened = place.run(&format!("{OPEN} --signature {signature} payload")).exits(0);
    assert_eq!(opened.stdout, place.read("request.json"));
    place.run(&format!("verify --signer signing.pub --signature {signature} payload")).exits(0);

    // one line end is not part of the payload; a deployed signer signs the file as it stands
    let mut with_line_end = place.read("payload");
    with_line_end.push(b'\n');
    place.write("payload-lf", &with_line_end);
    assert_eq!(place.run("sign --key signing payload-lf").exits(0).stdout_text(), signature);
    place.run(&format!("{OPEN} --signature {signature} payload-lf")).exits(0);
    let other = place.run("seal --recipient message.pub.pem request.json").exits(0);
    place.write("payload", &other.stdout);
    place.run(&format!("{OPEN} --signature {signature} payload")).exits(1).says("does not verify");
}

#[test]
fn what_deployed_peers_wrote_opens_byte_for_byte() {
    for peer in ["python", "go"] {
        let place = Place::new();
        for name in ["studioml_message.pem", "passphrase", "studioml_signing.pub"] {
            place.copy_vector(&format!("{peer}/keys/{name}"), name);
        }
        let open = "open --key studioml_message.pem --passphrase-file passphrase --signer studioml_signing.pub";
        for request in ["empty", "stock", "unicode", "64k"] {
            let signature = fs::read_to_string(vectors().join(format!("{peer}/{request}.signature"))).unwrap();
            place.copy_vector(&format!("{peer}/{request}.payload"), "payload");
            let opened = place.run(&format!("{open} --signature {signature} payload")).exits(0);
            assert_eq!(opened.stdout, fs::read(vectors().join(format!("requests/{request}.json"))).unwrap());
            place.copy_vector(&format!("{peer}/{request}.envelope.json"), "message.json");
            place.run(&format!("{open} message.json")).exits(0);
        }
    }
}

#[test]
fn refusals_exit_1_and_leave_no_file() {
    let place = place();
    for (vector, text) in [
        ("48", "the signature does not verify"),
        ("54", "the message is not signed"),
        ("71", "the fingerprint is not that of the key that signed"),
        ("73", "the fingerprint is missing"),
        ("42", "cannot open"),
        ("13", "cannot open"),
        ("45", "cannot open"),
    ] {
        place.copy_vector(&format!("bad/{vector}.json"), "message.json");
        place.run(&format!("{OPEN} message.json -o opened.json")).exits(1).says(text);
        assert!(!place.file("opened.json").exists(), "{vector}");
    }
}

#[test]
fn malformed_input_exits_3_names_field_and_reason_and_leaves_no_file() {
    let place = place();
    for (vector, text) in [
        ("01", "box of 0 bytes"),
        ("15", "wrapped key of 0 bytes"),
        ("22", "wrapped key is not canonical base64"),
        ("29", "1 comma-separated field"),
        ("33", "more than 2 comma-separated fields"),
        ("57", "member \"signature\" must be a string"),
        ("raw00", "duplicate member \"payload\""),
        ("raw03", "case variant"),
        ("raw09", "not an envelope"),
        ("raw10", "not JSON"),
        ("raw12", "\"message\" must be a JSON object"),
    ] {
        place.copy_vector(&format!("bad/{vector}.json"), "message.json");
        let refused = place.run(&format!("{OPEN} message.json -o opened.json")).exits(3).says(text);
        assert!(refused.stderr.len() < 400, "input is not echoed at length: {}", refused.stderr);
        assert!(!place.file("opened.json").exists(), "{vector}");
    }
}

#[test]
fn a_fingerprint_of_another_passes_only_with_warn() {
    let place = place();
    place.copy_vector("bad/71.json", "message.json");
    place.run(&format!("{OPEN} message.json")).exits(1).says("--fingerprint warn");
    let opened = place.run(&format!("{OPEN} --fingerprint warn message.json")).exits(0);
    assert!(opened.stderr.contains("warning: the message's fingerprint is not that of the key that signed"));
}

#[test]
fn headers_that_lie_are_reported() {
    let place = place();
    place.copy_vector("bad/75.json", "message.json");
    place.run(&format!("{OPEN} message.json -o opened.json")).exits(0).says("resources_needed.cpus");
}

#[test]
fn the_command_line_is_held_to_its_rules() {
    let place = place();
    place.run("seal --recipient message.pub.pem --envelope request.json").exits(2).says("--unsigned");
    place.run("seal --recipient message.pub.pem --unsigned request.json -o unsigned.json").exits(0);
    place.run(&format!("{OPEN} unsigned.json")).exits(1).says("not signed");
    place.run("open --key message.pem --passphrase-file phrase unsigned.json").exits(2);
    place.run("open --key message.pem --passphrase-file phrase --unverified unsigned.json").exits(0);
    place.run("seal request.json").exits(2);
    place.run("no-such-verb").exits(2);
    place.run("--backend nothing seal --recipient message.pub.pem request.json").exits(2).says("--backend is one of");
    place.run("seal --recipient message.pub.pem no-such-file").exits(4).says("no-such-file");
    place
        .run("seal --recipient message.pem request.json")
        .exits(3)
        .says("private key file where a public key is needed");
    place.run("open --key message.pub.pem --unverified unsigned.json").exits(3);
    place.run("verify --signer signing.pub --queue rmq_q unsigned.json").exits(2).says("--queue");
    place.run(&format!("{OPEN} --queue rmq_q unsigned.json")).exits(2).says("--queue");
    place.run("open --key message.pem --unverified --queue rmq_q unsigned.json").exits(2).says("--queue");
}

#[test]
fn a_hint_fits_what_was_given() {
    let place = place();
    let hint = "--signature B64";
    place.run("seal --recipient message.pub.pem request.json -o payload").exits(0);
    place.run(&format!("{OPEN} payload")).exits(3).says(hint);
    let refused = place.run(&format!("{OPEN} request.json")).exits(3).says("not an envelope");
    assert!(!refused.stderr.contains(hint), "a Request is no payload: {}", refused.stderr);
    place.run("seal --recipient message.pub.pem --sign signing request.json -o message.json").exits(0);
    place.run("verify --signer signing.pub --signature AAAA message.json").exits(3).says("leave --signature out");
    let other = place.run("verify --signer signing.pub --signature AAAA signing").exits(3);
    let _ = other.keeps_quiet_of("leave --signature out");
}

/// As `head` does. Whoever asked for the rest sees it from the exit code.
#[test]
fn a_reader_that_goes_away_is_no_news() {
    let place = place();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_studioml-envelope"));
    let output = command.arg("backends").current_dir(place.path()).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(4), b"".as_slice()));
}

#[test]
fn an_existing_file_is_written_over_only_with_force() {
    let place = place();
    place.write("out", "precious");
    place.run("seal --recipient message.pub.pem request.json -o out").exits(4).says("--force");
    assert_eq!(place.read("out"), b"precious");
    place.run("seal --recipient message.pub.pem request.json -o out --force").exits(0);
    assert_ne!(place.read("out"), b"precious");
}

#[test]
fn passphrases_come_by_file_variable_or_descriptor_and_never_show() {
    let place = place();
    place.run("seal --recipient message.pub.pem --sign signing request.json -o message.json").exits(0);
    let arguments = ["open", "--key", "message.pem", "--signer", "signing.pub", "message.json"];
    let program = env!("CARGO_BIN_EXE_studioml-envelope");
    let by_variable = support::ran(
        std::process::Command::new(program)
            .args(arguments)
            .current_dir(place.path())
            .env("STUDIOML_PASSPHRASE_FILE", place.file("phrase")),
        b"",
    );
    by_variable.exits(0);
    let by_descriptor = support::ran(
        std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("{program} {} --passphrase-fd 5 5<phrase", arguments.join(" ")))
            .current_dir(place.path())
            .env_remove("STUDIOML_PASSPHRASE_FILE"),
        b"",
    );
    by_descriptor.exits(0);

    place.write("wrong", "a-marker-that-must-not-show\n");
    let refused =
        place.run("open --key message.pem --passphrase-file wrong --signer signing.pub message.json").exits(3);
    assert!(!refused.stderr.contains("marker"), "{}", refused.stderr);
}

#[test]
fn a_private_key_that_others_can_read_is_refused() {
    let place = place();
    place.run("seal --recipient message.pub.pem --sign signing request.json -o message.json").exits(0);
    place.chmod("message.pem", 0o644);
    place.run(&format!("{OPEN} message.json")).exits(3).says("chmod 600");
    place.run(&format!("{OPEN} --allow-readable-key message.json")).exits(0);
}

#[test]
fn inspect_tells_what_a_message_is_made_of_and_opens_nothing() {
    let place = place();
    place.copy_vector("python/stock.envelope.json", "message.json");
    let shown = place.run("inspect message.json").exits(0).stdout_text();
    for text in
        ["kind: envelope", "plaintext bytes: 3133", "signed by nobody", "pythonver: 3.8", "wrapped key bytes: 512"]
    {
        assert!(shown.contains(text), "{text:?} is not in {shown}");
    }
    let json = place.run("--json inspect message.json").exits(0).stdout_text();
    assert!(json.starts_with('{') && json.contains("\"unauthenticated_headers\""), "{json}");
    place.copy_vector("requests/stock.json", "request.json");
    let clear = place.run("inspect request.json").exits(0).stdout_text();
    assert!(clear.contains("clear-text request"), "{clear}");
    place.copy_vector("bad/raw10.json", "junk");
    place.run("inspect junk").exits(3);
}

#[test]
fn p256_signs_and_the_key_held_decides_the_algorithm() {
    let place = place();
    place.run("keygen signing -o p256 --algorithm p256").exits(0);
    place.run("seal --recipient message.pub.pem --sign p256 request.json -o message.json").exits(0);
    place.run("verify --signer p256.pub message.json").exits(0);
    place.run("verify --signer signing.pub message.json").exits(1).says("signature");
}

#[test]
fn the_largest_plaintext_is_configurable_on_both_sides() {
    let place = place();
    place.run("seal --max-plaintext 100 --recipient message.pub.pem request.json").exits(3).says("maximum of 100");
    place.run("seal --recipient message.pub.pem --sign signing request.json -o message.json").exits(0);
    place.run(&format!("{OPEN} --max-plaintext 4174 message.json")).exits(3).says("4175 bytes");
    place.run(&format!("{OPEN} --max-plaintext 4175 message.json")).exits(0);
}

#[test]
fn only_payloads_are_signed() {
    let place = place();
    place.run("sign --key signing request.json").exits(3).says("comma-separated field");
    place.run_with("sign --key signing", b"").exits(3);
    place.run("seal --recipient message.pub.pem --sign signing request.json -o message.json").exits(0);
    place.run("sign --key signing message.json").exits(3);
}

#[test]
fn inspect_lists_what_is_odd() {
    let place = place();
    for (vector, text) in [
        ("27", "box: not canonical base64"),
        ("28", "box: not canonical base64"),
        ("58", "signature: 63 bytes in none of the forms"),
        ("59", "signature: 65 bytes in none of the forms"),
        ("60", "signature: 3 bytes in none of the forms"),
        ("61", "signature: not canonical base64"),
        ("62", "signature: not canonical base64"),
        ("63", "signature: not canonical base64"),
        ("64", "signature: not canonical base64"),
        ("66", "signature: 87 bytes in none of the forms"),
        ("67", "signature: 79 bytes in none of the forms"),
        ("77", "unknown member message.extra"),
        ("79", "header time_added: not a number"),
        ("84", "header experiment_lifetime: not a string"),
    ] {
        place.copy_vector(&format!("bad/{vector}.json"), "message.json");
        let shown = place.run("inspect message.json").exits(0).stdout_text();
        assert!(shown.contains(&format!("odd: {text}")), "{vector}: {text} is not in {shown}");
    }
    for vector in ["00", "65", "78", "83"] {
        place.copy_vector(&format!("bad/{vector}.json"), "message.json");
        let shown = place.run("inspect message.json").exits(0).stdout_text();
        assert!(!shown.contains("odd:"), "{vector}: {shown}");
    }
    place.run("seal --recipient message.pub.pem --sign signing request.json -o ed25519.json").exits(0);
    place.run("keygen signing -o p256 --algorithm p256").exits(0);
    place.run("seal --recipient message.pub.pem --sign p256 request.json -o p256.json").exits(0);
    for message in ["ed25519.json", "p256.json"] {
        assert!(!place.run(&format!("inspect {message}")).exits(0).stdout_text().contains("odd:"), "{message}");
    }
}

#[test]
fn what_a_message_says_reaches_no_terminal_as_it_is() {
    let place = place();
    place.copy_vector("bad/00.json", "message.json");
    let message = String::from_utf8(place.read("message.json")).unwrap();
    let hostile: String = (0..20).map(|n| format!("\"\\u001b[3{n}m\u{9b}\u{7f}\": \"\u{9b}\", ")).collect();
    let message = message.replacen("{\"cpus\"", &format!("{{{hostile}\"cpus\""), 1);
    let message = message.replacen("{\"message\": {", &format!("{{\"message\": {{{hostile}"), 1);
    place.write("hostile.json", &message);
    let shown = place.run("inspect hostile.json").exits(0).stdout_text();
    assert!(shown.lines().all(|line| !line.contains(char::is_control)), "{shown:?}");
    assert!(shown.contains("odd: and 12 more unknown members"), "{shown}");
    let json = place.run("--json inspect hostile.json").exits(0).stdout_text();
    assert!(!json.trim_end().contains(char::is_control), "{json:?}");
    let opened = place.run(&format!("{OPEN} hostile.json -o opened")).exits(0).says("and 12 more");
    assert!(opened.stderr.lines().all(|line| !line.contains(char::is_control)), "{:?}", opened.stderr);
    assert_eq!(opened.stderr.matches("says something else").count(), 8);
}
