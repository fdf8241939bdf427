//! Replicas that are read from: of a real cluster and of a master with a sentinel.

use std::cell::Cell;

use futures_util::future::join;

use super::cluster::{self, Cluster, numbers, value};
use super::sentinel::{Servers, info};
use super::*;

const REPLICA: &str = "\nread_from = 'replica'";

/// How many `GET`s a server has run.
async fn gets(server: &Server) -> u64 {
    let stats = info(server, "commandstats").await;
    let mut lines = stats.lines();
    let count = lines.find_map(|line| line.strip_prefix("cmdstat_get:calls="));
    count.map_or(0, |count| {
        let digits = count.split(',').next().expect("the first field");
        digits.parse().expect("a number")
    })
}

/// Waits until `get` with any number is read from `server`, and from then on not from `other`.
async fn moves_to(redis: &Redis, get: &Command, server: &Server, other: Option<&Server>) {
    eventually("reads go there", async || {
        let before = gets(server).await;
        assert!(ask_compiled(redis, get, &[7.into()]).await.is_ok());
        gets(server).await > before
    })
    .await;
    let Some(other) = other else { return };
    let before = gets(other).await;
    for key in 0..20 {
        assert!(ask_compiled(redis, get, &[key.into()]).await.is_ok());
    }
    assert_eq!(gets(other).await, before);
}

/// Asks for all keys again and again until `done`; all of them have to be answered correctly.
async fn all_are_answered(redis: &Redis, get: &Command, count: i64, done: &Cell<bool>) {
    while !done.get() {
        for (key, answer) in (0..).zip(ask_all(redis, get, &numbers(count)).await) {
            assert_eq!(answer, Ok(value(key)));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "local")]
async fn a_replica_that_sentinels_name_is_read_while_it_is_in_sync() {
    let mut servers = Servers::start().await;
    let redis = configured(&(servers.keys() + REPLICA)).await;
    let get = compiled("get = 'k:{id}'").lookup;
    let [master, replica] = &servers.data[..] else {
        panic!("two servers")
    };
    moves_to(&redis, &get, replica, Some(master)).await;

    let done = Cell::new(false);
    let losing_sync = async {
        let nobody = free_port().to_string();
        replica.run(&["REPLICAOF", "127.0.0.1", &nobody]).await;
        moves_to(&redis, &get, master, Some(replica)).await;
        let port = master.port.to_string();
        replica.run(&["REPLICAOF", "127.0.0.1", &port]).await;
        moves_to(&redis, &get, replica, Some(master)).await;
        done.set(true);
    };
    join(all_are_answered(&redis, &get, 50, &done), losing_sync).await;

    let done = Cell::new(false);
    let replica = servers.data.pop().expect("two servers");
    let dying = async {
        moves_to(&redis, &get, &replica, None).await;
        drop(replica);
        moves_to(&redis, &get, &servers.data[0], None).await;
        done.set(true);
    };
    join(all_are_answered(&redis, &get, 50, &done), dying).await;
}

#[tokio::test(flavor = "local")]
async fn a_replica_that_is_promoted_or_hangs_is_not_waited_for() {
    let servers = Servers::start().await;
    let redis = configured(&(servers.keys() + REPLICA)).await;
    let get = compiled("get = 'k:{id}'").lookup;
    moves_to(&redis, &get, &servers.data[1], None).await;
    signal(&servers.data[1].child, "STOP");
    eventually("the master is asked", async || {
        ask_compiled(&redis, &get, &[1.into()]).await == Ok(value(1))
    })
    .await;
    signal(&servers.data[1].child, "CONT");
    moves_to(&redis, &get, &servers.data[1], None).await;
    eventually("the sentinel finds a replica to promote", async || {
        let fail_over = ["SENTINEL", "FAILOVER", "mine"];
        !matches!(servers.sentinel.try_run(&fail_over).await, Reply::Error(_))
    })
    .await;
    // The old master becomes a replica.
    moves_to(&redis, &get, &servers.data[0], Some(&servers.data[1])).await;
}

/// Has a new node become a replica of the first, and waits until all know of it.
async fn add_replica(cluster: &Cluster) -> Server {
    let (replica, bus) = (0..10)
        .find_map(|_| {
            let (folder, bus) = (tempfile::tempdir().expect("a folder"), free_port());
            Some((cluster::start_node(folder, free_port(), bus)?, bus))
        })
        .expect("redis-server starts");
    let master = &cluster.nodes[0];
    let id = master.text(&["CLUSTER", "MYID"]).await;
    let (port, bus_text) = (replica.port.to_string(), bus.to_string());
    master
        .run(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus_text])
        .await;
    eventually("it knows its master", async || {
        let replicate = ["CLUSTER", "REPLICATE", &id];
        !matches!(replica.try_run(&replicate).await, Reply::Error(_))
    })
    .await;
    for node in &cluster.nodes {
        eventually("all know of it", async || {
            let slots = format!("{:?}", node.run(&["CLUSTER", "SLOTS"]).await);
            slots.contains(&port)
        })
        .await;
    }
    replica
}

#[tokio::test(flavor = "local")]
async fn a_replica_of_a_cluster_is_read_until_it_dies() {
    let cluster = Cluster::start().await;
    cluster.fill(120).await;
    let replica = add_replica(&cluster).await;
    let redis = cluster.backend(REPLICA).await;
    let all = compiled("get = 'k:{id}'").lookup;
    // Keys of the first node, by a tag of theirs.
    let key = (0..120).find(|key| Cluster::owner(&format!("k:{key}")) == 0);
    let tagged = format!("get = '{{{{k:{}}}}}:{{id}}'", key.expect("a third of them"));
    let of_first = compiled(&tagged).lookup;
    moves_to(&redis, &of_first, &replica, Some(&cluster.nodes[0])).await;

    let done = Cell::new(false);
    let dying = async {
        moves_to(&redis, &of_first, &replica, None).await;
        drop(replica);
        moves_to(&redis, &of_first, &cluster.nodes[0], None).await;
        done.set(true);
    };
    join(all_are_answered(&redis, &all, 120, &done), dying).await;

    let another = add_replica(&cluster).await;
    moves_to(&redis, &of_first, &another, Some(&cluster.nodes[0])).await;
    // Without `read_from`, replicas are not read.
    let masters = cluster.backend("").await;
    moves_to(&masters, &of_first, &cluster.nodes[0], Some(&another)).await;
}
