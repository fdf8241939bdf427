//! Shares one socket to a Redis server among all askers: commands are sent in order, and replies arrive in that order.
//!
//! An asker appends its commands and waits on a [`PendingReply`]. The task that drives the socket writes all gathered
//! commands together, and hands each reply to the oldest pending one. Commands are never taken back: if an asker is
//! dropped, its replies are still read, and discarded. If the socket breaks, every pending reply ends in an error, and no
//! more commands are accepted.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use super::resp::{BadReply, Parser, Reply};

/// How much is read at a time: about the replies to one batch.
const READ_BYTES: usize = 64 * 1024;
/// The maximum number of pending replies. Lookups that gave up on an unresponsive server leave theirs pending; at this
/// number nothing more is asked until the server responds.
const PENDING_MAX: usize = 65_536;

/// What askers and the driving task share.
#[derive(Default)]
pub(super) struct Multiplexed {
    /// Commands that the driving task has not taken yet.
    asked: RefCell<Vec<u8>>,
    pending: RefCell<VecDeque<Rc<PendingReply>>>,
    /// How many replies they wait for together.
    missing: Cell<usize>,
    driver: Cell<Option<Waker>>,
    /// Why nothing more can be asked.
    broken: RefCell<Option<Broken>>,
}

/// Why a connection ended.
#[derive(Clone, Debug)]
pub(super) enum Broken {
    /// It broke.
    Lost(Arc<str>),
    /// The server sent bytes that are not a reply, so later bytes can't be trusted either.
    BadBytes(Arc<str>),
}

/// The replies to one asker's commands, as they arrive.
#[derive(Default)]
struct PendingReply {
    missing: Cell<usize>,
    replies: RefCell<Vec<Reply>>,
    waker: Cell<Option<Waker>>,
    broken: Cell<Option<Broken>>,
    abandoned: Cell<bool>,
}

/// An asker's hold on its replies. Dropping it abandons them; they are still read from the socket.
struct ReplyGuard(Rc<PendingReply>);

impl Drop for ReplyGuard {
    fn drop(&mut self) {
        self.0.abandoned.set(true);
        self.0.replies.take();
    }
}

impl Multiplexed {
    /// Sends `count` commands, packed one after the other, and waits for their replies; `None` if too many replies are
    /// pending already.
    pub(super) async fn ask(
        &self,
        packed: &[u8],
        count: usize,
    ) -> Result<Option<Vec<Reply>>, Broken> {
        if let Some(broken) = &*self.broken.borrow() {
            return Err(broken.clone());
        }
        if self.missing.get() + count > PENDING_MAX {
            return Ok(None);
        }
        let reply = Rc::new(PendingReply {
            missing: Cell::new(count),
            replies: RefCell::new(Vec::with_capacity(count)),
            ..PendingReply::default()
        });
        self.asked.borrow_mut().extend_from_slice(packed);
        self.missing.set(self.missing.get() + count);
        self.pending.borrow_mut().push_back(Rc::clone(&reply));
        self.wake();
        let guard = ReplyGuard(reply);
        poll_fn(|cx| guard.0.poll(cx)).await.map(Some)
    }

