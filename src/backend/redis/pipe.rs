//! One socket to a Redis server: commands go out in the order they are asked, replies come back in that order.
//!
//! Whoever asks appends its commands and waits in a [`Due`]; the task that drives the socket writes all that
//! gathered in one go, and deals the replies out to the dues from first to last. What is asked is never taken
//! back: a due that nobody waits for any more still takes its replies, and they are thrown away. When the
//! socket breaks, every due ends in an error and the pipe takes no more.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use super::resp::{BadReply, Parser, Reply};
use crate::backend::tls::of_stream;

/// How much is read at a time: about what the replies to one batch take.
const READ_BYTES: usize = 64 * 1024;
/// Replies that may be due. A server that hangs leaves those of lookups that gave up; with so many of them
/// nothing more is asked until it goes on.
const DUE_MAX: usize = 65_536;

/// What askers and the driving task share.
#[derive(Default)]
pub(super) struct Pipe {
    /// Asked and not handed to the driving task yet.
    asked: RefCell<Vec<u8>>,
    dues: RefCell<VecDeque<Rc<Due>>>,
    /// Replies that all dues wait for.
    due: Cell<usize>,
    driver: Cell<Option<Waker>>,
    /// Why nothing can be asked any more.
    broken: RefCell<Option<Broken>>,
}

/// Why a pipe ended.
#[derive(Clone, Debug)]
pub(super) enum Broken {
    /// The connection is gone.
    Lost(Arc<str>),
    /// What came is no reply, so that no later byte can be trusted either.
    BadBytes(Arc<str>),
}

/// One asker's replies as they come.
#[derive(Default)]
struct Due {
    missing: Cell<usize>,
    replies: RefCell<Vec<Reply>>,
    waker: Cell<Option<Waker>>,
    broken: Cell<Option<Broken>>,
    abandoned: Cell<bool>,
}

/// An asker's place in the pipe: what is dropped with it is the place, not the replies that are due.
struct Seat(Rc<Due>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.abandoned.set(true);
        self.0.replies.take();
    }
}

impl Pipe {
    /// Sends `count` commands, packed one after the other, and waits for their replies; `None` if too many are
    /// due already.
    pub(super) async fn ask(
        &self,
        packed: &[u8],
        count: usize,
    ) -> Result<Option<Vec<Reply>>, Broken> {
        if let Some(broken) = &*self.broken.borrow() {
            return Err(broken.clone());
        }
        if self.due.get() + count > DUE_MAX {
            return Ok(None);
        }
        let due = Rc::new(Due {
            missing: Cell::new(count),
            replies: RefCell::new(Vec::with_capacity(count)),
            ..Due::default()
        });
        self.asked.borrow_mut().extend_from_slice(packed);
        self.due.set(self.due.get() + count);
        self.dues.borrow_mut().push_back(Rc::clone(&due));
        self.wake();
        let seat = Seat(due);
        poll_fn(|cx| seat.0.poll(cx)).await.map(Some)
    }

    fn wake(&self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    /// Ends everything that waits, and all that is asked from now on.
    fn end(&self, broken: &Broken) {
        self.broken.replace(Some(broken.clone()));
        for due in self.dues.take() {
            due.broken.set(Some(broken.clone()));
            due.wake();
        }
    }

    /// Hands the whole replies of `input` to those to whom they are due.
    fn deal(&self, parser: &mut Parser, input: &mut BytesMut) -> Result<(), BadReply> {
        let mut dues = self.dues.borrow_mut();
        parser.each(input, |reply| {
            let due = dues.front().ok_or(BadReply("more replies than commands"))?;
            self.due.set(self.due.get() - 1);
            if !due.abandoned.get() {
                due.replies.borrow_mut().push(reply);
            }
            due.missing.set(due.missing.get() - 1);
            if due.missing.get() == 0
                && let Some(whole) = dues.pop_front()
            {
                whole.wake();
            }
            Ok(())
        })
    }
}

impl Due {
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

/// Writes what is asked of `pipe` to `stream` and deals out what comes back, until one of them ends.
///
/// Whenever this ends, dropped or not, so does the pipe.
pub(super) async fn drive(stream: impl AsyncRead + AsyncWrite, pipe: &Pipe) -> Broken {
    let ending = Ending(pipe);
    let mut stream = pin!(stream);
    let mut driver = Driver::default();
    let broken = poll_fn(|cx| driver.poll(stream.as_mut(), pipe, cx)).await;
    pipe.end(&broken);
    drop(ending);
    broken
}

/// Ends a pipe whose driving task is dropped.
struct Ending<'a>(&'a Pipe);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if self.0.broken.borrow().is_none() {
            self.0
                .end(&Broken::Lost("the connection was closed".into()));
        }
    }
}

