//! An HTTPS server inside the test, with HTTP/1.1 or HTTP/2 as negotiated.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Response, Version};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;
use tributary::backend::http::Http as Backend;
use tributary::error::Code;
use tributary::value::Value;

use crate::support::Certificates;

type Store = super::Store<Backend>;

/// A server on this loop that answers `1` or `2`, the HTTP version of the request.
struct Server {
    addr: SocketAddr,
    connections: Rc<Cell<usize>>,
    /// A connection was accepted.
    came: Rc<Notify>,
    _accepting: AbortOnDropHandle<()>,
}

impl Server {
    async fn start(addr: &str, config: ServerConfig) -> Self {
        Self::start_gated(addr, config, Arc::new(Semaphore::new(1))).await
    }

    /// A server that starts a handshake when `gate` opens.
    async fn start_gated(addr: &str, config: ServerConfig, gate: Arc<Semaphore>) -> Self {
        let listener = TcpListener::bind(addr).await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let connections = Rc::new(Cell::new(0));
        let came = Rc::new(Notify::new());
        let (counted, coming) = (Rc::clone(&connections), Rc::clone(&came));
        let accepting = async move {
            let mut tasks = Vec::new();
            loop {
                let (stream, _) = listener.accept().await.expect("accepts");
                counted.set(counted.get() + 1);
                coming.notify_one();
                let serving = serve(acceptor.clone(), stream, Arc::clone(&gate));
                let task = tokio::task::spawn_local(serving);
                // They end with the server.
                tasks.push(AbortOnDropHandle::new(task));
            }
        };
        Server {
            addr,
            connections,
            came,
            _accepting: AbortOnDropHandle::new(tokio::task::spawn_local(accepting)),
        }
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, gate: Arc<Semaphore>) {
    drop(gate.acquire().await.expect("never closed"));
    // Either side refused the handshake, so there is no request.
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(async |request: hyper::Request<Incoming>| {
        let version = if request.version() == Version::HTTP_2 {
            "2"
        } else {
            "1"
        };
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(version))))
    });
    let stream = TokioIo::new(stream);
    let served = if http2 {
        http2::Builder::new(LocalExecutor)
            .serve_connection(stream, service)
            .await
    } else {
        http1::Builder::new()
            .serve_connection(stream, service)
            .await
    };
    served.ok();
}

/// Runs futures that are not `Send`.
#[derive(Clone)]
struct LocalExecutor;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// TLS settings with the certificate `name`; `client` says whether clients must present one.
fn config(certificates: &Certificates, name: &str, client: bool, alpn: &[&[u8]]) -> ServerConfig {
    let read = |name: &str| {
        let read = CertificateDer::pem_file_iter(certificates.path(name)).expect("a file");
        read.collect::<Result<Vec<_>, _>>().expect("certificates")
    };
    let key = PrivateKeyDer::from_pem_file(certificates.path("server.key")).expect("a key");
    let builder = ServerConfig::builder();
    let builder = if client {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(read("ca.pem"));
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
        builder.with_client_cert_verifier(verifier.expect("roots"))
    } else {
        builder.with_no_client_auth()
    };
    let config = builder.with_single_cert(read(name), key);
    let mut config = config.expect("they belong together");
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

async fn store(certificates: &Certificates, url: &str, keys: &str) -> Store {
    let keys = format!("url = \"{url}\"\n{keys}");
    Store::new(certificates.folder(), &keys, "get = '/version'").await
}

const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];
const CA: &str = "tls = { ca = 'ca.pem' }";

#[tokio::test(flavor = "local")]
async fn the_server_chooses_the_version_unless_the_configuration_does() {
    let certificates = Certificates::new();
    let ask = async |alpn: &[&[u8]], keys: &str| {
        let server = config(&certificates, "server.pem", false, alpn);
        let server = Server::start("127.0.0.1:0", server).await;
        let url = format!("https://localhost:{}", server.addr.port());
        let store = store(&certificates, &url, &format!("{CA}\n{keys}")).await;
        store.ask().await
    };
    for (alpn, keys, version) in [
        (BOTH, "", 2),
        (&BOTH[1..], "", 1),
        (&[], "", 1),
        (BOTH, "http2 = false", 1),
        (BOTH, "http2 = true", 2),
    ] {
        assert_eq!(
            ask(alpn, keys).await.expect("an answer"),
            Value::I64(version)
        );
    }
    Store::assert_unavailable(&ask(&[], "http2 = true").await, "does not speak HTTP/2");
    let refused = ask(&BOTH[1..], "http2 = true").await;
    Store::assert_unavailable(&refused, "NoApplicationProtocol");
}

#[tokio::test(flavor = "local")]
async fn lookups_share_one_connection_and_reconnect_after_a_restart() {
    let certificates = Certificates::new();
    let start = async |addr: &str| {
        Server::start(addr, config(&certificates, "server.pem", false, BOTH)).await
    };
    let server = start("127.0.0.1:0").await;
    let addr = server.addr.to_string();
    let store = store(&certificates, &format!("https://{addr}"), CA).await;
    assert_eq!(store.ask().await.expect("an answer"), Value::I64(2));
    for answer in futures_util::future::join_all((0..100).map(|_| store.ask())).await {
        assert_eq!(answer.expect("an answer"), Value::I64(2));
    }
    assert_eq!(server.connections.get(), 1);
    drop(server);
    tokio::task::yield_now().await;
    Store::assert_unavailable(&store.ask().await, "");
    let _server = start(&addr).await;
    assert_eq!(store.ask_until_up().await, Value::I64(2));
}

