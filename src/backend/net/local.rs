//! A connection to a server on the same machine, over a Unix socket. In tests of this crate it may also lead to a server in
//! memory, which [`simulated`] connects, so that real clients run in paused time.

#[cfg(not(test))]
pub(in crate::backend) use tokio::net::UnixStream as Local;

#[cfg(test)]
pub(in crate::backend) use self::simulated::Local;

use std::io;
#[cfg(test)]
use std::path::Path;

/// Connects to the socket at `path`.
pub(in crate::backend) async fn connect_local(path: &str) -> io::Result<Local> {
    #[cfg(test)]
    let connected = simulated::connect(Path::new(path)).await;
    #[cfg(not(test))]
    let connected = Local::connect(path).await;
    connected
}

#[cfg(test)]
pub(crate) mod simulated {
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::io;
    use std::path::{Path, PathBuf};
    use std::rc::Rc;

    use tokio::io::DuplexStream;
    use tokio::net::UnixStream;
    use tokio_util::either::Either;

    pub(in crate::backend) type Local = Either<UnixStream, DuplexStream>;
    type Connect = Rc<dyn Fn() -> io::Result<DuplexStream>>;

    thread_local! {
        static SERVERS: RefCell<HashMap<PathBuf, Connect>> = RefCell::default();
    }

    /// From now on, connections of this thread to `path` are made by `connect`.
    pub(crate) fn serve(path: &str, connect: impl Fn() -> io::Result<DuplexStream> + 'static) {
        SERVERS.with_borrow_mut(|servers| servers.insert(path.into(), Rc::new(connect)));
    }

    pub(super) async fn connect(path: &Path) -> io::Result<Local> {
        let server = SERVERS.with_borrow(|servers| servers.get(path).cloned());
        match server {
            Some(connect) => connect().map(Either::Right),
            None => UnixStream::connect(path).await.map(Either::Left),
        }
    }
}
