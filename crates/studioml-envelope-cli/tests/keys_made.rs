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
fn private_keys_are_for_their_owner_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    for umask in ["000", "022", "0277", "0777"] {
        place.shell(&format!("umask {umask} && se keygen signing -o key-{umask}")).exits(0);
        let mode = std::fs::metadata(place.file(&format!("key-{umask}"))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{umask}");
    }
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
fn a_name_for_a_pair_names_a_file() {
    let place = Place::new();
    std::fs::create_dir(place.file("directory")).unwrap();
    for name in ["-", "directory/"] {
        place.run(&format!("keygen signing -o {name}")).exits(2).says("-o: ");
        place.run(&format!("keygen encryption --bits 2048 --no-passphrase -o {name}")).exits(2).says("-o: ");
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(place.file("directory")).unwrap().count(), 0);
}

/// Any 32 bytes pass for one, so that nothing else takes them for a key.
#[test]
fn a_bare_seed_is_a_key_only_where_the_command_line_says_so() {
    let place = Place::new();
    place.copy_vector("keyfiles/ed25519.ssh-line", "public");
    let expected = place.run("fingerprint public").exits(0).stdout;
    for seed in ["ed25519.seed", "ed25519.seed.hex"] {
        place.copy_vector(&format!("keyfiles/{seed}"), seed);
        place.run(&format!("keys convert {seed} --to openssh -o none")).exits(3).says("not a key file");
        let convert = format!("keys convert {seed} --ed25519-seed");
        place.run(&format!("{convert} --to openssh -o {seed}.ssh")).exits(0).says("not encrypted");
        assert_eq!(place.run(&format!("fingerprint {seed}.ssh")).exits(0).stdout, expected);
        place.run(&format!("{convert} --to spki-pub -o {seed}.pub")).exits(0);
        assert_eq!(place.run(&format!("fingerprint {seed}.pub")).exits(0).stdout, expected);
        place.chmod(seed, 0o644);
        place.run(&format!("{convert} --to openssh -o none")).exits(3).says("chmod 600");
    }
    place.run("keys convert public --ed25519-seed --to openssh -o none --allow-readable-key").exits(3).says("seed");
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

#[test]
fn a_pair_is_written_whole_or_not_at_all() {
    use std::os::unix::fs::symlink;
    let place = Place::new();
    place.write("elsewhere", "precious");
    place.run("keygen signing -o key").exits(0);
    let before = place.read("key");

    // whatever stands in the place of the public key is seen before anything is written
    std::fs::remove_file(place.file("key.pub")).unwrap();
    symlink("elsewhere", place.file("key.pub")).unwrap();
    for force in ["", "--force"] {
        let refused = place.run(&format!("keygen signing -o key {force}")).exits(4);
        let _ =
            refused.says(if force.is_empty() { "key: the file exists" } else { "key.pub: there is a symbolic link" });
    }
    assert_eq!(place.read("key"), before);
    std::fs::create_dir(place.file("d.pub")).unwrap();
    place.run("keygen signing -o d").exits(4).says("d.pub: it is a directory");
    place.run("keygen signing -o d --force").exits(4).says("d.pub: it is a directory");
    assert!(!place.file("d").exists());

    // and what shows only when the private key is written takes the public one back
    symlink("/dev/full", place.file("full")).unwrap();
    place.run("keygen signing -o full").exits(4).says("full: No space left");
    assert!(!place.file("full.pub").exists());
    assert_eq!(place.read("elsewhere"), b"precious");
}

#[test]
fn a_link_in_the_place_of_an_output_is_named() {
    let place = Place::new();
    place.copy_vector("keyfiles/ed25519.openssh", "ed25519");
    std::os::unix::fs::symlink("target", place.file("link")).unwrap();
    for (target, force) in [(false, ""), (false, "--force"), (true, ""), (true, "--force")] {
        if target {
            place.write("target", "precious");
        }
        place
            .run(&format!("keys convert ed25519 --to ssh-pub -o link {force}"))
            .exits(4)
            .says("link: there is a symbolic link in its place")
            .says("remove the link")
            .keeps_quiet_of("--force");
    }
    assert_eq!(place.read("target"), b"precious");
    place.run("keys convert ed25519 --to ssh-pub -o /dev/stdout").exits(0);
}

#[test]
fn names_that_are_not_utf_8_are_reported_as_far_as_they_are() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let place = Place::new();
    place.write("phrase", "correct horse");
    for (number, verb) in ["keygen signing", "keygen encryption --bits 2048 --passphrase-file phrase", "channel keygen"]
        .into_iter()
        .enumerate()
    {
        let name = [b"a\xff".as_slice(), number.to_string().as_bytes()].concat();
        let mut command = place.program();
        command.args(verb.split(' ')).args(["--json", "-o"]).arg(OsStr::from_bytes(&name));
        let made = support::ran(&mut command, b"").exits(0).stdout_text();
        assert!(made.contains("a\u{fffd}"), "{made}");
    }
}

#[test]
fn a_legacy_key_needs_no_passphrase() {
    let place = Place::new();
    place.run("keygen encryption -o key --bits 2048 --no-passphrase --legacy-pem").exits(0);
    assert!(place.read("key.pem").starts_with(b"-----BEGIN RSA PRIVATE KEY-----\nM"));
    place.tool("openssl", &["rsa", "-in", "key.pem", "-check", "-noout"]);
}

#[test]
fn short_keys_are_warned_of_wherever_they_are_used() {
    let place = Place::new();
    let warning = "RSA modulus of 2048 bits; 3072 or more is advised";
    place.run("keygen encryption -o short --bits 2048 --no-passphrase").exits(0).says(warning);
    place.run("keygen encryption -o long --bits 3072 --no-passphrase").exits(0).keeps_quiet_of("advised");
    place.run("keys show short.pub.pem").exits(0).says(warning);
    place.run("keys show short.pem").exits(0).says(warning);
    place.run("kubernetes signing --reports --key rmq_cpu_=short.pub.pem").exits(0).says(warning);
    place.write("report.json", "{}");
    place.run("seal --recipient short.pub.pem report.json -o report").exits(0).says(warning);
    place.run("open --key short.pem --unverified report").exits(0).says(warning);
    place.run("keys show long.pem").exits(0).keeps_quiet_of("advised");
}

#[test]
fn a_private_key_that_others_can_read_is_said_where_it_is_only_looked_at() {
    let place = Place::new();
    place.copy_vector("keyfiles/ed25519.openssh", "ed25519");
    place.copy_vector("keyfiles/rsa.ssh-line", "public");
    place.chmod("public", 0o644);
    for verb in ["fingerprint KEY", "keys show KEY", "keys convert KEY --to ssh-pub -o -"] {
        let at = |key| verb.replace("KEY", key);
        place.chmod("ed25519", 0o600);
        place.run(&at("ed25519")).exits(0).keeps_quiet_of("others can read");
        place.chmod("ed25519", 0o640);
        place.run(&at("ed25519")).exits(0).says("warning: ed25519: others can read");
        place.run(&format!("{} --allow-readable-key", at("ed25519"))).exits(0).keeps_quiet_of("others can read");
        place.run(&at("public")).exits(0).keeps_quiet_of("others can read");
    }
    place.run("keys convert ed25519 --to pkcs8 -o copy").exits(3).says("chmod 600");
}

#[test]
fn a_public_key_given_as_a_private_one_is_called_that() {
    let place = Place::new();
    place.copy_vector("python/keys/studioml_message.pub.pem", "message.pub.pem");
    place.write("report", "");
    for mode in [0o644, 0o600] {
        place.chmod("message.pub.pem", mode);
        place
            .run("open --key message.pub.pem --unverified report")
            .exits(3)
            .says("a public key file where a private key is needed")
            .keeps_quiet_of("chmod");
    }
}

#[test]
fn a_conversion_says_what_becomes_of_the_passphrase() {
    let place = Place::new();
    place.copy_vector("keyfiles/ed25519.openssh", "plain");
    place.write("new", "another");
    place.write("empty", "\n");
    let convert = "keys convert plain --to pkcs8";
    place
        .run(&format!("{convert} -o one"))
        .exits(0)
        .says("warning: plain: not encrypted, and neither is what is written");
    place.run(&format!("{convert} -o two --no-new-passphrase")).exits(0).keeps_quiet_of("warning");
    place.run(&format!("{convert} -o three --new-passphrase-file new")).exits(0).keeps_quiet_of("warning");
    place
        .run(&format!("{convert} -o four --new-passphrase-file empty"))
        .exits(3)
        .says("passphrase file empty: the passphrase is empty")
        .says("--no-new-passphrase");
    assert!(!place.file("four").exists());
}

#[test]
fn fingerprints_of_a_file_are_one_json_object() {
    let place = Place::new();
    for name in ["one", "other"] {
        place.run(&format!("keygen signing -o {name}")).exits(0);
    }
    place.write("both", [place.read("one.pub"), place.read("other.pub")].concat());
    let shown = place.run("fingerprint both").exits(0).stdout_text();
    let (one, other) = shown.trim_end().split_once('\n').unwrap();
    let json = place.run("fingerprint both --json").exits(0).stdout_text();
    assert_eq!(json, format!("{{\"keys\":[{{\"ssh-sha256\":\"{one}\"}},{{\"ssh-sha256\":\"{other}\"}}]}}\n"));
    let json = place.run("fingerprint one --json").exits(0).stdout_text();
    assert_eq!(json, format!("{{\"keys\":[{{\"ssh-sha256\":\"{one}\"}}]}}\n"));
}

#[test]
fn names_in_a_key_directory_reach_no_terminal_as_they_are() {
    let place = Place::new();
    place.copy_vector("signing-dir/rmq_cpu_", "signing/rmq_\u{1b}[31m_");
    place.write("signing/rmq_\u{9b}bad\n_", "garbage");
    for verb in [
        "keys check signing",
        "keys select signing --queue rmq_\u{1b}[31m_1",
        "keys select signing --queue rmq_\u{9b}bad",
    ] {
        let ran = place.run(verb);
        let said = format!("{}{}", ran.stdout_text(), ran.stderr);
        assert!(said.lines().all(|line| !line.contains(char::is_control)), "{said:?}");
        assert!(said.contains("rmq_"), "{said}");
    }
    let json = place.run("--json keys check signing").exits(3).stdout_text();
    assert!(json.contains(r"rmq_\u009bbad") && !json.trim_end().contains(char::is_control), "{json:?}");
    let lines = place.run("keys check signing").exits(3).stdout_text();
    assert!(lines.lines().any(|line| line.starts_with("ok       rmq_\\u{1b}[31m_:")), "{lines}");
}
