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
        code: false,
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
    /// Whether anything but blanks and comments was seen.
    code: bool,
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
        self.code = true;
        match next {
            '\'' | '"' => self.quoted(next, self.style == Style::Question),
            '`' if self.style != Style::Dollar => self.quoted('`', false),
            '[' if self.style == Style::Numbered => self.quoted(']', false),
            '$' if self.style == Style::Dollar => self.dollar(),
            ':' => self.colon(),
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

    /// Inside quotes, a parameter's name is text to the store, and its value would never be used. Only a name at the start,
    /// after a blank or after a wildcard looks intended; `'HH24:MI'` and `'{"a":true}'` do not.
    fn check_quoted(&mut self, from: usize, to: usize) {
        let inside = &self.rest()[from..to];
        let meant = inside.match_indices(':').find_map(|(at, _)| {
            let before = inside[..at].chars().next_back();
            let name = name(&inside[at + 1..]);
            let alone = before.is_none_or(|c| c.is_whitespace() || c == '%');
            (alone && !name.is_empty()).then_some(name)
        });
        if let Some(name) = meant {
            let message = format!("the parameter `:{name}` is inside quotes");
            let help = "parameters are bound, never spliced; take it out of the quotes: \
                        `'%' || :name || '%'`";
            self.mistake(message, help);
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
