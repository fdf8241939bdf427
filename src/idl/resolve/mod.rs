//! Resolves names and checks that an IDL is valid.
//!
//! In: the parsed files. Out: the [`Schema`], or all problems. The order of the steps matters: names, enums and
//! typedefs, fields, methods, constants (which need the fields), and finally structs that can never be built. Sizes
//! are bounded as well as depths, because ten lines of typedefs or constants can describe a value larger than memory.

mod scope; // which names a file can see
mod enums; // numbers of values
mod types; // typedefs and containers
mod fields; // of structs, parameters and throws
mod service; // methods, own and inherited
mod constant; // constants and default values
mod record; // struct constants
mod named; // names that stand for values
mod fit; // whether a constant fits a type
mod expected; // how a value of a type is written
mod standard; // what tributary.thrift declares
mod finite; // structs that can never be built

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::file::ParsedFile;
use super::problems::IdlProblems;
use super::schema::{EnumType, Schema, SourceFile, StructId, StructType, Type};
use super::syntax::{Definition, DefinitionBody, FieldSyntax, Name};
use crate::diagnostic::Problem;
use crate::value::{FieldNames, Value};
use scope::{DefinitionId, Scope};

/// Resolves `files`, the operator's own first. A copy of the standard include among them is compared with `known`.
pub(crate) fn resolve(
    files: &[ParsedFile],
    mut problems: IdlProblems,
    known: Option<&Schema>,
) -> Result<Schema, Vec<Problem>> {
    let scope = Scope::new(files, &mut problems);
    let mut resolver = Resolver::new(files, scope, problems);
    resolver.enums();
    resolver.typedefs();
    resolver.structs();
    resolver.services();
    resolver.constants();
    resolver.finite();
    if let Some(known) = known {
        resolver.compare_standard(known);
    }
    resolver.finish()
}

/// A definition that is evaluated when it is first needed.
enum Progress<T> {
    /// Being evaluated: reaching it again means a cycle.
    Started,
    /// Evaluated; `None` if it is invalid, which has been reported.
    Done(Option<T>),
}

/// Where the fields of a struct come from, by [`StructId`].
struct Origin<'f> {
    /// The struct's file.
    file: usize,
    /// In the order of [`StructType::fields`].
    fields: Vec<&'f FieldSyntax>,
    /// Whether no field was omitted as invalid.
    whole: bool,
    /// The position of each field, by name.
    positions: HashMap<Arc<str>, usize>,
}

struct Resolver<'f> {
    files: &'f [ParsedFile],
    scope: Scope<'f>,
    problems: IdlProblems,
    schema: Schema,
    enums: HashMap<DefinitionId, Arc<EnumType>>,
    /// The numbers of each enum, found by the enum's address.
    numbers: HashMap<*const EnumType, enums::EnumNumbers>,
    typedefs: HashMap<DefinitionId, Progress<(Type, types::TypeSize)>>,
    struct_ids: HashMap<DefinitionId, StructId>,
    origins: Vec<Origin<'f>>,
    constants: HashMap<DefinitionId, Progress<(Type, Value)>>,
    /// Default values, evaluated or being evaluated.
    defaults: HashMap<(StructId, usize), Progress<Value>>,
    /// How many more values constants may have.
    values_left: usize,
}

impl<'f> Resolver<'f> {
    fn new(files: &'f [ParsedFile], scope: Scope<'f>, problems: IdlProblems) -> Self {
        let mut struct_ids = HashMap::new();
        for (at, definition) in definitions(files) {
            if matches!(definition.body, DefinitionBody::Struct(..)) {
                struct_ids.insert(at, struct_id(struct_ids.len()));
            }
        }
        Resolver {
            files,
            scope,
            problems,
            schema: Schema::default(),
            enums: HashMap::new(),
            numbers: HashMap::new(),
            typedefs: HashMap::new(),
            struct_ids,
            origins: Vec::new(),
            constants: HashMap::new(),
            defaults: HashMap::new(),
            values_left: constant::VALUES_MAX,
        }
    }

    fn structs(&mut self) {
        for (at, definition) in definitions(self.files) {
            if let DefinitionBody::Struct(kind, fields) = &definition.body {
                let name = self.full_name(at, &definition.name);
                let fields = self.fields(at.file, fields, Some(*kind));
                self.push_struct(at.file, fields, |fields, names| StructType {
                    name,
                    kind: *kind,
                    fields,
                    names,
                    doc: definition.doc.clone(),
                });
            }
        }
    }

    /// Adds a struct; `build` receives its fields and their names.
    fn push_struct(
        &mut self,
        file: usize,
        resolved: fields::ResolvedFields<'f>,
        build: impl FnOnce(Vec<super::schema::Field>, FieldNames) -> StructType,
    ) -> StructId {
        let id = struct_id(self.schema.structs.len());
        let names: Vec<Arc<str>> = resolved
            .fields
            .iter()
            .map(|field| Arc::clone(&field.name))
            .collect();
        self.origins.push(Origin {
            file,
            fields: resolved.origins,
            whole: resolved.whole,
            positions: names.iter().cloned().zip(0..).collect(),
        });
        let built = build(resolved.fields, FieldNames::new(names));
        self.schema.structs.push(built);
        id
    }

    /// `file.Name`
    fn full_name(&self, at: DefinitionId, name: &Name) -> Arc<str> {
        format!("{}.{}", self.files[at.file].stem, name.text).into()
    }

    fn finish(mut self) -> Result<Schema, Vec<Problem>> {
        if !self.problems.is_empty() {
            return Err(self.problems.into_problems());
        }
        self.schema.standard = self.standard();
        self.schema.warnings = self.problems.into_warnings();
        self.schema.sources = self
            .files
            .iter()
            .map(|file| SourceFile {
                name: file.name.clone(),
                paths: file.paths.clone(),
                text: file.source.text.to_string(),
            })
            .collect();
        Ok(self.schema)
    }
}

/// Every definition of every file.
fn definitions(files: &[ParsedFile]) -> impl Iterator<Item = (DefinitionId, &Definition)> {
    files.iter().enumerate().flat_map(|(file, parsed)| {
        let definitions = parsed.document.definitions.iter().enumerate();
        definitions.map(move |(index, definition)| (DefinitionId { file, index }, definition))
    })
}

fn struct_id(index: usize) -> StructId {
    StructId(u32::try_from(index).expect("files of 16 MiB hold fewer structs than 2^32"))
}

/// The names that occur in `names` before.
fn repeated<'n>(names: impl IntoIterator<Item = &'n Name>) -> Vec<&'n Name> {
    let mut seen = HashSet::new();
    names
        .into_iter()
        .filter(|name| !seen.insert(&name.text))
        .collect()
}
