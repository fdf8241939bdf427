//! A server's message in response to a call: a result, an exception, or something that is not a reply.

use bytes::Bytes;

use crate::fuzzing::{FuzzInput, hold, hold_type, zoo};
use crate::idl::Type;
use crate::thrift::{ClientCall, Protocol, ReplyContent, ReplyError};

use super::values::LIMITS;

/// The first byte chooses the protocol, the second the method; the rest is the message.
pub(crate) fn reply(bytes: &[u8]) {
    let mut input = FuzzInput(bytes);
    let protocol = input.choose(&[Protocol::Binary, Protocol::Compact, Protocol::BinaryOld]);
    let methods = &zoo().services[0].methods;
    let method = &methods[usize::from(input.byte()) % methods.len()];
    let call = ClientCall {
        schema: zoo(),
        method,
        name: &format!("Zoo:{}", method.name),
        sequence: 7,
    };
    let message = Bytes::copy_from_slice(input.0);
    let read = call.read(protocol, &message, &LIMITS);
    let answered = call.answered_by(protocol, &message);
    match &read {
        Ok(said) => {
            hold(answered.is_ok(), "what is read is this call's", said);
            match (said, &method.result) {
                (ReplyContent::Returned(value), Some(ty)) => hold_type(zoo(), ty, value),
                (ReplyContent::Returned(value), None) => {
                    hold(value.is_null(), "void is null", value);
                }
                (ReplyContent::Threw { of, value }, _) => {
                    hold_type(zoo(), &Type::Struct(*of), value);
                }
                (ReplyContent::Missing, result) => {
                    hold(result.is_some(), "void is not missing", result);
                }
            }
        }
        Err(ReplyError::Application { in_step, .. }) => {
            hold(
                answered.is_ok() || !in_step,
                "a reply in step is this call's",
                in_step,
            );
        }
        Err(ReplyError::OutOfStep(_)) => hold(answered.is_err(), "one out of step is not", read),
        Err(ReplyError::Wire(err)) => {
            hold(err.detail.len() < 1000, "a detail is short", err);
        }
    }
}
