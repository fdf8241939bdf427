//! `docker/`: its files fit their tools and each other, and what Docker Compose starts works on real servers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Memcached, Mysql, PYTHON, Postgres, Redis, Tributary, interpreter, run};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn docker(file: &str) -> PathBuf {
    repository().join("docker").join(file)
}

fn text(file: &str) -> String {
    fs::read_to_string(docker(file)).expect("it is in the repository")
}

#[test]
fn the_files_fit_their_schemas_and_each_other() {
    let mut command = Command::new(interpreter());
    let script = repository().join("tests/it/deploy/check.py");
    let said = run(command.arg(script).arg(repository()), PYTHON);
    assert!(said.starts_with("9 resources of Kubernetes"), "{said}");
}

#[test]
fn haproxy_accepts_its_configuration() {
    let mut command = Command::new("haproxy");
    command
        .env("PATH", "/usr/sbin:/usr/bin:/bin")
        .args(["-c", "-f"]);
    let said = run(
        command.arg(docker("haproxy/haproxy.cfg")),
        "the Debian package `haproxy`",
    );
    assert!(said.contains("Configuration file is valid"), "{said}");
}

/// The configuration in the `ConfigMap`, with the files that the image has.
#[test]
fn the_configuration_for_kubernetes_has_no_problems() {
    let map = text("kubernetes/configmap.yaml");
    let (_, config) = map
        .split_once("  tributary.toml: |\n")
        .expect("a configuration");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = config
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap_or_default());
    let config = lines.collect::<Vec<_>>().join("\n");
    let config = config.replace("/etc/tributary", &folder.path().to_string_lossy());
    lay_out(folder.path(), &config, &["demo/airports.csv"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    let said = run(
        command
            .arg("check")
            .arg("-c")
            .arg(folder.path().join("tributary.toml")),
        "it",
    );
    assert!(said.contains("getAirport: 1 lookup in 1 stage"), "{said}");
}

/// A configuration with the IDL and files of `docker/`.
fn lay_out(folder: &Path, config: &str, files: &[&str]) {
    fs::write(folder.join("tributary.toml"), config).expect("the folder is ours");
    let files = files.iter().map(|file| docker(file));
    let idl = ["idl/flights.thrift", "idl/tributary.thrift"];
    for from in files.chain(idl.map(|file| repository().join(file))) {
        let to = folder.join(from.file_name().expect("a file"));
        fs::copy(from, to).expect("it is in the repository");
    }
}

/// The stores of `compose.yaml`, each filled by its script.
struct Stores {
    postgres: Postgres,
    mariadb: (u16, Mysql),
    redis: Redis,
    memcached: Memcached,
    _demo: TempDir,
}

impl Stores {
    fn start() -> Self {
        // The servers read the files themselves, as users of their own.
        let demo = tempfile::tempdir().expect("a temporary folder");
        let open = |path: &Path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        };
        open(demo.path());
        for table in ["flights", "planes", "airlines", "airports", "weather"] {
            let to = demo.path().join(format!("{table}.csv"));
            fs::copy(docker(&format!("demo/{table}.csv")), &to).expect("it is in the repository");
            open(&to);
        }
        let here =
            |file: &str| text(file).replace("/demo/", &format!("{}/", demo.path().display()));

        let postgres = Postgres::create();
        postgres.start();
        postgres.run(&here("compose/postgres.sql"));

        let script = demo.path().join("mariadb.sql");
        fs::write(&script, here("compose/mariadb.sql")).expect("the folder is ours");
        let (server, port) = Mysql::start();
        let mariadb = (port, server);
        mariadb.1.run_file(&script);

        let (redis, memcached) = (Redis::start(), Memcached::start());
        let mut load = Command::new("python3");
        load.arg(docker("compose/load.py"));
        load.args([redis.addr, memcached.addr].map(|addr| addr.to_string()));
        let said = run(load.arg(demo.path()), "the Debian package `python3`");
        assert_eq!(said, "redis: 1474 hashes\nmemcached: 714 values\n");
        Stores {
            postgres,
            mariadb,
            redis,
            memcached,
            _demo: demo,
        }
    }

    /// The server of `compose.yaml` over these stores.
    fn serve(&self) -> Tributary {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = text("compose/tributary.toml");
        let config = config.replace("memcached:11211", &self.memcached.addr.to_string());
        // A port of its own, in each of the two sections.
        let config = config.replace("listen = \"0.0.0.0:9091\"", "  listen = \"127.0.0.1:0\"");
        lay_out(folder.path(), &config, &[]);
        let at = |scheme: &str, port: u16, database: &str| {
            format!("{scheme}://tributary:flights@127.0.0.1:{port}/{database}")
        };
        Tributary::serve(
            folder,
            &[
                (
                    "FLIGHTS_URL",
                    &at("postgresql", self.postgres.port, "postgres"),
                ),
                ("PLANES_URL", &at("mysql", self.mariadb.0, "fleet")),
                ("PLACES_URL", &format!("redis://{}/0", self.redis.addr)),
            ],
        )
    }
}

#[test]
fn the_stores_of_compose_answer_as_the_demo_does() {
    let stores = Stores::start();
    let server = stores.serve();
    let demo = crate::support::Flights::start();
    let departure = [
        "getDeparture",
        "carrier=UA",
        "flight=1545",
        "day=2013-01-01",
        "origin=EWR",
        "dest=IAH",
        "hour=5",
    ];
    let reply = server.call(&departure);
    assert_eq!(reply["plane"]["model"], "737-824");
    assert_eq!(reply["weather"]["temperature"], 39.02);
    for call in [
        &departure[..],
        &["getAirport", "code=LAX"],
        &["getAirports", "codes=[\"JFK\", \"HNL\", \"???\"]"],
        &[
            "getBoard",
            "origin=JFK",
            "day=2013-01-02",
            "from_hour=22",
            "to_hour=23",
        ],
        // A flight that never left has no plane of record.
        &[
            "getDeparture",
            "carrier=AA",
            "flight=791",
            "day=2013-01-01",
            "origin=LGA",
            "dest=DFW",
            "hour=19",
        ],
    ] {
        assert_eq!(server.call(call), demo.server.call(call), "{call:?}");
    }
    // The accounts of the server may read, and nothing else.
    let stolen = run_sql(&stores, "delete from flights");
    assert!(stolen.contains("permission denied"), "{stolen}");
}

/// What PostgreSQL says to a statement of the server's own account.
fn run_sql(stores: &Stores, sql: &str) -> String {
    let url = format!(
        "postgresql://tributary:flights@127.0.0.1:{}/postgres",
        stores.postgres.port
    );
    let output = Command::new("psql")
        .args(["-X", "-d", &url, "-c", sql])
        .output();
    let output = output.expect("the Debian package `postgresql-client`");
    String::from_utf8_lossy(&output.stderr).into_owned()
}
