//! `docker/tributary.toml`, the configuration with every key: it is valid, and the defaults in it are correct.

use std::fs;
use std::path::Path;

use tributary::backend::KINDS;
use tributary::program::{Program, check};

use crate::manual::rows;

/// The IDL of the service that the sample queries.
const CREWS: &str = "
exception NotFound { 1: string message }
service Crews { list<string> getCrew(1: i32 flight) throws (1: NotFound missing) }";

/// Checks the sample as it is, and with every commented-out key enabled.
#[test]
fn the_sample_is_valid_with_and_without_its_optional_keys() {
    let text = sample();
    let plain = program(&text);
    assert_eq!(plain.plans().count(), 2);
    // The commented-out keys serve one of the unserved methods.
    let full = uncommented(&text).replace(r#"["getDeparture", "getBoard"]"#, r#"["getBoard"]"#);
    let full = program(&full);
    assert_eq!(full.plans().count(), 3);
    let shown = |program: &Program| {
        let backend = &program.backends[0];
        format!(
            "{:?} {} {:?} {} {}",
            program.limits,
            program.workers,
            program.drain_timeout,
            backend.in_flight_max,
            backend.waiting_max
        )
    };
    assert_eq!(
        shown(&full),
        shown(&plain),
        "the sample shows defaults that are not"
    );
}

/// Every key that the manual's tables list stands in the sample.
#[test]
fn the_sample_has_every_key_of_the_manual() {
    let sections = [
        "server",
        "listeners",
        "admin",
        "tracing",
        "watching",
        "callers",
        "backends",
        "breaker",
        "endpoints",
        "lookups",
        "views",
    ];
    let text = uncommented(&sample());
    for topic in sections.iter().chain(KINDS) {
        for row in rows(topic, "| key | default |") {
            // A cell may have several keys, or none: `the command`.
            for key in row[0].split('`').skip(1).step_by(2) {
                assert!(text.contains(&format!("{key} = ")), "`{key}` of {topic}");
            }
        }
    }
}

fn sample() -> String {
    fs::read_to_string(repository().join("docker/tributary.toml")).expect("the sample")
}

/// The sample with every line uncommented that starts with `#` and no blank.
fn uncommented(text: &str) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => key,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Checks it in a folder with the files that the image provides.
fn program(text: &str) -> Program {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in [
        "idl/flights.thrift",
        "idl/tributary.thrift",
        "docker/demo/airports.csv",
    ] {
        let name = Path::new(file).file_name().expect("a file's name");
        fs::copy(repository().join(file), folder.path().join(name))
            .expect("it is in the repository");
    }
    fs::write(folder.path().join("crews.thrift"), CREWS).expect("the folder is ours");
    let path = folder.path().join("tributary.toml");
    fs::write(&path, text).expect("the folder is ours");
    check(&path.display().to_string(), &Vec::new()).unwrap_or_else(|problems| {
        let texts: Vec<String> = problems
            .iter()
            .map(|problem| problem.render(false))
            .collect();
        panic!("{}", texts.join("\n\n"))
    })
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
