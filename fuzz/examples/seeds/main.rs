//! Writes the seed corpora and the dictionaries, the same every time: `cargo xtask fuzz-seeds` runs it. With `--check` it writes nothing and
//! fails if what is committed is something else.

mod dictionaries;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use studioml_envelope_core::{
    PrivateKey, Provider, PublicKey, SessionKey, SigningPrivateKey, UnauthenticatedHeaders, seal_envelope,
};
use studioml_envelope_fuzz::keys::{ed25519, p256, rsa};
use studioml_envelope_fuzz::payload::SESSION_KEY;
use studioml_envelope_fuzz::providers::{ALL, Counter};
use studioml_envelope_keys::{Passphrase, PrivateFormat, PublicFormat, encode_private, encode_public};

fn main() -> ExitCode {
    let check = std::env::args().any(|argument| argument == "--check");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut same = true;
    for (folder, files) in [("seeds", Seeds::all().0), ("dictionaries", dictionaries::all())] {
        let folder = root.join(folder);
        if check {
            same &= read_all(&folder) == files;
            continue;
        }
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        for (path, bytes) in &files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let total: usize = files.values().map(Vec::len).sum();
        println!("{}: {} files, {total} bytes", folder.display(), files.len());
    }
    if same {
        return ExitCode::SUCCESS;
    }
    eprintln!("fuzz/seeds or fuzz/dictionaries is not what `cargo xtask fuzz-seeds` writes");
    ExitCode::FAILURE
}

