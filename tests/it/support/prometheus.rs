//! A real Prometheus with the rules of `docker/prometheus`, which scrapes one server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::port::free_port;
use super::process::Process;
use super::wire::Wire;

/// What has `prometheus` and `promtool`.
pub(crate) const PROMETHEUS: &str = "the Debian package `prometheus`";

/// A file of `docker/`.
pub(crate) fn docker(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docker")
        .join(file)
}

fn text(file: &str) -> String {
    fs::read_to_string(docker(file)).expect(file)
}

/// A running Prometheus that scrapes one server.
pub(crate) struct Prometheus {
    port: u16,
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// Scrapes and evaluates several times a second; alerts do not wait.
    pub(crate) fn start(target: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let rules = text("prometheus/alerts.yml");
        let rules = rules.lines();
        let rules = rules.filter(|line| !line.trim_start().starts_with("for: "));
        let rules: Vec<String> = rules.map(|line| line.replace("[5m]", "[10s]")).collect();
        let rules = rules.join("\n");
        let config = text("compose/prometheus.yaml")
            .replace(
                "scrape_interval: 5s",
                "scrape_interval: 250ms\n  evaluation_interval: 250ms",
            )
            .replace("/etc/prometheus/rules/", "")
            .replace("tributary:9091", target);
        assert!(
            config.contains(target) && config.contains("evaluation_interval"),
            "{config}"
        );
        for (name, content) in [("alerts.yml", rules), ("prometheus.yml", config)] {
            fs::write(folder.path().join(name), content).expect("the folder is ours");
        }
        let mut command = Command::new("prometheus");
        let at =
            |option: &str, name: &str| format!("{option}={}", folder.path().join(name).display());
        command.args([
            at("--config.file", "prometheus.yml"),
            at("--storage.tsdb.path", "data"),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ]);
        let mut process = Process::start(&mut command, PROMETHEUS);
        let ready = "Server is ready to receive web requests";
        let found = process.wait_for(|line| line.contains(ready).then_some(()));
        assert!(found.is_some(), "{}", process.written());
        Prometheus {
            port,
            _process: process,
            _folder: folder,
        }
    }

    fn get(&self, path: &str) -> Json {
        let mut wire = Wire::connect(([127, 0, 0, 1], self.port).into());
        wire.send(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes());
        let answer = wire.read_to_end();
        let answer = String::from_utf8(answer).expect("UTF-8");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).unwrap_or_else(|err| panic!("{path}: {err}\n{answer}"))
    }

    /// The series that answer a query.
    pub(crate) fn query(&self, expr: &str) -> Vec<Json> {
        let encoded = utf8_percent_encode(expr, NON_ALPHANUMERIC);
        let answer = self.get(&format!("/api/v1/query?query={encoded}"));
        assert_eq!(answer["status"], "success", "{expr}\n{answer}");
        let result = &answer["data"]["result"];
        result.as_array().expect("a vector").clone()
    }

    /// What fires: names of alerts, and their summaries.
    pub(crate) fn firing(&self) -> Vec<(String, String)> {
        let answer = self.get("/api/v1/alerts");
        let alerts = answer["data"]["alerts"].as_array().expect("alerts");
        let text = |of: &Json| of.as_str().map(str::to_owned).expect("text");
        let each = alerts.iter().map(|alert| {
            let name = text(&alert["labels"]["alertname"]);
            (name, text(&alert["annotations"]["summary"]))
        });
        each.collect()
    }

    /// The names of what fires.
    pub(crate) fn alerts(&self) -> Vec<String> {
        self.firing().into_iter().map(|(name, _)| name).collect()
    }
}
