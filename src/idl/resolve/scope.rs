//! The names that a file can use: its own, and those of its includes after the include's name and a dot.
//!
//! Types and services share one name space and constants have their own, as in Apache's compiler. Includes of
//! includes are not visible.

use std::collections::HashMap;

use super::super::file::ParsedFile;
use super::super::problems::IdlProblems;
use super::super::syntax::{Definition, DefinitionBody, Name};
use crate::diagnostic::did_you_mean;

/// How many names are searched for the nearest one.
const CANDIDATES_MAX: usize = 2000;

/// A definition: the index of its file, and its index there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DefinitionId {
    pub(super) file: usize,
    pub(super) index: usize,
}

/// The two name spaces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Types,
    Constants,
}

/// The names of all files.
pub(super) struct Scope<'f> {
    files: &'f [ParsedFile],
    types: Vec<HashMap<&'f str, usize>>,
    constants: Vec<HashMap<&'f str, usize>>,
}

impl<'f> Scope<'f> {
    /// Collects the names of `files` and reports duplicates.
    pub(super) fn new(files: &'f [ParsedFile], problems: &mut IdlProblems) -> Self {
        let mut scope = Scope {
            files,
            types: Vec::new(),
            constants: Vec::new(),
        };
        for file in files {
            let (mut types, mut constants) = (HashMap::new(), HashMap::new());
            for (index, definition) in file.document.definitions.iter().enumerate() {
                let space = match definition.body {
                    DefinitionBody::Const(..) => &mut constants,
                    _ => &mut types,
                };
                let name = &definition.name;
                if let Some(&first) = space.get(&*name.text) {
                    report_duplicate(file, first, name, problems);
                } else {
                    space.insert(&*name.text, index);
                }
            }
            scope.types.push(types);
            scope.constants.push(constants);
        }
        scope
    }

    /// The definition itself.
    pub(super) fn definition(&self, at: DefinitionId) -> &'f Definition {
        &self.files[at.file].document.definitions[at.index]
    }

    /// The definition that `name` refers to in `file`.
    pub(super) fn find(&self, space: Space, file: usize, name: &str) -> Option<DefinitionId> {
        self.own(space, file, name).or_else(|| {
            let mut includes = self.files[file].includes.iter();
            includes.find_map(|(stem, _, target)| {
                let rest = name.strip_prefix(&**stem)?.strip_prefix('.')?;
                self.own(space, *target, rest)
            })
        })
    }

    /// The type called `name` declared in `file` itself.
    pub(super) fn own_type(&self, file: usize, name: &str) -> Option<DefinitionId> {
        self.own(Space::Types, file, name)
    }

    fn own(&self, space: Space, file: usize, name: &str) -> Option<DefinitionId> {
        let names = match space {
            Space::Types => &self.types[file],
            Space::Constants => &self.constants[file],
        };
        names.get(name).map(|&index| DefinitionId { file, index })
    }

    /// The remedy for `name`, which is unknown in `file`. `wanted` selects the definitions to suggest; `more` are other
    /// words to suggest.
    pub(super) fn remedy(
        &self,
        (space, file): (Space, usize),
        name: &str,
        more: &[&str],
        wanted: impl Fn(&DefinitionBody) -> bool,
    ) -> String {
        let candidates = self.visible(space, file, &wanted);
        // Perhaps only the prefix is missing.
        let behind = |full: &&String| full.rsplit_once('.').is_some_and(|(_, bare)| bare == name);
        if let Some(full) = candidates.iter().find(behind) {
            return format!("write `{full}`");
        }
        let known = candidates.iter().map(String::as_str);
        if let Some(help) = did_you_mean(name, known.chain(more.iter().copied())) {
            return help;
        }
        let Some((prefix, bare)) = name.split_once('.') else {
            return format!("declare `{name}`, or include the file that does");
        };
        let stems = self.files[file].includes.iter().map(|(stem, ..)| &**stem);
        if stems.clone().any(|stem| stem == prefix) {
            return format!("`{prefix}.thrift` declares no `{bare}`");
        }
        match did_you_mean(prefix, stems) {
            Some(help) => format!("no include is called `{prefix}`; {help}"),
            None => format!("add `include \"{prefix}.thrift\"` at the top of the file"),
        }
    }

    /// The names that `file` can use, as written there.
    fn visible(
        &self,
        space: Space,
        file: usize,
        wanted: &impl Fn(&DefinitionBody) -> bool,
    ) -> Vec<String> {
        let own = std::iter::once((None, file));
        let included = self.files[file]
            .includes
            .iter()
            .map(|(stem, _, target)| (Some(stem), *target));
        own.chain(included)
            .flat_map(|(stem, file)| {
                let definitions = self.files[file].document.definitions.iter();
                definitions.map(move |definition| (stem, definition))
            })
            .filter(|(_, definition)| {
                let constant = matches!(definition.body, DefinitionBody::Const(..));
                constant == (space == Space::Constants) && wanted(&definition.body)
            })
            .take(CANDIDATES_MAX)
            .map(|(stem, definition)| match stem {
                Some(stem) => format!("{stem}.{}", definition.name.text),
                None => definition.name.text.to_string(),
            })
            .collect()
    }
}

fn report_duplicate(file: &ParsedFile, first: usize, name: &Name, problems: &mut IdlProblems) {
    problems.invalid(file, name.span, || {
        let line = file.line(file.document.definitions[first].name.span);
        (
            format!("`{}` is declared twice", name.text),
            format!("the first is on line {line}; rename or remove one"),
        )
    });
}
