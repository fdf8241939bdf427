//! Abandoned statements are stopped in the server, and nothing else is.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;

use super::scripted::{Scripted, rows};
use super::*;
use crate::backend::Cancelled;
use crate::backend::mysql::cancel::Target;
use crate::backend::mysql::client::Connection;
use crate::backend::mysql::options::Options;

const SLEEP: &str = "sql = 'select sleep(:s) as n'\nrows = 'value'";
const ECHO: &str = "sql = 'select cast(:n as signed) as n'\nrows = 'value'";

fn cancels(mysql: &Mysql, what: Cancelled) -> u64 {
    let cancels = mysql.cancels().expect("it makes requests");
    cancels.counts()[what as usize].load(Ordering::Relaxed)
}

/// Waits until this many sessions sleep in a statement.
async fn until(server: &Server, sleeping: u64) {
    let opts = Opts::from_url(&server.url()).expect("a URL");
    let mut connection = Conn::new(opts).await.expect("connects");
    let count = "select count(*) from information_schema.processlist where state = 'User sleep'";
    let wait = async {
        while connection.query_first(count).await.expect("counts") != Some(sleeping) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = timeout(Duration::from_mins(1), wait).await;
    waited.unwrap_or_else(|_| panic!("{sleeping} never sleep"));
    connection.disconnect().await.expect("disconnects");
}

async fn start(keys: &str) -> (Server, Mysql, [Compiled<Lookup>; 2]) {
    let server = Server::start();
    server.run(&[]).await;
    let keys = format!(
        "url = '{}'\nstatement_timeout = '10m'\nconnect_timeout = '20s'\n{keys}",
        server.url()
    );
    let (mysql, lookups) = backend(&keys, [SLEEP, ECHO]).await;
    (server, mysql, lookups)
}

async fn echo(mysql: &Mysql, lookup: &Compiled<Lookup>, number: i64) {
    let answer = ask(mysql, lookup, &[("n", Value::I64(number))]).await;
    assert_eq!(answer, Ok(Value::I64(number)));
}

#[tokio::test(flavor = "local")]
async fn an_abandoned_statement_is_stopped() {
    let (server, mysql, [slow, quick]) = start("connections = 1").await;
    echo(&mysql, &quick, 1).await;
    for round in 1..=3 {
        tokio::select! {
            answer = ask(&mysql, &slow, &[("s", Value::Double(300.0))]) => panic!("{answer:?}"),
            () = until(&server, 1) => {}
        }
        until(&server, 0).await;
        echo(&mysql, &quick, 2).await;
        assert_eq!(cancels(&mysql, Cancelled::Sent), round);
    }
    assert_eq!(cancels(&mysql, Cancelled::Failed), 0);
}

/// The slow statements end when they are about to be stopped, so that requests come too late.
#[tokio::test(flavor = "local")]
async fn a_request_that_comes_late_costs_no_lookup_its_answer() {
    let (_server, mysql, [slow, quick]) = start("connections = 2").await;
    echo(&mysql, &quick, 1).await;
    for round in 0..60 {
        let given_up = async {
            let micros = Duration::from_micros(300 * (round % 8));
            let asked = timeout(micros, ask(&mysql, &slow, &[("s", Value::Double(0.012))]));
            assert!(asked.await.is_err());
        };
        let beside = join_all((0..4).map(async |n| {
            for again in 0..20 {
                echo(&mysql, &quick, 1000 * again + n).await;
            }
        }));
        tokio::join!(given_up, beside);
    }
}

#[tokio::test(flavor = "local")]
async fn nothing_is_stopped_if_that_is_not_wanted() {
    let (server, mysql, [slow, quick]) = start("connections = 1\ncancel = false").await;
    echo(&mysql, &quick, 1).await;
    tokio::select! {
        answer = ask(&mysql, &slow, &[("s", Value::Double(1.0))]) => panic!("{answer:?}"),
        () = until(&server, 1) => {}
    }
    echo(&mysql, &quick, 2).await;
    assert_eq!(cancels(&mysql, Cancelled::Sent), 0);
    assert_eq!(cancels(&mysql, Cancelled::Failed), 0);
}

/// A number of a session means something to its own server only.
#[tokio::test(flavor = "local")]
async fn only_the_server_of_the_session_is_asked_to_stop_it() {
    let server = Scripted::start(|_, n| rows(&[n])).await;
    let options = Options::parse(&format!("mysql://ann@127.0.0.1:{}", server.port));
    let options = options.expect("a URL");
    let connect = async || Connection::connect(&options).await.expect("it runs");
    server.identify("8 a proxy");
    assert!(Target::of(&mut connect().await).await.is_none());
    server.identify("7 db 3306 1");
    let target = Target::of(&mut connect().await).await;
    let target = target.expect("the number is the server's own");
    server.identify("7 other 3306 2");
    target.stop(&options).await.expect_err("another server");
    assert_eq!(server.kills(), [""; 0]);
    server.identify("7 db 3306 1");
    target.stop(&options).await.expect("the right one");
    assert_eq!(server.kills(), ["kill query 7"]);
}
