//! Vector files: found by scanning their directory, each accounted for by a manifest that says where it came from and what
//! it expects.
//!
//! `expected.json` came with the peers' vectors and speaks for them; `manifest.json` speaks for the rest. A file that
//! neither names, a name without a file and a key that no type here has are errors: nothing lies about untested.

mod expected;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use thiserror::Error;

pub(crate) use expected::{Expected, KnownKey, PeerItem, PeerSet};

/// The vectors cannot be used as they lie there.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VectorsError {
    /// A file or directory cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A manifest is not what its type says: a key too many, too few or of another kind.
    #[error("{file}: {source}")]
    Manifest {
        /// Which one.
        file: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A file that no manifest names.
    #[error("{0}: no manifest says what this file expects")]
    Unaccounted(String),
    /// A file that a manifest names and that is not there.
    #[error("{0}: named by a manifest, but not there")]
    Missing(String),
    /// A file that is named twice.
    #[error("{0}: named twice")]
    NamedTwice(String),
}

/// What a manifest says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who made it, or with which command.
    pub from: String,
    /// What it expects.
    pub expects: String,
}

/// A directory of vectors, read and accounted for.
#[derive(Debug)]
pub struct Vectors {
    files: BTreeMap<String, Vec<u8>>,
    origins: BTreeMap<String, Origin>,
    expected: Expected,
    verdicts: Verdicts,
}

/// `bad/verdicts.json`: what this implementation does with the messages of `bad/`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verdicts {
    #[serde(rename = "about")]
    _about: String,
    pub(crate) items: Vec<ExpectedVerdict>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedVerdict {
    pub(crate) file: String,
    pub(crate) case: String,
    pub(crate) verdict: AcceptedOrRefused,
    pub(crate) clause: String,
    pub(crate) stage: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) plaintext_bytes: Option<usize>,
    pub(crate) request: Option<String>,
    pub(crate) disagreements: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AcceptedOrRefused {
    Accepted,
    Refused,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(rename = "about")]
    _about: String,
    files: Vec<ManifestFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestFile {
    file: String,
    from: String,
    expects: String,
}

const EXPECTED: &str = "expected.json";
const MANIFEST: &str = "manifest.json";
const VERDICTS: &str = "bad/verdicts.json";

impl Vectors {
    /// The vectors that come with this crate, from its source directory.
    ///
    /// # Errors
    /// [`VectorsError`], for example where the sources are gone.
    pub fn bundled() -> Result<Self, VectorsError> {
        Self::open(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors")))
    }

    /// Reads a directory laid out like the bundled one.
    ///
    /// # Errors
    /// [`VectorsError`]
    pub fn open(root: &Path) -> Result<Self, VectorsError> {
        let mut files = BTreeMap::new();
        scan(root, "", &mut files)?;
        let expected: Expected = json(&files, EXPECTED)?;
        let manifest: Manifest = json(&files, MANIFEST)?;
        let verdicts: Verdicts = json(&files, VERDICTS)?;

        let mut origins = Origins::default();
        origins.add(MANIFEST.to_owned(), "this project", "its own entries")?;
        for file in manifest.files {
            origins.add(file.file, &file.from, &file.expects)?;
        }
        origins.add_expected(&expected)?;

        let origins = origins.0;
        if let Some(file) = files.keys().find(|file| !origins.contains_key(*file)) {
            return Err(VectorsError::Unaccounted(file.clone()));
        }
        if let Some(file) = origins.keys().find(|file| !files.contains_key(*file)) {
            return Err(VectorsError::Missing(file.clone()));
        }
        Ok(Self { files, origins, expected, verdicts })
    }

    /// Every file by its path below the root, with where it came from and what it expects.
    pub fn origins(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.origins.iter().map(|(file, origin)| (file.as_str(), origin))
    }

    /// The content of a file by its path below the root.
    ///
    /// # Errors
    /// A sentence, if there is none: suites count it as a failed case.
    pub fn bytes(&self, file: &str) -> Result<&[u8], String> {
        self.files.get(file).map(Vec::as_slice).ok_or_else(|| format!("no vector file {file}"))
    }

    /// The content of a text file without surrounding white space.
    ///
    /// # Errors
    /// A sentence, if there is none or it is not UTF-8.
    pub fn text(&self, file: &str) -> Result<&str, String> {
        core::str::from_utf8(self.bytes(file)?).map(str::trim).map_err(|error| format!("{file}: {error}"))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, file: &str) -> Result<T, String> {
        serde_json::from_slice(self.bytes(file)?).map_err(|error| format!("{file}: {error}"))
    }

    pub(crate) const fn expected(&self) -> &Expected {
        &self.expected
    }

    pub(crate) const fn verdicts(&self) -> &Verdicts {
        &self.verdicts
    }
}

fn scan(root: &Path, below: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), VectorsError> {
    let directory = root.join(below);
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| VectorsError::Read { path, source }
    };
    for entry in fs::read_dir(&directory).map_err(unreadable(&directory))? {
        let entry = entry.map_err(unreadable(&directory))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let file = if below.is_empty() { name.into_owned() } else { format!("{below}/{name}") };
        if entry.file_type().map_err(unreadable(&entry.path()))?.is_dir() {
            scan(root, &file, files)?;
        } else {
            files.insert(file, fs::read(entry.path()).map_err(unreadable(&entry.path()))?);
        }
    }
    Ok(())
}

