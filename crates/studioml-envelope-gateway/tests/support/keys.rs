//! Keys, made once per test program, and mounted as Kubernetes does it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use studioml_envelope::{PrivateKey, PublicKey, RsaPrivateKey, Sealer, Signer, SigningPrivateKey, generate_ed25519};
use studioml_envelope_keys::{PrivateFormat, PublicFormat, encode_private, encode_public};

use super::provider;

/// A cluster's key: 2048 bits, for the tests that are not about the cost of a longer one.
pub fn cluster_key() -> &'static RsaPrivateKey {
    static KEY: OnceLock<RsaPrivateKey> = OnceLock::new();
    KEY.get_or_init(|| provider().key_unwrap.generate(2048, provider().random).unwrap())
}

/// An experimenter's key for reports.
pub fn report_key() -> &'static RsaPrivateKey {
    static KEY: OnceLock<RsaPrivateKey> = OnceLock::new();
    KEY.get_or_init(|| provider().key_unwrap.generate(2048, provider().random).unwrap())
}

pub fn private_pem(key: &RsaPrivateKey) -> Vec<u8> {
    let key = PrivateKey::Rsa(RsaPrivateKey::from_pkcs1_der(key.to_pkcs1_der().expose_secret()).unwrap());
    encode_private(&key, PrivateFormat::Pkcs8, None, "", &provider()).unwrap().expose_secret().to_vec()
}

pub fn public_pem(key: &RsaPrivateKey) -> Vec<u8> {
    encode_public(&PublicKey::Rsa(key.public_key().clone()), PublicFormat::Pkcs1Pem, "").unwrap()
}

/// An experimenter who signs.
pub struct Experimenter {
    signer: Signer,
    sealer: Sealer,
}

impl Experimenter {
    /// With a new signing key, sealing to the cluster's key.
    pub fn new() -> Self {
        Self::sealing_to(cluster_key())
    }

    pub fn sealing_to(cluster: &RsaPrivateKey) -> Self {
        Self::with_key(&generate_ed25519(&provider()).unwrap(), cluster)
    }

    pub fn with_key(signing: &SigningPrivateKey, cluster: &RsaPrivateKey) -> Self {
        let signer = Signer::new(&provider(), signing).unwrap();
        Self { signer, sealer: Sealer::new(&provider(), cluster.public_key()).unwrap() }
    }

    /// The line that the cluster's owner mounts.
    pub fn public_line(&self) -> Vec<u8> {
        encode_public(&(*self.signer.public_key()).into(), PublicFormat::SshLine, "").unwrap()
    }

    pub fn fingerprint(&self) -> String {
        self.signer.fingerprint(studioml_envelope::FingerprintForm::SshSha256).to_string()
    }

    /// A signed envelope.
    pub fn seal(&self, request: &[u8]) -> Vec<u8> {
        self.sealer.seal_signed_envelope(request, &self.signer).unwrap()
    }

    /// An envelope around a payload of anybody's making, signed.
    pub fn sign(&self, payload: &str) -> Vec<u8> {
        let message = serde_json::json!({ "message": {
            "payload": payload,
            "signature": self.signer.sign(payload.as_bytes()).unwrap(),
            "fingerprint": self.fingerprint(),
        } });
        message.to_string().into_bytes()
    }
}

/// A Request that says which one it is, of about `size` bytes.
pub fn request(number: usize, size: usize) -> Vec<u8> {
    let mut request = format!(
        r#"{{"experiment":{{"key":"{number}","status":"waiting","pythonver":"3.8","time_added":1530054413.1,"args":["#
    );
    while request.len() + 40 < size {
        request.push_str("\"--an-argument-of-the-experiment\",");
    }
    request.push_str(r#""--last"]},"config":{"experimentLifetime":"30m"}}"#);
    request.into_bytes()
}

/// Which Request it is.
pub fn number_of(request: &[u8]) -> usize {
    let request: serde_json::Value = serde_json::from_slice(request).expect("a Request");
    request["experiment"]["key"].as_str().expect("a key").parse().expect("a number")
}

/// A report, as a runner writes it.
pub fn report(number: usize) -> Vec<u8> {
    format!(
        r#"{{"time":"2020-10-12T09:00:00.{number:06}Z","experimentId":"{number}","uniqueId":"u","executorId":"e","progress":{{"time":"2020-10-12T09:00:00Z","state":"Started"}}}}"#
    )
    .into_bytes()
}

/// A directory as kubelet mounts and updates a secret: a directory per version, the link `..data` that is swapped by a
/// rename, a link per file through it, and the old version deleted last.
pub struct Mount {
    directory: PathBuf,
    version: u64,
    files: BTreeMap<String, Vec<u8>>,
}

impl Mount {
    pub fn new(directory: PathBuf) -> Self {
        fs::create_dir_all(&directory).unwrap();
        Self { directory, version: 0, files: BTreeMap::new() }
    }

    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Adds or replaces one file.
    pub fn put(&mut self, name: &str, contents: &[u8]) {
        self.put_all(&[(name, contents)]);
    }

    /// Adds or replaces files, at once.
    pub fn put_all(&mut self, changed: &[(&str, &[u8])]) {
        let mut files = self.files.clone();
        files.extend(changed.iter().map(|(name, contents)| ((*name).to_owned(), contents.to_vec())));
        self.update(files);
    }

    /// Removes one file.
    pub fn remove(&mut self, name: &str) {
        let mut files = self.files.clone();
        files.remove(name).unwrap();
        self.update(files);
    }

    fn update(&mut self, files: BTreeMap<String, Vec<u8>>) {
        let version = |number: u64| format!("..2026_01_01_00_00_00.{number:09}");
        let old = self.directory.join(version(self.version));
        self.version += 1;
        let new = version(self.version);
        fs::create_dir(self.directory.join(&new)).unwrap();
        for (name, contents) in &files {
            fs::write(self.directory.join(&new).join(name), contents).unwrap();
        }
        symlink(&new, self.directory.join("..data_tmp")).unwrap();
        fs::rename(self.directory.join("..data_tmp"), self.directory.join("..data")).unwrap();
        for name in files.keys().filter(|name| !self.files.contains_key(*name)) {
            symlink(Path::new("..data").join(name), self.directory.join(name)).unwrap();
        }
        for name in self.files.keys().filter(|name| !files.contains_key(*name)) {
            fs::remove_file(self.directory.join(name)).unwrap();
        }
        if old.exists() {
            fs::remove_dir_all(&old).unwrap();
        }
        self.files = files;
    }
}

/// The four mounts of docs/spec.md §6.
pub struct Mounts {
    pub encryption: Mount,
    pub passphrase: Mount,
    pub signing: Mount,
    pub reports: Mount,
}

impl Mounts {
    /// With the cluster's key, and nothing else.
    pub fn new(below: &Path) -> Self {
        let mut mounts = Self::empty(below);
        mounts.encryption.put("ssh-privatekey", &private_pem(cluster_key()));
        mounts
    }

    pub fn empty(below: &Path) -> Self {
        let mount = |name: &str| Mount::new(below.join("keys").join(name));
        Self {
            encryption: mount("encryption"),
            passphrase: mount("passphrase"),
            signing: mount("signing"),
            reports: mount("reports"),
        }
    }

    /// The table `[keys]` of a configuration, reloading quickly.
    pub fn toml(&self) -> String {
        format!(
            "[keys]\nencryption = {:?}\npassphrase = {:?}\nsigning = {:?}\nreports = {:?}\nreload_seconds = 0.1\n",
            self.encryption.path(),
            self.passphrase.path(),
            self.signing.path(),
            self.reports.path()
        )
    }
}
