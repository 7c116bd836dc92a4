//! `backends`: which library serves which slot, on which CPU.

use serde_json::json;
use studioml_envelope::{Implementation, provider};

use crate::{
    args::Global,
    failure::Outcome,
    io::{print_json, print_line},
};

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
        return print_json(&json!({ "providers": providers, "cpu": cpu_features() }));
    }
    for provider in provider::ALL {
        let default = if provider.name == provider::default().name { "  (default)" } else { "" };
        print_line(&format!("{}{default}", provider.name))?;
        for (slot, by) in provider.describe() {
            let Implementation { library, version, path } = by;
            print_line(format!("  {slot:<14}{library} {version}  {path}").trim_end())?;
        }
    }
    print_line(format!("CPU: {}", cpu_features().join(" ")).trim_end())
}

/// Asks for each feature that the libraries choose their code by.
macro_rules! detected {
    ($detect:ident: $($feature:tt)*) => {
        [$(($feature, std::arch::$detect!($feature))),*]
    };
}

/// The features of this CPU that the libraries have code for; each takes the best that it has and finds.
fn cpu_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let features = detected!(is_x86_feature_detected:
        "aes" "pclmulqdq" "ssse3" "sse4.1" "avx" "avx2" "bmi1" "bmi2" "adx" "sha" "vaes" "vpclmulqdq" "avx512f" "avx512bw"
        "avx512vl" "avx512ifma" "rdrand");
    #[cfg(target_arch = "aarch64")]
    let features = detected!(is_aarch64_feature_detected: "neon" "aes" "pmull" "sha2" "sha3");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let features: [(&str, bool); 0] = [];
    features.into_iter().filter_map(|(feature, is_there)| is_there.then_some(feature)).collect()
}
