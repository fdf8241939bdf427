//! Answers as bytes: a result, a declared exception, or a `TApplicationException`.

use bytes::{Bytes, BytesMut};
use thrift::protocol::TMessageType;
use tracing::error;

use super::Service;
use super::exception::CallError;
use crate::error::Code;
use crate::idl::Type;
use crate::thrift::{Body, HeadOut, Shape, write_message};
use crate::value::Value;
use crate::view::{Plan, ReplyShape};

impl Service {
    /// The bytes of a reply; `server.internal` if the value can't be written after all.
    pub(super) fn write_reply(
        &self,
        shape: Shape,
        head: HeadOut<'_>,
        plan: &Plan,
        value: &Value,
    ) -> Bytes {
        let schema = &self.program.schema;
        let mut out = BytesMut::new();
        let ty;
        let field = match &plan.reply {
            ReplyShape::Void => None,
            ReplyShape::Whole(whole) => Some((0, whole, value)),
            ReplyShape::Struct(id) => {
                ty = Type::Struct(*id);
                Some((0, &ty, value))
            }
        };
        let body = Body::Fields {
            schema,
            fields: field.as_slice(),
        };
        match write_message(&mut out, shape, head, body) {
            Ok(()) => out.freeze(),
            Err(err) => {
                let (code, detail) = (Code::ServerInternal, err.detail);
                error!(%code, method = head.name, detail, "reply can't be written");
                self.write_exception(shape, head, None, &CallError::new(Code::ServerInternal))
            }
        }
    }

    /// A declared exception where the method has one for it, otherwise a `TApplicationException`.
    pub(super) fn write_exception(
        &self,
        shape: Shape,
        head: HeadOut<'_>,
        plan: Option<&Plan>,
        error: &CallError,
    ) -> Bytes {
        let schema = &self.program.schema;
        let mut out = BytesMut::new();
        if let Some((id, of, value)) = plan.and_then(|plan| error.declared(plan, schema)) {
            let ty = Type::Struct(of);
            let body = Body::Fields {
                schema,
                fields: &[(id, &ty, &value)],
            };
            if write_message(&mut out, shape, head, body).is_ok() {
                return out.freeze();
            }
        }
        let head = HeadOut {
            kind: TMessageType::Exception,
            ..head
        };
        let body = Body::ApplicationError {
            kind: error.kind(),
            message: &error.message(),
        };
        write_message(&mut out, shape, head, body)
            .expect("an exception with a name that was read can be written");
        out.freeze()
    }
}
