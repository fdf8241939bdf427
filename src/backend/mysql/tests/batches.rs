//! Lookups that travel together, each with its own answer.

use super::*;

/// Asks values of one lookup as one batch.
async fn many(
    mysql: &Mysql,
    lookup: &Compiled<Lookup>,
    values: &[Value],
) -> Vec<Result<Value, Code>> {
    let asked: Vec<_> = values
        .iter()
        .map(|value| BatchedAsk {
            lookup: &lookup.lookup,
            params: std::slice::from_ref(value),
        })
        .collect();
    let answers = timeout(
        Duration::from_mins(1),
        Answers::collect(asked.len(), async |answers| {
            mysql.lookup_many(&asked, answers).await;
        }),
    )
    .await;
    let answers = answers.expect("a batch ends").into_iter();
    answers
        .map(|answer| answer.map(|answer| answer.value).map_err(|err| err.code))
        .collect()
}

const EMPTY: Result<Value, Code> = Ok(Value::Null);

const TABLE: &str =
    "create table t (code varchar(10) collate utf8mb4_general_ci, at int, note varchar(20))";

#[tokio::test(flavor = "local")]
async fn duplicates_missing_ones_and_nulls() {
    let server = Server::start();
    let rows = "insert into t values ('JFK', 1, 'Kennedy'), ('LGA', 2, 'La Guardia'), ('JFK', 3, 'again'), ('7', 4, 'seven')";
    server.run(&[TABLE, rows]).await;
    let sql =
        "from t where code in (:code) order by at\"\nbatch = { key = \"code\", max = 4 }\nrows = ";
    let (mysql, [one, every, value, strange]) = backend(
        &format!("url = '{}'", server.url()),
        [
            &format!("sql = \"select note, code {sql}'one'"),
            &format!("sql = \"select at, code {sql}'many'\nrows_max = 2"),
            &format!("sql = \"select note, code {sql}'value'"),
            &format!("sql = \"select note {sql}'value'"),
        ],
    )
    .await;
    let text = |text: &str| Ok(Value::from(text));
    let pairs_of = [
        ("JFK".into(), text("Kennedy")),
        ("nix".into(), EMPTY),
        ("LGA".into(), text("La Guardia")),
        ("JFK".into(), text("Kennedy")),
        ("a".into(), EMPTY),
        ("b".into(), EMPTY),
        (Value::Null, EMPTY),
        (7.into(), text("seven")),
        ("7".into(), text("seven")),
        (Value::List(vec![]), Err(Code::LookupBadParam)),
        ("jfk".into(), EMPTY),
        (Value::Bytes(vec![0xff].into()), EMPTY),
    ];
    let (asked, expected): (Vec<Value>, Vec<_>) = pairs_of.into_iter().unzip();
    let codes = &asked;
    assert_eq!(many(&mysql, &value, &asked).await, expected);
    // The same alone as in a batch.
    for (value_of, expected) in asked.iter().zip(&expected) {
        let alone = ask(&mysql, &value, &[("code", value_of.clone())]).await;
        assert_eq!(alone, *expected, "{value_of:?}");
    }
    let lists = many(&mysql, &every, &codes[..3]).await;
    let lengths = lists.iter().map(|list| match list {
        Ok(Value::List(items)) => items.len(),
        other => panic!("a list, not {other:?}"),
    });
    assert_eq!(lengths.collect::<Vec<_>>(), [2, 0, 1]);
    let Ok(Value::Record(record)) = &many(&mysql, &one, &codes[..1]).await[0] else {
        panic!("a row")
    };
    assert_eq!(
        pairs(record),
        [("note", "Kennedy".into()), ("code", "JFK".into())]
    );
    assert_eq!(
        many(&mysql, &strange, &codes[..2]).await,
        [Err(Code::LookupBadAnswer), Err(Code::LookupBadAnswer)]
    );
    server
        .run(&["insert into t values ('LGA', 5, 'x'), ('LGA', 6, 'y')"])
        .await;
    let lists = many(&mysql, &every, &codes[..3]).await;
    assert_eq!(lists[2], Err(Code::LookupTooMany));
    assert!(
        lists[0].is_ok(),
        "too many rows of one are no trouble of another"
    );
}

