//! Calls that the admin port makes: their form, their reply with types and times, and who may ask for them.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::{Value as Json, json};
use tributary::server::{Running, Server};

use super::{CONFIG, Served, ask, get, patiently, scrape, status, status_of};

/// The status and the text of the answer to a request for a call.
fn try_with(addr: SocketAddr, headers: &str, body: &str) -> (u16, String) {
    let request = format!(
        "POST /try HTTP/1.1\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    let (head, body) = ask(addr, &request);
    (status_of(&head), body)
}

const OWN: &str = "host: localhost\r\ncontent-type: application/json\r\n";

fn try_it(addr: SocketAddr, body: &Json) -> Json {
    let (status, text) = try_with(addr, OWN, &body.to_string());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_call_is_made_and_counted_like_others() {
    let served = Served::start();
    let admin = served.admin;
    let wanted = json!({ "method": "box", "params": { "code": "JFK" } });
    let made = try_it(admin, &wanted);
    assert_eq!(made["outcome"], "returned");
    assert_eq!(made["value"], json!({ "code": "Kennedy" }));
    let lines = json!([
        [0, "{", "pages.Box"],
        [1, "\"code\": \"Kennedy\"", "string"],
        [0, "}", ""]
    ]);
    assert_eq!(made["lines"], lines);
    let call = &made["call"];
    assert_eq!(
        (&call["outcome"], &call["mode"]),
        (&"ok".into(), &"EVENTED".into())
    );
    assert_eq!(call["lookups"][0]["name"], "code");
    assert_eq!(call["lookups"][0]["fate"], "ok");
    // It is a call like others, of a caller with a name.
    let list = || get(admin, "/calls?method=box").1;
    patiently(|| list().contains("admin port"));
    let calls = scrape(admin).sum("tributary_calls_total", &[("method", "box")]);
    assert_eq!(calls, 1);
    let partial = try_it(
        admin,
        &json!({ "method": "page", "mode": "SERIAL", "params": { "code": "LAX" } }),
    );
    let call = &partial["call"];
    assert_eq!(
        (&call["outcome"], &call["mode"]),
        (&"partial".into(), &"SERIAL".into())
    );
    assert_eq!(call["lookups"].as_array().map(Vec::len), Some(4));
    let failed = try_it(
        admin,
        &json!({ "method": "box", "params": { "code": "nowhere" } }),
    );
    assert_eq!(failed["outcome"], "failed");
    assert_eq!(failed["code"], "call.required_empty");
    assert!(
        failed["message"]
            .as_str()
            .is_some_and(|why| why.starts_with("call.required_empty"))
    );
    assert_eq!(failed["call"]["lookups"][0]["fate"], "empty");
    served.server.stop().expect("it ends well");
}

#[test]
fn a_call_ends_at_its_own_deadline_and_with_its_client() {
    let served = Served::start();
    let wanted = json!({ "method": "slow", "deadline_ms": 20, "params": { "code": "JFK" } });
    let made = try_it(served.admin, &wanted);
    let call = &made["call"];
    assert_eq!(call["outcome"], "partial", "{made}");
    let fates = call["lookups"].as_array().expect("a list").iter();
    let fates: Vec<&str> = fates.filter_map(|of| of["fate"].as_str()).collect();
    assert_eq!(fates, ["ok", "timeout"]);
    // A client that leaves takes its call with it.
    let body = json!({ "method": "slow", "params": { "code": "JFK" } }).to_string();
    let request = format!(
        "POST /try HTTP/1.1\r\ncontent-length: {}\r\n{OWN}\r\n{body}",
        body.len()
    );
    let mut left = std::net::TcpStream::connect(served.admin).expect("the port is open");
    std::io::Write::write_all(&mut left, request.as_bytes()).expect("it is taken");
    let in_flight = || served.scrape().sum("tributary_calls_in_flight", &[]);
    patiently(|| in_flight() == 1);
    drop(left);
    patiently(|| in_flight() == 0);
    served.server.stop().expect("it ends well");
}

#[test]
fn a_call_is_told_of_as_lists_of_calls_tell_of_it() {
    // The sample takes none of them.
    let config = CONFIG
        .replace("c = { use = \"fails\" }\n", "")
        .replace("d = { use = \"name\", with = { code = \"c\" } }\n", "")
        .replace("[admin]\n", "[admin]\ncalls_sampled = 1\n");
    let served = Served::start_with(&config);
    for _ in 0..4 {
        let wanted = json!({ "method": "page", "params": { "code": "nowhere" } });
        let made = try_it(served.admin, &wanted)["call"].clone();
        // A default stands in for an empty answer: every store answered.
        assert_eq!(made["lookups"][1]["fate"], "default");
        assert_eq!(
            (&made["outcome"], &made["caller"]),
            (&"ok".into(), &"admin port".into())
        );
        let id = made["id"].as_str().expect("it is kept");
        let kept = get(served.admin, &format!("/calls/{id}")).1;
        let kept: Json = serde_json::from_str(&kept).expect("JSON");
        for key in ["id", "method", "outcome", "caller", "request_id", "lookups"] {
            assert_eq!(made[key], kept[key], "{key}");
        }
    }
    served.server.stop().expect("it ends well");
}

#[test]
fn a_form_has_the_types_of_the_idl() {
    let served = Served::start();
    let form = |query: &str| {
        let (head, body) = get(served.admin, &format!("/try{query}"));
        (status_of(&head), body)
    };
    let (status, body) = form("?method=box");
    assert_eq!(status, 200);
    let of: Json = serde_json::from_str(&body).expect("JSON");
    assert_eq!(of["params"][0]["name"], "code");
    assert_eq!(of["params"][0]["kind"], "text");
    assert_eq!(of["result"], "pages.Box");
    let (status, why) = form("?method=boks");
    assert_eq!(status, 404);
    assert!(why.contains("`box`"), "{why}");
    assert_eq!((form("").0, form("?x=1").0), (200, 400));
    let refused = |body: &str| try_with(served.admin, OWN, body);
    for (body, status) in [
        ("nonsense", 400),
        (r#"{"method": "box", "params": {"kode": "JFK"}}"#, 400),
        (r#"{"method": "box", "params": {"code": 7}}"#, 400),
        (r#"{"method": "nope"}"#, 404),
    ] {
        let (code, why) = refused(body);
        assert_eq!(code, status, "{body}: {why}");
    }
    assert!(
        refused(r#"{"method": "box", "params": {"kode": "JFK"}}"#)
            .1
            .contains("`code`")
    );
    served.server.stop().expect("it ends well");
}

#[test]
fn a_page_of_another_site_can_make_no_call() {
    let served = Served::start();
    let body = r#"{"method": "box", "params": {"code": "JFK"}}"#;
    let with = |headers: &str| try_with(served.admin, headers, body).0;
    let own = format!("{OWN}origin: http://localhost\r\nsec-fetch-site: same-origin\r\n");
    assert_eq!(with(&own), 200);
    for (headers, status) in [
        ("host: localhost\r\ncontent-type: text/plain\r\n".to_owned(), 415),
        (format!("{OWN}origin: http://evil.example\r\n"), 403),
        (format!("{OWN}sec-fetch-site: cross-site\r\n"), 403),
        // A name in a public domain with this machine's address.
        ("host: evil.example\r\norigin: http://evil.example\r\ncontent-type: application/json\r\n".to_owned(), 403),
    ] {
        assert_eq!(with(&headers), status, "{headers}");
    }
    served.server.stop().expect("it ends well");
}

/// A server with this `[admin]`, and its port on this machine.
fn with_admin(admin: &str) -> (Running, SocketAddr, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    };
    write(
        "s.thrift",
        "enum Kind { A = 1 }\nservice S { string get(1: Kind kind = 1, 2: string password), oneway void go() }",
    );
    write("token", "a-token-of-some-length\n");
    write(
        "tributary.toml",
        &format!(
            "[server]\nidl = 's.thrift'\ntokens = {{ ops = 'file:token' }}\n\
             [[server.listeners]]\nlisten = '127.0.0.1:0'\nplain_tokens = true\n[admin]\n{admin}\n\
             [callers.'token:ops']\nrate = '1000/s'\n[views.get]\nallow = ['token:ops']\n[views.get.lookups]\nit = 'answer'\n[views.go.lookups]\nit = 'answer'\n"
        ),
    );
    let server = Server::new(folder.path().join("tributary.toml"));
    let server = server.lookup("answer", &[], async |_| Ok("yes".into()));
    let server = server.spawn().expect("it starts");
    let port = server.admin_addr().expect("an admin port").port();
    (server, SocketAddr::from(([127, 0, 0, 1], port)), folder)
}

#[test]
fn other_machines_may_make_calls_only_if_they_are_allowed_and_have_the_token() {
    let body = r#"{"method": "go"}"#;
    let token = format!("{OWN}authorization: Bearer a-token-of-some-length\r\n");
    for (admin, own, with_token) in [
        ("listen = '0.0.0.0:0'\ntry = true", 403, 403),
        ("listen = '0.0.0.0:0'\ntoken = 'file:token'", 401, 403),
        (
            "listen = '0.0.0.0:0'\ntry = true\ntoken = 'file:token'",
            401,
            200,
        ),
        ("listen = '127.0.0.1:0'\ntry = false", 403, 403),
        ("listen = '127.0.0.1:0'\ntoken = 'file:token'", 401, 200),
    ] {
        let (server, addr, _folder) = with_admin(admin);
        let (status, why) = try_with(addr, OWN, body);
        assert_eq!(status, own, "{admin}");
        // What would help is what is missing there.
        let is_off = admin.contains("false");
        let help = match own {
            403 if is_off => "`admin.try` is false",
            403 => "`admin.token`",
            _ => "token",
        };
        assert!(why.contains(help), "{admin}: {why}");
        assert!(!is_off || !why.contains("admin.token"), "{why}");
        let (status, text) = try_with(addr, &token, body);
        assert_eq!(status, with_token, "{admin}: {text}");
        assert!(status != 200 || text.contains("\"sent\""), "{text}");
        server.stop().expect("it ends well");
    }
}

#[test]
fn a_method_that_is_not_for_everybody_takes_a_token() {
    let (server, addr, _folder) = with_admin("listen = '127.0.0.1:0'");
    let of: Json = serde_json::from_str(&get(addr, "/try?method=get").1).expect("JSON");
    assert_eq!(of["restricted"], true);
    let kind = &of["params"][0];
    assert_eq!(
        (&kind["values"], &kind["default"]),
        (&json!(["A"]), &"A".into())
    );
    // What logs hide is hidden in the form too.
    let secrets = [&of["params"][0]["secret"], &of["params"][1]["secret"]];
    assert_eq!(secrets, [&json!(false), &json!(true)]);
    let without = try_it(addr, &json!({ "method": "get" }));
    assert_eq!(without["code"], "call.unauthenticated");
    let with = try_it(
        addr,
        &json!({ "method": "get", "token": "a-token-of-some-length" }),
    );
    assert_eq!(
        (&with["outcome"], &with["value"]),
        (&"returned".into(), &"yes".into())
    );
    // It is the admin port's call, although the token has limits of its own.
    assert_eq!(with["call"]["caller"], "admin port");
    let kept = get(addr, "/calls?method=get&caller=admin%20port").1;
    let kept: Json = serde_json::from_str(&kept).expect("JSON");
    assert_eq!(kept["calls"][0]["id"], with["call"]["id"]);
    server.stop().expect("it ends well");
}

#[test]
fn an_unknown_method_is_not_one_without_calls() {
    let served = Served::start();
    for path in ["/gains?method=boks", "/calls?method=boks"] {
        let (head, why) = get(served.admin, path);
        assert_eq!(status_of(&head), 404, "{path}");
        assert!(
            why.contains("there is no method `boks`: did you mean `box`?"),
            "{why}"
        );
    }
    assert_eq!(status(served.admin, "/gains?method=box"), 200);
    assert_eq!(status(served.admin, "/calls?outcome=fine"), 400);
    assert_eq!(status(served.admin, "/calls?outcome=failed"), 200);
    served.server.stop().expect("it ends well");
}

#[test]
fn tap_does_not_wait_for_calls_of_an_unknown_method() {
    let served = Served::start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    let output = command.args(["tap", "boks", "--admin", &served.admin.to_string()]);
    let output = output.output().expect("the program runs");
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("no method `boks`") && text.contains("`box`"),
        "{text}"
    );
    served.server.stop().expect("it ends well");
}
