//! The offer/answer machine of one dialog.

use crate::{
    Agreement, Busy, Codec, Direction, Keys, LocalMedia, OpusFormat, Refusal, Srtp,
    crypto::Crypto,
    description::{self, Description, Line, Stream},
    writing::{self, OurStream},
};
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// One dialog's media session (RFC 3264, RFC 6337): never two open offers, the agreement always that of the last
/// exchange that succeeded. Plain data: it can be written down in mid-exchange and taken up by another process.
///
/// ```text
///            offer()                           receive_offer()
///   Offered <-------------------- Stable ----------------------> Received
///      |  receive_answer(), withdraw() ^ ^ answer(), withdraw()     |
///      +-------------------------------+ +--------------------------+
/// ```
///
/// A late offer (RFC 3261 section 13.2.1: INVITE without a body) takes the same way: `offer()` for the 200's body,
/// `receive_answer()` for the ACK's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferAnswer {
    local: LocalMedia,
    /// Of the last body in `o=`; grows by one when a body differs from the one before (RFC 3264 section 8).
    version: u64,
    last_sent: Option<Body>,
    /// The session's media lines, in the order both sides keep.
    lines: Vec<Line>,
    /// Which of them is our audio.
    audio_line: Option<usize>,
    numbers: Numbers,
    agreed: Option<Agreement>,
    /// Media was encrypted once: no plain media again.
    encrypted: bool,
    state: State,
}

/// A body as it was sent; it may hold keys, so it does not show.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Body(String);

impl core::fmt::Debug for Body {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    /// No offer is open. `answered` is our last offer while nothing else was negotiated since.
    Stable { answered: Option<Sent> },
    /// Our offer waits for the peer's answer. `before` is what to go back to.
    Offered { sent: Sent, before: Option<Agreement> },
    /// The peer's offer waits for our answer.
    Received { offer: Description },
}

/// An offer of ours as it was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sent {
    lines: Vec<Line>,
    ours: OurStream,
}

/// Payload types already in use. Within one session a dynamic payload type keeps its meaning (RFC 3264 section 8.3.2).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Numbers {
    codecs: Vec<(Codec, u8)>,
    telephone_event: Vec<(u32, u8)>,
    /// Numbers from 96 to 127 that the peer uses for what is not known here, one bit each.
    foreign: u32,
}

/// Whose offer is open.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Open {
    /// Nobody's.
    Nobodys,
    /// Ours: the peer owes an answer.
    Ours,
    /// The peer's: we owe an answer.
    Theirs,
}

impl OfferAnswer {
    /// A session in which nothing was said yet.
    pub fn new(local: LocalMedia) -> Self {
        Self {
            local,
            version: 1,
            last_sent: None,
            lines: Vec::new(),
            audio_line: None,
            numbers: Numbers::default(),
            agreed: None,
            encrypted: false,
            state: State::Stable { answered: None },
        }
    }

    /// What we bring to the session.
    pub fn local(&self) -> &LocalMedia {
        &self.local
    }

    /// What we bring to the next offer or answer; what is agreed on already stays.
    pub fn local_mut(&mut self) -> &mut LocalMedia {
        &mut self.local
    }

    /// What both sides agreed on last, if they ever did.
    pub fn agreed(&self) -> Option<&Agreement> {
        self.agreed.as_ref()
    }

    /// Whose offer is open.
    pub fn open(&self) -> Open {
        match self.state {
            State::Stable { .. } => Open::Nobodys,
            State::Offered { .. } => Open::Ours,
            State::Received { .. } => Open::Theirs,
        }
    }

    /// The codecs of the peer's open offer that we have too, in the peer's order; empty when no offer of theirs is open.
    pub fn offered(&self) -> Vec<Codec> {
        let State::Received { offer } = &self.state else { return Vec::new() };
        let listed = offer.streams.iter().flat_map(|stream| stream.codecs.iter().map(|(codec, _)| *codec));
        let mut codecs: Vec<Codec> = Vec::new();
        for codec in listed.filter(|codec| self.local.codecs.contains(codec)) {
            if !codecs.contains(&codec) {
                codecs.push(codec);
            }
        }
        codecs
    }

