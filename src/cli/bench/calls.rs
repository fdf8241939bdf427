//! Encodes the calls of a run once, before it begins.
//!
//! In: the parameters. Out: messages with different sequence ids, each with the expected first bytes of its reply, so that
//! checking the head of a reply takes one comparison.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use thrift::protocol::TMessageType;

use crate::cli::error::{CommandError, Reason};
use crate::cli::{method::ResolvedMethod, params::ParamTree};
use crate::thrift::{
    Body, HeadOut, HeaderOut, Transport, WireError, WireFormat, write_message, write_message_with,
};
use crate::value::Value;

/// A connection makes at least this many calls before a sequence id repeats.
const SEQUENCES: usize = 1024;
/// The limit of lines in a file of parameters.
const LINES_MAX: usize = 1_000_000;

/// A call as bytes.
#[derive(Debug)]
pub(super) struct Encoded {
    /// The whole message.
    pub(super) bytes: Bytes,
    /// The first bytes of its reply, without the frame's length.
    pub(super) reply_head: Bytes,
    /// The index of its parameters.
    pub(super) params: usize,
}

/// The transport and protocol of calls, and their headers.
type Sent<'a> = (WireFormat, &'a [(String, String)]);

/// The calls, used in turn.
#[derive(Debug)]
pub(super) struct EncodedCalls(Vec<Encoded>);

impl EncodedCalls {
    /// Encodes calls of `params`, which are not empty.
    pub(super) fn encode(
        found: &ResolvedMethod,
        sent: Sent<'_>,
        params: &[Value],
    ) -> Result<Self, CommandError> {
        let count = SEQUENCES.next_multiple_of(params.len()).max(params.len());
        let list = (0..count).map(|at| encode(found, sent, params, at));
        list.collect::<Result<_, WireError>>()
            .map(EncodedCalls)
            .map_err(|err| CommandError::failed(format_args!("the call can't be encoded: {err}")))
    }

    /// The call at `at`; after the last one they start over.
    pub(super) fn get(&self, at: usize) -> &Encoded {
        &self.0[at % self.0.len()]
    }
}

fn encode(
    found: &ResolvedMethod,
    (wire_format, headers): Sent<'_>,
    params: &[Value],
    at: usize,
) -> Result<Encoded, WireError> {
    let method = found.method();
    // Replies have the method's bare name.
    let called = match found.prefix() {
        None => method.name.to_string(),
        Some(service) => format!("{service}:{}", method.name),
    };
    let head = |kind| HeadOut {
        name: match kind {
            TMessageType::Call => &called,
            _ => &method.name,
        },
        kind,
        sequence: i32::try_from(at + 1).unwrap_or(i32::MAX),
    };
    let body = Body::Params {
        schema: &found.schema,
        id: method.params,
        record: &params[at % params.len()],
    };
    let mut call = BytesMut::new();
    let pairs = headers.iter();
    let pairs: Vec<(&str, &[u8])> = pairs
        .map(|(name, value)| (&**name, value.as_bytes()))
        .collect();
    let head_of_call = head(TMessageType::Call);
    let header = HeaderOut {
        sequence: head_of_call.sequence,
        pairs: &pairs,
    };
    write_message_with(&mut call, wire_format, head_of_call, body, header)?;
    let mut reply = BytesMut::new();
    let bare = WireFormat {
        transport: Transport::Unframed,
        ..wire_format
    };
    let nothing = Body::Fields {
        schema: &found.schema,
        fields: &[],
    };
    write_message(&mut reply, bare, head(TMessageType::Reply), nothing)?;
    // The body of an empty result is one byte, which ends it.
    reply.truncate(reply.len() - 1);
    Ok(Encoded {
        bytes: call.freeze(),
        reply_head: reply.freeze(),
        params: at % params.len(),
    })
}

/// Reads parameters from a file, one JSON object per line; empty lines are skipped.
pub(super) fn read_lines(found: &ResolvedMethod, path: &Path) -> Result<Vec<Value>, CommandError> {
    let unreadable =
        |err| CommandError::misuse(format_args!("`--json-lines`: {}: {err}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    let mut all = Vec::new();
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(unreadable)?;
        if line.trim().is_empty() {
            continue;
        }
        if all.len() == LINES_MAX {
            let message = format!("`--json-lines`: more than {LINES_MAX} lines");
            return Err(CommandError::misuse(message));
        }
        let mut params = ParamTree::new(&found.schema, found.method());
        let fitted = params.json(&line).and_then(|()| params.finish());
        all.push(fitted.map_err(|failure| at_line(failure, path, at + 1))?);
    }
    if all.is_empty() {
        let message = format!("`--json-lines`: {} has no lines", path.display());
        return Err(CommandError::misuse(message));
    }
    Ok(all)
}

fn at_line(mut failure: CommandError, path: &Path, line: usize) -> CommandError {
    if let Reason::One { message, .. } = &mut failure.reason {
        let said = message.strip_prefix("`--json`: ").unwrap_or(message);
        *message = format!("{}, line {line}: {said}", path.display());
    }
    failure
}
