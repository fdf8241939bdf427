//! A real sentinel with a master and a replica: failovers, killed masters, and servers whose role is not the one that a
//! sentinel names.

use std::cell::Cell;

use futures_util::future::join;

use super::*;

/// A master, its replica, and a sentinel that decides alone.
pub(super) struct Servers {
    pub(super) sentinel: Server,
    /// The master first.
    pub(super) data: Vec<Server>,
}

impl Servers {
    pub(super) async fn start() -> Self {
        let start = |more: &[&str]| {
            // Without it a master waits five seconds for other replicas.
            let options = [&["--repl-diskless-sync-delay", "0"], more].concat();
            let start = |_| {
                let folder = tempfile::tempdir().expect("a folder");
                Server::start_in(folder, free_port(), &options)
            };
            (0..10).find_map(start).expect("redis-server starts")
        };
        let master = start(&[]);
        for key in 0..50 {
            master
                .run(&["SET", &format!("k:{key}"), &format!("value of k:{key}")])
                .await;
        }
        let port = master.port.to_string();
        let replica = start(&["--replicaof", "127.0.0.1", &port]);
        eventually("the replica has everything", async || {
            let info = info(&replica, "replication").await;
            info.contains("master_link_status:up")
        })
        .await;
        let sentinel = start_sentinel(master.port, "");
        let servers = Servers {
            sentinel,
            data: vec![master, replica],
        };
        eventually("the sentinel knows the replica", async || {
            let info = info(&servers.sentinel, "sentinel").await;
            info.contains("status=ok") && info.contains("slaves=1")
        })
        .await;
        servers
    }

    pub(super) fn keys(&self) -> String {
        // Nothing listens at the first of them.
        let none = free_port();
        format!(
            "sentinels = ['127.0.0.1:{none}', '127.0.0.1:{}']\nmaster = 'mine'",
            self.sentinel.port
        )
    }
}

/// A sentinel that watches `master`, with more lines of configuration.
pub(super) fn start_sentinel(master: u16, more: &str) -> Server {
    let start = |port: u16| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("sentinel.conf");
        let lines = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor mine 127.0.0.1 {master} 1\n\
             sentinel down-after-milliseconds mine 200\nsentinel failover-timeout mine 2000\n{more}"
        );
        std::fs::write(&file, lines).expect("written");
        let mut child = Process::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::piped())
            .spawn()
            .expect("install redis-server");
        let ready = says(&mut child, "+monitor master");
        let server = Server {
            child,
            port,
            folder,
        };
        ready.then_some(server)
    };
    (0..10)
        .find_map(|_| start(free_port()))
        .expect("the sentinel starts")
}

pub(super) async fn info(server: &Server, part: &str) -> String {
    server.text(&["INFO", part]).await
}

pub(super) async fn is_master(server: &Server) -> bool {
    info(server, "replication").await.contains("role:master")
}

/// Asks for all keys again and again until `done`. All answers have to be right, and all errors have to be
/// `lookup.unavailable`.
async fn keep_asking(redis: &Redis, done: &Cell<bool>) {
    let get = compiled("get = 'k:{id}'").lookup;
    let all: Vec<Value> = (0..50).map(Value::I64).collect();
    while !done.get() {
        for (key, answer) in ask_all(redis, &get, &all).await.into_iter().enumerate() {
            match answer {
                Ok(value) => assert_eq!(value, format!("value of k:{key}").into()),
                Err(code) => assert_eq!(code, Code::LookupUnavailable),
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Marks `server`, which has to be a master by now, and waits until the mark is read.
async fn reads_from(redis: &Redis, server: &Server) {
    eventually("it is promoted", async || is_master(server).await).await;
    server.run(&["SET", "mark", "here"]).await;
    eventually("the new master is asked", async || {
        ask(redis, "get = 'mark'", &[]).await == Ok("here".into())
    })
    .await;
}

#[tokio::test(flavor = "local")]
async fn a_fail_over_while_lookups_go_on() {
    let servers = Servers::start().await;
    let redis = configured(&servers.keys()).await;
    let done = Cell::new(false);
    let failing_over = async {
        assert_eq!(ask(&redis, "get = 'mark'", &[]).await, Ok(Value::Null));
        // A sentinel does not promote a replica that it has only just discovered.
        eventually("the sentinel finds a replica to promote", async || {
            let fail_over = ["SENTINEL", "FAILOVER", "mine"];
            !matches!(servers.sentinel.try_run(&fail_over).await, Reply::Error(_))
        })
        .await;
        reads_from(&redis, &servers.data[1]).await;
        let old = &servers.data[0];
        old.run(&["CONFIG", "RESETSTAT"]).await;
        for key in 0..20 {
            let answer = ask(&redis, "get = 'k:{id}'", &[key.into()]).await;
            assert_eq!(answer, Ok(format!("value of k:{key}").into()));
        }
        let asked = info(old, "commandstats").await;
        assert!(
            !asked.contains("cmdstat_get:"),
            "the old master is left alone: {asked}"
        );
        done.set(true);
    };
    join(keep_asking(&redis, &done), failing_over).await;
}

#[tokio::test(flavor = "local")]
async fn a_master_that_is_killed() {
    let mut servers = Servers::start().await;
    let redis = configured(&servers.keys()).await;
    assert_eq!(ask(&redis, "get = 'mark'", &[]).await, Ok(Value::Null));
    drop(servers.data.remove(0));
    let done = Cell::new(false);
    let recovering = async {
        reads_from(&redis, &servers.data[0]).await;
        done.set(true);
    };
    join(keep_asking(&redis, &done), recovering).await;
}

/// A server that was made a replica by hand: the sentinel has not noticed, and nothing closes the connection.
#[tokio::test(flavor = "local")]
async fn a_server_that_is_not_the_master_is_not_asked() {
    let master = Server::start();
    let sentinel = start_sentinel(master.port, "");
    let keys = format!(
        "sentinels = ['127.0.0.1:{}']\nmaster = 'mine'",
        sentinel.port
    );
    let redis = configured(&keys).await;
    assert_eq!(ask(&redis, "get = 'k'", &[]).await, Ok(Value::Null));
    master
        .run(&["REPLICAOF", "127.0.0.1", &free_port().to_string()])
        .await;
    eventually("it is not asked any more", async || {
        ask(&redis, "get = 'k'", &[]).await == Err(Code::LookupUnavailable)
    })
    .await;
    let late = configured(&keys).await;
    assert_eq!(
        ask(&late, "get = 'k'", &[]).await,
        Err(Code::LookupUnavailable)
    );
    master.run(&["REPLICAOF", "NO", "ONE"]).await;
    eventually("it is asked again", async || {
        ask(&late, "get = 'k'", &[]).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "local")]
async fn a_master_that_no_sentinel_knows() {
    let master = Server::start();
    let sentinel = start_sentinel(master.port, "");
    let keys = format!(
        "sentinels = ['127.0.0.1:{}']\nmaster = 'other'",
        sentinel.port
    );
    let redis = configured(&keys).await;
    assert_eq!(
        ask(&redis, "get = 'k'", &[]).await,
        Err(Code::LookupUnavailable)
    );
}
