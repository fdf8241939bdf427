//! The keys of the configuration, and every way for them to be wrong.

use super::*;
use crate::backend::Yields;

fn render(problems: &[crate::diagnostic::Problem]) -> String {
    problems
        .iter()
        .map(|problem| problem.render(false) + "\n")
        .collect()
}

fn backend_problem(keys: &str) -> String {
    let document = document(keys);
    let mut section = whole(&document);
    let config = Http::read_config(&mut section);
    section.finish();
    let problems = document.problems.into_vec();
    assert!(config.is_some() || !problems.is_empty(), "{keys}");
    render(&problems)
}

fn lookup_problem(keys: &str) -> String {
    let at = document("url = 'http://h'");
    let config = Http::read_config(&mut whole(&at)).expect("valid");
    let document = document(keys);
    let mut section = whole(&document);
    let compiled = Http::read_lookup(&config, &mut section);
    assert_eq!(compiled.is_some(), document.problems.is_empty(), "{keys}");
    section.finish();
    render(&document.problems.into_vec())
}

#[test]
fn backends() {
    let of_size =
        |size: &str| backend_problem(&format!("url = 'http://h'\nbody_bytes_max = '{size}'"));
    for good in [
        "http://h",
        "http://h:1",
        "http://h/v1/",
        "http://[::1]:80/a/b",
        "https://h/v1",
        "https://[::1]:443",
        "https://10.0.0.1",
    ] {
        assert_eq!(backend_problem(&format!("url = '{good}'")), "", "{good}");
    }
    for (bad, why) in [
        ("https://a_b..c", "not a name that a certificate could have"),
        ("ftp://h", "only `http:` and `https:`"),
        ("/just/a/path", "needs scheme and host"),
        ("not a url", "not a URL"),
        ("http://h/a?b=c", "a query can't be fixed"),
        ("http://h/a#b", "not a URL"),
        ("http://u:p@h", "user and password"),
        ("http://h:99999", "from 1 to 65535"),
        ("http://[::1]:0/a", "from 1 to 65535"),
    ] {
        let problem = backend_problem(&format!("url = '{bad}'"));
        assert!(problem.contains(why), "{problem}");
    }
    assert!(backend_problem("").contains("`url` is missing"));
    let of = |keys: &str| backend_problem(&format!("url = 'http://h'\n{keys}"));
    assert!(of("tls = {}").contains("begins with `https:`"));
    assert!(of("tls = { ca = 'no.pem' }").contains("can't read"));
    assert!(of("http2 = 'yes'").contains("expected `true` or `false`"));
    assert!(of_size("1 parsec").contains("is not a size"));
    assert!(of("headers = { 'a b' = 'x' }").contains("not a header's name"));
    assert!(of("headers = { Host = 'x' }").contains("HTTP itself writes"));
    assert!(of("headers = { a = 1 }").contains("expected a string"));
    assert!(of("headers = { a = \"x\\ny\" }").contains("line ends"));
    assert!(of("headers = { a = 'env:TRIBUTARY_SURELY_NOT_SET' }").contains("is not set"));
    assert!(of("conections = 3").contains("did you mean `connections`?"));
}

#[test]
fn lookups() {
    assert!(lookup_problem("").contains("`get` is missing"));
    assert!(lookup_problem("get = 'a'").contains("begins with `/`"));
    assert!(lookup_problem("post = 'a'").contains("begins with `/`"));
    assert!(lookup_problem("get = '/a'\npost = '/a'").contains("`post` can't be used with `get`"));
    assert!(lookup_problem("get = '/a'\nbody = {}").contains("a GET has no body"));
    assert!(lookup_problem("body = {}").contains("`get` is missing"));
    assert!(lookup_problem("post = '/a'\nbody = { a = '{' }").contains("`body.a`: `{` at"));
    assert!(lookup_problem("post = '/a'\nbody = { a = inf }").contains("no such number"));
    assert!(lookup_problem("get = '/a/{'").contains("never closed"));
    assert!(lookup_problem("get = '/a'\npointer = 'x'").contains("begins with `/`"));
    assert!(
        lookup_problem("get = '/a'\npointer = '/x'\nformat = 'text'").contains("into JSON only")
    );
    assert!(lookup_problem("get = '/a'\nformat = 'i64'").contains("not known here"));
    assert!(lookup_problem("get = '/a'\nempty_on = 404").contains("array of statuses"));
    assert!(lookup_problem("get = '/a'\nempty_on = [4040]").contains("array of statuses"));
    assert!(lookup_problem("get = '/a'\nheaders = { a = '{' }").contains("never closed"));
    assert!(lookup_problem("get = '/a'\nheaders = { a = \"\\n\" }").contains("line ends"));
    assert!(lookup_problem("get = '/a'\nheaders = { connection = 'x' }").contains("HTTP itself"));
}

#[tokio::test(flavor = "local")]
async fn parameters_and_yields() {
    let (_, config) = backend("http://h", "").await;
    let lookup = "get = '/{b}/{a}?c={c}'\nheaders = { x = '{a}{d}' }";
    let json = compiled(&config, lookup);
    assert_eq!(json.params.join(" "), "b a c d");
    assert_eq!(json.yields, Yields::Any);
    assert_eq!(
        compiled(&config, "get = '/'\nformat = 'text'").yields,
        Yields::Text
    );
    assert_eq!(
        compiled(&config, "get = '/'\nformat = 'bytes'").yields,
        Yields::Bytes
    );
}
