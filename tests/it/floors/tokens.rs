//! Splits Rust source into words and punctuation, with their lines.
//!
//! Comments and literals are left out, and so is everything under `#[cfg(test)]` or a `cfg` of fuzzing.

use std::iter::Peekable;
use std::str::Chars;

/// A word, `::` or a single character of punctuation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) text: String,
    /// Counted from 1.
    pub(super) line: usize,
}

/// The tokens of `source`, and the modules that it declares for tests only.
pub(super) fn tokens(source: &str) -> (Vec<Token>, Vec<String>) {
    let mut lexer = Lexer {
        rest: source.chars().peekable(),
        line: 1,
        tokens: Vec::new(),
    };
    while lexer.next() {}
    without_tests(&lexer.tokens)
}

struct Lexer<'s> {
    rest: Peekable<Chars<'s>>,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn bump(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn push(&mut self, text: impl Into<String>) {
        let (text, line) = (text.into(), self.line);
        self.tokens.push(Token { text, line });
    }

    fn next(&mut self) -> bool {
        let Some(first) = self.bump() else {
            return false;
        };
        match (first, self.peek()) {
            ('/', Some('/')) => while self.bump().is_some_and(|c| c != '\n') {},
            ('/', Some('*')) => self.block_comment(),
            ('"', _) => self.string(),
            ('\'', Some(second)) => self.quote(second),
            (':', Some(':')) => {
                self.bump();
                self.push("::");
            }
            (c, _) if c.is_alphanumeric() || c == '_' => self.word(c),
            (c, _) if c.is_whitespace() => {}
            (c, _) => self.push(c),
        }
        true
    }

    fn block_comment(&mut self) {
        let mut last = self.bump();
        while let Some(c) = self.bump() {
            if (last, c) == (Some('*'), '/') {
                return;
            }
            last = Some(c);
        }
    }

    fn string(&mut self) {
        while let Some(c) = self.bump() {
            match c {
                '\\' => drop(self.bump()),
                '"' => return,
                _ => {}
            }
        }
    }

    fn raw_string(&mut self, hashes: usize) {
        let end = format!("\"{}", "#".repeat(hashes));
        let mut text = String::new();
        while let Some(c) = self.bump() {
            text.push(c);
            if text.ends_with(&end) {
                return;
            }
        }
    }

    /// A character literal or a lifetime.
    fn quote(&mut self, second: char) {
        let third = self.rest.clone().nth(1);
        if second == '\\' {
            self.bump();
            self.bump();
            while self.bump().is_some_and(|c| c != '\'') {}
        } else if third == Some('\'') {
            self.bump();
            self.bump();
        }
    }

    fn word(&mut self, first: char) {
        let mut word = String::from(first);
        while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || *c == '_') {
            word.push(c);
            self.bump();
        }
        let is_prefix = ["r", "b", "br", "c", "cr"].contains(&&*word);
        let ahead = self.rest.clone();
        let hashes = ahead.clone().take_while(|c| *c == '#').count();
        if is_prefix && ahead.clone().nth(hashes) == Some('"') {
            for _ in 0..=hashes {
                self.bump();
            }
            if word.contains('r') {
                self.raw_string(hashes);
            } else {
                self.string();
            }
        } else {
            self.push(word);
        }
    }
}

/// Removes every item that has an attribute of tests or fuzzing.
fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let text = |at: usize| tokens.get(at).map_or("", |token| &*token.text);
    let (mut kept, mut modules) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        if (text(at), text(at + 1)) != ("#", "[") {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let end = group_end(tokens, at + 1);
        let attribute = &tokens[at + 2..end];
        let has = |word: &str| attribute.iter().any(|token| token.text == word);
        at = end + 1;
        if has("cfg") && !has("not") && (has("test") || has("fuzzing")) {
            let item = at;
            at = item_end(tokens, item);
            let words: Vec<&str> = tokens[item..at].iter().map(|token| &*token.text).collect();
            if let Some(module) = words.windows(3).find(|three| three[0] == "mod") {
                modules.push(module[1].to_owned());
            }
        }
    }
    (kept, modules)
}

/// The index of the bracket that closes the one at `open`.
fn group_end(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match &*token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len().saturating_sub(1)
}

/// The index after the item at `start`: after its `;`, or after its braces.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    let mut is_use = false;
    while let Some(token) = tokens.get(at) {
        match &*token.text {
            ";" => return at + 1,
            "use" => is_use = true,
            "(" | "[" => at = group_end(tokens, at),
            "{" if is_use => at = group_end(tokens, at),
            "{" => return group_end(tokens, at) + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

#[test]
fn comments_literals_and_tests_are_skipped() {
    let source = r##"
        //! crate::a
        use crate::b; // crate::c
        /* crate::d */ const E: &str = "crate::e\"" ; const F: &[u8] = br#"crate"f"#;
        fn g<'a>(c: char) -> bool { c == 'x' || c == '\'' }
        #[cfg(test)] pub(crate) mod testing;
        #[cfg(any(test, fuzzing))] use crate::{h, i};
        #[cfg(not(test))] use crate::j;
        #[cfg(test)]
        mod tests { fn k() { crate::k() } }
        use l;
    "##;
    let (tokens, modules) = tokens(source);
    let texts: Vec<&str> = tokens.iter().map(|token| &*token.text).collect();
    assert!(texts.starts_with(&["use", "crate", "::", "b", ";", "const", "E"]));
    assert!(texts.ends_with(&["use", "crate", "::", "j", ";", "use", "l", ";"]));
    let line = tokens.iter().find(|token| token.text == "g");
    assert_eq!(line.map(|token| token.line), Some(5));
    assert_eq!(modules, ["testing", "tests"]);
}
