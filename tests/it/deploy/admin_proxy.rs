//! The admin port behind a real `HAProxy`, with the configuration that the manual gives.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use rustls::version::TLS13;
use tempfile::TempDir;

use crate::admin::{patiently, status_of};
use crate::support::airports::{CONFIG, FILES};
use crate::support::{Authority, Identity, Process, TlsClient, Tributary, free_port};

const HAPROXY: &str = "the Debian package `haproxy`";
const TOKEN: &str = "a-token-of-some-length";

/// The configuration of the manual, for these addresses and files.
fn config(folder: &Path, own: SocketAddr, admin: SocketAddr) -> String {
    let manual = include_str!("../../../src/manual/admin.md");
    let (_, rest) = manual
        .split_once("such as HAProxy:\n\n```text\n")
        .expect("it has one");
    let (config, _) = rest.split_once("```").expect("its end");
    let replaced = [
        ("bind :9443", format!("bind {own}")),
        ("/etc/haproxy", folder.display().to_string()),
        ("127.0.0.1:9091", admin.to_string()),
    ];
    replaced
        .iter()
        .fold(config.to_owned(), |config, (given, ours)| {
            assert!(config.contains(given), "{config}");
            config.replace(given, ours)
        })
}

struct Proxy {
    addr: SocketAddr,
    authority: Authority,
    _process: Process,
    _folder: TempDir,
}

impl Proxy {
    fn start(admin: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Authority::new();
        let Identity { certificate, key } = authority.issue("server.test");
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("the folder is ours");
        };
        write("admin.pem", &format!("{certificate}{key}"));
        write("operators.pem", &authority.pem);
        write("haproxy.cfg", &config(folder.path(), addr, admin));
        let mut command = Command::new("haproxy");
        // Started as the manual's configuration is, every warning is an error.
        command
            .env("PATH", "/usr/sbin:/usr/bin:/bin")
            .args(["-db", "-dW", "-f"]);
        let process = Process::start(command.arg(folder.path().join("haproxy.cfg")), HAPROXY);
        patiently(|| TcpStream::connect(addr).is_ok());
        Proxy {
            addr,
            authority,
            _process: process,
            _folder: folder,
        }
    }

    /// The answer to a request; as much of it as there is until `enough`. Empty if the proxy refuses the connection.
    fn ask(
        &self,
        identity: Option<&Identity>,
        (path, header): (&str, &str),
        enough: &str,
    ) -> String {
        let client = TlsClient::new(&self.authority, identity, &TLS13);
        let mut stream = client.connect(self.addr).into_inner();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: ops.example\r\n{header}connection: close\r\n\r\n"
        );
        // A refused handshake shows up in either.
        let _refused = stream.write_all(request.as_bytes());
        let (mut answer, mut bytes) = (String::new(), [0; 4096]);
        while let Ok(read @ 1..) = stream.read(&mut bytes) {
            answer += &String::from_utf8_lossy(&bytes[..read]);
            if answer.contains(enough) {
                break;
            }
        }
        answer
    }
}

#[test]
fn the_proxy_of_the_manual_lets_in_operators_with_certificate_and_token() {
    let admin = "admin = { listen = \"127.0.0.1:0\", token = \"file:token\" }";
    let token = ("token", TOKEN);
    let mut server = Tributary::start(
        &format!("{admin}\n{CONFIG}"),
        &[&FILES[..], &[token]].concat(),
    );
    let proxy = Proxy::start(server.admin());
    let operator = proxy.authority.issue("operator.test");
    let stranger = Authority::new().issue("operator.test");
    let with_token = format!("authorization: Bearer {TOKEN}\r\n");

    for refused in [None, Some(&stranger)] {
        assert_eq!(proxy.ask(refused, ("/readyz", ""), "\r\n\r\n"), "");
    }
    let status = |path: &str, header: &str| {
        let answer = proxy.ask(Some(&operator), (path, header), "\r\n\r\n");
        status_of(&answer)
    };
    assert_eq!(status("/readyz", ""), 200);
    assert_eq!(status("/metrics", ""), 401);
    assert_eq!(status("/metrics", &with_token), 200);
    // Events are passed on as they come.
    let events = proxy.ask(Some(&operator), ("/events", &with_token), "\"whole\":false");
    assert!(events.contains("\"whole\":true"), "{events}");
    assert!(events.contains("\"whole\":false"), "{events}");
    assert_eq!(server.stop("TERM").0.code(), Some(0));
}
