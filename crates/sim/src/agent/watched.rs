//! A phone that is asked which calls it has, and tells (RFC 6665, RFC 4235): all of them or what is new, one NOTIFY after the other. Some
//! refuse, some say nothing, some want to be asked again.

use super::{Agent, State, Timer, extensions::header, read};
use crate::trace::Read;
use clock::Monotonic;
use parties::message::{Message, uri_of};
use std::{collections::BTreeMap, net::SocketAddr, rc::Rc, time::Duration};

/// What a party tells of its calls.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// None: nobody asks.
    tells: Option<Tells>,
    /// It has a call of its own.
    elsewhere: bool,
    subscription: Option<Subscription>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Tells {
    Well,
    /// The first subscription is ended after so long.
    For(Duration),
    /// With this status.
    Refuses(u16),
    /// Not even an answer.
    Nothing,
}

#[derive(Debug)]
struct Subscription {
    call_id: String,
    us: String,
    them: String,
    our_tag: String,
    target: String,
    peer: SocketAddr,
    cseq: u32,
    /// Of the next document.
    version: u32,
    /// What is new alone, from the second document on.
    partial: bool,
    told: BTreeMap<String, &'static str>,
    /// The NOTIFY that is out.
    waits_for: Option<u32>,
    /// Something is new since.
    stale: bool,
}

impl Watched {
    pub(super) const fn may_be(&self) -> bool {
        self.tells.is_some()
    }
}

impl Agent {
    /// From now on whoever asks is told, or is not.
    pub(crate) fn may_be_watched(&mut self) {
        self.watched.tells = Some(match self.chance.below(20) {
            0 => Tells::Nothing,
            1 => Tells::Refuses(self.chance.pick(&[403, 404, 489])),
            2..5 => Tells::For(self.chance.ms(500, 40_000)),
            _ => Tells::Well,
        });
    }

    /// It has a call of its own, or no longer.
    pub(crate) fn elsewhere(&mut self, now: Monotonic, on: bool) {
        self.now = now;
        if std::mem::replace(&mut self.watched.elsewhere, on) != on {
            self.tell_watcher();
        }
    }

    pub(super) fn subscribe_came(&mut self, at: usize, from: SocketAddr, request: &Rc<Read>) {
        if !request.to_tag.is_empty() {
            return self.subscribed_again(at, from, request);
        }
        let lasting = match self.watched.tells {
            Some(Tells::Nothing) | None => return,
            Some(Tells::Refuses(status)) => return self.respond(at, from, request, status, None),
            Some(Tells::For(lasting)) => Some(lasting),
            Some(Tells::Well) => None,
        };
        if let Some(lasting) = lasting {
            self.watched.tells = Some(Tells::Well);
            self.timers.set(Timer::Watched, self.now + lasting);
        }
        let tag = self.name("w");
        self.grant(at, from, request, &tag);
        let text = |name: &str| request.message.header(name).unwrap_or_default().to_owned();
        self.watched.subscription = Some(Subscription {
            call_id: request.call_id.clone(),
            us: format!("{};tag={tag}", text("To")),
            them: text("From"),
            our_tag: tag,
            target: uri_of(&text("Contact")).to_owned(),
            peer: from,
            cseq: 0,
            version: 0,
            partial: self.chance.percent(50),
            told: BTreeMap::new(),
            waits_for: None,
            stale: false,
        });
        self.tell_watcher();
    }

    fn subscribed_again(&mut self, at: usize, from: SocketAddr, request: &Rc<Read>) {
        let same = |it: &&Subscription| it.call_id == request.call_id && it.our_tag == request.to_tag;
        let Some(tag) = self.watched.subscription.as_ref().filter(same).map(|it| it.our_tag.clone()) else {
            return self.respond(at, from, request, 481, None);
        };
        self.grant(at, from, request, &tag);
        if request.message.header("Expires") == Some("0") {
            self.notify("terminated;reason=timeout");
            self.watched.subscription = None;
        } else {
            self.tell_watcher();
        }
    }

