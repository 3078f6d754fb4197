//! What the kernel has counted of a running process.

use std::{fs, time::Duration};

/// CPU time, resident memory and descriptors of a process, read from `/proc`.
#[derive(Copy, Clone, Debug)]
pub struct Usage {
    /// User and system time since the process began.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub resident: u64,
    /// Open file descriptors.
    pub descriptors: usize,
}

impl Usage {
    /// Reads `/proc/<pid>`; fails when the process is gone.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may contain spaces; the fields after it are numbered from 3.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        let schedstat = fs::read_dir(format!("/proc/{pid}/task"))?
            .filter_map(Result::ok)
            .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
            .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
            .sum::<u64>();
        // schedstat counts nanoseconds of living threads; stat counts 10 ms ticks of all. Take the finer where it says more.
        let cpu = Duration::from_nanos(schedstat).max(Duration::from_millis(ticks * 10));
        let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
        let pages: u64 = statm.split_whitespace().nth(1).unwrap_or("0").parse()?;
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
        Ok(Self { cpu, resident: pages * 4096, descriptors })
    }
}