    /// The numbers from 96 on, one bit each, by which the peer calls codecs that are none of ours here.
    fn unused(&self, description: &Description) -> u32 {
        let listed = description.streams.iter().flat_map(|stream| &stream.codecs);
        let others = listed.filter(|(codec, number)| *number >= 96 && !self.local.codecs.contains(codec));
        others.fold(0, |bits, (_, number)| bits | 1 << (number - 96))
    }

    /// Opens an offer of ours and gives its body: for an INVITE, an UPDATE, or the 200 to an INVITE without one.
    ///
    /// # Errors
    /// [`Busy`] while an offer is open.
    pub fn offer(&mut self) -> Result<Bytes, Busy> {
        if self.open() != Open::Nobodys {
            return Err(Busy);
        }
        let (lines, line) = self.lines_with_audio();
        let (codecs, telephone_event) = self.numbers.assign(&self.local);
        let ours = OurStream {
            line,
            codecs,
            telephone_event,
            ptime: self.local.ptime,
            direction: self.local.direction,
            keys: self.keys_offered(),
            rtcp_mux: self.local.rtcp_mux,
        };
        let body = self.write(&lines, Some(&ours));
        self.state = State::Offered { sent: Sent { lines, ours }, before: self.agreed.clone() };
        Ok(body)
    }

    /// Takes an offer of the peer and judges it. `Ok` leaves it open until [`Self::answer`] or [`Self::withdraw`].
    ///
    /// # Errors
    /// A body that is no session description, is beyond the limits or holds nothing we can speak; 491 while our own
    /// offer is open and 500 while another of the peer's is (RFC 3261 section 14.2). Nothing has changed then.
    pub fn receive_offer(&mut self, body: &[u8]) -> Result<(), Refusal> {
        match self.state {
            State::Stable { .. } => {}
            State::Offered { .. } => return Err(Refusal::out_of_turn(491, "an offer of ours is open in this dialog")),
            State::Received { .. } => {
                return Err(Refusal::out_of_turn(500, "an earlier offer still waits for its answer"));
            }
        }
        let offer = description::read(body)?;
        self.choose(&offer, &[])?;
        self.state = State::Received { offer };
        Ok(())
    }

