//! Services that send nothing, the wrong thing, half a reply, or a late reply.

use super::*;
use crate::offload::offloaded;

/// What `asked` calls of `say` get, and what the service saw.
async fn outcomes(acts: Vec<Act>, asked: &[i64]) -> (Vec<Result<Value, Code>>, Vec<String>) {
    let service = Scripted::start(acts).await;
    let backend = service.backend("").await;
    let mut outcomes = Vec::new();
    for n in asked {
        until(&backend, |counts| counts.up == 1).await;
        outcomes.push(said(&backend, *n).await);
    }
    let seen = service.seen.borrow().clone();
    (outcomes, seen)
}

fn half(head: &Head) -> BytesMut {
    let mut bytes = SayReply::new("never whole").bytes(head);
    bytes.truncate(bytes.len() / 2);
    bytes
}

#[tokio::test(flavor = "local")]
async fn a_call_is_asked_once_more_when_its_connection_breaks() {
    let acts = vec![
        say("one"),
        Act::Last(Box::new(half)),
        say("two"),
        Act::Close,
        say("three"),
    ];
    let (outcomes, seen) = outcomes(acts, &[1, 2, 3]).await;
    assert_eq!(
        outcomes,
        [Ok("one".into()), Ok("two".into()), Ok("three".into())]
    );
    let calls: Vec<_> = seen.iter().filter(|line| *line != "closed").collect();
    assert_eq!(calls, ["say 1", "say 2", "say 2", "say 3", "say 3"]);
}

#[tokio::test(flavor = "local")]
async fn a_call_that_breaks_two_connections_is_unavailable() {
    let acts = vec![
        say("one"),
        Act::Last(Box::new(half)),
        Act::Last(Box::new(half)),
        say("three"),
    ];
    let (outcomes, _) = outcomes(acts, &[1, 2, 3]).await;
    let unavailable = Err(Code::LookupUnavailable);
    assert_eq!(
        outcomes,
        [Ok("one".into()), unavailable, Ok("three".into())]
    );
}

/// A reply to the first call that is not its own costs its connection; the second call gets its own.
async fn is_bad(act: Act, code: Code) {
    let (outcomes, seen) = outcomes(vec![act, say("two")], &[1, 2]).await;
    assert_eq!(outcomes, [Err(code), Ok("two".into())]);
    assert_eq!(seen, ["say 1", "closed", "say 2"]);
}

#[tokio::test(flavor = "local")]
async fn replies_of_another_number_name_or_type_are_bad_answers() {
    let of_another_number = SayReply {
        later: 1,
        ..SayReply::new("another's")
    };
    is_bad(of_another_number.act(), Code::LookupBadAnswer).await;
    let of_another_name = SayReply {
        name: Some("shout"),
        ..SayReply::new("another's")
    };
    is_bad(of_another_name.act(), Code::LookupBadAnswer).await;
    let of_another_type = SayReply {
        text: 7.into(),
        ty: Type::I64,
        ..SayReply::new("")
    };
    is_bad(of_another_type.act(), Code::LookupBadAnswer).await;
}

#[tokio::test(flavor = "local")]
async fn an_exception_that_the_idl_does_not_have_is_not_an_empty_result() {
    let unknown = SayReply {
        field: 9,
        ..SayReply::new("")
    };
    is_bad(unknown.act(), Code::LookupBadAnswer).await;
}

#[tokio::test(flavor = "local")]
async fn a_call_instead_of_a_reply_is_a_bad_answer() {
    let call = |head: &Head| {
        let head = HeadOut {
            name: "say",
            kind: TMessageType::Call,
            sequence: head.sequence,
        };
        let (schema, fields) = (&Schema::default(), &[]);
        written(framed_binary(), head, Body::Fields { schema, fields })
    };
    is_bad(Act::Write(Box::new(call)), Code::LookupBadAnswer).await;
}

