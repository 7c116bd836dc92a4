//! Who imports whom, and what is called how, from `cargo metadata`.

use std::path::Path;

use cargo_metadata::{Dependency, DependencyKind, Package};

use super::Violation;
use super::plan::{self, Floor};
use crate::workspace::Workspace;

pub fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in workspace.members() {
        let name = package.name.as_str();
        let Some(room) = plan::room_of(name) else {
            violations.push(Violation::new(name, "has no place in the plan of the house"));
            continue;
        };
        let folder = folder_of(package, workspace.root());
        if folder != room.folder {
            violations.push(Violation::new(name, format!("stands in {folder}, the plan puts it in {}", room.folder)));
        }
        violations.extend(package.dependencies.iter().filter_map(|import| refused(room, import)));
    }
    let present = |room: &&plan::Room| workspace.members().any(|package| package.name.as_str() == room.package);
    let missing = plan::ROOMS.iter().filter(|room| !present(room));
    violations.extend(missing.map(|room| Violation::new(room.package, "is in the plan and not in the workspace")));
    violations
}

/// Why `room` may not have this import, or nothing.
fn refused(room: &plan::Room, import: &Dependency) -> Option<Violation> {
    let target = import.name.as_str();
    if target == plan::CLI {
        return Some(Violation::new(room.package, "imports the program; nothing does"));
    }
    // Tests look where they must: at the suite, or at a second library for its opinion.
    if import.kind == DependencyKind::Development {
        return None;
    }
    if let Some(below) = plan::room_of(target) {
        if room.may_import.contains(&target) {
            return None;
        }
        return Some(Violation::new(room.package, format!("imports {target} {}", direction(room.floor, below.floor))));
    }
    let (library, adapter) = plan::ADAPTED.iter().find(|(library, _)| *library == target)?;
    (room.floor != Floor::Beside && room.package != *adapter)
        .then(|| Violation::new(room.package, format!("imports {library}, which only {adapter} may")))
}

fn direction(from: Floor, to: Floor) -> String {
    match (from, to) {
        (Floor::Numbered(from), Floor::Numbered(to)) if to > from => format!("up, from floor {from} to floor {to}"),
        (Floor::Numbered(from), Floor::Numbered(to)) if to == from => format!("sideways, on floor {from}"),
        (Floor::Numbered(_), Floor::Beside) => "from beside the house".to_owned(),
        _ => "which the plan does not give it".to_owned(),
    }
}

