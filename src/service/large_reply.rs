//! Encodes the result of a call on another thread, for results that take long to encode.
//!
//! In: everything that the reply needs, nothing of which belongs to a loop. Out: the same bytes that the loop would write.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use thrift::protocol::TMessageType;

use super::call::{Call, EntryPoint};
use super::meta::{Method, fetch};
use super::reply_body::with_body;
use crate::offload::{NotDone, offload};
use crate::plan::Plan;
use crate::program::Program;
use crate::thrift::{
    Appendix, Body, Encoded, HeadOut, HeaderOut, WireError, WireFormat, write_message_with,
};
use crate::value::Value;

/// A result, and where it goes.
pub(super) struct LargeReply {
    program: Arc<Program>,
    plan: Arc<Plan>,
    entry_point: EntryPoint,
    value: Value,
    /// The report, encoded.
    report: Option<Bytes>,
    wire_format: WireFormat,
    sequence: i32,
    header_sequence: i32,
    headers: Vec<(String, Vec<u8>)>,
}

impl LargeReply {
    /// The reply to a call.
    pub(super) fn of(
        call: &Call,
        program: &Arc<Program>,
        value: Value,
        report: Option<Bytes>,
    ) -> Self {
        let metadata = call.metadata.as_deref();
        let headers = metadata.map(|metadata| metadata.pairs(None));
        let owned = |(name, value): (&str, &[u8])| (name.to_owned(), value.to_vec());
        LargeReply {
            program: Arc::clone(program),
            plan: Arc::clone(&call.plan),
            entry_point: call.entry_point,
            value,
            report,
            wire_format: call.wire_format,
            sequence: call.sequence,
            header_sequence: metadata.map_or(0, |metadata| metadata.sequence),
            headers: headers.into_iter().flatten().map(owned).collect(),
        }
    }

    /// Its bytes. The value is dropped there, too.
    pub(super) async fn encode(self) -> Result<Result<BytesMut, WireError>, NotDone> {
        offload(move || self.encode_here()).await
    }

    fn encode_here(self) -> Result<BytesMut, WireError> {
        let schema = self.program.schema(&self.plan);
        let pairs: Vec<(&str, &[u8])> = (self.headers.iter())
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let header = HeaderOut {
            sequence: self.header_sequence,
            pairs: &pairs,
        };
        let name = match self.entry_point {
            EntryPoint::Method => &*self.plan.method,
            EntryPoint::Fetch => Method::Fetch.name(),
        };
        let head = HeadOut {
            name,
            kind: TMessageType::Reply,
            sequence: self.sequence,
        };
        let mut out = BytesMut::new();
        let write =
            |body: Body<'_>| write_message_with(&mut out, self.wire_format, head, body, header);
        match self.entry_point {
            EntryPoint::Method => {
                let report = self.report.map(Encoded);
                let report = report.as_ref().map(|report| report as &dyn Appendix);
                with_body(&self.plan, schema, &self.value, report, write)?;
            }
            EntryPoint::Fetch => {
                let protocol = self.wire_format.protocol;
                let report = self.report.map(|report| (protocol, report));
                let value = fetch::result(schema, &self.plan, self.value, report);
                let (plan, schema) = Method::Fetch.signature();
                with_body(plan, schema, &value, None, write)?;
            }
        }
        Ok(out)
    }
}
