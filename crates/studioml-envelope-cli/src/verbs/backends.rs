//! `backends`: which library serves which slot.

use serde_json::json;
use studioml_envelope::{Implementation, provider};

use crate::{args::Global, failure::Outcome, io::print_line};

/// Lists every provider compiled in, the default first.
pub fn run(global: &Global) -> Outcome {
    if global.json {
        let providers: Vec<_> = provider::ALL
            .iter()
            .map(|provider| {
                let slots: serde_json::Map<_, _> = provider
                    .describe()
                    .into_iter()
                    .map(|(slot, by)| {
                        (slot.to_owned(), json!({ "library": by.library, "version": by.version, "path": by.path }))
                    })
                    .collect();
                json!({ "name": provider.name, "default": provider.name == provider::default().name, "slots": slots })
            })
            .collect();
        return print_line(&json!({ "providers": providers }).to_string());
    }
    for provider in provider::ALL {
        let default = if provider.name == provider::default().name { "  (default)" } else { "" };
        print_line(&format!("{}{default}", provider.name))?;
        for (slot, by) in provider.describe() {
            let Implementation { library, version, path } = by;
            print_line(format!("  {slot:<14}{library} {version}  {path}").trim_end())?;
        }
    }
    Ok(())
}
