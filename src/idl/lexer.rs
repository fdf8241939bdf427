//! Cuts the text of a `.thrift` file into tokens.
//!
//! In: the text. Out: one [`Token`] at a time, with its position and the doc comment before it.
//! Text that is not a token becomes [`TokenKind::Bad`], and the lexer continues after it, so it always reaches the end.

use super::literal;
use super::syntax::{Span, SyntaxError};

/// What a token is.
#[derive(Debug)]
pub(crate) enum TokenKind<'t> {
    /// A name or a keyword; names may hold dots.
    Word(&'t str),
    /// An integer, decimal or hexadecimal, with its sign.
    Integer(i64),
    /// A number with a fraction or an exponent.
    Double(f64),
    /// The text of a string literal, escapes replaced.
    Text(String),
    /// A punctuation character.
    Sign(char),
    /// Text that is not a token, with the reason.
    Bad(SyntaxError),
    /// The end of the file.
    End,
}

/// A token and its position.
#[derive(Debug)]
pub(crate) struct Token<'t> {
    /// What it is.
    pub(crate) kind: TokenKind<'t>,
    /// Its position.
    pub(crate) span: Span,
    /// The last doc comment before it.
    pub(crate) doc: Option<Span>,
}

/// Reads tokens from the front of a text.
pub(crate) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    /// A lexer at the start of `text`; a byte order mark is skipped.
    pub(crate) fn new(text: &'t str) -> Self {
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Lexer { text, at }
    }

    /// The text that `span` covers.
    pub(crate) fn slice(&self, span: Span) -> &'t str {
        self.text.get(span.range()).unwrap_or_default()
    }

    /// Whether `span` is at the very start of its line.
    pub(crate) fn starts_line(&self, span: Span) -> bool {
        let before = self.text.get(..span.range().start);
        before.is_some_and(|before| before.is_empty() || before.ends_with('\n'))
    }

    /// The next token; [`TokenKind::End`] from the end of the text on.
    pub(crate) fn next(&mut self) -> Token<'t> {
        let (doc, bad) = self.skip_blanks();
        if let Some(error) = bad {
            let span = error.span;
            return Token {
                kind: TokenKind::Bad(error),
                span,
                doc,
            };
        }
        let start = self.at;
        let kind = match self.peek() {
            None => TokenKind::End,
            Some('"' | '\'') => self.string(),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => self.word(),
            Some(c) if self.starts_number(c) => self.number(),
            Some(c) => self.sign(c),
        };
        Token {
            kind,
            span: Span::new(start, self.at),
            doc,
        }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Skips blanks and comments. Returns the last doc comment, and the error of an unclosed comment.
    fn skip_blanks(&mut self) -> (Option<Span>, Option<SyntaxError>) {
        let mut doc = None;
        loop {
            self.at += self.rest().len() - self.rest().trim_ascii_start().len();
            let (start, rest) = (self.at, self.rest());
            if rest.starts_with('#') || rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if let Some(inside) = rest.strip_prefix("/*") {
                let Some(len) = inside.find("*/") else {
                    self.at = self.text.len();
                    let span = Span::new(start, start + 2);
                    return (
                        doc,
                        Some(SyntaxError::new(
                            span,
                            "this comment is not closed",
                            "close it with `*/`",
                        )),
                    );
                };
                self.at += len + 4;
                // `/**/` is an empty comment, not the start of a doc comment.
                if inside.starts_with('*') && len > 0 {
                    doc = Some(Span::new(start, self.at));
                }
            } else {
                return (doc, None);
            }
        }
    }

    /// A name. Dots are allowed only between its parts, as in `shared.Color.RED`.
    fn word(&mut self) -> TokenKind<'t> {
        let bytes = self.rest().as_bytes();
        let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let mut len = 1;
        loop {
            match bytes.get(len) {
                Some(byte) if in_word(byte) => len += 1,
                Some(b'.') if bytes.get(len + 1).is_some_and(in_word) => len += 2,
                _ => break,
            }
        }
        let word = &self.rest()[..len];
        self.at += len;
        TokenKind::Word(word)
    }

    fn starts_number(&self, first: char) -> bool {
        let mut after = self.rest().chars().skip(1);
        match first {
            '0'..='9' => true,
            '.' => after.next().is_some_and(|c| c.is_ascii_digit()),
            '+' | '-' => after.next().is_some_and(|c| c.is_ascii_digit() || c == '.'),
            _ => false,
        }
    }

    fn number(&mut self) -> TokenKind<'t> {
        let start = self.at;
        let len = literal::number_len(self.rest());
        let text = &self.rest()[..len];
        self.at += len;
        match literal::number(text) {
            Ok(literal::Number::Integer(number)) => TokenKind::Integer(number),
            Ok(literal::Number::Double(number)) => TokenKind::Double(number),
            Err((message, help)) => {
                TokenKind::Bad(SyntaxError::new(Span::new(start, self.at), message, help))
            }
        }
    }

    fn string(&mut self) -> TokenKind<'t> {
        let start = self.at;
        match literal::string(self.rest()) {
            Ok((text, len)) => {
                self.at += len;
                TokenKind::Text(text)
            }
            Err(bad) => {
                self.at += bad.len;
                let span = Span::new(start + bad.at, start + bad.len.max(bad.at + 1));
                TokenKind::Bad(SyntaxError::new(span, bad.message, bad.help))
            }
        }
    }

    fn sign(&mut self, c: char) -> TokenKind<'t> {
        let start = self.at;
        self.at += c.len_utf8();
        if "{}()[]<>,;:=&*".contains(c) {
            return TokenKind::Sign(c);
        }
        TokenKind::Bad(SyntaxError::new(
            Span::new(start, self.at),
            format!("`{}` is unexpected here", c.escape_debug()),
            "names are made of ASCII letters, digits and `_`; remove it, or put text in quotes",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let mut lexer = Lexer::new(text);
        let mut found = Vec::new();
        loop {
            let token = lexer.next();
            match token.kind {
                TokenKind::End => break,
                TokenKind::Bad(error) => found.push(format!("bad {}", error.message)),
                tok => found.push(format!("{tok:?}")),
            }
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn names_numbers_and_punctuation() {
        check(
            "a.b1 _c -0x1F +7 .5 -1.5e3 x. ",
            &[
                "Word(\"a.b1\")",
                "Word(\"_c\")",
                "Integer(-31)",
                "Integer(7)",
                "Double(0.5)",
                "Double(-1500.0)",
                "Word(\"x\")",
                "bad `.` is unexpected here",
            ],
        );
    }

    #[test]
    fn comments_count_as_blanks() {
        check(
            "a # b\n// c\n/* d */ e /**/",
            &["Word(\"a\")", "Word(\"e\")"],
        );
        check("a /* b", &["Word(\"a\")", "bad this comment is not closed"]);
    }

    #[test]
    fn the_last_doc_comment_belongs_to_the_next_token() {
        let mut lexer = Lexer::new("/** one */ /** two */ a b");
        let first = lexer.next();
        assert_eq!(lexer.slice(first.doc.unwrap()), "/** two */");
        assert!(lexer.next().doc.is_none());
    }

    #[test]
    fn continues_after_text_that_is_not_a_token() {
        check(
            "\u{feff}a é b",
            &["Word(\"a\")", "bad `é` is unexpected here", "Word(\"b\")"],
        );
    }
}
