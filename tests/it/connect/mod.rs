//! `tributary check --connect` against real stores: problems that only a store can detect.

mod postgres;
mod mysql;
mod others;
mod certain; // what fails in every call
mod addresses; // stores that can't be reached

use std::process::Command;

use tempfile::TempDir;

/// How a check ended.
pub(crate) struct Checked {
    pub(crate) code: i32,
    /// Its output, without folders and ports.
    stdout: String,
    stderr: String,
}

/// A folder with a configuration, its IDL and `files`.
pub(crate) fn folder(config: &str, idl: &str, files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in [("tributary.toml", config), ("s.thrift", idl)]
        .iter()
        .chain(files)
    {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    }
    folder
}

/// A service over one database `db` of this kind; `rest` are its lookups and views.
pub(crate) fn over(kind: &str, url: &str, rest: &str) -> String {
    format!(
        r#"
[server]
idl = "s.thrift"

[backends.db]
kind = "{kind}"
url = "{url}"
{rest}"#
    )
}

/// The output for a configuration, a line for each problem.
pub(crate) fn problems_of(config: &str, idl: &str, port: u16) -> String {
    let checked = check(&folder(config, idl, &[]), port, &["--format", "json"]);
    checked.lines()
}

/// Checks the configuration in `folder`; `port` is removed from the output.
pub(crate) fn check(folder: &TempDir, port: u16, args: &[&str]) -> Checked {
    let output = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args(["check", "--connect", "-c", "tributary.toml"])
        .args(args)
        .current_dir(folder.path())
        .output()
        .expect("the program itself");
    let path = folder.path().canonicalize().expect("it is there");
    let path = format!("{}/", path.display());
    let text = |bytes: &[u8]| {
        let text = without_ports(&String::from_utf8_lossy(bytes)).replace(&path, "");
        if port == 0 {
            text
        } else {
            text.replace(&port.to_string(), "PORT")
        }
    };
    Checked {
        code: output.status.code().expect("it ends by itself"),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// `text` with `PORT` for each port of this machine.
fn without_ports(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        out.push_str("127.0.0.1:");
        out.push_str(if rest.len() < part.len() { "PORT" } else { "" });
        out.push_str(rest);
    }
    out
}

impl Checked {
    /// The output of `--format json`: one line for each problem and warning, then the exit code.
    pub(crate) fn lines(&self) -> String {
        let all: Vec<serde_json::Value> = serde_json::from_str(&self.stdout).expect("JSON");
        let line = |found: &serde_json::Value| {
            let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
            assert_eq!(text("file"), "tributary.toml");
            let help = text("help");
            let help = if help.is_empty() {
                help
            } else {
                format!("\n    ({help})")
            };
            format!(
                "{} {} {} {}\n  {}{help}\n",
                found["line"],
                text("level"),
                text("code"),
                text("key"),
                text("message")
            )
        };
        let lines: String = all.iter().map(line).collect();
        format!("{lines}exit {}", self.code)
    }
}
