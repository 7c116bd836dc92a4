//! What the sources must say: names, `forbid(unsafe_code)`, and where `unsafe` stands.
//!
//! Sources are read as token trees, so that a comment or a string never counts.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use cargo_metadata::{Target, TargetKind};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use walkdir::{DirEntry, WalkDir};

use super::{Violation, plan};
use crate::workspace::Workspace;

/// What the sources hold.
pub struct Sources {
    pub violations: Vec<Violation>,
    /// `unsafe` of the one crate that may have it.
    pub kernels: Unsafe,
    /// `unsafe` of tests, benches and fuzz targets, a counting allocator for example.
    pub elsewhere: Unsafe,
}

/// How often `unsafe` stands in a set of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsafe {
    pub blocks: usize,
    /// Functions, traits, implementations and attributes.
    pub items: usize,
    pub files: usize,
}

impl Unsafe {
    fn add_file(&mut self, file: Self) {
        self.blocks += file.blocks;
        self.items += file.items;
        self.files += usize::from(file.blocks + file.items > 0);
    }
}

impl fmt::Display for Unsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} blocks and {} items in {} files", self.blocks, self.items, self.files)
    }
}

pub fn check(workspace: &Workspace) -> Result<Sources> {
    let root = workspace.root();
    let mut violations = roots_without_forbid(workspace)?;
    let (mut kernels, mut elsewhere) = (Unsafe::default(), Unsafe::default());
    let kernel_folder = plan::room_of(plan::UNSAFE_ROOM).map(|room| root.join(room.folder).join("src"));

    for entry in tree(root) {
        let entry = entry.context("reading the tree")?;
        let place = relative(entry.path(), root);
        if has_empty_name(&entry) {
            violations.push(Violation::new(&place, "has a name that says nothing of what lives there"));
        }
        if !is_rust(entry.path()) {
            continue;
        }
        let stream = tokens(entry.path())?;
        let unnamed = modules(stream.clone()).into_iter().filter(|name| plan::EMPTY_NAMES.contains(&name.as_str()));
        violations.extend(unnamed.map(|name| Violation::new(&place, format!("declares `mod {name}`"))));
        let in_kernels = kernel_folder.as_ref().is_some_and(|folder| entry.path().starts_with(folder));
        let count = if in_kernels { &mut kernels } else { &mut elsewhere };
        count.add_file(unsafe_in(stream));
    }
    violations.extend(uncounted(stated_blocks(workspace), kernels.blocks));
    Ok(Sources { violations, kernels, elsewhere })
}

/// The number of `unsafe` blocks that the kernels' manifest states: a new one shows in review as a changed number.
fn stated_blocks(workspace: &Workspace) -> u64 {
    let kernels = workspace.members().find(|package| package.name.as_str() == plan::UNSAFE_ROOM);
    let stated = kernels.and_then(|package| package.metadata.get("layers")?.get("unsafe-blocks")?.as_u64());
    stated.unwrap_or_default()
}

fn uncounted(stated: u64, found: usize) -> Option<Violation> {
    (u64::try_from(found) != Ok(stated)).then(|| {
        let what = format!("holds {found} unsafe blocks and [package.metadata.layers] unsafe-blocks says {stated}");
        Violation::new(plan::UNSAFE_ROOM, what)
    })
}

/// Crate roots that could compile `unsafe` and must not. Tests and benches may need it, for an allocator that counts.
fn roots_without_forbid(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for package in workspace.members().filter(|package| package.name.as_str() != plan::UNSAFE_ROOM) {
        for target in package.targets.iter().filter(|target| !is_test_code(target)) {
            let path = target.src_path.as_std_path();
            if !forbids_unsafe(tokens(path)?) {
                violations.push(Violation::new(relative(path, workspace.root()), "has no #![forbid(unsafe_code)]"));
            }
        }
    }
    Ok(violations)
}

fn is_test_code(target: &Target) -> bool {
    target.kind.iter().any(|kind| matches!(kind, TargetKind::Test | TargetKind::Bench))
}

/// The files and folders of the project: neither what tools build nor what fuzzing leaves.
fn tree(root: &Path) -> impl Iterator<Item = walkdir::Result<DirEntry>> {
    let made = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        let folder = entry.file_type().is_dir() && entry.depth() > 0;
        folder
            && (name.starts_with('.') || ["target", "corpus", "artifacts", "coverage", "mutants.out"].contains(&&*name))
    };
    WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(move |entry| !made(entry))
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

