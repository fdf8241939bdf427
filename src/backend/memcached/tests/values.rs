//! Stored values, and the questions that fetch them.

use super::*;

#[tokio::test(flavor = "local")]
async fn every_format_reads_what_is_stored() {
    let server = Server::start();
    let values = [
        ("t", "é"),
        ("j", r#"{"a": [1, null]}"#),
        ("i", "-12"),
        ("d", "1e3"),
        ("e", ""),
    ];
    server.set(values.map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec())));
    server.set([("b".to_owned(), b"\xff\r\nEND\r\n".to_vec())]);
    let memcached = backend(&[server.addr()]).await;
    let read = async |key: &str, format: &str| {
        ask(
            &memcached,
            &format!("get = '{{k}}'\nformat = '{format}'"),
            &[key.into()],
        )
        .await
    };
    assert_eq!(read("t", "text").await, Ok("é".into()));
    assert_eq!(
        ask(&memcached, "get = 't'", &[]).await,
        Ok("é".into()),
        "text by default"
    );
    let json = Value::from_json(br#"{"a": [1, null]}"#).expect("JSON");
    assert_eq!(read("j", "json").await, Ok(json));
    assert_eq!(read("i", "i64").await, Ok(Value::I64(-12)));
    assert_eq!(read("d", "double").await, Ok(Value::Double(1000.0)));
    assert_eq!(
        read("e", "text").await,
        Ok("".into()),
        "empty is not missing"
    );
    let bytes = Value::Bytes(Bytes::from_static(b"\xff\r\nEND\r\n"));
    assert_eq!(
        read("b", "bytes").await,
        Ok(bytes),
        "bytes that look like the protocol"
    );
    assert_eq!(read("b", "text").await, Err(Code::LookupBadAnswer));
    assert_eq!(read("t", "i64").await, Err(Code::LookupBadAnswer));
    for format in ["text", "json", "bytes", "i64", "double"] {
        assert_eq!(read("missing", format).await, Ok(Value::Null), "{format}");
    }
}

#[tokio::test(flavor = "local")]
async fn keys_that_the_protocol_cannot_carry_are_refused_unsent() {
    let server = Server::start();
    server.set([("k:victim".to_owned(), b"kept".to_vec())]);
    server.set([(format!("k:{}", "~".repeat(248)), b"longest".to_vec())]);
    let memcached = backend(&[server.addr()]).await;
    let get = "get = 'k:{n}'";
    let bytes = |bytes: &'static [u8]| Value::Bytes(Bytes::from_static(bytes));
    for hostile in [
        "victim k:other".into(),
        "x\r\ndelete k:victim".into(),
        "x\r\nflush_all\r\n".into(),
        "x\nflush_all".into(),
        "\0".into(),
        "\t".into(),
        "\x7f".into(),
        "é".into(),
        "~".repeat(249).into(),
        "~".repeat(1 << 20).into(),
        bytes(b"\xff"),
        bytes(b"a b"),
        Value::Null,
        Value::List(vec![]),
        Value::Double(f64::NAN),
    ] {
        let shown = format!("{hostile:?}").chars().take(60).collect::<String>();
        let answer = ask(&memcached, get, &[hostile]).await;
        assert_eq!(answer, Err(Code::LookupBadParam), "{shown}");
    }
    assert_eq!(
        ask(&memcached, get, &["victim".into()]).await,
        Ok("kept".into())
    );
    assert_eq!(
        ask(&memcached, get, &["~".repeat(248).into()]).await,
        Ok("longest".into())
    );
    assert_eq!(
        ask(&memcached, get, &[bytes(b"victim")]).await,
        Ok("kept".into())
    );
    assert_eq!(
        ask(&memcached, "get = '{n}'", &["".into()]).await,
        Err(Code::LookupBadParam)
    );
    let mixed: [&[Value]; 3] = [&["victim".into()], &["a b".into()], &["victim".into()]];
    assert_eq!(
        ask_many(&memcached, &compiled(get).lookup, &mixed).await,
        [
            Ok("kept".into()),
            Err(Code::LookupBadParam),
            Ok("kept".into())
        ],
        "a bad key costs its own lookup only"
    );
}

