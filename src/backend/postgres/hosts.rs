//! Connects to the first host of a URL that accepts us, over whichever of its addresses answers first.
//!
//! The client itself tries the addresses of a host one after the other, each until the time limit of all of them is over.
//! Here it gets one address at a time.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, ready};

use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{Host, LoadBalanceHosts};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, Socket};

use super::cancel::Peer;
use super::driver::Driver;
use crate::backend::net::{race, resolve};
use crate::random::Random;

/// A connection to one of the hosts.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) driver: Driver,
    /// Which host, if its address is known.
    pub(super) peer: Option<Peer>,
}

/// Takes the name of a channel, and what a writer has said on it.
pub(super) type Heard = Rc<dyn Fn(&str, &str)>;

/// A new connection, over `tls`. What channels say goes to `heard`.
pub(super) async fn connect<T>(
    config: &Config,
    tls: &T,
    heard: Option<&Heard>,
) -> Result<Connected, Error>
where
    T: MakeTlsConnect<Socket> + Clone,
    T::Stream: 'static,
{
    let mut failed = None;
    let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
    let mut order: Vec<usize> = (0..hosts).collect();
    if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
        let mut random = Random::from_process();
        order.sort_by_cached_key(|_| random.draw());
    }
    for at in order {
        match connect_host((config, at), tls, heard).await {
            Err(err) => failed = Some(err),
            connected => return connected,
        }
    }
    match failed {
        Some(err) => Err(err),
        // Without any host, the client has the right words.
        None => connect_to(config, tls, heard).await,
    }
}

/// The host of a URL and its port, if there is one host, which is not a socket.
pub(super) fn only_address(config: &Config) -> Option<(String, u16)> {
    let [Host::Tcp(name)] = config.get_hosts() else {
        return None;
    };
    let port = config.get_ports().first().copied();
    Some((name.clone(), port.unwrap_or(5432)))
}

/// The hosts of a URL with their ports, for messages.
pub(super) fn addresses(config: &Config) -> String {
    let names = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    });
    let mut names: Vec<String> = names.collect();
    if names.is_empty() {
        names = config
            .get_hostaddrs()
            .iter()
            .map(ToString::to_string)
            .collect();
    }
    let ports = config.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let pairs = names.iter().enumerate();
    let pairs: Vec<String> = pairs
        .map(|(at, name)| format!("{name}:{}", port(at)))
        .collect();
    pairs.join(", ")
}

/// A new connection to the host at this place in the URL.
async fn connect_host<T>(
    (config, at): (&Config, usize),
    tls: &T,
    heard: Option<&Heard>,
) -> Result<Connected, Error>
where
    T: MakeTlsConnect<Socket> + Clone,
    T::Stream: 'static,
{
    let ports = config.get_ports();
    let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let host = config.get_hosts().get(at);
    let mut alone = without_hosts(config);
    alone.port(port);
    let name = match host {
        #[cfg(unix)]
        Some(Host::Unix(path)) => {
            alone.host_path(path);
            None
        }
        Some(Host::Tcp(name)) => {
            alone.host(name);
            Some(name)
        }
        None => None,
    };
    if let Some(addr) = config.get_hostaddrs().get(at) {
        alone.hostaddr(*addr);
        return connect_to(&alone, tls, heard).await;
    }
    let addrs = match name {
        Some(name) => resolve(name, port).await.unwrap_or_default(),
        None => Vec::new(),
    };
    if addrs.is_empty() {
        // A socket, or a name that can't be resolved, for which the client has the right words.
        return connect_to(&alone, tls, heard).await;
    }
    let connect = async |addr: std::net::SocketAddr| {
        let mut alone = alone.clone();
        alone.hostaddr(addr.ip());
        connect_to(&alone, tls, heard).await
    };
    race(addrs, connect).await
}

async fn connect_to<T>(config: &Config, tls: &T, heard: Option<&Heard>) -> Result<Connected, Error>
where
    T: MakeTlsConnect<Socket> + Clone,
    T::Stream: 'static,
{
    let (client, connection) = config.connect(tls.clone()).await?;
    Ok(Connected {
        client,
        driver: match heard {
            None => connection.boxed_local(),
            Some(heard) => hearing(connection, Rc::clone(heard)),
        },
        peer: Peer::of(config),
    })
}

/// Moves the bytes of a connection, and passes on what channels say.
fn hearing<S>(mut connection: Connection<Socket, S>, heard: Heard) -> Driver
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    Box::pin(poll_fn(move |cx| {
        loop {
            match ready!(connection.poll_message(cx)) {
                Some(Ok(AsyncMessage::Notification(said))) => heard(said.channel(), said.payload()),
                Some(Ok(_)) => {}
                Some(Err(err)) => return Poll::Ready(Err(err)),
                None => return Poll::Ready(Ok(())),
            }
        }
    }))
}

/// Everything but the hosts, which can't be taken out of a configuration.
fn without_hosts(config: &Config) -> Config {
    let mut copy = Config::new();
    if let Some(user) = config.get_user() {
        copy.user(user);
    }
    if let Some(password) = config.get_password() {
        copy.password(password);
    }
    if let Some(name) = config.get_dbname() {
        copy.dbname(name);
    }
    if let Some(options) = config.get_options() {
        copy.options(options);
    }
    if let Some(name) = config.get_application_name() {
        copy.application_name(name);
    }
    if let Some(limit) = config.get_connect_timeout() {
        copy.connect_timeout(*limit);
    }
    if let Some(limit) = config.get_tcp_user_timeout() {
        copy.tcp_user_timeout(*limit);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        copy.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        copy.keepalives_retries(retries);
    }
    copy.keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(config.get_target_session_attrs());
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_hosts_is_copied() {
        let rest = "dbname=d user=u password=p options='-c a=b' application_name=n connect_timeout=7 \
            tcp_user_timeout=8 keepalives=1 keepalives_idle=9 keepalives_interval=10 keepalives_retries=11 \
            sslmode=require channel_binding=require target_session_attrs=read-only";
        let all: Config = format!("host=a,b hostaddr=10.0.0.1,10.0.0.2 port=1,2 {rest}")
            .parse()
            .expect("valid");
        assert_eq!(without_hosts(&all), rest.parse().expect("valid"));
    }
}
