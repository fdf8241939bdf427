//! Listeners with TLS and generated certificates: who is let in, and what a reload changes.

use std::io::Write as _;
use std::net::SocketAddr;

use rustls::StreamOwned;
use rustls::version::{TLS12, TLS13};

use crate::admin::{patiently, scrape};
use crate::support::airports::{CONFIG, FILES};
use crate::support::message::message;
use crate::support::{Authority, Identity, TlsClient, TlsWire, Tributary, Wire};

const CALL: u8 = 1;

/// A server with an additional TLS listener, its authority, and the listener's address.
pub(crate) struct Secured {
    pub(crate) server: Tributary,
    pub(crate) authority: Authority,
    pub(crate) addr: SocketAddr,
}

impl Secured {
    fn start(keys: &str) -> Self {
        Secured::start_with(keys, "")
    }

    /// Starts it with additional keys for the limits.
    fn start_with(keys: &str, limits: &str) -> Self {
        let config = CONFIG.replace("limits = { ", &format!("limits = {{ {limits}"));
        Secured::serve(&config, keys)
    }

    /// Serves `config` with such a listener in addition to its port.
    pub(crate) fn serve(config: &str, keys: &str) -> Self {
        let listener = format!(
            r#"listeners = [{{ listen = "127.0.0.1:0", tls = {{ certificate = "server.pem", key = "server.key" {keys} }} }}]"#
        );
        let config = config.replace("[server]", &format!("[server]\n{listener}"));
        let authority = Authority::new();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("the folder is ours");
        };
        for (name, text) in FILES {
            write(name, text);
        }
        write("tributary.toml", &config);
        write("clients.pem", &authority.pem);
        authority
            .issue("server.test")
            .write(folder.path(), "server");
        let mut server = Tributary::serve(folder, &[]);
        let addr = server.next_port();
        Secured {
            server,
            authority,
            addr,
        }
    }

    /// A client that trusts the server's authority.
    pub(crate) fn client(&self, identity: Option<&Identity>) -> TlsClient {
        TlsClient::new(&self.authority, identity, &TLS13)
    }

    /// Checks who is let in.
    fn gets_in(&self, identity: Option<&Identity>) -> bool {
        calls(self.client(identity).connect(self.addr)).is_ok()
    }
}

/// Makes a call; the error is that of the handshake.
fn calls(mut wire: TlsWire) -> std::io::Result<()> {
    wire.try_send_frame(&message(CALL, "get", 1, "JFK"))?;
    let reply = wire.try_read_frame()?;
    assert!(String::from_utf8_lossy(&reply).contains("Kennedy"));
    Ok(())
}

#[test]
fn a_call_over_tls() {
    let secured = Secured::start("");
    let client = secured.client(None);
    let mut wire = client.connect(secured.addr);
    // More than one record, and more than one call.
    for seqid in 0..50 {
        wire.send_frame(&message(CALL, "get", seqid, "JFK"));
    }
    for _ in 0..50 {
        let reply = wire.read_frame();
        assert!(String::from_utf8_lossy(&reply).contains("Kennedy"));
    }
    // The other port has no TLS.
    let mut plain = secured.server.connect();
    plain.send_frame(&message(CALL, "get", 1, "JFK"));
    assert!(String::from_utf8_lossy(&plain.read_frame()).contains("Kennedy"));
    // A drain sends a TLS closure alert; without it, reading to the end would fail.
    let (status, log) = secured.server.stop("TERM");
    assert!(status.success(), "{log}");
    assert_eq!(wire.read_to_end(), b"");
}

