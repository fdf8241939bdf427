//! Databases: PostgreSQL, MariaDB and a SQLite file. Their data outlive the process and are renewed at the next start.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{Store, rows};
use crate::support::{Mysql, PATIENCE, Postgres, free_port};

/// A stopped server that already has its table, because it accepts connections before [`Store::start`] could create it.
pub(super) fn postgres() -> Postgres {
    let mut postgres = Postgres::create();
    Store::start(&mut postgres, 0);
    Store::kill(&mut postgres);
    postgres
}

impl Store for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn config(&self) -> (String, String) {
        let lookup = "sql = \"select v, k from held where k = any(:key)\"\nrows = \"one\"\nbatch = { key = \"k\" }";
        (
            format!("kind = \"postgres\"\nurl = \"{}\"", self.url()),
            lookup.into(),
        )
    }

    fn field(&self) -> &'static str {
        "Row"
    }

    fn start(&mut self, generation: usize) {
        Postgres::start(self);
        self.run(&format!(
            "begin; create table if not exists held (k text primary key, v text); delete from held; \
             insert into held values {}; commit",
            rows(self.name(), generation)
        ));
    }

    fn kill(&mut self) {
        Postgres::kill(self);
    }

    fn hang(&mut self) {
        self.signal("STOP");
    }

    fn resume(&mut self) {
        self.signal("CONT");
    }
}

pub(super) struct MariaDb {
    port: u16,
    running: Option<Mysql>,
    /// While it does not run.
    data: Option<TempDir>,
}

impl MariaDb {
    pub(super) fn new() -> Self {
        MariaDb {
            port: free_port(),
            running: None,
            data: Some(Mysql::data("")),
        }
    }
}

impl Store for MariaDb {
    fn name(&self) -> &'static str {
        "mysql"
    }

    fn config(&self) -> (String, String) {
        let backend = format!(
            "kind = \"mysql\"\nurl = \"mysql://root@127.0.0.1:{}/test\"",
            self.port
        );
        let lookup = "sql = \"select v, k from held where k in (:key)\"\nrows = \"one\"\nbatch = { key = \"k\" }";
        (backend, lookup.into())
    }

    fn field(&self) -> &'static str {
        "Row"
    }

    fn start(&mut self, generation: usize) {
        let sql = format!(
            "create or replace table held (k varchar(9) primary key, v varchar(30));\ninsert into held values {};",
            rows(self.name(), generation)
        );
        let data = self.data.take().expect("it does not run");
        Mysql::renew(&data, &sql);
        let Ok(running) = Mysql::start_on(self.port, data) else {
            panic!("the port is still free")
        };
        self.running = Some(running);
    }

    fn kill(&mut self) {
        self.data = self.running.take().map(Mysql::stop);
    }

    fn hang(&mut self) {
        self.running.as_ref().expect("it runs").signal("STOP");
    }

    fn resume(&mut self) {
        self.running.as_ref().expect("it runs").signal("CONT");
    }
}

/// A file. Killed, it is deleted; started, it is a new file with the same name; hung, it is locked.
pub(super) struct Sqlite {
    folder: TempDir,
    lock: Option<rusqlite::Connection>,
}

impl Sqlite {
    pub(super) fn new() -> Self {
        Sqlite {
            folder: tempfile::tempdir().expect("a temporary folder"),
            lock: None,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("held.db")
    }
}

impl Store for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn config(&self) -> (String, String) {
        let backend = format!("kind = \"sqlite\"\npath = \"{}\"", self.path().display());
        (
            backend,
            "sql = \"select v from held where k = :key\"\nrows = \"value\"".into(),
        )
    }

    fn start(&mut self, generation: usize) {
        let made = self.folder.path().join("next.db");
        let database = rusqlite::Connection::open(&made).expect("the folder is ours");
        let sql = format!(
            "create table held (k text primary key, v text); insert into held values {};",
            rows(self.name(), generation)
        );
        database.execute_batch(&sql).expect("plain SQL");
        drop(database);
        std::fs::rename(made, self.path()).expect("the folder is ours");
    }

    fn kill(&mut self) {
        std::fs::remove_file(self.path()).expect("the folder is ours");
    }

    fn hang(&mut self) {
        let lock = rusqlite::Connection::open(self.path()).expect("it is there");
        lock.busy_timeout(PATIENCE).expect("not zero");
        lock.execute_batch("begin exclusive")
            .expect("readers come to an end");
        self.lock = Some(lock);
    }

    fn resume(&mut self) {
        self.lock = None;
    }
}