fn has_empty_name(entry: &DirEntry) -> bool {
    let named = entry.file_type().is_dir() || is_rust(entry.path());
    let stem = entry.path().file_stem().map(|stem| stem.to_string_lossy().to_lowercase());
    named && stem.is_some_and(|stem| plan::EMPTY_NAMES.contains(&stem.as_str()))
}

fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

fn tokens(path: &Path) -> Result<TokenStream> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    // A shebang line is no Rust token.
    let text = if text.starts_with("#!/") { text.split_once('\n').map_or("", |(_, rest)| rest) } else { &text };
    text.parse().map_err(|error| anyhow!("{}: {error}", path.display()))
}

/// Looks for `#![forbid(… unsafe_code …)]` among the attributes of the crate root.
fn forbids_unsafe(stream: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    tokens.windows(3).any(|window| match window {
        [TokenTree::Punct(hash), TokenTree::Punct(bang), TokenTree::Group(attribute)] => {
            hash.as_char() == '#' && bang.as_char() == '!' && is_forbid(attribute.stream())
        }
        _ => false,
    })
}

fn is_forbid(attribute: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = attribute.into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(forbid), TokenTree::Group(lints)] if forbid == "forbid" => {
            lints.stream().into_iter().any(|lint| matches!(lint, TokenTree::Ident(lint) if lint == "unsafe_code"))
        }
        _ => false,
    }
}

/// The names of all modules a file declares, inline ones and files alike.
fn modules(stream: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut names = Vec::new();
    for (position, token) in tokens.iter().enumerate() {
        match (token, tokens.get(position + 1)) {
            (TokenTree::Ident(word), Some(TokenTree::Ident(name))) if word == "mod" => names.push(name.to_string()),
            (TokenTree::Group(group), _) => names.extend(modules(group.stream())),
            _ => {}
        }
    }
    names
}

fn unsafe_in(stream: TokenStream) -> Unsafe {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut count = Unsafe::default();
    for (position, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(word) if word == "unsafe" => match tokens.get(position + 1) {
                Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => count.blocks += 1,
                _ => count.items += 1,
            },
            TokenTree::Group(group) => {
                let inner = unsafe_in(group.stream());
                count.blocks += inner.blocks;
                count.items += inner.items;
            }
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> TokenStream {
        text.parse().unwrap()
    }

    #[test]
    fn only_a_real_attribute_forbids() {
        assert!(forbids_unsafe(parsed("//! Doc.\n#![forbid(unsafe_code)]\nfn main() {}")));
        assert!(forbids_unsafe(parsed("#![deny(missing_docs)] #![forbid(missing_docs, unsafe_code)]")));
        assert!(!forbids_unsafe(parsed("//! #![forbid(unsafe_code)]\nfn main() {}")));
        assert!(!forbids_unsafe(parsed("const TEXT: &str = \"#![forbid(unsafe_code)]\";")));
        assert!(!forbids_unsafe(parsed("#![deny(unsafe_code)]")));
        assert!(!forbids_unsafe(parsed("mod inner { #![forbid(unsafe_code)] }")));
    }

    #[test]
    fn modules_are_found_at_any_depth() {
        let file = parsed("mod a; pub(crate) mod b { mod helpers { fn f() { let _ = \"mod misc\"; } } } // mod utils");
        assert_eq!(modules(file), ["a", "b", "helpers"]);
    }

    #[test]
    fn unsafe_is_counted_outside_comments_and_strings() {
        let file = parsed(
            "unsafe fn f() { unsafe { g() } } // unsafe { }\n\
             unsafe impl Send for T {}\n\
             fn h() { let _ = \"unsafe { }\"; if x { unsafe { g() } } }",
        );
        assert_eq!(unsafe_in(file), Unsafe { blocks: 2, items: 2, files: 0 });
    }

    #[test]
    fn a_new_unsafe_block_wants_its_number() {
        assert_eq!(uncounted(3, 3), None);
        let violation = uncounted(3, 4).unwrap().to_string();
        assert_eq!(
            violation,
            "studioml-envelope-simd: holds 4 unsafe blocks and [package.metadata.layers] unsafe-blocks says 3"
        );
    }

    #[test]
    fn names_that_say_nothing_are_found_in_folders_and_files() {
        let root = tempfile::tempdir().unwrap();
        for path in ["src/codec.rs", "tests/common/mod.rs", "src/Misc.rs", "vectors/misc.json", "target/utils/x.rs"] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found: Vec<String> = tree(root.path())
            .map(|entry| entry.unwrap())
            .filter(has_empty_name)
            .map(|entry| relative(entry.path(), root.path()))
            .collect();
        assert_eq!(found, ["src/Misc.rs", "tests/common"]);
    }
}
