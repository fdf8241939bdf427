//! The library's API: a server inside a Rust program, with closures as additional lookups.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio_util::sync::CancellationToken;

use super::options::{Bound, Options};
use super::run::run;
use super::socket::Address;
use crate::backend::LookupError;
use crate::backend::closure::{Closure, Input};
use crate::diagnostic::Problem;
use crate::program::{Program, Refused, Registry, check, check_again};
use crate::value::Value;

/// A configuration to serve, and the lookups that the program adds to it.
pub struct Server {
    config: PathBuf,
    registry: Registry,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration or the IDL has problems.
    #[error("{}", rendered(.0))]
    Problems(Vec<Problem>),
    /// The address can't be bound, or a thread can't be started.
    #[error("can't start")]
    Io(#[from] io::Error),
}

fn rendered(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems
        .iter()
        .map(|problem| problem.render(false))
        .collect();
    texts.join("\n\n")
}

impl Server {
    /// Serves the configuration at `config`.
    pub fn new(config: impl Into<PathBuf>) -> Self {
        Server {
            config: config.into(),
            registry: Registry::new(),
        }
    }

    /// Adds a lookup that runs on the event loop, in the call's own task. It must not block. `params` are the names that a
    /// view's `with` binds. Returning `Value::Null` means that nothing was found: fate `empty`.
    #[must_use]
    pub fn lookup<F, R>(mut self, name: &str, params: &[&str], call: F) -> Self
    where
        F: Fn(Input) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, LookupError>> + 'static,
    {
        self.registry
            .push((Arc::from(name), Closure::new(params, call)));
        self
    }

    /// Like [`Server::lookup`], for a closure that blocks or computes: it runs on a bounded thread pool.
    #[must_use]
    pub fn blocking_lookup<F>(mut self, name: &str, params: &[&str], call: F) -> Self
    where
        F: Fn(Input) -> Result<Value, LookupError> + Send + Sync + 'static,
    {
        self.registry
            .push((Arc::from(name), Closure::blocking(params, call)));
        self
    }

    /// The checked program, or every problem of configuration and IDL.
    pub fn check(&self) -> Result<Program, Vec<Problem>> {
        check(&self.config.to_string_lossy(), &self.registry)
    }

    /// Like [`Server::check`], for a reload.
    fn check_again(&self) -> Result<Program, Refused> {
        check_again(&self.config.to_string_lossy(), &[], &self.registry)
    }

    /// Serves on this thread until SIGTERM or SIGINT; SIGHUP reloads. Calls in flight are finished.
    pub fn run(self) -> Result<(), StartError> {
        let program = Arc::new(self.check().map_err(StartError::Problems)?);
        let options = Options {
            shutdown: CancellationToken::new(),
            signals: true,
            reload: Some(Box::new(move || self.check_again())),
            log: None,
            bound: Box::new(Bound::log),
        };
        Ok(run(program, options)?)
    }

    /// Serves on its own thread until [`Running::stop`]. It reloads if its configuration has `server.reload = "on_change"`.
    pub fn spawn(self) -> Result<Running, StartError> {
        let program = Arc::new(self.check().map_err(StartError::Problems)?);
        let shutdown = CancellationToken::new();
        let (bound, addrs) = mpsc::channel();
        let options = Options {
            shutdown: shutdown.clone(),
            signals: false,
            reload: Some(Box::new(move || self.check_again())),
            log: None,
            // If `spawn` has failed by then, no one receives it.
            bound: Box::new(move |addrs| bound.send(addrs).unwrap_or_default()),
        };
        let serving = Arc::clone(&program);
        let thread = std::thread::Builder::new()
            .name("tributary".into())
            .spawn(move || run(serving, options))?;
        match addrs.recv() {
            Ok(bound) => Ok(Running {
                bound,
                program,
                shutdown,
                thread,
            }),
            Err(_ended) => match thread.join() {
                Ok(Err(err)) => Err(StartError::Io(err)),
                Ok(Ok(())) | Err(_) => Err(StartError::Io(io::ErrorKind::Other.into())),
            },
        }
    }
}

/// A server on its own thread. Dropping it does not stop it.
pub struct Running {
    bound: Bound,
    program: Arc<Program>,
    shutdown: CancellationToken,
    thread: JoinHandle<io::Result<()>>,
}

impl Running {
    /// Where clients connect: the first port. The configuration has to have one; without it
    /// [`Running::listeners`] says where the Unix sockets are.
    pub fn addr(&self) -> SocketAddr {
        let addr = self.bound.addr();
        addr.expect("the configuration listens on a port")
    }

    /// All addresses where clients connect, in the configuration's order.
    pub fn listeners(&self) -> &[Address] {
        &self.bound.listeners
    }

    /// The address of the admin port, if the configuration has one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.bound.admin
    }

    /// Starts to stop: no further calls are accepted, and calls in flight are finished. [`Running::stop`] waits for that.
    pub fn drain(&self) {
        self.shutdown.cancel();
    }

    /// The program that is served.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// Finishes the calls in flight and ends.
    pub fn stop(self) -> io::Result<()> {
        self.shutdown.cancel();
        self.thread
            .join()
            .unwrap_or_else(|_panic| Err(io::ErrorKind::Other.into()))
    }
}
