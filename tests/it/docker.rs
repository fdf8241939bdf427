//! Builds the runtime stage of the container image around a static binary, and runs it.
//!
//! This needs a container engine but no registry: the stage is that of `docker/Dockerfile`, with a binary built here
//! instead of in its build stage. Without an engine, the test says so and passes. `CONTAINER_ENGINE` is another one than
//! `docker`, with its options, `CONTAINER_RUN_OPTIONS` are further options of its `run`, and `STATIC_TRIBUTARY` is a static
//! binary that was built already.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Redis, Wire, bytes, free_port, run, wait_for_line};

/// `getAirport("JFK")`, strict binary.
const GET_JFK: &str =
    "80 01 00 01 00 00 00 0a 'getAirport' 00 00 00 07 0b 00 01 00 00 00 03 'JFK' 00";

#[test]
fn the_image_serves_drains_and_resolves_names() {
    if !engine()
        .arg("info")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        eprintln!("no container engine answers (`docker info`): the image was not built");
        return;
    }
    let built = std::env::var_os("STATIC_TRIBUTARY").map(PathBuf::from);
    let binary = built.unwrap_or_else(static_binary);
    let image = build_image(&binary);

    let container = Container::run(&["--network", "none", &image.0]);
    let call = ["/tributary", "call", "getAirport", "code=JFK"];
    let reply = docker(&[&["exec", &container.0], &call[..]].concat());
    assert!(reply.contains("John F Kennedy Intl"), "{reply}");
    assert_eq!(
        docker(&["inspect", "-f", "{{.Config.User}}", &container.0]),
        "65532:65532"
    );
    docker(&["stop", "-t", "20", &container.0]);
    assert_eq!(
        docker(&["inspect", "-f", "{{.State.ExitCode}}", &container.0]),
        "0",
        "SIGTERM drains"
    );

    a_bare_container_is_healthy_reloads_and_fits_its_memory(&image);
    let options = run_options();
    let options = options.iter().map(String::as_str);
    let demo = [
        "--rm",
        "--read-only",
        "--network=none",
        &image.0,
        "demo",
        "--once",
    ];
    let demo: Vec<&str> = ["run"].into_iter().chain(options).chain(demo).collect();
    let demo = docker(&demo);
    assert!(demo.contains("the replies are equal"), "{demo}");

    // Static glibc resolves names without the libraries that dynamic glibc would load.
    let redis = Redis::start();
    redis.run(r#"set airport:JFK "{\"code\":\"JFK\",\"name\":\"by name\",\"latitude\":0,\"longitude\":0}""#);
    let port = free_port();
    let named = build_named(&image, &redis, port);
    let _container = Container::run(&["--network", "host", &named.0]);
    let reply = call_jfk(SocketAddr::from(([127, 0, 0, 1], port)));
    assert!(reply.contains("by name"), "{reply}");
}

/// As `compose.yaml` and Kubernetes run it: nothing to write to, no capability, little memory.
fn a_bare_container_is_healthy_reloads_and_fits_its_memory(image: &Image) {
    let container = Container::run(&[
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--memory=256m",
        "--network=none",
        &image.0,
    ]);
    let check = [
        "/tributary",
        "health",
        "-c",
        "/etc/tributary/tributary.toml",
    ];
    let test = docker(&[
        "inspect",
        "-f",
        "{{json .Config.Healthcheck.Test}}",
        &container.0,
    ]);
    let words: Vec<String> = serde_json::from_str(&test).expect("JSON");
    assert_eq!(words[1..], check, "{test}");
    let said = docker(&[&["exec", &container.0], &check[..]].concat());
    assert_eq!(said, "127.0.0.1:9091/readyz: ready");
    docker(&["kill", "--signal", "HUP", &container.0]);
    container.wait_for("serving the reloaded configuration");
    let log = container.wait_for("memory limit=");
    assert!(
        log.contains("memory limit=\"256MiB\" of=\"control group\" buffered_bytes_max=\"32MiB\""),
        "{log}"
    );
    docker(&["stop", "-t", "20", &container.0]);
    let code = docker(&["inspect", "-f", "{{.State.ExitCode}}", &container.0]);
    assert_eq!(code, "0", "SIGTERM drains");
}

