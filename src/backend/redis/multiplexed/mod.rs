//! Shares one socket to a Redis server among all askers: commands are sent in order, and replies arrive in that order.
//!
//! An asker appends its commands and waits on a [`PendingReply`]. The task that drives the socket writes everything that
//! gathered in one go, and hands the replies to the pending ones from first to last, each when it is there. Commands are
//! never taken back:
//! when an asker is dropped, its replies are still read, and thrown away. When the socket breaks, says something that was
//! not asked, or says nothing for long, every pending reply ends in an error and no more commands are accepted.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use super::resp::{BadReply, Parser, Reply};
use crate::backend::StoreMemory;
use crate::backend::net::Silence;
use crate::coop::after_sockets;

/// How much is read at a time: about the replies to one batch.
const READ_BYTES: usize = 64 * 1024;
/// How often that much is read before other tasks have their turn: a megabyte of short replies takes some milliseconds. Of
/// a large reply, that much is read once: its items are parsed one by one.
const READS_MAX: usize = 4;
/// The maximum number of pending replies. Lookups that gave up on an unresponsive server leave theirs pending; at this
/// number nothing more is asked until the server responds.
const PENDING_MAX: usize = 65_536;
/// How long a server may say nothing while question after question is given up.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// What askers and the driving task share.
pub(super) struct Multiplexed {
    /// Commands that the driving task has not taken yet.
    asked: RefCell<Vec<u8>>,
    pending: RefCell<VecDeque<Rc<PendingReply>>>,
    /// How many replies they wait for together.
    missing: Cell<usize>,
    driver: Cell<Option<Waker>>,
    /// How many replies belong to commands that the driving task has not taken yet.
    unsent: Cell<usize>,
    silence: Silence,
    /// Question after question was given up.
    is_silent: Cell<bool>,
    /// Why nothing can be asked any more.
    broken: RefCell<Option<Broken>>,
    /// For large replies.
    memory: StoreMemory,
    on_push: Option<OnPush>,
}

/// Takes what the server says of its own accord.
pub(super) type OnPush = Rc<dyn Fn(Vec<Reply>)>;

/// Why a connection ended.
#[derive(Clone, Debug)]
pub(super) enum Broken {
    /// It broke.
    Lost(Arc<str>),
    /// The server sent bytes that are not a reply, so later bytes can't be trusted either.
    BadBytes(Arc<str>),
}

/// The replies to one asker's commands that it has not taken, as they arrive.
#[derive(Default)]
struct PendingReply {
    missing: Cell<usize>,
    replies: RefCell<Vec<Reply>>,
    waker: Cell<Option<Waker>>,
    broken: Cell<Option<Broken>>,
    abandoned: Cell<bool>,
}

/// An asker's hold on its replies. Dropping it abandons them; they are still read from the socket.
struct ReplyGuard<'a> {
    reply: Rc<PendingReply>,
    asked: Instant,
    redis: &'a Multiplexed,
}

impl Drop for ReplyGuard<'_> {
    fn drop(&mut self) {
        let reply = &self.reply;
        reply.abandoned.set(true);
        reply.replies.take().into_iter().for_each(Reply::discard);
        if reply.missing.get() > 0 && self.redis.silence.gave_up(self.asked) {
            self.redis.is_silent.set(true);
            self.redis.wake();
        }
    }
}

impl Default for Multiplexed {
    fn default() -> Self {
        Multiplexed {
            asked: RefCell::default(),
            pending: RefCell::default(),
            missing: Cell::default(),
            driver: Cell::default(),
            unsent: Cell::default(),
            silence: Silence::new(SILENCE_MAX),
            is_silent: Cell::default(),
            broken: RefCell::default(),
            memory: StoreMemory::default(),
            on_push: None,
        }
    }
}

impl Multiplexed {
    /// A connection whose large replies are counted in `memory`. Pushes go to `on_push`.
    pub(super) fn new(memory: &StoreMemory, on_push: Option<OnPush>) -> Self {
        Multiplexed {
            memory: memory.clone(),
            on_push,
            ..Multiplexed::default()
        }
    }

    /// As [`Multiplexed::ask_each`], with all replies at the end.
    pub(super) async fn ask(
        &self,
        packed: &[u8],
        count: usize,
    ) -> Result<Option<Vec<Reply>>, Broken> {
        let mut replies = Vec::with_capacity(count);
        let all = self.ask_each(packed, count, |reply| replies.push(reply));
        Ok(all.await?.map(|()| replies))
    }

