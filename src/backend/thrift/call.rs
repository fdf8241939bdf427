//! Compiles the keys of a `[lookups.NAME]`: one method of the service, and where its parameters come from.
//!
//! Parameters are coerced exactly to the service's IDL, just as stored values are to the operator's own: a value that does
//! not fit is `lookup.bad_param` and never sent. A parameter of type `tributary.Context` is filled from
//! the call's own context, so that a Tributary behind this one knows the deadline and the trace.

use std::sync::Arc;

use bytes::BytesMut;

use super::config::{Config, Remote};
use super::metadata::{CallMetadata, context_value};
use crate::backend::lookup::{are_large, owned};
use crate::backend::{Ask, Compiled, Enums, Hedge, LookupError, Yields};
use crate::coerce::{Coercion, Leniency};
use crate::config::{Place, Section, unknown_method};
use crate::diagnostic::suggest;
use crate::error::Code;
use crate::idl::{Field, Method, Requiredness, StructId, Type};
use crate::offload::offload;
use crate::thrift::{ClientCall, Encoded, Transport, WireError};
use crate::value::{Record, Value};

/// A method to call.
#[derive(Debug)]
pub struct RemoteMethod {
    pub(super) remote: Arc<Remote>,
    pub(super) method: Method,
    /// The method's name on the wire.
    name: String,
    /// Which of the parameters is the call's context.
    context_at: Option<usize>,
    /// The failures that mean that there is nothing.
    pub(super) empty_on: Vec<EmptyOn>,
    /// Which of the parameters decides about the endpoint.
    pub(super) hash_on: Option<usize>,
    /// When a second endpoint is asked.
    pub(super) hedge: Option<Hedge>,
}

/// The parameters of a call.
pub(super) enum Params {
    /// A record that fits the method's parameters.
    Record(Value),
    /// Many values, encoded on another thread.
    Encoded(Encoded),
}

/// A failure that means that there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EmptyOn {
    /// An exception of this type.
    Exception(StructId),
    /// A stable code, which another Tributary puts into every exception.
    Code(Code),
}

impl RemoteMethod {
    /// Reads the keys.
    pub(super) fn read(
        config: &Config,
        section: &mut Section<'_>,
    ) -> Option<Compiled<Arc<RemoteMethod>>> {
        let remote = &config.remote;
        let call = section.required_string("call", "call = \"method\"");
        let empty_on = section.strings("empty_on");
        let empty_on = empty_on.map_or_else(Vec::new, |(names, _)| names);
        let (name, place) = call?;
        let service = remote.service();
        let Some(method) = service.method(&name) else {
            unknown_method(section.document(), service, &name, &place);
            return None;
        };
        if method.oneway {
            let message = format!("method `{name}` is oneway: it answers nothing");
            section.bad(&place, message, Some("name a method that returns".into()));
            return None;
        }
        let params = &remote.schema.get(method.params).fields;
        let mut call = RemoteMethod {
            context_at: params.iter().position(|param| is_context(remote, param)),
            remote: Arc::clone(remote),
            method: method.clone(),
            name: remote.name_of(&name),
            empty_on: read_empty_on(remote, method, section, &empty_on)?,
            hash_on: None,
            hedge: None,
        };
        let params: Vec<_> = call.bound().map(|field| Arc::clone(&field.name)).collect();
        let endpoints = config.endpoints.as_ref();
        call.hash_on = endpoints.and_then(|endpoints| endpoints.hash_on(section, &params));
        call.hedge = Hedge::read(section, endpoints, None);
        Some(Compiled {
            params,
            // The service's own IDL has its enums by number.
            enums: Enums::Number,
            yields: yields(method.result.as_ref()),
            lookup: Arc::new(call),
        })
    }

