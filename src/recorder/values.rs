//! Writes parameters and results as JSON for people: the first bytes only, and without what looks like a secret by its name.
//!
//! Writing ends when there is enough, however large the value is.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::diagnostic::names_secret;
use crate::value::{FieldNames, Value, hex, uuid_text};

/// Longer texts are cut.
const BYTES_MAX: usize = 1024;
/// Only the first bytes of a binary value are of use to people.
const BINARY_MAX: usize = 32;
/// Instead of a value whose name is that of a secret.
const HIDDEN: &str = "***";
/// Where something was cut off.
const CUT: char = '\u{2026}';

/// What a call was asked and what it answered, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallValues {
    /// Its parameters by name.
    pub params: Arc<str>,
    /// Its result; `None` if it failed.
    pub result: Option<Arc<str>>,
}

impl CallValues {
    /// Those of a call of the method with this name.
    pub fn of(
        method: &str,
        (names, params): (&FieldNames, &[Value]),
        result: Option<&Value>,
    ) -> Self {
        let write = |write: &dyn Fn(&mut Brief)| {
            let mut brief = Brief(String::new());
            write(&mut brief);
            brief.end()
        };
        CallValues {
            params: write(&|brief| brief.fields(names.iter().map(|name| &**name).zip(params))),
            result: result.map(|value| write(&|brief| brief.named(method, value))),
        }
    }
}

/// Text that is long enough at some point.
struct Brief(String);

impl Brief {
    fn is_full(&self) -> bool {
        self.0.len() >= BYTES_MAX
    }

    /// Cuts it off where it is too long.
    fn end(self) -> Arc<str> {
        let mut text = self.0;
        if text.len() > BYTES_MAX {
            let mut end = BYTES_MAX;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            text.push(CUT);
        }
        text.into()
    }

    fn text(&mut self, text: &str) {
        let mut end = text.len().min(BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let json = serde_json::to_string(&text[..end]);
        self.0 += &json.expect("text is always JSON");
    }

    /// A single value is a secret if it is called like one. One that has names within is judged by those.
    fn named(&mut self, name: &str, value: &Value) {
        let has_names = matches!(value, Value::Record(_) | Value::Map(_) | Value::Null);
        if !has_names && names_secret(name) {
            self.text(HIDDEN);
        } else {
            self.value(value);
        }
    }

    fn value(&mut self, value: &Value) {
        let written = match value {
            Value::Null => self.0.write_str("null"),
            Value::Bool(bit) => write!(self.0, "{bit}"),
            Value::I64(number) => write!(self.0, "{number}"),
            Value::Double(number) if number.is_finite() => write!(self.0, "{number:?}"),
            Value::Double(number) => write!(self.0, "\"{number}\""),
            Value::Uuid(uuid) => write!(self.0, "\"{}\"", uuid_text(uuid)),
            Value::Bytes(bytes) => {
                let first = &bytes[..bytes.len().min(BINARY_MAX)];
                write!(
                    self.0,
                    "{{\"hex\":\"{}\",\"bytes\":{}}}",
                    hex(first),
                    bytes.len()
                )
            }
            Value::Enum(of) => return self.number(of.name.as_deref(), of.number),
            Value::Text(text) => return self.text(text.as_str()),
            Value::List(items) => return self.list(items),
            Value::Map(pairs) => return self.map(pairs),
            Value::Record(record) => {
                let fields = record.names.iter().map(|name| &**name);
                return self.fields(fields.zip(&record.values));
            }
        };
        written.expect("a string takes what is written to it");
    }

    fn number(&mut self, name: Option<&str>, number: i64) {
        match name {
            Some(name) => self.text(name),
            None => self.value(&Value::I64(number)),
        }
    }

    fn list(&mut self, items: &[Value]) {
        self.0.push('[');
        for (at, item) in items.iter().enumerate() {
            if self.is_full() {
                break;
            }
            self.comma(at);
            self.value(item);
        }
        self.0.push(']');
    }

    fn map(&mut self, pairs: &[(Value, Value)]) {
        self.0.push('{');
        for (at, (key, value)) in pairs.iter().enumerate() {
            if self.is_full() {
                break;
            }
            self.comma(at);
            match key.as_str() {
                Some(name) => self.field(name, value),
                None => {
                    self.value(key);
                    self.0.push(':');
                    self.value(value);
                }
            }
        }
        self.0.push('}');
    }

    /// Fields that are set.
    fn fields<'v>(&mut self, fields: impl Iterator<Item = (&'v str, &'v Value)>) {
        self.0.push('{');
        let set = fields.filter(|(_, value)| !value.is_null());
        for (at, (name, value)) in set.enumerate() {
            if self.is_full() {
                break;
            }
            self.comma(at);
            self.field(name, value);
        }
        self.0.push('}');
    }

    /// Everything within a field that is called like a secret is one.
    fn field(&mut self, name: &str, value: &Value) {
        self.text(name);
        self.0.push(':');
        if names_secret(name) {
            self.text(HIDDEN);
        } else {
            self.value(value);
        }
    }

    fn comma(&mut self, at: usize) {
        if at > 0 {
            self.0.push(',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str], params: &[Value], result: Option<&Value>) -> CallValues {
        let names = FieldNames::new(names.iter().copied());
        CallValues::of("get", (&names, params), result)
    }

    #[test]
    fn values_are_json_without_secrets() {
        let inner = Value::Map(vec![
            ("session_id".into(), "s3cret".into()),
            ("page".into(), 7.into()),
        ]);
        let params = ["a \"b\"".into(), Value::Null, "s3cret".into(), inner];
        let bytes = Value::Bytes(vec![0xff; 100].into());
        let result = Value::List(vec![1.5.into(), bytes, Value::Uuid([0; 16])]);
        let values = of(
            &["code", "unset", "api_key", "with"],
            &params,
            Some(&result),
        );
        let expected = r#"{"code":"a \"b\"","api_key":"***","with":{"session_id":"***","page":7}}"#;
        assert_eq!(&*values.params, expected);
        let result = values.result.expect("there is one");
        let hex = "ff".repeat(BINARY_MAX);
        let expected = format!(
            r#"[1.5,{{"hex":"{hex}","bytes":100}},"00000000-0000-0000-0000-000000000000"]"#
        );
        assert_eq!(*result, *expected);
        let token = CallValues::of(
            "getToken",
            (&FieldNames::new::<&str>([]), &[]),
            Some(&"t".into()),
        );
        assert_eq!(
            token.result.as_deref(),
            Some("\"***\""),
            "the method says what it is"
        );
        assert_eq!(&*token.params, "{}");
    }

    #[test]
    fn large_values_are_cut_and_end_soon() {
        let many = Value::List((0..1_000_000).map(Value::from).collect());
        let long = Value::from("\u{e9}".repeat(1 << 20));
        for large in [many, long] {
            let values = of(&["all"], std::slice::from_ref(&large), Some(&large));
            for text in [Some(values.params), values.result].into_iter().flatten() {
                assert!(text.len() <= BYTES_MAX + CUT.len_utf8(), "{}", text.len());
                assert!(text.ends_with(CUT), "{text}");
            }
        }
    }
}
