//! What README.md tells a newcomer to type on the command line, typed as it stands there.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;

use support::Place;

const README: &str = include_str!("../../../README.md");

/// The first block of commands under a heading.
fn commands_under(heading: &str) -> &'static str {
    let (_, section) = README.split_once(heading).unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    block.split_once("```").unwrap().0
}

#[test]
fn the_first_steps_on_the_command_line_work_as_written() {
    let place = Place::new();
    let clone = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let program = Path::new(env!("CARGO_BIN_EXE_studioml-envelope")).parent().unwrap();
    std::os::unix::fs::symlink(clone.join("crates"), place.file("crates")).unwrap();
    let commands = commands_under("## On the command line");
    place.shell(&format!("set -e; PATH='{}':$PATH\n{commands}", program.display())).exits(0);
    let request = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/request.json");
    assert_eq!(place.read("opened.json"), std::fs::read(request).unwrap());
}