    /// Answers the peer's open offer with one codec: the first of `prefer` that both sides have, else the one in use,
    /// else the first that the peer lists. Afterwards [`Self::agreed`] is new.
    ///
    /// # Errors
    /// 488 when what we bring was changed meanwhile so that nothing is left in common; the offer is closed then and the
    /// old agreement stays. 500 when no offer is open.
    pub fn answer(&mut self, prefer: &[Codec]) -> Result<Bytes, Refusal> {
        let offer = match core::mem::replace(&mut self.state, State::Stable { answered: None }) {
            State::Received { offer } => offer,
            other => {
                self.state = other;
                return Err(Refusal::out_of_turn(500, "no offer waits for an answer"));
            }
        };
        let choice = self.choose(&offer, prefer)?;
        self.numbers.foreign |= offer.foreign | self.unused(&offer);
        let Some(Choice { stream, codec, number, keys }) = choice else {
            let agreement = self.nothing_flows(prefer)?;
            let body = self.write(&offer.lines, None);
            self.lines = offer.lines;
            self.audio_line = None;
            self.agreed = Some(agreement);
            return Ok(body);
        };
        // Numbers are the peer's in both directions (RFC 3264 section 6.1).
        let event = events_beside(codec, &stream.telephone_event).filter(|_| self.local.telephone_event);
        let wanted = if stream.is_nowhere() { stream.direction.and(Direction::SendOnly) } else { stream.direction };
        let direction = wanted.reversed().and(self.local.direction);
        let ptime = ptime(stream, self.local.ptime);
        let rtcp_mux = stream.rtcp_mux && self.local.rtcp_mux;
        let answered = keys.as_ref().map(|(tag, keys)| Crypto { tag: *tag, key: keys.send.clone() });
        let ours = OurStream {
            line: stream.line,
            codecs: vec![(codec, number)],
            telephone_event: event.into_iter().collect(),
            ptime,
            direction,
            keys: answered.into_iter().collect(),
            rtcp_mux,
        };
        self.encrypted |= keys.is_some();
        self.numbers.learn(codec, number, &stream.telephone_event);
        self.agreed = Some(Agreement {
            remote: stream.remote,
            remote_rtcp: if rtcp_mux { stream.remote } else { stream.remote_rtcp },
            codec,
            payload_type_send: number,
            payload_type_receive: number,
            telephone_event: event.map(|(_, number)| (number, number)),
            telephone_event_clock: event.map_or(8000, |(clock, _)| clock),
            alternatives: Vec::new(),
            opus: stream.opus,
            ptime,
            may_send: direction.sends(),
            may_receive: direction.receives(),
            remote_holds: !wanted.receives(),
            srtp: keys.map(|(_, keys)| keys),
            rtcp_mux,
        });
        let body = self.write(&offer.lines, Some(&ours));
        self.audio_line = Some(ours.line);
        self.lines = offer.lines;
        Ok(body)
    }

    /// Takes the peer's answer to our open offer. Afterwards [`Self::agreed`] is new and no offer is open.
    ///
    /// Another answer to the same offer may follow and replaces it: a 200 after a 183, another branch of a fork.
    ///
    /// # Errors
    /// An answer that does not fit our offer; the offer is closed then and the agreement before it is in force. 500 when
    /// we have no offer that could be answered.
    pub fn receive_answer(&mut self, body: &[u8]) -> Result<(), Refusal> {
        let nobodys = State::Stable { answered: None };
        let (sent, before) = match core::mem::replace(&mut self.state, nobodys) {
            State::Offered { sent, before } => (sent, before),
            State::Stable { answered: Some(sent) } => (sent, self.agreed.clone()),
            other => {
                self.state = other;
                return Err(Refusal::out_of_turn(500, "an answer came, but no offer of ours waits for one"));
            }
        };
        match self.judge_answer(&sent, before.as_ref(), body) {
            Ok((agreement, foreign)) => {
                self.numbers.foreign |= foreign;
                for (codec, number) in &sent.ours.codecs {
                    self.numbers.learn(*codec, *number, &sent.ours.telephone_event);
                }
                self.encrypted |= agreement.srtp.is_some();
                self.agreed = Some(agreement);
                self.lines.clone_from(&sent.lines);
                self.audio_line = Some(sent.ours.line);
                self.state = State::Stable { answered: Some(sent) };
                Ok(())
            }
            Err(refusal) => {
                self.agreed = before;
                Err(refusal)
            }
        }
    }

    /// Takes an answer that may still be taken back: the body of a provisional response (183) sent unreliably, so that
    /// early media flows. Our offer stays open.
    ///
    /// # Errors
    /// As [`Self::receive_answer`], but nothing changes then.
    pub fn preview_answer(&mut self, body: &[u8]) -> Result<(), Refusal> {
        let State::Offered { sent, before } = &self.state else {
            return Err(Refusal::out_of_turn(500, "an early answer came, but no offer of ours waits for one"));
        };
        let (agreement, _) = self.judge_answer(sent, before.as_ref(), body)?;
        self.agreed = Some(agreement);
        Ok(())
    }

    /// Closes the open offer, whoever made it, as if it had never been made: it was rejected, or cannot be answered.
    /// Without an open offer nothing happens.
    pub fn withdraw(&mut self) {
        if let State::Offered { before, .. } = &mut self.state {
            self.agreed = before.take();
        }
        if self.open() != Open::Nobodys {
            self.state = State::Stable { answered: None };
        }
    }

