//! Parses one `.thrift` file: recursive descent over the grammar of Apache's compiler.
//!
//! In: the text. Out: a [`Document`] and all syntax errors; after each error, parsing continues at the next definition.
//! Nesting is limited, so hostile text cannot overflow the stack.

mod definition;
mod value;

use super::lexer::{Lexer, Token, TokenKind};
use super::literal;
use super::syntax::{Document, NESTING_MAX, Name, Span, SyntaxError};
use crate::diagnostic::{did_you_mean, list};

/// After this many errors, the rest of a file is not parsed.
const ERRORS_MAX: usize = 50;

/// Words that start a definition; parsing continues at one after an error.
const STARTERS: [&str; 7] = [
    "const",
    "typedef",
    "enum",
    "struct",
    "union",
    "exception",
    "service",
];

/// Words that start a line of the header.
const HEADERS: [&str; 3] = ["namespace", "include", "cpp_include"];

/// Other words that are never names, as in Apache's compiler. Words that the compiler reserves only for one target
/// language are allowed as names, because no code is generated.
const RESERVED: [&str; 19] = [
    "extends", "throws", "required", "optional", "oneway", "void", "list", "set", "map", "bool",
    "byte", "i8", "i16", "i32", "i64", "double", "string", "binary", "cpp_type",
];

type Parsed<T> = Result<T, SyntaxError>;

/// Parses `text`.
pub(crate) fn parse(text: &str) -> (Document, Vec<SyntaxError>) {
    let mut parser = Parser::new(text);
    let mut document = Document::default();
    let mut errors = Vec::new();
    while !matches!(parser.token.kind, TokenKind::End) && errors.len() < ERRORS_MAX {
        if let Err(error) = parser.item(&mut document) {
            errors.push(error);
            parser.recover();
        }
    }
    (document, errors)
}

