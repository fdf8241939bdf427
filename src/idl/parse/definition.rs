//! Parses definitions: typedef, const, enum, struct, union, exception, service.
//!
//! Each function starts at the first token of its part and ends after the last one, including an optional separator.

use super::super::schema::{Requiredness, StructKind};
use super::super::syntax::{
    Definition, DefinitionBody, EnumEntry, FieldSyntax, MethodSyntax, TypeRef, TypeRefKind,
};
use super::{Parsed, Parser, TokenKind};

impl Parser<'_> {
    /// The definition that starts with `word`.
    pub(super) fn definition(&mut self, word: &str, doc: Option<String>) -> Parsed<Definition> {
        self.advance();
        let (name, body) = match word {
            "typedef" => {
                let ty = self.type_ref()?;
                (
                    self.name("the new type's name")?,
                    DefinitionBody::Typedef(ty),
                )
            }
            "const" => {
                let ty = self.type_ref()?;
                let name = self.name("the constant's name")?;
                self.expect('=')?;
                (name, DefinitionBody::Const(ty, self.constant()?))
            }
            "enum" => {
                let name = self.name("the enum's name")?;
                (name, DefinitionBody::Enum(self.enum_entries()?))
            }
            "service" => {
                let name = self.name("the service's name")?;
                let extends = if self.eat_word("extends") {
                    Some(self.reference("the extended service's name")?)
                } else {
                    None
                };
                (name, DefinitionBody::Service(extends, self.methods()?))
            }
            _ => {
                let kind = match word {
                    "union" => StructKind::Union,
                    "exception" => StructKind::Exception,
                    _ => StructKind::Struct,
                };
                let name = self.name(&format!("the {word}'s name"))?;
                self.eat_word("xsd_all");
                (name, DefinitionBody::Struct(kind, self.fields('{', '}')?))
            }
        };
        self.annotations()?;
        self.separator();
        Ok(Definition { name, doc, body })
    }

    fn enum_entries(&mut self) -> Parsed<Vec<EnumEntry>> {
        self.expect('{')?;
        let mut entries = Vec::new();
        while !self.eat('}') {
            let name = self.name("the name of a value or `}`")?;
            let number = if self.eat('=') {
                let span = self.token.span;
                Some((self.integer("an integer")?, span))
            } else {
                None
            };
            self.annotations()?;
            self.separator();
            entries.push(EnumEntry { name, number });
        }
        Ok(entries)
    }

    /// Fields between two signs.
    fn fields(&mut self, open: char, close: char) -> Parsed<Vec<FieldSyntax>> {
        self.expect(open)?;
        let mut fields = Vec::new();
        while !self.eat(close) {
            fields.push(self.field(close)?);
        }
        Ok(fields)
    }

    fn field(&mut self, close: char) -> Parsed<FieldSyntax> {
        let doc = self.doc();
        let span = self.token.span;
        let id = if matches!(self.token.kind, TokenKind::Integer(_)) {
            let id = self.integer("a field's number")?;
            self.expect(':')?;
            Some((id, span))
        } else {
            None
        };
        let span = self.token.span;
        let (requiredness, required_at) = if self.eat_word("required") {
            (Requiredness::Required, Some(span))
        } else if self.eat_word("optional") {
            (Requiredness::Optional, None)
        } else {
            (Requiredness::Default, None)
        };
        if !matches!(self.token.kind, TokenKind::Word(_)) {
            return Err(match id {
                Some(_) => self.unexpected("a field's type"),
                None => self.unexpected(&format!("a field such as `1: i32 name`, or `{close}`")),
            });
        }
        let ty = self.type_ref()?;
        // The reference mark only affects generated C++.
        self.eat('&');
        let name = self.name("the field's name")?;
        let default = if self.eat('=') {
            Some(self.constant()?)
        } else {
            None
        };
        self.xsd()?;
        self.annotations()?;
        self.separator();
        Ok(FieldSyntax {
            id,
            requiredness,
            required_at,
            ty,
            name,
            default,
            doc,
        })
    }

    /// Skips words that XML schema output once needed.
    fn xsd(&mut self) -> Parsed<()> {
        self.eat_word("xsd_optional");
        self.eat_word("xsd_nillable");
        if self.eat_word("xsd_attrs") {
            self.nested(|parser| parser.fields('{', '}'))?;
        }
        Ok(())
    }

    fn methods(&mut self) -> Parsed<Vec<MethodSyntax>> {
        self.expect('{')?;
        let mut methods = Vec::new();
        while !self.eat('}') {
            methods.push(self.method()?);
        }
        Ok(methods)
    }

    fn method(&mut self) -> Parsed<MethodSyntax> {
        let doc = self.doc();
        // `async` is the old word for `oneway`.
        let oneway = self.eat_word("oneway") || self.eat_word("async");
        if !matches!(self.token.kind, TokenKind::Word(_)) {
            return Err(self.unexpected("a method such as `void name()`, or `}`"));
        }
        let span = self.token.span;
        let result = if self.eat_word("void") {
            TypeRef {
                span,
                kind: TypeRefKind::Void,
            }
        } else {
            self.type_ref()?
        };
        let name = self.name("the method's name")?;
        let params = self.fields('(', ')')?;
        let throws = if self.eat_word("throws") {
            self.fields('(', ')')?
        } else {
            Vec::new()
        };
        self.annotations()?;
        self.separator();
        Ok(MethodSyntax {
            oneway,
            result,
            name,
            params,
            throws,
            doc,
        })
    }
}
