//! Lingering close: ends a connection whose client may still be sending, without losing the last reply.
//!
//! If the client's remaining bytes were not read, the end of the connection could reset it before the client has
//! read its reply.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::coop::Coop;
use crate::metrics::LoopMetrics;

/// How long the remaining bytes of a client that was refused are read and discarded.
pub(super) const REFUSED: Duration = Duration::from_secs(2);
/// The same for a client whose connection ends because the server drains: long enough for what it sent before it could
/// know.
pub(super) const DRAINED: Duration = Duration::from_millis(500);

/// Closes the writing half, and reads what the client still sends into `buffer`, for at most `time`.
pub(super) async fn linger<R, W>(
    (mut reader, mut writer): (R, W),
    (buffer, time): (&mut BytesMut, Duration),
    metrics: &LoopMetrics,
    coop: &Coop,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let reading = async {
        // In slices: thousands of clients may be refused at the same time.
        let ended = coop.in_slices(|| true, writer.shutdown()).await;
        ended.transpose()?;
        loop {
            buffer.clear();
            let read = reader.read_buf(buffer);
            match coop.in_slices(|| true, read).await.transpose()? {
                None | Some(0) => return io::Result::Ok(()),
                Some(bytes) => metrics.received.add(0, bytes),
            }
        }
    };
    // The connection ends in any case: by its client, by an error, or by the timeout.
    let _ended = timeout(time, reading).await;
}
