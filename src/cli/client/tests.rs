//! One connection against servers that behave, and servers that do not.

use std::future::Future;

use thrift::ApplicationErrorKind;
use thrift::protocol::TMessageType;
use tokio::net::TcpListener;

use super::*;
use crate::cli::testing::schema;
use crate::idl::Type;
use crate::thrift::{Body, HeadOut, Protocol, Transport, decode_struct, read_head, write_message};

const IDL: &str = "
exception NotFound { 1: string message }
service Echo {
  string say(1: string text) throws (1: NotFound missing)
  void hush(1: string text)
  oneway void forget(1: string text)
}";

const WIRE_FORMATS: [(Transport, Protocol); 4] = [
    (Transport::Framed, Protocol::Binary),
    (Transport::Framed, Protocol::Compact),
    (Transport::Unframed, Protocol::Binary),
    (Transport::Unframed, Protocol::Compact),
];
/// Never waited for, unless a test fails.
const LONG: Duration = Duration::from_secs(30);

/// What the server of a test answers: the name and sequence id of its head, then its body.
struct Answer {
    kind: TMessageType,
    name: &'static str,
    later: i32,
    body: Option<(i16, Value)>,
}

impl Answer {
    fn returning(text: &str) -> Self {
        Answer {
            kind: TMessageType::Reply,
            name: "say",
            later: 0,
            body: Some((0, Value::from(text))),
        }
    }
}

/// Serves one connection: each call in turn gets the next answer; then the connection is closed.
async fn serve(
    listener: TcpListener,
    wire_format: WireFormat,
    schema: &Schema,
    answers: Vec<Answer>,
) {
    let (mut stream, _) = listener.accept().await.expect("the client connects");
    let mut framer = Framer::with_wire_format(wire_format, Limits::default());
    let mut received = BytesMut::new();
    let method = schema.services[0].method("say").expect("in the IDL");
    for answer in answers {
        let message = loop {
            if let Some(message) = framer.next(&mut received).expect("a message") {
                break message;
            }
            assert_ne!(stream.read_buf(&mut received).await.expect("bytes"), 0);
        };
        let (head, body) = read_head(wire_format.protocol, &message).expect("a head");
        let limits = Limits::default();
        decode_struct(schema, method.params, wire_format.protocol, &body, &limits)
            .expect("parameters");
        let ty = match answer.body {
            Some((1, _)) => &method.throws[0].ty,
            _ => method.result.as_ref().expect("a string"),
        };
        let fields: Vec<_> = answer
            .body
            .iter()
            .map(|(id, value)| (*id, ty, value))
            .collect();
        let body = match answer.kind {
            TMessageType::Exception => Body::ApplicationError {
                kind: ApplicationErrorKind::UnknownMethod,
                message: "call.unknown_method: no such method",
            },
            _ => Body::Fields {
                schema,
                fields: &fields,
            },
        };
        let head = HeadOut {
            name: answer.name,
            kind: answer.kind,
            sequence: head.sequence.wrapping_add(answer.later),
        };
        let mut out = BytesMut::new();
        write_message(&mut out, wire_format, head, body).expect("written");
        stream.write_all(&out).await.expect("sent");
    }
}

/// Runs a server with `answers` and `client` concurrently.
async fn beside<T>(
    wire_format: WireFormat,
    schema: &Schema,
    answers: Vec<Answer>,
    client: impl AsyncFnOnce(Client) -> T,
) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound").to_string();
    let client = async {
        let connected = Client::connect(&addr, wire_format, Limits::default(), LONG).await;
        client(connected.expect("it listens")).await
    };
    let (done, ()) = futures_util::join!(client, serve(listener, wire_format, schema, answers));
    done
}

fn framed() -> WireFormat {
    WireFormat {
        transport: Transport::Framed,
        protocol: Protocol::Binary,
    }
}

fn params(schema: &Schema, method: &Method) -> Value {
    Value::Record(crate::value::Record {
        names: schema.get(method.params).names.clone(),
        values: vec![Value::from("hello")],
    })
}

/// Calls `method` twice against a server with `answers`.
async fn calls(
    wire_format: WireFormat,
    method: &str,
    answers: Vec<Answer>,
) -> [Result<MethodReply, ClientError>; 2] {
    let schema = schema(IDL);
    let method = schema.services[0].method(method).expect("in the IDL");
    let params = params(&schema, method);
    let call = MethodCall {
        schema: &schema,
        method,
        service: None,
        params: &params,
        timeout: LONG,
    };
    let both = async |mut client: Client| [client.call(&call).await, client.call(&call).await];
    beside(wire_format, &schema, answers, both).await
}

fn run<T>(work: impl Future<Output = T>) -> T {
    super::super::connect::on_loop(work).expect("a loop")
}

#[test]
fn results_come_back_in_every_wire_format() {
    for (transport, protocol) in WIRE_FORMATS {
        let wire_format = WireFormat {
            transport,
            protocol,
        };
        let answers = vec![Answer::returning("one"), Answer::returning("two")];
        let [first, second] = run(calls(wire_format, "say", answers));
        assert_eq!(
            first.expect("a reply"),
            MethodReply::Returned("one".into()),
            "{wire_format}"
        );
        assert_eq!(
            second.expect("a reply"),
            MethodReply::Returned("two".into()),
            "{wire_format}"
        );
    }
}

