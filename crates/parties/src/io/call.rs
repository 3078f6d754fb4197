//! One call of a party: what it can do and what it waits for.

use super::{Audio, agent::Inner};
use crate::message::Message;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// How far a call is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The INVITE is on its way; nothing but 100 has come.
    Calling,
    /// The last provisional response.
    Early(u16),
    /// Answered; media flows.
    Confirmed,
    /// Over.
    Ended {
        /// The other side sent BYE or CANCEL.
        by_peer: bool,
        /// The final response to the INVITE, when it was a refusal.
        status: Option<u16>,
        /// The Reason header of the BYE or CANCEL that ended it.
        reason: Option<String>,
    },
}

impl Status {
    /// True when nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }
}

/// What did not happen in time or at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The call ended first.
    #[error("the call ended first: {0:?}")]
    Ended(Status),
    /// Nothing came within the time given.
    #[error("nothing within {0:?}; the call is {1:?}")]
    Late(Duration, Status),
}

/// A call of a [`super::Party`], placed or received. Dropping the handle changes nothing; the call goes on.
#[derive(Clone, Debug)]
pub struct Call {
    pub(super) inner: Arc<Inner>,
    pub(super) id: String,
    pub(super) status: watch::Receiver<Status>,
    pub(super) audio: Arc<Audio>,
    pub(super) invite: Message,
}

impl Call {
    /// Its Call-ID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The INVITE that began it, sent or received.
    pub fn invite(&self) -> &Message {
        &self.invite
    }

    /// A header of that INVITE.
    pub fn header<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.invite.header(name)
    }

    /// Its audio.
    pub fn audio(&self) -> &Audio {
        &self.audio
    }

    /// How far it is.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// How many re-INVITEs and UPDATEs the other side has sent.
    pub fn changes(&self) -> u32 {
        self.inner.changes(&self.id)
    }

    /// Received call: says 180, 183 or another provisional without a body.
    pub fn ring(&self, status: u16) {
        self.inner.provisional(&self.id, status, false);
    }

    /// Received call: says 183 with its description and begins to talk before it answers.
    pub fn talk_early(&self) {
        self.inner.provisional(&self.id, 183, true);
    }

    /// Received call: says 200 with its description and begins to talk.
    pub fn answer(&self) {
        self.inner.answer(&self.id);
    }

    /// Received call: refuses with this final status.
    pub fn refuse(&self, status: u16) {
        self.inner.refuse(&self.id, status);
    }

    /// Ends it from here: CANCEL before the answer of a placed call, BYE after, 603 to a received one that waits.
    pub fn hang_up(&self) {
        self.inner.hang_up(&self.id);
    }

    /// Asks the other side by REFER to call somebody else; `to` is the value of Refer-To.
    pub fn refer(&self, to: &str) {
        self.inner.refer(&self.id, to);
    }

    /// Waits until the other side asks by REFER to call somebody else: the value of Refer-To. The REFER is taken with 200.
    pub async fn asked_to_call(&self, within: Duration) -> Option<String> {
        let asked = async {
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            loop {
                looks.tick().await;
                if let Some(to) = self.inner.asked_to_call(&self.id) {
                    return to;
                }
            }
        };
        tokio::time::timeout(within, asked).await.ok()
    }

    /// Tells the other side, which has asked by REFER, how the call stands (NOTIFY with a message/sipfrag, RFC 3515 section 2.4.5).
    pub fn notify(&self, status: u16) {
        self.inner.notify(&self.id, status);
    }

    /// This dialog as its other side would name it in a Replaces (RFC 3891), escaped for a URI.
    pub fn replaces(&self) -> String {
        self.inner.replaces(&self.id)
    }

    /// The statuses that NOTIFYs in this dialog have told (RFC 3420), in the order of their coming, each once.
    pub fn notified(&self) -> Vec<u16> {
        self.inner.notified(&self.id)
    }

    /// Waits until a NOTIFY tells a final status.
    pub async fn referred(&self, within: Duration) -> Option<u16> {
        let last = async {
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            loop {
                looks.tick().await;
                if let Some(status) = self.notified().into_iter().find(|status| *status >= 200) {
                    return status;
                }
            }
        };
        tokio::time::timeout(within, last).await.ok()
    }

    /// Offers this direction (`sendrecv`, `sendonly`, `inactive`) by re-INVITE and waits for the final response's status.
    pub async fn change(&self, direction: &'static str, within: Duration) -> Result<u16, Refused> {
        let mut answered = self.inner.change(&self.id, direction).ok_or_else(|| Refused::Ended(self.status()))?;
        match tokio::time::timeout(within, answered.wait_for(|status| *status != 0)).await {
            Ok(Ok(status)) => Ok(*status),
            Ok(Err(_)) => Err(Refused::Ended(self.status())),
            Err(_) => Err(Refused::Late(within, self.status())),
        }
    }

    /// Waits for any provisional response but 100, or the answer.
    pub async fn rings(&self, within: Duration) -> Result<(), Refused> {
        self.until(within, |status| !matches!(status, Status::Calling)).await.and_then(|status| match status {
            Status::Ended { .. } => Err(Refused::Ended(status)),
            _ => Ok(()),
        })
    }

    /// Waits for the answer (received calls: for the ACK).
    pub async fn answered(&self, within: Duration) -> Result<(), Refused> {
        let status = self.until(within, |status| matches!(status, Status::Confirmed) || status.is_over()).await?;
        if status == Status::Confirmed { Ok(()) } else { Err(Refused::Ended(status)) }
    }

    /// Waits for its end and says how it ended.
    pub async fn ended(&self, within: Duration) -> Result<Status, Refused> {
        self.until(within, Status::is_over).await
    }

    async fn until(&self, within: Duration, wanted: impl Fn(&Status) -> bool) -> Result<Status, Refused> {
        let mut status = self.status.clone();
        let seen = tokio::time::timeout(within, status.wait_for(|status| wanted(status))).await;
        match seen.map(|seen| seen.map(|status| status.clone())) {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(_)) => Err(Refused::Ended(self.status())),
            Err(_) => Err(Refused::Late(within, self.status())),
        }
    }
}
