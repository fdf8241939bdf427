//! Reads the CPU time and memory of a process from `/proc`.
//!
//! CPU time is the scheduler's account of all threads in nanoseconds, if the kernel keeps it (`schedstat`); user and system
//! time are counted in ticks, which are 10 ms on every Linux (`USER_HZ` of 100).

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::error::CommandError;

const TICK: Duration = Duration::from_millis(10);

/// A process.
#[derive(Debug)]
pub(super) struct Process(PathBuf);

/// What it has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// CPU time of all threads.
    pub(super) cpu: Duration,
    /// User time, accurate to a tick.
    pub(super) user: Duration,
    /// System time, accurate to a tick.
    pub(super) system: Duration,
    /// Memory it holds now.
    pub(super) resident_bytes: u64,
}

impl Process {
    /// The process of that number.
    pub(super) fn find(pid: u32) -> Result<Self, CommandError> {
        let process = Process(PathBuf::from(format!("/proc/{pid}")));
        match process.usage() {
            Some(_) => Ok(process),
            None => Err(CommandError::misuse(format_args!(
                "`--pid`: there is no process {pid} on this machine"
            ))),
        }
    }

    /// This process.
    pub(super) fn own() -> Self {
        Process("/proc/self".into())
    }

    /// What it has used so far. `None` if it has ended or the system has no `/proc`.
    pub(super) fn usage(&self) -> Option<Usage> {
        let (user, system) = ticks(&fs::read_to_string(self.0.join("stat")).ok()?)?;
        let status = fs::read_to_string(self.0.join("status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = match resident {
            Some(text) => text.split_whitespace().next()?.parse().ok()?,
            None => 0,
        };
        Some(Usage {
            cpu: self.scheduled().unwrap_or(user + system),
            user,
            system,
            resident_bytes: kib * 1024,
        })
    }

    /// The time for which its threads ran.
    fn scheduled(&self) -> Option<Duration> {
        let mut nanos = 0;
        for thread in fs::read_dir(self.0.join("task")).ok()? {
            // A thread may end while they are listed.
            let Ok(text) = fs::read_to_string(thread.ok()?.path().join("schedstat")) else {
                continue;
            };
            nanos += text.split(' ').next()?.parse::<u64>().ok()?;
        }
        // Zero means that the kernel does not keep it.
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }
}

/// User and system time from the text of `stat`. The program's name is in parentheses and may contain anything, so fields
/// are counted from the last parenthesis: utime and stime are the 14th and 15th of all (proc(5)).
fn ticks(stat: &str) -> Option<(Duration, Duration)> {
    let (_, tail) = stat.rsplit_once(") ")?;
    let mut fields = tail.split(' ').skip(11);
    let mut next = || Some(TICK * fields.next()?.parse::<u32>().ok()?);
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_after_any_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 30 0 0 20 0 1 0 5 6 7";
        assert_eq!(
            ticks(stat),
            Some((Duration::from_millis(2500), Duration::from_millis(300)))
        );
        assert_eq!(ticks("42 (cut S 1"), None);
    }
}
