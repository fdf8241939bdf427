//! Every type of column, parameters of every kind, and what a read-only session refuses.

use super::*;

const ZOO: &str = "create table zoo (
    id int primary key, tiny tinyint, flag tinyint(1), small smallint unsigned, medium mediumint, big bigint,
    ubig bigint unsigned, f float, d double, dec_ decimal(20, 4), c char(5), vc varchar(20), t text, lt longtext,
    e enum('red', 'blue'), s set('a', 'b', 'c'), bin binary(4), vb varbinary(10), bl blob, da date, dt datetime,
    dt6 datetime(6), ts timestamp null, ts3 timestamp(3) null, ti time, ti6 time(6), y year, b bit(12), j json,
    u uuid, latin varchar(10) character set latin1, g point) character set utf8mb4";

const ANIMAL: &str = "insert into zoo values (
    1, -128, 1, 65535, -8388608, -9223372036854775808,
    9223372036854775807, 1.5, 0.1, 12345.6700, 'ab', 'é', 'text', repeat('x', 70000),
    'blue', 'a,c', 'ab', x'ff00', 'blob', '2013-01-31', '2013-01-31 05:15:00',
    '2013-01-31 05:15:00.25', '2013-01-31 05:15:00', '2013-01-31 05:15:00.5', '-101:02:03', '05:15:00.000001', 2013, b'101', '{\"a\": [1]}',
    '12345678-9abc-4ef0-8234-56789abcdef0', 'é', point(1, 2))";

#[tokio::test(flavor = "local")]
async fn the_zoo() {
    let server = Server::start();
    server
        .run(&[
            "set time_zone = '+00:00'",
            "set names utf8mb4",
            ZOO,
            ANIMAL,
            "insert into zoo (id) values (2)",
        ])
        .await;
    server.run(&["set global time_zone = '+05:00'"]).await;
    let text = |text: &str| Value::from(text);
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec().into());
    let expected = vec![
        ("id", Value::I64(1)),
        ("tiny", Value::I64(-128)),
        ("flag", Value::I64(1)),
        ("small", Value::I64(65535)),
        ("medium", Value::I64(-8_388_608)),
        ("big", Value::I64(i64::MIN)),
        ("ubig", Value::I64(i64::MAX)),
        ("f", Value::Double(1.5)),
        ("d", Value::Double(0.1)),
        ("dec_", text("12345.6700")),
        ("c", text("ab")),
        ("vc", text("é")),
        ("t", text("text")),
        ("lt", text(&"x".repeat(70_000))),
        ("e", text("blue")),
        ("s", text("a,c")),
        ("bin", bytes(b"ab\0\0")),
        ("vb", bytes(b"\xff\0")),
        ("bl", bytes(b"blob")),
        ("da", text("2013-01-31")),
        ("dt", text("2013-01-31T05:15:00")),
        ("dt6", text("2013-01-31T05:15:00.250000")),
        ("ts", text("2013-01-31T05:15:00Z")),
        ("ts3", text("2013-01-31T05:15:00.500000Z")),
        ("ti", text("-101:02:03")),
        ("ti6", text("05:15:00.000001")),
        ("y", Value::I64(2013)),
        ("b", Value::I64(5)),
        ("j", text("{\"a\": [1]}")),
        ("u", text("12345678-9abc-4ef0-8234-56789abcdef0")),
        ("latin", text("é")),
    ];
    let zoo = "sql = 'select * from zoo where id = :id'\nrows = 'one'";
    let Ok(Value::Record(animal)) = ask_sql(&server, zoo, &[("id", 1.into())]).await else {
        panic!("a row")
    };
    let animal = pairs(&animal);
    assert_eq!(animal[..expected.len()], expected[..]);
    assert!(matches!(animal[expected.len()], ("g", Value::Bytes(_))));
    let Ok(Value::Record(nothing)) = ask_sql(&server, zoo, &[("id", 2.into())]).await else {
        panic!("a row")
    };
    assert!(
        nothing.values[1..].iter().all(Value::is_null),
        "{nothing:?}"
    );
    let none = ask_sql(&server, zoo, &[("id", 3.into())]).await;
    assert_eq!(none, Ok(Value::Null));
}

