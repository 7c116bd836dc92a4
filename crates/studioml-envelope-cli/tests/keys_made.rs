//! `keygen` and `fingerprint`: files that the seed's own tools read, and files of theirs that this program reads.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use support::Place;

#[test]
fn the_seeds_own_commands_make_keys_that_work_here() {
    let place = Place::new();
    place.write("secret_phrase", "PassPhrase");
    let pem = ["-f", "studioml_message.pem", "-e", "-m", "PEM", "-p", "-P", "PassPhrase", "-N", "PassPhrase"];
    place.tool(
        "ssh-keygen",
        &[
            "-q",
            "-t",
            "rsa",
            "-b",
            "4096",
            "-f",
            "studioml_message",
            "-C",
            "Message Encryption Key",
            "-N",
            "PassPhrase",
        ],
    );
    let public = place.tool("ssh-keygen", &["-f", "studioml_message.pub", "-e", "-m", "PEM"]);
    place.write("studioml_message.pub.pem", public);
    std::fs::copy(place.file("studioml_message"), place.file("studioml_message.pem")).unwrap();
    place.tool("ssh-keygen", &pem);
    place.tool("openssl", &["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "studioml_signing.pem"]);
    place.chmod("studioml_signing.pem", 0o600);
    place.tool("openssl", &["ec", "-in", "studioml_signing.pem", "-pubout", "-out", "studioml_signing.pub.pem"]);

    place.copy_vector("requests/stock.json", "request.json");
    place
        .run("seal --recipient studioml_message.pub.pem --sign studioml_signing.pem request.json -o message.json")
        .exits(0);
    for key in ["studioml_message.pem", "studioml_message"] {
        let open =
            format!("open --key {key} --passphrase-file secret_phrase --signer studioml_signing.pub.pem message.json");
        assert_eq!(place.run(&open).exits(0).stdout, place.read("request.json"), "{key}");
    }

    // openssl ec -in studioml_signing.pem -pubout -outform DER | openssl sha256 -binary | base64
    let der = place.tool("openssl", &["ec", "-in", "studioml_signing.pem", "-pubout", "-outform", "DER"]);
    place.write("signing.der", der);
    place.tool("openssl", &["dgst", "-sha256", "-binary", "-out", "digest", "signing.der"]);
    let expected = place.tool("openssl", &["base64", "-in", "digest"]);
    let shown = place.run("fingerprint studioml_signing.pub.pem --format spki-sha256").exits(0);
    assert_eq!(shown.stdout, expected);
}

#[test]
fn encryption_keys_are_what_openssl_reads() {
    let place = Place::new();
    place.write("phrase", "correct horse\n");
    let made = place.run("keygen encryption -o modern --bits 2048 --passphrase-file phrase").exits(0);
    assert!(made.stderr.contains("line end"), "the stripped line end is said: {}", made.stderr);
    place.run("keygen encryption -o legacy --bits 2048 --legacy-pem --passphrase-file phrase").exits(0);
    place.run("keygen encryption -o plain --bits 2048 --no-passphrase").exits(0);
    for (file, header) in [
        ("modern.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----"),
        ("legacy.pem", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,"),
        ("plain.pem", "-----BEGIN PRIVATE KEY-----"),
        ("modern.pub.pem", "-----BEGIN RSA PUBLIC KEY-----"),
    ] {
        let text = String::from_utf8(place.read(file)).unwrap();
        assert!(text.starts_with(header), "{file}: {text}");
    }
    for file in ["modern.pem", "legacy.pem", "plain.pem"] {
        place.tool("openssl", &["rsa", "-in", file, "-passin", "pass:correct horse", "-check", "-noout"]);
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(place.file(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    place.tool("openssl", &["rsa", "-RSAPublicKey_in", "-in", "modern.pub.pem", "-noout"]);
}

#[test]
fn signing_keys_are_what_ssh_keygen_reads() {
    let place = Place::new();
    place.write("phrase", "correct horse");
    place.run("keygen signing -o ed25519 --comment me@example").exits(0);
    place.run("keygen signing -o p256 --algorithm p256 --passphrase-file phrase").exits(0);
    for name in ["ed25519", "p256"] {
        let line =
            place.tool("ssh-keygen", &["-y", "-P", if name == "p256" { "correct horse" } else { "" }, "-f", name]);
        let ours = String::from_utf8(place.read(&format!("{name}.pub"))).unwrap();
        let blob = |line: &str| line.split_whitespace().nth(1).unwrap().to_owned();
        assert_eq!(blob(&String::from_utf8(line).unwrap()), blob(&ours));
        let listed = String::from_utf8(place.tool("ssh-keygen", &["-l", "-f", &format!("{name}.pub")])).unwrap();
        let fingerprint = place.run(&format!("fingerprint {name}.pub")).exits(0).stdout_text();
        assert!(listed.contains(fingerprint.trim()), "{listed} {fingerprint}");
    }
    assert!(String::from_utf8(place.read("ed25519.pub")).unwrap().ends_with("me@example\n"));
}

#[test]
fn keys_are_not_written_over_and_need_a_passphrase_or_a_word() {
    let place = Place::new();
    place.run("keygen signing -o key").exits(0);
    let before = place.read("key");
    place.run("keygen signing -o key").exits(4).says("--force");
    assert_eq!(place.read("key"), before);
    place.run("keygen signing -o key --force").exits(0);
    assert_ne!(place.read("key"), before);
    place.run("keygen encryption -o other --bits 1024 --no-passphrase").exits(2);
    place.write("empty", "");
    place.run("keygen encryption -o other --bits 2048 --passphrase-file empty").exits(3).says("--no-passphrase");
    assert!(!place.file("other.pem").exists());
}

#[test]
fn fingerprints_in_all_forms() {
    let place = Place::new();
    place.copy_vector("keyfiles/ec.sec1.pem", "ec.pem");
    let all = place.run("fingerprint ec.pem --format all").exits(0).stdout_text();
    for text in [
        "SHA256:fOxluC80GEOCjt1bcErLcxlv05vPAbz/C6s3figjSJg",
        "qijWWda7ET+t7/GeoJekbDTpiuC8uzaCBe6UrSk9fbg=",
        "SHA1:ClaDaBVXphjomXfS0CXEL+/nvHg",
        "rfmOkgc6DutTRD7F3AjF7V6rmGk=",
    ] {
        assert!(all.contains(text), "{text} is not in {all}");
    }
}

#[test]
fn a_mounted_directory_is_checked_and_selected_from() {
    let place = Place::new();
    for file in ["rmq_cpu_", "rmq_cpu_andrei_", "rmq_gpu_", "info"] {
        place.copy_vector(&format!("signing-dir/{file}"), &format!("signing/{file}"));
    }
    let sound = place.run("keys check signing").exits(0).stdout_text();
    assert!(sound.contains("rmq_cpu_andrei_: Ed25519 SHA256:16wVQDqoPg9Vt2qFJGwZ6AnTkd6iMqg+Pjp0y9YY5JY"), "{sound}");
    let owner = place.run("keys select signing --queue rmq_cpu_andrei_x").exits(0).stdout_text();
    assert_eq!(owner, "rmq_cpu_andrei_ SHA256:16wVQDqoPg9Vt2qFJGwZ6AnTkd6iMqg+Pjp0y9YY5JY\n");
    let owner = place.run("keys select signing --queue rmq_cpu_andre").exits(0).stdout_text();
    assert_eq!(owner, "rmq_cpu_ SHA256:n+kR+dY3dL6IZ6Ci2o/GcRxhBXPInJM/VbSptDRstSY\n");
    place.run("keys select signing --queue sqs_q").exits(1);

    place.write("signing/rmq_cpu_andrei_", "garbage");
    let unsound = place.run("keys check signing").exits(3).stdout_text();
    assert!(unsound.contains("error    rmq_cpu_andrei_:"), "{unsound}");
    place.run("keys select signing --queue rmq_cpu_andrei_x").exits(1).says("broken");
    place.run("keys check no-such-directory").exits(4);
}

#[test]
fn messages_open_from_the_mounted_layout() {
    let place = Place::new();
    place.copy_vector("python/keys/studioml_message.pem", "secrets/encryption/ssh-privatekey");
    place.copy_vector("python/keys/studioml_message.pub.pem", "secrets/encryption/ssh-publickey");
    place.copy_vector("python/keys/passphrase", "secrets/passphrase/ssh-passphrase");
    for file in ["rmq_cpu_", "rmq_cpu_andrei_", "rmq_gpu_", "info"] {
        place.copy_vector(&format!("signing-dir/{file}"), &format!("signing/{file}"));
    }
    place.copy_vector("python/stock.envelope.json", "message.json");
    place.copy_vector("python/stock.envelope.plaintext", "plaintext");
    let open = "open --secrets secrets --signing-keys signing message.json --queue";
    assert_eq!(place.run(&format!("{open} rmq_cpu_andrei_q1")).exits(0).stdout, place.read("plaintext"));
    place.run(&format!("{open} rmq_cpu_other")).exits(1).says("does not verify");
    place.run(&format!("{open} sqs_q")).exits(1).says("no signing key");
    place.run("verify --signing-keys signing --queue rmq_cpu_andrei_q1 message.json").exits(0);
    place.run("keys check secrets").exits(0);
}

#[test]
fn keys_convert_between_formats() {
    let place = Place::new();
    place.copy_vector("keyfiles/rsa.openssh-enc", "rsa");
    place.write("old", "correct horse battery staple");
    place.write("new", "another");
    place.run("keys convert rsa --to legacy-pem -o legacy --passphrase-file old --new-passphrase-file new").exits(0);
    place.tool("openssl", &["rsa", "-in", "legacy", "-passin", "pass:another", "-noout", "-check"]);
    place.run("keys convert rsa --to pkcs8 -o same --passphrase-file old").exits(0);
    place.tool("openssl", &["pkey", "-in", "same", "-passin", "pass:correct horse battery staple", "-noout"]);
    place.run("keys convert rsa --to pkcs8 -o plain --passphrase-file old --no-new-passphrase").exits(0);
    place.tool("openssl", &["pkey", "-in", "plain", "-noout"]);
    for (format, file) in [("pkcs1-pub", "rsa.pub-pkcs1.pem"), ("spki-pub", "rsa.pub-spki.pem")] {
        place.run(&format!("keys convert rsa --to {format} -o {format} --passphrase-file old")).exits(0);
        let expected = std::fs::read(support::vectors().join("keyfiles").join(file)).unwrap();
        assert_eq!(place.read(format), expected);
    }
    let line = place.run("keys convert rsa --to ssh-pub -o - --passphrase-file old").exits(0).stdout_text();
    let expected = std::fs::read_to_string(support::vectors().join("keyfiles/rsa.ssh-line")).unwrap();
    assert!(line.starts_with("ssh-rsa ") && expected.starts_with(line.trim_end()), "{line}");
    assert!(!place.file("-").exists(), "a dash is standard output");
    let piped = place.run_with("keys convert - --to ssh-pub -o -", &place.read("spki-pub")).exits(0).stdout_text();
    assert_eq!(piped, line, "a dash is standard input");
    place.copy_vector("keyfiles/ed25519.openssh", "ed25519");
    place.run("keys convert ed25519 --to legacy-pem -o none").exits(3).says("ed25519: a key of kind Ed25519");
    place.run("keys convert ed25519 --to pkcs1-pub -o none").exits(3).says("ed25519: a key of kind Ed25519");
    place.run("keys convert rsa --to pkcs8 -o plain --passphrase-file old").exits(4).says("--force");
    let missing = place.run("keys convert rsa --to spki-pub -o missing/out").exits(4);
    assert_eq!(missing.stderr, "studioml-envelope: missing/out: No such file or directory (os error 2)\n");
    place.run("keys convert rsa --to pkcs8 -o wrong --passphrase-file new").exits(3).says("wrong passphrase");
    assert!(!place.file("wrong").exists());
    let shown = place.run("keys show same").exits(0).stdout_text();
    assert!(shown.contains("private key; the encryption hides of which kind\n"), "{shown}");
    let shown = place.run("keys show rsa").exits(0).stdout_text();
    assert!(shown.contains("aes256-ctr, bcrypt with"), "{shown}");
}

#[test]
fn keys_show_looks_behind_the_encryption_with_the_passphrase_that_is_given() {
    let place = Place::new();
    place.copy_vector("keyfiles/rsa.pkcs8-pbkdf2-sha256-aes256.pem", "rsa");
    place.write("phrase", "correct horse battery staple\n");
    place.write("other", "another");
    let hidden = place.run("keys show rsa").exits(0).stdout_text();
    assert!(hidden.contains("private key; the encryption hides of which kind\n"), "{hidden}");
    let shown = place.run("keys show rsa --passphrase-file phrase").exits(0).stdout_text();
    assert!(shown.contains("RSA private key, 4096 bits\n"), "{shown}");
    assert!(shown.contains("AES-256-CBC, PBKDF2-HMAC-SHA256 with"), "{shown}");
    let fingerprint = place.run("fingerprint rsa --passphrase-file phrase").exits(0).stdout_text();
    assert!(shown.contains(fingerprint.trim_end()), "{fingerprint} in {shown}");
    place.run("keys show rsa --passphrase-file other").exits(3).says("rsa: wrong passphrase");
    place.run("keys show rsa --passphrase-file missing").exits(4).says("passphrase file missing");
    // an OpenSSH file hides its comment only
    place.copy_vector("keyfiles/ed25519.openssh-enc", "ed25519");
    let hidden = place.run("keys show ed25519").exits(0).stdout_text();
    let shown = place.run("keys show ed25519 --passphrase-file phrase").exits(0).stdout_text();
    assert!(shown.contains("comment ") && !hidden.contains("comment "), "{hidden}{shown}");
}
