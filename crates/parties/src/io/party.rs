//! A SIP user agent on a socket of its own: places and takes calls, keeps RFC 3261's timers on UDP, and writes down every message.

use super::{
    Call, Keep,
    agent::{Inner, Table, run},
};
use crate::{g711::Law, message::Message, signal::Signal};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::UdpSocket, sync::mpsc, task::JoinHandle};

/// Calls that wait to be taken, at the most.
const MOST_WAITING: usize = 4096;

/// How a party talks and what it keeps.
#[derive(Clone, Debug)]
pub struct Voice {
    /// What it says.
    pub signal: Signal,
    /// What it keeps of what it hears.
    pub keep: Keep,
    /// Which laws it speaks, the preferred one first.
    pub laws: Vec<Law>,
}

impl Voice {
    /// Says this in PCMU or PCMA, keeps everything.
    pub fn of(signal: Signal) -> Self {
        Self { signal, keep: Keep::All, laws: vec![Law::Mu, Law::A] }
    }
}

/// A SIP message that a party sent or received.
#[derive(Clone, Debug)]
pub struct Traced {
    /// Time since the Unix epoch; the kernel's for received ones.
    pub at: Duration,
    /// True for sent ones.
    pub sent: bool,
    /// The other side.
    pub peer: SocketAddr,
    /// The message.
    pub message: Message,
}

/// A SIP user agent. Dropping it closes its socket; calls do not survive it.
#[derive(Debug)]
pub struct Party {
    inner: Arc<Inner>,
    incoming: tokio::sync::Mutex<mpsc::Receiver<Call>>,
    task: JoinHandle<()>,
}

impl Party {
    /// Binds `name` to `ip` at port 5060, or at a free port when that is taken.
    pub async fn bind(name: &str, ip: IpAddr, voice: Voice) -> io::Result<Self> {
        let socket = match UdpSocket::bind((ip, 5060)).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => UdpSocket::bind((ip, 0)).await?,
            other => other?,
        };
        Self::on(name, socket, voice).await
    }

    /// Binds `name` to exactly this address.
    pub async fn bind_to(name: &str, address: SocketAddr, voice: Voice) -> io::Result<Self> {
        Self::on(name, UdpSocket::bind(address).await?, voice).await
    }

    async fn on(name: &str, socket: UdpSocket, voice: Voice) -> io::Result<Self> {
        // Until the runtime has seen the socket writable once, sending without waiting would fail.
        socket.writable().await?;
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::ReceiveTimestampns, &true)?;
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBuf, &(4 << 20))?;
        let local = socket.local_addr()?;
        let (waiting, incoming) = mpsc::channel(MOST_WAITING);
        let inner = Arc::new(Inner {
            socket,
            local,
            name: name.to_owned(),
            voice,
            waiting,
            table: Mutex::new(Table::default()),
        });
        let task = tokio::spawn(run(Arc::clone(&inner)));
        Ok(Self { inner, incoming: tokio::sync::Mutex::new(incoming), task })
    }

    /// Its SIP address.
    pub fn address(&self) -> SocketAddr {
        self.inner.local
    }

    /// Its SIP URI.
    pub fn uri(&self) -> String {
        format!("sip:{}@{}", self.inner.name, self.inner.local)
    }

    /// Places a call to `user` at `to`, as `from` (a user or number); the INVITE leaves at once.
    pub async fn call(&self, from: &str, user: &str, to: SocketAddr) -> io::Result<Call> {
        self.call_with(from, user, to, &[]).await
    }

    /// As [`Party::call`], with headers of one's own.
    pub async fn call_with(
        &self,
        from: &str,
        user: &str,
        to: SocketAddr,
        headers: &[(&str, &str)],
    ) -> io::Result<Call> {
        let audio = self.inner.audio().await?;
        Ok(self.inner.invite(from, user, to, headers, audio, true))
    }

    /// As [`Party::call`], without an offer: the other side offers in its 200 and we answer in the ACK.
    pub async fn call_late(&self, from: &str, user: &str, to: SocketAddr) -> io::Result<Call> {
        let audio = self.inner.audio().await?;
        Ok(self.inner.invite(from, user, to, &[], audio, false))
    }

    /// Asks with OPTIONS and waits for the final status; `None` when `within` has passed.
    pub async fn options(&self, to: SocketAddr, within: Duration) -> Option<u16> {
        let mut answered = self.inner.ask(to);
        let status = tokio::time::timeout(within, answered.wait_for(|status| *status != 0)).await;
        let status = status.ok().and_then(Result::ok).map(|status| *status);
        drop(answered);
        self.inner.forget_asked();
        status
    }

    /// Waits for the next call that comes in.
    pub async fn incoming(&self, within: Duration) -> Option<Call> {
        tokio::time::timeout(within, async { self.incoming.lock().await.recv().await }).await.ok().flatten()
    }

    /// Every message so far, in order.
    pub fn trace(&self) -> Vec<Traced> {
        self.inner.table().trace.clone()
    }

    /// Writes no message down from now on and forgets those it has: for parties of thousands of calls. What is read from the trace
    /// (REFER and NOTIFY that came) is not known any more.
    pub fn forget_messages(&self) {
        let mut table = self.inner.table();
        table.untraced = true;
        table.trace = Vec::new();
    }

    /// Sends bytes as they are, for tests of what is not SIP.
    pub fn send_raw(&self, bytes: &[u8], to: SocketAddr) {
        let _ = self.inner.socket.try_send_to(bytes, to);
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.task.abort();
    }
}
