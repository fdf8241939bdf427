//! A real cluster of three masters: nodes that go away, come back, or hang.

use std::collections::HashSet;

use super::*;
use crate::backend::redis::cluster::slot;

/// Three masters with a third of the slots each.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Server>,
}

/// The last slot of each third.
const ENDS: [u16; 3] = [5460, 10_922, 16_383];

fn options(bus: u16) -> Vec<String> {
    let options = format!(
        "--cluster-enabled yes --cluster-config-file nodes.conf --cluster-node-timeout 1000 --cluster-port {bus} \
         --cluster-require-full-coverage no"
    );
    options.split(' ').map(ToOwned::to_owned).collect()
}

pub(super) fn start_node(folder: tempfile::TempDir, port: u16, bus: u16) -> Option<Server> {
    let options = options(bus);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    Server::start_in(folder, port, &options)
}

impl Cluster {
    pub(super) async fn start() -> Self {
        let mut nodes = Vec::new();
        let mut buses = Vec::new();
        for (at, end) in ENDS.iter().enumerate() {
            let (node, bus) = (0..10)
                .find_map(|_| {
                    let (folder, bus) = (tempfile::tempdir().expect("a folder"), free_port());
                    Some((start_node(folder, free_port(), bus)?, bus))
                })
                .expect("redis-server does not start");
            let first = if at == 0 { 0 } else { ENDS[at - 1] + 1 };
            let (first, end) = (first.to_string(), end.to_string());
            node.run(&["CLUSTER", "ADDSLOTSRANGE", &first, &end]).await;
            let epoch = (at + 1).to_string();
            node.run(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await;
            nodes.push(node);
            buses.push(bus);
        }
        for (node, bus) in nodes.iter().zip(&buses).skip(1) {
            let (port, bus) = (node.port.to_string(), bus.to_string());
            nodes[0]
                .run(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])
                .await;
        }
        let cluster = Cluster { nodes };
        for node in &cluster.nodes {
            eventually("all nodes know each other", async || {
                let info = node.text(&["CLUSTER", "INFO"]).await;
                info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
            })
            .await;
        }
        cluster
    }

    /// The node that is given `key`'s slot at the start.
    pub(super) fn owner(key: &str) -> usize {
        let slot = slot::of(key.as_bytes());
        ENDS.iter().position(|end| slot <= *end).expect("a slot")
    }

    /// Stores `k:N` for each of `range`, its value telling its key.
    pub(super) async fn fill(&self, count: i64) {
        for key in 0..count {
            let key = format!("k:{key}");
            let value = format!("value of {key}");
            self.nodes[Cluster::owner(&key)]
                .run(&["SET", &key, &value])
                .await;
        }
    }

    pub(super) fn keys(&self, more: &str) -> String {
        let urls: Vec<_> = self
            .nodes
            .iter()
            .map(|node| format!("'redis://127.0.0.1:{}'", node.port))
            .collect();
        format!("urls = [{}]\n{more}", urls.join(", "))
    }

    pub(super) async fn backend(&self, more: &str) -> Redis {
        configured(&self.keys(more)).await
    }
}

/// How often a server answered with an error of this kind.
pub(super) async fn errors(server: &Server, kind: &str) -> u64 {
    let stats = server.text(&["INFO", "errorstats"]).await;
    let prefix = format!("errorstat_{kind}:count=");
    let count = stats.lines().find_map(|line| line.strip_prefix(&*prefix));
    count.map_or(0, |count| count.trim().parse().expect("a number"))
}

pub(super) fn numbers(count: i64) -> Vec<Value> {
    (0..count).map(Value::I64).collect()
}

pub(super) fn value(key: i64) -> Value {
    format!("value of k:{key}").into()
}

