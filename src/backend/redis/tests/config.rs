//! The keys of the configuration, and every way for them to be wrong.

use super::*;
use crate::backend::Yields;

/// The problems of a lookup with these keys, one line each.
fn problems(keys: &str) -> String {
    let document = document(keys);
    let mut section = whole(&document);
    let compiled = Command::read(&mut section);
    section.finish();
    let problems = document.problems.into_vec();
    assert!(compiled.is_some() || !problems.is_empty(), "{keys}");
    let line = |problem: crate::diagnostic::Problem| {
        format!(
            "{} {}: {} ({})\n",
            problem.code,
            problem.key,
            problem.message,
            problem.help.unwrap_or_default()
        )
    };
    problems.into_iter().map(line).collect()
}

fn backend_problem(keys: &str) -> String {
    let document = document(keys);
    let mut section = whole(&document);
    let config = Redis::read_config(&mut section);
    section.finish();
    let problems = document.problems.into_vec();
    assert!(config.is_some() || !problems.is_empty(), "{keys}");
    problems
        .iter()
        .map(|problem| problem.render(false))
        .collect()
}

#[test]
fn parameters_and_yields() {
    let read = |keys: &str| {
        let compiled = compiled(keys);
        (compiled.params.join(" "), compiled.yields)
    };
    assert_eq!(read("get = 'a:{b}:{a}'"), ("b a".into(), Yields::Text));
    assert_eq!(read("get = 'a'\nformat = 'json'").1, Yields::Any);
    assert_eq!(read("get = 'a'\nformat = 'i64'").1, Yields::Integer);
    assert_eq!(
        read("hget = '{k}'\nfield = '{f}{k}'\nformat = 'double'"),
        ("k f".into(), Yields::Double)
    );
    assert_eq!(read("hmget = '{k}'\nfields = ['a']").1, Yields::Record);
    assert_eq!(read("hgetall = '{k}'").1, Yields::Record);
    assert_eq!(read("mget = '{k}'").1, Yields::List);
    assert_eq!(read("zrange = 'z'\nwith_scores = true").1, Yields::List);
    assert_eq!(
        read("sismember = '{k}'\nmember = '{m}'"),
        ("k m".into(), Yields::Bool)
    );
    assert_eq!(read("zscore = 'z'\nmember = '{m}'").1, Yields::Double);
    assert_eq!(read("ttl = 'z'").1, Yields::Integer);
}

#[test]
fn a_lookup_is_one_known_command() {
    let none = problems("format = 'json'");
    assert!(
        none.contains("config.missing_key") && none.contains("`hgetall`"),
        "{none}"
    );
    let slip = problems("gte = 'a'");
    assert_eq!(
        slip,
        "config.unknown_key gte: no Redis command of that name can be asked (did you mean `get`?)\n"
    );
    let write = problems("flushall = 'x'");
    assert!(
        write.contains("no command says what to ask") && write.contains("unknown key"),
        "{write}"
    );
    let two = problems("get = 'a'\nhget = 'b'\nfield = 'c'");
    assert!(
        two.starts_with("config.clash hget: `hget` can't be used with `get`"),
        "{two}"
    );
    assert_eq!(two.lines().count(), 1, "{two}");
}

#[test]
fn accompanying_keys_are_required_and_checked() {
    assert!(problems("hget = 'a'").contains("add `field = \"name\"`"));
    assert!(problems("sismember = 'a'").contains("`member` is missing"));
    assert!(problems("hmget = 'a'").contains("`fields` is missing"));
    assert!(problems("hmget = 'a'\nfields = []").contains("no fields to ask for"));
    assert!(problems("hmget = 'a'\nfields = ['x', 'x']").contains("`x` is listed twice"));
    assert!(problems("hmget = 'a'\nfields = 'x'").contains("expected an array of strings"));
    assert!(problems("lrange = 'a'\nstart = 'x'").contains("expected an integer"));
    assert!(problems("mget = 'a'").contains("needs a parameter that is a list"));
    assert!(problems("get = 'a{'").contains("never closed"));
    assert!(problems("get = 1").contains("expected a string"));
    assert!(problems("get = 'a'\nformat = 'jsn'").contains("did you mean `\"json\"`?"));
    assert!(problems("get = 'a'\nformt = 'json'").contains("did you mean `format`?"));
    assert!(problems("exists = 'a'\nformat = 'json'").contains("unknown key"));
    assert!(problems("lrange = 'a'\nreverse = true").contains("unknown key"));
}

#[test]
fn urls_are_checked_and_never_shown() {
    for good in [
        "redis://h",
        "redis://u:p@h:1/2",
        "unix:///run/redis.sock",
        "redis://[::1]:6379",
        "rediss://h",
        "valkeys://h:1",
    ] {
        assert_eq!(backend_problem(&format!("url = '{good}'")), "", "{good}");
    }
    assert!(backend_problem("").contains("`url` is missing"));
    assert!(backend_problem("url = 'redis://h'\nconnections = 17").contains("1 to 16"));
    unsafe_to_show("http://u:canary@h");
    unsafe_to_show("redis://u:canary@h/x");
    unsafe_to_show("rediss://u:canary@h/x");
}

