//! What is left of a world for its judges.

use super::World;
use crate::{
    agent::Leg,
    house::{Left, Voiced},
    premises::{Clips, HOUSE, Premises, address},
    scenario::Traffic,
    trace::Wire,
};
use calls::{AgentSummary, CallId, Callback, PublicEvent, QueueSummary, Reply, Request};
use clock::Monotonic;
use std::{collections::BTreeSet, net::SocketAddr};

/// What was seen of a world from outside.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Where the daemon is.
    pub house: SocketAddr,
    /// What happened there.
    pub traffic: Traffic,
    /// Packets were real: voices are what was in them.
    pub sampled: bool,
    /// When the world began.
    pub start: Monotonic,
    /// Every SIP datagram.
    pub wire: Vec<Wire>,
    /// What the control API was told.
    pub told: Vec<(Monotonic, PublicEvent)>,
    /// Records of ended calls.
    pub cdrs: Vec<calls::Cdr>,
    /// Who was sent whose voice, where packets were sampled.
    pub voices: Vec<Voiced>,
    /// The parties' legs.
    pub seats: Vec<Seat>,
    /// The clips' sounds.
    pub clips: Clips,
    /// Calls that were ended through the control API.
    pub hung_up: BTreeSet<CallId>,
    /// What the control API says of agents, queues and callbacks in the end.
    pub agents: Vec<AgentSummary>,
    /// Queues.
    pub queues: Vec<QueueSummary>,
    /// Callbacks.
    pub callbacks: Vec<Callback>,
    /// Callbacks as they were asked to be kept, each as it was last.
    pub kept: Vec<Callback>,
    /// What the daemon held at the end.
    pub left: Left,
    /// Steps that panicked inside.
    pub panicked: u32,
    /// Lines that the daemon logged at ERROR.
    pub errors: u64,
    /// Calls and legs that were written down and taken up again, each as often as it was.
    pub taken_up: (usize, usize),
    /// False when the world had to be stopped.
    pub rested: bool,
    /// Calls placed.
    pub placed: usize,
    /// Requests to the control API, and the number of each as often as it was answered.
    pub asked: u64,
    /// Answers.
    pub answers: Vec<u64>,
    /// Numbers of those whom the daemon was to call.
    pub persons: Vec<&'static str>,
    /// The trunk must show a password.
    pub gated: bool,
}

/// What a party is in a call.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Who called, or is called back.
    Caller,
    /// An AI.
    Ai,
    /// Who is dialled for a caller.
    Human,
    /// Who watches over the call.
    Supervisor,
}

/// A party's leg.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Whose.
    pub party: &'static str,
    /// What they are in their call.
    pub role: Role,
    /// Where it listens.
    pub rtp: SocketAddr,
    /// Which call it belongs to, as the wire says.
    pub call: Option<CallId>,
    /// Its Call-ID.
    pub call_id: String,
    /// Its own tag.
    pub tag: String,
    /// What it says.
    pub word: u8,
    /// It called.
    pub placed: bool,
    /// When it answered or was answered.
    pub up: Option<Monotonic>,
    /// When it was over; `None`: it still is not.
    pub over: Option<Monotonic>,
}

impl World {
    pub(super) fn into_evidence(mut self, premises: &Premises) -> (Evidence, u64) {
        let mut seats = Vec::new();
        for agent in &self.agents {
            for leg in &agent.legs {
                let mine = self.calls.iter().find(|line| {
                    agent.name == "trunk" && line.leg.is_some_and(|no| agent.legs[no].call_id == leg.call_id)
                });
                let is_caller = mine.is_some() || agent.name == "trunk" && (leg.placed || self.calls_somebody(leg));
                seats.push(Seat {
                    party: agent.name,
                    role: match agent.name {
                        _ if is_caller => Role::Caller,
                        "bot" | "backup" => Role::Ai,
                        _ if leg.supervises() => Role::Supervisor,
                        _ => Role::Human,
                    },
                    rtp: SocketAddr::new(agent.address.ip(), leg.media.port),
                    call: leg.call.as_deref().and_then(|id| id.parse().ok()).or(mine.and_then(|line| line.id)),
                    call_id: leg.call_id.clone(),
                    tag: leg.our_tag.clone(),
                    word: leg.media.word,
                    placed: leg.placed,
                    up: leg.up_at,
                    over: leg.over_at,
                });
            }
        }
        for cdr in &self.house.cdrs {
            self.hash.bytes(self.start, &serde_json::to_vec(cdr).unwrap_or_default());
        }
        for (at, id) in &self.house.answers {
            self.hash.bytes(*at, &id.0.to_be_bytes());
        }
        let left = self.house.left();
        let (mut agents, mut queues, mut callbacks) = (Vec::new(), Vec::new(), Vec::new());
        for request in [Request::Agents, Request::Queues, Request::Callbacks { state: None, list: None }] {
            match self.house.ask(self.now, request) {
                Some(Ok(Reply::Agents(list))) => agents = list.agents,
                Some(Ok(Reply::Queues(list))) => queues = list.queues,
                Some(Ok(Reply::Callbacks(list))) => callbacks = list.callbacks,
                _ => {}
            }
        }
        self.house.all_is_said(self.now.monotonic);
        let evidence = Evidence {
            house: address(HOUSE),
            traffic: self.traffic,
            sampled: self.sampled,
            start: self.start,
            wire: self.wire,
            left,
            panicked: self.house.panicked,
            errors: 0,
            taken_up: self.house.taken_up,
            told: std::mem::take(&mut self.house.published),
            cdrs: std::mem::take(&mut self.house.cdrs),
            voices: std::mem::take(&mut self.house.voices),
            seats,
            clips: premises.clips,
            rested: self.rested,
            placed: self.calls.iter().filter(|line| line.leg.is_some()).count(),
            hung_up: self.hung_up,
            agents,
            queues,
            callbacks,
            kept: self.house.outside.kept(),
            asked: self.house.asked(),
            answers: self.house.answers.iter().map(|(_, id)| id.0).collect(),
            persons: self.scenario.errands.iter().map(|errand| errand.number).collect(),
            gated: self.scenario.gated,
        };
        (evidence, self.hash.value())
    }

    /// Whether a leg that came to the trunk is for somebody who waits to be called back.
    fn calls_somebody(&self, leg: &Leg) -> bool {
        let called = |number: &str| leg.uri().contains(number);
        self.calls.iter().filter_map(|line| line.calls.as_deref()).any(called)
    }
}
