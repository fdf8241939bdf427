//! The files of the page that a browser shows, and the manual as a browser shows it.
//!
//! The page loads nothing from elsewhere: its policy forbids that, and scripts and styles within the text. The only exception
//! is its own style sheet, which is put into it so that it can be painted without another request.

use std::fmt::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use hyper::Response;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY};
use ring::digest::{SHA256, digest};

use super::body::Answer;
use super::response::with_type;
use crate::manual;

/// The page itself, as it is written.
const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
/// What stands for the style sheet in the page.
const STYLE_LINK: &str = "<link rel=\"stylesheet\" href=\"/page.css\">";
/// The page itself, as it is sent.
static INDEX: LazyLock<Index> = LazyLock::new(Index::new);
/// Where the manual is.
pub(super) const MANUAL: &str = "/manual/";

const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// The policy. `style` says which styles there may be in the text.
fn policy(style: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'{style}; connect-src 'self'; img-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// A page and its policy.
struct Index {
    html: Bytes,
    policy: HeaderValue,
}

impl Index {
    fn new() -> Self {
        let html = PAGE.replace(STYLE_LINK, &format!("<style>{STYLE}</style>"));
        let hash = base64(digest(&SHA256, STYLE.as_bytes()).as_ref());
        let policy = policy(&format!(" 'sha256-{hash}'"));
        Index {
            html: html.into(),
            policy: policy.try_into().expect("base64 fits into a header"),
        }
    }
}

/// Encodes base64 (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let at = |at: usize| u32::from(*three.get(at).unwrap_or(&0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(if digit > three.len() {
                '='
            } else {
                char::from(DIGITS[value as usize])
            });
        }
    }
    text
}

/// The type and the text of the files that belong to the page.
pub(super) fn file(path: &str) -> Option<(HeaderValue, &'static str)> {
    match path {
        "/page.css" => Some((HeaderValue::from_static("text/css; charset=utf-8"), STYLE)),
        "/page.js" => Some((SCRIPT, include_str!("page/page.js"))),
        "/start.js" => Some((SCRIPT, include_str!("page/start.js"))),
        "/icon.svg" => Some((
            HeaderValue::from_static("image/svg+xml"),
            include_str!("page/icon.svg"),
        )),
        _ => None,
    }
}

/// The page itself.
pub(super) fn index() -> Response<Answer> {
    with_policy(INDEX.html.clone(), INDEX.policy.clone())
}

/// A page of the manual.
pub(super) fn html(text: String) -> Response<Answer> {
    let policy = policy("").try_into().expect("it is text");
    with_policy(text.into(), policy)
}

fn with_policy(text: Bytes, policy: HeaderValue) -> Response<Answer> {
    let mut response = with_type(hyper::StatusCode::OK, text, HTML);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// A page of the manual, or its index, as the text that it is; only links between pages work.
pub(super) fn manual(path: &str) -> Option<String> {
    let topic = path.strip_prefix(MANUAL)?;
    let text = match topic {
        "" => manual::INDEX,
        _ => manual::page(topic)?.text,
    };
    let title = text.lines().next().unwrap_or_default();
    let title = escaped(title.trim_start_matches('#').trim());
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><link rel=\"icon\" href=\"/icon.svg\" type=\"image/svg+xml\"><link rel=\"stylesheet\" href=\"/page.css\"></head>\
         <body class=\"manual\"><header><h1><a href=\"/\">Tributary</a></h1><p>{title}</p>\
         <nav><a href=\"{MANUAL}\">all pages</a></nav></header><main class=\"text\"><pre>"
    );
    let mut rest = text;
    while let Some((before, label, target, after)) = link(rest) {
        let topic = target
            .split('#')
            .next()
            .and_then(|file| file.strip_suffix(".md"));
        html += &escaped(before);
        match topic {
            Some("README") => write!(html, "<a href=\"{MANUAL}\">{}</a>", escaped(label)),
            Some(topic) if manual::page(topic).is_some() => {
                write!(html, "<a href=\"{MANUAL}{topic}\">{}</a>", escaped(label))
            }
            _ => write!(html, "{}", escaped(label)),
        }
        .expect("a string takes what is written to it");
        rest = after;
    }
    html += &escaped(rest);
    html += "</pre></main></body></html>\n";
    Some(html)
}

/// The first `[label](target)`, with what is before and after it.
fn link(text: &str) -> Option<(&str, &str, &str, &str)> {
    let middle = text.find("](")?;
    let (before, target) = (&text[..middle], &text[middle + 2..]);
    let open = before.rfind('[')?;
    let (target, after) = target.split_once(')')?;
    Some((&before[..open], &before[open + 1..], target, after))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_loads_nothing_from_elsewhere() {
        let files = ["/start.js", "/page.js", "/icon.svg"];
        let files = files.map(|path| file(path).expect("a file").1);
        let sent = std::str::from_utf8(&INDEX.html).expect("text");
        let all = [sent, files[0], files[1], files[2]];
        let bytes: usize = all.iter().map(|text| text.len()).sum();
        assert!(bytes <= 60_000, "{bytes}");
        for text in all {
            // The name of a namespace is no address to load from.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for bad in ["http:", "https:", "//cdn", "@import", "innerHTML", "eval("] {
                assert!(!text.contains(bad), "{bad}");
            }
        }
        for bad in ["onclick=", "onload=", "style=", "<style", "javascript:"] {
            assert!(!PAGE.contains(bad), "{bad}");
        }
    }

    #[test]
    fn the_style_sheet_is_in_the_page_and_the_policy_allows_that_one_only() {
        let sent = std::str::from_utf8(&INDEX.html).expect("text");
        let (_, rest) = sent.split_once("<style>").expect("a style sheet");
        let (style, _) = rest.split_once("</style>").expect("its end");
        assert_eq!(style, STYLE);
        assert!(!sent.contains(STYLE_LINK));
        let policy = INDEX.policy.to_str().expect("text");
        assert!(!policy.contains("unsafe"), "{policy}");
        let (_, rest) = policy.split_once("'sha256-").expect("a hash");
        let (hash, _) = rest.split_once('\'').expect("its end");
        assert_eq!(hash, base64(digest(&SHA256, style.as_bytes()).as_ref()));
        // The examples of RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn the_script_finds_every_element_that_it_looks_for() {
        let script = file("/page.js").expect("a file").1;
        let ids = script.split("$('").skip(1);
        for id in ids.filter_map(|rest| rest.split('\'').next()) {
            assert!(PAGE.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }

    #[test]
    fn the_manual_is_escaped_and_its_links_work() {
        let index = manual("/manual/").expect("the index");
        assert!(
            index.contains("<a href=\"/manual/admin\">admin</a>"),
            "{index}"
        );
        for page in manual::PAGES {
            let html = manual(&format!("/manual/{}", page.topic)).expect("a page");
            let (_, text) = html.split_once("<pre>").expect("the text");
            let left: String = text.replace("<a href=\"/manual/", "").replace("</a>", "");
            let tags = left.matches('<').count();
            assert_eq!(tags, "</pre></main></body></html>".matches('<').count());
        }
        assert_eq!(manual("/manual/nonsense"), None);
        assert_eq!(link("a [b](c.md) d"), Some(("a ", "b", "c.md", " d")));
        assert_eq!(link("](x"), None);
    }
}
