//! Several calls on one connection at a time.

use futures_util::future::join_all;

use super::*;

const PIPELINED: &str = "pipelined_max = 4";

#[tokio::test(flavor = "local")]
async fn calls_of_one_loop_iteration_go_out_in_one_write_within_the_limit() {
    let acts = (1..=6).map(|n| say(&n.to_string())).collect();
    let service = Scripted::start(acts).await;
    let backend = service.backend(PIPELINED).await;
    until(&backend, |counts| counts.up == 1).await;
    let answers = join_all((1..=6).map(|n| said(&backend, n))).await;
    let expected: Vec<_> = (1..=6).map(|n| Ok(n.to_string().into())).collect();
    assert_eq!(answers, expected);
    assert_eq!(service.seen.borrow()[0], "say 1, say 2, say 3, say 4");
}

#[tokio::test(flavor = "local")]
async fn one_at_a_time_is_the_default() {
    let acts = (1..=3).map(|n| say(&n.to_string())).collect();
    let service = Scripted::start(acts).await;
    let backend = service.backend("").await;
    let answers = join_all((1..=3).map(|n| said(&backend, n))).await;
    let expected: Vec<_> = (1..=3).map(|n| Ok(n.to_string().into())).collect();
    assert_eq!(answers, expected);
    assert_eq!(*service.seen.borrow(), ["say 1", "say 2", "say 3"]);
}

#[tokio::test(flavor = "local")]
async fn a_dropped_lookup_keeps_its_place_in_the_pipeline() {
    let gate = Rc::new(Notify::new());
    let one = |head: &Head| SayReply::new("one").bytes(head);
    let acts = vec![
        Act::Gated(Rc::clone(&gate), Box::new(one)),
        say("two"),
        say("three"),
    ];
    let service = Scripted::start(acts).await;
    let backend = service.patient_backend(PIPELINED).await;
    until(&backend, |counts| counts.up == 1).await;
    let third = async {
        let first_two = futures_util::future::join(said(&backend, 1), said(&backend, 2));
        dropped_when(first_two, service.sees(|seen| seen.len() == 1)).await;
        gate.notify_one();
        said(&backend, 3).await
    };
    assert_eq!(third.await, Ok("three".into()));
    assert!(!service.seen.borrow().contains(&"closed".into()));
}

#[tokio::test(flavor = "local")]
async fn replies_in_another_order_reach_no_lookup() {
    // The service answers the second call first: the first call fails, and the second is asked again.
    let swapped = SayReply {
        later: 1,
        ..SayReply::new("two")
    };
    let acts = vec![swapped.act(), Act::Silence, say("two")];
    let service = Scripted::start(acts).await;
    let backend = service.backend(PIPELINED).await;
    until(&backend, |counts| counts.up == 1).await;
    let answers = join_all([said(&backend, 1), said(&backend, 2)]).await;
    assert_eq!(answers, [Err(Code::LookupBadAnswer), Ok("two".into())]);
}

#[tokio::test(flavor = "local")]
async fn a_broken_connection_loses_no_later_call() {
    let acts = vec![say("one"), Act::Close, say("two"), say("three")];
    let service = Scripted::start(acts).await;
    let backend = service.backend(PIPELINED).await;
    until(&backend, |counts| counts.up == 1).await;
    let answers = join_all((1..=3).map(|n| said(&backend, n))).await;
    let expected = ["one", "two", "three"].map(|text| Ok(Value::from(text)));
    assert_eq!(answers, expected);
}

#[tokio::test(flavor = "local")]
async fn every_shape_carries_calls_and_replies() {
    for transport in ["framed", "unframed"] {
        for protocol in ["binary", "compact"] {
            let wire_format = WireFormat {
                transport: match transport {
                    "framed" => Transport::Framed,
                    _ => Transport::Unframed,
                },
                protocol: match protocol {
                    "binary" => Protocol::Binary,
                    _ => Protocol::Compact,
                },
            };
            let reply = move |head: &Head| {
                let head = HeadOut {
                    // As Apache's servers do: without the service's name.
                    name: "say",
                    kind: TMessageType::Reply,
                    sequence: head.sequence,
                };
                let (schema, text) = (&Schema::default(), Value::from("hello"));
                let fields = &[(0, &Type::String, &text)];
                written(wire_format, head, Body::Fields { schema, fields })
            };
            let acts = (0..2).map(|_| Act::Write(Box::new(reply) as _)).collect();
            let service = Scripted::speaking(wire_format, acts).await;
            let keys = format!(
                "{ONE}transport = '{transport}'\nprotocol = '{protocol}'\nmultiplexed = true"
            );
            let config = config_of(std::slice::from_ref(&service.url), &keys);
            let call = testing::lookup::<Thrift>(&config, "call = 'say'").expect("a lookup");
            let backend = Thrift::connect(&config, &[], &crate::backend::OnLoop::default()).await;
            for n in [1, 2] {
                let answer = testing::ask(&backend, &call, &[("n", n.into())]).await;
                assert_eq!(answer.expect("an answer"), "hello".into(), "{wire_format}");
            }
            assert_eq!(*service.seen.borrow(), ["Users:say 1", "Users:say 2"]);
        }
    }
}

#[tokio::test(flavor = "local")]
async fn calls_over_the_waiting_limit_are_shed() {
    let service = Scripted::start(vec![Act::Silence]).await;
    let backend = service.patient_backend("").await;
    let call = compiled("call = 'say'").lookup;
    let one = [Value::I64(1)];
    let now = tokio::time::Instant::now();
    let context = crate::context::Context::new(now, now + PATIENCE);
    let ask = || {
        let ask = Ask {
            params: &one,
            context: &context,
            deadline: now + PATIENCE,
            allowed: Duration::ZERO,
            step: 0,
        };
        backend.lookup(&call, ask)
    };
    dropped_when(ask(), service.sees(|seen| seen.len() == 1)).await;
    let waiting = join_all((0..LIMIT.questions_max).map(|_| ask()));
    let one_more = async {
        let err = ask().await.expect_err("no room");
        assert_eq!(err.code, Code::LookupShed);
    };
    dropped_when(waiting, one_more).await;
}
