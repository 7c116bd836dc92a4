//! The keys that a StudioML client's configuration names: `public_key_path` and `signing_key_path`, under `studio_ml_config` or at the top, in JSON, YAML or HOCON as clients write it.
//!
//! YAML is read by `serde-saphyr`, HOCON by `hocon-rs` (the older `hocon` crate stands on a text-encoding crate that nobody
//! maintains), `~` and `${VAR}` are expanded by `shellexpand`.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use thiserror::Error;

/// The largest configuration file in bytes.
pub const MAX_CONFIG_FILE: usize = 4 * 1024 * 1024;

/// What a StudioML configuration says of keys.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The recipient's public key. `None`: the client would submit in clear text.
    pub public_key_path: Option<PathBuf>,
    /// The private key that signs.
    pub signing_key_path: Option<PathBuf>,
}

/// A configuration cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is larger than any configuration.
    #[error("larger than {maximum} bytes")]
    TooLarge {
        /// The limit in bytes.
        maximum: usize,
    },
    /// It is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// It is in none of the formats, or a key path is no text.
    #[error("not a StudioML configuration in JSON, YAML or HOCON, or a key path in it is no text ({format}{place})", place = place(*.line, *.column))]
    Malformed {
        /// The format that it looks like.
        format: &'static str,
        /// Line, from 1; 0 where it is not known.
        line: usize,
        /// Column, from 1; 0 where it is not known.
        column: usize,
    },
    /// A path uses a variable that is not set.
    #[error("{member} uses the variable {variable}, which is not set")]
    UndefinedVariable {
        /// Which path.
        member: &'static str,
        /// The variable's name.
        variable: String,
    },
    /// A HOCON configuration refers to what is neither in it nor in the environment, for a key path or for anything else.
    #[error("{reference} is neither in the configuration nor in the environment (HOCON)")]
    UndefinedReference {
        /// The reference as it stands, `${name}`, without control characters and cut to 64.
        reference: String,
    },
    /// A HOCON configuration includes a file that cannot be used.
    #[error("{inclusion} names a file that cannot be used (HOCON)")]
    Inclusion {
        /// The `include` as it stands, without control characters and cut to 64.
        inclusion: String,
    },
}

fn place(line: usize, column: usize) -> String {
    if line == 0 { String::new() } else { format!(", line {line}, column {column}") }
}

/// The whole file as far as it matters here; what stands under `studio_ml_config` goes before what stands at the top.
#[derive(Deserialize)]
struct Document {
    studio_ml_config: Option<Section>,
    public_key_path: Option<String>,
    signing_key_path: Option<String>,
}

#[derive(Deserialize, Default)]
struct Section {
    public_key_path: Option<String>,
    signing_key_path: Option<String>,
}

impl ClientConfig {
    /// Reads a configuration file. Relative paths in it are relative to the file's directory.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        use io::Read as _;
        let mut contents = Vec::new();
        let limit = u64::try_from(MAX_CONFIG_FILE).unwrap_or(u64::MAX).saturating_add(1);
        std::fs::File::open(path)?.take(limit).read_to_end(&mut contents)?;
        if contents.len() > MAX_CONFIG_FILE {
            return Err(ConfigError::TooLarge { maximum: MAX_CONFIG_FILE });
        }
        let text = str::from_utf8(&contents).map_err(|_| ConfigError::NotUtf8)?;
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let directory = path.parent().unwrap_or(Path::new(""));
        Self::from_document(parse(text, extension, directory)?, directory)
    }

    fn from_document(document: Document, directory: &Path) -> Result<Self, ConfigError> {
        let section = document.studio_ml_config.unwrap_or_default();
        let resolve = |member, nested: Option<String>, top: Option<String>| {
            let path = nested.or(top).filter(|path| !path.is_empty());
            path.map(|path| expand(member, &path).map(|path| directory.join(path))).transpose()
        };
        Ok(Self {
            public_key_path: resolve("public_key_path", section.public_key_path, document.public_key_path)?,
            signing_key_path: resolve("signing_key_path", section.signing_key_path, document.signing_key_path)?,
        })
    }
}

/// By the file's extension where it says something, and else by which parser takes the text: all JSON is YAML and HOCON too,
/// HOCON that YAML takes as well means the same in both as far as key paths go, and other HOCON is no YAML mapping.
fn parse(text: &str, extension: &str, directory: &Path) -> Result<Document, ConfigError> {
    match extension.to_ascii_lowercase().as_str() {
        "json" => json(text).or_else(|error| hocon_instead(error, text, directory)),
        "yaml" | "yml" => yaml(text),
        "conf" | "hocon" => hocon(text, directory),
        _ if text.trim_start().starts_with('{') => {
            json(text).or_else(|error| yaml(text).or_else(|_| hocon_instead(error, text, directory)))
        }
        _ => yaml(text).or_else(|error| hocon_instead(error, text, directory)),
    }
}

fn json(text: &str) -> Result<Document, ConfigError> {
    serde_json::from_str(text).map_err(|error| ConfigError::Malformed {
        format: "JSON",
        line: error.line(),
        column: error.column(),
    })
}

fn yaml(text: &str) -> Result<Document, ConfigError> {
    serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location();
        let number = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
        ConfigError::Malformed {
            format: "YAML",
            line: number(place.map(|place| place.line())),
            column: number(place.map(|place| place.column())),
        }
    })
}

/// For a text that another parser has refused with `error`, which says more than that it is no HOCON either.
fn hocon_instead(error: ConfigError, text: &str, directory: &Path) -> Result<Document, ConfigError> {
    hocon(text, directory).map_err(|other| if matches!(other, ConfigError::Malformed { .. }) { error } else { other })
}

/// Substitutions may name environment variables; includes are looked for beside the file. By way of a JSON value, as the
/// library's own deserializer does not know optional members.
fn hocon(text: &str, directory: &Path) -> Result<Document, ConfigError> {
    const MALFORMED: ConfigError = ConfigError::Malformed { format: "HOCON", line: 0, column: 0 };
    let options = hocon_rs::ConfigOptions::new(false, vec![directory.to_string_lossy().into_owned()]);
    let shortened = |text: String| text.chars().filter(|c| !c.is_control()).take(64).collect();
    let value: hocon_rs::Value =
        hocon_rs::Config::parse_str(text, Some(options)).map_err(|error: hocon_rs::Error| match error {
            hocon_rs::Error::SubstitutionNotFound(name) => {
                ConfigError::UndefinedReference { reference: shortened(name) }
            }
            hocon_rs::Error::Include { inclusion, .. } => ConfigError::Inclusion { inclusion: shortened(inclusion) },
            _ => MALFORMED,
        })?;
    serde_json::from_value(value.into()).map_err(|_| MALFORMED)
}

/// Expands `~`, `$VAR` and `${VAR}`, as the Python client does.
fn expand(member: &'static str, path: &str) -> Result<String, ConfigError> {
    let home = || env::home_dir().and_then(|home| home.into_os_string().into_string().ok());
    let variable = |name: &str| env::var(name).map(Some);
    shellexpand::full_with_context(path, home, variable)
        .map(std::borrow::Cow::into_owned)
        .map_err(|error| ConfigError::UndefinedVariable { member, variable: error.var_name.chars().take(64).collect() })
}
