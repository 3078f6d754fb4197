//! The floor under the figure of calls: what the kernel alone takes on this machine for the datagrams and sockets of a call.
//!
//! A forwarder that knows nothing of SIP stands where the daemon stands: one epoll, one receive and one send a datagram, a 100 for each
//! INVITE, and for each call the four sockets of its two legs, opened and closed. It parses, remembers, logs and decides nothing, so no
//! back-to-back user agent that wakes for each datagram and opens the ports it offers can cost less.

use super::{answerer, call, figure, last_lines};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use serde_json::Value;
use std::{
    collections::VecDeque,
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use tests::own_address;

const RATE: u32 = 200;
const SECONDS: u32 = 20;
/// As long as the system lets a thread's name be.
const NAME: &str = "bare-forwarder";
/// RTP and RTCP of two legs.
const SOCKETS: usize = 4;

/// CPU of the bare forwarder for the calls of the figure of calls.
pub(super) async fn bare_forwarder() -> Result<Value> {
    println!("measuring the same calls through a bare forwarder ...");
    let (caller, here, ai) = (own_address(), own_address(), own_address());
    let forwarder = Forwarder::start(SocketAddr::from((here, 5060)), SocketAddr::from((ai, 5060)))?;
    let _answerer = answerer(ai, &[]);
    let calls = RATE * SECONDS;
    let running = call(SocketAddr::from((here, 5060)), caller, "caller.xml", calls, RATE, 0);
    let finished = running.finished(Duration::from_secs(u64::from(SECONDS) + 60)).await;
    ensure!(finished.status.success(), "SIPp lost calls:\n{}", last_lines(&finished.printed));
    let cpu = cpu_of_thread(NAME)?;
    let carried = forwarder.stop()?;
    ensure!(carried >= calls, "the forwarder saw {carried} calls of {calls}");
    Ok(figure(
        "bare_forwarder_cpu_s_per_1000_calls",
        cpu.as_secs_f64() / f64::from(calls) * 1000.0,
        "s",
        "the same calls through a program that only forwards their datagrams and opens four sockets a call: the kernel's own part",
    ))
}

struct Forwarder {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<u32>>,
}

impl Forwarder {
    fn start(here: SocketAddr, callee: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind(here)?;
        socket.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name(NAME.to_owned()).spawn(move || forward(&socket, callee, &told))?;
        Ok(Self { stop, thread })
    }

    /// How many INVITEs it passed on.
    fn stop(self) -> Result<u32> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the forwarder panicked")?
    }
}

fn forward(socket: &UdpSocket, callee: SocketAddr, stop: &AtomicBool) -> Result<u32> {
    let (signaling, media) = (Epoll::new(EpollCreateFlags::empty())?, Epoll::new(EpollCreateFlags::empty())?);
    signaling.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
    let mut ready = [EpollEvent::empty(); 16];
    let mut buffer = [0u8; 4096];
    let (mut caller, mut calls, mut open) = (None, 0, VecDeque::new());
    while !stop.load(Ordering::Relaxed) {
        signaling.wait(&mut ready, EpollTimeout::from(100u8))?;
        loop {
            let (length, from) = match socket.recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            };
            let datagram = &buffer[..length];
            if from == callee {
                socket.send_to(datagram, caller.context("the callee spoke first")?)?;
                continue;
            }
            caller = Some(from);
            if datagram.starts_with(b"INVITE ") {
                calls += 1;
                socket.send_to(trying(datagram).as_bytes(), from)?;
                open.push_back(ports(&media)?);
            } else if datagram.starts_with(b"BYE ") {
                drop(open.pop_front());
            }
            socket.send_to(datagram, callee)?;
        }
    }
    Ok(calls)
}

fn ports(watched: &Epoll) -> Result<[UdpSocket; SOCKETS]> {
    let open = || -> Result<UdpSocket> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        watched.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        Ok(socket)
    };
    Ok([open()?, open()?, open()?, open()?])
}

fn trying(invite: &[u8]) -> String {
    let invite = String::from_utf8_lossy(invite);
    let copied = invite
        .split("\r\n")
        .filter(|line| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)));
    copied.fold("SIP/2.0 100 Trying\r\n".to_owned(), |text, line| text + line + "\r\n") + "Content-Length: 0\r\n\r\n"
}

/// What the kernel has counted of a living thread of this process.
fn cpu_of_thread(name: &str) -> Result<Duration> {
    for task in fs::read_dir("/proc/self/task")?.filter_map(Result::ok) {
        if fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name) {
            let counted = fs::read_to_string(task.path().join("schedstat"))?;
            let nanoseconds = counted.split_whitespace().next().context("a number")?.parse()?;
            return Ok(Duration::from_nanos(nanoseconds));
        }
    }
    bail!("no thread {name}");
}
