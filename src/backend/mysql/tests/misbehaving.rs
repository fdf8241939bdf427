//! Servers that send too much, too little, or the wrong thing.

use super::scripted::{OK, Scripted, packet, rows};
use super::*;

const ONE: &str = "sql = 'select :n'\nrows = 'value'";

async fn scripted(server: &Scripted) -> (Mysql, Compiled<Lookup>) {
    let keys = format!(
        "url = 'mysql://ann@127.0.0.1:{}'\nconnections = 1\nconnect_timeout = '20s'",
        server.port
    );
    let (mysql, [lookup]) = backend(&keys, [ONE]).await;
    (mysql, lookup)
}

/// The answers to the numbers from 1, by a server with this script, and how many connections there were.
async fn answers(
    script: impl Fn(usize, i64) -> Vec<u8> + 'static,
    count: i64,
) -> (Vec<Result<Value, Code>>, usize) {
    let server = Scripted::start(script).await;
    let (mysql, lookup) = scripted(&server).await;
    let mut answers = Vec::new();
    for n in 1..=count {
        answers.push(ask(&mysql, &lookup, &[("n", n.into())]).await);
    }
    (answers, server.connections())
}

fn own(count: i64) -> Vec<Result<Value, Code>> {
    (1..=count).map(|n| Ok(Value::I64(n))).collect()
}

#[tokio::test(flavor = "local")]
async fn what_is_left_over_after_an_answer_ends_the_connection() {
    for more in [rows(&[7]), packet(1, OK), packet(4, OK), vec![1]] {
        let (answers, connections) = answers(
            move |nth, n| {
                let more = if nth == 1 { &more[..] } else { &[] };
                [&rows(&[n]), more].concat()
            },
            5,
        )
        .await;
        assert_eq!(answers, own(5));
        assert_eq!(connections, 2);
    }
}

#[tokio::test(flavor = "local")]
async fn bytes_that_were_not_asked_for_end_the_connection() {
    let server = Scripted::start(|_, n| rows(&[n])).await;
    let (mysql, lookup) = scripted(&server).await;
    for n in 1..=4 {
        let answer = ask(&mysql, &lookup, &[("n", n.into())]).await;
        assert_eq!(answer, Ok(Value::I64(n)));
        server.say(rows(&[99]));
        while server.connections() == usize::try_from(n).expect("small") {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "local")]
async fn an_error_leaves_nothing_over_either() {
    let error = packet(1, b"\xff\x28\x04#42000no");
    let (answers, connections) = answers(
        move |nth, n| match nth {
            0 => error.clone(),
            1 => [&error[..], &rows(&[9])].concat(),
            _ => rows(&[n]),
        },
        4,
    )
    .await;
    let refused = Err(Code::LookupRefused);
    assert_eq!(
        answers,
        [refused.clone(), refused, Ok(3.into()), Ok(4.into())]
    );
    assert_eq!(connections, 2, "an error alone keeps it");
}

#[tokio::test(flavor = "local")]
async fn what_is_no_answer_is_a_bad_answer_and_ends_the_connection() {
    let good = rows(&[1]);
    let cut = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        bad
    };
    let row = 4 + 1 + 4 + 23 + 4;
    for bad in [
        // A file of ours is asked for.
        packet(1, b"\xfb/etc/passwd"),
        packet(1, &[0xfc, 0xff, 0xff]),
        packet(1, &[]),
        packet(1, &[0xff]),
        packet(1, &[0xfe; 9]),
        packet(9, &[1]),
        // More than a column may be long.
        cut(5, &[0xff, 0xff, 0xff]),
        // A type that there is not.
        cut(4 + 1 + 4 + 17, &[0xc8]),
        // One that can't be read.
        cut(4 + 1 + 4 + 17, &[0xf2]),
        // A text whose length is longer than the row.
        cut(4 + 1 + 4 + 17, &[0xfd]),
        // A row that is none.
        cut(row, &[7]),
    ] {
        let shown = format!("{bad:x?}");
        let script = move |nth, n| if nth == 0 { bad.clone() } else { rows(&[n]) };
        let (answers, connections) = answers(script, 2).await;
        assert_eq!(
            answers,
            [Err(Code::LookupBadAnswer), Ok(2.into())],
            "{shown}"
        );
        assert_eq!(connections, 2, "{shown}");
    }
}

#[tokio::test(flavor = "local")]
async fn an_unknown_statement_is_prepared_again_in_another_session() {
    let unknown = packet(1, b"\xff\xdb\x04#HY000Unknown prepared statement handler");
    let script = move |nth, n| {
        if nth == 1 {
            unknown.clone()
        } else {
            rows(&[n])
        }
    };
    let (answers, connections) = answers(script, 3).await;
    assert_eq!(answers, own(3));
    assert_eq!(connections, 2);
}
