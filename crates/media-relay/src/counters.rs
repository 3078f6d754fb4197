//! What a worker counts.

/// What a worker counts over all its ports.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// RTP packets accepted.
    pub packets_received: u64,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// Packets from an address that is not the peer's.
    pub foreign: u64,
    /// Packets whose tag was wrong, or that had come before (SRTP).
    pub unauthentic: u64,
    /// Datagrams that are neither RTP nor RTCP, or whose lengths lie.
    pub malformed: u64,
    /// Ticks handled more than 10 ms after they were due.
    pub late_ticks: u64,
    /// Ports open.
    pub ports: u64,
    /// Packets lost, over all closed ports.
    pub packets_lost: u64,
}

impl std::ops::Add for Counters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            packets_received: self.packets_received + other.packets_received,
            packets_sent: self.packets_sent + other.packets_sent,
            foreign: self.foreign + other.foreign,
            unauthentic: self.unauthentic + other.unauthentic,
            malformed: self.malformed + other.malformed,
            late_ticks: self.late_ticks + other.late_ticks,
            ports: self.ports + other.ports,
            packets_lost: self.packets_lost + other.packets_lost,
        }
    }
}
