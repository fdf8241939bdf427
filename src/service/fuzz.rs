//! Fuzzes calls from bytes to bytes: each call gets exactly one reply that its client can read, a oneway call none.

use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use thrift::protocol::TMessageType;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::time::Instant;

use super::metadata::RequestMetadata;
use super::{Arrival, Decision, Peer, Service};
use crate::backend::closure::{Closure, Input as BatchedAsk};
use crate::config::LimitsConfig;
use crate::error::Code;
use crate::fuzzing::{FuzzInput, hold};
use crate::metrics::LoopMetrics;
use crate::program::{Program, Registry, check};
use crate::random::Random;
use crate::thrift::{
    ClientCall, Framer, Head, Header, Limits, Protocol, ReplyError, Transport, WireFormat,
    read_head,
};
use crate::value::Value;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/zoo.toml");
/// The most messages that are served per input.
const MESSAGES_MAX: usize = 8;
/// The limit of a header's text.
const TEXT_BYTES_MAX: usize = 8 * 1024;

thread_local! {
    static LOOP: Loop = Loop::start();
}

struct Loop {
    runtime: LocalRuntime,
    program: Arc<Program>,
    service: Rc<Service>,
}

impl Loop {
    fn start() -> Self {
        let echo = |asked: BatchedAsk| async move { Ok(asked.get("value").clone()) };
        let repeat = |asked: BatchedAsk| async move {
            let times = match asked.get("times") {
                Value::I64(times) => (*times).clamp(0, 4),
                _ => 0,
            };
            Ok(Value::List(
                (0..times).map(|_| asked.get("value").clone()).collect(),
            ))
        };
        let registry: Registry = vec![
            (Arc::from("echo"), Closure::new(&["value"], echo)),
            (
                Arc::from("repeat"),
                Closure::new(&["times", "value"], repeat),
            ),
        ];
        let program = check(CONFIG, &registry).expect("a configuration without problems");
        let limits = program.limits;
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build_local(LocalOptions::default())
            .expect("a runtime");
        let program = Arc::new(program);
        let open = open(Arc::clone(&program), limits);
        let service = Rc::new(runtime.block_on(open));
        Loop {
            runtime,
            program,
            service,
        }
    }
}

async fn open(program: Arc<Program>, limits: LimitsConfig) -> Service {
    Service::open(
        program,
        limits,
        Random::seeded(1),
        &LoopMetrics::unscraped(),
        None,
    )
    .await
}

/// The first byte chooses a wire format; the rest is what a client sends.
pub(crate) fn call(bytes: &[u8]) {
    let mut input = FuzzInput(bytes);
    let transport = input.choose(&[Transport::Unframed, Transport::Header, Transport::Framed]);
    let protocol = input.choose(&[Protocol::Binary, Protocol::Compact, Protocol::BinaryOld]);
    let wire_format = WireFormat {
        transport,
        protocol,
    };
    LOOP.with(|own| {
        let mut framer = Framer::with_wire_format(wire_format, own.service.limits());
        let mut buffer = BytesMut::from(input.0);
        for _ in 0..MESSAGES_MAX {
            match framer.next(&mut buffer) {
                Ok(None) => return,
                Ok(Some(message)) => one(own, &framer, &message),
                Err(err) => {
                    let arrival = arrival(&framer);
                    let of_frame = err.is_of_frame();
                    let refused = own.service.refuse_frame(arrival, err);
                    hold(refused.is_ok() == of_frame, "a frame is answered", of_frame);
                    let Ok(Decision::Reply(reply)) = refused else {
                        return;
                    };
                    let head = head_of(arrival.wire_format, &reply);
                    hold(head.kind == TMessageType::Exception, "it is refused", head);
                }
            }
        }
    });
}

const PEER: &Peer = &Peer {
    names: Vec::new(),
    takes_tokens: true,
    meta: true,
    service: None,
};

fn arrival(framer: &Framer) -> Arrival<'_> {
    Arrival {
        unanswered: 0,
        memory: None,
        closing: None,
        overload: None,
        watched: None,
        wire_format: framer.wire_format().expect("it was given"),
        header: framer.header(),
        peer: PEER,
        at: Instant::now(),
    }
}

