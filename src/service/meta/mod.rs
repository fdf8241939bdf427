//! The `Tributary` service: what a server tells of itself, and the untyped door to the operator's views.
//!
//! In: a call whose method is none of the operator's. Out: its answer at once, or for `fetch` a call of the view, which
//! goes the way of all calls from there. Types are those of the program's own standard include. A call of the
//! operator's own methods never comes here.

mod describe;
mod explain;
mod fetch;
mod fit;
mod health;
mod idl;
mod shown;

use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use thrift::protocol::TMessageType;
use tracing::error;

use super::exception::CallError;
use super::metadata::CallMetadata;
use super::reply::ReplyTo;
use super::{Admission, Arrival, Service, log};
use crate::coerce::Coercion;
use crate::error::Code;
use crate::idl::{Schema, Type};
use crate::plan::{Plan, ReplyShape, Throw, ThrowOn};
use crate::thrift::{Body, Head, HeadOut, WireError, decode_struct};
use crate::value::Value;

/// A method of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Describe,
    Idl,
    Explain,
    Health,
    Fetch,
}

const METHODS: [(&str, Method); 5] = [
    ("describe", Method::Describe),
    ("idl", Method::Idl),
    ("explain", Method::Explain),
    ("health", Method::Health),
    ("fetch", Method::Fetch),
];

impl Method {
    fn named(name: &str) -> Option<Self> {
        let mut methods = METHODS.iter();
        let found = methods.find(|(have, _)| *have == name);
        found.map(|(_, method)| *method)
    }

    fn name(self) -> &'static str {
        METHODS[self as usize].0
    }

    /// Its result and what it throws, as those of a view.
    fn plan(self) -> &'static Plan {
        static PLANS: LazyLock<Vec<Plan>> = LazyLock::new(|| {
            let methods = METHODS.iter();
            methods.map(|(name, _)| plan(schema(), name)).collect()
        });
        &PLANS[self as usize]
    }
}

/// What the service's types refer to.
fn schema() -> &'static Schema {
    crate::idl::standard()
}

/// Reads the standard include now, so that no call has to wait for it.
pub(super) fn prepare() {
    Method::Describe.plan();
}

/// A plan without lookups for the method called `name`.
fn plan(schema: &Schema, name: &str) -> Plan {
    let service = schema.service("Tributary");
    let method = service.and_then(|service| service.method(name));
    let method = method.expect("the standard include declares it");
    let throws = method.throws.iter().filter_map(|field| match field.ty {
        Type::Struct(of) => Some(Throw {
            id: field.id,
            of,
            // A name that there is not is as bad a parameter as any.
            on: if Some(of) == schema.standard.invalid_request {
                ThrowOn::Codes(vec![Code::CallBadParams, Code::CallUnknownMethod])
            } else {
                ThrowOn::Standard
            },
        }),
        _ => None,
    });
    Plan {
        index: 0,
        method: Arc::clone(&method.name),
        oneway: false,
        params: method.params,
        context_param: None,
        deadline: Duration::ZERO,
        steps: Vec::new(),
        referred: false,
        lanes: Arc::new([]),
        declared: Vec::new(),
        reply: ReplyShape::Whole(method.result.clone().expect("each of them returns")),
        report_field: None,
        report_always: false,
        allow: None,
        throws: throws.collect(),
    }
}

/// A call of one of the methods.
struct Asked<'a> {
    method: Method,
    arrival: &'a Arrival<'a>,
    /// What its frame said and its reply's will, if frames can.
    metadata: Option<Box<CallMetadata>>,
    sequence: i32,
    oneway: bool,
    body: Bytes,
}

impl Asked<'_> {
    /// Where its answer goes, and its number.
    fn to(&self) -> (ReplyTo<'_>, i32) {
        let to = ReplyTo::new(self.arrival.shape, self.metadata.as_deref());
        (to, self.sequence)
    }

    fn request_id(&self) -> Option<&str> {
        self.metadata.as_deref()?.request_id()
    }
}

