//! `call`, `compare` and reports, against a server that runs in the test.

use super::typed;
use crate::backend::LookupError;
use crate::cli::{ExitStatus, call_json_at};
use crate::error::Code;
use crate::server::{Running, Server};
use crate::value::Value;

const IDL: &str = r#"
include "tributary.thrift"

enum Size { SMALL = 1, LARGE = 2 }
struct Greeting {
  1: required string text
  2: optional i64 luck
  3: optional Size size
  4: optional tributary.Report report
}
service Greeter {
  Greeting greet(1: string name, 2: Size size, 3: tributary.Context context)
    throws (1: tributary.LookupFailed failed)
  string plain(1: string name)
  oneway void forget(1: string name)
  void hidden()
}
"#;

const TOML: &str = r#"
[server]
idl = "greeter.thrift"
listen = "127.0.0.1:0"
unserved = ["hidden"]

[views.greet.lookups]
text = { use = "text", required = true }
luck = { use = "luck", with = { seed = "text" } }
size = { use = "same", with = { value = "size" } }

[views.plain.lookups]
text = "text"

[views.forget.lookups]
text = "text"
"#;

/// A running server and the folder of its files.
struct Greeter {
    running: Running,
    folder: tempfile::TempDir,
}

impl Greeter {
    /// Greets everyone except `nobody`; luck is the number of greetings if `lucky` is set.
    fn start(lucky: bool) -> Self {
        Greeter::serving(TOML, lucky)
    }

    fn serving(toml: &str, lucky: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("greeter.thrift"), IDL).expect("written");
        std::fs::write(folder.path().join("greeter.toml"), toml).expect("written");
        let count = std::sync::atomic::AtomicI64::new(0);
        let server = Server::new(folder.path().join("greeter.toml"))
            .lookup("text", &["name"], async |input| {
                match input.get("name").as_str() {
                    Some("nobody") => Ok(Value::Null),
                    Some("trouble") => Err(LookupError::new(Code::LookupRefused, "trouble")),
                    name => Ok(Value::from(format!("hello, {}", name.unwrap_or("you")))),
                }
            })
            .blocking_lookup("luck", &["seed"], move |_| {
                let next = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok(Value::I64(if lucky { next } else { 7 }))
            })
            .lookup("same", &["value"], async |input| {
                Ok(input.get("value").clone())
            });
        let running = server.spawn().expect("it starts");
        Greeter { running, folder }
    }

    /// Runs `command` with the server's address and IDL, then `words`.
    fn typed(&self, command: &str, words: &[&str]) -> (ExitStatus, String, String) {
        let addr = self.running.addr().to_string();
        let idl = self.folder.path().join("greeter.thrift");
        let idl = idl.to_string_lossy();
        let mut all = vec![command, "--addr", &addr, "--idl", &idl];
        all.extend(words);
        typed(&all)
    }

    fn stop(self) {
        self.running.stop().expect("it stops");
    }
}

#[test]
fn calls_print_replies_as_json() {
    let greeter = Greeter::start(false);
    let expected = "{\n  \"text\": \"hello, Ann\",\n  \"luck\": 7,\n  \"size\": \"LARGE\"\n}\n";
    for options in [
        &["greet", "name=Ann", "size=LARGE"][..],
        &["--protocol", "compact", "greet", "name=Ann", "size=2"],
        &[
            "--transport",
            "unframed",
            "greet",
            "--json",
            r#"{"name": "Ann", "size": "LARGE"}"#,
        ],
        &[
            "--serial",
            "--request-id",
            "r-1",
            "greet",
            "name=Ann",
            "size=LARGE",
        ],
    ] {
        let (status, data, rest) = greeter.typed("call", options);
        assert_eq!(
            (status, data.as_str(), rest.as_str()),
            (ExitStatus::Done, expected, "")
        );
    }
    let (status, data, _) = greeter.typed("call", &["plain", "name=Bob"]);
    assert_eq!(
        (status, data.as_str()),
        (ExitStatus::Done, "\"hello, Bob\"\n")
    );
    let (status, data, rest) = greeter.typed("call", &["forget", "name=Bob"]);
    assert_eq!((status, data.as_str()), (ExitStatus::Done, ""));
    assert!(rest.contains("oneway"), "{rest}");
    greeter.stop();
}