#[test]
fn servers_are_named_in_exactly_one_way() {
    let cluster = "urls = ['redis://a:1', 'redis://b']";
    let sentinels = "sentinels = ['a:1', 'b']\nmaster = 'm'";
    for good in [
        cluster.to_owned(),
        format!("{cluster}\nanswer_timeout = '100ms'"),
        sentinels.to_owned(),
        format!(
            "{sentinels}\nuser = 'u'\npassword = 'p'\ndb = 3\nsentinel_password = 'q'\nconnections = 2"
        ),
        "sentinels = ['rediss://a:1']\nmaster = 'm'".to_owned(),
    ] {
        assert_eq!(backend_problem(&good), "", "{good}");
    }
    for (keys, problem) in [
        (
            format!("{cluster}\nurl = 'redis://h'"),
            "`urls` can't be used with `url`",
        ),
        (
            format!("{cluster}\n{sentinels}"),
            "`sentinels` can't be used with `urls`",
        ),
        (
            format!("{cluster}\nmaster = 'm'"),
            "`master` is only valid with `sentinels`",
        ),
        (
            format!("{cluster}\nconnections = 2"),
            "`connections` can't be used with `urls`",
        ),
        (
            format!("{sentinels}\nanswer_timeout = '1s'"),
            "`answer_timeout` is only valid with `urls`",
        ),
        ("urls = []".into(), "1 to 100 addresses"),
        ("urls = ['redis://a/1']".into(), "database 0 only"),
        (
            "urls = ['redis://a', 'rediss://b']".into(),
            "these URLs differ",
        ),
        (
            "urls = ['redis://:p@a', 'redis://b']".into(),
            "these URLs differ",
        ),
        ("urls = ['unix:///a']".into(), "by host and port"),
        ("urls = ['a:1']".into(), "not the URL"),
        (
            "url = 'redis://a'\ntls = {}".into(),
            "begins with `rediss:`",
        ),
        ("sentinels = ['a:1']".into(), "add `master = \"mymaster\"`"),
        (
            "sentinels = ['redis://:p@a']\nmaster = 'm'".into(),
            "a sentinel is a host and a port",
        ),
        (
            "sentinels = ['a', 'rediss://b']\nmaster = 'm'".into(),
            "or for none",
        ),
        (
            format!("{sentinels}\nuser = 'u'"),
            "`user` without `password`",
        ),
        ("ulrs = ['redis://a']".into(), "did you mean `urls`?"),
    ] {
        let found = backend_problem(&keys);
        assert!(found.contains(problem), "{keys}: {found}");
        assert_eq!(found.matches("error[").count(), 1, "{keys}: {found}");
    }
}

#[test]
fn replicas_are_read_only_with_sentinels_or_a_cluster() {
    let cluster = "urls = ['redis://a:1']";
    let sentinels = "sentinels = ['a:1']\nmaster = 'm'";
    for several in [cluster, sentinels] {
        for from in ["master", "replica"] {
            let keys = format!("{several}\nread_from = '{from}'");
            assert_eq!(backend_problem(&keys), "", "{keys}");
        }
        let found = backend_problem(&format!("{several}\nread_from = 'slave'"));
        assert!(found.contains("one of `master`, `replica`"), "{found}");
    }
    let one = backend_problem("url = 'redis://h'\nread_from = 'replica'");
    let says = "`read_from` is only valid with `urls` or `sentinels`";
    assert!(one.contains(says), "{one}");
}

#[test]
fn addresses_lead_elsewhere_only_with_sentinels_or_a_cluster() {
    let addresses = "addresses = { '10.0.0.1:6379' = '127.0.0.1:7001' }";
    for several in [
        "urls = ['redis://a:1']",
        "sentinels = ['a:1']\nmaster = 'm'",
    ] {
        assert_eq!(backend_problem(&format!("{several}\n{addresses}")), "");
        let bad = backend_problem(&format!("{several}\naddresses = {{ a = 'b:1' }}"));
        assert!(
            bad.contains("`a` is not an address: it has no port"),
            "{bad}"
        );
        assert_eq!(bad.matches("error[").count(), 1, "{bad}");
    }
    let one = backend_problem(&format!("url = 'redis://h'\n{addresses}"));
    let says = "`addresses` is only valid with `urls` or `sentinels`";
    assert!(one.contains(says), "{one}");
}

/// A URL from the environment that is wrong: the problem's text may show the line, but not the URL.
#[track_caller]
fn unsafe_to_show(url: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("url");
    std::fs::write(&path, url).expect("written");
    let problem = backend_problem(&format!("url = 'file:{}'", path.display()));
    assert!(
        problem.contains("config.bad_value") && !problem.contains("canary"),
        "{problem}"
    );
}
