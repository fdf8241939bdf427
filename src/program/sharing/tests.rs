//! What is read of `cache` and `coalesce`, and what is refused.

use super::*;
use crate::config::{document, whole};

/// What is read, and the messages of its problems.
fn read(text: &str) -> (Sharing, Vec<String>) {
    let document = document(text);
    let mut section = whole(&document);
    let (sharing, _) = Sharing::read(&mut section);
    section.finish();
    let problems = document.problems.into_vec().into_iter();
    let messages = problems.map(|problem| format!("{}: {}", problem.key, problem.message));
    (sharing, messages.collect())
}

#[test]
fn a_cache_has_defaults_and_shares_its_misses() {
    let (sharing, problems) = read("cache = { ttl = '30s' }");
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(sharing.coalesce, Coalesce::UnderWay);
    assert!(sharing.answers());
    let cache = sharing.cache.expect("a cache");
    assert_eq!(cache.ttl, Duration::from_secs(30));
    assert_eq!((cache.entries, cache.bytes), (10_000, 16 << 20));
    let more = [cache.stale, cache.stale_if_error, cache.negative_ttl];
    assert_eq!(more, [Duration::ZERO; 3]);

    let (off, _) = read("cache = { ttl = '30s', mode = 'off' }");
    assert!(!off.is_any());
    let (measured, _) = read("cache = { ttl = '30s', mode = 'measure' }");
    assert!(measured.is_any() && !measured.answers());
    assert_eq!(measured.coalesce, Coalesce::No);
    let (fresh, _) = read("cache = { ttl = '30s' }\ncoalesce = 'fresh'");
    assert_eq!(fresh.coalesce, Coalesce::Unsent);
    assert!(!read("").0.is_any());
}

/// The problems of a configuration with this backend and this lookup, or else its warnings.
fn checked(backend: &str, lookup: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let remote = "include 'tributary.thrift'
        service R { i64 get(1: i64 n), i64 mine(1: i64 n, 2: tributary.Context context) }";
    let idl = "struct R { 1: optional i64 it } service S { R get(1: i64 n) }";
    let view = if lookup.contains("[views") {
        ""
    } else {
        "[views.get.lookups]\nit = 'it'"
    };
    let toml = format!(
        "[server]\nidl = 's.thrift'\n[backends.store]\n{backend}\n[lookups.it]\n\
         backend = 'store'\n{lookup}\n{view}\n"
    );
    for (name, text) in [
        ("s.thrift", idl),
        ("r.thrift", remote),
        ("rows.csv", "n\n1\n"),
        ("t.toml", &toml),
    ] {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    }
    let path = folder.path().join("t.toml");
    let path = path.to_string_lossy();
    let problems = match crate::program::check(&path, &Vec::new()) {
        Ok(program) => program
            .warnings
            .iter()
            .map(|one| one.render(false))
            .collect(),
        Err(problems) => problems
            .iter()
            .map(|one| one.render(false))
            .collect::<Vec<_>>(),
    };
    problems
        .iter()
        .map(|text| text.replace(&*path, "t.toml"))
        .collect()
}

#[test]
fn a_lookup_whose_answers_are_not_for_all_is_refused_with_its_line() {
    let postgres = "kind = 'postgres'\nurl = 'postgresql://u@127.0.0.1:1/d'";
    let thrift = "kind = 'thrift'\nurl = 'thrift://127.0.0.1:1'\nidl = 'r.thrift'";
    let insert = "sql = 'insert into t values (:n) returning 1'\nrows = 'value'";
    for (backend, lookup, says) in [
        (postgres, insert, "the statement writes"),
        (thrift, "call = 'mine'", "gets a `tributary.Context`"),
    ] {
        for keys in ["cache = { ttl = '1s' }", "coalesce = 'fresh'"] {
            let problems = checked(backend, &format!("{lookup}\n{keys}"));
            let [problem] = &problems[..] else {
                panic!("{problems:?}");
            };
            assert!(
                problem.contains(says) && problem.contains("= help: leave `c"),
                "{problem}"
            );
            assert!(problem.contains("config.clash"), "{problem}");
            assert!(problem.contains("t.toml:10:"), "{problem}");
        }
    }
    for (backend, lookup) in [
        (postgres, "sql = 'select :n'\nrows = 'value'"),
        (thrift, "call = 'get'"),
    ] {
        let problems = checked(backend, &format!("{lookup}\ncache = {{ ttl = '1s' }}"));
        assert_eq!(problems, [""; 0]);
    }
}

#[test]
fn a_cache_for_rows_in_memory_is_a_warning() {
    let file = "kind = 'file'\npath = 'rows.csv'\ntypes = { n = 'i64' }";
    let lookup = "key = { n = '{n}' }\nrows = 'value'";
    let warnings = checked(file, &format!("{lookup}\ncache = {{ ttl = '1s' }}"));
    assert!(
        warnings.len() == 1 && warnings[0].contains("are in memory already"),
        "{warnings:?}"
    );
    assert_eq!(
        checked(file, &format!("{lookup}\ncoalesce = true")),
        [""; 0]
    );
}

