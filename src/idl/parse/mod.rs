//! Parses one `.thrift` file: recursive descent over the grammar of Apache's compiler.
//!
//! In: the text. Out: a [`Program`] and every place that does not parse: after each, parsing goes on at the
//! next definition. Nesting is counted, so hostile text can't use up the stack.

mod definition;
mod value;

use super::lexer::{Lexer, Tok, Token};
use super::literal;
use super::syntax::{Fault, NESTING_MAX, Name, Program, Span};
use crate::diagnostic::{did_you_mean, list};

/// After this many places that do not parse, the rest of a file tells nothing new.
const FAULTS_MAX: usize = 50;

/// Words that start a definition: where parsing goes on after a fault.
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

/// Further words that are never names, as in Apache's compiler. Its many words reserved for the sake of one
/// target language or another are names here: nothing is generated.
const RESERVED: [&str; 19] = [
    "extends", "throws", "required", "optional", "oneway", "void", "list", "set", "map", "bool",
    "byte", "i8", "i16", "i32", "i64", "double", "string", "binary", "cpp_type",
];

type Parsed<T> = Result<T, Fault>;

/// Parses `text`.
pub(crate) fn parse(text: &str) -> (Program, Vec<Fault>) {
    let mut parser = Parser::new(text);
    let mut program = Program::default();
    let mut faults = Vec::new();
    while !matches!(parser.token.tok, Tok::End) && faults.len() < FAULTS_MAX {
        if let Err(fault) = parser.item(&mut program) {
            faults.push(fault);
            parser.recover();
        }
    }
    (program, faults)
}

/// The token at hand and what is needed to get the next.
struct Parser<'t> {
    lexer: Lexer<'t>,
    token: Token<'t>,
    /// Where the last container type ended.
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

    /// A line of the header or a definition.
    fn item(&mut self, program: &mut Program) -> Parsed<()> {
        let doc = self.doc();
        let Tok::Word(word) = self.token.tok else {
            return Err(self.unexpected("a definition"));
        };
        if HEADERS.contains(&word) {
            if !program.definitions.is_empty() {
                let help = format!("move `{word}` above the first definition");
                let message = format!("`{word}` stands after a definition");
                let fault = Fault::new(self.token.span, message, help);
                self.advance();
                return Err(fault);
            }
            return self.header(word, program);
        }
        if !STARTERS.contains(&word) {
            return Err(self.no_definition(word));
        }
        let definition = self.definition(word, doc)?;
        program.definitions.push(definition);
        Ok(())
    }

    fn header(&mut self, word: &str, program: &mut Program) -> Parsed<()> {
        self.advance();
        match word {
            "include" => {
                let (text, span) = self.text("the path of a `.thrift` file in quotes")?;
                program.includes.push(Name {
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
                // Some languages' namespaces are written in quotes.
                if matches!(self.token.tok, Tok::Text(_)) {
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

    /// A word that starts nothing.
    fn no_definition(&self, word: &str) -> Fault {
        let known = || STARTERS.into_iter().chain(HEADERS);
        let help = match (word, did_you_mean(word, known())) {
            ("senum", _) => "use `enum`, or a typedef of `string`".to_owned(),
            (_, Some(help)) => help,
            (_, None) => format!("what may stand here: {}", list(known())),
        };
        let message = format!("`{word}` starts no definition");
        Fault::new(self.token.span, message, help)
    }

    /// Skips to where a definition may start: at a word that starts one, or at any word at the start of a
    /// line behind a `}`, so that a slip in such a word is not skipped.
    fn recover(&mut self) {
        self.depth = 0;
        let mut closed = false;
        loop {
            match self.token.tok {
                Tok::End => return,
                Tok::Word(word) if STARTERS.contains(&word) || HEADERS.contains(&word) => return,
                Tok::Word(_) if closed && self.lexer.starts_line(self.token.span) => return,
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

    /// The doc comment before the token at hand.
    fn doc(&self) -> Option<String> {
        literal::doc(self.lexer.slice(self.token.doc?))
    }

    /// What is wrong if `expected` should stand here.
    fn unexpected(&mut self, expected: &str) -> Fault {
        let found = match &mut self.token.tok {
            Tok::Bad(fault) => {
                let again = Fault::new(fault.span, "", "");
                return std::mem::replace(fault, again);
            }
            Tok::End => "the end of the file".to_owned(),
            _ => {
                let text = self.lexer.slice(self.token.span);
                let short: String = text.chars().take(40).collect();
                format!("`{short}`")
            }
        };
        let help = format!("{expected} belongs here");
        Fault::new(
            self.token.span,
            format!("expected {expected}, found {found}"),
            help,
        )
    }

    fn at(&self, sign: char) -> bool {
        matches!(self.token.tok, Tok::Sign(have) if have == sign)
    }

    fn eat(&mut self, sign: char) -> bool {
        let there = self.at(sign);
        if there {
            self.advance();
        }
        there
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let there = matches!(self.token.tok, Tok::Word(have) if have == word);
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

    /// `,` or `;`, either of which may always be left out.
    fn separator(&mut self) {
        let _ = self.eat(',') || self.eat(';');
    }

    /// Any word, keywords included.
    fn word(&mut self, expected: &str) -> Parsed<(&'t str, Span)> {
        let Tok::Word(word) = self.token.tok else {
            return Err(self.unexpected(expected));
        };
        let span = self.token.span;
        self.advance();
        Ok((word, span))
    }

    /// A name that is looked up: dots are fine, keywords are not.
    fn reference(&mut self, expected: &str) -> Parsed<Name> {
        if let Tok::Word(word) = self.token.tok
            && (STARTERS.contains(&word) || HEADERS.contains(&word) || RESERVED.contains(&word))
        {
            let message = format!("expected {expected}, found the reserved word `{word}`");
            let help = format!("{expected} belongs here; `{word}` can't be a name, `{word}_` can");
            return Err(Fault::new(self.token.span, message, help));
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
            return Err(Fault::new(name.span, message, help));
        }
        Ok(name)
    }

    fn text(&mut self, expected: &str) -> Parsed<(String, Span)> {
        let span = self.token.span;
        let Tok::Text(text) = &mut self.token.tok else {
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
            return Err(Fault::new(
                self.token.span,
                message,
                "give the inner part a name of its own",
            ));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }
}
