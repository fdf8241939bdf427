//! The page for browsers, and what it is made of: calls that are kept, gains, events; the token.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use serde_json::Value as Json;
use tributary::cli::call_json;
use tributary::server::Server;

use crate::support::Tributary;

use super::{PATIENCE, Served, ask, get, patiently, status, status_of};

fn json(addr: SocketAddr, path: &str) -> Json {
    let (head, body) = get(addr, path);
    assert_eq!(status_of(&head), 200, "{path}: {head}\n{body}");
    assert!(head.contains("application/json"), "{head}");
    serde_json::from_str(&body).expect("JSON")
}

fn calls(addr: SocketAddr, query: &str) -> Vec<Json> {
    let answer = json(addr, &format!("/calls{query}"));
    answer["calls"].as_array().expect("a list").clone()
}

/// Two calls of `page`, which are partial, one of `box` and one that fails.
fn with_calls() -> Served {
    let served = Served::start();
    for code in ["JFK", "LAX"] {
        let params = format!(r#"{{"code": "{code}"}}"#);
        served.call("page", &params).expect("a reply");
    }
    served.call("box", r#"{"code": "JFK"}"#).expect("a reply");
    served
        .call("box", r#"{"code": "none"}"#)
        .expect_err("required");
    patiently(|| calls(served.admin, "").len() == 4);
    served
}

#[test]
fn calls_are_listed_with_their_lookups() {
    let served = with_calls();
    let admin = served.admin;
    let count = |query: &str| calls(admin, query).len();
    assert_eq!(count("?list=failed"), 3);
    assert_eq!(count("?list=slowest"), 4);
    assert_eq!(count("?method=box"), 2);
    assert_eq!(count("?method=box&outcome=ok"), 1);
    assert_eq!(count("?outcome=partial&limit=1"), 1);
    assert_eq!(count("?slower=1h"), 0);
    assert_eq!(count("?caller=nobody"), 0);
    for query in [
        "?list=all",
        "?slower=5",
        "?limit=x",
        "?outcom=ok",
        "?method=%ff",
    ] {
        assert_eq!(status(admin, &format!("/calls{query}")), 400, "{query}");
    }
    let partial = calls(admin, "?method=page&limit=1").remove(0);
    assert_eq!(partial["outcome"], "partial");
    assert!(partial["took_us"].is_u64() && partial["started_us"].is_u64());
    let lookups = partial["lookups"].as_array().expect("a list");
    let of = |name: &str| {
        let found = lookups.iter().find(|lookup| lookup["name"] == name);
        found.expect("a lookup of the view")
    };
    assert_eq!(lookups.len(), 4);
    assert_eq!(of("a")["fate"], "ok");
    assert_eq!(of("c")["fate"], "error");
    assert_eq!(of("c")["code"], "lookup.refused");
    assert_eq!(of("c")["backend"], "code");
    let text = partial.to_string();
    assert!(!text.contains("JFK") && !text.contains("Kennedy"), "{text}");
    let failed = calls(admin, "?method=box&list=failed").remove(0);
    assert_eq!(failed["outcome"], "call.required_empty");
    served.server.stop().expect("it ends well");
}

#[test]
fn a_call_is_exported_for_other_tools() {
    let served = with_calls();
    let call = calls(served.admin, "?method=page&limit=1").remove(0);
    let path = format!("/calls/{}", call["id"].as_str().expect("an id"));
    assert_eq!(json(served.admin, &path), call);
    let otlp = json(served.admin, &format!("{path}?format=otlp"));
    let spans = &otlp["resourceSpans"][0]["scopeSpans"][0]["spans"];
    let spans = spans.as_array().expect("a list");
    let root = &spans[0];
    assert_eq!(root["kind"], 2);
    let name = root["name"].as_str().expect("a name");
    assert!(name.ends_with("/page"), "{name}");
    assert_eq!(root["traceId"].as_str().map(str::len), Some(32));
    for span in &spans[1..] {
        assert_eq!(span["parentSpanId"], root["spanId"]);
        assert_eq!(span["traceId"], root["traceId"]);
        let time = |of: &Json, key: &str| of[key].as_str().and_then(|at| at.parse::<u64>().ok());
        assert!(time(span, "startTimeUnixNano") >= time(root, "startTimeUnixNano"));
        assert!(time(span, "endTimeUnixNano") <= time(root, "endTimeUnixNano"));
    }
    let perfetto = json(served.admin, &format!("{path}?format=perfetto"));
    let events = perfetto["traceEvents"].as_array().expect("a list");
    let drawn = events.iter().filter(|event| event["ph"] == "X").count();
    let ran = call["lookups"].as_array().expect("a list").iter();
    let ran = ran.filter(|lookup| lookup["started_us"].is_u64()).count();
    assert_eq!(drawn, 1 + ran);
    let indexed = |span: &&Json| span["attributes"].to_string().contains("fanout.index");
    assert_eq!(spans.iter().filter(indexed).count(), ran);
    assert_eq!(status(served.admin, &format!("{path}?format=svg")), 400);
    assert_eq!(status(served.admin, "/calls/0-99"), 404);
    served.server.stop().expect("it ends well");
}

#[test]
fn gains_are_told_of_each_method_and_by_the_command() {
    let served = with_calls();
    let gains = json(served.admin, "/gains");
    let methods = gains["methods"].as_array().expect("a list");
    let calls = methods
        .iter()
        .map(|of| (of["method"].as_str(), of["calls"].as_u64()));
    let calls: Vec<_> = calls.collect();
    assert_eq!(calls, [(Some("box"), Some(1)), (Some("page"), Some(2))]);
    assert_eq!(methods[1]["lookups"].as_array().map(Vec::len), Some(4));
    let one = json(served.admin, "/gains?method=box");
    assert_eq!(one["methods"].as_array().map(Vec::len), Some(1));
    let admin = served.admin.to_string();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        let output = command.args(args).args(["--admin", &admin]).output();
        let output = output.expect("the program runs");
        let text = String::from_utf8(output.stdout).expect("text");
        (output.status.code(), text)
    };
    let (status, text) = run(&["explain", "--live", "page"]);
    assert_eq!(status, Some(0));
    assert!(text.starts_with("page: 2 calls examined"), "{text}");
    assert_eq!(run(&["explain", "--live", "nonsense"]).0, Some(1));
    served.server.stop().expect("it ends well");
}

/// The first events of a server, and what hears them.
fn events(addr: SocketAddr) -> impl Iterator<Item = Json> {
    let mut stream = TcpStream::connect(addr).expect("the port is open");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    let request = b"GET /events HTTP/1.0\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).expect("it reads");
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
}

#[test]
fn events_tell_the_state_and_then_what_changes() {
    let served = with_calls();
    let mut events = events(served.admin);
    let first = events.next().expect("an event");
    assert_eq!(
        (&first["whole"], &first["state"]),
        (&true.into(), &"ready".into())
    );
    assert_eq!(first["calls"].as_array().map(Vec::len), Some(4));
    let box_ = |event: &Json| {
        let methods = event["methods"].as_array().expect("a list");
        methods.iter().find(|of| of["method"] == "box").cloned()
    };
    assert_eq!(box_(&first).expect("all methods")["failed"], 1);
    assert_eq!(first["backends"][0]["backend"], "airports");
    served.call("box", r#"{"code": "LAX"}"#).expect("a reply");
    // Longer than other connections may last.
    let later: Vec<Json> = events.by_ref().take(7).collect();
    assert_eq!(later.len(), 7);
    assert!(later.iter().all(|event| event["whole"] == false));
    let changes: Vec<Json> = later.iter().filter_map(box_).collect();
    assert_eq!(changes.len(), 1);
    assert_eq!(
        (&changes[0]["ok"], &changes[0]["failed"]),
        (&1.into(), &0.into())
    );
    let calls = later
        .iter()
        .map(|event| event["calls"].as_array().map_or(0, Vec::len));
    assert_eq!(calls.sum::<usize>(), 1);
    served.server.stop().expect("it ends well");
    assert!(events.next().is_none());
}

#[test]
fn the_configuration_is_shown_with_the_line_of_each_value_and_without_secrets() {
    let config = "
admin = { listen = '127.0.0.1:0' }
[server]
idl = 's.thrift'
[backends.ops]
kind = 'redis'
url = 'redis://me:s3cret@127.0.0.1:9/0'
[lookups.it]
backend = 'ops'
get = 'it'
timeout = '50ms'
[views.get.lookups]
it = {}
";
    let mut server = Tributary::start(config, &[("s.thrift", "service S { string get() }")]);
    let admin = server.admin();
    let text = || get(admin, "/config?format=text").1;
    let path = server.folder().join("tributary.toml");
    let line = |key: &str, value: &str| {
        let file = std::fs::read_to_string(&path).expect("it is there");
        let last = key.rsplit('.').next().expect("a name");
        let at = file.lines().position(|line| line.starts_with(last));
        let at = at.expect("it is in the file") + 1;
        format!("{key} = {value}  # {}:{at}\n", path.display())
    };
    let shown = text();
    for expected in [
        &*line("backends.ops.url", "\"redis://me:***@127.0.0.1:9/0\""),
        &*line("lookups.it.timeout", "\"50ms\""),
        "backends.ops.connections = 1  # default\n",
        "server.drain_timeout = \"10s\"  # default\n",
        "views.get.deadline = \"1s\"  # default\n",
        "views.get.lookups.it.required = false  # default\n",
        "lookups.it.parse_text = false  # default\n",
        "admin.calls_kept = 256  # default\n",
        "server.limits.calls_max = 8192  # default\n",
    ] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
    let whole = json(admin, "/config");
    assert!(!shown.contains("s3cret") && !whole.to_string().contains("s3cret"));
    assert!(whole["loaded_at"].is_u64());
    assert_eq!(status(admin, "/config?format=yaml"), 400);
    crate::reload::change(&server, "50ms", "70ms");
    server.reload("serving the reloaded configuration");
    assert!(text().contains(&line("lookups.it.timeout", "\"70ms\"")));
}

#[test]
fn the_configuration_shows_what_is_in_use_and_what_takes_a_restart() {
    let config = "
admin = { listen = '127.0.0.1:0', calls_kept = 256 }
[server]
workers = 1
idl = 's.thrift'
unserved = '*'
limits = { calls_max = 3, depth_max = 20 }
";
    let mut server = Tributary::start(config, &[("s.thrift", "service S { string get() }")]);
    let admin = server.admin();
    let path = server.folder().join("tributary.toml");
    let at = |wanted: &str| {
        let file = std::fs::read_to_string(&path).expect("it is there");
        let at = file.lines().position(|line| line.starts_with(wanted));
        format!("{}:{}", path.display(), at.expect("it is in the file") + 1)
    };
    let assert_shows = |lines: &[String]| {
        let text = get(admin, "/config?format=text").1;
        for wanted in lines {
            let is_there = text.lines().any(|line| line == wanted);
            assert!(is_there, "{wanted}\n{text}");
        }
    };
    crate::reload::change(&server, "calls_max = 3, depth_max = 20", "calls_max = 30");
    crate::reload::change(&server, "calls_kept = 256", "calls_kept = 7");
    let log = "log = { access = 'stdout', slow = '2s' }";
    let traces = "traces = { endpoint = 'http://127.0.0.1:9' }";
    let above = format!("{log}\n{traces}\nadmin = {{");
    crate::reload::change(&server, "admin = {", &above);
    server.reload("serving the reloaded configuration");
    let (limits, log, kept) = (at("limits"), at("log"), at("admin"));
    assert_shows(&[
        format!("server.limits.calls_max = 3  # from the start; a restart makes it 30 ({limits})"),
        "server.limits.depth_max = 20  # from the start; a restart makes it 64 (default)".into(),
        format!("admin.calls_kept = 256  # from the start; a restart makes it 7 ({kept})"),
        format!("log.access  # not in use; a restart makes it \"stdout\" ({log})"),
        format!("log.slow = \"2s\"  # {log}"),
        format!(
            "traces.endpoint  # not in use; a restart makes it \"http://127.0.0.1:9\" ({})",
            at("traces")
        ),
        "server.drain_timeout = \"10s\"  # default".into(),
    ]);
    let shown = json(admin, "/config");
    let values = shown["values"].as_array().expect("a list");
    let of = |key: &str| {
        values
            .iter()
            .find(|of| of["key"] == key)
            .expect("it is there")
    };
    assert_eq!(
        *of("server.limits.calls_max"),
        serde_json::json!({
            "key": "server.limits.calls_max", "value": 3, "from": "the start",
            "after_restart": { "value": 30, "from": limits },
        })
    );
    // What the file says again takes no restart.
    crate::reload::change(&server, "calls_max = 30", "calls_max = 3, depth_max = 20");
    server.reload("serving the reloaded configuration");
    assert_shows(&[format!("server.limits.calls_max = 3  # {}", at("limits"))]);
}

/// What `tributary top` prints with these options, which need no terminal.
fn top(admin: &str, options: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    let output = command
        .arg("top")
        .args(options)
        .args(["--admin", admin])
        .output();
    let output = output.expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn top_prints_one_table_where_there_is_no_terminal() {
    let served = with_calls();
    let admin = served.admin.to_string();
    for options in [&[][..], &["--once"]] {
        let (status, text, _) = top(&admin, options);
        assert_eq!(status, Some(0));
        for part in [
            ": ready, 0 calls/s",
            "\nmethod  ",
            "\nbox  ",
            "\nairports",
            "\nloop ",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
    let counted = || {
        let (status, text, _) = top(&admin, &["--json"]);
        assert_eq!(status, Some(0), "{text}");
        let figures: Json = serde_json::from_str(&text).expect("JSON");
        let methods = figures["methods"].as_array().expect("a list").clone();
        let of = methods.into_iter().find(|of| of["method"] == "box");
        of.expect("it is a method")["calls_per_second"]
            .as_f64()
            .expect("a number")
    };
    assert!(
        counted().abs() < f64::EPSILON,
        "calls of before are no rate"
    );
    // The samples are half a second apart, so calls have to go on for that long.
    let is_done = std::sync::atomic::AtomicBool::new(false);
    let (addr, program) = (served.server.addr(), served.server.program());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                call_json(addr, program, "box", r#"{"code": "LAX"}"#).expect("a reply");
            }
        });
        patiently(|| counted() > 0.0);
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    served.server.stop().expect("it ends well");
    let (status, _, err) = top(&admin, &["--once"]);
    assert_eq!(status, Some(1));
    assert!(
        err.contains(&admin) && err.contains("is the server running"),
        "{err}"
    );
}

#[test]
fn without_a_token_a_page_of_another_name_reads_nothing() {
    let served = with_calls();
    let asked = |request: &str| {
        let request = format!("{request} HTTP/1.1\r\nhost: evil.example:9091\r\n\r\n");
        let (head, body) = ask(served.admin, &request);
        (status_of(&head), body)
    };
    let paths = [
        "/", "/metrics", "/now", "/calls", "/calls/1", "/gains", "/config", "/manual/", "/events",
    ];
    for path in paths {
        let (status, body) = asked(&format!("GET {path}"));
        assert_eq!(status, 403, "{path}");
        assert!(body.contains("`admin.token`"), "{body}");
    }
    assert_eq!(asked("POST /cache/purge").0, 403);
    assert_eq!((asked("GET /livez").0, asked("GET /readyz").0), (200, 200));
    served.server.stop().expect("it ends well");
}

#[test]
fn tap_prints_calls_as_they_end() {
    let served = Served::start();
    let mut tap = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args([
            "tap",
            "box",
            "--outcome",
            "ok",
            "--limit",
            "2",
            "--format",
            "json",
        ])
        .args(["--admin", &served.admin.to_string()])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stderr = BufReader::new(tap.stderr.take().expect("it is piped"));
    let mut note = String::new();
    stderr.read_line(&mut note).expect("it is read");
    assert_eq!(note, format!("watching {}\n", served.admin));
    // Events have a sample of the calls, so calls go on until it has seen enough.
    while tap.try_wait().expect("it runs").is_none() {
        served.call("box", r#"{"code": "LAX"}"#).expect("a reply");
        served
            .call("box", r#"{"code": "none"}"#)
            .expect_err("required");
    }
    let output = tap.wait_with_output().expect("it has ended");
    let text = String::from_utf8(output.stdout).expect("text");
    let calls: Vec<Json> = (text.lines())
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(calls.len(), 2, "{text}");
    for call in &calls {
        assert_eq!(
            (&call["method"], &call["outcome"]),
            (&"box".into(), &"ok".into())
        );
    }
    served.server.stop().expect("it ends well");
}

#[test]
fn a_browser_gets_a_page_that_may_load_nothing_from_elsewhere() {
    let served = Served::start();
    let request = "GET / HTTP/1.1\r\nhost: localhost\r\naccept: text/html,*/*\r\n\r\n";
    let (head, body) = ask(served.admin, request);
    assert!(head.contains("content-type: text/html"), "{head}");
    let policy =
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self' 'sha256-";
    assert!(head.contains(policy), "{head}");
    assert!(!head.contains("unsafe"), "{head}");
    assert!(head.contains("x-content-type-options: nosniff"), "{head}");
    let mut bytes = body.len();
    for path in ["/start.js", "/page.js"] {
        assert!(body.contains(path), "{path}");
        let (head, text) = get(served.admin, path);
        assert!(head.contains("text/javascript"), "{head}");
        bytes += text.len();
    }
    assert!(bytes <= 60_000, "{bytes}");
    let (head, manual) = get(served.admin, "/manual/admin");
    assert!(head.contains("content-security-policy"), "{head}");
    assert!(manual.contains("<a href=\"/manual/metrics\">"), "{manual}");
    assert!(manual.contains("href=\"/page.css\""), "{manual}");
    let (head, _) = get(served.admin, "/page.css");
    assert!(head.contains("text/css"), "{head}");
    assert_eq!(status(served.admin, "/manual/nonsense"), 404);
    served.server.stop().expect("it ends well");
}

#[test]
fn a_token_guards_everything_except_probes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    };
    write("s.thrift", "service S { string get() }");
    write("token", "a-token-of-some-length\n");
    let config = |admin: &str| {
        write(
            "tributary.toml",
            &format!(
                "[server]\nidl = 's.thrift'\nlisten = '127.0.0.1:0'\n[admin]\n{admin}\n\
                 [views.get.lookups]\nit = 'answer'\n"
            ),
        );
        Server::new(folder.path().join("tributary.toml"))
            .lookup("answer", &[], async |_| Ok("yes".into()))
            .spawn()
            .expect("it starts")
    };
    let server = config("listen = '127.0.0.1:0'\ntoken = 'file:token'");
    let admin = server.admin_addr().expect("an admin port");
    call_json(server.addr(), server.program(), "get", "{}").expect("a reply");
    let paths = [
        "/", "/metrics", "/now", "/calls", "/gains", "/config", "/manual/", "/page.js", "/events",
    ];
    for path in paths {
        let (head, _) = get(admin, path);
        assert_eq!(status_of(&head), 401, "{path}");
        assert!(head.contains("www-authenticate: Basic"), "{head}");
    }
    assert_eq!(
        (status(admin, "/livez"), status(admin, "/readyz")),
        (200, 200)
    );
    let with = |path: &str, token: &str| {
        let authorization = format!("authorization: Bearer {token}\r\n");
        // With the token, every name of the port is fine.
        let request = format!("GET {path} HTTP/1.1\r\nhost: ops.example\r\n{authorization}\r\n");
        status_of(&ask(admin, &request).0)
    };
    assert_eq!(with("/calls", "a-token-of-some-lengthy"), 401);
    for path in paths.iter().filter(|path| **path != "/events") {
        assert_eq!(with(path, "a-token-of-some-length"), 200, "{path}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    let config_path = folder.path().join("tributary.toml");
    // The closure is not known to the program, so the port's token is not either.
    let output = command.args(["explain", "--live", "-c"]).arg(&config_path);
    let output = output.args(["--admin", &admin.to_string()]).output();
    assert_eq!(output.expect("it runs").status.code(), Some(1));
    server.stop().expect("it ends well");
    let open = config("listen = '0.0.0.0:0'");
    let port = open.admin_addr().expect("an admin port").port();
    let admin = SocketAddr::from(([127, 0, 0, 1], port));
    for path in ["/calls", "/gains", "/config", "/events"] {
        assert_eq!(status(admin, path), 403, "{path}");
    }
    assert_eq!(status(admin, "/metrics"), 200);
    open.stop().expect("it ends well");
}
