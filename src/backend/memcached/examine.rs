//! Connects to each memcached server and gets an answer, for a key that need not exist.

use futures_util::future::join_all;

use super::Config;
use super::connection::connect;
use crate::backend::Examination;

pub(super) async fn examine(config: &Config, lookups: usize) -> Examination {
    let servers = config.servers.iter();
    let reached = servers.map(async |server| {
        let account = config.account.as_deref();
        let connected = connect(server, account, config.connect_timeout).await;
        connected.map(drop)
    });
    let reached = join_all(reached).await;
    let did = match reached.len() {
        1 => "the server answered".to_owned(),
        count => format!("{count} servers answered"),
    };
    Examination {
        failures: reached.into_iter().filter_map(Result::err).collect(),
        ..Examination::nothing(did, lookups)
    }
}