    fn judge_answer(&self, sent: &Sent, before: Option<&Agreement>, body: &[u8]) -> Result<(Agreement, u32), Refusal> {
        let answer = description::read(body)?;
        let ours = &sent.ours;
        let Some(stream) = answer.streams.iter().find(|stream| stream.line == ours.line) else {
            return Err(match answer.lines.get(ours.line) {
                None => Refusal::malformed(format!(
                    "answer with {} media lines, {} were offered",
                    answer.lines.len(),
                    sent.lines.len()
                )),
                Some(line) if !line.enabled => {
                    Refusal::not_acceptable(304, "the answer switches our audio off (port 0)")
                }
                Some(_) => answer.unusable.unwrap_or_else(no_audio),
            });
        };
        self.reachable(stream)?;
        let srtp = self.keys_answered(stream, ours)?;
        let rtcp_mux = stream.rtcp_mux && ours.rtcp_mux;
        // Only what we offered counts, whatever else the answer claims.
        let offered =
            |codec: Codec| ours.codecs.iter().find(|(offered, _)| *offered == codec).map(|(_, number)| *number);
        let mut common = stream.codecs.iter().filter_map(|(codec, send)| Some((*codec, *send, offered(*codec)?)));
        let Some((codec, payload_type_send, payload_type_receive)) = common.next() else {
            return Err(Refusal::not_acceptable(305, "the answer holds no codec that we offered"));
        };
        let mut alternatives: Vec<(u8, Codec)> = common.map(|(codec, _, receive)| (receive, codec)).collect();
        alternatives.retain(|(_, other)| *other != codec);
        alternatives.dedup();
        let wanted = if stream.is_nowhere() { stream.direction.and(Direction::SendOnly) } else { stream.direction };
        let direction = ours.direction.and(wanted.reversed());
        let remote_holds = if ours.direction.sends() {
            !wanted.receives()
        } else {
            // We offered not to send, so the answer cannot tell whether the peer would have listened.
            stream.is_nowhere() || before.is_some_and(|before| before.remote_holds)
        };
        let theirs = stream.telephone_event.iter();
        let both = theirs.filter_map(|(clock, send)| {
            let receive = ours.telephone_event.iter().find(|(offered, _)| offered == clock)?.1;
            Some((*clock, (*send, receive)))
        });
        let event = events_beside(codec, &both.collect::<Vec<_>>());
        let agreement = Agreement {
            remote: stream.remote,
            remote_rtcp: if rtcp_mux { stream.remote } else { stream.remote_rtcp },
            codec,
            payload_type_send,
            payload_type_receive,
            telephone_event: event.map(|(_, numbers)| numbers),
            telephone_event_clock: event.map_or(8000, |(clock, _)| clock),
            alternatives,
            opus: stream.opus,
            ptime: ptime(stream, self.local.ptime),
            may_send: direction.sends(),
            may_receive: direction.receives(),
            remote_holds,
            srtp,
            rtcp_mux,
        };
        Ok((agreement, answer.foreign | self.unused(&answer)))
    }

