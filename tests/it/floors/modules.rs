//! Reads the modules of `src/` and what each of them uses.

use std::collections::BTreeMap;
use std::path::Path;

use super::tokens::{Token, tokens};

/// A path to a module or an item, from the root of the crate or as it is written.
pub(super) type Segments = Vec<String>;

/// A file.
pub(super) struct Module {
    /// `src/view/run.rs`
    pub(super) file: String,
    /// What it imports: the names that `use` brings in.
    pub(super) imports: Vec<Import>,
    /// The paths in its code.
    pub(super) paths: Vec<(Segments, usize)>,
}

/// One name of a `use`.
#[derive(Debug, PartialEq)]
pub(super) struct Import {
    /// As written, `self` and `super` included.
    pub(super) path: Segments,
    /// The name that it has here; `*` for all names.
    pub(super) name: String,
    /// Whether others can import it from here.
    pub(super) is_public: bool,
    pub(super) line: usize,
}

/// Everything in `src/` except tests, by module path: `view`, `run`.
pub(super) fn read_all(src: &Path) -> BTreeMap<Segments, Module> {
    let mut found = BTreeMap::new();
    read_module(src, &src.join("lib.rs"), &[], &mut found);
    found
}

/// The module of `file`, and those that it declares.
fn read_module(
    folder: &Path,
    file: &Path,
    path: &[String],
    found: &mut BTreeMap<Segments, Module>,
) {
    let text = std::fs::read_to_string(file).expect("a module's file");
    let (tokens, for_tests) = tokens(&text);
    for pair in tokens.windows(3) {
        let [keyword, name, end] = pair else { continue };
        if keyword.text != "mod" || end.text != ";" || for_tests.contains(&name.text) {
            continue;
        }
        let inner = [path, std::slice::from_ref(&name.text)].concat();
        let (own, alone) = (folder.join(&name.text), format!("{}.rs", name.text));
        let file = own.join("mod.rs");
        let file = Some(file).filter(|file| file.exists());
        read_module(
            &own,
            &file.unwrap_or_else(|| folder.join(alone)),
            &inner,
            found,
        );
    }
    let root = folder.ancestors().nth(path.len() + 1);
    let file = root.and_then(|root| file.strip_prefix(root).ok());
    let module = Module {
        file: file.unwrap_or(Path::new("?")).display().to_string(),
        imports: imports(&tokens),
        paths: inline(&tokens),
    };
    found.insert(path.to_vec(), module);
}

fn imports(tokens: &[Token]) -> Vec<Import> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        // `impl Trait + use<'a>` imports nothing.
        let imports = token.text == "use" && tokens.get(at + 1).is_some_and(|t| t.text != "<");
        if imports {
            let is_public = at > 0 && ["pub", ")"].contains(&&*tokens[at - 1].text);
            tree(tokens, at + 1, &[], is_public, &mut found);
        }
    }
    found
}

/// Reads the tree of a `use` at `at`, below `base`; returns where it ends.
fn tree(
    tokens: &[Token],
    mut at: usize,
    base: &[String],
    is_public: bool,
    found: &mut Vec<Import>,
) -> usize {
    let mut path = base.to_vec();
    loop {
        let token = &tokens[at];
        match &*token.text {
            "::" => at += 1,
            "{" => {
                while tokens[at].text != "}" {
                    at += 1;
                    if tokens[at].text != "}" {
                        at = tree(tokens, at, &path, is_public, found);
                    }
                }
                return at + 1;
            }
            "," | "}" | ";" | "as" => break,
            word => {
                path.push(word.to_owned());
                at += 1;
            }
        }
    }
    let line = tokens[at].line;
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let mut name = path.last().cloned().unwrap_or_default();
    if tokens[at].text == "as" {
        name.clone_from(&tokens[at + 1].text);
        at += 2;
    }
    found.push(Import {
        path,
        name,
        is_public,
        line,
    });
    at
}

/// The paths of at least two names outside of `use`.
fn inline(tokens: &[Token]) -> Vec<(Segments, usize)> {
    let text = |at: usize| tokens.get(at).map_or("", |token| &*token.text);
    let is_word = |at: usize| text(at).starts_with(|c: char| c.is_alphabetic() || c == '_');
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if text(at) == "use" && text(at + 1) != "<" {
            while at < tokens.len() && text(at) != ";" {
                at += 1;
            }
        }
        let starts = is_word(at) && text(at + 1) == "::" && (at == 0 || text(at - 1) != "::");
        // `pub(in crate::backend)` says who may use an item.
        let is_visibility = at > 1 && (text(at - 2), text(at - 1)) == ("(", "in");
        if starts && !is_visibility {
            let mut path = vec![text(at).to_owned()];
            let line = tokens[at].line;
            while text(at + 1) == "::" && is_word(at + 2) {
                path.push(text(at + 2).to_owned());
                at += 2;
            }
            found.push((path, line));
        }
        at += 1;
    }
    found
}

#[test]
fn a_use_is_read_name_by_name() {
    let (tokens, _) = tokens(
        "pub use a::{self, b::{C as D, e}, f::*}; use super::g; fn h() -> impl I + use<'_> {}",
    );
    let found: Vec<(String, String, bool)> = imports(&tokens)
        .into_iter()
        .map(|import| (import.path.join("::"), import.name, import.is_public))
        .collect();
    let expected = [
        ("a", "a", true),
        ("a::b::C", "D", true),
        ("a::b::e", "e", true),
        ("a::f::*", "*", true),
        ("super::g", "g", false),
    ];
    let expected = expected.map(|(path, name, public)| (path.to_owned(), name.to_owned(), public));
    assert_eq!(found, expected);
}

#[test]
fn paths_in_code_are_found() {
    let (tokens, _) = tokens("use x::y; pub(in crate::z) fn a() { crate::b::c(d::e::<F>::g()) }");
    let found = inline(&tokens).into_iter();
    let found: Vec<String> = found.map(|(path, _)| path.join("::")).collect();
    assert_eq!(found, ["crate::b::c", "d::e"]);
}
