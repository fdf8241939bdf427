//! The modules of `src/` use each other in one direction only.
//!
//! The order of the top-level modules is the list in `src/lib.rs`. Within a module no files
//! use each other in a circle. Tests and fuzzing are exempt.

mod circles; // files of one folder that use each other
mod modules; // what each module uses
mod tokens; // Rust source as words

use std::collections::BTreeMap;
use std::path::Path;

use circles::circles;
use modules::{Module, Segments, read_all};

/// Folders that may have a circle, and why.
const CIRCLES: &[(&str, &str)] = &[(
    "idl/resolve",
    "one resolver whose passes are `impl Resolver`, each in a file with the types of its fields",
)];

fn source() -> BTreeMap<Segments, Module> {
    read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

/// The top-level modules, bottom-up: the text block under "# Layers" in `src/lib.rs`.
fn floors() -> Vec<&'static str> {
    let lib = include_str!("../../../src/lib.rs");
    let (_, block) = lib.split_once("//! # Layers").expect("the heading");
    let (_, block) = block.split_once("```text").expect("the list");
    let (block, _) = block.split_once("```").expect("its end");
    let words = block.split_whitespace();
    words.filter(|word| *word != "//!").collect()
}

#[test]
fn every_module_is_in_the_list() {
    let floors = floors();
    let modules = source();
    for path in modules.keys().filter(|path| path.len() == 1) {
        assert!(
            floors.contains(&&*path[0]),
            "`{}` is missing in the list of src/lib.rs",
            path[0]
        );
    }
    for floor in floors {
        assert!(
            modules.contains_key(&vec![floor.to_owned()]),
            "there is no module `{floor}`"
        );
    }
}

#[test]
fn modules_are_hidden_from_the_documentation_of_the_library() {
    let lib = include_str!("../../../src/lib.rs");
    let mut before = "";
    for line in lib.lines() {
        if line.starts_with("pub mod ") {
            assert_eq!(before, "#[doc(hidden)]", "{line}");
        }
        before = line;
    }
}

#[test]
fn a_module_uses_only_modules_below_it() {
    let floors = floors();
    let floor = |module: &str| floors.iter().position(|floor| *floor == module);
    let mut upward = Vec::new();
    for (own, module) in source() {
        let Some(top) = own.first() else { continue };
        let imports = module
            .imports
            .iter()
            .map(|import| (&import.path, import.line));
        let paths = module.paths.iter().map(|(path, line)| (path, *line));
        for (path, line) in imports.chain(paths) {
            let supers = path.iter().take_while(|name| *name == "super").count();
            let used = match &*path[0] {
                "crate" => path.get(1),
                "super" if supers == own.len() => path.get(supers),
                _ => continue,
            };
            let goes_up = used.and_then(|used| floor(used)) > floor(top);
            if goes_up {
                upward.push(format!("{}:{line}: {}", module.file, path.join("::")));
            }
        }
    }
    let upward = upward.join("\n");
    assert!(
        upward.is_empty(),
        "these uses go up in the list of src/lib.rs:\n{upward}"
    );
}

#[test]
fn files_of_a_folder_do_not_use_each_other_in_a_circle() {
    let found = circles(&source());
    let is_known = |folder: &str| CIRCLES.iter().any(|(known, _)| *known == folder);
    let unknown = found.iter().filter(|circle| !is_known(&circle.folder));
    let unknown: Vec<String> = unknown
        .map(|circle| format!("in {}:\n  {}", circle.folder, circle.uses.join("\n  ")))
        .collect();
    assert!(unknown.is_empty(), "circles {}", unknown.join("\n"));
    for (folder, _) in CIRCLES {
        let is_found = found.iter().any(|circle| circle.folder == *folder);
        assert!(
            is_found,
            "{folder} has no circle any more: take it off the list"
        );
    }
}
