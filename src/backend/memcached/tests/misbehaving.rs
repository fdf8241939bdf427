//! Servers that send nothing, the wrong thing, or half an answer.

use std::cell::RefCell;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::*;

const GET: &str = "get = 'k:{n}'";
/// Gives up early, for servers that never answer.
const IMPATIENT: &str = "connections = 1\nanswer_timeout = '1s'\nconnect_timeout = '20s'";
/// Waits as long as a busy machine may need.
const PATIENT: &str = "connections = 1\nanswer_timeout = '20s'\nconnect_timeout = '20s'";

/// What the scripted server does with one command.
enum Act {
    Say(&'static str),
    /// Sends it, and closes.
    Last(&'static str),
    Silence,
}

/// A server that greets properly and then follows `script`, one act per command over all its connections. It records the
/// commands it saw, and `closed` for a connection that its client closed.
struct Scripted {
    addr: String,
    seen: Rc<RefCell<Vec<String>>>,
    _task: AbortOnDropHandle<()>,
}

impl Scripted {
    async fn start(script: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound").to_string();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let script = Rc::new(RefCell::new(script.into_iter()));
        let log = Rc::clone(&seen);
        let accept = async move {
            loop {
                let (stream, _) = listener.accept().await.expect("accepts");
                let served = serve(stream, Rc::clone(&log), Rc::clone(&script));
                tokio::task::spawn_local(served);
            }
        };
        Scripted {
            addr,
            seen,
            _task: AbortOnDropHandle::new(tokio::task::spawn_local(accept)),
        }
    }
}

async fn serve(
    stream: TcpStream,
    seen: Rc<RefCell<Vec<String>>>,
    script: Rc<RefCell<std::vec::IntoIter<Act>>>,
) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        if line == "get tributary.first.question\r\n" {
            stream.write_all(b"END\r\n").await.expect("greeted");
        } else {
            seen.borrow_mut().push(line.trim_end().to_owned());
            let act = script.borrow_mut().next().expect("an act for it");
            if let Act::Say(words) | Act::Last(words) = act {
                stream
                    .write_all(words.as_bytes())
                    .await
                    .expect("it listens");
            }
            if let Act::Last(_) = act {
                return;
            }
        }
        line.clear();
    }
    seen.borrow_mut().push("closed".into());
}

async fn answers(script: Vec<Act>, asked: &[i64]) -> (Vec<Result<Value, Code>>, Vec<String>) {
    let server = Scripted::start(script).await;
    let memcached = backend_with(std::slice::from_ref(&server.addr), PATIENT).await;
    let mut answers = Vec::new();
    for n in asked {
        until(&memcached, 0, |counts| counts.up == 1).await;
        answers.push(ask(&memcached, GET, &[(*n).into()]).await);
    }
    let seen = server.seen.borrow().clone();
    (answers, seen)
}

#[tokio::test(flavor = "local")]
async fn an_unanswered_question_costs_its_connection() {
    let server = Scripted::start(vec![
        Act::Silence,
        Act::Say("VALUE k:2 0 3\r\ntwo\r\nEND\r\n"),
    ])
    .await;
    let memcached = backend_with(std::slice::from_ref(&server.addr), IMPATIENT).await;
    until(&memcached, 0, |counts| counts.up == 1).await;
    assert_eq!(
        ask(&memcached, GET, &[1.into()]).await,
        Err(Code::LookupUnavailable)
    );
    until(&memcached, 0, |counts| counts.up == 0).await;
    until(&memcached, 0, |counts| counts.up == 1).await;
    assert_eq!(ask(&memcached, GET, &[2.into()]).await, Ok("two".into()));
    assert_eq!(*server.seen.borrow(), ["get k:1", "closed", "get k:2"]);
}

