//! What a party does with what comes in.

use super::{
    Call, Status,
    agent::{Inner, Table},
    dialog::{Dialog, Opening},
};
use crate::message::{Description, Message, uri_of};
use std::{net::SocketAddr, sync::Arc};

impl Inner {
    pub(super) async fn handle(self: &Arc<Self>, message: Message, from: SocketAddr) {
        if message.status().is_some() {
            self.handle_response(&message);
        } else if message.method() == Some("INVITE") && message.tag("To").is_none() {
            self.handle_invite(message, from).await;
        } else {
            self.handle_request(&message, from);
        }
    }

    pub(super) async fn handle_invite(self: &Arc<Self>, message: Message, from: SocketAddr) {
        let id = message.header("Call-ID").unwrap_or_default().to_owned();
        let known = {
            let mut table = self.table();
            let answer = table.dialogs.get(&id).map(|dialog| dialog.answered.get(&message.key()).cloned());
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
        let opening = Opening {
            us: format!("{};tag={}{}", message.header("To").unwrap_or_default(), self.name, table.numbers),
            them: message.header("From").unwrap_or_default().to_owned(),
            target: message.header("Contact").map(|contact| uri_of(contact).to_owned()).unwrap_or_default(),
            peer: from,
            invite: message.clone(),
        };
        let (dialog, watched) = Dialog::received(opening, Arc::clone(&audio), ours);
        let trying = message.response(100, None);
        table.dialogs.insert(id.clone(), dialog);
        self.send(&mut table, &trying, from);
        drop(table);
        let call = Call { inner: Arc::clone(self), id, status: watched, audio, invite: message };
        // When nobody takes calls any more, the caller's timers end it.
        let _ = self.waiting.try_send(call);
    }

    pub(super) fn handle_request(&self, message: &Message, from: SocketAddr) {
        let id = message.header("Call-ID").unwrap_or_default().to_owned();
        let method = message.method().unwrap_or_default().to_owned();
        let mut table = self.table();
        let Table { dialogs, resends, .. } = &mut *table;
        let Some(dialog) = dialogs.get_mut(&id) else {
            if method != "ACK" {
                let status = if method == "OPTIONS" { 200 } else { 481 };
                self.send(&mut table, &message.response(status, Some("none")), from);
            }
            return;
        };
        if let Some(answer) = dialog.answered.get(&message.key()).cloned() {
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
                let mut answer = message.response(200, None);
                if !message.body.is_empty() || method == "INVITE" {
                    dialog.hear(&message.body, &self.voice.laws);
                    dialog.version += 1;
                    dialog.ours.direction =
                        match Description::read(&message.body).map_or("sendrecv", |body| body.direction) {
                            "sendonly" => "recvonly",
                            "recvonly" => "sendonly",
                            other => other,
                        };
                    answer.describe(&dialog.ours, dialog.version);
                }
                answer.headers.push(("Contact".to_owned(), format!("<{}>", self.contact())));
                answers.push(answer);
            }
            "BYE" => {
                dialog.end(true, None, message.header("Reason"));
                resends.retain(|_, resend| resend.call != id);
                answers.push(message.response(200, None));
            }
            "CANCEL" => {
                answers.push(message.response(200, Some(dialog.tag())));
                if matches!(*dialog.status.borrow(), Status::Calling | Status::Early(_))
                    && !dialog.answered.contains_key(&dialog.invite.key())
                {
                    dialog.end(true, None, message.header("Reason"));
                    answers.push(dialog.invite.response(487, Some(dialog.tag())));
                }
            }
            _ => answers.push(message.response(200, None)),
        }
        let peer = dialog.peer;
        for answer in answers {
            if let Some(dialog) = table.dialogs.get_mut(&id) {
                dialog.answered.insert(answer.key(), answer.clone());
            }
            let final_to_invite = answer.cseq().is_some_and(|(_, method)| method == "INVITE");
            if final_to_invite {
                let key = format!("{id}/{}", answer.cseq().map_or(0, |(number, _)| number));
                self.send_until(&mut table, key, &id, answer, peer);
            } else {
                self.send(&mut table, &answer, from);
            }
        }
    }

    pub(super) fn handle_response(&self, message: &Message) {
        let id = message.header("Call-ID").unwrap_or_default().to_owned();
        let (status, (number, method)) = (message.status().unwrap_or(0), message.cseq().unwrap_or((0, "")));
        let mut table = self.table();
        if status >= 200 || method == "INVITE" {
            table.resends.remove(message.branch().unwrap_or_default());
        }
        if status >= 200
            && let Some(answered) = table.asked.remove(&id)
        {
            answered.send_replace(status);
        }
        let Table { dialogs, numbers, .. } = &mut *table;
        let Some(dialog) = dialogs.get_mut(&id) else { return };
        let initial = dialog.placed && number == 1;
        let mut out: Vec<(Message, SocketAddr)> = Vec::new();
        match (method, status) {
            ("INVITE", 101..200) if initial => {
                if *dialog.status.borrow() != Status::Confirmed && !dialog.status.borrow().is_over() {
                    // Early media: the 200 says it again, or differently.
                    dialog.hear(&message.body, &self.voice.laws);
                    dialog.status.send_replace(Status::Early(status));
                }
                if dialog.given_up && !dialog.cancelled {
                    dialog.cancelled = true;
                    out.push((dialog.invite.cancel(), dialog.peer));
                }
            }
            ("INVITE", 100) if dialog.given_up && !dialog.cancelled => {
                dialog.cancelled = true;
                out.push((dialog.invite.cancel(), dialog.peer));
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
                    if initial {
                        dialog.routes = message.values("Record-Route").map(str::to_owned).collect();
                        dialog.routes.reverse();
                    }
                    let mut ack = dialog.request(self, numbers, "ACK");
                    dialog.hear(&message.body, &self.voice.laws);
                    if initial && dialog.invite.body.is_empty() {
                        // The 200 carried the offer, so the answer goes with the ACK (RFC 3261 section 13.2.1).
                        ack.describe(&dialog.ours, 1);
                    }
                    dialog.ack = Some(ack.clone());
                    out.push((ack, dialog.next_hop()));
                    if let Some(change) = dialog.change.take() {
                        change.send_replace(status);
                    }
                    if dialog.given_up {
                        let bye = dialog.request(self, numbers, "BYE");
                        out.push((bye, dialog.next_hop()));
                    } else if initial {
                        dialog.status.send_replace(Status::Confirmed);
                    }
                }
            }
            ("INVITE", 300..) => {
                if initial {
                    let uri = dialog.invite.uri().unwrap_or_default();
                    out.push((message.ack_of_refusal(uri), dialog.peer));
                    dialog.end(false, Some(status), message.header("Reason"));
                } else {
                    out.push((message.ack_of_refusal(&dialog.target), dialog.next_hop()));
                    if let Some(change) = dialog.change.take() {
                        change.send_replace(status);
                    }
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
}