#[test]
fn a_key_that_each_call_has_for_itself_is_a_warning() {
    let redis = "kind = 'redis'\nurl = 'redis://127.0.0.1:1'";
    let lookup = "get = '{n}:{id}'\nformat = 'i64'\ncache = { ttl = '1s' }";
    let bound = |id: &str| {
        let view = format!("\nit = {{ use = 'it', with = {{ id = 'context.{id}' }} }}");
        checked(redis, &format!("{lookup}\n[views.get.lookups]{view}"))
    };
    let warnings = bound("request_id");
    assert!(
        warnings.len() == 1 && warnings[0].contains("no answer is ever found again"),
        "{warnings:?}"
    );
    assert_eq!(bound("baggage.user"), [""; 0]);
}

#[test]
fn impossible_policies_are_problems_of_their_keys() {
    for (text, problem) in [
        ("cache = { stale = '1m' }", "cache: `ttl` is missing"),
        (
            "cache = { ttl = '0s' }",
            "cache.ttl: no answer is ever fresh",
        ),
        (
            "cache = { ttl = '1s', bytes = '512B' }",
            "cache.bytes: no answer fits in so little",
        ),
        (
            "cache = { ttl = '1s', entries = 0 }",
            "cache.entries: 0 is out of range",
        ),
        (
            "cache = { ttl = '1s', mode = 'on' }",
            "cache.mode: `on` is not known here",
        ),
        (
            "coalesce = 'always'",
            "coalesce: expected `true`, `false` or `\"fresh\"`, found a string",
        ),
        (
            "cache = { ttl = '1s' }\ncoalesce = false",
            "coalesce: a cache asks once for an answer that several calls miss",
        ),
        (
            "cache = { ttl = '1s', tll = '1s' }",
            "cache.tll: unknown key",
        ),
    ] {
        assert_eq!(read(text).1, [problem], "{text}");
    }
}

#[test]
fn invalidate_is_refused_where_the_store_says_nothing() {
    let problem = |backend: &str, lookup: &str| {
        let all = checked(backend, lookup);
        let first = all.first().map(String::as_str).unwrap_or_default();
        first.lines().next().unwrap_or_default().to_owned()
    };
    let cache = |invalidate: &str| format!("cache = {{ ttl = '1h', invalidate = {invalidate} }}");
    let redis = "kind = 'redis'\nurl = 'redis://127.0.0.1:1'";
    let get = |invalidate: &str| format!("get = 'n:{{n}}'\nformat = 'i64'\n{}", cache(invalidate));
    assert_eq!(problem(redis, &get("true")), "");
    assert_eq!(problem(redis, &get("false")), "");
    for (said, wanted) in [
        ("1", "expected `true`, `false` or a table"),
        ("{}", "`listen` is missing"),
        ("{ listen = '' }", "not the name of a channel"),
        (
            "{ listen = 'n' }",
            "Redis itself says which keys have changed",
        ),
    ] {
        let said = problem(redis, &get(said));
        assert!(said.contains(wanted), "{said}");
    }
    let all = format!("get = '{{n}}'\nformat = 'i64'\n{}", cache("true"));
    assert!(problem(redis, &all).contains("no fixed beginning"));
    let ttl = format!("ttl = 'n:{{n}}'\n{}", cache("true"));
    assert!(problem(redis, &ttl).contains("changes by itself"));
    let cluster = "kind = 'redis'\nurls = ['redis://127.0.0.1:1']";
    assert_eq!(problem(cluster, &get("true")), "");
    let replica = format!("{cluster}\nread_from = 'replica'");
    assert!(problem(&replica, &get("true")).contains("a replica may still have the old value"));
    let replicas =
        "kind = 'redis'\nsentinels = ['127.0.0.1:1']\nmaster = 'm'\nread_from = 'replica'";
    assert!(problem(replicas, &get("true")).contains("a replica may still have the old value"));

    let url = "kind = 'postgres'\nurl = 'postgresql://a@127.0.0.1:1/a";
    let postgres = format!("{url}'");
    let sql = |invalidate: &str| {
        let sql = "sql = 'select :n::bigint'\nrows = 'value'";
        format!("{sql}\n{}", cache(invalidate))
    };
    assert_eq!(problem(&postgres, &sql("{ listen = 'n' }")), "");
    assert_eq!(problem(&postgres, &sql("{ listen = 'n', key = 'n' }")), "");
    let said = problem(&postgres, &sql("{ listen = 'n', key = 'm' }"));
    assert!(said.contains("the lookup has no parameter `m`"), "{said}");
    assert!(problem(&postgres, &sql("true")).contains("does not say by itself"));
    let pooler = format!("{postgres}\npooler = 'transaction'");
    assert!(problem(&pooler, &sql("{ listen = 'n' }")).contains("nothing can be heard there"));
    let hosts = "kind = 'postgres'\nurl = 'postgresql://a@h:1,i:1/a";
    let said = problem(&format!("{hosts}'"), &sql("{ listen = 'n' }"));
    assert!(said.contains("a standby may still have old rows"), "{said}");
    let primary = format!("{hosts}?target_session_attrs=read-write'");
    assert_eq!(problem(&primary, &sql("{ listen = 'n' }")), "");

    let http = "kind = 'http'\nurl = 'http://127.0.0.1:1'";
    let said = problem(http, &format!("get = '/{{n}}'\n{}", cache("true")));
    assert!(said.contains("does not say what has changed"), "{said}");
}