#[tokio::test(flavor = "local")]
async fn each_lookup_goes_to_the_node_of_its_key() {
    let cluster = Cluster::start().await;
    cluster.fill(120).await;
    let redis = cluster.backend("").await;
    let get = compiled("get = 'k:{id}'").lookup;
    assert_eq!(ask_compiled(&redis, &get, &[7.into()]).await, Ok(value(7)));
    let reads = async || {
        let mut reads = Vec::new();
        for node in &cluster.nodes {
            let stats = node.text(&["INFO", "stats"]).await;
            let line = stats
                .lines()
                .find_map(|line| line.strip_prefix("total_reads_processed:"));
            reads.push(
                line.expect("there")
                    .trim()
                    .parse::<u64>()
                    .expect("a number"),
            );
        }
        reads
    };
    let before = reads().await;
    let answers = ask_all(&redis, &get, &numbers(121)).await;
    for (before, after) in before.into_iter().zip(reads().await) {
        // A pipeline of forty commands; the rest is the test's own connection and the cluster's own traffic.
        assert!(
            after - before < 20,
            "one pipeline per node, not {}",
            after - before
        );
    }
    for (key, answer) in (0..120).zip(&answers) {
        assert_eq!(*answer, Ok(value(key)));
    }
    assert_eq!(answers[120], Ok(Value::Null));
    for node in &cluster.nodes {
        assert_eq!(
            errors(node, "MOVED").await,
            0,
            "the map is right from the start"
        );
    }

    let mget = compiled("mget = 'k:{ids}'").lookup;
    let ids = [5, 3, 1000, 5, 77, 0];
    let want = ids.map(|id| if id < 120 { value(id) } else { Value::Null });
    let ids: Value = ids.to_vec().into();
    let answers = ask_all(&redis, &mget, &[ids.clone(), vec![1].into(), ids]).await;
    assert_eq!(answers[0], Ok(Value::List(want.to_vec())));
    assert_eq!(answers[1], Ok(Value::List(vec![value(1)])));
    assert_eq!(answers[2], answers[0]);
    let wrong = ask(&redis, "hgetall = 'k:1'", &[]).await;
    assert_eq!(wrong, Err(Code::LookupRefused), "WRONGTYPE");
}

/// Asks for `k:0` to `k:119`, and returns the nodes of those that failed. All answers have to be right.
async fn failing(redis: &Redis, get: &Command) -> HashSet<usize> {
    let answers = ask_all(redis, get, &numbers(120)).await;
    let failed = (0..120).zip(answers).filter_map(|(key, answer)| {
        if let Ok(got) = &answer {
            assert_eq!(*got, value(key));
        } else {
            assert_eq!(answer, Err(Code::LookupUnavailable));
        }
        answer.is_err().then(|| Cluster::owner(&format!("k:{key}")))
    });
    failed.collect()
}

