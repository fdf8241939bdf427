//! Reads `[server.limits]`: how much clients may use.

use std::time::Duration;

use super::section::Section;
use crate::thrift::DEPTH_CEILING;

/// `[server.limits]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// The largest message that is accepted. Default 16,384,000 bytes, as in Apache Thrift.
    pub frame_bytes_max: usize,
    /// The largest message in a compressed THeader frame. Default 0: such frames are refused.
    pub inflated_bytes_max: usize,
    /// How deep values may be nested. Default 64.
    pub depth_max: usize,
    /// The most values in one message, unset fields included. Default 100,000, which take a few milliseconds to read.
    pub values_max: usize,
    /// The largest reply; a larger one becomes an exception. Default 16,384,000 bytes, which Apache's clients accept.
    pub reply_bytes_max: usize,
    /// The most memory of one connection, for calls and for unwritten replies; beyond it, nothing more is read. Default 32 MiB.
    pub connection_bytes_max: usize,
    /// The most memory of all connections of a loop; beyond it, the largest ones are not read. Default 96 MiB, which keeps the
    /// process under 256 MiB, or less if there is little memory: see [`LimitsConfig::within`].
    pub buffered_bytes_max: usize,
    /// How many bytes the answers of stores may take together; those of up to 64 KiB do not count. Default 256 MiB,
    /// or less if there is little memory.
    pub store_bytes_max: usize,
    /// The most calls in flight per connection; additional ones wait unread. Default 32.
    pub pipelined_max: usize,
    /// The most open connections per loop; additional ones are closed immediately. Default 4,096, or fewer if the system
    /// limits the open files of the process.
    pub connections_max: usize,
    /// The most calls in flight per loop; additional ones are refused. Default 8,192.
    pub calls_max: usize,
    /// How long the rest of a message may take once it has begun. Default 5 s.
    pub frame_timeout: Duration,
    /// The most TLS handshakes at a time per loop; additional ones wait. Default 64.
    pub handshakes_max: usize,
    /// How long a TLS handshake may take, including the wait for its turn. Default 5 s.
    pub handshake_timeout: Duration,
    /// How long a connection may be idle. Default 10 min.
    pub idle_timeout: Duration,
    /// How old a connection may be, give or take a tenth. Default: any age.
    pub connection_age_max: Option<Duration>,
    /// After how many calls a connection is closed. Default: never.
    pub connection_calls_max: Option<usize>,
    /// How long a client may accept no byte of a reply. Default 10 s.
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
            store_bytes_max: 256 * 1024 * 1024,
            pipelined_max: 32,
            connections_max: 4096,
            calls_max: 8192,
            frame_timeout: Duration::from_secs(5),
            handshakes_max: 64,
            handshake_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_mins(10),
            connection_age_max: None,
            connection_calls_max: None,
            write_timeout: Duration::from_secs(10),
        }
    }
}

/// The parts of the memory that are for the clients and for the answers of stores, on all loops together.
const BUFFERED_PART: u64 = 8;
const STORE_PART: u64 = 4;
/// However little memory there is, each loop gets so much of both.
const BYTES_MIN: usize = 4 * 1024 * 1024;

impl LimitsConfig {
    /// The defaults where so much memory is shared by so many loops.
    pub fn within(memory: u64, loops: usize) -> Self {
        let default = LimitsConfig::default();
        let share = |part, most: usize| {
            let all = usize::try_from(memory / part).unwrap_or(usize::MAX);
            (all / loops.max(1)).clamp(BYTES_MIN, most)
        };
        let buffered_bytes_max = share(BUFFERED_PART, default.buffered_bytes_max);
        LimitsConfig {
            buffered_bytes_max,
            connection_bytes_max: default.connection_bytes_max.min(buffered_bytes_max),
            store_bytes_max: share(STORE_PART, default.store_bytes_max),
            ..default
        }
    }

    /// The keys in which `now` differs.
    pub fn changed_keys(&self, now: &Self) -> Vec<&'static str> {
        macro_rules! changed {
            ($($key:ident)*) => {{
                // Does not compile if a key is missing.
                let LimitsConfig { $($key),* } = self;
                let all = [$((stringify!($key), *$key != now.$key)),*];
                let changed = all.into_iter().filter(|(_, differs)| *differs);
                changed.map(|(key, _)| key).collect()
            }};
        }
        changed!(frame_bytes_max inflated_bytes_max depth_max values_max reply_bytes_max
            connection_bytes_max buffered_bytes_max store_bytes_max pipelined_max connections_max calls_max
            frame_timeout handshakes_max handshake_timeout idle_timeout connection_age_max connection_calls_max write_timeout)
    }
}

/// The largest `depth_max`.
const DEPTH_MAX: i64 = 256;

const _: () = assert!(DEPTH_CEILING == 256, "nothing deeper is read or written");

/// Reads the table `limits` of `[server]`.
pub(super) fn read_limits(mut section: Section<'_>, default: LimitsConfig) -> LimitsConfig {
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
        store_bytes_max: size(&mut section, "store_bytes_max", default.store_bytes_max),
        pipelined_max: section.count("pipelined_max", default.pipelined_max, 10_000),
        connections_max: section.count("connections_max", default.connections_max, 1_000_000),
        calls_max: section.count("calls_max", default.calls_max, 1_000_000),
        frame_timeout: time(&mut section, "frame_timeout", default.frame_timeout),
        handshakes_max: section.count("handshakes_max", default.handshakes_max, 10_000),
        handshake_timeout: time(&mut section, "handshake_timeout", default.handshake_timeout),
        idle_timeout: time(&mut section, "idle_timeout", default.idle_timeout),
        connection_age_max: section.timeout("connection_age_max"),
        connection_calls_max: section.whole("connection_calls_max", 1_000_000_000),
        write_timeout: time(&mut section, "write_timeout", default.write_timeout),
    };
    section.finish();
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn sizes_fit_the_memory_and_the_number_of_loops() {
        // Memory and loops; then what clients, one connection and stores get per loop, in MiB.
        for (memory, loops, expected) in [
            (16 * 1024, 1, [96, 32, 256]),
            (1024, 1, [96, 32, 256]),
            (512, 1, [64, 32, 128]),
            (256, 1, [32, 32, 64]),
            (256, 4, [8, 8, 16]),
            (1024, 4, [32, 32, 64]),
            (64, 4, [4, 4, 4]),
        ] {
            let limits = LimitsConfig::within(memory * MIB, loops);
            let shown = [
                limits.buffered_bytes_max,
                limits.connection_bytes_max,
                limits.store_bytes_max,
            ];
            let shown = shown.map(|bytes| bytes as u64 / MIB);
            assert_eq!(shown, expected, "{memory} MiB, {loops} loops");
        }
        assert_eq!(LimitsConfig::within(u64::MAX, 1), LimitsConfig::default());
    }
}
