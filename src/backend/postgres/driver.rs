//! Names the future that moves the bytes of a connection, whatever its stream.

use futures_util::future::LocalBoxFuture;

/// Moves the bytes of a connection until it ends.
pub(super) type Driver = LocalBoxFuture<'static, Result<(), tokio_postgres::Error>>;
