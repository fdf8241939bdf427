//! Scans SQL text once, and distinguishes code from quoted text and comments.
//!
//! Simplifying assumptions: identifiers, numbers and operators need not be distinguished; a `:` directly before a
//! letter begins a parameter unless a second `:` is next to it (`::text`); PostgreSQL's array slices with a
//! bare column as upper bound (`a[1:n]`) therefore need a space or brackets: `a[1: n]`.

use std::sync::Arc;

use super::statement::{Mistake, Statement, Style};

/// Finds the parameters of one statement and writes them in `style`.
pub fn scan(sql: &str, style: Style) -> Result<Statement, Vec<Mistake>> {
    let mut scanner = Scanner {
        sql,
        at: 0,
        style,
        text: String::with_capacity(sql.len()),
        params: Vec::new(),
        slots: Vec::new(),
        mistakes: Vec::new(),
        doubts: Vec::new(),
        code: false,
        verb: String::new(),
        ended: false,
    };
    while let Some(next) = scanner.peek() {
        scanner.step(next);
    }
    if !scanner.code && scanner.mistakes.is_empty() {
        scanner.mistake("there is no SQL", "one `select` statement");
    }
    if !scanner.mistakes.is_empty() {
        return Err(scanner.mistakes);
    }
    Ok(Statement {
        text: scanner.text.trim().to_owned(),
        params: scanner.params,
        slots: scanner.slots,
        verb: scanner.verb,
        doubts: scanner.doubts,
    })
}