#[tokio::test(flavor = "local")]
async fn a_declared_size_without_its_bytes_is_given_up() {
    let endless = "VALUE k:1 0 1073741824\r\nx\r\nEND\r\n";
    let server = Scripted::start(vec![Act::Say(endless), Act::Say("END\r\n")]).await;
    let memcached = backend_with(std::slice::from_ref(&server.addr), IMPATIENT).await;
    until(&memcached, 0, |counts| counts.up == 1).await;
    assert_eq!(
        ask(&memcached, GET, &[1.into()]).await,
        Err(Code::LookupUnavailable)
    );
    until(&memcached, 0, |counts| counts.up == 0).await;
    until(&memcached, 0, |counts| counts.up == 1).await;
    assert_eq!(ask(&memcached, GET, &[2.into()]).await, Ok(Value::Null));
}

#[tokio::test(flavor = "local")]
async fn a_server_that_only_accepts_is_down_and_costs_its_own_keys() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent_addr = silent.local_addr().expect("bound").to_string();
    let server = Server::start();
    let keys = "answer_timeout = '20s'\nconnect_timeout = '50ms'";
    let memcached = backend_with(&[server.addr(), silent_addr], keys).await;
    until(&memcached, 0, |counts| counts.up == 2).await;
    until(&memcached, 1, is_down).await;
    let answers = ask_range(&memcached, 100).await;
    for (n, answer) in answers.into_iter().enumerate() {
        let expected = match memcached.ring.server(format!("k:{n}").as_bytes()) {
            0 => Ok(Value::Null),
            _ => Err(Code::LookupUnavailable),
        };
        assert_eq!(answer, expected, "{n}");
    }
}

#[tokio::test(flavor = "local")]
async fn a_silent_server_does_not_delay_another_servers_answers() {
    let silent = Scripted::start(vec![Act::Silence]).await;
    let server = Server::start();
    let memcached = backend_with(&[server.addr(), silent.addr.clone()], IMPATIENT).await;
    until(&memcached, 0, |counts| counts.up == 1).await;
    until(&memcached, 1, |counts| counts.up == 1).await;
    let answers = ask_range(&memcached, 20).await;
    let silent_keys = answers
        .iter()
        .filter(|answer| **answer == Err(Code::LookupUnavailable));
    let other_keys = answers.iter().filter(|answer| **answer == Ok(Value::Null));
    let (silent_keys, other_keys) = (silent_keys.count(), other_keys.count());
    assert_eq!(silent_keys + other_keys, 20);
    assert!(
        silent_keys > 0 && other_keys > 0,
        "{silent_keys} {other_keys}"
    );
}

#[tokio::test(flavor = "local")]
async fn an_answer_to_another_question_is_refused_and_its_connection_dropped() {
    let (answers, seen) = answers(
        vec![
            Act::Say("VALUE k:9 0 4\r\nnine\r\nEND\r\n"),
            Act::Say("VALUE k:2 0 3\r\ntwo\r\nEND\r\n"),
            Act::Say("VALUE k:3 0 1\r\na\r\nVALUE k:3 0 1\r\nb\r\nEND\r\n"),
        ],
        &[1, 2, 3],
    )
    .await;
    let bad = Err(Code::LookupBadAnswer);
    assert_eq!(answers, [bad.clone(), Ok("two".into()), bad]);
    assert_eq!(seen[..3], ["get k:1", "closed", "get k:2"]);
}

#[tokio::test(flavor = "local")]
async fn what_is_left_over_after_an_answer_ends_the_connection() {
    let (answers, seen) = answers(
        vec![
            Act::Say("VALUE k:1 0 3\r\none\r\nEND\r\nEND\r\n"),
            Act::Say("VALUE k:2 0 3\r\ntwo\r\nEND\r\nEN"),
            Act::Say("VALUE k:3 0 5\r\nthree\r\nEND\r\n"),
        ],
        &[1, 2, 3],
    )
    .await;
    assert_eq!(
        answers,
        [Ok("one".into()), Ok("two".into()), Ok("three".into())]
    );
    let asked = seen.iter().filter(|line| *line != "closed");
    assert_eq!(asked.count(), 3);
    assert_eq!(seen.len(), 5, "two connections were closed: {seen:?}");
}