#[derive(Default)]
struct Driver {
    /// Taken from the pipe, written up to `written`.
    writing: Vec<u8>,
    written: usize,
    input: BytesMut,
    parser: Parser,
}

impl Driver {
    fn poll<S: AsyncRead + AsyncWrite>(
        &mut self,
        mut stream: Pin<&mut S>,
        pipe: &Pipe,
        cx: &mut Context<'_>,
    ) -> Poll<Broken> {
        pipe.driver.set(Some(cx.waker().clone()));
        if let Err(err) = self.write(stream.as_mut(), pipe, cx) {
            return Poll::Ready(lost(err));
        }
        self.read(stream, pipe, cx)
    }

    fn write<S: AsyncWrite>(
        &mut self,
        mut stream: Pin<&mut S>,
        pipe: &Pipe,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        loop {
            if self.written == self.writing.len() {
                self.writing.clear();
                self.written = 0;
                // The two buffers take turns, so that none is made anew.
                std::mem::swap(&mut self.writing, &mut *pipe.asked.borrow_mut());
                if self.writing.is_empty() {
                    // A stream that encrypts may hold bytes back until then.
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
        pipe: &Pipe,
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
                Poll::Ready(Err(err)) => return Poll::Ready(lost(err)),
            }
            if let Err(err) = pipe.deal(&mut self.parser, &mut self.input) {
                return Poll::Ready(Broken::BadBytes(err.to_string().into()));
            }
        }
    }
}

fn lost(err: io::Error) -> Broken {
    Broken::Lost(of_stream(err).to_string().into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn replies_go_to_those_who_asked_for_them() {
        let (ours, mut server) = duplex(1 << 20);
        let pipe = Pipe::default();
        let asking = async {
            let given_up = timeout(Duration::from_millis(5), pipe.ask(b"one", 1));
            let two = pipe.ask(b"two", 2);
            let three = pipe.ask(b"three", 1);
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
            broken = drive(ours, &pipe) => panic!("{broken:?}"),
            _ = async { tokio::join!(asking, serving) } => {}
        }
        assert_eq!(pipe.due.get(), 0);
    }

    #[tokio::test(flavor = "local")]
    async fn a_broken_pipe_ends_all_that_wait_and_takes_no_more() {
        for (bytes, bad) in [
            (&b":1\r\n"[..], false),
            (b"what\r\n", true),
            (b":1\r\n:2\r\n:3\r\n:4\r\n", true),
        ] {
            let (ours, mut server) = duplex(64);
            let pipe = Pipe::default();
            let asks = join_all((0..3).map(|_| pipe.ask(b"x", 1)));
            let serving = async {
                server.read_exact(&mut [0; 3]).await.expect("asked");
                server.write_all(bytes).await.expect("takes them");
                drop(server);
            };
            let (broken, asked, ()) = tokio::join!(drive(ours, &pipe), asks, serving);
            assert_eq!(matches!(broken, Broken::BadBytes(_)), bad, "{broken:?}");
            assert_eq!(
                asked.iter().filter(|asked| asked.is_err()).count(),
                match bytes.len() {
                    4 => 2,
                    6 => 3,
                    _ => 0,
                }
            );
            assert!(pipe.ask(b"x", 1).await.is_err());
        }
    }

    #[tokio::test(flavor = "local")]
    async fn a_server_that_hangs_is_not_asked_without_end() {
        let pipe = Pipe::default();
        let waiting = pipe.ask(b"x", DUE_MAX);
        let mut waiting = pin!(waiting);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        assert!(matches!(pipe.ask(b"x", 1).await, Ok(None)));
    }
}
