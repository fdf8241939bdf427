//! `docker/tributary.toml`, the configuration with every key: it is valid, and the defaults in it are correct.

use std::fs;
use std::path::Path;

use tributary::program::{Program, check};

/// The IDL of the service that the sample queries.
const CREWS: &str = "
exception NotFound { 1: string message }
service Crews { list<string> getCrew(1: i32 flight) throws (1: NotFound missing) }";

/// Checks the sample as it is, and with every commented-out key enabled.
#[test]
fn the_sample_is_valid_with_and_without_its_optional_keys() {
    let text = sample();
    let plain = program(&text);
    assert_eq!(plain.plans.len(), 2);
    // The commented-out keys serve one of the unserved methods.
    let full = uncommented(&text).replace(r#"["getDeparture", "getBoard"]"#, r#"["getBoard"]"#);
    let full = program(&full);
    assert_eq!(full.plans.len(), 3);
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

/// Every key that README's tables list stands in the sample.
#[test]
fn the_sample_has_every_key_of_the_readme() {
    let readme = fs::read_to_string(repository().join("README.md")).expect("README");
    let (_, configuration) = readme
        .split_once("\n## Configuration\n")
        .expect("its section");
    let (configuration, _) = configuration
        .split_once("\n### From stored values")
        .expect("its end");
    let text = uncommented(&sample());
    let missing: Vec<&str> = configuration
        .lines()
        .filter(|line| line.starts_with("| "))
        // The key is the first cell that is a single word in backticks: `| key | ..` or `| kind | key | ..`.
        .filter_map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let key =
                |cell: &&str| cell.starts_with('`') && cell.ends_with('`') && !cell.contains(' ');
            let kinds = [
                "`sqlite`",
                "`file`",
                "`redis`",
                "`memcached`",
                "`postgres`",
                "`mysql`",
                "`http`",
                "`thrift`",
            ];
            cells
                .into_iter()
                .take(3)
                .filter(key)
                .find(|cell| !kinds.contains(cell))
        })
        .map(|cell| cell.trim_matches('`'))
        .filter(|key| !text.contains(&format!("{key} = ")))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
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
