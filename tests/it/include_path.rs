//! `-I` and `server.idl_path`: every command that reads an IDL finds its includes.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::Tributary;

const IDL: &str =
    "include 'shared.thrift' service S { shared.City find(1: string code) void other() }";
const SHARED: &str = "struct City { 1: string name }";
const CONFIG: &str = r#"[server]
idl = "s.thrift"
unserved = "*"

[backends.cities]
kind = "file"
path = "cities.csv"

[lookups.city]
backend = "cities"
where = { code = "{code}" }
rows = "one"

[views.find.lookups]
city = { use = "city", into = "." }
"#;

fn folder(config: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir_all(folder.path().join("lib/inner")).expect("the folder is ours");
    for (name, text) in [
        ("s.thrift", IDL),
        ("lib/inner/shared.thrift", SHARED),
        ("cities.csv", "code,name\nOSL,Oslo\n"),
        ("tributary.toml", config),
    ] {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    }
    folder
}

fn tributary(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.args(words).current_dir(folder);
    command.output().expect("the program runs")
}

#[track_caller]
fn ends(folder: &Path, words: &[&str], status: i32) -> (String, String) {
    let output = tributary(folder, words);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{words:?}: {error}");
    (text(&output.stdout), error)
}

#[test]
fn the_command_line_adds_folders() {
    let folder = folder(CONFIG);
    let (_, missing) = ends(folder.path(), &["check", "-I", "lib"], 2);
    assert!(
        missing.contains("manual: tributary manual idl"),
        "{missing}"
    );
    assert!(
        missing.contains("looked for `shared.thrift`, `lib/shared.thrift`;"),
        "{missing}"
    );
    let (checked, _) = ends(folder.path(), &["check", "-I", "lib", "-I", "lib/inner"], 0);
    assert_eq!(
        checked,
        "find: 1 lookup in 1 stage, deadline 1s\nunserved: other\n"
    );
    ends(folder.path(), &["explain", "--include", "lib/inner"], 0);
    let (_, wrong) = ends(folder.path(), &["check", "-I", "lbi"], 2);
    assert!(wrong.contains("there is no such folder"), "{wrong}");
    let (_, wrong) = ends(folder.path(), &["call", "-I", "lib", "find"], 2);
    assert!(
        wrong.contains("`-I` is for an IDL of this machine"),
        "{wrong}"
    );
}

#[test]
fn the_configuration_names_folders_beside_it() {
    let config = CONFIG.replace("unserved", "idl_path = [\"lib/inner\"]\nunserved");
    let folder = folder(&config);
    // Another current folder: the path is relative to the configuration.
    let path = folder.path().join("tributary.toml");
    ends(Path::new("/"), &["check", "-c", &path.to_string_lossy()], 0);
    let server = Tributary::serve(folder, &[]);
    let addr = server.addr.to_string();
    let at = server.folder();
    let called = |words: &[&str]| {
        let base = ["call", "--addr", &addr];
        let (reply, _) = ends(at, &[&base[..], words, &["find", "code=OSL"]].concat(), 0);
        assert_eq!(
            reply.split_whitespace().collect::<String>(),
            "{\"name\":\"Oslo\"}",
            "{words:?}"
        );
    };
    called(&["-c", "tributary.toml"]);
    called(&["--idl", "s.thrift", "-I", "lib/inner"]);
    // The server sends the include too.
    called(&[]);
    // A method that is not served.
    let (_, refused) = ends(at, &["call", "--addr", &addr, "other"], 1);
    assert!(refused.contains("call.unknown_method"), "{refused}");
    server.stop("TERM");
}

#[test]
fn the_idl_of_a_store_is_found_by_the_same_path() {
    let config = CONFIG.replace("unserved", "idl_path = [\"lib/inner\"]\nunserved");
    let store = "\n[backends.others]\nkind = \"thrift\"\nurl = \"thrift://127.0.0.1:1\"\nidl = \"s.thrift\"\n";
    let folder = folder(&format!("{config}{store}"));
    ends(folder.path(), &["check"], 0);
}
