//! What the kernel says of this process, and what it must grant before calls are taken.

use metrics::Process;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::{fs, sync::OnceLock, time::Duration};

/// Descriptors that are no ports: sockets, logs, connections of the API, readers of events.
const OWN_DESCRIPTORS: u64 = 2_048;

/// Reads `/proc/self`; `None` where there is none. First called at the start: in a sandbox without `/proc/stat` that is
/// the start's time.
pub(crate) fn read() -> Option<Process> {
    static STARTED: OnceLock<Duration> = OnceLock::new();
    // The kernel's USER_HZ: 100 wherever Linux runs Rust.
    let ticks = 100;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let resident: u64 = resident.trim().trim_end_matches("kB").trim().parse().ok()?;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name may hold spaces and parentheses: fields are counted from the last one.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    let since_boot = Duration::from_millis(number(19)? * 1_000 / ticks);
    let started = *STARTED.get_or_init(|| boot_time().map_or_else(|| clock::io::now().unix, |boot| boot + since_boot));
    Some(Process {
        cpu: Duration::from_millis((number(11)? + number(12)?) * 1_000 / ticks),
        threads: number(17)?,
        virtual_bytes: number(20)?,
        resident_bytes: resident * 1_024,
        open_fds: fs::read_dir("/proc/self/fd").ok()?.count() as u64,
        max_fds: getrlimit(Resource::RLIMIT_NOFILE).ok()?.0,
        started,
    })
}

fn boot_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Raises the limit of descriptors as far as it may go and says how many calls fit, if that is fewer than wanted.
///
/// A call with three legs takes six sockets: RTP and RTCP of each.
pub(crate) fn room_for(calls: usize) -> Option<usize> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let wanted = (calls as u64).saturating_mul(6).saturating_add(OWN_DESCRIPTORS);
    let granted = wanted.min(hard);
    if granted > soft && setrlimit(Resource::RLIMIT_NOFILE, granted, hard).is_err() {
        return fitting(soft, calls);
    }
    fitting(granted.max(soft), calls)
}

fn fitting(descriptors: u64, calls: usize) -> Option<usize> {
    let fit = usize::try_from(descriptors.saturating_sub(OWN_DESCRIPTORS.min(descriptors / 4)) / 6).ok()?;
    (fit < calls).then_some(fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_what_the_process_uses() {
        let process = read().expect("a /proc");
        assert!(process.resident_bytes > 0 && process.open_fds > 0 && process.threads > 0);
        assert!(process.started > Duration::from_secs(1_600_000_000));
    }

    #[test]
    fn few_descriptors_mean_few_calls() {
        assert_eq!(fitting(1_024, 2_000), Some(128));
        assert_eq!(fitting(100_000, 2_000), None);
    }
}
