//! The resolved types and methods of an IDL, for the wire, the views and the CLI.

use std::collections::HashMap;
use std::sync::Arc;

use crate::diagnostic::Problem;
use crate::value::{FieldNames, Value};

/// Everything that an IDL and its includes declare, with names resolved. Plain data, shared by all loops.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Structs, unions and exceptions, and one struct per method for its parameters; by [`StructId`].
    pub structs: Vec<StructType>,
    /// Services of the operator's file, then those of its includes.
    pub services: Vec<Service>,
    /// The types of `tributary.thrift`, if the IDL includes it.
    pub standard: Standard,
    /// The files that were read: the operator's, then its includes in order of appearance.
    pub sources: Vec<SourceFile>,
    /// What Apache's compiler accepts and is probably a mistake.
    pub warnings: Vec<Problem>,
}

/// One file that was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its name without folders, as an `include` would write it.
    pub name: String,
    /// Its paths relative to the folder of the operator's file: one for each chain of includes that leads to it.
    pub paths: Vec<String>,
    /// Its text, unchanged.
    pub text: String,
}

/// The standard types, if they were included.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standard {
    /// `tributary.Context`
    pub context: Option<StructId>,
    /// `tributary.Report`
    pub report: Option<StructId>,
    /// `tributary.LookupReport`
    pub lookup_report: Option<StructId>,
    /// `tributary.InvalidRequest`
    pub invalid_request: Option<StructId>,
    /// `tributary.LookupFailed`
    pub lookup_failed: Option<StructId>,
    /// `tributary.DeadlineExceeded`
    pub deadline_exceeded: Option<StructId>,
    /// `tributary.Overloaded`
    pub overloaded: Option<StructId>,
}

/// Index into [`Schema::structs`]; recursive types use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StructId(pub u32);

/// The type of a field, parameter or result; typedefs are resolved.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// `bool`
    Bool,
    /// `i8`, `byte`
    I8,
    /// `i16`
    I16,
    /// `i32`
    I32,
    /// `i64`
    I64,
    /// `double`
    Double,
    /// `string`: UTF-8
    String,
    /// `binary`
    Binary,
    /// `uuid`
    Uuid,
    /// An enum; an `i32` on the wire.
    Enum(Arc<EnumType>),
    /// A struct, union or exception.
    Struct(StructId),
    /// `list<T>`
    List(Box<Type>),
    /// `set<T>`
    Set(Box<Type>),
    /// `map<K, V>`
    Map(Box<Type>, Box<Type>),
    /// `tributary.Value`: a union that holds a value of any type.
    Any,
}

/// An enum's names and numbers, in declared order.
#[derive(Clone, Debug, PartialEq)]
pub struct EnumType {
    /// `file.Name`
    pub name: Arc<str>,
    /// Name and number.
    pub values: Vec<(Arc<str>, i32)>,
}

impl EnumType {
    /// The number of the value called `name`.
    pub fn number(&self, name: &str) -> Option<i32> {
        self.values
            .iter()
            .find(|(have, _)| &**have == name)
            .map(|(_, number)| *number)
    }

    /// The name of the value `number`.
    pub fn name_of(&self, number: i64) -> Option<&Arc<str>> {
        self.values
            .iter()
            .find(|(_, have)| i64::from(*have) == number)
            .map(|(name, _)| name)
    }
}

/// Struct, union or exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StructKind {
    /// `struct`, or a method's parameters
    Struct,
    /// `union`: exactly one field is set
    Union,
    /// `exception`
    Exception,
}

/// A struct, union or exception.
#[derive(Clone, Debug)]
pub struct StructType {
    /// `file.Name`, for example `flights.Departure`; `file.Service.method params` for parameters.
    pub name: Arc<str>,
    /// Struct, union or exception.
    pub kind: StructKind,
    /// In declared order.
    pub fields: Vec<Field>,
    /// The fields' names in the same order: the names of every [`crate::value::Record`] of this type.
    pub names: FieldNames,
    /// The doc comment in the IDL, if any.
    pub doc: Option<String>,
}

