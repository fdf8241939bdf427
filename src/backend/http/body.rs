//! The JSON body of a request: `body = { query = "{text}", size = 20, filter = { from = "{from}" } }`.
//!
//! Compiled once into JSON text with places. A string that is one parameter and nothing else becomes the parameter's value,
//! whatever its type: a number stays a number, null is null, a list or a row is nested. In any other string, parameters
//! become text, escaped as JSON. No parameter can end a string or begin another member.

use std::sync::Arc;

use serde_json::{Number, Value as Json};

use crate::backend::LookupError;
use crate::backend::sql::json_text;
use crate::backend::template::{Encode, Template};
use crate::error::Code;
use crate::value::Value;

/// A body, compiled.
#[derive(Debug, Default)]
pub(super) struct Body(Vec<Part>);

#[derive(Debug)]
enum Part {
    /// JSON text.
    Raw(String),
    /// A parameter's own value.
    Value { name: Arc<str>, at: usize },
    /// What is between two quotes.
    Text(Template),
}

/// What is wrong in a body, where, and how to fix it.
#[derive(Debug)]
pub(super) struct BadBody {
    pub(super) message: String,
    pub(super) help: String,
}

/// Inside a string of JSON.
struct JsonEncode;

impl Encode for JsonEncode {
    const BYTES: bool = false;

    fn encode(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        let text = std::str::from_utf8(raw).map_err(|_| "it is not text")?;
        let quoted = Json::from(text).to_string();
        out.extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
        Ok(())
    }
}

impl Body {
    /// Compiles the value of the key `body`, adding its parameters to `params`.
    pub(super) fn compile(value: &Value, params: &mut Vec<Arc<str>>) -> Result<Self, BadBody> {
        let mut body = Body::default();
        body.add(value, "body", params)?;
        Ok(body)
    }

    /// Adds the JSON of one value, which stands at `path` in the configuration.
    fn add(
        &mut self,
        value: &Value,
        path: &str,
        params: &mut Vec<Arc<str>>,
    ) -> Result<(), BadBody> {
        match value {
            Value::Text(text) => self.add_text(text.as_str(), path, params)?,
            Value::Bool(bit) => self.raw(&bit.to_string()),
            Value::I64(number) => self.raw(&number.to_string()),
            Value::Double(number) => match Number::from_f64(*number) {
                Some(number) => self.raw(&number.to_string()),
                None => {
                    return Err(BadBody {
                        message: format!("`{path}`: JSON has no such number"),
                        help: "only finite numbers".into(),
                    });
                }
            },
            Value::List(items) => {
                self.raw("[");
                for (at, item) in items.iter().enumerate() {
                    self.raw(if at == 0 { "" } else { "," });
                    self.add(item, &format!("{path}[{at}]"), params)?;
                }
                self.raw("]");
            }
            Value::Map(pairs) => {
                self.raw("{");
                for (at, (name, item)) in pairs.iter().enumerate() {
                    let name = name.as_str().unwrap_or_default();
                    let comma = if at == 0 { "" } else { "," };
                    self.raw(&format!("{comma}{}:", Json::from(name)));
                    self.add(item, &format!("{path}.{name}"), params)?;
                }
                self.raw("}");
            }
            // A configuration has none of these.
            Value::Null | Value::Bytes(_) | Value::Uuid(_) | Value::Record(_) | Value::Enum(_) => {
                self.raw("null");
            }
        }
        Ok(())
    }

    fn add_text(
        &mut self,
        text: &str,
        path: &str,
        params: &mut Vec<Arc<str>>,
    ) -> Result<(), BadBody> {
        let template = Template::parse(text, params).map_err(|err| BadBody {
            message: format!("`{path}`: {err}"),
            help: err.help().into(),
        })?;
        let mut places = template.positions();
        let (first, second) = (places.next(), places.next());
        drop(places);
        match (first, second) {
            (Some(at), None) if template.literals().next().is_none() => {
                let name = Arc::clone(&params[at]);
                self.0.push(Part::Value { name, at });
            }
            _ => {
                self.raw("\"");
                self.0.push(Part::Text(template.map_literals(|text| {
                    let quoted = Json::from(text).to_string();
                    quoted[1..quoted.len() - 1].to_owned()
                })));
                self.raw("\"");
            }
        }
        Ok(())
    }