/// Every file below `root`, by its path from there.
fn read_all(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// By path below `seeds/`.
struct Seeds(BTreeMap<PathBuf, Vec<u8>>);

impl Seeds {
    fn all() -> Self {
        let mut seeds = Self(BTreeMap::new());
        seeds.payload();
        seeds.message();
        seeds.signature();
        seeds.public_key();
        seeds.key_files();
        seeds.gateway_config();
        seeds.structured();
        seeds
    }

    fn add(&mut self, target: &str, name: &str, bytes: Vec<u8>) {
        let old = self.0.insert(Path::new(target).join(name), bytes);
        assert!(old.is_none(), "{target}/{name} twice");
    }

    fn payload(&mut self) {
        for length in [0, 1, 2, 3, 47, 300] {
            let payload = payload(256, &pattern(length));
            self.add("payload", &format!("opens-{length}"), [&[32], payload.as_bytes()].concat());
        }
        self.add("payload", "opens-4096-bits", [&[32], payload(512, b"text").as_bytes()].concat());
        let good = payload(256, b"{\"experiment\":{},\"config\":{}}");
        let with = |text: &str| [&[32], text.as_bytes()].concat();
        self.add("payload", "line-end", with(&format!("{good}\r\n")));
        self.add("payload", "too-large", [&[0], good.as_bytes()].concat());
        self.add("payload", "three-fields", with(&format!("{good},AAAA")));
        self.add("payload", "one-field", with(&good.replace(',', "A")));
        self.add("payload", "version-2", with("studioml.2,AAAA,AAAA"));
        self.add("payload", "url-alphabet", with(&good.replace(['+', '/'], "-")));
        self.add("payload", "spare-bits", with(&payload(256, b"").replace("==", "=A")));
        self.add("payload", "bad-tag", with(&swap_last_two(&good)));
    }

    fn message(&mut self) {
        let signed = envelope(&provider(), br#"seed: {"experiment":{"status":"waiting"},"config":{}}"#);
        self.add("message", "signed", signed.clone());
        let text = String::from_utf8(signed).unwrap();
        for (name, from, to) in [
            ("duplicate-payload", "\"payload\"", "\"payload\":\"\",\"payload\""),
            ("case-variant", "\"payload\"", "\"Payload\":\"\",\"payload\""),
            ("long-s", "\"signature\"", "\"\u{17f}ignature\":\"\",\"signature\""),
            ("null-signature", "\"signature\":", "\"signature\":null,\"was\":"),
            ("escaped-payload", "\"payload\":\"", "\"payload\":\"\\u0041"),
            ("unknown-members", "{\"message\":{", "{\"a\":[1.0,2e5,-0],\"message\":{\"b\":{\"c\":{}},"),
            ("typo", "{\"message\":{", "{\"message\":{\"experiment\":{\"pthonver\":\"3.7\",\"status\":\"waiting\"},"),
            (
                "headers",
                "{\"message\":{",
                "{\"message\":{\"time_added\":1530054413.134781,\"experiment_lifetime\":\"30m\",",
            ),
            ("not-an-object", "{\"message\":{", "[{\"message\":{"),
            ("deep", "{\"message\":{", "{\"message\":{\"a\":[[[[[[[[[[[[[[[[[[[[{\"a\":0}]]]]]]]]]]]]]]]]]]]],"),
        ] {
            assert!(text.contains(from), "{name}");
            self.add("message", name, text.replacen(from, to, 1).into_bytes());
        }
        let request = vector("requests/empty.json");
        self.add("message", "clear-text", request.clone());
        self.add("message", "clear-text-typical", br#"{"experiment":{"status":"waiting","pythonver":"3.8","time_added":1.5,"resources_needed":{"cpus":1}},"config":{"experimentLifetime":"30m"}}"#.to_vec());
        self.add("message", "with-request", [text.as_bytes(), b"\0", &request].concat());
    }

    fn signature(&mut self) {
        // the key and the signature's form are chosen by four bytes each, the rest is what they say
        let cctv: serde_json::Value = serde_json::from_slice(&vector("third-party/cctv-ed25519.json")).unwrap();
        let cases = cctv.as_array().unwrap();
        for (index, case) in cases.iter().enumerate().filter(|(index, _)| index % 61 == 0) {
            let field = |name: &str| hex::decode(case[name].as_str().unwrap()).unwrap();
            let message = case["msg"].as_str().unwrap().as_bytes().to_vec();
            let bytes = [&choice(2, 4)[..], &field("key"), &choice(2, 4), &field("sig"), &message].concat();
            self.add("signature", &format!("cctv-{index}"), bytes);
        }
        for (key, name) in [(0, "ed25519"), (1, "p256")] {
            self.add("signature", &format!("{name}-good"), [&choice(key, 4)[..], &choice(3, 4), b"message"].concat());
            let scalars = [[0x11; 32], [0x22; 32]].concat();
            let bytes = [&choice(key, 4)[..], &choice(2, 4), &scalars, b"message"].concat();
            self.add("signature", &format!("{name}-scalars"), bytes);
        }
        let point = p256([9; 32]).unwrap();
        let bytes = [&choice(3, 4)[..], &point.public_key().as_bytes()[1..], &choice(2, 4), &[0x33; 64], b"message"];
        self.add("signature", "p256-other-key", bytes.concat());
    }

    fn public_key(&mut self) {
        let point = *p256([9; 32]).unwrap().public_key();
        let ed25519 = ed25519([9; 32]);
        let ed25519 = PublicKey::from(*provider().sign.load(&ed25519).unwrap().public_key());
        let rsa = PublicKey::Rsa(rsa().public_key().clone());
        for (name, key) in [("rsa", rsa), ("ed25519", ed25519), ("p256", PublicKey::P256(point))] {
            self.add("public_key", &format!("{name}-ssh"), [&[0], key.to_ssh_blob().as_slice()].concat());
            self.add("public_key", &format!("{name}-spki"), [&[1], key.to_spki_der().as_slice()].concat());
        }
        for file in ["ec.spki-explicit.pem", "ec-p384.spki.pem", "ec.spki-compressed.pem"] {
            let der = contents(&vector(&format!("keyfiles/{file}")));
            self.add("public_key", file, [&[1], der.as_slice()].concat());
        }
    }

    fn key_files(&mut self) {
        let mut files: Vec<_> = std::fs::read_dir(vectors().join("keyfiles"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with("check."))
            .collect();
        files.sort();
        for name in files {
            let bytes = vector(&format!("keyfiles/{name}"));
            let is_text = bytes.starts_with(b"-----BEGIN");
            if name.contains("openssh") && !name.starts_with("rsa.openssh-enc") {
                self.add("key_file_openssh", &name, contents(&bytes));
            } else if let Some(info) = dek_info(&bytes) {
                let ciphertext = contents(&bytes);
                self.add("key_file_legacy_pem", &name, [info.as_bytes(), b"\n", &ciphertext].concat());
            } else if is_text {
                self.add("key_file_der", &name, contents(&bytes));
            }
            // RSA adds length and nothing else to what the text around a key can be
            if !name.starts_with("rsa.")
                || ["rsa.pub-rfc4716", "rsa.ssh-line", "rsa.pkcs1-aes128.pem"].contains(&&*name)
            {
                self.add("key_file_text", &name, bytes);
            }
        }
        self.legacy_pem_that_opens();
        let sealing = contents(&vector("keyfiles/ec.pkcs8-enc.pem"));
        self.add("key_file_der", "labelled", [&[3], sealing.as_slice()].concat());
        let two =
            [vector("keyfiles/ed25519.ssh-line"), b"# comment\n".to_vec(), vector("keyfiles/ec.ssh-line")].concat();
        self.add("key_file_text", "two-lines", two);
    }

    /// Encrypted under the passphrase that the targets try. Other formats would take too long to open here.
    fn legacy_pem_that_opens(&mut self) {
        let passphrase = Passphrase::exact(b"passphrase".to_vec());
        let keys = [PrivateKey::Rsa(rsa()), PrivateKey::P256(p256([9; 32]).unwrap())];
        for (name, key) in ["rsa", "p256"].into_iter().zip(keys) {
            let pem = encode_private(&key, PrivateFormat::LegacyPem, Some(&passphrase), "", &provider()).unwrap();
            let info = dek_info(pem.expose_secret()).unwrap();
            let bytes = [info.as_bytes(), b"\n", &contents(pem.expose_secret())].concat();
            self.add("key_file_legacy_pem", &format!("opens-{name}"), bytes);
        }
    }

    fn gateway_config(&mut self) {
        let common = "[keys]\nencryption = \"e\"\n\n[http]\nlisten = \"127.0.0.1:9090\"\n\n[rejects]\nqueue = \"r\"\n";
        for (name, sides) in [
            (
                "dir",
                "clear_text_messages = false\n[outer]\nkind = \"dir\"\nroot = \"o\"\n[inner]\nkind = \"dir\"\nroot = \"i\"\n",
            ),
            (
                "amqp",
                "[outer]\nkind = \"amqp\"\nurl = \"amqps://user:S3CRET@host:5671/%2f?heartbeat=5\"\nqueues = \"^rmq_\"\n\
                 [inner]\nkind = \"amqp\"\nurl_file = \"u\"\n",
            ),
            (
                "channel",
                "[outer]\nkind = \"channel\"\nlisten = \"[::]:7000\"\n[inner]\nkind = \"amqp\"\nurl_env = \"URL\"\n",
            ),
            ("same-place", "[outer]\nkind = \"dir\"\nroot = \"a\"\n[inner]\nkind = \"dir\"\nroot = \"./a\"\n"),
        ] {
            self.add("gateway_config", name, format!("{sides}\n{common}").into_bytes());
        }
        self.add("gateway_config", "variable", b"clear_text_messages = false\n\0true".to_vec());
    }

    fn structured(&mut self) {
        for (name, length) in [("short", 24), ("middle", 200), ("long", 1500)] {
            for target in [
                "channel_handshake",
                "channel_records",
                "key_directory",
                "agreement",
                "rsa_private_key",
                "rsa_unwrap",
                "seal_mutate_open",
                "secret_box",
                "simd_kernels",
                "symmetric",
            ] {
                self.add(target, name, pattern(length));
            }
        }
        for target in ["seal_mutate_open", "rsa_unwrap", "rsa_private_key"] {
            self.add(target, "unchanged", vec![0; 64]);
        }
        let point = PublicKey::P256(*p256([9; 32]).unwrap().public_key());
        let pem = encode_public(&point, PublicFormat::SpkiPem, "").unwrap();
        for end in [0, 2] {
            let record = [0, 0, 0, 28 + 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let bytes = [&[end], pem.as_slice(), &record, &pattern(20)].concat();
            self.add("channel_handshake_bytes", &format!("seed-{end}"), bytes);
            let first = p256([9; 32]).unwrap().public_key().as_bytes().to_vec();
            let (length, rest) = if end == 2 { (65_u16, Vec::new()) } else { (162, pattern(97)) };
            let bytes = [&[end | 1], &length.to_be_bytes()[..], &first, &rest].concat();
            self.add("channel_handshake_bytes", &format!("noise-{end}"), bytes);
        }
        self.add("agreement", "pair", [&[9; 32][..], &[0], &choice(0, 2), &[7; 32]].concat());
    }
}

/// The four bytes by which `arbitrary` chooses one of `variants`.
fn choice(index: u64, variants: u64) -> [u8; 4] {
    let first = (index << 32).div_ceil(variants);
    u32::try_from(first).unwrap().to_le_bytes()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index as u8).wrapping_mul(37) ^ (index >> 8) as u8).collect()
}

/// Only RustCrypto draws everything from the provider's random slot, so only it writes the same twice.
fn provider() -> Provider {
    static FRESH: Counter = Counter::new();
    let rustcrypto = ALL.iter().find(|provider| provider.name == "rustcrypto").unwrap();
    Provider { random: &FRESH, ..*rustcrypto }
}

fn payload(wrapped_len: usize, plaintext: &[u8]) -> String {
    let mut text = plaintext.to_vec();
    let nonce = [0x24; 24];
    let tag = provider().secret_box.seal_in_place(&SessionKey::from_bytes(SESSION_KEY), &nonce, &mut text);
    let boxed = [nonce.as_slice(), &tag, &text].concat();
    format!("{},{}", STANDARD.encode(pattern(wrapped_len)), STANDARD.encode(boxed))
}

fn envelope(provider: &Provider, plaintext: &[u8]) -> Vec<u8> {
    let recipient = provider.key_wrap.load(rsa().public_key()).unwrap();
    let signer: SigningPrivateKey = ed25519([7; 32]);
    let signer = provider.sign.load(&signer).unwrap();
    let headers = UnauthenticatedHeaders::default();
    seal_envelope(provider, &*recipient, Some(&*signer), &headers, plaintext, usize::MAX).unwrap()
}

fn swap_last_two(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let end = text.trim_end_matches('=').len();
    bytes[end - 5] = if bytes[end - 5] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/studioml-envelope-conformance/vectors")
}

fn vector(path: &str) -> Vec<u8> {
    let path = vectors().join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between the last BEGIN and END of a PEM file, decoded.
fn contents(pem: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(pem).unwrap();
    let begin = text.rfind("-----BEGIN").unwrap();
    let base64: String =
        text[begin..].lines().filter(|line| !line.contains('-') && !line.contains(':')).map(str::trim).collect();
    STANDARD.decode(base64).unwrap()
}

fn dek_info(pem: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(pem).ok()?;
    text.lines().find_map(|line| line.strip_prefix("DEK-Info: ")).map(str::to_owned)
}
