//! The service of `tests/clients/echo`, built with the library: every lookup is a closure.
//!
//! One server listens on a port, on a Unix socket and, with a certificate for `localhost`, with TLS.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;
use tributary::backend::{LookupError, closure::Input};
use tributary::error::Code;
use tributary::server::{Address, Running, Server};
use tributary::value::Value;

use crate::support::Authority;

/// Methods that return their parameter.
const ECHOES: [&str; 21] = [
    "testString",
    "testBool",
    "testByte",
    "testShort",
    "testInt",
    "testLong",
    "testDouble",
    "testBinary",
    "testEnum",
    "testTypedef",
    "testStruct",
    "testNest",
    "testEverything",
    "testTree",
    "testUnion",
    "testList",
    "testBits",
    "testSet",
    "testMap",
    "testStringMap",
    "testListOfMaps",
];

/// Settings for all methods. No call may fail because the machine is slow.
const CONFIG: &str = r#"
[server]
idl = "uuid.thrift"
listen = "127.0.0.1:0"
workers = 2

[[server.listeners]]
listen = "unix://socket"

[[server.listeners]]
listen = "127.0.0.1:0"
tls = { certificate = "server.pem", key = "server.key", versions = ["1.2", "1.3"] }

[views.testVoid.lookups]

[views.testUuid.lookups]
thing = { use = "echo" }

[views.testMapMap.lookups]
maps = { use = "map_map" }

[views.testInsanity.lookups]
insanity = { use = "insanity" }

[views.testMulti.lookups]
text = { use = "echo", with = { thing = "text" } }
tiny = { use = "echo", with = { thing = "tiny" } }
number = { use = "echo", with = { thing = "number" } }
wide = { use = "echo", with = { thing = "wide" } }

[views.testException.lookups]
thrown = { use = "throw", with = { words = "kind" }, required = true }

[views.testMultiException.lookups]
thrown = { use = "throw_several", required = true, emit = false }
text = { use = "echo", with = { thing = "words" } }

[views.testOneway.lookups]
arrive = "arrive"

[views.testArrived.lookups]
arrived = "arrived"
"#;

/// A running server.
pub(super) struct Echo {
    running: Running,
    folder: tempfile::TempDir,
}

impl Echo {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["echo.thrift", "uuid.thrift"] {
            std::fs::copy(idl(name), folder.path().join(name)).expect("the folder is ours");
        }
        let authority = Authority::new();
        authority.issue("localhost").write(folder.path(), "server");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("the folder is ours");
        };
        write("authority.pem", &authority.pem);
        write("tributary.toml", &config());
        let server = with_lookups(Server::new(folder.path().join("tributary.toml")));
        let running = server
            .spawn()
            .unwrap_or_else(|err| panic!("the server does not start: {err}"));
        Echo { running, folder }
    }

    /// Its addresses, in the form that the clients of `tests/clients/echo` accept.
    pub(super) fn place(&self, kind: &str) -> String {
        match (kind, self.running.listeners()) {
            ("tcp", [Address::Tcp(addr), ..]) => format!("tcp:{}", addr.port()),
            ("unix", [_, Address::Unix(path), _]) => format!("unix:{}", path.display()),
            ("tls", [.., Address::Tcp(addr)]) => format!("tls:{}", addr.port()),
            (_, listeners) => panic!("no {kind} among {listeners:?}"),
        }
    }

    /// The certificate of the server's authority.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// The server itself.
    pub(super) fn running(&self) -> &Running {
        &self.running
    }

    pub(super) fn stop(self) {
        self.running.stop().expect("it ends well");
    }
}

/// A file of the IDL.
pub(super) fn idl(name: &str) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    repository.join("tests/clients/echo").join(name)
}

fn config() -> String {
    let echo = |method: &str| {
        format!(
            "[views.{method}]\ndeadline = \"30s\"\nlookups = {{ thing = {{ use = \"echo\", into = \".\", required = true }} }}\n"
        )
    };
    let echoes: Vec<String> = ECHOES.iter().copied().map(echo).collect();
    format!("{CONFIG}\n{}", echoes.join("\n"))
}

fn with_lookups(server: Server) -> Server {
    let arrived: Arc<Mutex<HashSet<String>>> = Arc::default();
    let arriving = Arc::clone(&arrived);
    let token = |input: &Input| input.get("token").as_str().unwrap_or_default().to_owned();
    server
        .lookup("echo", &["thing"], async |input| {
            Ok(input.get("thing").clone())
        })
        .lookup("map_map", &["number"], async |input| Ok(map_map(&input)))
        .lookup("insanity", &["thing"], async |input| Ok(insanity(&input)))
        .lookup("throw", &["kind", "words"], async |input| {
            throw(&input, text(&input, "words"))
        })
        .lookup("throw_several", &["kind"], async |input| {
            let kind = text(&input, "kind");
            throw(&input, format!("This is a {kind}"))
        })
        .lookup("arrive", &["token"], move |input| {
            let arriving = Arc::clone(&arriving);
            async move {
                arriving.lock().await.insert(token(&input));
                Ok(Value::Null)
            }
        })
        .lookup("arrived", &["token"], move |input| {
            let arrived = Arc::clone(&arrived);
            async move { Ok(Value::from(arrived.lock().await.contains(&token(&input)))) }
        })
}

fn text(input: &Input, name: &str) -> String {
    input.get(name).as_str().unwrap_or_default().to_owned()
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let pairs = fields.map(|(name, value)| (Value::from(name), value));
    Value::Map(pairs.into())
}

fn throw(input: &Input, words: String) -> Result<Value, LookupError> {
    match &*text(input, "kind") {
        "sorry" => {
            let value = fields([("number", 1001.into()), ("words", words.into())]);
            Err(LookupError::thrown("Sorry", value))
        }
        "sad" => {
            let leaf = fields([("text", words.into())]);
            let value = fields([("number", 2002.into()), ("leaf", leaf)]);
            Err(LookupError::thrown("Sad", value))
        }
        "broken" => Err(LookupError::new(Code::LookupFailed, "as it was asked to")),
        _ => Ok(Value::from(true)),
    }
}

fn map_map(input: &Input) -> Value {
    let Value::I64(number) = *input.get("number") else {
        return Value::Null;
    };
    let inner = [number, -number].map(|number| (Value::I64(number), Value::I64(number)));
    Value::Map(vec![(Value::I64(number), Value::Map(inner.into()))])
}

fn insanity(input: &Input) -> Value {
    let thing = input.get("thing");
    let by_season = |pairs: Vec<(&str, Value)>| {
        let pairs = pairs
            .into_iter()
            .map(|(season, thing)| (season.into(), thing));
        Value::Map(pairs.collect())
    };
    let both = vec![("SPRING", thing.clone()), ("SUMMER", thing.clone())];
    Value::Map(vec![
        (Value::I64(1), by_season(both)),
        (
            Value::I64(2),
            by_season(vec![("AUTUMN", Value::Map(Vec::new()))]),
        ),
    ])
}
