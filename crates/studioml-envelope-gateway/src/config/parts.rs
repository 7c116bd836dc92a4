//! A file that cannot be used as a whole, looked at part by part: one go says what is wrong in each of them, and what is
//! in order can be checked beside it.

use std::path::Path;

use serde::de::DeserializeOwned;
use studioml_envelope_core::FingerprintPolicy;
use toml::{Table, Value};

use super::{
    Config, HttpConfig, InnerConfig, KeysConfig, LimitsConfig, LogConfig, OuterConfig, RejectsConfig, ReplayConfig,
    fingerprint_policy, without_secrets,
};

/// What is in a file, and what is wrong with it.
pub(crate) struct Parts {
    /// Which of them are wrong, and how.
    pub(crate) problems: Vec<(String, String)>,
    /// All that can be read, and defaults for the rest, if both sides can be.
    pub(crate) config: Option<Config>,
    /// The mounts, if they can be read; relative to the file.
    pub(crate) keys: Option<KeysConfig>,
}

#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Fingerprint(#[serde(deserialize_with = "fingerprint_policy")] FingerprintPolicy);

impl Parts {
    /// Reads the text of a file that stands in `directory`. `None` if it is not TOML.
    pub(crate) fn read(text: &str, directory: &Path) -> Option<Self> {
        let mut reader = Reader { table: text.parse().ok()?, problems: Vec::new() };
        let (outer, inner) = (reader.take::<OuterConfig>("outer"), reader.take::<InnerConfig>("inner"));
        let mut keys = reader.take_or_default::<KeysConfig>("keys");
        if let Some(keys) = &mut keys {
            keys.make_relative_to(directory);
        }
        let clear_text_messages = reader.take_or_default("clear_text_messages").unwrap_or_default();
        let fingerprint = if reader.table.contains_key("fingerprint") { reader.take("fingerprint") } else { None };
        let fingerprint = fingerprint.map_or_else(FingerprintPolicy::default, |Fingerprint(policy)| policy);
        let http = reader.take_or_default::<HttpConfig>("http").unwrap_or_default();
        let rejects = reader.take_or_default::<RejectsConfig>("rejects").unwrap_or_default();
        let limits = reader.take_or_default::<LimitsConfig>("limits").unwrap_or_default();
        let replay = reader.take_or_default::<ReplayConfig>("replay").unwrap_or_default();
        let log = reader.take_or_default::<LogConfig>("log").unwrap_or_default();
        let config = outer.zip(inner).map(|(mut outer, mut inner)| {
            for path in outer.paths().into_iter().chain(inner.paths()) {
                *path = directory.join(&*path);
            }
            let keys = keys.clone().unwrap_or_default();
            Config { clear_text_messages, fingerprint, outer, inner, keys, http, rejects, limits, replay, log }
        });
        Some(Self { problems: reader.end(), config, keys })
    }
}

struct Reader {
    table: Table,
    problems: Vec<(String, String)>,
}

impl Reader {
    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let Some(value) = self.table.remove(name) else {
            self.tell(name, &format!("missing field `{name}`"));
            return None;
        };
        let read: Result<T, _> = Value::try_into(value);
        read.map_err(|error| self.tell(name, &error.to_string())).ok()
    }

    /// In the library's words, so that what it has said already is recognised.
    fn tell(&mut self, name: &str, problem: &str) {
        self.problems.push((without_secrets(name), without_secrets(problem)));
    }

    fn take_or_default<T: DeserializeOwned + Default>(&mut self, name: &str) -> Option<T> {
        if self.table.contains_key(name) { self.take(name) } else { Some(T::default()) }
    }

    /// What has not been taken means nothing.
    fn end(mut self) -> Vec<(String, String)> {
        for name in std::mem::take(&mut self.table).keys() {
            self.tell(name, &format!("unknown field `{name}`"));
        }
        self.problems
    }
}
