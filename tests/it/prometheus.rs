//! The dashboard, the alerts and the metrics, by the real Prometheus and its checker.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value as Json;

use crate::admin::{get, patiently};
use crate::support::airports::{CONFIG, FILES};
use crate::support::{PROMETHEUS, Prometheus, Redis, Tributary, docker, run};

const IDL: &str =
    "struct Page { 1: string a, 2: string b } service Pages { Page page(1: string id) }";

/// Metrics that exist only while a server uses what they count.
const OF_FEATURES: &[&str] = &[
    "tributary_brownout_",
    "tributary_caller_calls_total",
    "tributary_breaker",
    "tributary_cache_",
    "tributary_endpoint_",
    "tributary_backend_cancels_total",
    "tributary_batch_lookups",
    "tributary_loop_stalls_total",
    "tributary_certificate_",
];

fn text(file: &str) -> String {
    fs::read_to_string(docker(file)).expect(file)
}

/// The title and expression of each query of the dashboard, as Grafana sends it for a job.
fn panels() -> Vec<(String, String)> {
    let dashboard: Json = serde_json::from_str(&text("grafana/tributary.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let queries = panels.iter().flat_map(|panel| {
        let title = panel["title"].as_str().expect("a title");
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(move |target| {
            let expr = target["expr"].as_str().expect("an expression");
            let expr = expr.replace("$__rate_interval", "10s");
            let expr = expr.replace("$instance", ".*").replace("$job", "tributary");
            (title.to_owned(), expr)
        })
    });
    queries.collect()
}

/// The names of metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_name = |byte: char| byte.is_ascii_alphanumeric() || byte == '_';
    let words = text.split(|byte| !is_name(byte));
    let names = words.filter(|word| {
        let of_ours = word
            .strip_prefix("tributary_")
            .is_some_and(|rest| !rest.is_empty());
        of_ours || word.starts_with("process_")
    });
    let plain = |name: &str| {
        let parts = ["_bucket", "_sum", "_count"];
        let part = parts.iter().find_map(|part| name.strip_suffix(part));
        part.unwrap_or(name).to_owned()
    };
    names.map(plain).collect()
}

#[test]
fn dashboard_and_alerts_name_only_metrics_of_the_manual() {
    let manual = include_str!("../../src/manual/metrics.md");
    let known = metrics_in(manual);
    for (file, least) in [
        ("grafana/tributary.json", 35),
        ("prometheus/alerts.yml", 15),
    ] {
        let used = metrics_in(&text(file));
        let unknown: Vec<_> = used.difference(&known).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
        assert!(used.len() >= least, "{file}: {used:?}");
    }
}

#[test]
fn the_alerts_fire_when_they_should() {
    let folder = docker("prometheus");
    for words in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts.test.yml"],
    ] {
        run(
            Command::new("promtool").args(words).current_dir(&folder),
            PROMETHEUS,
        );
    }
}

#[test]
fn an_outage_behind_a_default_shows_and_every_panel_has_an_answer() {
    let redis = Redis::start();
    redis.run("set page:1 text");
    let config = format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "pages.thrift"
[backends.pages]
kind = "redis"
url = "redis://{}"
[lookups.page]
backend = "pages"
get = "page:{{id}}"
timeout = "200ms"
[views.page.lookups]
a = {{ use = "page", default = "none" }}
b = {{ use = "page", default = "none" }}
"#,
        redis.addr
    );
    let mut server = Tributary::start(&config, &[("pages.thrift", IDL)]);
    let prometheus = Prometheus::start(&server.admin().to_string());
    let page = || {
        server.call(&["page", "id=1"])["a"]
            .as_str()
            .map(str::to_owned)
    };
    patiently(|| {
        assert_eq!(page().as_deref(), Some("text"));
        let rate = r#"sum(rate(tributary_calls_total{outcome="ok"}[10s])) > 0"#;
        !prometheus.query(rate).is_empty()
    });
    let of_feature = |expr: &str| OF_FEATURES.iter().any(|of| expr.contains(of));
    let silent = |prometheus: &Prometheus| -> Vec<(String, String)> {
        let mut silent = panels();
        silent.retain(|(_, expr)| prometheus.query(expr).is_empty() && !of_feature(expr));
        silent
    };
    patiently(|| {
        page();
        silent(&prometheus).is_empty()
    });
    let mut alerts = prometheus.alerts();
    // Without their waits, these tell how busy the machine is.
    alerts.retain(|alert| !alert.starts_with("TributaryLoop"));
    assert_eq!(alerts, Vec::<String>::new());

    drop(redis);
    for alert in [
        "TributaryStoreDown",
        "TributaryLookupsFail",
        "TributaryCallsPartial",
    ] {
        patiently(|| {
            assert_eq!(
                page().as_deref(),
                Some("none"),
                "the default hides the outage"
            );
            prometheus.alerts().iter().any(|name| name == alert)
        });
    }
    assert!(
        !prometheus
            .alerts()
            .iter()
            .any(|name| name == "TributaryCallsFail")
    );
}

/// `promtool` reads the older text format, in which the name of a counter ends in `_total` where it is declared too.
#[test]
fn promtool_finds_nothing_wrong_with_the_names_and_help_texts() {
    let mut server = Tributary::start(
        &format!("admin = {{ listen = \"127.0.0.1:0\" }}\n{CONFIG}"),
        &FILES,
    );
    server.call(&["get", "code=JFK"]);
    let scrape = get(server.admin(), "/metrics").1;
    let declares = |line: &str| {
        let mut words = line.split(' ');
        let is_declared = words.next() == Some("#");
        let kind = words.next().filter(|_| is_declared)?;
        Some((kind.to_owned(), words.next()?.to_owned()))
    };
    let counters: BTreeSet<String> = (scrape.lines())
        .filter(|line| line.ends_with(" counter"))
        .filter_map(|line| Some(declares(line)?.1))
        .collect();
    assert!(counters.contains("tributary_calls"), "{counters:?}");
    let lines = scrape.lines().filter(|line| *line != "# EOF");
    let lines = lines.map(|line| match declares(line) {
        Some((kind, name)) if counters.contains(&name) => {
            let (from, to) = (
                format!("# {kind} {name} "),
                format!("# {kind} {name}_total "),
            );
            line.replacen(&from, &to, 1)
        }
        _ => line.to_owned(),
    });
    let text: String = lines.map(|line| line + "\n").collect();
    let path = server.folder().join("metrics.txt");
    fs::write(&path, text).expect("the folder is ours");
    let mut check = Command::new("sh");
    check.args(["-c", "exec promtool check metrics < \"$0\""]);
    let said = run(check.arg(&path), PROMETHEUS);
    assert_eq!(said, "", "promtool has no remarks");
}
