//! Offers and answers within a leg's dialog (RFC 3264, RFC 6337): one open at a time, ours wait for their turn.

use super::{Leg, News, State};
use crate::step::Step;
use bytes::Bytes;
use policy::Cause;
use sdp::{Codec, Open};
use signaling::Command;

impl Leg {
    /// What is agreed on is offered anew: now, or as soon as no other offer is open. Wanted twice, it is made once.
    pub(crate) fn renegotiate(&mut self, step: &mut Step<'_>) -> News {
        self.wanted = true;
        self.offer_if_free(step);
        News::Nothing
    }

    fn offer_if_free(&mut self, step: &mut Step<'_>) {
        if !self.wanted || self.state != State::Up || self.late {
            return;
        }
        let Some(Ok(offer)) = self.media.as_mut().map(sdp::OfferAnswer::offer) else { return };
        self.wanted = false;
        step.signaling(Command::Offer { leg: self.usage, offer });
    }

    /// The outcome of an offer of ours.
    pub(super) fn offer_done(&mut self, step: &mut Step<'_>, result: Result<Bytes, u16>) -> News {
        let Some(media) = self.media.as_mut().filter(|media| media.open() == Open::Ours) else { return News::Nothing };
        match result {
            Ok(body) => match media.receive_answer(&body) {
                Ok(()) => {
                    self.describe(step);
                    self.offer_if_free(step);
                    News::Hold
                }
                Err(refusal) => {
                    tracing::debug!(call = %step.id, leg = %self.record.name, %refusal, "what was agreed on stays");
                    News::Nothing
                }
            },
            Err(status) => {
                media.withdraw();
                // The peer's offer came first: ours follows it.
                self.wanted |= status == 491;
                News::Nothing
            }
        }
    }

    /// Our offer for a provisional response, where one must carry it (RFC 3261 section 13.2.1, RFC 3262 section 5).
    pub(super) fn early_offer(&mut self) -> Option<Bytes> {
        let media = self.media.as_mut().filter(|media| self.reliable && media.open() == Open::Nobodys)?;
        media.offer().ok()
    }

    /// The answer to it came in the PRACK.
    pub(super) fn early_answered(&mut self, step: &mut Step<'_>, body: &[u8]) -> News {
        match self.media.as_mut().map(|media| media.receive_answer(body)) {
            Some(Ok(())) => {
                self.describe(step);
                News::Nothing
            }
            _ => {
                self.hang_up(step, Some(488));
                News::failed(Cause::Failed, Some(488))
            }
        }
    }

    pub(super) fn acked(&mut self, step: &mut Step<'_>, body: Option<&[u8]>) -> News {
        if !self.late {
            return News::Nothing;
        }
        self.late = false;
        let judged = self.media.as_mut().zip(body).map(|(media, body)| media.receive_answer(body));
        match judged {
            Some(Ok(())) => {
                self.describe(step);
                self.offer_if_free(step);
                News::Hold
            }
            _ if self.agreed().is_some() => {
                // A refresh without an answer in its ACK: what was agreed before stays.
                if let Some(media) = &mut self.media {
                    media.withdraw();
                }
                News::Nothing
            }
            _ => {
                self.hang_up(step, Some(488));
                News::failed(Cause::Failed, Some(488))
            }
        }
    }

    /// The peer wants the session changed, or asks for our offer. Only this leg is concerned.
    pub(super) fn offered(&mut self, step: &mut Step<'_>, body: Option<&[u8]>) -> News {
        let Some(media) = &mut self.media else { return News::Nothing };
        let leg = self.usage;
        let Some(body) = body else {
            match media.offer() {
                Ok(offer) => {
                    self.late = true;
                    step.signaling(Command::AcceptOffer { leg, answer: offer });
                }
                Err(_) => step.signaling(Command::RefuseOffer { leg, status: 491 }),
            }
            return News::Nothing;
        };
        let in_use: Option<Codec> = media.agreed().map(|agreed| agreed.codec);
        let answer = media.receive_offer(body).and_then(|()| media.answer(in_use.as_slice()));
        match answer {
            Ok(answer) => {
                step.signaling(Command::AcceptOffer { leg, answer });
                self.describe(step);
                self.offer_if_free(step);
                News::Hold
            }
            Err(refusal) => {
                step.signaling(Command::RefuseOffer { leg, status: refusal.status });
                self.offer_if_free(step);
                News::Nothing
            }
        }
    }
}