/// `select :v` as the server sees it, and as text with its length in bytes.
#[tokio::test(flavor = "local")]
async fn parameters() {
    let server = Server::start();
    server
        .run(&[
            "create table t (id varbinary(16) primary key, n bigint)",
            "insert into t values (x'ff00fe', 7)",
        ])
        .await;
    let (mysql, [echo, bytes, list]) = backend(
        &format!("url = '{}'", server.url()),
        [
            "sql = 'select :v'\nrows = 'value'",
            "sql = 'select n from t where id = :v'\nrows = 'value'",
            "sql = \"select json_value(:v, '$[1]')\"\nrows = 'value'",
        ],
    )
    .await;
    let uuid = "12345678-9abc-4ef0-8234-56789abcdef0";
    for (param, expected) in [
        (Value::Null, Value::Null),
        (true.into(), Value::I64(1)),
        (false.into(), Value::I64(0)),
        (i64::MIN.into(), Value::I64(i64::MIN)),
        (0.1.into(), Value::Double(0.1)),
        (
            "it's \\ 'é' \u{1f600} ? :x".into(),
            "it's \\ 'é' \u{1f600} ? :x".into(),
        ),
        (
            Value::Uuid(0x1234_5678_9abc_4ef0_8234_5678_9abc_def0_u128.to_be_bytes()),
            uuid.into(),
        ),
        (Value::List(vec![1.into(), "x".into()]), "[1,\"x\"]".into()),
    ] {
        assert_eq!(
            ask(&mysql, &echo, &[("v", param.clone())]).await,
            Ok(expected),
            "{param:?}"
        );
    }
    let id = Value::Bytes(vec![0xff, 0, 0xfe].into());
    assert_eq!(ask(&mysql, &bytes, &[("v", id)]).await, Ok(Value::I64(7)));
    let words = Value::List(vec!["a".into(), "b".into()]);
    assert_eq!(ask(&mysql, &list, &[("v", words)]).await, Ok("b".into()));
    let nan = ask(&mysql, &echo, &[("v", f64::NAN.into())]).await;
    assert_eq!(nan, Err(Code::LookupBadParam));
}

#[tokio::test(flavor = "local")]
async fn refusals_and_limits_have_their_codes() {
    let server = Server::start();
    server
        .run(&[
            "create table t (n bigint unsigned)",
            "insert into t values (18446744073709551615)",
            "create database other",
            "create table other.private (n int)",
            "create user guest@'%' identified by 'guest'",
            "grant select on test.* to guest@'%'",
        ])
        .await;
    let url = server.url().replace("root@", "guest:guest@");
    let config = format!("url = '{url}'\nstatement_timeout = '100ms'\nconnections = 1");
    let keys = [
        ("insert into t values (1)", Code::LookupRefused),
        ("select * from other.private", Code::LookupRefused),
        ("select * from missing", Code::LookupRefused),
        ("select from where", Code::LookupRefused),
        ("set @a = 1", Code::LookupRefused),
        ("select n from t", Code::LookupBadAnswer),
        (
            "select a.seq as a, b.seq as b from seq_1_to_100000 a, seq_1_to_100000 b where a.seq + b.seq = 7.5",
            Code::LookupTimeout,
        ),
        ("select seq from seq_1_to_11", Code::LookupTooMany),
        // More rows than are read and discarded: the connection is closed and replaced.
        ("select seq from seq_1_to_100000", Code::LookupTooMany),
    ];
    let lookups = keys.map(|(sql, _)| format!("sql = '{sql}'\nrows_max = 10"));
    let (mysql, lookups) = backend(&config, lookups.each_ref().map(String::as_str)).await;
    for (lookup, (sql, code)) in lookups.iter().zip(keys) {
        assert_eq!(ask(&mysql, lookup, &[]).await, Err(code), "{sql}");
    }
    // A user that may write is refused too.
    let insert = ask_sql(&server, "sql = 'insert into t values (1)'", &[]).await;
    assert_eq!(insert, Err(Code::LookupRefused));
    let count = ask_sql(
        &server,
        "sql = 'select count(*) from t'\nrows = 'value'",
        &[],
    )
    .await;
    assert_eq!(count, Ok(Value::I64(1)));
    let wrong = server.url().replace("root@", "guest:wrong@");
    let (mysql, [lookup]) = backend(&format!("url = '{wrong}'"), ["sql = 'select 1'"]).await;
    assert_eq!(
        ask(&mysql, &lookup, &[]).await,
        Err(Code::LookupUnavailable)
    );
}

