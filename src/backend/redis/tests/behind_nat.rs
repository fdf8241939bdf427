//! Servers that name each other by addresses to which nothing leads: a real cluster, and a real sentinel.

use super::cluster::{Cluster, numbers, value};
use super::sentinel::start_sentinel;
use super::*;

/// A node's name, which does not resolve.
fn inner(at: usize) -> String {
    format!("inner-{at}.invalid")
}

/// `addresses` for servers in this order.
fn map<'a>(servers: impl IntoIterator<Item = &'a Server>) -> String {
    let pair = |(at, server): (usize, &Server)| {
        let port = server.port;
        format!("'{}:{port}' = '127.0.0.1:{port}'", inner(at))
    };
    let pairs: Vec<String> = servers.into_iter().enumerate().map(pair).collect();
    format!("addresses = {{ {} }}", pairs.join(", "))
}

#[tokio::test(flavor = "local")]
async fn slots_and_redirections_lead_where_the_map_says() {
    let cluster = Cluster::start().await;
    cluster.fill(60).await;
    for (at, node) in cluster.nodes.iter().enumerate() {
        for (key, value) in [
            ("cluster-announce-hostname", &*inner(at)),
            ("cluster-preferred-endpoint-type", "hostname"),
        ] {
            node.run(&["CONFIG", "SET", key, value]).await;
        }
    }
    for node in &cluster.nodes {
        eventually("every node is called by its name", async || {
            let nodes = node.text(&["CLUSTER", "NODES"]).await;
            (0..3).all(|at| nodes.contains(&inner(at)))
        })
        .await;
    }
    let redis = cluster.backend(&map(&cluster.nodes)).await;
    let get = compiled("get = 'k:{id}'").lookup;
    let all: Vec<_> = (0..60).map(|key| Ok(value(key))).collect();
    assert_eq!(ask_all(&redis, &get, &numbers(60)).await, all);
    let without = cluster.backend("").await;
    let own = Cluster::owner("k:0");
    let answers = ask_all(&without, &get, &numbers(60)).await;
    assert_eq!(answers[0], Err(Code::LookupUnavailable), "of node {own}");

    // A slot that another node has by now: its old node names the new one.
    let slot = slot(0);
    let [from, to] = [Cluster::owner("k:0"), (Cluster::owner("k:0") + 1) % 3];
    let [from, to] = [from, to].map(|at| &cluster.nodes[at]);
    let [from_id, to_id] = [
        from.text(&["CLUSTER", "MYID"]).await,
        to.text(&["CLUSTER", "MYID"]).await,
    ];
    to.run(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id])
        .await;
    from.run(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id])
        .await;
    let port = to.port.to_string();
    from.run(&["MIGRATE", "127.0.0.1", &port, "k:0", "0", "1000"])
        .await;
    assert_eq!(ask_all(&redis, &get, &numbers(60)).await, all, "ASK");
    for node in [to, from] {
        node.run(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id])
            .await;
    }
    assert_eq!(ask_all(&redis, &get, &numbers(60)).await, all, "MOVED");
}

fn slot(key: i64) -> String {
    let slot = crate::backend::redis::cluster::slot::of(format!("k:{key}").as_bytes());
    slot.to_string()
}

#[tokio::test(flavor = "local")]
async fn a_sentinel_may_name_what_only_it_can_reach() {
    let master = Server::start();
    let sentinel = start_sentinel(master.port, "");
    let keys = |named: &str, port: u16| {
        format!(
            "sentinels = ['127.0.0.1:{}']\nmaster = 'mine'\nconnect_timeout = '20s'\n\
             addresses = {{ '{named}:{}' = '127.0.0.1:{port}' }}",
            sentinel.port, master.port
        )
    };
    // The sentinel names the master, and the map leads to another one.
    let other = Server::start();
    other.run(&["SET", "k", "of another"]).await;
    let redis = configured(&keys("127.0.0.1", other.port)).await;
    assert_eq!(ask(&redis, "get = 'k'", &[]).await, Ok("of another".into()));
    let redis = configured(&keys("192.0.2.1", other.port)).await;
    assert_eq!(ask(&redis, "get = 'k'", &[]).await, Ok(Value::Null));
}