#[tokio::test(flavor = "local")]
async fn many_concurrent_first_lookups_are_all_answered() {
    let certificates = Certificates::new();
    let server = config(&certificates, "server.pem", false, BOTH);
    let server = Server::start("127.0.0.1:0", server).await;
    let store = store(&certificates, &format!("https://{}", server.addr), CA).await;
    for answer in futures_util::future::join_all((0..50).map(|_| store.ask())).await {
        assert_eq!(answer.expect("an answer"), Value::I64(2));
    }
}

#[tokio::test(flavor = "local")]
async fn a_lookup_that_gives_up_leaves_its_connection_to_the_next() {
    let certificates = Certificates::new();
    for alpn in [BOTH, &BOTH[1..]] {
        let gate = Arc::new(Semaphore::new(0));
        let server = config(&certificates, "server.pem", false, alpn);
        let server = Server::start_gated("127.0.0.1:0", server, Arc::clone(&gate)).await;
        let store = store(&certificates, &format!("https://{}", server.addr), CA).await;
        for _ in 0..3 {
            tokio::select! {
                biased;
                _answer = store.ask() => panic!("there is no handshake yet"),
                () = server.came.notified() => server.came.notify_one(),
            }
        }
        gate.add_permits(1);
        store.ask().await.expect("an answer");
        assert_eq!(server.connections.get(), 1);
    }
}

#[tokio::test(flavor = "local")]
async fn a_server_with_an_invalid_certificate_is_not_asked() {
    let certificates = Certificates::new();
    let named = "tls = { ca = 'ca.pem', server_name = 'elsewhere.test' }";
    for (name, keys, word) in [
        (
            "server.pem",
            "tls = { ca = 'other-ca.pem' }",
            "UnknownIssuer",
        ),
        ("server.pem", "", "UnknownIssuer"),
        ("elsewhere.pem", CA, "not valid for name"),
        ("expired.pem", CA, "expired"),
        ("server.pem", named, "not valid for name"),
    ] {
        let server = Server::start("127.0.0.1:0", config(&certificates, name, false, BOTH)).await;
        let url = format!("https://{}", server.addr);
        Store::assert_unavailable(&store(&certificates, &url, keys).await.ask().await, word);
    }
    for (name, keys) in [
        ("elsewhere.pem", named),
        ("expired.pem", "tls = { verify = 'none' }"),
    ] {
        let server = Server::start("127.0.0.1:0", config(&certificates, name, false, BOTH)).await;
        let url = format!("https://{}", server.addr);
        let store = store(&certificates, &url, keys).await;
        assert_eq!(store.ask().await.expect("an answer"), Value::I64(2));
    }
}

#[tokio::test(flavor = "local")]
async fn examining_a_server_verifies_its_certificate() {
    let certificates = Certificates::new();
    let server = config(&certificates, "server.pem", false, BOTH);
    let server = Server::start("127.0.0.1:0", server).await;
    let keys = |ca: &str| format!("url = 'https://{}'\ntls = {{ ca = '{ca}' }}", server.addr);
    let examine =
        async |ca: &str| super::examine::<Backend>(certificates.folder(), &keys(ca)).await;
    let right = examine("ca.pem").await;
    assert!(right.failures.is_empty(), "{:?}", right.failures);
    assert_eq!(right.did, "connected, no request was made");
    let another = examine("other-ca.pem").await;
    let [err] = &another.failures[..] else {
        panic!("{:?}", another.failures);
    };
    assert_eq!(err.code, Code::LookupUnavailable, "{err}");
    assert!(err.detail.contains("UnknownIssuer"), "{err}");
}

#[tokio::test(flavor = "local")]
async fn clients_present_their_certificate_if_required() {
    let certificates = Certificates::new();
    let with = |name: &str| {
        format!("tls = {{ ca = 'ca.pem', certificate = '{name}.pem', key = '{name}.key' }}")
    };
    let server = config(&certificates, "server.pem", true, BOTH);
    let server = Server::start("127.0.0.1:0", server).await;
    let url = format!("https://{}", server.addr);
    let insider = store(&certificates, &url, &with("client")).await;
    assert_eq!(insider.ask().await.expect("an answer"), Value::I64(2));
    // The server checks certificates after the client has finished its part of the handshake, so its alert may arrive
    // after it has closed the connection.
    for keys in [CA.to_owned(), with("stranger")] {
        Store::assert_unavailable(&store(&certificates, &url, &keys).await.ask().await, "");
    }
}

#[tokio::test(flavor = "local")]
async fn a_server_without_tls_is_not_asked_in_plain_text() {
    let certificates = Certificates::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}", listener.local_addr().expect("bound"));
    let plain = tokio::task::spawn_local(async move {
        let (stream, _) = listener.accept().await.expect("accepts");
        let never = service_fn(async |_: hyper::Request<Incoming>| {
            panic!("asked in plain text");
            #[expect(unreachable_code, reason = "says what the type is")]
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), never)
            .await
    });
    let answer = store(&certificates, &url, CA).await.ask().await;
    Store::assert_unavailable(&answer, "InvalidContentType");
    assert!(plain.await.expect("no panic").is_err());
}
