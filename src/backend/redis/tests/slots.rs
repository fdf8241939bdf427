//! Slots of a real cluster that move from one node to another while their keys are asked for without a pause.

use std::cell::Cell;

use futures_util::future::join;

use super::cluster::{Cluster, errors, numbers, value};
use super::*;
use crate::backend::redis::cluster::slot;

/// Keys of the slot.
const KEYS: i64 = 60;

/// Moves the slot key by key from one node to the other; `seen` is waited for at each step.
async fn move_slot([from, to]: [&Server; 2], seen: impl AsyncFn()) {
    let slot = slot::of(b"{t}").to_string();
    let from_id = from.text(&["CLUSTER", "MYID"]).await;
    let to_id = to.text(&["CLUSTER", "MYID"]).await;
    seen().await;
    to.run(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id])
        .await;
    from.run(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id])
        .await;
    for key in 0..KEYS {
        let (port, key) = (to.port.to_string(), format!("{{t}}:{key}"));
        from.run(&["MIGRATE", "127.0.0.1", &port, &key, "0", "1000"])
            .await;
        if key.ends_with('0') {
            seen().await;
        }
    }
    for node in [to, from] {
        node.run(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id])
            .await;
        seen().await;
    }
}

/// The node that has the slot, and the one that gets it.
fn nodes(cluster: &Cluster) -> [&Server; 2] {
    let owner = Cluster::owner("{t}");
    [&cluster.nodes[owner], &cluster.nodes[(owner + 1) % 3]]
}

/// Moves a slot while `round` asks for its keys again and again.
async fn moved_under(cluster: &Cluster, round: impl AsyncFn()) {
    let [from, _] = nodes(cluster);
    for key in 0..KEYS {
        let value = format!("value of k:{key}");
        from.run(&["SET", &format!("{{t}}:{key}"), &value]).await;
    }
    let done = Cell::new(false);
    let rounds = Cell::new(0_u32);
    let asking = async {
        while !done.get() {
            round().await;
            rounds.set(rounds.get() + 1);
        }
    };
    let a_round = async || {
        let seen = rounds.get();
        eventually("a round of lookups", async || rounds.get() > seen + 1).await;
    };
    let moving = async {
        move_slot(nodes(cluster), a_round).await;
        done.set(true);
    };
    join(asking, moving).await;
}

#[tokio::test(flavor = "local")]
async fn each_key_is_found_wherever_it_is() {
    let cluster = Cluster::start().await;
    let redis = cluster.backend("").await;
    let get = compiled("get = '{{t}}:{id}'").lookup;
    moved_under(&cluster, async || {
        let answers = ask_all(&redis, &get, &numbers(KEYS + 1)).await;
        for (key, answer) in (0..KEYS).zip(&answers) {
            assert_eq!(*answer, Ok(value(key)));
        }
        assert_eq!(answers.last(), Some(&Ok(Value::Null)));
    })
    .await;
    let [from, _] = nodes(&cluster);
    assert!(errors(from, "ASK").await > 0, "redirected for a key");
    let moved = errors(from, "MOVED").await;
    assert!(moved > 0, "redirected for the slot");
    for answer in ask_all(&redis, &get, &numbers(KEYS)).await {
        assert!(answer.is_ok());
    }
    assert_eq!(
        errors(from, "MOVED").await,
        moved,
        "the map has learnt of it"
    );
}

/// Neither node has all of them, and the last two do not exist.
#[tokio::test(flavor = "local")]
async fn several_keys_of_one_command_are_found_on_both_nodes() {
    let cluster = Cluster::start().await;
    let redis = cluster.backend("").await;
    let mget = compiled("mget = '{{t}}:{ids}'").lookup;
    let all = || (0..KEYS).map(value);
    let asked: [(Value, Vec<Value>); 3] = [
        (Value::List(numbers(KEYS)), all().collect()),
        (
            Value::List(numbers(KEYS + 2)),
            all().chain([Value::Null, Value::Null]).collect(),
        ),
        (vec![KEYS, KEYS + 1].into(), vec![Value::Null, Value::Null]),
    ];
    let params = asked.each_ref().map(|(params, _)| params.clone());
    moved_under(&cluster, async || {
        let answers = ask_all(&redis, &mget, &params).await;
        for (answer, (_, want)) in answers.into_iter().zip(&asked) {
            assert_eq!(answer, Ok(Value::List(want.clone())));
        }
    })
    .await;
    for node in nodes(&cluster) {
        assert!(errors(node, "TRYAGAIN").await > 0, "asked as a whole first");
    }
}
