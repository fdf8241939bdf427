//! Resolves types through typedefs and includes.
//!
//! A typedef is resolved when it is first needed, so it may come after its use. A resolved type is a tree: a chain of
//! typedefs that each use the previous one twice doubles it with every line, so its size is bounded.

use std::sync::Arc;

use super::super::read::STANDARD;
use super::super::schema::{StructKind, Type};
use super::super::syntax::{DefinitionBody, NESTING_MAX, Span, TypeRef, TypeRefKind};
use super::scope::{DefinitionId, Space};
use super::{Progress, Resolver, definitions};

/// The fields of the standard include's `Value`, by id from 1. The wire knows their types.
const ANY_FIELDS: [&str; 8] = [
    "null_value",
    "bool_value",
    "i64_value",
    "double_value",
    "string_value",
    "binary_value",
    "list_value",
    "map_value",
];

/// How many types one type may consist of.
const PARTS_MAX: usize = 1024;

/// How large a resolved type is.
#[derive(Clone, Copy)]
pub(super) struct TypeSize {
    parts: usize,
    depth: usize,
}

impl TypeSize {
    const ONE: TypeSize = TypeSize { parts: 1, depth: 1 };

    /// The size of a container of types of these sizes.
    fn around(self, other: Option<TypeSize>) -> TypeSize {
        let other = other.unwrap_or(TypeSize { parts: 0, depth: 0 });
        TypeSize {
            parts: self.parts + other.parts + 1,
            depth: self.depth.max(other.depth) + 1,
        }
    }
}

