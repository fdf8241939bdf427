//! Finds where the server of a configuration is, for the commands that call it.

use std::path::Path;

use super::dial::UNIX;
use super::error::CommandError;
use super::health::reachable;
use crate::config::{Endpoint, ListenerConfig};
use crate::program;

/// The address of the first listener of the configuration at `path` that serves `service`.
pub(super) fn listener_of(path: &Path, service: &str) -> Result<String, CommandError> {
    let shown = path.display();
    let opened = program::open(&path.to_string_lossy(), &[]);
    let document = opened.map_err(|problem| vec![*problem])?;
    let listeners = program::read(&document).server.listeners;
    let serves = |listener: &&ListenerConfig| {
        let bound = listener.service.as_ref();
        bound.is_none_or(|(name, _)| *name == *service)
    };
    let misuse = |why: String| CommandError::misuse(why).help("name the address with `--addr`");
    let Some(listener) = listeners.iter().find(serves) else {
        return Err(misuse(format!(
            "no listener of `{shown}` serves `{service}`"
        )));
    };
    let key = format!("{}.listen", listener.table);
    match &listener.endpoint {
        Endpoint::Tcp(listen) => reachable(listen).ok_or_else(|| {
            misuse(format!(
                "`{shown}` takes any free port: `{key}` is `{listen}`"
            ))
        }),
        Endpoint::Unix { path, .. } => Ok(format!("{UNIX}{}", path.display())),
        Endpoint::Inherited(name) => Err(misuse(format!(
            "the service manager opens the socket `{name}`: `{key}` of `{shown}`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_where_its_configuration_says() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("t.toml");
        let found = |server: &str| {
            let text = format!("[server]\nidl = 's.thrift'\n{server}\n");
            std::fs::write(&path, text).expect("the folder is ours");
            listener_of(&path, "S").map_err(drop)
        };
        assert_eq!(found(""), Ok("127.0.0.1:9090".into()));
        assert_eq!(
            found("listen = '0.0.0.0:9191'"),
            Ok("127.0.0.1:9191".into())
        );
        assert_eq!(found("listen = '127.0.0.1:0'"), Err(()));
        let two = "[[server.listeners]]\nlisten = '10.0.0.1:1'\nservice = 'T'\n\
                   [[server.listeners]]\nlisten = '10.0.0.1:2'";
        assert_eq!(found(two), Ok("10.0.0.1:2".into()));
        let unix = found("listen = 'unix:///run/s.sock'");
        assert_eq!(unix, Ok("unix:///run/s.sock".into()));
    }
}