fn json<T: DeserializeOwned>(files: &BTreeMap<String, Vec<u8>>, file: &str) -> Result<T, VectorsError> {
    let bytes = files.get(file).ok_or_else(|| VectorsError::Missing(file.to_owned()))?;
    serde_json::from_slice(bytes).map_err(|source| VectorsError::Manifest { file: file.to_owned(), source })
}

#[derive(Default)]
struct Origins(BTreeMap<String, Origin>);

impl Origins {
    fn add(&mut self, file: String, from: &str, expects: &str) -> Result<(), VectorsError> {
        let origin = Origin { from: from.to_owned(), expects: expects.to_owned() };
        match self.0.insert(file.clone(), origin) {
            None => Ok(()),
            Some(_) => Err(VectorsError::NamedTwice(file)),
        }
    }

    /// What `expected.json` says of the files it names.
    fn add_expected(&mut self, expected: &Expected) -> Result<(), VectorsError> {
        let made_by = |who: &str| expected.made_by.get(who).cloned().unwrap_or_default();
        for (peer, set) in &expected.sets {
            self.add_peer(set, &made_by(peer), &made_by("keys"))?;
        }
        for request in expected.requests.values() {
            let expects = format!("{} bytes, SHA-256 {}", request.bytes, request.sha256);
            self.add(request.file.clone(), "the experimenter's side of StudioML", &expects)?;
        }
        let keyfiles = &expected.keyfiles;
        for file in &keyfiles.files {
            self.add(format!("{}/{}", keyfiles.dir, file.file), &file.made_with, &file.format)?;
        }
        let check = &keyfiles.check;
        for file in [&check.payload, &check.plaintext, &check.ed25519_signature, &check.ecdsa_p256_sha256_der_signature]
        {
            self.add(format!("{}/{file}", keyfiles.dir), &made_by("keys"), &check.note)?;
        }
        for case in &expected.bad.items {
            self.add(case.file.clone(), &expected.bad.note, &case.case)?;
        }
        Ok(())
    }

    fn add_peer(&mut self, set: &PeerSet, from: &str, keys_from: &str) -> Result<(), VectorsError> {
        let path = |file: &str| format!("{}/{file}", set.dir);
        let (rsa, ed25519) = (&set.keys.rsa, &set.keys.ed25519);
        let keys = [&rsa.private_legacy_pem, &rsa.public_pkcs1_pem, &rsa.passphrase_file, &ed25519.private_openssh];
        for key in keys.into_iter().chain([&ed25519.public_line]).chain(&rsa.private_openssh_bcrypt) {
            self.add(path(key), keys_from, "a key of this set")?;
        }
        for item in &set.items {
            self.add(path(&item.payload), from, &format!("opens to requests/{}.json", item.request))?;
            self.add(path(&item.signature), from, &format!("verifies over {}", item.payload))?;
            if let Some(signature) = &item.signature_ssh_wire {
                self.add(path(signature), from, &format!("verifies over {}, in SSH form", item.payload))?;
            }
            let expects = format!("verifies, and opens to SHA-256 {}", item.envelope_plaintext_sha256);
            self.add(path(&item.envelope), from, &expects)?;
            // the plaintexts of the long ones are left out, their digests are there
            if item.request != "64k" {
                let plaintext = item.envelope.replace(".json", ".plaintext");
                self.add(path(&plaintext), from, &set.note)?;
            }
        }
        Ok(())
    }
}
