//! Cuts whole messages out of one connection's stream.
//!
//! In: the connection's read buffer, each time bytes were added. Out: messages without their frame's length, as
//! slices of that buffer (as copies if they were compressed). A declared length reserves no memory: the buffer
//! grows with the bytes that arrive. After an error the connection must be closed, because the next message
//! cannot be found; the exceptions are errors of [`WireError::is_of_frame`].

use bytes::{Buf, Bytes, BytesMut};

use super::detect::detect;
use super::error::{WireError, frame_too_large, invalid, negative};
use super::header::Header;
use super::limits::Limits;
use super::protocol::{Protocol, with_codec};
use super::skip::Skipper;
use super::wire_format::{Transport, WireFormat};
use crate::error::Code;

/// Where one connection stands in its stream.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    /// `None` until the first bytes decide it.
    wire_format: Option<WireFormat>,
    /// How far the message at the front has been read, if the transport is unframed.
    skipper: Option<Skipper>,
    /// The header of the last frame, if the transport is `THeader`.
    header: Option<Box<Header>>,
}

impl Framer {
    /// For a connection whose wire format is to be detected.
    pub fn new(limits: Limits) -> Self {
        Framer {
            limits,
            wire_format: None,
            skipper: None,
            header: None,
        }
    }

    /// For a connection of a known wire format.
    pub fn with_wire_format(wire_format: WireFormat, limits: Limits) -> Self {
        Framer {
            limits,
            wire_format: Some(wire_format),
            skipper: None,
            header: None,
        }
    }

    /// The client's wire format, once it is known. `THeader` frames can change the protocol: this is the last
    /// message's.
    pub fn wire_format(&self) -> Option<WireFormat> {
        self.wire_format
    }

    /// The header of the last message's frame, until [`Framer::next`] is called again; `None` if the transport is
    /// not `THeader`.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_deref()
    }

    /// Takes the next message off `buffer` if all of it has arrived. On `None`, call again after adding bytes; the
    /// buffer must not change in any other way.
    #[inline]
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
        // The usual case after a message: the client waits for the reply.
        if buffer.is_empty() && self.header.is_none() {
            return Ok(None);
        }
        self.next_begun(buffer)
    }

    fn next_begun(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
        let Some(wire_format) = self.known_wire_format(buffer)? else {
            return Ok(None);
        };
        match wire_format.transport {
            Transport::Framed => self.next_framed(buffer),
            Transport::Unframed => self.next_unframed(wire_format.protocol, buffer),
            Transport::Header => self.next_in_header(buffer),
        }
    }

    /// The bytes that have arrived of an incomplete message, if they can be read already. In a `THeader` frame they
    /// cannot; a reply to it needs what [`Framer::begin`] reads.
    pub fn start<'a>(&self, buffer: &'a [u8]) -> Option<&'a [u8]> {
        match self.wire_format?.transport {
            Transport::Framed => buffer.get(4..),
            Transport::Unframed => Some(buffer),
            Transport::Header => None,
        }
    }

    /// Reads the start of the incomplete `THeader` frame at the front into [`Framer::header`]. Returns whether its
    /// sequence id has arrived.
    pub fn begin(&mut self, buffer: &[u8]) -> Result<bool, WireError> {
        let Some(start) = buffer.get(4..) else {
            return Ok(false);
        };
        let header = self.header.get_or_insert_default();
        if !header.begin(start)? {
            return Ok(false);
        }
        self.wire_format = Some(WireFormat {
            transport: Transport::Header,
            protocol: header.protocol(),
        });
        Ok(true)
    }

    fn known_wire_format(&mut self, buffer: &BytesMut) -> Result<Option<WireFormat>, WireError> {
        if self.wire_format.is_none()
            && let Some(wire_format) = detect(buffer, &self.limits)?
        {
            let accepted = match wire_format.transport {
                // The protocol is checked for each frame.
                Transport::Header => self
                    .limits
                    .wire_formats
                    .has_transport(wire_format.transport),
                Transport::Framed | Transport::Unframed => {
                    self.limits.wire_formats.has(wire_format)
                }
            };
            if !accepted {
                return Err(not_accepted(Code::WireUnrecognized, wire_format));
            }
            self.wire_format = Some(wire_format);
        }
        Ok(self.wire_format)
    }

    fn next_framed(&self, buffer: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
        let Some(length) = buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let declared = i32::from_be_bytes(*length);
        let length = usize::try_from(declared).map_err(|_| negative(declared))?;
        if length == 0 {
            return Err(invalid("the frame is empty"));
        }
        if length > self.limits.frame_bytes_max {
            return Err(frame_too_large(length, self.limits.frame_bytes_max));
        }
        if buffer.len() - 4 < length {
            return Ok(None);
        }
        buffer.advance(4);
        Ok(Some(buffer.split_to(length).freeze()))
    }

    /// The message in a `THeader` frame.
    fn next_in_header(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
        if let Some(header) = &mut self.header {
            // Slices of the last frame would keep its memory alive while the client is idle.
            header.forget();
        }
        let frame = match self.next_framed(buffer) {
            Ok(Some(frame)) => frame,
            // The reply needs the start of the frame.
            Err(err) if err.code == Code::WireFrameTooLarge && !self.begin(buffer)? => {
                return Ok(None);
            }
            other => return other,
        };
        let header = self.header.get_or_insert_default();
        let message = header.open(&frame, &self.limits);
        let wire_format = WireFormat {
            transport: Transport::Header,
            protocol: header.protocol(),
        };
        self.wire_format = Some(wire_format);
        let message = message?;
        if !self.limits.wire_formats.has(wire_format) {
            return Err(not_accepted(Code::WireUnknownProtocol, wire_format));
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
            .get_or_insert_with(|| Skipper::message(limits.frame_bytes_max, limits.depth_max));
        let end = with_codec!(protocol, C => skipper.run::<C>(buffer))?;
        let Some(length) = end else {
            return Ok(None);
        };
        skipper.restart();
        Ok(Some(buffer.split_to(length).freeze()))
    }
}

#[cold]
fn not_accepted(code: Code, wire_format: WireFormat) -> WireError {
    WireError::new(code, format!("this listener does not accept {wire_format}"))
}
