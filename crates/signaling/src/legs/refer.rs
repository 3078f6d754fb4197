//! REFER within a dialog, both ways, and the NOTIFYs that follow it (RFC 3515, RFC 4488, RFC 6665); which dialog a Replaces
//! means (RFC 3891 section 3).

use super::{
    Leg, Legs, Phase, World,
    subscription::{self, Follower, Following, News, Notifier, Notifying, Then},
};
use crate::{
    EndedBy, Event, LegId, Refer, ReferRequest, Referral,
    compose::{Extras, Response},
    context::token_index,
    message::{Request, content_type},
    reasons,
    refer::{self, Replaces},
    slab::Id,
    timer::Timer,
    transaction::Role,
};
use bytes::Bytes;
use sip_codec::{Message, Method, Name};

/// What a Replaces comes to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// This leg's dialog may be replaced.
    Leg(LegId),
    /// The status that refuses it.
    Refused(u16),
}

impl Legs {
    /// Which leg's dialog a Replaces names, if it may be replaced (RFC 3891 section 3).
    pub(crate) fn named(&self, replaces: &Replaces) -> Named {
        let tag = replaces.to_tag.as_bytes();
        let found = token_index(tag, "").and_then(|index| self.table.at(index)).filter(|(_, leg)| {
            let mut dialogs = leg.dialog.iter().chain(&leg.forks);
            leg.tag.as_bytes() == tag
                && dialogs.any(|dialog| {
                    dialog.call_id == replaces.call_id.as_bytes() && dialog.remote_tag == replaces.from_tag.as_bytes()
                })
        });
        match found {
            None => Named::Refused(481),
            Some((_, leg)) if leg.phase == Phase::Over || leg.ended => Named::Refused(603),
            Some((_, leg)) if leg.phase == Phase::Up && replaces.early_only => Named::Refused(486),
            // An early dialog that its peer began cannot be replaced: its INVITE has yet to be answered.
            Some((_, leg)) if matches!(leg.phase, Phase::Ringing(_)) => Named::Refused(481),
            Some((_, leg)) => Named::Leg(leg.id),
        }
    }

    /// [`crate::Command::Refer`].
    pub(super) fn send_refer(&mut self, w: &mut World<'_>, slot: Id, refer: &Refer) {
        let other = refer.replaces.and_then(|leg| self.by_id.get(&leg)).and_then(|slot| self.table.get(*slot));
        let replaces = other.and_then(|leg| {
            let dialog = leg.dialog.as_ref()?;
            let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).ok();
            let (call_id, to_tag) = (text(&dialog.call_id)?, text(&dialog.remote_tag)?);
            Some(Replaces { call_id, to_tag, from_tag: leg.tag.clone(), early_only: false })
        });
        let whole = refer.replaces.is_none() || replaces.is_some();
        let value = refer::print(&refer.to, replaces.as_ref()).filter(|_| whole);
        self.with(w, slot, |leg, w| leg.refer(w, refer, value));
    }

    /// A REFER within a leg's dialog.
    pub(super) fn refer_came(&mut self, w: &mut World<'_>, slot: Id, server: Id, request: &Request) {
        let mut asked = refer::read(request, &w.cx.config.passed_headers, w.cx.config.limits.header_value);
        if let Ok(asked) = &mut asked {
            asked.ours = w.cx.is_ours(&asked.to);
        }
        if let Ok(asked) = &mut asked
            && let Some(replaces) = &asked.replaces
            && let Named::Leg(leg) = self.named(replaces)
        {
            asked.replaced = Some(leg);
        }
        self.with(w, slot, |leg, w| {
            if leg.in_order(w, server, request) {
                leg.refer_asked(w, server, request, asked);
            }
        });
    }
}

impl Leg {
    // ---- the peer asks us

