//! Checks whether a reply is right.
//!
//! The cheap check compares the bytes of the head, and that the first field is the result. Only a reply that fails it is
//! decoded, to report what it is. With `--verify` all replies are decoded and compared.

use std::cell::RefCell;
use std::collections::HashMap;

use bytes::Bytes;
use thrift::protocol::TMessageType;

use super::calls::Encoded;
use crate::cli::{client::ClientError, method::ResolvedMethod, reply::result_json};
use crate::error::Code;
use crate::idl::Type;
use crate::thrift::{
    Head, Limits, Protocol, WireError, decode_application_error, decode_result, read_head,
    starts_with_result,
};
use crate::value::Value;

/// Checks the replies of one run.
#[derive(Debug)]
pub(super) struct Checker {
    found: ResolvedMethod,
    protocol: Protocol,
    limits: Limits,
    /// The first reply for each of the parameters, without its report, if all are to be compared.
    firsts: Option<RefCell<HashMap<usize, Value>>>,
}

/// What is wrong with a reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It answers the call, but with an error or a wrong result, of this kind.
    Answer(String),
    /// It does not answer the call: the connection can no longer be trusted.
    Stray(String),
}

impl Checker {
    /// Checks replies of a method.
    pub(super) fn new(found: ResolvedMethod, protocol: Protocol, verify: bool) -> Self {
        Checker {
            found,
            protocol,
            limits: Limits::default(),
            firsts: verify.then(RefCell::default),
        }
    }

    /// Checks the reply to `call`.
    pub(super) fn check(&self, call: &Encoded, message: &Bytes) -> Result<(), Wrong> {
        let length = call.reply_head.len();
        if !message.starts_with(&call.reply_head) {
            return Err(self
                .explain(call, message)
                .unwrap_or_else(|err| unreadable(&err)));
        }
        let body = message.slice(length..);
        if self.firsts.is_none() && self.holds_result(&body) {
            return Ok(());
        }
        self.look_inside(call, &body)
            .unwrap_or_else(|err| Err(unreadable(&err)))
    }

    /// Whether the body starts with field 0, or is an empty struct if the method returns nothing.
    fn holds_result(&self, body: &Bytes) -> bool {
        match self.found.method().result {
            Some(_) => starts_with_result(self.protocol, body),
            None => **body == [0],
        }
    }

    /// Explains a message whose head is not that of the reply.
    fn explain(&self, call: &Encoded, message: &Bytes) -> Result<Wrong, WireError> {
        let (head, body) = read_head(self.protocol, message)?;
        let (asked, _) = read_head(self.protocol, &call.reply_head)?;
        if head.kind == TMessageType::Exception && head.sequence == asked.sequence {
            let (kind, text) = decode_application_error(self.protocol, &body, &self.limits)?;
            // Only the code, since messages may differ from call to call.
            let code = text.as_str().split(':').next().and_then(Code::parse);
            let message = code.map_or("without a code", Code::as_str).to_owned();
            return Ok(Wrong::Answer(
                ClientError::Application { kind, message }.to_string(),
            ));
        }
        Ok(Wrong::Stray(stray(&head, &asked)))
    }

    fn look_inside(&self, call: &Encoded, body: &Bytes) -> Result<Result<(), Wrong>, WireError> {
        let method = self.found.method();
        let fields: Vec<(i16, &Type)> = (method.result.iter().map(|ty| (0, ty)))
            .chain(method.throws.iter().map(|throw| (throw.id, &throw.ty)))
            .collect();
        let schema = &self.found.schema;
        Ok(
            match decode_result(schema, &fields, self.protocol, body, &self.limits)? {
                Some((0, value)) => self.compare(call, value),
                None if method.result.is_none() => Ok(()),
                None => Err(Wrong::Answer("the reply holds no result".into())),
                Some((id, value)) => Err(Wrong::Answer(self.thrown(id, &value))),
            },
        )
    }

    /// `LookupFailed (call.required_empty)`
    fn thrown(&self, id: i16, value: &Value) -> String {
        let mut throws = self.found.method().throws.iter();
        let name = match throws.find(|throw| throw.id == id).map(|throw| &throw.ty) {
            Some(Type::Struct(of)) => self.found.schema.get(*of).name.to_string(),
            _ => "an exception".into(),
        };
        let code = value.get("code").and_then(Value::as_str);
        match code.and_then(Code::parse) {
            Some(code) => format!("{name} ({code})"),
            None => name,
        }
    }

    fn compare(&self, call: &Encoded, mut value: Value) -> Result<(), Wrong> {
        let Some(firsts) = &self.firsts else {
            return Ok(());
        };
        if let (Value::Record(record), Some(report)) = (&mut value, self.found.report_field())
            && let Some(at) = record.names.position(report)
        {
            record.values[at] = Value::Null;
        }
        let mut firsts = firsts.borrow_mut();
        let first = firsts.entry(call.params).or_insert_with(|| value.clone());
        // In JSON a NaN equals a NaN.
        if *first == value || result_json(&self.found, first) == result_json(&self.found, &value) {
            Ok(())
        } else {
            let kind = "the reply differs from the first one for the same parameters";
            Err(Wrong::Answer(kind.into()))
        }
    }
}

fn stray(head: &Head, asked: &Head) -> String {
    if head.name != asked.name {
        "a reply of another method".into()
    } else if head.sequence != asked.sequence {
        "a reply with another sequence id".into()
    } else {
        "a message that is not a reply".into()
    }
}

fn unreadable(err: &WireError) -> Wrong {
    Wrong::Stray(format!("the reply can't be read ({})", err.code))
}