impl Resolver<'_> {
    /// Resolves every typedef, used or not, starting with included files, on which others depend.
    pub(super) fn typedefs(&mut self) {
        let all: Vec<DefinitionId> = definitions(self.files)
            .filter(|(_, definition)| matches!(definition.body, DefinitionBody::Typedef(_)))
            .map(|(at, _)| at)
            .collect();
        for file in (0..self.files.len()).rev() {
            for &at in all.iter().filter(|at| at.file == file) {
                let span = self.scope.definition(at).name.span;
                self.typedef(at, (file, span), 0);
            }
        }
    }

    /// The type that `ty` refers to in `file`; `None` if it is invalid, which is reported.
    pub(super) fn type_of(&mut self, file: usize, ty: &TypeRef) -> Option<Type> {
        self.sized(file, ty, 0).map(|(ty, _)| ty)
    }

    fn sized(&mut self, file: usize, ty: &TypeRef, depth: usize) -> Option<(Type, TypeSize)> {
        if depth > NESTING_MAX {
            return self.too_large(file, ty.span);
        }
        let (made, size) = match &ty.kind {
            TypeRefKind::Void => {
                self.problems.invalid(&self.files[file], ty.span, || {
                    let help = "only a method's result may be void; give a type, or remove it";
                    ("`void` is not a type".into(), help.into())
                });
                return None;
            }
            TypeRefKind::Named(name) => return self.named_type(file, name, ty.span, depth),
            TypeRefKind::List(of) => {
                let (of, size) = self.sized(file, of, depth + 1)?;
                (Type::List(Box::new(of)), size.around(None))
            }
            TypeRefKind::Set(of) => {
                let (of, size) = self.sized(file, of, depth + 1)?;
                (Type::Set(Box::new(of)), size.around(None))
            }
            TypeRefKind::Map(key, value) => {
                // Resolve both, so that problems of both are reported.
                let key = self.sized(file, key, depth + 1);
                let (value, value_size) = self.sized(file, value, depth + 1)?;
                let (key, key_size) = key?;
                let size = key_size.around(Some(value_size));
                (Type::Map(Box::new(key), Box::new(value)), size)
            }
        };
        if size.parts > PARTS_MAX || size.depth > NESTING_MAX {
            return self.too_large(file, ty.span);
        }
        Some((made, size))
    }

    fn named_type(
        &mut self,
        file: usize,
        name: &str,
        span: Span,
        depth: usize,
    ) -> Option<(Type, TypeSize)> {
        // Not every version of Thrift has `uuid` and `slist`: a declared type of that name takes precedence.
        let Some(at) = self.scope.find(Space::Types, file, name) else {
            return match base(name) {
                Some(ty) => Some((ty, TypeSize::ONE)),
                None => self.unknown_type(file, name, span),
            };
        };
        match &self.scope.definition(at).body {
            DefinitionBody::Typedef(_) => self.typedef(at, (file, span), depth + 1),
            DefinitionBody::Enum(_) => {
                Some((Type::Enum(Arc::clone(self.enums.get(&at)?)), TypeSize::ONE))
            }
            DefinitionBody::Struct(..) if self.is_any(at) => Some((Type::Any, TypeSize::ONE)),
            DefinitionBody::Struct(..) => {
                Some((Type::Struct(*self.struct_ids.get(&at)?), TypeSize::ONE))
            }
            DefinitionBody::Service(..) | DefinitionBody::Const(..) => {
                self.problems.invalid(&self.files[file], span, || {
                    let message = format!("`{name}` is a service, not a type");
                    (
                        message,
                        "name a struct, an enum, a typedef or a base type".into(),
                    )
                });
                None
            }
        }
    }

    /// Whether it is the standard include's `Value`. In an operator's copy of the include, a different `Value` is an
    /// ordinary union.
    fn is_any(&self, at: DefinitionId) -> bool {
        let definition = self.scope.definition(at);
        let DefinitionBody::Struct(StructKind::Union, fields) = &definition.body else {
            return false;
        };
        let pairs = fields.iter().zip(1..).zip(ANY_FIELDS);
        let mut same = pairs.map(|((field, id), name)| {
            *field.name.text == *name && field.id.is_some_and(|(have, _)| have == id)
        });
        self.files[at.file].name == STANDARD.0
            && *definition.name.text == *"Value"
            && fields.len() == ANY_FIELDS.len()
            && same.all(|same| same)
    }

    /// The type of the typedef at `at`, which is needed at `from`.
    fn typedef(
        &mut self,
        at: DefinitionId,
        from: (usize, Span),
        depth: usize,
    ) -> Option<(Type, TypeSize)> {
        match self.typedefs.get(&at) {
            Some(Progress::Done(done)) => return done.clone(),
            Some(Progress::Started) => {
                let name = &self.scope.definition(at).name.text;
                self.problems.invalid(&self.files[from.0], from.1, || {
                    let message = format!("the typedef `{name}` refers to itself");
                    (
                        message,
                        "break the cycle with a base type or a struct".into(),
                    )
                });
                return None;
            }
            None => {}
        }
        let DefinitionBody::Typedef(ty) = &self.scope.definition(at).body else {
            return None;
        };
        self.typedefs.insert(at, Progress::Started);
        let done = self.sized(at.file, ty, depth);
        self.typedefs.insert(at, Progress::Done(done.clone()));
        done
    }

    fn unknown_type<T>(&mut self, file: usize, name: &str, span: Span) -> Option<T> {
        let scope = &self.scope;
        self.problems.invalid(&self.files[file], span, || {
            let is_type = |body: &DefinitionBody| !matches!(body, DefinitionBody::Service(..));
            let help = if let Some((_, word)) = OTHER_WORDS.iter().find(|(word, _)| *word == name) {
                format!("did you mean `{word}`?")
            } else {
                let bases = BASES.map(|(word, _)| word);
                scope.remedy((Space::Types, file), name, &bases, is_type)
            };
            (format!("unknown type `{name}`"), help)
        });
        None
    }

    fn too_large<T>(&mut self, file: usize, span: Span) -> Option<T> {
        self.problems.invalid(&self.files[file], span, || {
            let message = format!(
                "the type is too large: more than {PARTS_MAX} parts, or nested deeper than {NESTING_MAX} levels"
            );
            (message, "declare a struct for the inner part".into())
        });
        None
    }
}

/// The base types by name.
const BASES: [(&str, Type); 11] = [
    ("bool", Type::Bool),
    ("byte", Type::I8),
    ("i8", Type::I8),
    ("i16", Type::I16),
    ("i32", Type::I32),
    ("i64", Type::I64),
    ("double", Type::Double),
    ("string", Type::String),
    ("binary", Type::Binary),
    ("uuid", Type::Uuid),
    ("slist", Type::String),
];

/// Names of the base types in other languages.
const OTHER_WORDS: [(&str, &str); 9] = [
    ("boolean", "bool"),
    ("char", "i8"),
    ("short", "i16"),
    ("int", "i32"),
    ("integer", "i32"),
    ("long", "i64"),
    ("float", "double"),
    ("str", "string"),
    ("bytes", "binary"),
];

fn base(name: &str) -> Option<Type> {
    let found = BASES.iter().find(|(word, _)| *word == name);
    found.map(|(_, ty)| ty.clone())
}
