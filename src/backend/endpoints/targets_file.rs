//! Reads a file that lists servers, in the form that Prometheus calls `file_sd`: a list of groups with `targets` and `labels`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::target::Target;

/// A larger file is no list of servers.
const BYTES_MAX: u64 = 4 << 20;
/// No more servers are taken from one source.
pub(super) const TARGETS_MAX: usize = 4096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    targets: Vec<String>,
    /// They are for whoever wrote them.
    #[serde(default, rename = "labels")]
    _labels: Option<IgnoredAny>,
}

/// The content of a list, or of another small file. To be called on a thread that may wait.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|err| err.to_string())?;
    let metadata = file.metadata().map_err(|err| err.to_string())?;
    // Reading a device might never end.
    if !metadata.is_file() {
        return Err("it is not a file".into());
    }
    let mut bytes = Vec::new();
    let mut limited = file.take(BYTES_MAX + 1);
    limited
        .read_to_end(&mut bytes)
        .map_err(|err| err.to_string())?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(format!("it is larger than {BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

/// What is wrong with a list, if anything is.
pub(super) fn look_at(path: &Path) -> Result<(), String> {
    let targets = parse(&read(path)?)?;
    if targets.is_empty() {
        return Err("it names no endpoint".into());
    }
    Ok(())
}

/// The servers of a file.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Target>, String> {
    let groups: Vec<Group> = serde_json::from_slice(text)
        .map_err(|err| format!("not a list of groups of targets: {err}"))?;
    let mut targets = Vec::new();
    for text in groups.into_iter().flat_map(|group| group.targets) {
        let target = Target::parse(&text);
        targets.push(target.ok_or_else(|| format!("`{text}` is not a host and a port"))?);
    }
    if targets.len() > TARGETS_MAX {
        return Err(format!("it lists more than {TARGETS_MAX} targets"));
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<Vec<String>, String> {
        let targets = parse(text.as_bytes())?;
        Ok(targets.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn groups_are_put_together_and_labels_are_ignored() {
        let text = r#"[
            {"targets": ["10.0.0.1:9090", "[::1]:9091"], "labels": {"zone": "a"}},
            {"targets": ["users.internal:9092"]},
            {"targets": []}
        ]"#;
        let found = shown(text).expect("it is valid");
        assert_eq!(
            found,
            ["10.0.0.1:9090", "[::1]:9091", "users.internal:9092"]
        );
        assert_eq!(shown("[]"), Ok(vec![]));
    }

    #[test]
    fn anything_else_is_refused_as_a_whole() {
        for text in [
            "",
            "{}",
            "[\"10.0.0.1:9090\"]",
            r#"[{"target": ["10.0.0.1:9090"]}]"#,
            r#"[{"targets": ["10.0.0.1:9090", "10.0.0.2"]}]"#,
            r#"[{"targets": ["http://10.0.0.1:9090"]}]"#,
            r#"[{"targets": ["10.0.0.1:0"]}]"#,
            r#"[{"targets": ["10.0.0.1:9090"]}"#,
        ] {
            assert!(shown(text).is_err(), "{text}");
        }
    }
}