#[test]
fn a_large_reply_over_tls_to_a_client_that_reads_late() {
    let name = "x".repeat(8 << 20);
    let csv = format!("code,name\nBIG,{name}\nJFK,Kennedy\n");
    let secured = Secured::start("");
    std::fs::write(secured.server.folder().join("airports.csv"), csv).expect("it is ours");
    let mut server = secured.server;
    server.reload("serving the reloaded configuration");
    let client = TlsClient::new(&secured.authority, None, &TLS13);
    let mut wire = client.connect(secured.addr);
    let calls = [
        message(CALL, "get", 1, "BIG"),
        message(CALL, "get", 2, "JFK"),
    ];
    for call in &calls {
        wire.send_frame(call);
    }
    // A small reply on another connection arrives while the large one waits for its reader.
    let mut other = client.connect(secured.addr);
    other.send_frame(&calls[1]);
    assert!(String::from_utf8_lossy(&other.read_frame()).contains("Kennedy"));
    let reply = wire.read_frame();
    assert!(reply.len() > name.len(), "{}", reply.len());
    assert!(String::from_utf8_lossy(&wire.read_frame()).contains("Kennedy"));
}

#[test]
fn the_tls_buffers_of_a_connection_are_counted() {
    let config = format!("admin = {{ listen = \"127.0.0.1:0\" }}\n{CONFIG}");
    let mut secured = Secured::serve(&config, "");
    let admin = secured.server.admin();
    let buffered = || scrape(admin).count("tributary_buffered_bytes", &[]);
    assert_eq!(buffered(), 0);
    let mut wire = secured.client(None).connect(secured.addr);
    wire.send_frame(&message(CALL, "get", 1, "JFK"));
    wire.read_frame();
    // Its own buffer and that of TLS, both nearly empty.
    patiently(|| (8 * 1024..12 * 1024).contains(&buffered()));
    // A record cannot be read before it is complete.
    let StreamOwned { mut conn, mut sock } = wire.into_inner();
    conn.writer()
        .write_all(&[0; 16_000])
        .expect("there is room");
    let mut record = Vec::new();
    conn.write_tls(&mut record).expect("a vector takes all");
    sock.write_all(&record[..12_000]).expect("the server reads");
    patiently(|| buffered() >= 8 * 1024 + 12_000);
    drop(sock);
    patiently(|| buffered() == 0);
}

#[test]
fn tls_1_2_must_be_enabled() {
    for (keys, old) in [("", false), (", versions = [\"1.2\", \"1.3\"]", true)] {
        let secured = Secured::start(keys);
        assert!(secured.gets_in(None));
        let client = TlsClient::new(&secured.authority, None, &TLS12);
        assert_eq!(calls(client.connect(secured.addr)).is_ok(), old, "{keys}");
        let (_, log) = secured.server.stop("TERM");
        assert_eq!(
            log.contains("supports none of the TLS versions"),
            !old,
            "{log}"
        );
    }
}

#[test]
fn clients_without_a_valid_certificate_are_refused() {
    assert_refused(
        "not signed by an authority in this listener's `client_ca`",
        |secured| {
            let stranger = Authority::new().issue("spiffe://test/web");
            !secured.gets_in(Some(&stranger))
        },
    );
    assert_refused("presented no certificate", |secured| !secured.gets_in(None));
    assert_refused("has expired", |secured| {
        let late = secured.authority.issue_expired("spiffe://test/web");
        !secured.gets_in(Some(&late))
    });
    assert_refused("the client disconnected during the handshake", |secured| {
        drop(Wire::connect(secured.addr));
        true
    });
    assert_refused("rejected this listener", |secured| {
        let known = secured.authority.issue("spiffe://test/web");
        let distrusting = TlsClient::new(&Authority::new(), Some(&known), &TLS13);
        calls(distrusting.connect(secured.addr)).is_err()
    });
}

/// Checks that a known client gets in, and that another is refused with one log line that contains these words.
#[track_caller]
fn assert_refused(words: &str, refused: impl Fn(&Secured) -> bool) {
    let secured = Secured::start(", client_ca = \"clients.pem\"");
    let known = secured.authority.issue("spiffe://test/web");
    assert!(secured.gets_in(Some(&known)));
    assert!(refused(&secured), "{words}");
    let (_, log) = secured.server.stop("TERM");
    let mut lines = log.lines().filter(|line| line.contains("no TLS handshake"));
    let line = lines.next().expect("a line");
    assert!(line.contains("wire.handshake"), "{line}");
    assert!(line.contains(words), "{line}");
    let listener = format!("listener=\"{}\"", secured.addr);
    assert!(line.contains(&listener), "{line}");
    assert_eq!(lines.next(), None, "{log}");
}

