//! Finds out how much memory this process may use: what its control groups allow, or else what the machine has.
//!
//! A container or a service with a memory limit is ended by the kernel when it exceeds it. So the defaults of limits that
//! are sizes depend on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Where the hierarchies of control groups are mounted.
const MOUNTED: &str = "/sys/fs/cgroup";

/// How much memory a process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryLimit {
    /// In bytes.
    pub(crate) bytes: u64,
    /// What sets it.
    pub(crate) source: Source,
}

/// What limits the memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The control group of a container or a service.
    ControlGroup,
    /// The machine.
    Machine,
}

impl Source {
    /// A word for the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Source::ControlGroup => "control group",
            Source::Machine => "machine",
        }
    }
}

/// The limit of this process, found out when it is first asked for.
pub(crate) fn of_process() -> MemoryLimit {
    static FOUND: OnceLock<MemoryLimit> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let machine = machine();
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let read = |path: &Path| fs::read_to_string(path).ok();
        match of_groups(&groups, read).filter(|bytes| *bytes < machine) {
            Some(bytes) => MemoryLimit {
                bytes,
                source: Source::ControlGroup,
            },
            None => MemoryLimit {
                bytes: machine,
                source: Source::Machine,
            },
        }
    })
}

fn machine() -> u64 {
    let known = rustix::system::sysinfo();
    #[expect(clippy::useless_conversion, reason = "it has 32 bits on some machines")]
    let total = u64::from(known.totalram);
    total.saturating_mul(u64::from(known.mem_unit))
}

/// The least limit of the groups in `/proc/self/cgroup` (cgroups(7)) and of all groups around them.
fn of_groups(groups: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let of_line = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?);
        if controllers.is_empty() {
            // Version 2.
            return least(Path::new(MOUNTED), group, "memory.max", &read);
        }
        let mut controllers = controllers.split(',');
        let found = controllers.find(|name| *name == "memory")?;
        let mounted = Path::new(MOUNTED).join(found);
        least(&mounted, group, "memory.limit_in_bytes", &read)
    };
    groups.lines().filter_map(of_line).min()
}

/// The least number in `file`, from the folder of `group` up to where its hierarchy is mounted. In a container only the upper
/// folders may be visible, as those of its own group.
fn least(
    mounted: &Path,
    group: &str,
    file: &str,
    read: impl Fn(&Path) -> Option<String>,
) -> Option<u64> {
    let below: PathBuf = Path::new(group).strip_prefix("/").ok()?.into();
    let folders = below.ancestors().map(|below| mounted.join(below));
    // Version 2 says `max` if there is no limit, version 1 a number close to the largest.
    let numbers = folders.filter_map(|folder| read(&folder.join(file))?.trim().parse().ok());
    numbers.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[track_caller]
    fn assert_limit(groups: &str, files: &[(&str, &str)], expected: Option<u64>) {
        let read = |path: &Path| {
            let path = path.strip_prefix(MOUNTED).expect("below the mount");
            let found = files.iter().find(|(name, _)| Path::new(name) == path)?;
            Some(format!("{}\n", found.1))
        };
        assert_eq!(of_groups(groups, read), expected);
    }

    #[test]
    fn the_least_limit_of_a_group_and_those_around_it() {
        let service = "0::/system.slice/tributary.service\n";
        let file = "system.slice/tributary.service/memory.max";
        let around = "system.slice/memory.max";
        assert_limit(service, &[], None);
        assert_limit(service, &[(file, "max"), (around, "max")], None);
        assert_limit(service, &[(file, "1073741824"), (around, "max")], Some(GIB));
        assert_limit(service, &[(file, "max"), (around, "1073741824")], Some(GIB));
        let both = [(file, "2147483648"), (around, "1073741824")];
        assert_limit(service, &both, Some(GIB));
    }

    #[test]
    fn a_container_sees_its_own_group_as_the_uppermost() {
        assert_limit("0::/\n", &[("memory.max", "1073741824")], Some(GIB));
        // Without a namespace of its own, with version 1.
        let groups = "3:cpu,cpuacct:/docker/ab\n2:memory:/docker/ab\n";
        let files = [("memory/memory.limit_in_bytes", "1073741824")];
        assert_limit(groups, &files, Some(GIB));
        let other = [("cpu/memory.limit_in_bytes", "1")];
        assert_limit(groups, &other, None);
    }

    #[test]
    fn strange_lines_say_nothing() {
        for groups in ["", "0::", "0", "x:memory", "0::relative"] {
            assert_limit(groups, &[("memory.max", "soon")], None);
        }
    }

    #[test]
    fn every_process_has_a_limit() {
        assert!(of_process().bytes > 1 << 20);
    }
}
