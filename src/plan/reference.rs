//! Resolves the references of a view: `trip.origin`, `flight.tailnum`, `item`, `context.request_id`.
//!
//! A reference is resolved once at start, to a root and a path. [`Reference::follow`] follows it in each call.
//!
//! A name is a parameter of the method if there is one of that name, otherwise a lookup of the view. A dotted path starts at
//! the parameter only if the parameter has such a field: with a parameter `i32 flight` and a lookup `flight`, `flight` is
//! the parameter and `flight.tailnum` is a column of the lookup.

use std::sync::Arc;

use crate::context::Context;
use crate::idl::{Schema, StructType, Type};
use crate::value::Value;

/// Where a reference starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// A parameter of the method, by its index.
    Param(usize),
    /// Another lookup of the view: by its index in declared order while the view is compiled, by its index among the steps
    /// in a [`super::Plan`].
    Lookup(usize),
    /// The element of a `foreach`.
    Item,
    /// The call's context.
    Context(ContextField),
}

/// The parts of the context that a reference can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextField {
    /// `context.request_id`
    RequestId,
    /// `context.traceparent`
    Traceparent,
    /// `context.baggage.KEY`, where the rest of the path is the key.
    Baggage,
}

/// A resolved reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// Where it starts.
    pub root: Root,
    /// Names of fields, from there on.
    pub path: Vec<Arc<str>>,
}

impl Reference {
    /// The parameter of the method that it is, if it is a whole one.
    pub fn as_param(&self) -> Option<usize> {
        match self.root {
            Root::Param(at) if self.path.is_empty() => Some(at),
            _ => None,
        }
    }
}

/// What names mean in one use of a view.
pub(super) struct ViewNames<'a> {
    pub(super) schema: &'a Schema,
    pub(super) params: &'a StructType,
    /// The view's uses, in declared order.
    pub(super) uses: &'a [Arc<str>],
    /// What `item` means here.
    pub(super) item: &'a Item,
}

/// What `item` means.
pub(super) enum Item {
    /// There is no `foreach`.
    Absent,
    /// An element whose type is known only in a call.
    Unknown,
    /// An element of this type.
    Typed(Type),
}

/// Why a reference can't be resolved, and the names that are known.
pub(super) struct Unresolved {
    pub(super) message: String,
    pub(super) known: Vec<String>,
    pub(super) wanted: String,
}

