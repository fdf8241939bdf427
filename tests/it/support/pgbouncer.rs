//! A real pgbouncer before a PostgreSQL server, on a free port and a Unix socket.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::certificates::Certificates;
use super::port::free_port;
use super::postgres::{Postgres, command, is_root};
use super::process::{Process, run};

const PACKAGE: &str = "the Debian package `pgbouncer`";

/// A running pgbouncer whose every transaction may use another session.
pub(crate) struct PgBouncer {
    /// Its address.
    pub(crate) port: u16,
    _process: Process,
    folder: TempDir,
}

impl PgBouncer {
    /// Starts one with `settings` besides those it needs.
    pub(crate) fn start(server: &Postgres, settings: &str) -> Self {
        PgBouncer::start_with(server, settings, &[])
    }

    /// Starts one that takes only connections with TLS.
    pub(crate) fn start_secured(server: &Postgres, certificates: &Certificates) -> Self {
        let files = ["server.pem", "server.key"];
        let settings = "client_tls_sslmode = require\n\
                        client_tls_cert_file = {folder}/server.pem\n\
                        client_tls_key_file = {folder}/server.key";
        PgBouncer::start_with(server, settings, &files.map(|name| certificates.path(name)))
    }

    /// `{folder}` in the settings is where copies of the files are.
    fn start_with(server: &Postgres, settings: &str, files: &[PathBuf]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let path = folder.path().display();
        let settings = settings.replace("{folder}", &path.to_string());
        for file in files {
            let name = file.file_name().expect("a file");
            std::fs::copy(file, folder.path().join(name)).expect("the folder is ours");
        }
        let config = format!(
            "[databases]\n\
             postgres = host=127.0.0.1 port={}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir = {path}\n\
             auth_type = trust\n\
             auth_file = {path}/users.txt\n\
             pool_mode = transaction\n\
             default_pool_size = 3\n\
             max_client_conn = 200\n\
             {settings}\n",
            server.port
        );
        for (name, text) in [
            ("pgbouncer.ini", &*config),
            ("users.txt", "\"postgres\" \"\"\n"),
        ] {
            std::fs::write(folder.path().join(name), text).expect("the folder is ours");
        }
        if is_root() {
            let mut chown = Command::new("chown");
            run(chown.args(["-R", "postgres"]).arg(folder.path()), PACKAGE);
        }
        let mut pgbouncer = command("pgbouncer");
        pgbouncer.arg(folder.path().join("pgbouncer.ini"));
        let mut process = Process::start(pgbouncer.current_dir("/"), PACKAGE);
        let up = process.wait_for(|line| line.contains("process up").then_some(()));
        assert!(up.is_some(), "never up:\n{}", process.written());
        PgBouncer {
            port,
            _process: process,
            folder,
        }
    }

    /// Its URL, for a configuration.
    pub(crate) fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The folder of its Unix socket.
    pub(crate) fn socket_folder(&self) -> &Path {
        self.folder.path()
    }
}