#[test]
fn an_optional_certificate_is_still_verified() {
    let secured = Secured::start(", client_ca = \"clients.pem\", client = \"optional\"");
    let known = secured.authority.issue("web.test");
    let stranger = Authority::new().issue("web.test");
    assert!(secured.gets_in(Some(&known)));
    assert!(!secured.gets_in(Some(&stranger)));
    assert!(secured.gets_in(None));
}

#[test]
fn plain_bytes_on_a_port_with_tls() {
    for bytes in [
        &message(CALL, "get", 1, "JFK")[..],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let secured = Secured::start("");
        let mut wire = Wire::connect(secured.addr);
        wire.send(bytes);
        // The alert with the reason is sent as TLS.
        let alert = wire.read_to_end();
        assert!(alert.is_empty() || alert[0] == 0x15, "{alert:02x?}");
        let (_, log) = secured.server.stop("TERM");
        let lines = log
            .lines()
            .filter(|line| line.contains("the client does not speak TLS"));
        assert_eq!(lines.count(), 1, "{log}");
    }
}

#[test]
fn a_proxy_header_on_a_port_with_tls() {
    for (header, version) in [
        (
            &b"PROXY TCP4 10.0.0.1 10.0.0.2 40000 9090\r\n"[..],
            "version 1",
        ),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c", "version 2"),
    ] {
        let secured = Secured::start("");
        let mut wire = Wire::connect(secured.addr);
        wire.send(header);
        wire.read_to_end();
        let (_, log) = secured.server.stop("TERM");
        let named = format!("the PROXY protocol, {version}: turn it off at the proxy");
        assert!(log.contains(&named), "{log}");
    }
}

#[test]
fn a_handshake_that_times_out_frees_its_slot() {
    let limits = "handshakes_max = 1, handshake_timeout = \"150ms\", ";
    let secured = Secured::start_with("", limits);
    let mut silent = Wire::connect(secured.addr);
    assert_eq!(silent.read_to_end(), b"");
    assert!(secured.gets_in(None));
    let (_, log) = secured.server.stop("TERM");
    assert!(log.contains("the handshake took too long"), "{log}");
}

#[test]
fn a_reload_uses_the_new_certificate_and_keeps_the_old_if_the_new_is_invalid() {
    let mut secured = Secured::start(", client_ca = \"clients.pem\"");
    let folder = secured.server.folder().to_owned();
    let known = secured.authority.issue("spiffe://test/web");
    let mut old = secured.client(Some(&known)).connect(secured.addr);
    old.send_frame(&message(CALL, "get", 1, "JFK"));
    old.read_frame();

    let next = Authority::new();
    next.issue("server.test").write(&folder, "server");
    // The certificate does not match the key.
    let key = std::fs::read(folder.join("server.key")).expect("it is there");
    secured
        .authority
        .issue("server.test")
        .write(&folder, "server");
    std::fs::write(folder.join("server.key"), key).expect("the folder is ours");
    secured.server.reload("not reloaded");
    assert!(secured.gets_in(Some(&known)));

    next.issue("server.test").write(&folder, "server");
    std::fs::write(folder.join("clients.pem"), &next.pem).expect("the folder is ours");
    secured.server.reload("serving the reloaded configuration");
    // Open connections stay open; new ones need the new authority on both sides.
    old.send_frame(&message(CALL, "get", 2, "JFK"));
    old.read_frame();
    assert!(!secured.gets_in(Some(&known)));
    secured.authority = next;
    assert!(!secured.gets_in(Some(&known)));
    let renewed = secured.authority.issue("spiffe://test/web");
    assert!(secured.gets_in(Some(&renewed)));
}
