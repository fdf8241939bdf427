//! What is heard of changes at a master that is replaced by its replica, and in a cluster.

use super::cluster::{Cluster, start_node};
use super::sentinel::{Servers, is_master};
use super::*;
use crate::backend::redis::cluster::slot;
use crate::backend::{Changes, Invalidate, Keys, OnLoop, Planned};

/// A backend with these keys, which hears of the changes of a lookup.
async fn hearing(keys: &str, lookup: &Command) -> Redis {
    let document = document(keys);
    let config = Redis::read_config(&mut whole(&document)).expect("a valid configuration");
    let planned = Planned {
        name: &"k".into(),
        lookup,
        budget: Duration::from_secs(1),
        invalidate: Some(&Invalidate::Keys),
    };
    Redis::connect(&config, &[planned], &OnLoop::default()).await
}

#[tokio::test(flavor = "local")]
async fn what_is_known_of_a_master_is_void_once_another_takes_its_place() {
    let servers = Servers::start().await;
    let get = compiled("get = 'k:{id}'").lookup;
    let redis = hearing(&servers.keys(), &get).await;
    let changes = redis.changes().expect("a lookup wants them");
    let one = [Value::I64(1)];
    let keys = Keys::of(|each| Redis::keys(&get, &one, &Invalidate::Keys, each));
    let keys = keys.expect("it is a key");
    eventually("changes are heard", async || changes.stamp(&keys).is_some()).await;

    let before = changes.stamp(&keys).expect("they are heard");
    servers.data[0].run(&["SET", "k:2", "new"]).await;
    servers.data[0].run(&["SET", "k:1", "new"]).await;
    let is_void = async || !changes.is_current(&before);
    eventually("the change is heard", is_void).await;

    let before = changes.stamp(&keys).expect("they are heard");
    eventually("the sentinel finds a replica to promote", async || {
        let fail_over = ["SENTINEL", "FAILOVER", "mine"];
        !matches!(servers.sentinel.try_run(&fail_over).await, Reply::Error(_))
    })
    .await;
    let is_void = async || !changes.is_current(&before);
    eventually("the old master is left", is_void).await;
    let promoted = &servers.data[1];
    eventually("it is promoted", async || is_master(promoted).await).await;
    eventually("changes of the new master are heard", async || {
        let Some(now) = changes.stamp(&keys) else {
            return false;
        };
        promoted.run(&["SET", "k:1", "newer"]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        changes.stamp(&keys).is_some() && !changes.is_current(&now)
    })
    .await;
}

/// The names of the keys with these numbers.
fn keys_of(lookup: &Command, number: i64) -> Keys {
    let one = [Value::I64(number)];
    let keys = Keys::of(|each| Redis::keys(lookup, &one, &Invalidate::Keys, each));
    keys.expect("it is a key")
}

async fn until_heard(changes: &Rc<Changes>, keys: &Keys) {
    eventually("changes are heard", async || changes.stamp(keys).is_some()).await;
}

/// Waits until a key that is written anywhere is heard of.
async fn until_current(changes: &Rc<Changes>, (node, number): (&super::Server, i64), keys: &Keys) {
    let key = format!("k:{number}");
    eventually("a change is heard", async || {
        let Some(now) = changes.stamp(keys) else {
            return false;
        };
        // A master that has just joined refuses until it knows the others.
        node.try_run(&["SET", &key, "newer"]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        changes.stamp(keys).is_some() && !changes.is_current(&now)
    })
    .await;
}

#[tokio::test(flavor = "local")]
async fn changes_at_every_master_of_a_cluster_are_heard() {
    let cluster = Cluster::start().await;
    let get = compiled("get = 'k:{id}'").lookup;
    let redis = hearing(&cluster.keys(""), &get).await;
    let changes = redis.changes().expect("a lookup wants them");
    // One key of each master.
    let numbers = [0, 1, 2].map(|at| {
        let mut numbers = 0..100;
        let is_of = |number: &i64| Cluster::owner(&format!("k:{number}")) == at;
        numbers.find(is_of).expect("one of a hundred")
    });
    let keys = numbers.map(|number| keys_of(&get, number));
    until_heard(changes, &keys[0]).await;
    for (at, number) in numbers.into_iter().enumerate() {
        let stamps = || {
            keys.each_ref()
                .map(|of| changes.stamp(of).expect("it is heard"))
        };
        let before = stamps();
        let (node, key) = (&cluster.nodes[at], format!("k:{number}"));
        node.run(&["SET", &key, "new"]).await;
        eventually("the change is heard", async || {
            !changes.is_current(&before[at])
        })
        .await;
        let others = (0..3).filter(|other| *other != at);
        for other in others {
            assert!(changes.is_current(&before[other]), "of another master");
        }
    }
}

#[tokio::test(flavor = "local")]
async fn a_master_that_dies_voids_what_is_known_of_all_keys() {
    let mut cluster = Cluster::start().await;
    let get = compiled("get = 'k:{id}'").lookup;
    let redis = hearing(&cluster.keys(""), &get).await;
    let changes = redis.changes().expect("a lookup wants them");
    let keys = keys_of(&get, 1);
    until_heard(changes, &keys).await;
    let before = changes.stamp(&keys).expect("it is heard");
    let other = (Cluster::owner("k:1") + 1) % 3;
    drop(cluster.nodes.remove(other));
    eventually("it is missed", async || changes.stamp(&keys).is_none()).await;
    assert!(!changes.is_current(&before));
}

#[tokio::test(flavor = "local")]
async fn a_master_that_joins_voids_what_is_known_and_is_heard() {
    let cluster = Cluster::start().await;
    let get = compiled("get = 'k:{id}'").lookup;
    let redis = hearing(&cluster.keys(""), &get).await;
    let changes = redis.changes().expect("a lookup wants them");
    let keys = keys_of(&get, 1);
    until_heard(changes, &keys).await;
    let before = changes.stamp(&keys).expect("it is heard");

    let (joins, bus) = (0..10)
        .find_map(|_| {
            let (folder, bus) = (tempfile::tempdir().expect("a folder"), free_port());
            Some((start_node(folder, free_port(), bus)?, bus))
        })
        .expect("redis-server does not start");
    joins.run(&["CLUSTER", "SET-CONFIG-EPOCH", "4"]).await;
    let (port, bus) = (joins.port.to_string(), bus.to_string());
    let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, &bus];
    cluster.nodes[0].run(&meet).await;
    let id = joins.text(&["CLUSTER", "MYID"]).await;
    for node in &cluster.nodes {
        eventually("it is known", async || {
            node.text(&["CLUSTER", "NODES"]).await.contains(&id)
        })
        .await;
    }
    // It gets the slot of the key, which nobody asks for meanwhile.
    let slot = slot::of(b"k:1").to_string();
    for node in std::iter::once(&joins).chain(&cluster.nodes) {
        eventually("the slot is given", async || {
            let gives = ["CLUSTER", "SETSLOT", &slot, "NODE", &id];
            !matches!(node.try_run(&gives).await, Reply::Error(_))
        })
        .await;
    }
    eventually("the map is read", async || !changes.is_current(&before)).await;
    until_current(changes, (&joins, 1), &keys).await;
}