#[tokio::test(flavor = "local")]
async fn bytes_that_are_not_thrift_are_a_bad_answer_and_a_huge_frame_too_many() {
    let raw = |bytes: &'static [u8]| Act::Write(Box::new(move |_| BytesMut::from(bytes)));
    is_bad(raw(&[0, 0, 0, 2, 0xff, 0xff]), Code::LookupBadAnswer).await;
    is_bad(raw(&[0xff, 0xff, 0xff, 0xff]), Code::LookupBadAnswer).await;
    is_bad(raw(&[0x7f, 0xff, 0xff, 0xff]), Code::LookupTooMany).await;
}

#[tokio::test(flavor = "local")]
async fn a_server_of_tls_or_http_is_unavailable_and_the_error_says_why() {
    let tls: &[u8] = &[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x32];
    let http: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    let wire_format = |transport, protocol| WireFormat {
        transport,
        protocol,
    };
    for (keys, wire_format) in [
        ("", framed_binary()),
        (
            "transport = 'header'",
            wire_format(Transport::Header, Protocol::Binary),
        ),
        (
            "transport = 'unframed'",
            wire_format(Transport::Unframed, Protocol::Binary),
        ),
        (
            "transport = 'unframed'\nprotocol = 'compact'",
            wire_format(Transport::Unframed, Protocol::Compact),
        ),
    ] {
        for (bytes, words) in [
            (
                tls,
                "the service speaks TLS on this port: write `thrifts://`",
            ),
            (http, "this is an HTTP server, not a Thrift service"),
        ] {
            let act = Act::Write(Box::new(move |_| BytesMut::from(bytes)));
            let service = Scripted::speaking(wire_format, vec![act]).await;
            let urls = std::slice::from_ref(&service.url);
            let config = config_of(urls, &format!("{ONE}{keys}"));
            let backend = Thrift::connect(&config, &[], &crate::backend::OnLoop::default()).await;
            let say = testing::lookup::<Thrift>(&config, "call = 'say'").expect("a lookup");
            let asked = testing::ask_within(&backend, &say, &[("n", 1.into())], PATIENCE).await;
            let err = asked.expect_err(words);
            assert_eq!(err.code, Code::LookupUnavailable, "{keys}: {err}");
            assert!(err.detail.contains(words), "{keys}: {err}");
        }
    }
}

/// After the first reply it is known that the service speaks Thrift.
#[tokio::test(flavor = "local")]
async fn a_later_frame_that_is_too_large_is_not_mistaken_for_another_protocol() {
    let http = |_: &Head| BytesMut::from(&b"HTTP"[..]);
    let acts = vec![say("one"), Act::Write(Box::new(http)), say("three")];
    let (outcomes, _) = outcomes(acts, &[1, 2, 3]).await;
    let too_many = Err(Code::LookupTooMany);
    assert_eq!(outcomes, [Ok("one".into()), too_many, Ok("three".into())]);
}

#[tokio::test(flavor = "local")]
async fn bytes_after_the_reply_cost_the_connection() {
    let doubled = |head: &Head| {
        let mut bytes = SayReply::new("one").bytes(head);
        let again = bytes.clone();
        bytes.extend_from_slice(&again);
        bytes
    };
    let (outcomes, seen) = outcomes(vec![Act::Write(Box::new(doubled)), say("two")], &[1, 2]).await;
    assert_eq!(outcomes, [Ok("one".into()), Ok("two".into())]);
    assert_eq!(seen, ["say 1", "closed", "say 2"]);
}

#[tokio::test(flavor = "local")]
async fn a_reply_that_comes_after_its_lookup_was_dropped_reaches_no_other() {
    let gate = Rc::new(Notify::new());
    let late = |head: &Head| SayReply::new("late").bytes(head);
    let acts = vec![Act::Gated(Rc::clone(&gate), Box::new(late)), say("two")];
    let service = Scripted::start(acts).await;
    let backend = service.patient_backend("").await;
    dropped_when(said(&backend, 1), service.sees(|seen| seen.len() == 1)).await;
    // The next lookup waits for the connection, whose reply is read first.
    gate.notify_one();
    assert_eq!(said(&backend, 2).await, Ok("two".into()));
    assert_eq!(*service.seen.borrow(), ["say 1", "say 2"]);
}