    /// Sends `count` commands, packed one after the other, and hands each reply to `deal` when it is there; `None` if too
    /// many replies are pending already.
    pub(super) async fn ask_each(
        &self,
        packed: &[u8],
        count: usize,
        mut deal: impl FnMut(Reply),
    ) -> Result<Option<()>, Broken> {
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
        self.unsent.set(self.unsent.get() + count);
        self.pending.borrow_mut().push_back(Rc::clone(&reply));
        self.wake();
        let guard = ReplyGuard {
            reply,
            asked: Instant::now(),
            redis: self,
        };
        poll_fn(|cx| guard.reply.poll(cx, &mut deal))
            .await
            .map(Some)
    }

    fn wake(&self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    /// Has the first asker take the replies that it has so far, of which more are missing.
    fn hand_out(&self) {
        if let Some(first) = self.pending.borrow().front()
            && first.has_some()
        {
            first.wake();
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

    /// Hands the complete replies of `input` to their askers. A reply that no command was sent for is an error: it, or what
    /// follows, would be taken for the reply to a later one.
    fn dispatch(&self, parser: &mut Parser, input: &mut BytesMut) -> Result<(), BadReply> {
        let mut pending = self.pending.borrow_mut();
        let missing = self.missing.get();
        parser.each(input, |reply| {
            if self.missing.get() <= self.unsent.get() {
                return Err(BadReply("more replies than commands"));
            }
            let Some(first) = pending.front() else {
                return Err(BadReply("more replies than commands"));
            };
            self.missing.set(self.missing.get() - 1);
            if first.abandoned.get() {
                reply.discard();
            } else {
                first.replies.borrow_mut().push(reply);
            }
            first.missing.set(first.missing.get() - 1);
            if first.missing.get() == 0
                && let Some(complete) = pending.pop_front()
            {
                complete.wake();
            }
            Ok(())
        })?;
        if let Some(on_push) = &self.on_push {
            parser.pushes().for_each(|push| on_push(push));
        }
        if missing > self.missing.get() {
            self.silence.answered();
        }
        parser.count(input);
        if self.missing.get() == self.unsent.get() && parser.holds_part_of_reply(input) {
            return Err(BadReply("more bytes than replies"));
        }
        Ok(())
    }
}

impl PendingReply {
    /// Hands out the replies that have come. Ready when they were the last.
    fn poll(&self, cx: &mut Context<'_>, deal: &mut impl FnMut(Reply)) -> Poll<Result<(), Broken>> {
        let mut replies = self.replies.take();
        replies.drain(..).for_each(deal);
        if let Some(broken) = self.broken.take() {
            return Poll::Ready(Err(broken));
        }
        if self.missing.get() == 0 {
            return Poll::Ready(Ok(()));
        }
        // Its memory is used again for the others.
        self.replies.replace(replies);
        self.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn has_some(&self) -> bool {
        !self.replies.borrow().is_empty()
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
    is_retired: bool,
}

impl<S> Driving<S> {
    /// Ends once no reply is pending.
    pub(super) fn retire(&mut self) {
        self.is_retired = true;
    }

    pub(super) fn new(stream: S, redis: Rc<Multiplexed>) -> Self {
        Driving {
            stream,
            driver: Driver {
                parser: Parser::new(&redis.memory, redis.on_push.is_some()),
                ..Driver::default()
            },
            redis,
            is_retired: false,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driving<S> {
    type Output = Broken;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Broken> {
        let this = self.get_mut();
        let stream = Pin::new(&mut this.stream);
        let broken = match this.driver.poll(stream, &this.redis, cx) {
            Poll::Ready(broken) => broken,
            Poll::Pending if this.redis.is_silent.get() => {
                Broken::Lost("the server does not answer".into())
            }
            Poll::Pending if this.is_retired && this.redis.missing.get() == 0 => {
                Broken::Lost("the connection was replaced because of its age".into())
            }
            Poll::Pending => return Poll::Pending,
        };
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
        // First, so that bytes that are there before a command is sent are not taken for its reply.
        if let Poll::Ready(broken) = self.read(stream.as_mut(), redis, cx) {
            return Poll::Ready(broken);
        }
        redis.hand_out();
        match self.write(stream, redis, cx) {
            Err(err) => Poll::Ready(lost(&err)),
            Ok(()) => Poll::Pending,
        }
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
                redis.unsent.set(0);
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
        for _ in 0..READS_MAX {
            self.input.reserve(READ_BYTES);
            let mut room = (&mut self.input).limit(READ_BYTES);
            match poll_read_buf(stream.as_mut(), cx, &mut room) {
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
            if self.parser.is_in_large_reply() {
                break;
            }
        }
        // There may be more, which others need not wait for.
        after_sockets(cx);
        Poll::Pending
    }
}

fn lost(err: &io::Error) -> Broken {
    Broken::Lost(err.to_string().into())
}

#[cfg(test)]
mod tests;
