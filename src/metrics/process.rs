//! What the kernel says about this process, by the names that every Prometheus client library uses.
//!
//! Read from `/proc/self` by each scrape. Where the kernel has no such folder, these metrics are missing.

use std::fmt;
use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// The fields of `/proc/self/stat` that are read, counted from the state that follows the name: proc(5) counts from 1
/// and the state is its third.
const USER_TICKS: usize = 14 - 3;
const SYSTEM_TICKS: usize = 15 - 3;
const STARTED_TICKS: usize = 22 - 3;
const VIRTUAL_BYTES: usize = 23 - 3;
const RESIDENT_PAGES: usize = 24 - 3;

/// The numbers of one scrape.
#[derive(Debug, PartialEq)]
struct Process {
    cpu: Duration,
    resident: u64,
    virtual_bytes: u64,
    descriptors: Option<u64>,
    descriptors_max: Option<u64>,
    /// In seconds of Unix time.
    started: Option<f64>,
}

/// Writes the metrics, if the kernel tells.
pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let Some(process) = read() else {
        return Ok(());
    };
    let help = "Processor time used by the process, in user and system mode";
    encoder
        .encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?
        .encode_counter::<NoLabelSet, f64, u64>(&process.cpu.as_secs_f64(), None)?;
    let numbers = [
        (
            "process_resident_memory_bytes",
            "Resident memory of the process",
            Some(process.resident),
        ),
        (
            "process_virtual_memory_bytes",
            "Virtual memory of the process",
            Some(process.virtual_bytes),
        ),
        (
            "process_open_fds",
            "Open file descriptors of the process",
            process.descriptors,
        ),
        (
            "process_max_fds",
            "The limit of open file descriptors",
            process.descriptors_max,
        ),
    ];
    for (name, help, number) in numbers {
        if let Some(number) = number.and_then(|number| i64::try_from(number).ok()) {
            encoder
                .encode_descriptor(name, help, None, MetricType::Gauge)?
                .encode_gauge(&number)?;
        }
    }
    if let Some(started) = process.started {
        let help = "When the process started, in seconds of Unix time";
        encoder
            .encode_descriptor("process_start_time_seconds", help, None, MetricType::Gauge)?
            .encode_gauge(&started)?;
    }
    Ok(())
}

fn read() -> Option<Process> {
    let ticks = rustix::param::clock_ticks_per_second();
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let [user, system, started, virtual_bytes, resident] = fields(&stat)?;
    // The folder itself is open while it is read.
    let open = fs::read_dir("/proc/self/fd").ok();
    let descriptors = open.map(|fds| (fds.count() as u64).saturating_sub(1));
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    Some(Process {
        cpu: time(user + system, ticks),
        resident: resident * page,
        virtual_bytes,
        descriptors,
        descriptors_max: limits.current,
        started: started_at(time(started, ticks)),
    })
}

/// The numbers of a line of `stat`. The name in it may contain spaces and parentheses.
fn fields(stat: &str) -> Option<[u64; 5]> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let mut numbers = [0; 5];
    let wanted = [
        USER_TICKS,
        SYSTEM_TICKS,
        STARTED_TICKS,
        VIRTUAL_BYTES,
        RESIDENT_PAGES,
    ];
    for (number, at) in numbers.iter_mut().zip(wanted) {
        *number = fields.get(at)?.parse().ok()?;
    }
    Some(numbers)
}

fn time(ticks: u64, per_second: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(1000) / per_second.max(1))
}

/// The Unix time of `since_boot`. It is computed once, so that it does not move with the clock.
fn started_at(since_boot: Duration) -> Option<f64> {
    static STARTED: OnceLock<Option<f64>> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
        let now = SystemTime::UNIX_EPOCH.elapsed().ok()?;
        Some(now.as_secs_f64() - uptime + since_boot.as_secs_f64())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 111 222 13 14 15 16 17 18 333 444 555 22";
        for name in ["tributary", "a b", "c) d ("] {
            let stat = format!("42 ({name}) {rest}\n");
            assert_eq!(fields(&stat), Some([111, 222, 333, 444, 555]), "{name}");
        }
        assert_eq!(fields("42 (short) S 1"), None);
        assert_eq!(fields(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_all_of_them() {
        let process = read().expect("Linux has them");
        assert!(process.resident > 0 && process.virtual_bytes > process.resident);
        assert!(
            process.descriptors.is_some_and(|open| open >= 3),
            "{process:?}"
        );
        let now = SystemTime::UNIX_EPOCH
            .elapsed()
            .expect("after 1970")
            .as_secs_f64();
        let age = now - process.started.expect("it started");
        assert!((-2.0..86_400.0 * 365.0).contains(&age), "{age}");
    }
}