#[tokio::test(flavor = "local")]
async fn two_columns_of_one_name_are_refused() {
    let server = Server::start();
    server.run(&[]).await;
    let two = "sql = 'select 1 as a, 2 as a, 3 as b'";
    for rows in ["one", "many"] {
        let keys = format!("{two}\nrows = '{rows}'");
        let refused = ask_sql(&server, &keys, &[]).await;
        assert_eq!(refused, Err(Code::LookupRefused), "{rows}");
    }
    let value = ask_sql(&server, &format!("{two}\nrows = 'value'"), &[]).await;
    assert_eq!(value, Ok(Value::I64(1)));
}

#[tokio::test(flavor = "local")]
async fn numbers_of_every_size_come_back_as_they_were_sent() {
    let server = Server::start();
    server.run(&[]).await;
    let (mysql, [double, integer, unsigned]) = backend(
        &format!("url = '{}'\nconnections = 1", server.url()),
        [
            "sql = 'select cast(:v as double)'\nrows = 'value'",
            "sql = 'select :v'\nrows = 'value'",
            "sql = 'select cast(:v as unsigned)'\nrows = 'value'",
        ],
    )
    .await;
    let mut random = crate::random::Random::seeded(11);
    for _ in 0..300 {
        let bits = random.draw();
        let number = f64::from_bits(bits);
        if number.is_finite() {
            let echo = ask(&mysql, &double, &[("v", number.into())]).await;
            assert_eq!(echo, Ok(number.into()));
        }
        let number = bits.cast_signed();
        let echo = ask(&mysql, &integer, &[("v", number.into())]).await;
        assert_eq!(echo, Ok(number.into()));
        let echo = ask(&mysql, &unsigned, &[("v", bits.to_string().into())]).await;
        let expected = i64::try_from(bits).map(Value::I64);
        assert_eq!(echo, expected.map_err(|_| Code::LookupBadAnswer));
    }
}

#[tokio::test(flavor = "local")]
async fn answers_come_compressed_and_of_procedures() {
    let server = Server::start();
    let procedure = "create procedure p(n bigint) begin select n; select n + 1; end";
    server.run(&[procedure]).await;
    let (mysql, [long, called]) = backend(
        &format!("url = '{}?compression=fast'\nconnections = 1", server.url()),
        [
            "sql = 'select repeat(:v, 2500000)'\nrows = 'value'",
            "sql = 'call p(:v)'\nrows = 'value'",
        ],
    )
    .await;
    for n in 0..10 {
        let text = format!("{n}-text");
        let answer = ask(&mysql, &long, &[("v", text.as_str().into())]).await;
        assert!(answer == Ok(text.repeat(2_500_000).into()), "{n}");
        assert_eq!(
            ask(&mysql, &called, &[("v", n.into())]).await,
            Ok(Value::I64(n))
        );
    }
}

#[tokio::test(flavor = "local")]
async fn no_file_of_ours_is_sent() {
    let server = Server::start();
    server.run(&["create table t (n text)"]).await;
    let sql = "sql = \"load data local infile '/etc/hostname' into table t\"";
    let refused = ask_sql(&server, sql, &[]).await;
    assert_eq!(refused, Err(Code::LookupRefused));
}
