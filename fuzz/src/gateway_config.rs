//! The gateway's configuration: whatever stands in the file, reading it ends, and a password in it is shown nowhere.

use std::path::Path;

use studioml_envelope_gateway::Config;

/// What no error and no `Debug` may show: a password where a URL has it.
const PASSWORD: &str = ":S3CRET@";

/// The file's text. What follows a NUL is the variable that overrides one option.
pub fn gateway_config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (text, variable) = match text.split_once('\0') {
        Some((text, variable)) => (text, Some(variable)),
        None => (text, None),
    };
    let shown = match Config::parse(text, Path::new("/etc/gateway"), variable) {
        Ok(config) if only_in_urls(text) => {
            let mut shown = config.problems();
            shown.push(format!("{config:?}"));
            shown
        }
        Ok(_) => Vec::new(),
        Err(error) => vec![error.to_string(), format!("{error:?}")],
    };
    for shown in shown {
        assert!(!shown.contains(PASSWORD), "a password is shown: {shown}");
    }
}

/// Whether passwords stand where a URL belongs. What stands in the place of a name is one for all that the program knows, and is
/// shown.
fn only_in_urls(text: &str) -> bool {
    text.parse().is_ok_and(|table: toml::Table| !has_password(&toml::Value::Table(table)))
}

/// Whether a password stands outside of URLs.
fn has_password(value: &toml::Value) -> bool {
    match value {
        toml::Value::String(text) => text.contains(PASSWORD),
        toml::Value::Array(values) => values.iter().any(has_password),
        toml::Value::Table(table) => table.iter().any(|(name, value)| {
            name.contains(PASSWORD) || !["url", "management_url"].contains(&&**name) && has_password(value)
        }),
        _ => false,
    }
}