#[tokio::test(flavor = "local")]
async fn a_node_that_is_gone_affects_only_its_own_slots() {
    let mut cluster = Cluster::start().await;
    cluster.fill(120).await;
    let redis = cluster.backend("").await;
    let get = compiled("get = 'k:{id}'").lookup;
    assert_eq!(failing(&redis, &get).await, HashSet::new());

    let lost = cluster.nodes.remove(1);
    let port = lost.port;
    let Reply::Array(bus) = lost.run(&["CONFIG", "GET", "cluster-port"]).await else {
        panic!("a pair")
    };
    let [_, Reply::String(bus)] = &bus[..] else {
        panic!("a pair")
    };
    let bus = std::str::from_utf8(bus)
        .expect("text")
        .parse()
        .expect("a port");
    let kept = tempfile::tempdir().expect("a folder");
    std::fs::copy(
        lost.folder.path().join("nodes.conf"),
        kept.path().join("nodes.conf"),
    )
    .expect("copied");
    drop(lost);
    for _ in 0..100 {
        assert_eq!(failing(&redis, &get).await, HashSet::from([1]));
    }

    let back = start_node(kept, port, bus).expect("the port is still free");
    cluster.nodes.insert(1, back);
    // It comes back empty, so that its keys do not exist.
    eventually("it takes commands again", async || {
        let info = cluster.nodes[1].text(&["CLUSTER", "INFO"]).await;
        info.contains("cluster_state:ok")
    })
    .await;
    cluster.fill(120).await;
    eventually("all are answered again", async || {
        failing(&redis, &get).await.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "local")]
async fn a_node_that_hangs_affects_only_its_own_slots() {
    let cluster = Cluster::start().await;
    cluster.fill(120).await;
    let redis = cluster
        .backend("answer_timeout = '1s'\nconnect_timeout = '1s'")
        .await;
    let get = compiled("get = 'k:{id}'").lookup;
    assert_eq!(failing(&redis, &get).await, HashSet::new());
    signal(&cluster.nodes[2].child, "STOP");
    for _ in 0..3 {
        assert_eq!(failing(&redis, &get).await, HashSet::from([2]));
    }
    // By now no lookup waits for it.
    let fast = async {
        for _ in 0..50 {
            assert_eq!(failing(&redis, &get).await, HashSet::from([2]));
        }
    };
    timeout(Duration::from_secs(30), fast)
        .await
        .expect("no lookup waits for a node that hangs");
    signal(&cluster.nodes[2].child, "CONT");
    eventually("all are answered again", async || {
        failing(&redis, &get).await.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "local")]
async fn nodes_that_are_not_a_cluster_or_unreachable() {
    let single = Server::start();
    let urls = |first: u16| {
        format!(
            "urls = ['redis://127.0.0.1:{first}', 'redis://127.0.0.1:{}']",
            single.port
        )
    };
    let none = configured(&urls(single.port)).await;
    let answer = ask(&none, "get = 'k'", &[]).await;
    assert_eq!(
        answer,
        Err(Code::LookupRefused),
        "cluster support is disabled"
    );
    let away = configured(&format!("urls = ['redis://127.0.0.1:{}']", free_port())).await;
    let answer = ask(&away, "get = 'k'", &[]).await;
    assert_eq!(answer, Err(Code::LookupUnavailable));
}

#[tokio::test(flavor = "local")]
async fn nodes_where_replicas_must_not_be_read_are_not_used_to_read_them() {
    let cluster = Cluster::start().await;
    for node in &cluster.nodes {
        node.run(&["ACL", "SETUSER", "default", "-readonly"]).await;
    }
    let redis = configured(&cluster.keys("read_from = 'replica'")).await;
    let answer = ask(&redis, "get = 'k'", &[]).await;
    assert_eq!(answer, Err(Code::LookupUnavailable));
    let redis = configured(&cluster.keys("")).await;
    assert_eq!(ask(&redis, "get = 'k'", &[]).await, Ok(Value::Null));
}

/// The result of `check --connect` for these keys and this lookup: the reason for no connection, and the refusals.
async fn examined(keys: &str, lookup: &str) -> (Vec<Code>, Vec<String>) {
    let config = crate::backend::testing::config::<Redis>(keys).expect("no problems");
    let compiled = compiled(lookup);
    let planned = Planned {
        name: &"k".into(),
        lookup: &compiled.lookup,
        budget: Duration::from_secs(1),
        invalidate: None,
    };
    let heard = Redis::examine(&config, &[planned]).await;
    let failures = heard.failures.iter().map(|err| err.code);
    let refusals = heard.lookups.iter().flat_map(|lookup| &lookup.refusals);
    let refusals = refusals.map(|refusal| refusal.message.clone());
    (failures.collect(), refusals.collect())
}

#[tokio::test(flavor = "local")]
async fn a_node_reports_which_commands_may_be_run() {
    let cluster = Cluster::start().await;
    let keys = cluster.keys("");
    let fine = (Vec::new(), Vec::new());
    assert_eq!(examined(&keys, "get = 'k:{id}'").await, fine);
    for node in &cluster.nodes {
        node.run(&["ACL", "SETUSER", "default", "-hgetall"]).await;
    }
    let (_, refused) = examined(&keys, "hgetall = 'k:{id}'").await;
    assert!(refused[0].contains("'hgetall'"), "{refused:?}");
    let away = format!("urls = ['redis://127.0.0.1:{}']", free_port());
    let (failures, _) = examined(&away, "mget = 'k:{ids}'").await;
    assert_eq!(failures, [Code::LookupUnavailable]);
}
