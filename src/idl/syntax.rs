//! What a `.thrift` file says, as it stands there: names not looked up, constants not evaluated.
//!
//! Out of the parser, into the resolver. Namespaces and annotations are not kept: nothing here needs them.

use std::ops::Range;
use std::sync::Arc;

use super::schema::{Requiredness, StructKind};

/// How deep types, constants and includes may nest.
pub(crate) const NESTING_MAX: usize = 64;

/// Bytes of one file; files are at most 16 MiB, so 32 bits hold them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes from `start` up to, not including, `end`.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span {
            start: narrow(start),
            end: narrow(end),
        }
    }

    /// From the start of this to the end of `other`.
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

/// A place that does not parse: what is wrong there, and what would be right.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) help: String,
}

impl SyntaxError {
    /// A error; lower case, no final period.
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
    /// The paths of its `include` lines.
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

/// What kind of thing a definition declares.
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
    /// Where `required` stands, if it does.
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

/// A type as it is written.
#[derive(Debug)]
pub(crate) struct TypeRef {
    pub(crate) span: Span,
    pub(crate) kind: TypeRefKind,
}

/// What a written type is made of.
#[derive(Debug)]
pub(crate) enum TypeRefKind {
    /// Only a method's result may be this; the resolver says so.
    Void,
    /// A base type's word or the name of a declared type.
    Named(Arc<str>),
    List(Box<TypeRef>),
    Set(Box<TypeRef>),
    Map(Box<TypeRef>, Box<TypeRef>),
}

/// A constant value as it is written.
#[derive(Debug)]
pub(crate) struct Constant {
    pub(crate) span: Span,
    pub(crate) kind: ConstantKind,
}

/// What a written constant is.
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
