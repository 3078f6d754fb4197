//! A SIP user agent on a socket of its own: places and takes calls, keeps RFC 3261's timers on UDP, and writes down every message.

use super::{
    Call, Keep, Status,
    audio::{Audio, now, receive},
    dialog::{Dialog, cancel, describe, key_of, response, tag_of},
};
use crate::{
    g711::Law,
    message::{Description, Message, uri_of},
    signal::Signal,
};
use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::Interest,
    net::UdpSocket,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};

/// RFC 3261's T1 and T2, and 64 * T1.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const GIVE_UP: Duration = Duration::from_secs(32);
/// Messages written down at the most, and calls that wait to be taken.
const MOST_TRACED: usize = 200_000;
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
        Self::on(name, socket, voice)
    }

    /// Binds `name` to exactly this address.
    pub async fn bind_to(name: &str, address: SocketAddr, voice: Voice) -> io::Result<Self> {
        Self::on(name, UdpSocket::bind(address).await?, voice)
    }

    fn on(name: &str, socket: UdpSocket, voice: Voice) -> io::Result<Self> {
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
        Ok(self.inner.invite(from, user, to, headers, audio))
    }

    /// Waits for the next call that comes in.
    pub async fn incoming(&self, within: Duration) -> Option<Call> {
        tokio::time::timeout(within, async { self.incoming.lock().await.recv().await }).await.ok().flatten()
    }

    /// Every message so far, in order.
    pub fn trace(&self) -> Vec<Traced> {
        self.inner.table().trace.clone()
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

async fn run(inner: Arc<Inner>) {
    let mut resends = interval(T1 / 10);
    resends.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = resends.tick() => inner.resend(),
            ready = inner.socket.ready(Interest::READABLE) => {
                if ready.is_err() {
                    return;
                }
                while let Ok((at, bytes, from)) = inner.socket.try_io(Interest::READABLE, || receive(&inner.socket)) {
                    let (Some(from), Some(message)) = (from, Message::read(&bytes)) else { continue };
                    inner.write_down(Traced { at, sent: false, peer: from, message: message.clone() });
                    inner.handle(message, from).await;
                }
            }
        }
    }
}

pub(super) struct Inner {
    socket: UdpSocket,
    local: SocketAddr,
    name: String,
    voice: Voice,
    waiting: mpsc::Sender<Call>,
    table: Mutex<Table>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.local)
    }
}

#[derive(Default)]
struct Table {
    dialogs: HashMap<String, Dialog>,
    resends: HashMap<String, Resend>,
    /// Calls that are over, and since when: their dialogs answer retransmissions for a while.
    over: HashMap<String, Instant>,
    swept: Option<Instant>,
    trace: Vec<Traced>,
    numbers: u64,
}

impl Table {
    /// Lets go, once a second, of dialogs that were over for as long as anything may be sent again; with them goes their audio.
    fn forget(&mut self, time: Instant) {
        if self.swept.is_some_and(|swept| time < swept + Duration::from_secs(1)) {
            return;
        }
        self.swept = Some(time);
        for (id, _) in self.dialogs.iter().filter(|(_, dialog)| dialog.status.borrow().is_over()) {
            if !self.over.contains_key(id) {
                self.over.insert(id.clone(), time);
            }
        }
        let Self { over, dialogs, .. } = self;
        over.retain(|id, since| {
            let keep = time < *since + GIVE_UP;
            if !keep {
                dialogs.remove(id);
            }
            keep
        });
    }
}

/// A message that goes out again until it is answered.
struct Resend {
    message: Message,
    to: SocketAddr,
    next: Instant,
    wait: Duration,
    until: Instant,
    call: String,
}