struct Scanner<'s> {
    sql: &'s str,
    at: usize,
    style: Style,
    text: String,
    params: Vec<Arc<str>>,
    slots: Vec<usize>,
    mistakes: Vec<Mistake>,
    doubts: Vec<Mistake>,
    /// Whether anything but blanks and comments was seen.
    code: bool,
    /// The first word.
    verb: String,
    /// Whether the closing `;` was seen.
    ended: bool,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        &self.sql[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn mistake(&mut self, message: impl Into<String>, help: &str) {
        self.mistakes.push(Mistake::new(message, help));
    }

    /// Copies `len` bytes.
    fn keep(&mut self, len: usize) {
        if !self.ended {
            self.text.push_str(&self.sql[self.at..self.at + len]);
        }
        self.at += len;
    }

    fn step(&mut self, next: char) {
        if let Some(len) = self.comment() {
            return self.keep(len);
        }
        if next.is_whitespace() {
            return self.keep(next.len_utf8());
        }
        if next == ';' {
            self.ended = true;
            self.at += 1;
            return;
        }
        if self.ended {
            self.mistake("more than one statement", "a lookup asks one question");
            self.at = self.sql.len();
            return;
        }
        if !self.code {
            let rest = self.rest();
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            self.verb = rest[..end].to_ascii_lowercase();
        }
        self.code = true;
        match next {
            '\'' | '"' => self.quoted(next, self.style == Style::Question),
            '`' if self.style != Style::Dollar => self.quoted('`', false),
            '[' if self.style == Style::Numbered => self.quoted(']', false),
            '$' if self.style == Style::Dollar => self.dollar(),
            ':' => self.colon(),
            '{' => self.brace(),
            '?' if self.style != Style::Dollar => self.foreign(),
            '@' | '$' if self.style == Style::Numbered => self.foreign(),
            _ if is_word(next) => self.word(),
            _ => self.keep(next.len_utf8()),
        }
    }

    /// The length of the comment that begins here, if one does.
    fn comment(&mut self) -> Option<usize> {
        let rest = self.rest();
        let line = || Some(rest.find('\n').unwrap_or(rest.len()));
        if let Some(after) = rest.strip_prefix("--") {
            // To MySQL `5--1` is a difference; its comments need a blank.
            let blank = after.chars().next().is_none_or(char::is_whitespace);
            return (self.style != Style::Question || blank)
                .then(line)
                .flatten();
        }
        if rest.starts_with('#') && self.style == Style::Question {
            return line();
        }
        if !rest.starts_with("/*") {
            return None;
        }
        let (mut depth, mut at) = (1, 2);
        while depth > 0 && at < rest.len() {
            let here = &rest.as_bytes()[at..];
            if here.starts_with(b"*/") {
                depth -= 1;
                at += 2;
            } else if here.starts_with(b"/*") && self.style == Style::Dollar {
                depth += 1;
                at += 2;
            } else {
                at += 1;
            }
        }
        let len = rest.len().min(at);
        if depth > 0 {
            self.mistake("a comment that never ends", "close it with `*/`");
        }
        Some(len)
    }

    /// Quoted text up to `close`, which is doubled inside it (or escaped, with `backslash`).
    fn quoted(&mut self, close: char, backslash: bool) {
        let bytes = self.rest().as_bytes();
        let mut len = 1;
        let closed = loop {
            match bytes.get(len) {
                None => break false,
                Some(b'\\') if backslash => len += 2,
                Some(&byte) if byte == close as u8 => {
                    let doubled = close != ']' && bytes.get(len + 1) == Some(&byte);
                    len += 1 + usize::from(doubled);
                    if !doubled {
                        break true;
                    }
                }
                Some(_) => len += 1,
            }
        };
        let len = len.min(bytes.len());
        if closed {
            self.check_quoted(1, len - 1);
        } else {
            self.mistake(
                format!("quoted text that never ends: the closing `{close}` is missing"),
                "quotes inside quoted text are doubled",
            );
        }
        self.keep(len);
    }

    /// `$tag$ text $tag$`, or a parameter of the operator's own, which would clash with ours.
    fn dollar(&mut self) {
        let rest = self.rest();
        let after = &rest[1..];
        let tag = after
            .find(|c: char| !is_word(c))
            .filter(|&end| after[end..].starts_with('$'))
            .map(|end| &rest[..end + 2]);
        let Some(tag) = tag else {
            return self.foreign();
        };
        if tag[1..].starts_with(|c: char| c.is_ascii_digit()) {
            return self.foreign();
        }
        let body = tag.len();
        if let Some(len) = rest[body..].find(tag) {
            self.check_quoted(body, body + len);
            self.keep(body + len + body);
        } else {
            let message = format!("quoted text that never ends: the closing `{tag}` is missing");
            self.mistake(message, "close it with the tag that opened it");
            self.at = self.sql.len();
        }
    }

    /// Inside quotes, a parameter's name is text to the store, and its value would never be used. A name at the start or
    /// after a wildcard is a mistake. After a blank it may be meant as text; `'HH24:MI'` and `'{"a":true}'` certainly are.
    fn check_quoted(&mut self, from: usize, to: usize) {
        const HELP: &str = "parameters are bound, never spliced; take it out of the quotes: \
                            `'%' || :name || '%'`";
        let inside = &self.rest()[from..to];
        let names = inside.match_indices(':').filter_map(|(at, _)| {
            let name = name(&inside[at + 1..]);
            (!name.is_empty()).then(|| (inside[..at].chars().next_back(), name))
        });
        let mistaken = |before: &Option<char>| before.is_none_or(|c| c == '%');
        let blank = |before: &Option<char>| before.is_some_and(char::is_whitespace);
        let mut names = names.filter(|(before, _)| mistaken(before) || blank(before));
        // An array of PostgreSQL's is text in braces.
        let may_be_array = self.style == Style::Dollar && inside.starts_with('{');
        let braced = inside.match_indices('{').find_map(|(at, _)| {
            let name = in_braces(&inside[at..])?;
            (!may_be_array).then(|| format!("`{{{name}}}` in quotes is text, not a parameter"))
        });
        let is_mistake = names.clone().any(|(before, _)| mistaken(&before));
        let found = match names.find(|(before, _)| mistaken(before) == is_mistake) {
            Some((_, name)) if is_mistake => {
                let message = format!("the parameter `:{name}` is inside quotes");
                return self.mistake(message, HELP);
            }
            Some((_, name)) => Some(format!("`:{name}` in quotes is text, not a parameter")),
            None => braced,
        };
        self.doubts
            .extend(found.map(|message| Mistake::new(message, HELP)));
    }

    /// `{name}`, as parameters are written everywhere else: no store's SQL has it.
    fn brace(&mut self) {
        match in_braces(self.rest()) {
            Some(name) => {
                let (len, name) = (name.len() + 2, name.to_owned());
                let message = format!("`{{{name}}}` is not a parameter here");
                self.mistake(message, &format!("write `:{name}`"));
                self.at += len;
            }
            None => self.keep(1),
        }
    }

    fn colon(&mut self) {
        let rest = self.rest();
        if rest.starts_with("::") {
            return self.keep(2);
        }
        let name = name(&rest[1..]);
        if name.is_empty() {
            return self.keep(1);
        }
        let (name, len) = (Arc::<str>::from(name), name.len() + 1);
        let known = self.params.iter().position(|have| *have == name);
        let slot = known.unwrap_or(self.params.len());
        if known.is_none() {
            self.params.push(name);
        }
        let spelt = match self.style {
            Style::Question => "?".to_owned(),
            Style::Numbered => format!("?{}", slot + 1),
            Style::Dollar => format!("${}", slot + 1),
        };
        self.text.push_str(&spelt);
        if self.style == Style::Question || !self.slots.contains(&slot) {
            self.slots.push(slot);
        }
        self.at += len;
    }

    /// A parameter as the driver writes it: no value would be bound to it.
    fn foreign(&mut self) {
        let len = 1 + self.rest()[1..]
            .find(|c: char| !is_word(c))
            .unwrap_or(self.rest().len() - 1);
        let found = &self.rest()[..len];
        let message = format!("`{found}` is not a parameter here");
        self.mistake(message, "parameters are written `:name`");
        self.at += len;
    }

    /// A word or number; PostgreSQL's `E'...'` has backslashes.
    fn word(&mut self) {
        let rest = self.rest();
        let len = rest
            .find(|c: char| !is_word(c) && c != '$')
            .unwrap_or(rest.len());
        let escapes = self.style == Style::Dollar
            && rest[..len].eq_ignore_ascii_case("e")
            && rest[len..].starts_with('\'');
        self.keep(len);
        if escapes {
            self.quoted('\'', true);
        }
    }
}

/// The name in braces at the beginning of `text`.
fn in_braces(text: &str) -> Option<&str> {
    let name = name(text.strip_prefix('{')?);
    let closes = text[1 + name.len()..].starts_with('}');
    (closes && !name.is_empty()).then_some(name)
}

/// The parameter name at the beginning of `text`; empty if there is none.
fn name(text: &str) -> &str {
    if !text.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return "";
    }
    let len = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
    &text[..len]
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests;
