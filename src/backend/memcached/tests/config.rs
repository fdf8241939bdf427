//! The keys of the configuration, and every way for them to be wrong.

use super::*;
use crate::backend::Yields;

#[test]
fn defaults_and_keys() {
    let config =
        testing::config::<Memcached>("servers = ['a:1', 'unix:///run/m.sock']").expect("valid");
    let shown = |config: &Config| {
        (
            config.servers.len(),
            config.connections,
            config.connect_timeout,
            config.answer_timeout,
        )
    };
    let (second, half) = (Duration::from_secs(1), Duration::from_millis(500));
    assert_eq!(shown(&config), (2, 2, second, half));
    let keys = "servers = ['a:1']\nconnections = 8\nconnect_timeout = '2s'\nanswer_timeout = '1s'";
    let config = testing::config::<Memcached>(keys).expect("valid");
    assert_eq!(shown(&config), (1, 8, 2 * second, second));
}

#[test]
fn what_is_wrong_with_a_backend() {
    let problems = |keys: &str| testing::config_problems::<Memcached>(keys).join("\n");
    let example = "`servers = [\"127.0.0.1:11211\"]`";
    assert_eq!(
        problems(""),
        format!("config.missing_key : `servers` is missing (add {example})")
    );
    assert_eq!(
        problems("servers = []"),
        format!("config.bad_value servers: no server is named (such as {example})")
    );
    assert_eq!(
        problems("servers = 'a:1'"),
        "config.bad_value servers: expected an array of strings, found a string (put it in brackets: `[\"...\"]`)"
    );
    assert_eq!(
        problems("servers = ['a:1', 'b:2', 'a:1']"),
        "config.bad_value servers[2]: `a:1` is listed twice"
    );
    let both = problems("servers = ['cache', '[::1]:11211']");
    assert!(
        both.contains("`cache` is not the address of a server"),
        "{both}"
    );
    assert!(both.contains("IPv6 addresses can't be used"), "{both}");
    assert_eq!(
        problems("servers = ['a:1']\nconnections = 9"),
        "config.bad_value connections: 9 is out of range (1 to 8)"
    );
    assert!(problems("servers = ['a:1']\nconnect_timeout = '0s'").contains("in no time"));
    assert!(problems("server = ['a:1']").contains("did you mean `servers`?"));
}

#[test]
fn parameters_and_yields() {
    let read = |keys: &str| {
        let compiled = compiled(keys);
        (compiled.params.join(" "), compiled.yields)
    };
    assert_eq!(read("get = 'a:{b}:{a}:{b}'"), ("b a".into(), Yields::Text));
    assert_eq!(read("get = 'a'\nformat = 'json'").1, Yields::Any);
    assert_eq!(read("get = 'a'\nformat = 'bytes'").1, Yields::Bytes);
    assert_eq!(read("get = 'a'\nformat = 'i64'").1, Yields::Integer);
    assert_eq!(read("get = 'a'\nformat = 'double'").1, Yields::Double);
}

#[test]
fn what_is_wrong_with_a_lookup() {
    let config = testing::config::<Memcached>("servers = ['a:1']").expect("valid");
    let problems = |keys: &str| testing::lookup_problems::<Memcached>(&config, keys).join("\n");
    assert_eq!(
        problems(""),
        "config.missing_key : `get` is missing (add `get = \"airport:{code}\"`)"
    );
    let help = "(printable ASCII without blanks, 1 to 250 bytes)";
    assert_eq!(
        problems("get = 'a b'"),
        format!("config.bad_value get: no memcached key can have this text {help}")
    );
    assert_eq!(
        problems("get = ''"),
        format!("config.bad_value get: no memcached key is empty {help}")
    );
    assert_eq!(
        problems(&format!("get = '{}'", "a".repeat(251))),
        format!("config.bad_value get: no memcached key is so long {help}")
    );
    assert!(problems("get = 'a{'").contains("is never closed"));
    assert!(problems("get = 'a'\nformat = 'jsn'").contains("did you mean `\"json\"`?"));
    assert!(problems("get = 'a'\nhget = 'b'").contains("config.unknown_key hget"));
}
