//! Exceptions of services, and missing results.

use thrift::ApplicationErrorKind;

use super::*;
use crate::value::Record;

/// What a lookup gets when the service answers with this body, and whether the connection goes on.
async fn answered(
    keys: &str,
    params: &[(&str, Value)],
    kind: TMessageType,
    body: impl Fn(&Remote) -> Option<(i16, Type, Value)> + 'static,
    application: Option<(ApplicationErrorKind, &'static str)>,
) -> Result<Value, LookupError> {
    let remote = config_of(&["thrift://127.0.0.1:1".into()], ONE).remote;
    let reply = move |head: &Head| {
        let head = HeadOut {
            name: head.name.as_str(),
            kind,
            sequence: head.sequence,
        };
        let field = body(&remote);
        let fields: Vec<_> = field
            .iter()
            .map(|(id, ty, value)| (*id, ty, value))
            .collect();
        let body = match application {
            Some((kind, message)) => Body::ApplicationError { kind, message },
            None => Body::Fields {
                schema: &remote.schema,
                fields: &fields,
            },
        };
        written(framed_binary(), head, body)
    };
    let service = Scripted::start(vec![Act::Write(Box::new(reply)), say("next")]).await;
    let backend = service.backend("").await;
    let answer = ask(&backend, keys, params).await;
    assert_eq!(said(&backend, 2).await, Ok("next".into()));
    assert!(
        !service.seen.borrow().contains(&"closed".into()),
        "the connection goes on"
    );
    answer
}

/// What `say` gets when it throws the exception called `name`.
async fn threw(
    keys: &str,
    name: &'static str,
    id: i16,
    fields: &[Value],
) -> Result<Value, LookupError> {
    let fields = fields.to_vec();
    let body = move |remote: &Remote| {
        let of = remote
            .schema
            .structs
            .iter()
            .position(|of| &*of.name == name);
        let of = crate::idl::StructId(u32::try_from(of.expect("declared")).expect("few"));
        let record = Record {
            names: remote.schema.get(of).names.clone(),
            values: fields.clone(),
        };
        Some((id, Type::Struct(of), Value::Record(record)))
    };
    let params = [("n", Value::I64(1))];
    answered(keys, &params, TMessageType::Reply, body, None).await
}

#[tokio::test(flavor = "local")]
async fn a_declared_exception_has_its_code_and_is_named_in_the_log() {
    let err = threw("call = 'say'", "users.NotFound", 1, &["no 1".into()]).await;
    let err = err.expect_err("it threw");
    assert_eq!(err.code, Code::LookupThrew);
    assert_eq!(err.detail, "`say` threw `users.NotFound`: no 1");
}

#[tokio::test(flavor = "local")]
async fn exceptions_may_mean_that_there_is_nothing() {
    let keys = "call = 'say'\nempty_on = ['NotFound']";
    let answer = threw(keys, "users.NotFound", 1, &["no 1".into()]).await;
    assert_eq!(answer.expect("empty"), Value::Null);
    let err = threw(keys, "users.Banned", 2, &[3.into()]).await;
    assert_eq!(err.expect_err("another one").code, Code::LookupThrew);
}

#[tokio::test(flavor = "local")]
async fn the_exceptions_of_a_tributary_keep_their_codes() {
    let of_code = async |code: &str, keys: &str| {
        let fields = [
            code.into(),
            "words".into(),
            Value::Null,
            Value::Null,
            Value::Null,
        ];
        let keys = format!("call = 'mine'\n{keys}");
        threw(&keys, "tributary.LookupFailed", 1, &fields).await
    };
    let err = of_code("call.required_failed", "").await;
    assert_eq!(err.expect_err("it threw").code, Code::LookupFailed);
    let err = of_code("call.required_empty", "").await;
    assert_eq!(err.expect_err("it threw").code, Code::LookupRefused);
    let empty = of_code("call.required_empty", "empty_on = ['call.required_empty']").await;
    assert_eq!(empty.expect("nothing"), Value::Null);
    let err = of_code("call.required_failed", "empty_on = ['call.required_empty']").await;
    assert_eq!(err.expect_err("it threw").code, Code::LookupFailed);
}

#[tokio::test(flavor = "local")]
async fn application_errors_have_codes() {
    for (kind, message, code) in [
        (
            ApplicationErrorKind::UnknownMethod,
            "no such",
            Code::LookupRefused,
        ),
        (
            ApplicationErrorKind::InternalError,
            "boom",
            Code::LookupFailed,
        ),
        (
            ApplicationErrorKind::InternalError,
            "server.overloaded: later",
            Code::LookupUnavailable,
        ),
        (
            ApplicationErrorKind::InternalError,
            "call.deadline: too late",
            Code::LookupTimeout,
        ),
    ] {
        let params = [("n", Value::I64(1))];
        let application = Some((kind, message));
        let exception = TMessageType::Exception;
        let answer = answered("call = 'say'", &params, exception, |_| None, application).await;
        let err = answer.expect_err("an error");
        assert_eq!(err.code, code, "{message}");
        assert!(err.detail.contains(message), "{err}");
    }
}

#[tokio::test(flavor = "local")]
async fn no_result_and_void_are_empty() {
    for (keys, params) in [
        ("call = 'say'", &[("n", Value::I64(1))][..]),
        ("call = 'ping'", &[]),
    ] {
        let reply = TMessageType::Reply;
        let answer = answered(keys, params, reply, |_| None, None).await;
        assert_eq!(answer.expect("an answer"), Value::Null);
    }
}

#[tokio::test(flavor = "local")]
async fn structs_are_records_and_enums_are_numbers() {
    let user = |remote: &Remote| {
        let result = &remote.service().method("getUser").expect("declared").result;
        let ty = result.clone().expect("a User");
        let Type::Struct(id) = ty else {
            unreachable!("a User is a struct")
        };
        let of = remote.schema.get(id);
        let Type::Struct(either) = of.fields[3].ty else {
            unreachable!("an Either is a union")
        };
        let either = Value::Record(Record {
            names: remote.schema.get(either).names.clone(),
            values: vec![Value::Null, "left".into()],
        });
        let record = Record {
            names: of.names.clone(),
            values: vec![7.into(), Value::Null, 2.into(), either],
        };
        Some((0, ty, Value::Record(record)))
    };
    let params = [("id", Value::I64(7))];
    let reply = TMessageType::Reply;
    let answer = answered("call = 'getUser'", &params, reply, user, None).await;
    let answer = answer.expect("a user");
    assert_eq!(answer.get("id"), Some(&Value::I64(7)));
    assert_eq!(answer.get("name"), Some(&Value::Null));
    assert_eq!(answer.get("color"), Some(&Value::I64(2)));
    let either = answer.get("either").expect("a union");
    assert_eq!(either.get("number"), Some(&Value::Null));
    assert_eq!(either.get("text"), Some(&"left".into()));
}