/// Builds a static binary in a separate target folder.
fn static_binary() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("target/tmp has a parent")
        .join("static");
    let host = run(Command::new("rustc").args(["-vV"]), "Rust");
    let host = host
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("rustc says its host");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "build",
            "--quiet",
            "--locked",
            "--bin",
            "tributary",
            "--target",
            host,
            "--target-dir",
        ])
        .arg(&target);
    cargo
        .current_dir(repository())
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    run(&mut cargo, "Rust");
    let binary = target.join(host).join("debug/tributary");
    let ldd = run(
        Command::new("ldd").arg(&binary),
        "the Debian package `libc-bin`",
    );
    assert!(ldd.contains("statically linked"), "{ldd}");
    binary
}

/// The runtime stage of `docker/Dockerfile` around `binary`.
fn build_image(binary: &Path) -> Image {
    let context = tempfile::tempdir().expect("a temporary folder");
    let dockerfile =
        fs::read_to_string(repository().join("docker/Dockerfile")).expect("docker/Dockerfile");
    let (_, runtime) = dockerfile
        .split_once("FROM scratch AS runtime\n")
        .expect("a runtime stage");
    let runtime = runtime.replace("COPY --from=build /out/tributary ", "COPY tributary ");
    fs::write(
        context.path().join("Dockerfile"),
        format!("FROM scratch\n{runtime}"),
    )
    .expect("the folder is ours");
    fs::copy(binary, context.path().join("tributary")).expect("the binary was built");
    for file in [
        "docker/tributary.toml",
        "docker/demo/airports.csv",
        "idl/flights.thrift",
        "idl/tributary.thrift",
    ] {
        let to = context.path().join(file);
        fs::create_dir_all(to.parent().expect("it has a folder")).expect("the folder is ours");
        fs::copy(repository().join(file), to).expect("it is in the repository");
    }
    Image::build(context.path())
}

/// `image` with a configuration that reaches a store by name.
fn build_named(image: &Image, redis: &Redis, port: u16) -> Image {
    let context = tempfile::tempdir().expect("a temporary folder");
    let config = format!(
        r#"
        [server]
        idl = "flights.thrift"
        listen = "127.0.0.1:{port}"
        unserved = ["getDeparture", "getBoard", "getAirports"]
        [backends.cache]
        kind = "redis"
        url = "redis://localhost:{}/0"
        [lookups.airport]
        backend = "cache"
        get = "airport:{{code}}"
        format = "json"
        [views.getAirport.lookups]
        airport = {{ use = "airport", into = ".", required = true }}
        "#,
        redis.addr.port()
    );
    fs::write(context.path().join("tributary.toml"), config).expect("the folder is ours");
    let dockerfile = format!(
        "FROM {}\nCOPY tributary.toml /etc/tributary/tributary.toml\n",
        image.0
    );
    fs::write(context.path().join("Dockerfile"), dockerfile).expect("the folder is ours");
    Image::build(context.path())
}

fn call_jfk(addr: SocketAddr) -> String {
    let mut wire = Wire::connect(addr);
    wire.send_frame(&bytes(GET_JFK));
    String::from_utf8_lossy(&wire.read_frame()).into_owned()
}

/// The words of a variable.
fn words(name: &str) -> Vec<String> {
    let text = std::env::var(name).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

fn engine() -> Command {
    let words = words("CONTAINER_ENGINE");
    let mut command = Command::new(words.first().map_or("docker", |name| name));
    command.args(words.iter().skip(1));
    command
}

fn run_options() -> Vec<String> {
    words("CONTAINER_RUN_OPTIONS")
}

fn docker(arguments: &[&str]) -> String {
    run(engine().args(arguments), "a container engine")
        .trim()
        .to_owned()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// An image by its id, removed when dropped.
struct Image(String);

impl Image {
    fn build(context: &Path) -> Self {
        let mut command = engine();
        // The classic builder is the one that every engine has.
        command
            .env("DOCKER_BUILDKIT", "0")
            .args(["build", "--quiet", "--rm"])
            .arg(context);
        Image(run(&mut command, "a container engine").trim().to_owned())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        drop(engine().args(["rmi", "--force", &self.0]).output());
    }
}

/// A running container by its id, removed when dropped.
struct Container(String);

impl Container {
    /// Starts one and waits until it listens.
    fn run(arguments: &[&str]) -> Self {
        let options = run_options();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let id = docker(&[&["run", "--detach"], &options[..], arguments].concat());
        let container = Container(id);
        container.wait_for("listening");
        container
    }

    /// Waits for a line of its log with `word`, and returns the log.
    fn wait_for(&self, word: &str) -> String {
        let mut logs = engine();
        logs.args(["logs", "--follow", &self.0]);
        wait_for_line(&mut logs, word);
        let output = engine().args(["logs", &self.0]).output();
        let output = output.expect("a container engine");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(engine().args(["rm", "--force", &self.0]).output());
    }
}
