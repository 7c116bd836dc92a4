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
        Ok(config) => {
            let mut shown = config.problems();
            shown.push(format!("{config:?}"));
            shown
        }
        Err(error) => vec![error.to_string(), format!("{error:?}")],
    };
    for shown in shown {
        assert!(!shown.contains(PASSWORD), "a password is shown: {shown}");
    }
}
