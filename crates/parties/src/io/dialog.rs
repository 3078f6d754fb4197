//! One dialog of a party, and the messages of it.

use super::{
    Status,
    audio::{Audio, Sending},
    party::Inner,
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

impl Dialog {
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

pub(super) fn key_of(message: &Message) -> (u32, String) {
    message.cseq().map_or((0, String::new()), |(number, method)| (number, method.to_owned()))
}

pub(super) fn tag_of(value: &str) -> &str {
    value.rsplit(";tag=").next().unwrap_or_default()
}

pub(super) fn describe(message: &mut Message, ours: &Description, version: u64) {
    message.headers.push(("Content-Type".to_owned(), "application/sdp".to_owned()));
    message.body = ours.write(version);
}

/// A response with the headers that RFC 3261 section 8.2.6.2 copies.
pub(super) fn response(request: &Message, status: u16, tag: Option<&str>) -> Message {
    let phrase = match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        486 => "Busy Here",
        487 => "Request Terminated",
        603 => "Decline",
        _ => "Party Says So",
    };
    let mut headers = Vec::new();
    for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
        for value in request.values(name) {
            let mut value = value.to_owned();
            if name == "To" && status > 100 && request.tag("To").is_none() {
                value += &tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
            }
            headers.push((name.to_owned(), value));
        }
    }
    Message { start: format!("SIP/2.0 {status} {phrase}"), headers, body: String::new() }
}

/// The CANCEL of an INVITE (RFC 3261 section 9.1).
pub(super) fn cancel(invite: &Message) -> Message {
    let kept = ["Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Route"];
    let mut headers: Vec<(String, String)> =
        invite.headers.iter().filter(|(name, _)| kept.contains(&name.as_str())).cloned().collect();
    for (name, value) in &mut headers {
        if name == "CSeq" {
            *value = value.replace("INVITE", "CANCEL");
        }
    }
    Message { start: invite.start.replacen("INVITE", "CANCEL", 1), headers, body: String::new() }
}
