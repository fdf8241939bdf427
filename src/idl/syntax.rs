//! The syntax tree of a `.thrift` file: names are not resolved, constants are not evaluated.
//!
//! The parser builds it and the resolver reads it. Namespaces and annotations are not kept, because nothing needs them.

use std::ops::Range;
use std::sync::Arc;

use super::schema::{Requiredness, StructKind};

/// How deep types, constants and includes may be nested.
pub(crate) const NESTING_MAX: usize = 64;

/// A range of bytes in one file. Files have at most 16 MiB, so 32 bits are enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes from `start` up to, but not including, `end`.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span {
            start: narrow(start),
            end: narrow(end),
        }
    }

    /// From the start of this span to the end of `other`.
    pub(crate) fn to(self, other: Span) -> Self {
        Span {
            start: self.start,
            end: other.end.max(self.end),
        }
    }

    /// As a range of indexes.
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Text that does not parse: what is wrong, and how to fix it.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) help: String,
}

impl SyntaxError {
    /// An error; texts are lower case, without a final period.
    pub(crate) fn new(span: Span, message: impl Into<String>, help: impl Into<String>) -> Self {
        SyntaxError {
            span,
            message: message.into(),
            help: help.into(),
        }
    }
}

/// A name, possibly with dots.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) text: Arc<str>,
    pub(crate) span: Span,
}

/// One file.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// The paths in its `include` lines.
    pub(crate) includes: Vec<Name>,
    /// In the order of the file.
    pub(crate) definitions: Vec<Definition>,
}

/// Anything a file declares.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) name: Name,
    pub(crate) doc: Option<String>,
    pub(crate) body: DefinitionBody,
}

/// What a definition declares.
#[derive(Debug)]
pub(crate) enum DefinitionBody {
    Typedef(TypeRef),
    Const(TypeRef, Constant),
    Enum(Vec<EnumEntry>),
    Struct(StructKind, Vec<FieldSyntax>),
    Service(Option<Name>, Vec<MethodSyntax>),
}

/// `NAME` or `NAME = number` of an enum.
#[derive(Debug)]
pub(crate) struct EnumEntry {
    pub(crate) name: Name,
    pub(crate) number: Option<(i64, Span)>,
}

/// A field, a parameter or a thrown exception.
#[derive(Debug)]
pub(crate) struct FieldSyntax {
    pub(crate) id: Option<(i64, Span)>,
    pub(crate) requiredness: Requiredness,
    /// The position of `required`, if the field has it.
    pub(crate) required_at: Option<Span>,
    pub(crate) ty: TypeRef,
    pub(crate) name: Name,
    pub(crate) default: Option<Constant>,
    pub(crate) doc: Option<String>,
}

/// A method of a service.
#[derive(Debug)]
pub(crate) struct MethodSyntax {
    pub(crate) oneway: bool,
    /// `void` is [`TypeRefKind::Void`].
    pub(crate) result: TypeRef,
    pub(crate) name: Name,
    pub(crate) params: Vec<FieldSyntax>,
    pub(crate) throws: Vec<FieldSyntax>,
    pub(crate) doc: Option<String>,
}

/// A type as written.
#[derive(Debug)]
pub(crate) struct TypeRef {
    pub(crate) span: Span,
    pub(crate) kind: TypeRefKind,
}

/// The structure of a written type.
#[derive(Debug)]
pub(crate) enum TypeRefKind {
    /// Allowed only as a method's result; the resolver checks that.
    Void,
    /// The name of a base type or a declared type.
    Named(Arc<str>),
    List(Box<TypeRef>),
    Set(Box<TypeRef>),
    Map(Box<TypeRef>, Box<TypeRef>),
}

/// A constant value as written.
#[derive(Debug)]
pub(crate) struct Constant {
    pub(crate) span: Span,
    pub(crate) kind: ConstantKind,
}

/// The structure of a written constant.
#[derive(Debug)]
pub(crate) enum ConstantKind {
    Bool(bool),
    Integer(i64),
    Double(f64),
    Text(String),
    /// The name of a constant or of an enum's value.
    Named(Arc<str>),
    List(Vec<Constant>),
    Map(Vec<(Constant, Constant)>),
}
