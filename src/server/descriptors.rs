//! File descriptors: how many the process may open, and how many of them client connections may use.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

/// Kept free for stores, the admin port, files and listeners, in addition to as many as clients get.
const RESERVE: u64 = 64;

/// Raises the limit of open files to the most that the system allows.
pub(super) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    if current != maximum
        && let Err(err) = setrlimit(Resource::Nofile, all)
    {
        debug!(error = %err, "can't raise the limit of open files");
    }
}

/// How many connections each of `loops` loops may have: `configured`, unless that would leave too few descriptors for
/// everything else.
pub(super) fn connections_max(configured: usize, loops: usize) -> usize {
    let open_files = getrlimit(Resource::Nofile).current;
    let connections = open_files.map_or(configured, |files| for_clients(files, loops));
    if connections < configured {
        warn!(
            connections_max = configured,
            taken = connections,
            open_files,
            loops,
            "the limit of open files allows fewer connections than `connections_max`: raise it (`ulimit -n`)"
        );
    }
    configured.min(connections)
}

/// Each loop's share of `open_files`: of half of them minus the reserve, or of a quarter if that is more.
fn for_clients(open_files: u64, loops: usize) -> usize {
    let half = (open_files / 2).saturating_sub(RESERVE);
    let all = usize::try_from(half.max(open_files / 4)).unwrap_or(usize::MAX);
    (all / loops).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_half_of_the_descriptors_minus_a_reserve() {
        for (open_files, loops, expected) in [
            (1024, 1, 448),
            (8320, 1, 4096),
            (1024, 4, 112),
            (256, 1, 64),
            (128, 1, 32),
            (16, 8, 1),
        ] {
            assert_eq!(for_clients(open_files, loops), expected, "{open_files}");
        }
    }
}
