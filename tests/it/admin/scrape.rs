//! Parses the text of a scrape, strictly by the rules of `OpenMetrics`.

use std::collections::BTreeMap;

/// Samples by name and labels, and the kinds of metrics by name.
pub(crate) struct Scrape {
    samples: BTreeMap<String, Vec<Sample>>,
    kinds: Vec<(String, String)>,
}

/// Labels with their values, and the number as written.
type Sample = (Vec<(String, String)>, String);

impl Scrape {
    /// Parses the whole text, up to its end mark.
    pub(crate) fn read(text: &str) -> Self {
        let text = text.strip_suffix("# EOF\n").expect("the end mark");
        let mut scrape = Scrape {
            samples: BTreeMap::new(),
            kinds: Vec::new(),
        };
        for line in text.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a name and a kind");
                scrape.kinds.push((name.to_owned(), kind.to_owned()));
            } else if !line.starts_with("# HELP ") {
                scrape.sample(line);
            }
        }
        scrape
    }

    fn sample(&mut self, line: &str) {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let number = value.parse::<f64>();
        assert!(number.is_ok_and(f64::is_finite), "no number: {line}");
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').expect("a brace")),
            None => (series, ""),
        };
        // No name in these tests has a comma or a quote.
        let labels = labels.split(',').filter(|label| !label.is_empty());
        let labels = labels
            .map(|label| {
                let (label, value) = label.split_once('=').expect("a label's value");
                (label.to_owned(), value.trim_matches('"').to_owned())
            })
            .collect();
        self.samples
            .entry(name.to_owned())
            .or_default()
            .push((labels, value.to_owned()));
    }

    /// The sum of all counts called `name` that have these labels.
    #[track_caller]
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> usize {
        let counts = self.having(name, labels).into_iter();
        counts
            .map(|count| count.parse::<usize>().expect("a whole number"))
            .sum()
    }

    /// The number of series called `name` that have these labels.
    pub(crate) fn series(&self, name: &str, labels: &[(&str, &str)]) -> usize {
        let samples = self.samples.get(name);
        samples.map_or(0, |_| self.having(name, labels).len())
    }

    /// The one count called `name` that has these labels. Some are not shown before there is something to count.
    #[track_caller]
    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> usize {
        let plain = name.strip_suffix("_total").unwrap_or(name);
        let is_known = self.kinds.iter().any(|(of, _)| of == plain);
        if is_known && self.series(name, labels) == 0 {
            return 0;
        }
        self.one(name, labels).parse().expect("a whole number")
    }

    /// The counts called `name` that have these labels, each with all its labels.
    #[track_caller]
    pub(crate) fn samples(
        &self,
        name: &str,
        wanted: &[(&str, &str)],
    ) -> Vec<(BTreeMap<String, String>, usize)> {
        let samples = self.samples.get(name).into_iter().flatten();
        let all = samples.map(|(labels, count)| {
            let labels: BTreeMap<String, String> = labels.iter().cloned().collect();
            (labels, count.parse().expect("a whole number"))
        });
        let has = |(labels, _): &(BTreeMap<String, String>, usize)| {
            wanted
                .iter()
                .all(|(name, value)| labels.get(*name).is_some_and(|of| of == value))
        };
        all.filter(has).collect()
    }

    /// The one number called `name` that has these labels.
    #[track_caller]
    pub(crate) fn number(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.one(name, labels).parse().expect("a number")
    }

    #[track_caller]
    fn one(&self, name: &str, labels: &[(&str, &str)]) -> &str {
        match self.having(name, labels)[..] {
            [one] => one,
            ref other => panic!("{name} {labels:?}: {other:?}"),
        }
    }

    #[track_caller]
    fn having(&self, name: &str, wanted: &[(&str, &str)]) -> Vec<&str> {
        let samples = self.samples.get(name);
        let samples = samples.unwrap_or_else(|| panic!("no `{name}`"));
        let has = |labels: &[(String, String)]| {
            let one = |(name, value): &(&str, &str)| {
                labels.iter().any(|(have, of)| have == name && of == value)
            };
            wanted.iter().all(one)
        };
        let found = samples.iter().filter(|(labels, _)| has(labels));
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// The names of all metrics, as queries use them.
    pub(super) fn names(&self) -> Vec<String> {
        let name = |(name, kind): &(String, String)| match kind.as_str() {
            "counter" => format!("{name}_total"),
            _ => name.clone(),
        };
        self.kinds.iter().map(name).collect()
    }
}
