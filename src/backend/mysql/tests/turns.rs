//! Statements that hang, beside others.

use std::pin::pin;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use futures_util::{FutureExt as _, poll};

use super::*;

#[tokio::test(flavor = "local")]
async fn a_statement_that_hangs_leaves_a_connection_to_the_others() {
    let server = Server::start();
    server
        .run(&["create table gate (n int)", "insert into gate values (7)"])
        .await;
    let (mysql, [slow, quick]) = backend(
        &format!("url = '{}'\nconnections = 2", server.url()),
        [
            "sql = 'select n from gate'\nrows = 'value'",
            "sql = 'select :n + 1'\nrows = 'value'",
        ],
    )
    .await;
    let opts = Opts::from_url(&server.url()).expect("a URL");
    let mut owner = Conn::new(opts).await.expect("connects");
    owner
        .query_drop("lock tables gate write")
        .await
        .expect("free");
    let mut hanging = pin!(join_all((0..5).map(|_| ask(&mysql, &slow, &[]))));
    assert!(poll!(hanging.as_mut()).is_pending());
    let waiting =
        "select count(*) from information_schema.processlist where state like '%metadata lock%'";
    while owner.query_first::<i64, _>(waiting).await.expect("it runs") != Some(1) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for n in 0..5 {
        let answer = ask(&mysql, &quick, &[("n", n.into())]).await;
        assert_eq!(answer, Ok(Value::I64(n + 1)));
    }
    assert!(hanging.as_mut().now_or_never().is_none());
    owner.query_drop("unlock tables").await.expect("locked");
    assert_eq!(hanging.await, vec![Ok(Value::I64(7)); 5]);
}

#[tokio::test(flavor = "local")]
async fn connections_are_opened_while_statements_wait_and_closed_afterwards() {
    let server = Server::start();
    server.run(&[]).await;
    let keys = "connections = 3\nconnections_min = 1\nconnection_idle_max = '50ms'\nconnect_timeout = '20s'";
    let (mysql, [slow, quick]) = backend(
        &format!(
            "url = '{}'\nstatement_timeout = '10m'\n{keys}",
            server.url()
        ),
        [
            "sql = 'select sleep(300)'\nrows = 'value'",
            "sql = 'select :n + 1'\nrows = 'value'",
        ],
    )
    .await;
    let open = || {
        let open = mysql.open_connections().expect("it counts them");
        open.counts()[0].load(Ordering::Relaxed)
    };
    let echo = async |n: i64| {
        let answer = ask(&mysql, &quick, &[("n", n.into())]).await;
        assert_eq!(answer, Ok(Value::I64(n + 1)));
    };
    echo(1).await;
    assert_eq!(open(), 1);
    let slowly = join_all([(); 9].map(|()| ask(&mysql, &slow, &[])));
    let answers = async {
        // Those that wait have connections opened, and the last one is for quick statements.
        while open() < 3 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        join_all((0..20).map(echo)).await;
    };
    let minute = Duration::from_mins(1);
    tokio::select! {
        _ = slowly => panic!("it has no end"),
        answered = timeout(minute, answers) => answered.expect("there are more connections"),
    }
    // The one that is always kept takes what comes now.
    let closed = async {
        while open() > 1 {
            echo(2).await;
        }
    };
    timeout(minute, closed).await.expect("they are not needed");
    echo(3).await;
    // Those that are closed can be opened again.
    tokio::select! {
        _ = ask(&mysql, &slow, &[]) => panic!("it has no end"),
        () = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            echo(4).await;
        } => {}
    }
}
