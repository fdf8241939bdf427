//! Encodes parameters in the path, the query and the headers of a request.
//!
//! In a path every byte but RFC 3986's unreserved ones is percent-encoded, and a segment that a parameter makes
//! empty, `.` or `..` is refused: servers would resolve it to another path. In a query every reserved character
//! is encoded, so that no parameter can begin another one. In a header only control characters are refused.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::backend::LookupError;
use crate::backend::template::{Encode, Template, TemplateError};
use crate::error::Code;
use crate::value::Value;

/// All but letters, digits and `-._~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// For a path or a query.
struct UrlEncode;

impl Encode for UrlEncode {
    const BYTES: bool = false;

    fn encode(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        for piece in percent_encode(raw, RESERVED) {
            out.extend_from_slice(piece.as_bytes());
        }
        Ok(())
    }
}

/// For the value of a header.
pub(super) struct HeaderEncode;

impl Encode for HeaderEncode {
    const BYTES: bool = false;

    fn encode(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        if raw.iter().any(u8::is_ascii_control) {
            return Err("a header can't carry line ends and other controls");
        }
        out.extend_from_slice(raw);
        Ok(())
    }
}

/// `/path/{id}?units={units}`, compiled.
#[derive(Debug)]
pub(super) struct Target {
    /// One per segment, so that each can be checked as a whole once it is rendered.
    segments: Vec<Template>,
    query: Option<Template>,
}

/// Why a text is not a valid target.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadTarget {
    #[error("a path begins with `/`")]
    NoSlash,
    #[error("`{0}` has to be encoded in a URL")]
    Character(char),
    #[error("the path has a `.` or `..` segment: `{0}`")]
    Dots(String),
    #[error(transparent)]
    Template(#[from] TemplateError),
}

impl BadTarget {
    /// How to fix it.
    pub(super) fn help(&self) -> String {
        match self {
            BadTarget::NoSlash => {
                "as in `get = \"/airports/{code}\"`; it is added to the backend's `url`".into()
            }
            BadTarget::Character('#') => "leave the fragment out: it is never sent".into(),
            BadTarget::Character(c) => {
                let mut encoded = [0; 4];
                let encoded = percent_encode(c.encode_utf8(&mut encoded).as_bytes(), RESERVED);
                format!("write `{encoded}`")
            }
            BadTarget::Dots(_) => "write the path it means".into(),
            BadTarget::Template(err) => err.help().into(),
        }
    }
}

impl Target {
    /// Parses `text`, adding its parameters to `params`.
    pub(super) fn parse(text: &str, params: &mut Vec<Arc<str>>) -> Result<Self, BadTarget> {
        // No parameter's name has `?` or `/`, so splitting first never cuts one that is valid.
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        let path = path.strip_prefix('/').ok_or(BadTarget::NoSlash)?;
        let segments: Vec<Template> = path
            .split('/')
            .map(|segment| Template::parse(segment, params))
            .collect::<Result<_, _>>()?;
        let query = query
            .map(|query| Template::parse(query, params))
            .transpose()?;
        let target = Target { segments, query };
        let literals = target
            .segments
            .iter()
            .chain(&target.query)
            .flat_map(Template::literals);
        let needs_encoding = |c: &char| !c.is_ascii_graphic() || "\"#<>[\\]^`{|}".contains(*c);
        if let Some(c) = literals.flat_map(str::chars).find(needs_encoding) {
            return Err(BadTarget::Character(c));
        }
        if let Some(dots) = path
            .split('/')
            .find(|segment| [".", ".."].contains(segment))
        {
            return Err(BadTarget::Dots(dots.to_owned()));
        }
        Ok(target)
    }