#[tokio::test(flavor = "local")]
async fn equal_keys_of_a_batch_are_asked_once() {
    let server = Server::start();
    server.set([("k:1".to_owned(), b"one".to_vec())]);
    let memcached = backend_with(&[server.addr()], "connections = 1").await;
    until(&memcached, 0, |counts| counts.up == 1).await;
    let before = server.stat("cmd_get");
    let get = compiled("get = 'k:{n}'").lookup;
    let params: Vec<[Value; 1]> = (0..60).map(|n| [Value::I64(n % 3)]).collect();
    let params: Vec<&[Value]> = params.iter().map(|params| &params[..]).collect();
    let answers = ask_many(&memcached, &get, &params).await;
    for (n, answer) in answers.into_iter().enumerate() {
        let expected = if n % 3 == 1 {
            "one".into()
        } else {
            Value::Null
        };
        assert_eq!(answer, Ok(expected));
    }
    assert_eq!(server.stat("cmd_get") - before, 3);
}

#[tokio::test(flavor = "local")]
async fn equal_keys_keep_their_own_formats() {
    let server = Server::start();
    server.set([("n".to_owned(), b"07".to_vec())]);
    let memcached = backend(&[server.addr()]).await;
    let of = |format: &str| compiled(&format!("get = 'n'\nformat = '{format}'")).lookup;
    let lookups = [of("text"), of("i64"), of("json")];
    let asked: Vec<_> = lookups
        .iter()
        .map(|lookup| BatchedAsk {
            lookup,
            params: &[],
        })
        .collect();
    let answers = Answers::collect(asked.len(), async |answers| {
        memcached.lookup_many(&asked, answers).await;
    })
    .await
    .into_iter();
    let answers: Vec<_> = answers
        .map(|answer| answer.map(|answer| answer.value).map_err(|err| err.code))
        .collect();
    let expected = [
        Ok("07".into()),
        Ok(Value::I64(7)),
        Err(Code::LookupBadAnswer),
    ];
    assert_eq!(answers, expected);
}

#[tokio::test(flavor = "local")]
async fn each_of_several_servers_has_its_own_keys() {
    let servers = [Server::start(), Server::start(), Server::start()];
    let addrs: Vec<String> = servers.iter().map(Server::addr).collect();
    let memcached = backend(&addrs).await;
    let places = spread(&memcached, &servers, 1000);
    assert!((0..3).all(|at| places.contains(&at)), "each has some");
    let answers = ask_range(&memcached, 1010).await;
    for (n, answer) in answers.into_iter().enumerate() {
        let expected = if n < 1000 {
            format!("value {n}").into()
        } else {
            Value::Null
        };
        assert_eq!(answer, Ok(expected), "{n}");
    }
}

#[tokio::test(flavor = "local")]
async fn a_socket_in_a_folder_is_a_server_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("m.sock").display().to_string();
    let _server = Server::start_at(&["-s", &path], 0).expect("starts");
    let memcached = backend(&[format!("unix://{path}")]).await;
    assert_eq!(ask(&memcached, "get = 'k'", &[]).await, Ok(Value::Null));
}

#[tokio::test(flavor = "local")]
async fn large_values_arrive_complete_and_are_asked_for_a_few_at_a_time() {
    let server = Server::start();
    let value = |n: i64| -> Vec<u8> {
        let byte = u8::try_from(n).expect("few");
        vec![byte; 900_000]
    };
    server.set((0..20).map(|n| (format!("k:{n}"), value(n))));
    let memcached = backend(&[server.addr()]).await;
    assert_eq!(memcached.servers[0].sizes.keys_max(), 128);
    let get = compiled("get = 'k:{n}'\nformat = 'bytes'").lookup;
    let params: Vec<[Value; 1]> = (0..20).map(|n| [Value::I64(n)]).collect();
    let params: Vec<&[Value]> = params.iter().map(|params| &params[..]).collect();
    for _ in 0..2 {
        let answers = ask_many(&memcached, &get, &params).await;
        for (n, answer) in (0..20).zip(answers) {
            assert!(answer == Ok(Value::Bytes(value(n).into())), "{n}");
        }
        assert_eq!(memcached.servers[0].sizes.keys_max(), 1, "learnt");
    }
}
