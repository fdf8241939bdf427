//! Tests against a real `mariadbd`, started by the test on a free port.

mod batches;
mod cancel;
mod config;
mod login;
mod misbehaving;
mod outages;
mod scripted;
mod turns;
mod values;

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};
use tokio::time::timeout;

use super::*;
use crate::backend::testing;
use crate::value::{Record, Value};

/// A server of the test's own; killed when it goes out of scope. Its data stay until then.
struct Server {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    /// Makes an empty database and starts a server on any free port.
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--user=root", "--skip-test-db"])
            .arg("--auth-root-authentication-method=normal")
            .arg(format!("--datadir={}/data", folder.path().display()))
            .env("TMPDIR", folder.path())
            .output()
            .expect("install the Debian package `mariadb-server`");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        // The port may be taken by another test between finding it and binding it.
        let mut folder = Some(folder);
        for _ in 0..10 {
            match Server::start_on(free_port(), folder.take().expect("given back")) {
                Ok(server) => return server,
                Err(back) => folder = Some(back),
            }
        }
        panic!("mariadbd does not start")
    }

    /// Starts one on `port` over the data in `folder` and waits until it says that it is ready.
    fn start_on(port: u16, folder: tempfile::TempDir) -> Result<Self, tempfile::TempDir> {
        let path = folder.path().display();
        let mut child = Command::new("mariadbd")
            .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1"])
            .args([format!("--port={port}"), format!("--datadir={path}/data")])
            .args([
                format!("--socket={path}/socket"),
                format!("--pid-file={path}/pid"),
            ])
            .args([
                "--innodb-buffer-pool-size=16M",
                "--innodb-flush-log-at-trx-commit=0",
            ])
            .env("TMPDIR", folder.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("install the Debian package `mariadb-server`");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let ready = lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.contains("ready for connections"));
        // Read to the end, so that the server never blocks on a full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let server = Server {
            child,
            port,
            folder,
        };
        if ready {
            Ok(server)
        } else {
            Err(server.stop())
        }
    }

    /// Kills it and returns its data.
    fn stop(mut self) -> tempfile::TempDir {
        let empty = tempfile::tempdir().expect("a temporary folder");
        std::mem::replace(&mut self.folder, empty)
    }

    fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}/test", self.port)
    }

    /// Runs statements past the backend, in the database `test`.
    async fn run(&self, statements: &[&str]) {
        let url = format!("mysql://root@127.0.0.1:{}", self.port);
        let opts = Opts::from_url(&url).expect("a URL");
        let mut connection = Conn::new(opts).await.expect("connects");
        for statement in ["create database if not exists test", "use test"]
            .iter()
            .chain(statements)
        {
            connection.query_drop(*statement).await.expect(statement);
        }
        connection.disconnect().await.expect("disconnects");
    }

    /// Kills every connection but the one that does so; how many there were.
    async fn kill_connections(&self) -> usize {
        let opts = Opts::from_url(&self.url()).expect("a URL");
        let mut connection = Conn::new(opts).await.expect("connects");
        let others = "select id from information_schema.processlist where user = 'root' and id <> connection_id()";
        let ids: Vec<u64> = connection.query(others).await.expect("lists");
        for id in &ids {
            // It may have ended by itself meanwhile.
            drop(connection.query_drop(format!("kill {id}")).await);
        }
        connection.disconnect().await.expect("disconnects");
        ids.len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("kill mariadbd");
        self.child.wait().expect("wait for mariadbd");
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

/// A backend of these keys, and of the lookups that `keys` describe.
async fn backend<const N: usize>(
    config: &str,
    lookups: [&str; N],
) -> (Mysql, [Compiled<Lookup>; N]) {
    let config = testing::config::<Mysql>(config).expect("no problems");
    let lookups = lookups.map(|keys| testing::lookup::<Mysql>(&config, keys).expect("no problems"));
    (
        Mysql::connect(&config, &[], &crate::backend::OnLoop::default()).await,
        lookups,
    )
}

/// Asks one lookup with parameters by name.
async fn ask(
    mysql: &Mysql,
    lookup: &Compiled<Lookup>,
    params: &[(&str, Value)],
) -> Result<Value, Code> {
    let answer = testing::ask(mysql, lookup, params);
    let answer = timeout(Duration::from_mins(1), answer).await;
    answer.expect("a lookup ends").map_err(|err| err.code)
}

/// Asks one statement of the rows `value` or others.
async fn ask_sql(server: &Server, keys: &str, params: &[(&str, Value)]) -> Result<Value, Code> {
    let config = format!("url = '{}'\nconnections = 1", server.url());
    let (mysql, [lookup]) = backend(&config, [keys]).await;
    ask(&mysql, &lookup, params).await
}

/// The values of a row, by name.
fn pairs(record: &Record) -> Vec<(&str, Value)> {
    let names = record.names.iter().map(|name| &**name);
    names.zip(record.values.iter().cloned()).collect()
}
