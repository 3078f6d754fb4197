//! One dialog of a party, as RFC 3261 section 12 keeps it.

use super::{
    Status,
    agent::Inner,
    audio::{Audio, Sending},
};
use crate::{
    g711::Law,
    message::{Description, Message, address_of, uri_of},
};
use std::{collections::HashMap, net::SocketAddr, sync::Arc};
use tokio::sync::watch;

pub(super) struct Dialog {
    pub(super) invite: Message,
    /// Our and the other side's name-addr with tag, as they stand in requests we send.
    pub(super) us: String,
    pub(super) them: String,
    pub(super) target: String,
    pub(super) routes: Vec<String>,
    pub(super) peer: SocketAddr,
    pub(super) placed: bool,
    pub(super) cseq: u32,
    pub(super) audio: Arc<Audio>,
    pub(super) ours: Description,
    pub(super) version: u64,
    pub(super) status: watch::Sender<Status>,
    /// Responses sent, by CSeq and method, for requests that come again.
    pub(super) answered: HashMap<(u32, String), Message>,
    pub(super) ack: Option<Message>,
    pub(super) given_up: bool,
    pub(super) cancelled: bool,
    pub(super) changes: u32,
    pub(super) change: Option<watch::Sender<u16>>,
}

/// What a dialog begins with.
pub(super) struct Opening {
    pub(super) invite: Message,
    pub(super) us: String,
    pub(super) them: String,
    pub(super) target: String,
    pub(super) peer: SocketAddr,
}

impl Dialog {
    /// The dialog of an INVITE that we send.
    pub(super) fn placed(opening: Opening, audio: Arc<Audio>, ours: Description) -> (Self, watch::Receiver<Status>) {
        Self::new(opening, audio, ours, true, Vec::new())
    }

    /// The dialog of an INVITE that came.
    pub(super) fn received(opening: Opening, audio: Arc<Audio>, ours: Description) -> (Self, watch::Receiver<Status>) {
        let routes = opening.invite.values("Record-Route").map(str::to_owned).collect();
        Self::new(opening, audio, ours, false, routes)
    }

    fn new(
        Opening { invite, us, them, target, peer }: Opening,
        audio: Arc<Audio>,
        ours: Description,
        placed: bool,
        routes: Vec<String>,
    ) -> (Self, watch::Receiver<Status>) {
        let (status, watched) = watch::channel(Status::Calling);
        let dialog = Self {
            invite,
            us,
            them,
            target,
            routes,
            peer,
            placed,
            cseq: u32::from(placed),
            audio,
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
        (dialog, watched)
    }

    /// Our tag.
    pub(super) fn tag(&self) -> &str {
        self.us.rsplit(";tag=").next().unwrap_or_default()
    }

    pub(super) fn end(&self, by_peer: bool, status: Option<u16>, reason: Option<&str>) {
        if !self.status.borrow().is_over() {
            let reason = reason.map(str::to_owned);
            self.status.send_replace(Status::Ended { by_peer, status, reason });
        }
        self.audio.mute(true);
    }

    /// Takes over what the other side described: where to send, in which law.
    pub(super) fn hear(&mut self, body: &str, laws: &[Law]) {
        let Some(theirs) = Description::read(body) else { return };
        let Some((law, number)) = theirs.laws.iter().find(|(law, _)| laws.contains(law)) else { return };
        self.ours.laws = vec![(*law, *number)];
        self.ours.telephone_event = theirs.telephone_event;
        self.audio.mute(matches!(theirs.direction, "sendonly" | "inactive"));
        self.audio.send_to(Sending {
            remote: theirs.rtp,
            law: *law,
            payload_type: *number,
            telephone_event: theirs.telephone_event,
        });
    }

    pub(super) fn request(&mut self, inner: &Inner, table_numbers: &mut u64, method: &str) -> Message {
        if method != "ACK" {
            self.cseq += 1;
        }
        *table_numbers += 1;
        let mut headers = vec![
            ("Via".to_owned(), inner.via(*table_numbers)),
            ("Max-Forwards".to_owned(), "70".to_owned()),
            ("From".to_owned(), self.us.clone()),
            ("To".to_owned(), self.them.clone()),
            ("Call-ID".to_owned(), self.invite.header("Call-ID").unwrap_or_default().to_owned()),
            ("CSeq".to_owned(), format!("{} {method}", self.cseq)),
            ("Contact".to_owned(), format!("<{}>", inner.contact())),
        ];
        headers.extend(self.routes.iter().map(|route| ("Route".to_owned(), route.clone())));
        Message { start: format!("{method} {} SIP/2.0", self.target), headers, body: String::new() }
    }

    /// Where requests within the dialog go: the first route, else the remote target.
    pub(super) fn next_hop(&self) -> SocketAddr {
        let next = self.routes.first().map_or(self.target.as_str(), |route| uri_of(route));
        address_of(next).unwrap_or(self.peer)
    }
}
