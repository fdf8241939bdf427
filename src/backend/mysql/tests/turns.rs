//! Statements that hang, beside others.

use std::pin::pin;

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