    /// The stream and codec to answer an offer with; `None` when the peer switches everything off on purpose.
    fn choose<'a>(&self, offer: &'a Description, prefer: &[Codec]) -> Result<Option<Choice<'a>>, Refusal> {
        if offer.lines.iter().all(|line| !line.enabled) {
            return Ok(None);
        }
        let in_use = offer.streams.iter().filter(|stream| Some(stream.line) == self.audio_line);
        // Of several that are new, an encrypted one is better.
        let new = |required: bool| {
            let line = self.audio_line;
            let others = offer.streams.iter().filter(move |stream| Some(stream.line) != line);
            others.filter(move |stream| stream.protection.required == required)
        };
        let others = new(true).chain(new(false));
        let mut refusal = None;
        for stream in in_use.chain(others) {
            let judged = self.reachable(stream).and_then(|()| {
                let (codec, number) = self.codec_of(stream, prefer)?;
                Ok(Choice { stream, codec, number, keys: self.keys_of(stream)? })
            });
            match judged {
                Ok(choice) => return Ok(Some(choice)),
                Err(why) => refusal = refusal.or(Some(why)),
            }
        }
        Err(refusal.or_else(|| offer.unusable.clone()).unwrap_or_else(no_audio))
    }

    fn codec_of(&self, stream: &Stream, prefer: &[Codec]) -> Result<(Codec, u8), Refusal> {
        let in_use = self.agreed.as_ref().map(|agreed| agreed.codec);
        let listed = stream.codecs.iter().map(|(codec, _)| *codec);
        let mut candidates = prefer.iter().copied().chain(in_use).chain(listed);
        let found = candidates.find_map(|candidate| {
            let known = self.local.codecs.contains(&candidate);
            stream.codecs.iter().find(|(codec, _)| known && *codec == candidate).copied()
        });
        found.ok_or_else(|| {
            let ours: Vec<&str> = self.local.codecs.iter().map(|codec| codec.name()).collect();
            Refusal::not_acceptable(305, format!("no codec in common, here are {}", ours.join(", ")))
        })
    }

    fn reachable(&self, stream: &Stream) -> Result<(), Refusal> {
        if stream.remote.is_ipv4() == self.local.address.is_ipv4() || stream.is_nowhere() {
            return Ok(());
        }
        let (theirs, ours) = if stream.remote.is_ipv4() { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
        Err(Refusal::not_acceptable(301, format!("media address {} is {theirs}, here is {ours}", stream.remote.ip())))
    }

    /// Nothing goes in plain: by what is wanted, or because it was encrypted before.
    fn must_encrypt(&self) -> bool {
        self.encrypted || self.local.srtp == Srtp::Required
    }

    /// Our keys as an offer lists them.
    fn keys_offered(&self) -> Vec<Crypto> {
        if self.local.srtp == Srtp::Off && !self.encrypted {
            return Vec::new();
        }
        (1..).zip(&self.local.keys).map(|(tag, key)| Crypto { tag, key: key.clone() }).collect()
    }

    /// What an offered stream is encrypted with: the suite in use where it is offered still, else the first of the peer's
    /// that we have (RFC 4568 section 5.1.2).
    fn keys_of(&self, stream: &Stream) -> Result<Option<(u32, Keys)>, Refusal> {
        let protection = &stream.protection;
        if self.local.srtp == Srtp::Off && !self.encrypted {
            let plain = !protection.required;
            return plain.then_some(None).ok_or_else(|| Refusal::not_acceptable(302, "RTP/SAVP, here is RTP/AVP only"));
        }
        let in_use = self.agreed.as_ref().and_then(|agreed| agreed.srtp.as_ref()).map(|keys| keys.send.suite());
        let mut usable = protection.keys.iter().filter_map(|offered| {
            let ours = self.local.keys.iter().find(|ours| ours.suite() == offered.key.suite())?;
            Some((offered.tag, Keys { send: ours.clone(), receive: offered.key.clone() }))
        });
        let first = usable.next();
        let chosen = match first {
            Some((_, ref keys)) if in_use.is_none_or(|suite| suite == keys.send.suite()) => first,
            first => usable.find(|(_, keys)| in_use == Some(keys.send.suite())).or(first),
        };
        match chosen {
            None if protection.required => {
                Err(Refusal::not_acceptable(302, "RTP/SAVP without a key (a=crypto) that can be used here"))
            }
            None if self.must_encrypt() => Err(Refusal::not_acceptable(302, "RTP without a key, here is SRTP only")),
            chosen => Ok(chosen),
        }
    }

    /// What an answer to an offer of ours says of encryption: one of our lines, by its tag (RFC 4568 section 5.1.3).
    fn keys_answered(&self, stream: &Stream, ours: &OurStream) -> Result<Option<Keys>, Refusal> {
        let protection = &stream.protection;
        let accepted = protection.keys.iter().find_map(|theirs| {
            let line = ours.keys.iter().find(|line| line.tag == theirs.tag)?;
            let fits = line.key.suite() == theirs.key.suite();
            fits.then(|| Keys { send: line.key.clone(), receive: theirs.key.clone() })
        });
        if accepted.is_none() {
            if protection.required || (protection.mentioned && !ours.keys.is_empty()) {
                return Err(Refusal::not_acceptable(
                    302,
                    "the answer holds no key (a=crypto) that fits one of our offer",
                ));
            }
            if self.must_encrypt() {
                return Err(Refusal::not_acceptable(302, "the answer is RTP without a key, SRTP was offered"));
            }
        }
        Ok(accepted)
    }

    /// What is agreed on when the peer switched every stream off, or offered none (RFC 3725 flow IV).
    fn nothing_flows(&self, prefer: &[Codec]) -> Result<Agreement, Refusal> {
        let nowhere: IpAddr =
            if self.local.address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let in_use = self.agreed.as_ref().map(|agreed| agreed.codec);
        let mut candidates = prefer.iter().copied().chain(in_use).chain(self.local.codecs.iter().copied());
        let codec = candidates.find(|codec| self.local.codecs.contains(codec));
        let codec = codec.ok_or_else(|| Refusal::not_acceptable(305, "no codec in common, here is none"))?;
        Ok(Agreement {
            remote: SocketAddr::new(nowhere, 0),
            remote_rtcp: SocketAddr::new(nowhere, 0),
            codec,
            payload_type_send: codec.static_payload_type(),
            payload_type_receive: codec.static_payload_type(),
            telephone_event: None,
            telephone_event_clock: 8000,
            alternatives: Vec::new(),
            opus: OpusFormat::default(),
            ptime: self.local.ptime,
            may_send: false,
            may_receive: false,
            remote_holds: true,
            srtp: self.agreed.as_ref().and_then(|agreed| agreed.srtp.clone()),
            rtcp_mux: false,
        })
    }

    /// The session's lines for an offer of ours, and which of them carries our audio.
    fn lines_with_audio(&self) -> (Vec<Line>, usize) {
        let mut lines = self.lines.clone();
        // A line that was switched off may be taken up again (RFC 3264 section 8.1).
        let ours = ["RTP/AVP", "RTP/SAVP"];
        let reusable = |line: &Line| line.media == "audio" && ours.contains(&line.proto.as_str());
        let line = self.audio_line.or_else(|| lines.iter().position(reusable)).unwrap_or(lines.len());
        if line == lines.len() {
            lines.push(Line { media: "audio".into(), proto: "RTP/AVP".into(), format: "0".into(), enabled: true });
        }
        if self.audio_line.is_none() {
            lines[line].proto = if self.must_encrypt() { "RTP/SAVP" } else { "RTP/AVP" }.into();
        }
        (lines, line)
    }

    fn write(&mut self, lines: &[Line], ours: Option<&OurStream>) -> Bytes {
        let mut body = writing::body(&self.local, self.version, lines, ours);
        if self.last_sent.as_ref().is_some_and(|last| last.0.as_bytes() != body) {
            self.version += 1;
            body = writing::body(&self.local, self.version, lines, ours);
        }
        self.last_sent = Some(Body(String::from_utf8_lossy(&body).into_owned()));
        body
    }
}

