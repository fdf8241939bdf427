//! README is short and true: its steps lead to a service that answers, its example is a configuration without problems, and
//! the report of a mistake in it is what `check` prints.

use std::fs;
use std::path::Path;
use std::process::Command;

use tributary::program::{Registry, check};

use crate::support::{PYTHON, Tributary, interpreter, run};

const OWN_SERVICE: &str = "## Your own service in ten minutes\n";
const README: &str = include_str!("../../README.md");

/// The first code block in `language` after `heading`.
fn block(heading: &str, language: &str) -> &'static str {
    let (_, section) = README
        .split_once(heading)
        .unwrap_or_else(|| panic!("README has `{heading}`"));
    let (_, block) = section
        .split_once(&format!("```{language}\n"))
        .expect("a block");
    block.split("```").next().expect("its end")
}

/// What `check` says of README's example, in which `is` stands where `was` did.
fn problems(was: &str, is: &str) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).expect("the folder is ours");
    };
    let config = block(OWN_SERVICE, "toml");
    assert!(config.contains(was), "the example has no `{was}`");
    write("greet.thrift", block(OWN_SERVICE, "thrift"));
    write("tributary.toml", &config.replacen(was, is, 1));
    let path = dir.path().join("tributary.toml");
    let program = check(path.to_str().expect("UTF-8"), &Registry::new());
    let problems = program.err().unwrap_or_default();
    let rendered = problems.iter().map(|problem| problem.render(false));
    let folder = format!("{}/", dir.path().display());
    rendered.map(|text| text.replace(&folder, "")).collect()
}

#[test]
fn the_readme_is_read_in_five_minutes() {
    assert!(README.lines().count() <= 300);
}

#[test]
fn the_example_has_no_problems() {
    assert_eq!(problems("id", "id"), Vec::<String>::new());
}

#[test]
fn a_mistake_is_reported_as_shown() {
    let shown = block("A mistake is reported", "text").trim_end();
    assert_eq!(
        problems("backend = \"people\"", "backend = \"poeple\"").join("\n"),
        shown
    );
}

#[test]
fn every_link_leads_to_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let links = README.split("](").skip(1);
    for link in links.filter_map(|rest| rest.split([')', '#']).next()) {
        assert!(root.join(link).exists(), "README links to {link}");
    }
}

/// A step of README: a file to write, or lines to type.
enum Step {
    File(&'static str, String),
    Shell(String),
}

/// The steps of the section about one's own service, in order.
fn steps() -> Vec<Step> {
    let (_, section) = README.split_once(OWN_SERVICE).expect("the section");
    let (section, _) = section.split_once("\n## ").expect("its end");
    let (section, _) = section.split_once("A mistake is reported").expect("steps");
    let mut steps = Vec::new();
    let mut blocks = section.split("```");
    while let Some(prose) = blocks.next() {
        for block in prose
            .split("\n\n")
            .filter(|block| block.starts_with("    "))
        {
            let lines = block.lines().map(str::trim_start);
            steps.push(Step::Shell(lines.collect::<Vec<_>>().join("\n")));
        }
        if let Some((language, text)) = blocks.next().and_then(|fenced| fenced.split_once('\n')) {
            let name = match language {
                "thrift" => "greet.thrift",
                _ => "tributary.toml",
            };
            steps.push(Step::File(name, text.to_owned()));
        }
    }
    steps
}

/// Runs lines of a shell in `folder`, where `tributary` is the program under test.
fn shell(folder: &Path, lines: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_tributary"));
    let bin = program.parent().expect("it has a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command.args(["-e", "-c", lines]).current_dir(folder);
    command.env("PATH", format!("{}:{path}", bin.display()));
    run(&mut command, "the packages that `tests/run` names")
}

#[test]
fn the_steps_lead_to_a_service_that_python_can_call() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut calls = Vec::new();
    for step in steps() {
        match step {
            Step::File(name, text) => {
                // Another server may have the admin port of the example. Indented, because only `listen` of `[server]`
                // is replaced below.
                let fixed = "listen = \"127.0.0.1:9091\"";
                let text = text.replace(fixed, "  listen = \"127.0.0.1:0\"");
                fs::write(dir.path().join(name), text).expect("the folder is ours");
            }
            Step::Shell(lines) => {
                // The program under test takes the place of the installed one, and serves below.
                let elsewhere = ["cargo install", "tributary serve"];
                let lines = lines.lines();
                let lines = lines.filter(|line| !elsewhere.iter().any(|at| line.starts_with(at)));
                let asks = ["tributary call", "tributary compare"];
                let (to_server, here): (Vec<&str>, Vec<&str>) =
                    lines.partition(|line| asks.iter().any(|ask| line.starts_with(ask)));
                calls.extend(to_server.into_iter().map(str::to_owned));
                shell(dir.path(), &here.join("\n"));
            }
        }
    }
    for made in [
        "compose.yaml",
        "tributary.thrift",
        "gen-py/greet/Greeter.py",
        "people.db",
    ] {
        assert!(dir.path().join(made).exists(), "no {made}");
    }

    let server = Tributary::serve(dir, &[]);
    assert_eq!(calls.len(), 2, "{calls:?}");
    for call in calls {
        let addressed = format!("--addr {} greet", server.addr);
        let said = shell(server.folder(), &call.replacen("greet", &addressed, 1));
        assert!(
            said.contains("Ann") || said.contains("all at once"),
            "{said}"
        );
    }
    let (port, gen_py) = (server.addr.port(), server.folder().join("gen-py"));
    let loaded = format!(
        "import thriftpy2, thriftpy2.rpc\n\
         greet = thriftpy2.load('greet.thrift', module_name='greet_thrift')\n\
         client = thriftpy2.rpc.make_client(greet.Greeter, '127.0.0.1', {port})\n\
         print(client.greet(7, None).person.city)"
    );
    let generated = "from greet.ttypes import Greeting\nfrom greet import Greeter\nprint(Greeter.Client, Greeting())";
    for (program, says) in [(loaded.as_str(), "Oslo"), (generated, "Greeting(")] {
        let mut python = Command::new(interpreter());
        python.args(["-c", program]).env("PYTHONPATH", &gen_py);
        let said = run(python.current_dir(server.folder()), PYTHON);
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn a_project_answers_before_its_samples_are_replaced() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let idl = Path::new(env!("CARGO_MANIFEST_DIR")).join("idl/flights.thrift");
    let call = shell(
        dir.path(),
        &format!(
            "tributary init {} . 2>&1 | grep 'tributary call'; tributary check 2>&1 > /dev/null",
            idl.display()
        ),
    );
    // The call that `init` suggests.
    let server = Tributary::serve(dir, &[]);
    let addressed = format!("tributary call --addr {}", server.addr);
    let said = shell(
        server.folder(),
        &call.replacen("tributary call", &addressed, 1),
    );
    assert!(said.contains("\"name\": \"name\""), "{said}");
}
