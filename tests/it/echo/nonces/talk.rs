//! One connection: the writer does not wait for replies, the reader compares each reply with its call.

use std::sync::Arc;

use bytes::BytesMut;
use futures_util::future::try_join;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tributary::idl::{Method, Schema};
use tributary::random::Random;
use tributary::thrift::{ClientCall, Framer, Limits, ReplyContent, ReplyError, WireFormat};

use super::Sent;
use super::calls::{Call, Calls, Expected, equal};
use crate::support::PATIENCE;

/// The most bytes per write; messages are cut anywhere.
const WRITE_BYTES: u64 = 8 * 1024;

/// Makes all calls of the series; the error says which reply was wrong.
pub(super) async fn talk(
    stream: impl AsyncRead + AsyncWrite,
    calls: Calls,
    schema: Arc<Schema>,
) -> Result<Sent, String> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let writing = write(&mut writer, calls.clone(), &schema);
    let reading = read(&mut reader, calls, &schema);
    let ((), (sent, rest)) = try_join(writing, reading).await?;
    // After the last reply, nothing else may arrive.
    let ended = writer.shutdown().await;
    ended.map_err(|err| format!("it does not end: {err}"))?;
    let mut rest = rest.to_vec();
    let read = reader.read_to_end(&mut rest).await;
    read.map_err(|err| format!("it ends badly: {err}"))?;
    if rest.is_empty() {
        Ok(sent)
    } else {
        Err(format!("{} bytes after the last reply", rest.len()))
    }
}

async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    calls: Calls,
    schema: &Schema,
) -> Result<(), String> {
    let wire_format = calls.wire_format;
    let mut random = Random::seeded(calls.size_hint().0 as u64);
    let mut out = BytesMut::new();
    let mut enough = 0;
    for call in calls {
        with_outgoing(&call, schema, |outgoing| {
            let names = &schema.get(outgoing.method.params).names;
            let wire_format = WireFormat {
                protocol: call.protocol,
                ..wire_format
            };
            outgoing.write(&mut out, wire_format, &call.params(names), &[])
        })
        .map_err(|err| format!("{call:?} can't be written: {err}"))?;
        if out.len() >= enough {
            let cut = out.split_to(out.len() - out.len() % 7);
            send(writer, &cut).await?;
            enough = usize::try_from(random.draw() % WRITE_BYTES).expect("small");
        }
    }
    send(writer, &out).await
}

async fn send(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), String> {
    let written = writer.write_all(bytes).await;
    written.map_err(|err| format!("it takes no more: {err}"))?;
    let flushed = writer.flush().await;
    flushed.map_err(|err| format!("it takes no more: {err}"))
}

/// Reads a reply for each call that has one; returns the counts and the remaining bytes.
async fn read(
    reader: &mut (impl AsyncRead + Unpin),
    calls: Calls,
    schema: &Schema,
) -> Result<(Sent, BytesMut), String> {
    let mut framer = Framer::with_wire_format(calls.wire_format, Limits::default());
    let mut buffer = BytesMut::new();
    let mut sent = Sent::default();
    for call in calls {
        sent.stored += call.stored();
        if call.method == "tell" {
            sent.told.push(call.nonce);
            continue;
        }
        let message = loop {
            let next = framer.next(&mut buffer);
            match next.map_err(|err| format!("before the reply to {call:?}: {err}"))? {
                Some(message) => break message,
                None => receive(reader, &mut buffer)
                    .await
                    .map_err(|err| format!("before the reply to {call:?}: {err}"))?,
            }
        };
        if let Some(header) = framer.header()
            && header.sequence() != call.sequence
        {
            return Err(format!(
                "a frame numbered {} for {call:?}",
                header.sequence()
            ));
        }
        let protocol = framer.wire_format().map(|wire_format| wire_format.protocol);
        if protocol != Some(call.protocol) {
            return Err(format!("a reply in {protocol:?} to {call:?}"));
        }
        let limits = Limits::default();
        let said = with_outgoing(&call, schema, |outgoing| {
            outgoing.read(call.protocol, &message, &limits)
        });
        check(&call, &said)?;
        sent.answered += 1;
    }
    Ok((sent, buffer))
}

async fn receive(
    reader: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> Result<(), String> {
    match timeout(PATIENCE, reader.read_buf(buffer)).await {
        Ok(Ok(0)) => Err("the connection ends".into()),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(err)) => Err(err.to_string()),
        Err(_elapsed) => Err("nothing comes".into()),
    }
}

/// Checks name and sequence id with the codec, then the values.
fn check(call: &Call, said: &Result<ReplyContent, ReplyError>) -> Result<(), String> {
    let right = match (call.expected(), said) {
        (Expected::Returned(expected), Ok(ReplyContent::Returned(got)))
        | (Expected::Threw(expected), Ok(ReplyContent::Threw { value: got, .. })) => {
            equal(&expected, got)
        }
        (Expected::Unknown, Err(ReplyError::Application { kind, in_step, .. })) => {
            *kind == 1 && *in_step
        }
        _ => false,
    };
    if right {
        Ok(())
    } else {
        Err(format!("{call:?} was answered with {said:?}"))
    }
}

fn with_outgoing<T>(call: &Call, schema: &Schema, with: impl FnOnce(ClientCall<'_>) -> T) -> T {
    let method: &Method = schema.services[0].method(call.method).expect("it is there");
    let prefixed;
    let name = if call.multiplexed {
        prefixed = format!("Nonces:{}", call.method);
        &prefixed
    } else {
        call.method
    };
    with(ClientCall {
        schema,
        method,
        name,
        sequence: call.sequence,
    })
}
