//! The admin port over TLS: who gets in, what the commands need for it, and what a reload changes.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use rustls::version::TLS13;

use super::{ask, status_of};
use crate::support::{Authority, Identity, TlsClient, Tributary};

/// More than the port takes at a time.
const IDLE: usize = 20;

/// A server whose admin port speaks TLS.
struct Secured {
    server: Tributary,
    authority: Authority,
    admin: SocketAddr,
}

impl Secured {
    /// Starts it there with these further keys of `tls`.
    fn start(listen: &str, tls: &str) -> Self {
        let authority = Authority::new();
        let own = authority.issue("server.test");
        let config = config(listen, tls);
        let files = [
            ("s.thrift", "service S { void ping() }"),
            ("server.pem", &*own.certificate),
            ("server.key", &*own.key),
            ("clients.pem", &*authority.pem),
        ];
        let mut server = Tributary::start(&config, &files);
        let admin = server.admin();
        let admin = SocketAddr::from(([127, 0, 0, 1], admin.port()));
        Secured {
            server,
            authority,
            admin,
        }
    }

    fn client(&self, identity: Option<&Identity>) -> TlsClient {
        TlsClient::new(&self.authority, identity, &TLS13)
    }

    /// The status of a page for a client with this certificate; the error is that of the handshake.
    fn status(&self, path: &str, identity: Option<&Identity>) -> io::Result<u16> {
        status(&self.client(identity), self.admin, path)
    }

    /// What a command says to this port: its exit code, and what it printed.
    fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        let output = command.current_dir(self.server.folder()).args(words);
        let output = output.output().expect("the program itself");
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }
}

/// The port of calls is chosen by whoever starts the server.
fn config(listen: &str, tls: &str) -> String {
    let tls = format!("certificate = \"server.pem\", key = \"server.key\"{tls}");
    format!(
        r#"
admin = {{ listen = "{listen}", tls = {{ {tls} }} }}
[server]
idl = "s.thrift"
unserved = "*"
"#
    )
}

fn status(client: &TlsClient, addr: SocketAddr, path: &str) -> io::Result<u16> {
    let mut stream = client.connect(addr).into_inner();
    let request = format!("GET {path} HTTP/1.1\r\nhost: server.test\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(status_of(&answer))
}

/// `words` succeed.
#[track_caller]
fn done(secured: &Secured, words: &[&str]) {
    let (code, said) = secured.run(words);
    assert_eq!(code, Some(0), "{words:?}: {said}");
}

/// `words` fail, and say this.
#[track_caller]
fn refused(secured: &Secured, words: &[&str], expected: &str) {
    let (code, said) = secured.run(words);
    assert_ne!(code, Some(0), "{words:?}: {said}");
    assert!(said.contains(expected), "{words:?}: {said}");
}

#[test]
fn the_port_speaks_tls_and_the_commands_with_it() {
    let secured = Secured::start("127.0.0.1:0", "");
    for path in ["/readyz", "/calls", "/metrics"] {
        assert_eq!(
            secured.status(path, None).expect("it gets in"),
            200,
            "{path}"
        );
    }
    let (head, body) = ask(
        secured.admin,
        "GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n",
    );
    assert_eq!(
        (status_of(&head), &*body),
        (
            400,
            "this port speaks TLS: connect with TLS, by `https://`\n"
        )
    );

    let addr = secured.admin.to_string();
    let named = ["--ca", "clients.pem", "--server-name", "server.test"];
    // The configuration that the server has tells which certificate it shows.
    done(&secured, &["top", "--once", "--admin", &addr]);
    done(&secured, &["tap", "--limit", "0", "--admin", &addr]);
    let elsewhere = ["-c", "/nowhere/t.toml", "--admin", &*addr];
    done(
        &secured,
        &[&["top", "--once"], &elsewhere[..], &named].concat(),
    );
    done(
        &secured,
        &[&["health", "--addr", &addr], &named[..]].concat(),
    );
    refused(
        &secured,
        &[&["top", "--once"], &elsewhere[..]].concat(),
        "this port speaks TLS",
    );
    refused(
        &secured,
        &["health", "--addr", &addr],
        "this port speaks TLS",
    );
    let web = [&["top", "--once", "--tls"], &elsewhere[..]].concat();
    refused(&secured, &web, "`--ca`");
    let other_name = ["health", "--addr", &addr, "--ca", "clients.pem"];
    refused(&secured, &other_name, "`--server-name`");

    let plain = secured.server.addr.to_string();
    let to_plain = ["top", "--once", "--ca", "clients.pem", "--admin", &plain];
    refused(&secured, &to_plain, "TLS");
}

#[test]
fn without_tls_a_client_with_it_is_told_in_the_log() {
    let authority = Authority::new();
    let config = "admin = { listen = '127.0.0.1:0' }\n[server]\nidl = 's.thrift'\nunserved = '*'\n";
    let files = [
        ("s.thrift", "service S { void ping() }"),
        ("ca.pem", &*authority.pem),
    ];
    let mut server = Tributary::start(config, &files);
    let admin = server.admin();
    let output = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args(["health", "--addr", &admin.to_string(), "--ca", "ca.pem"])
        .current_dir(server.folder())
        .output()
        .expect("the program itself");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("the server does not speak TLS on this port"),
        "{said}"
    );
    server.wait_for_line("the client speaks TLS, and `admin` has no `tls`");
}

