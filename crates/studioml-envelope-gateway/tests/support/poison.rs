//! The vectors of `bad`: messages that were once accepted by somebody, or cost somebody the process.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::keys::Mounts;
use super::vectors;

/// One of the vectors.
pub struct Item {
    pub name: String,
    pub contents: Vec<u8>,
    /// Whether it is a Request after all, in an odd envelope.
    pub is_request: bool,
}

/// All of them, in the order of their list.
pub fn items() -> Vec<Item> {
    let verdicts: Value = serde_json::from_slice(&fs::read(vectors().join("bad/verdicts.json")).unwrap()).unwrap();
    let item = |item: &Value| {
        let file = item["file"].as_str().unwrap();
        Item {
            name: file.trim_start_matches("bad/").to_owned(),
            contents: fs::read(vectors().join(file)).unwrap(),
            is_request: item["verdict"] == "accepted" && item["request"] == "ok",
        }
    };
    let items: Vec<Item> = verdicts["items"].as_array().unwrap().iter().map(item).collect();
    assert!(items.iter().filter(|item| !item.is_request).count() > 80, "{}", items.len());
    items
}

/// The mounts that they were made for, and the queue that they were sent to.
pub fn mounts(below: &Path) -> (Mounts, String) {
    let expected: Value = serde_json::from_slice(&fs::read(vectors().join("expected.json")).unwrap()).unwrap();
    let keys = vectors().join(expected["bad"]["keys"].as_str().unwrap());
    let mut mounts = Mounts::empty(&below.join("vectors"));
    mounts.encryption.put("ssh-privatekey", &fs::read(keys.join("studioml_message.pem")).unwrap());
    mounts.passphrase.put("ssh-passphrase", &fs::read(keys.join("passphrase")).unwrap());
    for entry in fs::read_dir(vectors().join(expected["bad"]["signing_dir"].as_str().unwrap())).unwrap() {
        let entry = entry.unwrap();
        mounts.signing.put(entry.file_name().to_str().unwrap(), &fs::read(entry.path()).unwrap());
    }
    (mounts, expected["bad"]["queue"].as_str().unwrap().to_owned())
}
