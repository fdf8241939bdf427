//! The keys, and what an operator reads when they are wrong.

use super::*;
use crate::backend::Yields;

/// The only problem with these keys of a backend, in addition to a URL and the IDL.
#[track_caller]
fn backend_problem(keys: &str) -> String {
    let folder = folder();
    let idl = folder.path().join("users.thrift");
    let toml = format!("idl = {idl:?}\n{keys}");
    let mut problems = testing::config_problems::<Thrift>(&toml);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

#[track_caller]
fn lookup_problem(keys: &str) -> String {
    let config = config_of(&["thrift://127.0.0.1:1".into()], ONE);
    let mut problems = testing::lookup_problems::<Thrift>(&config, keys);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

#[test]
fn mistakes_in_backends_come_with_the_fix() {
    let users = "service = 'Users'\n";
    for (keys, problem) in [
        (
            "service = 'Users'",
            "config.missing_key : `url` is missing (add `url = \"thrift://127.0.0.1:9090\"`)",
        ),
        (
            "url = 'thrift://a:1'",
            "config.missing_key : the IDL declares 3 services (add `service = \"...\"` to `[]`; available: `Base`, \
             `Users`, `Others`)",
        ),
        (
            "url = 'thrift://a:1'\nservice = 'User'",
            "config.unknown_name service: the IDL has no service `User` (did you mean `Users`?)",
        ),
        (
            &format!("{users}url = 'http://a:1'"),
            "config.bad_value url: not the URL of a Thrift service (`thrift://host:port`, or `thrifts://..` for TLS, as in \
             `url = \"thrift://127.0.0.1:9090\"`)",
        ),
        (
            &format!("{users}url = 'thrift://a:1'\ntls = {{ verify = 'none' }}"),
            "config.bad_value url: with `tls` the URL begins with `thrifts:` (or leave out `tls`)",
        ),
        (
            &format!("{users}urls = ['thrifts://a:1', 'thrift://b:1']"),
            "config.bad_value urls: some of the URLs want TLS and some do not (begin all of them with `thrifts:`, or all \
             with `thrift:`)",
        ),
        (
            &format!("{users}url = 'thrifts://a..b:1'"),
            "config.bad_value url: the host is not a name that a certificate could have (add `tls = { server_name = \
             \"..\" }` beside it)",
        ),
        (
            &format!("{users}url = 'thrifts://a:1'\ntls = {{ verfy = 'none' }}"),
            "config.unknown_key tls.verfy: unknown key (did you mean `verify`?)",
        ),
        (
            &format!("{users}url = 'thrift://a:1'\nurls = ['thrift://b:1']"),
            "config.bad_value url: `url` and `urls` both say where it is (keep `urls` for several, `url` for one)",
        ),
        (
            &format!("{users}urls = ['thrift://a:1', 'thrift://a:1']"),
            "config.bad_value urls: the same host and port are listed twice",
        ),
        (
            &format!("{users}urls = []"),
            "config.bad_value urls: no host is named (such as `urls = [\"thrift://a:9090\", \"thrift://b:9090\"]`)",
        ),
        (
            &format!("{users}url = 'thrift://a:1'\ntransport = 'frame'"),
            "config.bad_value transport: `frame` is not known here (did you mean `\"framed\"`?)",
        ),
        (
            &format!("{users}url = 'thrift://a:1'\nprotocol = 'json'"),
            "config.bad_value protocol: `json` is not known here (one of `binary`, `compact`)",
        ),
        (
            &format!("{users}url = 'thrift://a:1'\npipelined_max = 0"),
            "config.bad_value pipelined_max: 0 is out of range (1 to 1024)",
        ),
        (
            &format!("{users}url = 'thrift://a:1'\nmultiplex = true"),
            "config.unknown_key multiplex: unknown key (did you mean `multiplexed`?)",
        ),
    ] {
        assert_eq!(backend_problem(keys), problem, "{keys}");
    }
}

#[test]
fn a_missing_or_invalid_idl_is_reported_at_its_place() {
    let problems =
        testing::config_problems::<Thrift>("url = 'thrift://a:1'\nidl = 'nowhere.thrift'");
    assert_eq!(
        problems,
        [
            "config.file idl: there is no file `nowhere.thrift` (the path is relative to this file's folder)"
        ]
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let idl = folder.path().join("bad.thrift");
    std::fs::write(&idl, "service A { Nothing get() }").expect("the folder is ours");
    let toml = format!("url = 'thrift://a:1'\nidl = {idl:?}");
    let problems = testing::config_problems::<Thrift>(&toml);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("idl.invalid : unknown type `Nothing`"),
        "{problems:?}"
    );
}

#[test]
fn mistakes_in_lookups_come_with_the_fix() {
    for (keys, problem) in [
        (
            "",
            "config.missing_key : `call` is missing (add `call = \"method\"`)",
        ),
        (
            "call = 'getUsers'",
            "config.unknown_name call: service `Users` has no method `getUsers` (did you mean `getUser`?)",
        ),
        (
            "call = 'forget'",
            "config.bad_value call: method `forget` is oneway: it answers nothing (name a method that returns)",
        ),
        (
            "call = 'say'\nempty_on = ['NotFond']",
            "config.unknown_name empty_on[0]: method `say` does not throw `NotFond` (did you mean `NotFound`?)",
        ),
        (
            "call = 'getUser'\nempty_on = ['NotFound']",
            "config.unknown_name empty_on[0]: method `getUser` does not throw `NotFound` (the method declares no \
             exceptions)",
        ),
    ] {
        assert_eq!(lookup_problem(keys), problem, "{keys}");
    }
}

#[test]
fn lookups_have_the_methods_parameters_and_type() {
    for (method, params, yields) in [
        ("say", &["n"][..], Yields::Text),
        ("getUser", &["id"], Yields::Record),
        ("find", &["color", "limit", "skip", "weights"], Yields::List),
        ("ping", &[], Yields::Any),
    ] {
        let compiled = compiled(&format!("call = '{method}'"));
        let names: Vec<&str> = compiled.params.iter().map(|name| &**name).collect();
        assert_eq!(names, params);
        assert_eq!(compiled.yields, yields);
    }
}
