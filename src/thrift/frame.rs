//! Cuts whole messages out of one connection's stream.
//!
//! In: the connection's read buffer, each time bytes were added. Out: messages, without their frame's length, as
//! slices of that buffer (a copy, if it was compressed). Nothing is reserved for a declared length: the buffer grows with what has come.
//! An error means that the stream is out of step for good and the connection is to be closed, unless it is
//! one of [`WireError::is_of_frame`].

use bytes::{Buf, Bytes, BytesMut};

use super::detect::detect;
use super::error::{invalid, negative};
use super::skip::Skipper;
use super::{Header, Limits, Protocol, Shape, Transport, WireError};
use crate::error::Code;

/// One connection's place in its stream.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    /// `None` until the first bytes tell.
    shape: Option<Shape>,
    /// How far the message at the front has been read, where messages are unframed.
    skipper: Option<Skipper>,
    /// What frames said beside their messages, where they have a header.
    header: Option<Box<Header>>,
}

impl Framer {
    /// For a connection whose first bytes will tell what its client speaks.
    pub fn new(limits: Limits) -> Self {
        Framer {
            limits,
            shape: None,
            skipper: None,
            header: None,
        }
    }

    /// For a connection that speaks `shape`.
    pub fn with_shape(shape: Shape, limits: Limits) -> Self {
        Framer {
            limits,
            shape: Some(shape),
            skipper: None,
            header: None,
        }
    }

    /// What the client speaks, once that is known. Frames with a header may change their protocol: this is the
    /// last message's.
    pub fn shape(&self) -> Option<Shape> {
        self.shape
    }

    /// What the frame of the last message said beside it, until [`Framer::next`] is called again; `None` where
    /// frames have no header.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_deref()
    }

    /// The next message, if it is wholly in `buffer`; it is then no longer there. On `None`, call again when bytes
    /// have been added; the buffer must not be changed otherwise.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
        let Some(shape) = self.known_shape(buffer)? else {
            return Ok(None);
        };
        match shape.transport {
            Transport::Framed => self.next_framed(buffer),
            Transport::Unframed => self.next_unframed(shape.protocol, buffer),
            Transport::Header => self.next_in_header(buffer),
        }
    }

    /// Whether a message has begun to come and is not whole, so that its rest may be waited for only so long.
    /// To be asked after [`Framer::next`] has said `None`.
    pub fn is_mid_message(&self, buffer: &BytesMut) -> bool {
        !buffer.is_empty()
    }

    /// What has come of a message that is not whole, if it can be read before it is. In a frame with a header none
    /// can: its answer needs what [`Framer::begin`] reads.
    pub fn start<'a>(&self, buffer: &'a [u8]) -> Option<&'a [u8]> {
        match self.shape?.transport {
            Transport::Framed => buffer.get(4..),
            Transport::Unframed => Some(buffer),
            Transport::Header => None,
        }
    }

    /// Makes [`Framer::header`] that of the frame at the front, which is not whole; whether its sequence id has come.
    pub fn begin(&mut self, buffer: &[u8]) -> Result<bool, WireError> {
        let Some(start) = buffer.get(4..) else {
            return Ok(false);
        };
        let header = self.header.get_or_insert_default();
        if !header.begin(start)? {
            return Ok(false);
        }
        self.shape = Some(Shape {
            transport: Transport::Header,
            protocol: header.protocol(),
        });
        Ok(true)
    }

    fn known_shape(&mut self, buffer: &BytesMut) -> Result<Option<Shape>, WireError> {
        if self.shape.is_none()
            && let Some(shape) = detect(buffer, &self.limits)?
        {
            let taken = match shape.transport {
                // Each frame is looked at.
                Transport::Header => self.limits.shapes.has_transport(shape.transport),
                Transport::Framed | Transport::Unframed => self.limits.shapes.has(shape),
            };
            if !taken {
                return Err(not_taken(Code::WireUnrecognized, shape));
            }
            self.shape = Some(shape);
        }
        Ok(self.shape)
    }

    fn next_framed(&self, buffer: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
        let Some(length) = buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let declared = i32::from_be_bytes(*length);
        let length = usize::try_from(declared).map_err(|_| negative(declared))?;
        if length == 0 {
            return Err(invalid("a frame of no bytes"));
        }
        if length > self.limits.frame_bytes_max {
            return Err(WireError::new(
                Code::WireFrameTooLarge,
                format!(
                    "a frame of {length} bytes is declared, more than {}",
                    self.limits.frame_bytes_max
                ),
            ));
        }
        if buffer.len() - 4 < length {
            return Ok(None);
        }
        buffer.advance(4);
        Ok(Some(buffer.split_to(length).freeze()))
    }

    /// A message in a frame with a header.
    fn next_in_header(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
        if let Some(header) = &mut self.header {
            // Slices of the last frame would keep all of it alive while the client is idle.
            header.forget();
        }
        let frame = match self.next_framed(buffer) {
            Ok(Some(frame)) => frame,
            // Its answer needs what it begins with.
            Err(err) if err.code == Code::WireFrameTooLarge && !self.begin(buffer)? => {
                return Ok(None);
            }
            other => return other,
        };
        let header = self.header.get_or_insert_default();
        let message = header.open(&frame, &self.limits);
        let shape = Shape {
            transport: Transport::Header,
            protocol: header.protocol(),
        };
        self.shape = Some(shape);
        let message = message?;
        if !self.limits.shapes.has(shape) {
            return Err(not_taken(Code::WireUnknownProtocol, shape));
        }
        Ok(Some(message))
    }

    fn next_unframed(
        &mut self,
        protocol: Protocol,
        buffer: &mut BytesMut,
    ) -> Result<Option<Bytes>, WireError> {
        if buffer.is_empty() {
            return Ok(None);
        }
        let limits = &self.limits;
        let skipper = self
            .skipper
            .get_or_insert_with(|| Skipper::message(protocol, limits));
        let Some(length) = skipper.run(buffer)? else {
            return Ok(None);
        };
        skipper.restart();
        Ok(Some(buffer.split_to(length).freeze()))
    }
}

#[cold]
fn not_taken(code: Code, shape: Shape) -> WireError {
    WireError::new(code, format!("{shape} is not taken on this listener"))
}
