//! Reads the keys of a lookup: the request, and how to read its answer.

use hyper::Uri;
use hyper::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::{Parts, PathAndQuery};

use super::config::{Base, Config, read_header_texts};
use super::target::{HeaderEncode, Target};
use crate::backend::{Compiled, Enums, LookupError, format::Format, template::Template};
use crate::config::{Section, integer};
use crate::error::Code;
use crate::value::{Pointer, Value};

/// A compiled GET.
#[derive(Debug)]
pub struct Get {
    base: Base,
    target: Target,
    /// The backend's headers and this lookup's fixed ones.
    fixed_headers: HeaderMap,
    headers: Vec<(HeaderName, Template)>,
    pub(super) format: Format,
    /// The part of a JSON body that is the answer.
    pub(super) pointer: Pointer,
    /// Statuses that mean there is nothing.
    pub(super) empty_on: Vec<u16>,
}

impl Get {
    /// Reads a lookup's keys.
    pub(super) fn read(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Self>> {
        let mut params = Vec::new();
        let enums = Enums::read(section, Enums::Number);
        let before = section.document().problems.len();
        let target = read_target(section, &mut params);
        let format = Format::read(section, &["json", "text", "bytes"], Format::Json);
        let pointer = read_pointer(section, format);
        let empty_on = read_statuses(section);
        let mut fixed_headers = config.headers.clone();
        if matches!(format, Some(Format::Text | Format::Bytes)) {
            fixed_headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        }
        let mut headers = Vec::new();
        for (name, text, place) in read_header_texts(section)? {
            match Template::parse(&text, &mut params) {
                Ok(template) => {
                    if template
                        .literals()
                        .any(|text| text.bytes().any(|byte| byte.is_ascii_control()))
                    {
                        section.bad(
                            &place,
                            "a header can't carry line ends and other controls",
                            None,
                        );
                    }
                    headers.push((name, template));
                }
                Err(err) => section.bad(&place, err.to_string(), Some(err.help().into())),
            }
        }
        if section.document().problems.len() > before {
            return None;
        }
        let format = format?;
        Some(Compiled {
            lookup: Get {
                base: config.base.clone(),
                target: target?,
                fixed_headers,
                headers,
                format,
                pointer,
                empty_on,
            },
            params,
            enums,
            yields: format.yields(),
        })
    }

    /// The URL for these parameters.
    pub(super) fn uri(&self, params: &[Value]) -> Result<Uri, LookupError> {
        let mut path = self.base.path.clone().into_bytes();
        self.target.render(params, &mut path)?;
        let bad = |err: hyper::http::Error| LookupError::new(Code::LookupBadParam, err.to_string());
        let path = PathAndQuery::from_maybe_shared(path).map_err(|err| bad(err.into()))?;
        let mut parts = Parts::default();
        parts.scheme = Some(self.base.scheme.clone());
        parts.authority = Some(self.base.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|err| bad(err.into()))
    }

    /// The headers for these parameters.
    pub(super) fn headers(&self, params: &[Value]) -> Result<HeaderMap, LookupError> {
        let mut headers = self.fixed_headers.clone();
        for (name, template) in &self.headers {
            let mut value = Vec::new();
            template.render(params, &HeaderEncode, &mut value)?;
            let value = HeaderValue::from_maybe_shared(value)
                .map_err(|err| LookupError::new(Code::LookupBadParam, err.to_string()))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

fn read_target(section: &mut Section<'_>, params: &mut Vec<std::sync::Arc<str>>) -> Option<Target> {
    let (text, place) = section.required_string("get", "get = \"/airports/{code}\"")?;
    match Target::parse(&text, params) {
        Ok(target) => Some(target),
        Err(err) => {
            section.bad(&place, err.to_string(), Some(err.help()));
            None
        }
    }
}

fn read_pointer(section: &mut Section<'_>, format: Option<Format>) -> Pointer {
    let Some((text, place)) = section.string("pointer") else {
        return Pointer::default();
    };
    if format.is_some_and(|format| format != Format::Json) {
        let help = Some("leave one of `pointer` and `format` out".into());
        section.bad(&place, "a pointer leads into JSON only", help);
    }
    Pointer::parse(&text).unwrap_or_else(|err| {
        section.bad(
            &place,
            err.to_string(),
            Some("as in `pointer = \"/data/0\"`".into()),
        );
        Pointer::default()
    })
}

fn read_statuses(section: &mut Section<'_>) -> Vec<u16> {
    let Some((value, place)) = section.take("empty_on") else {
        return vec![404];
    };
    let status = |number: i64| {
        u16::try_from(number)
            .ok()
            .filter(|status| (200..600).contains(status))
    };
    let statuses = value.as_array().and_then(|array| {
        array
            .iter()
            .map(|item| integer(item.get_ref()).and_then(status))
            .collect()
    });
    statuses.unwrap_or_else(|| {
        section.expected(
            &place,
            "an array of statuses (200 to 599) such as `[404]`",
            &value,
        );
        Vec::new()
    })
}
