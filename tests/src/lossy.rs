//! Phones with RFC 3261's timers over real sockets, for networks that lose what they are given.

use anyhow::{Context, Result};
use clock::{Monotonic, io::monotonic};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sim::{Phone, Tally};
use std::{
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd,
    time::Duration,
};

/// A series of calls: a caller's phone, an AI's, and the daemon (or nothing) between them.
#[derive(Copy, Clone, Debug)]
pub struct Series {
    /// The caller's address.
    pub caller: SocketAddr,
    /// The AI's address.
    pub ai: SocketAddr,
    /// Where the caller's INVITEs go.
    pub to: SocketAddr,
    /// How many calls.
    pub calls: usize,
    /// Between the beginnings of two calls.
    pub every: Duration,
    /// How long the caller stays after the answer.
    pub hold: Duration,
    /// When the series is given up.
    pub within: Duration,
}

/// How a series went.
#[derive(Copy, Clone, Debug)]
pub struct Outcome {
    /// The caller's calls.
    pub caller: Tally,
    /// The AI's calls.
    pub ai: Tally,
    /// From the first INVITE until nothing was open at either phone.
    pub took: Duration,
}

impl Series {
    /// Runs it, on this thread, until every call is over at both ends and nothing waits for an answer, or until it is given up.
    pub fn run(&self) -> Result<Outcome> {
        let mut ends = [End::new("caller", self.caller, 1)?, End::new("ai", self.ai, 2)?];
        ends[1].phone.answer(self.calls * 2, Duration::from_millis(100));
        let began = monotonic();
        let (mut placed, mut next) = (0, began);
        loop {
            let now = monotonic();
            while placed < self.calls && next <= now {
                ends[0].phone.call(now, self.to, "support", self.hold);
                (placed, next) = (placed + 1, next + self.every);
            }
            for end in &mut ends {
                end.turn(now)?;
            }
            let [caller, ai] = [&ends[0], &ends[1]].map(|end| end.phone.tally());
            let still = [caller, ai].iter().any(|tally| tally.over < tally.calls || tally.waiting > 0);
            let took = now.since(began);
            if took > self.within || (placed == self.calls && !still) {
                return Ok(Outcome { caller, ai, took });
            }
            let call = (placed < self.calls).then_some(next);
            let wake = ends.iter().filter_map(|end| end.phone.poll_timeout()).chain(call).min();
            wait(&ends, now, wake)?;
        }
    }
}

struct End {
    phone: Phone,
    socket: UdpSocket,
}

impl End {
    fn new(name: &'static str, address: SocketAddr, seed: u64) -> Result<Self> {
        let socket = UdpSocket::bind(address).with_context(|| format!("{name} cannot be at {address}"))?;
        socket.set_nonblocking(true)?;
        Ok(Self { phone: Phone::new(name, address, seed), socket })
    }

    fn turn(&mut self, now: Monotonic) -> Result<()> {
        let mut buffer = [0; 65_536];
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, from)) => self.phone.handle_datagram(now, from, &buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Somebody who is not there yet, or any more, is a loss like others.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.phone.handle_timeout(now);
        while let Some((to, bytes)) = self.phone.poll_transmit() {
            // A datagram that a firewall rule drops at once is told as "not permitted": that is the loss of this network.
            let _ = self.socket.send_to(&bytes, to);
        }
        Ok(())
    }
}

/// Until a datagram comes or something is due, at most half a second.
fn wait(ends: &[End; 2], now: Monotonic, wake: Option<Monotonic>) -> Result<()> {
    let patience = wake.map_or(Duration::from_millis(500), |at| at.since(now)).min(Duration::from_millis(500));
    let mut sockets = [&ends[0], &ends[1]].map(|end| PollFd::new(end.socket.as_fd(), PollFlags::POLLIN));
    let milliseconds = u16::try_from(patience.as_micros().div_ceil(1_000)).unwrap_or(500);
    poll(&mut sockets, PollTimeout::from(milliseconds))?;
    Ok(())
}