/// Lookups of several statements at the same time, more of each than one question carries.
#[tokio::test(flavor = "local")]
async fn several_statements_and_many_values() {
    let server = Server::start();
    let fill = "insert into t select seq, seq, concat('note ', seq) from seq_1_to_500";
    server.run(&[TABLE, fill]).await;
    let (mysql, [by_code, by_number]) = backend(
        &format!("url = '{}'", server.url()),
        [
            "sql = 'select note, code from t where code in (:code)'\nbatch = { key = 'code', max = 100 }\nrows = 'value'",
            "sql = 'select note, at from t where at in (:at)'\nbatch = { key = 'at' }\nrows = 'value'",
        ],
    )
    .await;
    let values: Vec<Value> = (1..=600).map(Value::I64).collect();
    let (of_codes, of_numbers) = tokio::join!(
        many(&mysql, &by_code, &values),
        many(&mysql, &by_number, &values)
    );
    for answers in [of_codes, of_numbers] {
        assert_eq!(answers.len(), 600);
        for (answer, number) in answers.into_iter().zip(1..) {
            let expected = if number <= 500 {
                Value::from(format!("note {number}"))
            } else {
                Value::Null
            };
            assert_eq!(answer, Ok(expected));
        }
    }
    // 100 values make statements of 128 places, the rest smaller ones: few are ever prepared.
    let count = "select variable_value + 0 from information_schema.global_status where variable_name = 'prepared_stmt_count'";
    let keys = format!("sql = \"{count}\"\nrows = 'value'");
    let Ok(Value::Double(prepared)) = ask_sql(&server, &keys, &[]).await else {
        panic!("a number")
    };
    assert!(prepared < 17.0, "{prepared} statements");
}

/// Together they are longer than the server accepts; each alone is not.
#[tokio::test(flavor = "local")]
async fn values_that_are_too_long_together_are_asked_alone() {
    let server = Server::start();
    server
        .run(&[TABLE, "insert into t values ('JFK', 1, 'Kennedy')"])
        .await;
    let (mysql, [lookup]) = backend(
        &format!("url = '{}'", server.url()),
        ["sql = 'select note, code from t where code in (:code)'\nbatch = { key = 'code' }\nrows = 'value'"],
    )
    .await;
    let long = |letter: &str| Value::from(letter.repeat(7 << 20));
    let huge = Value::from("x".repeat(17 << 20));
    let asked = [long("a"), "JFK".into(), long("b"), long("c"), huge];
    let answers = many(&mysql, &lookup, &asked).await;
    assert_eq!(
        answers[..4],
        [
            Ok(Value::Null),
            Ok("Kennedy".into()),
            Ok(Value::Null),
            Ok(Value::Null)
        ]
    );
    assert_eq!(answers[4], Err(Code::LookupBadParam), "too long alone");
}

/// Their rows would otherwise be taken for each other's.
#[tokio::test(flavor = "local")]
async fn lookups_of_two_statements_are_never_asked_together() {
    let server = Server::start();
    server
        .run(&[TABLE, "insert into t values ('JFK', 1, 'Kennedy')"])
        .await;
    let sql = "from t where code in (:code)\"\nbatch = { key = \"code\" }\nrows = 'value'";
    let (mysql, [note, at]) = backend(
        &format!("url = '{}'", server.url()),
        [
            &format!("sql = \"select note, code {sql}"),
            &format!("sql = \"select at, code {sql}"),
        ],
    )
    .await;
    let code = Value::from("JFK");
    let asked = [&note, &at].map(|lookup| BatchedAsk {
        lookup: &lookup.lookup,
        params: std::slice::from_ref(&code),
    });
    let ask = async |answers: Answers<'_>| mysql.lookup_many(&asked, answers).await;
    let mut answers = Answers::collect(2, ask).await.into_iter();
    let mut next = || answers.next().expect("two answers");
    assert_eq!(next().expect("the first one's row").value, "Kennedy".into());
    assert_eq!(
        next().expect_err("another statement").code,
        Code::ServerInternal
    );
}