impl Inner {
    async fn audio(&self) -> io::Result<Arc<Audio>> {
        Ok(Arc::new(Audio::bind(self.local.ip(), self.voice.signal, self.voice.keep).await?))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn contact(&self) -> String {
        format!("sip:{}@{}", self.name, self.local)
    }

    pub(super) fn via(&self, number: u64) -> String {
        format!("SIP/2.0/UDP {};branch=z9hG4bK-{}-{number};rport", self.local, self.name)
    }

    fn write_down(&self, traced: Traced) {
        let mut table = self.table();
        if table.trace.len() < MOST_TRACED {
            table.trace.push(traced);
        }
    }

    fn send(&self, table: &mut Table, message: &Message, to: SocketAddr) {
        if table.trace.len() < MOST_TRACED {
            table.trace.push(Traced { at: now(), sent: true, peer: to, message: message.clone() });
        }
        // A full buffer is loss; the timers send it again.
        let _ = self.socket.try_send_to(&message.write(), to);
    }

    /// Sends, and again until [`Table::resends`] loses the key.
    fn send_until(&self, table: &mut Table, key: String, call: &str, message: Message, to: SocketAddr) {
        self.send(table, &message, to);
        let start = Instant::now();
        let resend = Resend { message, to, next: start + T1, wait: T1, until: start + GIVE_UP, call: call.to_owned() };
        table.resends.insert(key, resend);
    }

    fn resend(&self) {
        let time = Instant::now();
        let mut table = self.table();
        table.forget(time);
        let due: Vec<String> =
            table.resends.iter().filter(|(_, resend)| resend.next <= time).map(|(key, _)| key.clone()).collect();
        for key in due {
            let Some(mut resend) = table.resends.remove(&key) else { continue };
            if time >= resend.until {
                if let Some(dialog) = table.dialogs.get(&resend.call) {
                    dialog.end(false, Some(408), None);
                }
                continue;
            }
            let invite = resend.message.method() == Some("INVITE");
            resend.wait = if invite { resend.wait * 2 } else { (resend.wait * 2).min(T2) };
            resend.next = time + resend.wait;
            self.send(&mut table, &resend.message, resend.to);
            table.resends.insert(key, resend);
        }
    }

    fn invite(
        self: &Arc<Self>,
        from: &str,
        user: &str,
        to: SocketAddr,
        headers: &[(&str, &str)],
        audio: Arc<Audio>,
    ) -> Call {
        let mut table = self.table();
        table.numbers += 1;
        let number = table.numbers;
        let id = format!("{}-{number}-{}@{}", self.name, now().as_nanos(), self.local.ip());
        let target = format!("sip:{user}@{to}");
        let us = format!("<sip:{from}@{}>;tag={}{number}", self.local, self.name);
        let ours = Description::of(audio.local(), &self.voice.laws, "sendrecv");
        let mut all = vec![
            ("Via".to_owned(), self.via(number)),
            ("Max-Forwards".to_owned(), "70".to_owned()),
            ("From".to_owned(), us.clone()),
            ("To".to_owned(), format!("<{target}>")),
            ("Call-ID".to_owned(), id.clone()),
            ("CSeq".to_owned(), "1 INVITE".to_owned()),
            ("Contact".to_owned(), format!("<{}>", self.contact())),
            ("Content-Type".to_owned(), "application/sdp".to_owned()),
        ];
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let invite = Message { start: format!("INVITE {target} SIP/2.0"), headers: all, body: ours.write(1) };
        let (status, watched) = watch::channel(Status::Calling);
        let dialog = Dialog {
            invite: invite.clone(),
            us,
            them: format!("<{target}>"),
            target,
            routes: Vec::new(),
            peer: to,
            placed: true,
            cseq: 1,
            audio: Arc::clone(&audio),
            ours,
            version: 1,
            status,
            answered: HashMap::new(),
            ack: None,
            given_up: false,
            cancelled: false,
            changes: 0,
            change: None,
        };
        table.dialogs.insert(id.clone(), dialog);
        let key = invite.branch().unwrap_or_default().to_owned();
        self.send_until(&mut table, key, &id, invite.clone(), to);
        Call { inner: Arc::clone(self), id, status: watched, audio, invite }
    }

    async fn handle(self: &Arc<Self>, message: Message, from: SocketAddr) {
        if message.status().is_some() {
            self.handle_response(&message);
        } else if message.method() == Some("INVITE") && message.tag("To").is_none() {
            self.handle_invite(message, from).await;
        } else {
            self.handle_request(&message, from);
        }
    }

    async fn handle_invite(self: &Arc<Self>, message: Message, from: SocketAddr) {
        let id = message.header("Call-ID").unwrap_or_default().to_owned();
        let known = {
            let mut table = self.table();
            let answer = table.dialogs.get(&id).map(|dialog| dialog.answered.get(&key_of(&message)).cloned());
            if let Some(Some(answer)) = &answer {
                self.send(&mut table, answer, from);
            }
            answer.is_some()
        };
        if known {
            return;
        }
        let Ok(audio) = self.audio().await else { return };
        let mut table = self.table();
        table.numbers += 1;
        let ours = Description::of(audio.local(), &self.voice.laws, "sendrecv");
        let (status, watched) = watch::channel(Status::Calling);
        let dialog = Dialog {
            us: format!("{};tag={}{}", message.header("To").unwrap_or_default(), self.name, table.numbers),
            them: message.header("From").unwrap_or_default().to_owned(),
            target: message.header("Contact").map(|contact| uri_of(contact).to_owned()).unwrap_or_default(),
            routes: message.values("Record-Route").map(str::to_owned).collect(),
            peer: from,
            placed: false,
            cseq: 0,
            audio: Arc::clone(&audio),
            ours,
            version: 1,
            status,
            answered: HashMap::new(),
            ack: None,
            given_up: false,
            cancelled: false,
            changes: 0,
            change: None,
            invite: message.clone(),
        };
        let trying = response(&message, 100, None);
        table.dialogs.insert(id.clone(), dialog);
        self.send(&mut table, &trying, from);
        drop(table);
        let call = Call { inner: Arc::clone(self), id, status: watched, audio, invite: message };
        // When nobody takes calls any more, the caller's timers end it.
        let _ = self.waiting.try_send(call);
    }

    fn handle_request(&self, message: &Message, from: SocketAddr) {
        let id = message.header("Call-ID").unwrap_or_default().to_owned();
        let method = message.method().unwrap_or_default().to_owned();
        let mut table = self.table();
        let Table { dialogs, resends, .. } = &mut *table;
        let Some(dialog) = dialogs.get_mut(&id) else {
            if method != "ACK" {
                let status = if method == "OPTIONS" { 200 } else { 481 };
                self.send(&mut table, &response(message, status, Some("none")), from);
            }
            return;
        };
        if let Some(answer) = dialog.answered.get(&key_of(message)).cloned() {
            self.send(&mut table, &answer, from);
            return;
        }
        let mut answers = Vec::new();
        match method.as_str() {
            "ACK" => {
                resends.remove(&format!("{id}/{}", message.cseq().map_or(0, |(number, _)| number)));
                let refused = dialog.status.borrow().is_over();
                if !refused && *dialog.status.borrow() != Status::Confirmed {
                    dialog.hear(&message.body, &self.voice.laws);
                    dialog.status.send_replace(Status::Confirmed);
                }
                return;
            }
            "INVITE" | "UPDATE" => {
                dialog.changes += 1;
                let mut answer = response(message, 200, None);
                if !message.body.is_empty() || method == "INVITE" {
                    dialog.hear(&message.body, &self.voice.laws);
                    dialog.version += 1;
                    dialog.ours.direction =
                        match Description::read(&message.body).map_or("sendrecv", |body| body.direction) {
                            "sendonly" => "recvonly",
                            "recvonly" => "sendonly",
                            other => other,
                        };
                    describe(&mut answer, &dialog.ours, dialog.version);
                }
                answer.headers.push(("Contact".to_owned(), format!("<{}>", self.contact())));
                answers.push(answer);
            }
            "BYE" => {
                dialog.end(true, None, message.header("Reason"));
                resends.retain(|_, resend| resend.call != id);
                answers.push(response(message, 200, None));
            }
            "CANCEL" => {
                answers.push(response(message, 200, Some(tag_of(&dialog.us))));
                if matches!(*dialog.status.borrow(), Status::Calling | Status::Early(_))
                    && !dialog.answered.contains_key(&key_of(&dialog.invite))
                {
                    dialog.end(true, None, message.header("Reason"));
                    answers.push(response(&dialog.invite, 487, Some(tag_of(&dialog.us))));
                }
            }
            _ => answers.push(response(message, 200, None)),
        }
        let peer = dialog.peer;
        for answer in answers {
            dialog_mut(&mut table, &id, |dialog| dialog.answered.insert(key_of(&answer), answer.clone()));
            let final_to_invite = answer.cseq().is_some_and(|(_, method)| method == "INVITE");
            if final_to_invite {
                let key = format!("{id}/{}", answer.cseq().map_or(0, |(number, _)| number));
                self.send_until(&mut table, key, &id, answer, peer);
            } else {
                self.send(&mut table, &answer, from);
            }
        }
    }

    fn handle_response(&self, message: &Message) {
        let id = message.header("Call-ID").unwrap_or_default().to_owned();
        let (status, (number, method)) = (message.status().unwrap_or(0), message.cseq().unwrap_or((0, "")));
        let mut table = self.table();
        if status >= 200 || method == "INVITE" {
            table.resends.remove(message.branch().unwrap_or_default());
        }
        let Table { dialogs, numbers, .. } = &mut *table;
        let Some(dialog) = dialogs.get_mut(&id) else { return };
        let mut out: Vec<(Message, SocketAddr)> = Vec::new();
        match (method, status) {
            ("INVITE", 101..200) if number == 1 => {
                if *dialog.status.borrow() != Status::Confirmed && !dialog.status.borrow().is_over() {
                    dialog.status.send_replace(Status::Early(status));
                }
                if dialog.given_up && !dialog.cancelled {
                    dialog.cancelled = true;
                    out.push((cancel(&dialog.invite), dialog.peer));
                }
            }
            ("INVITE", 100) if dialog.given_up && !dialog.cancelled => {
                dialog.cancelled = true;
                out.push((cancel(&dialog.invite), dialog.peer));
            }
            ("INVITE", 200..300) => {
                if let Some(ack) = dialog.ack.clone().filter(|ack| ack.cseq().is_some_and(|(known, _)| known == number))
                {
                    out.push((ack, dialog.next_hop()));
                } else {
                    dialog.them = message.header("To").unwrap_or_default().to_owned();
                    if let Some(contact) = message.header("Contact") {
                        dialog.target = uri_of(contact).to_owned();
                    }
                    if number == 1 {
                        dialog.routes = message.values("Record-Route").map(str::to_owned).collect();
                        dialog.routes.reverse();
                    }
                    let ack = dialog.request(self, numbers, "ACK");
                    dialog.ack = Some(ack.clone());
                    out.push((ack, dialog.next_hop()));
                    dialog.hear(&message.body, &self.voice.laws);
                    if let Some(change) = dialog.change.take() {
                        change.send_replace(status);
                    }
                    if dialog.given_up {
                        let bye = dialog.request(self, numbers, "BYE");
                        out.push((bye, dialog.next_hop()));
                    } else if number == 1 {
                        dialog.status.send_replace(Status::Confirmed);
                    }
                }
            }
            ("INVITE", 300..) => {
                let mut ack = cancel(&dialog.invite);
                ack.start = ack.start.replacen("CANCEL", "ACK", 1);
                for (name, value) in &mut ack.headers {
                    match name.as_str() {
                        "To" => *value = message.header("To").unwrap_or_default().to_owned(),
                        "CSeq" => *value = format!("{number} ACK"),
                        "Via" => *value = message.header("Via").unwrap_or_default().to_owned(),
                        _ => {}
                    }
                }
                out.push((ack, dialog.peer));
                match dialog.change.take() {
                    Some(change) => drop(change.send_replace(status)),
                    None => dialog.end(false, Some(status), message.header("Reason")),
                }
            }
            ("BYE", 200..) => dialog.end(false, None, None),
            _ => {}
        }
        for (message, to) in out {
            if message.method() == Some("ACK") {
                self.send(&mut table, &message, to);
            } else {
                let key = format!(
                    "{}{}",
                    message.branch().unwrap_or_default(),
                    if message.method() == Some("CANCEL") { "c" } else { "" }
                );
                self.send_until(&mut table, key, &id, message, to);
            }
        }
    }

    pub(super) fn changes(&self, id: &str) -> u32 {
        self.table().dialogs.get(id).map_or(0, |dialog| dialog.changes)
    }

    pub(super) fn provisional(&self, id: &str, status: u16) {
        let mut table = self.table();
        let Some(dialog) = table.dialogs.get(id).filter(|dialog| !dialog.status.borrow().is_over()) else { return };
        let mut answer = response(&dialog.invite, status, Some(tag_of(&dialog.us)));
        answer.headers.push(("Contact".to_owned(), format!("<{}>", self.contact())));
        let peer = dialog.peer;
        dialog.status.send_replace(Status::Early(status));
        self.send(&mut table, &answer, peer);
    }

    pub(super) fn answer(&self, id: &str) {
        let mut table = self.table();
        let Some(dialog) = table.dialogs.get_mut(id).filter(|dialog| !dialog.status.borrow().is_over()) else { return };
        let body = dialog.invite.body.clone();
        dialog.hear(&body, &self.voice.laws);
        let mut answer = response(&dialog.invite, 200, Some(tag_of(&dialog.us)));
        answer.headers.push(("Contact".to_owned(), format!("<{}>", self.contact())));
        describe(&mut answer, &dialog.ours, 1);
        let peer = dialog.peer;
        let key = format!("{id}/{}", dialog.invite.cseq().map_or(0, |(number, _)| number));
        dialog.answered.insert(key_of(&answer), answer.clone());
        self.send_until(&mut table, key, id, answer, peer);
    }

    pub(super) fn refuse(&self, id: &str, status: u16) {
        let mut table = self.table();
        let Some(dialog) = table.dialogs.get_mut(id).filter(|dialog| !dialog.status.borrow().is_over()) else { return };
        let answer = response(&dialog.invite, status, Some(tag_of(&dialog.us)));
        let peer = dialog.peer;
        let key = format!("{id}/{}", dialog.invite.cseq().map_or(0, |(number, _)| number));
        dialog.answered.insert(key_of(&answer), answer.clone());
        dialog.end(false, Some(status), None);
        self.send_until(&mut table, key, id, answer, peer);
    }

    pub(super) fn hang_up(&self, id: &str) {
        let mut table = self.table();
        let Table { dialogs, numbers, resends, .. } = &mut *table;
        let Some(dialog) = dialogs.get_mut(id) else { return };
        let status = dialog.status.borrow().clone();
        let (message, to) = match (status, dialog.placed) {
            (Status::Ended { .. }, _) => return,
            (Status::Confirmed, _) => {
                dialog.audio.mute(true);
                (dialog.request(self, numbers, "BYE"), dialog.next_hop())
            }
            (Status::Calling, true) if resends.contains_key(dialog.invite.branch().unwrap_or_default()) => {
                // CANCEL waits for the first provisional response (RFC 3261 section 9.1).
                dialog.given_up = true;
                return;
            }
            (_, true) => {
                dialog.given_up = true;
                dialog.cancelled = true;
                (cancel(&dialog.invite), dialog.peer)
            }
            (_, false) => {
                drop(table);
                self.refuse(id, 603);
                return;
            }
        };
        let suffix = if message.method() == Some("CANCEL") { "c" } else { "" };
        let key = format!("{}{suffix}", message.branch().unwrap_or_default());
        self.send_until(&mut table, key, id, message, to);
    }

    pub(super) fn change(&self, id: &str, direction: &'static str) -> Option<watch::Receiver<u16>> {
        let mut table = self.table();
        let Table { dialogs, numbers, .. } = &mut *table;
        let dialog = dialogs.get_mut(id).filter(|dialog| *dialog.status.borrow() == Status::Confirmed)?;
        let mut invite = dialog.request(self, numbers, "INVITE");
        dialog.ours.direction = direction;
        dialog.version += 1;
        describe(&mut invite, &dialog.ours, dialog.version);
        dialog.audio.mute(direction == "inactive");
        let (answered, receiver) = watch::channel(0);
        dialog.change = Some(answered);
        let to = dialog.next_hop();
        let key = invite.branch().unwrap_or_default().to_owned();
        self.send_until(&mut table, key, id, invite, to);
        Some(receiver)
    }
}

fn dialog_mut<R>(table: &mut Table, id: &str, change: impl FnOnce(&mut Dialog) -> R) {
    if let Some(dialog) = table.dialogs.get_mut(id) {
        change(dialog);
    }
}