/// A server that is told an account first: what it answers, and what it was told.
async fn logged_in(words: &'static str) -> (Result<Value, LookupError>, Vec<String>) {
    let server = Scripted::start(vec![
        Act::Say(words),
        Act::Silence,
        Act::Say("VALUE k:1 0 3\r\none\r\nEND\r\n"),
    ])
    .await;
    let keys = format!("{PATIENT}\nuser = 'ann'\npassword = 'secret'");
    let memcached = backend_with(std::slice::from_ref(&server.addr), &keys).await;
    let get = compiled(GET).lookup;
    let asked = [BatchedAsk {
        lookup: &get,
        params: &[1.into()],
    }];
    let answer = Answers::one(async |answers| memcached.lookup_many(&asked, answers).await).await;
    let seen = server.seen.borrow().clone();
    (answer.map(|answer| answer.value), seen)
}

#[tokio::test(flavor = "local")]
async fn an_account_is_said_first_and_never_stays_as_a_value() {
    let (answer, seen) = logged_in("STORED\r\n").await;
    assert_eq!(answer.expect("logged in"), "one".into());
    assert_eq!(
        seen,
        [
            "set tributary.first.question 0 -1 10",
            "ann secret",
            "get k:1"
        ],
        "a negative lifetime"
    );
    for refused in [
        "CLIENT_ERROR authentication failure\r\n",
        "END\r\n",
        "STORED\r\nSTORED\r\n",
    ] {
        let why = logged_in(refused).await.0.expect_err(refused);
        assert_eq!(why.code, Code::LookupUnavailable, "{why}");
        assert!(!why.detail.contains("secret"), "{why}");
    }
}

/// A server that accepts, says `greeting` before it is asked anything, and closes.
async fn refuses_with(greeting: &'static str) -> Memcached {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound").to_string();
    tokio::task::spawn_local(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            stream
                .write_all(greeting.as_bytes())
                .await
                .expect("says it");
        }
    });
    backend_with(&[addr], PATIENT).await
}

#[tokio::test(flavor = "local")]
async fn a_connection_too_many_is_unavailable_in_the_servers_words() {
    let memcached = refuses_with("ERROR Too many open connections\r\n").await;
    let asked = memcached.servers[0].pool.queue.ask(Rc::new([]));
    let err = asked.await.expect_err("it is full");
    assert_eq!(err.code, Code::LookupUnavailable);
    assert!(err.detail.contains("Too many open connections"), "{err}");
}

#[tokio::test(flavor = "local")]
async fn half_an_answer_is_none() {
    let half = "VALUE k:1 0 1000\r\nbegun";
    let (answers, seen) = answers(
        vec![
            Act::Last(half),
            Act::Last(half),
            Act::Last(half),
            Act::Say("VALUE k:1 0 3\r\none\r\nEND\r\n"),
        ],
        &[1, 1],
    )
    .await;
    let away = Err(Code::LookupUnavailable);
    assert_eq!(answers, [away, Ok("one".into())], "each is asked twice");
    assert_eq!(seen, ["get k:1"; 4]);
}

#[tokio::test(flavor = "local")]
async fn errors_and_nonsense_have_their_codes() {
    for (words, code) in [
        ("SERVER_ERROR out of memory\r\n", Code::LookupFailed),
        ("CLIENT_ERROR unauthenticated\r\n", Code::LookupRefused),
        ("ERROR\r\n", Code::LookupRefused),
        ("STORED\r\n", Code::LookupBadAnswer),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", Code::LookupBadAnswer),
        ("VALUE k:1 0 1\r\nlonger\r\nEND\r\n", Code::LookupBadAnswer),
        ("VALUE k:1 0 x\r\n", Code::LookupBadAnswer),
        (
            "VALUE k:1 0 18446744073709551615\r\nx\r\n",
            Code::LookupBadAnswer,
        ),
    ] {
        let (answers, _) = answers(vec![Act::Say(words), Act::Say("END\r\n")], &[1, 2]).await;
        assert_eq!(answers, [Err(code), Ok(Value::Null)], "{words}");
    }
}