impl StructType {
    /// The position in `fields` of the field with this id.
    pub fn position_of_id(&self, id: i16) -> Option<usize> {
        // Ids nearly always count up from 1, so the guess is usually right.
        let guess = usize::try_from(id.wrapping_sub(1)).unwrap_or(usize::MAX);
        if self.fields.get(guess).is_some_and(|field| field.id == id) {
            return Some(guess);
        }
        self.fields.iter().position(|field| field.id == id)
    }

    /// The field called `name` and its position.
    pub fn field(&self, name: &str) -> Option<(usize, &Field)> {
        let at = self.names.position(name)?;
        Some((at, &self.fields[at]))
    }
}

/// Whether a field must be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requiredness {
    /// `required`: a struct without it is invalid.
    Required,
    /// `optional`: written only when set.
    Optional,
    /// Neither word: written when set; readers accept its absence.
    Default,
}

/// A field, parameter or thrown exception.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its id on the wire.
    pub id: i16,
    /// Its name.
    pub name: Arc<str>,
    /// Whether it must be set.
    pub requiredness: Requiredness,
    /// Its type.
    pub ty: Type,
    /// Its default value, already of type `ty`.
    pub default: Option<Value>,
    /// The doc comment in the IDL, if any.
    pub doc: Option<String>,
}

/// A service, including inherited methods.
#[derive(Clone, Debug)]
pub struct Service {
    /// As in the IDL, without the file's name.
    pub name: Arc<str>,
    /// The name of its file, without `.thrift`.
    pub file: Arc<str>,
    /// Its own methods in declared order, then those of the services it extends.
    pub methods: Vec<Method>,
    /// The position of each method in `methods`.
    pub by_name: HashMap<Arc<str>, usize>,
    /// The doc comment in the IDL, if any.
    pub doc: Option<String>,
}

impl Service {
    /// The method called `name`.
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.by_name.get(name).map(|&at| &self.methods[at])
    }
}

/// A method of a service.
#[derive(Clone, Debug)]
pub struct Method {
    /// As in the IDL.
    pub name: Arc<str>,
    /// Whether it is `oneway`: no reply is ever sent.
    pub oneway: bool,
    /// Its parameters, as a struct.
    pub params: StructId,
    /// The type of its result; `None` for `void`.
    pub result: Option<Type>,
    /// The exceptions it throws, as fields.
    pub throws: Vec<Field>,
    /// The doc comment in the IDL, if any.
    pub doc: Option<String>,
}

impl Schema {
    /// The struct with this id.
    pub fn get(&self, id: StructId) -> &StructType {
        &self.structs[id.0 as usize]
    }

    /// The id of the struct called `name`, such as `users.User`.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn id_of(&self, name: &str) -> StructId {
        let at = self.structs.iter().position(|of| *of.name == *name);
        let at = at.and_then(|at| u32::try_from(at).ok());
        StructId(at.expect("the schema has the struct"))
    }

    /// The service called `name`.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| &*service.name == name)
    }

    /// The type as the IDL writes it, for messages: `list<flights.Departure>`.
    pub fn describe(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "bool".into(),
            Type::I8 => "i8".into(),
            Type::I16 => "i16".into(),
            Type::I32 => "i32".into(),
            Type::I64 => "i64".into(),
            Type::Double => "double".into(),
            Type::String => "string".into(),
            Type::Binary => "binary".into(),
            Type::Uuid => "uuid".into(),
            Type::Enum(of) => of.name.to_string(),
            Type::Struct(id) => self.get(*id).name.to_string(),
            Type::List(of) => format!("list<{}>", self.describe(of)),
            Type::Set(of) => format!("set<{}>", self.describe(of)),
            Type::Map(key, value) => {
                format!("map<{}, {}>", self.describe(key), self.describe(value))
            }
            Type::Any => "tributary.Value".into(),
        }
    }
}
