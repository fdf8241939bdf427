//! Reads the keys of a lookup: the request, and how to read its answer.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::{Authority, Parts, PathAndQuery};
use hyper::{Method, Uri};

use super::body::Body;
use super::config::{Base, Config, read_header_texts};
use super::target::{HeaderEncode, Target};
use crate::backend::lookup::{are_large, owned};
use crate::backend::{Compiled, Enums, Hedge, LookupError, format::Format, template::Template};
use crate::config::{Section, integer};
use crate::error::Code;
use crate::offload::offload;
use crate::value::{Pointer, Value};

/// A compiled request: a GET, or a POST, which is a read by declaration.
#[derive(Debug)]
pub struct Lookup {
    pub(super) method: Method,
    base: Base,
    target: Target,
    body: Option<Arc<Body>>,
    /// The backend's headers and this lookup's fixed ones.
    fixed_headers: Box<HeaderMap>,
    headers: Vec<(HeaderName, Template)>,
    pub(super) format: Format,
    /// The part of a JSON body that is the answer.
    pub(super) pointer: Pointer,
    /// Statuses that mean there is nothing.
    pub(super) empty_on: Vec<u16>,
    /// Whether asking twice has the effect of asking once.
    pub(super) is_idempotent: bool,
    /// Which of the parameters decides about the endpoint.
    pub(super) hash_on: Option<usize>,
    /// When a second endpoint is asked.
    pub(super) hedge: Option<Hedge>,
}

impl Lookup {
    /// The server's name and port, for messages.
    pub(super) fn authority(&self) -> &Authority {
        &self.base.authority
    }

    /// Reads a lookup's keys.
    pub(super) fn read(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Self>> {
        let mut params = Vec::new();
        let enums = Enums::read(section, Enums::Number);
        let before = section.document().problems.len();
        let target = read_target(section, &mut params);
        let body = read_body(section, target.as_ref(), &mut params);
        let format = Format::read(section, &["json", "text", "bytes"], Format::Json);
        let pointer = read_pointer(section, format);
        let empty_on = read_statuses(section);
        let is_idempotent = read_idempotent(section, target.as_ref());
        let mut fixed_headers = Box::new(config.headers.clone());
        if matches!(format, Some(Format::Text | Format::Bytes)) {
            fixed_headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        }
        if body.is_some() {
            let json = HeaderValue::from_static("application/json");
            fixed_headers.entry(CONTENT_TYPE).or_insert(json);
        }
        if body.is_none()
            && target
                .as_ref()
                .is_some_and(|(method, _)| method == Method::POST)
        {
            // Some servers refuse a POST that says nothing of its length.
            fixed_headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
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
        let endpoints = config.endpoints.as_ref();
        let hash_on = endpoints.and_then(|endpoints| endpoints.hash_on(section, &params));
        let once = (!is_idempotent && target.is_some()).then_some((
            "a POST may not be asked twice unless its lookup says so",
            "add `idempotent = true` if asking twice has the effect of asking once, or leave `hedge` out",
        ));
        let hedge = Hedge::read(section, endpoints, once);
        if section.document().problems.len() > before {
            return None;
        }
        let (format, (method, target)) = (format?, target?);
        Some(Compiled {
            lookup: Lookup {
                method,
                base: config.base.clone(),
                target,
                body: body.map(Arc::new),
                fixed_headers,
                headers,
                format,
                pointer,
                empty_on,
                is_idempotent,
                hash_on,
                hedge,
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

    /// The body for these parameters; empty if it has none.
    pub(super) async fn body(&self, params: &[Value]) -> Result<Bytes, LookupError> {
        let Some(body) = &self.body else {
            return Ok(Bytes::new());
        };
        if !are_large(params) {
            return body.render(params).map(Bytes::from);
        }
        let (body, params) = (Arc::clone(body), owned(params).await);
        let rendered = offload(move || body.render(&params)).await?;
        rendered.map(Bytes::from)
    }

    /// The headers for these parameters.
    pub(super) fn headers(&self, params: &[Value]) -> Result<HeaderMap, LookupError> {
        let mut headers = HeaderMap::clone(&self.fixed_headers);
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

/// The path and query, after the key `get` or `post`, which says how they are asked for.
fn read_target(section: &mut Section<'_>, params: &mut Vec<Arc<str>>) -> Option<(Method, Target)> {
    if section.has("get") && section.has("post") {
        section.take("get");
        if let Some((_, place)) = section.take("post") {
            let help = Some("keep one of them".to_owned());
            let document = section.document();
            let message = "`post` can't be used with `get`";
            document.problem(&place, Code::ConfigClash, message, help);
        }
        return None;
    }
    let (method, (text, place)) = if section.has("post") {
        section.take("get");
        (Method::POST, section.string("post")?)
    } else {
        section.take("post");
        let example = "get = \"/airports/{code}\"";
        (Method::GET, section.required_string("get", example)?)
    };
    match Target::parse(&text, params) {
        Ok(target) => Some((method, target)),
        Err(err) => {
            section.bad(&place, err.to_string(), Some(err.help()));
            None
        }
    }
}

/// Whether a request may be repeated. A GET always may.
fn read_idempotent(section: &mut Section<'_>, target: Option<&(Method, Target)>) -> bool {
    let is_get = target.is_some_and(|(method, _)| method == Method::GET);
    if is_get && let Some(place) = section.place_of("idempotent") {
        let help = Some("leave `idempotent` out".into());
        section.bad(&place, "a GET is idempotent anyway", help);
    }
    section.bool("idempotent").unwrap_or(is_get)
}

/// The body of a POST, if it has one.
fn read_body(
    section: &mut Section<'_>,
    target: Option<&(Method, Target)>,
    params: &mut Vec<Arc<str>>,
) -> Option<Body> {
    let (value, place) = section.value("body")?;
    if target.is_some_and(|(method, _)| method == Method::GET) {
        let help = "ask with `post` instead of `get`, or leave `body` out";
        section.bad(&place, "a GET has no body", Some(help.into()));
        return None;
    }
    match Body::compile(&value, params) {
        Ok(body) => Some(body),
        Err(err) => {
            section.bad(&place, err.message, Some(err.help));
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
