//! Suggests a name when an unknown one was written: "did you mean".

/// The name in `known` that `name` is most likely a misspelling of, if one is close enough.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let limit = (name.chars().count() / 3).max(1) + 1;
    known
        .into_iter()
        .map(|candidate| {
            let distance = strsim::osa_distance(&name, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ``did you mean `timeout`?``, if a known name is close enough to `name`.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean `{near}`?"))
}

/// The nearest name, or all of them; `none` says what to do if there are none.
pub fn suggest<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    none: impl FnOnce() -> String,
) -> String {
    did_you_mean(name, known.clone()).unwrap_or_else(|| {
        if known.clone().next().is_none() {
            none()
        } else {
            format!("available: {}", list(known))
        }
    })
}

/// The names in backticks, separated by commas.
pub fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_misspellings_have_a_nearest_name() {
        let known = ["timeout", "backend", "rows"];
        assert_eq!(nearest("timeuot", known), Some("timeout"));
        assert_eq!(nearest("TIMEOUT", known), Some("timeout"));
        assert_eq!(nearest("row", known), Some("rows"));
        assert_eq!(nearest("elephant", known), None);
    }

    #[test]
    fn a_suggestion_is_the_nearest_name_or_all_names() {
        let of = |name, known: &[&'static str]| {
            suggest(name, known.iter().copied(), || "add one".to_owned())
        };
        assert_eq!(of("row", &["rows", "keys"]), "did you mean `rows`?");
        assert_eq!(
            of("elephant", &["rows", "keys"]),
            "available: `rows`, `keys`"
        );
        assert_eq!(of("row", &[]), "add one");
    }
}
