//! The body of a response: all of it, or one that is sent in pieces for as long as its client listens.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// A body of this port.
#[derive(Debug)]
pub(super) enum Answer {
    /// The whole text.
    Whole(Full<Bytes>),
    /// Pieces that are sent as they come.
    Pieces(mpsc::Receiver<Bytes>),
}

impl Answer {
    pub(super) fn whole(text: impl Into<Bytes>) -> Self {
        Answer::Whole(Full::new(text.into()))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Answer::Whole(text) => Pin::new(text).poll_frame(cx),
            Answer::Pieces(pieces) => {
                let piece = pieces.poll_recv(cx);
                piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::Whole(text) => text.is_end_stream(),
            Answer::Pieces(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Whole(text) => text.size_hint(),
            Answer::Pieces(_) => SizeHint::new(),
        }
    }
}