#[derive(Debug)]
struct Choice<'a> {
    stream: &'a Stream,
    codec: Codec,
    number: u8,
    /// The tag to answer with, and the keys; none: in plain.
    keys: Option<(u32, Keys)>,
}

/// Payload types of codecs, and of telephone-event by its clock.
type Assigned = (Vec<(Codec, u8)>, Vec<(u32, u8)>);

impl Numbers {
    /// Payload types for an offer: those in use so far, else the static ones and 101, never one that means something else.
    fn assign(&self, local: &LocalMedia) -> Assigned {
        let mut taken = u128::from(self.foreign) << 96;
        let mut codecs: Vec<(Codec, u8)> = Vec::with_capacity(local.codecs.len());
        for codec in &local.codecs {
            if codecs.iter().any(|(listed, _)| listed == codec) {
                continue;
            }
            let known = self.codecs.iter().find(|(known, _)| known == codec).map(|(_, number)| *number);
            let usual = codec.static_payload_type();
            let dynamic = (96..=127).filter(|_| usual >= 96);
            let mut numbers = known.into_iter().chain([usual]).chain(dynamic);
            let is_event = |number: &u8| self.telephone_event.iter().any(|(_, known)| known == number);
            let free = numbers.find(|number| taken & (1_u128 << number) == 0 && !is_event(number));
            // A peer that uses up every dynamic number for something else is not offered what would need one.
            let Some(number) = free else { continue };
            taken |= 1_u128 << number;
            codecs.push((*codec, number));
        }
        if !local.telephone_event {
            return (codecs, Vec::new());
        }
        // At 8000 for all, as phones expect it beside any codec, and at the clock of every other codec (RFC 4733 section 2.1).
        let mut clocks = vec![8000];
        for (codec, _) in &codecs {
            if !clocks.contains(&codec.clock_rate()) {
                clocks.push(codec.clock_rate());
            }
        }
        let mut events = Vec::with_capacity(clocks.len());
        for (clock, usual) in clocks.into_iter().zip(101..) {
            let known = self.telephone_event.iter().find(|(known, _)| *known == clock).map(|(_, number)| *number);
            let mut numbers = known.into_iter().chain([usual]).chain(96..=127);
            let other = |number: u8| self.telephone_event.iter().any(|(of, known)| *known == number && *of != clock);
            let free = numbers.find(|number| taken & (1_u128 << number) == 0 && !other(*number));
            let Some(number) = free else { continue };
            taken |= 1_u128 << number;
            events.push((clock, number));
        }
        (codecs, events)
    }