impl Service {
    /// What becomes of a call of this service; `None` if it is none of its methods, or not one that this caller can
    /// reach.
    #[cold]
    pub(super) fn admit_meta(
        self: &Rc<Self>,
        arrival: &Arrival<'_>,
        head: &Head,
        body: &Bytes,
        metadata: &mut Option<Box<CallMetadata>>,
    ) -> Option<Admission> {
        let is_call = matches!(head.kind, TMessageType::Call | TMessageType::OneWay);
        if !arrival.peer.meta || !is_call {
            return None;
        }
        let (program, name) = (&self.program, head.name.as_str());
        let method = Method::named(program.meta.method(name, &program.service().name)?)?;
        let asked = Asked {
            method,
            arrival,
            metadata: metadata.take(),
            sequence: head.sequence,
            oneway: head.kind == TMessageType::OneWay,
            body: body.clone(),
        };
        Some(match method {
            Method::Fetch => self.admit_fetch(asked),
            _ => self.tell(&asked),
        })
    }

    /// Answers a call that needs no lookup.
    fn tell(&self, asked: &Asked<'_>) -> Admission {
        let told = self.told(asked);
        self.metrics
            .meta(told.as_ref().map(drop).map_err(|err| err.code));
        if let Err(err) = &told {
            log::refused_meta(asked.method.name(), err, asked.request_id());
        }
        if asked.oneway {
            return Admission::Nothing;
        }
        Admission::Reply(match told {
            Ok(value) => self.write_told(asked.to(), asked.method, &value),
            Err(err) => self.throw(asked.to(), asked.method, &err),
        })
    }

    fn told(&self, asked: &Asked<'_>) -> Result<Value, CallError> {
        let plan = asked.method.plan();
        let protocol = asked.arrival.wire_format.protocol;
        let params = decode_struct(schema(), plan.params, protocol, &asked.body, &self.limits);
        let params = params.map_err(|err| CallError::bad_params(&err))?;
        let told = match asked.method {
            Method::Describe => describe::describe(&self.program),
            Method::Idl => idl::idl(&self.program),
            Method::Explain => explain::explain(&self.program, &params)?,
            Method::Health => health::health(&self.guards, &self.metrics.loop_metrics),
            Method::Fetch => return Err(CallError::new(Code::ServerInternal)),
        };
        let ReplyShape::Whole(ty) = &plan.reply else {
            return Err(CallError::new(Code::ServerInternal));
        };
        let typed = Coercion::new(schema(), false).value(told, ty);
        typed.map_err(|why| CallError {
            detail: Some(why),
            ..CallError::new(Code::ServerInternal)
        })
    }

    /// The bytes of a result.
    fn write_told(
        &self,
        (to, sequence): (ReplyTo<'_>, i32),
        method: Method,
        value: &Value,
    ) -> BytesMut {
        let head = head(method, sequence, TMessageType::Reply);
        let ReplyShape::Whole(ty) = &method.plan().reply else {
            return self.throw(
                (to, sequence),
                method,
                &CallError::new(Code::ServerInternal),
            );
        };
        let fields = [(0, ty, value)];
        let body = Body::Fields {
            schema: schema(),
            fields: &fields,
        };
        let mut out = BytesMut::new();
        match to.write(&mut out, head, body) {
            Ok(()) => out,
            Err(WireError { detail, .. }) => {
                let code = Code::ServerInternal;
                error!(%code, method = head.name, detail, "reply can't be written");
                self.throw((to, sequence), method, &CallError::new(code))
            }
        }
    }

    /// The bytes of an exception: one that the method declares if it has one for it.
    fn throw(
        &self,
        (to, sequence): (ReplyTo<'_>, i32),
        method: Method,
        err: &CallError,
    ) -> BytesMut {
        let to = to.failing(err);
        if let Some((id, of, value)) = err.declared(method.plan(), schema()) {
            let ty = Type::Struct(of);
            let body = Body::Fields {
                schema: schema(),
                fields: &[(id, &ty, &value)],
            };
            let mut out = BytesMut::new();
            let head = head(method, sequence, TMessageType::Reply);
            if to.write(&mut out, head, body).is_ok() {
                return out;
            }
        }
        let head = head(method, sequence, TMessageType::Exception);
        self.write_exception(to, head, None, err)
    }
}

fn head(method: Method, sequence: i32, kind: TMessageType) -> HeadOut<'static> {
    HeadOut {
        name: method.name(),
        kind,
        sequence,
    }
}

/// A struct by the names of its fields.
fn of_fields<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let pairs = fields.map(|(name, value)| (name.into(), value));
    Value::Map(pairs.into())
}

/// A list of what these become.
fn list_of<T>(items: impl IntoIterator<Item = T>, becomes: impl FnMut(T) -> Value) -> Value {
    Value::List(items.into_iter().map(becomes).collect())
}

#[cfg(test)]
mod tests;
