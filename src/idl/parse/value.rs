//! Parses the small parts: types, constant values, annotations.

use super::super::syntax::{Constant, ConstantKind, Span, TypeRef, TypeRefKind};
use super::{Parsed, Parser, TokenKind};

impl Parser<'_> {
    /// A type with its annotations.
    pub(super) fn type_ref(&mut self) -> Parsed<TypeRef> {
        let start = self.token.span;
        let TokenKind::Word(word) = self.token.kind else {
            return Err(self.unexpected("a type"));
        };
        let kind = match word {
            "list" => {
                self.advance();
                let [of] = self.elements()?;
                self.cpp_type()?;
                TypeRefKind::List(of)
            }
            "set" => {
                self.advance();
                let [of] = self.elements()?;
                TypeRefKind::Set(of)
            }
            "map" => {
                self.advance();
                let [key, value] = self.elements()?;
                TypeRefKind::Map(key, value)
            }
            "void" => {
                self.advance();
                TypeRefKind::Void
            }
            "bool" | "byte" | "i8" | "i16" | "i32" | "i64" | "double" | "string" | "binary" => {
                self.advance();
                TypeRefKind::Named(word.into())
            }
            _ => TypeRefKind::Named(self.reference("a type")?.text),
        };
        // Ending at the current token would include blanks: containers end at `>`, other types are one word.
        let span = match kind {
            TypeRefKind::List(_) | TypeRefKind::Set(_) | TypeRefKind::Map(..) => {
                start.to(self.closed)
            }
            _ => start,
        };
        self.annotations()?;
        Ok(TypeRef { span, kind })
    }

    /// `<T>` or `<K, V>`, with an optional C++ type before it.
    fn elements<const N: usize>(&mut self) -> Parsed<[Box<TypeRef>; N]> {
        self.cpp_type()?;
        self.expect('<')?;
        let mut elements = Vec::with_capacity(N);
        for at in 0..N {
            if at > 0 {
                self.expect(',')?;
            }
            elements.push(Box::new(self.nested(Self::type_ref)?));
        }
        self.closed = self.expect('>')?;
        match elements.try_into() {
            Ok(elements) => Ok(elements),
            Err(_) => Err(self.unexpected("a type")),
        }
    }

    fn cpp_type(&mut self) -> Parsed<()> {
        if self.eat_word("cpp_type") {
            self.text("a C++ type in quotes")?;
        }
        Ok(())
    }

    pub(super) fn integer(&mut self, expected: &str) -> Parsed<i64> {
        let number = match self.token.kind {
            TokenKind::Integer(number) => number,
            TokenKind::Word("true") => 1,
            TokenKind::Word("false") => 0,
            _ => return Err(self.unexpected(expected)),
        };
        self.advance();
        Ok(number)
    }

    /// A constant value.
    pub(super) fn constant(&mut self) -> Parsed<Constant> {
        let start = self.token.span;
        let mut end = start;
        let kind = match &mut self.token.kind {
            TokenKind::Integer(number) => ConstantKind::Integer(*number),
            TokenKind::Double(number) => ConstantKind::Double(*number),
            TokenKind::Text(text) => ConstantKind::Text(std::mem::take(text)),
            TokenKind::Word("true") => ConstantKind::Bool(true),
            TokenKind::Word("false") => ConstantKind::Bool(false),
            TokenKind::Word(_) => {
                let kind = ConstantKind::Named(self.reference("a value")?.text);
                return Ok(Constant { span: start, kind });
            }
            TokenKind::Sign('[') => {
                let (items, close) = self.nested(Self::items)?;
                end = close;
                ConstantKind::List(items)
            }
            TokenKind::Sign('{') => {
                let (pairs, close) = self.nested(Self::pairs)?;
                end = close;
                ConstantKind::Map(pairs)
            }
            _ => return Err(self.unexpected("a value")),
        };
        if !matches!(kind, ConstantKind::List(_) | ConstantKind::Map(_)) {
            self.advance();
        }
        let span = start.to(end);
        Ok(Constant { span, kind })
    }

    /// The elements between `[` and `]`, and the position of the latter.
    fn items(&mut self) -> Parsed<(Vec<Constant>, Span)> {
        self.expect('[')?;
        let mut items = Vec::new();
        while !self.at(']') {
            items.push(self.constant()?);
            self.separator();
        }
        Ok((items, self.expect(']')?))
    }

    /// The pairs between `{` and `}`, and the position of the latter.
    fn pairs(&mut self) -> Parsed<(Vec<(Constant, Constant)>, Span)> {
        self.expect('{')?;
        let mut pairs = Vec::new();
        while !self.at('}') {
            let key = self.constant()?;
            self.expect(':')?;
            pairs.push((key, self.constant()?));
            self.separator();
        }
        Ok((pairs, self.expect('}')?))
    }

    /// Skips optional annotations, `(name = "text", name)`, which only concern code generators.
    pub(super) fn annotations(&mut self) -> Parsed<()> {
        if !self.eat('(') {
            return Ok(());
        }
        while !self.eat(')') {
            self.word("an annotation's name or `)`")?;
            if self.eat('=') {
                self.text("an annotation's value in quotes")?;
            }
            self.separator();
        }
        Ok(())
    }
}
