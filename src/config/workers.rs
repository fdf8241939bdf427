//! Reads `workers`: how many event loops there are.

use toml::de::DeValue;

use super::section::{Place, Section};

/// The most event loops.
const MAX: usize = 64;

/// The number of event loops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers {
    /// 1 to 64.
    pub count: usize,
    /// The value of the key, if the number is not in the file: `auto` or `env:NAME`.
    pub from: Option<String>,
}

impl Default for Workers {
    fn default() -> Self {
        Workers {
            count: 1,
            from: None,
        }
    }
}

/// Takes `workers`.
pub(super) fn read_workers(section: &mut Section<'_>) -> Workers {
    let is_text = |section: &mut Section<'_>| {
        let place = section.place_of("workers")?;
        let text = section.text_of("workers")?.to_owned();
        Some((text, place))
    };
    let Some((text, place)) = is_text(section) else {
        return Workers {
            count: section.count("workers", 1, MAX.try_into().unwrap_or(i64::MAX)),
            from: None,
        };
    };
    section.take("workers");
    let resolved = section.resolve_secret(text.clone(), &place);
    let count = resolved.and_then(|resolved| number(section, &resolved, &place));
    Workers {
        count: count.unwrap_or(1),
        from: Some(text),
    }
}

/// The number that `text` stands for; reports other text.
fn number(section: &Section<'_>, text: &str, place: &Place) -> Option<usize> {
    if text == "auto" {
        let usable = std::thread::available_parallelism();
        return Some(usable.map_or(1, |usable| usable.get().min(MAX)));
    }
    let count = text.trim().parse().ok();
    let count = count.filter(|count| (1..=MAX).contains(count));
    if count.is_none() {
        let help = format!("1 to {MAX}, or `\"auto\"` for the number of usable CPUs");
        section.bad(
            place,
            format!("`{text}` is not a number of event loops"),
            Some(help),
        );
    }
    count
}

impl Section<'_> {
    /// The value of `key`, if it is text.
    fn text_of(&self, key: &str) -> Option<&str> {
        self.peek(key).and_then(DeValue::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document, whole};

    fn read(line: &str) -> (Workers, Vec<String>) {
        let document = document(line);
        let mut section = whole(&document);
        let workers = read_workers(&mut section);
        section.finish();
        let problems = document.problems.into_vec().into_iter();
        (workers, problems.map(|problem| problem.message).collect())
    }

    #[test]
    fn a_number_or_the_usable_cpus() {
        let usable = std::thread::available_parallelism().expect("the system knows");
        assert_eq!(read(""), (Workers::default(), vec![]));
        assert_eq!(read("workers = 3").0.count, 3);
        let (auto, problems) = read("workers = 'auto'");
        assert_eq!(auto.count, usable.get().min(MAX));
        assert_eq!(auto.from.as_deref(), Some("auto"));
        assert!(problems.is_empty());
    }

    #[test]
    fn a_reference_holds_either() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("workers");
        let of_file = |text: &str| {
            std::fs::write(&path, text).expect("the folder is ours");
            read(&format!("workers = 'file:{}'", path.display()))
        };
        assert_eq!(of_file("5\n").0.count, 5);
        assert_eq!(of_file("auto").1, Vec::<String>::new());
        for wrong in ["0", "65", "many", ""] {
            let message = format!("`{wrong}` is not a number of event loops");
            assert_eq!(of_file(wrong).1, [message]);
        }
        let (_, problems) = read("workers = 'env:NO_SUCH_NUMBER_OF_WORKERS'");
        assert_eq!(
            problems,
            ["the environment variable `NO_SUCH_NUMBER_OF_WORKERS` is not set"]
        );
        assert_eq!(
            read("workers = '3x'").1,
            ["`3x` is not a number of event loops"]
        );
    }
}