#[test]
fn a_certificate_lets_a_client_in_from_another_machine() {
    let required = ", client_ca = \"clients.pem\"";
    let secured = Secured::start("0.0.0.0:0", required);
    let known = secured.authority.issue("spiffe://prod/ops");
    let stranger = Authority::new().issue("spiffe://prod/ops");
    for path in ["/readyz", "/metrics", "/calls"] {
        assert_eq!(
            secured.status(path, Some(&known)).expect("it gets in"),
            200,
            "{path}"
        );
        assert!(secured.status(path, Some(&stranger)).is_err(), "{path}");
        assert!(secured.status(path, None).is_err(), "{path}");
    }
    known.write(secured.server.folder(), "ops");
    stranger.write(secured.server.folder(), "stranger");
    let addr = secured.admin.to_string();
    let base = [
        "top",
        "--once",
        "-c",
        "/nowhere/t.toml",
        "--admin",
        &addr,
        "--ca",
        "clients.pem",
        "--server-name",
        "server.test",
    ];
    let with = |name: &str| [format!("{name}.pem"), format!("{name}.key")];
    for (name, outcome) in [
        ("ops", None),
        ("stranger", Some("rejects the client's certificate")),
    ] {
        let [certificate, key] = with(name);
        let words = [&base[..], &["--cert", &certificate, "--key", &key]].concat();
        match outcome {
            None => done(&secured, &words),
            Some(why) => refused(&secured, &words, why),
        }
    }
    refused(&secured, &base, "wants a client's certificate");
    // The server's own certificate is from the same authority, and not for servers only.
    let port = secured.admin.port();
    let own = config(&format!("0.0.0.0:{port}"), required);
    std::fs::write(secured.server.folder().join("own.toml"), own).expect("it is ours");
    done(&secured, &["health", "-c", "own.toml"]);
    let mut server = secured.server;
    server.wait_for_line("not signed by an authority in the admin port's `client_ca`");
}

#[test]
fn a_probe_needs_no_certificate_if_that_is_optional() {
    let optional = ", client_ca = \"clients.pem\", client = \"optional\"";
    let secured = Secured::start("0.0.0.0:0", optional);
    let known = secured.authority.issue("spiffe://prod/ops");
    let status = |path, identity| secured.status(path, identity).expect("it gets in");
    assert_eq!(status("/readyz", None), 200);
    for path in ["/metrics", "/calls"] {
        assert_eq!(status(path, None), 403, "{path}");
        assert_eq!(status(path, Some(&known)), 200, "{path}");
    }
    // It says how the server is, which goes on with what it has read, and not how the files are.
    let folder = secured.server.folder();
    let port = secured.admin.port();
    let token = "admin = { token = \"env:NO_SUCH_TOKEN\",";
    let own = config(&format!("0.0.0.0:{port}"), optional).replace("admin = {", token);
    std::fs::write(folder.join("own.toml"), own).expect("it is ours");
    for file in ["server.pem", "server.key", "clients.pem"] {
        std::fs::write(folder.join(file), "damaged").expect("it is ours");
        done(&secured, &["health", "-c", "own.toml"]);
    }
}

#[test]
fn a_reload_renews_the_certificate_of_the_port() {
    let mut secured = Secured::start("127.0.0.1:0", "");
    let addr = secured.admin.to_string();
    let renewed = Authority::new();
    assert!(secured.status("/readyz", None).is_ok());
    renewed
        .issue("server.test")
        .write(secured.server.folder(), "server");
    // Until then the file is newer than what the server has read.
    refused(
        &secured,
        &["top", "--once", "--admin", &addr],
        "has it not been reloaded?",
    );
    let port = secured.admin.port();
    let own = config(&format!("127.0.0.1:{port}"), "");
    std::fs::write(secured.server.folder().join("own.toml"), own).expect("it is ours");
    done(&secured, &["health", "-c", "own.toml"]);
    secured.server.reload("serving the reloaded");
    assert!(
        secured.status("/readyz", None).is_err(),
        "of the old authority"
    );
    let client = TlsClient::new(&renewed, None, &TLS13);
    assert_eq!(
        status(&client, secured.admin, "/readyz").expect("it gets in"),
        200
    );
    done(&secured, &["top", "--once", "--admin", &addr]);
}

#[test]
fn handshakes_that_hang_keep_no_probe_out() {
    let secured = Secured::start("127.0.0.1:0", "");
    let connect = |_| TcpStream::connect(secured.admin).expect("the port is open");
    let mut silent: Vec<TcpStream> = (0..IDLE).map(connect).collect();
    // Half of them begin a handshake and stop.
    for stream in silent.iter_mut().step_by(2) {
        stream
            .write_all(&[22, 3, 1, 0, 200, 1])
            .expect("there is room");
    }
    assert_eq!(secured.status("/readyz", None).expect("it gets in"), 200);
    assert_eq!(secured.status("/livez", None).expect("it gets in"), 200);
}

#[test]
fn mistakes_in_tls_are_told_with_file_and_key() {
    let secured = Secured::start("127.0.0.1:0", "");
    let whole = config("127.0.0.1:0", "");
    for (from, to, expected) in [
        ("certificate = \"server.pem\", ", "", "admin.tls"),
        ("server.key", "nowhere.key", "admin.tls.key"),
        ("server.pem", "s.thrift", "admin.tls.certificate"),
        (
            "key = \"server.key\"",
            "key = \"server.key\", client = \"required\"",
            "admin.tls",
        ),
        (
            "key = \"server.key\"",
            "key = \"server.key\", client_certs = 1",
            "admin.tls.client_certs",
        ),
    ] {
        let text = whole.replacen(from, to, 1);
        std::fs::write(secured.server.folder().join("bad.toml"), text).expect("it is ours");
        let (code, said) = secured.run(&["check", "-c", "bad.toml"]);
        assert_eq!(code, Some(2), "{said}");
        assert!(
            said.contains(&format!("`{expected}")) && said.contains("bad.toml:2"),
            "{said}"
        );
    }
    refused(&secured, &["check", "-c", "bad.toml"], "manual listeners");
}