    /// Adds JSON text.
    fn raw(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Part::Raw(before)) => before.push_str(text),
            _ => self.0.push(Part::Raw(text.to_owned())),
        }
    }

    /// The JSON text with the lookup's parameters in their places.
    pub(super) fn render(&self, params: &[Value]) -> Result<Vec<u8>, LookupError> {
        let mut out = Vec::new();
        for part in &self.0 {
            match part {
                Part::Raw(text) => out.extend_from_slice(text.as_bytes()),
                Part::Text(template) => template.render(params, &JsonEncode, &mut out)?,
                Part::Value { name, at } => {
                    let value = params.get(*at).unwrap_or(&Value::Null);
                    let text = json_text(value).map_err(|err| {
                        LookupError::new(Code::LookupBadParam, format!("`{name}`: {}", err.detail))
                    })?;
                    out.extend_from_slice(text.as_bytes());
                }
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document, whole};

    fn compiled(toml: &str) -> (Body, Vec<Arc<str>>) {
        let document = document(toml);
        let (value, _) = whole(&document).value("body").expect("a value");
        let mut params = Vec::new();
        let body = Body::compile(&value, &mut params).expect("valid");
        (body, params)
    }

    fn text(toml: &str, params: &[Value]) -> Result<String, Code> {
        let rendered = compiled(toml).0.render(params);
        let text = |bytes| String::from_utf8(bytes).expect("text");
        rendered.map(text).map_err(|err| err.code)
    }

    #[test]
    fn constants_nest_and_strings_are_escaped() {
        let toml = r#"
            [body]
            "a \"b\"" = "c\n{{d}} é"
            list = [1, -2.5, true, [], {}, [{ x = "y" }]]
            sub.sub = 1e300
        "#;
        let expected =
            r#"{"a \"b\"":"c\n{d} é","list":[1,-2.5,true,[],{},[{"x":"y"}]],"sub":{"sub":1e+300}}"#;
        assert_eq!(text(toml, &[]).as_deref(), Ok(expected));
    }

    #[test]
    fn a_parameter_alone_keeps_its_type_and_becomes_text_elsewhere() {
        let toml = r#"body = { v = "{v}", text = "<{v}>", twice = "{v}{v}" }"#;
        let both = |value: Value| text(toml, &[value]);
        let expected = r#"{"v":7,"text":"<7>","twice":"77"}"#;
        assert_eq!(both(7.into()).as_deref(), Ok(expected));
        let expected = r#"{"v":"a\"\\\n\u0001é","text":"<a\"\\\n\u0001é>","twice":"a\"\\\n\u0001éa\"\\\n\u0001é"}"#;
        assert_eq!(both("a\"\\\n\u{1}é".into()).as_deref(), Ok(expected));
        let hostile = r#"","admin":true,"x":""#;
        let Ok(rendered) = both(hostile.into()) else {
            panic!("text is allowed")
        };
        let read: Json = serde_json::from_str(&rendered).expect("still JSON");
        assert_eq!(read["v"], hostile);
        assert_eq!(read["text"], format!("<{hostile}>"));
        assert_eq!(read.as_object().map(serde_json::Map::len), Some(3));

        let alone = |value: Value| text(r#"body = ["{v}"]"#, &[value]);
        assert_eq!(alone(Value::Null).as_deref(), Ok("[null]"));
        assert_eq!(alone(0.1.into()).as_deref(), Ok("[0.1]"));
        let list = Value::List(vec![1.into(), "x".into(), Value::Null]);
        assert_eq!(alone(list.clone()).as_deref(), Ok(r#"[[1,"x",null]]"#));
        let map = Value::Map(vec![("k".into(), list)]);
        assert_eq!(alone(map).as_deref(), Ok(r#"[{"k":[1,"x",null]}]"#));
        for bad in [f64::NAN.into(), Value::Bytes(vec![0xff].into())] {
            assert_eq!(alone(bad), Err(Code::LookupBadParam));
        }
        for bad in [Value::Null, Value::List(vec![])] {
            assert_eq!(
                both(bad),
                Err(Code::LookupBadParam),
                "in the middle of a text"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (toml, expected) in [
            (
                "body = { a = [1, '{'] }",
                "`body.a[1]`: `{` at character 1 is never closed",
            ),
            ("body = { a = nan }", "`body.a`: JSON has no such number"),
        ] {
            let document = document(toml);
            let (value, _) = whole(&document).value("body").expect("a value");
            let why = Body::compile(&value, &mut Vec::new()).expect_err(toml);
            assert_eq!(why.message, expected);
        }
    }
}
