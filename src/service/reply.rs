//! Answers as bytes: a result, a declared exception, or a `TApplicationException`.

use bytes::BytesMut;
use thrift::protocol::TMessageType;
use tracing::error;

use super::exception::{CallError, Failed};
use super::metadata::CallMetadata;
use super::report::Report;
use super::{Answer, Service};
use crate::error::Code;
use crate::idl::Type;
use crate::plan::{Plan, ReplyShape};
use crate::thrift::{
    Appendix, Body, HeadOut, HeaderOut, Protocol, WireError, WireFormat, write_message_with,
};

/// No reply is given more room than this before it needs it.
const REPLY_BYTES_KEPT: usize = 64 * 1024;

/// A buffer with more room is not kept for the next reply: whose reply it is counts as having all of it.
const SPARE_BYTES_MAX: usize = 8 * 1024;

/// How a reply goes back: as its call came.
#[derive(Clone, Copy)]
pub(super) struct ReplyTo<'a> {
    pub(super) wire_format: WireFormat,
    /// What goes beside its message, where frames can say more.
    metadata: Option<&'a CallMetadata>,
    /// Why there is no result.
    failed: Option<Failed>,
}

impl<'a> ReplyTo<'a> {
    pub(super) fn new(shape: Shape, metadata: Option<&'a CallMetadata>) -> Self {
        ReplyTo {
            shape,
            metadata,
            failed: None,
        }
    }

    /// The same for a call that failed.
    pub(super) fn failing(self, error: &CallError) -> Self {
        ReplyTo {
            failed: Some(error.failed()),
            ..self
        }
    }

    pub(super) fn write(
        self,
        out: &mut BytesMut,
        head: HeadOut<'_>,
        body: Body<'_>,
    ) -> Result<(), WireError> {
        let pairs = self.metadata.map(|metadata| metadata.pairs(self.failed));
        let header = HeaderOut {
            sequence: self.metadata.map_or(0, |metadata| metadata.sequence),
            pairs: pairs.as_deref().unwrap_or_default(),
        };
        write_message_with(out, self.wire_format, head, body, header)
    }
}

impl Service {
    /// The bytes of a reply; `server.internal` if the value can't be written after all.
    pub(super) fn write_reply(
        &self,
        to: ReplyTo<'_>,
        head: HeadOut<'_>,
        plan: &Plan,
        answer: &Answer,
    ) -> BytesMut {
        let schema = &self.program.schema;
        let (field, report);
        let body = match &plan.reply {
            ReplyShape::Void => Body::Fields {
                schema,
                fields: &[],
            },
            ReplyShape::Whole(ty) => {
                field = [(0, ty, &answer.value)];
                Body::Fields {
                    schema,
                    fields: &field,
                }
            }
            ReplyShape::Struct(id) => {
                let report_id = plan.report_field.map(|at| schema.get(*id).fields[at].id);
                report = self.report_of(plan, to.wire_format.protocol, answer);
                let report = report.as_ref().map(|report| report as &dyn Appendix);
                Body::Struct {
                    schema,
                    id: *id,
                    record: &answer.value,
                    last: report_id.zip(report),
                }
            }
        };
        let mut out = self.spare.take();
        out.reserve(self.reply_bytes.get().min(REPLY_BYTES_KEPT));
        match to.write(&mut out, head, body) {
            Ok(()) => {
                self.reply_bytes.set(out.len());
                out
            }
            Err(err) => {
                let (code, detail) = (Code::ServerInternal, err.detail);
                error!(%code, method = head.name, detail, "reply can't be written");
                self.write_exception(to, head, None, &CallError::new(Code::ServerInternal))
            }
        }
    }

    /// Keeps the buffer of a reply that was sent for the next one, unless it is long.
    pub(super) fn take_back(&self, mut buffer: BytesMut) {
        buffer.clear();
        // What was written of it counts again.
        if buffer.try_reclaim(self.reply_bytes.get()) && buffer.capacity() <= SPARE_BYTES_MAX {
            self.spare.set(buffer);
        }
    }

    pub(super) fn report_of<'a>(
        &'a self,
        plan: &Plan,
        protocol: Protocol,
        answer: &'a Answer,
    ) -> Option<Report<'a>> {
        let (layout, templates) = self.report.as_ref()?;
        Some(Report {
            layout,
            templates: &templates[plan.index],
            protocol,
            timeline: answer.reported.as_ref()?,
        })
    }

    /// A declared exception where the method has one for it, otherwise a `TApplicationException`.
    pub(super) fn write_exception(
        &self,
        to: ReplyTo<'_>,
        head: HeadOut<'_>,
        plan: Option<&Plan>,
        error: &CallError,
    ) -> BytesMut {
        let schema = &self.program.schema;
        let to = to.failing(error);
        let mut out = BytesMut::new();
        if let Some((id, of, value)) = plan.and_then(|plan| error.declared(plan, schema)) {
            let ty = Type::Struct(of);
            let body = Body::Fields {
                schema,
                fields: &[(id, &ty, &value)],
            };
            if to.write(&mut out, head, body).is_ok() {
                return out;
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
        to.write(&mut out, head, body)
            .expect("an exception with a name that was read can be written");
        out
    }
}
