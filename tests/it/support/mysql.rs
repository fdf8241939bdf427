//! A real MariaDB server with its own database.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::certificates::Certificates;
use super::port::free_port;
use super::process::{Process, run};

const PACKAGE: &str = "the Debian package `mariadb-server`";

/// A running `mariadbd`.
pub(crate) struct Mysql {
    process: Process,
    folder: TempDir,
}

impl Mysql {
    /// Creates a database `test` with the tables of `sql`, whose statements are separated by semicolons.
    pub(crate) fn data(sql: &str) -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().display();
        let mut install = Command::new("mariadb-install-db");
        install.args(["--no-defaults", "--user=root", "--skip-test-db"]);
        install.arg("--auth-root-authentication-method=normal");
        install.arg(format!("--datadir={path}/data"));
        install.env("TMPDIR", folder.path());
        run(&mut install, PACKAGE);
        Mysql::renew(&folder, sql);
        folder
    }

    /// Makes the server run these statements at every start from now on, before it accepts connections.
    pub(crate) fn renew(folder: &TempDir, sql: &str) {
        let once = format!("create database if not exists test;\nuse test;\n{sql}");
        let lines = once
            .replace(";\n", ";")
            .replace('\n', " ")
            .replace(';', ";\n");
        std::fs::write(folder.path().join("init.sql"), lines).expect("the folder is ours");
    }

    /// Starts one without tables. Returns its port too.
    pub(crate) fn start() -> (Self, u16) {
        let mut data = Mysql::data("");
        for _ in 0..5 {
            let port = free_port();
            match Mysql::start_on(port, data) {
                Ok(mysql) => return (mysql, port),
                Err(taken) => data = taken,
            }
        }
        panic!("one of five free ports is still free")
    }

    /// Starts one on `port` with these data, which are returned if the port is taken.
    pub(crate) fn start_on(port: u16, folder: TempDir) -> Result<Self, TempDir> {
        Self::start_with(port, folder, &[])
    }

    /// As [`Mysql::start_on`], with TLS and the certificate `name`.
    pub(crate) fn start_secured(
        port: u16,
        folder: TempDir,
        certificates: &Certificates,
        name: &str,
    ) -> Result<Self, TempDir> {
        let option = |option, file| format!("--{option}={}", certificates.path(file).display());
        let options = [
            option("ssl-ca", "ca.pem"),
            option("ssl-cert", name),
            option("ssl-key", "server.key"),
        ];
        Self::start_with(port, folder, &options)
    }

    fn start_with(port: u16, folder: TempDir, options: &[String]) -> Result<Self, TempDir> {
        let path = folder.path().display();
        let mut command = Command::new("mariadbd");
        command.args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1"]);
        command.args([format!("--port={port}"), format!("--datadir={path}/data")]);
        command.args([
            format!("--socket={path}/socket"),
            format!("--pid-file={path}/pid"),
        ]);
        command.arg(format!("--init-file={path}/init.sql"));
        command.arg("--innodb-buffer-pool-size=16M");
        command.args(options);
        command.env("TMPDIR", folder.path());
        let mut process = Process::start(&mut command, PACKAGE);
        let ready = |line: &str| line.contains("ready for connections").then_some(());
        if process.wait_for(ready).is_none() {
            return Err(folder);
        }
        Ok(Mysql { process, folder })
    }

    /// Runs a file of statements as root.
    pub(crate) fn run_file(&self, path: &Path) {
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--user=root", "--batch"]);
        client.arg(format!("--socket={}/socket", self.folder.path().display()));
        client.arg(format!("--execute=source {}", path.display()));
        run(&mut client, "the Debian package `mariadb-client`");
    }

    /// Sends it the signal with this name.
    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Kills it and returns its data.
    pub(crate) fn stop(self) -> TempDir {
        self.folder
    }
}
