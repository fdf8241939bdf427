//! The listeners of one loop: serves each connection that is placed on it by the settings of its listener.

use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug_span};

use super::client::{Client, Remote};
use super::connection;
use super::incoming::Stream;
use super::shares::Place;
use super::state::{ListenerSettings, WorkerState};
use super::tls::{Metered, Tls};
use crate::config::{LimitsConfig, ListenerConfig};
use crate::metrics::Closed;

/// One listener of a loop.
pub(super) struct Listener {
    settings: Rc<ListenerSettings>,
    tls: Option<Rc<Tls>>,
}

impl Listener {
    /// Serves as configured by `config` what comes in at `address`; `limits` are those of the loop.
    pub(super) fn new(address: &str, config: &ListenerConfig, limits: LimitsConfig) -> Self {
        let settings = ListenerSettings {
            listener: address.to_owned(),
            limits: LimitsConfig {
                connections_max: config.connections_max,
                idle_timeout: config.idle_timeout,
                ..limits
            },
            wire_formats: config.wire_formats,
            takes_tokens: config.takes_tokens(),
            meta: config.meta,
            service: config.service.as_ref().map(|(name, _)| Arc::from(&**name)),
        };
        Listener {
            settings: Rc::new(settings),
            tls: config.tls.as_ref().map(|tls| Rc::new(Tls::new(tls))),
        }
    }

    /// Its TLS settings, for a reload to replace.
    pub(super) fn tls(&self) -> Option<Rc<Tls>> {
        self.tls.clone()
    }

    /// Serves a connection, which has its place on this loop, in a task of `connections`.
    pub(super) fn serve(
        &self,
        (stream, place): (Stream, Place),
        connections: &TaskTracker,
        worker: &Rc<WorkerState>,
    ) {
        let remote = stream.remote();
        let span = debug_span!("connection", peer = %remote);
        let (settings, worker) = (Rc::clone(&self.settings), Rc::clone(worker));
        let tls = self.tls.clone();
        let serving = async move {
            let client = Client {
                names: Vec::new(),
                memory: worker.memory_pool.connection(),
            };
            if let Remote::Tcp(peer) = remote {
                client.memory.came_from(peer);
            }
            match (stream, tls) {
                // Boxed, so that its state does not enlarge the futures of connections without TLS.
                (Stream::Tcp(stream, _), Some(tls)) => {
                    let stream = (stream, &*tls);
                    Box::pin(serve_encrypted(stream, client, remote, &settings, &worker)).await;
                }
                (Stream::Tcp(mut stream, _), None) => {
                    connection::serve(stream.split(), client, remote, &settings, &worker).await;
                }
                (Stream::Unix(mut stream), _) => {
                    connection::serve(stream.split(), client, remote, &settings, &worker).await;
                }
            }
            drop(place);
        };
        connections.spawn_local(serving.instrument(span));
    }
}

async fn serve_encrypted(
    (stream, tls): (TcpStream, &Tls),
    mut client: Client,
    remote: Remote,
    settings: &ListenerSettings,
    worker: &WorkerState,
) {
    let stream = Metered::new(stream, &client.memory);
    let accepted = tls.accept(stream, remote, settings, worker);
    let drained = async {
        worker.shutdown.cancelled().await;
        sleep(worker.next_call()).await;
    };
    // A client that is still in the handshake has made no call: a drain does not wait for it for long.
    let stream = tokio::select! {
        biased;
        accepted = accepted => accepted,
        () = drained => return worker.metrics.closed(Closed::Drained),
    };
    let Some(stream) = stream else {
        return;
    };
    client.names = stream.names();
    let (mut reader, mut writer) = tokio::io::split(stream);
    connection::serve((&mut reader, &mut writer), client, remote, settings, worker).await;
    reader.unsplit(writer).send_close().await;
}