/// The current token, and the lexer for the next ones.
struct Parser<'t> {
    lexer: Lexer<'t>,
    token: Token<'t>,
    /// The end of the last container type.
    closed: Span,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        let mut lexer = Lexer::new(text);
        let token = lexer.next();
        Parser {
            lexer,
            token,
            closed: Span::default(),
            depth: 0,
        }
    }

    /// Parses a header line or a definition.
    fn item(&mut self, document: &mut Document) -> Parsed<()> {
        let doc = self.doc();
        let TokenKind::Word(word) = self.token.kind else {
            return Err(self.unexpected("a definition"));
        };
        if HEADERS.contains(&word) {
            if !document.definitions.is_empty() {
                let help = format!("move `{word}` above the first definition");
                let message = format!("`{word}` comes after a definition");
                let error = SyntaxError::new(self.token.span, message, help);
                self.advance();
                return Err(error);
            }
            return self.header(word, document);
        }
        if !STARTERS.contains(&word) {
            return Err(self.no_definition(word));
        }
        let definition = self.definition(word, doc)?;
        document.definitions.push(definition);
        Ok(())
    }

    fn header(&mut self, word: &str, document: &mut Document) -> Parsed<()> {
        self.advance();
        match word {
            "include" => {
                let (text, span) = self.text("the path of a `.thrift` file in quotes")?;
                document.includes.push(Name {
                    text: text.into(),
                    span,
                });
            }
            "cpp_include" => {
                self.text("a path in quotes")?;
            }
            _ => {
                if !self.eat('*') {
                    self.word("a language, such as `py`, or `*`")?;
                }
                // Some languages write their namespaces in quotes.
                if matches!(self.token.kind, TokenKind::Text(_)) {
                    self.advance();
                } else {
                    self.word("a namespace")?;
                }
                self.annotations()?;
            }
        }
        self.separator();
        Ok(())
    }

    /// The error for a word that starts nothing.
    fn no_definition(&self, word: &str) -> SyntaxError {
        let known = || STARTERS.into_iter().chain(HEADERS);
        let help = match (word, did_you_mean(word, known())) {
            ("senum", _) => "use `enum`, or a typedef of `string`".to_owned(),
            (_, Some(help)) => help,
            (_, None) => format!("expected one of {}", list(known())),
        };
        let message = format!("`{word}` does not start a definition");
        SyntaxError::new(self.token.span, message, help)
    }

    /// Skips to where a definition may start: at a word that starts one, or at any word at the start of a line after
    /// a `}`, so that a misspelt word is not skipped.
    fn recover(&mut self) {
        self.depth = 0;
        let mut closed = false;
        loop {
            match self.token.kind {
                TokenKind::End => return,
                TokenKind::Word(word) if STARTERS.contains(&word) || HEADERS.contains(&word) => {
                    return;
                }
                TokenKind::Word(_) if closed && self.lexer.starts_line(self.token.span) => return,
                _ => {
                    closed = self.at('}');
                    self.advance();
                }
            }
        }
    }

    fn advance(&mut self) {
        self.token = self.lexer.next();
    }

    /// The doc comment before the current token.
    fn doc(&self) -> Option<String> {
        literal::doc(self.lexer.slice(self.token.doc?))
    }

    /// The error if `expected` should be here.
    fn unexpected(&mut self, expected: &str) -> SyntaxError {
        let found = match &mut self.token.kind {
            TokenKind::Bad(error) => {
                let again = SyntaxError::new(error.span, "", "");
                return std::mem::replace(error, again);
            }
            TokenKind::End => "the end of the file".to_owned(),
            _ => {
                let text = self.lexer.slice(self.token.span);
                let short: String = text.chars().take(40).collect();
                format!("`{short}`")
            }
        };
        let help = format!("{expected} belongs here");
        SyntaxError::new(
            self.token.span,
            format!("expected {expected}, found {found}"),
            help,
        )
    }

    fn at(&self, sign: char) -> bool {
        matches!(self.token.kind, TokenKind::Sign(have) if have == sign)
    }

    fn eat(&mut self, sign: char) -> bool {
        let there = self.at(sign);
        if there {
            self.advance();
        }
        there
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let there = matches!(self.token.kind, TokenKind::Word(have) if have == word);
        if there {
            self.advance();
        }
        there
    }

    fn expect(&mut self, sign: char) -> Parsed<Span> {
        let span = self.token.span;
        if self.eat(sign) {
            Ok(span)
        } else {
            Err(self.unexpected(&format!("`{sign}`")))
        }
    }

    /// Skips an optional `,` or `;`.
    fn separator(&mut self) {
        let _ = self.eat(',') || self.eat(';');
    }

    /// Any word, keywords included.
    fn word(&mut self, expected: &str) -> Parsed<(&'t str, Span)> {
        let TokenKind::Word(word) = self.token.kind else {
            return Err(self.unexpected(expected));
        };
        let span = self.token.span;
        self.advance();
        Ok((word, span))
    }

    /// A reference to a name: dots are allowed, keywords are not.
    fn reference(&mut self, expected: &str) -> Parsed<Name> {
        if let TokenKind::Word(word) = self.token.kind
            && (STARTERS.contains(&word) || HEADERS.contains(&word) || RESERVED.contains(&word))
        {
            let message = format!("expected {expected}, found the reserved word `{word}`");
            let help = format!("`{word}` cannot be a name; `{word}_` can");
            return Err(SyntaxError::new(self.token.span, message, help));
        }
        let (word, span) = self.word(expected)?;
        Ok(Name {
            text: word.into(),
            span,
        })
    }

    /// A name that is being declared.
    fn name(&mut self, expected: &str) -> Parsed<Name> {
        let name = self.reference(expected)?;
        if name.text.contains('.') {
            let help = format!("write `{}`", name.text.replace('.', "_"));
            let message = format!("the name `{}` has a dot", name.text);
            return Err(SyntaxError::new(name.span, message, help));
        }
        Ok(name)
    }

    fn text(&mut self, expected: &str) -> Parsed<(String, Span)> {
        let span = self.token.span;
        let TokenKind::Text(text) = &mut self.token.kind else {
            return Err(self.unexpected(expected));
        };
        let text = std::mem::take(text);
        self.advance();
        Ok((text, span))
    }

    /// Runs `parse` one level deeper.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= NESTING_MAX {
            let message = format!("nested deeper than {NESTING_MAX} levels");
            return Err(SyntaxError::new(
                self.token.span,
                message,
                "give the inner part its own name",
            ));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }
}
