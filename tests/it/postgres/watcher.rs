//! Looks from outside at what a store's sessions do.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

use crate::support::Postgres;

/// A session of its own, and the `application_name` of the sessions that it looks at.
pub(super) struct Watcher {
    pub(super) client: Client,
    pub(super) name: &'static str,
}

impl Watcher {
    pub(super) async fn new(server: &Postgres, name: &'static str) -> Self {
        let connected = tokio_postgres::connect(&server.url(), NoTls).await;
        let (client, connection) = connected.expect("it runs");
        drop(tokio::task::spawn_local(connection));
        Watcher { client, name }
    }

    /// How many sessions run a statement that sleeps, rather than prepare one.
    pub(super) async fn running(&self) -> i64 {
        let sql = "select count(*) from pg_stat_activity where application_name = $1 and wait_event = 'PgSleep'";
        let row = self.client.query_one(sql, &[&self.name]).await;
        row.expect("it runs").get(0)
    }

    pub(super) async fn until(&self, running: i64) {
        let wait = async {
            while self.running().await != running {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = timeout(Duration::from_mins(1), wait).await;
        waited.unwrap_or_else(|_| panic!("{running} never run"));
    }
}
