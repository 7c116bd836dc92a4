//! Words that a fuzzer does not find by changing bits: member names, PEM labels, cipher names, object identifiers.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The dictionaries by file name, in libFuzzer's format.
pub fn all() -> BTreeMap<PathBuf, Vec<u8>> {
    let key_text = [PEM, SSH].concat();
    let dictionaries: [(&str, Vec<Vec<u8>>); 9] = [
        ("payload", words(&[",", "==", "=", "AAAA", "studioml.", "studioml.2,", "\r\n"])),
        ("message", words(JSON)),
        (
            "signature",
            [words(&["ssh-ed25519", "ecdsa-sha2-nistp256", "SHA256:", "SHA1:"]), vec![lengths(11), lengths(64)]]
                .concat(),
        ),
        ("seal_mutate_open", words(JSON)),
        ("key_file_text", words(&key_text)),
        (
            "key_file_openssh",
            [words(SSH), vec![lengths(7), lengths(32), lengths(33), lengths(64), lengths(65)]].concat(),
        ),
        (
            "key_file_legacy_pem",
            words(&[
                "AES-128-CBC,",
                "AES-192-CBC,",
                "AES-256-CBC,",
                "DES-EDE3-CBC,",
                "DES-CBC,",
                "00112233445566778899AABBCCDDEEFF",
            ]),
        ),
        ("key_file_der", oids()),
        ("gateway_config", words(TOML)),
    ];
    let public_key = [words(SSH), oids()].concat();
    dictionaries
        .into_iter()
        .chain([("public_key", public_key)])
        .map(|(name, words)| (PathBuf::from(format!("{name}.dict")), file(&words)))
        .collect()
}

fn file(words: &[Vec<u8>]) -> Vec<u8> {
    let line = |word: &Vec<u8>| {
        let escaped: String = word.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        let shown: String = word
            .iter()
            .map(|byte| if byte.is_ascii_graphic() && !b"\"\\".contains(byte) { char::from(*byte) } else { '.' })
            .collect();
        format!("# {shown}\n\"{escaped}\"\n")
    };
    words.iter().map(line).collect::<String>().into_bytes()
}

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// A length as SSH writes it.
fn lengths(length: u32) -> Vec<u8> {
    length.to_be_bytes().to_vec()
}

const JSON: &[&str] = &[
    "\"message\":",
    "\"Message\":",
    "\"payload\":",
    "\"PAYLOAD\":",
    "\"signature\":",
    "\"fingerprint\":",
    "\"experiment\":",
    "\"config\":",
    "\"status\":",
    "\"pythonver\":",
    "\"pthonver\":",
    "\"time_added\":",
    "\"experiment_lifetime\":",
    "\"experimentLifetime\":",
    "\"max_duration\":",
    "\"resources_needed\":",
    "\"waiting\"",
    "null",
    "true",
    "1e400",
    "-0.0",
    "{}",
    "[]",
    "{\"",
    "\":",
    ",\"",
    "\\u0000",
    "\\ud800",
    "\\u017f",
    "\u{17f}",
    "\u{212a}",
    "SHA256:",
    "SHA1:",
];

const TOML: &[&str] = &[
    "[outer]\n",
    "[inner]\n",
    "[keys]\n",
    "[http]\n",
    "[rejects]\n",
    "[limits]\n",
    "[replay]\n",
    "[log]\n",
    "kind = ",
    "\"dir\"",
    "\"amqp\"",
    "\"channel\"",
    "root = ",
    "url = ",
    "url_file = ",
    "url_env = ",
    "queues = ",
    "listen = ",
    "amqps://user:S3CRET@host/vhost",
    "amqp://user:S3CRET@[::1]:1/%2F?x=y",
    "clear_text_messages = ",
    "true",
    "9223372036854775807",
    "1979-05-27T07:32:00Z",
];

const PEM: &[&str] = &[
    "-----BEGIN ",
    "-----END ",
    "-----\n",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
    "RSA PUBLIC KEY",
    "PUBLIC KEY",
    "EC PARAMETERS",
    "CERTIFICATE",
    "---- BEGIN SSH2 PUBLIC KEY ----",
    "---- END SSH2 PUBLIC KEY ----",
    "Proc-Type: 4,ENCRYPTED\n",
    "DEK-Info: AES-256-CBC,",
    "DEK-Info: DES-EDE3-CBC,",
    "Comment: \"",
    "\\\n",
    "\r\n",
    "\u{feff}",
    "PuTTY-User-Key-File-",
];

const SSH: &[&str] = &[
    "openssh-key-v1\0",
    "ssh-rsa",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "nistp256",
    "none",
    "bcrypt",
    "aes256-ctr",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "3des-cbc",
    "sk-ssh-ed25519@openssh.com",
    "AAAAC3NzaC1lZDI1NTE5",
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY",
    "AAAAB3NzaC1yc2E",
];

/// Object identifiers as DER, and the lengths and tags around them.
fn oids() -> Vec<Vec<u8>> {
    [
        "06092a864886f70d010101",   // rsaEncryption
        "06032b6570",               // Ed25519
        "06032b656e",               // X25519
        "06072a8648ce3d0201",       // ecPublicKey
        "06082a8648ce3d030107",     // prime256v1
        "06052b81040022",           // secp384r1
        "06092a864886f70d01050d",   // PBES2
        "06092a864886f70d01050c",   // PBKDF2
        "06092b06010401da47040b",   // scrypt
        "060a2a864886f70d010c0103", // PKCS #12, SHA-1, triple DES
        "06082a864886f70d0209",     // HMAC-SHA256
        "06082a864886f70d020b",     // HMAC-SHA512
        "060960864801650304012a",   // AES-256-CBC
        "0609608648016503040102",   // AES-128-CBC
        "06082a864886f70d0307",     // DES-EDE3-CBC
        "0500",                     // NULL
        "3080",                     // indefinite length
        "30820100",
        "0382010f00",
        "02010002",
        "04220420",
        "a144034200",
        "308184ffffffff",
        "0284ffffffff",
    ]
    .map(|digits| hex::decode(digits).unwrap())
    .to_vec()
}
