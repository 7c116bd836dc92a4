//! The plan of the house as data: which package stands where, and what it may import.

/// A package of the workspace and its place.
pub struct Room {
    pub package: &'static str,
    /// Folder, relative to the workspace root.
    pub folder: &'static str,
    pub floor: Floor,
    /// Workspace packages it may import. Development dependencies are free, but for the program.
    pub may_import: &'static [&'static str],
}

/// How high a room stands; an arrow goes down only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    Numbered(u8),
    /// Suite, benches and development tasks: they look at every floor and no floor looks at them.
    Beside,
}

pub const CORE: &str = "studioml-envelope-core";
pub const RUSTCRYPTO: &str = "studioml-envelope-rustcrypto";
pub const AWS_LC_RS: &str = "studioml-envelope-aws-lc-rs";
pub const RING: &str = "studioml-envelope-ring";
pub const SIMD: &str = "studioml-envelope-simd";
pub const KEYS: &str = "studioml-envelope-keys";
pub const FACADE: &str = "studioml-envelope";
pub const CHANNEL: &str = "studioml-envelope-channel";
pub const GATEWAY: &str = "studioml-envelope-gateway";
pub const CLI: &str = "studioml-envelope-cli";
pub const CONFORMANCE: &str = "studioml-envelope-conformance";
pub const BENCHES: &str = "studioml-envelope-benches";
pub const XTASK: &str = "xtask";

/// The whole plan. A member that is not here has no place yet.
pub const ROOMS: &[Room] = &[
    room(CORE, "crates/studioml-envelope-core", Floor::Numbered(0), &[]),
    room(RUSTCRYPTO, "crates/studioml-envelope-rustcrypto", Floor::Numbered(1), &[CORE]),
    room(AWS_LC_RS, "crates/studioml-envelope-aws-lc-rs", Floor::Numbered(1), &[CORE]),
    room(RING, "crates/studioml-envelope-ring", Floor::Numbered(1), &[CORE]),
    room(SIMD, "crates/studioml-envelope-simd", Floor::Numbered(1), &[CORE]),
    room(KEYS, "crates/studioml-envelope-keys", Floor::Numbered(1), &[CORE]),
    room(FACADE, "crates/studioml-envelope", Floor::Numbered(2), &[CORE, RUSTCRYPTO, AWS_LC_RS, RING, SIMD, KEYS]),
    room(CHANNEL, "crates/studioml-envelope-channel", Floor::Numbered(2), &[CORE, KEYS]),
    room(GATEWAY, "crates/studioml-envelope-gateway", Floor::Numbered(3), &[CORE, KEYS, FACADE, CHANNEL]),
    room(
        CLI,
        "crates/studioml-envelope-cli",
        Floor::Numbered(4),
        &[CORE, RUSTCRYPTO, AWS_LC_RS, RING, SIMD, KEYS, FACADE, CHANNEL, GATEWAY],
    ),
    room(
        CONFORMANCE,
        "crates/studioml-envelope-conformance",
        Floor::Beside,
        &[CORE, RUSTCRYPTO, AWS_LC_RS, RING, SIMD, KEYS, FACADE, CHANNEL],
    ),
    room(
        BENCHES,
        "benches",
        Floor::Beside,
        &[CORE, RUSTCRYPTO, AWS_LC_RS, RING, SIMD, KEYS, FACADE, CHANNEL, GATEWAY, CONFORMANCE],
    ),
    // it must build in seconds and report on a tree that does not compile
    room(XTASK, "xtask", Floor::Beside, &[]),
];

/// Crypto libraries and the one adapter that may import each: no other room calls a library behind the provider's back.
/// Suite, benches and development dependencies compare with the bare library and are free.
pub const ADAPTED: &[(&str, &str)] = &[
    ("aws-lc-rs", AWS_LC_RS),
    ("ring", RING),
    ("rsa", RUSTCRYPTO),
    ("crypto_secretbox", RUSTCRYPTO),
    ("ed25519-dalek", RUSTCRYPTO),
    ("p256", RUSTCRYPTO),
    ("aes-gcm", RUSTCRYPTO),
];

/// The one crate whose kernels need `unsafe`.
pub const UNSAFE_ROOM: &str = SIMD;

/// Names that say nothing of what lives there.
pub const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc"];

const fn room(package: &'static str, folder: &'static str, floor: Floor, may_import: &'static [&'static str]) -> Room {
    Room { package, folder, floor, may_import }
}

/// The room of a package, if it has one.
pub fn room_of(package: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.package == package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arrow_of_the_plan_goes_down() {
        for room in ROOMS {
            for import in room.may_import {
                let below = room_of(import).expect(import);
                match (room.floor, below.floor) {
                    (Floor::Numbered(from), Floor::Numbered(to)) => assert!(to < from, "{} -> {import}", room.package),
                    (Floor::Beside, _) => {}
                    (Floor::Numbered(_), Floor::Beside) => panic!("{} imports {import} from beside", room.package),
                }
                assert_ne!(*import, CLI, "nothing imports the program");
            }
        }
    }

    #[test]
    fn folder_is_package_name_for_every_crate() {
        for room in ROOMS.iter().filter(|room| room.folder.starts_with("crates/")) {
            assert_eq!(room.folder, format!("crates/{}", room.package));
        }
    }
}
