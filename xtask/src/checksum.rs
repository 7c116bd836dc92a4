//! SHA-256 of files, in the form that `sha256sum` writes and checks.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

/// Hexadecimal digest of a file.
pub fn of_file(path: &Path) -> Result<String> {
    let mut file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut chunk).with_context(|| path.display().to_string())?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        digest.update(bytes);
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Digests of all files below `folder`, by their paths relative to `base`.
pub fn of_tree(folder: &Path, base: &Path) -> Result<BTreeMap<String, String>> {
    let mut digests = BTreeMap::new();
    for entry in WalkDir::new(folder) {
        let entry = entry.with_context(|| folder.display().to_string())?;
        if entry.file_type().is_file() {
            let path = entry.path().strip_prefix(base).unwrap_or(entry.path());
            digests.insert(path.to_string_lossy().into_owned(), of_file(entry.path())?);
        }
    }
    Ok(digests)
}

/// One line for each file: digest, two spaces, path.
pub fn written(digests: &BTreeMap<String, String>) -> String {
    digests.iter().map(|(path, digest)| format!("{digest}  {path}\n")).collect()
}

/// Reads what [`written`] wrote.
pub fn read(text: &str) -> Result<BTreeMap<String, String>> {
    let mut digests = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let Some((digest, path)) = line.split_once("  ") else {
            bail!("line {number} is not a digest, two spaces and a path");
        };
        if digest.len() != 64 || !digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            bail!("line {number} does not begin with a SHA-256 digest");
        }
        if digests.insert(path.to_owned(), digest.to_owned()).is_some() {
            bail!("line {number} names {path} again");
        }
    }
    Ok(digests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_written_as_sha256sum_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deep")).unwrap();
        std::fs::write(folder.path().join("deep/abc"), "abc").unwrap();
        std::fs::write(folder.path().join("empty"), "").unwrap();
        let digests = of_tree(folder.path(), folder.path()).unwrap();
        // FIPS 180-4's example, and the digest of nothing
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  deep/abc\n\
                        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  empty\n";
        assert_eq!(written(&digests), expected);
        assert_eq!(read(expected).unwrap(), digests);
    }

    #[test]
    fn a_malformed_list_is_refused_by_line() {
        let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (text, says) in [
            ("nothing\n".to_owned(), "line 1 is not"),
            (format!("{digest}  a\nabc  b\n"), "line 2 does not begin"),
            (format!("{digest}  a\n{digest}  a\n"), "line 2 names a again"),
        ] {
            assert!(read(&text).unwrap_err().to_string().starts_with(says), "{text}");
        }
    }
}