/// Serves one message and checks its reply.
fn one(own: &Loop, framer: &Framer, message: &Bytes) {
    let arrival = arrival(framer);
    framer
        .header()
        .iter()
        .for_each(|header| hold_metadata(header));
    let head = read_head(arrival.wire_format.protocol, message);
    let admitted = own.service.admit(arrival, message);
    hold(
        admitted.is_ok() == head.is_ok(),
        "what has a head is answered",
        message,
    );
    let (Ok(admitted), Ok((head, _))) = (admitted, head) else {
        return;
    };
    let reply = match admitted {
        Decision::Reply(reply) | Decision::Rest(reply, _) => Some(reply),
        Decision::NoReply => None,
        Decision::Serve(call) => {
            let serving = Rc::clone(&own.service).serve(call);
            own.runtime.block_on(serving)
        }
    };
    hold(
        own.service.admission.calls_in_flight() == 0,
        "a call that ended is not in flight",
        &head,
    );
    let name = head.name.as_str();
    let name = name.strip_prefix("Zoo:").unwrap_or(name);
    let schema = &own.program.services[0].schema;
    let method = own.program.services[0].service().method(name);
    let oneway = head.kind == TMessageType::OneWay || method.is_some_and(|method| method.oneway);
    hold(
        reply.is_none() == oneway,
        "each call gets a reply, a oneway call none",
        &head,
    );
    let Some(reply) = reply else { return };
    let answer = head_of(arrival.wire_format, &reply);
    hold(
        answer.sequence == head.sequence,
        "a reply has its call's number",
        answer,
    );
    if let Some(method) = method.filter(|_| head.kind == TMessageType::Call) {
        let call = ClientCall {
            schema,
            method,
            name: head.name.as_str(),
            sequence: head.sequence,
        };
        let read = call.read(
            arrival.wire_format.protocol,
            &whole(arrival.wire_format, &reply),
            &WIDE,
        );
        let readable = matches!(
            read,
            Ok(_) | Err(ReplyError::Application { in_step: true, .. })
        );
        hold(readable, "a client can read its reply", read);
    }
}

/// Limits for reading replies: a reply may contain what its call contained, as deeply nested.
const WIDE: Limits = Limits {
    frame_bytes_max: 64 << 20,
    depth_max: crate::thrift::DEPTH_CEILING,
    values_max: 10_000_000,
    inflated_bytes_max: 0,
    wire_formats: crate::thrift::WireFormats::ALL,
};

/// The single message in the bytes of a reply.
fn whole(wire_format: WireFormat, reply: &[u8]) -> Bytes {
    let mut buffer = BytesMut::from(reply);
    let mut framer = Framer::with_wire_format(wire_format, WIDE);
    let message = framer.next(&mut buffer);
    hold(
        buffer.is_empty(),
        "a reply is one message",
        (&message, &buffer),
    );
    let wire_format_of = framer.wire_format();
    hold(
        wire_format_of == Some(wire_format),
        "a reply has its call's wire format",
        wire_format_of,
    );
    framer.header().into_iter().for_each(hold_reply_header);
    message.ok().flatten().expect("a reply is a message")
}

fn head_of(wire_format: WireFormat, reply: &[u8]) -> Head {
    let (head, _) =
        read_head(wire_format.protocol, &whole(wire_format, reply)).expect("a reply has a head");
    head
}

/// Checks that a reply's headers are short and valid in other protocols, whatever the call's headers were.
fn hold_reply_header(header: &Header) {
    for (name, value) in header.headers().iter() {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let plain = !text.is_empty() && !text.chars().any(char::is_control);
        let short = value.len() <= 256 || name == b"tributary-report";
        hold(
            plain && short,
            "a reply's header is plain and short",
            header,
        );
    }
    let id = header.text("request-id");
    hold(id.is_some(), "a call has a request id", header);
    let code = header.text("tributary-code");
    let known = code.is_none_or(|code| Code::parse(code).is_some());
    hold(known, "a code is one", code);
}

/// Checks that a call's metadata is valid in logs and in the headers of other protocols.
fn hold_metadata(header: &Header) {
    let given = RequestMetadata::read(header);
    let texts = [&given.request_id, &given.traceparent, &given.tracestate];
    for text in texts.into_iter().flatten() {
        let plain = !text.is_empty() && !text.chars().any(char::is_control);
        hold(
            plain && text.len() <= TEXT_BYTES_MAX,
            "a header's text is plain",
            text,
        );
    }
    if let Some(parent) = &given.traceparent {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
        hold(
            parent.len() >= 55 && parent[..55].bytes().all(hex),
            "a traceparent is one",
            parent,
        );
    }
    let belongs = given.tracestate.is_none() || given.traceparent.is_some();
    hold(belongs, "a tracestate has a traceparent", given);
}
