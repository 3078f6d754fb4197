//! What a call of a party does on its own accord.

use super::{
    Status,
    agent::{Inner, Table},
};
use tokio::sync::watch;

impl Inner {
    pub(super) fn changes(&self, id: &str) -> u32 {
        self.table().dialogs.get(id).map_or(0, |dialog| dialog.changes)
    }

    pub(super) fn provisional(&self, id: &str, status: u16, with_media: bool) {
        let mut table = self.table();
        let Some(dialog) = table.dialogs.get_mut(id).filter(|dialog| !dialog.status.borrow().is_over()) else { return };
        let mut answer = dialog.invite.response(status, Some(dialog.tag()));
        answer.headers.push(("Contact".to_owned(), format!("<{}>", self.contact())));
        if with_media {
            let offer = dialog.invite.body.clone();
            dialog.hear(&offer, &self.voice.laws);
            answer.describe(&dialog.ours, 1);
        }
        let peer = dialog.peer;
        dialog.status.send_replace(Status::Early(status));
        self.send(&mut table, &answer, peer);
    }

    pub(super) fn answer(&self, id: &str) {
        let mut table = self.table();
        let Some(dialog) = table.dialogs.get_mut(id).filter(|dialog| !dialog.status.borrow().is_over()) else { return };
        let body = dialog.invite.body.clone();
        dialog.hear(&body, &self.voice.laws);
        let mut answer = dialog.invite.response(200, Some(dialog.tag()));
        answer.headers.push(("Contact".to_owned(), format!("<{}>", self.contact())));
        answer.describe(&dialog.ours, 1);
        let peer = dialog.peer;
        let key = format!("{id}/{}", dialog.invite.cseq().map_or(0, |(number, _)| number));
        dialog.answered.insert(answer.key(), answer.clone());
        self.send_until(&mut table, key, id, answer, peer);
    }

    pub(super) fn refuse(&self, id: &str, status: u16) {
        let mut table = self.table();
        let Some(dialog) = table.dialogs.get_mut(id).filter(|dialog| !dialog.status.borrow().is_over()) else { return };
        let answer = dialog.invite.response(status, Some(dialog.tag()));
        let peer = dialog.peer;
        let key = format!("{id}/{}", dialog.invite.cseq().map_or(0, |(number, _)| number));
        dialog.answered.insert(answer.key(), answer.clone());
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
                (dialog.invite.cancel(), dialog.peer)
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

    pub(super) fn refer(&self, id: &str, to: &str) {
        let mut table = self.table();
        let Table { dialogs, numbers, .. } = &mut *table;
        let Some(dialog) = dialogs.get_mut(id).filter(|dialog| *dialog.status.borrow() == Status::Confirmed) else {
            return;
        };
        let mut refer = dialog.request(self, numbers, "REFER");
        refer.headers.push(("Refer-To".to_owned(), to.to_owned()));
        refer.headers.push(("Referred-By".to_owned(), format!("<{}>", self.contact())));
        let to = dialog.next_hop();
        let key = refer.branch().unwrap_or_default().to_owned();
        self.send_until(&mut table, key, id, refer, to);
    }

    pub(super) fn notify(&self, id: &str, status: u16) {
        let mut table = self.table();
        let Table { dialogs, numbers, .. } = &mut *table;
        let Some(dialog) = dialogs.get_mut(id).filter(|dialog| *dialog.status.borrow() == Status::Confirmed) else {
            return;
        };
        let mut notify = dialog.request(self, numbers, "NOTIFY");
        let state = if status >= 200 { "terminated;reason=noresource" } else { "active;expires=60" };
        for (name, value) in
            [("Event", "refer"), ("Subscription-State", state), ("Content-Type", "message/sipfrag;version=2.0")]
        {
            notify.headers.push((name.to_owned(), value.to_owned()));
        }
        notify.body = format!("SIP/2.0 {status} So It Is\r\n");
        let to = dialog.next_hop();
        let key = notify.branch().unwrap_or_default().to_owned();
        self.send_until(&mut table, key, id, notify, to);
    }

    pub(super) fn asked_to_call(&self, id: &str) -> Option<String> {
        let table = self.table();
        let refer = table.trace.iter().find(|traced| {
            !traced.sent && traced.message.method() == Some("REFER") && traced.message.header("Call-ID") == Some(id)
        });
        refer.and_then(|refer| refer.message.header("Refer-To")).map(str::to_owned)
    }

    pub(super) fn replaces(&self, id: &str) -> String {
        let table = self.table();
        let Some(dialog) = table.dialogs.get(id) else { return String::new() };
        let theirs = dialog.them.rsplit(";tag=").next().unwrap_or_default();
        format!("{}%3Bto-tag%3D{theirs}%3Bfrom-tag%3D{}", id.replace('@', "%40"), dialog.tag())
    }

    pub(super) fn notified(&self, id: &str) -> Vec<u16> {
        let table = self.table();
        let notifies = table.trace.iter().filter(|traced| {
            !traced.sent && traced.message.method() == Some("NOTIFY") && traced.message.header("Call-ID") == Some(id)
        });
        let mut told = Vec::new();
        for notify in notifies {
            let status = notify.message.body.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse().ok());
            told.extend(status.filter(|status| !told.contains(status)));
        }
        told
    }

    pub(super) fn change(&self, id: &str, direction: &'static str) -> Option<watch::Receiver<u16>> {
        let mut table = self.table();
        let Table { dialogs, numbers, .. } = &mut *table;
        let dialog = dialogs.get_mut(id).filter(|dialog| *dialog.status.borrow() == Status::Confirmed)?;
        let mut invite = dialog.request(self, numbers, "INVITE");
        dialog.ours.direction = direction;
        dialog.version += 1;
        invite.describe(&dialog.ours, dialog.version);
        dialog.audio.mute(direction == "inactive");
        let (answered, receiver) = watch::channel(0);
        dialog.change = Some(answered);
        let to = dialog.next_hop();
        let key = invite.branch().unwrap_or_default().to_owned();
        self.send_until(&mut table, key, id, invite, to);
        Some(receiver)
    }
}
