//! The table of all pages, and the index that says what each is about.

/// One page.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The name of the page: its file's name without `.md`.
    pub topic: &'static str,
    /// The page, in Markdown.
    pub text: &'static str,
}

/// A group of pages, as the index has it.
#[derive(Debug)]
pub struct Group {
    /// Its heading.
    pub title: &'static str,
    /// The topic of each page, and what the page is about.
    pub pages: Vec<(&'static str, &'static str)>,
}

/// A line that contains the text searched for.
#[derive(Debug, PartialEq, Eq)]
pub struct Hit {
    /// The page.
    pub topic: &'static str,
    /// The number of the line, counted from 1.
    pub line: usize,
    /// The line.
    pub text: &'static str,
}

/// The page that lists all others.
pub const INDEX: &str = include_str!("README.md");

macro_rules! pages {
    ($($topic:literal)*) => {
        /// Every page, in the order of the index.
        pub const PAGES: &[Page] = &[$(Page {
            topic: $topic,
            text: include_str!(concat!($topic, ".md")),
        }),*];
    };
}

pages! {
    "configuration" "idl" "server" "listeners" "callers" "backends"
    "postgres" "mysql" "sqlite" "redis" "memcached" "http" "file" "thrift"
    "endpoints" "breaker"
    "lookups" "caching" "views" "conversions"
    "command-line" "checking" "fates" "error-codes" "tributary-service" "library"
    "operating" "deploying" "scaling" "watching" "incidents" "admin" "metrics" "tracing" "limits" "hostile-clients" "promises"
    "wire" "clients" "headers"
    "architecture" "adding-a-store" "adding-a-guard" "benchmark" "developing"
}

/// The page called `topic`.
pub fn page(topic: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.topic == topic)
}

/// The groups of the index.
pub fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for line in INDEX.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            let pages = Vec::new();
            groups.push(Group { title, pages });
        } else if let (Some(entry), Some(group)) = (entry(line), groups.last_mut()) {
            group.pages.push(entry);
        }
    }
    groups
}

/// What a line of the index says: `- [topic](topic.md): about`.
fn entry(line: &'static str) -> Option<(&'static str, &'static str)> {
    let (topic, rest) = line.strip_prefix("- [")?.split_once(']')?;
    let (_, about) = rest.split_once("): ")?;
    Some((topic, about))
}

/// The lines that contain `words`, in any case, and whether or not compounds are hyphenated here or there: `time-out` finds
/// `timeout`, and `read only` finds `read-only`.
pub fn search(words: &str) -> Vec<Hit> {
    let words = words.to_lowercase();
    let (spaced, joined) = (words.replace('-', " "), words.replace(['-', ' '], ""));
    let is_hit = |text: &str| {
        let text = text.to_lowercase();
        let whole = text.replace('-', "");
        text.replace('-', " ").contains(&spaced)
            || whole.contains(&words.replace('-', ""))
            || whole.contains(&joined)
    };
    let lines = PAGES.iter().flat_map(|page| {
        let lines = page.text.lines().enumerate();
        lines.map(|(at, text)| Hit {
            topic: page.topic,
            line: at + 1,
            text,
        })
    });
    lines.filter(|hit| is_hit(hit.text)).collect()
}