#[tokio::test(flavor = "local")]
async fn a_reply_that_never_comes_costs_its_connection_once_its_lookup_is_dropped() {
    let service = Scripted::start(vec![Act::Silence, say("two")]).await;
    let backend = service.backend("").await;
    dropped_when(said(&backend, 1), service.sees(|seen| seen.len() == 1)).await;
    assert_eq!(said(&backend, 2).await, Ok("two".into()));
    service.sees(|seen| seen.contains(&"closed".into())).await;
    let calls = service.seen.borrow().clone();
    assert_eq!(calls.iter().filter(|call| *call != "closed").count(), 2);
}

#[tokio::test(flavor = "local")]
async fn half_a_reply_is_given_up_too() {
    let service = Scripted::start(vec![Act::Write(Box::new(half)), say("two")]).await;
    let backend = service.backend("").await;
    dropped_when(said(&backend, 1), service.sees(|seen| seen.len() == 1)).await;
    assert_eq!(said(&backend, 2).await, Ok("two".into()));
}

#[tokio::test(flavor = "local")]
async fn a_lookup_dropped_before_it_was_sent_is_never_sent() {
    let gate = Rc::new(Notify::new());
    let one = |head: &Head| SayReply::new("one").bytes(head);
    let acts = vec![Act::Gated(Rc::clone(&gate), Box::new(one)), say("three")];
    let service = Scripted::start(acts).await;
    let backend = service.patient_backend("").await;
    let first = said(&backend, 1);
    let others = async {
        service.sees(|seen| seen.len() == 1).await;
        dropped_when(said(&backend, 2), tokio::task::yield_now()).await;
        gate.notify_one();
        said(&backend, 3).await
    };
    let (first, third) = futures_util::join!(first, others);
    assert_eq!((first, third), (Ok("one".into()), Ok("three".into())));
    assert_eq!(*service.seen.borrow(), ["say 1", "say 3"]);
}

#[tokio::test(flavor = "local")]
async fn a_large_reply_is_decoded_elsewhere_and_costs_its_connection_if_it_does_not_decode() {
    let large = "x".repeat(100_000);
    let text = large.clone();
    let whole = move |head: &Head| SayReply::new(&text).bytes(head);
    let text = large.clone();
    // The text is longer than the message says.
    let broken = move |head: &Head| {
        let mut bytes = SayReply::new(&text).bytes(head);
        let at = bytes.len() - 100_000 - 10;
        let length = (at..bytes.len())
            .find(|at| bytes[at + 4] == b'x')
            .expect("the text");
        bytes[length..length + 4].copy_from_slice(&200_000_u32.to_be_bytes());
        bytes
    };
    let acts = vec![
        Act::Write(Box::new(whole)),
        Act::Write(Box::new(broken)),
        say("three"),
    ];
    let service = Scripted::start(acts).await;
    let backend = service.backend("").await;
    let config = config_of(std::slice::from_ref(&service.url), ONE);
    let say = testing::lookup::<Thrift>(&config, "call = 'say'").expect("a lookup");
    let ask =
        async |n: i64| testing::ask_within(&backend, &say, &[("n", n.into())], PATIENCE).await;
    let jobs = offloaded().jobs;
    assert_eq!(ask(1).await.expect("it decodes"), large.into());
    assert!(offloaded().jobs > jobs);

    let err = ask(2).await.expect_err("it does not decode");
    assert_eq!(err.code, Code::LookupBadAnswer);
    service.sees(|seen| seen.contains(&"closed".into())).await;
    assert_eq!(ask(3).await.expect("another connection"), "three".into());
    assert_eq!(
        *service.seen.borrow(),
        ["say 1", "say 2", "closed", "say 3"]
    );
}
