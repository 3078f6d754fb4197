//! What a party knows on the network: its socket, its dialogs, and what goes out again until it is answered.

use super::{
    Call, Traced, Voice,
    audio::{Audio, now, receive},
    dialog::{Dialog, Opening},
};
use crate::message::{Description, Message};
use std::{
    collections::HashMap,
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::Interest,
    net::UdpSocket,
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval},
};

/// RFC 3261's T1 and T2, and 64 * T1.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const GIVE_UP: Duration = Duration::from_secs(32);
/// Messages written down at the most.
const MOST_TRACED: usize = 200_000;

pub(super) struct Inner {
    pub(super) socket: UdpSocket,
    pub(super) local: SocketAddr,
    pub(super) name: String,
    pub(super) voice: Voice,
    pub(super) waiting: mpsc::Sender<Call>,
    pub(super) table: Mutex<Table>,
}

/// Receives and resends until the party is dropped.
pub(super) async fn run(inner: Arc<Inner>) {
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

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.local)
    }
}

#[derive(Default)]
pub(super) struct Table {
    pub(super) dialogs: HashMap<String, Dialog>,
    pub(super) resends: HashMap<String, Resend>,
    /// OPTIONS under way, by Call-ID, and who waits for the answer.
    pub(super) asked: HashMap<String, watch::Sender<u16>>,
    /// Calls that are over, and since when: their dialogs answer retransmissions for a while.
    over: HashMap<String, Instant>,
    swept: Option<Instant>,
    pub(super) trace: Vec<Traced>,
    /// Nothing is written down any more.
    pub(super) untraced: bool,
    pub(super) numbers: u64,
}

impl Table {
    fn write_down(&mut self, traced: Traced) {
        if !self.untraced && self.trace.len() < MOST_TRACED {
            self.trace.push(traced);
        }
    }

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
pub(super) struct Resend {
    message: Message,
    to: SocketAddr,
    next: Instant,
    wait: Duration,
    until: Instant,
    pub(super) call: String,
}

impl Inner {
    pub(super) async fn audio(&self) -> io::Result<Arc<Audio>> {
        Ok(Arc::new(Audio::bind(self.local.ip(), self.voice.signal, self.voice.keep).await?))
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn contact(&self) -> String {
        format!("sip:{}@{}", self.name, self.local)
    }

    pub(super) fn via(&self, number: u64) -> String {
        format!("SIP/2.0/UDP {};branch=z9hG4bK-{}-{number};rport", self.local, self.name)
    }

    pub(super) fn write_down(&self, traced: Traced) {
        self.table().write_down(traced);
    }

    pub(super) fn send(&self, table: &mut Table, message: &Message, to: SocketAddr) {
        table.write_down(Traced { at: now(), sent: true, peer: to, message: message.clone() });
        // A full buffer is loss; the timers send it again.
        let _ = self.socket.try_send_to(&message.write(), to);
    }

    /// Sends, and again until [`Table::resends`] loses the key.
    pub(super) fn send_until(&self, table: &mut Table, key: String, call: &str, message: Message, to: SocketAddr) {
        self.send(table, &message, to);
        let start = Instant::now();
        let resend = Resend { message, to, next: start + T1, wait: T1, until: start + GIVE_UP, call: call.to_owned() };
        table.resends.insert(key, resend);
    }

    pub(super) fn resend(&self) {
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

    pub(super) fn invite(
        self: &Arc<Self>,
        from: &str,
        user: &str,
        to: SocketAddr,
        headers: &[(&str, &str)],
        audio: Arc<Audio>,
        with_offer: bool,
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
        ];
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut invite = Message { start: format!("INVITE {target} SIP/2.0"), headers: all, body: String::new() };
        if with_offer {
            invite.describe(&ours, 1);
        }
        let opening = Opening { invite: invite.clone(), us, them: format!("<{target}>"), target, peer: to };
        let (dialog, watched) = Dialog::placed(opening, Arc::clone(&audio), ours);
        table.dialogs.insert(id.clone(), dialog);
        let key = invite.branch().unwrap_or_default().to_owned();
        self.send_until(&mut table, key, &id, invite.clone(), to);
        Call { inner: Arc::clone(self), id, status: watched, audio, invite }
    }

    /// Asks with OPTIONS; the receiver learns the final status.
    pub(super) fn ask(&self, to: SocketAddr) -> watch::Receiver<u16> {
        let mut table = self.table();
        table.numbers += 1;
        let number = table.numbers;
        let id = format!("{}-{number}-{}@{}", self.name, now().as_nanos(), self.local.ip());
        let headers = [
            ("Via", self.via(number)),
            ("Max-Forwards", "70".to_owned()),
            ("From", format!("<{}>;tag={}{number}", self.contact(), self.name)),
            ("To", format!("<sip:{to}>")),
            ("Call-ID", id.clone()),
            ("CSeq", "1 OPTIONS".to_owned()),
            ("Contact", format!("<{}>", self.contact())),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let options = Message { start: format!("OPTIONS sip:{to} SIP/2.0"), headers, body: String::new() };
        let (answered, status) = watch::channel(0);
        table.asked.insert(id.clone(), answered);
        let key = options.branch().unwrap_or_default().to_owned();
        self.send_until(&mut table, key, &id, options, to);
        status
    }

    /// Nobody waits for the answer to [`Self::ask`] any more.
    pub(super) fn forget_asked(&self) {
        self.table().asked.retain(|_, answered| answered.receiver_count() > 0);
    }
}
