//! Finds out which keys a reload would have to change and can't: those that are read at start only.

use std::sync::Arc;

use crate::config::{AccessLog, AdminConfig, Definition, Effective, LimitsConfig, ListenerConfig};
use crate::program::Program;

/// What a server keeps from its start to its end, without the rest of the program that it was started with.
pub(super) struct StartKeys {
    workers: usize,
    limits: LimitsConfig,
    listeners: Vec<ListenerConfig>,
    admin: Option<AdminConfig>,
    access_log: Option<AccessLog>,
    /// What `[traces]` says of the collector.
    traces: Option<Definition>,
    /// All values, as they are shown.
    effective: Arc<Effective>,
}

impl StartKeys {
    /// Those of the program that the server is started with.
    pub(super) fn of(program: &Program) -> Self {
        StartKeys {
            workers: program.workers,
            limits: program.limits,
            listeners: program.listeners.clone(),
            admin: program.admin.clone(),
            access_log: program.log.as_ref().and_then(|log| log.access.clone()),
            traces: program.traces.as_ref().map(|of| of.definition.clone()),
            effective: Arc::clone(&program.effective),
        }
    }

    /// The number of loops.
    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    /// The values that are in use once `now` is served, if these `keys` have changed.
    pub(super) fn in_use(&self, now: &Program, keys: &[String]) -> Arc<Effective> {
        match keys {
            [] => Arc::clone(&now.effective),
            _ => Arc::new(now.effective.in_place_of(&self.effective, keys)),
        }
    }

    /// The paths of the keys in which `now` differs, and that take a restart.
    pub(super) fn changed(&self, now: &Program) -> Vec<String> {
        changed_keys(self, &StartKeys::of(now))
    }
}

fn changed_keys(started: &StartKeys, now: &StartKeys) -> Vec<String> {
    let mut keys = Vec::new();
    if started.workers != now.workers {
        keys.push("server.workers".to_owned());
    }
    let limits = started.limits.changed_keys(&now.limits);
    keys.extend(limits.iter().map(|key| format!("server.limits.{key}")));
    keys.extend(listeners(started, now));
    match (&started.admin, &now.admin) {
        (Some(then), Some(now)) => {
            let differs = [
                ("listen", then.listen != now.listen),
                ("purge", then.purge != now.purge),
                ("try", then.try_it != now.try_it),
                ("token", then.token != now.token),
                // A reload reads its files again.
                ("tls", then.tls.is_some() != now.tls.is_some()),
                ("calls_kept", then.calls_kept != now.calls_kept),
                ("calls_sampled", then.calls_sampled != now.calls_sampled),
                ("calls_values", then.calls_values != now.calls_values),
                (
                    "unready_refusals",
                    then.unready_refusals != now.unready_refusals,
                ),
            ];
            let changed = differs.iter().filter(|(_, differs)| *differs);
            keys.extend(changed.map(|(key, _)| format!("admin.{key}")));
        }
        (Some(_), None) | (None, Some(_)) => keys.push("admin".to_owned()),
        _ => {}
    }
    if started.access_log != now.access_log {
        keys.push("log.access".to_owned());
    }
    // Without the table no call is taken for the collector any more, and with it again as it was at the start they are.
    if now.traces.is_some() && started.traces != now.traces {
        keys.push("traces".to_owned());
    }
    let mut seen = Vec::new();
    keys.retain(|key| {
        let is_new = !seen.contains(key);
        seen.push(key.clone());
        is_new
    });
    keys
}