fn folder_of(package: &Package, root: &Path) -> String {
    let folder = package.manifest_path.parent().map(|path| path.as_std_path()).unwrap_or(Path::new(""));
    folder.strip_prefix(root).unwrap_or(folder).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use cargo_metadata::Metadata;
    use serde_json::{Value, json};

    use super::*;

    fn package(name: &str, folder: &str, imports: &[(&str, Option<&str>)]) -> Value {
        let dependencies: Vec<Value> = imports
            .iter()
            .map(|(name, kind)| {
                json!({"name": name, "source": null, "req": "*", "kind": kind, "rename": null, "optional": false,
                       "uses_default_features": true, "features": [], "target": null, "registry": null})
            })
            .collect();
        json!({"name": name, "version": "0.1.0", "id": format!("path+file:///house/{folder}#{name}@0.1.0"),
               "license": null, "license_file": null, "description": null, "source": null,
               "dependencies": dependencies, "targets": [], "features": {},
               "manifest_path": format!("/house/{folder}/Cargo.toml"), "metadata": null, "publish": null,
               "authors": [], "categories": [], "keywords": [], "readme": null, "repository": null,
               "homepage": null, "documentation": null, "edition": "2024", "links": null, "default_run": null})
    }

    /// The whole plan with no import at all, then `changed` packages in place of those of the same name.
    fn house(changed: Vec<Value>) -> Workspace {
        let mut packages: Vec<Value> = plan::ROOMS.iter().map(|room| package(room.package, room.folder, &[])).collect();
        for package in changed {
            packages.retain(|other| other["name"] != package["name"]);
            packages.push(package);
        }
        let metadata: Metadata = serde_json::from_value(json!({
            "packages": packages, "workspace_members": [], "workspace_default_members": [], "resolve": null,
            "target_directory": "/house/target", "version": 1, "workspace_root": "/house", "metadata": null}))
        .unwrap();
        metadata.into()
    }

    fn messages(changed: Vec<Value>) -> Vec<String> {
        check(&house(changed)).iter().map(ToString::to_string).collect()
    }

    const RING_FOLDER: &str = "crates/studioml-envelope-ring";

    #[test]
    fn the_plan_itself_is_accepted() {
        assert_eq!(messages(vec![]), Vec::<String>::new());
        let backend = package(plan::RING, RING_FOLDER, &[(plan::CORE, None), ("ring", None), ("zeroize", None)]);
        assert_eq!(messages(vec![backend]), Vec::<String>::new());
    }

    #[test]
    fn a_backend_may_not_import_another() {
        let backend = package(plan::RING, RING_FOLDER, &[(plan::RUSTCRYPTO, None)]);
        let expected = "studioml-envelope-ring: imports studioml-envelope-rustcrypto sideways, on floor 1";
        assert_eq!(messages(vec![backend]), [expected]);
    }

    #[test]
    fn an_arrow_may_not_go_up() {
        let core = package(plan::CORE, "crates/studioml-envelope-core", &[(plan::FACADE, Some("build"))]);
        let expected = "studioml-envelope-core: imports studioml-envelope up, from floor 0 to floor 2";
        assert_eq!(messages(vec![core]), [expected]);
    }

    #[test]
    fn a_floor_may_not_import_the_suite_but_its_tests_may() {
        let facade = |kind| package(plan::FACADE, "crates/studioml-envelope", &[(plan::CONFORMANCE, kind)]);
        let refusal = "studioml-envelope: imports studioml-envelope-conformance from beside the house";
        assert_eq!(messages(vec![facade(None)]), [refusal]);
        assert_eq!(messages(vec![facade(Some("dev"))]), Vec::<String>::new());
    }

    #[test]
    fn nothing_imports_the_program_not_even_in_tests() {
        let gateway = package(plan::GATEWAY, "crates/studioml-envelope-gateway", &[(plan::CLI, Some("dev"))]);
        assert_eq!(messages(vec![gateway]), ["studioml-envelope-gateway: imports the program; nothing does"]);
    }

    #[test]
    fn a_crypto_library_stands_behind_its_adapter_only() {
        let keys = |kind| package(plan::KEYS, "crates/studioml-envelope-keys", &[("rsa", kind)]);
        let refusal = "studioml-envelope-keys: imports rsa, which only studioml-envelope-rustcrypto may";
        assert_eq!(messages(vec![keys(None)]), [refusal]);
        assert_eq!(messages(vec![keys(Some("dev"))]), Vec::<String>::new());
        let benches = package(plan::BENCHES, "benches", &[("rsa", None)]);
        assert_eq!(messages(vec![benches]), Vec::<String>::new());
    }

    #[test]
    fn folder_and_package_agree() {
        let moved = package(plan::RING, "crates/ring", &[]);
        let expected =
            "studioml-envelope-ring: stands in crates/ring, the plan puts it in crates/studioml-envelope-ring";
        assert_eq!(messages(vec![moved]), [expected]);
    }

    #[test]
    fn strangers_and_absentees_are_named() {
        let mut packages: Vec<Value> =
            plan::ROOMS.iter().skip(1).map(|room| package(room.package, room.folder, &[])).collect();
        packages.push(package("stranger", "crates/stranger", &[]));
        let metadata: Metadata = serde_json::from_value(json!({
            "packages": packages, "workspace_members": [], "workspace_default_members": [], "resolve": null,
            "target_directory": "/house/target", "version": 1, "workspace_root": "/house", "metadata": null}))
        .unwrap();
        let messages: Vec<String> = check(&metadata.into()).iter().map(ToString::to_string).collect();
        let stranger = "stranger: has no place in the plan of the house";
        assert_eq!(messages, [stranger, "studioml-envelope-core: is in the plan and not in the workspace"]);
    }
}