    fn learn(&mut self, codec: Codec, number: u8, telephone_event: &[(u32, u8)]) {
        self.codecs.retain(|(known, _)| *known != codec);
        self.codecs.push((codec, number));
        self.telephone_event.retain(|(known, _)| telephone_event.iter().all(|(clock, _)| clock != known));
        self.telephone_event.extend(telephone_event);
    }
}

/// Of telephone-events by clock those that go with a codec: at its own clock (RFC 4733 section 2.1, RFC 7587 section 4.1), else at 8000,
/// which many phones use beside any codec.
fn events_beside<T: Copy>(codec: Codec, events: &[(u32, T)]) -> Option<(u32, T)> {
    let at = |wanted: u32| events.iter().find(|(clock, _)| *clock == wanted).copied();
    at(codec.clock_rate()).or_else(|| at(8000))
}

/// How much audio the peer wants in a packet, where that is a multiple of 10 ms from 10 to 60 and within its `maxptime`.
fn ptime(stream: &Stream, ours: Duration) -> Duration {
    let ten = Duration::from_millis(10);
    let usual = |ptime: &Duration| (1..=6).any(|n| *ptime == ten * n);
    let wanted = stream.ptime.filter(usual).unwrap_or(ours);
    match stream.maxptime {
        Some(most) if most >= ten && wanted > most => {
            (1..=6).rev().map(|n| ten * n).find(|ptime| *ptime <= most).unwrap_or(ten)
        }
        _ => wanted,
    }
}

fn no_audio() -> Refusal {
    Refusal::not_acceptable(304, "no audio stream over RTP/AVP, and only that is supported")
}