impl ViewNames<'_> {
    /// Resolves `text`. The type is known if the reference leads into a parameter or the context.
    pub(super) fn resolve(&self, text: &str) -> Result<(Reference, Option<Type>), Unresolved> {
        let mut segments = text.split('.');
        let first = segments.next().unwrap_or_default();
        let path: Vec<Arc<str>> = segments.map(Arc::from).collect();
        if first.is_empty() || path.iter().any(|segment| segment.is_empty()) {
            return Err(self.unresolved(first, format!("`{text}` is not a reference")));
        }
        if first == "item"
            && matches!(self.item, Item::Absent)
            && self.params.field("item").is_none()
        {
            let message = "`item` is the element of a `foreach`, and is known only in its `with`";
            return Err(Unresolved {
                message: message.into(),
                known: Vec::new(),
                wanted: String::new(),
            });
        }
        if first == "item" && !matches!(self.item, Item::Absent) {
            let ty = match self.item {
                Item::Typed(ty) => self.walk(ty, &path)?,
                Item::Unknown | Item::Absent => None,
            };
            let root = Root::Item;
            return Ok((Reference { root, path }, ty));
        }
        let lookup = self.uses.iter().position(|name| &**name == first);
        if let Some((at, field)) = self.params.field(first) {
            match self.walk(&field.ty, &path) {
                Ok(ty) => {
                    return Ok((
                        Reference {
                            root: Root::Param(at),
                            path,
                        },
                        ty,
                    ));
                }
                Err(unresolved) if lookup.is_none() => return Err(unresolved),
                Err(_) => {}
            }
        }
        if let Some(at) = lookup {
            return Ok((
                Reference {
                    root: Root::Lookup(at),
                    path,
                },
                None,
            ));
        }
        if first == "context" {
            return Self::context(path);
        }
        Err(self.unresolved(
            first,
            format!("`{first}` is neither a parameter nor a lookup of this view"),
        ))
    }

    fn context(mut path: Vec<Arc<str>>) -> Result<(Reference, Option<Type>), Unresolved> {
        let unknown = |wanted: &str| Unresolved {
            message: format!("the context has no `{wanted}`"),
            known: ["request_id", "traceparent", "baggage"]
                .map(ToOwned::to_owned)
                .into(),
            wanted: wanted.to_owned(),
        };
        let name = if path.is_empty() {
            Arc::from("")
        } else {
            path.remove(0)
        };
        let field = match &*name {
            "request_id" if path.is_empty() => ContextField::RequestId,
            "traceparent" if path.is_empty() => ContextField::Traceparent,
            "baggage" if path.len() == 1 => ContextField::Baggage,
            _ => return Err(unknown(&name)),
        };
        Ok((
            Reference {
                root: Root::Context(field),
                path,
            },
            Some(Type::String),
        ))
    }

    /// The type at the end of `path` into a value of type `ty`; `None` if it depends on the call.
    fn walk(&self, ty: &Type, path: &[Arc<str>]) -> Result<Option<Type>, Unresolved> {
        let mut ty = ty.clone();
        for segment in path {
            match &ty {
                Type::Struct(id) => {
                    let of = self.schema.get(*id);
                    match of.field(segment) {
                        Some((_, field)) => ty = field.ty.clone(),
                        None => {
                            return Err(Unresolved {
                                message: format!("`{}` has no field `{segment}`", of.name),
                                known: of.names.iter().map(ToString::to_string).collect(),
                                wanted: segment.to_string(),
                            });
                        }
                    }
                }
                Type::Map(key, value) if **key == Type::String => ty = (**value).clone(),
                Type::Any => return Ok(None),
                other => {
                    let of = self.schema.describe(other);
                    return Err(Unresolved {
                        message: format!("`{segment}` can't be taken of a value of type {of}"),
                        known: Vec::new(),
                        wanted: segment.to_string(),
                    });
                }
            }
        }
        Ok(Some(ty))
    }

    fn unresolved(&self, wanted: &str, message: String) -> Unresolved {
        let params = self.params.names.iter().map(ToString::to_string);
        let uses = self.uses.iter().map(ToString::to_string);
        Unresolved {
            message,
            known: params.chain(uses).collect(),
            wanted: wanted.to_owned(),
        }
    }
}

impl Reference {
    /// The value that it names; `None` if the value or something on the way to it is missing or null.
    ///
    /// `lookup` returns the value of a lookup that has one.
    pub fn follow<'a>(
        &self,
        params: &'a [Value],
        lookup: impl FnOnce(usize) -> Option<&'a Value>,
        item: Option<&'a Value>,
        context: &Context,
    ) -> Option<std::borrow::Cow<'a, Value>> {
        use std::borrow::Cow;
        let start = match self.root {
            Root::Param(at) => params.get(at)?,
            Root::Lookup(at) => lookup(at)?,
            Root::Item => item?,
            Root::Context(field) => return self.of_context(field, context).map(Cow::Owned),
        };
        let end = self
            .path
            .iter()
            .try_fold(start, |value, name| value.get(name))?;
        (!end.is_null()).then_some(Cow::Borrowed(end))
    }

    fn of_context(&self, field: ContextField, context: &Context) -> Option<Value> {
        match field {
            ContextField::RequestId => Some(Value::from(&*context.request_id)),
            ContextField::Traceparent => context.traceparent.as_deref().map(Value::from),
            ContextField::Baggage => {
                let key = self.path.first()?;
                let pair = context.baggage.iter().find(|(have, _)| have == key)?;
                Some(Value::from(&*pair.1))
            }
        }
    }
}