    fn grant(&mut self, at: usize, from: SocketAddr, request: &Rc<Read>, tag: &str) {
        let mut response = request.message.response(200, Some(tag));
        response.headers.push(header("Contact", &self.contact()));
        response.headers.push(header("Expires", request.message.header("Expires").unwrap_or("3600")));
        let packet = self.transmit(from, read(&response));
        self.servers[at].last = Some(packet);
    }

    /// What calls there are may have changed.
    pub(super) fn tell_watcher(&mut self) {
        match &mut self.watched.subscription {
            Some(it) if it.waits_for.is_some() => it.stale = true,
            Some(_) => self.notify("active;expires=3600"),
            None => {}
        }
    }

    /// A NOTIFY came to its end; 408: nobody answered.
    pub(super) fn told(&mut self, number: u32, status: u16) {
        let Some(it) = self.watched.subscription.as_mut().filter(|it| it.waits_for == Some(number)) else { return };
        it.waits_for = None;
        if status == 481 {
            self.watched.subscription = None;
        } else if std::mem::take(&mut it.stale) || status == 408 {
            // What was not heard is not known: all of it again.
            it.partial &= status != 408;
            self.tell_watcher();
        }
    }

    /// Whoever wants to know more asks anew (RFC 6665 section 4.1.3).
    pub(super) fn watched_enough(&mut self) {
        match &self.watched.subscription {
            Some(it) if it.waits_for.is_some() => {
                self.timers.set(Timer::Watched, self.now + Duration::from_millis(300));
            }
            Some(_) => {
                self.notify("terminated;reason=deactivated");
                self.watched.subscription = None;
            }
            None => {}
        }
    }

    fn notify(&mut self, state: &str) {
        let ours = self.legs.iter().filter(|leg| !leg.placed).filter_map(|leg| match leg.state {
            State::Incoming => Some((leg.our_tag.clone(), "early")),
            State::Up => Some((leg.our_tag.clone(), "confirmed")),
            _ => None,
        });
        let own = self.watched.elsewhere.then(|| (OWN.to_owned(), "confirmed"));
        let there: BTreeMap<String, &'static str> = ours.chain(own).collect();
        let (via, contact, entity) = (self.via(), self.contact(), format!("sip:{}@{}", self.name, self.address.ip()));
        let Some(it) = &mut self.watched.subscription else { return };
        let parts = it.partial && it.version > 0;
        let mut dialogs = String::new();
        for (id, state) in there.iter().filter(|(id, state)| !parts || it.told.get(*id) != Some(state)) {
            dialogs.push_str(&dialog(id, state));
        }
        for id in it.told.keys().filter(|id| parts && !there.contains_key(*id)) {
            dialogs.push_str(&dialog(id, "terminated"));
        }
        it.told = there;
        it.cseq += 1;
        let headers = vec![
            header("Via", &via),
            header("Max-Forwards", "70"),
            header("From", &it.us),
            header("To", &it.them),
            header("Call-ID", &it.call_id),
            header("CSeq", &format!("{} NOTIFY", it.cseq)),
            header("Contact", &contact),
            header("Event", "dialog"),
            header("Subscription-State", state),
            header("Content-Type", "application/dialog-info+xml"),
        ];
        let body = format!(
            "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{}\" state=\"{}\" \
             entity=\"{entity}\">{dialogs}</dialog-info>",
            it.version,
            if parts { "partial" } else { "full" },
        );
        it.version += 1;
        let request = Message { start: format!("NOTIFY {} SIP/2.0", it.target), headers, body };
        let peer = it.peer;
        let number = self.start_client(None, peer, read(&request));
        if let Some(it) = &mut self.watched.subscription {
            it.waits_for = Some(number);
        }
    }
}

/// What a phone calls a call of its own in its documents.
pub(crate) const OWN: &str = "own";

fn dialog(id: &str, state: &str) -> String {
    format!("<dialog id=\"{id}\"><state>{state}</state></dialog>")
}
