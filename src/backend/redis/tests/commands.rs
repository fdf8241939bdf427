//! Every command with every kind of answer.

use super::*;

/// A server with one key of each type.
async fn filled() -> (Server, Redis) {
    let server = Server::start();
    for words in [
        &["SET", "airport:JFK", r#"{"city": "New York"}"#][..],
        &["SET", "airport:LAX", r#"{"city": "Los Angeles"}"#],
        &["SET", "number", "42"],
        &["SET", "half", "0.5"],
        &["SETEX", "soon", "1000", "x"],
        &["HSET", "plane", "maker", "Airbus", "year", "2002"],
        &["RPUSH", "stops", "a", "b", "c"],
        &["SADD", "carriers", "AA"],
        &["ZADD", "delays", "1", "a", "2.5", "b", "inf", "c"],
    ] {
        server.run(words).await;
    }
    server.run(&["SET", "raw", "x"]).await;
    let redis = backend(&server.url()).await;
    (server, redis)
}

fn texts(items: &[&str]) -> Value {
    Value::List(items.iter().map(|item| Value::from(*item)).collect())
}

#[tokio::test(flavor = "local")]
async fn strings_in_every_format() {
    let (_server, redis) = filled().await;
    let get = async |keys: &str| ask(&redis, keys, &[]).await;
    let city = |name: &str| Value::Map(vec![("city".into(), name.into())]);
    let json = ask(
        &redis,
        "get = 'airport:{code}'\nformat = 'json'",
        &["JFK".into()],
    )
    .await;
    assert_eq!(json, Ok(city("New York")));
    assert_eq!(get("get = 'number'").await, Ok("42".into()));
    assert_eq!(get("get = 'number'\nformat = 'i64'").await, Ok(42.into()));
    assert_eq!(get("get = 'half'\nformat = 'double'").await, Ok(0.5.into()));
    assert_eq!(
        get("get = 'number'\nformat = 'bytes'").await,
        Ok(Value::Bytes("42".into()))
    );
    assert_eq!(
        get("get = 'half'\nformat = 'i64'").await,
        Err(Code::LookupBadAnswer)
    );
    assert_eq!(
        get("get = 'raw'\nformat = 'json'").await,
        Err(Code::LookupBadAnswer)
    );
    assert_eq!(get("get = 'none'\nformat = 'json'").await, Ok(Value::Null));
    assert_eq!(
        get("get = 'stops'").await,
        Err(Code::LookupRefused),
        "WRONGTYPE"
    );
    assert_eq!(get("strlen = 'number'").await, Ok(2.into()));
    assert_eq!(get("exists = 'number'").await, Ok(true.into()));
    assert_eq!(get("exists = 'none'").await, Ok(false.into()));
    assert_eq!(get("ttl = 'number'").await, Ok((-1).into()));
    assert_eq!(get("ttl = 'none'").await, Ok(Value::Null));
    assert!(matches!(
        get("ttl = 'soon'").await,
        Ok(Value::I64(900..=1000))
    ));
    let null = ask(&redis, "get = '{a}'", &[Value::Null]).await;
    assert_eq!(null, Err(Code::LookupBadParam));
}

#[tokio::test(flavor = "local")]
async fn mget_asks_a_key_per_element() {
    let (_server, redis) = filled().await;
    let mget = async |params: &[Value]| ask(&redis, "mget = '{kind}:{codes}'", params).await;
    let codes: Value = vec!["JFK", "none", "LAX", "JFK"].into();
    let Ok(Value::List(answer)) = mget(&["airport".into(), codes]).await else {
        panic!("a list")
    };
    let kinds: Vec<_> = answer.iter().map(Value::kind).collect();
    assert_eq!(kinds, ["text", "null", "text", "text"]);
    assert_eq!(answer[0], answer[3]);
    assert_eq!(
        mget(&["airport".into(), Value::List(vec![])]).await,
        Ok(Value::List(vec![]))
    );
    for bad in [
        ["airport".into(), "JFK".into()],
        [vec!["a"].into(), vec!["JFK"].into()],
    ] {
        assert_eq!(mget(&bad).await, Err(Code::LookupBadParam), "{bad:?}");
    }
    let nulls = Value::List(vec![Value::Null]);
    assert_eq!(mget(&["a".into(), nulls]).await, Err(Code::LookupBadParam));
    let many = Value::List(vec![Value::I64(1); 10_001]);
    assert_eq!(mget(&["a".into(), many]).await, Err(Code::LookupTooMany));
}

#[tokio::test(flavor = "local")]
async fn hashes() {
    let (_server, redis) = filled().await;
    let get = async |keys: &str| ask(&redis, keys, &[]).await;
    let hget = "hget = '{key}'\nfield = '{name}'\nformat = 'i64'";
    let year = ask(&redis, hget, &["plane".into(), "year".into()]).await;
    assert_eq!(year, Ok(2002.into()));
    assert_eq!(get("hget = 'plane'\nfield = 'none'").await, Ok(Value::Null));
    let Ok(Value::Record(record)) =
        get("hmget = 'plane'\nfields = ['year', 'none', 'maker']").await
    else {
        panic!("a record")
    };
    assert_eq!(record.get("year"), Some(&"2002".into()));
    assert_eq!(record.get("none"), Some(&Value::Null));
    assert_eq!(record.get("maker"), Some(&"Airbus".into()));
    assert_eq!(
        get("hmget = 'none'\nfields = ['year']").await,
        Ok(Value::Null)
    );
    let all = get("hgetall = 'plane'").await.expect("a hash");
    assert_eq!(all.get("maker"), Some(&"Airbus".into()));
    assert_eq!(all.get("year"), Some(&"2002".into()));
    assert_eq!(get("hgetall = 'none'").await, Ok(Value::Null));
    assert_eq!(get("hlen = 'plane'").await, Ok(2.into()));
}

#[tokio::test(flavor = "local")]
async fn lists_and_sets() {
    let (_server, redis) = filled().await;
    let get = async |keys: &str| ask(&redis, keys, &[]).await;
    assert_eq!(get("lrange = 'stops'").await, Ok(texts(&["a", "b", "c"])));
    assert_eq!(
        get("lrange = 'stops'\nstart = 1\nstop = 1").await,
        Ok(texts(&["b"]))
    );
    assert_eq!(get("lrange = 'none'").await, Ok(texts(&[])));
    assert_eq!(get("llen = 'stops'").await, Ok(3.into()));
    assert_eq!(get("smembers = 'carriers'").await, Ok(texts(&["AA"])));
    assert_eq!(get("smembers = 'none'").await, Ok(texts(&[])));
    assert_eq!(get("scard = 'carriers'").await, Ok(1.into()));
    let is_member = "sismember = 'carriers'\nmember = '{id}'";
    assert_eq!(
        ask(&redis, is_member, &["AA".into()]).await,
        Ok(true.into())
    );
    assert_eq!(
        ask(&redis, is_member, &["ZZ".into()]).await,
        Ok(false.into())
    );
}

#[tokio::test(flavor = "local")]
async fn sorted_sets_over_both_protocols() {
    let (server, redis) = filled().await;
    let three = backend(&format!("{}?protocol=resp3", server.url())).await;
    for redis in [redis, three] {
        let get = async |keys: &str| ask(&redis, keys, &[]).await;
        assert_eq!(get("zrange = 'delays'").await, Ok(texts(&["a", "b", "c"])));
        assert_eq!(
            get("zrange = 'delays'\nreverse = true\nstop = 1").await,
            Ok(texts(&["c", "b"]))
        );
        let Ok(Value::List(scored)) = get("zrange = 'delays'\nwith_scores = true").await else {
            panic!("a list")
        };
        assert_eq!(scored[1].get("member"), Some(&"b".into()));
        assert_eq!(scored[1].get("score"), Some(&2.5.into()));
        assert_eq!(scored.len(), 3);
        assert_eq!(
            get("zscore = 'delays'\nmember = 'c'").await,
            Ok(f64::INFINITY.into())
        );
        assert_eq!(
            get("zscore = 'delays'\nmember = 'z'").await,
            Ok(Value::Null)
        );
        assert_eq!(get("zcard = 'delays'").await, Ok(3.into()));
        assert_eq!(
            get("hgetall = 'plane'").await.expect("a hash").get("year"),
            Some(&"2002".into())
        );
        assert_eq!(get("smembers = 'carriers'").await, Ok(texts(&["AA"])));
        assert_eq!(get("get = 'none'").await, Ok(Value::Null));
    }
}

#[tokio::test(flavor = "local")]
async fn a_key_is_one_argument_whatever_it_contains() {
    let (server, redis) = filled().await;
    for hostile in [
        "a\r\nFLUSHALL\r\n",
        "*1\r\n$8\r\nFLUSHALL\r\n",
        "a b",
        "é",
        "",
    ] {
        let key: &[Value] = &[hostile.into()];
        assert_eq!(
            ask(&redis, "get = '{key}'", key).await,
            Ok(Value::Null),
            "{hostile:?}"
        );
        server.run(&["SET", &format!("k:{hostile}"), hostile]).await;
        assert_eq!(
            ask(&redis, "get = 'k:{key}'", key).await,
            Ok(hostile.into())
        );
    }
    let bytes = Value::Bytes(b"\xff\0"[..].into());
    assert_eq!(
        ask(&redis, "get = '{key}'", &[bytes]).await,
        Ok(Value::Null)
    );
    assert_eq!(
        ask(&redis, "get = 'number'", &[]).await,
        Ok("42".into()),
        "nothing was flushed"
    );
}