    fn refer_asked(
        &mut self,
        w: &mut World<'_>,
        server: Id,
        request: &Request,
        asked: Result<ReferRequest, (u16, Option<&'static str>)>,
    ) {
        if self.phase == Phase::Over {
            return w.respond(server, &Response::tagged(481, &self.tag));
        }
        let asked = match asked {
            Ok(asked) => asked,
            Err((status, phrase)) => {
                return w.respond(server, &Response { phrase, ..Response::tagged(status, &self.tag) });
            }
        };
        // One at a time; before the answer there is nobody to refer.
        if self.phase != Phase::Up || self.notifier.is_some() {
            return w.respond(server, &Response::tagged(491, &self.tag));
        }
        let id = self.referred.then_some(request.cseq);
        self.referred = true;
        self.notifier = Some(Box::new(Notifier::new(server, id, asked.subscribe)));
        if let Some(dialog) = &mut self.dialog {
            dialog.refresh(&request.message);
        }
        self.arm(w, Timer::ReferReply, w.cx.config.offer_timeout);
        self.tell(w, Event::Refer(Box::new(asked)));
    }

    /// [`crate::Command::AcceptRefer`].
    pub(super) fn accept_refer(&mut self, w: &mut World<'_>) {
        let Some(notifier) = &mut self.notifier else { return };
        let Notifying::Asked(server) = notifier.state else { return };
        self.disarm(w, Timer::ReferReply);
        let contact = Some(self.contact.as_str());
        let Some(notifier) = self.notifier.as_mut().filter(|notifier| notifier.subscribe) else {
            // RFC 4488 section 4: no subscription is made, and the peer is told so.
            let headers = [("Refer-Sub".to_owned(), "false".to_owned())];
            w.respond(server, &Response { contact, headers: &headers, ..Response::tagged(200, &self.tag) });
            self.notifier = None;
            return;
        };
        let lasts = w.cx.config.refer_expires;
        let news = notifier.begin(w.cx.now + lasts);
        w.respond(server, &Response { contact, ..Response::tagged(202, &self.tag) });
        self.arm(w, Timer::ReferExpires, lasts);
        self.notify(w, news);
    }

    /// [`crate::Command::RefuseRefer`].
    pub(super) fn refuse_refer(&mut self, w: &mut World<'_>, status: u16) {
        if let Some(Notifying::Asked(server)) = self.notifier.as_ref().map(|notifier| &notifier.state) {
            let status = if (400..700).contains(&status) { status } else { 603 };
            w.respond(*server, &Response::tagged(status, &self.tag));
            self.disarm(w, Timer::ReferReply);
            self.notifier = None;
        }
    }

    /// [`crate::Command::NotifyRefer`].
    pub(super) fn notify_refer(&mut self, w: &mut World<'_>, status: u16) {
        if (100..700).contains(&status)
            && let Some(news) = self.notifier.as_mut().and_then(|notifier| notifier.tell(News::of(status)))
        {
            self.notify(w, news);
        }
    }

    /// [`Timer::ReferExpires`]: the peer is told that there will be nothing more.
    pub(super) fn refer_expired(&mut self, w: &mut World<'_>) {
        let last = self.notifier.as_ref().and_then(|notifier| notifier.last()).map_or(100, |news| news.status);
        let news = News { status: last, ends: Some("timeout") };
        if let Some(news) = self.notifier.as_mut().and_then(|notifier| notifier.tell(news)) {
            self.notify(w, news);
        }
    }

    fn notify(&mut self, w: &mut World<'_>, news: News) {
        let (Some(notifier), Some(mut dialog)) = (&self.notifier, self.dialog.take()) else {
            return self.stop_notifying(w);
        };
        let event = match notifier.id {
            Some(id) => format!("refer;id={id}"),
            None => "refer".to_owned(),
        };
        let headers = [("Event".to_owned(), event), ("Subscription-State".to_owned(), notifier.state(news, w.cx.now))];
        let fragment = format!("SIP/2.0 {} {}\r\n", news.status, reasons::phrase(news.status));
        let branch = w.transactions.clients.branch(w.cx);
        let (parts, flow) = dialog.request(&w.cx.config, Method::Notify, branch);
        self.dialog = Some(dialog);
        let contact = self.contact.clone();
        let extras =
            Extras { contact: Some(&contact), headers: &headers, fragment: Some(fragment.into()), ..Extras::default() };
        if self.send(w, Role::Notify, parts, flow, extras).is_none() {
            self.stop_notifying(w);
        }
    }

    /// A response to a NOTIFY of ours.
    pub(super) fn notify_response(&mut self, w: &mut World<'_>, id: Id, status: u16, message: &Message) {
        let Some(notifier) = &mut self.notifier else { return };
        if status < 200 {
            return;
        }
        let (tries, last) = (notifier.tries, notifier.last());
        if matches!(status, 401 | 407)
            && let Some(news) = last
            && self.challenged(w, id, status, message, tries)
        {
            if let Some(notifier) = &mut self.notifier {
                notifier.tries += 1;
            }
            return self.notify(w, news);
        }
        self.notify_answered(w, status);
    }

    /// A NOTIFY was answered, or never will be (408): a peer that is gone ends the subscription, and nothing else.
    pub(super) fn notify_answered(&mut self, w: &mut World<'_>, status: u16) {
        let then = self.notifier.as_mut().map_or(Then::Nothing, |notifier| {
            notifier.tries = 0;
            notifier.answered(status)
        });
        match then {
            Then::Nothing => {}
            Then::Send(news) => self.notify(w, news),
            Then::Over => self.stop_notifying(w),
        }
    }

    fn stop_notifying(&mut self, w: &mut World<'_>) {
        self.notifier = None;
        self.disarm(w, Timer::ReferReply);
        self.disarm(w, Timer::ReferExpires);
    }

    // ---- we ask the peer

    fn refer(&mut self, w: &mut World<'_>, refer: &Refer, refer_to: Option<String>) {
        let refused = |status| Event::Referral(Referral::Refused { status });
        if self.phase != Phase::Up || self.follower.is_some() {
            return self.tell(w, refused(491));
        }
        let by = refer.referred_by.as_deref().map(refer::referred_by);
        let (Some(to), false) = (refer_to, by == Some(None)) else { return self.tell(w, refused(400)) };
        let mut headers = vec![("Refer-To".to_owned(), to)];
        headers.extend(by.flatten().map(|by| ("Referred-By".to_owned(), by)));
        if !refer.subscribe {
            headers.push(("Refer-Sub".to_owned(), "false".to_owned()));
        }
        let (timeout, state) = (refer.timeout, Following::Asked);
        self.follower = Some(Box::new(Follower { cseq: 0, headers, timeout, tries: 0, state }));
        self.arm(w, Timer::Referral, timeout);
        if !self.send_refer(w) {
            self.stop_following(w);
            self.tell(w, refused(400));
        }
    }

    fn send_refer(&mut self, w: &mut World<'_>) -> bool {
        let (Some(mut follower), Some(mut dialog)) = (self.follower.take(), self.dialog.take()) else { return false };
        let branch = w.transactions.clients.branch(w.cx);
        let (parts, flow) = dialog.request(&w.cx.config, Method::Refer, branch);
        follower.cseq = parts.cseq;
        self.dialog = Some(dialog);
        let contact = self.contact.clone();
        let extras = Extras { contact: Some(&contact), headers: &follower.headers, ..Extras::default() };
        let sent = self.send(w, Role::Refer, parts, flow, extras).is_some();
        self.follower = Some(follower);
        sent
    }

    /// A response to a REFER of ours.
    pub(super) fn refer_response(&mut self, w: &mut World<'_>, id: Id, status: u16, message: &Message) {
        let number = w.transactions.clients.parts(id).map(|(parts, _)| parts.cseq);
        let Some(follower) = self.follower.as_mut().filter(|follower| Some(follower.cseq) == number) else { return };
        if status < 200 || follower.state != Following::Asked {
            return;
        }
        if status < 300 {
            // RFC 4488 section 4: the peer that made no subscription says so.
            let subscribed = message
                .header_named("Refer-Sub")
                .is_none_or(|value| !value.trim_ascii().eq_ignore_ascii_case(b"false"));
            follower.state = Following::Told { status: None };
            if !subscribed {
                self.stop_following(w);
            }
            return self.tell(w, Event::Referral(Referral::Accepted { subscribed }));
        }
        let tries = follower.tries;
        if self.challenged(w, id, status, message, tries) {
            if let Some(follower) = &mut self.follower {
                follower.tries += 1;
            }
            if self.send_refer(w) {
                return;
            }
        }
        self.refer_refused(w, status);
    }

    pub(super) fn refer_refused(&mut self, w: &mut World<'_>, status: u16) {
        if self.follower.as_ref().is_some_and(|follower| follower.state == Following::Asked) {
            self.stop_following(w);
            self.tell(w, Event::Referral(Referral::Refused { status }));
        }
    }

    /// [`Timer::Referral`].
    pub(super) fn refer_timed_out(&mut self, w: &mut World<'_>) {
        let Some(follower) = self.follower.take() else { return };
        if follower.state != Following::Known {
            self.tell(w, Event::Referral(Referral::TimedOut));
        }
    }

    /// A NOTIFY within the dialog.
    pub(super) fn notified(&mut self, w: &mut World<'_>, server: Id, request: &Request) {
        let message = &request.message;
        let status = match subscription::package(message).as_deref() {
            None => Some(489),
            Some("refer") => None,
            Some(_) => Some(489),
        };
        if let Some(status) = status {
            return w.respond(server, &Response::tagged(status, &self.tag).with(Name::AllowEvents, "refer"));
        }
        let event = message.header(Name::Event).unwrap_or_default();
        let Some(follower) = self.follower.as_mut().filter(|follower| follower.is_meant(event)) else {
            return w.respond(server, &Response::tagged(481, &self.tag));
        };
        let notice = match subscription::notice(message, &content_type(message)) {
            Ok(notice) => notice,
            Err(status) => return w.respond(server, &Response::tagged(status, &self.tag)),
        };
        w.respond(server, &Response::tagged(200, &self.tag));
        let (tell, wait) = follower.noticed(notice);
        match wait {
            Some(wait) => self.arm(w, Timer::Referral, wait),
            None => self.stop_following(w),
        }
        for referral in tell {
            self.tell(w, Event::Referral(referral));
        }
    }

    fn stop_following(&mut self, w: &mut World<'_>) {
        self.follower = None;
        self.disarm(w, Timer::Referral);
    }

    /// The leg has ended: what was asked of the peer is of no interest any more, what it asked of us and nobody has
    /// answered is refused. What is being told it goes on being told (RFC 5057 section 5.2).
    pub(super) fn drop_refers(&mut self, w: &mut World<'_>) {
        self.stop_following(w);
        self.refuse_refer(w, 481);
    }

    /// A REFER or NOTIFY of ours had no final response.
    pub(super) fn refer_unanswered(&mut self, w: &mut World<'_>, role: Role, by: EndedBy) {
        let status = if by == EndedBy::Timeout { 408 } else { 503 };
        if role == Role::Refer {
            self.refer_refused(w, status);
        } else {
            self.notify_answered(w, status);
        }
    }
}
