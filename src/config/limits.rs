//! Reads `[server.limits]`: what clients may take up.

use std::time::Duration;

use super::section::Section;
use crate::thrift::DEPTH_CEILING;

/// `[server.limits]`: what clients may take up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// The largest message taken. Default 16,384,000 bytes, as Apache's.
    pub frame_bytes_max: usize,
    /// The largest message that a compressed THeader frame may hold. Default 0: such frames are refused.
    pub inflated_bytes_max: usize,
    /// How deep values may be nested. Default 64.
    pub depth_max: usize,
    /// How many values one message may hold, unset fields included. Default 100,000, which take some milliseconds.
    pub values_max: usize,
    /// The largest reply; a larger one becomes an exception. Default 16,384,000 bytes, what Apache's clients take.
    pub reply_bytes_max: usize,
    /// What one connection may take up in unread calls and unwritten replies; with more it is not read. Default 32 MiB.
    pub connection_bytes_max: usize,
    /// What all connections of a loop may take up together; with more, those with the most wait. Default 96 MiB: the process stays under 256.
    pub buffered_bytes_max: usize,
    /// Calls of one connection in flight; further ones wait unread. Default 32.
    pub pipelined_max: usize,
    /// Open connections per loop; further ones are closed at once. Default 4,096; fewer where the system lets the process
    /// have few open files.
    pub connections_max: usize,
    /// Calls in flight per loop; further ones are refused. Default 8,192.
    pub calls_max: usize,
    /// How long the rest of a begun message may take. Default 5 s.
    pub frame_timeout: Duration,
    /// TLS handshakes at a time, per loop; further ones wait for their turn. Default 64.
    pub handshakes_max: usize,
    /// How long a TLS handshake may take, its turn included. Default 5 s.
    pub handshake_timeout: Duration,
    /// How long a connection may be silent. Default 10 min.
    pub idle_timeout: Duration,
    /// How long a client may take no byte of a reply. Default 10 s.
    pub write_timeout: Duration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        LimitsConfig {
            frame_bytes_max: 16_384_000,
            inflated_bytes_max: 0,
            depth_max: 64,
            values_max: 100_000,
            reply_bytes_max: 16_384_000,
            connection_bytes_max: 32 * 1024 * 1024,
            buffered_bytes_max: 96 * 1024 * 1024,
            pipelined_max: 32,
            connections_max: 4096,
            calls_max: 8192,
            frame_timeout: Duration::from_secs(5),
            handshakes_max: 64,
            handshake_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_mins(10),
            write_timeout: Duration::from_secs(10),
        }
    }
}

/// The deepest `depth_max`.
const DEPTH_MAX: i64 = 256;

const _: () = assert!(DEPTH_CEILING == 256, "nothing deeper is read or written");

/// Reads the table `limits` of `[server]`.
pub(super) fn read_limits(mut section: Section<'_>) -> LimitsConfig {
    let default = LimitsConfig::default();
    let time = |section: &mut Section<'_>, key, default| section.timeout(key).unwrap_or(default);
    let size = |section: &mut Section<'_>, key, default| section.size(key).unwrap_or(default);
    let limits = LimitsConfig {
        frame_bytes_max: size(&mut section, "frame_bytes_max", default.frame_bytes_max),
        inflated_bytes_max: size(
            &mut section,
            "inflated_bytes_max",
            default.inflated_bytes_max,
        ),
        depth_max: section.count("depth_max", default.depth_max, DEPTH_MAX),
        values_max: section.count("values_max", default.values_max, 100_000_000),
        reply_bytes_max: size(&mut section, "reply_bytes_max", default.reply_bytes_max),
        connection_bytes_max: size(
            &mut section,
            "connection_bytes_max",
            default.connection_bytes_max,
        ),
        buffered_bytes_max: size(
            &mut section,
            "buffered_bytes_max",
            default.buffered_bytes_max,
        ),
        pipelined_max: section.count("pipelined_max", default.pipelined_max, 10_000),
        connections_max: section.count("connections_max", default.connections_max, 1_000_000),
        calls_max: section.count("calls_max", default.calls_max, 1_000_000),
        frame_timeout: time(&mut section, "frame_timeout", default.frame_timeout),
        handshakes_max: section.count("handshakes_max", default.handshakes_max, 10_000),
        handshake_timeout: time(&mut section, "handshake_timeout", default.handshake_timeout),
        idle_timeout: time(&mut section, "idle_timeout", default.idle_timeout),
        write_timeout: time(&mut section, "write_timeout", default.write_timeout),
    };
    section.finish();
    limits
}