    /// A call with this number.
    pub(super) fn outgoing(&self, sequence: i32) -> ClientCall<'_> {
        ClientCall {
            schema: &self.remote.schema,
            method: &self.method,
            name: &self.name,
            sequence,
        }
    }

    /// Whether it sends the call's context, which its answer may depend on.
    pub(super) fn reads_context(&self) -> bool {
        self.context_at.is_some()
    }

    /// The parameters, coerced to the service's IDL.
    pub(super) async fn params(self: &Arc<Self>, ask: &Ask<'_>) -> Result<Params, LookupError> {
        let of_context = self.remote.schema.standard.context;
        let context = of_context.filter(|_| self.context_at.is_some());
        let context = context.map(|id| context_value(ask, &self.remote.schema.get(id).names));
        if !are_large(ask.params) {
            let fitted = self.fit(ask.params.iter().cloned(), context.as_ref())?;
            return Ok(Params::Record(fitted));
        }
        let (call, given) = (Arc::clone(self), owned(ask.params).await);
        offload(move || {
            let fitted = call.fit(given.into_iter(), context.as_ref())?;
            if call.context_at.is_some() {
                // It has the time that is left when the call is written.
                return Ok(Params::Record(fitted));
            }
            let of = (&call.remote.schema, call.method.params);
            let encoded = Encoded::params(call.remote.wire_format.protocol, of, &fitted);
            let encoded = encoded.map_err(|err| LookupError::new(err.code, err.detail));
            encoded.map(Params::Encoded)
        })
        .await?
    }

    /// The record of the parameters. Each of its contexts is `context`.
    fn fit(
        &self,
        mut given: impl Iterator<Item = Value>,
        context: Option<&Value>,
    ) -> Result<Value, LookupError> {
        let schema = &self.remote.schema;
        let of = schema.get(self.method.params);
        // A caller's enum may be newer than the service's: it is the number that is sent.
        let coercion = Coercion::new(schema, false).lenient(Leniency::Numbers, false);
        let mut values = Vec::with_capacity(of.fields.len());
        for (at, field) in of.fields.iter().enumerate() {
            let value = if self.is_context(field) {
                context.cloned()
            } else {
                given.next()
            };
            let value = value.unwrap_or_default();
            if value.is_null() && !may_be_left_out(field) {
                // Some libraries would read it as zero, and answer that.
                return Err(bad_param(
                    &field.name,
                    "is null and not `optional` in the IDL",
                ));
            }
            let fitted = coercion.field(self.method.params, at, value);
            values.push(fitted.map_err(|why| bad_param(&field.name, &why))?);
        }
        Ok(Value::Record(Record {
            names: of.names.clone(),
            values,
        }))
    }

    /// Writes the call with its number and its metadata.
    pub(super) fn write(
        &self,
        sequence: i32,
        params: &mut Params,
        metadata: &CallMetadata,
        out: &mut BytesMut,
    ) -> Result<(), WireError> {
        if let (Some(at), Params::Record(record)) = (self.context_at, &mut *params) {
            metadata.set_remaining(record, at);
        }
        let (outgoing, wire_format) = (self.outgoing(sequence), self.remote.wire_format);
        let mut write = |pairs: &[(&str, &[u8])]| match params {
            Params::Record(record) => outgoing.write(out, wire_format, record, pairs),
            Params::Encoded(encoded) => outgoing.write_encoded(out, wire_format, encoded, pairs),
        };
        match wire_format.transport {
            Transport::Header => metadata.with_headers(write),
            Transport::Framed | Transport::Unframed => write(&[]),
        }
    }

    /// The parameters that a view binds.
    fn bound(&self) -> impl Iterator<Item = &Field> {
        let fields = &self.remote.schema.get(self.method.params).fields;
        fields.iter().filter(|field| !self.is_context(field))
    }

    fn is_context(&self, field: &Field) -> bool {
        is_context(&self.remote, field)
    }
}

/// Whether the parameter is the call's context, which no view binds.
fn is_context(remote: &Remote, param: &Field) -> bool {
    let context = remote.schema.standard.context;
    context.is_some_and(|id| param.ty == Type::Struct(id))
}

fn may_be_left_out(field: &Field) -> bool {
    field.requiredness == Requiredness::Optional || field.default.is_some()
}

fn bad_param(name: &str, why: &str) -> LookupError {
    LookupError::new(
        Code::LookupBadParam,
        format!("parameter `{name}` of the Thrift call: {why}"),
    )
}

/// What `empty_on` names: exceptions that the method declares, or codes.
fn read_empty_on(
    remote: &Remote,
    method: &Method,
    section: &Section<'_>,
    names: &[(String, Place)],
) -> Option<Vec<EmptyOn>> {
    let declared = || {
        method.throws.iter().filter_map(|throw| match &throw.ty {
            Type::Struct(id) => Some((*id, &*remote.schema.get(*id).name)),
            _ => None,
        })
    };
    let mut found = Vec::with_capacity(names.len());
    for (name, place) in names {
        let exception = declared().find(|(_, full)| *full == name || last_part(full) == name);
        match (exception, Code::parse(name)) {
            (Some((id, _)), _) => found.push(EmptyOn::Exception(id)),
            (None, Some(code)) => found.push(EmptyOn::Code(code)),
            (None, None) => {
                let message = format!("method `{}` does not throw `{name}`", method.name);
                let known = declared().map(|(_, full)| last_part(full));
                let help = suggest(name, known, || "the method declares no exceptions".into());
                let document = section.document();
                document.problem(place, Code::ConfigUnknownName, message, Some(help));
            }
        }
    }
    (found.len() == names.len()).then_some(found)
}

/// `NotFound` of `users.NotFound`.
fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The type of the answers.
fn yields(result: Option<&Type>) -> Yields {
    match result {
        Some(Type::Bool) => Yields::Bool,
        Some(Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Enum(_)) => Yields::Integer,
        Some(Type::Double) => Yields::Double,
        Some(Type::String) => Yields::Text,
        Some(Type::Binary) => Yields::Bytes,
        Some(Type::Struct(_)) => Yields::Record,
        Some(Type::List(_) | Type::Set(_)) => Yields::List,
        Some(Type::Uuid | Type::Map(..) | Type::Any) | None => Yields::Any,
    }
}