    fn wake(&self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    /// Ends all pending replies, and all later questions, with an error.
    fn end(&self, broken: &Broken) {
        self.broken.replace(Some(broken.clone()));
        for reply in self.pending.take() {
            reply.broken.set(Some(broken.clone()));
            reply.wake();
        }
    }

    /// Hands the complete replies of `input` to their askers.
    fn dispatch(&self, parser: &mut Parser, input: &mut BytesMut) -> Result<(), BadReply> {
        let mut pending = self.pending.borrow_mut();
        parser.each(input, |reply| {
            let first = pending
                .front()
                .ok_or(BadReply("more replies than commands"))?;
            self.missing.set(self.missing.get() - 1);
            if !first.abandoned.get() {
                first.replies.borrow_mut().push(reply);
            }
            first.missing.set(first.missing.get() - 1);
            if first.missing.get() == 0
                && let Some(complete) = pending.pop_front()
            {
                complete.wake();
            }
            Ok(())
        })
    }
}

impl PendingReply {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Vec<Reply>, Broken>> {
        if let Some(broken) = self.broken.take() {
            return Poll::Ready(Err(broken));
        }
        if self.missing.get() == 0 {
            return Poll::Ready(Ok(self.replies.take()));
        }
        self.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Drives `stream`: writes the commands of `redis` and hands out the replies, until one of them ends.
///
/// When this ends or is dropped, every pending reply becomes an error.
pub(super) struct Driving<S> {
    stream: S,
    driver: Driver,
    redis: Rc<Multiplexed>,
}

impl<S> Driving<S> {
    pub(super) fn new(stream: S, redis: Rc<Multiplexed>) -> Self {
        Driving {
            stream,
            driver: Driver::default(),
            redis,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driving<S> {
    type Output = Broken;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Broken> {
        let this = self.get_mut();
        let stream = Pin::new(&mut this.stream);
        let broken = ready!(this.driver.poll(stream, &this.redis, cx));
        this.redis.end(&broken);
        Poll::Ready(broken)
    }
}

impl<S> Drop for Driving<S> {
    fn drop(&mut self) {
        if self.redis.broken.borrow().is_none() {
            let closed = Broken::Lost("the connection was closed".into());
            self.redis.end(&closed);
        }
    }
}

#[derive(Default)]
struct Driver {
    /// Commands that were taken over, written up to `written`.
    writing: Vec<u8>,
    written: usize,
    input: BytesMut,
    parser: Parser,
}

impl Driver {
    fn poll<S: AsyncRead + AsyncWrite>(
        &mut self,
        mut stream: Pin<&mut S>,
        redis: &Multiplexed,
        cx: &mut Context<'_>,
    ) -> Poll<Broken> {
        redis.driver.set(Some(cx.waker().clone()));
        if let Err(err) = self.write(stream.as_mut(), redis, cx) {
            return Poll::Ready(lost(&err));
        }
        self.read(stream, redis, cx)
    }

    fn write<S: AsyncWrite>(
        &mut self,
        mut stream: Pin<&mut S>,
        redis: &Multiplexed,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        loop {
            if self.written == self.writing.len() {
                self.writing.clear();
                self.written = 0;
                // The two buffers are swapped, so neither is allocated again.
                std::mem::swap(&mut self.writing, &mut *redis.asked.borrow_mut());
                if self.writing.is_empty() {
                    // A TLS stream may hold bytes back until it is flushed.
                    let _later = stream.as_mut().poll_flush(cx)?;
                    return Ok(());
                }
            }
            match stream
                .as_mut()
                .poll_write(cx, &self.writing[self.written..])?
            {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(bytes) => self.written += bytes,
                Poll::Pending => return Ok(()),
            }
        }
    }

    fn read<S: AsyncRead>(
        &mut self,
        mut stream: Pin<&mut S>,
        redis: &Multiplexed,
        cx: &mut Context<'_>,
    ) -> Poll<Broken> {
        loop {
            self.input.reserve(READ_BYTES);
            match poll_read_buf(stream.as_mut(), cx, &mut self.input) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Broken::Lost("the server closed the connection".into()));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(err)) => return Poll::Ready(lost(&err)),
            }
            if let Err(err) = redis.dispatch(&mut self.parser, &mut self.input) {
                return Poll::Ready(Broken::BadBytes(err.to_string().into()));
            }
        }
    }
}

fn lost(err: &io::Error) -> Broken {
    Broken::Lost(err.to_string().into())
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn replies_go_to_their_askers() {
        let (ours, mut server) = duplex(1 << 20);
        let redis = Rc::new(Multiplexed::default());
        let asking = async {
            let given_up = timeout(Duration::from_millis(5), redis.ask(b"one", 1));
            let two = redis.ask(b"two", 2);
            let three = redis.ask(b"three", 1);
            let (one, two, three) = tokio::join!(given_up, two, three);
            assert!(one.is_err(), "it was late");
            let two = two.expect("replies").expect("room");
            assert_eq!(two, [Reply::Int(2), Reply::Int(22)]);
            let three = three.expect("replies").expect("room");
            assert_eq!(three, [Reply::Int(3)]);
        };
        let serving = async {
            let mut asked = [0; 11];
            server.read_exact(&mut asked).await.expect("asked");
            assert_eq!(&asked, b"onetwothree", "in one go");
            tokio::time::sleep(Duration::from_millis(10)).await;
            server
                .write_all(b":1\r\n:2\r\n:22\r\n:3\r\n")
                .await
                .expect("takes them");
        };
        tokio::select! {
            broken = Driving::new(ours, Rc::clone(&redis)) => panic!("{broken:?}"),
            _ = async { tokio::join!(asking, serving) } => {}
        }
        assert_eq!(redis.missing.get(), 0);
    }

    #[tokio::test(flavor = "local")]
    async fn a_broken_connection_fails_pending_commands_and_accepts_no_more() {
        for (bytes, bad) in [
            (&b":1\r\n"[..], false),
            (b"what\r\n", true),
            (b":1\r\n:2\r\n:3\r\n:4\r\n", true),
        ] {
            let (ours, mut server) = duplex(64);
            let redis = Rc::new(Multiplexed::default());
            let asks = join_all((0..3).map(|_| redis.ask(b"x", 1)));
            let serving = async {
                server.read_exact(&mut [0; 3]).await.expect("asked");
                server.write_all(bytes).await.expect("takes them");
                drop(server);
            };
            let (broken, asked, ()) =
                tokio::join!(Driving::new(ours, Rc::clone(&redis)), asks, serving);
            assert_eq!(matches!(broken, Broken::BadBytes(_)), bad, "{broken:?}");
            assert_eq!(
                asked.iter().filter(|asked| asked.is_err()).count(),
                match bytes.len() {
                    4 => 2,
                    6 => 3,
                    _ => 0,
                }
            );
            assert!(redis.ask(b"x", 1).await.is_err());
        }
    }

    #[tokio::test(flavor = "local")]
    async fn an_unresponsive_server_is_not_asked_without_limit() {
        let redis = Rc::new(Multiplexed::default());
        let waiting = redis.ask(b"x", PENDING_MAX);
        let mut waiting = pin!(waiting);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        assert!(matches!(redis.ask(b"x", 1).await, Ok(None)));
    }
}
