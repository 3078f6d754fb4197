//! What the operating system says of the process. Reading it is the daemon's work: this room opens no files.

use crate::family::{Declarations, Gauge, ProcessCounter, ProcessGauge};
use std::time::Duration;

/// One reading of the process, by the names that Prometheus' own client libraries use.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// User and system time spent so far.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Virtual memory in bytes.
    pub virtual_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// The limit of open file descriptors.
    pub max_fds: u64,
    /// Threads.
    pub threads: u64,
    /// When the process started, since the Unix epoch.
    pub started: Duration,
}

#[derive(Debug)]
pub(crate) struct Families {
    cpu: ProcessCounter,
    resident: Gauge,
    virtual_memory: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
    started: ProcessGauge,
}

impl Families {
    pub(crate) fn new(d: &mut Declarations) -> Self {
        Self {
            cpu: d.seconds_counter("process_cpu_seconds_total", "User and system CPU time spent."),
            resident: d.gauge("process_resident_memory_bytes", "Resident memory."),
            virtual_memory: d.gauge("process_virtual_memory_bytes", "Virtual memory."),
            open_fds: d.gauge("process_open_fds", "Open file descriptors."),
            max_fds: d.gauge("process_max_fds", "Limit of open file descriptors."),
            threads: d.gauge("process_threads", "Threads of the process."),
            started: d.seconds_gauge("process_start_time_seconds", "Start of the process since the Unix epoch."),
        }
    }

    pub(crate) fn set(&self, process: &Process) {
        self.cpu.at_least(process.cpu.as_secs_f64());
        self.resident.set(process.resident_bytes);
        self.virtual_memory.set(process.virtual_bytes);
        self.open_fds.set(process.open_fds);
        self.max_fds.set(process.max_fds);
        self.threads.set(process.threads);
        self.started.set(process.started.as_secs_f64());
    }
}
