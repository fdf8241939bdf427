//! Parameters on their way to the service.

use super::*;
use crate::backend::Ask;
use crate::context::Context;
use crate::coop;
use tokio::time::Instant;

/// The call that the service sees.
async fn seen(keys: &str, params: &[(&str, Value)]) -> String {
    let service = Scripted::start(vec![Act::Silence]).await;
    let backend = service.backend("").await;
    let asked = ask(&backend, keys, params);
    dropped_when(asked, service.sees(|seen| !seen.is_empty())).await;
    let seen = service.seen.borrow();
    seen[0].clone()
}

/// The code of a call that is never sent.
async fn refused(keys: &str, params: &[(&str, Value)]) -> LookupError {
    let config = config_of(&["thrift://127.0.0.1:1".into()], ONE);
    let backend = Thrift::connect(&config, &[], &crate::backend::OnLoop::default()).await;
    let answer = ask(&backend, keys, params).await;
    answer.expect_err("never sent")
}

fn find(color: Value, limit: Value, skip: Value) -> [(&'static str, Value); 4] {
    let weights = Value::Map(vec![("a".into(), 1.into())]);
    [
        ("color", color),
        ("limit", limit),
        ("skip", skip),
        ("weights", weights),
    ]
}

#[tokio::test(flavor = "local")]
async fn values_fit_or_are_omitted_or_take_their_default() {
    let weights = "Map([(Text(\"a\"), Double(1.0))])";
    let keys = "call = 'find'";
    assert_eq!(
        seen(keys, &find("GREEN".into(), 5.into(), 9.0.into())).await,
        format!("find 2 5 9 {weights}")
    );
    assert_eq!(
        seen(keys, &find(1.into(), Value::Null, Value::Null)).await,
        format!("find 1 - 7 {weights}")
    );
}

#[tokio::test(flavor = "local")]
async fn what_does_not_fit_is_never_sent() {
    let keys = "call = 'find'";
    for params in [
        find("BLUE".into(), Value::Null, Value::Null),
        find(3.into(), Value::Null, Value::Null),
        find(Value::Null, Value::Null, Value::Null),
        find(1.into(), (1_i64 << 31).into(), Value::Null),
        find(1.into(), "5".into(), Value::Null),
        find(1.into(), Value::Null, 1.5.into()),
    ] {
        let err = refused(keys, &params).await;
        assert_eq!(err.code, Code::LookupBadParam, "{err}");
    }
    let err = refused("call = 'say'", &[("n", Value::Null)]).await;
    assert!(err.detail.contains("parameter `n`"), "{err}");
}

/// They are fitted and encoded on another thread.
#[tokio::test(flavor = "local")]
async fn many_values_arrive_as_they_are_and_do_not_hold_the_loop() {
    let weight = |at: i64| (Value::from(at.to_string()), Value::from(at));
    let many = || Value::Map((0..10_000).map(weight).collect());
    let large = |limit: Value| {
        let [color, limit, skip, (weights, _)] = find("GREEN".into(), limit, 9.0.into());
        [color, limit, skip, (weights, many())]
    };
    let words = |(key, value): (Value, Value)| match value {
        Value::I64(at) => format!("({key:?}, Double({at}.0))"),
        other => panic!("{other:?}"),
    };
    let weights: Vec<_> = (0..10_000).map(weight).map(words).collect();
    assert_eq!(
        seen("call = 'find'", &large(5.into())).await,
        format!("find 2 5 9 Map([{}])", weights.join(", "))
    );
    let config = config_of(&["thrift://127.0.0.1:1".into()], ONE);
    let backend = Thrift::connect(&config, &[], &crate::backend::OnLoop::default()).await;
    let params = large((1_i64 << 31).into());
    let mut asked = std::pin::pin!(ask(&backend, "call = 'find'", &params));
    let mut polls = 0;
    let answer = loop {
        match futures_util::poll!(asked.as_mut()) {
            std::task::Poll::Ready(answer) => break answer,
            std::task::Poll::Pending => polls += 1,
        }
        tokio::task::yield_now().await;
    };
    assert!(polls > 10_000 / coop::VALUES, "{polls}");
    assert_eq!(answer.expect_err("never sent").code, Code::LookupBadParam);
}

#[tokio::test(flavor = "local")]
async fn a_parameter_of_type_context_is_filled_from_the_calls_context() {
    let service = Scripted::start(vec![Act::Silence]).await;
    let backend = service.backend("").await;
    let call = compiled("call = 'mine'");
    assert_eq!(call.params, [Arc::from("n")]);
    let deadline = Instant::now() + PATIENCE;
    let mut context = Context::new(Instant::now(), deadline);
    context.request_id = "r-1".into();
    context.traceparent = Some("00-1-2-03".into());
    context.baggage = vec![("tenant".into(), "acme".into())];
    let ask = Ask {
        params: &[Value::I64(1)],
        context: &context,
        deadline,
        allowed: Duration::ZERO,
        step: 0,
    };
    let asked = backend.lookup(&call.lookup, ask);
    dropped_when(asked, service.sees(|seen| !seen.is_empty())).await;
    let seen = service.seen.borrow();
    for word in ["r-1", "00-1-2-03", "tenant", "acme"] {
        assert!(seen[0].contains(word), "{}", seen[0]);
    }
    let budget = seen[0]
        .split("I64(")
        .nth(1)
        .and_then(|rest| rest.split(')').next());
    let budget: i64 = budget.expect("a budget").parse().expect("milliseconds");
    assert!((1..=20_000).contains(&budget), "{budget}");
}