#[test]
fn the_idl_and_the_service_come_from_a_configuration_too() {
    let greeter = Greeter::start(false);
    let config = greeter.folder.path().join("greeter.toml");
    let addr = greeter.running.addr().to_string();
    let words = [
        "call",
        "-c",
        &config.to_string_lossy(),
        "--addr",
        &addr,
        "plain",
        "name=Bob",
    ];
    let (status, data, rest) = typed(&words);
    assert_eq!(
        (status, data.as_str(), rest.as_str()),
        (ExitStatus::Done, "\"hello, Bob\"\n", "")
    );
    greeter.stop();
}

/// A server inside a Rust program, with or without closures, offers the `Tributary` service like any other.
#[test]
fn an_embedded_server_provides_its_idl() {
    let greeter = Greeter::start(false);
    let addr = greeter.running.addr();
    let reply = call_json_at(addr, "plain", r#"{"name": "Bob"}"#);
    assert_eq!(reply.expect("a reply"), r#""hello, Bob""#);
    let unknown = call_json_at(addr, "plein", "{}").expect_err("no method");
    assert_eq!(
        unknown.to_string(),
        "service `Greeter` has no method `plein`"
    );
    let addr = addr.to_string();
    let (status, data, rest) = typed(&["call", "--addr", &addr, "plain", "name=Bob"]);
    assert_eq!(
        (status, data.as_str(), rest.as_str()),
        (ExitStatus::Done, "\"hello, Bob\"\n", "")
    );
    let (status, data, _) = typed(&["compare", "--addr", &addr, "greet", "name=Ann"]);
    assert_eq!(status, ExitStatus::Done);
    assert!(data.contains("the replies are equal"), "{data}");
    let own = ["call", "--addr", &addr, "--service", "Tributary"];
    let fetch = [
        "fetch",
        "view=greet",
        "params.name=Ann",
        "params.size=LARGE",
    ];
    let (status, data, _) = typed(&[&own[..], &fetch].concat());
    assert_eq!(status, ExitStatus::Done);
    let reply: serde_json::Value = serde_json::from_str(&data).expect("JSON");
    let expected = serde_json::json!({"text": "hello, Ann", "luck": 7, "size": "LARGE"});
    assert_eq!(reply, expected);
    let (_, data, _) = typed(&[&own[..], &["describe"]].concat());
    let told: serde_json::Value = serde_json::from_str(&data).expect("JSON");
    assert_eq!(told["methods"][0]["lookups"][0]["kind"], "closure");
    greeter.stop();
}

#[test]
fn exceptions_fail_with_their_message_on_stderr() {
    let greeter = Greeter::start(false);
    let (status, data, rest) = greeter.typed("call", &["greet", "name=nobody"]);
    assert_eq!(status, ExitStatus::Failed);
    assert!(
        rest.starts_with("error: Greeter: LookupFailed (call.required_empty): a required part"),
        "{rest}"
    );
    let json: serde_json::Value = serde_json::from_str(&data).expect("JSON");
    assert_eq!(json["code"], "call.required_empty");
    let (status, data, rest) = greeter.typed("call", &["hidden"]);
    assert_eq!((status, data.as_str()), (ExitStatus::Failed, ""));
    let says = "error: Greeter: call.unknown_method: ";
    assert!(rest.starts_with(says), "{rest}");
    greeter.stop();
}

#[test]
fn reports_are_drawn_on_stderr() {
    let greeter = Greeter::start(false);
    let (status, data, rest) = greeter.typed("call", &["--report", "greet", "name=Ann"]);
    assert_eq!(status, ExitStatus::Done);
    assert!(rest.starts_with("greet, all at once\n"), "{rest}");
    // Which chain is critical depends on the clock here: these lookups take almost no time.
    assert!(rest.contains("critical path: "), "{rest}");
    assert!(data.contains("\"report\""), "{data}");
    let plain = ["--transport", "framed", "--report", "plain", "name=Ann"];
    let (status, _, rest) = greeter.typed("call", &plain);
    assert_eq!(status, ExitStatus::Misuse);
    assert!(
        rest.starts_with("error: `--report`: method `plain` has no parameter of type"),
        "{rest}"
    );
    greeter.stop();
}

#[test]
fn headers_have_the_report_of_any_call_and_of_one_that_fails() {
    let greeter = Greeter::start(false);
    let (status, data, rest) = greeter.typed("call", &["--report", "plain", "name=Ann"]);
    assert_eq!(
        (status, data.as_str()),
        (ExitStatus::Done, "\"hello, Ann\"\n")
    );
    assert!(rest.contains("* text "), "{rest}");
    // A declared exception, and a TApplicationException.
    for (name, says) in [
        (
            "greet",
            "error: Greeter: LookupFailed (call.required_failed): ",
        ),
        ("plain", "error: Greeter: call.required_failed: "),
    ] {
        let (status, _, rest) = greeter.typed("call", &["--report", name, "name=trouble"]);
        assert_eq!(status, ExitStatus::Failed);
        assert!(
            rest.starts_with(&format!("{name}, all at once\n")),
            "{rest}"
        );
        assert!(rest.contains("lookup.refused"), "{rest}");
        assert!(rest.contains(says), "{rest}");
        assert!(!rest.contains("internal error"), "{rest}");
    }
    greeter.stop();
}

#[test]
fn a_listener_without_headers_still_reports() {
    let framed = "[[server.listeners]]\nlisten = \"127.0.0.1:0\"\ntransports = [\"framed\"]\n";
    let greeter = Greeter::serving(&format!("{TOML}{framed}"), false);
    let addr = greeter.running.listeners()[1].to_string();
    let words = ["call", "--addr", &addr, "--report", "greet", "name=Ann"];
    let (status, data, rest) = typed(&words);
    assert_eq!(status, ExitStatus::Done, "{rest}");
    assert!(rest.starts_with("greet, all at once\n"), "{rest}");
    assert!(data.contains("hello, Ann"), "{data}");
    greeter.stop();
}

#[test]
fn compare_draws_both_modes_and_compares_the_replies() {
    let greeter = Greeter::start(false);
    let (status, data, rest) = greeter.typed("compare", &["-n", "3", "greet", "name=Ann"]);
    assert_eq!((status, rest.as_str()), (ExitStatus::Done, ""));
    for words in [
        "greet, one lookup at a time\n",
        "greet, all at once\n",
        " in 3 calls\n",
        "the replies are equal\n",
    ] {
        assert!(data.contains(words), "{words}: {data}");
    }
    greeter.stop();
    let greeter = Greeter::start(true);
    let (status, _, rest) = greeter.typed("compare", &["greet", "name=Ann"]);
    assert_eq!(status, ExitStatus::Failed);
    assert!(
        rest.starts_with("error: the replies differ in `luck`\n"),
        "{rest}"
    );
    let (status, data, rest) = greeter.typed("compare", &["greet", "name=trouble"]);
    assert_eq!(status, ExitStatus::Failed);
    assert!(
        rest.starts_with("error: Greeter: LookupFailed (call.required_failed)"),
        "{rest}"
    );
    assert!(data.starts_with('{'), "{data}");
    greeter.stop();
}

#[test]
fn calls_that_cannot_be_made_say_why() {
    let greeter = Greeter::start(false);
    for (words, status, says) in [
        (
            &["great"][..],
            ExitStatus::Misuse,
            "service `Greeter` has no method `great`\n  help: did you mean `greet`?",
        ),
        (
            &["greet", "nam=Ann"],
            ExitStatus::Misuse,
            "the method has no parameter `nam`\n  help: did you mean `name`?",
        ),
        (
            &["--service", "Greter", "greet"],
            ExitStatus::Misuse,
            "greeter.thrift` has no service `Greter`\n  help: did you mean `Greeter`?",
        ),
        (
            &["--timeout", "soon", "greet"],
            ExitStatus::Misuse,
            "invalid value 'soon' for '--timeout <TIME>'",
        ),
    ] {
        let (have, data, rest) = greeter.typed("call", words);
        assert_eq!((have, data.as_str()), (status, ""));
        assert!(rest.contains(says), "{says}: {rest}");
    }
    let idl = greeter.folder.path().join("greeter.thrift");
    let addr = greeter.running.addr().to_string();
    greeter.running.stop().expect("it stops");
    let (status, _, rest) = typed(&[
        "call",
        "--addr",
        &addr,
        "--idl",
        &idl.to_string_lossy(),
        "greet",
    ]);
    assert_eq!(status, ExitStatus::Failed);
    assert!(
        rest.starts_with(&format!("error: can't connect to `{addr}`: ")),
        "{rest}"
    );
    assert!(rest.contains("is `tributary serve` running?"), "{rest}");
}