/// The changed keys of listeners: each is compared with the one that was in its place.
fn listeners(started: &StartKeys, now: &StartKeys) -> Vec<String> {
    let whole = |table: &str| match table {
        "server" => "server.listen".to_owned(),
        table => table.to_owned(),
    };
    let in_place = |program: &'_ StartKeys, table: &str| {
        let mut all = program.listeners.iter();
        all.position(|listener| listener.table == table)
    };
    let mut keys = Vec::new();
    for then in &started.listeners {
        match in_place(now, &then.table) {
            Some(at) => keys.extend(then.changed_keys(&now.listeners[at])),
            None => keys.push(whole(&then.table)),
        }
    }
    let added = now.listeners.iter();
    let added = added.filter(|listener| in_place(started, &listener.table).is_none());
    keys.extend(added.map(|listener| whole(&listener.table)));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::check;

    fn program(config: &str) -> StartKeys {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (server, above) = config.split_once("---").unwrap_or((config, ""));
        let config = format!("{above}\n[server]\nidl = 's.thrift'\nunserved = '*'\n{server}");
        for (name, text) in [
            ("s.thrift", "service S { void ping() }"),
            ("t.toml", &config),
        ] {
            std::fs::write(folder.path().join(name), text).expect("the folder is ours");
        }
        let path = folder.path().join("t.toml");
        let checked = check(&path.to_string_lossy(), &Vec::new());
        StartKeys::of(&checked.unwrap_or_else(|problems| panic!("{config}\n{problems:?}")))
    }

    /// Keys of `[server]` before and after; what follows `---` is above `[server]`.
    #[track_caller]
    fn assert_changed(before: &str, after: &str, expected: &[&str]) {
        let (before, after) = (program(before), program(after));
        assert_eq!(changed_keys(&before, &after), expected);
        assert_eq!(changed_keys(&after, &after), [""; 0]);
    }

    #[test]
    fn the_keys_of_the_server_are_named() {
        assert_changed("", "drain_timeout = '1s'", &[]);
        assert_changed("", "workers = 2", &["server.workers"]);
        assert_changed("", "listen = '127.0.0.1:1'", &["server.listen"]);
        assert_changed("", "meta = false", &["server.meta"]);
        assert_changed(
            "limits = { values_max = 7 }",
            "limits = { calls_max = 1, idle_timeout = '1m' }",
            &[
                "server.limits.values_max",
                "server.limits.calls_max",
                "server.limits.idle_timeout",
            ],
        );
        let admin = |port| format!("---admin = {{ listen = '127.0.0.1:{port}' }}");
        assert_changed("", &admin(1), &["admin"]);
        assert_changed(&admin(1), "", &["admin"]);
        assert_changed(&admin(1), &admin(2), &["admin.listen"]);
        assert_changed(
            &admin(1),
            &admin(1).replace(" }", ", calls_values = true }"),
            &["admin.calls_values"],
        );
        let traces = |keys: &str| format!("---traces = {{ endpoint = 'http://c', {keys} }}");
        assert_changed("", &traces("queue = 1"), &["traces"]);
        assert_changed(&traces("queue = 1"), &traces("queue = 2"), &["traces"]);
        assert_changed(&traces("queue = 1"), "", &[]);
        let log = |keys: &str| format!("---log = {{ {keys} }}");
        assert_changed(&log(""), &log("access = 'stdout'"), &["log.access"]);
        assert_changed("", &log("slow = '2s'"), &[]);
        assert_changed(&traces("share = 0.1"), &traces("share = 0.2"), &[]);
    }

    #[test]
    fn the_keys_of_listeners_are_named() {
        let two = |first: &str, second: &str| {
            format!("listeners = [{{ listen = '127.0.0.1:1'{first} }}, {{ {second} }}]")
        };
        let before = two("", "listen = 'unix:///run/s'");
        for (first, second, expected) in [
            ("", "listen = 'unix:///run/t'", "server.listeners[1].listen"),
            (
                "",
                "listen = 'unix:///run/s', mode = '0660'",
                "server.listeners[1].mode",
            ),
            (
                ", connections_max = 5",
                "",
                "server.listeners[0].connections_max",
            ),
            (
                ", idle_timeout = '5s'",
                "",
                "server.listeners[0].idle_timeout",
            ),
            (
                ", transports = ['framed']",
                "",
                "server.listeners[0].transports",
            ),
            (
                ", protocols = ['binary']",
                "",
                "server.listeners[0].protocols",
            ),
            (
                ", plain_tokens = true",
                "",
                "server.listeners[0].plain_tokens",
            ),
            (", meta = false", "", "server.listeners[0].meta"),
            (", service = 'S'", "", "server.listeners[0].service"),
        ] {
            let second = if second.is_empty() {
                "listen = 'unix:///run/s'"
            } else {
                second
            };
            let after = two(first, second);
            assert_changed(&before, &after, &[expected]);
            assert_changed(&after, &before, &[expected]);
        }
        let one = "listeners = [{ listen = '127.0.0.1:1' }]";
        assert_changed(&before, one, &["server.listeners[1]"]);
        assert_changed(one, &before, &["server.listeners[1]"]);
        assert_changed("", one, &["server.listen", "server.listeners[0]"]);
    }

    #[test]
    fn a_default_that_changes_is_named_where_it_is_set() {
        let of = |defaults: &str, own: &str| {
            format!("{defaults}\nlisteners = [{{ listen = '127.0.0.1:1'{own} }}]")
        };
        let limits = "limits = { connections_max = 7 }";
        assert_changed(
            &of("", ""),
            &of(limits, ""),
            &["server.limits.connections_max"],
        );
        assert_changed(&of("", ""), &of("meta = false", ""), &["server.meta"]);
        let own = ", connections_max = 7, meta = true";
        assert_changed(&of("", own), &of("meta = false", own), &[]);
    }
}