    /// Appends the path and query with the lookup's parameters in their places.
    pub(super) fn render(&self, params: &[Value], out: &mut Vec<u8>) -> Result<(), LookupError> {
        for segment in &self.segments {
            out.push(b'/');
            let start = out.len();
            segment.render(params, &UrlEncode, out)?;
            let has_params = segment.positions().next().is_some();
            if has_params && matches!(&out[start..], b"" | b"." | b"..") {
                let names = segment.params().join("`, `");
                let why = format!("`{names}`: a path segment can't be empty, `.` or `..`");
                return Err(LookupError::new(Code::LookupBadParam, why));
            }
        }
        if let Some(query) = &self.query {
            out.push(b'?');
            query.render(params, &UrlEncode, out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text, &mut Vec::new()).expect("a target")
    }

    fn render(text: &str, params: &[Value]) -> Result<String, Code> {
        let mut out = Vec::new();
        target(text)
            .render(params, &mut out)
            .map_err(|err| err.code)?;
        Ok(String::from_utf8(out).expect("ASCII"))
    }

    #[track_caller]
    fn check(text: &str, param: &str, expected: &str) {
        assert_eq!(render(text, &[param.into()]).as_deref(), Ok(expected));
    }

    #[test]
    fn parameters_never_leave_their_place() {
        check("/a/{x}/b", "../admin", "/a/..%2Fadmin/b");
        check("/a/{x}", "1?x=2&y#z", "/a/1%3Fx%3D2%26y%23z");
        check("/a/{x}", "%2e%2e", "/a/%252e%252e");
        check("/a/{x}", "a\r\nHost: evil", "/a/a%0D%0AHost%3A%20evil");
        check("/a/{x}", "\\..\\ü@;:,", "/a/%5C..%5C%C3%BC%40%3B%3A%2C");
        check("/a/{x}.json", "..", "/a/...json");
        check("/a/{x}", "...", "/a/...");
        check(
            "/a?x={x}&y=1",
            "1&y=2 +=#/é",
            "/a?x=1%26y%3D2%20%2B%3D%23%2F%C3%A9&y=1",
        );
        check("/a?x={x}", "", "/a?x=");
        check("/{x}", "//evil.example", "/%2F%2Fevil.example");
    }

    #[test]
    fn segments_that_change_the_path_are_refused() {
        for bad in ["", ".", ".."] {
            assert_eq!(
                render("/a/{x}/b", &[bad.into()]),
                Err(Code::LookupBadParam),
                "{bad:?}"
            );
        }
        assert_eq!(
            render("/{x}{y}", &[".".into(), ".".into()]),
            Err(Code::LookupBadParam)
        );
        assert_eq!(render("/.{x}", &[".".into()]), Err(Code::LookupBadParam));
        assert_eq!(render("/{x}", &[Value::Null]), Err(Code::LookupBadParam));
        assert_eq!(
            render("/{x}", &[Value::Bytes(b"a"[..].into())]),
            Err(Code::LookupBadParam)
        );
        assert_eq!(
            render("/a/", &[]).as_deref(),
            Ok("/a/"),
            "the operator's own slash stays"
        );
    }

    #[test]
    fn headers_carry_text_but_no_controls() {
        let header = |text: &str| {
            let mut out = Vec::new();
            let template = Template::parse("Bearer {x}", &mut Vec::new()).expect("a template");
            template
                .render(&[text.into()], &HeaderEncode, &mut out)
                .map(|()| out)
                .map_err(|err| err.code)
        };
        assert_eq!(header("abc").unwrap(), b"Bearer abc");
        for bad in ["a\r\nx: y", "a\nb", "a\0", "\x7f"] {
            assert_eq!(header(bad), Err(Code::LookupBadParam), "{bad:?}");
        }
    }

    #[test]
    fn bad_targets_say_why() {
        let bad = |text: &str| {
            let err = Target::parse(text, &mut Vec::new()).expect_err("no target");
            (err.to_string(), err.help())
        };
        assert_eq!(bad("airports").0, "a path begins with `/`");
        assert_eq!(bad("http://evil/").0, "a path begins with `/`");
        assert_eq!(bad("/a b").1, "write `%20`");
        assert_eq!(bad("/é").1, "write `%C3%A9`");
        assert!(bad("/a#b").1.contains("never sent"));
        assert!(bad("/a/../b").0.contains("`..`"));
        assert!(bad("/a/{x").0.contains("never closed"));
        assert!(bad("/a/{{x}}").0.contains("has to be encoded in a URL"));
    }

    proptest! {
        #[test]
        fn any_text_stays_within_its_segment(text in ".*") {
            if let Ok(rendered) = render("/a/{x}/b?y={x}", &[text.as_str().into()]) {
                let uri: hyper::Uri = rendered.parse().expect("a URI");
                prop_assert_eq!(uri.path().split('/').count(), 4);
                let encoded = uri.query().and_then(|query| query.strip_prefix("y=")).expect("y");
                let decoded = percent_encoding::percent_decode_str(encoded).decode_utf8().expect("UTF-8");
                prop_assert_eq!(&*decoded, &*text);
                prop_assert!(!encoded.contains(['&', '=', '#']));
            }
        }
    }
}