#[test]
fn declared_exceptions_are_replies() {
    let schema = schema(IDL);
    let method = schema.services[0].method("say").expect("in the IDL");
    let Type::Struct(of) = method.throws[0].ty else {
        panic!("an exception")
    };
    let value = Value::Record(crate::value::Record {
        names: schema.get(of).names.clone(),
        values: vec!["nothing there".into()],
    });
    let threw = Answer {
        body: Some((1, value.clone())),
        ..Answer::returning("")
    };
    let [first, second] = run(calls(
        framed(),
        "say",
        vec![threw, Answer::returning("two")],
    ));
    assert_eq!(first.expect("a reply"), MethodReply::Threw { of, value });
    assert_eq!(
        second.expect("a reply"),
        MethodReply::Returned("two".into())
    );
}

#[test]
fn an_application_error_leaves_the_connection_in_use() {
    let exception = Answer {
        kind: TMessageType::Exception,
        ..Answer::returning("")
    };
    let answers = vec![exception, Answer::returning("two")];
    let [first, second] = run(calls(framed(), "say", answers));
    assert_eq!(
        first.expect_err("an exception").to_string(),
        "call.unknown_method: no such method"
    );
    assert_eq!(
        second.expect("a reply"),
        MethodReply::Returned("two".into())
    );
}

#[test]
fn another_calls_reply_is_refused_and_ends_the_connection() {
    let wrong_number = Answer {
        later: 7,
        ..Answer::returning("not yours")
    };
    let wrong_name = Answer {
        name: "shout",
        ..Answer::returning("not yours")
    };
    for (wrong, says) in [
        (
            wrong_number,
            "`say` with sequence id 8, expected `say` with 1",
        ),
        (
            wrong_name,
            "`shout` with sequence id 1, expected `say` with 1",
        ),
    ] {
        let [first, second] = run(calls(framed(), "say", vec![wrong]));
        let first = first.expect_err("out of step").to_string();
        assert_eq!(first, format!("the reply belongs to another call: {says}"));
        assert!(matches!(second, Err(ClientError::Closed)), "{second:?}");
    }
}

#[test]
fn a_missing_result_is_an_error() {
    let empty = Answer {
        body: None,
        ..Answer::returning("")
    };
    let [first, _] = run(calls(framed(), "say", vec![empty]));
    assert!(matches!(first, Err(ClientError::OutOfStep(_))), "{first:?}");
}

#[test]
fn a_server_that_hangs_up_is_an_error() {
    let [first, second] = run(calls(framed(), "say", Vec::new()));
    assert!(
        matches!(first, Err(ClientError::Closed | ClientError::Io(_))),
        "{first:?}"
    );
    assert!(matches!(second, Err(ClientError::Closed)), "{second:?}");
}

#[test]
fn void_and_oneway_return_nothing() {
    let quiet = Answer {
        name: "hush",
        body: None,
        ..Answer::returning("")
    };
    let [first, _] = run(calls(framed(), "hush", vec![quiet]));
    assert_eq!(first.expect("a reply"), MethodReply::Returned(Value::Null));
    let [first, second] = run(calls(framed(), "forget", Vec::new()));
    assert_eq!(first.expect("sent"), MethodReply::Sent);
    drop(second); // The server may have disconnected by then.
}

#[test]
fn a_late_reply_is_never_mistaken_for_another_calls() {
    let schema = schema(IDL);
    let method = schema.services[0].method("say").expect("in the IDL");
    let params = params(&schema, method);
    let call = |timeout| MethodCall {
        schema: &schema,
        method,
        service: None,
        params: &params,
        timeout,
    };
    let (first, second) = run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound").to_string();
        let connected = Client::connect(&addr, framed(), Limits::default(), LONG).await;
        let mut client = connected.expect("it listens");
        // The server never answers.
        (
            client.call(&call(Duration::from_millis(1))).await,
            client.call(&call(LONG)).await,
        )
    });
    assert!(matches!(first, Err(ClientError::Timeout(_))), "{first:?}");
    assert!(matches!(second, Err(ClientError::Closed)), "{second:?}");
}

#[test]
fn a_refused_connection_is_an_error_with_the_address() {
    let err = run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound").to_string();
        drop(listener);
        let connected = Client::connect(&addr, framed(), Limits::default(), LONG).await;
        (connected.expect_err("no server listens"), addr)
    });
    assert!(
        matches!(&err.0, ClientError::Connect { addr, .. } if *addr == err.1),
        "{err:?}"
    );
}

#[test]
fn a_server_that_speaks_tls_is_identified() {
    let schema = schema(IDL);
    let method = schema.services[0].method("say").expect("in the IDL");
    let params = params(&schema, method);
    let call = MethodCall {
        schema: &schema,
        method,
        service: None,
        params: &params,
        timeout: LONG,
    };
    let said = run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound").to_string();
        let connected = Client::connect(&addr, framed(), Limits::default(), LONG).await;
        let mut client = connected.expect("it listens");
        let (mut stream, _) = listener.accept().await.expect("it has connected");
        let alert = b"\x15\x03\x03\x00\x02\x02\x32";
        stream.write_all(alert).await.expect("it is read");
        client.call(&call).await
    });
    let err = said.expect_err("no reply");
    assert_eq!(err.to_string(), "the server speaks TLS on this port");
}
